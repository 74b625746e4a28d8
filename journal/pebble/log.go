package pebble

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	pdb "github.com/cockroachdb/pebble/v2"

	"github.com/dhowhq/dhow/journal"
)

// reserve is how many numbers are reserved at a time.
const reserve = 1 << 16

// segment is how many numbers a range tombstone covers at least: a trim within
// one only moves the number at which the log begins.
const segment = 1 << 10

// state is a log, whoever owns it.
type state struct {
	name string

	mu     sync.Mutex
	head   head        // as on disk
	absent bool        // never made, or dropped
	next   journal.Seq // the next record's number
	first  journal.Seq // records below are trimmed away
	swept  journal.Seq // records below are covered by tombstones
	size   int64
}

// log is a state in an owner's hands.
type log struct {
	j    *Journal
	s    *state
	term int64
}

// enter begins a call of the owner and locks the log.
func (l *log) enter(ctx context.Context) (leave func(), err error) {
	leave, err = l.j.enter(ctx)
	if err != nil {
		return nil, err
	}
	l.s.mu.Lock()
	if l.s.absent || l.s.head.term != l.term {
		l.s.mu.Unlock()
		leave()
		return nil, journal.ErrFenced
	}
	return leave, nil
}

func (l *log) Append(ctx context.Context, _ journal.Durability, records ...[]byte) (journal.Seq, error) {
	if err := journal.CheckBatch(records); err != nil {
		return 0, err
	}
	leave, err := l.enter(ctx)
	if err != nil {
		return 0, err
	}
	defer leave()
	b := l.j.db.NewBatch()
	first, err := l.apply(b, records)
	l.s.mu.Unlock()
	if err != nil {
		return 0, err
	}
	return first, l.j.wait(b)
}

// apply numbers the records and hands them to the database, so that they are
// there in the order of their numbers. The caller holds s.mu.
func (l *log) apply(b *pdb.Batch, records [][]byte) (journal.Seq, error) {
	s := l.s
	if err := l.reserve(len(records)); err != nil {
		return 0, err
	}
	first := s.next
	for i, r := range records {
		op := b.SetDeferred(recordKeyLen, len(r))
		putRecordKey(op.Key, s.head.id, first+journal.Seq(i))
		copy(op.Value, r)
		if err := op.Finish(); err != nil {
			return 0, err
		}
		s.size += int64(len(r))
	}
	s.next += journal.Seq(len(records))
	return first, l.j.submit(b)
}

// reserve sees to it that the next n numbers are reserved on disk.
func (l *log) reserve(n int) error {
	s := l.s
	if s.next+journal.Seq(n) <= s.head.reserved {
		return nil
	}
	h := s.head
	h.reserved = s.next + journal.Seq(n) + reserve
	b := l.j.db.NewBatch()
	if err := b.Set(nameKey(prefixLog, s.name), h.encode(), nil); err != nil {
		return err
	}
	if err := l.j.commit(b); err != nil {
		return err
	}
	s.head = h
	return nil
}

// chunk bounds what Read takes at a time, so that it holds nothing of the
// database while its caller works.
const (
	chunkRecords = 1024
	chunkBytes   = 1 << 20
)

func (l *log) Read(ctx context.Context, from journal.Seq) iter.Seq2[journal.Record, error] {
	return func(yield func(journal.Record, error) bool) {
		end := l.Next()
		for at := from; at < end; {
			records, err := l.chunk(ctx, at, end)
			for _, r := range records {
				if !yield(r, nil) {
					return
				}
				at = r.Seq + 1
			}
			if err != nil {
				yield(journal.Record{}, err)
			}
			if err != nil || len(records) == 0 {
				return
			}
		}
	}
}

