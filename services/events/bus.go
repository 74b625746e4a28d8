package events

import (
	"context"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/dhowhq/dhow/bus"
	"github.com/dhowhq/dhow/identity/policy"
	"github.com/dhowhq/dhow/internal/arn"
	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/store"
)

// refuseBusFields refuses what does not act.
func refuseBusFields(key *string, log *types.LogConfig) error {
	if deref(key) != "" {
		return invalid("Parameter KmsKeyIdentifier is not valid. Reason: events are not encrypted with keys of callers here. Leave it out.")
	}
	if log != nil && log.Level != "" && log.Level != types.LevelOff {
		return invalid("Parameter LogConfig is not valid. Reason: buses write no logs here, use the level OFF. dhow's own log tells of events that are given up.")
	}
	return nil
}

func deadLetterARN(c *types.DeadLetterConfig) (string, error) {
	if c == nil || c.Arn == nil {
		return "", nil
	}
	a, err := arn.Parse(*c.Arn)
	if err != nil || a.Service != "sqs" {
		return "", invalid("Parameter DeadLetterConfig.Arn is not valid. Reason: it must be the ARN of an SQS queue.")
	}
	if strings.HasSuffix(*c.Arn, ".fifo") { // user guide, "Considerations for using a dead-letter queue"
		return "", invalid("Parameter DeadLetterConfig.Arn is not valid. Reason: it must be a standard queue; FIFO queues are not supported.")
	}
	return *c.Arn, nil
}

func wireDeadLetter(arn string) *types.DeadLetterConfig {
	if arn == "" {
		return nil
	}
	return &types.DeadLetterConfig{Arn: &arn}
}

// CreateEventBus makes a bus.
func (a *API) CreateEventBus(ctx context.Context, in *eventbridge.CreateEventBusInput) (*eventbridge.CreateEventBusOutput, error) {
	if in.EventSourceName != nil {
		return nil, partners("Buses of partner event sources")
	}
	if strings.Contains(*in.Name, "/") {
		return nil, invalid("Event bus name must not contain '/'.")
	}
	if err := refuseBusFields(in.KmsKeyIdentifier, in.LogConfig); err != nil {
		return nil, err
	}
	dead, err := deadLetterARN(in.DeadLetterConfig)
	if err != nil {
		return nil, err
	}
	now := time.Now().UTC()
	b := bus.Bus{Scope: scope(ctx), Name: *in.Name, Description: deref(in.Description), DeadLetter: dead, Log: in.LogConfig, CreatedAt: now, ModifiedAt: now}
	if b.Tags, err = withTags(nil, in.Tags); err != nil {
		return nil, err
	}
	if err := a.checkContract(ctx, &bus.Bus{}, &b); err != nil {
		return nil, err
	}
	err = a.update(ctx, func(tx *store.Tx) error {
		if _, ok := bus.FindBus(tx, b.Scope, b.Name); ok {
			return exists("Event bus %s already exists.", b.Name)
		}
		return bus.Buses.Put(tx, b)
	})
	if err != nil {
		return nil, err
	}
	return &eventbridge.CreateEventBusOutput{EventBusArn: ptr(b.ARN()), Description: in.Description, DeadLetterConfig: wireDeadLetter(b.DeadLetter), LogConfig: b.Log}, nil
}

// changeBus rewrites a bus's row, and makes the default bus's.
func (a *API) changeBus(ctx context.Context, nameOrARN *string, f func(*bus.Bus) error) (b bus.Bus, err error) {
	err = a.update(ctx, func(tx *store.Tx) error {
		if b, err = findBus(ctx, tx, nameOrARN); err != nil {
			return err
		}
		b.ModifiedAt = time.Now().UTC()
		if b.CreatedAt.IsZero() {
			b.CreatedAt = b.ModifiedAt
		}
		before := b
		if err := f(&b); err != nil {
			return err
		}
		if err := a.checkContract(ctx, &before, &b); err != nil {
			return err
		}
		return bus.Buses.Put(tx, b)
	})
	return b, err
}

