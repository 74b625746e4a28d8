package sim

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/dhowhq/dhow/network"
)

// socket is where a listener or packet connection is: in an endpoint ("" the
// node itself), at an address, which is invalid for all of them.
type socket struct {
	endpoint string
	address  netip.Addr
	port     uint16
}

// Listen implements network.Manager. What it returns is reached by Dial, from
// the endpoint's VPC.
func (m *Manager) Listen(ctx context.Context, id, netName, address string) (net.Listener, error) {
	if !strings.HasPrefix(netName, "tcp") {
		return nil, net.UnknownNetworkError(netName)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s, err := m.socket(id, address)
	if err != nil {
		return nil, err
	}
	if taken(m.sockets, &s) {
		return nil, &net.OpError{Op: "listen", Net: netName, Addr: tcpAddr(s), Err: os.NewSyscallError("bind", syscall.EADDRINUSE)}
	}
	l := &listener{m: m, at: s, conns: make(chan net.Conn), done: make(chan struct{})}
	m.sockets[s] = l
	return l, nil
}

// ListenPacket implements network.Manager. Nothing ever arrives at what it
// returns.
func (m *Manager) ListenPacket(ctx context.Context, id, netName, address string) (net.PacketConn, error) {
	if !strings.HasPrefix(netName, "udp") {
		return nil, net.UnknownNetworkError(netName)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s, err := m.socket(id, address)
	if err != nil {
		return nil, err
	}
	if taken(m.packets, &s) {
		return nil, &net.OpError{Op: "listen", Net: netName, Addr: udpAddr(s), Err: os.NewSyscallError("bind", syscall.EADDRINUSE)}
	}
	p := &packetConn{m: m, at: s, done: make(chan struct{})}
	m.packets[s] = p
	return p, nil
}

// socket parses what to listen on.
func (m *Manager) socket(id, address string) (socket, error) {
	s, err := parse(address)
	if err != nil {
		return s, err
	}
	if _, ok := m.endpoints[id]; !ok && id != "" {
		return s, fmt.Errorf("network: listen in endpoint %s: %w", id, network.ErrNotFound)
	}
	s.endpoint = id
	return s, nil
}

func parse(address string) (socket, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return socket{}, err
	}
	if host == "" {
		address = "0.0.0.0" + address
	}
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return socket{}, fmt.Errorf("network: address %q must be an IP address and a port, names are not resolved here", address)
	}
	s := socket{port: a.Port()}
	if !a.Addr().IsUnspecified() {
		s.address = a.Addr()
	}
	return s, nil
}

// taken tells whether s is in use; port 0 is made one that is free.
func taken[V any](sockets map[socket]V, s *socket) bool {
	if s.port != 0 {
		_, ok := sockets[*s]
		return ok
	}
	for s.port = 32768; ; s.port++ {
		if _, ok := sockets[*s]; !ok {
			return s.port == 0 // all have been tried
		}
	}
}

// socketsOf takes out what is open in an endpoint.
func (m *Manager) socketsOf(id string) []interface{ Close() error } {
	var all []interface{ Close() error }
	for s, l := range m.sockets {
		if s.endpoint == id {
			all = append(all, l)
		}
	}
	for s, p := range m.packets {
		if s.endpoint == id {
			all = append(all, p)
		}
	}
	return all
}

func (m *Manager) allSockets() []interface{ Close() error } {
	var all []interface{ Close() error }
	for _, l := range m.sockets {
		all = append(all, l)
	}
	for _, p := range m.packets {
		all = append(all, p)
	}
	return all
}

// Dial implements network.Manager: it reaches what Listen returned for an
// endpoint with that address.
func (m *Manager) Dial(ctx context.Context, vpc, netName, address string) (net.Conn, error) {
	s, err := parse(address)
	if err != nil {
		return nil, err
	}
	refused := &net.OpError{Op: "dial", Net: netName, Addr: tcpAddr(s), Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	m.mu.Lock()
	if _, ok := m.vpcs[vpc]; !ok {
		m.mu.Unlock()
		return nil, fmt.Errorf("network: dial %s in VPC %s: %w", address, vpc, network.ErrNotFound)
	}
	id, ok := m.addresses[place{vpc, s.address}]
	s.endpoint = id
	l := m.sockets[s]
	if l == nil {
		s.address = netip.Addr{}
		l = m.sockets[s]
	}
	m.mu.Unlock()
	if !ok || l == nil {
		return nil, refused
	}
	near, far := net.Pipe()
	select {
	case l.conns <- far:
		return near, nil
	case <-l.done:
		return nil, refused
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func tcpAddr(s socket) *net.TCPAddr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(anyOf(s.address), s.port))
}

func udpAddr(s socket) *net.UDPAddr {
	return net.UDPAddrFromAddrPort(netip.AddrPortFrom(anyOf(s.address), s.port))
}

func anyOf(a netip.Addr) netip.Addr {
	if !a.IsValid() {
		return netip.IPv4Unspecified()
	}
	return a
}

// listener is a net.Listener that Dial connects to.
type listener struct {
	m     *Manager
	at    socket
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.Addr(), Err: net.ErrClosed}
	}
}

func (l *listener) Close() error {
	l.once.Do(func() {
		l.m.mu.Lock()
		if l.m.sockets[l.at] == l {
			delete(l.m.sockets, l.at)
		}
		l.m.mu.Unlock()
		close(l.done)
	})
	return nil
}

func (l *listener) Addr() net.Addr { return tcpAddr(l.at) }

// packetConn is a net.PacketConn that nothing arrives at.
type packetConn struct {
	m    *Manager
	at   socket
	once sync.Once
	done chan struct{}

	mu       sync.Mutex
	deadline time.Time
}

func (p *packetConn) ReadFrom([]byte) (int, net.Addr, error) {
	p.mu.Lock()
	deadline := p.deadline
	p.mu.Unlock()
	var late <-chan time.Time
	if !deadline.IsZero() {
		timer := time.NewTimer(time.Until(deadline))
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-p.done:
		return 0, nil, &net.OpError{Op: "read", Net: "udp", Addr: p.LocalAddr(), Err: net.ErrClosed}
	case <-late:
		return 0, nil, &net.OpError{Op: "read", Net: "udp", Addr: p.LocalAddr(), Err: os.ErrDeadlineExceeded}
	}
}

func (p *packetConn) WriteTo(b []byte, _ net.Addr) (int, error) {
	select {
	case <-p.done:
		return 0, &net.OpError{Op: "write", Net: "udp", Addr: p.LocalAddr(), Err: net.ErrClosed}
	default:
		return len(b), nil
	}
}

func (p *packetConn) Close() error {
	p.once.Do(func() {
		p.m.mu.Lock()
		if p.m.packets[p.at] == p {
			delete(p.m.packets, p.at)
		}
		p.m.mu.Unlock()
		close(p.done)
	})
	return nil
}

func (p *packetConn) LocalAddr() net.Addr { return udpAddr(p.at) }

// SetDeadline sets the deadline of reads that begin after it; writes never
// wait.
func (p *packetConn) SetDeadline(t time.Time) error { return p.SetReadDeadline(t) }

// SetReadDeadline is SetDeadline.
func (p *packetConn) SetReadDeadline(t time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deadline = t
	return nil
}

// SetWriteDeadline has nothing to do.
func (p *packetConn) SetWriteDeadline(time.Time) error { return nil }
