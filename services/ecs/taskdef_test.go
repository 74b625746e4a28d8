package ecs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/store"
	"github.com/dhowhq/dhow/store/storetest"
)

var here = cluster.Scope{Account: "000000000000", Region: "us-east-1"}

// caller is the context of a call by here's root.
func caller(ctx context.Context) context.Context {
	return awsapi.WithCall(ctx, &awsapi.Call{Service: "ecs", Account: here.Account, Region: here.Region,
		Principal: "arn:aws:iam::000000000000:root"})
}

func definitionInput(change func(*ecs.RegisterTaskDefinitionInput)) *ecs.RegisterTaskDefinitionInput {
	in := &ecs.RegisterTaskDefinitionInput{
		Family:               ptr("web"),
		ContainerDefinitions: []types.ContainerDefinition{{Name: ptr("app"), Image: ptr("nginx:1.27"), Memory: ptr(int32(128))}},
	}
	if change != nil {
		change(in)
	}
	return in
}

func fargateInput(change func(*ecs.RegisterTaskDefinitionInput)) *ecs.RegisterTaskDefinitionInput {
	return definitionInput(func(in *ecs.RegisterTaskDefinitionInput) {
		in.RequiresCompatibilities = []types.Compatibility{types.CompatibilityFargate}
		in.NetworkMode = types.NetworkModeAwsvpc
		in.Cpu, in.Memory = ptr("256"), ptr("512")
		if change != nil {
			change(in)
		}
	})
}

func TestTaskDefinitionLife(t *testing.T) {
	db := storetest.Open(t)
	a, ctx := New(Config{DB: db}), caller(t.Context())

	in := definitionInput(func(in *ecs.RegisterTaskDefinitionInput) {
		in.Tags = []types.Tag{{Key: ptr("team"), Value: ptr("sea")}}
	})
	for want := int32(1); want <= 3; want++ {
		out, err := a.RegisterTaskDefinition(ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		d := out.TaskDefinition
		if d.Revision != want || *d.TaskDefinitionArn != fmt.Sprintf("arn:aws:ecs:us-east-1:000000000000:task-definition/web:%d", want) ||
			d.Status != types.TaskDefinitionStatusActive || *d.RegisteredBy != "arn:aws:iam::000000000000:root" || d.RegisteredAt == nil {
			t.Fatalf("registered %+v", d)
		}
	}
	describe := func(ref string) (*ecs.DescribeTaskDefinitionOutput, error) {
		return a.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: &ref,
			Include: []types.TaskDefinitionField{types.TaskDefinitionFieldTags}})
	}
	for ref, want := range map[string]int32{"web": 3, "web:2": 2, "arn:aws:ecs:us-east-1:000000000000:task-definition/web:1": 1,
		"arn:aws:ecs:us-east-1:000000000000:task-definition/web": 3} {
		out, err := describe(ref)
		if err != nil || out.TaskDefinition.Revision != want || len(out.Tags) != 1 {
			t.Errorf("describe %s: %+v %v", ref, out, err)
		}
	}
	for _, ref := range []string{"boat", "web:4", "web:x", "web:0", "", "arn:aws:ecs:us-west-2:000000000000:task-definition/web:1",
		"arn:aws:ecs:us-east-1:111111111111:task-definition/web:1", "arn:aws:sqs:us-east-1:000000000000:task-definition/web:1"} {
		if _, err := describe(ref); message2(err) != "ClientException: Unable to describe task definition." {
			t.Errorf("describe %q: %v", ref, err)
		}
	}

	// The newest ACTIVE revision counts, and an INACTIVE one starts nothing.
	if _, err := a.DeregisterTaskDefinition(ctx, &ecs.DeregisterTaskDefinitionInput{TaskDefinition: ptr("web")}); err == nil {
		t.Error("deregistered without a revision")
	}
	for range 2 { // twice is no error
		out, err := a.DeregisterTaskDefinition(ctx, &ecs.DeregisterTaskDefinitionInput{TaskDefinition: ptr("web:3")})
		if err != nil || out.TaskDefinition.Status != types.TaskDefinitionStatusInactive || out.TaskDefinition.DeregisteredAt == nil {
			t.Fatalf("deregister: %+v %v", out, err)
		}
	}
	db.View(func(r store.Reader) error {
		if d, err := findTaskDefinition(r, here, "web"); err != nil || d.Revision != 2 {
			t.Errorf("find: %v %v", d.Revision, err)
		}
		if _, err := findTaskDefinition(r, here, "web:3"); message2(err) != "ClientException: TaskDefinition is inactive" {
			t.Errorf("find an inactive one: %v", err)
		}
		if _, err := findTaskDefinition(r, here, "boat"); message2(err) != "ClientException: TaskDefinition not found." {
			t.Errorf("find none: %v", err)
		}
		return nil
	})
	if out, err := describe("web:3"); err != nil || out.TaskDefinition.Status != types.TaskDefinitionStatusInactive {
		t.Errorf("describe an inactive one: %v", err)
	}

	del, err := a.DeleteTaskDefinitions(ctx, &ecs.DeleteTaskDefinitionsInput{TaskDefinitions: []string{"web:1", "web:3", "web:9"}})
	if err != nil || len(del.TaskDefinitions) != 1 || len(del.Failures) != 2 ||
		del.TaskDefinitions[0].Status != types.TaskDefinitionStatusDeleteInProgress || del.TaskDefinitions[0].DeleteRequestedAt == nil {
		t.Errorf("delete: %+v %v", del, err)
	}
	// Numbers are never given twice.
	if out, err := a.RegisterTaskDefinition(ctx, in); err != nil || out.TaskDefinition.Revision != 4 {
		t.Errorf("register again: %v", err)
	}
}

