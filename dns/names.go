package dns

import (
	"net/netip"
	"strings"
)

// built answers the names that have their address in them: localhost (RFC
// 6761), and EC2's private names of addresses, ip-10-0-1-5.ec2.internal in
// us-east-1 and ip-10-0-1-5.REGION.compute.internal elsewhere.
func built(name string) ([]netip.Addr, bool) {
	if name == "localhost" || strings.HasSuffix(name, ".localhost") && zoneOf(name) == "" {
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}, true
	}
	label, domain, _ := strings.Cut(name, ".")
	region, compute := strings.CutSuffix(domain, ".compute.internal")
	if domain != "ec2.internal" && (!compute || region == "" || strings.Contains(region, ".")) {
		return nil, false
	}
	digits, ok := strings.CutPrefix(label, "ip-")
	if !ok {
		return nil, false
	}
	a, err := netip.ParseAddr(strings.ReplaceAll(digits, "-", "."))
	if err != nil || !a.Is4() {
		return nil, false
	}
	return []netip.Addr{a}, true
}
