package events

import (
	"context"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/dhowhq/dhow/bus"
	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/store"
)

func noDestination(what, name string) error {
	return notFound("Failed to %s the api-destination(s). An api-destination '%s' does not exist.", what, name)
}

// checkEndpoint takes plain HTTP too, unlike AWS: endpoints may be on this host.
func checkEndpoint(s string) error {
	u, err := url.Parse(strings.ReplaceAll(s, "*", "x"))
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return invalid("Parameter InvocationEndpoint is not valid. Reason: it must begin with https:// or http:// and a host.")
	}
	return nil
}

// findConnection holds that a connection is there, and the caller's: whoever may
// use it can have what it authorizes with sent anywhere.
func findConnection(ctx context.Context, r store.Reader, arn string) error {
	if c, ok := bus.FindConnection(r, arn); !ok || c.Scope != scope(ctx) {
		name := arn[strings.LastIndex(arn, "connection/")+len("connection/"):]
		name, _, _ = strings.Cut(name, "/")
		return notFound("Connection '%s' does not exist.", name)
	}
	return nil
}

func state(r store.Reader, d bus.Destination) types.ApiDestinationState {
	if d.Active(r) {
		return types.ApiDestinationStateActive
	}
	return types.ApiDestinationStateInactive
}

// CreateApiDestination makes an API destination.
func (a *API) CreateApiDestination(ctx context.Context, in *eventbridge.CreateApiDestinationInput) (*eventbridge.CreateApiDestinationOutput, error) {
	if err := checkEndpoint(*in.InvocationEndpoint); err != nil {
		return nil, err
	}
	now := time.Now().UTC()
	d := bus.Destination{Scope: scope(ctx), Name: *in.Name, ID: newID(), Description: deref(in.Description), ConnectionARN: *in.ConnectionArn, Endpoint: *in.InvocationEndpoint,
		Method: in.HttpMethod, Rate: bus.DefaultRate, CreatedAt: now, ModifiedAt: now}
	if in.InvocationRateLimitPerSecond != nil {
		d.Rate = *in.InvocationRateLimitPerSecond
	}
	var st types.ApiDestinationState
	err := a.db.Update(ctx, func(tx *store.Tx) error {
		if _, ok := bus.Destinations.Get(tx, d.Key()); ok {
			return exists("An api-destination '%s' already exists.", d.Name)
		}
		if err := findConnection(ctx, tx, d.ConnectionARN); err != nil {
			return err
		}
		st = state(tx, d)
		return bus.Destinations.Put(tx, d)
	})
	if err != nil {
		return nil, err
	}
	return &eventbridge.CreateApiDestinationOutput{ApiDestinationArn: ptr(d.ARN()), ApiDestinationState: st, CreationTime: &d.CreatedAt, LastModifiedTime: &d.ModifiedAt}, nil
}

// UpdateApiDestination changes what is given.
func (a *API) UpdateApiDestination(ctx context.Context, in *eventbridge.UpdateApiDestinationInput) (*eventbridge.UpdateApiDestinationOutput, error) {
	if in.InvocationEndpoint != nil {
		if err := checkEndpoint(*in.InvocationEndpoint); err != nil {
			return nil, err
		}
	}
	var d bus.Destination
	var st types.ApiDestinationState
	err := a.update(ctx, func(tx *store.Tx) error {
		var ok bool
		if d, ok = bus.Destinations.Get(tx, scope(ctx).Key(*in.Name)); !ok {
			return noDestination("update", *in.Name)
		}
		if in.ConnectionArn != nil {
			if err := findConnection(ctx, tx, *in.ConnectionArn); err != nil {
				return err
			}
			d.ConnectionARN = *in.ConnectionArn
		}
		if in.Description != nil {
			d.Description = *in.Description
		}
		if in.HttpMethod != "" {
			d.Method = in.HttpMethod
		}
		if in.InvocationEndpoint != nil {
			d.Endpoint = *in.InvocationEndpoint
		}
		if in.InvocationRateLimitPerSecond != nil {
			d.Rate = *in.InvocationRateLimitPerSecond
		}
		d.ModifiedAt = time.Now().UTC()
		st = state(tx, d)
		return bus.Destinations.Put(tx, d)
	})
	if err != nil {
		return nil, err
	}
	return &eventbridge.UpdateApiDestinationOutput{ApiDestinationArn: ptr(d.ARN()), ApiDestinationState: st, CreationTime: &d.CreatedAt, LastModifiedTime: &d.ModifiedAt}, nil
}

// DeleteApiDestination removes an API destination.
func (a *API) DeleteApiDestination(ctx context.Context, in *eventbridge.DeleteApiDestinationInput) (*eventbridge.DeleteApiDestinationOutput, error) {
	return &eventbridge.DeleteApiDestinationOutput{}, a.update(ctx, func(tx *store.Tx) error {
		key := scope(ctx).Key(*in.Name)
		if _, ok := bus.Destinations.Get(tx, key); !ok {
			return noDestination("delete", *in.Name)
		}
		bus.Destinations.Delete(tx, key)
		return nil
	})
}

// DescribeApiDestination shows an API destination.
func (a *API) DescribeApiDestination(ctx context.Context, in *eventbridge.DescribeApiDestinationInput) (out *eventbridge.DescribeApiDestinationOutput, err error) {
	err = a.db.View(func(r store.Reader) error {
		d, ok := bus.Destinations.Get(r, scope(ctx).Key(*in.Name))
		if !ok {
			return noDestination("describe", *in.Name)
		}
		w := wireDestination(r, d)
		out = &eventbridge.DescribeApiDestinationOutput{Name: w.Name, ApiDestinationArn: w.ApiDestinationArn, ApiDestinationState: w.ApiDestinationState, ConnectionArn: w.ConnectionArn,
			Description: given(d.Description), HttpMethod: w.HttpMethod, InvocationEndpoint: w.InvocationEndpoint, InvocationRateLimitPerSecond: w.InvocationRateLimitPerSecond,
			CreationTime: w.CreationTime, LastModifiedTime: w.LastModifiedTime}
		return nil
	})
	return out, err
}

func wireDestination(r store.Reader, d bus.Destination) types.ApiDestination {
	return types.ApiDestination{Name: &d.Name, ApiDestinationArn: ptr(d.ARN()), ApiDestinationState: state(r, d), ConnectionArn: &d.ConnectionARN, HttpMethod: d.Method,
		InvocationEndpoint: &d.Endpoint, InvocationRateLimitPerSecond: &d.Rate, CreationTime: &d.CreatedAt, LastModifiedTime: &d.ModifiedAt}
}

// ListApiDestinations lists API destinations by name.
func (a *API) ListApiDestinations(ctx context.Context, in *eventbridge.ListApiDestinationsInput) (*eventbridge.ListApiDestinationsOutput, error) {
	var rows []bus.Destination
	out := &eventbridge.ListApiDestinationsOutput{ApiDestinations: []types.ApiDestination{}}
	return out, a.db.View(func(r store.Reader) error {
		for d := range bus.Destinations.List(r, scope(ctx).Prefix()+deref(in.NamePrefix)) {
			if in.ConnectionArn == nil || d.ConnectionARN == *in.ConnectionArn {
				rows = append(rows, d)
			}
		}
		list, next, err := awsapi.Page(ctx, rows, func(d bus.Destination) string { return d.Name }, in.NextToken, in.Limit, page)
		if err != nil {
			return err
		}
		out.NextToken = next
		for _, d := range list {
			out.ApiDestinations = append(out.ApiDestinations, wireDestination(r, d))
		}
		return nil
	})
}
