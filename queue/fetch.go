package queue

import (
	"context"
	"sync"

	"github.com/dhowhq/dhow/journal"
)

// How much of a queue's bodies is read ahead, or kept for a receiver who comes
// at once.
const (
	aheadRecords = 256
	aheadBytes   = 256 << 10
	keptReady    = 64 // nothing is kept where more wait: others are received first
)

// shelf holds records that will be received soon; each is taken once.
type shelf struct {
	mu      sync.Mutex
	by      map[uint64][]byte
	order   []uint64 // oldest first; some may be gone
	size    int
	reading sync.Mutex // one reads ahead
}

func (c *shelf) put(seq uint64, record []byte) {
	if len(record) > aheadBytes/4 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.by == nil {
		c.by = map[uint64][]byte{}
	}
	if _, ok := c.by[seq]; ok {
		return
	}
	c.by[seq] = record
	c.order = append(c.order, seq)
	c.size += len(record)
	for c.size > 2*aheadBytes || len(c.order) > 2*aheadRecords {
		if old, ok := c.by[c.order[0]]; ok {
			delete(c.by, c.order[0])
			c.size -= len(old)
		}
		c.order = c.order[1:]
	}
}

// take fills in the records it has, and reports how many are still missing.
func (c *shelf) take(seqs []uint64, records [][]byte) (missing int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, seq := range seqs {
		if records[i] != nil {
			continue
		}
		r, ok := c.by[seq]
		if !ok {
			missing++
			continue
		}
		records[i] = r
		delete(c.by, seq)
		c.size -= len(r)
	}
	if len(c.by) == 0 {
		c.order = c.order[:0]
	}
	return missing
}

// fetch reads messages' records; those that are gone are nil.
func (s *state) fetch(ctx context.Context, seqs []uint64) ([][]byte, error) {
	records := make([][]byte, len(seqs))
	if s.shelf.take(seqs, records) == 0 {
		return records, nil
	}
	if s.isDeep() {
		s.readAhead(ctx, seqs, records)
	}
	var rest []journal.Seq
	var at []int
	for i, r := range records {
		if r == nil {
			rest, at = append(rest, journal.Seq(seqs[i])), append(at, i)
		}
	}
	if len(rest) == 0 {
		return records, nil
	}
	got, err := s.m.Get(ctx, rest...)
	for i, r := range got {
		records[at[i]] = r.Data
	}
	return records, err
}

// isDeep reports whether enough waits for reading ahead to pay.
func (s *state) isDeep() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.index.count[ready] > keptReady
}

// readAhead reads from the first missing record on, for this receiver and those
// who come next: in a queue's order neighbours are received together.
func (s *state) readAhead(ctx context.Context, seqs []uint64, records [][]byte) {
	s.shelf.reading.Lock()
	defer s.shelf.reading.Unlock()
	if s.shelf.take(seqs, records) == 0 {
		return
	}
	want := map[uint64]int{}
	from := uint64(0)
	for i, r := range records {
		if r == nil {
			want[seqs[i]] = i
			if from == 0 || seqs[i] < from {
				from = seqs[i]
			}
		}
	}
	n, size := 0, 0
	for r, err := range s.m.Read(ctx, journal.Seq(from)) {
		if err != nil {
			return // Get says why
		}
		if i, ok := want[uint64(r.Seq)]; ok {
			records[i] = r.Data
		} else {
			s.shelf.put(uint64(r.Seq), r.Data)
		}
		n++
		if size += len(r.Data); n >= aheadRecords || size >= aheadBytes {
			return
		}
	}
}
