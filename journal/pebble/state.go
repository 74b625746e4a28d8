package pebble

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	pdb "github.com/cockroachdb/pebble/v2"

	"github.com/dhowhq/dhow/journal"
)

// reserve is how many numbers are reserved on disk at a time. After a kill those
// not given out are a gap.
const reserve = 1 << 16

// state is a log, whoever owns it.
type state struct {
	name string

	mu     sync.Mutex
	loaded bool
	gone   bool // no longer in the journal's map: to be looked up again
	absent bool // never made, or dropped
	head   head // as on disk
	next   journal.Seq
	first  journal.Seq // records below are trimmed away
	swept  journal.Seq // records below are covered by range tombstones
	trims  sync.Mutex  // held during a trim: two would be written in any order

	// Numbers below reserved are not used by later processes, whatever happens
	// to this one: on disk.
	reserved journal.Seq
	sizes    sizes
}

// lookup returns a log's state, locked and loaded.
func (j *Journal) lookup(ctx context.Context, name string) (*state, error) {
	for {
		j.mu.Lock()
		s := j.logs[name]
		if s == nil {
			s = &state{name: name, absent: true}
			j.logs[name] = s
		}
		j.mu.Unlock()
		s.mu.Lock()
		if s.gone {
			s.mu.Unlock()
			continue
		}
		if err := j.load(ctx, s); err != nil {
			j.discard(s)
			s.mu.Unlock()
			return nil, fmt.Errorf("log %s: %w", name, err)
		}
		return s, nil
	}
}

// discard takes a locked state out of the map.
func (j *Journal) discard(s *state) {
	j.mu.Lock()
	defer j.mu.Unlock()
	delete(j.logs, s.name)
	s.gone = true
}

// load reads the state from the database.
func (j *Journal) load(ctx context.Context, s *state) error {
	if s.loaded {
		return nil
	}
	v, err := j.get(nameKey(prefixLog, s.name))
	s.absent = v == nil
	if err == nil && s.absent {
		v, err = j.get(nameKey(prefixDropped, s.name))
	}
	if err != nil {
		return err
	}
	if v != nil {
		if err := j.loadOld(ctx, s, v); err != nil {
			return err
		}
	}
	if s.absent { // the floor after the tombstone: it rises before that goes
		j.mu.Lock()
		s.next = max(s.next, j.floor)
		j.mu.Unlock()
		s.first, s.swept = s.next, s.next
	}
	s.loaded = true
	return nil
}

func (j *Journal) loadOld(ctx context.Context, s *state, v []byte) (err error) {
	if s.head, err = decodeHead(v); err != nil {
		return err
	}
	if err := j.waitReserved(ctx, s.head.id); err != nil {
		return err
	}
	reserved, err := j.number(idKey(prefixNumbers, s.head.id))
	if err != nil {
		return err
	}
	first, err := j.number(idKey(prefixTrim, s.head.id))
	if err != nil {
		return err
	}
	s.reserved = journal.Seq(reserved)
	s.next, s.first, s.swept = max(s.reserved, 1), journal.Seq(first), journal.Seq(first)
	if s.absent {
		return nil
	}
	start, end := recordKey(s.head.id, s.first), recordKey(s.head.id, s.next)
	size, err := read(j, func() (uint64, error) { return j.db.EstimateDiskUsage(start, end) })
	if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	s.sizes.load(s.first, s.next, int64(size)+j.replayed[s.head.id])
	delete(j.replayed, s.head.id)
	return nil
}

// waitReserved waits until a reservation of numbers is on disk that was found in
// the write-ahead log alone: before, numbers above it are not to be seen.
func (j *Journal) waitReserved(ctx context.Context, id uint64) error {
	if !j.unsettled[id] {
		return nil
	}
	switch err := j.awaitSettled(ctx); {
	case errors.Is(err, errStuck):
		return fmt.Errorf("%w: %w", journal.ErrFull, err)
	case err != nil:
		return err
	case j.disk.dead():
		return j.ended()
	}
	return nil
}

