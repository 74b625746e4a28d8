package kinesis

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/dhowhq/dhow/stream"
)

// maxTags is from the API reference: a stream has up to 50.
const maxTags = 50

var tagChars = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@%]*$`)

// checkTags checks tags that are to be set over the ones there are.
func checkTags(have, set map[string]string) error {
	all := maps.Clone(have)
	if all == nil {
		all = map[string]string{}
	}
	for k, v := range set {
		switch {
		case strings.HasPrefix(strings.ToLower(k), "aws:"):
			return invalid("Tag keys must not start with 'aws:': %s is reserved for AWS use.", k)
		case !tagChars.MatchString(k) || !tagChars.MatchString(v):
			return invalid("Some tags contain invalid characters. Valid characters: Unicode letters, digits, white space, _ . / = + - %% @. The tag is %s.", k)
		case k == "" || utf8.RuneCountInString(k) > 128 || utf8.RuneCountInString(v) > 256:
			return invalid("A tag key has 1 to 128 characters and a value up to 256; that of %.130s has not.", k)
		}
		all[k] = v
	}
	if len(all) > maxTags {
		return invalid("Failed to add tags: a given resource cannot have more than %d tags associated with it.", maxTags)
	}
	return nil
}

func withTags(have map[string]string, set map[string]string) (map[string]string, error) {
	if err := checkTags(have, set); err != nil {
		return nil, err
	}
	out := maps.Clone(have)
	if out == nil {
		out = map[string]string{}
	}
	maps.Copy(out, set)
	return out, nil
}

func withoutTags(have map[string]string, keys []string) map[string]string {
	out := maps.Clone(have)
	for _, k := range keys {
		delete(out, k)
	}
	return out
}

func wireTags(tags map[string]string) []types.Tag {
	out := []types.Tag{}
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		out = append(out, types.Tag{Key: &k, Value: ptr(tags[k])})
	}
	return out
}

// AddTagsToStream sets tags on a stream.
func (a *API) AddTagsToStream(ctx context.Context, in *kinesis.AddTagsToStreamInput) (*kinesis.AddTagsToStreamOutput, error) {
	ref, err := a.ref(ctx, in.StreamName, in.StreamARN, in.StreamId)
	if err != nil {
		return nil, err
	}
	return &kinesis.AddTagsToStreamOutput{}, a.tagStream(ctx, ref, func(have map[string]string) (map[string]string, error) { return withTags(have, in.Tags) })
}

// RemoveTagsFromStream takes tags away; those that are not there are no error.
func (a *API) RemoveTagsFromStream(ctx context.Context, in *kinesis.RemoveTagsFromStreamInput) (*kinesis.RemoveTagsFromStreamOutput, error) {
	ref, err := a.ref(ctx, in.StreamName, in.StreamARN, in.StreamId)
	if err != nil {
		return nil, err
	}
	return &kinesis.RemoveTagsFromStreamOutput{}, a.tagStream(ctx, ref, func(have map[string]string) (map[string]string, error) {
		return withoutTags(have, in.TagKeys), nil
	})
}

func (a *API) tagStream(ctx context.Context, ref stream.Ref, change func(map[string]string) (map[string]string, error)) error {
	_, err := a.e.Change(ctx, ref, func(s *stream.Stream) (err error) {
		before := s.Tags
		if s.Tags, err = change(before); err != nil {
			return err
		}
		return a.checkContract(ctx, s, before)
	})
	return wrap(err)
}

// ListTagsForStream lists a stream's tags by key, a page of them.
func (a *API) ListTagsForStream(ctx context.Context, in *kinesis.ListTagsForStreamInput) (*kinesis.ListTagsForStreamOutput, error) {
	ref, err := a.ref(ctx, in.StreamName, in.StreamARN, in.StreamId)
	if err != nil {
		return nil, err
	}
	s, err := a.e.Describe(ref)
	if err != nil {
		return nil, wrap(err)
	}
	tags := slices.DeleteFunc(wireTags(s.Tags), func(t types.Tag) bool { return *t.Key <= deref(in.ExclusiveStartTagKey) })
	most := maxTags
	if in.Limit != nil {
		most = int(*in.Limit)
	}
	more := len(tags) > most
	return &kinesis.ListTagsForStreamOutput{Tags: tags[:min(most, len(tags))], HasMoreTags: &more}, nil
}

// TagResource sets tags on a stream or a consumer.
func (a *API) TagResource(ctx context.Context, in *kinesis.TagResourceInput) (*kinesis.TagResourceOutput, error) {
	return &kinesis.TagResourceOutput{}, a.tagResource(ctx, *in.ResourceARN, in.StreamId, func(have map[string]string) (map[string]string, error) { return withTags(have, in.Tags) })
}

// UntagResource takes tags away from a stream or a consumer.
func (a *API) UntagResource(ctx context.Context, in *kinesis.UntagResourceInput) (*kinesis.UntagResourceOutput, error) {
	return &kinesis.UntagResourceOutput{}, a.tagResource(ctx, *in.ResourceARN, in.StreamId, func(have map[string]string) (map[string]string, error) {
		return withoutTags(have, in.TagKeys), nil
	})
}

func (a *API) tagResource(ctx context.Context, arn string, id *string, change func(map[string]string) (map[string]string, error)) error {
	if !consumerARN(arn) {
		ref, err := a.ref(ctx, nil, &arn, id)
		if err != nil {
			return err
		}
		return a.tagStream(ctx, ref, change)
	}
	c, err := a.consumer(ctx, &arn, nil, id, nil)
	if err != nil {
		return err
	}
	_, err = a.e.ChangeConsumer(ctx, stream.Ref{Scope: c.Scope, Name: c.Stream}, c.Name, func(c *stream.Consumer) (err error) {
		c.Tags, err = change(c.Tags)
		return err
	})
	return wrap(err)
}

// ListTagsForResource lists the tags of a stream or a consumer.
func (a *API) ListTagsForResource(ctx context.Context, in *kinesis.ListTagsForResourceInput) (*kinesis.ListTagsForResourceOutput, error) {
	if consumerARN(*in.ResourceARN) {
		c, err := a.consumer(ctx, in.ResourceARN, nil, in.StreamId, nil)
		if err != nil {
			return nil, err
		}
		return &kinesis.ListTagsForResourceOutput{Tags: wireTags(c.Tags)}, nil
	}
	ref, err := a.ref(ctx, nil, in.ResourceARN, in.StreamId)
	if err != nil {
		return nil, err
	}
	s, err := a.e.Describe(ref)
	if err != nil {
		return nil, wrap(err)
	}
	return &kinesis.ListTagsForResourceOutput{Tags: wireTags(s.Tags)}, nil
}
