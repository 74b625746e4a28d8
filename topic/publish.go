package topic

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dhowhq/dhow/bus/delivery"
	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
)

// lanesAtOnce is how many lanes a record of the journal names: more of them are
// spread over records, whose size is bounded.
const lanesAtOnce = 1000

// Publish publishes messages to a topic, in their order. When it returns,
// everything that will be delivered of them is durable. A duplicate within five
// minutes, of a FIFO topic, gets what the first one got. Errors: ErrNoTopic,
// ErrTooLong, ErrNoGroup, ErrNoDedup, ErrUnavailable, those of the journal.
//
// This is what events' rules that target a topic, and everything else within the
// platform that publishes, call.
func (e *Engine) Publish(ctx context.Context, topicARN string, messages ...Message) ([]Published, error) {
	scope, name, id, ok := ParseARN(topicARN)
	if !ok || id != "" {
		return nil, ErrNoTopic
	}
	t, ok := e.routes.topic(scope.Key(name))
	if !ok {
		return nil, ErrNoTopic
	}
	r, err := e.current(ctx)
	if err != nil {
		return nil, err
	}
	now := time.Now().UTC().Truncate(time.Millisecond)
	for i := range messages {
		if messages[i].Size() > MaxMessage {
			return nil, ErrTooLong
		}
		messages[i].ID, messages[i].Time = cluster.NewUUID(), now
	}
	if t.FIFO {
		return e.publishFIFO(ctx, r, t, messages)
	}
	out := make([]Published, len(messages))
	var items []delivery.Item
	for i := range messages {
		out[i].ID = messages[i].ID
		if items, err = e.items(items, t, &messages[i]); err != nil {
			return nil, err
		}
	}
	if len(items) == 0 {
		return out, nil
	}
	return out, r.deliver.Enqueue(ctx, items...)
}

// items appends what is to be delivered of a message.
func (e *Engine) items(items []delivery.Item, t *Topic, m *Message) ([]delivery.Item, error) {
	lanes := e.routes.lanes(t.RowKey(), m)
	if len(lanes) == 0 {
		return items, nil
	}
	body, err := encode(m, t.seal())
	if err != nil {
		return items, err
	}
	for some := range slices.Chunk(lanes, lanesAtOnce) {
		items = append(items, delivery.Item{Lanes: some, Body: body})
	}
	return items, nil
}

// The lanes that are no subscription's ARN.
const (
	confirmLane = "confirm:" // and a subscription's ARN
	replayLane  = "replay:"  // and the ARN of a subscription that replays
	phoneLane   = "phone:"   // and ACCOUNT/REGION/NUMBER
)

// PublishPhone sends a message to a phone: it lands in the outbox.
func (e *Engine) PublishPhone(ctx context.Context, s cluster.Scope, number string, m Message) (Published, error) {
	return e.direct(ctx, phoneLane+s.Key(number), m)
}

// PublishEndpoint sends a message to a platform endpoint: it lands in the
// outbox. Errors: ErrNoEndpoint, ErrDisabled.
func (e *Engine) PublishEndpoint(ctx context.Context, endpointARN string, m Message) (Published, error) {
	var end PlatformEndpoint
	var ok bool
	e.cfg.DB.View(func(r store.Reader) error { end, ok = FindEndpoint(r, endpointARN); return nil })
	switch {
	case !ok:
		return Published{}, ErrNoEndpoint
	case !end.Enabled:
		return Published{}, ErrDisabled
	}
	return e.direct(ctx, endpointARN, m)
}

func (e *Engine) direct(ctx context.Context, lane string, m Message) (Published, error) {
	r, err := e.current(ctx)
	if err != nil {
		return Published{}, err
	}
	m.ID, m.Time = cluster.NewUUID(), time.Now().UTC().Truncate(time.Millisecond)
	body, err := encode(&m, nil)
	if err != nil {
		return Published{}, err
	}
	return Published{ID: m.ID}, r.deliver.Enqueue(ctx, delivery.Item{Lanes: []string{lane}, Body: body})
}

// Confirm sends the message that asks a subscription's endpoint to confirm it,
// or, if it was cancelled, offers to restore it. The row holds the token.
func (e *Engine) Confirm(ctx context.Context, s *Subscription) error {
	m := Message{Type: subscribe, Token: s.Token, Body: fmt.Sprintf("You have chosen to subscribe to the topic %s.\nTo confirm the subscription, visit the SubscribeURL included in this message.", s.TopicARN())}
	if s.Cancelled {
		m.Type, m.Body = unsubscribe, fmt.Sprintf("You have chosen to deactivate subscription %s.\nTo cancel this operation and restore the subscription, visit the SubscribeURL included in this message.", s.ARN())
	}
	_, err := e.direct(ctx, confirmLane+s.ARN(), m)
	return err
}

// splitPhone takes a lane behind phoneLane apart.
func splitPhone(s string) (scope cluster.Scope, number string) {
	p := strings.SplitN(s, "/", 3)
	if len(p) != 3 {
		return scope, ""
	}
	return cluster.Scope{Account: p[0], Region: p[1]}, p[2]
}
