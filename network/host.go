package network

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// The host's table has, besides its chains:
//
//	ports: map of protocol . port to the address . port that it is published for
//	nets:  the ranges and link addresses of our routers
const (
	portsMap = "ports"
	netsSet  = "nets"
)

var loopback = netip.MustParsePrefix("127.0.0.0/8")

func hostPortsMap(t *nftables.Table) *nftables.Set {
	return &nftables.Set{
		Table: t, ID: 1, Name: portsMap, IsMap: true,
		KeyType:  nftables.MustConcatSetType(nftables.TypeInetProto, nftables.TypeInetService),
		DataType: nftables.MustConcatSetType(nftables.TypeIPAddr, nftables.TypeInetService),
	}
}

func hostNetsSet(t *nftables.Table) *nftables.Set {
	return &nftables.Set{Table: t, ID: 2, Name: netsSet, Interval: true, KeyType: nftables.TypeIPAddr}
}

// setHostRules writes the host's table for the routers and ports that m knows,
// in one transaction. m.mu must be held, or m not shared yet.
func (m *Linux) setHostRules() error {
	return m.host.transact(func(c *nftables.Conn) error {
		t := newTable(c, m.name.table)
		ports, nets := hostPortsMap(t), hostNetsSet(t)
		var taken []nftables.SetElement
		for _, e := range m.endpoints {
			taken = append(taken, portElements(e.rec.Endpoint)...)
		}
		var ranges []nftables.SetElement
		for _, v := range m.vpcs {
			ranges = append(ranges, netElements(v.rec)...)
		}
		if err := c.AddSet(ports, taken); err != nil {
			return err
		}
		if err := c.AddSet(nets, ranges); err != nil {
			return err
		}
		m.addNAT(c, t, ports, nets)
		m.addGuards(c, t)
		return nil
	})
}

// addNAT adds the chains that publish ports and that let tasks out.
func (m *Linux) addNAT(c *nftables.Conn, t *nftables.Table, ports, nets *nftables.Set) {
	pre := c.AddChain(baseChain(t, "prerouting", nftables.ChainTypeNAT, nftables.ChainHookPrerouting, nftables.ChainPriorityNATDest))
	out := c.AddChain(baseChain(t, "output", nftables.ChainTypeNAT, nftables.ChainHookOutput, nftables.ChainPriorityNATDest))
	post := c.AddChain(baseChain(t, "postrouting", nftables.ChainTypeNAT, nftables.ChainHookPostrouting, nftables.ChainPriorityNATSource))

	for _, published := range m.publishedMatches() {
		for _, chain := range []*nftables.Chain{pre, out} {
			c.AddRule(&nftables.Rule{Table: t, Chain: chain, Exprs: join(published, publish(ports))})
		}
	}
	ours := outDevice(expr.CmpOpEq, m.name.device, false)
	for _, rule := range [][]expr.Any{
		// What 127.0.0.1 sends to a published port must be able to come back,
		join(ours, from(expr.CmpOpEq, loopback), masquerade),
		// and what a container sends to one by the host's address, too.
		join(ours, translated, inSet(sourceOffset, nets), masquerade),
		join(outDevice(expr.CmpOpNeq, m.name.device, false), inSet(sourceOffset, nets), masquerade),
	} {
		c.AddRule(&nftables.Rule{Table: t, Chain: post, Exprs: rule})
	}
}

// publishedMatches are the destinations at which ports are published.
func (m *Linux) publishedMatches() [][]expr.Any {
	var all [][]expr.Any
	for _, a := range m.publishAddresses() {
		if a.IsUnspecified() {
			// Other addresses of 127.0.0.0/8 are load balancers'.
			all = append(all, join(to(expr.CmpOpNeq, loopback), local))
			continue
		}
		all = append(all, to(expr.CmpOpEq, netip.PrefixFrom(a, 32)))
	}
	return all
}

// publishAddresses is the setting, with 127.0.0.1 where it goes without saying.
func (m *Linux) publishAddresses() []netip.Addr {
	home := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	all := m.cfg.PublishAddresses
	if len(all) == 0 {
		return []netip.Addr{home}
	}
	for _, a := range all {
		if a.IsUnspecified() {
			return []netip.Addr{home, a}
		}
	}
	return all
}

// publish rewrites the destination to what the map has for its protocol and
// port, if anything.
func publish(ports *nftables.Set) []expr.Any {
	const (
		key     = unix.NFT_REG32_00
		address = unix.NFT_REG32_00 // the result takes the key's place
		port    = unix.NFT_REG32_01
	)
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: key},
		&expr.Payload{DestRegister: key + 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		&expr.Lookup{SourceRegister: key, DestRegister: address, IsDestRegSet: true, SetName: ports.Name, SetID: ports.ID},
		&expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: address, RegProtoMin: port, Specified: true},
	}
}

