package test

import (
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// freePort is a port that nobody had a moment ago.
func freePort(t *testing.T) int32 {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return int32(l.Addr().(*net.TCPAddr).Port)
}

// balancer makes a load balancer with a listener, without targets, and returns
// its name.
func (l *lab) balancer(port int32) string {
	l.Helper()
	api := elb.NewFromConfig(l.cfg)
	subnets, err := ec2.NewFromConfig(l.cfg).DescribeSubnets(l.Context(), nil)
	l.must(err)
	b, err := api.CreateLoadBalancer(l.Context(), &elb.CreateLoadBalancerInput{Name: aws.String("lab"),
		Subnets: []string{*subnets.Subnets[0].SubnetId, *subnets.Subnets[1].SubnetId}})
	l.must(err)
	g, err := api.CreateTargetGroup(l.Context(), &elb.CreateTargetGroupInput{Name: aws.String("lab"), TargetType: elbtypes.TargetTypeEnumIp,
		Protocol: elbtypes.ProtocolEnumHttp, Port: aws.Int32(80), VpcId: subnets.Subnets[0].VpcId})
	l.must(err)
	_, err = api.CreateListener(l.Context(), &elb.CreateListenerInput{LoadBalancerArn: b.LoadBalancers[0].LoadBalancerArn,
		Protocol: elbtypes.ProtocolEnumHttp, Port: &port,
		DefaultActions: []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, TargetGroupArn: g.TargetGroups[0].TargetGroupArn}}})
	l.must(err)
	return *b.LoadBalancers[0].DNSName
}

// A task in host mode reaches load balancers by either of their names, and is
// refused in words a port that one of them has.
func TestHostMode(t *testing.T) {
	l := newLab(t)
	port := freePort(t)
	name := l.balancer(port)
	for _, host := range []string{name, strings.Replace(name, "elb.localhost", "elb.dhow.internal", 1)} {
		url := "http://" + net.JoinHostPort(host, strconv.Itoa(int(port))) + "/"
		task := l.run(types.NetworkModeHost, &ecs.RegisterTaskDefinitionInput{ContainerDefinitions: []types.ContainerDefinition{l.probe("get", url)}})
		l.stopped(task)
		if said := l.said(task); !strings.HasPrefix(said, "503 ") { // it has no target
			t.Errorf("get %s: %s", url, said)
		}
	}
	c := l.probe("get", "http://127.0.0.1/")
	c.PortMappings = []types.PortMapping{{ContainerPort: &port}}
	task := l.run(types.NetworkModeHost, &ecs.RegisterTaskDefinitionInput{ContainerDefinitions: []types.ContainerDefinition{c}})
	got := l.stopped(task)
	for _, want := range []string{"CannotStartContainerError: host port is already in use", "load balancer lab", strconv.Itoa(int(port)), "awsvpc"} {
		if !strings.Contains(*got.StoppedReason, want) {
			t.Errorf("%q is missing in: %s", want, *got.StoppedReason)
		}
	}
	if got.StopCode != types.TaskStopCodeTaskFailedToStart || time.Since(*got.CreatedAt) > time.Minute {
		t.Errorf("stopped as %+v", got)
	}
}
