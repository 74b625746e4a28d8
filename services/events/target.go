package events

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/dhowhq/dhow/bus"
	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/internal/arn"
	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/store"
)

// PutTargets adds targets to a rule, or replaces those of the same id. What
// cannot be served is in the answer's failed entries.
func (a *API) PutTargets(ctx context.Context, in *eventbridge.PutTargetsInput) (*eventbridge.PutTargetsOutput, error) {
	out := &eventbridge.PutTargetsOutput{FailedEntries: []types.PutTargetsResultEntry{}}
	var good []types.Target
	for _, t := range in.Targets {
		if err := checkTarget(t); err != nil {
			return nil, err
		}
		if err := a.engine.CheckInput(t); err != nil {
			return nil, invalid("%v", err)
		}
		if err := a.engine.CheckTarget(scope(ctx), t); err != nil {
			out.FailedEntries = append(out.FailedEntries, types.PutTargetsResultEntry{TargetId: t.Id, ErrorCode: ptr("InvalidArgument"), ErrorMessage: ptr(err.Error())})
			continue
		}
		good = append(good, t)
	}
	out.FailedEntryCount = int32(len(out.FailedEntries))
	return out, a.changeRule(ctx, in.Rule, in.EventBusName, false, func(r *bus.Rule) error {
		targets := slices.Clone(r.Targets)
		for _, t := range good {
			if i := slices.IndexFunc(targets, func(old types.Target) bool { return *old.Id == *t.Id }); i >= 0 {
				targets[i] = t
			} else {
				targets = append(targets, t)
			}
		}
		if r.Targets = targets; len(targets) > bus.MaxTargets {
			return limitExceeded()
		}
		return nil
	})
}

// checkTarget holds that a target's ARN is one, and that its parameters are
// those of its kind.
func checkTarget(t types.Target) error {
	a, err := arn.Parse(*t.Arn)
	if err != nil {
		return invalid("Parameter %s is not valid. Reason: Provided Arn is not in correct format.", *t.Arn)
	}
	kind, _ := a.Type()
	for _, p := range []struct {
		name  string
		given bool
		fits  bool
	}{
		{"EcsParameters", t.EcsParameters != nil, a.Service == "ecs"},
		{"SqsParameters", t.SqsParameters != nil, a.Service == "sqs"},
		{"KinesisParameters", t.KinesisParameters != nil, a.Service == "kinesis"},
		{"HttpParameters", t.HttpParameters != nil, a.Service == "events" && kind == "api-destination" || a.Service == "execute-api"},
		{"BatchParameters", t.BatchParameters != nil, a.Service == "batch"},
		{"RunCommandParameters", t.RunCommandParameters != nil, a.Service == "ssm"},
		{"RedshiftDataParameters", t.RedshiftDataParameters != nil, strings.HasPrefix(a.Service, "redshift")},
		{"SageMakerPipelineParameters", t.SageMakerPipelineParameters != nil, a.Service == "sagemaker"},
		{"AppSyncParameters", t.AppSyncParameters != nil, a.Service == "appsync"},
	} {
		if p.given && !p.fits {
			return invalid("Parameter %s is not valid for target %s. Reason: it is not for targets of %s.", p.name, *t.Id, a.Service)
		}
	}
	if a.Service == "ecs" && t.EcsParameters == nil {
		return invalid("Parameter(s) EcsParameters must be specified for target: %s.", *t.Id)
	}
	fifo := a.Service == "sqs" && strings.HasSuffix(a.Resource, ".fifo")
	group := t.SqsParameters != nil && deref(t.SqsParameters.MessageGroupId) != ""
	if fifo && !group {
		return invalid("Parameter(s) MessageGroupId must be specified for target: %s.", *t.Id)
	}
	_, err = deadLetterARN(t.DeadLetterConfig)
	return err
}

// RemoveTargets removes targets of a rule. An id that it has not is a failed
// entry.
func (a *API) RemoveTargets(ctx context.Context, in *eventbridge.RemoveTargetsInput) (*eventbridge.RemoveTargetsOutput, error) {
	out := &eventbridge.RemoveTargetsOutput{}
	err := a.changeRule(ctx, in.Rule, in.EventBusName, in.Force, func(r *bus.Rule) error {
		out.FailedEntries = []types.RemoveTargetsResultEntry{}
		targets := slices.Clone(r.Targets)
		for _, id := range in.Ids {
			before := len(targets)
			targets = slices.DeleteFunc(targets, func(t types.Target) bool { return *t.Id == id })
			if len(targets) == before {
				out.FailedEntries = append(out.FailedEntries, types.RemoveTargetsResultEntry{TargetId: &id, ErrorCode: ptr("ResourceNotFoundException"),
					ErrorMessage: ptr("Rule " + r.Name + " does not have a target with the Id " + id + ".")})
			}
		}
		r.Targets = targets
		return nil
	})
	out.FailedEntryCount = int32(len(out.FailedEntries))
	return out, err
}

