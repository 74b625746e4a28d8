package delivery

import (
	"container/heap"
	"time"
)

// lane is the deliveries of one receiver.
type lane struct {
	name    string
	ready   queue
	waiting later // for their next attempts
	active  int
	slot    time.Time // when the next attempt may begin, of a lane with a rate
	timer   *time.Timer
	fewer   chan struct{} // closed when one is done, for those who wait for that
}

const defaultConcurrent = 64

func (e *Engine) lane(name string) *lane {
	l := e.lanes[name]
	if l == nil {
		l = &lane{name: name}
		e.lanes[name] = l
	}
	return l
}

func (l *lane) len() int { return l.ready.len() + len(l.waiting) + l.active }

// add takes a task in, to be tried when its time comes.
func (l *lane) add(t *task) {
	if t.next.IsZero() {
		l.ready.push(t)
	} else {
		heap.Push(&l.waiting, t)
	}
}

// told wakes those who wait for a task to be done.
func (l *lane) told() {
	if l.fewer != nil {
		close(l.fewer)
		l.fewer = nil
	}
}

func (l *lane) stop() {
	if l.timer != nil {
		l.timer.Stop()
	}
}

// pump starts the attempts that l's policy lets it make now, and sees to it that
// it is called when the next one may begin.
func (e *Engine) pump(l *lane) {
	if !e.running || e.ctx.Err() != nil {
		return // at the end an attempt may be cut off: none behind it must overtake it
	}
	now := time.Now()
	p, _ := e.cfg.Policy(l.name)
	most := p.Concurrent
	switch {
	case p.Ordered:
		most = 1
	case most == 0:
		most = defaultConcurrent
	}
	for l.active < most {
		t, at := l.next(now, p.Ordered)
		if t == nil {
			if !at.IsZero() {
				e.pumpAt(l, at.Sub(now))
			}
			break
		}
		if p.PerSecond > 0 {
			if l.slot.After(now) {
				e.pumpAt(l, l.slot.Sub(now))
				break
			}
			l.slot = now.Add(time.Duration(float64(time.Second) / p.PerSecond))
		}
		l.take(t)
		l.active++
		e.work.Add(1)
		go e.deliver(t)
	}
	e.release(l, now)
}

// release lets go of a lane for which nothing waits, once its rate allows the next
// attempt: another one of its name would begin at once.
func (e *Engine) release(l *lane, now time.Time) {
	switch {
	case l.len() > 0:
	case l.slot.After(now):
		e.pumpAt(l, l.slot.Sub(now))
	case e.lanes[l.name] == l: // a timer that was too late to be stopped finds the next one there
		l.stop()
		delete(e.lanes, l.name)
	}
}

// next is the task whose turn it is; or when there may be one, zero for never.
// Those that failed before come first. In an ordered lane one that waits holds
// up the rest.
func (l *lane) next(now time.Time, ordered bool) (*task, time.Time) {
	if len(l.waiting) > 0 {
		t := l.waiting[0]
		if !t.next.After(now) {
			return t, time.Time{}
		}
		if ordered || l.ready.len() == 0 {
			return nil, t.next
		}
	}
	return l.ready.first(), time.Time{}
}

// take removes t, which is the first of its kind.
func (l *lane) take(t *task) {
	if len(l.waiting) > 0 && l.waiting[0] == t {
		heap.Pop(&l.waiting)
		return
	}
	l.ready.pop()
}

func (e *Engine) pumpAt(l *lane, d time.Duration) {
	f := func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.pump(l)
	}
	if l.timer == nil {
		l.timer = time.AfterFunc(d, f)
	} else {
		l.timer.Reset(d)
	}
}

// queue is tasks in order.
type queue struct {
	tasks []*task
	head  int
}

func (q *queue) len() int { return len(q.tasks) - q.head }

func (q *queue) push(t *task) { q.tasks = append(q.tasks, t) }

func (q *queue) first() *task {
	if q.len() == 0 {
		return nil
	}
	return q.tasks[q.head]
}

func (q *queue) pop() {
	q.tasks[q.head] = nil
	q.head++
	if q.head == len(q.tasks) {
		q.tasks, q.head = q.tasks[:0], 0
	} else if q.head > 1024 && q.head > len(q.tasks)/2 {
		n := copy(q.tasks, q.tasks[q.head:])
		clear(q.tasks[n:])
		q.tasks, q.head = q.tasks[:n], 0
	}
}

// later is tasks by the time of their next attempts, and where that is the same,
// in their records' order.
type later []*task

func (h later) Len() int      { return len(h) }
func (h later) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h later) Less(i, j int) bool {
	if !h[i].next.Equal(h[j].next) {
		return h[i].next.Before(h[j].next)
	}
	return h[i].rec.seq < h[j].rec.seq
}
func (h *later) Push(t any) { *h = append(*h, t.(*task)) }
func (h *later) Pop() any {
	last := len(*h) - 1
	t := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return t
}
