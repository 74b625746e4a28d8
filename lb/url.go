package lb

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/dhowhq/dhow/store"
)

// URL is one at which a program on this host reaches the load balancer as it
// stands. Where the listener is open at the load balancer's own address that
// is it, since *.localhost does not resolve everywhere; else the name on the
// API's port. Port 0 means the listener that Match chooses. It is "" for a load
// balancer that is not there or has no such listener.
func (e *Engine) URL(arn string, port int32) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	b := e.byARN(arn)
	if b == nil {
		return ""
	}
	l := b.listeners[port]
	if port == 0 {
		l = b.first()
	}
	if l == nil {
		return ""
	}
	if a, err := netip.ParseAddr(b.row.Address); err == nil && e.fronts[netip.AddrPortFrom(a, uint16(l.port))] != nil {
		return "http://" + withPort(b.row.Address, l.port) + "/"
	}
	host := b.row.DNSName()
	if l != b.first() {
		return "http://" + withPort(host, l.port) + "/" // at the shared address
	}
	if _, api, err := net.SplitHostPort(e.cfg.API); err == nil && api != "80" {
		host = net.JoinHostPort(host, api)
	}
	return "http://" + host + "/"
}

// InsideURL is one at which a program in a task reaches the load balancer's
// listener on port.
func (b LoadBalancer) InsideURL(port int32) string {
	return "http://" + withPort(b.InsideName(), port) + "/"
}

func withPort(host string, port int32) string {
	if port == 80 {
		return host
	}
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}

// byARN returns the load balancer of that ARN, nil if there is none; e.mu is
// held.
func (e *Engine) byARN(arn string) *balancer {
	kind, name, _ := nameOf(arn)
	b := e.balancers[scopeOf(arn).Key(name)]
	if kind != "loadbalancer" || b == nil || b.row.ARN() != arn {
		return nil
	}
	return b
}

// State returns a load balancer's state, provisioning or active, and in reason
// what is wrong with it: listeners that are not open at its address. It is
// active all the same, since the API's port reaches it.
func (e *Engine) State(arn string) (state, reason string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	b := e.byARN(arn)
	if b == nil {
		return "provisioning", ""
	}
	var all []string
	for port, why := range b.problems {
		all = append(all, fmt.Sprintf("listener on port %d: %s", port, why))
	}
	slices.Sort(all)
	return "active", strings.Join(all, "; ")
}

// Addresses returns where a name of a load balancer points to inside tasks:
// the extra addresses that listeners are open at. It is for DNS.
func (e *Engine) Addresses(name string) (addrs []netip.Addr, found bool) {
	label, ok := labelOf(name)
	if !ok {
		return nil, false
	}
	if _, ok := e.labels.Load(label); !ok {
		return nil, false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.extra), true
}

// FindByName returns the load balancer that has the DNS name given.
func FindByName(r store.Reader, name string) (LoadBalancer, bool) {
	if label, ok := labelOf(name); ok {
		for b := range LoadBalancers.By(r, "host", label) {
			return b, true
		}
	}
	return LoadBalancer{}, false
}
