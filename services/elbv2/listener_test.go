package elbv2

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

func TestListeners(t *testing.T) {
	r := newRig(t)
	b, other := r.balancer("front"), r.balancer("other")
	g, h := r.group("g"), r.group("h")
	port := freePort(t)
	l := r.listener(b, port, g)
	if again := r.listener(b, port, g); *again.ListenerArn != *l.ListenerArn {
		t.Errorf("the same call made %s", *again.ListenerArn)
	}
	forward := func(arns ...*string) []types.Action {
		a := types.Action{Type: "forward"}
		if len(arns) == 1 {
			a.TargetGroupArn = arns[0]
			return []types.Action{a}
		}
		a.ForwardConfig = &types.ForwardActionConfig{}
		for _, arn := range arns {
			a.ForwardConfig.TargetGroups = append(a.ForwardConfig.TargetGroups, types.TargetGroupTuple{TargetGroupArn: arn})
		}
		return []types.Action{a}
	}
	gone := strings.Replace(*g.TargetGroupArn, "/g/", "/gone/", 1)
	for _, tc := range []struct {
		name          string
		in            elb.CreateListenerInput
		code, message string
	}{
		{"taken", elb.CreateListenerInput{LoadBalancerArn: b.LoadBalancerArn, Port: &port, Protocol: "HTTP", DefaultActions: forward(h.TargetGroupArn)},
			"DuplicateListener", "A listener already exists on this port for this load balancer '" + *b.LoadBalancerArn + "'"},
		{"no port", elb.CreateListenerInput{LoadBalancerArn: b.LoadBalancerArn, Protocol: "HTTP", DefaultActions: forward(h.TargetGroupArn)},
			"ValidationError", "A listener port must be specified"},
		{"no protocol", elb.CreateListenerInput{LoadBalancerArn: b.LoadBalancerArn, Port: aws.Int32(1234), DefaultActions: forward(h.TargetGroupArn)},
			"ValidationError", "A listener protocol must be specified"},
		{"https", elb.CreateListenerInput{LoadBalancerArn: b.LoadBalancerArn, Port: aws.Int32(443), Protocol: "HTTPS", DefaultActions: forward(h.TargetGroupArn)},
			"UnsupportedProtocol", "dhow serves listeners of protocol HTTP; HTTPS is not served yet"},
		{"tcp", elb.CreateListenerInput{LoadBalancerArn: b.LoadBalancerArn, Port: aws.Int32(443), Protocol: "TCP", DefaultActions: forward(h.TargetGroupArn)},
			"UnsupportedProtocol", "Protocol 'TCP' is not supported for listeners of application load balancers; use HTTP"},
		{"ssl policy", elb.CreateListenerInput{LoadBalancerArn: b.LoadBalancerArn, Port: aws.Int32(1234), Protocol: "HTTP", SslPolicy: aws.String("x"), DefaultActions: forward(h.TargetGroupArn)},
			"ValidationError", "An SSL policy cannot be specified for HTTP listeners"},
		{"no group", elb.CreateListenerInput{LoadBalancerArn: b.LoadBalancerArn, Port: aws.Int32(1234), Protocol: "HTTP", DefaultActions: forward(&gone)},
			"TargetGroupNotFound", "One or more target groups not found"},
		{"no balancer", elb.CreateListenerInput{LoadBalancerArn: aws.String("x"), Port: aws.Int32(1234), Protocol: "HTTP", DefaultActions: forward(h.TargetGroupArn)},
			"ValidationError", "'x' is not a valid load balancer ARN"},
		{"two balancers", elb.CreateListenerInput{LoadBalancerArn: other.LoadBalancerArn, Port: aws.Int32(1234), Protocol: "HTTP", DefaultActions: forward(g.TargetGroupArn)},
			"TargetGroupAssociationLimit", "The following target groups cannot be associated with more than one load balancer: " + *g.TargetGroupArn},
		{"oidc", elb.CreateListenerInput{LoadBalancerArn: b.LoadBalancerArn, Port: aws.Int32(1234), Protocol: "HTTP", DefaultActions: []types.Action{{Type: "authenticate-cognito"}}},
			"InvalidLoadBalancerAction", "Actions of type 'authenticate-cognito' are supported only on HTTPS listeners, which are not served yet"},
		{"loop", elb.CreateListenerInput{LoadBalancerArn: b.LoadBalancerArn, Port: aws.Int32(1234), Protocol: "HTTP",
			DefaultActions: []types.Action{{Type: "redirect", RedirectConfig: &types.RedirectActionConfig{StatusCode: "HTTP_301"}}}},
			"InvalidLoadBalancerAction", "A redirect must change at least one of protocol, host, port and path: it would be a loop"},
		{"fixed status", elb.CreateListenerInput{LoadBalancerArn: b.LoadBalancerArn, Port: aws.Int32(1234), Protocol: "HTTP",
			DefaultActions: []types.Action{{Type: "fixed-response", FixedResponseConfig: &types.FixedResponseActionConfig{StatusCode: aws.String("302")}}}},
			"ValidationError", `1 validation error detected: Value '302' at 'defaultActions.1.member.fixedResponseConfig.statusCode' failed to satisfy constraint: Member must satisfy regular expression pattern: ^(2|4|5)\d\d$`},
		{"mixed", elb.CreateListenerInput{LoadBalancerArn: b.LoadBalancerArn, Port: aws.Int32(1234), Protocol: "HTTP",
			DefaultActions: []types.Action{{Type: "fixed-response", TargetGroupArn: g.TargetGroupArn, FixedResponseConfig: &types.FixedResponseActionConfig{StatusCode: aws.String("200")}}}},
			"InvalidLoadBalancerAction", "The action has a configuration that does not belong to its type 'fixed-response'"},
		{"sticky", elb.CreateListenerInput{LoadBalancerArn: b.LoadBalancerArn, Port: aws.Int32(1234), Protocol: "HTTP",
			DefaultActions: []types.Action{{Type: "forward", ForwardConfig: &types.ForwardActionConfig{
				TargetGroups:                []types.TargetGroupTuple{{TargetGroupArn: g.TargetGroupArn}},
				TargetGroupStickinessConfig: &types.TargetGroupStickinessConfig{Enabled: aws.Bool(true), DurationSeconds: aws.Int32(10)}}}}},
			"InvalidConfigurationRequest", "target group stickiness is not served yet; leave it disabled"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := r.CreateListener(r.ctx, &tc.in)
			wantError(t, err, tc.code, tc.message)
		})
	}

	// Another port, two groups with weights, and back to one.
	moved := freePort(t)
	out, err := r.ModifyListener(r.ctx, &elb.ModifyListenerInput{ListenerArn: l.ListenerArn, Port: &moved, Protocol: "HTTP", DefaultActions: forward(g.TargetGroupArn, h.TargetGroupArn)})
	if err != nil {
		t.Fatal(err)
	}
	if m := out.Listeners[0]; *m.Port != moved || *m.ListenerArn != *l.ListenerArn || len(m.DefaultActions[0].ForwardConfig.TargetGroups) != 2 ||
		*m.DefaultActions[0].ForwardConfig.TargetGroups[1].Weight != 1 || m.DefaultActions[0].TargetGroupArn != nil {
		t.Errorf("got %+v", m)
	}
	if _, err := r.ModifyListener(r.ctx, &elb.ModifyListenerInput{ListenerArn: l.ListenerArn, DefaultActions: forward(h.TargetGroupArn)}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.DeleteTargetGroup(r.ctx, &elb.DeleteTargetGroupInput{TargetGroupArn: g.TargetGroupArn}); err != nil {
		t.Errorf("a group that is used no more: %v", err)
	}
	second := r.listener(b, freePort(t), h)
	_, err = r.ModifyListener(r.ctx, &elb.ModifyListenerInput{ListenerArn: second.ListenerArn, Port: &moved})
	wantError(t, err, "DuplicateListener", "A listener already exists on this port for this load balancer '"+*b.LoadBalancerArn+"'")

	list, err := r.DescribeListeners(r.ctx, &elb.DescribeListenersInput{LoadBalancerArn: b.LoadBalancerArn, PageSize: aws.Int32(1)})
	if err != nil || len(list.Listeners) != 1 || list.NextMarker == nil {
		t.Errorf("DescribeListeners: %+v (%v)", list, err)
	}
	_, err = r.DescribeListeners(r.ctx, &elb.DescribeListenersInput{ListenerArns: []string{*l.ListenerArn + "0"}})
	wantError(t, err, "ListenerNotFound", "One or more listeners not found")

	if _, err := r.DeleteListener(r.ctx, &elb.DeleteListenerInput{ListenerArn: l.ListenerArn}); err != nil {
		t.Fatal(err)
	}
	_, err = r.DeleteListener(r.ctx, &elb.DeleteListenerInput{ListenerArn: l.ListenerArn})
	wantError(t, err, "ListenerNotFound", "One or more listeners not found")
}

