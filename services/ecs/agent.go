package ecs

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/store"
)

// Paths of the sockets on which agents are told what to do, on the API's own
// address; agents append /ws.
const (
	acsPath = "/_dhow/acs"
	tcsPath = "/_dhow/tcs"
)

// DiscoverPollEndpoint tells an agent where to connect: the address by which
// it reached the API.
func (a *API) DiscoverPollEndpoint(ctx context.Context, in *ecs.DiscoverPollEndpointInput) (*ecs.DiscoverPollEndpointOutput, error) {
	base := "http://" + awsapi.CallFrom(ctx).Host
	return &ecs.DiscoverPollEndpointOutput{
		Endpoint:               ptr(base + acsPath),
		TelemetryEndpoint:      ptr(base + tcsPath),
		ServiceConnectEndpoint: ptr(base + acsPath),
	}, nil
}

// SubmitTaskStateChange records what a task's agent reports. Statuses never go
// back: what a late report says of the past is dropped, the rest is taken.
func (a *API) SubmitTaskStateChange(ctx context.Context, in *ecs.SubmitTaskStateChangeInput) (*ecs.SubmitTaskStateChangeOutput, error) {
	err := a.report(ctx, in.Cluster, in.Task, deref(in.Status), func(t *cluster.Task, now time.Time) { applyReport(t, in, now) })
	if err != nil {
		return nil, err
	}
	return &ecs.SubmitTaskStateChangeOutput{Acknowledgment: ptr("")}, nil
}

// SubmitContainerStateChange records what an agent reports of one container.
func (a *API) SubmitContainerStateChange(ctx context.Context, in *ecs.SubmitContainerStateChangeInput) (*ecs.SubmitContainerStateChangeOutput, error) {
	err := a.report(ctx, in.Cluster, in.Task, "", func(t *cluster.Task, now time.Time) {
		applyReport(t, &ecs.SubmitTaskStateChangeInput{Containers: []types.ContainerStateChange{{
			ContainerName: in.ContainerName, ExitCode: in.ExitCode, NetworkBindings: in.NetworkBindings,
			Reason: in.Reason, RuntimeId: in.RuntimeId, Status: in.Status}}}, now)
	})
	if err != nil {
		return nil, err
	}
	return &ecs.SubmitContainerStateChangeOutput{Acknowledgment: ptr("")}, nil
}

// SubmitAttachmentStateChanges is acknowledged and changes nothing: interfaces
// are ready when they are assigned, and their status follows their task's.
func (a *API) SubmitAttachmentStateChanges(ctx context.Context, in *ecs.SubmitAttachmentStateChangesInput) (*ecs.SubmitAttachmentStateChangesOutput, error) {
	return &ecs.SubmitAttachmentStateChangesOutput{Acknowledgment: ptr("")}, nil
}