// ListTargetsByRule lists the targets of a rule by id.
func (a *API) ListTargetsByRule(ctx context.Context, in *eventbridge.ListTargetsByRuleInput) (*eventbridge.ListTargetsByRuleOutput, error) {
	var rule bus.Rule
	err := a.db.View(func(r store.Reader) (err error) {
		rule, err = findRule(ctx, r, in.Rule, in.EventBusName)
		return err
	})
	if err != nil {
		return nil, err
	}
	targets := slices.Clone(rule.Targets)
	sortBy(targets, func(t types.Target) string { return *t.Id })
	list, next, err := awsapi.Page(ctx, targets, func(t types.Target) string { return *t.Id }, in.NextToken, in.Limit, page)
	if err != nil {
		return nil, err
	}
	return &eventbridge.ListTargetsByRuleOutput{NextToken: next, Targets: append([]types.Target{}, list...)}, nil
}

// tagged finds what an ARN names: a bus, else a rule.
func tagged(r store.Reader, s cluster.Scope, a string) (*bus.Bus, *bus.Rule, error) {
	if of, name, ok := bus.ParseBusARN(a); ok {
		b, ok := bus.FindBus(r, of, name)
		if !ok || of != s {
			return nil, nil, noBus(name)
		}
		return &b, nil, nil
	}
	if of, busName, name, ok := bus.ParseRuleARN(a); ok {
		rule, ok := bus.Rules.Get(r, of.Key(busName, name))
		if !ok || of != s {
			return nil, nil, noRule(name, busName)
		}
		return nil, &rule, nil
	}
	return nil, nil, invalid("Parameter ResourceARN is not valid. Reason: tags are for rules and event buses.")
}

// changeTags rewrites the tags of what an ARN names.
func (a *API) changeTags(ctx context.Context, arn string, f func(map[string]string) (map[string]string, error)) error {
	return a.update(ctx, func(tx *store.Tx) error {
		b, r, err := tagged(tx, scope(ctx), arn)
		switch {
		case err != nil:
			return err
		case b != nil:
			before := *b
			if b.Tags, err = f(b.Tags); err != nil {
				return err
			}
			if err := a.checkContract(ctx, &before, b); err != nil {
				return err
			}
			return bus.Buses.Put(tx, *b)
		case r.ManagedBy != "":
			return managed(*r)
		}
		before := r.Tags
		if r.Tags, err = f(r.Tags); err != nil {
			return err
		}
		if err := checkRuleTags(before, r.Tags); err != nil {
			return err
		}
		return bus.Rules.Put(tx, *r)
	})
}

// TagResource adds tags to a rule or bus.
func (a *API) TagResource(ctx context.Context, in *eventbridge.TagResourceInput) (*eventbridge.TagResourceOutput, error) {
	return &eventbridge.TagResourceOutput{}, a.changeTags(ctx, *in.ResourceARN, func(have map[string]string) (map[string]string, error) { return withTags(have, in.Tags) })
}

// UntagResource removes tags of a rule or bus.
func (a *API) UntagResource(ctx context.Context, in *eventbridge.UntagResourceInput) (*eventbridge.UntagResourceOutput, error) {
	return &eventbridge.UntagResourceOutput{}, a.changeTags(ctx, *in.ResourceARN, func(have map[string]string) (map[string]string, error) {
		rest := map[string]string{}
		for k, v := range have {
			if !slices.Contains(in.TagKeys, k) {
				rest[k] = v
			}
		}
		return rest, nil
	})
}

// ListTagsForResource lists the tags of a rule or bus.
func (a *API) ListTagsForResource(ctx context.Context, in *eventbridge.ListTagsForResourceInput) (*eventbridge.ListTagsForResourceOutput, error) {
	var tags map[string]string
	err := a.db.View(func(rd store.Reader) error {
		b, r, err := tagged(rd, scope(ctx), *in.ResourceARN)
		switch {
		case err != nil:
			return err
		case b != nil:
			tags = b.Tags
		default:
			tags = r.Tags
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &eventbridge.ListTagsForResourceOutput{Tags: wireTags(tags)}, nil
}
