package elbv2

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// What is no ARN of the kind, or is one of another region, is told apart from
// what is not there.
func TestBadARNs(t *testing.T) {
	r := newRig(t)
	g, b := r.group("g"), r.balancer("front")
	l := r.listener(b, freePort(t), g)
	balancer := func(arn string) error {
		_, err := r.DescribeLoadBalancerAttributes(r.ctx, &elb.DescribeLoadBalancerAttributesInput{LoadBalancerArn: &arn})
		return err
	}
	group := func(arn string) error {
		_, err := r.DescribeTargetHealth(r.ctx, &elb.DescribeTargetHealthInput{TargetGroupArn: &arn})
		return err
	}
	listener := func(arn string) error {
		_, err := r.DescribeListeners(r.ctx, &elb.DescribeListenersInput{ListenerArns: []string{arn}})
		return err
	}
	rule := func(arn string) error {
		_, err := r.DescribeRules(r.ctx, &elb.DescribeRulesInput{RuleArns: []string{arn}})
		return err
	}
	calls := map[string]func(string) error{"load balancer": balancer, "target group": group, "listener": listener, "listener rule": rule}
	far := func(arn *string) string { return strings.Replace(*arn, "us-east-1", "eu-west-1", 1) }
	for kind, bad := range map[string][]string{
		"load balancer": {"x", "front", "arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/front", far(b.LoadBalancerArn), *g.TargetGroupArn},
		"target group":  {"x", strings.Replace(*g.TargetGroupArn, "elasticloadbalancing", "ecs", 1), *g.TargetGroupArn + "/1", far(g.TargetGroupArn), *b.LoadBalancerArn},
		"listener":      {"", "x", *b.LoadBalancerArn, strings.Replace(*l.ListenerArn, "/app/", "/", 1), far(l.ListenerArn)},
		"listener rule": {"x", *l.ListenerArn},
	} {
		for _, arn := range bad {
			wantError(t, calls[kind](arn), "ValidationError", "'"+arn+"' is not a valid "+kind+" ARN")
		}
	}
	missing := strings.Replace(*b.LoadBalancerArn, "/front/", "/back/", 1)
	wantError(t, balancer(missing), "LoadBalancerNotFound", "Load balancers '["+missing+"]' not found")
	for _, err := range []error{
		func() error {
			_, err := r.DeleteLoadBalancer(r.ctx, &elb.DeleteLoadBalancerInput{LoadBalancerArn: aws.String("x")})
			return err
		}(),
		func() error {
			_, err := r.DescribeListeners(r.ctx, &elb.DescribeListenersInput{LoadBalancerArn: aws.String("x")})
			return err
		}(),
		func() error {
			_, err := r.DescribeTargetGroups(r.ctx, &elb.DescribeTargetGroupsInput{LoadBalancerArn: aws.String("x")})
			return err
		}(),
	} {
		wantError(t, err, "ValidationError", "'x' is not a valid load balancer ARN")
	}
	_, err := r.DeleteTargetGroup(r.ctx, &elb.DeleteTargetGroupInput{TargetGroupArn: aws.String("x")})
	wantError(t, err, "ValidationError", "'x' is not a valid target group ARN")
	_, err = r.CreateListener(r.ctx, &elb.CreateListenerInput{LoadBalancerArn: b.LoadBalancerArn, Protocol: "HTTP", Port: aws.Int32(1234),
		DefaultActions: []types.Action{{Type: "forward", TargetGroupArn: aws.String("x")}}})
	wantError(t, err, "ValidationError", "'x' is not a valid target group ARN")
	_, err = r.AddTags(r.ctx, &elb.AddTagsInput{ResourceArns: []string{far(b.LoadBalancerArn)}, Tags: []types.Tag{{Key: aws.String("k"), Value: aws.String("v")}}})
	wantError(t, err, "ValidationError", "'"+far(b.LoadBalancerArn)+"' is not a valid load balancer ARN")
}

