package elbv2

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/dhowhq/dhow/cluster"
)

func TestCreateTargetGroup(t *testing.T) {
	r := newRig(t)
	g := r.group("web", func(in *elb.CreateTargetGroupInput) { in.TargetType = "" })
	if g.TargetType != "instance" || g.HealthCheckProtocol != "HTTP" || *g.HealthCheckPath != "/" || *g.HealthCheckPort != "traffic-port" ||
		*g.HealthCheckIntervalSeconds != 30 || *g.HealthCheckTimeoutSeconds != 5 || *g.HealthyThresholdCount != 5 ||
		*g.UnhealthyThresholdCount != 2 || *g.Matcher.HttpCode != "200" || *g.ProtocolVersion != "HTTP1" || !*g.HealthCheckEnabled ||
		g.IpAddressType != "ipv4" || len(g.LoadBalancerArns) != 0 {
		t.Errorf("the defaults are %+v", g)
	}
	again := r.group("web", func(in *elb.CreateTargetGroupInput) { in.TargetType = "instance" })
	if *again.TargetGroupArn != *g.TargetGroupArn {
		t.Errorf("the same call made %s", *again.TargetGroupArn)
	}

	edit := func(f func(in *elb.CreateTargetGroupInput)) *elb.CreateTargetGroupInput {
		in := &elb.CreateTargetGroupInput{Name: aws.String("x"), TargetType: "ip", Protocol: "HTTP", Port: aws.Int32(80), VpcId: aws.String(cluster.DefaultVPC(home))}
		f(in)
		return in
	}
	for _, tc := range []struct {
		edit          func(in *elb.CreateTargetGroupInput)
		code, message string
	}{
		{func(in *elb.CreateTargetGroupInput) { in.Name = aws.String("web") }, "DuplicateTargetGroupName", "A target group with the same name 'web' exists, but with different settings"},
		{func(in *elb.CreateTargetGroupInput) { in.Name = aws.String(strings.Repeat("y", 40)) }, "ValidationError", "Target group name '" + strings.Repeat("y", 40) + "' cannot be longer than '32' characters"},
		{func(in *elb.CreateTargetGroupInput) { in.Protocol = "" }, "ValidationError", "A protocol must be specified"},
		{func(in *elb.CreateTargetGroupInput) { in.Protocol = "TCP" }, "InvalidConfigurationRequest", "dhow serves target groups of application load balancers, with protocol HTTP or HTTPS; protocol 'TCP' is not served yet"},
		{func(in *elb.CreateTargetGroupInput) { in.Port = nil }, "ValidationError", "A port must be specified"},
		{func(in *elb.CreateTargetGroupInput) { in.VpcId = nil }, "ValidationError", "A VPC ID must be specified"},
		{func(in *elb.CreateTargetGroupInput) { in.VpcId = aws.String("vpc-none") }, "ValidationError", "The VPC ID 'vpc-none' is not found"},
		{func(in *elb.CreateTargetGroupInput) { in.TargetType = "lambda" }, "InvalidConfigurationRequest", "dhow serves target groups of type 'ip' and 'instance'; type 'lambda' is not served yet"},
		{func(in *elb.CreateTargetGroupInput) { in.ProtocolVersion = aws.String("GRPC") }, "InvalidConfigurationRequest", "targets are spoken to in HTTP/1.1: protocol version 'GRPC' is not served yet"},
		{func(in *elb.CreateTargetGroupInput) { in.HealthCheckEnabled = aws.Bool(false) }, "InvalidConfigurationRequest", "Health check enabled must be true for target groups with target type 'ip'"},
		{func(in *elb.CreateTargetGroupInput) {
			in.HealthCheckIntervalSeconds, in.HealthCheckTimeoutSeconds = aws.Int32(10), aws.Int32(10)
		}, "ValidationError", "Health check timeout '10' must be smaller than the interval '10'"},
		{func(in *elb.CreateTargetGroupInput) { in.HealthCheckPath = aws.String("x") }, "ValidationError", "Health check path 'x' must begin with a '/' character and contain no spaces"},
		{func(in *elb.CreateTargetGroupInput) { in.HealthCheckPath = aws.String("/x HTTP/1.1\r\nX: y") }, "ValidationError", "Health check path '/x HTTP/1.1\r\nX: y' must begin with a '/' character and contain no spaces"},
		{func(in *elb.CreateTargetGroupInput) { in.HealthCheckPort = aws.String("0") }, "ValidationError", "Health check port '0' must be 'traffic-port' or a number from 1 to 65535"},
		{func(in *elb.CreateTargetGroupInput) { in.Matcher = &types.Matcher{HttpCode: aws.String("600")} }, "ValidationError", "Health check matcher: HTTP codes '600' are not codes or ranges of codes from 200 to 499, such as 200,301-302"},
		{func(in *elb.CreateTargetGroupInput) { in.Matcher = &types.Matcher{GrpcCode: aws.String("1")} }, "InvalidConfigurationRequest", "GRPC codes are supported only for target groups with protocol version GRPC, which is not served yet"},
	} {
		_, err := r.CreateTargetGroup(r.ctx, edit(tc.edit))
		if code, message := failure(t, err); code != tc.code || strings.ReplaceAll(message, "\n", "") != strings.ReplaceAll(tc.message, "\n", "") {
			t.Errorf("error is\n  %s: %q\nwant\n  %s: %q", code, message, tc.code, tc.message)
		}
	}
}

