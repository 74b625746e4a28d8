package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"reflect"
	"testing"

	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/dhowhq/dhow/bus"
	"github.com/dhowhq/dhow/bus/delivery"
	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/services/ecs"
	"github.com/dhowhq/dhow/store/storetest"
)

func pointer[T any](v T) *T { return &v }

func TestOverrides(t *testing.T) {
	for input, want := range map[string]string{
		`"text"`:                     "null",
		`{"id":"1","source":"shop"}`: "null",
		`{"containerOverrides":[{"name":"app","command":["a","b"],"environment":[{"name":"N","value":"1"}],"cpu":5}],"cpu":"256","source":"x"}`: `{"ContainerOverrides":[{"Command":["a","b"],"Cpu":5,"Environment":[{"Name":"N","Value":"1"}],"EnvironmentFiles":null,"Memory":null,"MemoryReservation":null,"Name":"app","ResourceRequirements":null}],"Cpu":"256","EphemeralStorage":null,"ExecutionRoleArn":null,"InferenceAcceleratorOverrides":null,"Memory":null,"TaskRoleArn":null}`,
	} {
		o, err := overrides([]byte(input))
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := json.Marshal(o); string(got) != want {
			t.Errorf("%s: %s", input, got)
		}
	}
	if _, err := overrides([]byte(`{"containerOverrides":"no"}`)); err == nil {
		t.Error("nonsense is taken")
	}
}

// Each field of EcsParameters acts on the call.
func TestRunTaskFields(t *testing.T) {
	d := bus.Delivery{RuleARN: "arn:aws:events:r:1:rule/orders", Input: []byte(`{}`), Target: types.Target{Id: pointer("t"), Arn: pointer("arn:aws:ecs:r:1:cluster/c")}}
	p := reflect.TypeFor[types.EcsParameters]()
	for i := range p.NumField() {
		f := p.Field(i)
		if !f.IsExported() || f.Name == "TaskCount" { // which is the number of calls
			continue
		}
		before, err := runTask(with(d, types.EcsParameters{}))
		if err != nil {
			t.Fatal(err)
		}
		var params types.EcsParameters
		fill(reflect.ValueOf(&params).Elem().Field(i))
		after, err := runTask(with(d, params))
		if err != nil {
			t.Fatal(err)
		}
		if reflect.DeepEqual(before, after) {
			t.Errorf("%s does not act", f.Name)
		}
	}
}

func with(d bus.Delivery, p types.EcsParameters) bus.Delivery {
	d.Target.EcsParameters = &p
	return d
}

// fill sets v to something that is not its zero.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				fill(v.Field(i))
			}
		}
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int32:
		v.SetInt(1)
	}
}

