package store

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"
)

// errRetry tells Update to run its function again.
var errRetry = errors.New("store: retry")

// maxFlying is how many batches may be under way to etcd at once: while one is
// synced to disk, the next one is made and checked. Each costs etcd much the
// same, so that one flies behind another only if it is large.
const (
	maxFlying  = 2
	largeRows  = 64
	largeBytes = 256 << 10
)

// queue holds the transactions between Update and etcd, in batches: those under
// way and those that wait.
//
// Its head is the published state with all of them applied. A transaction is
// accepted if the head holds exactly the row versions it saw, so that writers
// of the same row can share a batch, and a batch can follow another that is not
// committed yet. If etcd refuses a batch, it refuses those behind it as well;
// the head is built again from the published state, and who no longer fits runs
// again.
type queue struct {
	turn   sync.RWMutex // held by a writer who was unlucky too often
	mu     sync.Mutex
	head   state
	edit   *edit
	open   []*batch // in order
	flying int      // so many of them, the first ones, are under way
	stale  bool     // foreign changes were published while batches were flying
	sent   int      // batches taken, for their ids
	err    error
	full   error         // why no rows may be put
	quota  func() error  // the same, of this moment
	want   int           // waiting transactions that are worth a batch
	until  time.Time     // when any number is
	wake   chan struct{} // capacity one: take again

	maxOps, maxBytes int // of a batch
}

func (q *queue) init() {
	q.wake = make(chan struct{}, 1)
	q.maxOps, q.maxBytes = batchOps, maxBytes
	q.quota = func() error { return nil }
}

// submit queues tx. It returns errRetry if rows that tx saw have changed.
func (q *queue) submit(tx *Tx) (*pending, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.err != nil:
		return nil, q.err
	case !q.fits(tx):
		return nil, errRetry
	case tx.puts():
		if q.full != nil {
			return nil, q.full
		}
		if err := q.quota(); err != nil {
			return nil, err
		}
	}
	p := &pending{tx: tx, done: make(chan error, 1)}
	q.add(p)
	if n := q.waiting(); n == 1 || q.ready(n) {
		token(q.wake)
	}
	return p, nil
}

// snapshot returns the head, and the last batch that it includes, if any.
func (q *queue) snapshot() (*state, *batch) {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := q.freeze()
	if len(q.open) == 0 {
		return &s, nil
	}
	return &s, q.open[len(q.open)-1]
}

// freeze returns a copy of the head that later changes leave alone.
func (q *queue) freeze() state {
	q.edit = new(edit)
	return q.head.fork()
}

// fits reports whether the head holds the row versions that tx saw.
func (q *queue) fits(tx *Tx) bool {
	for _, r := range tx.reads {
		if q.head.get(r.def, r.key) != r.row {
			return false
		}
	}
	for _, w := range tx.writes {
		if q.head.get(w.def, w.key) != w.was {
			return false
		}
	}
	return true
}

// add applies a transaction to the head and puts it into the last batch.
func (q *queue) add(p *pending) {
	b := q.last(len(p.tx.writes), p.tx.size)
	b.txs = append(b.txs, p)
	b.size += p.tx.size
	for _, w := range p.tx.writes {
		q.head.set(q.edit, w.def, w.key, w.row)
		id := rowID{w.def, w.key}
		if i, ok := b.at[id]; ok {
			b.changes[i].row, b.changes[i].data = w.row, w.data
			continue
		}
		b.at[id] = len(b.changes)
		b.changes = append(b.changes, w)
	}
}

// last returns the batch that has room for so many rows and bytes more.
func (q *queue) last(rows, size int) *batch {
	if n := len(q.open); n > 0 {
		b := q.open[n-1]
		if !b.sealed && len(b.changes)+rows <= q.maxOps && b.size+size <= q.maxBytes {
			return b
		}
		q.seal(b)
	}
	b := &batch{at: map[rowID]int{}, done: make(chan struct{})}
	q.open = append(q.open, b)
	return b
}

// seal closes a batch to further transactions.
func (q *queue) seal(b *batch) {
	if !b.sealed {
		b.sealed = true
		s := q.freeze()
		b.after = &s
	}
}

// waiting counts the transactions that wait.
func (q *queue) waiting() (n int) {
	for _, b := range q.open[q.flying:] {
		n += len(b.txs)
	}
	return n
}

// ready reports whether n waiting transactions are worth a batch.
func (q *queue) ready(n int) bool {
	switch {
	case n == 0 || q.flying == maxFlying:
		return false
	case len(q.open) > q.flying+1:
		return true
	}
	b := q.open[q.flying]
	return len(b.changes) >= largeRows || b.size >= largeBytes || q.flying == 0 && n >= q.want
}

