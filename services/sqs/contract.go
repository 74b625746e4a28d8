package sqs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"unsafe"

	"github.com/dhowhq/dhow/contract/broker"
	"github.com/dhowhq/dhow/contract/wire"
	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/queue"
)

// Gate sends to queues what their schemas take, for callers and for what
// delivers to queues.
type Gate struct {
	Queues    *queue.Engine
	Contracts broker.Contracts // nil checks nothing
}

// Send is q.Send, but for messages that the queue's schema does not take: they
// go to its dead-letter queue, or the error of their outcome is a
// *broker.Refusal or a *broker.Denied.
func (g Gate) Send(ctx context.Context, q *queue.Queue, by broker.Sender, messages ...queue.Message) ([]queue.Sent, error) {
	if g.Contracts == nil || !broker.Tagged(q.Tags) {
		return q.Send(ctx, messages...)
	}
	t := target(&q.Definition)
	verdicts, bad := make([]broker.Verdict, len(messages)), 0
	for i := range messages {
		if verdicts[i] = g.Contracts.Check(ctx, t, content(&messages[i]), by); verdicts[i].Err != nil {
			bad++
		}
	}
	if bad == 0 {
		return q.Send(ctx, messages...)
	}
	out, good, of := make([]queue.Sent, len(messages)), make([]queue.Message, 0, len(messages)), make([]int, 0, len(messages))
	for i, v := range verdicts {
		switch {
		case v.Err == nil:
			good, of = append(good, messages[i]), append(of, i)
		case v.DeadLetter == "":
			out[i].Err = v.Err
		default:
			var err error
			if out[i], err = g.bury(ctx, t, v, messages[i]); err != nil {
				return nil, err
			}
		}
	}
	if len(good) == 0 {
		return out, nil
	}
	sent, err := q.Send(ctx, good...)
	for i := range sent {
		out[of[i]] = sent[i]
	}
	return out, err
}

// Readmit is a queue.Config.Admit: it holds what comes back to a queue to its
// schema. A message that is one of it at last ceases to say why it was not.
func (g Gate) Readmit(from string, to *queue.Definition, m *queue.Message) error {
	var err error
	if g.Contracts != nil && broker.Tagged(to.Tags) {
		err = g.Contracts.Check(context.Background(), target(to), content(m), broker.Sender{Name: from, Service: true}).Err
	}
	refused := m.Attributes["ERROR_CODE"].String == broker.Code
	if err == nil && !refused {
		return nil
	}
	attributes := maps.Clone(m.Attributes)
	if attributes == nil {
		attributes = map[string]queue.Attribute{}
	}
	d := broker.Dead{From: target(to).Resource, Why: err}
	if err == nil {
		d.Why = &broker.Refusal{} // whose names are taken away
	}
	for name, s := range d.Explain() {
		if attributes[name] = (queue.Attribute{Type: "String", String: s}); err == nil {
			delete(attributes, name)
		}
	}
	m.Attributes = attributes
	return err
}

// DeadLetter is a queue.Config.DeadLetter: the queue that the tags of another one
// name.
func DeadLetter(d *queue.Definition) string {
	if !broker.Tagged(d.Tags) {
		return ""
	}
	return d.Tags[broker.DeadLetterTag]
}

// bury sends a message to a dead-letter queue. What is wrong with the message is
// in its outcome.
func (g Gate) bury(ctx context.Context, t broker.Target, v broker.Verdict, m queue.Message) (sent queue.Sent, err error) {
	d := broker.Dead{From: t.Resource, Body: m.Body, Attributes: make(map[string]broker.Attribute, len(m.Attributes)), Group: m.Group, Dedup: m.Dedup}
	for name, a := range m.Attributes {
		d.Attributes[name] = broker.Attribute(a)
	}
	sent.ID, err = v.Bury(ctx, g.Bury, d)
	var refused *broker.Refusal
	if errors.As(err, &refused) {
		return queue.Sent{Err: refused}, nil
	}
	return sent, err
}

// Bury is a broker.Bury.
func (g Gate) Bury(ctx context.Context, d broker.Dead) (id string, err error) {
	q, err := g.Queues.QueueByARN(d.Queue)
	if err != nil {
		return "", fmt.Errorf("%w: the queue does not exist", broker.ErrNotTaken)
	}
	m := queue.Message{Body: d.Body, Attributes: map[string]queue.Attribute{}, Group: d.Group, Dedup: d.Dedup, Sender: d.From.Account}
	for name, s := range d.Explain() {
		m.Attributes[name] = queue.Attribute{Type: "String", String: s}
	}
	for name, a := range d.Attributes {
		m.Attributes[name] = queue.Attribute(a)
	}
	sent, err := q.Bury(ctx, d.From.ARN(), m)
	switch {
	case errors.Is(err, queue.ErrNoQueue):
		return "", fmt.Errorf("%w: the queue does not exist", broker.ErrNotTaken)
	case err != nil:
		return "", err
	case sent[0].Err != nil:
		return "", fmt.Errorf("%w: %w", broker.ErrNotTaken, sent[0].Err)
	}
	return sent[0].ID, nil
}

// target is a queue as the check sees it.
func target(d *queue.Definition) broker.Target {
	t := broker.Target{Resource: broker.Resource{Scope: d.Scope, Service: "sqs", Name: d.Name}, Tags: d.Tags}
	if d.Redrive != nil {
		t.DeadLetter = d.Redrive.Target
	}
	return t
}

// content is a message as the check sees it.
func content(m *queue.Message) wire.Message {
	w := wire.Message{Body: unsafe.Slice(unsafe.StringData(m.Body), len(m.Body)), Text: true} // which is read only
	if len(m.Attributes) > 0 {
		w.Attribute = func(name string) string {
			a := m.Attributes[name]
			if a.Binary != nil {
				return string(a.Binary)
			}
			return a.String
		}
	}
	return w
}

// caller is who makes the call.
func caller(ctx context.Context) broker.Sender {
	return broker.Sender{Name: awsapi.CallFrom(ctx).Principal}
}

// checkContract refuses the definition of a queue whose tags ask for a check that
// cannot be, if they or its dead-letter queue are others than before.
func (a *API) checkContract(ctx context.Context, before, d *queue.Definition) error {
	if a.gate.Contracts == nil {
		return nil
	}
	set, ask := broker.Changed(before.Tags, d.Tags)
	t := target(d)
	if !ask && (!broker.Tagged(d.Tags) || target(before).DeadLetter == t.DeadLetter) {
		return nil
	}
	return contractError(a.gate.Contracts.CheckTags(ctx, t, set, caller(ctx)))
}

func contractError(err error) error {
	var denied *broker.Denied
	switch {
	case err == nil:
		return nil
	case errors.As(err, &denied):
		return fault("AccessDeniedException", 403, "%v", denied)
	}
	return invalidValue(fmt.Sprintf("The queue cannot have these tags. Reason: %v.", err))
}

// wrapContract says that a message is not of its queue's schema, or that its
// sender may not send by it; nil for other errors.
func wrapContract(err error) error {
	var refused *broker.Refusal
	var denied *broker.Denied
	switch {
	case errors.As(err, &refused):
		return fault("InvalidMessageContents", 400, "The message is refused by its contract: %v.", refused)
	case errors.As(err, &denied):
		return fault("AccessDeniedException", 403, "%v", denied)
	}
	return nil
}
