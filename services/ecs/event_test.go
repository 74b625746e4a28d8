package ecs

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
)

// event is the shape that every event has on EventBridge.
type event struct {
	Version    string
	ID         string
	DetailType string `json:"detail-type"`
	Source     string
	Account    string
	Time       string
	Region     string
	Resources  []string
	Detail     map[string]any
}

func (f *fixture) events(kind cluster.Kind) (out []event) {
	f.t.Helper()
	render := EventRenderer(f.db)
	var rows []cluster.Event
	must(f.t, f.db.View(func(r store.Reader) error {
		for e := range cluster.Events.List(r, "") {
			if e.Kind == kind {
				rows = append(rows, e)
			}
		}
		return nil
	}))
	for _, row := range rows {
		b, err := render(row)
		must(f.t, err)
		again, err := render(row)
		must(f.t, err)
		if string(b) != string(again) {
			f.t.Error("an event changes when it is delivered again")
		}
		var e event
		must(f.t, json.Unmarshal(b, &e))
		out = append(out, e)
	}
	return out
}

func TestTaskEvents(t *testing.T) {
	f := newFixture(t)
	f.cluster("default")
	f.define("job", fargate)
	task := f.run1("job", func(in *ecs.RunTaskInput) { in.LaunchType, in.NetworkConfiguration = "FARGATE", f.vpc() })
	f.submit(task, "RUNNING")
	f.submit(task, "RUNNING") // nothing new: no event
	_, err := f.StopTask(f.ctx, &ecs.StopTaskInput{Task: task.TaskArn, Reason: ptr("bye")})
	must(t, err)
	f.submit(task, "STOPPED")
	es := f.events(cluster.TaskStateChange)
	var told []string
	for i, e := range es {
		told = append(told, e.Detail["desiredStatus"].(string)+"/"+e.Detail["lastStatus"].(string))
		if v := e.Detail["version"].(float64); int(v) != i+1 {
			t.Errorf("event %d has version %v", i, v)
		}
		if e.Version != "0" || e.DetailType != "ECS Task State Change" || e.Source != "aws.ecs" || e.Account != f.scope.Account || e.Region != f.scope.Region ||
			len(e.Resources) != 1 || e.Resources[0] != *task.TaskArn || len(e.ID) != 36 {
			t.Errorf("envelope %+v", e)
		}
		if _, err := time.Parse(time.RFC3339, e.Time); err != nil {
			t.Error(err)
		}
	}
	if got, want := strings.Join(told, " "), "RUNNING/PROVISIONING RUNNING/RUNNING STOPPED/RUNNING STOPPED/STOPPED"; got != want {
		t.Errorf("told %s, want %s", got, want)
	}
	d := es[3].Detail
	if d["stoppedReason"] != "bye" || d["stopCode"] != "UserInitiated" || d["taskArn"] != *task.TaskArn || d["clusterArn"] != cluster.ClusterARN(f.scope, "default") || d["launchType"] != "FARGATE" {
		t.Errorf("detail %v", d)
	}
	for _, at := range []string{"createdAt", "startedAt", "stoppingAt", "stoppedAt", "updatedAt", "executionStoppedAt"} {
		if _, err := time.Parse(detailTime, d[at].(string)); err != nil {
			t.Errorf("%s: %v", at, err)
		}
	}
	a := d["attachments"].([]any)[0].(map[string]any)
	if a["type"] != "eni" || a["status"] != "DELETED" {
		t.Errorf("attachment %v", a)
	}
	if _, ok := d["healthStatus"]; ok {
		t.Error("an event tells of health")
	}
}

// A task whose definition has fields that do not act says so in its events.
func TestTaskEventsWarn(t *testing.T) {
	f := newFixture(t)
	f.cluster("default")
	f.define("job", fargate, func(in *ecs.RegisterTaskDefinitionInput) {
		in.EnableFaultInjection = ptr(true)
	})
	f.run1("job", func(in *ecs.RunTaskInput) { in.LaunchType, in.NetworkConfiguration = "FARGATE", f.vpc() })
	for _, e := range f.events(cluster.TaskStateChange) {
		if got, ok := e.Detail["dhowWarnings"].([]any); !ok || len(got) != 1 || got[0] != "enableFaultInjection is kept but does not act" {
			t.Errorf("warnings %v", e.Detail["dhowWarnings"])
		}
	}
}

func TestInstanceEvents(t *testing.T) {
	f := newFixture(t)
	f.cluster("default")
	is, err := f.ListContainerInstances(f.ctx, &ecs.ListContainerInstancesInput{})
	must(t, err)
	_, err = f.UpdateContainerInstancesState(f.ctx, &ecs.UpdateContainerInstancesStateInput{ContainerInstances: is.ContainerInstanceArns, Status: "DRAINING"})
	must(t, err)
	es := f.events(cluster.InstanceStateChange)
	d := es[len(es)-1].Detail
	if len(es) != 2 || d["status"] != "DRAINING" || d["containerInstanceArn"] != is.ContainerInstanceArns[0] || d["clusterArn"] != cluster.ClusterARN(f.scope, "default") || d["agentConnected"] != true {
		t.Errorf("%d events, the last of %v", len(es), d)
	}
	cpu := d["remainingResources"].([]any)[0].(map[string]any)
	if len(cpu) != 3 || cpu["integerValue"] != 2048.0 {
		t.Errorf("remaining CPU %v", cpu)
	}
}

func TestServiceEvents(t *testing.T) {
	f := newFixture(t)
	at := time.Date(2024, 5, 1, 2, 3, 4, 5e6, time.UTC)
	must(t, f.db.Update(f.ctx, func(tx *store.Tx) error {
		a := &cluster.Action{Name: "SERVICE_STEADY_STATE", Type: "INFO", Cluster: "arn:c", Service: "arn:s", CreatedAt: at}
		if err := cluster.Emit(tx, cluster.Event{Scope: f.scope, Kind: cluster.ServiceAction, Resource: "arn:s", Action: a}); err != nil {
			return err
		}
		b := &cluster.Action{Name: "SERVICE_DEPLOYMENT_COMPLETED", Type: "INFO", Deployment: "ecs-svc/1", Reason: "done", CreatedAt: at}
		return cluster.Emit(tx, cluster.Event{Scope: f.scope, Kind: cluster.DeploymentStateChange, Resource: "arn:s", Action: b})
	}))
	if d := f.events(cluster.ServiceAction)[0].Detail; d["eventName"] != "SERVICE_STEADY_STATE" || d["eventType"] != "INFO" || d["clusterArn"] != "arn:c" || d["createdAt"] != "2024-05-01T02:03:04.005Z" || d["reason"] != nil {
		t.Errorf("service action %v", d)
	}
	if d := f.events(cluster.DeploymentStateChange)[0].Detail; d["deploymentId"] != "ecs-svc/1" || d["reason"] != "done" || d["updatedAt"] == nil {
		t.Errorf("deployment %v", d)
	}
}
