package http1

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"time"
)

// smallBuffer is what a connection reads into as long as heads fit.
const smallBuffer = 4 << 10

// The states of a connection.
const (
	idle int32 = iota
	active
	closed // by Shutdown, while it was idle
)

// conn is a client's connection.
type conn struct {
	net.Conn
	s        *Server
	raw      syscall.RawConn // nil if there is none
	state    atomic.Int32
	buf      []byte
	r, w     int       // what is read and not used is buf[r:w]
	deadline time.Time // of reads, where the connection has set one
	last     string    // method
	blank    http.Request
}

// serve answers requests until the connection ends or belongs to somebody else.
func (c *conn) serve() {
	kept := false
	defer func() {
		c.s.forget(c)
		if !kept {
			c.Close()
		}
	}()
	c.arm(c.s.ReadHeaderTimeout)
	for c.await() {
		text, ok := c.readHead()
		if text == "" && ok {
			return
		}
		var h *head
		if ok {
			h, ok = parseHead(text)
		}
		if !ok {
			kept = true
			c.handOver()
			return
		}
		c.r += len(text)
		var again bool
		if again, kept = c.handle(h); !again || c.s.closing.Load() {
			return
		}
		c.arm(c.s.IdleTimeout)
	}
}

// await waits for a request to begin: for as many bytes as net/http does.
func (c *conn) await() bool {
	need := int64(1)
	if c.last != "" {
		need = 4
	}
	for c.buffered() < need {
		c.state.Store(idle)
		if c.s.closing.Load() {
			return false
		}
		if c.r == c.w && len(c.buf) > smallBuffer {
			c.r, c.w, c.buf = 0, 0, make([]byte, smallBuffer)
		}
		c.room()
		n, err := c.Conn.Read(c.buf[c.w:])
		if c.w += n; n == 0 && err != nil {
			return false
		}
	}
	if c.last == http.MethodPost { // old clients send an empty line behind what they post
		for n := need; n > 0 && (c.buf[c.r] == '\r' || c.buf[c.r] == '\n'); n-- {
			c.r++
		}
	}
	return c.state.CompareAndSwap(idle, active) || c.state.Load() == active
}

// readHead returns the text of a head without taking it. It is false where
// what comes is not plain already, and "" where nothing more comes.
func (c *conn) readHead() (text string, ok bool) {
	for seen, lined := 0, false; ; {
		b := c.buf[c.r:c.w]
		end, ok := headEnd(b, seen)
		if !ok || end > 0 {
			return string(b[:end]), ok
		}
		if i := bytes.IndexByte(b, '\r'); !lined && i >= 0 {
			// net/http may have an answer to this line alone.
			if _, _, lined = parseLine(string(b[:i])); !lined {
				return "", false
			}
		}
		if seen == 0 && c.s.ReadHeaderTimeout > 0 {
			c.deadline = time.Now().Add(c.s.ReadHeaderTimeout)
			c.SetReadDeadline(c.deadline)
		}
		seen = len(b)
		if !c.room() {
			return "", false
		}
		n, err := c.Conn.Read(c.buf[c.w:])
		c.w += n
		if n == 0 && err != nil {
			return "", err != io.EOF // net/http has an answer to half a head
		}
	}
}

// room makes room for what is read next, if the buffer may grow so far.
func (c *conn) room() bool {
	if c.r > 0 {
		c.r, c.w = 0, copy(c.buf, c.buf[c.r:c.w])
	}
	if c.w == len(c.buf) && len(c.buf) < maxHead {
		c.buf = append(c.buf, make([]byte, maxHead-len(c.buf))...)
	}
	return c.w < len(c.buf)
}

func (c *conn) buffered() int64 { return int64(c.w - c.r) }

// read reads bytes of a body.
func (c *conn) read(p []byte) (int, error) {
	if c.r == c.w {
		return c.Conn.Read(p)
	}
	n := copy(p, c.buf[c.r:c.w])
	c.r += n
	return n, nil
}

// arm has reads end after d, or up to a quarter of it later: a deadline that
// stands is kept, for setting one is dear.
func (c *conn) arm(d time.Duration) {
	if d <= 0 {
		c.disarm()
		return
	}
	now := time.Now()
	if left := c.deadline.Sub(now); left < d || left > d+d/4 {
		c.deadline = now.Add(d + d/4)
		c.SetReadDeadline(c.deadline)
	}
}

func (c *conn) disarm() {
	if !c.deadline.IsZero() {
		c.deadline = time.Time{}
		c.SetReadDeadline(c.deadline)
	}
}

func (c *conn) handOver() {
	c.s.forget(c)
	c.disarm()
	c.s.Other(Unread(c.Conn, c.buf[c.r:c.w]))
}

// exchange is a request under way. Handlers may keep all of it.
type exchange struct {
	c        *conn
	life     life
	body     body
	response response
}

// handle answers a request. It reports whether another may come, and whether
// the connection is the handler's now.
func (c *conn) handle(h *head) (again, kept bool) {
	c.last = h.method
	x := &exchange{c: c}
	x.life.c = c
	x.body.x, x.body.left = x, h.length
	x.response = response{x: x, head: h.method == http.MethodHead, close: h.close, length: -1}
	x.life.quiet = h.length == 0
	if h.length > c.buffered() {
		c.disarm() // an upload takes what it takes
	}
	r := c.blank.WithContext(&x.life) // which alone gives a request a context
	r.Method, r.URL, r.RequestURI, r.Host = h.method, h.url, h.target, h.host
	r.Header, r.ContentLength, r.Close = h.header, h.length, h.close
	if r.Body = http.NoBody; h.length > 0 {
		r.Body = &x.body
	}
	returned := c.call(&x.response, r)
	x.life.end()
	if r.MultipartForm != nil {
		r.MultipartForm.RemoveAll()
	}
	if x.response.hijacked {
		return false, true
	}
	if !returned {
		x.response.release()
		return false, false
	}
	again = x.response.finish() && (x.response.close || x.body.drain())
	if !x.body.end() {
		c.linger()
		return false, false
	}
	if x.life.touched {
		c.SetDeadline(time.Time{})
	}
	return again && !x.response.close, false
}

// call runs the handler and reports whether it did not panic.
func (c *conn) call(w *response, r *http.Request) (returned bool) {
	defer func() {
		if returned {
			return
		}
		if p := recover(); p != nil && p != http.ErrAbortHandler {
			c.s.log().Error("a handler panicked", "client", c.blank.RemoteAddr, "panic", p, "stack", string(debug.Stack()))
		}
	}()
	c.s.Handler.ServeHTTP(w, r)
	return true
}

// How long, and for how many bytes, a connection is read from that is closed
// while the client still sends: the kernel would take back an answer that the
// client has not read yet.
const (
	lingerTime  = 500 * time.Millisecond
	lingerBytes = 1 << 20
)

func (c *conn) linger() {
	if h, ok := c.Conn.(interface{ CloseWrite() error }); !ok || h.CloseWrite() != nil {
		return
	}
	c.SetReadDeadline(time.Now().Add(lingerTime))
	io.Copy(io.Discard, io.LimitReader(c.Conn, lingerBytes))
}
