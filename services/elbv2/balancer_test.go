package elbv2

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/lb"
)

func TestCreateLoadBalancer(t *testing.T) {
	r := newRig(t)
	subnets := cluster.DefaultSubnets(home)
	b := r.balancer("front")
	if !strings.HasPrefix(*b.DNSName, "front-") || !strings.HasSuffix(*b.DNSName, ".us-east-1.elb.localhost") {
		t.Errorf("DNSName is %s", *b.DNSName)
	}
	if *b.CanonicalHostedZoneId != lb.HostedZone || b.Scheme != "internet-facing" || *b.VpcId != cluster.DefaultVPC(home) ||
		len(b.SecurityGroups) != 1 || b.SecurityGroups[0] != cluster.DefaultSecurityGroup(home) {
		t.Errorf("got %+v", b)
	}
	if len(b.AvailabilityZones) != 2 || *b.AvailabilityZones[0].ZoneName != "us-east-1a" || *b.AvailabilityZones[1].SubnetId != subnets[1] {
		t.Errorf("zones are %+v", b.AvailabilityZones)
	}

	again := r.balancer("front")
	if *again.LoadBalancerArn != *b.LoadBalancerArn {
		t.Errorf("the same call made %s", *again.LoadBalancerArn)
	}
	for _, tc := range []struct {
		in            elb.CreateLoadBalancerInput
		code, message string
	}{
		{elb.CreateLoadBalancerInput{Name: aws.String("front"), Subnets: subnets[:2], Scheme: "internal"},
			"DuplicateLoadBalancerName", "A load balancer with the same name 'front' exists, but with different settings"},
		{elb.CreateLoadBalancerInput{Name: aws.String(strings.Repeat("x", 33)), Subnets: subnets},
			"ValidationError", "The load balancer name 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' cannot be longer than '32' characters"},
		{elb.CreateLoadBalancerInput{Name: aws.String("a_b"), Subnets: subnets},
			"ValidationError", "The load balancer name 'a_b' can only contain characters that are alphanumeric characters or hyphens(-)"},
		{elb.CreateLoadBalancerInput{Name: aws.String("-a"), Subnets: subnets},
			"ValidationError", "The load balancer name '-a' cannot begin or end with '-'"},
		{elb.CreateLoadBalancerInput{Name: aws.String("internal-a"), Subnets: subnets},
			"ValidationError", "The load balancer name 'internal-a' cannot begin with 'internal-'"},
		{elb.CreateLoadBalancerInput{Name: aws.String("a"), Subnets: subnets[:1]},
			"ValidationError", "At least two subnets in two different Availability Zones must be specified"},
		{elb.CreateLoadBalancerInput{Name: aws.String("a"), Subnets: []string{subnets[0], subnets[0]}},
			"ValidationError", "At least two subnets in two different Availability Zones must be specified"},
		{elb.CreateLoadBalancerInput{Name: aws.String("a")},
			"ValidationError", "At least two subnets in two different Availability Zones must be specified"},
		{elb.CreateLoadBalancerInput{Name: aws.String("a"), Subnets: []string{subnets[0], "subnet-none"}},
			"SubnetNotFound", "The subnet ID 'subnet-none' does not exist"},
		{elb.CreateLoadBalancerInput{Name: aws.String("a"), Subnets: subnets, SecurityGroups: []string{"sg-none"}},
			"InvalidSecurityGroup", "The security group 'sg-none' does not exist"},
		{elb.CreateLoadBalancerInput{Name: aws.String("a"), Subnets: subnets, Type: "network"},
			"InvalidConfigurationRequest", "dhow serves load balancers of type 'application'; type 'network' is not served yet"},
		{elb.CreateLoadBalancerInput{Name: aws.String("a"), Subnets: subnets, IpAddressType: "dualstack"},
			"InvalidConfigurationRequest", "load balancers of dhow have IPv4 addresses only: IP address type 'dualstack' is not served"},
		{elb.CreateLoadBalancerInput{Name: aws.String("a"), Subnets: subnets, Tags: []types.Tag{{Key: aws.String("k")}, {Key: aws.String("k")}}},
			"DuplicateTagKeys", "Tag keys must be unique. Duplicate key: 'k'"},
	} {
		_, err := r.CreateLoadBalancer(r.ctx, &tc.in)
		wantError(t, err, tc.code, tc.message)
	}
}

