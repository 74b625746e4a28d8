package ecs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/cluster/launch"
	"github.com/dhowhq/dhow/store"
)

// run is what RunTask and StartTask have in common.
type run struct {
	definition, cluster *string
	count               int
	launchType          types.LaunchType
	strategy            []types.CapacityProviderStrategyItem
	instances           []string // StartTask's, by name or ARN
	managedTags         bool
	propagate           types.PropagateTags
	request             launch.Request // what needs no looking up
	token, digest       string
}

// RunTask places new tasks and writes them; their nodes start them. What does
// not fit is in the answer's failures.
func (a *API) RunTask(ctx context.Context, in *ecs.RunTaskInput) (*ecs.RunTaskOutput, error) {
	r := run{definition: in.TaskDefinition, cluster: in.Cluster, count: 1, launchType: in.LaunchType,
		strategy: in.CapacityProviderStrategy, managedTags: in.EnableECSManagedTags, propagate: in.PropagateTags,
		token: deref(in.ClientToken),
		request: launch.Request{Scope: scope(ctx), PlatformVersion: deref(in.PlatformVersion), Group: deref(in.Group),
			StartedBy: deref(in.StartedBy), Overrides: deref(in.Overrides), Network: in.NetworkConfiguration,
			Constraints: in.PlacementConstraints, Strategy: in.PlacementStrategy,
			EnableExecuteCommand: in.EnableExecuteCommand, Tags: in.Tags}}
	if in.Count != nil {
		r.count = int(*in.Count)
	}
	if r.count < 1 || r.count > 10 {
		return nil, invalidParam("Invalid count: %d. It must be between 1 and 10.", r.count)
	}
	if r.token != "" {
		same := *in
		same.ClientToken = nil
		r.digest = digest(same)
	}
	tasks, failures, err := a.run(ctx, r, in.VolumeConfigurations, deref(in.ReferenceId))
	if err != nil {
		return nil, err
	}
	return &ecs.RunTaskOutput{Tasks: tasks, Failures: failures}, nil
}

// StartTask is RunTask on instances that the caller chose: one task on each.
func (a *API) StartTask(ctx context.Context, in *ecs.StartTaskInput) (*ecs.StartTaskOutput, error) {
	switch n := len(in.ContainerInstances); {
	case n == 0:
		return nil, invalidParam("Container Instances cannot be empty.")
	case n > 10:
		return nil, invalidParam("Container Instances cannot have more than 10 elements.")
	}
	r := run{definition: in.TaskDefinition, cluster: in.Cluster, count: len(in.ContainerInstances),
		launchType: types.LaunchTypeEc2, instances: in.ContainerInstances,
		managedTags: in.EnableECSManagedTags, propagate: in.PropagateTags,
		request: launch.Request{Scope: scope(ctx), Group: deref(in.Group), StartedBy: deref(in.StartedBy),
			Overrides: deref(in.Overrides), Network: in.NetworkConfiguration,
			EnableExecuteCommand: in.EnableExecuteCommand, Tags: in.Tags}}
	tasks, failures, err := a.run(ctx, r, in.VolumeConfigurations, deref(in.ReferenceId))
	if err != nil {
		return nil, err
	}
	return &ecs.StartTaskOutput{Tasks: tasks, Failures: failures}, nil
}

func (a *API) run(ctx context.Context, r run, volumes []types.TaskVolumeConfiguration, reference string) ([]types.Task, []types.Failure, error) {
	if err := r.check(volumes, reference); err != nil {
		return nil, nil, err
	}
	if r.request.Network != nil {
		if err := a.ensureVPC(ctx, r.request.Scope); err != nil {
			return nil, nil, err
		}
	}
	var tasks []cluster.Task
	var failures []types.Failure
	err := a.db.Update(ctx, func(tx *store.Tx) (err error) {
		tasks, failures, err = r.start(tx)
		return err
	})
	if err != nil {
		return nil, nil, asInvalid(err)
	}
	out := make([]types.Task, 0, len(tasks))
	for _, t := range tasks {
		out = append(out, wireTask(t))
	}
	return out, orEmpty(failures), nil
}

// asInvalid turns the launcher's refusals into the API's.
func asInvalid(err error) error {
	if bad := (*launch.Invalid)(nil); errors.As(err, &bad) {
		return &types.InvalidParameterException{Message: &bad.Reason}
	}
	return err
}

