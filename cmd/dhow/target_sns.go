package main

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/dhowhq/dhow/bus"
	"github.com/dhowhq/dhow/bus/delivery"
	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
	"github.com/dhowhq/dhow/topic"
)

// topicTarget is a topic.
type topicTarget struct {
	topics *topic.Engine
	db     *store.DB
}

// Check implements bus.Target.
func (topicTarget) Check(cluster.Scope, types.Target) error { return nil }

// Send implements bus.Target. Rules cannot name a message group: FIFO topics
// refuse their events.
func (t topicTarget) Send(ctx context.Context, d bus.Delivery) error {
	arn := *d.Target.Arn
	if err := t.refused(d); err != nil {
		return &delivery.Error{Code: bus.CodeNoPermissions, Permanent: true, Err: err}
	}
	_, err := t.topics.Publish(ctx, arn, topic.Message{Body: string(d.Input), Trace: d.Trace})
	switch {
	case errors.Is(err, topic.ErrNoTopic):
		return delivery.Permanent(bus.CodeNoResource, "the topic %s does not exist", arn)
	case errors.Is(err, topic.ErrTooLong), errors.Is(err, topic.ErrNoGroup), errors.Is(err, topic.ErrNoDedup):
		return &delivery.Error{Code: bus.CodeClientError, Permanent: true, Err: err}
	}
	return err
}

// refused says why a topic does not take what a rule publishes. Of one that is
// not there Publish says more.
func (t topicTarget) refused(d bus.Delivery) error {
	s, name, _, ok := topic.ParseARN(*d.Target.Arn)
	if !ok {
		return nil
	}
	var row topic.Topic
	t.db.View(func(r store.Reader) error { row, ok = topic.Find(r, s, name); return nil })
	if !ok {
		return nil
	}
	return ruleMessenger(d).refused(receiver{row.Account, row.ARN(), row.Policy, "sns:Publish"})
}
