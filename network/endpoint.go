package network

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	"github.com/vishvananda/netlink"
)

// endpoint is an endpoint that exists.
type endpoint struct {
	rec  endpointRecord
	vpc  *vpc // nil in none mode
	path string
}

func (e *endpoint) attachment() Attachment {
	a := Attachment{Endpoint: e.rec.Endpoint, Path: e.path}
	a.Ports = slices.Clone(a.Ports)
	return a
}

func (m *Linux) endpointPath(file string) string { return filepath.Join(m.name.netnsDir(), file) }

// Add implements Manager.
func (m *Linux) Add(ctx context.Context, e Endpoint) (Attachment, error) {
	if err := CheckEndpoint(e); err != nil {
		return Attachment{}, err
	}
	var a Attachment
	err := m.once(ctx, "endpoint "+e.ID, func() (err error) {
		a, err = m.add(ctx, e)
		return err
	})
	if err != nil {
		return Attachment{}, fmt.Errorf("network: add endpoint %s: %w", e.ID, err)
	}
	return a, nil
}

func (m *Linux) add(ctx context.Context, e Endpoint) (Attachment, error) {
	m.mu.Lock()
	have := m.endpoints[e.ID]
	m.mu.Unlock()
	if have != nil {
		if !SameEndpoint(have.rec.Endpoint, e) {
			return Attachment{}, fmt.Errorf("it is there with other properties (mode %s, address %s): %w", have.rec.Mode, have.rec.Address, ErrConflict)
		}
		return have.attachment(), nil
	}
	made, err := m.make(ctx, e)
	if err != nil {
		return Attachment{}, err
	}
	return made.attachment(), nil
}

// make makes an endpoint and takes it apart again if a step fails.
func (m *Linux) make(ctx context.Context, e Endpoint) (_ *endpoint, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	file, err := fileName(e.ID)
	if err != nil {
		return nil, err
	}
	var undo []func()
	defer func() {
		if err != nil {
			for _, fn := range slices.Backward(undo) {
				fn()
			}
		}
	}()

	made := &endpoint{path: m.endpointPath(file)}
	if made.vpc, err = m.vpcFor(ctx, &e); err != nil {
		return nil, err
	}
	if made.vpc != nil {
		a, err := m.claim(made.vpc, e.Address.Addr(), e.ID)
		if err != nil {
			return nil, err
		}
		undo = append(undo, func() { m.release(made.vpc, a) })
		if e.Mode == Bridge {
			e.Address = netip.PrefixFrom(a, made.vpc.rec.CIDR.Bits())
		}
		if e.MAC == nil {
			e.MAC = DefaultMAC(a)
		}
		if err := m.addGateway(made.vpc, gateway(e.Address)); err != nil {
			return nil, err
		}
	}
	if e.Ports, err = m.ports.reserve(e.ID, e.Ports); err != nil {
		return nil, err
	}
	undo = append(undo, func() { m.ports.free(e.Ports) })
	if e.Egress || len(e.Ports) > 0 && m.publishesOutside() {
		if err := m.startForwarding(); err != nil {
			return nil, err
		}
	}

	made.rec = endpointRecord{Endpoint: e}
	if made.vpc != nil {
		made.rec.Device = newDeviceName()
	}
	if err := m.makeNamespace(made); err != nil {
		return nil, err
	}
	undo = append(undo, func() { m.takeApart(made) })
	if err := m.publishPorts(e); err != nil {
		return nil, err
	}
	m.forgetFlows(e)
	if err := m.records.Put(endpointPrefix+e.ID, made.rec); err != nil {
		return nil, err
	}
	m.mu.Lock()
	m.endpoints[e.ID] = made
	m.mu.Unlock()
	return made, nil
}

// vpcFor returns the router that serves an endpoint, nil if none does.
func (m *Linux) vpcFor(ctx context.Context, e *Endpoint) (*vpc, error) {
	switch e.Mode {
	case Bridge:
		return m.bridge(ctx)
	case AWSVPC:
		v := m.vpc(e.VPC)
		if v == nil {
			return nil, fmt.Errorf("VPC %s: %w", e.VPC, ErrNotFound)
		}
		if err := CheckAddress(v.rec.VPC, e.Address); err != nil {
			return nil, err
		}
		return v, nil
	}
	return nil, nil
}

