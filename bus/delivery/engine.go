package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/dhowhq/dhow/journal"
)

// ErrClosed is Enqueue's answer once Run has ended.
var ErrClosed = errors.New("delivery: closed")

// cacheBytes is how many bytes of bodies that wait are kept in memory; the rest
// is read from the journal when its turn comes.
const cacheBytes = 64 << 20

// Engine delivers messages. Make it by Open.
type Engine struct {
	cfg    Config
	ingest journal.Log // the messages
	states journal.Log // what became of their deliveries, where that is not plain

	mu      sync.Mutex
	lanes   map[string]*lane
	order   []*record // that are not done, but for some behind the first, in their order
	open    map[journal.Seq]*record
	appends map[*journal.Seq]bool // of calls under way: numbers that theirs are not below
	cached  int
	running bool
	closed  bool
	failed  error
	ctx     context.Context // of the attempts
	work    sync.WaitGroup
	stats   Stats

	done    []*record // to delete
	changed []*task   // whose state is to be written
	flushes chan struct{}
	written int // states in their log
}

// record is a message in the journal.
type record struct {
	seq  journal.Seq
	at   time.Time
	body []byte // nil: to be read
	size int
	left int // lanes that are not done
}

// task is a record on its way to one of its lanes.
type task struct {
	rec  *record
	lane *lane
	n    int // which of the record's lanes
	state
}

// state is what a task went through. The zero state needs no record.
type state struct {
	attempts int
	next     time.Time // not to be tried before
	done     bool
	dead     bool // it goes to Config.Dead
	why      Failure
}

// Open takes the engine's logs, and what waits in them.
func Open(ctx context.Context, c Config) (*Engine, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	e := &Engine{cfg: c, lanes: map[string]*lane{}, open: map[journal.Seq]*record{}, appends: map[*journal.Seq]bool{}, flushes: make(chan struct{}, 1)}
	var err error
	if e.ingest, err = c.Journal.Open(ctx, "delivery/"+c.Name+"/messages", c.Term); err != nil {
		return nil, fmt.Errorf("messages of %s: %w", c.Name, err)
	}
	if e.states, err = c.Journal.Open(ctx, "delivery/"+c.Name+"/states", c.Term); err != nil {
		return nil, fmt.Errorf("states of %s: %w", c.Name, err)
	}
	return e, e.load(ctx)
}

// load finds what waits.
func (e *Engine) load(ctx context.Context) error {
	known := map[taskKey]state{}
	for r, err := range e.states.Read(ctx, 0) {
		if err != nil {
			return err
		}
		k, s, err := decodeState(r.Data)
		if err != nil {
			return fmt.Errorf("record %d of the states: %w", r.Seq, err)
		}
		known[k] = s
		e.written++
	}
	for r, err := range e.ingest.Read(ctx, 0) {
		if err != nil {
			return err
		}
		at, item, err := decodeItem(r.Data)
		if err != nil {
			return fmt.Errorf("record %d of the messages: %w", r.Seq, err)
		}
		e.admit(r.Seq, at, item, known)
	}
	return nil
}

// Enqueue makes the items durable, and returns when they are. They are taken up
// together unless they are more than journal.MaxBatch or than journal.MaxRecord
// in bytes: then an error may leave some of them enqueued.
func (e *Engine) Enqueue(ctx context.Context, items ...Item) error {
	return e.enqueue(ctx, journal.Synced, items)
}

// EnqueueWritten is Enqueue without the sync. The caller makes the items durable
// by an append of its own that is Synced, to any log of the journal, before it
// acknowledges them; they may be delivered earlier.
func (e *Engine) EnqueueWritten(ctx context.Context, items ...Item) error {
	return e.enqueue(ctx, journal.Written, items)
}

func (e *Engine) enqueue(ctx context.Context, d journal.Durability, items []Item) error {
	now := time.Now()
	var batch []Item
	var records [][]byte
	size := 0
	for _, item := range items {
		if err := item.check(); err != nil {
			return err
		}
		data := encodeItem(now, item)
		if len(records) == journal.MaxBatch || len(records) > 0 && size+len(data) > journal.MaxRecord {
			if err := e.append(ctx, d, now, batch, records); err != nil {
				return err
			}
			batch, records, size = nil, nil, 0
		}
		batch, records, size = append(batch, item), append(records, data), size+len(data)
	}
	if len(records) == 0 {
		return nil
	}
	return e.append(ctx, d, now, batch, records)
}

