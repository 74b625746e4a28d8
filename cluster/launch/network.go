package launch

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
)

// network is where the tasks' interfaces go; empty but for awsvpc.
type network struct {
	subnets []cluster.Subnet
	groups  []string
	public  bool
	turn    int // index of the first task's subnet
}

// CheckNetwork checks a network configuration against a definition's network
// mode and the VPCs that exist. Errors are *Invalid, in AWS's words.
func CheckNetwork(r store.Reader, s cluster.Scope, lt types.LaunchType, mode types.NetworkMode, c *types.NetworkConfiguration) error {
	_, err := findNetwork(r, s, lt, mode, c)
	return err
}

func findNetwork(r store.Reader, s cluster.Scope, lt types.LaunchType, mode types.NetworkMode, c *types.NetworkConfiguration) (network, error) {
	given := c != nil && c.AwsvpcConfiguration != nil
	switch {
	case mode == types.NetworkModeAwsvpc && !given:
		return network{}, &Invalid{"Network Configuration must be provided when networkMode 'awsvpc' is specified."}
	case mode != types.NetworkModeAwsvpc && given:
		return network{}, &Invalid{"Network Configuration is not valid for the given networkMode of this task definition."}
	case !given:
		return network{}, nil
	}
	v := c.AwsvpcConfiguration
	switch {
	case len(v.Subnets) == 0:
		return network{}, &Invalid{"subnets can not be empty."}
	case len(v.Subnets) > 16:
		return network{}, &Invalid{"subnets can have at most 16 items."}
	case len(v.SecurityGroups) > 5:
		return network{}, &Invalid{"securityGroups can have at most 5 items."}
	case v.AssignPublicIp == types.AssignPublicIpEnabled && lt != types.LaunchTypeFargate:
		return network{}, &Invalid{"Assign public IP is not supported for this launch type."}
	}
	n := network{public: v.AssignPublicIp == types.AssignPublicIpEnabled, turn: rand.IntN(len(v.Subnets))}
	for _, id := range v.Subnets {
		sub, ok := cluster.Subnets.Get(r, s.Key(id))
		if !ok {
			return n, &Invalid{fmt.Sprintf("Error retrieving subnet information for [%s]: The subnet ID '%s' does not exist", id, id)}
		}
		if len(n.subnets) > 0 && n.subnets[0].VPC != sub.VPC {
			return n, &Invalid{fmt.Sprintf("Subnets %s and %s belong to different VPCs.", n.subnets[0].ID, id)}
		}
		n.subnets = append(n.subnets, sub)
	}
	vpc := n.subnets[0].VPC
	for _, id := range v.SecurityGroups {
		g, ok := cluster.SecurityGroups.Get(r, s.Key(id))
		if !ok {
			return n, &Invalid{fmt.Sprintf("Error retrieving security group information for [%s]: The security group '%s' does not exist", id, id)}
		}
		if g.VPC != vpc {
			return n, &Invalid{fmt.Sprintf("Security group %s and subnet %s belong to different networks.", id, n.subnets[0].ID)}
		}
	}
	n.groups = v.SecurityGroups
	if len(n.groups) == 0 {
		for g := range cluster.SecurityGroups.List(r, s.Prefix()) {
			if g.VPC == vpc && g.Name == "default" {
				n.groups = []string{g.ID}
			}
		}
	}
	return n, nil
}

// The first four addresses of a subnet and its last are nobody's, as on AWS.
const (
	firstHost = 4
	reserved  = firstHost + 1
)

// allocate finds a free address of the subnet, from a random one on so that
// concurrent transactions seldom meet. The caller puts the row: who puts it
// first has the address.
func allocate(tx *store.Tx, s cluster.Subnet, n network) (cluster.Interface, bool) {
	p, err := netip.ParsePrefix(s.CIDR)
	if err != nil || !p.Addr().Is4() || p.Bits() > 29 {
		return cluster.Interface{}, false
	}
	hosts := 1<<(32-p.Bits()) - reserved
	from := rand.IntN(hosts)
	for i := range hosts {
		a := nth(p, firstHost+(from+i)%hosts)
		key := s.Network + "/" + a.String()
		// Peeked at first: got rows are checked at the commit, and the rows of a
		// full subnet are more than can be.
		if _, taken := peek(tx, cluster.Interfaces, key, func(i cluster.Interface) bool { return i.Key() == key }); taken {
			continue
		}
		if _, taken := cluster.Interfaces.Get(tx, key); taken {
			continue
		}
		b := a.As4()
		return cluster.Interface{
			Scope: s.Scope, ID: "eni-" + cluster.NewID()[:17], Attachment: cluster.NewUUID(),
			Network: s.Network, Address: a.String(), MAC: mac(b),
			Subnet: s.ID, VPC: s.VPC, SubnetCIDR: s.CIDR, Zone: s.Zone, Groups: slices.Clone(n.groups),
			PrivateDNS: privateDNS(s.Region, a), AssignPublic: n.public, CreatedAt: time.Now().UTC(),
		}, true
	}
	return cluster.Interface{}, false
}

func nth(p netip.Prefix, i int) netip.Addr {
	a := p.Masked().Addr().As4()
	n := uint32(a[0])<<24 | uint32(a[1])<<16 | uint32(a[2])<<8 | uint32(a[3])
	n += uint32(i)
	return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
}

// mac is a locally administered address, one to one with the IP address.
func mac(ip [4]byte) string {
	h := hex.EncodeToString(append([]byte{0x0a, 0x58}, ip[:]...))
	return strings.Join([]string{h[0:2], h[2:4], h[4:6], h[6:8], h[8:10], h[10:12]}, ":")
}

func privateDNS(region string, a netip.Addr) string {
	name := "ip-" + strings.ReplaceAll(a.String(), ".", "-")
	if region == "us-east-1" {
		return name + ".ec2.internal"
	}
	return name + "." + region + ".compute.internal"
}
