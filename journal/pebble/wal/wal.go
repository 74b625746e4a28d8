// Package wal is a write-ahead log: frames of bytes in numbered files, which are
// on their way to some other place and go when they are safe there.
//
// Pebble has such a log of its own, which is not used here for what it lacks: a
// write without a sync stays in the process's memory there, where kill -9 loses
// it; and once a write has failed, for want of space too, it never writes again.
//
// A segment is a file of a fixed size, made ahead of its use and used again
// after it, so that a sync has nothing to write but data. Its first bytes hold
// its number and a random salt, which its frames repeat: what an earlier use
// left in the file is no frame of this one. Frames are counted, over all
// segments, and each has the count of the one before it: where one is missing the
// log ends, as a loss of power may take any part of what was not synced. A frame
// also has the count of the last one that was synced when it was written; a log
// that ends before that one is damaged, and is refused.
package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// ErrDamaged is Open's answer to a log that has lost frames which were synced.
var ErrDamaged = errors.New("the write-ahead log is damaged")

// HeaderSize is how many bytes are before the data of a frame.
const HeaderSize = 40

// MaxFrame is the size in bytes that a frame may have, its header included.
const MaxFrame = 8 << 20

// Options are those of Open.
type Options struct {
	FS  vfs.FS
	Dir string // exists
	// SegmentBytes is the size of a segment.
	SegmentBytes int64
	// Full is called by Append when it begins another segment: the frames up to
	// last should be brought to safety, for Release to follow.
	Full func(last uint64)
}

// Log is a log that is open.
type Log struct {
	o   Options
	dir vfs.File

	// These are Append's.
	cur   *segment
	off   int64
	last  uint64 // count of the last frame
	count uint64 // the last count that was used

	replayed uint64

	synced atomic.Uint64
	ready  chan prepared // the next segment, once it was asked for
	asked  bool

	mu       sync.Mutex
	live     []*segment // with frames that were not released, in order; cur is the last
	unsynced []*segment // with frames that were not synced, in order
	idle     []string   // files to use again
	next     uint64     // number of the next segment
}

// Replayed is the count of the last frame that Open found.
func (l *Log) Replayed() uint64 { return l.replayed }

// Next is the count that the next frame will have. It is Append's: not to be
// called at the same time.
func (l *Log) Next() uint64 { return l.count + 1 }

// Append writes frame, of which the first HeaderSize bytes are the log's to
// fill, and returns its count. When it returns, the frame is the operating
// system's and survives the end of the process. An error means that it was not
// written; after syscall.ENOSPC a later one may succeed. It is not to be called
// concurrently with itself.
func (l *Log) Append(frame []byte) (uint64, error) {
	if len(frame) > MaxFrame {
		return 0, fmt.Errorf("a frame of %d bytes is more than %d", len(frame), MaxFrame)
	}
	if l.off > segmentHeader && l.off+int64(len(frame)) > l.o.SegmentBytes {
		if err := l.rotate(); err != nil {
			return 0, err
		}
	}
	l.count++
	l.putHeader(frame)
	if _, err := l.cur.file.WriteAt(frame, l.off); err != nil {
		return 0, err
	}
	l.off += int64(len(frame))
	l.last = l.count
	l.cur.last.Store(l.count)
	l.mark(l.cur)
	if !l.asked && l.off > l.o.SegmentBytes/2 {
		l.ask()
	}
	return l.last, nil
}

// mark notes that something was written to the segment.
func (l *Log) mark(s *segment) {
	if s.dirty.Swap(true) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unsynced = append(l.unsynced, s)
}

func (l *Log) putHeader(frame []byte) {
	binary.LittleEndian.PutUint64(frame, l.cur.salt)
	binary.LittleEndian.PutUint64(frame[8:], l.count)
	binary.LittleEndian.PutUint64(frame[16:], l.last)
	binary.LittleEndian.PutUint64(frame[24:], l.synced.Load())
	binary.LittleEndian.PutUint32(frame[32:], uint32(len(frame)))
	binary.LittleEndian.PutUint32(frame[36:], sum(frame))
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sum is the checksum of a frame, all of it but the sum.
func sum(frame []byte) uint32 {
	return crc32.Update(crc32.Checksum(frame[:36], castagnoli), castagnoli, frame[HeaderSize:])
}

// Sync returns when every frame that was appended before the call, appended the
// last of them, is on disk. It may be called while Append is, but not
// concurrently with itself. After an error nobody knows what is on disk: the log
// is not to be used on.
//
// The frames that Open replayed are not synced by it, for a sync that failed in
// an earlier process leaves no trace: before the first call they must be safe
// elsewhere.
func (l *Log) Sync(appended uint64) error {
	l.mu.Lock()
	segments := l.unsynced
	l.unsynced = nil
	l.mu.Unlock()
	for _, s := range segments {
		s.dirty.Store(false)
		if err := s.sync(); err != nil {
			return err
		}
	}
	l.synced.Store(appended)
	return nil
}

// Live is how many bytes the segments have that were not released, of the last
// one so far. It is Append's, as Next is.
func (l *Log) Live() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return int64(len(l.live)-1)*l.o.SegmentBytes + l.off
}

// Release gives up the frames up to count: they are safe elsewhere.
func (l *Log) Release(count uint64) error {
	var free []*segment
	l.mu.Lock()
	for len(l.live) > 1 && l.live[0].last.Load() <= count {
		free = append(free, l.live[0])
		l.live = l.live[1:]
	}
	l.mu.Unlock()
	var errs []error
	for _, s := range free {
		errs = append(errs, l.retire(s))
	}
	return errors.Join(errs...)
}

// retire keeps the file of a segment that is not needed for a later one, or
// removes it if there are enough.
func (l *Log) retire(s *segment) error {
	s.close()
	l.mu.Lock()
	keep := len(l.idle) == 0
	if keep {
		l.idle = append(l.idle, s.name)
	}
	l.mu.Unlock()
	if keep {
		return nil
	}
	return l.o.FS.Remove(s.name)
}

// Close closes the files. It syncs nothing.
func (l *Log) Close() error {
	if l.asked {
		if p := <-l.ready; p.err == nil {
			p.s.close()
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.live {
		s.close()
	}
	return l.dir.Close()
}