// A member is carried out or refused, never taken and forgotten.
func TestNothingIsIgnored(t *testing.T) {
	r := newRig(t)
	g, b := r.group("g"), r.balancer("front")
	for _, what := range []types.DescribeTargetHealthInputIncludeEnum{"AnomalyDetection", "All"} {
		_, err := r.DescribeTargetHealth(r.ctx, &elb.DescribeTargetHealthInput{TargetGroupArn: g.TargetGroupArn, Include: []types.DescribeTargetHealthInputIncludeEnum{what}})
		wantError(t, err, "InvalidConfigurationRequest", "anomalies of targets are not looked for by dhow: leave out Include")
	}
	for _, protocol := range []types.ProtocolEnum{"TCP", "UDP", "TLS"} {
		_, err := r.CreateTargetGroup(r.ctx, &elb.CreateTargetGroupInput{Name: aws.String("x"), TargetType: "ip", Protocol: "HTTP", Port: aws.Int32(80), VpcId: g.VpcId, HealthCheckProtocol: protocol})
		wantError(t, err, "InvalidConfigurationRequest", fmt.Sprintf("Health check protocol '%s' is not supported for target groups with protocol 'HTTP': use HTTP or HTTPS", protocol))
		_, err = r.ModifyTargetGroup(r.ctx, &elb.ModifyTargetGroupInput{TargetGroupArn: g.TargetGroupArn, HealthCheckProtocol: protocol})
		wantError(t, err, "InvalidConfigurationRequest", fmt.Sprintf("Health check protocol '%s' is not supported for target groups with protocol 'HTTP': use HTTP or HTTPS", protocol))
	}
	forward := func(enabled bool, seconds *int32) []types.Action {
		return []types.Action{{Type: "forward", ForwardConfig: &types.ForwardActionConfig{TargetGroups: []types.TargetGroupTuple{{TargetGroupArn: g.TargetGroupArn}},
			TargetGroupStickinessConfig: &types.TargetGroupStickinessConfig{Enabled: &enabled, DurationSeconds: seconds}}}}
	}
	port := freePort(t)
	for _, n := range []int32{0, -1, 604801} {
		_, err := r.CreateListener(r.ctx, &elb.CreateListenerInput{LoadBalancerArn: b.LoadBalancerArn, Protocol: "HTTP", Port: &port, DefaultActions: forward(false, &n)})
		wantError(t, err, "ValidationError", "Target group stickiness duration must be between 1 and 604800 seconds")
	}
	out, err := r.CreateListener(r.ctx, &elb.CreateListenerInput{LoadBalancerArn: b.LoadBalancerArn, Protocol: "HTTP", Port: &port, DefaultActions: forward(false, aws.Int32(600))})
	if err != nil {
		t.Fatal(err)
	}
	if s := out.Listeners[0].DefaultActions[0].ForwardConfig.TargetGroupStickinessConfig; *s.Enabled || s.DurationSeconds == nil || *s.DurationSeconds != 600 {
		t.Errorf("stickiness is %+v", s)
	}
	_, err = r.ModifyListener(r.ctx, &elb.ModifyListenerInput{ListenerArn: out.Listeners[0].ListenerArn})
	wantError(t, err, "ValidationError", "An action must be specified")
	if l, err := r.ModifyListener(r.ctx, &elb.ModifyListenerInput{ListenerArn: out.Listeners[0].ListenerArn, DefaultActions: forward(false, nil)}); err != nil ||
		l.Listeners[0].DefaultActions[0].ForwardConfig.TargetGroupStickinessConfig.DurationSeconds != nil {
		t.Errorf("%+v %v", l, err)
	}
	var names []string
	for i := range 21 {
		names = append(names, fmt.Sprint("n", i))
	}
	_, err = r.DescribeLoadBalancers(r.ctx, &elb.DescribeLoadBalancersInput{Names: names})
	wantError(t, err, "ValidationError", "You can specify up to 20 load balancers in a single call")
	_, err = r.DescribeLoadBalancers(r.ctx, &elb.DescribeLoadBalancersInput{LoadBalancerArns: names})
	wantError(t, err, "ValidationError", "You can specify up to 20 load balancers in a single call")
}