func TestRules(t *testing.T) {
	r := newRig(t)
	b, g := r.balancer("front"), r.group("g")
	l := r.listener(b, freePort(t), g)
	out, err := r.DescribeRules(r.ctx, &elb.DescribeRulesInput{ListenerArn: l.ListenerArn})
	if err != nil || len(out.Rules) != 1 {
		t.Fatalf("got %+v (%v)", out, err)
	}
	rule := out.Rules[0]
	if !*rule.IsDefault || *rule.Priority != "default" || *rule.Actions[0].TargetGroupArn != *g.TargetGroupArn ||
		!strings.Contains(*rule.RuleArn, ":listener-rule/app/front/") {
		t.Errorf("the rule is %+v", rule)
	}
	byARN, err := r.DescribeRules(r.ctx, &elb.DescribeRulesInput{RuleArns: []string{*rule.RuleArn}})
	if err != nil || len(byARN.Rules) != 1 {
		t.Errorf("by ARN: %+v (%v)", byARN, err)
	}
	_, err = r.DescribeRules(r.ctx, &elb.DescribeRulesInput{RuleArns: []string{*rule.RuleArn + "0"}})
	wantError(t, err, "RuleNotFound", "One or more rules not found")
	if certs, err := r.DescribeListenerCertificates(r.ctx, &elb.DescribeListenerCertificatesInput{ListenerArn: l.ListenerArn}); err != nil || len(certs.Certificates) != 0 {
		t.Errorf("certificates: %+v (%v)", certs, err)
	}
	_, err = r.CreateRule(r.ctx, &elb.CreateRuleInput{ListenerArn: l.ListenerArn, Priority: aws.Int32(1), Actions: rule.Actions,
		Conditions: []types.RuleCondition{{Field: aws.String("path-pattern"), Values: []string{"/x"}}}})
	if code, message := failure(t, err); code != "NotImplemented" || !strings.Contains(message, "CreateRule") {
		t.Errorf("CreateRule: %s: %s", code, message)
	}
}

