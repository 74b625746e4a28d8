package ecs

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
)

func TestTaskLife(t *testing.T) {
	f := newFixture(t)
	f.cluster("default")
	f.define("web")
	task := f.run1("web")
	if *task.LastStatus != "PROVISIONING" || *task.DesiredStatus != "RUNNING" || *task.Group != "family:web" || task.LaunchType != types.LaunchTypeEc2 {
		t.Errorf("new task: %s, desired %s, group %s, %s", *task.LastStatus, *task.DesiredStatus, *task.Group, task.LaunchType)
	}
	if task.ContainerInstanceArn == nil || !strings.Contains(*task.ContainerInstanceArn, ":container-instance/default/") {
		t.Errorf("container instance %v", deref(task.ContainerInstanceArn))
	}
	if deref(task.AvailabilityZone) != "us-east-1a" || *task.Cpu != "128" || *task.Memory != "128" {
		t.Errorf("zone %s, cpu %s, memory %s", deref(task.AvailabilityZone), *task.Cpu, *task.Memory)
	}
	if l := f.ledger(); l.Used.CPU != 128 || l.Used.Memory != 128 || l.Tasks != 1 {
		t.Errorf("ledger %+v", l)
	}

	f.submit(task, "PENDING")
	f.submit(task, "RUNNING", func(in *ecs.SubmitTaskStateChangeInput) {
		in.PullStartedAt = ptr(time.Unix(100, 0))
		in.Containers = []types.ContainerStateChange{{ContainerName: ptr("app"), Status: ptr("RUNNING"), RuntimeId: ptr("r1"),
			NetworkBindings: []types.NetworkBinding{{HostPort: ptr(int32(80))}}}}
	})
	f.submit(task, "ACTIVATING") // late
	d := f.describe(task)
	if *d.LastStatus != "RUNNING" || d.StartedAt == nil || *d.Containers[0].LastStatus != "RUNNING" || *d.Containers[0].RuntimeId != "r1" || len(d.Containers[0].NetworkBindings) != 1 {
		t.Errorf("running task: %s, containers %+v", *d.LastStatus, d.Containers[0])
	}
	if d.Version <= task.Version || d.PullStartedAt == nil || d.PullStartedAt.Unix() != 100 {
		t.Errorf("version %d after %d, pull started %v", d.Version, task.Version, d.PullStartedAt)
	}

	stop, err := f.StopTask(f.ctx, &ecs.StopTaskInput{Task: task.TaskArn, Reason: ptr("enough")})
	must(t, err)
	if *stop.Task.DesiredStatus != "STOPPED" || *stop.Task.LastStatus != "RUNNING" || stop.Task.StoppingAt == nil {
		t.Errorf("stopping task: %s, desired %s", *stop.Task.LastStatus, *stop.Task.DesiredStatus)
	}
	f.submit(task, "STOPPED", func(in *ecs.SubmitTaskStateChangeInput) {
		in.Reason = ptr("Essential container in task exited")
		in.Containers = []types.ContainerStateChange{{ContainerName: ptr("app"), Status: ptr("STOPPED"), ExitCode: ptr(int32(143))}}
	})
	d = f.describe(task)
	if *d.LastStatus != "STOPPED" || *d.StoppedReason != "enough" || d.StopCode != types.TaskStopCodeUserInitiated || d.StoppedAt == nil || d.ExecutionStoppedAt == nil || *d.Containers[0].ExitCode != 143 {
		t.Errorf("stopped task: %s, %s, %s", *d.LastStatus, *d.StoppedReason, d.StopCode)
	}
	if l := f.ledger(); l.Used.CPU != 0 || l.Tasks != 0 {
		t.Errorf("ledger after the stop %+v", l)
	}
	f.submit(task, "RUNNING") // later still: acknowledged, and nothing changes
	if d2 := f.describe(task); d2.Version != d.Version || *d2.LastStatus != "STOPPED" {
		t.Error("a late report changed a stopped task")
	}
}

