package logstore

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// stream is an open stream: its segments, the last of which may be growing.
type stream struct {
	id  string
	dir string

	loading sync.Once
	failed  error // of load, written in loading

	mu       sync.Mutex
	segments []*segment // by number; all but the last are closed to writes
	file     *os.File   // of the last segment, nil until the next write
	next     int        // number of the next segment: none comes twice, expired ones included
	used     time.Time
	gone     bool
}

type segment struct {
	number int
	span
	sealed bool // compressed
}

func (s *stream) path(g *segment) string {
	kind := ".log"
	if g.sealed {
		kind = ".zst"
	}
	return filepath.Join(s.dir, fmt.Sprintf("%08d%s", g.number, kind))
}

// open returns the stream with that id, reading its directory at first use.
func (s *Store) open(id string) (*stream, error) {
	s.mu.Lock()
	st := s.streams[id]
	if st == nil {
		st = &stream{id: id, dir: filepath.Join(s.dir, id), used: time.Now()}
		s.streams[id] = st
	}
	s.mu.Unlock()
	// Outside the lock: it reads what the stream last wrote.
	st.loading.Do(func() { st.failed = st.load(s.log) })
	if st.failed != nil {
		s.mu.Lock()
		if s.streams[id] == st { // the next caller tries again
			delete(s.streams, id)
		}
		s.mu.Unlock()
		return nil, fmt.Errorf("log stream %s: %w", id, st.failed)
	}
	return st, nil
}

// load finds the segments. A write that a crash tore is cut off; a segment
// that was being compressed is there twice, and the growing one gives way.
func (s *stream) load(log *slog.Logger) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	entries, err := os.ReadDir(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	names := make(map[int]string)
	for _, e := range entries {
		var n int
		if _, err := fmt.Sscanf(e.Name(), "%08d", &n); err != nil {
			continue
		}
		full := filepath.Join(s.dir, e.Name())
		switch {
		case strings.HasSuffix(e.Name(), ".new"):
			if err := os.Remove(full); err != nil {
				return err
			}
		case strings.HasSuffix(e.Name(), ".zst"):
			if old := names[n]; old != "" {
				if err := os.Remove(old); err != nil {
					return err
				}
			}
			names[n] = full
		case strings.HasSuffix(e.Name(), ".log"):
			names[n] = full
		}
	}
	for n, full := range names {
		g := &segment{number: n, sealed: strings.HasSuffix(full, ".zst")}
		if g.sealed {
			g.span, err = readHeader(full)
		} else {
			g.span, err = mend(full, log)
		}
		if err != nil {
			return err
		}
		s.segments = append(s.segments, g)
	}
	slices.SortFunc(s.segments, func(a, b *segment) int { return a.number - b.number })
	if n := len(s.segments); n > 0 {
		s.next = s.segments[n-1].number + 1
	}
	return nil
}

// mend cuts a growing segment off after its last whole record.
func mend(path string, log *slog.Logger) (span, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return span{}, err
	}
	sp := scan(raw)
	if sp.size < int64(len(raw)) {
		log.Info("log segment ends in a torn write, which is cut off", "file", path, "bytes", int64(len(raw))-sp.size)
		return sp, os.Truncate(path, sp.size)
	}
	return sp, nil
}

// append writes events to the growing segment and syncs it. It reports whether
// a segment is ready to be compressed.
func (s *stream) append(events []Event, limit int64) (full bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		return false, ErrNoStream
	}
	if err := s.grow(limit); err != nil {
		return false, err
	}
	g := s.segments[len(s.segments)-1]
	next := g.span
	size := 0
	for _, e := range events {
		size += recordHead + 16 + len(e.Message)
	}
	buf := make([]byte, 0, size)
	for _, e := range events {
		before := len(buf)
		buf = appendRecord(buf, e)
		next.add(e.Timestamp, e.Ingestion, int64(len(buf)-before))
	}
	if _, err := s.file.WriteAt(buf, g.size); err != nil {
		return false, s.undo(g, err)
	}
	if err := fdatasync(s.file); err != nil {
		return false, s.undo(g, err)
	}
	g.span = next
	s.used = time.Now()
	return s.full(limit), nil
}

// full reports whether a segment waits to be compressed.
func (s *stream) full(limit int64) bool {
	n := len(s.segments)
	return n > 1 && !s.segments[n-2].sealed || n > 0 && !s.segments[n-1].sealed && s.segments[n-1].size >= limit
}

// undo takes back a write that failed, so that the next begins where it did.
func (s *stream) undo(g *segment, err error) error {
	s.file.Truncate(g.size) // what remains is overwritten, or cut off by load
	s.file.Close()
	s.file = nil
	return fmt.Errorf("log segment: %w", err)
}

// grow opens the segment to append to, a new one where the last is full.
func (s *stream) grow(limit int64) error {
	last := len(s.segments) - 1
	fresh := last < 0 || s.segments[last].sealed || s.segments[last].size >= limit
	if s.file != nil && !fresh {
		return nil
	}
	if s.file != nil {
		s.file.Close()
		s.file = nil
	}
	if s.next == 0 {
		if err := os.MkdirAll(s.dir, 0o700); err != nil {
			return err
		}
		if err := syncDir(filepath.Dir(s.dir)); err != nil {
			return err
		}
	}
	g := &segment{number: s.next}
	if !fresh {
		g = s.segments[last]
	}
	f, err := os.OpenFile(s.path(g), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if fresh {
		if err := syncDir(s.dir); err != nil {
			f.Close()
			return err
		}
		s.segments = append(s.segments, g)
		s.next++
	}
	s.file = f
	return nil
}

// rest closes the file of a stream that nobody has written to since before. It
// reports whether a segment waits to be compressed.
func (s *stream) rest(before time.Time, limit int64) (full bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file != nil && s.used.Before(before) {
		s.file.Close()
		s.file = nil
	}
	return s.full(limit)
}

func (s *stream) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	s.file = nil
	return err
}

// drop closes the stream for good.
func (s *stream) drop() {
	s.close()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone, s.segments = true, nil
}

// spans returns the stream's segments as they are now.
func (s *stream) spans() []segment {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]segment, len(s.segments))
	for i, g := range s.segments {
		out[i] = *g
	}
	return out
}

// records returns a segment's records from an offset on: those that it had
// when g was taken.
func (s *stream) records(g segment, from int64) ([]byte, error) {
	raw, err := s.read(g, from)
	if errors.Is(err, fs.ErrNotExist) && !g.sealed {
		g.sealed = true // compressed meanwhile
		raw, err = s.read(g, from)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // expired or deleted meanwhile
	}
	return raw, err
}

func (s *stream) read(g segment, from int64) ([]byte, error) {
	if g.sealed {
		raw, err := readSealed(s.path(&g))
		if err != nil {
			return nil, err
		}
		if int64(len(raw)) < g.size {
			return nil, fmt.Errorf("%s holds %d bytes of records, not %d", s.path(&g), len(raw), g.size)
		}
		return raw[from:g.size], nil
	}
	f, err := os.Open(s.path(&g))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw := make([]byte, g.size-from)
	if _, err := f.ReadAt(raw, from); err != nil {
		return nil, err
	}
	return raw, nil
}
