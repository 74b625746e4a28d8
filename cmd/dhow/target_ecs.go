package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/smithy-go"

	"github.com/dhowhq/dhow/bus"
	"github.com/dhowhq/dhow/bus/delivery"
	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/cluster/launch"
	"github.com/dhowhq/dhow/internal/arn"
	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/services/ecs"
)

// taskTarget starts ECS tasks.
type taskTarget struct{ ecs *ecs.API }

// maxTasks is RunTask's bound.
const maxTasks = 10

// Check implements bus.Target.
func (taskTarget) Check(s cluster.Scope, t types.Target) error {
	a, err := arn.Parse(*t.Arn)
	if err != nil {
		return err
	}
	if kind, name := a.Type(); kind != "cluster" || name == "" {
		return fmt.Errorf("%s is not the ARN of a cluster", *t.Arn)
	}
	if a.Account != s.Account || a.Region != s.Region {
		return fmt.Errorf("the cluster %s is not of the rule's account and region", *t.Arn)
	}
	if n := t.EcsParameters.TaskCount; n != nil && *n > maxTasks {
		return fmt.Errorf("TaskCount is %d: RunTask starts %d tasks at most", *n, maxTasks)
	}
	return nil
}

// Send implements bus.Target. Tasks are started one by one, each under a token
// of the event's: one that is delivered twice starts none twice, and where there
// is room for some alone, only the others are tried again.
func (t taskTarget) Send(ctx context.Context, d bus.Delivery) error {
	in, err := runTask(d)
	if err != nil {
		return &delivery.Error{Code: bus.CodeInput, Permanent: true, Err: err}
	}
	count := 1
	if n := d.Target.EcsParameters.TaskCount; n != nil {
		count = int(*n)
	}
	ctx = awsapi.WithCall(ctx, &awsapi.Call{Service: "ecs", Operation: "RunTask", Account: d.Account, Region: d.Region,
		Principal: "arn:aws:iam::" + d.Account + ":root", RequestID: cluster.NewUUID()})
	first := 0
	if count == 1 {
		first = max(d.Attempts-1, 0) // that before may have been cut off
	}
	var failed error
	for i := range count {
		if err := t.run(ctx, d, in, i, first); err != nil {
			failed = err
		}
	}
	return failed
}

// run starts the ith task, if none of the attempts from first on did: the token
// of one that found no room starts nothing any more, so each has its own.
func (t taskTarget) run(ctx context.Context, d bus.Delivery, in awsecs.RunTaskInput, i, first int) error {
	for attempt := first; attempt <= d.Attempts; attempt++ {
		in.ClientToken = token(d, i, attempt)
		out, err := t.ecs.RunTask(ctx, &in)
		if err != nil {
			return judge(err)
		}
		if len(out.Tasks) > 0 {
			return nil
		}
		if attempt == d.Attempts && len(out.Failures) > 0 {
			f := out.Failures[0]
			return delivery.Retryable("RESOURCE_UNAVAILABLE", "no task was started: %s %s", text(f.Reason), text(f.Detail))
		}
	}
	return delivery.Retryable("RESOURCE_UNAVAILABLE", "no task was started")
}

func token(d bus.Delivery, i, attempt int) *string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%s\x00%d\x00%d", d.EventID, d.RuleARN, *d.Target.Id, i, attempt))
	s := hex.EncodeToString(sum[:16])
	return &s
}

// judge tells what may pass from what never will. That a cluster has no
// instances may.
func judge(err error) error {
	var api smithy.APIError
	var conflict *ecstypes.ConflictException
	switch {
	case errors.As(err, &conflict):
		return nil // the task was started, and the target was changed since
	case errors.As(err, &api) && strings.Contains(api.ErrorMessage(), launch.NoInstances):
		return delivery.Retryable("RESOURCE_UNAVAILABLE", "%s", api.ErrorMessage())
	case errors.As(err, &api) && api.ErrorFault() == smithy.FaultClient:
		return delivery.Permanent(bus.CodeClientError, "%s: %s", api.ErrorCode(), api.ErrorMessage())
	}
	return err
}

// runTask is the call that a target describes.
func runTask(d bus.Delivery) (in awsecs.RunTaskInput, err error) {
	p := d.Target.EcsParameters
	rule := d.RuleARN[strings.LastIndexByte(d.RuleARN, '/')+1:]
	in = awsecs.RunTaskInput{Cluster: d.Target.Arn, TaskDefinition: p.TaskDefinitionArn, LaunchType: ecstypes.LaunchType(p.LaunchType), PlatformVersion: p.PlatformVersion,
		Group: p.Group, ReferenceId: p.ReferenceId, EnableECSManagedTags: p.EnableECSManagedTags, EnableExecuteCommand: p.EnableExecuteCommand,
		PropagateTags: ecstypes.PropagateTags(p.PropagateTags), StartedBy: startedBy(rule)}
	for _, c := range p.CapacityProviderStrategy {
		in.CapacityProviderStrategy = append(in.CapacityProviderStrategy, ecstypes.CapacityProviderStrategyItem{CapacityProvider: c.CapacityProvider, Base: c.Base, Weight: c.Weight})
	}
	for _, c := range p.PlacementConstraints {
		in.PlacementConstraints = append(in.PlacementConstraints, ecstypes.PlacementConstraint{Type: ecstypes.PlacementConstraintType(c.Type), Expression: c.Expression})
	}
	for _, s := range p.PlacementStrategy {
		in.PlacementStrategy = append(in.PlacementStrategy, ecstypes.PlacementStrategy{Type: ecstypes.PlacementStrategyType(s.Type), Field: s.Field})
	}
	for _, t := range p.Tags {
		in.Tags = append(in.Tags, ecstypes.Tag{Key: t.Key, Value: t.Value})
	}
	if n := p.NetworkConfiguration; n != nil && n.AwsvpcConfiguration != nil {
		v := n.AwsvpcConfiguration
		in.NetworkConfiguration = &ecstypes.NetworkConfiguration{AwsvpcConfiguration: &ecstypes.AwsVpcConfiguration{Subnets: v.Subnets, SecurityGroups: v.SecurityGroups,
			AssignPublicIp: ecstypes.AssignPublicIp(v.AssignPublicIp)}}
	}
	in.Overrides, err = overrides(d.Input)
	return in, err
}

// startedBy is what AWS writes, of RunTask's 128 characters at most.
func startedBy(rule string) *string {
	s := "events-rule/" + rule
	if len(s) > 128 {
		s = s[:128]
	}
	return &s
}

// overrides reads a TaskOverride of an input that has members of one; an event
// itself has none.
func overrides(input []byte) (*ecstypes.TaskOverride, error) {
	if t := bytes.TrimSpace(input); len(t) == 0 || t[0] != '{' {
		return nil, nil
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(input, &members); err != nil {
		return nil, fmt.Errorf("the input is not JSON: %w", err)
	}
	known := map[string]json.RawMessage{}
	for _, name := range []string{"containerOverrides", "cpu", "memory", "ephemeralStorage", "executionRoleArn", "inferenceAcceleratorOverrides", "taskRoleArn"} {
		if v, ok := members[name]; ok {
			known[name] = v
		}
	}
	if len(known) == 0 {
		return nil, nil
	}
	b, err := json.Marshal(known)
	if err != nil {
		return nil, err
	}
	var o ecstypes.TaskOverride
	if err := json.Unmarshal(b, &o); err != nil {
		return nil, fmt.Errorf("the input is no task override: %w", err)
	}
	return &o, nil
}