func TestModifyTargetGroup(t *testing.T) {
	r := newRig(t)
	g := r.group("web")
	out, err := r.ModifyTargetGroup(r.ctx, &elb.ModifyTargetGroupInput{TargetGroupArn: g.TargetGroupArn,
		HealthCheckPath: aws.String("/live"), HealthCheckIntervalSeconds: aws.Int32(5), HealthCheckTimeoutSeconds: aws.Int32(2),
		Matcher: &types.Matcher{HttpCode: aws.String("200-299")}})
	if err != nil {
		t.Fatal(err)
	}
	if m := out.TargetGroups[0]; *m.HealthCheckPath != "/live" || *m.HealthCheckIntervalSeconds != 5 || *m.Matcher.HttpCode != "200-299" || *m.HealthyThresholdCount != 5 {
		t.Errorf("got %+v", m)
	}
	_, err = r.ModifyTargetGroup(r.ctx, &elb.ModifyTargetGroupInput{TargetGroupArn: g.TargetGroupArn, HealthCheckTimeoutSeconds: aws.Int32(6)})
	wantError(t, err, "ValidationError", "Health check timeout '6' must be smaller than the interval '5'")

	set := func(key, value string) error {
		_, err := r.ModifyTargetGroupAttributes(r.ctx, &elb.ModifyTargetGroupAttributesInput{TargetGroupArn: g.TargetGroupArn,
			Attributes: []types.TargetGroupAttribute{{Key: &key, Value: &value}}})
		return err
	}
	for _, kv := range [][2]string{{"deregistration_delay.timeout_seconds", "0"}, {"load_balancing.algorithm.type", "least_outstanding_requests"},
		{"stickiness.enabled", "false"}, {"slow_start.duration_seconds", "0"},
		{"target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage", "off"}} {
		if err := set(kv[0], kv[1]); err != nil {
			t.Errorf("%v: %v", kv, err)
		}
	}
	wantError(t, set("stickiness.enabled", "true"), "InvalidConfigurationRequest", "Target group attribute stickiness.enabled: sticky sessions are not served yet; leave it at 'false'")
	wantError(t, set("slow_start.duration_seconds", "30"), "InvalidConfigurationRequest", "Target group attribute slow_start.duration_seconds: slow start is not served yet; leave it at '0'")
	wantError(t, set("deregistration_delay.timeout_seconds", "3601"), "ValidationError", "Target group attribute deregistration_delay.timeout_seconds: the value '3601' is not a number from 0 to 3600")
	attrs, err := r.DescribeTargetGroupAttributes(r.ctx, &elb.DescribeTargetGroupAttributesInput{TargetGroupArn: g.TargetGroupArn})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(attrs.Attributes, func(a types.TargetGroupAttribute) bool {
		return *a.Key == "deregistration_delay.timeout_seconds" && *a.Value == "0"
	}) {
		t.Errorf("attributes are %+v", attrs.Attributes)
	}
}

func TestDescribeTargetGroups(t *testing.T) {
	r := newRig(t)
	b, c := r.balancer("b"), r.balancer("c")
	g, h := r.group("g"), r.group("h")
	r.listener(b, freePort(t), g)
	r.listener(c, freePort(t), h)
	out, err := r.DescribeTargetGroups(r.ctx, &elb.DescribeTargetGroupsInput{LoadBalancerArn: b.LoadBalancerArn})
	if err != nil || len(out.TargetGroups) != 1 || *out.TargetGroups[0].TargetGroupName != "g" || out.TargetGroups[0].LoadBalancerArns[0] != *b.LoadBalancerArn {
		t.Errorf("of a load balancer: %+v (%v)", out, err)
	}
	out, err = r.DescribeTargetGroups(r.ctx, &elb.DescribeTargetGroupsInput{Names: []string{"h", "g", "h"}})
	if err != nil || len(out.TargetGroups) != 2 {
		t.Errorf("by name: %+v (%v)", out, err)
	}
	_, err = r.DescribeTargetGroups(r.ctx, &elb.DescribeTargetGroupsInput{Names: []string{"none"}})
	wantError(t, err, "TargetGroupNotFound", "One or more target groups not found")
}