func TestStopReasons(t *testing.T) {
	f := newFixture(t)
	f.cluster("default")
	f.define("web")
	exit := func(code int32, reason string) func(*ecs.SubmitTaskStateChangeInput) {
		return func(in *ecs.SubmitTaskStateChangeInput) {
			in.Containers = []types.ContainerStateChange{{ContainerName: ptr("app"), Status: ptr("STOPPED"), ExitCode: ptr(code), Reason: optional(reason)}}
		}
	}
	for _, tt := range []struct {
		name   string
		do     func(types.Task)
		code   types.TaskStopCode
		reason string
		ran    bool
	}{
		{"exit", func(k types.Task) { f.submit(k, "RUNNING"); f.submit(k, "STOPPED", exit(1, "")) },
			types.TaskStopCodeEssentialContainerExited, "Essential container in task exited", true},
		{"exit before RUNNING was told", func(k types.Task) { f.submit(k, "STOPPED", exit(0, "")) },
			types.TaskStopCodeEssentialContainerExited, "Essential container in task exited", true},
		{"image", func(k types.Task) {
			f.submit(k, "STOPPED", func(in *ecs.SubmitTaskStateChangeInput) { in.Reason = ptr("CannotPullContainerError: no such image") })
		},
			types.TaskStopCodeTaskFailedToStart, "CannotPullContainerError: no such image", false},
		{"start", func(k types.Task) { f.submit(k, "STOPPED", exit(128, "CannotStartContainerError: no such file")) },
			types.TaskStopCodeTaskFailedToStart, "CannotStartContainerError: no such file", false},
		{"user without a reason", func(k types.Task) {
			_, err := f.StopTask(f.ctx, &ecs.StopTaskInput{Task: k.TaskArn})
			must(t, err)
			_, err = f.StopTask(f.ctx, &ecs.StopTaskInput{Task: k.TaskArn, Reason: ptr("second")})
			must(t, err)
			f.submit(k, "STOPPED")
		}, types.TaskStopCodeUserInitiated, "Task stopped by user", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			task := f.run1("web")
			tt.do(task)
			d := f.describe(task)
			if *d.LastStatus != "STOPPED" || *d.DesiredStatus != "STOPPED" || d.StopCode != tt.code || deref(d.StoppedReason) != tt.reason {
				t.Errorf("%s/%s: %s, %s", *d.DesiredStatus, *d.LastStatus, d.StopCode, deref(d.StoppedReason))
			}
			if d.StoppedAt == nil || d.StoppingAt == nil || (d.StartedAt != nil) != tt.ran || (d.ExecutionStoppedAt != nil) != tt.ran {
				t.Errorf("stopped at %v, stopping at %v, started at %v, execution stopped at %v", d.StoppedAt, d.StoppingAt, d.StartedAt, d.ExecutionStoppedAt)
			}
		})
	}
}

// An essential container's exit is the task's end to clients at once; another
// one's is not.
func TestContainerExit(t *testing.T) {
	f := newFixture(t)
	f.cluster("default")
	f.define("pair", func(in *ecs.RegisterTaskDefinitionInput) {
		in.ContainerDefinitions = append(in.ContainerDefinitions, types.ContainerDefinition{Name: ptr("side"), Image: ptr("s"), Memory: ptr(int32(64)), Essential: ptr(false)})
	})
	task := f.run1("pair")
	f.submit(task, "RUNNING")
	exits := func(name string) {
		_, err := f.SubmitContainerStateChange(f.agent, &ecs.SubmitContainerStateChangeInput{Task: task.TaskArn, ContainerName: &name, Status: ptr("STOPPED"), ExitCode: ptr(int32(3))})
		must(t, err)
	}
	exits("side")
	if d := f.describe(task); *d.DesiredStatus != "RUNNING" || *d.Containers[1].LastStatus != "STOPPED" || *d.Containers[1].ExitCode != 3 {
		t.Errorf("after the sidecar: desired %s, %+v", *d.DesiredStatus, d.Containers[1])
	}
	exits("app")
	if d := f.describe(task); *d.DesiredStatus != "STOPPED" || *d.LastStatus != "RUNNING" || d.StopCode != types.TaskStopCodeEssentialContainerExited {
		t.Errorf("after the essential one: desired %s, last %s, %s", *d.DesiredStatus, *d.LastStatus, d.StopCode)
	}
}

