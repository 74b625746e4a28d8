// Package kinesis serves the Kinesis Data Streams API over package stream.
package kinesis

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/contract/broker"
	"github.com/dhowhq/dhow/internal/arn"
	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/store"
	"github.com/dhowhq/dhow/stream"
)

// API is the service: its exported methods are the operations.
type API struct {
	e    *stream.Engine
	db   *store.DB
	gate Gate
}

// Config is what the platform tells the service.
type Config struct {
	Engine    *stream.Engine
	DB        *store.DB
	Contracts broker.Contracts // nil holds records to no schemas
	Bury      broker.Bury      // nil: there are no queues
}

// New returns the API over the engine.
func New(c Config) *API {
	return &API{e: c.Engine, db: c.DB, gate: Gate{c.Engine, c.Contracts, c.Bury}}
}

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

// ref finds the stream that a call names: by its name, ARN or id, or by more
// than one of them that agree. The stream of another account may be named by its
// ARN, where its policy lets the caller do what the operation does.
func (a *API) ref(ctx context.Context, name, streamARN, id *string) (stream.Ref, error) {
	r := stream.Ref{Scope: scope(ctx), Name: deref(name)}
	if id != nil {
		s, ok := a.byID(*id)
		if !ok || s.Scope != r.Scope {
			return r, &types.ResourceNotFoundException{Message: ptr("Stream " + *id + " under account " + r.Account + " not found.")}
		}
		if r.Name != "" && r.Name != s.Name {
			return r, invalid("StreamId %s is not that of stream %s.", *id, r.Name)
		}
		r.Name = s.Name
	}
	if streamARN != nil {
		return a.byARN(ctx, r, *streamARN)
	}
	if r.Name == "" {
		return r, invalid("Either StreamName or StreamARN must be specified.")
	}
	return r, nil
}

// byARN resolves a stream's ARN; r is what the call has said besides.
func (a *API) byARN(ctx context.Context, r stream.Ref, s string) (stream.Ref, error) {
	p, err := arn.Parse(s)
	kind, name := p.Type()
	if err != nil || p.Service != "kinesis" || kind != "stream" {
		return r, invalid("%s is not the ARN of a stream.", s)
	}
	if r.Name != "" && r.Name != name {
		return r, invalid("StreamARN %s is not that of stream %s.", s, r.Name)
	}
	if p.Region != r.Region {
		return r, invalid("StreamARN %s is of another region than the call's, %s.", s, r.Region)
	}
	out := stream.Ref{Scope: cluster.Scope{Account: p.Account, Region: p.Region}, Name: name}
	if p.Account != r.Account {
		row, err := a.e.Describe(out)
		return out, a.across(ctx, s, row.Policy, err)
	}
	return out, nil
}

func (a *API) byID(id string) (s stream.Stream, ok bool) {
	a.db.View(func(r store.Reader) error {
		for s = range stream.Streams.By(r, "id", id) {
			ok = true
		}
		return nil
	})
	return s, ok
}

// wrap puts the engine's refusals into AWS's exceptions.
func wrap(err error) error {
	var e *stream.Error
	if refused := wrapContract(err); refused != nil {
		return refused
	}
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &e):
		return err
	}
	m := &e.Message
	switch e.Kind {
	case stream.NotFound:
		return &types.ResourceNotFoundException{Message: m}
	case stream.InUse:
		return &types.ResourceInUseException{Message: m}
	case stream.LimitExceeded:
		return &types.LimitExceededException{Message: m}
	case stream.Throttled:
		return &types.ProvisionedThroughputExceededException{Message: m}
	case stream.IteratorExpired:
		return &types.ExpiredIteratorException{Message: m}
	case stream.Validation:
		return &types.ValidationException{Message: m}
	}
	return &types.InvalidArgumentException{Message: m}
}
