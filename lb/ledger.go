package lb

import (
	"context"
	"sync"
	"time"

	"github.com/dhowhq/dhow/store"
)

// ledger writes what the engine has to say to the tables, in batches and off
// the way of requests and checks: which targets are healthy, and which have
// drained.
type ledger struct {
	e    *Engine
	kick chan struct{}

	mu    sync.Mutex
	marks map[string]bool
	ends  map[string]time.Time // since when they drain; zero: remove in any case
}

func (l *ledger) init(e *Engine) {
	l.e, l.kick = e, make(chan struct{}, 1)
	l.marks, l.ends = map[string]bool{}, map[string]time.Time{}
}

// set marks the target of that key as healthy, or not.
func (l *ledger) set(key string, healthy bool) {
	l.mu.Lock()
	l.marks[key] = healthy
	l.mu.Unlock()
	notify(l.kick)
}

// finish deletes a target that has drained, unless it is registered again.
func (l *ledger) finish(r Registration) {
	l.mu.Lock()
	l.ends[r.Key()] = *r.Draining
	l.mu.Unlock()
	notify(l.kick)
}

// remove deletes a target in any case.
func (l *ledger) remove(key string) {
	l.mu.Lock()
	l.ends[key] = time.Time{}
	l.mu.Unlock()
	notify(l.kick)
}

// batch is what one transaction writes.
type batch struct {
	marks map[string]bool
	ends  map[string]time.Time
}

// take returns the next batch, at most 90 rows.
func (l *ledger) take() (b batch, some bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b = batch{map[string]bool{}, map[string]time.Time{}}
	for k, v := range l.ends {
		if len(b.ends) == 45 { // two rows each
			break
		}
		b.ends[k] = v
		delete(l.ends, k)
	}
	for k, v := range l.marks {
		if len(b.marks)+2*len(b.ends) >= 90 {
			break
		}
		b.marks[k] = v
		delete(l.marks, k)
	}
	return b, len(b.marks)+len(b.ends) > 0
}

// giveBack keeps a batch that could not be written; newer entries win.
func (l *ledger) giveBack(b batch) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for k, v := range b.ends {
		if _, newer := l.ends[k]; !newer {
			l.ends[k] = v
		}
	}
	for k, v := range b.marks {
		if _, newer := l.marks[k]; !newer {
			l.marks[k] = v
		}
	}
}

func (l *ledger) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.kick:
		}
		for b, some := l.take(); some; b, some = l.take() {
			if err := l.write(ctx, b); err != nil {
				if ctx.Err() != nil {
					return
				}
				l.e.log.Warn("cannot record the state of targets, will retry", "err", err)
				l.giveBack(b)
				time.AfterFunc(time.Second, func() { notify(l.kick) })
				break
			}
		}
	}
}

func (l *ledger) write(ctx context.Context, b batch) error {
	return l.e.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		for key, since := range b.ends {
			r, ok := Targets.Get(tx, key)
			if ok && !since.IsZero() && (r.Draining == nil || !r.Draining.Equal(since)) {
				continue
			}
			Targets.Delete(tx, key)
			Marks.Delete(tx, key)
		}
		for key, healthy := range b.marks {
			if _, ok := Targets.Get(tx, key); ok && healthy {
				if err := Marks.Put(tx, Mark{Target: key}); err != nil {
					return err
				}
			} else {
				Marks.Delete(tx, key)
			}
		}
		return nil
	})
}
