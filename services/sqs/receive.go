package sqs

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/queue"
)

// ReceiveMessage gives messages, waiting for some if it is asked to.
func (a *API) ReceiveMessage(ctx context.Context, in *sqs.ReceiveMessageInput) (*sqs.ReceiveMessageOutput, error) {
	q, err := a.queue(ctx, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	r, err := receiving(ctx, q, in)
	if err != nil {
		return nil, err
	}
	for _, n := range in.AttributeNames {
		if !isSystemAttribute(string(n)) && !slices.Contains(attributeNames, string(n)) {
			return nil, unknownAttribute(string(n))
		}
	}
	for _, n := range in.MessageSystemAttributeNames {
		if !isSystemAttribute(string(n)) {
			return nil, unknownAttribute(string(n))
		}
	}
	got, err := q.Receive(ctx, r)
	if err != nil && !errors.Is(err, context.Canceled) {
		return nil, wrap(err)
	}
	out := &sqs.ReceiveMessageOutput{}
	for i := range got {
		out.Messages = append(out.Messages, wireMessage(&got[i], in))
	}
	return out, nil
}

func receiving(ctx context.Context, q *queue.Queue, in *sqs.ReceiveMessageInput) (queue.Receive, error) {
	r := queue.Receive{Max: 1, Wait: -1, Attempt: deref(in.ReceiveRequestAttemptId)}
	if awsapi.Has(ctx, "MaxNumberOfMessages") {
		if r.Max = int(in.MaxNumberOfMessages); r.Max < 1 || r.Max > 10 {
			return r, invalid("MaxNumberOfMessages", r.Max, "Must be between 1 and 10, if provided.")
		}
	}
	if awsapi.Has(ctx, "WaitTimeSeconds") {
		if in.WaitTimeSeconds < 0 || in.WaitTimeSeconds > 20 {
			return r, invalid("WaitTimeSeconds", in.WaitTimeSeconds, "Must be >= 0 and <= 20, if provided.")
		}
		r.Wait = time.Duration(in.WaitTimeSeconds) * time.Second
	}
	if awsapi.Has(ctx, "VisibilityTimeout") {
		if err := checkVisibility(in.VisibilityTimeout); err != nil {
			return r, err
		}
		r.Visibility = ptr(time.Duration(in.VisibilityTimeout) * time.Second)
	}
	if in.ReceiveRequestAttemptId != nil {
		switch {
		case !q.FIFO:
			return r, invalid("ReceiveRequestAttemptId", r.Attempt, wrongType)
		case !idText.MatchString(r.Attempt):
			return r, invalid("ReceiveRequestAttemptId", r.Attempt, "ReceiveRequestAttemptId can only include alphanumeric and punctuation characters. 1 to 128 in length.")
		}
	}
	return r, nil
}

func checkVisibility(seconds int32) error {
	if seconds < 0 || seconds > 43200 {
		return invalid("VisibilityTimeout", seconds, "Must be between 0 and 43200, if provided.")
	}
	return nil
}

func isSystemAttribute(name string) bool {
	return slices.Contains(types.MessageSystemAttributeName("").Values(), types.MessageSystemAttributeName(name))
}

func wireMessage(d *queue.Delivery, in *sqs.ReceiveMessageInput) types.Message {
	m := types.Message{MessageId: &d.ID, ReceiptHandle: &d.Handle, Body: &d.Body, MD5OfBody: ptr(md5Of(d.Body))}
	m.Attributes = systemAttributes(d, func(name string) bool {
		return slices.ContainsFunc(in.AttributeNames, func(n types.QueueAttributeName) bool { return n == "All" || string(n) == name }) ||
			slices.ContainsFunc(in.MessageSystemAttributeNames, func(n types.MessageSystemAttributeName) bool { return n == "All" || string(n) == name })
	})
	chosen := map[string]queue.Attribute{}
	for name, a := range d.Attributes {
		if slices.ContainsFunc(in.MessageAttributeNames, func(pattern string) bool { return names(pattern, name) }) {
			chosen[name] = a
			if m.MessageAttributes == nil {
				m.MessageAttributes = map[string]types.MessageAttributeValue{}
			}
			v := types.MessageAttributeValue{DataType: ptr(a.Type), BinaryValue: a.Binary}
			if a.Binary == nil {
				v.StringValue = ptr(a.String)
			}
			m.MessageAttributes[name] = v
		}
	}
	m.MD5OfMessageAttributes = text(md5OfAttributes(chosen))
	return m
}

// names reports whether what a receiver asks for includes an attribute: All, .*,
// PREFIX.*, or its name.
func names(pattern, name string) bool {
	if pattern == "All" || pattern == ".*" || pattern == name {
		return true
	}
	prefix, ok := strings.CutSuffix(pattern, ".*")
	return ok && prefix != "" && strings.HasPrefix(name, prefix)
}

func systemAttributes(d *queue.Delivery, want func(string) bool) (out map[string]string) {
	for _, a := range []struct{ name, value string }{
		{"SenderId", d.Sender},
		{"SentTimestamp", strconv.FormatInt(d.Sent.UnixMilli(), 10)},
		{"ApproximateReceiveCount", strconv.Itoa(d.Receives)},
		{"ApproximateFirstReceiveTimestamp", strconv.FormatInt(d.FirstReceived.UnixMilli(), 10)},
		{"SequenceNumber", d.Sequence},
		{"MessageDeduplicationId", d.Dedup},
		{"MessageGroupId", d.Group},
		{"AWSTraceHeader", d.Trace},
		{"DeadLetterQueueSourceArn", d.DeadLetterOf},
	} {
		if a.value == "" || !want(a.name) {
			continue
		}
		if out == nil {
			out = map[string]string{}
		}
		out[a.name] = a.value
	}
	return out
}

// DeleteMessage removes a received message for good.
func (a *API) DeleteMessage(ctx context.Context, in *sqs.DeleteMessageInput) (*sqs.DeleteMessageOutput, error) {
	q, err := a.queue(ctx, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	errs, err := q.Delete(ctx, *in.ReceiptHandle)
	if err == nil {
		err = wrapHandle(errs[0], *in.ReceiptHandle)
	}
	if err != nil {
		return nil, wrap(err)
	}
	return &sqs.DeleteMessageOutput{}, nil
}

// ChangeMessageVisibility gives a received message another visibility timeout.
func (a *API) ChangeMessageVisibility(ctx context.Context, in *sqs.ChangeMessageVisibilityInput) (*sqs.ChangeMessageVisibilityOutput, error) {
	q, err := a.queue(ctx, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	if err := checkVisibility(in.VisibilityTimeout); err != nil {
		return nil, err
	}
	errs, err := q.ChangeVisibility(ctx, queue.Change{Handle: *in.ReceiptHandle, Timeout: time.Duration(in.VisibilityTimeout) * time.Second})
	if err == nil {
		err = wrapChange(errs[0], *in.ReceiptHandle, in.VisibilityTimeout)
	}
	if err != nil {
		return nil, wrap(err)
	}
	return &sqs.ChangeMessageVisibilityOutput{}, nil
}

func wrapChange(err error, handle string, seconds int32) error {
	if errors.Is(err, queue.ErrTooLong) {
		return invalid("VisibilityTimeout", seconds, "Total VisibilityTimeout for the message is beyond the limit [43200 seconds]")
	}
	return wrapHandle(err, handle)
}
