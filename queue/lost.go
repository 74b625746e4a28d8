package queue

import (
	"context"
	"errors"
	"sync"
	"time"
)

// lost are queues whose states were given up: their messages may be on the way to
// another queue, and go on only when they are loaded anew.
type lost struct {
	mu    sync.Mutex
	ids   map[string]bool
	added chan struct{} // capacity one
}

func newLost() lost { return lost{ids: map[string]bool{}, added: make(chan struct{}, 1)} }

func (l *lost) add(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ids[id] = true
	select {
	case l.added <- struct{}{}:
	default:
	}
}

func (l *lost) take() (ids []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id := range l.ids {
		ids = append(ids, id)
	}
	clear(l.ids)
	return ids
}

// How long it takes until queues that were given up, and cannot be loaded or are
// given up again, are tried anew: twice as long each time.
const (
	reopenFirst = time.Second
	reopenMost  = 30 * time.Second
)

// reopen loads queues that were given up, one after the other, until ctx ends.
func (e *Engine) reopen(ctx context.Context) {
	wait := reopenFirst
	for {
		idle := time.Now()
		select {
		case <-ctx.Done():
			return
		case <-e.lost.added:
		}
		if time.Since(idle) >= reopenFirst {
			wait = reopenFirst
		}
		e.reopenAll(ctx)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		wait = min(2*wait, reopenMost)
	}
}

// reopenAll tries each queue that was given up once.
func (e *Engine) reopenAll(ctx context.Context) {
	failed := 0
	var last error
	for _, id := range e.lost.take() {
		q, err := e.byID(id)
		if err == nil {
			_, err = q.open(ctx)
		}
		if err == nil || errors.Is(err, ErrNoQueue) {
			continue
		}
		failed, last = failed+1, err
		e.lost.add(id)
	}
	if failed > 0 && ctx.Err() == nil {
		e.log.Warn("queues that met an error cannot be opened, will retry", "queues", failed, "err", last)
	}
}
