package avro

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	ebtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	kinesistypes "github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	twmb "github.com/twmb/avro"

	"github.com/dhowhq/dhow/contract/wire"
)

// AttributeNames are the message attributes that a ReceiveMessage has to ask for
// where producers write the form Named: SQS returns none unasked.
func AttributeNames() []string {
	return []string{wire.SchemaAttribute, wire.VersionAttribute, wire.ContentTypeAttribute}
}

// SQS is the input of SendMessage for a value. Fields that it does not set
// (DelaySeconds, MessageGroupId, more attributes) may be set after.
func (p *Producer[T]) SQS(queueURL string, v *T) (*sqs.SendMessageInput, error) {
	body, attributes, err := p.Text(v)
	if err != nil {
		return nil, err
	}
	return &sqs.SendMessageInput{QueueUrl: &queueURL, MessageBody: &body, MessageAttributes: sqsAttributes(attributes)}, nil
}

// SQSEntry is an entry of SendMessageBatch for a value.
func (p *Producer[T]) SQSEntry(id string, v *T) (sqstypes.SendMessageBatchRequestEntry, error) {
	body, attributes, err := p.Text(v)
	if err != nil {
		return sqstypes.SendMessageBatchRequestEntry{}, err
	}
	return sqstypes.SendMessageBatchRequestEntry{Id: &id, MessageBody: &body, MessageAttributes: sqsAttributes(attributes)}, nil
}

func sqsAttributes(attributes map[string]string) map[string]sqstypes.MessageAttributeValue {
	if attributes == nil {
		return nil
	}
	out := make(map[string]sqstypes.MessageAttributeValue, len(attributes))
	for name, value := range attributes {
		out[name] = sqstypes.MessageAttributeValue{DataType: aws.String("String"), StringValue: &value}
	}
	return out
}

// SQS reads a message that ReceiveMessage returned: one sent to the queue, or
// what a topic (raw delivery or not) or a rule of EventBridge put into it.
func (c *Consumer[T]) SQS(ctx context.Context, m sqstypes.Message) (*T, error) {
	return c.message(ctx, wire.Message{Body: []byte(aws.ToString(m.Body)), Text: true, Attribute: func(name string) string {
		return aws.ToString(m.MessageAttributes[name].StringValue)
	}})
}

// SNS is the input of Publish for a value.
func (p *Producer[T]) SNS(topicARN string, v *T) (*sns.PublishInput, error) {
	body, attributes, err := p.Text(v)
	if err != nil {
		return nil, err
	}
	return &sns.PublishInput{TopicArn: &topicARN, Message: &body, MessageAttributes: snsAttributes(attributes)}, nil
}

// SNSEntry is an entry of PublishBatch for a value.
func (p *Producer[T]) SNSEntry(id string, v *T) (snstypes.PublishBatchRequestEntry, error) {
	body, attributes, err := p.Text(v)
	if err != nil {
		return snstypes.PublishBatchRequestEntry{}, err
	}
	return snstypes.PublishBatchRequestEntry{Id: &id, Message: &body, MessageAttributes: snsAttributes(attributes)}, nil
}

func snsAttributes(attributes map[string]string) map[string]snstypes.MessageAttributeValue {
	if attributes == nil {
		return nil
	}
	out := make(map[string]snstypes.MessageAttributeValue, len(attributes))
	for name, value := range attributes {
		out[name] = snstypes.MessageAttributeValue{DataType: aws.String("String"), StringValue: &value}
	}
	return out
}

// SNS reads the notification that a topic posts to an HTTP endpoint.
func (c *Consumer[T]) SNS(ctx context.Context, notification []byte) (*T, error) {
	return c.message(ctx, wire.Message{Body: notification, Text: true})
}

// Kinesis is the input of PutRecord for a value.
func (p *Producer[T]) Kinesis(stream, partitionKey string, v *T) (*kinesis.PutRecordInput, error) {
	data, err := p.record(v)
	if err != nil {
		return nil, err
	}
	return &kinesis.PutRecordInput{StreamName: &stream, PartitionKey: &partitionKey, Data: data}, nil
}

// KinesisEntry is an entry of PutRecords for a value.
func (p *Producer[T]) KinesisEntry(partitionKey string, v *T) (kinesistypes.PutRecordsRequestEntry, error) {
	data, err := p.record(v)
	return kinesistypes.PutRecordsRequestEntry{PartitionKey: &partitionKey, Data: data}, err
}

func (p *Producer[T]) record(v *T) ([]byte, error) {
	if p.ref.Form == wire.Named {
		return nil, ErrHeaderless
	}
	return p.Encode(v)
}

// Kinesis reads a record that GetRecords or a subscription returned.
func (c *Consumer[T]) Kinesis(ctx context.Context, r kinesistypes.Record) (*T, error) {
	return c.Decode(ctx, r.Data)
}

// Event is an entry of PutEvents for a value. Its detail is JSON that rules can
// match: dataschema, dataschemaversion and datacontenttype, and the value as data
// in Avro's JSON encoding, where a value of a union is in an object that names
// its type: {"detail":{"data":{"note":{"string":["…"]}}}}.
//
// The detail names the schema by name and version; by the version's id where it
// has no semantic version.
func (p *Producer[T]) Event(bus, source, detailType string, v *T) (ebtypes.PutEventsRequestEntry, error) {
	detail, err := p.Detail(v)
	if err != nil {
		return ebtypes.PutEventsRequestEntry{}, err
	}
	return ebtypes.PutEventsRequestEntry{EventBusName: &bus, Source: &source, DetailType: &detailType, Detail: aws.String(string(detail))}, nil
}

// Events is the input of PutEvents for entries.
func Events(entries ...ebtypes.PutEventsRequestEntry) *eventbridge.PutEventsInput {
	return &eventbridge.PutEventsInput{Entries: entries}
}

// Detail is the JSON of an event's detail, as in Event.
func (p *Producer[T]) Detail(v *T) ([]byte, error) {
	ref, err := p.version.Reference(wire.Named)
	if errors.Is(err, ErrForm) {
		ref, err = p.version.Reference(wire.Glue)
	}
	if err != nil {
		return nil, err
	}
	value, err := p.told(v)
	if err != nil {
		return nil, err
	}
	data, err := p.version.schema.EncodeJSON(value, twmb.TaggedUnions())
	if err != nil {
		return nil, invalid(p.version, err)
	}
	return wire.AppendEnvelope(nil, ref, wire.AvroJSON, data)
}

// Event reads an event as EventBridge delivers it to targets, or its detail
// alone.
func (c *Consumer[T]) Event(ctx context.Context, event []byte) (*T, error) {
	return c.message(ctx, wire.Message{Body: event, Text: true})
}

func (c *Consumer[T]) message(ctx context.Context, m wire.Message) (*T, error) {
	v := new(T)
	if err := c.Read(ctx, m, v); err != nil {
		return nil, err
	}
	return v, nil
}
