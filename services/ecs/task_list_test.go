package ecs

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
)

func TestListTasks(t *testing.T) {
	f := newFixture(t)
	f.cluster("default")
	f.define("web")
	f.define("job", fargate)
	for range 3 {
		f.run1("web")
	}
	f.run1("web", func(in *ecs.RunTaskInput) { in.StartedBy = ptr("me") })
	stopped := f.run1("web")
	f.run1("job", func(in *ecs.RunTaskInput) { in.LaunchType, in.NetworkConfiguration = "FARGATE", f.vpc() })
	_, err := f.StopTask(f.ctx, &ecs.StopTaskInput{Task: stopped.TaskArn})
	must(t, err)
	is, err := f.ListContainerInstances(f.ctx, &ecs.ListContainerInstancesInput{})
	must(t, err)
	for _, tt := range []struct {
		name string
		in   ecs.ListTasksInput
		want int
	}{
		{"all that run", ecs.ListTasksInput{}, 5},
		{"stopped", ecs.ListTasksInput{DesiredStatus: "STOPPED"}, 1},
		{"pending", ecs.ListTasksInput{DesiredStatus: "PENDING"}, 0},
		{"family", ecs.ListTasksInput{Family: ptr("web")}, 4},
		{"started by", ecs.ListTasksInput{StartedBy: ptr("me")}, 1},
		{"launch type", ecs.ListTasksInput{LaunchType: "FARGATE"}, 1},
		{"instance", ecs.ListTasksInput{ContainerInstance: &is.ContainerInstanceArns[0]}, 4},
		{"all filters", ecs.ListTasksInput{Family: ptr("web"), StartedBy: ptr("me"), LaunchType: "EC2", ContainerInstance: &is.ContainerInstanceArns[0]}, 1},
	} {
		out, err := f.ListTasks(f.ctx, &tt.in)
		must(t, err)
		if len(out.TaskArns) != tt.want {
			t.Errorf("%s: %d tasks, want %d", tt.name, len(out.TaskArns), tt.want)
		}
	}
	seen := map[string]bool{}
	in := &ecs.ListTasksInput{MaxResults: ptr(int32(2))}
	for pages := 0; ; pages++ {
		out, err := f.ListTasks(f.ctx, in)
		must(t, err)
		for _, a := range out.TaskArns {
			seen[a] = true
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			if pages != 2 {
				t.Errorf("%d pages, want 3", pages+1)
			}
			break
		}
	}
	if len(seen) != 5 {
		t.Errorf("%d tasks over all pages, want 5", len(seen))
	}
	for text, in := range map[string]ecs.ListTasksInput{
		"Service not found.":                          {ServiceName: ptr("nope")},
		"The referenced container instance was not f": {ContainerInstance: ptr("nope")},
		"Invalid token":                               {NextToken: ptr("???")},
		"daemonName":                                  {DaemonName: ptr("d")},
		"maxResults":                                  {MaxResults: ptr(int32(101))},
		"Invalid desiredStatus":                       {DesiredStatus: "GONE"},
	} {
		if _, err := f.ListTasks(f.ctx, &in); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("error %v, want %q", err, text)
		}
	}
}

func TestDescribeTasks(t *testing.T) {
	f := newFixture(t)
	f.cluster("default")
	f.cluster("other")
	f.define("web")
	task := f.run1("web", func(in *ecs.RunTaskInput) { in.Tags = []types.Tag{{Key: ptr("a"), Value: ptr("b")}} })
	id := (*task.TaskArn)[strings.LastIndex(*task.TaskArn, "/")+1:]
	out, err := f.DescribeTasks(f.ctx, &ecs.DescribeTasksInput{Tasks: []string{id, "nope"}, Include: []types.TaskField{"TAGS"}})
	must(t, err)
	if len(out.Tasks) != 1 || len(out.Tasks[0].Tags) != 1 || len(out.Failures) != 1 || *out.Failures[0].Reason != "MISSING" || *out.Failures[0].Arn != cluster.TaskARN(f.scope, "default", "nope") {
		t.Errorf("%d tasks, failures %+v", len(out.Tasks), out.Failures)
	}
	if d := f.describe(task); len(d.Tags) != 0 {
		t.Error("tags without being asked for")
	}
	_, err = f.DescribeTasks(f.ctx, &ecs.DescribeTasksInput{Cluster: ptr("other"), Tasks: []string{*task.TaskArn}})
	refused(t, err, "InvalidParameterException", "Identifier is for cluster default. Your cluster is other")
	_, err = f.DescribeTasks(f.ctx, &ecs.DescribeTasksInput{})
	refused(t, err, "InvalidParameterException", "Tasks cannot be empty.")
	_, err = f.DescribeTasks(f.ctx, &ecs.DescribeTasksInput{Tasks: make([]string, 101)})
	refused(t, err, "InvalidParameterException", "taskIds can have at most 100 items.")
	_, err = f.StopTask(f.ctx, &ecs.StopTaskInput{Task: ptr("t9")})
	refused(t, err, "InvalidParameterException", "The referenced task was not found.")
}