// Open implements journal.Journal.
func (j *Journal) Open(ctx context.Context, name string, term int64) (journal.Log, error) {
	leave, err := j.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	if err := journal.CheckName(name); err != nil {
		return nil, err
	}
	if err := j.commit.ensure(ctx); err != nil {
		return nil, err
	}
	s, err := j.lookup(ctx, name)
	if err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	if err := j.take(ctx, s, term); err != nil {
		if s.absent {
			j.discard(s)
		}
		return nil, err
	}
	return &log{j: j, s: s, term: term}, nil
}

// take makes the log if it is not there, and its owner that of the term. The
// caller holds s.mu.
func (j *Journal) take(ctx context.Context, s *state, term int64) error {
	known := s.head.id != 0
	switch {
	case known && term < s.head.term:
		return journal.ErrFenced
	case known && term == s.head.term && !s.absent:
		return nil
	}
	ch := newChange(journal.Written, len(s.name)+100)
	ch.makesRoom = known // to trim a log, one must be its owner
	h := j.newHead(s, term, ch)
	if err := j.commit.wait(ctx, ch); err != nil {
		return err
	}
	s.head, s.absent = h, false
	return nil
}

// newHead submits the log's head for the term.
func (j *Journal) newHead(s *state, term int64, ch *change) head {
	h := s.head
	h.term, h.dropped = term, 0
	j.mu.Lock() // ids are written in the order in which they are given
	defer j.mu.Unlock()
	if h.id == 0 {
		h.id = j.nextID
		j.nextID++
		j.setGlobal(ch)
	}
	if s.absent {
		ch.remove(nameKey(prefixDropped, s.name))
		ch.set(idKey(prefixNumbers, h.id), uint64Value(uint64(s.next)))
	}
	ch.set(nameKey(prefixLog, s.name), h.encode())
	j.commit.submit(ch)
	return h
}

// Names implements journal.Journal.
func (j *Journal) Names(ctx context.Context, prefix string) ([]string, error) {
	leave, err := j.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	return read(j, func() ([]string, error) { return j.names(prefix) })
}

func (j *Journal) names(prefix string) (names []string, err error) {
	from, to := prefixBounds(prefixLog, prefix)
	it, err := j.db.NewIter(&pdb.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return nil, err
	}
	for ok := it.First(); ok; ok = it.Next() {
		names = append(names, string(it.Key()[1:]))
	}
	return names, it.Close()
}

// Drop implements journal.Journal.
func (j *Journal) Drop(ctx context.Context, name string, term int64) error {
	leave, err := j.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if err := journal.CheckName(name); err != nil {
		return nil // there is none of that name
	}
	s, err := j.lookup(ctx, name)
	if err != nil {
		return err
	}
	defer s.mu.Unlock()
	switch {
	case s.absent:
		j.discard(s)
		return nil
	case term < s.head.term:
		return journal.ErrFenced
	}
	return j.drop(ctx, s, term)
}

// drop removes a log; its head stays for a while, for its term and its numbers.
func (j *Journal) drop(ctx context.Context, s *state, term int64) error {
	h := s.head
	h.term, h.dropped = term, time.Now().Unix()
	ch := newChange(journal.Synced, 2*len(s.name)+200)
	ch.makesRoom = true
	ch.removeRange(recordKey(h.id, 0), recordsEnd(h.id))
	ch.remove(idKey(prefixTrim, h.id))
	ch.set(idKey(prefixNumbers, h.id), uint64Value(uint64(s.next)))
	ch.remove(nameKey(prefixLog, s.name))
	ch.set(nameKey(prefixDropped, s.name), h.encode())
	if err := j.commit.do(ctx, ch); err != nil {
		return err
	}
	s.head, s.absent = h, true
	j.discard(s)
	j.countDrop()
	return nil
}

// saveNumbers writes down the exact next numbers, so that the next process goes
// on without a gap. No call is under way.
func (j *Journal) saveNumbers() error {
	ch := newChange(journal.Synced, 0)
	ch.makesRoom = true
	for _, s := range j.logs {
		if !s.absent && s.loaded && s.reserved != s.next {
			ch.set(idKey(prefixNumbers, s.head.id), uint64Value(uint64(s.next)))
		}
	}
	if ch.count == 0 {
		return nil
	}
	return j.commit.do(context.Background(), ch)
}
