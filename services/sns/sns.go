// Package sns serves the SNS API over package topic: topics, subscriptions,
// publications, platform applications and short messages.
package sns

import (
	"context"
	"strings"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/contract/broker"
	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/store"
	"github.com/dhowhq/dhow/topic"
)

// API is the service: its exported methods are the operations.
type API struct {
	db     *store.DB
	engine *topic.Engine
	gate   Gate
}

// Config is what the platform tells the service.
type Config struct {
	DB        *store.DB
	Engine    *topic.Engine
	Contracts broker.Contracts // nil holds messages to no schemas
	Bury      broker.Bury      // nil: there are no queues
}

// New returns the API over the engine.
func New(c Config) *API {
	return &API{db: c.DB, engine: c.Engine, gate: Gate{c.Engine, c.Contracts, c.Bury}}
}

// maxBody has room for ten messages in the longest spelling: each byte of them
// as three, and their attributes.
const maxBody = 4 << 20

// Service is the API as awsapi serves it.
func Service(c Config) awsapi.Service {
	return awsapi.Service{Model: "sns", API: New(c), MaxBody: maxBody}
}

// page is how many things a list answers at most.
const page = 100

func scope(ctx context.Context) cluster.Scope {
	c := awsapi.CallFrom(ctx)
	return cluster.Scope{Account: c.Account, Region: c.Region}
}

// base is the address by which the caller reached the platform.
func base(ctx context.Context) string {
	c := awsapi.CallFrom(ctx)
	if c.Host == "" {
		return ""
	}
	return c.Scheme + "://" + c.Host
}

// signed reports whether the caller showed credentials.
func signed(ctx context.Context) bool { return awsapi.CallFrom(ctx).AccessKey != "" }

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

func ptr[T any](v T) *T { return &v }

// given is p for what is not empty.
func given(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// checkARN holds that a parameter has the form of an ARN, in SNS's words.
func checkARN(parameter, s string) error {
	if n := len(strings.SplitN(s, ":", 6)); n < 6 {
		return invalid("%s Reason: An ARN must have at least 6 elements, not %d", parameter, n)
	}
	return nil
}

// lookup returns the topic of an ARN to those who may do the action with it.
func (a *API) lookup(ctx context.Context, r store.Reader, parameter, topicARN, action string) (t topic.Topic, err error) {
	if err := checkARN(parameter, topicARN); err != nil {
		return t, err
	}
	s, name, id, ok := topic.ParseARN(topicARN)
	if !ok || id != "" {
		return t, invalid("%s", parameter)
	}
	if s.Region != scope(ctx).Region {
		return t, invalid("%s", parameter)
	}
	t, ok = topic.Find(r, s, name)
	if !ok {
		return t, noTopic()
	}
	if !t.Admits(scope(ctx).Account, action) {
		return t, denied(ctx, action, topicARN)
	}
	return t, nil
}

// topic is lookup outside a transaction.
func (a *API) topic(ctx context.Context, parameter, topicARN, action string) (t topic.Topic, err error) {
	a.db.View(func(r store.Reader) error { t, err = a.lookup(ctx, r, parameter, topicARN, action); return nil })
	return t, err
}

// update changes a topic.
func (a *API) update(ctx context.Context, topicARN, action string, f func(*topic.Topic) error) error {
	return a.db.Update(ctx, func(tx *store.Tx) error {
		t, err := a.lookup(ctx, tx, "TopicArn", topicARN, action)
		if err != nil {
			return err
		}
		if err := f(&t); err != nil {
			return err
		}
		return topic.Topics.Put(tx, t)
	})
}
