package cluster

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/dhowhq/dhow/store"
)

// DefaultVPC is the id of a scope's default VPC; it depends on the scope alone.
func DefaultVPC(s Scope) string { return hashID("vpc", 17, "vpc", s.Account, s.Region) }

// DefaultSubnets are the ids of the default VPC's subnets in the zones a, b, c.
func DefaultSubnets(s Scope) []string {
	var ids []string
	for _, z := range defaultZones {
		ids = append(ids, hashID("subnet", 17, "subnet", s.Account, s.Region, z))
	}
	return ids
}

// DefaultSecurityGroup is the id of the default VPC's default security group.
func DefaultSecurityGroup(s Scope) string { return hashID("sg", 17, "sg", s.Account, s.Region) }

var defaultZones = []string{"a", "b", "c"}

// EnsureDefaultVPC makes the scope's default VPC, its three subnets and its
// default security group if they are missing. cidr is the range that all
// default VPCs of the platform share, a /24 or larger; each subnet is a
// sixteenth of it, as AWS cuts a /16 into /20s.
func EnsureDefaultVPC(ctx context.Context, db *store.DB, s Scope, cidr netip.Prefix) error {
	there := false
	if err := db.View(func(r store.Reader) error {
		_, there = VPCs.Get(r, s.Key(DefaultVPC(s)))
		return nil
	}); err != nil || there {
		return err
	}
	if !cidr.Addr().Is4() || cidr.Bits() > 24 {
		return fmt.Errorf("default VPC: %v is no IPv4 range of /24 or larger", cidr)
	}
	return db.Update(ctx, func(tx *store.Tx) error { return putDefaultVPC(tx, s, cidr.Masked()) })
}

func putDefaultVPC(tx *store.Tx, s Scope, cidr netip.Prefix) error {
	vpc := VPC{Scope: s, ID: DefaultVPC(s), CIDR: cidr.String(), Network: DefaultNetwork, Default: true}
	if _, ok := VPCs.Get(tx, s.Key(vpc.ID)); ok {
		return nil
	}
	if err := VPCs.Put(tx, vpc); err != nil {
		return err
	}
	for i, id := range DefaultSubnets(s) {
		n := Subnet{Scope: s, ID: id, VPC: vpc.ID, Network: DefaultNetwork, Default: true,
			CIDR: slice(cidr, 4, i).String(), Zone: s.Region + defaultZones[i]}
		if err := Subnets.Put(tx, n); err != nil {
			return err
		}
	}
	return SecurityGroups.Put(tx, SecurityGroup{Scope: s, ID: DefaultSecurityGroup(s), VPC: vpc.ID,
		Name: "default", Description: "default VPC security group"})
}

// slice is the i-th of the equal parts of p whose prefix is bits longer.
func slice(p netip.Prefix, bits, i int) netip.Prefix {
	a := p.Addr().As4()
	n := uint32(a[0])<<24 | uint32(a[1])<<16 | uint32(a[2])<<8 | uint32(a[3])
	n += uint32(i) << (32 - p.Bits() - bits)
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}), p.Bits()+bits)
}
