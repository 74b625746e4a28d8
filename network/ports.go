package network

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// portTable reserves host ports. A port is reserved by a socket bound to it,
// so that what listens on the host and what we publish never share one: the
// kernel refuses whichever comes second. Nothing arrives at the socket, the
// packets' destination is rewritten before.
type portTable struct {
	m *Linux

	mu   sync.Mutex
	held map[portKey]*reservation
	next uint16 // where the search for a free dynamic port goes on
}

type portKey struct {
	protocol string
	port     uint16
}

type reservation struct {
	endpoint string
	sockets  []int
}

func newPortTable(m *Linux) *portTable {
	return &portTable{m: m, held: map[portKey]*reservation{}, next: DynamicPortFirst}
}

// reserve takes the host ports of an endpoint, all or none, and returns ports
// with the dynamic ones chosen.
func (t *portTable) reserve(id string, ports []Port) ([]Port, error) {
	ports = slices.Clone(ports)
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, p := range ports {
		var err error
		if p.HostPort == 0 {
			ports[i].HostPort, err = t.takeDynamic(id, p.Protocol)
		} else {
			err = t.take(id, portKey{p.Protocol, p.HostPort})
		}
		if err != nil {
			t.release(ports[:i])
			return nil, err
		}
	}
	return ports, nil
}

// adopt takes the ports of an endpoint that is published already. That a
// process of the host has taken one meanwhile does not unpublish it.
func (t *portTable) adopt(id string, ports []Port) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range ports {
		key := portKey{p.Protocol, p.HostPort}
		if err := t.take(id, key); err != nil {
			t.held[key] = &reservation{endpoint: id}
			t.m.log.Warn("network: a process has taken a published port, its connections go to the endpoint",
				"port", p.HostPort, "protocol", p.Protocol, "endpoint", id, "err", err)
		}
	}
}

func (t *portTable) free(ports []Port) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.release(ports)
}

func (t *portTable) release(ports []Port) {
	for _, p := range ports {
		key := portKey{p.Protocol, p.HostPort}
		if r := t.held[key]; r != nil {
			closeAll(r.sockets)
			delete(t.held, key)
		}
	}
}

func (t *portTable) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range t.held {
		closeAll(r.sockets)
	}
	clear(t.held)
}

func (t *portTable) takeDynamic(id, protocol string) (uint16, error) {
	for range DynamicPortLast - DynamicPortFirst + 1 {
		port := t.next
		if t.next++; t.next < DynamicPortFirst { // past 65535
			t.next = DynamicPortFirst
		}
		err := t.take(id, portKey{protocol, port})
		if err == nil || !errors.Is(err, ErrPortTaken) {
			return port, err
		}
	}
	return 0, fmt.Errorf("no port of %d-%d is free: %w", DynamicPortFirst, DynamicPortLast, ErrPortTaken)
}

func (t *portTable) take(id string, key portKey) error {
	if r := t.held[key]; r != nil {
		return fmt.Errorf("port %d is already allocated (by endpoint %s): %w", key.port, r.endpoint, ErrPortTaken)
	}
	addresses, err := t.m.hostPublishAddresses()
	if err != nil {
		return err
	}
	r := &reservation{endpoint: id}
	err = within(int(t.m.home.Fd()), t.m.host.fd(), func() error {
		for _, a := range addresses {
			fd, err := bindSocket(key.protocol, netip.AddrPortFrom(a, key.port))
			if err != nil {
				return err
			}
			r.sockets = append(r.sockets, fd)
		}
		return nil
	})
	if err == nil {
		t.held[key] = r
		return nil
	}
	closeAll(r.sockets)
	if errors.Is(err, unix.EADDRINUSE) {
		return fmt.Errorf("port %d is already allocated (a process on the host has it): %w", key.port, ErrPortTaken)
	}
	return fmt.Errorf("reserve port %d: %w", key.port, err)
}

// hostPublishAddresses are the addresses to bind, with 0.0.0.0 resolved to
// those that the host has: bound itself, it would meet the load balancers'
// listeners at other addresses of 127.0.0.0/8.
func (m *Linux) hostPublishAddresses() ([]netip.Addr, error) {
	var all []netip.Addr
	for _, a := range m.publishAddresses() {
		if !a.IsUnspecified() {
			all = append(all, a)
			continue
		}
		list, err := m.host.nl.AddrList(nil, unix.AF_INET)
		if err != nil {
			return nil, fmt.Errorf("list the host's addresses: %w", err)
		}
		for _, l := range list {
			if own, ok := netip.AddrFromSlice(l.IP.To4()); ok && !own.IsLoopback() {
				all = append(all, own)
			}
		}
	}
	return all, nil
}

// publishesOutside tells whether ports are published beyond loopback.
func (m *Linux) publishesOutside() bool {
	return slices.ContainsFunc(m.publishAddresses(), func(a netip.Addr) bool { return !a.IsLoopback() })
}

// bindSocket binds a socket in the thread's namespace, which listens to
// nothing.
func bindSocket(protocol string, a netip.AddrPort) (int, error) {
	typ := unix.SOCK_STREAM
	if protocol == "udp" {
		typ = unix.SOCK_DGRAM
	}
	fd, err := unix.Socket(unix.AF_INET, typ|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func closeAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}
