package logstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
)

// Find returns a stream's row; ErrNoGroup, ErrNoStream.
func (s *Store) Find(scope cluster.Scope, group, name string) (st Stream, err error) {
	err = s.db.View(func(r store.Reader) error {
		if _, ok := Groups.Get(r, scope.Key(group)); !ok {
			return ErrNoGroup
		}
		var ok bool
		if st, ok = Streams.Get(r, streamKey(scope, group, name)); !ok {
			return ErrNoStream
		}
		return nil
	})
	return st, err
}

// Write appends events to a stream, all or none, and returns when they are on
// disk; ErrNoGroup, ErrNoStream, and ErrTooLarge for an event above 2 MiB or
// 64 MiB of them. Their order and their times are the caller's business;
// Ingestion is set here.
func (s *Store) Write(ctx context.Context, scope cluster.Scope, group, name string, events []Event) error {
	row, err := s.Find(scope, group, name)
	if err != nil || len(events) == 0 {
		return err
	}
	if err := checkSize(events); err != nil {
		return err
	}
	now := time.Now().UnixMilli()
	stamped := make([]Event, len(events))
	for i, e := range events {
		e.Ingestion = now
		stamped[i] = e
	}
	full := false
	err = s.use(row.ID, func(st *stream) (err error) {
		full, err = st.append(stamped, s.segment)
		return err
	})
	if err != nil {
		return err
	}
	// A delete that came between leaves no files behind.
	if now, err := s.Find(scope, group, name); err != nil || now.ID != row.ID {
		return errors.Join(ErrNoStream, s.remove(row.ID))
	}
	if full {
		s.askSeal(row.ID)
	}
	s.watch.tell(row)
	return nil
}

func checkSize(events []Event) error {
	size := 0
	for _, e := range events {
		if len(e.Message)+16 > maxRecord {
			return fmt.Errorf("%w: a log event of %d bytes", ErrTooLarge, len(e.Message))
		}
		size += len(e.Message)
	}
	if size > maxWrite {
		return fmt.Errorf("%w: %d bytes of log events at once", ErrTooLarge, size)
	}
	return nil
}

// askSeal has the compressor look at a stream.
func (s *Store) askSeal(id string) {
	s.mu.Lock()
	s.full[id] = struct{}{}
	s.mu.Unlock()
	s.wakeSeal()
}

func (s *Store) wakeSeal() {
	select {
	case s.seal <- struct{}{}:
	default:
	}
}

// compress closes full segments, one at a time, off the way of writers. What
// failed is tried again when Run wakes it.
func (s *Store) compress() {
	for {
		select {
		case <-s.closed:
			return
		case <-s.seal:
		}
		s.mu.Lock()
		ids := slices.Collect(maps.Keys(s.full))
		s.mu.Unlock()
		for _, id := range ids {
			s.compressOne(id)
		}
	}
}

func (s *Store) compressOne(id string) {
	s.mu.Lock()
	_, asked := s.full[id]
	delete(s.full, id)
	s.mu.Unlock()
	if !asked {
		return // deleted meanwhile
	}
	if err := s.use(id, s.compressStream); err != nil {
		s.log.Warn("log segment is not compressed, will retry", "stream", id, "err", err)
		s.mu.Lock()
		s.full[id] = struct{}{}
		s.mu.Unlock()
	}
}

func (s *Store) compressStream(st *stream) error {
	s.compressing.Lock()
	defer s.compressing.Unlock()
	all := st.spans()
	for i, g := range all {
		if g.sealed || g.events == 0 || i == len(all)-1 && g.size < s.segment {
			continue
		}
		raw, err := g.records(st.dir, 0)
		if err != nil {
			return err
		}
		if int64(len(raw)) != g.size {
			return nil // deleted meanwhile
		}
		growing := g.path(st.dir)
		g.sealed = true
		if err := writeSealed(g.path(st.dir), raw, g.span); err != nil {
			return err
		}
		if err := syncDir(st.dir); err != nil {
			return err
		}
		st.sealed(g.number)
		if err := os.Remove(growing); err != nil {
			return err
		}
	}
	return nil
}

// sealed notes that a segment is compressed; the next write opens another.
func (s *stream) sealed(number int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.segments {
		if g.number == number {
			g.sealed, s.changed = true, true
		}
	}
	if s.file != nil && s.segments[len(s.segments)-1].sealed {
		s.file.Close()
		s.file = nil
	}
}

// Run keeps retention and puts idle streams to rest, until ctx ends.
func (s *Store) Run(ctx context.Context) {
	s.sweepOrphans()
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for round := 0; ; round++ {
		if round%60 == 0 {
			s.Expire(time.Now())
		}
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			s.rest(now)
			s.wakeSeal() // for what failed
		}
	}
}

// Expire deletes segments whose newest event is older than their group keeps
// events. Older events in younger segments are hidden by reads. Streams stay,
// as at AWS, when they are empty.
func (s *Store) Expire(now time.Time) {
	type due struct {
		stream Stream
		before int64
	}
	var all []due
	s.db.View(func(r store.Reader) error {
		for g := range Groups.List(r, "") {
			if g.Retention == 0 {
				continue
			}
			for st := range Streams.By(r, "group", g.Key()) {
				all = append(all, due{st, g.horizon(now)})
			}
		}
		return nil
	})
	for _, d := range all {
		err := s.use(d.stream.ID, func(st *stream) error {
			s.compressing.Lock()
			defer s.compressing.Unlock()
			return st.expire(d.before)
		})
		if err != nil {
			s.log.Warn("expired log events are not deleted, will retry", "group", d.stream.Group, "stream", d.stream.Name, "err", err)
		}
	}
}

// horizon is the time before which the group's events have expired.
func (g Group) horizon(now time.Time) int64 {
	if g.Retention == 0 {
		return 0
	}
	return now.AddDate(0, 0, -int(g.Retention)).UnixMilli()
}

func (s *stream) expire(before int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	expired := func(g *segment) bool { return g.events > 0 && g.last < before }
	if !slices.ContainsFunc(s.segments, expired) {
		return nil
	}
	// The next number is noted before the last segment that tells it is gone.
	errs := []error{s.note(), s.closeFile()}
	s.segments = slices.DeleteFunc(s.segments, func(g *segment) bool {
		if !expired(g) {
			return false
		}
		err := os.Remove(g.path(s.dir))
		if os.IsNotExist(err) {
			err = nil
		}
		errs = append(errs, err)
		return err == nil
	})
	s.changed = true
	return errors.Join(errs...)
}

// sweepOrphans removes the directories of streams whose rows are gone: a crash
// came between the two.
func (s *Store) sweepOrphans() {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		known := false
		s.db.View(func(r store.Reader) error {
			for st := range Streams.By(r, "id", e.Name()) {
				known = st.ID == e.Name()
			}
			return nil
		})
		if !known {
			os.RemoveAll(filepath.Join(s.dir, e.Name()))
		}
	}
}
