package network

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// maxUplinks bounds the devices of one data directory on the host, and the
// link addresses of all of them: 169.254.128.0 to 169.254.159.255.
const maxUplinks = 8192

// farHost is where a router whose range the host does not know sends what goes
// out. No device has this address; a permanent neighbour entry leads to the
// host.
var farHost = netip.MustParseAddr("169.254.160.1")

// addUplink joins a router to the host and returns the record completed.
func (m *Linux) addUplink(rec vpcRecord, routerPath string) (vpcRecord, error) {
	router, err := openSpace(routerPath)
	if err != nil {
		return rec, err
	}
	defer router.close()

	index := 0
	for n := 0; ; n++ {
		rec.Device = m.name.device + strconv.FormatInt(int64(n), 36)
		veth := &netlink.Veth{
			LinkAttrs:        netlink.LinkAttrs{Name: rec.Device, HardwareAddr: hostMAC, MTU: m.mtu, TxQLen: -1},
			PeerName:         uplinkName,
			PeerHardwareAddr: uplinkMAC,
			PeerNamespace:    netlink.NsFd(router.fd()),
			PeerTxQLen:       -1,
		}
		err := m.host.nl.LinkAdd(veth)
		if errors.Is(err, unix.EEXIST) && n < maxUplinks {
			continue
		}
		if err != nil {
			return rec, fmt.Errorf("make the uplink: %w", err)
		}
		index = veth.Index
		break
	}
	rec, err = m.setUpUplink(rec, router, index)
	if err != nil {
		m.host.nl.LinkDel(device(index))
	}
	return rec, err
}

// setUpUplink gives both ends of an uplink their addresses and routes.
func (m *Linux) setUpUplink(rec vpcRecord, router *space, index int) (vpcRecord, error) {
	err := within(int(m.home.Fd()), m.host.fd(), func() error {
		// Replies to what 127.0.0.1 sent to a published port come in here.
		// The table's input chain refuses all else that is for 127.0.0.0/8.
		if rec.ID == bridgeID {
			if err := setSysctl("ipv4/conf/"+rec.Device+"/route_localnet", "1", false); err != nil {
				return err
			}
		}
		if err := setSysctl("ipv4/conf/"+rec.Device+"/send_redirects", "0", false); err != nil {
			return err
		}
		return setSysctl("ipv6/conf/"+rec.Device+"/disable_ipv6", "1", true)
	})
	if err != nil {
		return rec, fmt.Errorf("set up the uplink: %w", err)
	}
	// An alias is what others on this host can tell its owner by.
	if err := m.host.nl.LinkSetAlias(device(index), m.cfg.DataDir[:min(len(m.cfg.DataDir), maxAlias)]); err != nil {
		return rec, fmt.Errorf("name the uplink's owner: %w", err)
	}
	if err := m.host.nl.LinkSetUp(device(index)); err != nil {
		return rec, fmt.Errorf("bring up the uplink: %w", err)
	}
	peer, err := router.nl.LinkByName(uplinkName)
	if err != nil {
		return rec, fmt.Errorf("find the uplink in the router: %w", err)
	}
	up := peer.Attrs().Index
	if err := router.nl.LinkSetUp(device(up)); err != nil {
		return rec, fmt.Errorf("bring up the uplink in the router: %w", err)
	}
	if err := waitUp(m.host.nl, index); err != nil {
		return rec, err
	}

	far := farHost
	if rec.reachable() {
		far = rec.hostAddress()
		rec.Link = gateway(rec.CIDR)
		err = m.routeVPC(rec, index)
	} else {
		rec.Link, err = m.routeLink(index)
	}
	if err != nil {
		return rec, err
	}
	if err := addAddress(router.nl, up, netip.PrefixFrom(rec.Link, 32)); err != nil {
		return rec, err
	}
	if err := addNeighbour(router.nl, up, far, hostMAC); err != nil {
		return rec, err
	}
	if err := router.nl.RouteAdd(&netlink.Route{LinkIndex: up, Dst: hostNet(far), Scope: netlink.SCOPE_LINK}); err != nil {
		return rec, fmt.Errorf("add the router's route to the host: %w", err)
	}
	err = router.nl.RouteAdd(&netlink.Route{LinkIndex: up, Gw: far.AsSlice()})
	if err != nil {
		return rec, fmt.Errorf("add the router's default route: %w", err)
	}
	return rec, nil
}

