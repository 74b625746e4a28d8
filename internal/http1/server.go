// Package http1 serves plain HTTP/1.1 requests, for less than net/http takes.
//
// Plain is what every program reads alike: a known method and a path in the
// first line, one Host, at most one Content-Length, names and values of fields
// without oddities, lines that end in CR LF, and nothing that asks for more
// (transfer codings, upgrades, Expect, trailers). From the first request on
// that is not plain, a connection is handed to another server, with that
// request unread. So there is nothing here to be lenient or strict about, and
// no request is read by two programs in two ways.
//
// Handlers see what net/http shows them, with these differences: the
// connection is watched for the client's end only once the context is asked for
// Done (Err asks the socket), Transfer-Encoding is not theirs to set, and the
// context holds no http.Server.
package http1

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Server serves connections. Its exported fields are set before its use.
type Server struct {
	Handler http.Handler

	// Other takes connections whose next request is not plain.
	Other func(net.Conn)

	// How long a request's head may take, and how long a connection may be
	// without a request; up to a quarter more where that is cheaper. 0 is no
	// limit.
	ReadHeaderTimeout, IdleTimeout time.Duration

	Log *slog.Logger // nil is slog.Default()

	closing atomic.Bool
	mu      sync.Mutex
	conns   map[*conn]struct{}
	empty   chan struct{} // closed when no connection is left; nil before Shutdown
}

func (s *Server) log() *slog.Logger {
	if s.Log == nil {
		return slog.Default()
	}
	return s.Log
}

// Serve serves the connections that l accepts until it fails.
func (s *Server) Serve(l net.Listener) error {
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go s.ServeConn(c)
	}
}

// ServeConn serves a connection until it ends or is somebody else's.
func (s *Server) ServeConn(nc net.Conn) {
	c := &conn{Conn: nc, s: s, buf: make([]byte, smallBuffer)}
	if u, ok := nc.(*unread); ok && len(u.ahead) <= len(c.buf) {
		c.Conn, c.w = u.Conn, copy(c.buf, u.ahead)
	}
	if sc, ok := c.Conn.(syscall.Conn); ok {
		c.raw, _ = sc.SyscallConn()
	}
	c.blank = http.Request{Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
	if a := c.RemoteAddr(); a != nil {
		c.blank.RemoteAddr = a.String()
	}
	if !s.remember(c) {
		c.Close()
		return
	}
	c.serve()
}

func (s *Server) remember(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing.Load() {
		return false
	}
	if s.conns == nil {
		s.conns = map[*conn]struct{}{}
	}
	s.conns[c] = struct{}{}
	return true
}

func (s *Server) forget(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	s.settle()
}

// settle says so when the last connection is gone; s.mu is held.
func (s *Server) settle() {
	if s.empty == nil || len(s.conns) > 0 {
		return
	}
	select {
	case <-s.empty:
	default:
		close(s.empty)
	}
}

// Shutdown takes no more requests: it closes idle connections at once and waits
// for requests under way, until ctx ends. It ends no listener. Connections that
// were handed over or hijacked are not its concern.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.closing.Store(true)
	if s.empty == nil {
		s.empty = make(chan struct{})
	}
	for c := range s.conns {
		if c.state.CompareAndSwap(idle, closed) {
			c.Close()
		}
	}
	s.settle()
	s.mu.Unlock()
	select {
	case <-s.empty:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close takes no more requests and closes all connections.
func (s *Server) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closing.Store(true)
	for c := range s.conns {
		c.Close()
	}
}