func (l *log) chunk(ctx context.Context, from, to journal.Seq) (records []journal.Record, err error) {
	leave, err := l.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	from = max(from, l.s.first)
	id := l.s.head.id
	l.s.mu.Unlock()
	it, err := l.j.db.NewIter(&pdb.IterOptions{LowerBound: recordKey(id, from), UpperBound: recordKey(id, max(from, to))})
	if err != nil {
		return nil, err
	}
	size := 0
	for ok := it.First(); ok && len(records) < chunkRecords && size < chunkBytes; ok = it.Next() {
		v, err := it.ValueAndErr()
		if err != nil {
			return records, errors.Join(err, it.Close())
		}
		records = append(records, journal.Record{Seq: recordSeq(it.Key()), Data: append([]byte{}, v...)})
		size += len(v)
	}
	return records, it.Close()
}

func (l *log) Get(ctx context.Context, seqs ...journal.Seq) ([]journal.Record, error) {
	leave, err := l.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	first, id := l.s.first, l.s.head.id
	l.s.mu.Unlock()
	out, found := make([]journal.Record, len(seqs)), false
	for i, seq := range seqs {
		out[i].Seq = seq
		if seq < first {
			continue
		}
		if out[i].Data, err = l.j.get(recordKey(id, seq)); err != nil {
			return nil, err
		}
		found = found || out[i].Data != nil
	}
	if !found && len(seqs) > 0 {
		return nil, fmt.Errorf("%w: %d", journal.ErrNotFound, seqs)
	}
	return out, nil
}

func (l *log) Delete(ctx context.Context, seqs ...journal.Seq) error {
	leave, err := l.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	defer l.s.mu.Unlock()
	b := l.j.db.NewBatch()
	for _, seq := range seqs {
		if seq < l.s.first || seq >= l.s.next {
			continue
		}
		if err := b.Delete(recordKey(l.s.head.id, seq), nil); err != nil {
			return err
		}
	}
	if b.Empty() {
		return b.Close()
	}
	return l.j.commit(b)
}

func (l *log) Trim(ctx context.Context, first journal.Seq) error {
	leave, err := l.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	defer l.s.mu.Unlock()
	s := l.s
	first = min(first, s.next)
	if first <= s.first {
		return nil
	}
	b := l.j.db.NewBatch()
	if err := b.Set(cutKey(s.head.id), binary.BigEndian.AppendUint64(nil, uint64(first)), nil); err != nil {
		return err
	}
	swept := first &^ (segment - 1)
	if swept > s.swept {
		if err := b.DeleteRange(recordKey(s.head.id, s.swept), recordKey(s.head.id, swept), nil); err != nil {
			return err
		}
	}
	if err := l.j.commit(b); err != nil {
		return err
	}
	s.first, s.swept = first, max(swept, s.swept)
	return nil
}

func (l *log) Next() journal.Seq {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	return l.s.next
}

func (l *log) Size() int64 {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	return l.s.size
}

// drop removes the log. The caller holds j.mu and s.mu.
func (j *Journal) drop(s *state, term int64) error {
	h := s.head
	h.term, h.reserved, h.dropped = term, s.next, time.Now().Unix()
	b := j.db.NewBatch()
	err := errors.Join(
		b.DeleteRange(recordKey(h.id, 0), recordsEnd(h.id), nil),
		b.Delete(cutKey(h.id), nil),
		b.Delete(nameKey(prefixLog, s.name), nil),
		b.Set(nameKey(prefixOff, s.name), h.encode(), nil))
	if err != nil {
		return err
	}
	if err := j.commit(b); err != nil {
		return err
	}
	s.head, s.absent = h, true
	delete(j.logs, s.name)
	return nil
}

// settle writes down the exact next numbers, so that the next process goes on
// without a gap. No call is under way.
func (j *Journal) settle() error {
	b := j.db.NewBatch()
	for _, s := range j.logs {
		if s.head.reserved == s.next {
			continue
		}
		s.head.reserved = s.next
		if err := b.Set(nameKey(prefixLog, s.name), s.head.encode(), nil); err != nil {
			return err
		}
	}
	if b.Empty() {
		return b.Close()
	}
	return j.commit(b)
}
