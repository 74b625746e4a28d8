package sns

import (
	"context"
	"errors"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/sns/types"

	"github.com/dhowhq/dhow/contract/broker"
	"github.com/dhowhq/dhow/contract/wire"
	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/topic"
)

// Gate publishes to topics what their schemas take, for callers and for what
// delivers to topics.
type Gate struct {
	Topics    *topic.Engine
	Contracts broker.Contracts // nil checks nothing
	Bury      broker.Bury      // nil: there are no queues
}

// Outcome is what became of a message: Err is a *broker.Refusal or a
// *broker.Denied.
type Outcome struct {
	topic.Published
	Err error
}

// Publish is the engine's, but for messages that the topic's schema does not
// take: they go to its dead-letter queue, or their outcome says why not.
func (g Gate) Publish(ctx context.Context, t *topic.Topic, by broker.Sender, messages ...topic.Message) ([]Outcome, error) {
	out, good, of := make([]Outcome, len(messages)), messages, []int(nil)
	if g.Contracts != nil && broker.Tagged(t.Tags) {
		good = make([]topic.Message, 0, len(messages))
		for i, m := range messages {
			var err error
			if out[i], err = g.screen(ctx, t, by, &m); err != nil {
				return nil, err
			}
			if out[i].Err == nil && out[i].ID == "" {
				good, of = append(good, m), append(of, i)
			}
		}
		if len(good) == 0 {
			return out, nil
		}
	}
	published, err := g.Topics.Publish(ctx, t.ARN(), good...)
	for i, p := range published {
		if of != nil {
			i = of[i]
		}
		out[i].Published = p
	}
	return out, err
}

// screen decides on a message: the outcome is zero if it is to be published.
func (g Gate) screen(ctx context.Context, t *topic.Topic, by broker.Sender, m *topic.Message) (o Outcome, err error) {
	at := target(t)
	var v broker.Verdict
	for _, body := range checked(m) {
		if v = g.Contracts.Check(ctx, at, content(m, body), by); v.Err != nil {
			break
		}
	}
	switch {
	case v.Err == nil:
		return o, nil
	case v.DeadLetter == "":
		return Outcome{Err: v.Err}, nil
	}
	d := broker.Dead{From: at.Resource, Body: m.Body, Attributes: map[string]broker.Attribute{}, Group: m.Group, Dedup: m.Dedup}
	for _, a := range m.Attributes {
		d.Attributes[a.Name] = broker.Attribute{Type: a.Type, String: a.Value, Binary: a.Binary}
	}
	o.ID, err = v.Bury(ctx, g.Bury, d)
	var refused *broker.Refusal
	if errors.As(err, &refused) {
		return Outcome{Err: refused}, nil
	}
	return o, err
}

// checked are the bodies of a message that programs read: the default one, and
// those of MessageStructure json that are for protocols which are no people's.
func checked(m *topic.Message) []string {
	bodies := []string{m.Body}
	for _, protocol := range []string{topic.SQS, topic.HTTP, topic.HTTPS, topic.Lambda} {
		if b, ok := m.Bodies[protocol]; ok {
			bodies = append(bodies, b)
		}
	}
	return bodies
}

func target(t *topic.Topic) broker.Target {
	return broker.Target{Resource: broker.Resource{Scope: t.Scope, Service: "sns", Name: t.Name}, Tags: t.Tags}
}

func content(m *topic.Message, body string) wire.Message {
	w := wire.Message{Body: []byte(body), Text: true}
	if len(m.Attributes) > 0 {
		w.Attribute = func(name string) string {
			i := slices.IndexFunc(m.Attributes, func(a topic.Attribute) bool { return a.Name == name })
			switch {
			case i < 0:
				return ""
			case m.Attributes[i].Binary != nil:
				return string(m.Attributes[i].Binary)
			}
			return m.Attributes[i].Value
		}
	}
	return w
}

// caller is who makes the call.
func caller(ctx context.Context) broker.Sender {
	return broker.Sender{Name: awsapi.CallFrom(ctx).Principal}
}

// checkContract refuses tags of a topic that ask for a check which cannot be, if
// they are others than before.
func (a *API) checkContract(ctx context.Context, t *topic.Topic, before map[string]string) error {
	set, ask := broker.Changed(before, t.Tags)
	if a.gate.Contracts == nil || !ask {
		return nil
	}
	err := a.gate.Contracts.CheckTags(ctx, target(t), set, caller(ctx))
	if refused := wrapContract(err); refused != nil || err == nil {
		return refused
	}
	return invalid("Tags Reason: %v", err)
}

// wrapContract says that a message is not of its topic's schema, or that its
// sender may not send by it; nil for other errors.
func wrapContract(err error) error {
	var refused *broker.Refusal
	var denied *broker.Denied
	switch {
	case errors.As(err, &refused):
		return invalid("Message Reason: it is refused by its contract: %v", refused)
	case errors.As(err, &denied):
		return &types.AuthorizationErrorException{Message: ptr(denied.Error())}
	}
	return nil
}

// entryError is why an entry of a batch is not published.
func entryError(id *string, err error) types.BatchResultErrorEntry {
	e := types.BatchResultErrorEntry{Id: id, Code: ptr("InvalidParameter"), SenderFault: true}
	var bad *types.InvalidParameterException
	var denied *types.AuthorizationErrorException
	switch err := wrapContract(err); {
	case errors.As(err, &bad):
		e.Message = bad.Message
	case errors.As(err, &denied):
		e.Code, e.Message = ptr("AuthorizationError"), denied.Message
	}
	return e
}
