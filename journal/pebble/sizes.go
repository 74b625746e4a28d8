package pebble

import (
	"sort"

	"github.com/dhowhq/dhow/journal"
)

// spanNumbers is how many numbers are counted together.
const spanNumbers = 1 << 12

// sizes is an account of how many bytes a log's records take, by spans of
// numbers. It is exact but for removals of single records and parts of spans,
// which count as the average.
type sizes struct {
	spans []span
	bytes int64
}

type span struct {
	from, to journal.Seq
	bytes    int64
	records  int64
}

// load begins the account with what is there already.
func (z *sizes) load(from, to journal.Seq, bytes int64) {
	if to > from {
		z.spans, z.bytes = []span{{from, to, bytes, int64(to - from)}}, bytes
	}
}

// add counts a record, whose number is above those before.
func (z *sizes) add(seq journal.Seq, bytes int) {
	n := len(z.spans)
	if n == 0 || seq >= z.spans[n-1].to && seq >= z.spans[n-1].from+spanNumbers {
		z.spans = append(z.spans, span{from: seq, to: seq})
		n++
	}
	s := &z.spans[n-1]
	s.to = max(s.to, seq+1)
	s.bytes += int64(bytes)
	s.records++
	z.bytes += int64(bytes)
}

// remove counts a record as gone.
func (z *sizes) remove(seq journal.Seq) {
	i := sort.Search(len(z.spans), func(i int) bool { return z.spans[i].to > seq })
	if i == len(z.spans) || z.spans[i].from > seq || z.spans[i].records == 0 {
		return
	}
	s := &z.spans[i]
	z.take(s, s.bytes/s.records, 1)
}

// trim counts the records below first as gone.
func (z *sizes) trim(first journal.Seq) {
	i := sort.Search(len(z.spans), func(i int) bool { return z.spans[i].to > first })
	for _, s := range z.spans[:i] {
		z.bytes -= s.bytes
	}
	if z.spans = z.spans[i:]; len(z.spans) == 0 {
		z.spans = nil
		return
	}
	if s := &z.spans[0]; s.from < first {
		part := float64(first-s.from) / float64(s.to-s.from)
		z.take(s, int64(part*float64(s.bytes)), int64(part*float64(s.records)))
		s.from = first
	}
}

func (z *sizes) take(s *span, bytes, records int64) {
	s.bytes -= bytes
	s.records -= records
	z.bytes -= bytes
}

// below is how much the records below first take.
func (z *sizes) below(first journal.Seq) (bytes int64) {
	for _, s := range z.spans {
		if s.to > first {
			break
		}
		bytes += s.bytes
	}
	return bytes
}
