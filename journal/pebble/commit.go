package pebble

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	pdb "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/batchrepr"

	"github.com/dhowhq/dhow/journal"
	"github.com/dhowhq/dhow/journal/pebble/wal"
)

// groupBytes is how much is committed together, a change of any size beside it.
const groupBytes = 1 << 20

// syncDelay is when Written records are synced at the latest, so that a loss of
// power takes no more than these of a second.
const syncDelay = time.Second

// committer does the changes of all logs, in the order in which they come: a
// writer takes all that wait, writes them as one frame of the write-ahead log
// and hands them to the database; a syncer syncs what was written meanwhile.
type committer struct {
	j *Journal

	mu     sync.Mutex
	wake   sync.Cond // of the writer
	queue  []*change
	ending bool

	syncs    chan struct{} // wakes the syncer, has room for one
	ended    chan struct{} // closed after the writer's last change
	smu      sync.Mutex
	unsynced []*change // written, waiting for a sync
	written  uint64    // count of the last frame
	timed    bool      // timer runs
	unsure   bool      // changes were told to be unknown, and are not synced yet
	timer    *time.Timer

	workers sync.WaitGroup
	frame   []byte           // this and what follows are the writer's
	fresh   map[uint64]int64 // bytes by log since the last segment was full

	madeRoom  time.Time
	unflushed bool // changes went in since then
}

func newCommitter(j *Journal) *committer {
	c := &committer{j: j, syncs: make(chan struct{}, 1), ended: make(chan struct{}), written: j.wal.Replayed(), fresh: map[uint64]int64{}}
	c.wake.L = &c.mu
	c.timer = time.AfterFunc(time.Hour, c.wakeSyncer)
	c.timer.Stop()
	c.workers.Go(c.write)
	c.workers.Go(c.sync)
	return c
}

// submit queues a change. Changes are done in the order of the calls.
func (c *committer) submit(ch *change) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue = append(c.queue, ch)
	c.wake.Signal()
}

// wait returns when the change is as durable as it asked for.
func (c *committer) wait(ctx context.Context, ch *change) error {
	select {
	case err := <-ch.done:
		return err
	case <-c.j.down: // the workers may be stuck in Pebble
		return c.j.over()
	case <-ctx.Done():
	}
	if ch.state.CompareAndSwap(waiting, withdrawn) {
		return ctx.Err()
	}
	select {
	case err := <-ch.done: // it is known after all
		return err
	default:
		return fmt.Errorf("%w: %w", journal.ErrUnknown, ctx.Err())
	}
}

func (c *committer) do(ctx context.Context, ch *change) error {
	c.submit(ch)
	return c.wait(ctx, ch)
}

// take returns what is to be done next, nil at the end.
func (c *committer) take() (group []*change) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.queue) == 0 && !c.ending {
		c.wake.Wait()
	}
	n, size := 0, 0
	for n < len(c.queue) && size < groupBytes {
		size += len(c.queue[n].ops)
		n++
	}
	group = append(group, c.queue[:n]...)
	clear(c.queue[:n])
	if c.queue = c.queue[n:]; len(c.queue) == 0 {
		c.queue = nil
	}
	return group
}

func (c *committer) write() {
	defer close(c.ended)
	for {
		group := c.take()
		if group == nil {
			return
		}
		c.commit(group)
	}
}

// commit does a group of changes, but for syncing them.
func (c *committer) commit(group []*change) {
	size := 0
	for _, ch := range group {
		size += len(ch.ops)
	}
	full := c.j.disk.full(size)
	kept := group[:0]
	for _, ch := range group {
		switch {
		case !ch.state.CompareAndSwap(waiting, taken):
		case full && !ch.makesRoom:
			ch.done <- journal.ErrFull
		default:
			kept = append(kept, ch)
		}
	}
	if full {
		defer c.makeRoom()
	}
	if len(kept) == 0 {
		return
	}
	c.unflushed = true
	err := c.apply(kept)
	if errors.Is(err, journal.ErrFull) {
		if kept = refuse(kept, err); len(kept) == 0 {
			return
		}
		err = c.apply(kept) // what makes room may fit without the others
	}
	if err != nil {
		for _, ch := range kept {
			ch.done <- err
		}
		return
	}
	c.wrote(kept)
}

// refuse ends the changes that make no room and returns the others.
func refuse(group []*change, err error) (room []*change) {
	for _, ch := range group {
		if ch.makesRoom {
			room = append(room, ch)
		} else {
			ch.done <- err
		}
	}
	return room
}