func TestStopWithoutNode(t *testing.T) {
	f := newFixture(t)
	f.cluster("default")
	f.define("job", fargate)
	task := f.run1("job", func(in *ecs.RunTaskInput) { in.LaunchType, in.NetworkConfiguration = "FARGATE", f.vpc() })
	must(t, cluster.SetConnected(f.ctx, f.db, f.node, false))
	out, err := f.StopTask(f.ctx, &ecs.StopTaskInput{Task: task.TaskArn})
	must(t, err)
	if *out.Task.LastStatus != "STOPPED" || *out.Task.Attachments[0].Status != "DELETED" {
		t.Errorf("a task that its node never heard of is %s", *out.Task.LastStatus)
	}
	must(t, f.db.View(func(r store.Reader) error {
		if n := cluster.Interfaces.Len(r); n != 0 {
			t.Errorf("%d addresses are still held", n)
		}
		return nil
	}))
}

func TestFailures(t *testing.T) {
	f := newFixture(t)
	f.cluster("default")
	size := func(cpu, memory int32) func(*ecs.RegisterTaskDefinitionInput) {
		return func(in *ecs.RegisterTaskDefinitionInput) {
			in.ContainerDefinitions[0].Cpu, in.ContainerDefinitions[0].Memory = cpu, &memory
		}
	}
	f.define("cpu", size(4096, 128))
	f.define("memory", size(0, 8192))
	f.define("half", size(1024, 128))
	f.define("port", func(in *ecs.RegisterTaskDefinitionInput) {
		in.ContainerDefinitions[0].PortMappings = []types.PortMapping{{ContainerPort: ptr(int32(80)), HostPort: ptr(int32(8080))}}
	})
	f.define("ssh", func(in *ecs.RegisterTaskDefinitionInput) {
		in.ContainerDefinitions[0].PortMappings = []types.PortMapping{{ContainerPort: ptr(int32(22)), HostPort: ptr(int32(22))}}
	})
	f.define("big", fargate, func(in *ecs.RegisterTaskDefinitionInput) { in.Cpu, in.Memory = ptr("4096"), ptr("8192") })
	run := func(family string, n int32, changes ...func(*ecs.RunTaskInput)) *ecs.RunTaskOutput {
		t.Helper()
		in := &ecs.RunTaskInput{TaskDefinition: &family, Count: &n}
		for _, c := range changes {
			c(in)
		}
		out, err := f.RunTask(f.ctx, in)
		must(t, err)
		return out
	}
	check := func(out *ecs.RunTaskOutput, tasks int, want ...string) {
		t.Helper()
		got := []string{}
		for _, x := range out.Failures {
			got = append(got, *x.Reason)
		}
		if len(out.Tasks) != tasks || !slices.Equal(got, want) {
			t.Errorf("%d tasks, failures %v; want %d, %v", len(out.Tasks), reasons(out.Failures), tasks, want)
		}
	}
	check(run("cpu", 1), 0, "RESOURCE:CPU")
	check(run("memory", 1), 0, "RESOURCE:MEMORY")
	check(run("ssh", 1), 0, "RESOURCE:PORTS")
	check(run("port", 2), 1, "RESOURCE:PORTS")
	check(run("port", 1), 0, "RESOURCE:PORTS")
	check(run("half", 3), 1, "RESOURCE:CPU") // 128 of 2048 are taken
	check(run("big", 1, func(in *ecs.RunTaskInput) { in.LaunchType, in.NetworkConfiguration = "FARGATE", f.vpc() }), 0, "Capacity is unavailable at this time.")
	check(run("half", 1, func(in *ecs.RunTaskInput) {
		in.PlacementConstraints = []types.PlacementConstraint{{Type: "memberOf", Expression: ptr("attribute:rack == 7")}}
	}), 0, "MemberOf placement constraint unsatisfied.")

	must(t, cluster.SetConnected(f.ctx, f.db, f.node, false))
	check(run("port", 1), 0, "AGENT")
	is, err := f.ListContainerInstances(f.ctx, &ecs.ListContainerInstancesInput{})
	must(t, err)
	_, err = f.UpdateContainerInstancesState(f.ctx, &ecs.UpdateContainerInstancesStateInput{ContainerInstances: is.ContainerInstanceArns, Status: "DRAINING"})
	must(t, err)
	_, err = f.RunTask(f.ctx, &ecs.RunTaskInput{TaskDefinition: ptr("port")})
	refused(t, err, "InvalidParameterException", "No Container Instances were found in your cluster.")
}