// routeVPC gives the host an address in the VPC and the route to it.
func (m *Linux) routeVPC(rec vpcRecord, index int) error {
	if err := addAddress(m.host.nl, index, netip.PrefixFrom(rec.hostAddress(), 32)); err != nil {
		return err
	}
	if err := addNeighbour(m.host.nl, index, rec.Link, uplinkMAC); err != nil {
		return err
	}
	err := m.host.nl.RouteAdd(&netlink.Route{
		LinkIndex: index, Dst: ipNet(rec.CIDR.Masked()), Gw: rec.Link.AsSlice(), Src: rec.hostAddress().AsSlice(),
		Flags: int(netlink.FLAG_ONLINK),
	})
	if errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("%s: %w", routed(rec.CIDR, m.whose(rec.CIDR)), ErrConflict)
	}
	if err != nil {
		return fmt.Errorf("add the host's route to %s: %w", rec.CIDR, err)
	}
	return nil
}

// routed says what to do about a range that the host routes for somebody else.
func routed(cidr netip.Prefix, whose string) string {
	return fmt.Sprintf("the host has a route to %s already, %s: take that away (what a dhow has, by dhow down --data-dir DIR), or start this dhow with a new --data-dir, for which a range is chosen that the host does not route (see `ip route`)", cidr, cmp.Or(whose, "whose is not known"))
}

// whose says whom the host's route into a range is of, if not of this manager; "":
// there is none.
func (m *Linux) whose(cidr netip.Prefix) string {
	routes, err := m.host.nl.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		return ""
	}
	for _, r := range routes {
		if r.Dst == nil {
			continue
		}
		a, _ := netip.AddrFromSlice(r.Dst.IP.To4())
		ones, _ := r.Dst.Mask.Size()
		if ones < shortest || !netip.PrefixFrom(a, ones).Overlaps(cidr) {
			continue
		}
		link, err := m.host.nl.LinkByIndex(r.LinkIndex)
		if err != nil || strings.HasPrefix(link.Attrs().Name, m.name.device) {
			continue
		}
		if name := link.Attrs().Name; dhowDevice.MatchString(name) {
			return "which another dhow on this machine made (device " + name + owner(name, link.Attrs().Alias) + ")"
		}
		return "by the device " + link.Attrs().Name + ", which is not dhow's"
	}
	return ""
}

// maxAlias is how long the kernel lets a device's alias be, in bytes.
const maxAlias = 255

// owner says which data directory a dhow's device is of, as far as that is told.
func owner(name, dir string) string {
	if dir == "" {
		return ""
	}
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) && len(dir) < maxAlias {
		return " of " + dir + ", which is gone: ip link delete " + name
	}
	return " of " + dir
}

// dhowDevice is what the devices of any dhow are called; see names.
var dhowDevice = regexp.MustCompile(`^dh[0-9a-f]{8}`)

// Taken says in a sentence why a range cannot be one that the host reaches, and what
// to do: the host routes it for somebody else. "": it does not.
func (m *Linux) Taken(cidr netip.Prefix) string {
	if whose := m.whose(cidr); whose != "" {
		return routed(cidr, whose)
	}
	return ""
}

// routeLink finds a link address that no other router of this host has: the
// route to it is added only if there is none.
func (m *Linux) routeLink(index int) (netip.Addr, error) {
	for n := range maxUplinks {
		a := netip.AddrFrom4([4]byte{169, 254, byte(128 + n>>8), byte(n)})
		err := m.host.nl.RouteAdd(&netlink.Route{LinkIndex: index, Dst: hostNet(a), Scope: netlink.SCOPE_LINK})
		if errors.Is(err, unix.EEXIST) {
			continue
		}
		if err != nil {
			return a, fmt.Errorf("add the host's route to %s: %w", a, err)
		}
		return a, addNeighbour(m.host.nl, index, a, uplinkMAC)
	}
	return netip.Addr{}, fmt.Errorf("all %d link addresses are taken: remove VPCs that are not used", maxUplinks)
}

// removeUplink takes away the host's side, and the router's with it.
func (m *Linux) removeUplink(rec vpcRecord) error {
	link, err := m.host.nl.LinkByName(rec.Device)
	if err == nil {
		err = m.host.nl.LinkDel(link)
	}
	var gone netlink.LinkNotFoundError
	if errors.As(err, &gone) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove the uplink %s: %w", rec.Device, err)
	}
	return nil
}