// take returns the next batch to send. If there is none it says how long to
// wait for more transactions; zero means until wake.
func (q *queue) take(process string) (*batch, time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := q.waiting()
	if !q.ready(n) {
		wait := time.Until(q.until)
		if n == 0 || q.flying > 0 {
			return nil, 0
		}
		if wait > 0 {
			return nil, wait
		}
	}
	b := q.open[q.flying]
	q.seal(b)
	q.sent++
	b.id, b.expect, b.start = process+"/"+strconv.Itoa(q.sent), q.head.clockID, time.Now()
	if q.flying > 0 {
		b.prev = q.open[q.flying-1]
		b.expect = b.prev.id
	}
	q.flying++
	return b, 0
}

// landed takes the first flying batch, which made s, out of the queue.
//
// Its writers tend to come back at once, and a batch of many takes little more
// time than a batch of one: so the next batch waits for them, but not longer
// than a part of the time that this one took.
func (q *queue) landed(b *batch, s *state) {
	q.mu.Lock()
	defer q.mu.Unlock()
	writers := 0
	for _, o := range q.open {
		writers += len(o.txs)
	}
	q.want = writers
	q.until = time.Now().Add(min(time.Since(b.start)/4, time.Millisecond))
	q.remove(b)
	q.head.rev, q.head.clock, q.head.clockID = s.rev, s.clock, s.clockID
	if q.stale {
		q.rebuild(s)
	}
	token(q.wake)
}

// remove takes the first batch, which is flying, out of the queue.
func (q *queue) remove(b *batch) {
	if len(q.open) > 0 && q.open[0] == b {
		q.open = slices.Delete(q.open, 0, 1)
		q.flying--
	}
}

// rebase builds the head and the batches again upon the published state s. The
// flying batches, if any, were refused.
func (q *queue) rebase(s *state) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.rebuild(s)
}

func (q *queue) rebuild(s *state) {
	old := q.open
	q.head, q.edit, q.open, q.flying, q.stale = s.fork(), new(edit), nil, 0, false
	for _, b := range old {
		b.over = true
		b.once.Do(func() {
			b.err = errRetry
			close(b.done)
			for _, p := range b.txs {
				if q.fits(p.tx) {
					q.add(p)
				} else {
					p.done <- errRetry
				}
			}
		})
	}
	token(q.wake)
}

// published notes that foreign changes made s: the head must follow, now or
// when the flying batches have been refused.
func (q *queue) published(s *state) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.flying > 0 {
		q.stale = true
	} else {
		q.rebuild(s)
	}
}

// drop fails the first flying batch and builds the rest again upon s. If nobody
// knows what became of it, nobody knows of those that fly behind it either.
func (q *queue) drop(b *batch, err error, s *state) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(q.flying, 1)
	if errors.Is(err, ErrUnknown) {
		n = q.flying
	}
	for _, b := range q.open[:n] {
		b.over = true
		b.settle(err)
	}
	q.open = q.open[n:]
	q.rebuild(s)
}

// shrink makes batches smaller, for an etcd whose limits are lower than the
// usual ones, and builds them again upon s. It reports whether b can become
// smaller at all.
func (q *queue) shrink(b *batch, s *state) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(b.txs) == 1 {
		return false
	}
	q.maxOps, q.maxBytes = max(len(b.changes)/2, 1), max(b.size/2, 1)
	q.rebuild(s)
	return true
}

// fail refuses what waits and what comes. Of the flying batches nobody knows.
func (q *queue) fail(err error) {
	q.mu.Lock()
	old, flying := q.open, q.flying
	if q.err == nil {
		q.err = err
	}
	q.open, q.flying = nil, 0
	q.mu.Unlock()
	for i, b := range old {
		if i < flying {
			b.settle(fmt.Errorf("%w: %w", ErrUnknown, err))
		} else {
			b.settle(err)
		}
	}
}

// setFull says why no rows may be put, or that they may, and returns what was
// said before.
func (q *queue) setFull(err error) (was error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	was, q.full = q.full, err
	return was
}

// refuse turns new transactions away.
func (q *queue) refuse(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err == nil {
		q.err = err
	}
}

// overtaken reports whether foreign changes were published while the batch was
// flying.
func (q *queue) overtaken() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.stale
}

// isFlying returns the flying batch of the id, or nil.
func (q *queue) isFlying(id string) *batch {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, b := range q.open[:q.flying] {
		if b.id == id {
			return b
		}
	}
	return nil
}
