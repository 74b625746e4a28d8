package lb

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// agenda calls targets when they are due: one timer for all of them.
type agenda struct {
	mu   sync.Mutex
	heap appointments
	kick chan struct{}
	call func(t *target) // does not block
}

func newAgenda(call func(*target)) *agenda {
	return &agenda{kick: make(chan struct{}, 1), call: call}
}

// set makes t due at at, instead of when it was.
func (a *agenda) set(t *target, at time.Time) {
	a.mu.Lock()
	t.due = at
	if t.slot < 0 {
		heap.Push(&a.heap, t)
	} else {
		heap.Fix(&a.heap, t.slot)
	}
	first := a.heap[0] == t
	a.mu.Unlock()
	if first {
		notify(a.kick)
	}
}

// drop takes t off the agenda.
func (a *agenda) drop(t *target) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if t.slot >= 0 {
		heap.Remove(&a.heap, t.slot)
	}
}

// run calls what is due until ctx ends.
func (a *agenda) run(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		var due []*target
		wait := time.Hour
		a.mu.Lock()
		for now := time.Now(); len(a.heap) > 0; {
			if wait = a.heap[0].due.Sub(now); wait > 0 {
				break
			}
			due = append(due, heap.Pop(&a.heap).(*target))
		}
		a.mu.Unlock()
		for _, t := range due {
			a.call(t)
		}
		if len(due) > 0 {
			continue
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return
		case <-a.kick:
		case <-timer.C:
		}
	}
}

// notify puts a token into a channel of capacity one.
func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// appointments is a heap by due time; each target knows its slot, -1 for none.
type appointments []*target

func (h appointments) Len() int           { return len(h) }
func (h appointments) Less(i, j int) bool { return h[i].due.Before(h[j].due) }
func (h appointments) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].slot, h[j].slot = i, j
}

func (h *appointments) Push(x any) {
	t := x.(*target)
	t.slot = len(*h)
	*h = append(*h, t)
}

func (h *appointments) Pop() any {
	old := *h
	t := old[len(old)-1]
	old[len(old)-1] = nil
	t.slot = -1
	*h = old[:len(old)-1]
	return t
}
