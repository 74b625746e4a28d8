package main

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/dhowhq/dhow/bus"
	"github.com/dhowhq/dhow/bus/delivery"
	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/topic"
)

// topicTarget is a topic.
type topicTarget struct{ topics *topic.Engine }

// Check implements bus.Target.
func (topicTarget) Check(cluster.Scope, types.Target) error { return nil }

// Send implements bus.Target. Rules cannot name a message group: FIFO topics
// refuse their events.
func (t topicTarget) Send(ctx context.Context, d bus.Delivery) error {
	arn := *d.Target.Arn
	_, err := t.topics.Publish(ctx, arn, topic.Message{Body: string(d.Input)})
	switch {
	case errors.Is(err, topic.ErrNoTopic):
		return delivery.Permanent(bus.CodeNoResource, "the topic %s does not exist", arn)
	case errors.Is(err, topic.ErrNoGroup), errors.Is(err, topic.ErrNoDedup):
		return &delivery.Error{Code: bus.CodeClientError, Permanent: true, Err: err}
	}
	return err
}
