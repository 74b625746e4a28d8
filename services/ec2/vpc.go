package ec2

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/store"
)

var vpcs = kind[cluster.VPC]{
	id:       func(v cluster.VPC) string { return v.ID },
	notFound: "InvalidVpcID.NotFound", sentence: "The vpc ID '%s' does not exist",
	fields: func(v cluster.VPC) fields {
		return fields{"vpc-id": {v.ID}, "cidr": {v.CIDR}, "cidr-block": {v.CIDR}, "cidrBlock": {v.CIDR},
			"cidr-block-association.cidr-block": {v.CIDR}, "cidr-block-association.state": {"associated"},
			"is-default": yes(v.Default), "isDefault": yes(v.Default), "owner-id": {v.Account}, "state": {"available"},
			"dhcp-options-id": {dhcpOptions}, "tag-key": nil}
	},
}

const dhcpOptions = "dopt-default"

// DescribeVpcs lists the caller's VPCs.
func (a *API) DescribeVpcs(ctx context.Context, in *ec2.DescribeVpcsInput) (*ec2.DescribeVpcsOutput, error) {
	if err := rehearsed(in.DryRun); err != nil {
		return nil, err
	}
	rows, err := list(ctx, a, cluster.VPCs)
	if err != nil {
		return nil, err
	}
	page, next, err := vpcs.choose(ctx, rows, in.VpcIds, in.Filters, in.NextToken, in.MaxResults)
	if err != nil {
		return nil, err
	}
	out := &ec2.DescribeVpcsOutput{NextToken: next, Vpcs: []types.Vpc{}}
	for _, v := range page {
		out.Vpcs = append(out.Vpcs, types.Vpc{
			VpcId: &v.ID, CidrBlock: &v.CIDR, IsDefault: &v.Default, OwnerId: &v.Account, State: types.VpcStateAvailable,
			InstanceTenancy: types.TenancyDefault, DhcpOptionsId: ptr(dhcpOptions),
			CidrBlockAssociationSet: []types.VpcCidrBlockAssociation{{
				AssociationId: ptr("vpc-cidr-assoc-" + v.ID[len("vpc-"):]), CidrBlock: &v.CIDR,
				CidrBlockState: &types.VpcCidrBlockState{State: types.VpcCidrBlockStateCodeAssociated},
			}},
		})
	}
	return out, nil
}

// DescribeVpcAttribute answers how names are resolved: dhow's DNS is always
// there and names every address.
func (a *API) DescribeVpcAttribute(ctx context.Context, in *ec2.DescribeVpcAttributeInput) (*ec2.DescribeVpcAttributeOutput, error) {
	if err := rehearsed(in.DryRun); err != nil {
		return nil, err
	}
	rows, err := list(ctx, a, cluster.VPCs)
	if err != nil {
		return nil, err
	}
	if _, _, err := vpcs.choose(ctx, rows, []string{deref(in.VpcId)}, nil, nil, nil); err != nil {
		return nil, err
	}
	out := &ec2.DescribeVpcAttributeOutput{VpcId: in.VpcId}
	switch in.Attribute {
	case types.VpcAttributeNameEnableDnsSupport:
		out.EnableDnsSupport = &types.AttributeBooleanValue{Value: ptr(true)}
	case types.VpcAttributeNameEnableDnsHostnames:
		out.EnableDnsHostnames = &types.AttributeBooleanValue{Value: ptr(true)}
	case types.VpcAttributeNameEnableNetworkAddressUsageMetrics:
		out.EnableNetworkAddressUsageMetrics = &types.AttributeBooleanValue{Value: ptr(false)}
	default:
		return nil, &awsapi.Error{Code: "InvalidParameterValue",
			Message: fmt.Sprintf("Value (%s) for parameter attribute is invalid. Unknown attribute.", in.Attribute)}
	}
	return out, nil
}

var subnets = kind[cluster.Subnet]{
	id:       func(s cluster.Subnet) string { return s.ID },
	notFound: "InvalidSubnetID.NotFound", sentence: "The subnet ID '%s' does not exist",
	fields: func(s cluster.Subnet) fields {
		return fields{"subnet-id": {s.ID}, "vpc-id": {s.VPC}, "availability-zone": {s.Zone}, "availabilityZone": {s.Zone},
			"availability-zone-id": {zoneID(s.Zone)}, "cidr-block": {s.CIDR}, "cidr": {s.CIDR}, "cidrBlock": {s.CIDR},
			"default-for-az": yes(s.Default), "defaultForAz": yes(s.Default), "map-public-ip-on-launch": yes(s.Default),
			"owner-id": {s.Account}, "state": {"available"}, "subnet-arn": {s.Scope.ARN("ec2", "subnet/"+s.ID)},
			"tag-key": nil}
	},
}

