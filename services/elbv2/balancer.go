package elbv2

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/lb"
	"github.com/dhowhq/dhow/store"
)

// CreateLoadBalancer makes an application load balancer. A call that asks for
// what is there already returns it.
func (a *API) CreateLoadBalancer(ctx context.Context, in *elb.CreateLoadBalancerInput) (*elb.CreateLoadBalancerOutput, error) {
	name := deref(in.Name)
	if err := checkName("The load balancer name", name); err != nil {
		return nil, err
	}
	if strings.HasPrefix(strings.ToLower(name), "internal-") {
		return nil, invalid("The load balancer name '%s' cannot begin with 'internal-'", name)
	}
	if err := checkKind(in); err != nil {
		return nil, err
	}
	tags, err := tagsFrom(nil, in.Tags)
	if err != nil {
		return nil, err
	}
	if err := a.ensureVPC(ctx); err != nil {
		return nil, err
	}
	s := scope(ctx)
	var b lb.LoadBalancer
	err = a.db.Update(ctx, func(tx *store.Tx) error {
		b = lb.LoadBalancer{Scope: s, Name: name, Internal: in.Scheme == types.LoadBalancerSchemeEnumInternal,
			Tags: tags, CreatedAt: time.Now().UTC().Truncate(time.Millisecond)}
		if err := placeIn(tx, &b, in.Subnets, in.SubnetMappings); err != nil {
			return err
		}
		if err := guard(tx, &b, in.SecurityGroups); err != nil {
			return err
		}
		old, ok := lb.LoadBalancers.Get(tx, b.Key())
		if !ok {
			return lb.CreateLoadBalancer(tx, &b)
		}
		if !same(old, b) {
			return &types.DuplicateLoadBalancerNameException{
				Message: ptr("A load balancer with the same name '" + name + "' exists, but with different settings")}
		}
		b = old
		return nil
	})
	switch {
	case errors.Is(err, lb.ErrNoAddress):
		return nil, &types.TooManyLoadBalancersException{Message: ptr("No loopback address is left for another load balancer. Delete some.")}
	case err != nil:
		return nil, err
	}
	a.engine.Sync(b.ARN())
	w := a.wireBalancer(b)
	w.State = &types.LoadBalancerState{Code: types.LoadBalancerStateEnumProvisioning}
	return &elb.CreateLoadBalancerOutput{LoadBalancers: []types.LoadBalancer{w}}, nil
}

// checkKind refuses what no load balancer of dhow is.
func checkKind(in *elb.CreateLoadBalancerInput) error {
	if in.Type != "" && in.Type != types.LoadBalancerTypeEnumApplication {
		return refused("dhow serves load balancers of type 'application'; type '%s' is not served yet", in.Type)
	}
	if err := checkAddressType(in.IpAddressType); err != nil {
		return err
	}
	switch {
	case in.CustomerOwnedIpv4Pool != nil:
		return refused("CustomerOwnedIpv4Pool belongs to AWS Outposts and is not served by dhow")
	case in.IpamPools != nil:
		return refused("IpamPools is not served by dhow: addresses of load balancers come from 127.0.64.0/18")
	case in.EnablePrefixForIpv6SourceNat == types.EnablePrefixForIpv6SourceNatEnumOn:
		return refused("EnablePrefixForIpv6SourceNat is supported only on load balancers with type 'network'")
	}
	return nil
}

func checkAddressType(t types.IpAddressType) error {
	if t != "" && t != types.IpAddressTypeIpv4 {
		return refused("load balancers of dhow have IPv4 addresses only: IP address type '%s' is not served", t)
	}
	return nil
}

