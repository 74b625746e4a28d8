package logstore

import (
	"container/list"
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

// stream is a stream in memory: its segments, the last of which may be growing.
type stream struct {
	id  string
	dir string

	holders   int           // guarded by Store.mu, as are the next two
	place     *list.Element // among the idle streams, nil while it is held
	idleSince time.Time

	loading sync.Once
	failed  error // of load, written in loading

	mu       sync.Mutex
	segments []*segment // by number; all but the last are closed to writes
	file     *os.File   // of the last segment, nil until the next write
	next     int        // number of the next segment: none comes twice, expired ones included
	changed  bool       // since the note was written
	gone     bool
}

type segment struct {
	number int
	span
	sealed bool // compressed
}

// path is the segment's file in its stream's directory.
func (g segment) path(dir string) string {
	kind := ".log"
	if g.sealed {
		kind = ".zst"
	}
	return filepath.Join(dir, fmt.Sprintf("%08d%s", g.number, kind))
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
	next, noted := readNote(s.dir)
	s.next = next
	ahead := false
	for n, full := range names {
		g := &segment{number: n, sealed: strings.HasSuffix(full, ".zst")}
		if g.span, err = spanOf(full, g.sealed, noted[n], log); err != nil {
			return err
		}
		s.changed = s.changed || *g != noted[n]
		ahead = ahead || !g.sealed && g.size < noted[n].size
		s.segments = append(s.segments, g)
	}
	slices.SortFunc(s.segments, func(a, b *segment) int { return a.number - b.number })
	if n := len(s.segments); n > 0 {
		s.next = max(s.next, s.segments[n-1].number+1)
	}
	if ahead {
		// What comes next may reach beyond what is noted, which must not be taken
		// for a border between records then.
		return s.note()
	}
	return nil
}

// spanOf is what a segment's file holds, read as far as the note does not say.
func spanOf(path string, sealed bool, noted segment, log *slog.Logger) (span, error) {
	switch {
	case !sealed:
		return mend(path, noted.span, log)
	case noted.sealed:
		return noted.span, nil
	}
	return readHeader(path)
}

// mend cuts a growing segment off after its last whole record. It reads what
// is behind the records that are known.
func mend(path string, known span, log *slog.Logger) (span, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return span{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return span{}, err
	}
	if info.Size() < known.size {
		known = span{}
	}
	raw := make([]byte, info.Size()-known.size)
	if _, err := f.ReadAt(raw, known.size); err != nil {
		return span{}, err
	}
	sp := scan(raw, known)
	if sp.size < info.Size() {
		log.Info("log segment ends in a torn write, which is cut off", "file", path, "bytes", info.Size()-sp.size)
		return sp, f.Truncate(sp.size)
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
	s.changed = true
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
	s.closeFile()
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
	f, err := os.OpenFile(g.path(s.dir), os.O_CREATE|os.O_RDWR, 0o600)
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

// isFull is full for callers that do not hold s.mu.
func (s *stream) isFull(limit int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.full(limit)
}

func (s *stream) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closeFile()
}

// closeFile closes the growing segment until the next write. The caller holds
// s.mu.
func (s *stream) closeFile() error {
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
// when g was taken from the stream in that directory.
func (g segment) records(dir string, from int64) ([]byte, error) {
	raw, err := g.read(dir, from)
	if errors.Is(err, fs.ErrNotExist) && !g.sealed {
		g.sealed = true // compressed meanwhile
		raw, err = g.read(dir, from)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // expired or deleted meanwhile
	}
	return raw, err
}

func (g segment) read(dir string, from int64) ([]byte, error) {
	if g.sealed {
		raw, err := readSealed(g.path(dir))
		if err != nil {
			return nil, err
		}
		if int64(len(raw)) < g.size {
			return nil, fmt.Errorf("%s holds %d bytes of records, not %d", g.path(dir), len(raw), g.size)
		}
		return raw[from:g.size], nil
	}
	f, err := os.Open(g.path(dir))
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