// UpdateEventBus changes what is given.
func (a *API) UpdateEventBus(ctx context.Context, in *eventbridge.UpdateEventBusInput) (*eventbridge.UpdateEventBusOutput, error) {
	if err := refuseBusFields(in.KmsKeyIdentifier, in.LogConfig); err != nil {
		return nil, err
	}
	dead, err := deadLetterARN(in.DeadLetterConfig)
	if err != nil {
		return nil, err
	}
	b, err := a.changeBus(ctx, in.Name, func(b *bus.Bus) error {
		if in.Description != nil {
			b.Description = *in.Description
		}
		if in.DeadLetterConfig != nil {
			b.DeadLetter = dead
		}
		if in.LogConfig != nil {
			b.Log = in.LogConfig
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &eventbridge.UpdateEventBusOutput{Arn: ptr(b.ARN()), Name: &b.Name, Description: given(b.Description), DeadLetterConfig: wireDeadLetter(b.DeadLetter), LogConfig: b.Log}, nil
}

// DeleteEventBus removes a bus that has no rules; one that is not there is gone
// already.
func (a *API) DeleteEventBus(ctx context.Context, in *eventbridge.DeleteEventBusInput) (*eventbridge.DeleteEventBusOutput, error) {
	if *in.Name == bus.DefaultName {
		return nil, invalid("Cannot delete event bus default.")
	}
	s := scope(ctx)
	return &eventbridge.DeleteEventBusOutput{}, a.update(ctx, func(tx *store.Tx) error {
		for range bus.Rules.List(tx, s.Prefix(*in.Name)) {
			return invalid("EventBus can't be deleted since it has rules.")
		}
		bus.Buses.Delete(tx, s.Key(*in.Name))
		return nil
	})
}

func wireTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// DescribeEventBus shows a bus.
func (a *API) DescribeEventBus(ctx context.Context, in *eventbridge.DescribeEventBusInput) (out *eventbridge.DescribeEventBusOutput, err error) {
	err = a.db.View(func(r store.Reader) error {
		b, err := findBus(ctx, r, in.Name)
		if err != nil {
			return err
		}
		out = &eventbridge.DescribeEventBusOutput{Arn: ptr(b.ARN()), Name: &b.Name, Description: given(b.Description), Policy: given(b.PolicyText()),
			DeadLetterConfig: wireDeadLetter(b.DeadLetter), LogConfig: b.Log, CreationTime: wireTime(b.CreatedAt), LastModifiedTime: wireTime(b.ModifiedAt)}
		return nil
	})
	return out, err
}

// ListEventBuses lists buses by name, the default one among them.
func (a *API) ListEventBuses(ctx context.Context, in *eventbridge.ListEventBusesInput) (*eventbridge.ListEventBusesOutput, error) {
	s := scope(ctx)
	var rows []bus.Bus
	a.db.View(func(r store.Reader) error {
		prefix := deref(in.NamePrefix)
		if _, ok := bus.Buses.Get(r, s.Key(bus.DefaultName)); !ok && strings.HasPrefix(bus.DefaultName, prefix) {
			rows = append(rows, bus.Bus{Scope: s, Name: bus.DefaultName})
		}
		for b := range bus.Buses.List(r, s.Prefix()+prefix) {
			rows = append(rows, b)
		}
		return nil
	})
	sortBy(rows, func(b bus.Bus) string { return b.Name })
	list, next, err := awsapi.Page(ctx, rows, func(b bus.Bus) string { return b.Name }, in.NextToken, in.Limit, page)
	if err != nil {
		return nil, err
	}
	out := &eventbridge.ListEventBusesOutput{NextToken: next, EventBuses: []types.EventBus{}}
	for _, b := range list {
		out.EventBuses = append(out.EventBuses, types.EventBus{Arn: ptr(b.ARN()), Name: ptr(b.Name), Description: given(b.Description), Policy: given(b.PolicyText()),
			CreationTime: wireTime(b.CreatedAt), LastModifiedTime: wireTime(b.ModifiedAt)})
	}
	return out, nil
}

// PutPermission lets other accounts put events on a bus: by a whole policy, or
// by a statement.
func (a *API) PutPermission(ctx context.Context, in *eventbridge.PutPermissionInput) (*eventbridge.PutPermissionOutput, error) {
	if in.Policy != nil && (in.StatementId != nil || in.Principal != nil || in.Action != nil || in.Condition != nil) {
		return nil, invalid("Parameter Policy is not valid. Reason: it must not come with Action, Principal, StatementId or Condition.")
	}
	_, err := a.changeBus(ctx, in.EventBusName, func(b *bus.Bus) error {
		if in.Policy != nil {
			d, err := policy.Parse(*in.Policy)
			if err != nil {
				return invalid("Parameter Policy is not valid. Reason: %v.", err)
			}
			b.Policy = d.Statement
		} else if err := addStatement(b, in); err != nil {
			return err
		}
		if len(b.PolicyText()) > bus.MaxPolicy {
			return &types.PolicyLengthExceededException{Message: ptr("The policy is longer than 10240 bytes.")}
		}
		return nil
	})
	return &eventbridge.PutPermissionOutput{}, err
}

func addStatement(b *bus.Bus, in *eventbridge.PutPermissionInput) error {
	switch {
	case deref(in.StatementId) == "":
		return invalid("Parameter StatementId must be provided.")
	case deref(in.Principal) == "":
		return invalid("Parameter Principal must be provided.")
	case deref(in.Action) == "":
		return invalid("Parameter Action must be provided.")
	case *in.Action != bus.PutEventsAction:
		return invalid("Provided value in parameter 'action' is not supported.")
	}
	s := policy.Statement{Sid: *in.StatementId, Effect: "Allow", Principal: policy.Account(*in.Principal), Action: []string{*in.Action}, Resource: []string{b.ARN()}}
	if c := in.Condition; c != nil {
		s.Condition = map[string]map[string]policy.Texts{*c.Type: {*c.Key: {*c.Value}}}
	}
	var rest []policy.Statement
	for _, old := range b.Policy {
		if old.Sid != s.Sid {
			rest = append(rest, old)
		}
	}
	b.Policy = append(rest, s)
	return nil
}

// RemovePermission removes a statement of a bus's policy, or all.
func (a *API) RemovePermission(ctx context.Context, in *eventbridge.RemovePermissionInput) (*eventbridge.RemovePermissionOutput, error) {
	_, err := a.changeBus(ctx, in.EventBusName, func(b *bus.Bus) error {
		if in.RemoveAllPermissions {
			b.Policy = nil
			return nil
		}
		var rest []policy.Statement
		for _, s := range b.Policy {
			if in.StatementId == nil || s.Sid != *in.StatementId {
				rest = append(rest, s)
			}
		}
		if len(rest) == len(b.Policy) {
			return notFound("Statement with the provided id does not exist.")
		}
		b.Policy = rest
		return nil
	})
	return &eventbridge.RemovePermissionOutput{}, err
}
