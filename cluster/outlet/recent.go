package outlet

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync"

	"github.com/dhowhq/dhow/cluster"
)

// recent is the newest events, numbered as they came.
type recent struct {
	mu     sync.Mutex
	events []cluster.Event // a ring once it holds Keep
	seen   map[string]bool // ids of those in events
	next   int             // number of the next one
	more   chan struct{}   // closed when there is a new one
}

func newRecent() *recent {
	return &recent{seen: map[string]bool{}, more: make(chan struct{})}
}

// add remembers e, once.
func (r *recent) add(e cluster.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen[e.ID] {
		return
	}
	r.seen[e.ID] = true
	if len(r.events) < Keep {
		r.events = append(r.events, e)
	} else {
		delete(r.seen, r.events[r.next%Keep].ID)
		r.events[r.next%Keep] = e
	}
	r.next++
	close(r.more)
	r.more = make(chan struct{})
}

// from returns the events numbered at and later, the number after them, how
// many of those asked for are gone, and a channel that closes when more come.
func (r *recent) from(at int) (events []cluster.Event, next, missed int, more <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if oldest := r.next - len(r.events); at < oldest {
		missed, at = oldest-at, oldest
	}
	for ; at < r.next; at++ {
		events = append(events, r.events[at%Keep])
	}
	return events, r.next, missed, r.more
}

// last is the number of the n-th newest event.
func (r *recent) last(n int) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.next - min(n, len(r.events))
}

// Follow calls f with the newest replay events and, if follow is set, with each
// that comes until ctx ends or f returns an error, which it returns. A caller
// that is too slow misses events; f is told how many in missed.
func (o *Outlet) Follow(ctx context.Context, replay int, follow bool, f func(e Event, missed int) error) error {
	at := o.recent.last(replay)
	for {
		events, next, missed, more := o.recent.from(at)
		for _, e := range events {
			b, ok := o.render(e)
			if !ok {
				continue
			}
			if err := f(Event{e, b}, missed); err != nil {
				return err
			}
			missed = 0
		}
		if at = next; !follow {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-more:
		}
	}
}

// ServeHTTP streams events, one JSON object a line, oldest first:
// ?replay=N begins with the newest N (default all that are remembered),
// ?follow=1 goes on with those that come.
func (o *Outlet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	replay := Keep
	if s := r.URL.Query().Get("replay"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 0 {
			http.Error(w, fmt.Sprintf("replay is the number of events to begin with, not %q", s), http.StatusBadRequest)
			return
		}
		replay = n
	}
	follow, _ := strconv.ParseBool(r.URL.Query().Get("follow"))
	w.Header().Set("Content-Type", "application/x-ndjson")
	out := http.NewResponseController(w)
	if follow {
		out.Flush() // a watcher on a quiet platform sees that it is connected
	}
	err := o.Follow(r.Context(), replay, follow, func(e Event, missed int) error {
		if missed > 0 {
			if err := json.NewEncoder(w).Encode(map[string]int{"missed": missed}); err != nil {
				return err
			}
		}
		if _, err := w.Write(append(e.JSON, '\n')); err != nil {
			return err
		}
		if follow {
			return out.Flush()
		}
		return nil
	})
	if err != nil && r.Context().Err() == nil {
		o.Log.Debug("a watcher of events went away", "err", err)
	}
}
