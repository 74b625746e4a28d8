package network

import (
	"fmt"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// forgetFlows ends what conntrack knows of an endpoint's UDP host ports: a
// client that keeps sending would for ever be led to where the port led when
// it began. TCP needs no such thing, its connections end with their sockets.
func (m *Linux) forgetFlows(e Endpoint) {
	var filters []netlink.CustomConntrackFilter
	for _, p := range e.Ports {
		if p.Protocol != "udp" {
			continue
		}
		f := &netlink.ConntrackFilter{}
		if err := f.AddProtocol(unix.IPPROTO_UDP); err != nil {
			panic(err) // of a new filter: cannot be
		}
		if err := f.AddPort(netlink.ConntrackOrigDstPort, p.HostPort); err != nil {
			panic(err) // of one with a protocol that has ports: cannot be
		}
		filters = append(filters, f)
	}
	if len(filters) == 0 {
		return
	}
	err := m.deleteFlows(filters)
	if err != nil {
		m.log.Warn("network: UDP clients may go on to an earlier endpoint for half a minute", "endpoint", e.ID, "err", err)
	}
}

func (m *Linux) deleteFlows(filters []netlink.CustomConntrackFilter) error {
	h, err := netlink.NewHandleAt(netns.NsHandle(m.host.fd()), unix.NETLINK_NETFILTER)
	if err != nil {
		return fmt.Errorf("open a conntrack socket: %w", err)
	}
	defer h.Close()
	_, err = h.ConntrackDeleteFilters(netlink.ConntrackTable, unix.AF_INET, filters...)
	return err
}
