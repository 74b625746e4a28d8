package ecs

import (
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
)

func (f *fixture) instances(name string) []types.ContainerInstance {
	f.t.Helper()
	l, err := f.ListContainerInstances(f.ctx, &ecs.ListContainerInstancesInput{Cluster: &name})
	must(f.t, err)
	if len(l.ContainerInstanceArns) == 0 {
		return nil
	}
	d, err := f.DescribeContainerInstances(f.ctx, &ecs.DescribeContainerInstancesInput{Cluster: &name, ContainerInstances: l.ContainerInstanceArns, Include: []types.ContainerInstanceField{"TAGS"}})
	must(f.t, err)
	return d.ContainerInstances
}

func amount(rs []types.Resource, name string) types.Resource {
	i := slices.IndexFunc(rs, func(r types.Resource) bool { return *r.Name == name })
	return rs[i]
}

// The node of `dhow up` is in every cluster, whichever comes first, and shares
// its capacity among them.
func TestEveryCluster(t *testing.T) {
	f := newFixture(t)
	f.cluster("a")
	f.cluster("b")
	f.define("web", func(in *ecs.RegisterTaskDefinitionInput) {
		in.ContainerDefinitions[0].PortMappings = []types.PortMapping{{ContainerPort: ptr(int32(80)), HostPort: ptr(int32(8080))}}
	})
	a, b := f.instances("a"), f.instances("b")
	if len(a) != 1 || len(b) != 1 || *a[0].ContainerInstanceArn == *b[0].ContainerInstanceArn || *a[0].Ec2InstanceId != *b[0].Ec2InstanceId {
		t.Fatalf("instances %v, %v", a, b)
	}
	if !a[0].AgentConnected || *a[0].Status != "ACTIVE" || !strings.HasPrefix(*a[0].Ec2InstanceId, "i-") || attribute(a[0].Attributes, "ecs.availability-zone") != "us-east-1a" || attribute(a[0].Attributes, everyone) != "" {
		t.Errorf("instance %+v", a[0])
	}
	task := f.run1("web", func(in *ecs.RunTaskInput) { in.Cluster = ptr("a") })
	a, b = f.instances("a"), f.instances("b")
	if a[0].PendingTasksCount != 1 || b[0].PendingTasksCount != 0 {
		t.Errorf("pending: %d, %d", a[0].PendingTasksCount, b[0].PendingTasksCount)
	}
	for _, i := range []types.ContainerInstance{a[0], b[0]} {
		if n := amount(i.RemainingResources, "CPU").IntegerValue; n != 2048-128 {
			t.Errorf("remaining CPU %d", n)
		}
		if p := amount(i.RemainingResources, "PORTS").StringSetValue; !slices.Equal(p, []string{"22", "8080"}) {
			t.Errorf("ports %v", p)
		}
		if n := amount(i.RegisteredResources, "MEMORY").IntegerValue; n != 4096 {
			t.Errorf("registered memory %d", n)
		}
	}
	f.submit(task, "RUNNING")
	if a = f.instances("a"); a[0].RunningTasksCount != 1 || a[0].PendingTasksCount != 0 {
		t.Errorf("running %d, pending %d", a[0].RunningTasksCount, a[0].PendingTasksCount)
	}

	// It comes again, larger: no second instance, the task still booked.
	_, err := f.RegisterContainerInstance(f.agent, &ecs.RegisterContainerInstanceInput{Cluster: ptr("*"), TotalResources: total(4096, 4096),
		Attributes: []types.Attribute{{Name: ptr(everyone), Value: ptr("true")}, {Name: ptr("new"), Value: ptr("1")}}})
	must(t, err)
	if a = f.instances("a"); len(a) != 1 || amount(a[0].RemainingResources, "CPU").IntegerValue != 4096-128 || attribute(a[0].Attributes, "new") != "1" || !a[0].AgentConnected {
		t.Errorf("after it came again: %+v", a)
	}
	// Who is not its agent does not write its row by naming one of its instances.
	_, err = f.RegisterContainerInstance(f.ctx, &ecs.RegisterContainerInstanceInput{Cluster: ptr("a"), ContainerInstanceArn: a[0].ContainerInstanceArn, TotalResources: total(1, 1)})
	refused(t, err, "AccessDeniedException", "registers itself")
	if a = f.instances("a"); amount(a[0].RemainingResources, "CPU").IntegerValue != 4096-128 {
		t.Errorf("a stranger changed the node: %+v", a)
	}
	_, err = f.DeregisterContainerInstance(f.ctx, &ecs.DeregisterContainerInstanceInput{Cluster: ptr("a"), ContainerInstance: a[0].ContainerInstanceArn, Force: ptr(true)})
	refused(t, err, "ClientException", "DRAINING")
}