// report applies change to the task that an agent names and says is in status,
// "" where it says nothing of that. The agent of a node may speak of the tasks
// on its own node alone, of whichever account they are.
func (a *API) report(ctx context.Context, ref, task *string, status string, change func(*cluster.Task, time.Time)) error {
	c := cluster.Cluster{Scope: scope(ctx)}
	node, ours := callerNode(ctx)
	if arn, ok := parseARN(deref(task)); ok && ours {
		c.Scope = arn.Scope
	}
	if arn, ok := parseARN(deref(task)); ok && len(arn.Rest) == 2 {
		// The agent's cluster may be the name it was configured with.
		c.Name = arn.Rest[0]
	} else if name, err := clusterName(c.Scope, ref); err != nil {
		return err
	} else {
		c.Name = name
	}
	return a.db.Update(ctx, func(tx *store.Tx) error {
		t, err := findTask(tx, c, deref(task))
		if status == string(cluster.Stopped) && (err != nil || t.Last == cluster.Stopped) {
			if done, err := strayGone(tx, c, deref(task), node, ours); done || err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
		if ours && t.Node != node {
			return accessDenied("Task %s is not on node %s.", t.ID, node)
		}
		change(&t, time.Now().UTC())
		return cluster.SaveTask(tx, t)
	})
}

// strayGone ends the stray that ref names, if it is one: the node, back from
// where it was lost, says that nothing of the task is left. The task's own row
// may be forgotten by now.
func strayGone(tx *store.Tx, c cluster.Cluster, ref, node string, ours bool) (done bool, err error) {
	id, err := memberID(c, "task", ref)
	if err != nil {
		return false, err
	}
	key := c.Scope.Key(c.Name, id)
	s, ok := cluster.Strays.Get(tx, key)
	if !ok {
		return false, nil
	}
	if ours && s.Node != node {
		return false, accessDenied("Task %s is not on node %s.", id, node)
	}
	return true, cluster.Gone(tx, key)
}

// applyReport brings t to where its agent says it is.
func applyReport(t *cluster.Task, in *ecs.SubmitTaskStateChangeInput, now time.Time) {
	if t.Last == cluster.Stopped {
		return
	}
	applyContainers(t, in.Containers)
	keep(&t.PullStartedAt, in.PullStartedAt)
	keep(&t.PullStoppedAt, in.PullStoppedAt)
	keep(&t.ExecutionStoppedAt, in.ExecutionStoppedAt)
	if t.Connectivity != types.ConnectivityConnected {
		t.Connectivity, t.ConnectivityAt = types.ConnectivityConnected, &now
	}
	status := cluster.Status(deref(in.Status))
	if status.Known() && t.Last.Before(status) {
		t.Last = status
	}
	if t.StartedAt == nil && (t.Last == cluster.Running || cluster.Running.Before(t.Last) && ran(t)) {
		t.StartedAt = &now
	}
	if t.Last == cluster.Stopped {
		applyStopped(t, deref(in.Reason), now)
	} else if t.StartedAt != nil && slices.ContainsFunc(t.Containers, func(c cluster.Container) bool { return c.Essential && c.Last == cluster.Stopped }) {
		// The agent stops the others; clients see at once that it is over.
		t.Stop(types.TaskStopCodeEssentialContainerExited, essentialExited, now)
	}
}

const essentialExited = "Essential container in task exited"

// applyStopped finishes a task that its agent says has stopped, and says why
// unless the wish to stop it said so before.
func applyStopped(t *cluster.Task, reason string, now time.Time) {
	t.StoppedAt = &now
	if t.StartedAt != nil {
		keep(&t.ExecutionStoppedAt, &now)
	}
	switch {
	case t.StartedAt == nil:
		if reason == "" {
			reason = firstReason(t)
		}
		t.Stop(types.TaskStopCodeTaskFailedToStart, reason, now)
	case reason == "":
		t.Stop(types.TaskStopCodeEssentialContainerExited, essentialExited, now)
	default:
		t.Stop(types.TaskStopCodeEssentialContainerExited, reason, now)
	}
	for i, c := range t.Containers {
		if c.Last != cluster.Stopped {
			t.Containers[i].Last = cluster.Stopped
		}
	}
	t.Health = types.HealthStatusUnknown
}

// ran reports whether a task, whose agent skipped to a later status, did run:
// an essential container of it has exited. One that could not be created or
// started may have an exit code too; its reason tells.
func ran(t *cluster.Task) bool {
	return slices.ContainsFunc(t.Containers, func(c cluster.Container) bool {
		return c.Essential && c.ExitCode != nil && !strings.HasPrefix(c.Reason, "Cannot")
	})
}

// firstReason is why a task did not start, by its containers.
func firstReason(t *cluster.Task) string {
	for _, c := range t.Containers {
		if c.Reason != "" {
			return c.Reason
		}
	}
	return "Task failed to start"
}

// keep sets a time that is not set yet.
func keep(to **time.Time, at *time.Time) {
	if *to == nil && at != nil && !at.IsZero() {
		utc := at.UTC()
		*to = &utc
	}
}

// applyContainers takes what is reported of containers; t's own slice is
// shared with the store, and so not changed.
func applyContainers(t *cluster.Task, reports []types.ContainerStateChange) {
	t.Containers = slices.Clone(t.Containers)
	for _, r := range reports {
		i := slices.IndexFunc(t.Containers, func(c cluster.Container) bool { return c.Name == deref(r.ContainerName) })
		if i < 0 {
			continue
		}
		c := &t.Containers[i]
		if s := containerStatus(deref(r.Status)); c.Last.Before(s) {
			c.Last = s
		}
		if r.ExitCode != nil {
			c.ExitCode = r.ExitCode
		}
		if v := deref(r.RuntimeId); v != "" {
			c.RuntimeID = v
		}
		if v := deref(r.ImageDigest); v != "" {
			c.ImageDigest = v
		}
		if v := deref(r.Reason); v != "" {
			c.Reason = v
		}
		if len(r.NetworkBindings) > 0 {
			c.Bindings = r.NetworkBindings
		}
	}
}

// containerStatus is an agent's word for a container's status in the API's
// words.
func containerStatus(s string) cluster.Status {
	switch s {
	case "RUNNING", "RESOURCES_PROVISIONED":
		return cluster.Running
	case "STOPPED", "DEAD":
		return cluster.Stopped
	}
	return cluster.Pending
}
