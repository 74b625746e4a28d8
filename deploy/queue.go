package deploy

import (
	"context"
	"sync"
	"time"
)

// queue holds the services that need a look, each once, and hands each to one
// worker at a time: what arrives for a service that is being looked at is
// looked at afterwards.
type queue struct {
	mu      sync.Mutex
	ready   chan struct{} // a token while keys may not be empty
	keys    []string
	entries map[string]*entry
}

type entry struct {
	queued, busy, again bool
	timer               *time.Timer
}

func newQueue() *queue {
	return &queue{ready: make(chan struct{}, 1), entries: map[string]*entry{}}
}

func (q *queue) entry(key string) *entry {
	e := q.entries[key]
	if e == nil {
		e = &entry{}
		q.entries[key] = e
	}
	return e
}

// add asks for a look at key soon.
func (q *queue) add(key string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	e := q.entry(key)
	switch {
	case e.busy:
		e.again = true
	case !e.queued:
		e.queued = true
		q.keys = append(q.keys, key)
		q.signal()
	}
}

func (q *queue) signal() {
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// next waits for a key; the worker that got it calls done. It reports false
// when ctx has ended.
func (q *queue) next(ctx context.Context) (key string, ok bool) {
	for {
		q.mu.Lock()
		if len(q.keys) > 0 {
			key, q.keys = q.keys[0], q.keys[1:]
			e := q.entry(key)
			e.queued, e.busy = false, true
			if e.timer != nil {
				e.timer.Stop()
				e.timer = nil
			}
			if len(q.keys) > 0 {
				q.signal() // for the next worker
			}
			q.mu.Unlock()
			return key, true
		}
		q.mu.Unlock()
		select {
		case <-ctx.Done():
			return "", false
		case <-q.ready:
		}
	}
}

// done ends the look at key and asks for the next one after wait; none if it
// is negative.
func (q *queue) done(key string, wait time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	e := q.entry(key)
	e.busy = false
	if e.again || wait == 0 {
		e.again, e.queued = false, true
		q.keys = append(q.keys, key)
		q.signal()
		return
	}
	if wait < 0 {
		delete(q.entries, key)
		return
	}
	e.timer = time.AfterFunc(wait, func() { q.add(key) })
}

// clear forgets everything and stops the timers.
func (q *queue) clear() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, e := range q.entries {
		if e.timer != nil {
			e.timer.Stop()
		}
	}
	q.entries, q.keys = map[string]*entry{}, nil
}
