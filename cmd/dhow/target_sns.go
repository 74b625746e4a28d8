package main

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/dhowhq/dhow/bus"
	"github.com/dhowhq/dhow/bus/delivery"
	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/services/sns"
	"github.com/dhowhq/dhow/store"
	"github.com/dhowhq/dhow/topic"
)

// topicTarget is a topic.
type topicTarget struct {
	gate sns.Gate
	db   *store.DB
}

// Check implements bus.Target.
func (topicTarget) Check(cluster.Scope, types.Target) error { return nil }

// Send implements bus.Target. Rules cannot name a message group: FIFO topics
// refuse their events.
func (t topicTarget) Send(ctx context.Context, d bus.Delivery) error {
	arn := *d.Target.Arn
	row, ok := t.find(arn)
	if !ok {
		return delivery.Permanent(bus.CodeNoResource, "the topic %s does not exist", arn)
	}
	by := ruleMessenger(d)
	if err := by.refused(receiver{row.Account, row.ARN(), row.Policy, "sns:Publish"}); err != nil {
		return &delivery.Error{Code: bus.CodeNoPermissions, Permanent: true, Err: err}
	}
	out, err := t.gate.Publish(ctx, &row, by.sender(), topic.Message{Body: string(d.Input), Trace: d.Trace})
	if err == nil {
		err = out[0].Err
	}
	if refused := notOfSchema(err); refused != nil {
		return refused
	}
	switch {
	case errors.Is(err, topic.ErrNoTopic):
		return delivery.Permanent(bus.CodeNoResource, "the topic %s does not exist", arn)
	case errors.Is(err, topic.ErrTooLong), errors.Is(err, topic.ErrNoGroup), errors.Is(err, topic.ErrNoDedup):
		return &delivery.Error{Code: bus.CodeClientError, Permanent: true, Err: err}
	}
	return err
}

// find returns the topic of an ARN.
func (t topicTarget) find(arn string) (row topic.Topic, ok bool) {
	s, name, id, ok := topic.ParseARN(arn)
	if !ok || id != "" {
		return row, false
	}
	t.db.View(func(r store.Reader) error { row, ok = topic.Find(r, s, name); return nil })
	return row, ok
}
