package test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// TestGoSDK is a conversation of the Go SDK with the platform: a service
// behind a load balancer, lone tasks, what does not fit, and the end of it all.
func TestGoSDK(t *testing.T) {
	p := need(t)
	ctx := t.Context()
	s := newStack(t, p, newAccount())
	s.pushHello(t)
	s.deploy(t, "1", 2)
	name := aws.String("kill")
	soon := func(o *ecs.ServicesStableWaiterOptions) {
		o.MinDelay, o.MaxDelay = 100*time.Millisecond, time.Second
	}
	ask := &ecs.DescribeServicesInput{Cluster: name, Services: []string{"hello"}}
	if err := ecs.NewServicesStableWaiter(s.ecs).Wait(ctx, ask, time.Minute, soon); err != nil {
		t.Fatal(err)
	}
	eventually(t, 30*time.Second, func() error {
		answer, err := s.get(ctx)
		if err == nil && !strings.Contains(answer, "version 1") {
			err = fmt.Errorf("answer %q", answer)
		}
		return err
	})
	s.interfaces(t)

	// Lone tasks, in bridge mode: the same call again starts no more.
	port := freePort(t)
	define(t, s, "lone", 64, port)
	in := &ecs.RunTaskInput{Cluster: name, TaskDefinition: aws.String("lone"), ClientToken: aws.String("once"), StartedBy: aws.String("sdk")}
	out, err := s.ecs.RunTask(ctx, in)
	if err != nil || len(out.Tasks) != 1 {
		t.Fatalf("%+v, %v", out, err)
	}
	again, err := s.ecs.RunTask(ctx, in)
	if err != nil || len(again.Tasks) != 1 || *again.Tasks[0].TaskArn != *out.Tasks[0].TaskArn {
		t.Errorf("the same call again: %+v, %v", again, err)
	}
	in.Count = aws.Int32(2)
	var conflict *types.ConflictException
	if _, err := s.ecs.RunTask(ctx, in); !errors.As(err, &conflict) || len(conflict.ResourceIds) != 1 || conflict.ResourceIds[0] != *out.Tasks[0].TaskArn {
		t.Errorf("the same token with another count: %v", err)
	}
	lone := &ecs.DescribeTasksInput{Cluster: name, Tasks: []string{*out.Tasks[0].TaskArn}}
	if err := ecs.NewTasksRunningWaiter(s.ecs).Wait(ctx, lone, time.Minute, func(o *ecs.TasksRunningWaiterOptions) {
		o.MinDelay, o.MaxDelay = 100*time.Millisecond, time.Second
	}); err != nil {
		t.Fatal(err)
	}

	// What no node has room for is a failure, with AWS's reason.
	define(t, s, "huge", 100_000_000, 0)
	for family, reason := range map[string]string{"lone": "RESOURCE:PORTS", "huge": "RESOURCE:MEMORY"} {
		out, err := s.ecs.RunTask(ctx, &ecs.RunTaskInput{Cluster: name, TaskDefinition: &family})
		if err != nil || len(out.Tasks) != 0 || len(out.Failures) != 1 || *out.Failures[0].Reason != reason {
			t.Errorf("%s: %+v, %v; want %s", family, out, err, reason)
		}
	}

	// The end of it all, in the order that AWS asks for.
	var services *types.ClusterContainsServicesException
	if _, err := s.ecs.DeleteCluster(ctx, &ecs.DeleteClusterInput{Cluster: name}); !errors.As(err, &services) {
		t.Errorf("DeleteCluster with a service: %v", err)
	}
	if _, err := s.ecs.UpdateService(ctx, &ecs.UpdateServiceInput{Cluster: name, Service: aws.String("hello"), DesiredCount: aws.Int32(0)}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ecs.DeleteService(ctx, &ecs.DeleteServiceInput{Cluster: name, Service: aws.String("hello")}); err != nil {
		t.Fatal(err)
	}
	if err := ecs.NewServicesInactiveWaiter(s.ecs).Wait(ctx, ask, time.Minute, func(o *ecs.ServicesInactiveWaiterOptions) {
		o.MinDelay, o.MaxDelay = 100*time.Millisecond, time.Second
	}); err != nil {
		t.Fatal(err)
	}
	var tasks *types.ClusterContainsTasksException
	if _, err := s.ecs.DeleteCluster(ctx, &ecs.DeleteClusterInput{Cluster: name}); !errors.As(err, &tasks) {
		t.Errorf("DeleteCluster with a task: %v", err)
	}
	if _, err := s.ecs.StopTask(ctx, &ecs.StopTaskInput{Cluster: name, Task: out.Tasks[0].TaskArn, Reason: aws.String("done")}); err != nil {
		t.Fatal(err)
	}
	if err := ecs.NewTasksStoppedWaiter(s.ecs).Wait(ctx, lone, time.Minute, func(o *ecs.TasksStoppedWaiterOptions) {
		o.MinDelay, o.MaxDelay = 100*time.Millisecond, time.Second
	}); err != nil {
		t.Fatal(err)
	}
	eventually(t, 30*time.Second, func() error { // the service's last tasks may be on their way down
		_, err := s.ecs.DeleteCluster(ctx, &ecs.DeleteClusterInput{Cluster: name})
		return err
	})
}

// interfaces finds the addresses of the service's tasks among EC2's.
func (s *stack) interfaces(t *testing.T) {
	t.Helper()
	out, err := s.ec2.DescribeNetworkInterfaces(t.Context(), &ec2.DescribeNetworkInterfacesInput{
		Filters: []ec2types.Filter{{Name: aws.String("subnet-id"), Values: s.subnets}}})
	if err != nil {
		t.Fatal(err)
	}
	var addresses []string
	for _, i := range out.NetworkInterfaces {
		addresses = append(addresses, aws.ToString(i.PrivateIpAddress))
	}
	for _, k := range s.tasks(t) {
		if at := aws.ToString(k.Containers[0].NetworkInterfaces[0].PrivateIpv4Address); !slices.Contains(addresses, at) {
			t.Errorf("task %s is at %s, EC2 knows %v", *k.TaskArn, at, addresses)
		}
	}
}

// define registers a definition of one container in bridge mode, with so many
// MiB and, unless it is 0, a port of the host.
func define(t *testing.T, s *stack, family string, memory, port int32) {
	t.Helper()
	c := types.ContainerDefinition{Name: aws.String("web"), Image: aws.String(s.account + ".dkr.ecr.us-east-1.amazonaws.com/hello:1"), Memory: &memory}
	if port != 0 {
		c.PortMappings = []types.PortMapping{{ContainerPort: aws.Int32(8080), HostPort: &port}}
	}
	if _, err := s.ecs.RegisterTaskDefinition(t.Context(), &ecs.RegisterTaskDefinitionInput{Family: &family,
		NetworkMode: types.NetworkModeBridge, ContainerDefinitions: []types.ContainerDefinition{c}}); err != nil {
		t.Fatal(err)
	}
}
