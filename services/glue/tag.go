package glue

import (
	"context"
	"maps"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"

	"github.com/dhowhq/dhow/contract/registry"
)

// merge adds tags to those that a resource has.
func merge(have, add map[string]string) (map[string]string, error) {
	out := maps.Clone(have)
	for k, v := range add {
		if strings.HasPrefix(strings.ToLower(k), "aws:") {
			return nil, invalid("Invalid Tag Parameters: tag keys that begin with aws: are reserved: %s", k)
		}
		if out == nil {
			out = map[string]string{}
		}
		out[k] = v
	}
	if len(out) > 50 {
		return nil, invalid("Invalid Tag Parameters: a resource has at most 50 tags")
	}
	return out, nil
}

// GetTags lists the tags of a registry or schema.
func (a *API) GetTags(ctx context.Context, in *glue.GetTagsInput) (*glue.GetTagsOutput, error) {
	tags, err := a.tags(ctx, *in.ResourceArn, nil)
	if err != nil {
		return nil, err
	}
	if tags == nil {
		tags = map[string]string{}
	}
	return &glue.GetTagsOutput{Tags: tags}, nil
}

// TagResource adds tags to a registry or schema.
func (a *API) TagResource(ctx context.Context, in *glue.TagResourceInput) (*glue.TagResourceOutput, error) {
	_, err := a.tags(ctx, *in.ResourceArn, func(tags map[string]string) (map[string]string, error) { return merge(tags, in.TagsToAdd) })
	if err != nil {
		return nil, err
	}
	return &glue.TagResourceOutput{}, nil
}

// UntagResource removes tags of a registry or schema.
func (a *API) UntagResource(ctx context.Context, in *glue.UntagResourceInput) (*glue.UntagResourceOutput, error) {
	_, err := a.tags(ctx, *in.ResourceArn, func(tags map[string]string) (map[string]string, error) {
		tags = maps.Clone(tags)
		for _, k := range in.TagsToRemove {
			delete(tags, k)
		}
		return tags, nil
	})
	if err != nil {
		return nil, err
	}
	return &glue.UntagResourceOutput{}, nil
}

// tags returns the tags of what an ARN names, after a change if there is one.
func (a *API) tags(ctx context.Context, name string, change func(map[string]string) (map[string]string, error)) (tags map[string]string, err error) {
	kind, rest, ok := resource(ctx, name)
	reg, schema, two := strings.Cut(rest, "/")
	n := registry.Name{Scope: scope(ctx), Registry: reg, Schema: schema}
	set := func(have *map[string]string) (err error) {
		*have, err = change(*have)
		tags = *have
		return err
	}
	switch {
	case kind == "registry" && !two && ok:
		if change == nil {
			r, err := a.e.Registry(n.Scope, reg)
			return r.Tags, wrap(err, n, 0)
		}
		_, err = a.changeRegistry(ctx, reg, func(r *registry.Registry) error { return set(&r.Tags) })
		return tags, err
	case kind == "schema" && two && ok:
		if change == nil {
			s, err := a.e.Schema(n)
			return s.Tags, wrap(err, n, 0)
		}
		_, err = a.e.ChangeSchema(ctx, n, func(s *registry.Schema) error { return set(&s.Tags) })
		return tags, wrap(err, n, 0)
	case !ok && (kind == "registry" || kind == "schema"):
		return nil, &types.EntityNotFoundException{Message: ptr("Resource is not found. ResourceArn: " + name)}
	}
	return nil, invalid("%s is the ARN of no registry and of no schema: of Glue's resources dhow has these.", clip(name, 200))
}
