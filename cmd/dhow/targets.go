package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/dhowhq/dhow/bus"
	"github.com/dhowhq/dhow/bus/delivery"
	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/internal/arn"
	"github.com/dhowhq/dhow/logstore"
	"github.com/dhowhq/dhow/queue"
	"github.com/dhowhq/dhow/services/sqs"
)

// targets are the kinds of targets that rules may have, besides the bus's own.
func (p *platform) targets() map[string]bus.Target {
	return map[string]bus.Target{
		"sqs":     queueTarget{p.queueGate()},
		"ecs":     taskTarget{p.ecs},
		"kinesis": streamTarget{p.streamGate()},
		"logs":    groupTarget{p.logstore},
		"sns":     topicTarget{p.topicGate(), p.db},
	}
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// queueTarget is a queue.
type queueTarget struct{ gate sqs.Gate }

// Check implements bus.Target.
func (queueTarget) Check(cluster.Scope, types.Target) error { return nil }

// Send implements bus.Target.
func (q queueTarget) Send(ctx context.Context, d bus.Delivery) error {
	m := queue.Message{Body: string(d.Input), Sender: d.Account, Trace: d.Trace}
	if d.Target.SqsParameters != nil {
		m.Group = text(d.Target.SqsParameters.MessageGroupId)
	}
	return q.post(ctx, *d.Target.Arn, ruleMessenger(d), m, true)
}

// deadLetter is bus.Config.DeadLetter.
func (q queueTarget) deadLetter(ctx context.Context, to string, body []byte, attributes map[string]string) error {
	m := queue.Message{Body: string(body), Attributes: map[string]queue.Attribute{}}
	if rule, err := arn.Parse(attributes["RULE_ARN"]); err == nil {
		m.Sender = rule.Account
	}
	for k, v := range attributes {
		if v != "" { // queues take no empty values
			m.Attributes[k] = queue.Attribute{Type: "String", String: v}
		}
	}
	if strings.HasSuffix(to, ".fifo") {
		m.Group = "dead-letters"
	}
	return q.post(ctx, to, messenger{service: eventsService, source: attributes["RULE_ARN"]}, m, false)
}

// eventsService is how policies name EventBridge.
const eventsService = "events.amazonaws.com"

// ruleMessenger brings what a rule has for its target.
func ruleMessenger(d bus.Delivery) messenger {
	return messenger{eventsService, d.RuleARN, text(d.Target.RoleArn)}
}

// post sends to a queue, whatever its schema says if it is not to be checked: a
// dead letter is not.
func (q queueTarget) post(ctx context.Context, arn string, by messenger, m queue.Message, check bool) error {
	to, err := q.gate.Queues.QueueByARN(arn)
	if err != nil {
		return delivery.Permanent(bus.CodeNoResource, "the queue %s does not exist", arn)
	}
	if err := by.refused(queueReceiver(&to.Definition)); err != nil {
		return &delivery.Error{Code: bus.CodeNoPermissions, Permanent: true, Err: err}
	}
	gate := q.gate
	if !check {
		gate.Contracts = nil
	}
	sent, err := gate.Send(ctx, to, by.sender(), m)
	if err == nil {
		err = sent[0].Err
	}
	if refused := notOfSchema(err); refused != nil {
		return refused
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, queue.ErrNoQueue):
		return delivery.Permanent(bus.CodeNoResource, "the queue %s does not exist", arn)
	case errors.Is(err, queue.ErrTooLarge), errors.Is(err, queue.ErrEmpty), errors.Is(err, queue.ErrCharacters), errors.Is(err, queue.ErrNoGroup), errors.Is(err, queue.ErrNoDedup):
		return &delivery.Error{Code: bus.CodeClientError, Permanent: true, Err: err}
	}
	return err
}

// groupTarget is a log group.
type groupTarget struct{ logs *logstore.Store }

// groupOf is the log group that an ARN names.
func groupOf(s string) (cluster.Scope, string, error) {
	a, err := arn.Parse(s)
	if err != nil {
		return cluster.Scope{}, "", err
	}
	name, ok := strings.CutPrefix(strings.TrimSuffix(a.Resource, ":*"), "log-group:")
	if !ok || name == "" {
		return cluster.Scope{}, "", fmt.Errorf("%s is not the ARN of a log group", s)
	}
	return cluster.Scope{Account: a.Account, Region: a.Region}, name, nil
}

// Check implements bus.Target. A group is of the rule's account and region, as on
// AWS.
func (groupTarget) Check(s cluster.Scope, t types.Target) error {
	of, _, err := groupOf(*t.Arn)
	if err == nil && of != s {
		err = fmt.Errorf("the log group %s is not of the rule's account and region", *t.Arn)
	}
	return err
}

// Send implements bus.Target: an event is a line of the stream that is named
// after its rule. A template may give the line's time and text, as on AWS.
func (g groupTarget) Send(ctx context.Context, d bus.Delivery) error {
	s, group, err := groupOf(*d.Target.Arn)
	if err != nil {
		return &delivery.Error{Code: bus.CodeNoResource, Permanent: true, Err: err}
	}
	stream := d.RuleARN[strings.LastIndexByte(d.RuleARN, '/')+1:]
	line := logstore.Event{Timestamp: d.Time.UnixMilli(), Message: string(d.Input)}
	if d.Time.IsZero() {
		line.Timestamp = time.Now().UnixMilli()
	}
	if t := d.Target.InputTransformer; t != nil {
		var given struct {
			Timestamp json.RawMessage
			Message   *string
		}
		if json.Unmarshal(d.Input, &given) == nil && given.Message != nil {
			line.Message = *given.Message
			if at, ok := moment(given.Timestamp); ok {
				line.Timestamp = at.UnixMilli()
			}
		}
	}
	err = g.logs.Write(ctx, s, group, stream, []logstore.Event{line})
	if errors.Is(err, logstore.ErrNoStream) {
		if err = g.logs.Ensure(ctx, s, group, stream, false); err == nil {
			err = g.logs.Write(ctx, s, group, stream, []logstore.Event{line})
		}
	}
	if errors.Is(err, logstore.ErrNoGroup) {
		return delivery.Permanent(bus.CodeNoResource, "the log group %s does not exist", group)
	}
	return err
}

// moment reads a time: milliseconds, or RFC 3339.
func moment(v json.RawMessage) (time.Time, bool) {
	var ms int64
	var t time.Time
	if json.Unmarshal(v, &ms) == nil {
		return time.UnixMilli(ms), true
	}
	return t, json.Unmarshal(v, &t) == nil
}