// newDeviceName is a name that no device of a router has had: the one of an
// endpoint removed and added again may still be about.
func newDeviceName() string {
	var b [6]byte
	rand.Read(b[:])
	return "t" + hex.EncodeToString(b[:])
}

// makeNamespace makes an endpoint's namespace and plugs it into its router.
func (m *Linux) makeNamespace(e *endpoint) error {
	m.slots <- struct{}{}
	defer func() { <-m.slots }()
	err := newSpace(int(m.home.Fd()), e.path, func(h *netlink.Handle) error {
		if err := setSysctl("ipv6/conf/default/disable_ipv6", "1", true); err != nil {
			return err
		}
		if e.vpc == nil {
			return setUpInside(h, &e.rec.Endpoint)
		}
		port, err := e.plug()
		if err != nil {
			return err
		}
		if err := setUpInside(h, &e.rec.Endpoint); err != nil {
			return err
		}
		if err := e.route(port); err != nil {
			return err
		}
		return waitUp(e.vpc.router.nl, port)
	})
	if err != nil && e.vpc != nil {
		e.vpc.dropRoute(e.rec.Address.Addr())
	}
	return err
}

// plug makes the veth between the router and the namespace of the calling
// thread, and returns its index in the router.
func (e *endpoint) plug() (int, error) {
	inside, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return 0, err
	}
	defer inside.Close()
	port := &netlink.Veth{
		LinkAttrs:        netlink.LinkAttrs{Name: e.rec.Device, HardwareAddr: routerMAC, MTU: e.vpc.mtu, TxQLen: -1},
		PeerName:         "eth0",
		PeerHardwareAddr: e.rec.MAC,
		PeerNamespace:    netlink.NsFd(inside.Fd()),
		PeerTxQLen:       -1,
	}
	port.Flags |= net.FlagUp
	if e.rec.Egress {
		port.Group = egressGroup
	}
	if err := e.vpc.router.nl.LinkAdd(port); err != nil {
		return 0, fmt.Errorf("make the veth: %w", err)
	}
	return port.Index, nil
}

// route leads the endpoint's address to its port of the router.
func (e *endpoint) route(port int) error {
	a := e.rec.Address.Addr()
	if err := addNeighbour(e.vpc.router.nl, port, a, e.rec.MAC); err != nil {
		return err
	}
	err := e.vpc.router.nl.RouteAdd(&netlink.Route{LinkIndex: port, Dst: hostNet(a), Scope: netlink.SCOPE_LINK})
	if err != nil {
		return fmt.Errorf("add the route to %s: %w", a, err)
	}
	return nil
}

// takeApart undoes makeNamespace and publishPorts.
func (m *Linux) takeApart(e *endpoint) error {
	err := m.unpublishPorts(e.rec.Endpoint)
	if e.vpc != nil {
		err = errors.Join(err, e.vpc.dropRoute(e.rec.Address.Addr()))
	}
	return errors.Join(err, dropSpace(e.path))
}

// Remove implements Manager. The endpoint is out of List and unreachable when
// it returns; its namespace ends soon after, once its processes and the
// sockets of Listen are gone.
func (m *Linux) Remove(ctx context.Context, id string) error {
	err := m.once(ctx, "endpoint "+id, func() error { return m.remove(id) })
	if err != nil {
		return fmt.Errorf("network: remove endpoint %s: %w", id, err)
	}
	return nil
}

func (m *Linux) remove(id string) error {
	m.mu.Lock()
	e := m.endpoints[id]
	m.mu.Unlock()
	if e == nil {
		return nil
	}
	if err := m.records.Delete(endpointPrefix + id); err != nil {
		// A record without a namespace does no harm, the next Open drops it.
		m.log.Warn("network: removal not recorded", "endpoint", id, "err", err)
	}
	err := m.takeApart(e)
	m.mu.Lock()
	delete(m.endpoints, id)
	m.mu.Unlock()
	if e.vpc != nil {
		m.release(e.vpc, e.rec.Address.Addr())
	}
	m.forgetFlows(e.rec.Endpoint)
	m.ports.free(e.rec.Ports)
	return err
}

// List implements Manager.
func (m *Linux) List(ctx context.Context) ([]Attachment, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]Attachment, 0, len(m.endpoints))
	for _, e := range m.endpoints {
		all = append(all, e.attachment())
	}
	slices.SortFunc(all, func(a, b Attachment) int { return bytes.Compare([]byte(a.ID), []byte(b.ID)) })
	return all, nil
}