// makeRoomEvery is how often it is tried on a full disk to gain from removals.
const makeRoomEvery = 200 * time.Millisecond

// makeRoom has Pebble flush, as removals free nothing before they are flushed.
func (c *committer) makeRoom() {
	if !c.unflushed || c.j.disk.blocked.Load() > 0 || c.j.disk.dead() || time.Since(c.madeRoom) < makeRoomEvery {
		return
	}
	c.madeRoom, c.unflushed = time.Now(), false
	if _, err := c.j.db.AsyncFlush(); err != nil {
		c.j.log.Warn("journal: no flush on a full disk", "err", err)
	}
}

// apply writes the changes to the write-ahead log and to the database.
func (c *committer) apply(group []*change) error {
	if c.j.disk.dead() {
		return c.j.over()
	}
	count, err := c.j.wal.Append(c.encode(group))
	if full(err) {
		c.j.disk.noticeFull()
		return fmt.Errorf("%w: %v", journal.ErrFull, err)
	}
	if err != nil {
		return c.j.fail(err)
	}
	if err := c.j.apply(c.frame[wal.HeaderSize:]); err != nil {
		return c.j.fail(err)
	}
	c.smu.Lock()
	defer c.smu.Unlock()
	c.written = count
	return nil
}

// encode makes a frame of the changes: a batch after the frame's header.
func (c *committer) encode(group []*change) []byte {
	const start = wal.HeaderSize + batchrepr.HeaderLen
	if cap(c.frame) > 2*groupBytes {
		c.frame = nil
	}
	c.frame = append(c.frame[:0], make([]byte, start)...)
	note := change{ops: c.frame}
	note.set(frameKey, uint64Value(c.j.wal.Next()))
	c.frame = note.ops
	count := note.count
	for _, ch := range group {
		c.frame = append(c.frame, ch.ops...)
		c.fresh[ch.log] += int64(len(ch.ops))
		count += ch.count
	}
	batchrepr.SetCount(c.frame[wal.HeaderSize:], count)
	return c.frame
}

// apply does the operations of a frame.
func (j *Journal) apply(repr []byte) error {
	b := new(pdb.Batch) // not of the pool: it would keep repr
	if err := b.SetRepr(repr); err != nil {
		return err
	}
	return j.db.Apply(b, pdb.NoSync)
}

// wrote ends the changes that need no sync and leaves the others to the syncer.
func (c *committer) wrote(group []*change) {
	c.smu.Lock()
	defer c.smu.Unlock()
	before := len(c.unsynced)
	for _, ch := range group {
		if ch.durability == journal.Synced {
			c.unsynced = append(c.unsynced, ch)
		} else {
			ch.done <- nil
		}
	}
	switch {
	case len(c.unsynced) > before:
		c.wakeSyncer()
	case !c.timed:
		c.timed = true
		c.timer.Reset(syncDelay)
	}
}

func (c *committer) wakeSyncer() {
	select {
	case c.syncs <- struct{}{}:
	default: // it is to come already
	}
}

func (c *committer) sync() {
	for {
		select {
		case <-c.syncs:
			c.syncWritten()
		case <-c.ended:
			c.syncWritten()
			return
		}
	}
}

func (c *committer) syncWritten() {
	runtime.Gosched() // who is about to append comes along
	c.smu.Lock()
	group, upto := c.unsynced, c.written
	c.unsynced, c.timed = nil, false
	c.smu.Unlock()
	err := c.j.sync(upto)
	c.smu.Lock()
	switch {
	case err == nil:
		c.unsure = false
	case errors.Is(err, errStuck): // once there is room they are synced
		c.unsure = c.unsure || len(group) > 0
		c.timed = true
		c.timer.Reset(syncDelay)
	}
	c.smu.Unlock()
	for _, ch := range group {
		ch.done <- err
	}
}

// ensure syncs what was told to be unknown: who reads it may act on it.
func (c *committer) ensure(ctx context.Context) error {
	c.smu.Lock()
	unsure := c.unsure
	c.smu.Unlock()
	if !unsure {
		return nil
	}
	ch := newChange(journal.Synced, 0)
	ch.makesRoom = true
	err := c.do(ctx, ch)
	if errors.Is(err, errStuck) {
		return fmt.Errorf("%w: %w", journal.ErrFull, errStuck)
	}
	return err
}

// close ends the committer after the changes that were submitted.
func (c *committer) close() {
	c.mu.Lock()
	c.ending = true
	c.wake.Signal()
	c.mu.Unlock()
	c.workers.Wait()
	c.timer.Stop()
}
