package network

import (
	"bytes"
	"fmt"
	"net/netip"
)

// CheckVPC tells what is wrong with a VPC, whatever the Manager. It holds the
// rule of CreateVpc: an IPv4 block of /16 to /28.
func CheckVPC(v VPC) error {
	if _, err := fileName(v.ID); err != nil {
		return err
	}
	if !v.CIDR.IsValid() || !v.CIDR.Addr().Is4() || v.CIDR.Bits() < 16 || v.CIDR.Bits() > 28 || v.CIDR != v.CIDR.Masked() {
		return fmt.Errorf("network: VPC %s: CIDR block %s must be an IPv4 range of /16 to /28, such as 10.0.0.0/16", v.ID, v.CIDR)
	}
	return nil
}

// CheckAddress tells whether an endpoint may have an address in v. The first
// four of a VPC and the first of each subnet are the router's and the host's,
// as in AWS.
func CheckAddress(v VPC, p netip.Prefix) error {
	a := p.Addr()
	if !v.CIDR.Contains(a) {
		return fmt.Errorf("address %s is not in VPC %s, which is %s", p, v.ID, v.CIDR)
	}
	if a == gateway(p) || a.Less(plus(v.CIDR.Masked().Addr(), 4)) {
		return fmt.Errorf("address %s is the router's or the host's: the first four of a subnet are reserved", p)
	}
	return nil
}

// CheckEndpoint tells what is wrong with an endpoint to add, whatever the
// Manager.
func CheckEndpoint(e Endpoint) error {
	if _, err := fileName(e.ID); err != nil {
		return err
	}
	bad := func(format string, args ...any) error {
		return fmt.Errorf("network: endpoint "+e.ID+": "+format, args...)
	}
	if e.Mode != Bridge && len(e.Ports) > 0 {
		return bad("ports are published in bridge mode only")
	}
	if e.Mode != AWSVPC && (e.VPC != "" || e.Address.IsValid() || e.MAC != nil) {
		return bad("a VPC, address or MAC is for awsvpc mode only, the mode is %s", e.Mode)
	}
	switch e.Mode {
	case AWSVPC:
		if e.VPC == "" {
			return bad("no VPC given")
		}
		if !e.Address.IsValid() || !e.Address.Addr().Is4() || e.Address.Bits() > 28 {
			return bad("address %s must be an IPv4 address with its subnet's length, such as 10.0.1.5/24", e.Address)
		}
		if len(e.MAC) != 0 && (len(e.MAC) != 6 || e.MAC[0]&1 != 0) {
			return bad("MAC %s is not that of a single device", e.MAC)
		}
	case Bridge:
		for i, p := range e.Ports {
			if p.Protocol != "tcp" && p.Protocol != "udp" {
				return bad("port protocol %q must be tcp or udp", p.Protocol)
			}
			if p.ContainerPort == 0 {
				return bad("a container port must be 1 to 65535")
			}
			for _, other := range e.Ports[:i] {
				if p.HostPort != 0 && p.HostPort == other.HostPort && p.Protocol == other.Protocol {
					return bad("port %d/%s is published twice: %w", p.HostPort, p.Protocol, ErrPortTaken)
				}
			}
		}
	case None:
		if e.Egress {
			return bad("none mode has no way out")
		}
	case Host:
		return bad("host mode has no endpoint of its own")
	default:
		return bad("mode %q must be awsvpc, bridge or none", e.Mode)
	}
	return nil
}

// SameEndpoint tells whether adding e asks for what have is already: ports and
// addresses that e leaves open may be any.
func SameEndpoint(have, e Endpoint) bool {
	if have.Mode != e.Mode || have.VPC != e.VPC || have.Egress != e.Egress || len(have.Ports) != len(e.Ports) {
		return false
	}
	if e.Address.IsValid() && have.Address != e.Address || e.MAC != nil && !bytes.Equal(have.MAC, e.MAC) {
		return false
	}
	for i, p := range e.Ports {
		h := have.Ports[i]
		if h.Protocol != p.Protocol || h.ContainerPort != p.ContainerPort || p.HostPort != 0 && h.HostPort != p.HostPort {
			return false
		}
	}
	return true
}
