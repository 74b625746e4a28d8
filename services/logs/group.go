package logs

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	cwl "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/logstore"
	"github.com/dhowhq/dhow/store"
)

// CreateLogGroup makes a group. Encryption by a key and deletion protection do
// not act, and are refused.
func (a *API) CreateLogGroup(ctx context.Context, in *cwl.CreateLogGroupInput) (*cwl.CreateLogGroupOutput, error) {
	if in.KmsKeyId != nil {
		return nil, invalid("kmsKeyId is not supported: log groups are not encrypted with a key")
	}
	if deref(in.DeletionProtectionEnabled) {
		return nil, invalid("deletionProtectionEnabled is not supported")
	}
	class := in.LogGroupClass
	if class == "" {
		class = types.LogGroupClassStandard
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	g := logstore.Group{Scope: scope(ctx), Name: *in.LogGroupName, Class: string(class), Tags: in.Tags}
	if class == types.LogGroupClassDelivery {
		g.Retention = deliveryDays
	}
	err := a.store.CreateGroup(ctx, g)
	return &cwl.CreateLogGroupOutput{}, wrap(err, "log group")
}

// DeleteLogGroup removes a group with its events.
func (a *API) DeleteLogGroup(ctx context.Context, in *cwl.DeleteLogGroupInput) (*cwl.DeleteLogGroupOutput, error) {
	return &cwl.DeleteLogGroupOutput{}, wrap(a.store.DeleteGroup(ctx, scope(ctx), *in.LogGroupName), "")
}

// DescribeLogGroups lists groups by name.
func (a *API) DescribeLogGroups(ctx context.Context, in *cwl.DescribeLogGroupsInput) (*cwl.DescribeLogGroupsOutput, error) {
	if in.LogGroupNamePrefix != nil && in.LogGroupNamePattern != nil {
		return nil, invalid("LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.")
	}
	s := scope(ctx)
	var rows []logstore.Group
	if len(in.AccountIdentifiers) > 0 && !slices.Contains(in.AccountIdentifiers, s.Account) {
		// No account's groups are linked into another's.
		return &cwl.DescribeLogGroupsOutput{LogGroups: []types.LogGroup{}}, nil
	}
	err := a.db.View(func(r store.Reader) error {
		for g := range logstore.Groups.List(r, s.Prefix()+deref(in.LogGroupNamePrefix)) {
			// The pattern is a part of the name.
			if strings.Contains(g.Name, deref(in.LogGroupNamePattern)) &&
				(in.LogGroupClass == "" || g.Class == string(in.LogGroupClass)) &&
				(len(in.LogGroupIdentifiers) == 0 || slices.Contains(in.LogGroupIdentifiers, g.Name) || slices.Contains(in.LogGroupIdentifiers, groupARN(g))) {
				rows = append(rows, g)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	page, next, err := awsapi.Page(ctx, rows, func(g logstore.Group) string { return g.Name }, in.NextToken, in.Limit, 50)
	if err != nil {
		return nil, err
	}
	out := &cwl.DescribeLogGroupsOutput{NextToken: next, LogGroups: []types.LogGroup{}}
	for _, g := range page {
		w := wireGroup(g)
		if in.LogGroupNamePattern == nil { // AWS shows the rest only where it does not search
			if err := a.fill(&w, g); err != nil {
				return nil, err
			}
		}
		out.LogGroups = append(out.LogGroups, w)
	}
	return out, nil
}

func wireGroup(g logstore.Group) types.LogGroup {
	return types.LogGroup{LogGroupName: &g.Name, Arn: ptr(groupARN(g) + ":*"), LogGroupArn: ptr(groupARN(g)),
		CreationTime: ptr(g.CreatedAt.UnixMilli()), LogGroupClass: types.LogGroupClass(g.Class), MetricFilterCount: ptr(int32(0))}
}

// fill adds what g holds, and for how long.
func (a *API) fill(w *types.LogGroup, g logstore.Group) error {
	var size int64
	for _, s := range a.store.StreamsOf(g, nil) {
		x, err := a.store.Extent(s)
		if err != nil {
			return err
		}
		size += x.Bytes
	}
	w.StoredBytes, w.DeletionProtectionEnabled = &size, ptr(false)
	if g.Retention != 0 {
		w.RetentionInDays = &g.Retention
	}
	return nil
}

// days are the retentions that CloudWatch Logs has.
var days = []int32{1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}

// deliveryDays is the retention of groups of the class DELIVERY, which AWS
// shows and lets nobody change.
const deliveryDays = 2

func refuseDelivery(g *logstore.Group) error {
	if g.Class == string(types.LogGroupClassDelivery) {
		return &awsapi.Error{Code: "ValidationException", Message: "This operation is not supported for Delivery log class"}
	}
	return nil
}

// PutRetentionPolicy sets for how many days events are kept.
func (a *API) PutRetentionPolicy(ctx context.Context, in *cwl.PutRetentionPolicyInput) (*cwl.PutRetentionPolicyOutput, error) {
	if !slices.Contains(days, *in.RetentionInDays) {
		return nil, invalid(fmt.Sprintf("Invalid retention value %d: it must be one of %v.", *in.RetentionInDays, days))
	}
	return &cwl.PutRetentionPolicyOutput{}, a.change(ctx, *in.LogGroupName, func(g *logstore.Group) error {
		g.Retention = *in.RetentionInDays
		return refuseDelivery(g)
	})
}

// DeleteRetentionPolicy lets events be kept for ever.
func (a *API) DeleteRetentionPolicy(ctx context.Context, in *cwl.DeleteRetentionPolicyInput) (*cwl.DeleteRetentionPolicyOutput, error) {
	return &cwl.DeleteRetentionPolicyOutput{}, a.change(ctx, *in.LogGroupName, func(g *logstore.Group) error {
		g.Retention = 0
		return refuseDelivery(g)
	})
}

// change rewrites a group's row.
func (a *API) change(ctx context.Context, name string, f func(*logstore.Group) error) error {
	err := a.db.Update(ctx, func(tx *store.Tx) error {
		g, ok := logstore.Groups.Get(tx, scope(ctx).Key(name))
		if !ok {
			return logstore.ErrNoGroup
		}
		if err := f(&g); err != nil {
			return err
		}
		return logstore.Groups.Put(tx, g)
	})
	return wrap(err, "")
}

const maxTags = 50 // of a group; the model bounds those of one call

func checkTags(tags map[string]string) error {
	for k := range tags {
		if strings.HasPrefix(strings.ToLower(k), "aws:") {
			return invalid("Tag keys that begin with aws: are reserved for AWS use.")
		}
	}
	return nil
}

// tagged finds the group that a resource ARN names, with or without :*.
func (a *API) tagged(ctx context.Context, arn string) (string, error) {
	g, err := a.group(ctx, nil, &arn)
	return g.Name, err
}

func (a *API) tag(ctx context.Context, name string, tags map[string]string) error {
	if err := checkTags(tags); err != nil {
		return err
	}
	return a.change(ctx, name, func(g *logstore.Group) error {
		merged := maps.Clone(g.Tags)
		if merged == nil {
			merged = make(map[string]string)
		}
		maps.Copy(merged, tags)
		if g.Tags = merged; len(merged) > maxTags {
			return &types.TooManyTagsException{Message: ptr(fmt.Sprintf("A log group can have %d tags at most.", maxTags)), ResourceName: ptr(groupARN(*g))}
		}
		return nil
	})
}

func (a *API) untag(ctx context.Context, name string, keys []string) error {
	return a.change(ctx, name, func(g *logstore.Group) error {
		rest := maps.Clone(g.Tags)
		for _, k := range keys {
			delete(rest, k)
		}
		g.Tags = rest
		return nil
	})
}

// TagResource adds tags to a group.
func (a *API) TagResource(ctx context.Context, in *cwl.TagResourceInput) (*cwl.TagResourceOutput, error) {
	name, err := a.tagged(ctx, *in.ResourceArn)
	if err != nil {
		return nil, err
	}
	return &cwl.TagResourceOutput{}, a.tag(ctx, name, in.Tags)
}

// UntagResource removes tags from a group.
func (a *API) UntagResource(ctx context.Context, in *cwl.UntagResourceInput) (*cwl.UntagResourceOutput, error) {
	name, err := a.tagged(ctx, *in.ResourceArn)
	if err != nil {
		return nil, err
	}
	return &cwl.UntagResourceOutput{}, a.untag(ctx, name, in.TagKeys)
}

// ListTagsForResource lists a group's tags.
func (a *API) ListTagsForResource(ctx context.Context, in *cwl.ListTagsForResourceInput) (*cwl.ListTagsForResourceOutput, error) {
	g, err := a.group(ctx, nil, in.ResourceArn)
	if err != nil {
		return nil, err
	}
	return &cwl.ListTagsForResourceOutput{Tags: tagsOf(g)}, nil
}

// TagLogGroup is the older TagResource.
func (a *API) TagLogGroup(ctx context.Context, in *cwl.TagLogGroupInput) (*cwl.TagLogGroupOutput, error) {
	return &cwl.TagLogGroupOutput{}, a.tag(ctx, *in.LogGroupName, in.Tags)
}

// UntagLogGroup is the older UntagResource.
func (a *API) UntagLogGroup(ctx context.Context, in *cwl.UntagLogGroupInput) (*cwl.UntagLogGroupOutput, error) {
	return &cwl.UntagLogGroupOutput{}, a.untag(ctx, *in.LogGroupName, in.Tags)
}

// ListTagsLogGroup is the older ListTagsForResource.
func (a *API) ListTagsLogGroup(ctx context.Context, in *cwl.ListTagsLogGroupInput) (*cwl.ListTagsLogGroupOutput, error) {
	g, err := a.group(ctx, in.LogGroupName, nil)
	if err != nil {
		return nil, err
	}
	return &cwl.ListTagsLogGroupOutput{Tags: tagsOf(g)}, nil
}

func tagsOf(g logstore.Group) map[string]string {
	if g.Tags == nil {
		return map[string]string{}
	}
	return g.Tags
}
