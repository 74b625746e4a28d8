package queue

import (
	"slices"

	"github.com/dhowhq/dhow/journal"
)

func seqOf(n uint64) journal.Seq { return journal.Seq(n) }

// verify holds the index's parts against each other.
func verify(t interface{ Fatalf(string, ...any) }, s *state) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.index
	var count [deleting + 1]int
	listed := map[uint32][]uint64{}
	busyOf, totalOf := map[uint32]int{}, map[uint32]int{}
	x.each(func(seq uint64, e *entry) {
		count[e.phase]++
		totalOf[e.group]++
		if busy(e.phase) {
			busyOf[e.group]++
		}
		if x.fifo || e.phase == ready {
			listed[e.group] = append(listed[e.group], seq)
		}
	})
	if count != x.count {
		t.Fatalf("the index counts %v, there are %v", x.count, count)
	}
	for n := range x.groups.all {
		g := x.groups.at(uint32(n))
		var seqs []uint64
		last := uint64(0)
		for seq := g.head; seq != 0; seq = x.get(seq).next {
			if x.get(seq).prev != last {
				t.Fatalf("group %q: %d has a wrong neighbour", g.name, seq)
			}
			seqs, last = append(seqs, seq), seq
		}
		if x.fifo && !slices.IsSorted(seqs) {
			t.Fatalf("group %q is out of order: %d", g.name, seqs)
		}
		slices.Sort(seqs)
		if !slices.Equal(seqs, listed[uint32(n)]) || g.tail != last || g.busy != busyOf[uint32(n)] || g.total != totalOf[uint32(n)] {
			t.Fatalf("group %q lists %d, want %d; busy %d of %d, want %d of %d", g.name, seqs, listed[uint32(n)], g.busy, g.total, busyOf[uint32(n)], totalOf[uint32(n)])
		}
		gives := g.head != 0 && (!x.fifo || x.get(g.head).phase == ready)
		if gives != (g.pos > 0) || gives && x.heap(g.noisy).at[g.pos-1] != uint32(n) {
			t.Fatalf("group %q gives: %v, in its heap at %d", g.name, gives, g.pos)
		}
	}
}