// placeIn sets the VPC and the zones of b.
func placeIn(r store.Reader, b *lb.LoadBalancer, ids []string, mappings []types.SubnetMapping) error {
	if len(ids) > 0 && len(mappings) > 0 {
		return invalid("You can specify either subnets or subnet mappings, but not both")
	}
	for _, m := range mappings {
		if m.AllocationId != nil || m.PrivateIPv4Address != nil || m.IPv6Address != nil || m.SourceNatIpv6Prefix != nil {
			return refused("a subnet mapping of an application load balancer can only have a SubnetId")
		}
		ids = append(ids, deref(m.SubnetId))
	}
	b.Zones, b.VPC, b.Network = nil, "", ""
	for _, id := range ids {
		n, ok := cluster.Subnets.Get(r, b.Scope.Key(id))
		if !ok {
			return &types.SubnetNotFoundException{Message: ptr("The subnet ID '" + id + "' does not exist")}
		}
		if b.VPC != "" && b.VPC != n.VPC {
			return refused("The specified subnets are not all in the same VPC: '%s' is in '%s', not in '%s'", id, n.VPC, b.VPC)
		}
		for _, z := range b.Zones {
			if z.Subnet != id && z.Zone == n.Zone {
				return refused("A load balancer cannot be attached to multiple subnets in the same Availability Zone")
			}
		}
		b.VPC, b.Network = n.VPC, n.Network
		if z := (lb.Zone{Subnet: id, Zone: n.Zone}); !slices.Contains(b.Zones, z) {
			b.Zones = append(b.Zones, z)
		}
	}
	if len(b.Zones) < 2 {
		return invalid("At least two subnets in two different Availability Zones must be specified")
	}
	slices.SortFunc(b.Zones, func(x, y lb.Zone) int { return strings.Compare(x.Zone, y.Zone) })
	return nil
}

// guard sets the security groups of b, its VPC's default one if none is named.
func guard(r store.Reader, b *lb.LoadBalancer, ids []string) error {
	b.SecurityGroups = nil
	for _, id := range ids {
		g, ok := cluster.SecurityGroups.Get(r, b.Scope.Key(id))
		switch {
		case !ok:
			return &types.InvalidSecurityGroupException{Message: ptr("The security group '" + id + "' does not exist")}
		case g.VPC != b.VPC:
			return &types.InvalidSecurityGroupException{Message: ptr("The security group '" + id + "' does not belong to VPC '" + b.VPC + "'")}
		}
		if !slices.Contains(b.SecurityGroups, id) {
			b.SecurityGroups = append(b.SecurityGroups, id)
		}
	}
	if len(ids) > 0 {
		return nil
	}
	for g := range cluster.SecurityGroups.List(r, b.Scope.Prefix()) {
		if g.VPC == b.VPC && g.Name == "default" {
			b.SecurityGroups = []string{g.ID}
		}
	}
	return nil
}

// same reports whether creating now would give old again.
func same(old, now lb.LoadBalancer) bool {
	return old.Internal == now.Internal && slices.Equal(old.Zones, now.Zones) &&
		slices.Equal(old.SecurityGroups, now.SecurityGroups) && sameTags(old.Tags, now.Tags)
}

// DescribeLoadBalancers returns the load balancers named, or all.
func (a *API) DescribeLoadBalancers(ctx context.Context, in *elb.DescribeLoadBalancersInput) (*elb.DescribeLoadBalancersOutput, error) {
	s := scope(ctx)
	if len(in.LoadBalancerArns) > 0 && len(in.Names) > 0 {
		return nil, invalid("Load balancer names and load balancer ARNs cannot be specified at the same time")
	}
	if len(in.LoadBalancerArns) > maxNamed || len(in.Names) > maxNamed {
		return nil, invalid("You can specify up to %d load balancers in a single call", maxNamed)
	}
	all, err := view(a, func(r store.Reader) ([]lb.LoadBalancer, error) {
		var all []lb.LoadBalancer
		for _, arn := range in.LoadBalancerArns {
			b, err := findBalancer(r, s, arn)
			if err != nil {
				return nil, err
			}
			all = append(all, b)
		}
		for _, name := range in.Names {
			b, ok := lb.LoadBalancers.Get(r, s.Key(name))
			if !ok {
				return nil, noBalancer(name)
			}
			all = append(all, b)
		}
		if len(in.LoadBalancerArns) == 0 && len(in.Names) == 0 {
			all = slices.Collect(lb.LoadBalancers.List(r, s.Prefix()))
		}
		return all, nil
	})
	if err != nil {
		return nil, err
	}
	all = byKey(all, lb.LoadBalancer.Key)
	page, next, err := awsapi.Page(ctx, all, lb.LoadBalancer.Key, in.Marker, in.PageSize, maxPage)
	if err != nil {
		return nil, err
	}
	out := &elb.DescribeLoadBalancersOutput{LoadBalancers: []types.LoadBalancer{}, NextMarker: next}
	for _, b := range page {
		out.LoadBalancers = append(out.LoadBalancers, a.wireBalancer(b))
	}
	return out, nil
}

