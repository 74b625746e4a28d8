package pebble

import (
	"sync"

	pdb "github.com/cockroachdb/pebble/v2"
)

// compactions decides when Pebble may compact: as many at a time as it allows,
// from when it is open. Its own scheduler lets it begin before, and an opening
// that fails then ends in a panic.
type compactions struct {
	db   pdb.DBForCompaction
	poke chan struct{} // has room for one
	stop chan struct{}
	done sync.WaitGroup

	mu      sync.Mutex
	open    bool
	running int
}

var _ pdb.CompactionScheduler = (*compactions)(nil)

func newCompactions() *compactions {
	return &compactions{poke: make(chan struct{}, 1), stop: make(chan struct{})}
}

// start lets compactions begin.
func (c *compactions) start() {
	c.mu.Lock()
	c.open = true
	c.mu.Unlock()
	c.UpdateGetAllowedWithoutPermission()
	c.done.Go(func() {
		for {
			select {
			case <-c.poke:
				c.grant()
			case <-c.stop:
				return
			}
		}
	})
}

// grant starts what waits, as much as is allowed.
func (c *compactions) grant() {
	for {
		if waits, _ := c.db.GetWaitingCompaction(); !waits {
			return
		}
		if ok, _ := c.TrySchedule(); !ok {
			return
		}
		if !c.db.Schedule(c) {
			c.add(-1)
			return
		}
	}
}

func (c *compactions) add(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running += n
}

// Register implements pdb.CompactionScheduler.
func (c *compactions) Register(_ int, db pdb.DBForCompaction) { c.db = db }

// Unregister implements pdb.CompactionScheduler.
func (c *compactions) Unregister() {
	c.mu.Lock()
	c.open = false
	c.mu.Unlock()
	close(c.stop)
	c.done.Wait()
}

// TrySchedule implements pdb.CompactionScheduler.
func (c *compactions) TrySchedule() (bool, pdb.CompactionGrantHandle) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.open || c.running >= c.db.GetAllowedWithoutPermission() {
		return false, nil
	}
	c.running++
	return true, c
}

// UpdateGetAllowedWithoutPermission implements pdb.CompactionScheduler.
func (c *compactions) UpdateGetAllowedWithoutPermission() {
	select {
	case c.poke <- struct{}{}:
	default:
	}
}

// Done implements pdb.CompactionGrantHandle: a compaction has ended.
func (c *compactions) Done() {
	c.add(-1)
	c.UpdateGetAllowedWithoutPermission()
}

// Started implements pdb.CompactionGrantHandle.
func (c *compactions) Started() {}

// MeasureCPU implements pdb.CompactionGrantHandle.
func (c *compactions) MeasureCPU(pdb.CompactionGoroutineKind) {}

// CumulativeStats implements pdb.CompactionGrantHandle.
func (c *compactions) CumulativeStats(pdb.CompactionGrantHandleStats) {}
