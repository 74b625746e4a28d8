// Package logtail reads the files that containers' output goes to and hands it
// on as events. It keeps its place in a small file beside each, gives the disk
// space of what was taken back by punching holes, and costs one stat per file
// and tick while nothing is written.
package logtail

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"sync"
	"time"
)

// Event is one entry of a log: a line, or several where a pattern says so.
type Event struct {
	Time    time.Time // when it was read
	Message string    // without its final newline, at most MaxEvent bytes
}

// MaxEvent is the size at which a line is cut: what CloudWatch Logs takes as
// one event, less the 26 bytes that it counts for each.
const MaxEvent = 256<<10 - 26

// A Sink takes events, in order. After an error it is offered the same events
// again, unless the error wraps ErrRefused.
type Sink func(ctx context.Context, events []Event) error

// ErrRefused is what a Sink wraps when it will never take the events: they are
// dropped.
var ErrRefused = errors.New("log events refused")

// File is one container's output.
type File struct {
	Path   string // appended to by the runtime
	Sink   Sink   // nil: nobody takes it; the newest Keep bytes stay in the file
	Split  Split  // nil: each line is an event
	Keep   int64
	Offset string // file that holds the place, with a Sink
}

const (
	fastTick = 200 * time.Millisecond
	slowTick = time.Second
	active   = 10 * time.Second // how long after output a tailer stays at the fast tick
	chunk    = 256 << 10        // read at once; at least MaxEvent
	readers  = 4                // files read at the same time
	maxPause = 30 * time.Second // between two offers to a failing sink
)

// Tailer follows files, from Add until they are finished and read to their end.
// One goroutine watches all of them; another works on a file only while there
// is something to read.
type Tailer struct {
	ctx  context.Context
	log  *slog.Logger
	work sync.WaitGroup
	slot chan struct{}

	mu    sync.Mutex
	files map[string]*tail
	wake  chan struct{}
	on    bool
}

// New returns a Tailer that stops when ctx ends, keeping its places.
func New(ctx context.Context, log *slog.Logger) *Tailer {
	return &Tailer{ctx: ctx, log: log, slot: make(chan struct{}, readers), files: make(map[string]*tail), wake: make(chan struct{}, 1)}
}

// Add follows a file; adding one that is followed already changes nothing. The
// file need not exist yet.
func (t *Tailer) Add(f File) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.files[f.Path]; ok {
		return
	}
	x := &tail{f: f, done: make(chan struct{}), seen: time.Now()}
	x.load()
	t.files[f.Path] = x
	if !t.on {
		t.on = true
		t.work.Go(t.loop)
	}
	t.nudge()
}

// nudge makes the loop look now.
func (t *Tailer) nudge() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// Finish says that nothing more is written to path, and returns a channel that
// is closed when all of it has been taken. It is closed already for a file that
// is not followed.
func (t *Tailer) Finish(path string) <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	x := t.files[path]
	if x == nil {
		done := make(chan struct{})
		close(done)
		return done
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.finished = true
	if x.f.Sink == nil && !x.reading {
		delete(t.files, path)
		x.end()
		return x.done
	}
	t.nudge()
	return x.done
}

// Drop stops following path, whatever is left in it.
func (t *Tailer) Drop(path string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.files, path)
}

// Wait returns when the Tailer has stopped, after its context has ended.
func (t *Tailer) Wait() { t.work.Wait() }

// loop looks at every file, often while one of them is written to. It ends
// when there is none left.
func (t *Tailer) loop() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-t.ctx.Done():
			return
		case <-timer.C:
		case <-t.wake:
		}
		busy, left := t.pass(time.Now())
		if !left {
			return
		}
		if busy {
			timer.Reset(fastTick)
		} else {
			timer.Reset(slowTick)
		}
	}
}

// pass looks at every file once and puts a goroutine to work on those that
// have grown.
func (t *Tailer) pass(now time.Time) (busy, left bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for path, x := range t.files {
		x.mu.Lock()
		switch {
		case x.reading:
			busy = true
		case x.drained():
			delete(t.files, path)
			x.end()
		case now.Before(x.retry):
		case x.due(now):
			x.reading = true
			busy = true
			t.work.Go(func() { t.read(x) })
		}
		busy = busy || now.Sub(x.seen) < active
		x.mu.Unlock()
	}
	if len(t.files) == 0 {
		t.on = false
	}
	return busy, t.on
}

// read takes what a file has, on a goroutine of its own.
func (t *Tailer) read(x *tail) {
	select {
	case t.slot <- struct{}{}:
		defer func() { <-t.slot }()
	case <-t.ctx.Done():
		return
	}
	err := x.take(t.ctx)
	x.mu.Lock()
	x.reading = false
	switch {
	case err == nil:
		x.pause, x.retry = 0, time.Time{}
	case t.ctx.Err() == nil:
		x.pause = min(max(2*x.pause, slowTick), maxPause)
		x.retry = time.Now().Add(x.pause)
		t.log.Warn("container output is not taken, will retry", "file", x.f.Path, "err", err)
	}
	finished := x.finished
	x.mu.Unlock()
	if finished && err == nil {
		t.nudge()
	}
}

// size of a file, 0 if it is not there.
func size(path string) int64 {
	st, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return st.Size()
}