// A value that no attribute has is a ValidationError, one that dhow does not
// serve an InvalidConfigurationRequest, and defaults are AWS's.
func TestAttributeValues(t *testing.T) {
	r := newRig(t)
	g := r.group("g")
	set := func(key, value string) error {
		_, err := r.ModifyTargetGroupAttributes(r.ctx, &elb.ModifyTargetGroupAttributesInput{TargetGroupArn: g.TargetGroupArn,
			Attributes: []types.TargetGroupAttribute{{Key: &key, Value: &value}}})
		return err
	}
	const what = "Target group attribute "
	for _, c := range []struct{ key, value, code, message string }{
		{"deregistration_delay.timeout_seconds", "soon", "ValidationError", "the value 'soon' is not a number from 0 to 3600"},
		{"stickiness.enabled", "yes", "ValidationError", "the value 'yes' is not one of true, false"},
		{"stickiness.type", "cookie", "ValidationError", "the value 'cookie' is not one of lb_cookie, app_cookie"},
		{"slow_start.duration_seconds", "29", "ValidationError", "the value '29' is not 0 or a number from 30 to 900"},
		{"slow_start.duration_seconds", "30", "InvalidConfigurationRequest", "slow start is not served yet; leave it at '0'"},
		{"load_balancing.algorithm.type", "random", "ValidationError", "the value 'random' is not one of round_robin, least_outstanding_requests, weighted_random"},
		{"load_balancing.algorithm.type", "weighted_random", "InvalidConfigurationRequest", "the algorithm weighted_random is not served yet; use round_robin or least_outstanding_requests"},
		{"load_balancing.cross_zone.enabled", "false", "InvalidConfigurationRequest", "a load balancer of dhow has one address in all zones; leave it at its default"},
		{"load_balancing.cross_zone.enabled", "maybe", "ValidationError", "the value 'maybe' is not one of true, false, use_load_balancer_configuration"},
		{"target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage", "0", "ValidationError", "the value '0' is not 'off' or a number from 1 to 100"},
		{"target_group_health.dns_failover.minimum_healthy_targets.count", "2", "InvalidConfigurationRequest", "a load balancer of dhow has one address in all zones; leave it at its default"},
	} {
		wantError(t, set(c.key, c.value), c.code, what+c.key+": "+c.message)
	}
	b := r.balancer("front")
	inner, err := r.CreateLoadBalancer(r.ctx, &elb.CreateLoadBalancerInput{Name: aws.String("inner"), Scheme: "internal", Subnets: []string{*b.AvailabilityZones[0].SubnetId, *b.AvailabilityZones[1].SubnetId}})
	if err != nil {
		t.Fatal(err)
	}
	for arn, want := range map[string]string{*b.LoadBalancerArn: "false", *inner.LoadBalancers[0].LoadBalancerArn: "true"} {
		out, err := r.DescribeLoadBalancerAttributes(r.ctx, &elb.DescribeLoadBalancerAttributesInput{LoadBalancerArn: &arn})
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range out.Attributes {
			if *a.Key == "ipv6.deny_all_igw_traffic" && *a.Value != want {
				t.Errorf("%s: %s is %s, want %s", arn, *a.Key, *a.Value, want)
			}
		}
	}
	balancer := func(key, value string) error {
		_, err := r.ModifyLoadBalancerAttributes(r.ctx, &elb.ModifyLoadBalancerAttributesInput{LoadBalancerArn: b.LoadBalancerArn,
			Attributes: []types.LoadBalancerAttribute{{Key: &key, Value: &value}}})
		return err
	}
	wantError(t, balancer("routing.http.desync_mitigation_mode", "strictest"), "InvalidConfigurationRequest",
		"Load balancer attribute routing.http.desync_mitigation_mode: requests that are ambiguous are always refused; leave it at 'defensive'")
	wantError(t, balancer("routing.http.desync_mitigation_mode", "off"), "ValidationError",
		"Load balancer attribute routing.http.desync_mitigation_mode: the value 'off' is not one of monitor, defensive, strictest")
	wantError(t, balancer("access_logs.s3.enabled", "on"), "ValidationError", "Load balancer attribute access_logs.s3.enabled: the value 'on' is not one of true, false")
}

// Accounts stay apart in every call that takes an ARN.
func TestScopesOfTargets(t *testing.T) {
	r := newRig(t)
	g, b := r.group("g"), r.balancer("front")
	l := r.listener(b, freePort(t), g)
	other := func(o *elb.Options) {
		o.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "222222222222", SecretAccessKey: "x"}, nil
		})
	}
	target := []types.TargetDescription{{Id: aws.String("127.0.0.1")}}
	_, register := r.RegisterTargets(r.ctx, &elb.RegisterTargetsInput{TargetGroupArn: g.TargetGroupArn, Targets: target}, other)
	_, deregister := r.DeregisterTargets(r.ctx, &elb.DeregisterTargetsInput{TargetGroupArn: g.TargetGroupArn, Targets: target}, other)
	_, health := r.DescribeTargetHealth(r.ctx, &elb.DescribeTargetHealthInput{TargetGroupArn: g.TargetGroupArn}, other)
	_, modify := r.ModifyTargetGroup(r.ctx, &elb.ModifyTargetGroupInput{TargetGroupArn: g.TargetGroupArn, HealthCheckPath: aws.String("/x")}, other)
	for _, err := range []error{register, deregister, health, modify} {
		wantError(t, err, "TargetGroupNotFound", "One or more target groups not found")
	}
	_, err := r.DeleteListener(r.ctx, &elb.DeleteListenerInput{ListenerArn: l.ListenerArn}, other)
	wantError(t, err, "ListenerNotFound", "One or more listeners not found")
	_, err = r.SetSubnets(r.ctx, &elb.SetSubnetsInput{LoadBalancerArn: b.LoadBalancerArn, Subnets: []string{"a", "b"}}, other)
	wantError(t, err, "LoadBalancerNotFound", "Load balancers '["+*b.LoadBalancerArn+"]' not found")
}
