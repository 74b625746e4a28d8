// Package mem is a journal in memory: what the others are compared with, and
// what tests of engines use where durability is not their subject.
package mem

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"sort"
	"strings"
	"sync"

	"github.com/dhowhq/dhow/journal"
)

// Journal is a journal in memory. Close keeps its records: Reopen returns a
// journal that has them, as the next process on the same disk would.
type Journal struct {
	d      *disk
	mu     sync.Mutex
	closed bool
}

// disk is what outlives a Journal.
type disk struct {
	mu       sync.Mutex
	logs     map[string]*state
	unsynced []func() // undo what came after the last sync, of all logs, in order
}

// state is one log. It stays after a drop, for its next number and its term.
type state struct {
	there   bool
	term    int64
	epoch   int // counts drops: an open log of an earlier one is fenced
	next    journal.Seq
	records []journal.Record // in order
	size    int64
}

// New returns an empty journal.
func New() *Journal { return &Journal{d: &disk{logs: map[string]*state{}}} }

// Reopen returns a journal over the records of j, which it closes.
func (j *Journal) Reopen() *Journal {
	j.Close()
	return &Journal{d: j.d}
}

// PowerLoss is Reopen after a loss of power: of what was appended and removed
// since the last sync, the part that share says survives, from none at 0 to all
// at 1; the rest, which came after it, is as if it had not been.
func (j *Journal) PowerLoss(share float64) *Journal {
	next := j.Reopen()
	j.d.mu.Lock()
	defer j.d.mu.Unlock()
	kept := int(share * float64(len(j.d.unsynced)))
	for _, undo := range slices.Backward(j.d.unsynced[kept:]) {
		undo()
	}
	j.d.unsynced = nil
	return next
}

func (j *Journal) alive(ctx context.Context) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return journal.ErrClosed
	}
	return ctx.Err()
}

// Open implements journal.Journal.
func (j *Journal) Open(ctx context.Context, name string, term int64) (journal.Log, error) {
	if err := j.alive(ctx); err != nil {
		return nil, err
	}
	if err := journal.CheckName(name); err != nil {
		return nil, err
	}
	j.d.mu.Lock()
	defer j.d.mu.Unlock()
	s := j.d.logs[name]
	if s == nil {
		s = &state{next: 1}
		j.d.logs[name] = s
	}
	if term < s.term {
		return nil, journal.ErrFenced
	}
	s.there, s.term = true, term
	return &log{j: j, s: s, term: term, epoch: s.epoch}, nil
}

