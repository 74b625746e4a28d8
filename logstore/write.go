package logstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
	st, err := s.open(row.ID)
	if err != nil {
		return err
	}
	now := time.Now().UnixMilli()
	stamped := make([]Event, len(events))
	for i, e := range events {
		e.Ingestion = now
		stamped[i] = e
	}
	full, err := st.append(stamped, s.segment)
	if err != nil {
		return err
	}
	// A delete that came between leaves no files behind.
	if now, err := s.Find(scope, group, name); err != nil || now.ID != row.ID {
		return errors.Join(ErrNoStream, s.remove(row.ID))
	}
	if full {
		s.askSeal(st)
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

// askSeal has the compressor look at st.
func (s *Store) askSeal(st *stream) {
	select {
	case s.seal <- st:
	default: // the next write, or the next round of Run, asks again
	}
}

// compress closes full segments, one at a time, off the way of writers.
func (s *Store) compress() {
	for {
		select {
		case <-s.closed:
			return
		case st := <-s.seal:
			if err := s.compressStream(st); err != nil {
				s.log.Warn("log segment is not compressed, will retry", "stream", st.id, "err", err)
			}
		}
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
		raw, err := st.records(g, 0)
		if err != nil {
			return err
		}
		if int64(len(raw)) != g.size {
			return nil // deleted meanwhile
		}
		growing := st.path(&g)
		g.sealed = true
		if err := writeSealed(st.path(&g), raw, g.span); err != nil {
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
			g.sealed = true
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
			s.mu.Lock()
			open := make([]*stream, 0, len(s.streams))
			for _, st := range s.streams {
				open = append(open, st)
			}
			s.mu.Unlock()
			for _, st := range open {
				if st.rest(now.Add(-time.Minute), s.segment) {
					s.askSeal(st)
				}
			}
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
		st, err := s.open(d.stream.ID)
		if err == nil {
			s.compressing.Lock()
			err = st.expire(d.before)
			s.compressing.Unlock()
		}
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
	var errs []error
	kept := s.segments[:0:0]
	for i, g := range s.segments {
		if g.events == 0 || g.last >= before {
			kept = append(kept, g)
			continue
		}
		if i == len(s.segments)-1 && s.file != nil {
			s.file.Close()
			s.file = nil
		}
		if err := os.Remove(s.path(g)); err != nil && !os.IsNotExist(err) {
			errs, kept = append(errs, err), append(kept, g)
		}
	}
	s.segments = kept
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