func TestRunTaskRefuses(t *testing.T) {
	f := newFixture(t)
	f.cluster("default")
	f.define("web")
	f.define("job", fargate)
	for _, tt := range []struct {
		name       string
		in         ecs.RunTaskInput
		code, text string
	}{
		{"cluster", ecs.RunTaskInput{Cluster: ptr("nope")}, "ClusterNotFoundException", "Cluster not found."},
		{"cluster's name", ecs.RunTaskInput{Cluster: ptr("a b")}, "InvalidParameterException", "Cluster must match"},
		{"region", ecs.RunTaskInput{Cluster: ptr("arn:aws:ecs:eu-west-1:000000000000:cluster/default")}, "InvalidParameterException", "Invalid Region in ARN"},
		{"definition", ecs.RunTaskInput{TaskDefinition: ptr("nope")}, "ClientException", "TaskDefinition not found."},
		{"count", ecs.RunTaskInput{Count: ptr(int32(11))}, "InvalidParameterException", "between 1 and 10"},
		{"no count", ecs.RunTaskInput{Count: ptr(int32(0))}, "InvalidParameterException", "between 1 and 10"},
		{"launch type", ecs.RunTaskInput{LaunchType: "FARGATE"}, "InvalidParameterException", "Task definition does not support launch_type FARGATE."},
		{"no network", ecs.RunTaskInput{TaskDefinition: ptr("job"), LaunchType: "FARGATE"}, "InvalidParameterException", "Network Configuration must be provided when networkMode 'awsvpc' is specified."},
		{"network", ecs.RunTaskInput{NetworkConfiguration: f.vpc()}, "InvalidParameterException", "Network Configuration is not valid for the given networkMode"},
		{"subnet", ecs.RunTaskInput{TaskDefinition: ptr("job"), LaunchType: "FARGATE", NetworkConfiguration: &types.NetworkConfiguration{AwsvpcConfiguration: &types.AwsVpcConfiguration{Subnets: []string{"subnet-x"}}}},
			"InvalidParameterException", "The subnet ID 'subnet-x' does not exist"},
		{"security group", ecs.RunTaskInput{TaskDefinition: ptr("job"), LaunchType: "FARGATE", NetworkConfiguration: &types.NetworkConfiguration{AwsvpcConfiguration: &types.AwsVpcConfiguration{Subnets: cluster.DefaultSubnets(f.scope), SecurityGroups: []string{"sg-x"}}}},
			"InvalidParameterException", "The security group 'sg-x' does not exist"},
		{"public address on EC2", ecs.RunTaskInput{TaskDefinition: ptr("job"), NetworkConfiguration: &types.NetworkConfiguration{AwsvpcConfiguration: &types.AwsVpcConfiguration{Subnets: cluster.DefaultSubnets(f.scope), AssignPublicIp: "ENABLED"}}},
			"InvalidParameterException", "Assign public IP is not supported for this launch type."},
		{"constraints on FARGATE", ecs.RunTaskInput{TaskDefinition: ptr("job"), LaunchType: "FARGATE", NetworkConfiguration: f.vpc(), PlacementConstraints: []types.PlacementConstraint{{Type: "distinctInstance"}}},
			"InvalidParameterException", "not supported with FARGATE"},
		{"platform", ecs.RunTaskInput{TaskDefinition: ptr("job"), LaunchType: "FARGATE", PlatformVersion: ptr("9.9")}, "PlatformUnknownException", "9.9"},
		{"platform on EC2", ecs.RunTaskInput{PlatformVersion: ptr("1.4.0")}, "InvalidParameterException", "platform version must be null"},
		{"both", ecs.RunTaskInput{LaunchType: "EC2", CapacityProviderStrategy: []types.CapacityProviderStrategyItem{{CapacityProvider: ptr("FARGATE")}}}, "InvalidParameterException", "Specifying both"},
		{"provider", ecs.RunTaskInput{CapacityProviderStrategy: []types.CapacityProviderStrategyItem{{CapacityProvider: ptr("FARGATE")}}}, "InvalidParameterException", "not associated with the cluster"},
		{"override's container", ecs.RunTaskInput{Overrides: &types.TaskOverride{ContainerOverrides: []types.ContainerOverride{{Name: ptr("nope")}}}}, "InvalidParameterException", "Override for container named nope is not a container in the TaskDefinition."},
		{"override's files", ecs.RunTaskInput{Overrides: &types.TaskOverride{ContainerOverrides: []types.ContainerOverride{{Name: ptr("app"), EnvironmentFiles: []types.EnvironmentFile{{}}}}}}, "UnsupportedFeatureException", "environmentFiles"},
		{"overrides' length", ecs.RunTaskInput{Overrides: &types.TaskOverride{ContainerOverrides: []types.ContainerOverride{{Name: ptr("app"), Command: []string{strings.Repeat("x", 8192)}}}}},
			"InvalidParameterException", "Container Overrides length must be at most 8192"},
		{"override's NUL", ecs.RunTaskInput{Overrides: &types.TaskOverride{ContainerOverrides: []types.ContainerOverride{{Name: ptr("app"), Environment: []types.KeyValuePair{{Name: ptr("A"), Value: ptr("\x00")}}}}}},
			"InvalidParameterException", "NUL"},
		{"override's size", ecs.RunTaskInput{TaskDefinition: ptr("job"), LaunchType: "FARGATE", NetworkConfiguration: f.vpc(), Overrides: &types.TaskOverride{Cpu: ptr("8192")}}, "ClientException", "No Fargate configuration exists for given values: 8192 CPU, 512 memory."},
		{"volumes", ecs.RunTaskInput{VolumeConfigurations: []types.TaskVolumeConfiguration{{Name: ptr("v")}}}, "UnsupportedFeatureException", "volumeConfigurations"},
		{"group", ecs.RunTaskInput{Group: ptr("service:x")}, "InvalidParameterException", "Invalid namespace for group."},
		{"propagation", ecs.RunTaskInput{PropagateTags: "SERVICE"}, "InvalidParameterException", "SERVICE"},
		{"tags", ecs.RunTaskInput{Tags: []types.Tag{{Key: ptr("aws:x")}}}, "InvalidParameterException", "aws:"},
		{"token", ecs.RunTaskInput{ClientToken: ptr(strings.Repeat("x", 65))}, "InvalidParameterException", "64"},
		{"token's space", ecs.RunTaskInput{ClientToken: ptr("a b")}, "InvalidParameterException", "ASCII"},
		{"token's NUL", ecs.RunTaskInput{ClientToken: ptr("a\x00")}, "InvalidParameterException", "ASCII"},
		{"started by", ecs.RunTaskInput{StartedBy: ptr("a b")}, "InvalidParameterException", "startedBy"},
		{"strategy", ecs.RunTaskInput{PlacementStrategy: []types.PlacementStrategy{{Type: "spread", Field: ptr("colour")}}}, "InvalidParameterException", "spread takes"},
		{"strategies", ecs.RunTaskInput{PlacementStrategy: slices.Repeat([]types.PlacementStrategy{{Type: "random"}}, 6)}, "InvalidParameterException", "Maximum number of strategies is 5."},
		{"binpack", ecs.RunTaskInput{PlacementStrategy: []types.PlacementStrategy{{Type: "binpack", Field: ptr("disk")}}}, "InvalidParameterException", "binpack field 'disk' is invalid."},
		{"constraints", ecs.RunTaskInput{PlacementConstraints: slices.Repeat([]types.PlacementConstraint{{Type: "memberOf", Expression: ptr("attribute:a exists")}}, 11)}, "InvalidParameterException", "10 at most"},
		{"expression", ecs.RunTaskInput{PlacementConstraints: []types.PlacementConstraint{{Type: "memberOf", Expression: ptr("colour == red")}}}, "InvalidParameterException", "no subject"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.in.TaskDefinition == nil {
				tt.in.TaskDefinition = ptr("web")
			}
			_, err := f.RunTask(f.ctx, &tt.in)
			refused(t, err, tt.code, tt.text)
		})
	}
	if l := f.ledger(); l.Tasks != 0 {
		t.Errorf("refused calls left %d tasks booked", l.Tasks)
	}
}

