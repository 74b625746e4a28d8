package network

import (
	"context"
	"fmt"
	"net"
	"net/netip"
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
	s, err := openSpace(e.path)
	if err != nil {
		return fmt.Errorf("network: listen in endpoint %s: %w", id, err)
	}
	defer s.close()
	return within(int(m.home.Fd()), s.fd(), fn)
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
func (m *Linux) Dial(ctx context.Context, vpc, network, address string) (c net.Conn, err error) {
	if err := literal(address); err != nil {
		return nil, err
	}
	v := m.vpc(vpc)
	if v == nil {
		return nil, fmt.Errorf("network: dial %s in VPC %s: %w", address, vpc, ErrNotFound)
	}
	var d net.Dialer
	if v.rec.reachable() && m.cfg.HostNamespace == "" {
		return d.DialContext(ctx, network, address)
	}
	err = within(int(m.home.Fd()), v.router.fd(), func() (err error) {
		c, err = d.DialContext(ctx, network, address)
		return err
	})
	return c, err
}
