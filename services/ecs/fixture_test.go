package ecs

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/smithy-go"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/store"
	"github.com/dhowhq/dhow/store/storetest"
)

// fixture is an API over an empty store, a caller, and a node that takes
// tasks: 2048 CPU units, 4096 MiB.
type fixture struct {
	*API
	t     testing.TB
	ctx   context.Context // of the caller
	agent context.Context // of the node's agent
	scope cluster.Scope
	node  string
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	f := &fixture{t: t, node: "n1", scope: cluster.Scope{Account: "000000000000", Region: "us-east-1"}}
	f.API = New(Config{DB: storetest.Open(t), DefaultCIDR: netip.MustParsePrefix("172.31.0.0/16")})
	f.ctx = f.caller(f.scope)
	f.agent = awsapi.WithCall(context.Background(), &awsapi.Call{Account: f.scope.Account, Region: "us-east-1", Principal: cluster.NodeARN(f.node)})
	f.join()
	return f
}

func (f *fixture) caller(s cluster.Scope) context.Context {
	return awsapi.WithCall(context.Background(), &awsapi.Call{Account: s.Account, Region: s.Region,
		Principal: "arn:aws:iam::" + s.Account + ":user/test", Host: "127.0.0.1:4566"})
}

// join registers the node in every cluster and connects it.
func (f *fixture) join() {
	f.t.Helper()
	_, err := f.RegisterContainerInstance(f.agent, &ecs.RegisterContainerInstanceInput{
		Cluster: ptr("*"), TotalResources: total(2048, 4096),
		Attributes: []types.Attribute{{Name: ptr(everyone), Value: ptr("true")}, {Name: ptr("ecs.availability-zone"), Value: ptr("us-east-1a")}, {Name: ptr("ecs.os-type"), Value: ptr("linux")}},
	})
	must(f.t, err)
	must(f.t, cluster.SetConnected(f.ctx, f.db, f.node, true))
}

func total(cpu, memory int32) []types.Resource {
	return []types.Resource{
		{Name: ptr("CPU"), Type: ptr("INTEGER"), IntegerValue: cpu},
		{Name: ptr("MEMORY"), Type: ptr("INTEGER"), IntegerValue: memory},
		{Name: ptr("PORTS"), Type: ptr("STRINGSET"), StringSetValue: []string{"22"}},
		{Name: ptr("PORTS_UDP"), Type: ptr("STRINGSET")},
	}
}

// cluster makes a cluster.
func (f *fixture) cluster(name string) {
	f.t.Helper()
	_, err := f.CreateCluster(f.ctx, &ecs.CreateClusterInput{ClusterName: &name})
	must(f.t, err)
}

// define registers a task definition of one container called app, 128 CPU
// units and 128 MiB, after changes.
func (f *fixture) define(family string, changes ...func(*ecs.RegisterTaskDefinitionInput)) {
	f.t.Helper()
	in := &ecs.RegisterTaskDefinitionInput{Family: &family, ContainerDefinitions: []types.ContainerDefinition{
		{Name: ptr("app"), Image: ptr("app:1"), Cpu: 128, Memory: ptr(int32(128))}}}
	for _, c := range changes {
		c(in)
	}
	_, err := f.RegisterTaskDefinition(f.ctx, in)
	must(f.t, err)
}

func fargate(in *ecs.RegisterTaskDefinitionInput) {
	in.RequiresCompatibilities = []types.Compatibility{types.CompatibilityFargate}
	in.NetworkMode, in.Cpu, in.Memory = types.NetworkModeAwsvpc, ptr("256"), ptr("512")
}

// vpc is a network configuration in the default VPC.
func (f *fixture) vpc() *types.NetworkConfiguration {
	return &types.NetworkConfiguration{AwsvpcConfiguration: &types.AwsVpcConfiguration{Subnets: cluster.DefaultSubnets(f.scope)}}
}

// run starts one task and returns it.
func (f *fixture) run1(family string, changes ...func(*ecs.RunTaskInput)) types.Task {
	f.t.Helper()
	in := &ecs.RunTaskInput{TaskDefinition: &family}
	for _, c := range changes {
		c(in)
	}
	out, err := f.RunTask(f.ctx, in)
	must(f.t, err)
	if len(out.Tasks) != 1 {
		f.t.Fatalf("%d tasks, failures %v", len(out.Tasks), reasons(out.Failures))
	}
	return out.Tasks[0]
}

// submit reports a status of a task as its node does.
func (f *fixture) submit(task types.Task, status string, changes ...func(*ecs.SubmitTaskStateChangeInput)) {
	f.t.Helper()
	in := &ecs.SubmitTaskStateChangeInput{Task: task.TaskArn, Status: &status}
	for _, c := range changes {
		c(in)
	}
	_, err := f.SubmitTaskStateChange(f.agent, in)
	must(f.t, err)
}

func (f *fixture) describe(task types.Task) types.Task {
	f.t.Helper()
	out, err := f.DescribeTasks(f.ctx, &ecs.DescribeTasksInput{Cluster: task.ClusterArn, Tasks: []string{*task.TaskArn}})
	must(f.t, err)
	if len(out.Tasks) != 1 {
		f.t.Fatalf("no task %s", *task.TaskArn)
	}
	return out.Tasks[0]
}

func (f *fixture) ledger() (l cluster.Ledger) {
	must(f.t, f.db.View(func(r store.Reader) error {
		l, _ = cluster.Ledgers.Get(r, f.node)
		return nil
	}))
	return l
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// refused checks that err is an API error of code that says text.
func refused(t *testing.T, err error, code, text string) {
	t.Helper()
	var e smithy.APIError
	if !errors.As(err, &e) {
		t.Errorf("error %v, want %s: %s", err, code, text)
		return
	}
	if e.ErrorCode() != code || !strings.Contains(e.ErrorMessage(), text) {
		t.Errorf("error %s: %s; want %s: %s", e.ErrorCode(), e.ErrorMessage(), code, text)
	}
}

func reasons(fs []types.Failure) (out []string) {
	for _, f := range fs {
		out = append(out, deref(f.Reason)+" "+deref(f.Detail))
	}
	return out
}

func nodeCall(node, account, region string) context.Context {
	return awsapi.WithCall(context.Background(), &awsapi.Call{Account: account, Region: region, Principal: cluster.NodeARN(node)})
}

// benchFixture is a fixture with a cluster of 16 tasks.
func benchFixture(b *testing.B) *fixture {
	f := newFixture(b)
	f.cluster("default")
	f.define("web")
	for range 16 {
		f.run1("web")
	}
	return f
}