func TestDescribeLoadBalancers(t *testing.T) {
	r := newRig(t)
	var arns []string
	for i := range 5 {
		arns = append(arns, *r.balancer(fmt.Sprintf("lb-%d", i)).LoadBalancerArn)
	}
	var got []string
	pages := elb.NewDescribeLoadBalancersPaginator(r.Client, &elb.DescribeLoadBalancersInput{PageSize: aws.Int32(2)})
	n := 0
	for pages.HasMorePages() {
		page, err := pages.NextPage(r.ctx)
		if err != nil {
			t.Fatal(err)
		}
		n++
		for _, b := range page.LoadBalancers {
			got = append(got, *b.LoadBalancerArn)
			if b.State.Code != "active" {
				t.Errorf("%s is %s", *b.LoadBalancerName, b.State.Code)
			}
		}
	}
	if n != 3 || strings.Join(got, " ") != strings.Join(arns, " ") {
		t.Errorf("%d pages with %v", n, got)
	}
	out, err := r.DescribeLoadBalancers(r.ctx, &elb.DescribeLoadBalancersInput{Names: []string{"lb-3"}})
	if err != nil || len(out.LoadBalancers) != 1 || *out.LoadBalancers[0].LoadBalancerArn != arns[3] {
		t.Errorf("by name: %+v (%v)", out, err)
	}
	_, err = r.DescribeLoadBalancers(r.ctx, &elb.DescribeLoadBalancersInput{Names: []string{"none"}})
	wantError(t, err, "LoadBalancerNotFound", "Load balancers '[none]' not found")
	other := strings.Replace(arns[0], "000000000000", "111111111111", 1)
	_, err = r.DescribeLoadBalancers(r.ctx, &elb.DescribeLoadBalancersInput{LoadBalancerArns: []string{other}})
	wantError(t, err, "LoadBalancerNotFound", "Load balancers '["+other+"]' not found")
	_, err = r.DescribeLoadBalancers(r.ctx, &elb.DescribeLoadBalancersInput{Marker: aws.String("rubbish")})
	if code, _ := failure(t, err); code != "ValidationError" {
		t.Errorf("a bad marker is %s", code)
	}
}