// Names implements journal.Journal.
func (j *Journal) Names(ctx context.Context, prefix string) ([]string, error) {
	if err := j.alive(ctx); err != nil {
		return nil, err
	}
	j.d.mu.Lock()
	defer j.d.mu.Unlock()
	var names []string
	for name, s := range j.d.logs {
		if s.there && strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// Drop implements journal.Journal.
func (j *Journal) Drop(ctx context.Context, name string, term int64) error {
	if err := j.alive(ctx); err != nil {
		return err
	}
	j.d.mu.Lock()
	defer j.d.mu.Unlock()
	s := j.d.logs[name]
	switch {
	case s == nil || !s.there:
		return nil
	case term < s.term:
		return journal.ErrFenced
	}
	s.there, s.term, s.records, s.size = false, term, nil, 0
	s.epoch++
	j.d.unsynced = nil
	return nil
}

// Failed implements journal.Journal: memory does not fail.
func (*Journal) Failed() <-chan error { return nil }

// Close implements journal.Journal.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.closed = true
	return nil
}

// log is a state in an owner's hands.
type log struct {
	j     *Journal
	s     *state
	term  int64
	epoch int
}

// enter locks the log for its owner.
func (l *log) enter(ctx context.Context) (leave func(), err error) {
	if err := l.j.alive(ctx); err != nil {
		return nil, err
	}
	l.j.d.mu.Lock()
	if l.s.term != l.term || l.s.epoch != l.epoch {
		l.j.d.mu.Unlock()
		return nil, journal.ErrFenced
	}
	return l.j.d.mu.Unlock, nil
}

func (l *log) Append(ctx context.Context, d journal.Durability, records ...[]byte) (journal.Seq, error) {
	if err := journal.CheckBatch(records); err != nil {
		return 0, err
	}
	leave, err := l.enter(ctx)
	if err != nil {
		return 0, err
	}
	defer leave()
	first := l.s.next
	for _, r := range records {
		l.s.records = append(l.s.records, journal.Record{Seq: l.s.next, Data: append([]byte{}, r...)})
		l.s.next++
		l.s.size += int64(len(r))
	}
	if d&^journal.MakesRoom == journal.Synced {
		l.j.d.unsynced = nil
	} else {
		end := l.s.next
		l.j.d.unsynced = append(l.j.d.unsynced, func() {
			l.s.drop(func(r journal.Record) bool { return r.Seq >= first && r.Seq < end })
		})
	}
	return first, nil
}

// at is the index of the first record with a number of at least seq.
func (s *state) at(seq journal.Seq) int {
	return sort.Search(len(s.records), func(i int) bool { return s.records[i].Seq >= seq })
}

func (l *log) Read(ctx context.Context, from journal.Seq) iter.Seq2[journal.Record, error] {
	return func(yield func(journal.Record, error) bool) {
		leave, err := l.enter(ctx)
		if err != nil {
			yield(journal.Record{}, err)
			return
		}
		all := slices.Clone(l.s.records[l.s.at(from):])
		leave()
		for _, r := range all {
			if !yield(r, nil) {
				return
			}
		}
	}
}

func (l *log) Get(ctx context.Context, seqs ...journal.Seq) ([]journal.Record, error) {
	leave, err := l.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	out, found := make([]journal.Record, len(seqs)), false
	for i, seq := range seqs {
		out[i].Seq = seq
		if at := l.s.at(seq); at < len(l.s.records) && l.s.records[at].Seq == seq {
			out[i], found = l.s.records[at], true
		}
	}
	if !found && len(seqs) > 0 {
		return nil, fmt.Errorf("%w: %d", journal.ErrNotFound, seqs)
	}
	return out, nil
}

func (l *log) Delete(ctx context.Context, seqs ...journal.Seq) error {
	gone := map[journal.Seq]bool{}
	for _, seq := range seqs {
		gone[seq] = true
	}
	return l.remove(ctx, func(r journal.Record) bool { return gone[r.Seq] })
}

func (l *log) Trim(ctx context.Context, first journal.Seq) error {
	return l.remove(ctx, func(r journal.Record) bool { return r.Seq < first })
}

func (l *log) remove(ctx context.Context, gone func(journal.Record) bool) error {
	leave, err := l.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if was := l.s.drop(gone); len(was) > 0 {
		l.j.d.unsynced = append(l.j.d.unsynced, func() { l.s.putBack(was) })
	}
	return nil
}

// drop removes records and returns them.
func (s *state) drop(gone func(journal.Record) bool) (was []journal.Record) {
	s.records = slices.DeleteFunc(s.records, func(r journal.Record) bool {
		if !gone(r) {
			return false
		}
		was = append(was, r)
		s.size -= int64(len(r.Data))
		return true
	})
	return was
}

// putBack undoes a drop.
func (s *state) putBack(was []journal.Record) {
	for _, r := range was {
		s.size += int64(len(r.Data))
	}
	s.records = append(s.records, was...)
	slices.SortFunc(s.records, func(a, b journal.Record) int { return cmp.Compare(a.Seq, b.Seq) })
}

func (l *log) Next() journal.Seq {
	l.j.d.mu.Lock()
	defer l.j.d.mu.Unlock()
	return l.s.next
}

func (l *log) Size() int64 {
	l.j.d.mu.Lock()
	defer l.j.d.mu.Unlock()
	return l.s.size
}
