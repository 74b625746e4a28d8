package sns

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"

	"github.com/dhowhq/dhow/topic"
)

func TestPublishRefused(t *testing.T) {
	f := newFixture(t)
	a, fifo := f.topic("a"), f.topic("a.fifo")
	for _, c := range []struct {
		in      sns.PublishInput
		message string
	}{
		{sns.PublishInput{}, "TopicArn or TargetArn Reason: no value for required parameter"},
		{sns.PublishInput{TopicArn: &a, PhoneNumber: ptr("+15551234567")}, "Reason: only one of TopicArn, TargetArn and PhoneNumber may be given"},
		{sns.PublishInput{PhoneNumber: ptr("12")}, "PhoneNumber Reason: 12 is not valid to publish to"},
		{sns.PublishInput{TopicArn: &a, Message: ptr("")}, "Empty message"},
		{sns.PublishInput{TopicArn: &a, Message: ptr(strings.Repeat("x", 256<<10+1))}, "Message too long"},
		{sns.PublishInput{TopicArn: &a, MessageStructure: ptr("xml")}, "MessageStructure"},
		{sns.PublishInput{TopicArn: &a, Subject: ptr("two\nlines")}, "Subject"},
		{sns.PublishInput{TopicArn: &a, Subject: ptr(strings.Repeat("x", 101))}, "Subject"},
		{sns.PublishInput{TopicArn: &a, MessageDeduplicationId: ptr("d")}, "MessageDeduplicationId Reason: The request includes MessageDeduplicationId parameter that is not valid for this topic type"},
		{sns.PublishInput{TopicArn: &fifo}, "The MessageGroupId parameter is required for FIFO topics"},
		{sns.PublishInput{TopicArn: &fifo, MessageGroupId: ptr("g")}, "The topic should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly"},
		{sns.PublishInput{TopicArn: &fifo, MessageGroupId: ptr("a b")}, "MessageGroupId Reason: It can only include alphanumeric and punctuation characters. 1 to 128 in length."},
	} {
		if c.in.Message == nil {
			c.in.Message = ptr("x")
		}
		_, err := f.client.Publish(f.ctx, &c.in)
		refused(t, err, "InvalidParameter", "Invalid parameter: "+c.message)
	}
	_, err := f.client.Publish(f.ctx, &sns.PublishInput{TopicArn: &a, Message: ptr("x"), MessageAttributes: attrs{"n": numberOf("many")}})
	refused(t, err, "ParameterValueInvalid", "Could not cast message attribute 'n' value to number.")
}

func TestBatchRefused(t *testing.T) {
	f := newFixture(t)
	a, q := f.topic("a"), f.queue("q")
	f.subscribe(a, "sqs", q, "RawMessageDelivery", "true")
	batch := func(entries ...types.PublishBatchRequestEntry) (*sns.PublishBatchOutput, error) {
		return f.client.PublishBatch(f.ctx, &sns.PublishBatchInput{TopicArn: &a, PublishBatchRequestEntries: entries})
	}
	entry := func(id string) types.PublishBatchRequestEntry {
		return types.PublishBatchRequestEntry{Id: &id, Message: ptr("message " + id)}
	}
	_, err := batch(entry("a"), entry("a"))
	refused(t, err, "BatchEntryIdsNotDistinct", "Two or more batch entries in the request have the same Id.")
	var eleven []types.PublishBatchRequestEntry
	for i := range 11 {
		eleven = append(eleven, entry(fmt.Sprint(i)))
	}
	_, err = batch(eleven...)
	refused(t, err, "TooManyEntriesInBatchRequest", "The batch request contains more entries than permissible.")
	_, err = batch([]types.PublishBatchRequestEntry{}...)
	refused(t, err, "EmptyBatchRequest", "The batch request doesn't contain any entries.")
	_, err = batch(entry("a"), entry("a.b"))
	refused(t, err, "InvalidBatchEntryId", "The Id of a batch entry in the batch request contains an impermissible character: a.b")
	long := entry("long")
	long.Message = ptr(strings.Repeat("b", topic.MaxMessage))
	_, err = batch(long, entry("a"))
	refused(t, err, "BatchRequestTooLong", "The length of all the messages put together is more than the limit.")
	bad := entry("bad")
	bad.Subject = ptr("two\nlines")
	odd := entry("odd")
	odd.MessageStructure, odd.Message = ptr("json"), ptr(`{"sqs": "x"}`)
	out, err := batch(entry("good"), bad, odd)
	must(t, err)
	if len(out.Successful) != 1 || *out.Successful[0].Id != "good" || len(out.Failed) != 2 || *out.Failed[0].Message != "Invalid parameter: Subject" || !out.Failed[0].SenderFault ||
		*out.Failed[1].Message != "Invalid parameter: Message Structure - No default entry in JSON message body" {
		t.Errorf("%+v", out)
	}
	if d := f.receive(q, 1)[0]; d.Body != "message good" {
		t.Errorf("%+v", d)
	}
}

// Each protocol gets its own body of a structured message.
func TestStructure(t *testing.T) {
	f := newFixture(t)
	a, q := f.topic("a"), f.queue("q")
	p := newPost(t)
	f.subscribe(a, "sqs", q)
	f.confirmed(a, p, "/", "RawMessageDelivery", "true")
	_, err := f.client.Publish(f.ctx, &sns.PublishInput{TopicArn: &a, Message: ptr(`{"default": "for all", "sqs": "for queues", "number": 1}`), MessageStructure: ptr("json")})
	must(t, err)
	if doc := unjson(t, f.receive(q, 1)[0].Body); doc["Message"] != "for queues" {
		t.Errorf("%v", doc)
	}
	got := p.next(t)
	if got.body != "for all" || got.header.Get("X-Amz-Sns-Rawdelivery") != "true" || got.header.Get("X-Amz-Sns-Subscription-Arn") == "" {
		t.Errorf("%+v", got)
	}
}
