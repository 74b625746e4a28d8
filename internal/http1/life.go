package http1

import (
	"context"
	"net/http"
	"sync"
	"syscall"
	"time"
)

// life is the context of a request. It ends when the handler returns, or when
// the client is known to be gone. Somebody must read to notice that, which
// costs more than a short request does: it begins when the context is asked for
// Done.
type life struct {
	c  *conn
	mu sync.Mutex

	inner   context.Context // nil until it is asked for
	cancel  context.CancelFunc
	over    bool
	quiet   bool          // the request is read to its end: what comes now is no part of it
	deaf    bool          // what happens to the connection concerns the request no more
	watch   chan struct{} // closed when the watching read has ended; nil if there is none
	touched bool          // there may be deadlines that are not the connection's own
}

func (l *life) Deadline() (time.Time, bool) { return time.Time{}, false }

// Done begins to watch the connection.
func (l *life) Done() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	done := l.context().Done()
	l.begin()
	return done
}

// Err asks the socket whether the client is there, where nobody watches.
func (l *life) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.inner != nil:
		return l.inner.Err()
	case l.over:
		return context.Canceled
	case l.c.raw == nil:
		l.context()
		l.begin()
	case !l.deaf && l.c.gone():
		l.context()
		l.cancel()
		return context.Canceled
	}
	return nil
}

// Value knows the local address, as net/http's contexts do.
func (l *life) Value(key any) any {
	if key == http.LocalAddrContextKey {
		return l.c.LocalAddr()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.inner == nil {
		return nil
	}
	return l.inner.Value(key) // contexts that are derived find their parent so
}

// context is the one that can end; l.mu is held.
func (l *life) context() context.Context {
	if l.inner == nil {
		l.inner, l.cancel = context.WithCancel(context.Background())
		if l.over {
			l.cancel()
		}
	}
	return l.inner
}

// rest notes that the request is read to its end.
func (l *life) rest() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.quiet = true
	l.begin()
}

// begin starts the watching read, if it is wanted and nothing else reads; l.mu
// is held. Bytes of the next request that it gets go where they belong.
func (l *life) begin() {
	if !l.quiet || l.deaf || l.watch != nil || l.inner == nil || l.inner.Err() != nil {
		return
	}
	c := l.c
	if !c.room() {
		return // the client has sent that much more: it is there
	}
	c.disarm()
	done := make(chan struct{})
	l.watch = done
	go func() {
		defer close(done)
		n, err := c.Conn.Read(c.buf[c.w:])
		c.w += n
		if err != nil {
			l.lost()
		}
	}()
}

// lost notes that the connection does not work any more.
func (l *life) lost() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.deaf {
		l.context()
		l.cancel()
	}
}

// unwatch ends the watching read, for good.
func (l *life) unwatch() {
	l.mu.Lock()
	l.deaf = true
	watch := l.watch
	l.mu.Unlock()
	if watch == nil {
		return
	}
	select {
	case <-watch:
	default:
		l.setReadDeadline(time.Unix(1, 0))
		<-watch
	}
}

// end ends the context. The connection's reading side is free afterwards, but
// for the body.
func (l *life) end() {
	l.mu.Lock()
	l.over = true
	if l.cancel != nil {
		l.cancel()
	}
	l.mu.Unlock()
	l.unwatch()
}

// setReadDeadline sets a deadline in place of the connection's own.
func (l *life) setReadDeadline(t time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.touched, l.c.deadline = true, time.Time{}
	return l.c.SetReadDeadline(t)
}

func (l *life) setWriteDeadline(t time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.touched = true
	return l.c.SetWriteDeadline(t)
}

// gone asks the socket whether the client has closed its end.
func (c *conn) gone() (gone bool) {
	c.raw.Control(func(fd uintptr) {
		var b [1]byte
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		gone = err == nil && n == 0 || err != nil && err != syscall.EAGAIN && err != syscall.EINTR
	})
	return gone
}
