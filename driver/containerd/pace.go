package containerd

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/containerd/containerd/v2/pkg/cio"
)

// pace watches the output of an exec, to tell a slow reader from a process
// that ended and left a child which holds its output open.
type pace struct {
	mu      sync.Mutex
	writing int
	last    time.Time
}

// drainQuiet is how long after the end of a process its output may be silent.
const drainQuiet = 500 * time.Millisecond

func (p *pace) writer(w io.Writer) io.Writer {
	if w == nil {
		w = io.Discard
	}
	return &pacedWriter{w, p}
}

type pacedWriter struct {
	w io.Writer
	p *pace
}

func (w *pacedWriter) Write(b []byte) (int, error) {
	w.p.note(1)
	defer w.p.note(-1)
	return w.w.Write(b)
}

func (p *pace) note(writing int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.writing += writing
	p.last = time.Now()
}

// quiet reports how long nothing has been written.
func (p *pace) quiet(since time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.writing > 0 {
		return 0
	}
	if p.last.After(since) {
		since = p.last
	}
	return time.Since(since)
}

// drain waits for the rest of an ended process's output.
func (p *pace) drain(ctx context.Context, streams cio.IO) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		streams.Wait()
	}()
	ended := time.Now()
	tick := time.NewTicker(drainQuiet / 10)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case <-ctx.Done():
			streams.Cancel()
			return
		case <-tick.C:
			if p.quiet(ended) > drainQuiet {
				streams.Cancel()
				return
			}
		}
	}
}

// endReader tells once when its reader has come to an end, and all of it has
// been taken.
type endReader struct {
	io.Reader
	once  sync.Once
	err   error
	atEnd func()
}

func (r *endReader) Read(b []byte) (n int, err error) {
	if r.err == nil {
		n, r.err = r.Reader.Read(b)
	}
	if n > 0 || r.err == nil {
		return n, nil
	}
	r.once.Do(func() { go r.atEnd() })
	return 0, r.err
}