// addGuards adds the chains that keep others out of our networks, which a host
// that forwards would let in, and our networks away from 127.0.0.0/8, which
// route_localnet would open to them.
func (m *Linux) addGuards(c *nftables.Conn, t *nftables.Table) {
	forward := c.AddChain(baseChain(t, "forward", nftables.ChainTypeFilter, nftables.ChainHookForward, nftables.ChainPriorityFilter))
	input := c.AddChain(baseChain(t, "input", nftables.ChainTypeFilter, nftables.ChainHookInput, nftables.ChainPriorityFilter))
	ours := outDevice(expr.CmpOpEq, m.name.device, false)
	for _, rule := range [][]expr.Any{
		join(ours, established, accept),
		join(ours, translated, accept),
		join(ours, drop),
	} {
		c.AddRule(&nftables.Rule{Table: t, Chain: forward, Exprs: rule})
	}
	c.AddRule(&nftables.Rule{Table: t, Chain: input, Exprs: join(
		inDevice(expr.CmpOpEq, m.name.device, false), to(expr.CmpOpEq, loopback), unknown, drop)})
}

// addNets tells the host's table of a new router, which m knows already. m.mu
// must be held.
func (m *Linux) addNets(rec vpcRecord) error {
	err := m.host.transact(func(c *nftables.Conn) error {
		return c.SetAddElements(hostNetsSet(ipv4Table(m.name.table)), netElements(rec))
	})
	if errors.Is(err, unix.ENOENT) {
		err = m.setHostRules() // flushed by somebody; rec is among m.vpcs
	}
	return err
}

// removeNets undoes addNets.
func (m *Linux) removeNets(rec vpcRecord) error {
	err := m.host.transact(func(c *nftables.Conn) error {
		return c.SetDeleteElements(hostNetsSet(ipv4Table(m.name.table)), netElements(rec))
	})
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	return err
}

// netElements is the half-open range of the addresses that the host sees a
// router's tasks by.
func netElements(rec vpcRecord) []nftables.SetElement {
	first, after := rec.Link, rec.Link.Next()
	if rec.reachable() {
		first = rec.CIDR.Masked().Addr()
		after = lastOf(rec.CIDR).Next()
	}
	return []nftables.SetElement{{Key: first.AsSlice()}, {Key: after.AsSlice(), IntervalEnd: true}}
}

// lastOf returns the last address of a range.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().As4()
	for i := p.Bits(); i < 32; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	return netip.AddrFrom4(b)
}

// portElements are an endpoint's entries of the ports map.
func portElements(e Endpoint) []nftables.SetElement {
	var all []nftables.SetElement
	for _, p := range e.Ports {
		key := append([]byte{protocolNumber(p.Protocol), 0, 0, 0}, padded(p.HostPort)...)
		val := append(e.Address.Addr().AsSlice(), padded(p.ContainerPort)...)
		all = append(all, nftables.SetElement{Key: key, Val: val})
	}
	return all
}

func padded(port uint16) []byte { return append(binaryutil.BigEndian.PutUint16(port), 0, 0) }

func protocolNumber(name string) byte {
	if name == "udp" {
		return unix.IPPROTO_UDP
	}
	return unix.IPPROTO_TCP
}

// publishPorts makes an endpoint's ports known to the host's table, in one
// transaction; unpublishPorts takes them back.
func (m *Linux) publishPorts(e Endpoint) error {
	if len(e.Ports) == 0 {
		return nil
	}
	add := func() error {
		return m.host.transact(func(c *nftables.Conn) error {
			return c.SetAddElements(hostPortsMap(ipv4Table(m.name.table)), portElements(e))
		})
	}
	err := add()
	if errors.Is(err, unix.ENOENT) {
		// Somebody has flushed all rules of the host: write ours anew.
		m.log.Warn("network: the host's nftables table is gone, it is written again", "table", m.name.table)
		m.mu.Lock()
		err = m.setHostRules()
		m.mu.Unlock()
		if err == nil {
			err = add()
		}
	}
	if err != nil {
		return fmt.Errorf("publish ports: %w", err)
	}
	return nil
}

func (m *Linux) unpublishPorts(e Endpoint) error {
	if len(e.Ports) == 0 {
		return nil
	}
	err := m.host.transact(func(c *nftables.Conn) error {
		return c.SetDeleteElements(hostPortsMap(ipv4Table(m.name.table)), portElements(e))
	})
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("unpublish ports: %w", err)
	}
	return nil
}
