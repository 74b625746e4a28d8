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

// reopenEvery is how often a queue that was given up is tried to be loaded.
const reopenEvery = time.Second

// reopen loads queues that were given up, until ctx ends.
func (e *Engine) reopen(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.lost.added:
		}
		for _, id := range e.lost.take() {
			q, err := e.byID(id)
			if err == nil {
				_, err = q.open(ctx)
			}
			if err == nil || errors.Is(err, ErrNoQueue) || ctx.Err() != nil {
				continue
			}
			e.log.Warn("a queue that met an error cannot be opened, will retry", "queue", q.ARN(), "err", err)
			e.lost.add(id)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(reopenEvery):
		}
	}
}