func (i Item) check() error {
	for _, l := range i.Lanes {
		if l == "" || len(l) > MaxLane {
			return ErrLane
		}
	}
	if len(i.Lanes) == 0 {
		return ErrLane
	}
	return nil
}

func (e *Engine) append(ctx context.Context, d journal.Durability, now time.Time, items []Item, records [][]byte) error {
	e.mu.Lock()
	if err := e.alive(); err != nil {
		e.mu.Unlock()
		return err
	}
	floor := e.ingest.Next()
	e.appends[&floor] = true
	e.mu.Unlock()
	// A caller that goes away must not leave it open whether the records are
	// there.
	first, err := e.ingest.Append(context.WithoutCancel(ctx), d, records...)
	if errors.Is(err, journal.ErrUnknown) {
		// Only a reading of the log tells; that is what its next owner does.
		e.fail(err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.appends, &floor)
	if err != nil {
		return err
	}
	for i, item := range items {
		e.admit(first+journal.Seq(i), now, item, nil)
	}
	e.stats.Enqueued += int64(len(items))
	return nil // even if the engine was closed meanwhile: they are on disk
}

func (e *Engine) alive() error {
	if e.failed != nil {
		return e.failed
	}
	if e.closed {
		return ErrClosed
	}
	return nil
}

func (e *Engine) fail(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.failed == nil {
		e.failed = err
	}
	e.wakeFlush()
}

// admit takes a record that is in the journal into its lanes. It may be called out of
// the records' order, by little.
func (e *Engine) admit(seq journal.Seq, at time.Time, item Item, known map[taskKey]state) {
	r := &record{seq: seq, at: at, size: len(item.Body)}
	if e.cached+r.size <= cacheBytes {
		r.body = append([]byte{}, item.Body...)
		e.cached += r.size
	}
	var touched []*lane
	for n, name := range item.Lanes {
		s := known[taskKey{seq, n}]
		if s.done {
			continue
		}
		r.left++
		l := e.lane(name)
		l.add(&task{rec: r, lane: l, n: n, state: s})
		touched = append(touched, l)
	}
	e.stats.Waiting += int64(r.left)
	e.insert(r)
	if r.left == 0 {
		e.finish(r)
		e.wakeFlush()
	}
	for _, l := range touched {
		e.pump(l)
	}
}

// insert keeps e.order in order.
func (e *Engine) insert(r *record) {
	e.open[r.seq] = r
	e.order = append(e.order, r)
	for i := len(e.order) - 1; i > 0 && e.order[i-1].seq > r.seq; i-- {
		e.order[i-1], e.order[i] = e.order[i], e.order[i-1]
	}
}

// Run delivers until ctx ends, or the journal fails. It runs once. After it the
// engine is closed; what waits is found by the next Open.
func (e *Engine) Run(ctx context.Context) error {
	attempts, cancel := context.WithCancel(ctx)
	defer cancel()
	e.mu.Lock()
	if err := e.alive(); err != nil {
		e.mu.Unlock()
		return err
	}
	e.running, e.ctx = true, attempts
	for _, l := range e.lanes {
		e.pump(l)
	}
	e.mu.Unlock()
	err := e.flushUntil(ctx)
	e.mu.Lock()
	e.running, e.closed = false, true
	for _, l := range e.lanes {
		l.stop()
	}
	e.mu.Unlock()
	cancel()
	e.work.Wait()
	if err == nil {
		err = e.flush(context.WithoutCancel(ctx))
	}
	return err
}

// Stats returns what was counted.
func (e *Engine) Stats() Stats {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.stats
}

// Waiting is the number of deliveries of a lane that are not done.
func (e *Engine) Waiting(lane string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	if l := e.lanes[lane]; l != nil {
		return l.len()
	}
	return 0
}

// chance is a number in [0, 1) for a backoff.
func chance() float64 { return rand.Float64() }
