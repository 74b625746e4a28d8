package sqs

import (
	"context"
	"errors"
	"regexp"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/queue"
)

const maxBatch = 10

var batchID = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,80}$`)

// checkBatch refuses a batch as a whole.
func checkBatch[E any](kind string, entries []E, id func(*E) *string) error {
	switch {
	case len(entries) == 0:
		return fault("EmptyBatchRequest", 400, "There should be at least one %s in the request.", kind)
	case len(entries) > maxBatch:
		return fault("TooManyEntriesInBatchRequest", 400, "Maximum number of entries per request are %d. You have sent %d.", maxBatch, len(entries))
	}
	seen := map[string]bool{}
	for i := range entries {
		name := deref(id(&entries[i]))
		switch {
		case !batchID.MatchString(name):
			return fault("InvalidBatchEntryId", 400, "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long.")
		case seen[name]:
			return fault("BatchEntryIdsNotDistinct", 400, "Id %s repeated.", name)
		}
		seen[name] = true
	}
	return nil
}

// failed is an entry's error. Codes are those of the query protocol.
func failed(id *string, err error) types.BatchResultErrorEntry {
	e := types.BatchResultErrorEntry{Id: id, Code: ptr("InternalError"), Message: ptr("The request failed for a reason that is not yours. Try again.")}
	var own *awsapi.Error
	var public awsapi.Public
	if errors.As(err, &public) {
		said, _ := public.Public()
		e.Message = &said
	}
	if errors.As(err, &own) {
		e.Code, e.Message, e.SenderFault = ptr(own.Code), &own.Message, own.Status < 500
		if code := queryCodes[own.Code]; code != "" {
			e.Code = &code
		}
	}
	return e
}

// SendMessageBatch sends up to ten messages, which succeed or fail one by one.
func (a *API) SendMessageBatch(ctx context.Context, in *sqs.SendMessageBatchInput) (*sqs.SendMessageBatchOutput, error) {
	q, err := a.queue(ctx, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	if err := checkBatch("SendMessageBatchRequestEntry", in.Entries, func(e *types.SendMessageBatchRequestEntry) *string { return e.Id }); err != nil {
		return nil, err
	}
	if n := batchSize(in.Entries); n > queue.MaxSize {
		return nil, fault("BatchRequestTooLong", 400, "Batch requests cannot be longer than %d bytes. You have sent %d bytes.", queue.MaxSize, n)
	}
	out := &sqs.SendMessageBatchOutput{Successful: []types.SendMessageBatchResultEntry{}, Failed: []types.BatchResultErrorEntry{}}
	messages, of := make([]queue.Message, 0, len(in.Entries)), make([]*string, 0, len(in.Entries))
	for i := range in.Entries {
		e := &in.Entries[i]
		s := sending{body: deref(e.MessageBody), attributes: e.MessageAttributes, system: e.MessageSystemAttributes, group: e.MessageGroupId,
			dedup: e.MessageDeduplicationId, delay: e.DelaySeconds}
		s.hasDelay = e.DelaySeconds != 0 || q.Definition.Delay != 0 && awsapi.HasAt(ctx, "Entries", i, "DelaySeconds")
		if err := s.checkIDs(q); err != nil {
			return nil, err // of the whole batch
		}
		m, err := s.message(ctx, q)
		if err != nil {
			out.Failed = append(out.Failed, failed(e.Id, err))
			continue
		}
		messages, of = append(messages, m), append(of, e.Id)
	}
	if len(messages) == 0 {
		return out, nil
	}
	sent, err := a.gate.Send(ctx, q, caller(ctx), messages...)
	if err != nil {
		return nil, wrap(err)
	}
	out.Successful = make([]types.SendMessageBatchResultEntry, 0, len(sent))
	for i := range sent {
		if err := sent[i].Err; err != nil {
			out.Failed = append(out.Failed, failed(of[i], wrapSend(err, q, "cannot be validated")))
			continue
		}
		m := &messages[i]
		out.Successful = append(out.Successful, types.SendMessageBatchResultEntry{Id: of[i], MessageId: &sent[i].ID, MD5OfMessageBody: ptr(md5Of(m.Body)),
			MD5OfMessageAttributes: text(md5OfAttributes(m.Attributes)), MD5OfMessageSystemAttributes: text(md5OfTrace(m.Trace)), SequenceNumber: text(sent[i].Sequence)})
	}
	return out, nil
}

// batchSize is the bytes that count against the limit.
func batchSize(entries []types.SendMessageBatchRequestEntry) (n int) {
	for _, e := range entries {
		n += len(deref(e.MessageBody))
		for name, v := range e.MessageAttributes {
			n += len(name) + len(deref(v.DataType)) + len(deref(v.StringValue)) + len(v.BinaryValue)
		}
	}
	return n
}

// DeleteMessageBatch removes up to ten messages.
func (a *API) DeleteMessageBatch(ctx context.Context, in *sqs.DeleteMessageBatchInput) (*sqs.DeleteMessageBatchOutput, error) {
	q, err := a.queue(ctx, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	if err := checkBatch("DeleteMessageBatchRequestEntry", in.Entries, func(e *types.DeleteMessageBatchRequestEntry) *string { return e.Id }); err != nil {
		return nil, err
	}
	handles := make([]string, len(in.Entries))
	for i, e := range in.Entries {
		handles[i] = deref(e.ReceiptHandle)
	}
	errs, err := q.Delete(ctx, handles...)
	if err != nil {
		return nil, wrap(err)
	}
	out := &sqs.DeleteMessageBatchOutput{Successful: []types.DeleteMessageBatchResultEntry{}, Failed: []types.BatchResultErrorEntry{}}
	for i, e := range in.Entries {
		if errs[i] != nil {
			out.Failed = append(out.Failed, failed(e.Id, wrapHandle(errs[i], handles[i])))
		} else {
			out.Successful = append(out.Successful, types.DeleteMessageBatchResultEntry{Id: e.Id})
		}
	}
	return out, nil
}

// ChangeMessageVisibilityBatch changes up to ten visibility timeouts.
func (a *API) ChangeMessageVisibilityBatch(ctx context.Context, in *sqs.ChangeMessageVisibilityBatchInput) (*sqs.ChangeMessageVisibilityBatchOutput, error) {
	q, err := a.queue(ctx, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	if err := checkBatch("ChangeMessageVisibilityBatchRequestEntry", in.Entries, func(e *types.ChangeMessageVisibilityBatchRequestEntry) *string { return e.Id }); err != nil {
		return nil, err
	}
	out := &sqs.ChangeMessageVisibilityBatchOutput{Successful: []types.ChangeMessageVisibilityBatchResultEntry{}, Failed: []types.BatchResultErrorEntry{}}
	var changes []queue.Change
	var of []*types.ChangeMessageVisibilityBatchRequestEntry
	for i := range in.Entries {
		e := &in.Entries[i]
		if err := checkVisibility(e.VisibilityTimeout); err != nil {
			out.Failed = append(out.Failed, failed(e.Id, err))
			continue
		}
		changes = append(changes, queue.Change{Handle: deref(e.ReceiptHandle), Timeout: time.Duration(e.VisibilityTimeout) * time.Second})
		of = append(of, e)
	}
	errs, err := q.ChangeVisibility(ctx, changes...)
	if err != nil {
		return nil, wrap(err)
	}
	for i, e := range of {
		if errs[i] != nil {
			out.Failed = append(out.Failed, failed(e.Id, wrapChange(errs[i], deref(e.ReceiptHandle), e.VisibilityTimeout)))
		} else {
			out.Successful = append(out.Successful, types.ChangeMessageVisibilityBatchResultEntry{Id: e.Id})
		}
	}
	return out, nil
}