// DescribeSubnets lists the caller's subnets.
func (a *API) DescribeSubnets(ctx context.Context, in *ec2.DescribeSubnetsInput) (*ec2.DescribeSubnetsOutput, error) {
	if err := rehearsed(in.DryRun); err != nil {
		return nil, err
	}
	rows, err := list(ctx, a, cluster.Subnets)
	if err != nil {
		return nil, err
	}
	page, next, err := subnets.choose(ctx, rows, in.SubnetIds, in.Filters, in.NextToken, in.MaxResults)
	if err != nil {
		return nil, err
	}
	taken, err := a.addressesTaken(page)
	if err != nil {
		return nil, err
	}
	out := &ec2.DescribeSubnetsOutput{NextToken: next, Subnets: []types.Subnet{}}
	for _, s := range page {
		out.Subnets = append(out.Subnets, types.Subnet{
			SubnetId: &s.ID, VpcId: &s.VPC, CidrBlock: &s.CIDR, OwnerId: &s.Account, State: types.SubnetStateAvailable,
			AvailabilityZone: &s.Zone, AvailabilityZoneId: ptr(zoneID(s.Zone)), DefaultForAz: &s.Default,
			MapPublicIpOnLaunch: &s.Default, AssignIpv6AddressOnCreation: ptr(false), EnableDns64: ptr(false), Ipv6Native: ptr(false),
			AvailableIpAddressCount: ptr(usable(s.CIDR) - taken[s.ID]), SubnetArn: ptr(s.Scope.ARN("ec2", "subnet/"+s.ID)),
			PrivateDnsNameOptionsOnLaunch: &types.PrivateDnsNameOptionsOnLaunch{HostnameType: types.HostnameTypeIpName,
				EnableResourceNameDnsARecord: ptr(false), EnableResourceNameDnsAAAARecord: ptr(false)},
		})
	}
	return out, nil
}

// addressesTaken counts the addresses in use in each subnet's range, of
// whichever account: default VPCs share their addresses.
func (a *API) addressesTaken(of []cluster.Subnet) (map[string]int32, error) {
	taken := make(map[string]int32)
	return taken, a.db.View(func(r store.Reader) error {
		for _, s := range of {
			for range cluster.Interfaces.By(r, "range", s.Network+"/"+s.CIDR) {
				taken[s.ID]++
			}
		}
		return nil
	})
}

// usable is the number of addresses that a subnet has for interfaces: AWS
// keeps the first four and the last.
func usable(cidr string) int32 {
	p, err := netip.ParsePrefix(cidr)
	if err != nil || p.Bits() > 28 {
		return 0
	}
	return 1<<(32-p.Bits()) - 5
}

var groups = kind[cluster.SecurityGroup]{
	id:       func(g cluster.SecurityGroup) string { return g.ID },
	notFound: "InvalidGroup.NotFound", sentence: "The security group '%s' does not exist",
	fields: func(g cluster.SecurityGroup) fields {
		return fields{"group-id": {g.ID}, "group-name": {g.Name}, "vpc-id": {g.VPC}, "description": {g.Description},
			"owner-id": {g.Account}, "tag-key": nil}
	},
}

// DescribeSecurityGroups lists the default groups. They let everything in and
// out: security groups do not filter yet, and this says so.
func (a *API) DescribeSecurityGroups(ctx context.Context, in *ec2.DescribeSecurityGroupsInput) (*ec2.DescribeSecurityGroupsOutput, error) {
	if err := rehearsed(in.DryRun); err != nil {
		return nil, err
	}
	rows, err := list(ctx, a, cluster.SecurityGroups)
	if err != nil {
		return nil, err
	}
	for _, name := range in.GroupNames {
		if !slices.ContainsFunc(rows, func(g cluster.SecurityGroup) bool { return g.Name == name }) {
			return nil, &awsapi.Error{Code: groups.notFound,
				Message: fmt.Sprintf("The security group '%s' does not exist in default VPC '%s'", name, cluster.DefaultVPC(scope(ctx)))}
		}
	}
	filters := slices.Clone(in.Filters)
	if len(in.GroupNames) > 0 {
		filters = append(filters, types.Filter{Name: ptr("group-name"), Values: in.GroupNames})
	}
	page, next, err := groups.choose(ctx, rows, in.GroupIds, filters, in.NextToken, in.MaxResults)
	if err != nil {
		return nil, err
	}
	out := &ec2.DescribeSecurityGroupsOutput{NextToken: next, SecurityGroups: []types.SecurityGroup{}}
	for _, g := range page {
		everyone := []types.IpPermission{{IpProtocol: ptr("-1"), IpRanges: []types.IpRange{{CidrIp: ptr("0.0.0.0/0")}}}}
		out.SecurityGroups = append(out.SecurityGroups, types.SecurityGroup{
			GroupId: &g.ID, GroupName: &g.Name, Description: &g.Description, OwnerId: &g.Account, VpcId: &g.VPC,
			SecurityGroupArn: ptr(g.Scope.ARN("ec2", "security-group/"+g.ID)),
			IpPermissions:    everyone, IpPermissionsEgress: everyone,
		})
	}
	return out, nil
}