func TestRunTaskInputsAct(t *testing.T) {
	f := newFixture(t)
	f.cluster("default")
	f.define("job", fargate, func(in *ecs.RegisterTaskDefinitionInput) {
		in.Tags = []types.Tag{{Key: ptr("team"), Value: ptr("a")}, {Key: ptr("tier"), Value: ptr("x")}}
	})
	task := f.run1("job", func(in *ecs.RunTaskInput) {
		in.LaunchType, in.NetworkConfiguration = "FARGATE", f.vpc()
		in.Group, in.StartedBy, in.EnableExecuteCommand, in.EnableECSManagedTags = ptr("g1"), ptr("me"), true, true
		in.PropagateTags, in.Tags = "TASK_DEFINITION", []types.Tag{{Key: ptr("team"), Value: ptr("b")}}
		in.Overrides = &types.TaskOverride{Cpu: ptr("1 vCPU"), Memory: ptr("2GB"), ContainerOverrides: []types.ContainerOverride{
			{Name: ptr("app"), Command: []string{"echo"}, Cpu: ptr(int32(200)), Environment: []types.KeyValuePair{{Name: ptr("A"), Value: ptr("1")}}}}}
	})
	if *task.Group != "g1" || *task.StartedBy != "me" || !task.EnableExecuteCommand || *task.PlatformVersion != "1.4.0" || *task.PlatformFamily != "Linux" {
		t.Errorf("task %+v", task)
	}
	if *task.Cpu != "1024" || *task.Memory != "2048" || *task.Containers[0].Cpu != "200" || task.EphemeralStorage.SizeInGiB != 20 {
		t.Errorf("cpu %s, memory %s, container's cpu %s", *task.Cpu, *task.Memory, *task.Containers[0].Cpu)
	}
	tags := map[string]string{}
	for _, x := range task.Tags {
		tags[*x.Key] = *x.Value
	}
	if len(tags) != 3 || tags["team"] != "b" || tags["tier"] != "x" || tags["aws:ecs:clusterName"] != "default" {
		t.Errorf("tags %v", tags)
	}
	if o := task.Overrides.ContainerOverrides; len(o) != 1 || o[0].Command[0] != "echo" {
		t.Errorf("overrides %+v", o)
	}
	if task.ContainerInstanceArn != nil {
		t.Error("a FARGATE task shows a container instance")
	}
	a := task.Attachments[0]
	details := map[string]string{}
	for _, d := range a.Details {
		details[*d.Name] = *d.Value
	}
	ip := details["privateIPv4Address"]
	if *a.Type != "ElasticNetworkInterface" || !strings.HasPrefix(ip, "172.31.") || !strings.HasPrefix(details["networkInterfaceId"], "eni-") ||
		details["privateDnsName"] != "ip-"+strings.ReplaceAll(ip, ".", "-")+".ec2.internal" || !strings.HasPrefix(details["macAddress"], "0a:58:") {
		t.Errorf("attachment %v", details)
	}
	if n := task.Containers[0].NetworkInterfaces; len(n) != 1 || *n[0].PrivateIpv4Address != ip || *n[0].AttachmentId != *a.Id {
		t.Errorf("container's interfaces %+v", n)
	}
	var row cluster.Task
	must(t, f.db.View(func(r store.Reader) error {
		for row = range cluster.Tasks.List(r, "") {
		}
		return nil
	}))
	if !slices.Contains(row.Unserved, "enableExecuteCommand") || row.Interface.Groups[0] != cluster.DefaultSecurityGroup(f.scope) {
		t.Errorf("unserved %v, groups %v", row.Unserved, row.Interface.Groups)
	}
}

