package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/dhowhq/dhow/bus"
	"github.com/dhowhq/dhow/bus/delivery"
	"github.com/dhowhq/dhow/bus/input"
	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/internal/arn"
	"github.com/dhowhq/dhow/services/kinesis"
	"github.com/dhowhq/dhow/stream"
)

// streamTarget is a Kinesis stream.
type streamTarget struct{ gate kinesis.Gate }

func streamOf(s string) (ref stream.Ref, err error) {
	a, err := arn.Parse(s)
	if err != nil {
		return ref, err
	}
	kind, name := a.Type()
	if kind != "stream" || name == "" {
		return ref, fmt.Errorf("%s is not the ARN of a stream", s)
	}
	return stream.Ref{Scope: cluster.Scope{Account: a.Account, Region: a.Region}, Name: name}, nil
}

// Check implements bus.Target.
func (streamTarget) Check(_ cluster.Scope, t types.Target) error {
	if _, err := streamOf(*t.Arn); err != nil || t.KinesisParameters == nil {
		return err
	}
	_, err := input.Find([]byte("{}"), text(t.KinesisParameters.PartitionKeyPath))
	return err
}

// Send implements bus.Target: the partition key is what the target's path finds
// in the event, else the event's id.
func (s streamTarget) Send(ctx context.Context, d bus.Delivery) error {
	ref, err := streamOf(*d.Target.Arn)
	if err != nil {
		return &delivery.Error{Code: bus.CodeNoResource, Permanent: true, Err: err}
	}
	if err := s.refused(ref, d); err != nil {
		return &delivery.Error{Code: bus.CodeNoPermissions, Permanent: true, Err: err}
	}
	key, err := partitionKey(d)
	if err != nil {
		return &delivery.Error{Code: bus.CodeInput, Permanent: true, Err: err}
	}
	placed, err := s.gate.Put(ctx, ref, ruleMessenger(d).sender(), stream.Entry{PartitionKey: key, Data: d.Input})
	if err == nil {
		err = placed[0].Err
	}
	if refused := notOfSchema(err); refused != nil {
		return refused
	}
	var told *stream.Error
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &told):
		return err
	case told.Kind == stream.NotFound:
		return delivery.Permanent(bus.CodeNoResource, "the stream %s does not exist", *d.Target.Arn)
	case told.Kind == stream.Throttled:
		return &delivery.Error{Code: bus.CodeThrottling, Err: err}
	case told.Kind == stream.Invalid:
		return &delivery.Error{Code: bus.CodeClientError, Permanent: true, Err: err}
	}
	return err
}

// refused says why a stream does not take a rule's records. Of one that is not
// there Put says more.
func (s streamTarget) refused(ref stream.Ref, d bus.Delivery) error {
	row, err := s.gate.Streams.Describe(ref)
	if err != nil {
		return nil
	}
	return ruleMessenger(d).refused(receiver{row.Account, row.ARN(), row.Policy, "kinesis:PutRecord"})
}

func partitionKey(d bus.Delivery) (string, error) {
	if d.Target.KinesisParameters == nil {
		return d.EventID, nil
	}
	path := text(d.Target.KinesisParameters.PartitionKeyPath)
	v, err := input.Find(d.Event, path)
	if err != nil {
		return "", err
	}
	var key string
	if json.Unmarshal(v, &key) != nil {
		key = strings.TrimSpace(string(v))
	}
	if key == "" || len(key) > 256 {
		return "", fmt.Errorf("the event has no partition key of 1 to 256 characters at %s", path)
	}
	return key, nil
}
