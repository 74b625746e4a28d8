package network

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// bridgeID names the router of bridge mode among the VPCs. It is no file name
// that a VPC can have.
const bridgeID = "_bridge"

// uplinkName is the uplink's name inside a router.
const uplinkName = "up"

// egressGroup is the device group of endpoints that may use the uplink. One
// rule of the router tells them from the others, so that adding one needs no
// change of rules.
const egressGroup = 0xd0

// linkLocal is never forwarded: what is there (metadata, DNS) is inside each
// namespace, and the metadata service of the host's own cloud is not for tasks.
var linkLocal = netip.MustParsePrefix("169.254.0.0/16")

// vpc is a VPC with its router. Other hosts' tasks will be routed through a
// VXLAN device in the same namespace, next to the uplink.
type vpc struct {
	rec    vpcRecord
	router *space
	uplink int // its index in the router
	mtu    int

	gateways  map[netip.Addr]bool   // guarded by Linux.mu
	addresses map[netip.Addr]string // endpoint ids; guarded by Linux.mu
	next      netip.Addr            // where bridge mode looks for a free one; guarded by Linux.mu
}

// reachable tells whether the host has a route to the VPC.
func (v vpcRecord) reachable() bool { return v.Default || v.ID == bridgeID }

// hostAddress is the host's in a VPC that it reaches: the fourth, which AWS
// keeps for itself in every subnet.
func (v vpcRecord) hostAddress() netip.Addr { return plus(v.CIDR.Masked().Addr(), 3) }

func vpcFile(id string) (string, error) {
	if id == bridgeID {
		return id, nil
	}
	return fileName(id)
}

func (m *Linux) routerPath(file string) string { return filepath.Join(m.name.routerDir(), file) }

// makeRouter makes the namespace of a router, without its uplink.
func (m *Linux) makeRouter(path string, cidr netip.Prefix) error {
	return newSpace(int(m.home.Fd()), path, func(h *netlink.Handle) error {
		for _, s := range []struct {
			name, value string
			optional    bool
		}{
			{"ipv4/ip_forward", "1", false},
			{"ipv4/conf/all/proxy_arp", "1", false},
			// A task can send from its own address only: the reverse path
			// of any other is not by its device.
			{"ipv4/conf/all/rp_filter", "1", false},
			{"ipv4/conf/default/rp_filter", "1", false},
			{"ipv4/conf/all/send_redirects", "0", false},
			{"ipv4/conf/default/send_redirects", "0", false},
			{"ipv6/conf/all/disable_ipv6", "1", true},
			{"ipv6/conf/default/disable_ipv6", "1", true},
		} {
			if err := setSysctl(s.name, s.value, s.optional); err != nil {
				return err
			}
		}
		if err := h.LinkSetUp(device(loopbackIndex)); err != nil {
			return fmt.Errorf("bring up lo: %w", err)
		}
		// An address that no task has is answered at once, and does not go
		// around by the host.
		err := h.RouteAdd(&netlink.Route{Dst: ipNet(cidr.Masked()), Type: unix.RTN_UNREACHABLE})
		if err != nil {
			return fmt.Errorf("add the route to %s: %w", cidr, err)
		}
		return nil
	})
}

// openRouter opens a router's namespace and finds its uplink.
func (m *Linux) openRouter(rec vpcRecord, path string) (*vpc, error) {
	s, err := openSpace(path)
	if err != nil {
		return nil, err
	}
	link, err := s.nl.LinkByName(uplinkName)
	if err != nil {
		s.close()
		return nil, fmt.Errorf("find the router's uplink: %w", err)
	}
	return &vpc{
		rec: rec, router: s, uplink: link.Attrs().Index, mtu: m.mtu,
		gateways:  map[netip.Addr]bool{rec.Link: true},
		addresses: map[netip.Addr]string{},
	}, nil
}

// setRouterRules writes the router's table. The maps ingress and egress are
// for security groups: an address's verdict, else all of its VPC may pass.
func (m *Linux) setRouterRules(router *space, rec vpcRecord) error {
	return router.transact(func(c *nftables.Conn) error {
		t := newTable(c, m.name.table)
		ingress := &nftables.Set{Table: t, ID: 1, Name: "ingress", IsMap: true, KeyType: nftables.TypeIPAddr, DataType: nftables.TypeVerdict}
		egress := &nftables.Set{Table: t, ID: 2, Name: "egress", IsMap: true, KeyType: nftables.TypeIPAddr, DataType: nftables.TypeVerdict}
		for _, s := range []*nftables.Set{ingress, egress} {
			if err := c.AddSet(s, nil); err != nil {
				return err
			}
		}
		forward := c.AddChain(baseChain(t, "forward", nftables.ChainTypeFilter, nftables.ChainHookForward, nftables.ChainPriorityFilter))
		for _, rule := range [][]expr.Any{
			join(established, accept),
			join(to(expr.CmpOpEq, linkLocal), drop),
			join(outDevice(expr.CmpOpEq, uplinkName, true), inGroup(expr.CmpOpNeq, egressGroup), drop),
			verdictOf(sourceOffset, egress),
			verdictOf(destinationOffset, ingress),
		} {
			c.AddRule(&nftables.Rule{Table: t, Chain: forward, Exprs: rule})
		}
		if !rec.reachable() {
			// The host does not know this range, which others may have too.
			post := c.AddChain(baseChain(t, "postrouting", nftables.ChainTypeNAT, nftables.ChainHookPostrouting, nftables.ChainPriorityNATSource))
			c.AddRule(&nftables.Rule{Table: t, Chain: post, Exprs: join(outDevice(expr.CmpOpEq, uplinkName, true), masquerade)})
		}
		return nil
	})
}

// addGateway gives the router the first address of a subnet.
func (m *Linux) addGateway(v *vpc, gw netip.Addr) error {
	m.mu.Lock()
	have := v.gateways[gw]
	m.mu.Unlock()
	if have {
		return nil
	}
	if err := addAddress(v.router.nl, loopbackIndex, netip.PrefixFrom(gw, 32)); err != nil {
		return err
	}
	m.mu.Lock()
	v.gateways[gw] = true
	m.mu.Unlock()
	return nil
}

// dropRoute takes an address's route out of the router: nothing reaches it,
// even if its namespace lives on in a process that will not end.
func (v *vpc) dropRoute(a netip.Addr) error {
	err := v.router.nl.RouteDel(&netlink.Route{Dst: hostNet(a), Scope: netlink.SCOPE_LINK})
	if err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("remove the route to %s: %w", a, err)
	}
	return nil
}
