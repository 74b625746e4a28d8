package ecs

import (
	"context"
	"iter"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
)

// findTask finds the task that ref, an id or an ARN, names in cluster c.
func findTask(r store.Reader, c cluster.Cluster, ref string) (cluster.Task, error) {
	if ref == "" {
		return cluster.Task{}, invalidParam("Task can not be blank.")
	}
	id, err := memberID(c, "task", ref)
	if err != nil {
		return cluster.Task{}, err
	}
	t, ok := cluster.Tasks.Get(r, c.Scope.Key(c.Name, id))
	if !ok {
		return t, invalidParam("The referenced task was not found.")
	}
	return t, nil
}

// StopTask records the wish and returns at once; the agent on the task's node
// carries it out. A task that its node never heard of, and cannot be told to
// stop, ends here.
func (a *API) StopTask(ctx context.Context, in *ecs.StopTaskInput) (*ecs.StopTaskOutput, error) {
	reason := deref(in.Reason)
	if reason == "" {
		reason = "Task stopped by user"
	}
	if len(reason) > 1024 {
		return nil, invalidParam("Invalid reason: it can be 1024 characters long at most.")
	}
	var t cluster.Task
	err := a.db.Update(ctx, func(tx *store.Tx) error {
		c, err := findCluster(tx, scope(ctx), in.Cluster)
		if err != nil {
			return err
		}
		if t, err = findTask(tx, c, deref(in.Task)); err != nil {
			return err
		}
		now := time.Now().UTC()
		if !t.Stop(types.TaskStopCodeUserInitiated, reason, now) {
			return nil
		}
		if !reachable(tx, t) {
			t.End(now)
		}
		if err := cluster.SaveTask(tx, t); err != nil {
			return err
		}
		t, _ = cluster.Tasks.Get(tx, t.Key())
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &ecs.StopTaskOutput{Task: ptr(wireTask(t))}, nil
}

// reachable reports whether somebody is there to stop t: its node is, or has
// reported something of t and so will return to it.
func reachable(tx *store.Tx, t cluster.Task) bool {
	n, ok := cluster.Nodes.Get(tx, t.Node)
	if !ok {
		return false
	}
	if n.Connected || t.Last != cluster.Provisioning {
		return true
	}
	i, ok := cluster.Instances.Get(tx, t.Scope.Key(t.Cluster, t.Instance))
	return ok && n.External && i.Connected
}

// DescribeTasks answers for running and for lately stopped tasks.
func (a *API) DescribeTasks(ctx context.Context, in *ecs.DescribeTasksInput) (*ecs.DescribeTasksOutput, error) {
	switch n := len(in.Tasks); {
	case n == 0:
		return nil, invalidParam("Tasks cannot be empty.")
	case n > 100:
		return nil, invalidParam("taskIds can have at most 100 items.")
	}
	out := &ecs.DescribeTasksOutput{Tasks: []types.Task{}, Failures: []types.Failure{}}
	err := a.db.View(func(r store.Reader) error {
		c, err := findCluster(r, scope(ctx), in.Cluster)
		if err != nil {
			return err
		}
		for _, ref := range in.Tasks {
			id, err := memberID(c, "task", ref)
			if err != nil {
				return err
			}
			t, ok := cluster.Tasks.Get(r, c.Scope.Key(c.Name, id))
			if !ok {
				out.Failures = append(out.Failures, missing(cluster.TaskARN(c.Scope, c.Name, id)))
				continue
			}
			w := wireTask(t)
			if !slices.Contains(in.Include, types.TaskFieldTags) {
				w.Tags = []types.Tag{}
			}
			out.Tasks = append(out.Tasks, w)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// ListTasks lists the tasks that fit all the filters; without desiredStatus,
// those that shall run.
func (a *API) ListTasks(ctx context.Context, in *ecs.ListTasksInput) (*ecs.ListTasksOutput, error) {
	if deref(in.DaemonName) != "" {
		return nil, unsupported("daemonName is not served: dhow has no daemons. Use serviceName, family or startedBy.")
	}
	desired := cluster.Running
	switch in.DesiredStatus {
	case "", types.DesiredStatusRunning:
	case types.DesiredStatusPending: // no task has it, as the API reference says
		desired = cluster.Pending
	case types.DesiredStatusStopped:
		desired = cluster.Stopped
	default:
		return nil, invalidParam("Invalid desiredStatus: %s. It must be RUNNING, PENDING or STOPPED.", in.DesiredStatus)
	}
	out := &ecs.ListTasksOutput{TaskArns: []string{}}
	err := a.db.View(func(r store.Reader) error {
		c, err := findCluster(r, scope(ctx), in.Cluster)
		if err != nil {
			return err
		}
		var instance, service string
		if ref := deref(in.ContainerInstance); ref != "" {
			if instance, err = memberID(c, "container-instance", ref); err != nil {
				return err
			}
			if _, ok := cluster.Instances.Get(r, c.Scope.Key(c.Name, instance)); !ok {
				return invalidParam("The referenced container instance was not found.")
			}
		}
		if ref := deref(in.ServiceName); ref != "" {
			if service, err = memberID(c, "service", ref); err != nil {
				return err
			}
			if s, ok := cluster.Services.Get(r, cluster.ServiceKey(c.Scope, c.Name, service)); !ok || s.Status == "INACTIVE" {
				return &types.ServiceNotFoundException{Message: ptr("Service not found.")}
			}
		}
		var rows iter.Seq[cluster.Task]
		switch {
		case service != "":
			rows = cluster.Tasks.By(r, "service", cluster.ServiceKey(c.Scope, c.Name, service))
		case deref(in.StartedBy) != "":
			rows = cluster.Tasks.By(r, "startedBy", c.Scope.Key(c.Name, *in.StartedBy))
		case desired == cluster.Running:
			rows = cluster.Tasks.By(r, "live", c.Key())
		default:
			rows = cluster.Tasks.List(r, c.Scope.Prefix(c.Name))
		}
		fits := filter(rows, func(t cluster.Task) bool {
			shown, _ := shown(t)
			return shown == desired &&
				(instance == "" || t.Instance == instance) &&
				(service == "" || t.Service == service) &&
				(deref(in.StartedBy) == "" || t.StartedBy == *in.StartedBy) &&
				(deref(in.Family) == "" || t.Family == *in.Family) &&
				(in.LaunchType == "" || t.LaunchType == in.LaunchType)
		})
		tasks, next, err := page(ctx, fits, cluster.Task.Key, in.MaxResults, 100, in.NextToken)
		for _, t := range tasks {
			out.TaskArns = append(out.TaskArns, t.ARN())
		}
		out.NextToken = next
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