// TestDeleteRacesCreate creates listeners and deletes their target group at
// once: never is there a listener whose target group is gone.
func TestDeleteRacesCreate(t *testing.T) {
	r := newRig(t)
	b := r.balancer("front")
	for i := range int32(10) {
		g := r.group(fmt.Sprintf("g%d", i))
		var both sync.WaitGroup
		var createErr, deleteErr error
		both.Go(func() {
			_, createErr = r.CreateListener(r.ctx, &elb.CreateListenerInput{LoadBalancerArn: b.LoadBalancerArn, Protocol: "HTTP", Port: aws.Int32(21000 + i),
				DefaultActions: []types.Action{{Type: "forward", TargetGroupArn: g.TargetGroupArn}}})
		})
		both.Go(func() {
			_, deleteErr = r.DeleteTargetGroup(r.ctx, &elb.DeleteTargetGroupInput{TargetGroupArn: g.TargetGroupArn})
		})
		both.Wait()
		switch {
		case createErr == nil:
			wantError(t, deleteErr, "ResourceInUse", "Target group '"+*g.TargetGroupArn+"' is currently in use by a listener or a rule")
		case deleteErr == nil:
			wantError(t, createErr, "TargetGroupNotFound", "One or more target groups not found")
		default:
			t.Errorf("both failed: %v; %v", createErr, deleteErr)
		}
	}
}

func TestTargets(t *testing.T) {
	r := newRig(t)
	g := r.group("web")
	machines := r.group("machines", func(in *elb.CreateTargetGroupInput) { in.TargetType = "instance" })
	register := func(g types.TargetGroup, all ...types.TargetDescription) error {
		_, err := r.RegisterTargets(r.ctx, &elb.RegisterTargetsInput{TargetGroupArn: g.TargetGroupArn, Targets: all})
		return err
	}
	ip := func(id string, zone string, port ...int32) types.TargetDescription {
		d := types.TargetDescription{Id: &id}
		if zone != "" {
			d.AvailabilityZone = &zone
		}
		if len(port) > 0 {
			d.Port = &port[0]
		}
		return d
	}
	for _, d := range []types.TargetDescription{ip("127.0.0.1", ""), ip("127.0.0.1", "", 81), ip("127.0.16.9", "us-east-1b"), ip("10.1.2.3", "all")} {
		if err := register(g, d); err != nil {
			t.Errorf("%s: %v", *d.Id, err)
		}
	}
	if err := register(machines, ip("i-0123456789abcdef0", "", 49153)); err != nil {
		t.Error(err)
	}
	for _, tc := range []struct {
		g             types.TargetGroup
		d             types.TargetDescription
		code, message string
	}{
		{g, ip("localhost", ""), "ValidationError", "The IP address 'localhost' is not a valid IPv4 address"},
		{g, ip("8.8.8.8", "all"), "InvalidTarget", "The IP address '8.8.8.8' is neither in the VPC nor in a range for private networks (10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10)"},
		{g, ip("10.1.2.3", ""), "ValidationError", "You must specify a valid Availability Zone or select 'all' for all enabled Availability zones, since the IP address '10.1.2.3' is outside the VPC"},
		{g, ip("127.0.0.1", "all"), "ValidationError", "The IP address '127.0.0.1' is within the VPC, and cannot have its Availability Zone overridden to 'all' from 'us-east-1a'"},
		{machines, ip("i-none", ""), "InvalidTarget", "The following targets are not in a running state and cannot be registered: 'i-none'"},
	} {
		wantError(t, register(tc.g, tc.d), tc.code, tc.message)
	}

	out, err := r.DescribeTargetHealth(r.ctx, &elb.DescribeTargetHealthInput{TargetGroupArn: g.TargetGroupArn})
	if err != nil || len(out.TargetHealthDescriptions) != 4 {
		t.Fatalf("got %+v (%v)", out, err)
	}
	for _, d := range out.TargetHealthDescriptions {
		if h := d.TargetHealth; h.State != "unused" || h.Reason != "Target.NotInUse" || *h.Description != "Target group is not configured to receive traffic from the load balancer" {
			t.Errorf("%s is %+v", *d.Target.Id, h)
		}
	}
	some, err := r.DescribeTargetHealth(r.ctx, &elb.DescribeTargetHealthInput{TargetGroupArn: g.TargetGroupArn,
		Targets: []types.TargetDescription{ip("127.0.0.1", ""), ip("127.0.0.9", "")}})
	if err != nil || len(some.TargetHealthDescriptions) != 3 || some.TargetHealthDescriptions[2].TargetHealth.Reason != "Target.NotRegistered" {
		t.Errorf("by name: %+v (%v)", some, err)
	}

	if _, err := r.DeregisterTargets(r.ctx, &elb.DeregisterTargetsInput{TargetGroupArn: g.TargetGroupArn,
		Targets: []types.TargetDescription{ip("127.0.0.1", ""), ip("10.9.9.9", "")}}); err != nil {
		t.Fatal(err)
	}
	many := make([]types.TargetDescription, 0, 1001)
	for i := range int32(1001) {
		many = append(many, ip(net.IPv4(127, 0, 1, 1).String(), "", 1000+i))
	}
	if err := register(machines, many[:1]...); err == nil {
		t.Error("an address was registered as an instance")
	}
	if code, _ := failure(t, register(g, many...)); code != "TooManyTargets" {
		t.Errorf("1001 targets are %s", code)
	}
	if err := register(g, many[:900]...); err != nil {
		t.Errorf("900 targets: %v", err)
	}
}
