package elbv2

import (
	"context"

	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/dhowhq/dhow/lb"
	"github.com/dhowhq/dhow/store"
)

// changeBalancer lets f change a load balancer and makes the change work.
func (a *API) changeBalancer(ctx context.Context, arn string, f func(tx *store.Tx, b *lb.LoadBalancer) error) (b lb.LoadBalancer, err error) {
	err = a.db.Update(ctx, func(tx *store.Tx) error {
		if b, err = findBalancer(tx, scope(ctx), arn); err != nil {
			return err
		}
		if err := f(tx, &b); err != nil {
			return err
		}
		return lb.LoadBalancers.Put(tx, b)
	})
	if err == nil {
		a.engine.Sync(arn)
	}
	return b, err
}

// SetSubnets replaces the zones that a load balancer is in.
func (a *API) SetSubnets(ctx context.Context, in *elb.SetSubnetsInput) (*elb.SetSubnetsOutput, error) {
	if err := checkAddressType(in.IpAddressType); err != nil {
		return nil, err
	}
	if in.EnablePrefixForIpv6SourceNat == types.EnablePrefixForIpv6SourceNatEnumOn {
		return nil, refused("EnablePrefixForIpv6SourceNat is supported only on load balancers with type 'network'")
	}
	b, err := a.changeBalancer(ctx, deref(in.LoadBalancerArn), func(tx *store.Tx, b *lb.LoadBalancer) error {
		vpc := b.VPC
		if err := placeIn(tx, b, in.Subnets, in.SubnetMappings); err != nil {
			return err
		}
		if b.VPC != vpc {
			return refused("The specified subnets are not in the load balancer's VPC '%s'", vpc)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &elb.SetSubnetsOutput{AvailabilityZones: wireZones(b.Zones), IpAddressType: types.IpAddressTypeIpv4,
		EnablePrefixForIpv6SourceNat: types.EnablePrefixForIpv6SourceNatEnumOff}, nil
}

// SetSecurityGroups replaces a load balancer's security groups.
func (a *API) SetSecurityGroups(ctx context.Context, in *elb.SetSecurityGroupsInput) (*elb.SetSecurityGroupsOutput, error) {
	if in.EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic != "" {
		return nil, refused("EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic is supported only on load balancers with type 'network'")
	}
	if len(in.SecurityGroups) == 0 {
		return nil, refused("At least one security group must be specified")
	}
	b, err := a.changeBalancer(ctx, deref(in.LoadBalancerArn), func(tx *store.Tx, b *lb.LoadBalancer) error {
		return guard(tx, b, in.SecurityGroups)
	})
	if err != nil {
		return nil, err
	}
	return &elb.SetSecurityGroupsOutput{SecurityGroupIds: b.SecurityGroups}, nil
}

// SetIpAddressType takes ipv4, which load balancers have.
func (a *API) SetIpAddressType(ctx context.Context, in *elb.SetIpAddressTypeInput) (*elb.SetIpAddressTypeOutput, error) {
	if err := checkAddressType(in.IpAddressType); err != nil {
		return nil, err
	}
	if _, err := a.findBalancer(ctx, in.LoadBalancerArn); err != nil {
		return nil, err
	}
	return &elb.SetIpAddressTypeOutput{IpAddressType: types.IpAddressTypeIpv4}, nil
}

// DescribeCapacityReservation says that no capacity is reserved: there is no
// need to.
func (a *API) DescribeCapacityReservation(ctx context.Context, in *elb.DescribeCapacityReservationInput) (*elb.DescribeCapacityReservationOutput, error) {
	if _, err := a.findBalancer(ctx, in.LoadBalancerArn); err != nil {
		return nil, err
	}
	return &elb.DescribeCapacityReservationOutput{CapacityReservationState: []types.ZonalCapacityReservationState{}}, nil
}
