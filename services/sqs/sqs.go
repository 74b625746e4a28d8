// Package sqs serves the SQS API over package queue, in its JSON protocol and in
// the query protocol that older clients speak.
package sqs

import (
	"context"
	"regexp"
	"strings"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/contract/broker"
	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/queue"
)

// API is the service: its exported methods are the operations.
type API struct {
	queues *queue.Engine
	gate   Gate
}

// Config is what the platform tells the service.
type Config struct {
	Queues    *queue.Engine
	Contracts broker.Contracts // nil holds messages to no schemas
}

// New returns the API over the engine.
func New(c Config) *API { return &API{queues: c.Queues, gate: Gate(c)} }

// Service is the API as awsapi serves it.
func Service(c Config) awsapi.Service {
	return awsapi.Service{Model: "sqs", API: New(c), QueryCodes: queryCodes, Query: queryNames, MaxBody: maxBody,
		Unchecked: []string{"QueueAttributeName", "MessageSystemAttributeName", "MessageSystemAttributeNameForSends"}}
}

// maxBody has room for a batch of 1 MiB in its longest spelling: every byte of
// it as six of JSON.
const maxBody = 7 << 20

func scope(ctx context.Context) cluster.Scope {
	c := awsapi.CallFrom(ctx)
	return cluster.Scope{Account: c.Account, Region: c.Region}
}

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

func ptr[T any](v T) *T { return &v }

// text is a string's pointer, nil for none.
func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// urlOf is a queue's address at the host that the caller used.
func urlOf(ctx context.Context, d *queue.Definition) string {
	c := awsapi.CallFrom(ctx)
	return c.Scheme + "://" + c.Host + "/" + d.Account + "/" + d.Name
}

var accountID = regexp.MustCompile(`^[0-9]{12}$`)

// queue finds the queue of a URL, of which only the path counts, for the call.
func (a *API) queue(ctx context.Context, queueURL *string) (*queue.Queue, error) {
	s, name, ok := parseURL(ctx, deref(queueURL))
	if !ok {
		return nil, fault("InvalidAddress", 404, "The address %s is not valid for this endpoint.", deref(queueURL))
	}
	q, err := a.queues.Queue(s, name)
	if err != nil {
		return nil, wrap(err)
	}
	return q, admit(ctx, &q.Definition)
}

func parseURL(ctx context.Context, s string) (in cluster.Scope, name string, ok bool) {
	path := s
	if _, rest, ok := strings.Cut(s, "://"); ok {
		_, path, _ = strings.Cut(rest, "/")
	}
	if i := strings.IndexAny(path, "?#"); i >= 0 {
		path = path[:i]
	}
	account, name, ok := strings.Cut(strings.Trim(path, "/"), "/")
	if !ok || !accountID.MatchString(account) || name == "" || strings.Contains(name, "/") {
		return in, "", false
	}
	return cluster.Scope{Account: account, Region: scope(ctx).Region}, name, true
}
