package ec2

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
)

var interfaces = kind[cluster.Interface]{
	id:       func(i cluster.Interface) string { return i.ID },
	notFound: "InvalidNetworkInterfaceID.NotFound", sentence: "The networkInterface ID '%s' does not exist",
	fields: func(i cluster.Interface) fields {
		return fields{"network-interface-id": {i.ID}, "subnet-id": {i.Subnet}, "vpc-id": {i.VPC}, "availability-zone": {i.Zone},
			"private-ip-address": {i.Address}, "addresses.private-ip-address": {i.Address}, "addresses.primary": {"true"},
			"mac-address": {i.MAC}, "group-id": i.Groups, "owner-id": {i.Account}, "status": {"in-use"}, "interface-type": {"interface"},
			"description": {attachedTo(i)}, "private-dns-name": {i.PrivateDNS}, "requester-managed": {"true"},
			"attachment.status": {"attached"}, "attachment.instance-id": nil, "association.public-ip": nil, "tag-key": nil}
	},
}

// attachedTo is the description that ECS gives to a task's interface.
func attachedTo(i cluster.Interface) string {
	return i.Scope.ARN("ecs", "attachment/"+i.Attachment)
}

// DescribeNetworkInterfaces lists the interfaces of the caller's tasks.
func (a *API) DescribeNetworkInterfaces(ctx context.Context, in *ec2.DescribeNetworkInterfacesInput) (*ec2.DescribeNetworkInterfacesOutput, error) {
	if err := rehearsed(in.DryRun); err != nil {
		return nil, err
	}
	s := scope(ctx)
	var rows []cluster.Interface
	if err := a.db.View(func(r store.Reader) error {
		if len(in.NetworkInterfaceIds) == 0 {
			rows = slices.Collect(cluster.Interfaces.By(r, "scope", s.Prefix()))
		}
		for _, id := range slices.Compact(slices.Sorted(slices.Values(in.NetworkInterfaceIds))) {
			rows = slices.AppendSeq(rows, cluster.Interfaces.By(r, "id", s.Key(id)))
		}
		return nil
	}); err != nil {
		return nil, err
	}
	page, next, err := interfaces.choose(ctx, rows, in.NetworkInterfaceIds, in.Filters, in.NextToken, in.MaxResults)
	if err != nil {
		return nil, err
	}
	out := &ec2.DescribeNetworkInterfacesOutput{NextToken: next, NetworkInterfaces: []types.NetworkInterface{}}
	for _, i := range page {
		out.NetworkInterfaces = append(out.NetworkInterfaces, types.NetworkInterface{
			NetworkInterfaceId: &i.ID, SubnetId: &i.Subnet, VpcId: &i.VPC, AvailabilityZone: &i.Zone, AvailabilityZoneId: ptr(zoneID(i.Zone)),
			PrivateIpAddress: &i.Address, PrivateDnsName: &i.PrivateDNS, MacAddress: &i.MAC, OwnerId: &i.Account,
			Description: ptr(attachedTo(i)), InterfaceType: types.NetworkInterfaceTypeInterface, Status: types.NetworkInterfaceStatusInUse,
			RequesterManaged: ptr(true), SourceDestCheck: ptr(true),
			PrivateIpAddresses: []types.NetworkInterfacePrivateIpAddress{{Primary: ptr(true), PrivateIpAddress: &i.Address, PrivateDnsName: &i.PrivateDNS}},
			Groups:             groupNames(i.Scope, i.Groups),
			Attachment: &types.NetworkInterfaceAttachment{AttachmentId: ptr("ela-attach-" + i.ID[len("eni-"):]), AttachTime: &i.CreatedAt,
				DeleteOnTermination: ptr(false), DeviceIndex: ptr(int32(1)), Status: types.AttachmentStatusAttached, InstanceOwnerId: ptr("amazon-aws")},
		})
	}
	return out, nil
}

func groupNames(s cluster.Scope, ids []string) []types.GroupIdentifier {
	out := []types.GroupIdentifier{}
	for _, id := range slices.Clone(ids) {
		g := types.GroupIdentifier{GroupId: ptr(id)}
		if id == cluster.DefaultSecurityGroup(s) {
			g.GroupName = ptr("default")
		}
		out = append(out, g)
	}
	return out
}