// Where there is no room for a task, the delivery is to be tried again; a
// delivery that comes twice starts a task once.
func TestTaskTarget(t *testing.T) {
	db := storetest.Open(t)
	s := cluster.Scope{Account: "000000000000", Region: "us-east-1"}
	api := ecs.New(ecs.Config{DB: db, DefaultCIDR: netip.MustParsePrefix("172.31.0.0/16")})
	ctx := awsapi.WithCall(context.Background(), &awsapi.Call{Account: s.Account, Region: s.Region, Principal: "arn:aws:iam::" + s.Account + ":root"})
	node := awsapi.WithCall(context.Background(), &awsapi.Call{Account: s.Account, Region: s.Region, Principal: cluster.NodeARN("n1")})
	check := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(api.CreateCluster(ctx, &awsecs.CreateClusterInput{ClusterName: pointer("c")}))
	check(api.RegisterTaskDefinition(ctx, &awsecs.RegisterTaskDefinitionInput{Family: pointer("app"), ContainerDefinitions: []ecstypes.ContainerDefinition{{Name: pointer("app"), Image: pointer("app:1"), Memory: pointer(int32(128))}}}))
	d := bus.Delivery{Scope: s, RuleARN: "arn:aws:events:us-east-1:000000000000:rule/r", EventID: "e1", Input: []byte(`{}`), Target: types.Target{Id: pointer("t"),
		Arn: pointer(s.ARN("ecs", "cluster/c")), EcsParameters: &types.EcsParameters{TaskDefinitionArn: pointer("app"), LaunchType: types.LaunchTypeEc2}}}
	target := taskTarget{api}
	var told *delivery.Error
	if err := target.Send(context.Background(), d); !errors.As(err, &told) || told.Permanent {
		t.Errorf("without instances: %v", err)
	}
	check(api.RegisterContainerInstance(node, &awsecs.RegisterContainerInstanceInput{Cluster: pointer("c"), TotalResources: []ecstypes.Resource{
		{Name: pointer("CPU"), Type: pointer("INTEGER"), IntegerValue: 1024}, {Name: pointer("MEMORY"), Type: pointer("INTEGER"), IntegerValue: 200},
		{Name: pointer("PORTS"), Type: pointer("STRINGSET")}, {Name: pointer("PORTS_UDP"), Type: pointer("STRINGSET")}}}))
	check(nil, cluster.SetConnected(ctx, db, "n1", true))
	tasks := func() int {
		out, err := api.ListTasks(ctx, &awsecs.ListTasksInput{Cluster: pointer("c")})
		check(nil, err)
		return len(out.TaskArns)
	}
	d.Attempts = 1
	for range 2 {
		check(nil, target.Send(context.Background(), d))
	}
	if n := tasks(); n != 1 {
		t.Errorf("%d tasks were started by one event", n)
	}
	// There is room for one.
	d.EventID, d.Attempts = "e2", 0
	for ; d.Attempts < 3; d.Attempts++ {
		if err := target.Send(context.Background(), d); !errors.As(err, &told) || told.Permanent {
			t.Errorf("attempt %d without room: %v", d.Attempts, err)
		}
	}
	out, err := api.ListTasks(ctx, &awsecs.ListTasksInput{Cluster: pointer("c")})
	check(nil, err)
	check(api.StopTask(ctx, &awsecs.StopTaskInput{Cluster: pointer("c"), Task: &out.TaskArns[0]}))
	check(api.SubmitTaskStateChange(node, &awsecs.SubmitTaskStateChangeInput{Cluster: pointer("c"), Task: &out.TaskArns[0], Status: pointer("STOPPED")}))
	check(nil, target.Send(context.Background(), d))
	if n := tasks(); n != 1 {
		t.Errorf("%d tasks after there was room", n)
	}
	d.Target.EcsParameters.TaskDefinitionArn = pointer("missing")
	d.EventID = "e3"
	if err := target.Send(context.Background(), d); !errors.As(err, &told) || !told.Permanent {
		t.Errorf("without a definition: %v", err)
	}
}

func TestGroupARN(t *testing.T) {
	for in, want := range map[string]string{"arn:aws:logs:r:1:log-group:/a/b": "/a/b", "arn:aws:logs:r:1:log-group:/a:*": "/a", "arn:aws:logs:r:1:x": ""} {
		if _, got, err := groupOf(in); got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v", in, got, err)
		}
	}
}

// TestGroupOfOthers refuses the log group of another account or region.
func TestGroupOfOthers(t *testing.T) {
	for arn, ok := range map[string]bool{"arn:aws:logs:eu-west-1:111111111111:log-group:/a": true, "arn:aws:logs:eu-west-1:222222222222:log-group:/a": false,
		"arn:aws:logs:us-east-1:111111111111:log-group:/a": false} {
		if err := (groupTarget{}).Check(cluster.Scope{Account: "111111111111", Region: "eu-west-1"}, types.Target{Arn: &arn}); (err == nil) != ok {
			t.Errorf("%s: %v", arn, err)
		}
	}
}

func TestPartitionKey(t *testing.T) {
	d := bus.Delivery{EventID: "id-1", Event: []byte(`{"detail":{"user":"u-1","n":5}}`)}
	for path, want := range map[string]string{"": "id-1", "$.detail.user": "u-1", "$.detail.n": "5", "$.detail.missing": ""} {
		d.Target.KinesisParameters = nil
		if path != "" {
			d.Target.KinesisParameters = &types.KinesisParameters{PartitionKeyPath: &path}
		}
		got, err := partitionKey(d)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v", path, got, err)
		}
	}
}