// message2 is "Code: message" of a typed error.
func message2(err error) string {
	var e interface {
		error
		ErrorCode() string
		ErrorMessage() string
	}
	if errors.As(err, &e) {
		return e.ErrorCode() + ": " + e.ErrorMessage()
	}
	return fmt.Sprint(err)
}

func TestListTaskDefinitions(t *testing.T) {
	a, ctx := New(Config{DB: storetest.Open(t)}), caller(t.Context())
	for _, family := range []string{"web", "web", "web-2", "api", "old"} {
		in := definitionInput(func(in *ecs.RegisterTaskDefinitionInput) { in.Family = &family })
		if _, err := a.RegisterTaskDefinition(ctx, in); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := a.DeregisterTaskDefinition(ctx, &ecs.DeregisterTaskDefinitionInput{TaskDefinition: ptr("old:1")}); err != nil {
		t.Fatal(err)
	}
	list := func(in ecs.ListTaskDefinitionsInput) (names []string) {
		for {
			out, err := a.ListTaskDefinitions(ctx, &in)
			if err != nil {
				t.Fatal(err)
			}
			for _, arn := range out.TaskDefinitionArns {
				names = append(names, arn[strings.LastIndex(arn, "/")+1:])
			}
			if out.NextToken == nil {
				return names
			}
			in.NextToken = out.NextToken
		}
	}
	for _, c := range []struct {
		in   ecs.ListTaskDefinitionsInput
		want string
	}{
		{ecs.ListTaskDefinitionsInput{}, "[api:1 web-2:1 web:1 web:2]"},
		{ecs.ListTaskDefinitionsInput{MaxResults: ptr(int32(1))}, "[api:1 web-2:1 web:1 web:2]"},
		{ecs.ListTaskDefinitionsInput{Sort: types.SortOrderDesc, MaxResults: ptr(int32(3))}, "[web:2 web:1 web-2:1 api:1]"},
		{ecs.ListTaskDefinitionsInput{FamilyPrefix: ptr("web")}, "[web:1 web:2]"},
		{ecs.ListTaskDefinitionsInput{Status: types.TaskDefinitionStatusInactive}, "[old:1]"},
	} {
		if got := fmt.Sprint(list(c.in)); got != c.want {
			t.Errorf("%+v: %s, want %s", c.in, got, c.want)
		}
	}
	families := func(prefix string, status types.TaskDefinitionFamilyStatus) []string {
		out, err := a.ListTaskDefinitionFamilies(ctx, &ecs.ListTaskDefinitionFamiliesInput{FamilyPrefix: &prefix, Status: status})
		if err != nil {
			t.Fatal(err)
		}
		return out.Families
	}
	if got := fmt.Sprint(families("", ""), families("we", ""), families("", "ACTIVE"), families("", "INACTIVE"), families("", "ALL")); got !=
		"[api old web web-2] [web web-2] [api web web-2] [old] [api old web web-2]" {
		t.Error(got)
	}
	if _, err := a.ListTaskDefinitions(ctx, &ecs.ListTaskDefinitionsInput{MaxResults: ptr(int32(101))}); err == nil {
		t.Error("more than 100 results a page")
	}
}

func TestDefaults(t *testing.T) {
	d, err := newDefinition(fargateInput(func(in *ecs.RegisterTaskDefinitionInput) {
		in.Cpu, in.Memory = ptr(".25 vCPU"), ptr("1 GB")
		in.ExecutionRoleArn = ptr("arn:aws:iam::000000000000:role/exec")
		c := &in.ContainerDefinitions[0]
		c.Image = ptr("000000000000.dkr.ecr.us-east-1.amazonaws.com/web:1")
		c.PortMappings = []types.PortMapping{{ContainerPort: ptr(int32(80))}}
		c.HealthCheck = &types.HealthCheck{Command: []string{"CMD", "true"}, Retries: ptr(int32(2))}
		c.LogConfiguration = &types.LogConfiguration{LogDriver: types.LogDriverAwslogs, Options: map[string]string{
			"awslogs-region": "us-east-1", "awslogs-group": "/web", "awslogs-stream-prefix": "web"}}
	}))
	if err != nil {
		t.Fatal(err)
	}
	c := d.ContainerDefinitions[0]
	if *d.Cpu != "256" || *d.Memory != "1024" || !*c.Essential || *c.PortMappings[0].HostPort != 80 || c.PortMappings[0].Protocol != "tcp" ||
		*c.HealthCheck.Interval != 30 || *c.HealthCheck.Timeout != 5 || *c.HealthCheck.Retries != 2 || c.HealthCheck.StartPeriod != nil {
		t.Errorf("%+v", c)
	}
	for what, list := range map[string]bool{"environment": c.Environment != nil, "mountPoints": c.MountPoints != nil, "volumesFrom": c.VolumesFrom != nil,
		"systemControls": c.SystemControls != nil, "volumes": d.Volumes != nil, "placementConstraints": d.PlacementConstraints != nil} {
		if !list {
			t.Errorf("%s is absent, AWS answers an empty list", what)
		}
	}
	if c.Command != nil || c.EntryPoint != nil || c.DependsOn != nil || c.Secrets != nil {
		t.Error("lists that AWS leaves out are there")
	}
	if fmt.Sprint(d.Compatibilities) != "[EC2 FARGATE]" {
		t.Error(d.Compatibilities)
	}
	for _, name := range []string{"ecs.capability.task-eni", "com.amazonaws.ecs.capability.docker-remote-api.1.18",
		"com.amazonaws.ecs.capability.ecr-auth", "ecs.capability.execution-role-ecr-pull", "ecs.capability.execution-role-awslogs",
		"com.amazonaws.ecs.capability.logging-driver.awslogs", "ecs.capability.container-health-check"} {
		if !slices.ContainsFunc(d.RequiresAttributes, func(a types.Attribute) bool { return *a.Name == name }) {
			t.Errorf("requiresAttributes lacks %s", name)
		}
	}

	bridge, err := newDefinition(definitionInput(func(in *ecs.RegisterTaskDefinitionInput) {
		in.ContainerDefinitions[0].PortMappings = []types.PortMapping{{ContainerPort: ptr(int32(80)), Protocol: "udp"}}
	}))
	if err != nil || bridge.NetworkMode != "" || *bridge.ContainerDefinitions[0].PortMappings[0].HostPort != 0 ||
		fmt.Sprint(bridge.Compatibilities) != "[EC2 EXTERNAL]" {
		t.Errorf("bridge: %+v %v", bridge, err)
	}
	host, err := newDefinition(definitionInput(func(in *ecs.RegisterTaskDefinitionInput) {
		in.NetworkMode = types.NetworkModeHost
		in.ContainerDefinitions[0].PortMappings = []types.PortMapping{{ContainerPort: ptr(int32(80))}}
	}))
	if err != nil || *host.ContainerDefinitions[0].PortMappings[0].HostPort != 80 {
		t.Errorf("host: %+v %v", host, err)
	}
}

// TestEchoIsStable: a definition that is registered as it was described is the
// same: what Terraform's plan compares.
func TestEchoIsStable(t *testing.T) {
	d, err := newDefinition(fargateInput(func(in *ecs.RegisterTaskDefinitionInput) {
		in.ContainerDefinitions[0].PortMappings = []types.PortMapping{{ContainerPort: ptr(int32(80))}}
		in.Volumes = []types.Volume{{Name: ptr("data")}}
		in.ContainerDefinitions[0].MountPoints = []types.MountPoint{{SourceVolume: ptr("data"), ContainerPath: ptr("/data")}}
	}))
	if err != nil {
		t.Fatal(err)
	}
	again, err := newDefinition(&ecs.RegisterTaskDefinitionInput{Family: d.Family, ContainerDefinitions: d.ContainerDefinitions, Cpu: d.Cpu,
		Memory: d.Memory, NetworkMode: d.NetworkMode, Volumes: d.Volumes, RequiresCompatibilities: d.RequiresCompatibilities,
		PlacementConstraints: d.PlacementConstraints, EnableFaultInjection: d.EnableFaultInjection})
	if err != nil {
		t.Fatal(err)
	}
	one, _ := json.Marshal(d)
	two, _ := json.Marshal(again)
	if string(one) != string(two) {
		t.Errorf("first  %s\nsecond %s", one, two)
	}
}

func TestFargateSizes(t *testing.T) {
	for _, c := range []struct {
		cpu, memory int
		ok          bool
	}{{256, 512, true}, {256, 1536, false}, {256, 4096, false}, {512, 3072, true}, {512, 512, false}, {1024, 8192, true}, {1024, 9216, false},
		{2048, 16384, true}, {4096, 30720, true}, {8192, 20480, true}, {8192, 17408, false}, {16384, 122880, true}, {300, 512, false}} {
		if got := fargateSize(c.cpu, c.memory); got != c.ok {
			t.Errorf("%d CPU, %d MiB: %t", c.cpu, c.memory, got)
		}
	}
}

// TestUnserved: each row of the table is sorted, told apart and reachable.
func TestUnserved(t *testing.T) {
	rows := UnservedFields()
	if !slices.IsSortedFunc(rows, func(a, b UnservedField) int { return strings.Compare(a.Path, b.Path) }) {
		t.Error("the table is not sorted by path")
	}
	if got := unserved(types.TaskDefinition{ContainerDefinitions: []types.ContainerDefinition{{Name: ptr("a")}}}); got != nil {
		t.Errorf("a plain definition: %v", got)
	}
	got := unserved(types.TaskDefinition{EphemeralStorage: &types.EphemeralStorage{SizeInGiB: 30},
		ContainerDefinitions: []types.ContainerDefinition{{Secrets: []types.Secret{{}}}}})
	if fmt.Sprint(got) != "[containerDefinitions[].secrets ephemeralStorage]" {
		t.Error(got)
	}
	// What acts is not warned of.
	acts := types.TaskDefinition{PidMode: types.PidModeHost, IpcMode: types.IpcModeNone, NetworkMode: types.NetworkModeHost,
		ContainerDefinitions: []types.ContainerDefinition{{DockerSecurityOptions: []string{"no-new-privileges"},
			PortMappings:     []types.PortMapping{{ContainerPortRange: ptr("80-81")}},
			LogConfiguration: &types.LogConfiguration{LogDriver: types.LogDriverJsonFile}}}}
	if got := unserved(acts); got != nil {
		t.Errorf("these act: %v", got)
	}
}
