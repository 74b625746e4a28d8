package logstore

import (
	"context"
	"encoding/json"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/dhowhq/dhow/cluster"
)

// watchers are told of streams that were written to.
type watchers struct {
	mu  sync.Mutex
	all map[*watcher]struct{}
}

// watcher collects the streams of a group that have news.
type watcher struct {
	group string // Group.Key
	wake  chan struct{}
	mu    sync.Mutex
	dirty map[string]Stream // by Stream.ID
}

func (w *watchers) tell(s Stream) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for one := range w.all {
		if one.group != s.Scope.Key(s.Group) {
			continue
		}
		one.mu.Lock()
		one.dirty[s.ID] = s
		one.mu.Unlock()
		select {
		case one.wake <- struct{}{}:
		default:
		}
	}
}

func (w *watchers) add(group string) (one *watcher, remove func()) {
	one = &watcher{group: group, wake: make(chan struct{}, 1), dirty: make(map[string]Stream)}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all == nil {
		w.all = make(map[*watcher]struct{})
	}
	w.all[one] = struct{}{}
	return one, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.all, one)
	}
}

func (w *watcher) take() map[string]Stream {
	w.mu.Lock()
	defer w.mu.Unlock()
	d := w.dirty
	w.dirty = make(map[string]Stream)
	return d
}

// place is where a reader of a stream has come to, in order of writing.
type place struct {
	segment int
	offset  int64
}

// Follow calls f with the events of g's streams that keep accepts, from the
// time from on, and then with those that are written, as they come, until ctx
// ends or f fails. It calls f with several at once where there are several:
// those that were there come by time over all streams, the new ones of each
// stream in the order of writing. With follow false it returns after those
// that there are.
func (s *Store) Follow(ctx context.Context, g Group, keep func(name string) bool, from time.Time, follow bool, f func([]Found) error) error {
	w, remove := s.watch.add(g.Key()) // before the first read, so that none is missed
	defer remove()
	places := make(map[string]place)
	since := from.UnixMilli()
	// What is there comes in order of time over all streams; each stream's
	// place is where it ended when this began.
	streams := s.StreamsOf(g, keep)
	for _, row := range streams {
		all, err := s.spans(row.ID)
		if err != nil {
			return err
		}
		if len(all) > 0 {
			last := all[len(all)-1]
			places[row.ID] = place{last.number, last.size}
		}
	}
	if err := s.replay(ctx, g, streams, since, places, f); err != nil {
		return err
	}
	for follow {
		for _, row := range w.take() {
			if keep != nil && !keep(row.Name) {
				continue
			}
			if err := s.tail(row, places, f); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-w.wake:
		}
	}
	return nil
}

func (s *Store) replay(ctx context.Context, g Group, streams []Stream, since int64, places map[string]place, f func([]Found) error) error {
	q := Query{Streams: streams, From: since, Limit: 10_000, MaxBytes: 1 << 20}
	for ctx.Err() == nil {
		page, err := s.Read(g, q)
		if err != nil {
			return err
		}
		there := slices.DeleteFunc(page.Events, func(e Found) bool {
			at := places[e.Position.Stream]
			// Written since: it comes with the tail.
			return e.Position.Segment > at.segment || e.Position.Segment == at.segment && e.Position.Offset >= at.offset
		})
		q.After = page.Next
		if len(there) > 0 {
			if err := f(there); err != nil {
				return err
			}
		}
		if page.Next == nil {
			return nil
		}
	}
	return nil
}

// tail calls f with what was written to a stream behind its place.
func (s *Store) tail(row Stream, places map[string]place, f func([]Found) error) error {
	all, err := s.spans(row.ID)
	if err != nil {
		return err
	}
	at := places[row.ID]
	for _, g := range all {
		if g.number < at.segment || g.number == at.segment && g.size <= at.offset {
			continue
		}
		if g.number > at.segment {
			at = place{segment: g.number}
		}
		raw, err := g.records(filepath.Join(s.dir, row.ID), at.offset)
		if err != nil {
			return err
		}
		var news []Found
		for {
			e, n, err := readRecord(raw)
			if err != nil {
				break
			}
			news = append(news, Found{e, row.Name, Position{e.Timestamp, row.ID, g.number, at.offset}})
			at.offset += int64(n)
			raw = raw[n:]
		}
		if len(news) > 0 {
			if err := f(news); err != nil {
				return err
			}
		}
	}
	places[row.ID] = at
	return nil
}

// Line is an event as Handler writes it.
type Line struct {
	Time    time.Time
	Stream  string
	Message string
}

// Handler answers GET ?group=G[&stream=PREFIX…][&since=SECONDS][&follow=1]
// with a JSON line per event. scope says whose group it is.
func (s *Store) Handler(scope func(*http.Request) cluster.Scope) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		g, err := s.Group(scope(r), q.Get("group"))
		if err != nil {
			http.Error(w, "log group "+strconv.Quote(q.Get("group"))+" does not exist", http.StatusNotFound)
			return
		}
		from := time.Time{}
		if v := q.Get("since"); v != "" {
			seconds, err := strconv.ParseFloat(v, 64)
			if err != nil || seconds < 0 {
				http.Error(w, "since is not a number of seconds", http.StatusBadRequest)
				return
			}
			from = time.Now().Add(-time.Duration(seconds * float64(time.Second)))
		}
		keep := func(name string) bool {
			return q["stream"] == nil || slices.ContainsFunc(q["stream"], func(prefix string) bool { return strings.HasPrefix(name, prefix) })
		}
		w.Header().Set("Content-Type", "application/x-ndjson")
		flush := http.NewResponseController(w)
		flush.Flush()
		out := json.NewEncoder(w)
		err = s.Follow(r.Context(), g, keep, from, q.Get("follow") != "", func(events []Found) error {
			for _, e := range events {
				if err := out.Encode(Line{time.UnixMilli(e.Timestamp).UTC(), e.Stream, e.Message}); err != nil {
					return err
				}
			}
			return flush.Flush()
		})
		if err != nil && r.Context().Err() == nil {
			s.log.Warn("log follower ended", "group", g.Name, "err", err)
		}
	})
}