// TestActions sees fixed responses, redirects and response headers at work.
func TestActions(t *testing.T) {
	r := newRig(t)
	b := r.balancer("front")
	port := freePort(t)
	out, err := r.CreateListener(r.ctx, &elb.CreateListenerInput{LoadBalancerArn: b.LoadBalancerArn, Port: &port, Protocol: "HTTP",
		DefaultActions: []types.Action{{Type: "fixed-response", FixedResponseConfig: &types.FixedResponseActionConfig{
			StatusCode: aws.String("418"), ContentType: aws.String("application/json"), MessageBody: aws.String(`{"tea":true}`)}}}})
	if err != nil {
		t.Fatal(err)
	}
	url := r.engine.URL(*b.LoadBalancerArn, port)
	if status, body := get(t, url); status != 418 || body != `{"tea":true}` {
		t.Errorf("fixed response: %d %q", status, body)
	}
	l := out.Listeners[0].ListenerArn
	if _, err := r.ModifyListener(r.ctx, &elb.ModifyListenerInput{ListenerArn: l, DefaultActions: []types.Action{{Type: "redirect",
		RedirectConfig: &types.RedirectActionConfig{StatusCode: "HTTP_302", Protocol: aws.String("HTTPS"), Port: aws.String("443"), Path: aws.String("/new/#{path}")}}}}); err != nil {
		t.Fatal(err)
	}
	set := func(key, value string) error {
		_, err := r.ModifyListenerAttributes(r.ctx, &elb.ModifyListenerAttributesInput{ListenerArn: l, Attributes: []types.ListenerAttribute{{Key: &key, Value: &value}}})
		return err
	}
	if err := set("routing.http.response.x_frame_options.header_value", "DENY"); err != nil {
		t.Fatal(err)
	}
	if err := set("routing.http.response.server.enabled", "false"); err != nil {
		t.Fatal(err)
	}
	wantError(t, set("tcp.idle_timeout.seconds", "60"), "ValidationError", "Listener attribute key 'tcp.idle_timeout.seconds' is not recognized")
	resp := getRaw(t, url+"x?y=z")
	if got := resp.Header.Get("Location"); resp.StatusCode != 302 || got != "https://"+strings.Split(strings.TrimPrefix(url, "http://"), ":")[0]+"/new/x?y=z" {
		t.Errorf("redirect: %d to %s", resp.StatusCode, got)
	}
	if resp.Header.Get("X-Frame-Options") != "DENY" || resp.Header.Get("Server") != "" {
		t.Errorf("headers are %v", resp.Header)
	}
	attrs, err := r.DescribeListenerAttributes(r.ctx, &elb.DescribeListenerAttributesInput{ListenerArn: l})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range attrs.Attributes {
		if *a.Key == "routing.http.response.x_frame_options.header_value" && *a.Value != "DENY" {
			t.Errorf("%s is %s", *a.Key, *a.Value)
		}
	}
}
