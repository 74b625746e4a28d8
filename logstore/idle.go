package logstore

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"
)

const (
	idleFor    = 10 * time.Minute // how long a stream stays in memory that nobody uses
	maxExtents = 1 << 16          // extents of streams that left: some 10 MB
)

// use calls f with the stream of that id, which comes into memory for it if it
// is not there. The stream stays for as long as f runs, f keeps it no longer.
func (s *Store) use(id string, f func(*stream) error) error {
	st := s.hold(id)
	defer s.release(st)
	// Outside the lock: it reads what the stream last wrote.
	st.loading.Do(func() {
		if st.failed = st.load(s.log); st.failed == nil && st.isFull(s.segment) {
			s.askSeal(id)
		}
	})
	if st.failed != nil {
		return fmt.Errorf("log stream %s: %w", id, st.failed)
	}
	return f(st)
}

func (s *Store) hold(id string) *stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.streams[id]
	delete(s.extents, id)
	if st == nil {
		st = &stream{id: id, dir: filepath.Join(s.dir, id)}
		s.streams[id] = st
	}
	st.holders++
	s.stir(st)
	return st
}

// stir takes st out of the idle ones. The caller holds s.mu.
func (s *Store) stir(st *stream) {
	if st.place != nil {
		s.idle.Remove(st.place)
		st.place = nil
	}
}

// release lets st go, and the stream that is idle for longest if there are too
// many of them.
func (s *Store) release(st *stream) {
	s.mu.Lock()
	st.holders--
	switch {
	case st.holders > 0 || s.streams[st.id] != st: // in use, or deleted
	case st.failed != nil:
		delete(s.streams, st.id) // the next caller tries again
	default:
		st.idleSince = time.Now()
		st.place = s.idle.PushFront(st)
	}
	var out *stream
	if s.idle.Len() > s.maxIdle {
		out = s.takeIdle()
	}
	s.mu.Unlock()
	if out != nil {
		s.evict(out)
	}
}

// takeIdle holds the stream that is idle for longest. The caller holds s.mu.
func (s *Store) takeIdle() *stream {
	st := s.idle.Back().Value.(*stream)
	st.holders++
	s.stir(st)
	return st
}

// evict takes a held stream out of memory, unless somebody uses it meanwhile.
// Nobody loads it anew before it has left.
func (s *Store) evict(st *stream) {
	if err := st.leave(); err != nil {
		s.log.Warn("log stream is not noted, its next use reads it again", "stream", st.id, "err", err)
	}
	s.mu.Lock()
	st.holders--
	out := st.holders == 0 && s.streams[st.id] == st
	if out {
		delete(s.streams, st.id)
		s.keepExtent(st.id, extent(st.spans()))
	}
	s.mu.Unlock()
	if out {
		st.close() // somebody may have written and gone again since
	}
}

// keepExtent keeps what a stream held that leaves, in another's stead if there
// are many. The caller holds s.mu.
func (s *Store) keepExtent(id string, x Extent) {
	if len(s.extents) == maxExtents {
		for some := range s.extents {
			delete(s.extents, some)
			break
		}
	}
	s.extents[id] = x
}

// rest closes the files of streams that nobody uses for a minute, and takes
// those out of memory that nobody uses for longer.
func (s *Store) rest(now time.Time) {
	for {
		s.mu.Lock()
		var out *stream
		if back := s.idle.Back(); back != nil && back.Value.(*stream).idleSince.Before(now.Add(-idleFor)) {
			out = s.takeIdle()
		}
		s.mu.Unlock()
		if out == nil {
			break
		}
		s.evict(out)
	}
	s.mu.Lock()
	var quiet []*stream
	for at := s.idle.Back(); at != nil && at.Value.(*stream).idleSince.Before(now.Add(-time.Minute)); at = at.Prev() {
		quiet = append(quiet, at.Value.(*stream))
	}
	s.mu.Unlock()
	for _, st := range quiet {
		st.close() // a write that comes between opens it again
	}
}

// leave notes what the stream holds and closes its file.
func (s *stream) leave() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	if s.changed && !s.gone {
		if err = s.note(); errors.Is(err, fs.ErrNotExist) {
			err = nil // deleted meanwhile
		}
	}
	return errors.Join(err, s.closeFile())
}
