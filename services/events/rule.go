package events

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/dhowhq/dhow/bus"
	"github.com/dhowhq/dhow/bus/schedule"
	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/store"
)

func sortBy[T any, K cmp.Ordered](list []T, key func(T) K) {
	slices.SortFunc(list, func(a, b T) int { return cmp.Compare(key(a), key(b)) })
}

func managed(r bus.Rule) error {
	return &types.ManagedRuleException{Message: ptr("Rule " + r.Name + " is managed by " + r.ManagedBy + " and cannot be modified by the caller.")}
}

// PutRule makes a rule, or replaces it but for its targets and tags.
func (a *API) PutRule(ctx context.Context, in *eventbridge.PutRuleInput) (*eventbridge.PutRuleOutput, error) {
	if deref(in.EventPattern) == "" && deref(in.ScheduleExpression) == "" {
		return nil, invalid("Parameter(s) EventPattern or ScheduleExpression must be specified.")
	}
	if deref(in.EventPattern) != "" {
		if err := checkPattern(*in.EventPattern); err != nil {
			return nil, err
		}
	}
	if deref(in.ScheduleExpression) != "" {
		name, err := busName(ctx, in.EventBusName)
		if err != nil {
			return nil, err
		}
		if name != bus.DefaultName {
			return nil, invalid("ScheduleExpression is supported only on the default event bus.")
		}
		if _, err := schedule.Parse(*in.ScheduleExpression); err != nil {
			return nil, invalid("%v", err)
		}
	}
	var rule bus.Rule
	err := a.update(ctx, func(tx *store.Tx) (err error) {
		rule, err = putRule(ctx, tx, in)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &eventbridge.PutRuleOutput{RuleArn: ptr(rule.ARN())}, nil
}

func putRule(ctx context.Context, tx *store.Tx, in *eventbridge.PutRuleInput) (bus.Rule, error) {
	b, err := findBus(ctx, tx, in.EventBusName)
	if err != nil {
		return bus.Rule{}, err
	}
	old, had := bus.Rules.Get(tx, b.Scope.Key(b.Name, *in.Name))
	if had && old.ManagedBy != "" {
		return old, managed(old)
	}
	rule := bus.Rule{Scope: b.Scope, Bus: b.Name, Name: *in.Name, Description: deref(in.Description), Pattern: deref(in.EventPattern),
		Schedule: deref(in.ScheduleExpression), State: in.State, RoleARN: deref(in.RoleArn), CreatedBy: b.Account,
		Since: old.Since, Tags: old.Tags, Targets: old.Targets}
	if rule.State == "" {
		rule.State = types.RuleStateEnabled
	}
	if !had { // of a rule that is there they are ignored, as on AWS
		if rule.Tags, err = withTags(nil, in.Tags); err != nil {
			return rule, err
		}
		if err := checkRuleTags(nil, rule.Tags); err != nil {
			return rule, err
		}
	}
	if rule.Schedule != old.Schedule || !old.Enabled() || !had {
		rule.Since = time.Now().UTC()
	}
	return rule, bus.Rules.Put(tx, rule)
}

// changeRule rewrites a rule that is not managed.
func (a *API) changeRule(ctx context.Context, name, busName *string, force bool, f func(*bus.Rule) error) error {
	return a.update(ctx, func(tx *store.Tx) error {
		r, err := findRule(ctx, tx, name, busName)
		if err != nil {
			return err
		}
		if r.ManagedBy != "" && !force {
			return managed(r)
		}
		if err := f(&r); err != nil {
			return err
		}
		return bus.Rules.Put(tx, r)
	})
}

// EnableRule lets a rule act.
func (a *API) EnableRule(ctx context.Context, in *eventbridge.EnableRuleInput) (*eventbridge.EnableRuleOutput, error) {
	return &eventbridge.EnableRuleOutput{}, a.changeRule(ctx, in.Name, in.EventBusName, false, func(r *bus.Rule) error {
		if !r.Enabled() {
			r.State, r.Since = types.RuleStateEnabled, time.Now().UTC()
		}
		return nil
	})
}

// DisableRule keeps a rule from acting.
func (a *API) DisableRule(ctx context.Context, in *eventbridge.DisableRuleInput) (*eventbridge.DisableRuleOutput, error) {
	return &eventbridge.DisableRuleOutput{}, a.changeRule(ctx, in.Name, in.EventBusName, false, func(r *bus.Rule) error {
		r.State = types.RuleStateDisabled
		return nil
	})
}

// DeleteRule removes a rule without targets; one that is not there is gone
// already.
func (a *API) DeleteRule(ctx context.Context, in *eventbridge.DeleteRuleInput) (*eventbridge.DeleteRuleOutput, error) {
	return &eventbridge.DeleteRuleOutput{}, a.update(ctx, func(tx *store.Tx) error {
		b, err := findBus(ctx, tx, in.EventBusName)
		if err != nil {
			return err
		}
		r, ok := bus.Rules.Get(tx, b.Scope.Key(b.Name, *in.Name))
		switch {
		case !ok:
			return nil
		case r.ManagedBy != "" && !in.Force:
			return managed(r)
		case len(r.Targets) > 0:
			return invalid("Rule can't be deleted since it has targets.")
		}
		bus.Rules.Delete(tx, r.Key())
		bus.Runs.Delete(tx, r.Scope.Key(r.Name))
		return nil
	})
}

// DescribeRule shows a rule.
func (a *API) DescribeRule(ctx context.Context, in *eventbridge.DescribeRuleInput) (out *eventbridge.DescribeRuleOutput, err error) {
	err = a.db.View(func(r store.Reader) error {
		rule, err := findRule(ctx, r, in.Name, in.EventBusName)
		if err != nil {
			return err
		}
		w := wireRule(rule)
		out = &eventbridge.DescribeRuleOutput{Arn: w.Arn, Name: w.Name, EventBusName: w.EventBusName, Description: w.Description, EventPattern: w.EventPattern,
			ScheduleExpression: w.ScheduleExpression, State: w.State, RoleArn: w.RoleArn, ManagedBy: w.ManagedBy, CreatedBy: &rule.CreatedBy}
		return nil
	})
	return out, err
}

func wireRule(r bus.Rule) types.Rule {
	return types.Rule{Arn: ptr(r.ARN()), Name: &r.Name, EventBusName: &r.Bus, Description: given(r.Description), EventPattern: given(r.Pattern),
		ScheduleExpression: given(r.Schedule), State: r.State, RoleArn: given(r.RoleARN), ManagedBy: given(r.ManagedBy)}
}

// ListRules lists the rules of a bus by name.
func (a *API) ListRules(ctx context.Context, in *eventbridge.ListRulesInput) (*eventbridge.ListRulesOutput, error) {
	var rows []bus.Rule
	err := a.db.View(func(r store.Reader) error {
		b, err := findBus(ctx, r, in.EventBusName)
		if err != nil {
			return err
		}
		for rule := range bus.Rules.List(r, b.Scope.Prefix(b.Name)+deref(in.NamePrefix)) {
			rows = append(rows, rule)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	list, next, err := awsapi.Page(ctx, rows, func(r bus.Rule) string { return r.Name }, in.NextToken, in.Limit, page)
	if err != nil {
		return nil, err
	}
	out := &eventbridge.ListRulesOutput{NextToken: next, Rules: []types.Rule{}}
	for _, r := range list {
		out.Rules = append(out.Rules, wireRule(r))
	}
	return out, nil
}

// ListRuleNamesByTarget lists the rules of a bus that have a target.
func (a *API) ListRuleNamesByTarget(ctx context.Context, in *eventbridge.ListRuleNamesByTargetInput) (*eventbridge.ListRuleNamesByTargetOutput, error) {
	var names []string
	err := a.db.View(func(r store.Reader) error {
		b, err := findBus(ctx, r, in.EventBusName)
		if err != nil {
			return err
		}
		for rule := range bus.Rules.By(r, "target", b.Scope.Key(b.Name, *in.TargetArn)) {
			names = append(names, rule.Name)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	names = slices.Compact(names) // a rule may have the target under two ids
	list, next, err := awsapi.Page(ctx, names, func(s string) string { return s }, in.NextToken, in.Limit, page)
	if err != nil {
		return nil, err
	}
	return &eventbridge.ListRuleNamesByTargetOutput{NextToken: next, RuleNames: append([]string{}, list...)}, nil
}
