package network

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// ChooseCIDR returns a /16 for a default VPC that overlaps none of taken: the
// range that AWS uses if it is free, else another private one. taken are the
// host's routes and the ranges already given away; default routes do not
// count. It is pure, so keep what it chose: asked again, it sees its own route.
func ChooseCIDR(taken []netip.Prefix) (netip.Prefix, error) {
	candidates := []netip.Prefix{DefaultCIDR}
	for i := 30; i >= 16; i-- {
		candidates = append(candidates, slash16(172, byte(i)))
	}
	for i := 255; i >= 0; i-- { // low tens are what people's own networks use
		candidates = append(candidates, slash16(10, byte(i)))
	}
	return firstFree(candidates, taken)
}

// chooseBridgeCIDR returns the range of the bridge router. It keeps out of the
// way of ChooseCIDR's first choices.
func chooseBridgeCIDR(taken []netip.Prefix) (netip.Prefix, error) {
	var candidates []netip.Prefix
	for i := 17; i <= 29; i++ {
		candidates = append(candidates, slash16(172, byte(i)))
	}
	for i := 200; i <= 250; i++ {
		candidates = append(candidates, slash16(10, byte(i)))
	}
	return firstFree(candidates, taken)
}

func slash16(a, b byte) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{a, b}), 16)
}

// shortest is the length from which a route is to a network. Shorter ones are
// default routes, which VPNs like to give in halves.
const shortest = 8

func firstFree(candidates, taken []netip.Prefix) (netip.Prefix, error) {
next:
	for _, c := range candidates {
		for _, t := range taken {
			if t.Bits() >= shortest && t.Overlaps(c) {
				continue next
			}
		}
		return c, nil
	}
	return netip.Prefix{}, fmt.Errorf("network: the host routes every private range; give the VPC a CIDR block that it does not")
}

// HostRoutes returns the destinations of the host's IPv4 routes.
func HostRoutes() ([]netip.Prefix, error) {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("network: list routes: %w", err)
	}
	defer h.Close()
	return routesOf(h)
}

func routesOf(h *netlink.Handle) ([]netip.Prefix, error) {
	routes, err := h.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		return nil, fmt.Errorf("network: list routes: %w", err)
	}
	var all []netip.Prefix
	for _, r := range routes {
		if r.Dst == nil {
			continue
		}
		if a, ok := netip.AddrFromSlice(r.Dst.IP.To4()); ok {
			ones, _ := r.Dst.Mask.Size()
			all = append(all, netip.PrefixFrom(a, ones))
		}
	}
	return all, nil
}

// uplinkMTU is the MTU of the device of the host's default route: packets of
// that size get out without fragments.
func uplinkMTU(host *space) (int, error) {
	routes, err := host.nl.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		return 0, fmt.Errorf("list routes: %w", err)
	}
	for _, r := range routes {
		if r.Dst != nil && !r.Dst.IP.IsUnspecified() {
			continue
		}
		if link, err := host.nl.LinkByIndex(r.LinkIndex); err == nil && link.Attrs().MTU >= 576 {
			return min(link.Attrs().MTU, 9001), nil
		}
	}
	return 1500, nil
}

// plus returns the address n after a.
func plus(a netip.Addr, n int) netip.Addr {
	for range n {
		a = a.Next()
	}
	return a
}

// addrOf returns the address of a /32.
func addrOf(n *net.IPNet) (netip.Addr, bool) {
	if ones, bits := n.Mask.Size(); ones != 32 || bits != 32 {
		return netip.Addr{}, false
	}
	return netip.AddrFromSlice(n.IP.To4())
}
