package elbv2

import (
	"context"
	"slices"
	"strings"

	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/lb"
	"github.com/dhowhq/dhow/store"
)

// changeTags lets f change the tags of the resource of an ARN. The tags of a
// default rule are those of its listener.
func changeTags(tx *store.Tx, s cluster.Scope, arn string, f func([]lb.Tag) ([]lb.Tag, error)) error {
	switch kind(arn) {
	case "loadbalancer":
		b, err := findBalancer(tx, s, arn)
		if err != nil {
			return err
		}
		if b.Tags, err = f(b.Tags); err != nil {
			return err
		}
		return lb.LoadBalancers.Put(tx, b)
	case "targetgroup":
		g, err := findGroup(tx, s, arn)
		if err != nil {
			return err
		}
		if g.Tags, err = f(g.Tags); err != nil {
			return err
		}
		return lb.TargetGroups.Put(tx, g)
	case "listener":
		l, err := findListener(tx, s, arn)
		if err != nil {
			return err
		}
		if l.Tags, err = f(l.Tags); err != nil {
			return err
		}
		return lb.Listeners.Put(tx, l)
	case "listener-rule":
		if _, err := findRule(tx, s, arn); err != nil {
			return err
		}
		return refused("The default rule '%s' has no tags of its own; tag its listener", arn)
	}
	return invalid("'%s' is not a valid resource ARN", arn)
}

// kind is what an ARN of load balancing names.
func kind(arn string) string {
	f := strings.SplitN(arn, ":", 6)
	if len(f) != 6 || f[2] != "elasticloadbalancing" {
		return ""
	}
	k, _, _ := strings.Cut(f[5], "/")
	return k
}

// AddTags adds tags to resources, or changes their values.
func (a *API) AddTags(ctx context.Context, in *elb.AddTagsInput) (*elb.AddTagsOutput, error) {
	err := a.db.Update(ctx, func(tx *store.Tx) error {
		for _, arn := range in.ResourceArns {
			err := changeTags(tx, scope(ctx), arn, func(have []lb.Tag) ([]lb.Tag, error) { return tagsFrom(have, in.Tags) })
			if err != nil {
				return err
			}
		}
		return nil
	})
	return &elb.AddTagsOutput{}, err
}

// RemoveTags removes tags from resources.
func (a *API) RemoveTags(ctx context.Context, in *elb.RemoveTagsInput) (*elb.RemoveTagsOutput, error) {
	err := a.db.Update(ctx, func(tx *store.Tx) error {
		for _, arn := range in.ResourceArns {
			err := changeTags(tx, scope(ctx), arn, func(have []lb.Tag) ([]lb.Tag, error) {
				return slices.DeleteFunc(slices.Clone(have), func(t lb.Tag) bool { return slices.Contains(in.TagKeys, t.Key) }), nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	return &elb.RemoveTagsOutput{}, err
}

// DescribeTags returns the tags of up to twenty resources.
func (a *API) DescribeTags(ctx context.Context, in *elb.DescribeTagsInput) (*elb.DescribeTagsOutput, error) {
	if len(in.ResourceArns) > maxNamed {
		return nil, invalid("You can specify up to %d resources in a single call", maxNamed)
	}
	all, err := view(a, func(r store.Reader) ([]types.TagDescription, error) {
		all := []types.TagDescription{}
		for _, arn := range in.ResourceArns {
			tags, err := tagsOf(r, scope(ctx), arn)
			if err != nil {
				return nil, err
			}
			all = append(all, types.TagDescription{ResourceArn: ptr(arn), Tags: wireTags(tags)})
		}
		return all, nil
	})
	if err != nil {
		return nil, err
	}
	return &elb.DescribeTagsOutput{TagDescriptions: all}, nil
}

func tagsOf(r store.Reader, s cluster.Scope, arn string) ([]lb.Tag, error) {
	switch kind(arn) {
	case "loadbalancer":
		b, err := findBalancer(r, s, arn)
		return b.Tags, err
	case "targetgroup":
		g, err := findGroup(r, s, arn)
		return g.Tags, err
	case "listener":
		l, err := findListener(r, s, arn)
		return l.Tags, err
	case "listener-rule":
		_, err := findRule(r, s, arn)
		return nil, err
	}
	return nil, invalid("'%s' is not a valid resource ARN", arn)
}
