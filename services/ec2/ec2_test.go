package ec2

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

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

// fill gives accounts interfaces, 10 to the first and many to the second, in
// the addresses that default VPCs share.
func fill(t testing.TB, a *API, db *store.DB, many int) (ctx context.Context) {
	other := cluster.Scope{Account: "999999999999", Region: here.Region}
	ctx = awsapi.WithCall(t.Context(), &awsapi.Call{Account: here.Account, Region: here.Region})
	own, err := list(ctx, a, cluster.Subnets)
	if err != nil {
		t.Fatal(err)
	}
	addr := cidr.Addr()
	for n := 0; n < 10+many; {
		err := db.Update(ctx, func(tx *store.Tx) error {
			for range 50 {
				if n++; n > 10+many {
					break
				}
				s := other
				if n <= 10 {
					s = here
				}
				addr = addr.Next()
				sub := own[0]
				for _, c := range own {
					if netip.MustParsePrefix(c.CIDR).Contains(addr) {
						sub = c
					}
				}
				i := cluster.Interface{Scope: s, ID: fmt.Sprintf("eni-%05d", n), Network: sub.Network, Address: addr.String(),
					Subnet: sub.ID, SubnetCIDR: sub.CIDR, VPC: sub.VPC, Zone: sub.Zone}
				if err := cluster.Interfaces.Put(tx, i); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return ctx
}

// A caller sees its own interfaces, by page or by id, and that the addresses
// of a default subnet are shared with others.
func TestManyInterfaces(t *testing.T) {
	a, db, _ := open(t)
	ctx := fill(t, a, db, 100)
	most := int32(7)
	first, err := a.DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{MaxResults: &most})
	if err != nil || len(first.NetworkInterfaces) != 7 || *first.NetworkInterfaces[6].NetworkInterfaceId != "eni-00007" {
		t.Fatalf("%+v %v", first, err)
	}
	rest, err := a.DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{MaxResults: &most, NextToken: first.NextToken})
	if err != nil || len(rest.NetworkInterfaces) != 3 || rest.NextToken != nil {
		t.Errorf("%+v %v", rest, err)
	}
	some, err := a.DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{"eni-00009", "eni-00002", "eni-00009"}})
	if err != nil || len(some.NetworkInterfaces) != 2 || *some.NetworkInterfaces[0].NetworkInterfaceId != "eni-00002" {
		t.Errorf("%+v %v", some, err)
	}
	_, err = a.DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{"eni-00002", "eni-00011"}})
	var e *awsapi.Error
	if !errors.As(err, &e) || e.Code != "InvalidNetworkInterfaceID.NotFound" || e.Message != "The networkInterface ID 'eni-00011' does not exist" {
		t.Errorf("another account's: %v", err)
	}
	subs, err := a.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{})
	if err != nil {
		t.Fatal(err)
	}
	free := int32(0)
	for _, s := range subs.Subnets {
		free += *s.AvailableIpAddressCount
	}
	if free != 3*4091-110 {
		t.Errorf("%d addresses are free, want %d", free, 3*4091-110)
	}
}

// BenchmarkNetworkInterfaces asks for 10 interfaces that are there alone, and
// beside 4,000 of another account; x-alone is the ratio of the times.
func BenchmarkNetworkInterfaces(b *testing.B) {
	var ask [2]func()
	for n, many := range []int{0, 4000} {
		db := storetest.Open(b)
		a := New(Config{DB: db, EnsureVPC: func(ctx context.Context, s cluster.Scope) error {
			return cluster.EnsureDefaultVPC(ctx, db, s, cidr)
		}})
		ctx := fill(b, a, db, many)
		ask[n] = func() {
			if out, err := a.DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{}); err != nil || len(out.NetworkInterfaces) != 10 {
				b.Fatal(out, err)
			}
		}
	}
	var alone, among time.Duration
	for b.Loop() {
		start := time.Now()
		ask[0]()
		half := time.Now()
		ask[1]()
		alone, among = alone+half.Sub(start), among+time.Since(half)
	}
	b.ReportMetric(float64(among)/float64(alone), "x-alone")
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
