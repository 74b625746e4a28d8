package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
)

// measureTask measures tasks that an event starts, and the same started by
// RunTask, by turns: what the event adds is what counts.
func measureTask(ctx context.Context, b *bench) error {
	const bar = 10 * time.Millisecond
	p, err := b.platform(ctx)
	if err != nil {
		return err
	}
	f, err := newFloor(ctx, p)
	if err != nil {
		return err
	}
	defer f.close()
	clusters, err := p.ecs.DescribeClusters(ctx, &ecs.DescribeClustersInput{})
	if err != nil {
		return err
	}
	definition, err := p.ecs.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: aws.String("hello")})
	if err != nil {
		return err
	}
	r, err := makeRule(ctx, p.url, "starts", types.Target{Arn: clusters.Clusters[0].ClusterArn, RoleArn: aws.String("arn:aws:iam::" + account + ":role/events"),
		EcsParameters: &types.EcsParameters{TaskDefinitionArn: definition.TaskDefinition.TaskDefinitionArn, LaunchType: types.LaunchTypeEc2,
			NetworkConfiguration: &types.NetworkConfiguration{AwsvpcConfiguration: &types.AwsVpcConfiguration{Subnets: []string{p.subnet}}}}})
	if err != nil {
		return err
	}
	s := &starter{p: p, c: r.c, running: make(chan running, 1)}
	events, calls, err := turns(ctx, b.runs, func(int) (time.Duration, error) {
		arn, took, err := s.byEvent(ctx)
		if err != nil {
			return 0, err
		}
		return took, errors.Join(p.stopTasks(ctx, arn), f.settle(ctx, 100*time.Millisecond))
	}, func(int) (time.Duration, error) {
		arn, took, err := p.startTask(ctx)
		if err != nil {
			return 0, err
		}
		return took, errors.Join(p.stopTasks(ctx, arn), f.settle(ctx, 100*time.Millisecond))
	})
	if err != nil {
		return err
	}
	added := make([]time.Duration, len(events))
	for i := range events {
		added[i] = events[i] - calls[i]
	}
	more := median(added)
	b.table.add("PutEvents → ECS task RUNNING", fmt.Sprintf("p50 %s, p95 %s (n=%d)", ms(median(events)), ms(quantile(events, 0.95)), b.runs),
		fmt.Sprintf("RunTask p50 %s, p95 %s", ms(median(calls)), ms(quantile(calls, 0.95))),
		fmt.Sprintf("%+.1f ms (%+.0f–%+.0f)", more.Seconds()*1000, quantile(added, 0).Seconds()*1000, quantile(added, 1).Seconds()*1000), "≤ +"+ms(bar), verdict(more <= bar))
	return r.delete(ctx)
}

// starter starts tasks by events.
type starter struct {
	p       *platform
	c       *eventbridge.Client
	running chan running
}

type running struct {
	arn string
	at  time.Time
}

// byEvent returns when the task that the event started runs; nobody else starts
// tasks meanwhile.
func (s *starter) byEvent(ctx context.Context) (arn string, took time.Duration, err error) {
	s.p.events.tell(func(arn string, at time.Time) {
		select {
		case s.running <- running{arn, at}:
		default:
		}
	})
	defer s.p.events.tell(nil)
	began := time.Now()
	out, err := s.c.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{{Source: aws.String("starts"), DetailType: aws.String("Order Placed"), Detail: aws.String("{}")}}})
	if err != nil {
		return "", 0, err
	}
	if out.FailedEntryCount > 0 {
		return "", 0, fmt.Errorf("PutEvents: %s", aws.ToString(out.Entries[0].ErrorMessage))
	}
	select {
	case r := <-s.running:
		return r.arn, r.at.Sub(began), nil
	case <-s.p.events.failed:
		return "", 0, errors.New("the stream of events ended before a task ran")
	case <-time.After(time.Minute):
		return "", 0, errors.New("the event has started no task after a minute")
	case <-ctx.Done():
		return "", 0, ctx.Err()
	}
}