func TestBalancerAttributes(t *testing.T) {
	r := newRig(t)
	b := r.balancer("front")
	set := func(key, value string) error {
		_, err := r.ModifyLoadBalancerAttributes(r.ctx, &elb.ModifyLoadBalancerAttributesInput{LoadBalancerArn: b.LoadBalancerArn,
			Attributes: []types.LoadBalancerAttribute{{Key: &key, Value: &value}}})
		return err
	}
	for _, kv := range [][2]string{{"idle_timeout.timeout_seconds", "90"}, {"access_logs.s3.enabled", "false"},
		{"routing.http2.enabled", "false"}, {"deletion_protection.enabled", "true"}} {
		if err := set(kv[0], kv[1]); err != nil {
			t.Errorf("%v: %v", kv, err)
		}
	}
	wantError(t, set("no.such", "1"), "ValidationError", "Load balancer attribute key 'no.such' is not recognized")
	wantError(t, set("idle_timeout.timeout_seconds", "0"), "ValidationError",
		"Load balancer attribute idle_timeout.timeout_seconds: the value '0' is not a number from 1 to 4000")
	wantError(t, set("access_logs.s3.enabled", "true"), "InvalidConfigurationRequest",
		"Load balancer attribute access_logs.s3.enabled: logs to S3 are not written by dhow; leave it at its default")

	out, err := r.DescribeLoadBalancerAttributes(r.ctx, &elb.DescribeLoadBalancerAttributesInput{LoadBalancerArn: b.LoadBalancerArn})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, a := range out.Attributes {
		got[*a.Key] = *a.Value
	}
	if got["idle_timeout.timeout_seconds"] != "90" || got["routing.http.xff_header_processing.mode"] != "append" || got["client_keep_alive.seconds"] != "3600" {
		t.Errorf("attributes are %v", got)
	}
	_, err = r.DeleteLoadBalancer(r.ctx, &elb.DeleteLoadBalancerInput{LoadBalancerArn: b.LoadBalancerArn})
	wantError(t, err, "OperationNotPermitted", "Load balancer '"+*b.LoadBalancerArn+"' cannot be deleted because deletion protection is enabled")
	if err := set("deletion_protection.enabled", "false"); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time it is gone already
		if _, err := r.DeleteLoadBalancer(r.ctx, &elb.DeleteLoadBalancerInput{LoadBalancerArn: b.LoadBalancerArn}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSet(t *testing.T) {
	r := newRig(t)
	b := r.balancer("front")
	subnets := cluster.DefaultSubnets(home)
	out, err := r.SetSubnets(r.ctx, &elb.SetSubnetsInput{LoadBalancerArn: b.LoadBalancerArn, Subnets: subnets[1:]})
	if err != nil || len(out.AvailabilityZones) != 2 || *out.AvailabilityZones[1].ZoneName != "us-east-1c" {
		t.Errorf("SetSubnets: %+v (%v)", out, err)
	}
	_, err = r.SetSubnets(r.ctx, &elb.SetSubnetsInput{LoadBalancerArn: b.LoadBalancerArn, Subnets: subnets[:1]})
	wantError(t, err, "ValidationError", "At least two subnets in two different Availability Zones must be specified")
	groups, err := r.SetSecurityGroups(r.ctx, &elb.SetSecurityGroupsInput{LoadBalancerArn: b.LoadBalancerArn, SecurityGroups: []string{cluster.DefaultSecurityGroup(home)}})
	if err != nil || len(groups.SecurityGroupIds) != 1 {
		t.Errorf("SetSecurityGroups: %+v (%v)", groups, err)
	}
	if _, err := r.SetIpAddressType(r.ctx, &elb.SetIpAddressTypeInput{LoadBalancerArn: b.LoadBalancerArn, IpAddressType: "ipv4"}); err != nil {
		t.Error(err)
	}
	if _, err := r.DescribeCapacityReservation(r.ctx, &elb.DescribeCapacityReservationInput{LoadBalancerArn: b.LoadBalancerArn}); err != nil {
		t.Error(err)
	}
	limits, err := r.DescribeAccountLimits(r.ctx, &elb.DescribeAccountLimitsInput{PageSize: aws.Int32(3)})
	if err != nil || len(limits.Limits) != 3 || limits.NextMarker == nil {
		t.Errorf("DescribeAccountLimits: %+v (%v)", limits, err)
	}
}

// TestManyListeners deletes a load balancer with more listeners than a
// transaction takes.
func TestManyListeners(t *testing.T) {
	r := newRig(t)
	b := r.balancer("front")
	g := r.group("web")
	for i := range int32(25) {
		r.listener(b, 20000+i, g)
	}
	if _, err := r.DeleteLoadBalancer(r.ctx, &elb.DeleteLoadBalancerInput{LoadBalancerArn: b.LoadBalancerArn}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.DeleteTargetGroup(r.ctx, &elb.DeleteTargetGroupInput{TargetGroupArn: g.TargetGroupArn}); err != nil {
		t.Errorf("the target group is still held: %v", err)
	}
}

func TestTags(t *testing.T) {
	r := newRig(t)
	b, g := r.balancer("front"), r.group("web")
	l := r.listener(b, freePort(t), g)
	arns := []string{*b.LoadBalancerArn, *g.TargetGroupArn, *l.ListenerArn}
	if _, err := r.AddTags(r.ctx, &elb.AddTagsInput{ResourceArns: arns, Tags: []types.Tag{
		{Key: aws.String("team"), Value: aws.String("sea")}, {Key: aws.String("old"), Value: aws.String("1")}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.AddTags(r.ctx, &elb.AddTagsInput{ResourceArns: arns[:1], Tags: []types.Tag{{Key: aws.String("team"), Value: aws.String("land")}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.RemoveTags(r.ctx, &elb.RemoveTagsInput{ResourceArns: arns, TagKeys: []string{"old", "never"}}); err != nil {
		t.Fatal(err)
	}
	out, err := r.DescribeTags(r.ctx, &elb.DescribeTagsInput{ResourceArns: arns})
	if err != nil {
		t.Fatal(err)
	}
	for i, d := range out.TagDescriptions {
		want := "sea"
		if i == 0 {
			want = "land"
		}
		if *d.ResourceArn != arns[i] || len(d.Tags) != 1 || *d.Tags[0].Key != "team" || *d.Tags[0].Value != want {
			t.Errorf("%s has %+v", *d.ResourceArn, d.Tags)
		}
	}
	_, err = r.AddTags(r.ctx, &elb.AddTagsInput{ResourceArns: arns[:1], Tags: []types.Tag{{Key: aws.String("aws:x"), Value: aws.String("")}}})
	wantError(t, err, "ValidationError", "Tag keys beginning with 'aws:' are reserved for system use: 'aws:x'")
	gone := strings.Replace(arns[1], "/web/", "/gone/", 1)
	_, err = r.DescribeTags(r.ctx, &elb.DescribeTagsInput{ResourceArns: []string{gone}})
	wantError(t, err, "TargetGroupNotFound", "One or more target groups not found")
	many := make([]types.Tag, 51)
	for i := range many {
		many[i] = types.Tag{Key: aws.String(fmt.Sprint(i)), Value: aws.String("")}
	}
	_, err = r.AddTags(r.ctx, &elb.AddTagsInput{ResourceArns: arns[:1], Tags: many})
	if code, _ := failure(t, err); code != "TooManyTags" {
		t.Errorf("51 tags are %s", code)
	}
}

// TestScopes keeps accounts apart.
func TestScopes(t *testing.T) {
	r := newRig(t)
	b := r.balancer("front")
	other := func(o *elb.Options) {
		o.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "222222222222", SecretAccessKey: "x"}, nil
		})
	}
	out, err := r.DescribeLoadBalancers(r.ctx, &elb.DescribeLoadBalancersInput{}, other)
	if err != nil || len(out.LoadBalancers) != 0 {
		t.Errorf("another account sees %+v (%v)", out, err)
	}
	if _, err := r.DeleteLoadBalancer(r.ctx, &elb.DeleteLoadBalancerInput{LoadBalancerArn: b.LoadBalancerArn}, other); err != nil {
		t.Fatal(err)
	}
	if out, err := r.DescribeLoadBalancers(r.ctx, &elb.DescribeLoadBalancersInput{}); err != nil || len(out.LoadBalancers) != 1 {
		t.Errorf("another account deleted it: %+v (%v)", out, err)
	}
}
