package wal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// session is how far apart the counts of two processes' frames begin, so that
// no count is used twice, whatever an earlier process has left unseen.
const session = 1 << 32

// Open opens the log in a directory and replays, in order, the frames after the
// one that is counted applied. What replay gets is its only during the call.
func Open(o Options, applied uint64, replay func(data []byte) error) (*Log, error) {
	l := &Log{o: o, ready: make(chan prepared, 1), next: 1}
	l.synced.Store(applied)
	var err error
	if l.dir, err = o.FS.OpenDir(o.Dir); err != nil {
		return nil, err
	}
	r := &recovery{l: l, last: applied, replay: replay}
	if err := r.run(); err != nil {
		l.dir.Close()
		return nil, err
	}
	l.replayed, l.last, l.count = r.last, r.last, r.last|(session-1)
	if err := l.rotate(); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// recovery reads the segments that an earlier process has left.
type recovery struct {
	l      *Log
	last   uint64 // count of the last frame that was applied or replayed
	replay func([]byte) error
}

func (r *recovery) run() error {
	names, err := r.l.o.FS.List(r.l.o.Dir)
	if err != nil {
		return err
	}
	var numbers []uint64
	for _, name := range names {
		if n, ok := number(name); ok {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	for _, n := range numbers {
		r.l.next = n + 1
		if err := r.segment(n); err != nil {
			return fmt.Errorf("%s: %w", r.l.name(n), err)
		}
	}
	return nil
}

// segment replays a segment and keeps it for Release, or for another use if
// nothing in it is needed.
func (r *recovery) segment(n uint64) error {
	f, err := r.l.o.FS.Open(r.l.name(n))
	if err != nil {
		return err
	}
	defer f.Close()
	s := &segment{name: r.l.name(n)}
	before := r.last
	in := &reader{f: f}
	if ok, err := in.header(n); err != nil {
		return err
	} else if ok {
		if err := r.frames(in); err != nil {
			return err
		}
	}
	if r.last == before {
		return r.l.retire(s)
	}
	s.last.Store(r.last)
	r.l.live = append(r.l.live, s)
	return nil
}

// frames replays the frames of a segment. One that does not follow the last is
// left out: a loss of power has taken those between.
func (r *recovery) frames(in *reader) error {
	for {
		f, err := in.next()
		switch {
		case err != nil:
			return err
		case f.data == nil:
			if found, err := in.seek(); err != nil || !found {
				return err
			}
		case f.count <= r.last:
		case f.prev == r.last:
			if err := r.replay(f.data); err != nil {
				return err
			}
			r.last = f.count
		case f.synced > r.last:
			return fmt.Errorf("%w: what follows frame %d is missing before byte %d, where frame %d says that the log was on disk up to frame %d",
				ErrDamaged, r.last, in.off, f.count, f.synced)
		}
	}
}

// reader reads the frames of a segment.
type reader struct {
	f    vfs.File
	salt uint64
	data []byte // of the file, so far
	off  int
}

type frame struct {
	count, prev, synced uint64
	data                []byte
}

// have sees to it that n bytes at the offset were read, if the file has them.
func (in *reader) have(n int) (bool, error) {
	const step = 1 << 20
	for len(in.data) < in.off+n {
		at := len(in.data)
		in.data = slices.Grow(in.data, step)[:at+step]
		got, err := in.f.ReadAt(in.data[at:], int64(at))
		in.data = in.data[:at+got]
		if errors.Is(err, io.EOF) {
			return len(in.data) >= in.off+n, nil
		}
		if err != nil {
			return false, err
		}
	}
	return true, nil
}

// header reads the segment's header; it is not ok if it was never finished.
func (in *reader) header(number uint64) (ok bool, err error) {
	if ok, err := in.have(segmentHeader); !ok {
		return false, err
	}
	h := in.data
	in.salt, in.off = binary.LittleEndian.Uint64(h[16:]), segmentHeader
	return string(h[:8]) == magic && binary.LittleEndian.Uint64(h[8:]) == number &&
		binary.LittleEndian.Uint32(h[24:]) == crc32.Checksum(h[:24], castagnoli), nil
}

// next reads the frame at the offset, without data if none is there.
func (in *reader) next() (f frame, err error) {
	if ok, err := in.have(HeaderSize); !ok {
		return f, err
	}
	h := in.data[in.off:]
	size := int(binary.LittleEndian.Uint32(h[32:]))
	if binary.LittleEndian.Uint64(h) != in.salt || size < HeaderSize || size > MaxFrame {
		return f, nil
	}
	if ok, err := in.have(size); !ok {
		return f, err
	}
	h = in.data[in.off : in.off+size]
	if binary.LittleEndian.Uint32(h[36:]) != sum(h) {
		return f, nil
	}
	in.off += size
	return frame{
		count:  binary.LittleEndian.Uint64(h[8:]),
		prev:   binary.LittleEndian.Uint64(h[16:]),
		synced: binary.LittleEndian.Uint64(h[24:]),
		data:   h[HeaderSize:],
	}, nil
}

// seek moves to where the next frame may be. It need not look further than a
// frame is long: if one is damaged the next one is there.
func (in *reader) seek() (found bool, err error) {
	in.off++
	if _, err := in.have(MaxFrame + 8); err != nil {
		return false, err
	}
	salt := binary.LittleEndian.AppendUint64(nil, in.salt)
	at := bytes.Index(in.data[min(in.off, len(in.data)):min(in.off+MaxFrame+8, len(in.data))], salt)
	in.off += max(at, 0)
	return at >= 0, nil
}