// maxPage is the size of a page where the call names none.
const maxPage = 400

// byKey sorts by key and drops what was named twice.
func byKey[T any](all []T, key func(T) string) []T {
	slices.SortFunc(all, func(x, y T) int { return strings.Compare(key(x), key(y)) })
	return slices.CompactFunc(all, func(x, y T) bool { return key(x) == key(y) })
}

func (a *API) wireBalancer(b lb.LoadBalancer) types.LoadBalancer {
	state, reason := a.engine.State(b.ARN())
	w := types.LoadBalancer{
		LoadBalancerArn: ptr(b.ARN()), LoadBalancerName: ptr(b.Name), DNSName: ptr(b.DNSName()),
		CanonicalHostedZoneId: ptr(lb.HostedZone), CreatedTime: ptr(b.CreatedAt),
		Scheme: types.LoadBalancerSchemeEnumInternetFacing, VpcId: ptr(b.VPC),
		State:          &types.LoadBalancerState{Code: types.LoadBalancerStateEnum(state)},
		Type:           types.LoadBalancerTypeEnumApplication,
		IpAddressType:  types.IpAddressTypeIpv4,
		SecurityGroups: b.SecurityGroups, AvailabilityZones: wireZones(b.Zones),
		EnablePrefixForIpv6SourceNat: types.EnablePrefixForIpv6SourceNatEnumOff,
	}
	if b.Internal {
		w.Scheme = types.LoadBalancerSchemeEnumInternal
	}
	if reason != "" {
		w.State.Reason = ptr(reason)
	}
	return w
}

func wireZones(zones []lb.Zone) []types.AvailabilityZone {
	var all []types.AvailabilityZone
	for _, z := range zones {
		all = append(all, types.AvailabilityZone{SubnetId: ptr(z.Subnet), ZoneName: ptr(z.Zone),
			LoadBalancerAddresses: []types.LoadBalancerAddress{}})
	}
	return all
}

// DeleteLoadBalancer deletes a load balancer with its listeners. One that is
// not there is no error.
func (a *API) DeleteLoadBalancer(ctx context.Context, in *elb.DeleteLoadBalancerInput) (*elb.DeleteLoadBalancerOutput, error) {
	arn := deref(in.LoadBalancerArn)
	if err := checkARN(scope(ctx), "load balancer", arn); err != nil {
		return nil, err
	}
	for gone := false; !gone; {
		err := a.db.Update(ctx, func(tx *store.Tx) error {
			b, err := lb.FindLoadBalancer(tx, scope(ctx), arn)
			if gone = err != nil; gone {
				return nil
			}
			if b.Attribute("deletion_protection.enabled") == "true" {
				return &types.OperationNotPermittedException{
					Message: ptr("Load balancer '" + arn + "' cannot be deleted because deletion protection is enabled")}
			}
			return lb.RemoveLoadBalancer(tx, b)
		})
		if err != nil {
			return nil, err
		}
	}
	a.engine.Sync(arn)
	return &elb.DeleteLoadBalancerOutput{}, nil
}
