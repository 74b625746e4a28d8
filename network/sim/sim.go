// Package sim is a network.Manager that makes nothing and only keeps states,
// in memory, for simulated nodes. Listen and Dial are connected inside the
// process, so that what serves a task can be tested without a network.
package sim

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/dhowhq/dhow/network"
)

// bridgeVPC is where bridge mode's listeners are found by Dial; no VPC has
// this id.
const bridgeVPC = "_bridge"

// bridgeCIDR is the range of bridge mode's addresses. Nothing is routed, so
// all simulated nodes may have the same.
var bridgeCIDR = netip.MustParsePrefix("172.17.0.0/16")

// Manager is a simulated node's network. Use New.
type Manager struct {
	mu        sync.Mutex
	vpcs      map[string]network.VPC
	endpoints map[string]network.Attachment
	addresses map[place]string // endpoint ids
	ports     map[port]string  // endpoint ids
	sockets   map[socket]*listener
	packets   map[socket]*packetConn
	nextPort  uint16
	nextAddr  netip.Addr
}

// place is an address in a VPC, bridgeVPC included.
type place struct {
	vpc     string
	address netip.Addr
}

type port struct {
	protocol string
	number   uint16
}

var _ network.Manager = (*Manager)(nil)

// New returns an empty Manager.
func New() *Manager {
	m := &Manager{}
	m.clear()
	return m
}

func (m *Manager) clear() {
	m.vpcs = map[string]network.VPC{}
	m.endpoints = map[string]network.Attachment{}
	m.addresses = map[place]string{}
	m.ports = map[port]string{}
	m.sockets = map[socket]*listener{}
	m.packets = map[socket]*packetConn{}
	m.nextPort = network.DynamicPortFirst
	m.nextAddr = bridgeCIDR.Addr().Next().Next().Next().Next()
}

