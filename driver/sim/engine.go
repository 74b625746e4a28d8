package sim

import (
	"container/heap"
	"sync"
	"time"
)

// Engine is the timer heap that simulated drivers share: one runtime timer
// for the next of any number of events.
type Engine struct {
	mu    sync.Mutex
	heap  eventHeap
	timer *time.Timer
}

// NewEngine returns an empty heap. It needs no closing: without events it has
// no timer and no goroutine. In a synctest bubble make it inside the bubble.
func NewEngine() *Engine { return &Engine{} }

type event struct {
	at    time.Time
	index int // in the heap; -1 when it is not there
	fn    func()
}

// after runs fn at a time, in a goroutine of the engine; it must not block.
func (e *Engine) after(at time.Time, fn func()) *event {
	ev := &event{at: at, fn: fn}
	e.mu.Lock()
	defer e.mu.Unlock()
	heap.Push(&e.heap, ev)
	if ev.index == 0 {
		e.arm()
	}
	return ev
}

// stop takes an event off the heap; one that is nil or past is no matter.
func (e *Engine) stop(ev *event) {
	if ev == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if ev.index >= 0 {
		heap.Remove(&e.heap, ev.index)
	}
}

// arm sets the timer to the first event. e.mu is held.
func (e *Engine) arm() {
	if len(e.heap) == 0 {
		return
	}
	wait := time.Until(e.heap[0].at)
	if e.timer == nil {
		e.timer = time.AfterFunc(wait, e.fire)
		return
	}
	e.timer.Reset(wait)
}

func (e *Engine) fire() {
	e.mu.Lock()
	now := time.Now()
	var due []func()
	for len(e.heap) > 0 && !e.heap[0].at.After(now) {
		due = append(due, heap.Pop(&e.heap).(*event).fn)
	}
	e.arm()
	e.mu.Unlock()
	for _, fn := range due {
		fn()
	}
}

type eventHeap []*event

func (h eventHeap) Len() int           { return len(h) }
func (h eventHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h eventHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *eventHeap) Push(x any) {
	ev := x.(*event)
	ev.index = len(*h)
	*h = append(*h, ev)
}

func (h *eventHeap) Pop() any {
	old := *h
	ev := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	ev.index = -1
	return ev
}
