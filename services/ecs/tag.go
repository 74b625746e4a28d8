package ecs

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
)

// TagResource sets tags on a cluster, service, task, task definition or
// container instance.
func (a *API) TagResource(ctx context.Context, in *ecs.TagResourceInput) (*ecs.TagResourceOutput, error) {
	var own []string
	if r, _ := parseARN(deref(in.ResourceArn)); r.Kind == "service" {
		own = []string{forceTag}
	}
	if err := validateTags(in.Tags, own...); err != nil {
		return nil, err
	}
	return &ecs.TagResourceOutput{}, a.changeTags(ctx, deref(in.ResourceArn), func(old []types.Tag) ([]types.Tag, error) {
		tags := mergeTags(old, in.Tags)
		if len(userTags(tags)) > maxTags {
			return nil, invalidParam("Tags can not have more than %d elements", maxTags)
		}
		return tags, nil
	})
}

// UntagResource takes tags away; those that are not there are no error.
func (a *API) UntagResource(ctx context.Context, in *ecs.UntagResourceInput) (*ecs.UntagResourceOutput, error) {
	return &ecs.UntagResourceOutput{}, a.changeTags(ctx, deref(in.ResourceArn), func(old []types.Tag) ([]types.Tag, error) {
		return withoutTags(old, in.TagKeys), nil
	})
}

// ListTagsForResource lists the tags of what TagResource tags.
func (a *API) ListTagsForResource(ctx context.Context, in *ecs.ListTagsForResourceInput) (*ecs.ListTagsForResourceOutput, error) {
	out := new(ecs.ListTagsForResourceOutput)
	err := a.db.View(func(r store.Reader) error {
		t, err := findTagged(r, scope(ctx), deref(in.ResourceArn))
		out.Tags = orEmpty(t.tags)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (a *API) changeTags(ctx context.Context, arn string, change func([]types.Tag) ([]types.Tag, error)) error {
	return a.db.Update(ctx, func(tx *store.Tx) error {
		t, err := findTagged(tx, scope(ctx), arn)
		if err != nil {
			return err
		}
		tags, err := change(t.tags)
		if err != nil {
			return err
		}
		return t.put(tx, tags)
	})
}

// tagged is a resource that has tags.
type tagged struct {
	tags []types.Tag
	put  func(*store.Tx, []types.Tag) error
}

// findTagged finds the resource that arn names.
func findTagged(r store.Reader, s cluster.Scope, arn string) (t tagged, err error) {
	a, err := inScope(s, arn)
	if err != nil {
		return t, err
	}
	if a.Kind == "cluster" {
		c, err := findCluster(r, s, &arn)
		return tagged{c.Tags, func(tx *store.Tx, tags []types.Tag) error {
			c.Tags = tags
			return cluster.Clusters.Put(tx, c)
		}}, err
	}
	if a.Kind == "task-definition" {
		d, ok := lookupTaskDefinition(r, s, arn)
		if !ok {
			return t, clientErr("The specified task definition does not exist. Specify a valid account, family, revision and try again.")
		}
		return tagged{d.Tags, func(tx *store.Tx, tags []types.Tag) error {
			d.Tags = tags
			return cluster.TaskDefinitions.Put(tx, d)
		}}, nil
	}
	if len(a.Rest) != 2 {
		return t, invalidParam("Long arn format must be used for tagging operations")
	}
	c, err := findCluster(r, s, &a.Rest[0])
	if err != nil {
		return t, err
	}
	key := s.Key(c.Name, a.Rest[1])
	switch a.Kind {
	case "task":
		v, ok := cluster.Tasks.Get(r, key)
		if !ok || v.Last == cluster.Stopped {
			return t, invalidParam("The specified task is stopped. Specify a running task and try again.")
		}
		return tagged{v.Tags, func(tx *store.Tx, tags []types.Tag) error {
			v.Tags = tags
			return cluster.SaveTask(tx, v)
		}}, nil
	case "service":
		v, ok := cluster.Services.Get(r, key)
		if !ok || v.Status == "INACTIVE" {
			return t, invalidParam("The specified service is inactive. Specify an active service and try again.")
		}
		return tagged{v.Tags, func(tx *store.Tx, tags []types.Tag) error {
			v.Tags = tags
			return cluster.Services.Put(tx, v)
		}}, nil
	case "container-instance":
		v, ok := cluster.Instances.Get(r, key)
		if !ok {
			return t, invalidParam("The specified container instance is inactive. Specify an active container instance and try again.")
		}
		return tagged{v.Tags, func(tx *store.Tx, tags []types.Tag) error {
			v.Tags = tags
			return cluster.SaveInstance(tx, v)
		}}, nil
	}
	return t, invalidParam("Invalid resourceArn: a %s can not be tagged. Tag clusters, services, tasks, task definitions or container instances.", a.Kind)
}