// start does the call in tx.
func (r run) start(tx *store.Tx) (tasks []cluster.Task, failures []types.Failure, err error) {
	c, err := findCluster(tx, r.request.Scope, r.cluster)
	if err != nil {
		return nil, nil, err
	}
	token := cluster.Token{Scope: c.Scope, Cluster: c.Name, Operation: "RunTask", Token: r.token, Digest: r.digest, At: time.Now().UTC()}
	if r.token != "" {
		if old, ok := cluster.Tokens.Get(tx, token.Key()); ok && time.Since(old.At) < cluster.TokenLife {
			return replay(tx, c, old, r.digest)
		}
	}
	d, err := findTaskDefinition(tx, c.Scope, deref(r.definition))
	if err != nil {
		return nil, nil, err
	}
	req := r.request
	req.Cluster, req.Definition = c.Name, d
	if req.Group == "" {
		req.Group = "family:" + d.Family
	}
	if req.Tags, err = r.tags(c, d); err != nil {
		return nil, nil, err
	}
	if err := checkOverrides(d.Def, req.Overrides); err != nil {
		return nil, nil, err
	}
	for _, ref := range r.instances {
		id, err := memberID(c, "container-instance", ref)
		if err != nil {
			return nil, nil, err
		}
		req.Instances = append(req.Instances, id)
	}
	shares, err := capacity(c, r.launchType, r.strategy, r.count)
	if err != nil {
		return nil, nil, err
	}
	for _, s := range shares {
		req.LaunchType, req.CapacityProvider, req.Count = s.launchType, s.provider, s.count
		if err := compatible(d.Def, req); err != nil {
			return nil, nil, err
		}
		if err := checkPlacement(req.LaunchType, req.Constraints, req.Strategy); err != nil {
			return nil, nil, err
		}
		some, failed, err := launch.Launch(tx, req)
		if err != nil {
			return nil, nil, err
		}
		tasks, failures = append(tasks, some...), append(failures, failed...)
	}
	if len(tasks) == 0 && len(failures) > 0 && deref(failures[0].Reason) == launch.NoInstances {
		return nil, nil, invalidParam(launch.NoInstances)
	}
	if r.token == "" || len(tasks) == 0 {
		return tasks, failures, nil // what started nothing may be tried again
	}
	for _, t := range tasks {
		token.Resources = append(token.Resources, t.ARN())
	}
	return tasks, failures, cluster.Tokens.Put(tx, token)
}

// replay answers a call whose token was seen before with the tasks of the
// first call, as far as they are still kept.
func replay(tx *store.Tx, c cluster.Cluster, old cluster.Token, digest string) ([]cluster.Task, []types.Failure, error) {
	if old.Digest != digest {
		return nil, nil, conflict(old.Resources, "The client token %s was used with other parameters before.", old.Token)
	}
	var tasks []cluster.Task
	var failures []types.Failure
	for _, arn := range old.Resources {
		id, err := memberID(c, "task", arn)
		if err != nil {
			return nil, nil, err
		}
		if t, ok := cluster.Tasks.Get(tx, c.Scope.Key(c.Name, id)); ok {
			tasks = append(tasks, t)
		} else {
			failures = append(failures, missing(arn))
		}
	}
	return tasks, failures, nil
}

// digest is a fingerprint of a call's parameters.
func digest(in any) string {
	sum := sha256.Sum256(compactJSON(in))
	return hex.EncodeToString(sum[:])
}

// tags are the new tasks' tags: the definition's if they are to be propagated,
// the caller's over them, and AWS's own.
func (r run) tags(c cluster.Cluster, d cluster.TaskDefinition) ([]types.Tag, error) {
	tags := slices.Clone(r.request.Tags)
	if r.propagate == types.PropagateTagsTaskDefinition {
		tags = mergeTags(d.Tags, tags)
		if len(tags) > maxTags {
			return nil, invalidParam("Tags can not have more than %d elements, those of the task definition included", maxTags)
		}
	}
	if r.managedTags {
		tags = append(tags, types.Tag{Key: ptr("aws:ecs:clusterName"), Value: ptr(c.Name)})
	}
	return tags, nil
}
