package ec2

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/internal/awsapi"
)

// zone is an availability zone: a region has those of its default subnets.
type zone struct{ region, name string }

// zoneID is a zone's id in AWS's form: us-east-1a is use1-az1,
// ap-southeast-2b apse2-az2.
func zoneID(name string) string {
	part := strings.Split(name, "-")
	if len(part) < 3 {
		return ""
	}
	compass := strings.NewReplacer("north", "n", "south", "s", "east", "e", "west", "w", "central", "c").Replace(part[1])
	last := part[len(part)-1]
	number, letter := last[:len(last)-1], last[len(last)-1]
	return part[0] + compass + number + "-az" + string(letter-'a'+'1')
}

var zones = kind[zone]{
	id:       func(z zone) string { return z.name },
	notFound: "InvalidParameterValue", sentence: "Invalid availability zone: [%s]",
	fields: func(z zone) fields {
		return fields{"zone-name": {z.name}, "zone-id": {zoneID(z.name)}, "region-name": {z.region}, "state": {"available"},
			"group-name": {z.region}, "opt-in-status": {"opt-in-not-required"}, "zone-type": {"availability-zone"}, "message": nil}
	},
}

// DescribeAvailabilityZones lists the three zones of the call's region.
func (a *API) DescribeAvailabilityZones(ctx context.Context, in *ec2.DescribeAvailabilityZonesInput) (*ec2.DescribeAvailabilityZonesOutput, error) {
	if err := rehearsed(in.DryRun); err != nil {
		return nil, err
	}
	rows, err := list(ctx, a, cluster.Subnets)
	if err != nil {
		return nil, err
	}
	region := awsapi.CallFrom(ctx).Region
	var all []zone
	for _, s := range rows {
		if s.Default {
			all = append(all, zone{region, s.Zone})
		}
	}
	for _, id := range in.ZoneIds {
		if !slices.ContainsFunc(all, func(z zone) bool { return zoneID(z.name) == id }) {
			return nil, &awsapi.Error{Code: zones.notFound, Message: fmt.Sprintf(zones.sentence, id)}
		}
	}
	filters := slices.Clone(in.Filters)
	if len(in.ZoneIds) > 0 {
		filters = append(filters, types.Filter{Name: ptr("zone-id"), Values: in.ZoneIds})
	}
	page, _, err := zones.choose(ctx, all, in.ZoneNames, filters, nil, nil)
	if err != nil {
		return nil, err
	}
	out := &ec2.DescribeAvailabilityZonesOutput{AvailabilityZones: []types.AvailabilityZone{}}
	for _, z := range page {
		out.AvailabilityZones = append(out.AvailabilityZones, types.AvailabilityZone{
			ZoneName: &z.name, ZoneId: ptr(zoneID(z.name)), RegionName: &z.region, GroupName: &z.region, NetworkBorderGroup: &z.region,
			State: types.AvailabilityZoneStateAvailable, OptInStatus: types.AvailabilityZoneOptInStatusOptInNotRequired,
			ZoneType: ptr("availability-zone"), Messages: []types.AvailabilityZoneMessage{},
		})
	}
	return out, nil
}

var tables = kind[cluster.VPC]{
	id:       func(v cluster.VPC) string { return mainTable(v) },
	notFound: "InvalidRouteTableID.NotFound", sentence: "The routeTable ID '%s' does not exist",
	fields: func(v cluster.VPC) fields {
		return fields{"route-table-id": {mainTable(v)}, "vpc-id": {v.ID}, "association.main": {"true"},
			"association.subnet-id": nil, "association.gateway-id": nil, "owner-id": {v.Account},
			"route.destination-cidr-block": {v.CIDR, "0.0.0.0/0"}, "tag-key": nil}
	},
}

// mainTable is the id of a VPC's only route table.
func mainTable(v cluster.VPC) string {
	if v.ID == "" {
		return ""
	}
	return "rtb-" + v.ID[len("vpc-"):]
}

// DescribeRouteTables lists the main route table of each VPC: its own range,
// and the way out through the host.
func (a *API) DescribeRouteTables(ctx context.Context, in *ec2.DescribeRouteTablesInput) (*ec2.DescribeRouteTablesOutput, error) {
	if err := rehearsed(in.DryRun); err != nil {
		return nil, err
	}
	rows, err := list(ctx, a, cluster.VPCs)
	if err != nil {
		return nil, err
	}
	page, next, err := tables.choose(ctx, rows, in.RouteTableIds, in.Filters, in.NextToken, in.MaxResults)
	if err != nil {
		return nil, err
	}
	out := &ec2.DescribeRouteTablesOutput{NextToken: next, RouteTables: []types.RouteTable{}}
	for _, v := range page {
		id := mainTable(v)
		out.RouteTables = append(out.RouteTables, types.RouteTable{
			RouteTableId: &id, VpcId: &v.ID, OwnerId: &v.Account,
			Associations: []types.RouteTableAssociation{{Main: ptr(true), RouteTableId: &id, RouteTableAssociationId: ptr("rtbassoc-" + v.ID[len("vpc-"):]),
				AssociationState: &types.RouteTableAssociationState{State: types.RouteTableAssociationStateCodeAssociated}}},
			Routes: []types.Route{
				{DestinationCidrBlock: &v.CIDR, GatewayId: ptr("local"), State: types.RouteStateActive, Origin: types.RouteOriginCreateRouteTable},
				{DestinationCidrBlock: ptr("0.0.0.0/0"), GatewayId: ptr("igw-" + v.ID[len("vpc-"):]), State: types.RouteStateActive, Origin: types.RouteOriginCreateRoute},
			},
		})
	}
	return out, nil
}