func TestRegisterRefuses(t *testing.T) {
	f := newFixture(t)
	f.cluster("default")
	yes := []types.Attribute{{Name: ptr(everyone), Value: ptr("true")}}
	for _, tt := range []struct {
		name       string
		node       bool
		in         ecs.RegisterContainerInstanceInput
		code, text string
	}{
		{"all clusters, by a stranger", false, ecs.RegisterContainerInstanceInput{Cluster: ptr("*"), TotalResources: total(1, 1)}, "ClientException", "own agent"},
		{"everyone of one cluster", true, ecs.RegisterContainerInstanceInput{Cluster: ptr("default"), TotalResources: total(1, 1), Attributes: yes}, "ClientException", "dhow.everyone"},
		{"nothing", false, ecs.RegisterContainerInstanceInput{}, "ClientException", "totalResources"},
		{"cluster", false, ecs.RegisterContainerInstanceInput{Cluster: ptr("nope"), TotalResources: total(1, 1)}, "ClusterNotFoundException", ""},
		{"instance", false, ecs.RegisterContainerInstanceInput{ContainerInstanceArn: ptr(cluster.InstanceARN(f.scope, "default", "x")), TotalResources: total(1, 1)}, "ClientException", "not found"},
		{"another's instance", true, ecs.RegisterContainerInstanceInput{TotalResources: total(1, 1)}, "AccessDeniedException", "another node's"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx := f.ctx
			if tt.node {
				ctx = nodeCall("n7", f.scope.Account, f.scope.Region)
			}
			if tt.name == "another's instance" {
				tt.in.ContainerInstanceArn = f.instances("default")[0].ContainerInstanceArn
			}
			_, err := f.RegisterContainerInstance(ctx, &tt.in)
			refused(t, err, tt.code, tt.text)
		})
	}
}

// A stock agent echoes what it is, comes again under its ARN, and takes EC2
// tasks whose capabilities it has.
func TestStockAgent(t *testing.T) {
	f := newFixture(t)
	_, err := f.CreateCluster(f.ctx, &ecs.CreateClusterInput{})
	must(t, err)
	is := f.instances("default")
	_, err = f.UpdateContainerInstancesState(f.ctx, &ecs.UpdateContainerInstancesStateInput{ContainerInstances: []string{*is[0].ContainerInstanceArn}, Status: "DRAINING"})
	must(t, err)
	attributes := []types.Attribute{{Name: ptr("ecs.os-type"), Value: ptr("linux")}, {Name: ptr("ecs.capability.external")}, {Name: ptr("rack"), Value: ptr("7")}}
	in := &ecs.RegisterContainerInstanceInput{Cluster: ptr("default"), TotalResources: total(1000, 1000), Attributes: attributes,
		Tags: []types.Tag{{Key: ptr("a"), Value: ptr("b")}}, VersionInfo: &types.VersionInfo{AgentVersion: ptr("1.105.0")}}
	out, err := f.RegisterContainerInstance(f.ctx, in)
	must(t, err)
	i := out.ContainerInstance
	for _, a := range attributes {
		if !slices.ContainsFunc(i.Attributes, func(o types.Attribute) bool { return *o.Name == *a.Name && deref(o.Value) == deref(a.Value) }) {
			t.Errorf("attribute %s is not echoed: the agent would exit", *a.Name)
		}
	}
	in.ContainerInstanceArn = i.ContainerInstanceArn
	again, err := f.RegisterContainerInstance(f.ctx, in)
	must(t, err)
	if *again.ContainerInstance.ContainerInstanceArn != *i.ContainerInstanceArn || len(f.instances("default")) != 2 {
		t.Error("registering again made another instance")
	}
	f.define("web", func(in *ecs.RegisterTaskDefinitionInput) {
		in.ContainerDefinitions[0].LogConfiguration = &types.LogConfiguration{LogDriver: "awslogs", Options: map[string]string{"awslogs-group": "g", "awslogs-region": "us-east-1"}}
	})
	f.define("plain")
	var row cluster.Instance
	must(t, f.db.View(func(r store.Reader) error {
		for row = range cluster.Instances.List(r, f.scope.Key("default", (*i.ContainerInstanceArn)[strings.LastIndex(*i.ContainerInstanceArn, "/")+1:])) {
		}
		return nil
	}))
	run := func(family string) []string {
		out, err := f.RunTask(f.ctx, &ecs.RunTaskInput{TaskDefinition: &family})
		must(t, err)
		return reasons(out.Failures)
	}
	if r := run("plain"); len(r) != 1 || !strings.HasPrefix(r[0], "AGENT") {
		t.Errorf("before it connects: %v", r)
	}
	must(t, cluster.SetConnected(f.ctx, f.db, row.Node, true))
	if r := run("web"); len(r) != 1 || !strings.HasPrefix(r[0], "ATTRIBUTE") || !strings.Contains(r[0], "awslogs") {
		t.Errorf("a capability that it lacks: %v", r)
	}
	caps := requiresAttributes(types.TaskDefinition{ContainerDefinitions: []types.ContainerDefinition{{Name: ptr("app"), Image: ptr("app:1")}}})
	in.Attributes = append(in.Attributes, caps...)
	_, err = f.RegisterContainerInstance(f.ctx, in)
	must(t, err)
	if r := run("plain"); len(r) != 0 {
		t.Errorf("with all that it needs: %v", r)
	}
	ext, err := f.RunTask(f.ctx, &ecs.RunTaskInput{TaskDefinition: ptr("plain"), LaunchType: "EXTERNAL"})
	must(t, err)
	if len(ext.Tasks) != 1 || *ext.Tasks[0].ContainerInstanceArn != *i.ContainerInstanceArn {
		t.Errorf("an EXTERNAL task: %d tasks, %v", len(ext.Tasks), reasons(ext.Failures))
	}

	_, err = f.DeregisterContainerInstance(f.ctx, &ecs.DeregisterContainerInstanceInput{Cluster: ptr("default"), ContainerInstance: i.ContainerInstanceArn})
	refused(t, err, "InvalidParameterException", "Found running tasks on the instance.")
	gone, err := f.DeregisterContainerInstance(f.ctx, &ecs.DeregisterContainerInstanceInput{Cluster: ptr("default"), ContainerInstance: i.ContainerInstanceArn, Force: ptr(true)})
	must(t, err)
	if *gone.ContainerInstance.Status != "INACTIVE" {
		t.Errorf("status %s", *gone.ContainerInstance.Status)
	}
	if d := f.describe(ext.Tasks[0]); *d.LastStatus != "STOPPED" || *d.StoppedReason != "Container instance deregistration forced by user" {
		t.Errorf("its task is %s: %s", *d.LastStatus, deref(d.StoppedReason))
	}
}

