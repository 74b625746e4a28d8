package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
)

// errRetry tells Update to run its function again.
var errRetry = errors.New("store: retry")

// queue holds the transactions between Update and the committer: those that
// wait, and the batch that is under way to etcd.
//
// Its head is the published state with all of them applied. A transaction is
// accepted if the head holds exactly the row versions it saw, so that writers
// of the same row can share a batch. If etcd refuses a batch, the head is built
// again from the published state, and who no longer fits runs again.
type queue struct {
	mu     sync.Mutex
	head   state
	edit   *edit
	open   []*batch // in order; the first may be flying
	flying *batch
	stale  bool // foreign changes were published while a batch was flying
	sent   int  // batches taken, for their ids
	err    error
	full   error         // why no rows may be put
	want   int           // waiting transactions that are worth a batch
	wake   chan struct{} // capacity one: there are as many

	maxOps, maxBytes int // of a batch
}

// batch is a group of transactions for one etcd transaction.
type batch struct {
	id      string
	txs     []*pending
	changes []write // one per row: what it was before the batch, what it is after
	at      map[rowID]int
	size    int
	after   *state // once sealed
	clock   int64  // that the batch expects
	sealed  bool
	over    bool          // committed; guarded by DB.applying
	done    chan struct{} // closed when err is final
	err     error         // nil: committed; errRetry: taken apart
	once    sync.Once
}

type rowID struct {
	def *def
	key string
}

// pending is a transaction that waits for its outcome.
type pending struct {
	tx   *Tx
	done chan error // capacity one
}

func (q *queue) init() {
	q.wake = make(chan struct{}, 1)
	q.maxOps, q.maxBytes = batchOps, maxBytes
}

// submit waits until tx is committed. It returns errRetry if rows that tx saw
// have changed.
func (q *queue) submit(ctx context.Context, tx *Tx) error {
	p := &pending{tx: tx, done: make(chan error, 1)}
	q.mu.Lock()
	if q.err != nil {
		defer q.mu.Unlock()
		return q.err
	}
	if q.full != nil && tx.puts() {
		defer q.mu.Unlock()
		return q.full
	}
	if !q.fits(tx) {
		q.mu.Unlock()
		return errRetry
	}
	q.add(p)
	ready := q.ready()
	q.mu.Unlock()
	if ready {
		token(q.wake)
	}
	select {
	case err := <-p.done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrUnknown, ctx.Err())
	}
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

// ready reports whether a batch is worth sending.
func (q *queue) ready() bool {
	n, waiting := 0, q.open
	if q.flying != nil {
		waiting = q.open[1:]
	}
	for _, b := range waiting {
		n += len(b.txs)
	}
	return n >= max(q.want, 1) || len(waiting) > 1
}

// expect says that so many writers were just let go: they tend to come back at
// once, and a batch of them all takes the time of a batch of a few. It reports
// whether a batch is worth sending already.
func (q *queue) expect(writers int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, b := range q.open {
		writers += len(b.txs)
	}
	q.want = writers
	if q.ready() {
		return true
	}
	select {
	case <-q.wake: // of one that was enough before
	default:
	}
	return false
}

// take returns the next batch to send, or nil.
func (q *queue) take(process string) *batch {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.want = 0
	if len(q.open) == 0 {
		return nil
	}
	b := q.open[0]
	q.seal(b)
	q.sent++
	b.id = process + "/" + strconv.Itoa(q.sent)
	b.clock = q.head.clock
	q.flying = b
	return b
}

// settle tells everyone in a batch its outcome. The first one counts.
func (b *batch) settle(err error) {
	b.once.Do(func() {
		b.err = err
		close(b.done)
		for _, p := range b.txs {
			p.done <- err
		}
	})
}

// wait returns nil when the batch is committed, errRetry if it was taken apart.
func (b *batch) wait(ctx context.Context) error {
	select {
	case <-b.done:
		return b.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// rebase builds the head and the batches again upon the published state s. The
// flying batch, if any, was refused.
func (q *queue) rebase(s *state) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.rebuild(s)
}

func (q *queue) rebuild(s *state) {
	old := q.open
	q.head, q.edit, q.open, q.flying, q.stale = s.fork(), new(edit), nil, nil, false
	for _, b := range old {
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
}

// published notes that foreign changes made s: the head must follow, now or
// when the flying batch has been refused.
func (q *queue) published(s *state) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.flying != nil {
		q.stale = true
	} else {
		q.rebuild(s)
	}
}

// landed takes the flying batch, which made s, out of the queue.
func (q *queue) landed(b *batch, s *state) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.flying = nil
	q.remove(b)
	q.head.rev, q.head.clock = s.rev, s.clock
	if q.stale {
		q.rebuild(s)
	}
}

// drop fails the flying batch and builds the rest again upon s.
func (q *queue) drop(b *batch, err error, s *state) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.remove(b)
	b.settle(err)
	q.rebuild(s)
}

func (q *queue) remove(b *batch) {
	if len(q.open) > 0 && q.open[0] == b {
		q.open = slices.Delete(q.open, 0, 1)
	}
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

// fail refuses what waits and what comes. Of the flying batch nobody knows.
func (q *queue) fail(err error) {
	q.mu.Lock()
	old, flying := q.open, q.flying
	if q.err == nil {
		q.err = err
	}
	q.open, q.flying = nil, nil
	q.mu.Unlock()
	for _, b := range old {
		if b == flying {
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

// isFlying returns the flying batch if it has the id.
func (q *queue) isFlying(id string) *batch {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.flying != nil && q.flying.id == id {
		return q.flying
	}
	return nil
}
