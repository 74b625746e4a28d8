package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dhowhq/dhow/internal/cert"
	"github.com/dhowhq/dhow/internal/http1"
)

// loopback reports whether address, HOST:PORT, is reached from this machine only.
func loopback(address string) (bool, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false, err
	}
	if host == "localhost" {
		return true, nil
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		if host == "" {
			return false, nil
		}
		return false, fmt.Errorf("%q is not an IP address", host)
	}
	return ip.IsLoopback(), nil
}

// listen opens the API's sockets: address, and [::1] at the same port where
// address is 127.0.0.1 and the machine has IPv6.
func listen(address string) ([]net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		if errors.Is(err, unix.EADDRINUSE) {
			return nil, fmt.Errorf("%s is in use: stop what listens there, or choose another address with --listen", address)
		}
		return nil, err
	}
	ls := []net.Listener{l}
	if a, ok := l.Addr().(*net.TCPAddr); ok && a.IP.Equal(net.IPv4(127, 0, 0, 1)) {
		if l6, err := net.Listen("tcp6", net.JoinHostPort("::1", fmt.Sprint(a.Port))); err == nil {
			ls = append(ls, l6)
		}
	}
	return ls, nil
}

// idleTimeout is how long a connection may wait for its next request: longer
// than the SDKs keep theirs, so that it is they who close. There is no limit to
// a request under way, once its head is there: polls, streams and uploads take
// what they take.
const idleTimeout = 3 * time.Minute

// headTimeout is how long a request's head may take.
const headTimeout = 30 * time.Second

// newServer answers HTTP/1.1 and h2c by prior knowledge with h.
func newServer(h http.Handler) *http.Server {
	s := &http.Server{Handler: h, ReadHeaderTimeout: headTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: 64 << 10}
	s.Protocols = new(http.Protocols)
	s.Protocols.SetHTTP1(true)
	s.Protocols.SetUnencryptedHTTP2(true)
	s.Protocols.SetHTTP2(true)
	return s
}

// newLane answers plain HTTP/1.1 requests with h, and gives connections with
// others to other.
func newLane(h http.Handler, other *backlog) *http1.Server {
	return &http1.Server{Handler: h, Other: other.put, ReadHeaderTimeout: headTimeout, IdleTimeout: idleTimeout}
}

// sniffer hands connections that begin with a TLS handshake (0x16) to tls, and
// leaves the others to plain, so that one port speaks both.
type sniffer struct {
	net.Listener
	plain, secure *backlog
}

func sniff(l net.Listener) *sniffer {
	s := &sniffer{Listener: l, plain: newBacklog(l), secure: newBacklog(l)}
	go s.run()
	return s
}

func (s *sniffer) run() {
	for {
		c, err := s.Accept()
		if err != nil {
			// Out of descriptors, say: let some be closed. The servers behind
			// the queues could not try again, for nobody would accept.
			if !errors.Is(err, net.ErrClosed) {
				time.Sleep(50 * time.Millisecond)
				continue
			}
			s.plain.end(err)
			s.secure.end(err)
			return
		}
		go func() {
			c.SetReadDeadline(time.Now().Add(headTimeout))
			var first [1]byte
			if _, err := c.Read(first[:]); err != nil {
				c.Close()
				return
			}
			c.SetReadDeadline(time.Time{})
			q := s.plain
			if first[0] == 0x16 {
				q = s.secure
			}
			q.put(http1.Unread(c, first[:]))
		}()
	}
}

// backlog is a listener whose connections come from elsewhere.
type backlog struct {
	of    net.Listener
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
	err   error
}

func newBacklog(of net.Listener) *backlog {
	return &backlog{of: of, conns: make(chan net.Conn), done: make(chan struct{})}
}

func (q *backlog) put(c net.Conn) {
	select {
	case q.conns <- c:
	case <-q.done:
		c.Close()
	}
}

func (q *backlog) end(err error) {
	q.once.Do(func() { q.err = err; close(q.done) })
}

func (q *backlog) Accept() (net.Conn, error) {
	select {
	case c := <-q.conns:
		return c, nil
	case <-q.done:
		return nil, q.err
	}
}

func (q *backlog) Close() error {
	q.end(net.ErrClosed)
	return q.of.Close()
}

func (q *backlog) Addr() net.Addr { return q.of.Addr() }

// secured is l with TLS for HTTP/1.1 and HTTP/2, under whatever name of dhow's
// a client asks for.
func secured(l net.Listener, a *cert.Authority) net.Listener {
	return tls.NewListener(l, &tls.Config{GetCertificate: a.Get, NextProtos: []string{"h2", "http/1.1"}})
}

// insider is a listener within the process: the agent in `dhow up` reaches the
// API by it, whatever address the API listens on.
type insider struct{ *backlog }

func newInsider() *insider { return &insider{newBacklog(nothing{})} }

// dial connects to the listener through a pair of sockets; before the API
// serves it waits, until ctx ends.
func (i *insider) dial(ctx context.Context) (net.Conn, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	var ends [2]net.Conn
	for n, fd := range fds {
		f := os.NewFile(uintptr(fd), "api")
		ends[n], err = net.FileConn(f)
		f.Close()
		if err != nil {
			return nil, err
		}
	}
	select {
	case <-i.done:
		err = net.ErrClosed
	case <-ctx.Done():
		err = ctx.Err()
	case i.conns <- ends[1]:
		return ends[0], nil
	}
	ends[0].Close()
	ends[1].Close()
	return nil, err
}

// nothing is a listener that is never asked for connections.
type nothing struct{}

func (nothing) Accept() (net.Conn, error) { return nil, net.ErrClosed }
func (nothing) Close() error              { return nil }
func (nothing) Addr() net.Addr            { return &net.UnixAddr{Name: "dhow", Net: "unix"} }
