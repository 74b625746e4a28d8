package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// segmentHeader is where a segment's frames begin.
const segmentHeader = 64

const magic = "dhowwal1"

const suffix = ".wal"

// segment is a file of frames.
type segment struct {
	name  string
	salt  uint64
	last  atomic.Uint64 // count of the last frame in it, or before it
	dirty atomic.Bool   // it is among the log's unsynced

	mu   sync.Mutex // guards file against being closed during a sync
	file vfs.File   // nil once closed
}

func (s *segment) sync() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil {
		return nil // released: its frames are safe elsewhere
	}
	return s.file.SyncData()
}

func (s *segment) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file != nil {
		s.file.Close() // what counts was synced
		s.file = nil
	}
}

func (l *Log) name(number uint64) string {
	return l.o.FS.PathJoin(l.o.Dir, fmt.Sprintf("%012d%s", number, suffix))
}

// number is the number of the segment of that name.
func number(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, suffix)
	n, err := strconv.ParseUint(digits, 10, 64)
	return n, ok && err == nil && n > 0
}

type prepared struct {
	s   *segment
	err error
}

// ask has the next segment made while this one is filled.
func (l *Log) ask() {
	l.asked = true
	go func() {
		s, err := l.prepare()
		l.ready <- prepared{s, err}
	}()
}

// rotate goes on in the next segment.
func (l *Log) rotate() error {
	if !l.asked {
		l.ask()
	}
	p := <-l.ready
	l.asked = false
	if p.err != nil {
		return p.err
	}
	l.mu.Lock()
	l.live = append(l.live, p.s)
	l.mu.Unlock()
	p.s.last.Store(l.last)
	full := l.cur != nil
	l.cur, l.off = p.s, segmentHeader
	if full && l.o.Full != nil {
		l.o.Full(l.last)
	}
	return nil
}

// prepare makes a segment, of a file that is there already if possible. When it
// returns, the segment would be found after a loss of power.
func (l *Log) prepare() (*segment, error) {
	l.mu.Lock()
	number, from := l.next, ""
	l.next++
	if len(l.idle) > 0 {
		from, l.idle = l.idle[0], l.idle[1:]
	}
	l.mu.Unlock()
	s := &segment{name: l.name(number), salt: rand.Uint64()}
	if from != "" {
		if err := l.o.FS.Rename(from, s.name); err != nil {
			return nil, err
		}
	}
	if err := l.format(s, number); err != nil {
		s.close()
		l.o.FS.Remove(s.name) // what there is of it
		return nil, err
	}
	return s, nil
}

func (l *Log) format(s *segment, number uint64) (err error) {
	if s.file, err = l.o.FS.OpenReadWrite(s.name, vfs.WriteCategoryUnspecified); err != nil {
		return err
	}
	if err := l.allocate(s.file); err != nil {
		return err
	}
	h := make([]byte, segmentHeader)
	copy(h, magic)
	binary.LittleEndian.PutUint64(h[8:], number)
	binary.LittleEndian.PutUint64(h[16:], s.salt)
	binary.LittleEndian.PutUint32(h[24:], crc32.Checksum(h[:24], castagnoli))
	if _, err := s.file.WriteAt(h, 0); err != nil {
		return err
	}
	if err := s.file.Sync(); err != nil {
		return err
	}
	return l.dir.Sync()
}

// allocate gives the file its size, so that filling it takes neither space nor
// writes of metadata. Where the file system cannot set space aside, it goes
// without.
func (l *Log) allocate(f vfs.File) error {
	info, err := f.Stat()
	if err != nil || info.Size() >= l.o.SegmentBytes {
		return err
	}
	if err := f.Preallocate(0, l.o.SegmentBytes); errors.Is(err, syscall.ENOSPC) {
		return err
	}
	_, err = f.WriteAt([]byte{0}, l.o.SegmentBytes-1)
	return err
}
