package queue

import (
	"context"
	"crypto/cipher"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/dhowhq/dhow/journal"
)

// state is an open queue in its owner's hands: index, logs, and who waits.
//
// Memory changes first and the journal after, so that a checkpoint which begins
// behind a change has it; what must be on disk before others may see it
// (messages sent, groups that a delete sets free) has a phase of its own until
// it is. If the journal fails so that memory may be wrong, the state is given
// up, and the next call loads it anew.
type state struct {
	id      string
	m, c    journal.Log // messages, changes
	k       journal.Log // checkpoints
	seal    cipher.AEAD
	handles handles
	log     *slog.Logger
	resolve func(arn string) (*Queue, error) // dead-letter queues
	byID    func(id string) (*Queue, error)
	gone    func(*state)    // told once when the state fails
	ending  <-chan struct{} // closed when receivers are to wait no longer

	mu       sync.Mutex
	index    *index
	moving   map[uint64]string // messages under way to the queue of that ID
	dedup    dedups
	origins  map[key]int64 // of messages that came from other queues, until their removal there is sure, or for keepOrigins
	attempts attempts
	outbox   []*parcel
	shipping bool
	waiting  waiters
	timer    *time.Timer
	timerAt  int64
	failed   error
	ended    chan struct{} // closed when failed is set
	deadFrom int64         // the dead-letter queue failed: none is used before
	work     sync.WaitGroup
	writes   sync.WaitGroup // to the journal, under way
	shelf    shelf

	tail       tail
	bodies     []journal.Seq // of removed messages, still in the log
	chunks     []dedupChunk  // records of deduplication keys that count
	voided     []journal.Seq // records of checkpoints that count no more
	lastCommit uint64
	pointed    int64 // milliseconds, of the last checkpoint
}

// tail is what was written since the newest checkpoint.
type tail struct {
	seen    uint64 // the newest message that the index has had
	changes int
	bytes   int64
	busy    bool
}

func newState(d *Definition, log *slog.Logger) (*state, error) {
	seal, err := newSeal(d.Key)
	if err != nil {
		return nil, fmt.Errorf("queue: the key of %s: %w", d.ARN(), err)
	}
	return &state{id: d.ID, seal: seal, handles: newHandles(d.ID, d.Key), log: log, gone: func(*state) {},
		index: newIndex(d.FIFO), moving: map[uint64]string{}, origins: map[key]int64{}, ended: make(chan struct{}), pointed: millis()}, nil
}

func millis() int64 { return time.Now().UnixMilli() }

// fail gives the state up. The lock is held.
func (s *state) fail(err error) error {
	if s.failed == nil {
		s.failed = err
		close(s.ended)
		for _, w := range s.waiting.all() {
			w.end(err)
		}
		s.waiting = waiters{}
		if s.timer != nil {
			s.timer.Stop()
		}
		go func() {
			s.writes.Wait() // or who loads the queue anew would not see them
			s.gone(s)
		}()
	}
	return s.failed
}

// begin lets a write to the journal begin, unless the state was given up: it may
// be in other hands by now. writes.Done ends it.
func (s *state) begin() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed == nil {
		s.writes.Add(1)
	}
	return s.failed
}

// broken is why the state takes no calls, nil if it does.
func (s *state) broken() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

// close makes every further call fail with err.
func (s *state) close(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail(err)
}

// definite reports whether a failed append surely wrote nothing, so that the
// state is still right.
func definite(err error) bool {
	return errors.Is(err, journal.ErrFull) || errors.Is(err, journal.ErrTooBig)
}

// note appends to the log of changes, also on a disk that is full for senders:
// what it says takes messages out, and checkpoints give its space back. An error of which the outcome is not
// known, or that lasts, fails the state. The lock is not held.
func (s *state) note(ctx context.Context, d journal.Durability, record []byte) error {
	if err := s.begin(); err != nil {
		return err
	}
	defer s.writes.Done()
	_, err := s.c.Append(context.WithoutCancel(ctx), d|journal.MakesRoom, record)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tail.changes++
	s.tail.bytes += int64(len(record))
	if err != nil && !definite(err) {
		return s.fail(err)
	}
	return err
}

// advance does what time does: timeouts end, old messages go. The lock is held.
func (s *state) advance(d *Definition, now int64) {
	s.index.expire(now)
	s.index.sweep(now-int64(d.Retention)*1000, s.forgetBody)
	s.dedup.expire(now)
}

// forgetBody notes that a message's body is to be removed.
func (s *state) forgetBody(seq uint64) { s.bodies = append(s.bodies, journal.Seq(seq)) }

// counts counts the messages; those under way elsewhere are in flight.
func (s *state) counts(d *Definition) (Counts, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed != nil {
		return Counts{}, s.failed
	}
	now := millis()
	s.advance(d, now)
	s.serve(now)
	n := &s.index.count
	c := Counts{Visible: n[ready], Delayed: n[delayed], InFlight: n[inFlight] + n[moving] + n[deleting]}
	if e := s.index.get(s.index.low(0)); e != nil {
		c.Oldest = time.UnixMilli(e.sent)
	}
	return c, nil
}

// purge removes everything that is there, but for what is on its way elsewhere.
func (s *state) purge(ctx context.Context) error {
	s.mu.Lock()
	if s.failed != nil {
		s.mu.Unlock()
		return s.failed
	}
	below := uint64(0)
	s.index.each(func(seq uint64, e *entry) {
		if e.phase != moving && e.phase != deleting {
			s.index.remove(seq, e)
			s.forgetBody(seq)
		}
		below = seq + 1
	})
	s.mu.Unlock()
	err := s.note(ctx, journal.Synced, appendSeqs([]byte{changePurge}, []uint64{below}))
	if err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.fail(fmt.Errorf("queue: a purge is not written: %v", err)) // memory is ahead of the journal
		return fmt.Errorf("purge: %w", err)
	}
	return nil
}
