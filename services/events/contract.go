package events

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/dhowhq/dhow/bus"
	"github.com/dhowhq/dhow/contract/broker"
	"github.com/dhowhq/dhow/contract/wire"
	"github.com/dhowhq/dhow/internal/awsapi"
)

// Gate decides which events go on buses, for callers and for rules whose target
// is another bus.
type Gate struct {
	Contracts broker.Contracts // nil checks nothing
	Bury      broker.Bury      // nil: there are no queues
}

// Admit decides on an event for a bus by its detail. Where taken is false it is
// not to be put: without an error it went to the bus's dead-letter queue, else
// the error is a *broker.Refusal, a *broker.Denied, or one that may pass.
func (g Gate) Admit(ctx context.Context, b *bus.Bus, event, detail []byte, by broker.Sender) (taken bool, err error) {
	if g.Contracts == nil || !broker.Tagged(b.Tags) {
		return true, nil
	}
	t := target(b)
	v := g.Contracts.Check(ctx, t, wire.Message{Body: detail, Text: true}, by)
	switch {
	case v.Err == nil:
		return true, nil
	case v.DeadLetter == "":
		return false, v.Err
	}
	_, err = v.Bury(ctx, g.Bury, broker.Dead{From: t.Resource, Body: string(event)})
	return false, err
}

// AdmitFrom is Admit for an event that a rule of that ARN sends to a bus.
func (g Gate) AdmitFrom(ctx context.Context, b *bus.Bus, event []byte, ruleARN string) (taken bool, err error) {
	if g.Contracts == nil || !broker.Tagged(b.Tags) {
		return true, nil
	}
	var e struct{ Detail json.RawMessage }
	if err := json.Unmarshal(event, &e); err != nil {
		return false, err
	}
	return g.Admit(ctx, b, event, e.Detail, broker.Sender{Name: ruleARN, Service: true})
}

func target(b *bus.Bus) broker.Target {
	return broker.Target{Resource: broker.Resource{Scope: b.Scope, Service: "events", Name: b.Name}, Tags: b.Tags, DeadLetter: b.DeadLetter}
}

// caller is who makes the call.
func caller(ctx context.Context) broker.Sender {
	return broker.Sender{Name: awsapi.CallFrom(ctx).Principal}
}

// checkContract refuses the tags of a bus that ask for a check which cannot be,
// if they or its dead-letter queue are others than before.
func (a *API) checkContract(ctx context.Context, before, b *bus.Bus) error {
	if a.gate.Contracts == nil {
		return nil
	}
	set, ask := broker.Changed(before.Tags, b.Tags)
	if !ask && (!broker.Tagged(b.Tags) || before.DeadLetter == b.DeadLetter) {
		return nil
	}
	err := a.gate.Contracts.CheckTags(ctx, target(b), set, caller(ctx))
	var denied *broker.Denied
	switch {
	case err == nil:
		return nil
	case errors.As(err, &denied):
		return &awsapi.Error{Code: "AccessDeniedException", Message: denied.Error()}
	}
	return invalid("Parameter Tags is not valid. Reason: %v.", err)
}

// checkRuleTags refuses the tags of a check on a rule: it takes no events of its
// own.
func checkRuleTags(before, after map[string]string) error {
	if _, ask := broker.Changed(before, after); ask && after[broker.SchemaTag] != "" {
		return invalid("Parameter Tags is not valid. Reason: the tag %s is for the event bus: events are checked where they are put.", broker.SchemaTag)
	}
	return nil
}

// wrapContract is why an entry is not taken; other errors come back as they are.
func wrapContract(err error) error {
	var refused *broker.Refusal
	var denied *broker.Denied
	switch {
	case errors.As(err, &refused):
		return argument("Detail", "it is refused by its contract: "+refused.Error()+".")
	case errors.As(err, &denied):
		return &refusal{"AccessDeniedException", denied.Error()}
	}
	return err
}