// Ten constraints of the call and ten of the definition are taken together.
func TestConstraintsOfBoth(t *testing.T) {
	f := newFixture(t)
	f.cluster("default")
	f.define("web", func(in *ecs.RegisterTaskDefinitionInput) {
		in.PlacementConstraints = slices.Repeat([]types.TaskDefinitionPlacementConstraint{{Type: "memberOf", Expression: ptr("attribute:ecs.os-type == linux")}}, 10)
	})
	constraints := slices.Repeat([]types.PlacementConstraint{{Type: "memberOf", Expression: ptr("attribute:ecs.os-type == linux")}}, 10)
	f.run1("web", func(in *ecs.RunTaskInput) { in.PlacementConstraints = constraints })
	constraints[9].Expression = ptr("attribute:ecs.os-type == plan9")
	out, err := f.RunTask(f.ctx, &ecs.RunTaskInput{TaskDefinition: ptr("web"), PlacementConstraints: constraints})
	must(t, err)
	if len(out.Failures) != 1 || *out.Failures[0].Reason != "MemberOf placement constraint unsatisfied." {
		t.Errorf("failures %v", reasons(out.Failures))
	}
}

func TestStartTask(t *testing.T) {
	f := newFixture(t)
	f.cluster("default")
	f.define("web")
	is, err := f.ListContainerInstances(f.ctx, &ecs.ListContainerInstancesInput{})
	must(t, err)
	arn := is.ContainerInstanceArns[0]
	out, err := f.StartTask(f.ctx, &ecs.StartTaskInput{TaskDefinition: ptr("web"), ContainerInstances: []string{arn, "ffff"}})
	must(t, err)
	if len(out.Tasks) != 1 || *out.Tasks[0].ContainerInstanceArn != arn || len(out.Failures) != 1 || *out.Failures[0].Reason != "MISSING" {
		t.Errorf("%d tasks, failures %v", len(out.Tasks), reasons(out.Failures))
	}
	_, err = f.StartTask(f.ctx, &ecs.StartTaskInput{TaskDefinition: ptr("web")})
	refused(t, err, "InvalidParameterException", "Container Instances cannot be empty.")
}

func TestReportsAreTheNodesOwn(t *testing.T) {
	f := newFixture(t)
	f.cluster("default")
	f.define("web")
	task := f.run1("web")
	f.node = "n2"
	f.agent = f.caller(cluster.Scope{Account: "111111111111", Region: "eu-west-1"})
	_, err := f.SubmitTaskStateChange(f.agent, &ecs.SubmitTaskStateChangeInput{Task: task.TaskArn, Status: ptr("RUNNING")})
	refused(t, err, "InvalidParameterException", "Invalid Region in ARN")
	other := nodeCall("n2", "111111111111", "eu-west-1")
	_, err = f.SubmitTaskStateChange(other, &ecs.SubmitTaskStateChangeInput{Task: task.TaskArn, Status: ptr("RUNNING")})
	refused(t, err, "AccessDeniedException", "not on node n2")
	own := nodeCall("n1", "111111111111", "eu-west-1") // whichever account its credentials are of
	_, err = f.SubmitTaskStateChange(own, &ecs.SubmitTaskStateChangeInput{Task: task.TaskArn, Status: ptr("RUNNING")})
	must(t, err)
}
