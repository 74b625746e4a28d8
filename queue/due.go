package queue

import "slices"

// due is a moment at which a message turns visible; it is void if the message
// has another one by then.
type due struct {
	at  int64
	seq uint64
}

// dueHeap has the earliest moment first.
type dueHeap []due

func (h dueHeap) less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].seq < h[j].seq
}

func (h *dueHeap) push(d due) {
	*h = append(*h, d)
	s := *h
	for i := len(s) - 1; i > 0; {
		up := (i - 1) / 2
		if !s.less(i, up) {
			break
		}
		s[i], s[up] = s[up], s[i]
		i = up
	}
}

func (h *dueHeap) pop() due {
	s := *h
	top := s[0]
	n := len(s) - 1
	s[0] = s[n]
	*h = s[:n]
	h.down(0)
	return top
}

func (h dueHeap) down(i int) {
	for {
		c := 2*i + 1
		if c >= len(h) {
			return
		}
		if c+1 < len(h) && h.less(c+1, c) {
			c++
		}
		if !h.less(c, i) {
			return
		}
		h[i], h[c] = h[c], h[i]
		i = c
	}
}

// sift keeps what is still valid.
func (h *dueHeap) sift(valid func(due) bool) {
	*h = slices.DeleteFunc(*h, func(d due) bool { return !valid(d) })
	if cap(*h) > 4*len(*h)+1024 {
		*h = slices.Clone(*h)
	}
	for i := len(*h)/2 - 1; i >= 0; i-- {
		h.down(i)
	}
}
