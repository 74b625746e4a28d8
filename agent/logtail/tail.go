package logtail

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// tail is one followed file. While reading is set its goroutine alone works on
// what is below the line.
type tail struct {
	f    File
	done chan struct{}

	mu       sync.Mutex
	reading  bool
	finished bool
	ended    bool
	seen     time.Time // of the last output
	retry    time.Time
	pause    time.Duration
	size     int64 // at the last look
	place    int64 // all before it was taken
	looked   int64 // size when it was last read to the end
	settled  bool  // that reading took what no more lines would join

	held held // the reading goroutine's: lines that may be part of a longer event
}

// load reads the place that an earlier Tailer kept.
func (x *tail) load() {
	if x.f.Offset == "" {
		return
	}
	if b, err := os.ReadFile(x.f.Offset); err == nil && len(b) == 8 {
		x.place = int64(binary.LittleEndian.Uint64(b))
	}
}

// due reports whether there is work; call with mu held.
func (x *tail) due(now time.Time) bool {
	n := size(x.f.Path)
	if n != x.size {
		x.size, x.seen = n, now
	}
	if x.f.Sink == nil {
		return n-x.place > x.f.Keep+x.f.Keep/4
	}
	if n == x.place {
		return false
	}
	return n != x.looked || x.finished || x.f.Split != nil && !x.settled && now.Sub(x.seen) >= holdFor
}

// drained reports whether a finished file has nothing left; call with mu held.
func (x *tail) drained() bool {
	return x.finished && (x.f.Sink == nil || size(x.f.Path) <= x.place)
}

// end is called once the file is no longer followed.
func (x *tail) end() {
	if !x.ended {
		x.ended = true
		close(x.done)
	}
}

// take hands on what the file has, until nothing more is there.
func (x *tail) take(ctx context.Context) error {
	if x.f.Sink == nil {
		return x.trim()
	}
	file, err := os.OpenFile(x.f.Path, os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		x.place = 0
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	// Before reading: what comes later is read later.
	x.mu.Lock()
	finished := x.finished
	settled := finished || time.Since(x.seen) >= holdFor
	x.mu.Unlock()
	x.held = held{}
	buf := make([]byte, chunk)
	at := x.place
	punched := at
	var b batch
	for {
		n, err := file.ReadAt(buf, at)
		if err != nil && err != io.EOF {
			return err
		}
		end := at + int64(n)
		at += int64(x.cut(buf[:n], finished && err == io.EOF, &b, time.Now()))
		last := err == io.EOF && !b.full()
		if last && settled {
			x.held.flush(&b)
		}
		if b.full() || last {
			if err := x.give(ctx, &b, at-int64(x.held.size)); err != nil {
				return err
			}
		}
		if x.place-punched >= 1<<20 || last {
			if err := punch(file, punched, x.place); err != nil {
				return err
			}
			punched = x.place
		}
		if last {
			x.mu.Lock()
			x.looked, x.settled = end, settled
			x.mu.Unlock()
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// cut turns whole lines of p into events and returns how much of p that was.
// end says that nothing follows p. Of a full chunk it always takes something.
func (x *tail) cut(p []byte, end bool, b *batch, now time.Time) (used int) {
	for len(p) > used {
		rest := p[used:]
		i := bytes.IndexByte(rest, '\n')
		switch {
		case i > MaxEvent || i < 0 && len(rest) > MaxEvent:
			n := runeCut(rest, MaxEvent)
			x.line(rest[:n], n, b, now)
			used += n
		case i >= 0:
			x.line(bytes.TrimSuffix(rest[:i], []byte("\r")), i+1, b, now)
			used += i + 1
		case end:
			x.line(rest, len(rest), b, now)
			used += len(rest)
		default:
			return used // the rest of the line comes later
		}
		if b.full() {
			return used
		}
	}
	return used
}

// line adds a line of n bytes in the file to an event.
func (x *tail) line(text []byte, n int, b *batch, now time.Time) {
	if x.f.Split == nil {
		b.add(string(text), now)
		return
	}
	if x.f.Split(text) || x.held.size+n > MaxEvent {
		x.held.flush(b)
	}
	x.held.add(text, n, now)
}

// runeCut is a length of at most n at which p can be cut without breaking a
// character.
func runeCut(p []byte, n int) int {
	for i := n; i > n-utf8.UTFMax; i-- {
		if utf8.RuneStart(p[i]) {
			return i
		}
	}
	return n
}

// give offers a batch to the sink and moves the place behind it.
func (x *tail) give(ctx context.Context, b *batch, to int64) error {
	if len(b.events) > 0 {
		err := x.f.Sink(ctx, b.events)
		if err != nil && !errors.Is(err, ErrRefused) {
			return err
		}
		*b = batch{}
	}
	if to == x.place {
		return nil
	}
	x.mu.Lock()
	x.place = to
	x.mu.Unlock()
	if x.f.Offset == "" {
		return nil
	}
	return keepPlace(x.f.Offset, to)
}

// keepPlace writes a place over the one before, in one call: a file that is
// empty for a moment would, after a kill in that moment, have the output come
// again from its beginning, of which only holes are left.
func keepPlace(path string, at int64) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(binary.LittleEndian.AppendUint64(nil, uint64(at)), 0)
	return errors.Join(err, f.Close())
}

// trim gives back all but the newest Keep bytes of a file that nobody takes.
func (x *tail) trim() error {
	file, err := os.OpenFile(x.f.Path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	st, err := file.Stat()
	if err != nil {
		return err
	}
	to := st.Size() - x.f.Keep
	if err := punch(file, x.place, to); err != nil {
		return err
	}
	x.mu.Lock()
	x.place = to
	x.mu.Unlock()
	return nil
}

// block is the unit in which file systems give space back.
const block = 4096

// punch gives back the whole blocks of file between from and to.
func punch(file *os.File, from, to int64) error {
	from, to = from/block*block, to/block*block
	if to <= from {
		return nil
	}
	return unix.Fallocate(int(file.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, from, to-from)
}
