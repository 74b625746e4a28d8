package ecs

import (
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/cluster/launch"
	"github.com/dhowhq/dhow/scheduler"
	"github.com/dhowhq/dhow/store"
)

// findInstance finds the container instance that ref, an id or an ARN, names
// in cluster c.
func findInstance(r store.Reader, c cluster.Cluster, ref string) (cluster.Instance, bool, error) {
	id, err := memberID(c, "container-instance", ref)
	if err != nil {
		return cluster.Instance{}, false, err
	}
	i, ok := cluster.Instances.Get(r, c.Scope.Key(c.Name, id))
	return i, ok, nil
}

// DescribeContainerInstances answers for the instances of one cluster.
func (a *API) DescribeContainerInstances(ctx context.Context, in *ecs.DescribeContainerInstancesInput) (*ecs.DescribeContainerInstancesOutput, error) {
	if err := checkInstances(in.ContainerInstances, 100); err != nil {
		return nil, err
	}
	out := &ecs.DescribeContainerInstancesOutput{ContainerInstances: []types.ContainerInstance{}, Failures: []types.Failure{}}
	err := a.db.View(func(r store.Reader) error {
		c, err := findCluster(r, scope(ctx), in.Cluster)
		if err != nil {
			return err
		}
		for _, ref := range in.ContainerInstances {
			i, ok, err := findInstance(r, c, ref)
			if err != nil {
				return err
			}
			if !ok {
				id, _ := memberID(c, "container-instance", ref)
				out.Failures = append(out.Failures, missing(cluster.InstanceARN(c.Scope, c.Name, id)))
				continue
			}
			w := wireInstance(r, i)
			if !slices.Contains(in.Include, types.ContainerInstanceFieldTags) {
				w.Tags = []types.Tag{}
			}
			if !slices.Contains(in.Include, types.ContainerInstanceFieldContainerInstanceHealth) {
				w.HealthStatus = nil
			}
			out.ContainerInstances = append(out.ContainerInstances, w)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func checkInstances(refs []string, most int) error {
	switch n := len(refs); {
	case n == 0:
		return invalidParam("Container Instances cannot be empty.")
	case n > most:
		return invalidParam("Container Instances cannot have more than %d elements.", most)
	}
	return nil
}

// ListContainerInstances lists a cluster's instances: those of one status, if
// it is given, and those that match the filter, a statement of the cluster
// query language.
func (a *API) ListContainerInstances(ctx context.Context, in *ecs.ListContainerInstancesInput) (*ecs.ListContainerInstancesOutput, error) {
	matches := func(store.Reader, cluster.Instance) bool { return true }
	if text := deref(in.Filter); text != "" {
		e, err := scheduler.ParseExpression(text)
		if err != nil {
			return nil, invalidParam("Invalid filter: %v", err)
		}
		matches = func(r store.Reader, i cluster.Instance) bool {
			n, _ := cluster.Nodes.Get(r, i.Node)
			return e.Match(launch.Facts(r, i, n))
		}
	}
	out := &ecs.ListContainerInstancesOutput{ContainerInstanceArns: []string{}}
	err := a.db.View(func(r store.Reader) error {
		c, err := findCluster(r, scope(ctx), in.Cluster)
		if err != nil {
			return err
		}
		fits := filter(cluster.Instances.List(r, c.Scope.Prefix(c.Name)), func(i cluster.Instance) bool {
			return (in.Status == "" || i.Status == in.Status) && matches(r, i)
		})
		is, next, err := page(ctx, fits, cluster.Instance.Key, in.MaxResults, 100, in.NextToken)
		for _, i := range is {
			out.ContainerInstanceArns = append(out.ContainerInstanceArns, i.ARN())
		}
		out.NextToken = next
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// UpdateContainerInstancesState sets instances to DRAINING or back to ACTIVE.
// The service loop moves the services' tasks away.
func (a *API) UpdateContainerInstancesState(ctx context.Context, in *ecs.UpdateContainerInstancesStateInput) (*ecs.UpdateContainerInstancesStateOutput, error) {
	if in.Status != types.ContainerInstanceStatusActive && in.Status != types.ContainerInstanceStatusDraining {
		return nil, invalidParam("Container instance status should be one of [ACTIVE, DRAINING]")
	}
	if err := checkInstances(in.ContainerInstances, 10); err != nil {
		return nil, err
	}
	var out *ecs.UpdateContainerInstancesStateOutput
	err := a.db.Update(ctx, func(tx *store.Tx) error {
		out = &ecs.UpdateContainerInstancesStateOutput{ContainerInstances: []types.ContainerInstance{}, Failures: []types.Failure{}}
		c, err := findCluster(tx, scope(ctx), in.Cluster)
		if err != nil {
			return err
		}
		for _, ref := range in.ContainerInstances {
			i, ok, err := findInstance(tx, c, ref)
			if err != nil {
				return err
			}
			if !ok {
				id, _ := memberID(c, "container-instance", ref)
				out.Failures = append(out.Failures, missing(cluster.InstanceARN(c.Scope, c.Name, id)))
				continue
			}
			i.Status = in.Status
			if err := cluster.SaveInstance(tx, i); err != nil {
				return err
			}
			i, _ = cluster.Instances.Get(tx, i.Key())
			out.ContainerInstances = append(out.ContainerInstances, wireInstance(tx, i))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// DeregisterContainerInstance takes an instance out of its cluster. Running
// tasks forbid it unless it is forced; then they stop, by their agent if it is
// ours, and else as far as the cluster is concerned.
func (a *API) DeregisterContainerInstance(ctx context.Context, in *ecs.DeregisterContainerInstanceInput) (*ecs.DeregisterContainerInstanceOutput, error) {
	if err := checkInstances([]string{deref(in.ContainerInstance)}, 1); err != nil {
		return nil, err
	}
	var left []cluster.Task
	var node, only string // whose strays are let go, and of which instance
	var out types.ContainerInstance
	err := a.db.Update(ctx, func(tx *store.Tx) error {
		left = nil
		c, err := findCluster(tx, scope(ctx), in.Cluster)
		if err != nil {
			return err
		}
		i, ok, err := findInstance(tx, c, deref(in.ContainerInstance))
		switch {
		case err != nil:
			return err
		case !ok:
			return invalidParam("The referenced container instance was not found.")
		}
		n, _ := cluster.Nodes.Get(tx, i.Node)
		if n.Everyone {
			return clientErr("Container instance %s is the platform's own node, a member of every cluster. Set it to DRAINING to keep tasks away.", i.ID)
		}
		for t := range cluster.Tasks.By(tx, "node", i.Node) {
			if t.Instance == i.ID {
				left = append(left, t)
			}
		}
		if len(left) > 0 && !deref(in.Force) {
			return invalidParam("Found running tasks on the instance.")
		}
		out = wireInstance(tx, i)
		out.Status, out.AgentConnected, out.Version = ptr("INACTIVE"), false, i.Version+1
		node, only = i.Node, i.ID
		if n.External {
			// A stock agent's node is nothing without its instance.
			cluster.Nodes.Delete(tx, n.ID)
			only = ""
		}
		return cluster.DropInstance(tx, i)
	})
	if err != nil {
		return nil, err
	}
	if err := cluster.DropStrays(ctx, a.db, node, only); err != nil {
		return nil, err
	}
	for batch := range slices.Chunk(left, 20) {
		if err := a.forceStop(ctx, batch); err != nil {
			return nil, err
		}
	}
	return &ecs.DeregisterContainerInstanceOutput{ContainerInstance: &out}, nil
}

// forceStop stops the tasks of an instance that is gone.
func (a *API) forceStop(ctx context.Context, tasks []cluster.Task) error {
	return a.db.Update(ctx, func(tx *store.Tx) error {
		now := time.Now().UTC()
		for _, old := range tasks {
			t, ok := cluster.Tasks.Get(tx, old.Key())
			if !ok {
				continue
			}
			t.Stop(types.TaskStopCodeTerminationNotice, "Container instance deregistration forced by user", now)
			if n, ok := cluster.Nodes.Get(tx, t.Node); !ok || !n.Connected {
				t.End(now)
			}
			if err := cluster.SaveTask(tx, t); err != nil {
				return err
			}
		}
		return nil
	})
}
