package network

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// The hardware addresses of router ports and uplinks. Each is one end of a
// cable of its own, so all may be alike; that they are known beforehand lets
// both ends have permanent neighbour entries, and no packet waits for ARP.
var (
	routerMAC = net.HardwareAddr{0x0a, 0xd0, 0, 0, 0, 1} // a router's side of a task's veth
	uplinkMAC = net.HardwareAddr{0x0a, 0xd0, 0, 0, 0, 2} // a router's side of its uplink
	hostMAC   = net.HardwareAddr{0x0a, 0xd0, 0, 0, 0, 3} // the host's side of it
)

// DefaultMAC is the hardware address of an endpoint that was given none.
func DefaultMAC(a netip.Addr) net.HardwareAddr {
	b := a.As4()
	return net.HardwareAddr{0x0a, 0x58, b[0], b[1], b[2], b[3]}
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), 32)}
}

func hostNet(a netip.Addr) *net.IPNet { return ipNet(netip.PrefixFrom(a, 32)) }

// device is enough of a link for calls that look at the index alone.
func device(index int) netlink.Link {
	return &netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: index}}
}

// addAddress gives a device an address without the route to its subnet: all
// goes by the router.
func addAddress(h *netlink.Handle, index int, p netip.Prefix) error {
	a := &netlink.Addr{IPNet: ipNet(p), Flags: unix.IFA_F_NOPREFIXROUTE}
	if linkLocal.Contains(p.Addr()) && index == loopbackIndex {
		a.Scope = unix.RT_SCOPE_HOST // never the source of a packet that leaves
	}
	err := h.AddrAdd(device(index), a)
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("add address %s: %w", p, err)
	}
	return nil
}

// addNeighbour tells a device the hardware address of its other end.
func addNeighbour(h *netlink.Handle, index int, a netip.Addr, mac net.HardwareAddr) error {
	err := h.NeighSet(&netlink.Neigh{
		LinkIndex: index, Family: unix.AF_INET, State: netlink.NUD_PERMANENT,
		IP: a.AsSlice(), HardwareAddr: mac,
	})
	if err != nil {
		return fmt.Errorf("add neighbour %s: %w", a, err)
	}
	return nil
}

// waitUp returns when a device passes packets. Of a veth's ends, the one that
// was brought up first is told by the kernel's link watcher, some time after
// the second came up; what it should send until then is lost, and a lost SYN
// costs a second.
func waitUp(h *netlink.Handle, index int) error {
	for pause := 50 * time.Microsecond; ; pause *= 2 {
		link, err := h.LinkByIndex(index)
		if err != nil {
			return fmt.Errorf("find the veth: %w", err)
		}
		if link.Attrs().OperState == netlink.OperUp {
			return nil
		}
		if pause > 500*time.Millisecond {
			return fmt.Errorf("device %s does not come up (it is %s)", link.Attrs().Name, link.Attrs().OperState)
		}
		time.Sleep(pause)
	}
}

// loopbackIndex is lo's in every namespace.
const loopbackIndex = 1

// setUpInside brings up lo and its link addresses in a new task namespace and,
// if there is an eth0, its address and the way to the router. It runs inside.
func setUpInside(h *netlink.Handle, e *Endpoint) error {
	if err := h.LinkSetUp(device(loopbackIndex)); err != nil {
		return fmt.Errorf("bring up lo: %w", err)
	}
	for _, a := range LinkAddresses {
		if err := addAddress(h, loopbackIndex, netip.PrefixFrom(a, 32)); err != nil {
			return err
		}
	}
	// As in Docker: any user may ping and bind low ports, it is their namespace.
	if err := setSysctl("ipv4/ping_group_range", "0 2147483647", true); err != nil {
		return err
	}
	if err := setSysctl("ipv4/ip_unprivileged_port_start", "0", true); err != nil {
		return err
	}
	if e.Mode == None {
		return nil
	}
	link, err := h.LinkByName("eth0")
	if err != nil {
		return fmt.Errorf("find eth0: %w", err)
	}
	eth0 := link.Attrs().Index
	if err := addAddress(h, eth0, e.Address); err != nil {
		return err
	}
	if err := h.LinkSetUp(device(eth0)); err != nil {
		return fmt.Errorf("bring up eth0: %w", err)
	}
	gw := gateway(e.Address)
	if err := addNeighbour(h, eth0, gw, routerMAC); err != nil {
		return err
	}
	err = h.RouteAdd(&netlink.Route{LinkIndex: eth0, Gw: gw.AsSlice(), Flags: int(netlink.FLAG_ONLINK)})
	if err != nil {
		return fmt.Errorf("add the default route by %s: %w", gw, err)
	}
	return nil
}

// gateway is the router's address in a subnet: the first, as in AWS.
func gateway(p netip.Prefix) netip.Addr { return p.Masked().Addr().Next() }
