package elbv2

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/smithy-go"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/internal/sdktest"
	"github.com/dhowhq/dhow/lb"
	"github.com/dhowhq/dhow/store/storetest"
)

var home = cluster.Scope{Account: "000000000000", Region: "us-east-1"}

// rig is the service behind the API edge, with the SDK's client in front and
// the engine at work behind it. The default VPC is 127.0.0.0/16, so that
// listeners of the test itself can be targets.
type rig struct {
	*elb.Client
	t      *testing.T
	ctx    context.Context
	engine *lb.Engine
	url    string
}

func newRig(t *testing.T) *rig {
	t.Helper()
	db := storetest.Open(t)
	ensure := func(ctx context.Context, s cluster.Scope) error {
		return cluster.EnsureDefaultVPC(ctx, db, s, netip.MustParsePrefix("127.0.0.0/16"))
	}
	engine := lb.New(lb.Config{DB: db, Shared: netip.MustParseAddr("127.0.63.2")})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); engine.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })

	api := New(Config{DB: db, Engine: engine, EnsureVPC: ensure,
		Instance: func(_ cluster.Scope, id string) bool { return id == "i-0123456789abcdef0" }})
	srv, err := awsapi.New(awsapi.Config{}, awsapi.Service{Model: "elbv2", API: api})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(srv)
	t.Cleanup(web.Close)
	client := elb.New(elb.Options{Region: home.Region, BaseEndpoint: &web.URL, RetryMaxAttempts: 1, HTTPClient: sdktest.Client(),
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")})
	if err := ensure(ctx, home); err != nil {
		t.Fatal(err)
	}
	return &rig{Client: client, t: t, ctx: t.Context(), engine: engine, url: web.URL}
}

func (r *rig) balancer(name string) types.LoadBalancer {
	r.t.Helper()
	out, err := r.CreateLoadBalancer(r.ctx, &elb.CreateLoadBalancerInput{Name: &name, Subnets: cluster.DefaultSubnets(home)[:2]})
	if err != nil {
		r.t.Fatal(err)
	}
	return out.LoadBalancers[0]
}

func (r *rig) group(name string, edit ...func(*elb.CreateTargetGroupInput)) types.TargetGroup {
	r.t.Helper()
	in := &elb.CreateTargetGroupInput{Name: &name, TargetType: "ip", Protocol: "HTTP", Port: aws.Int32(80),
		VpcId: aws.String(cluster.DefaultVPC(home))}
	for _, f := range edit {
		f(in)
	}
	out, err := r.CreateTargetGroup(r.ctx, in)
	if err != nil {
		r.t.Fatal(err)
	}
	return out.TargetGroups[0]
}

func (r *rig) listener(b types.LoadBalancer, port int32, groups ...types.TargetGroup) types.Listener {
	r.t.Helper()
	action := types.Action{Type: "forward"}
	if len(groups) == 1 {
		action.TargetGroupArn = groups[0].TargetGroupArn
	} else {
		action.ForwardConfig = &types.ForwardActionConfig{}
		for _, g := range groups {
			action.ForwardConfig.TargetGroups = append(action.ForwardConfig.TargetGroups,
				types.TargetGroupTuple{TargetGroupArn: g.TargetGroupArn, Weight: aws.Int32(1)})
		}
	}
	out, err := r.CreateListener(r.ctx, &elb.CreateListenerInput{LoadBalancerArn: b.LoadBalancerArn, Protocol: "HTTP",
		Port: &port, DefaultActions: []types.Action{action}})
	if err != nil {
		r.t.Fatal(err)
	}
	return out.Listeners[0]
}

// code and message of an error that AWS's client got.
func failure(t *testing.T, err error) (code, message string) {
	t.Helper()
	var e smithy.APIError
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want an API error", err)
	}
	return e.ErrorCode(), e.ErrorMessage()
}

func wantError(t *testing.T, err error, code, message string) {
	t.Helper()
	c, m := failure(t, err)
	if c != code || m != message {
		t.Errorf("error is\n  %s: %s\nwant\n  %s: %s", c, m, code, message)
	}
}

func freePort(t *testing.T) int32 {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return int32(ln.Addr().(*net.TCPAddr).Port)
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// TestJourney goes the way of a service behind a load balancer, with the
// waiters that scripts use.
func TestJourney(t *testing.T) {
	r := newRig(t)
	b := r.balancer("front")
	if b.State.Code != "provisioning" {
		t.Errorf("a new load balancer is %s", b.State.Code)
	}
	arns := &elb.DescribeLoadBalancersInput{LoadBalancerArns: []string{*b.LoadBalancerArn}}
	if err := elb.NewLoadBalancerAvailableWaiter(r.Client).Wait(r.ctx, arns, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	g := r.group("web")
	port := freePort(t)
	l := r.listener(b, port, g)

	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ahoy") }))
	defer target.Close()
	host, p, _ := net.SplitHostPort(target.Listener.Addr().String())
	n, _ := strconv.Atoi(p)
	td := types.TargetDescription{Id: &host, Port: aws.Int32(int32(n))}
	if _, err := r.RegisterTargets(r.ctx, &elb.RegisterTargetsInput{TargetGroupArn: g.TargetGroupArn, Targets: []types.TargetDescription{td}}); err != nil {
		t.Fatal(err)
	}
	health := &elb.DescribeTargetHealthInput{TargetGroupArn: g.TargetGroupArn, Targets: []types.TargetDescription{td}}
	fast := func(o *elb.TargetInServiceWaiterOptions) {
		o.MinDelay, o.MaxDelay = 10*time.Millisecond, 20*time.Millisecond
	}
	if err := elb.NewTargetInServiceWaiter(r.Client, fast).Wait(r.ctx, health, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	if status, body := get(t, r.engine.URL(*b.LoadBalancerArn, port)); status != 200 || body != "ahoy" {
		t.Errorf("through the load balancer: %d %q", status, body)
	}

	if _, err := r.DeregisterTargets(r.ctx, &elb.DeregisterTargetsInput{TargetGroupArn: g.TargetGroupArn, Targets: []types.TargetDescription{td}}); err != nil {
		t.Fatal(err)
	}
	gone := func(o *elb.TargetDeregisteredWaiterOptions) {
		o.MinDelay, o.MaxDelay = 10*time.Millisecond, 20*time.Millisecond
	}
	if err := elb.NewTargetDeregisteredWaiter(r.Client, gone).Wait(r.ctx, health, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	_, err := r.DeleteTargetGroup(r.ctx, &elb.DeleteTargetGroupInput{TargetGroupArn: g.TargetGroupArn})
	wantError(t, err, "ResourceInUse", "Target group '"+*g.TargetGroupArn+"' is currently in use by a listener or a rule")
	if _, err := r.DeleteListener(r.ctx, &elb.DeleteListenerInput{ListenerArn: l.ListenerArn}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.DeleteTargetGroup(r.ctx, &elb.DeleteTargetGroupInput{TargetGroupArn: g.TargetGroupArn}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.DeleteLoadBalancer(r.ctx, &elb.DeleteLoadBalancerInput{LoadBalancerArn: b.LoadBalancerArn}); err != nil {
		t.Fatal(err)
	}
	if err := elb.NewLoadBalancersDeletedWaiter(r.Client).Wait(r.ctx, arns, 10*time.Second); err != nil {
		t.Fatal(err)
	}
}

// getRaw is a GET that follows no redirects.
func getRaw(t *testing.T, url string) *http.Response {
	t.Helper()
	resp, err := http.DefaultTransport.RoundTrip(httptest.NewRequest("GET", url, nil))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp
}
