package sns

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"

	"github.com/dhowhq/dhow/store"
	"github.com/dhowhq/dhow/topic"
)

// withTags adds tags to those that there are.
func withTags(have map[string]string, tags []types.Tag) (map[string]string, error) {
	all := maps.Clone(have)
	if all == nil {
		all = map[string]string{}
	}
	seen := map[string]bool{}
	for _, t := range tags {
		switch {
		case seen[*t.Key]:
			return nil, invalid("Duplicated keys are not allowed.")
		case strings.HasPrefix(strings.ToLower(*t.Key), "aws:"):
			return nil, invalid("Tag keys that begin with aws: are reserved")
		}
		seen[*t.Key] = true
		all[*t.Key] = *t.Value
	}
	if len(all) > maxTags {
		return nil, &types.TagLimitExceededException{Message: ptr("Could not complete request: tag quota of per resource exceeded")}
	}
	return all, nil
}

// tagged looks a topic up for the tagging operations.
func (a *API) tagged(ctx context.Context, r store.Reader, arn, action string) (topic.Topic, error) {
	t, err := a.lookup(ctx, r, "ResourceArn", arn, action)
	if _, gone := err.(*types.NotFoundException); gone {
		return t, &types.ResourceNotFoundException{Message: ptr("Resource does not exist")}
	}
	return t, err
}

// ListTagsForResource shows a topic's tags.
func (a *API) ListTagsForResource(ctx context.Context, in *sns.ListTagsForResourceInput) (out *sns.ListTagsForResourceOutput, err error) {
	out = &sns.ListTagsForResourceOutput{Tags: []types.Tag{}}
	err = a.db.View(func(r store.Reader) error {
		t, err := a.tagged(ctx, r, *in.ResourceArn, "ListTagsForResource")
		for _, k := range slices.Sorted(maps.Keys(t.Tags)) {
			out.Tags = append(out.Tags, types.Tag{Key: &k, Value: ptr(t.Tags[k])})
		}
		return err
	})
	return out, err
}

// TagResource adds tags to a topic.
func (a *API) TagResource(ctx context.Context, in *sns.TagResourceInput) (*sns.TagResourceOutput, error) {
	return &sns.TagResourceOutput{}, concurrent(a.db.Update(ctx, func(tx *store.Tx) error {
		t, err := a.tagged(ctx, tx, *in.ResourceArn, "TagResource")
		if err != nil {
			return err
		}
		before := t.Tags
		if t.Tags, err = withTags(t.Tags, in.Tags); err != nil {
			return err
		}
		if err := a.checkContract(ctx, &t, before); err != nil {
			return err
		}
		return topic.Topics.Put(tx, t)
	}))
}

// UntagResource removes tags from a topic.
func (a *API) UntagResource(ctx context.Context, in *sns.UntagResourceInput) (*sns.UntagResourceOutput, error) {
	return &sns.UntagResourceOutput{}, concurrent(a.db.Update(ctx, func(tx *store.Tx) error {
		t, err := a.tagged(ctx, tx, *in.ResourceArn, "UntagResource")
		if err != nil {
			return err
		}
		before := t.Tags
		t.Tags = maps.Clone(t.Tags)
		for _, k := range in.TagKeys {
			delete(t.Tags, k)
		}
		if err := a.checkContract(ctx, &t, before); err != nil {
			return err
		}
		return topic.Topics.Put(tx, t)
	}))
}
