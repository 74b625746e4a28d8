package sqs

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/dhowhq/dhow/queue"
)

// own finds a queue of the caller's account and region by the ARN that a
// parameter holds: policies give nobody else the operations of move tasks.
func (a *API) own(ctx context.Context, parameter, arn string) (*queue.Queue, error) {
	q, err := a.queues.QueueByARN(arn)
	if err != nil || q.Scope != scope(ctx) {
		return nil, fault("ResourceNotFoundException", 404, "The resource that you specified for the %s parameter doesn't exist.", parameter)
	}
	return q, nil
}

// StartMessageMoveTask starts to move the messages of a dead-letter queue.
func (a *API) StartMessageMoveTask(ctx context.Context, in *sqs.StartMessageMoveTaskInput) (*sqs.StartMessageMoveTaskOutput, error) {
	source, destination := *in.SourceArn, deref(in.DestinationArn)
	if n := in.MaxNumberOfMessagesPerSecond; n != nil && (*n < 1 || *n > 500) {
		return nil, invalid("MaxNumberOfMessagesPerSecond", *n, "Must be between 1 and 500, if provided.")
	}
	from, err := a.own(ctx, "SourceArn", source)
	if err != nil {
		return nil, err
	}
	if destination != "" {
		to, err := a.own(ctx, "DestinationArn", destination)
		switch {
		case err != nil:
			return nil, err
		case to.ID == from.ID:
			return nil, invalidValue("Source queue arn and destination queue arn must be different.")
		case to.FIFO != from.FIFO:
			return nil, invalidValue("Source queue and destination queue must be of the same type.")
		}
	}
	m, err := a.queues.StartMove(ctx, source, destination, int(deref(in.MaxNumberOfMessagesPerSecond)))
	switch {
	case errors.Is(err, queue.ErrNoDeadLetter):
		return nil, invalidValue("Source queue must be configured as a Dead Letter Queue.")
	case errors.Is(err, queue.ErrTaskRunning):
		return nil, invalidValue("There is already a task running. Only one active task is allowed for a source queue arn at a given time.")
	case errors.Is(err, queue.ErrNoQueue):
		return nil, fault("ResourceNotFoundException", 404, "The resource that you specified for the SourceArn parameter doesn't exist.")
	case err != nil:
		return nil, wrap(err)
	}
	return &sqs.StartMessageMoveTaskOutput{TaskHandle: &m.Handle}, nil
}

// CancelMessageMoveTask ends a task; what has moved stays moved.
func (a *API) CancelMessageMoveTask(ctx context.Context, in *sqs.CancelMessageMoveTaskInput) (*sqs.CancelMessageMoveTaskOutput, error) {
	m, err := a.queues.CancelMove(ctx, scope(ctx), *in.TaskHandle)
	switch {
	case errors.Is(err, queue.ErrNoTask):
		return nil, fault("ResourceNotFoundException", 404, "Task does not exist.")
	case errors.Is(err, queue.ErrTaskEnded):
		return nil, fault("UnsupportedOperation", 400, "Only a task that is RUNNING can be cancelled.")
	case err != nil:
		return nil, wrap(err)
	}
	return &sqs.CancelMessageMoveTaskOutput{ApproximateNumberOfMessagesMoved: m.Moved}, nil
}

// ListMessageMoveTasks lists the newest tasks of a source.
func (a *API) ListMessageMoveTasks(ctx context.Context, in *sqs.ListMessageMoveTasksInput) (*sqs.ListMessageMoveTasksOutput, error) {
	limit := int32(1)
	if in.MaxResults != nil {
		if limit = *in.MaxResults; limit < 1 || limit > 10 {
			return nil, invalid("MaxResults", limit, "Must be between 1 and 10, if provided.")
		}
	}
	if _, err := a.own(ctx, "SourceArn", *in.SourceArn); err != nil {
		return nil, err
	}
	out := &sqs.ListMessageMoveTasksOutput{}
	for _, m := range a.queues.Moves(*in.SourceArn, int(limit)) {
		e := types.ListMessageMoveTasksResultEntry{SourceArn: ptr(m.Source), DestinationArn: text(m.Destination), Status: ptr(m.Status),
			FailureReason: text(m.Failure), StartedTimestamp: m.Started, ApproximateNumberOfMessagesMoved: m.Moved, ApproximateNumberOfMessagesToMove: ptr(m.ToMove)}
		if m.PerSecond > 0 {
			e.MaxNumberOfMessagesPerSecond = ptr(int32(m.PerSecond))
		}
		if m.Status == queue.MoveRunning || m.Status == queue.MoveCancelling {
			e.TaskHandle = ptr(m.Handle)
		}
		out.Results = append(out.Results, e)
	}
	return out, nil
}