func TestInstanceFilters(t *testing.T) {
	f := newFixture(t)
	f.cluster("default")
	arn := *f.instances("default")[0].ContainerInstanceArn
	_, err := f.PutAttributes(f.ctx, &ecs.PutAttributesInput{Attributes: []types.Attribute{{Name: ptr("rack"), Value: ptr("7"), TargetId: &arn}}})
	must(t, err)
	list := func(status types.ContainerInstanceStatus, filter string) int {
		out, err := f.ListContainerInstances(f.ctx, &ecs.ListContainerInstancesInput{Status: status, Filter: optional(filter)})
		must(t, err)
		return len(out.ContainerInstanceArns)
	}
	for filter, want := range map[string]int{"": 1, "attribute:rack == 7": 1, "attribute:rack == 8": 0, "agentConnected == true": 1, "runningTasksCount > 0": 0, "ec2InstanceId exists": 1} {
		if n := list("", filter); n != want {
			t.Errorf("filter %q: %d, want %d", filter, n, want)
		}
	}
	if list("ACTIVE", "") != 1 || list("DRAINING", "") != 0 {
		t.Error("status does not filter")
	}
	_, err = f.ListContainerInstances(f.ctx, &ecs.ListContainerInstancesInput{Filter: ptr("rack == 7")})
	refused(t, err, "InvalidParameterException", "Invalid filter")
	_, err = f.UpdateContainerInstancesState(f.ctx, &ecs.UpdateContainerInstancesStateInput{ContainerInstances: []string{arn}, Status: "INACTIVE"})
	refused(t, err, "InvalidParameterException", "Container instance status should be one of [ACTIVE, DRAINING]")
	out, err := f.UpdateContainerInstancesState(f.ctx, &ecs.UpdateContainerInstancesStateInput{ContainerInstances: []string{"nope"}, Status: "DRAINING"})
	must(t, err)
	if len(out.Failures) != 1 || *out.Failures[0].Reason != "MISSING" {
		t.Errorf("failures %v", out.Failures)
	}

	l, err := f.ListAttributes(f.ctx, &ecs.ListAttributesInput{TargetType: "container-instance", AttributeName: ptr("rack"), AttributeValue: ptr("7")})
	must(t, err)
	if len(l.Attributes) != 1 || *l.Attributes[0].TargetId != arn {
		t.Errorf("attributes %+v", l.Attributes)
	}
	_, err = f.DeleteAttributes(f.ctx, &ecs.DeleteAttributesInput{Attributes: []types.Attribute{{Name: ptr("rack"), TargetId: &arn}}})
	must(t, err)
	if n := list("", "attribute:rack exists"); n != 0 {
		t.Error("a deleted attribute is there")
	}
	_, err = f.PutAttributes(f.ctx, &ecs.PutAttributesInput{Attributes: []types.Attribute{{Name: ptr("ecs.os-type"), TargetId: &arn}}})
	refused(t, err, "InvalidParameterException", "the agent's")
	_, err = f.PutAttributes(f.ctx, &ecs.PutAttributesInput{Attributes: []types.Attribute{{Name: ptr("x"), TargetId: ptr("nope")}}})
	refused(t, err, "TargetNotFoundException", "nope")
}

func TestDiscoverPollEndpoint(t *testing.T) {
	f := newFixture(t)
	out, err := f.DiscoverPollEndpoint(f.ctx, &ecs.DiscoverPollEndpointInput{})
	must(t, err)
	if *out.Endpoint != "http://127.0.0.1:4566/_dhow/acs" || *out.TelemetryEndpoint != "http://127.0.0.1:4566/_dhow/tcs" {
		t.Errorf("%s, %s", *out.Endpoint, *out.TelemetryEndpoint)
	}
}