// Add implements network.Manager.
func (m *Manager) Add(ctx context.Context, e network.Endpoint) (network.Attachment, error) {
	if err := network.CheckEndpoint(e); err != nil {
		return network.Attachment{}, err
	}
	fail := func(err error) (network.Attachment, error) {
		return network.Attachment{}, fmt.Errorf("network: add endpoint %s: %w", e.ID, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if have, ok := m.endpoints[e.ID]; ok {
		if !network.SameEndpoint(have.Endpoint, e) {
			return fail(fmt.Errorf("it is there with other properties (mode %s, address %s): %w", have.Mode, have.Address, network.ErrConflict))
		}
		return clone(have), nil
	}
	if err := ctx.Err(); err != nil {
		return fail(err)
	}
	if err := m.address(&e); err != nil {
		return fail(err)
	}
	ports, err := m.reserve(e)
	if err != nil {
		return fail(err)
	}
	e.Ports = ports
	for _, p := range ports {
		m.ports[port{p.Protocol, p.HostPort}] = e.ID
	}
	if e.Mode != network.None {
		m.addresses[placeOf(e)] = e.ID
	}
	a := network.Attachment{Endpoint: e, Path: "/run/dhow-sim/netns/" + e.ID}
	m.endpoints[e.ID] = a
	return clone(a), nil
}

func clone(a network.Attachment) network.Attachment {
	a.Ports = slices.Clone(a.Ports)
	return a
}

func placeOf(e network.Endpoint) place {
	if e.Mode == network.Bridge {
		return place{bridgeVPC, e.Address.Addr()}
	}
	return place{e.VPC, e.Address.Addr()}
}

// address checks the address that awsvpc asks for and chooses bridge mode's.
func (m *Manager) address(e *network.Endpoint) error {
	switch e.Mode {
	case network.AWSVPC:
		v, ok := m.vpcs[e.VPC]
		if !ok {
			return fmt.Errorf("VPC %s: %w", e.VPC, network.ErrNotFound)
		}
		if err := network.CheckAddress(v, e.Address); err != nil {
			return err
		}
		if holder, ok := m.addresses[placeOf(*e)]; ok {
			return fmt.Errorf("address %s is endpoint %s's: %w", e.Address.Addr(), holder, network.ErrConflict)
		}
	case network.Bridge:
		for {
			e.Address = netip.PrefixFrom(m.nextAddr, bridgeCIDR.Bits())
			if m.nextAddr = m.nextAddr.Next(); !bridgeCIDR.Contains(m.nextAddr.Next()) {
				m.nextAddr = bridgeCIDR.Addr().Next().Next().Next().Next()
			}
			if _, taken := m.addresses[placeOf(*e)]; !taken {
				break
			}
			if len(m.addresses) >= 1<<16-5 {
				return fmt.Errorf("all addresses of the bridge network %s are taken", bridgeCIDR)
			}
		}
	}
	if e.MAC == nil && e.Address.IsValid() {
		e.MAC = network.DefaultMAC(e.Address.Addr())
	}
	return nil
}

// reserve returns an endpoint's ports with the dynamic ones chosen. It takes
// none.
func (m *Manager) reserve(e network.Endpoint) ([]network.Port, error) {
	ports := slices.Clone(e.Ports)
	mine := map[port]bool{}
	for i, p := range ports {
		key := port{p.Protocol, p.HostPort}
		if p.HostPort != 0 {
			if holder, taken := m.ports[key]; taken {
				return nil, fmt.Errorf("port %d is already allocated (by endpoint %s): %w", p.HostPort, holder, network.ErrPortTaken)
			}
			mine[key] = true
			continue
		}
		for tries := 0; ; tries++ {
			if tries > network.DynamicPortLast-network.DynamicPortFirst {
				return nil, fmt.Errorf("no port of %d-%d is free: %w", network.DynamicPortFirst, network.DynamicPortLast, network.ErrPortTaken)
			}
			key.number = m.nextPort
			if m.nextPort++; m.nextPort < network.DynamicPortFirst { // past 65535
				m.nextPort = network.DynamicPortFirst
			}
			if _, taken := m.ports[key]; !taken && !mine[key] {
				break
			}
		}
		mine[key] = true
		ports[i].HostPort = key.number
	}
	return ports, nil
}

// Remove implements network.Manager. Unlike real ones it closes the sockets
// that were opened in the endpoint.
func (m *Manager) Remove(ctx context.Context, id string) error {
	m.mu.Lock()
	a, ok := m.endpoints[id]
	var open []interface{ Close() error }
	if ok {
		delete(m.endpoints, id)
		delete(m.addresses, placeOf(a.Endpoint))
		for _, p := range a.Ports {
			delete(m.ports, port{p.Protocol, p.HostPort})
		}
		open = m.socketsOf(id)
	}
	m.mu.Unlock()
	for _, s := range open {
		s.Close()
	}
	return nil
}

// List implements network.Manager.
func (m *Manager) List(ctx context.Context) ([]network.Attachment, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]network.Attachment, 0, len(m.endpoints))
	for _, a := range m.endpoints {
		all = append(all, clone(a))
	}
	slices.SortFunc(all, func(a, b network.Attachment) int { return strings.Compare(a.ID, b.ID) })
	return all, nil
}

// EnsureVPC implements network.Manager.
func (m *Manager) EnsureVPC(ctx context.Context, v network.VPC) error {
	if err := network.CheckVPC(v); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if have, ok := m.vpcs[v.ID]; ok && have != v {
		return fmt.Errorf("network: VPC %s: it is there as %s, default %t: %w", v.ID, have.CIDR, have.Default, network.ErrConflict)
	}
	m.vpcs[v.ID] = v
	return nil
}

// RemoveVPC implements network.Manager.
func (m *Manager) RemoveVPC(ctx context.Context, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for p := range m.addresses {
		if p.vpc == id {
			return fmt.Errorf("network: remove VPC %s: it has endpoints: %w", id, network.ErrConflict)
		}
	}
	delete(m.vpcs, id)
	return nil
}

// Purge implements network.Manager.
func (m *Manager) Purge(ctx context.Context) error {
	m.mu.Lock()
	open := m.allSockets()
	m.clear()
	m.mu.Unlock()
	for _, s := range open {
		s.Close()
	}
	return nil
}

// Close implements network.Manager. A simulated node forgets.
func (m *Manager) Close() error { return m.Purge(context.Background()) }
