package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Listen implements Manager. address is a literal one: nothing is resolved.
// Close the listener before Remove, or the namespace lives on for it.
func (m *Linux) Listen(ctx context.Context, id, network, address string) (l net.Listener, err error) {
	err = m.inEndpoint(id, address, func() (err error) {
		var c net.ListenConfig
		l, err = c.Listen(ctx, network, address)
		return err
	})
	return l, err
}

// ListenPacket implements Manager, with Listen's conditions.
func (m *Linux) ListenPacket(ctx context.Context, id, network, address string) (p net.PacketConn, err error) {
	err = m.inEndpoint(id, address, func() (err error) {
		var c net.ListenConfig
		p, err = c.ListenPacket(ctx, network, address)
		return err
	})
	return p, err
}

// inEndpoint runs fn on a thread inside an endpoint's namespace, "" being the
// host's.
func (m *Linux) inEndpoint(id, address string, fn func() error) error {
	if err := literal(address); err != nil {
		return err
	}
	if id == "" {
		return within(int(m.home.Fd()), m.host.fd(), fn)
	}
	m.mu.Lock()
	e := m.endpoints[id]
	m.mu.Unlock()
	if e == nil {
		return fmt.Errorf("network: listen in endpoint %s: %w", id, ErrNotFound)
	}
	ns, err := os.Open(e.path)
	if err != nil {
		return fmt.Errorf("network: listen in endpoint %s: %w", id, err)
	}
	defer ns.Close()
	return within(int(m.home.Fd()), int(ns.Fd()), fn)
}

// literal refuses what would have to be resolved, which happens on other
// threads and so in another namespace.
func literal(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	if _, err := netip.ParseAddr(host); err != nil && host != "" {
		return fmt.Errorf("network: address %q must begin with an IP address, names are not resolved here", address)
	}
	return nil
}

// Dial implements Manager. VPCs that the host reaches are dialled from the
// host. address is a literal one.
func (m *Linux) Dial(ctx context.Context, vpc, network, address string) (net.Conn, error) {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, fmt.Errorf("network: address %q must be an IP address and a port, names are not resolved here", address)
	}
	v := m.vpc(vpc)
	if v == nil {
		return nil, fmt.Errorf("network: dial %s in VPC %s: %w", address, vpc, ErrNotFound)
	}
	if v.rec.reachable() && m.cfg.HostNamespace == "" {
		var d net.Dialer
		return d.DialContext(ctx, network, address)
	}
	c, err := m.dialFrom(ctx, v.router.fd(), network, to)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Addr: net.TCPAddrFromAddrPort(to), Err: err}
	}
	return c, nil
}

// dialFrom connects from a namespace. Only the socket is made on a thread
// there; it connects without one, so that slow peers hold no threads.
func (m *Linux) dialFrom(ctx context.Context, ns int, network string, to netip.AddrPort) (net.Conn, error) {
	typ := unix.SOCK_STREAM
	if strings.HasPrefix(network, "udp") {
		typ = unix.SOCK_DGRAM
	} else if !strings.HasPrefix(network, "tcp") {
		return nil, net.UnknownNetworkError(network)
	}
	if !to.Addr().Unmap().Is4() {
		return nil, errors.New("VPCs have IPv4 addresses only")
	}
	fd := -1
	err := within(int(m.home.Fd()), ns, func() (err error) {
		fd, err = unix.Socket(unix.AF_INET, typ|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		return err
	})
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	f := os.NewFile(uintptr(fd), "socket") // takes part in the runtime's polling
	defer f.Close()                        // the connection has a descriptor of its own
	if err := connect(ctx, f, to); err != nil {
		return nil, err
	}
	return net.FileConn(f)
}

// connect connects a socket and waits until it is or ctx ends.
func connect(ctx context.Context, f *os.File, to netip.AddrPort) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	err = f.SetWriteDeadline(time.Time{})
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { f.SetWriteDeadline(time.Unix(1, 0)) })
	defer stop()
	started := false
	var failed error
	err = raw.Write(func(fd uintptr) (done bool) {
		if !started {
			started = true
			failed = unix.Connect(int(fd), &unix.SockaddrInet4{Addr: to.Addr().Unmap().As4(), Port: int(to.Port())})
			return !errors.Is(failed, unix.EINPROGRESS)
		}
		code, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
		switch {
		case err != nil:
			failed = err
		case code != 0:
			failed = unix.Errno(code)
		default:
			// Woken for nothing, it has no peer yet.
			if _, err := unix.Getpeername(int(fd)); err != nil {
				return false
			}
			failed = nil
		}
		return true
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if failed != nil && err == nil {
		return os.NewSyscallError("connect", failed)
	}
	return err
}
