package pebble

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	pdb "github.com/cockroachdb/pebble/v2"

	"github.com/dhowhq/dhow/journal"
)

// A trim moves the number at which the log begins. What lies below is covered by
// range tombstones, one for so many numbers or bytes.
const (
	sweepNumbers = 1 << 12
	sweepBytes   = 4 << 20
)

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

func (l *log) Append(ctx context.Context, d journal.Durability, records ...[]byte) (journal.Seq, error) {
	if err := journal.CheckBatch(records); err != nil {
		return 0, err
	}
	leave, err := l.enter(ctx)
	if err != nil {
		return 0, err
	}
	defer leave()
	ch, first, reserved := l.append(d, records)
	l.s.mu.Unlock()
	if err := l.j.commit.wait(ctx, ch); err != nil {
		return 0, err
	}
	if reserved > 0 {
		l.s.mu.Lock()
		l.s.reserved = max(l.s.reserved, reserved)
		l.s.mu.Unlock()
	}
	return first, nil
}

// append numbers the records and submits them, so that they come in the order of
// their numbers. The caller holds s.mu.
func (l *log) append(d journal.Durability, records [][]byte) (ch *change, first, reserved journal.Seq) {
	s := l.s
	makesRoom := d&journal.MakesRoom != 0
	d &^= journal.MakesRoom
	first = s.next
	s.next += journal.Seq(len(records))
	if s.next > s.reserved {
		// Numbers are not to be seen by anyone before it is certain that they are
		// not used again: this append is durable, and so is every other one
		// before the reservation is known to be.
		reserved, d = s.next+reserve, journal.Synced
	}
	size := recordKeyLen + 2*operationSize
	for _, r := range records {
		size += recordKeyLen + operationSize + len(r)
	}
	ch = newChange(d, size)
	ch.makesRoom, ch.log = makesRoom, s.head.id
	if reserved > 0 {
		ch.set(idKey(prefixNumbers, s.head.id), uint64Value(uint64(reserved)))
	}
	for i, r := range records {
		ch.record(s.head.id, first+journal.Seq(i), r)
		s.sizes.add(first+journal.Seq(i), len(r))
	}
	l.j.commit.submit(ch)
	return ch, first, reserved
}

// Read takes so much at a time, in order to hold nothing of the database while
// its caller works; at first less, for many callers need no more.
const (
	firstRecords = 256
	chunkRecords = 1024
	chunkBytes   = 1 << 20
)

func (l *log) Read(ctx context.Context, from journal.Seq) iter.Seq2[journal.Record, error] {
	return func(yield func(journal.Record, error) bool) {
		end := l.Next()
		for most := firstRecords; ; most = chunkRecords {
			records, more, err := l.chunk(ctx, from, end, most)
			for _, r := range records {
				if !yield(r, nil) {
					return
				}
				from = r.Seq + 1
			}
			if err != nil {
				yield(journal.Record{}, err)
			}
			if err != nil || !more {
				return
			}
		}
	}
}

// chunk returns the next records, and whether there may be more.
func (l *log) chunk(ctx context.Context, from, to journal.Seq, most int) (records []journal.Record, more bool, err error) {
	leave, err := l.enter(ctx)
	if err != nil {
		return nil, false, err
	}
	defer leave()
	from, to = max(from, l.s.first), max(to, l.s.first)
	id := l.s.head.id
	l.s.mu.Unlock()
	if from >= to {
		return nil, false, nil
	}
	records, err = read(l.j, func() ([]journal.Record, error) { return l.j.records(id, from, to, most) })
	return records, err == nil && len(records) > 0 && records[len(records)-1].Seq+1 < to, err
}

// records returns the first of a log's records between two numbers.
func (j *Journal) records(id uint64, from, to journal.Seq, most int) (records []journal.Record, err error) {
	it, err := j.db.NewIter(&pdb.IterOptions{LowerBound: recordKey(id, from), UpperBound: recordKey(id, to)})
	if err != nil {
		return nil, err
	}
	size := 0
	for ok := it.First(); ok && len(records) < most && size < chunkBytes; ok = it.Next() {
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
	seqs = slices.Clone(seqs) // the caller's, who may not wait for the end of this
	return read(l.j, func() ([]journal.Record, error) {
		out, found := make([]journal.Record, len(seqs)), false
		for i, seq := range seqs {
			out[i].Seq = seq
			if seq < first {
				continue
			}
			data, err := l.j.fetch(recordKey(id, seq))
			if err != nil {
				return nil, err
			}
			out[i].Data, found = data, found || data != nil
		}
		if !found && len(seqs) > 0 {
			return nil, fmt.Errorf("%w: %d", journal.ErrNotFound, seqs)
		}
		return out, nil
	})
}

func (l *log) Delete(ctx context.Context, seqs ...journal.Seq) error {
	leave, err := l.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	ch := newChange(journal.Written, len(seqs)*(recordKeyLen+operationSize))
	ch.makesRoom = true
	for _, seq := range seqs {
		if seq >= l.s.first && seq < l.s.next {
			ch.removeRecord(l.s.head.id, seq)
			l.s.sizes.remove(seq)
		}
	}
	l.s.mu.Unlock()
	if ch.count == 0 {
		return nil
	}
	return l.j.commit.do(ctx, ch)
}

func (l *log) Trim(ctx context.Context, first journal.Seq) error {
	l.s.trims.Lock()
	defer l.s.trims.Unlock()
	leave, err := l.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	s := l.s
	first = min(first, s.next)
	if first <= s.first {
		s.mu.Unlock()
		return nil
	}
	ch, swept := s.trim(first)
	s.mu.Unlock()
	if err := l.j.commit.do(ctx, ch); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.first, s.swept = max(s.first, first), max(s.swept, swept)
	s.sizes.trim(s.first)
	return nil
}

// trim is the change that trims the log, and up to where it sweeps.
func (s *state) trim(first journal.Seq) (ch *change, swept journal.Seq) {
	ch = newChange(journal.Written, 100)
	ch.makesRoom = true
	ch.set(idKey(prefixTrim, s.head.id), uint64Value(uint64(first)))
	if first-s.swept >= sweepNumbers || s.sizes.below(first) >= sweepBytes {
		swept = first
		ch.removeRange(recordKey(s.head.id, s.swept), recordKey(s.head.id, first))
	}
	return ch, swept
}

func (l *log) Next() journal.Seq {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	return l.s.next
}

func (l *log) Size() int64 {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	return l.s.sizes.bytes
}
