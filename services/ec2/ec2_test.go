package ec2

import (
	"context"
	"errors"
	"net/netip"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/store"
	"github.com/dhowhq/dhow/store/storetest"
)

var (
	here = cluster.Scope{Account: "111122223333", Region: "eu-west-1"}
	cidr = netip.MustParsePrefix("172.31.0.0/16")
)

func open(t *testing.T) (*API, *store.DB, context.Context) {
	db := storetest.Open(t)
	ctx := awsapi.WithCall(t.Context(), &awsapi.Call{Account: here.Account, Region: here.Region})
	return New(Config{DB: db, EnsureVPC: func(ctx context.Context, s cluster.Scope) error {
		return cluster.EnsureDefaultVPC(ctx, db, s, cidr)
	}}), db, ctx
}

func filter(name string, values ...string) []types.Filter {
	return []types.Filter{{Name: &name, Values: values}}
}

func TestDefaultVPC(t *testing.T) {
	a, _, ctx := open(t)
	v, err := a.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{Filters: filter("is-default", "true")})
	if err != nil || len(v.Vpcs) != 1 || *v.Vpcs[0].CidrBlock != cidr.String() {
		t.Fatalf("vpcs %+v %v", v, err)
	}
	id := *v.Vpcs[0].VpcId
	s, err := a.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{Filters: filter("vpc-id", id)})
	if err != nil || len(s.Subnets) != 3 {
		t.Fatalf("subnets %+v %v", s, err)
	}
	seen := map[string]bool{}
	for _, n := range s.Subnets {
		seen[*n.AvailabilityZone+" "+*n.AvailabilityZoneId] = true
		if *n.AvailableIpAddressCount != 4091 {
			t.Errorf("%s has %d addresses free, a /20 has 4091", *n.SubnetId, *n.AvailableIpAddressCount)
		}
	}
	if !seen["eu-west-1a euw1-az1"] || !seen["eu-west-1c euw1-az3"] {
		t.Errorf("zones %v", seen)
	}
	z, err := a.DescribeAvailabilityZones(ctx, &ec2.DescribeAvailabilityZonesInput{})
	if err != nil || len(z.AvailabilityZones) != 3 {
		t.Errorf("zones %+v %v", z, err)
	}
	g, err := a.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{GroupNames: []string{"default"}})
	if err != nil || len(g.SecurityGroups) != 1 || *g.SecurityGroups[0].VpcId != id {
		t.Errorf("groups %+v %v", g, err)
	}
	r, err := a.DescribeRouteTables(ctx, &ec2.DescribeRouteTablesInput{Filters: filter("association.main", "true")})
	if err != nil || len(r.RouteTables) != 1 || *r.RouteTables[0].VpcId != id {
		t.Errorf("route tables %+v %v", r, err)
	}
	at, err := a.DescribeVpcAttribute(ctx, &ec2.DescribeVpcAttributeInput{VpcId: &id, Attribute: types.VpcAttributeNameEnableDnsSupport})
	if err != nil || !*at.EnableDnsSupport.Value {
		t.Errorf("attribute %+v %v", at, err)
	}
}

func TestRefusals(t *testing.T) {
	a, _, ctx := open(t)
	_, missing := a.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{SubnetIds: []string{"subnet-x"}})
	_, filterErr := a.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{Filters: filter("colour", "red")})
	yes := true
	_, dry := a.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{DryRun: &yes})
	_, noGroup := a.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{GroupNames: []string{"default", "web"}})
	_, noZone := a.DescribeAvailabilityZones(ctx, &ec2.DescribeAvailabilityZonesInput{ZoneIds: []string{"use1-az1"}})
	_, untagged := a.DescribeAvailabilityZones(ctx, &ec2.DescribeAvailabilityZonesInput{Filters: filter("tag:Name", "x")})
	for _, c := range []struct {
		err           error
		code, message string
	}{
		{missing, "InvalidSubnetID.NotFound", "The subnet ID 'subnet-x' does not exist"},
		{filterErr, "InvalidParameterValue", "The filter 'colour' is invalid"},
		{dry, "DryRunOperation", "Request would have succeeded, but DryRun flag is set."},
		{noGroup, "InvalidGroup.NotFound", "The security group 'web' does not exist in default VPC '" + cluster.DefaultVPC(here) + "'"},
		{noZone, "InvalidParameterValue", "Invalid availability zone: [use1-az1]"},
		{untagged, "InvalidParameterValue", "The filter 'tag:Name' is invalid"},
	} {
		var e *awsapi.Error
		if !errors.As(c.err, &e) || e.Code != c.code || e.Message != c.message {
			t.Errorf("got %v, want %s: %s", c.err, c.code, c.message)
		}
	}
}

// Resources have no tags yet; to ask for some is no error, whatever the key.
func TestTagFilters(t *testing.T) {
	a, _, ctx := open(t)
	v, err := a.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{Filters: filter("tag:Environment", "prod")})
	if err != nil || len(v.Vpcs) != 0 {
		t.Errorf("vpcs with a tag: %+v %v", v, err)
	}
}

func TestNetworkInterfaces(t *testing.T) {
	a, db, ctx := open(t)
	group := cluster.DefaultSecurityGroup(here)
	err := db.Update(ctx, func(tx *store.Tx) error {
		for n, s := range []cluster.Scope{here, {Account: "999999999999", Region: "eu-west-1"}} {
			addr := cidr.Addr().Next()
			for range n {
				addr = addr.Next()
			}
			i := cluster.Interface{Scope: s, ID: "eni-1", Network: cluster.DefaultNetwork, Address: addr.String(), Groups: []string{group}}
			if err := cluster.Interfaces.Put(tx, i); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	out, err := a.DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{"eni-1"}})
	if err != nil || len(out.NetworkInterfaces) != 1 {
		t.Fatalf("%+v %v", out, err)
	}
	if got := out.NetworkInterfaces[0]; *got.PrivateIpAddress != "172.31.0.1" || *got.Groups[0].GroupName != "default" {
		t.Errorf("%+v", got)
	}
}

func TestWild(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"*", "", true}, {"a*c", "abbc", true}, {"a*c", "abb", false}, {"?", "", false}, {"?b", "ab", true},
		{`\*`, "*", true}, {`\*`, "a", false}, {"", "", true}, {"", "a", false}, {"a*b*c", "aXbYbZc", true}, {"*a", "ba", true},
	} {
		if got := wild(c.pattern, c.s); got != c.want {
			t.Errorf("wild(%q, %q) = %v", c.pattern, c.s, got)
		}
	}
}
