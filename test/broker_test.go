package test

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	ebtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	gluetypes "github.com/aws/aws-sdk-go-v2/service/glue/types"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	kintypes "github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
)

// market is an account with the schema shop/order in two versions: 1.0.0 has an
// id, 1.1.0 a total besides.
type market struct {
	*testing.T
	account  string
	url      string
	versions [2]string // UUIDs

	glue    *glue.Client
	sqs     *sqs.Client
	sns     *sns.Client
	kinesis *kinesis.Client
	events  *eventbridge.Client
}

var orderVersions = [2]string{
	`{"type":"record","name":"Order","namespace":"shop","fields":[{"name":"id","type":"string"}]}`,
	`{"type":"record","name":"Order","namespace":"shop","fields":[{"name":"id","type":"string"},{"name":"total","type":"double","default":0}]}`,
}

// order10 and order11 are {"id":"a"} and {"id":"a","total":0} in binary.
var order10, order11 = []byte{2, 'a'}, append([]byte{2, 'a'}, make([]byte, 8)...)

func newMarket(t *testing.T, p *platform, account string) *market {
	c := p.config(account)
	s := &market{T: t, account: account, url: p.url, glue: glue.NewFromConfig(c), sqs: sqs.NewFromConfig(c), sns: sns.NewFromConfig(c), kinesis: kinesis.NewFromConfig(c), events: eventbridge.NewFromConfig(c)}
	_, err := s.glue.CreateRegistry(t.Context(), &glue.CreateRegistryInput{RegistryName: aws.String("shop")})
	s.check(err)
	made, err := s.glue.CreateSchema(t.Context(), &glue.CreateSchemaInput{RegistryId: &gluetypes.RegistryId{RegistryName: aws.String("shop")}, SchemaName: aws.String("order"),
		DataFormat: gluetypes.DataFormatAvro, Compatibility: gluetypes.CompatibilityBackward, SchemaDefinition: &orderVersions[0]})
	s.check(err)
	next, err := s.glue.RegisterSchemaVersion(t.Context(), &glue.RegisterSchemaVersionInput{SchemaId: s.schema(), SchemaDefinition: &orderVersions[1]})
	s.check(err)
	s.versions = [2]string{*made.SchemaVersionId, *next.SchemaVersionId}
	return s
}

func (s *market) schema() *gluetypes.SchemaId {
	return &gluetypes.SchemaId{RegistryName: aws.String("shop"), SchemaName: aws.String("order")}
}

func (s *market) check(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// refused holds an error to a code and to words.
func (s *market) refused(err error, code, words string) {
	s.Helper()
	var e smithy.APIError
	if !errors.As(err, &e) || e.ErrorCode() != code || !strings.Contains(e.ErrorMessage(), words) {
		s.Errorf("the error is %v, want %s: …%s…", err, code, words)
	}
}

// order is an order in the form of Glue's serializers.
func (s *market) order(version int, payload []byte) []byte {
	var id []byte
	if _, err := fmt.Sscanf(strings.ReplaceAll(s.versions[version], "-", ""), "%x", &id); err != nil || len(id) != 16 {
		s.Fatal(err, s.versions[version])
	}
	return append(append([]byte{3, 0}, id...), payload...)
}

func (s *market) text(version int, payload []byte) *string {
	return aws.String(base64.StdEncoding.EncodeToString(s.order(version, payload)))
}

func (s *market) queueARN(name string) string {
	return "arn:aws:sqs:us-east-1:" + s.account + ":" + name
}

// queue makes a queue; tags are in turns key and value.
func (s *market) queue(name string, attributes map[string]string, tags ...string) *string {
	s.Helper()
	in := &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes, Tags: pairs(tags)}
	if strings.HasSuffix(name, ".fifo") {
		in.Attributes = map[string]string{"FifoQueue": "true"}
		for k, v := range attributes {
			in.Attributes[k] = v
		}
	}
	out, err := s.sqs.CreateQueue(s.Context(), in)
	s.check(err)
	return out.QueueUrl
}

func pairs(list []string) map[string]string {
	m := map[string]string{}
	for i := 0; i < len(list); i += 2 {
		m[list[i]] = list[i+1]
	}
	return m
}

// take waits for the next message of a queue.
func (s *market) take(url *string) (m sqstypes.Message) {
	s.Helper()
	eventually(s.T, 20*time.Second, func() error {
		out, err := s.sqs.ReceiveMessage(s.Context(), &sqs.ReceiveMessageInput{QueueUrl: url, WaitTimeSeconds: 2, MessageAttributeNames: []string{"All"},
			MessageSystemAttributeNames: []sqstypes.MessageSystemAttributeName{sqstypes.MessageSystemAttributeNameAll}})
		s.check(err)
		if len(out.Messages) == 0 {
			return fmt.Errorf("%s is empty", *url)
		}
		m = out.Messages[0]
		_, err = s.sqs.DeleteMessage(s.Context(), &sqs.DeleteMessageInput{QueueUrl: url, ReceiptHandle: m.ReceiptHandle})
		return err
	})
	return m
}

// empty holds a queue to have nothing.
func (s *market) empty(url *string) {
	s.Helper()
	out, err := s.sqs.ReceiveMessage(s.Context(), &sqs.ReceiveMessageInput{QueueUrl: url})
	s.check(err)
	if len(out.Messages) > 0 {
		s.Errorf("%s has %s", *url, *out.Messages[0].Body)
	}
}

// letter holds a message to be a dead letter of a resource for a reason.
func (s *market) letter(m sqstypes.Message, source, body, words string) {
	s.Helper()
	said := map[string]string{}
	for k, v := range m.MessageAttributes {
		said[k] = aws.ToString(v.StringValue)
	}
	if said["ERROR_CODE"] != "SCHEMA_VALIDATION_FAILED" || !strings.Contains(said["ERROR_MESSAGE"], words) || said["SOURCE_ARN"] != source || *m.Body != body {
		s.Errorf("the dead letter is %s %v, want %s of %s: …%s…", *m.Body, said, body, source, words)
	}
	if got := m.Attributes["DeadLetterQueueSourceArn"]; got != source {
		s.Errorf("the dead letter comes from %s", got)
	}
}

const cut = "Order.total: the bytes end within double"

func TestContractsOfQueues(t *testing.T) {
	s := newMarket(t, need(t), "444444444501")
	ctx := t.Context()
	dead := s.queue("dead", nil)
	redrive := map[string]string{"RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":5}`, s.queueARN("dead"))}

	q := s.queue("orders", nil, "dhow:schema", "shop/order@^1")
	for version, payload := range [][]byte{order10, order11} {
		_, err := s.sqs.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: q, MessageBody: s.text(version, payload)})
		s.check(err)
		if got := s.take(q); *got.Body != *s.text(version, payload) {
			t.Errorf("received %s", *got.Body)
		}
	}
	_, err := s.sqs.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: q, MessageBody: s.text(1, order10)})
	s.refused(err, "InvalidMessageContents", cut)
	var typed *sqstypes.InvalidMessageContents
	if !errors.As(err, &typed) {
		t.Errorf("the error is no InvalidMessageContents of the SDK's: %v", err)
	}
	named := map[string]sqstypes.MessageAttributeValue{
		"dataschema": {DataType: aws.String("String"), StringValue: aws.String("shop/order")}, "dataschemaversion": {DataType: aws.String("String"), StringValue: aws.String("1.0.0")}}
	batch, err := s.sqs.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: q, Entries: []sqstypes.SendMessageBatchRequestEntry{
		{Id: aws.String("good"), MessageBody: aws.String(`{"id":"b"}`), MessageAttributes: named},
		{Id: aws.String("bad"), MessageBody: aws.String(`{"id":7}`), MessageAttributes: named},
		{Id: aws.String("text"), MessageBody: aws.String("hello")},
	}})
	s.check(err)
	if len(batch.Successful) != 1 || *batch.Successful[0].Id != "good" || len(batch.Failed) != 2 || *batch.Failed[0].Code != "InvalidMessageContents" || !batch.Failed[0].SenderFault || !strings.Contains(*batch.Failed[0].Message, "Order.id") {
		t.Errorf("the batch: %+v %+v", batch.Successful, batch.Failed)
	}
	if got := s.take(q); *got.Body != `{"id":"b"}` {
		t.Errorf("received %s", *got.Body)
	}

	d := s.queue("letters", redrive, "dhow:schema", "shop/order", "dhow:schema-mode", "dead-letter")
	sent, err := s.sqs.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: d, MessageBody: aws.String("hello"), MessageAttributes: map[string]sqstypes.MessageAttributeValue{"color": {DataType: aws.String("String"), StringValue: aws.String("red")}}})
	s.check(err)
	m := s.take(dead)
	s.letter(m, s.queueARN("letters"), "hello", "name the version by a header")
	if *m.MessageId != *sent.MessageId || aws.ToString(m.MessageAttributes["color"].StringValue) != "red" {
		t.Errorf("the dead letter is %s %v, sent was %s", *m.MessageId, m.MessageAttributes, *sent.MessageId)
	}
	s.empty(d)

	// What comes back from a dead-letter queue is checked too: what is not of the
	// schema goes to that queue's end, and says so still.
	_, err = s.sqs.TagQueue(ctx, &sqs.TagQueueInput{QueueUrl: d, Tags: map[string]string{"dhow:schema": "shop/order@1.0"}})
	s.check(err)
	for _, body := range []*string{s.text(1, order11), aws.String("hello")} {
		_, err = s.sqs.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: d, MessageBody: body})
		s.check(err)
	}
	_, err = s.sqs.TagQueue(ctx, &sqs.TagQueueInput{QueueUrl: d, Tags: map[string]string{"dhow:schema": "shop/order@1"}})
	s.check(err)
	_, err = s.sqs.StartMessageMoveTask(ctx, &sqs.StartMessageMoveTaskInput{SourceArn: aws.String(s.queueARN("dead"))})
	s.check(err)
	if m := s.take(d); *m.Body != *s.text(1, order11) || len(m.MessageAttributes) != 0 || m.Attributes["DeadLetterQueueSourceArn"] != "" {
		t.Errorf("moved back: %s %v %v", *m.Body, m.MessageAttributes, m.Attributes)
	}
	s.letter(s.take(dead), s.queueARN("letters"), "hello", "name the version by a header")
	s.empty(dead)
	s.empty(d)
	_, err = s.sqs.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{QueueUrl: d, Attributes: map[string]string{"RedrivePolicy": ""}})
	s.refused(err, "InvalidParameterValue", "has no dead-letter queue")

	// FIFO queues keep groups, and a second send of the same is a duplicate.
	deadFIFO := s.queue("dead.fifo", nil)
	f := s.queue("letters.fifo", map[string]string{"ContentBasedDeduplication": "true"}, "dhow:schema", "shop/order", "dhow:schema-mode", "dead-letter", "dhow:schema-dead-letter", s.queueARN("dead.fifo"))
	for range 2 {
		_, err = s.sqs.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: f, MessageBody: aws.String("hello"), MessageGroupId: aws.String("g")})
		s.check(err)
	}
	if m := s.take(deadFIFO); m.Attributes["MessageGroupId"] != "g" {
		t.Errorf("the dead letter is of %v", m.Attributes)
	}
	s.empty(deadFIFO)

	o := s.queue("watched", nil, "dhow:schema", "shop/order", "dhow:schema-mode", "observe")
	_, err = s.sqs.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: o, MessageBody: aws.String("hello")})
	s.check(err)
	if got := s.take(o); *got.Body != "hello" {
		t.Errorf("received %s", *got.Body)
	}

	// What tags cannot be.
	_, err = s.sqs.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String("no"), Tags: map[string]string{"dhow:schema": "shop/none"}})
	s.refused(err, "InvalidParameterValue", "names shop/none, which is not in the registry")
	for words, tags := range map[string]map[string]string{
		"has no dead-letter queue":      {"dhow:schema-mode": "dead-letter"},
		"must be reject":                {"dhow:schema-mode": "warn"},
		"not a range of versions":       {"dhow:schema": "shop/order@newest"},
		"there is no tag dhow:schema-x": {"dhow:schema-x": "y"},
	} {
		_, err = s.sqs.TagQueue(ctx, &sqs.TagQueueInput{QueueUrl: q, Tags: tags})
		s.refused(err, "InvalidParameterValue", words)
	}
	_, err = s.sqs.TagQueue(ctx, &sqs.TagQueueInput{QueueUrl: dead, Tags: map[string]string{"dhow:schema-mode": "observe"}})
	s.refused(err, "InvalidParameterValue", "does nothing without dhow:schema")

	// Tags act at once, both ways.
	_, err = s.sqs.TagQueue(ctx, &sqs.TagQueueInput{QueueUrl: o, Tags: map[string]string{"dhow:schema-mode": "reject"}})
	s.check(err)
	_, err = s.sqs.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: o, MessageBody: aws.String("hello")})
	s.refused(err, "InvalidMessageContents", "shop/order")
	_, err = s.sqs.UntagQueue(ctx, &sqs.UntagQueueInput{QueueUrl: o, TagKeys: []string{"dhow:schema", "dhow:schema-mode"}})
	s.check(err)
	_, err = s.sqs.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: o, MessageBody: aws.String("hello")})
	s.check(err)
}

func TestContractsOfTopics(t *testing.T) {
	s := newMarket(t, need(t), "444444444502")
	ctx := t.Context()
	topic := func(name string, tags ...string) *string {
		t.Helper()
		var list []snstypes.Tag
		for k, v := range pairs(tags) {
			list = append(list, snstypes.Tag{Key: &k, Value: &v})
		}
		out, err := s.sns.CreateTopic(ctx, &sns.CreateTopicInput{Name: &name, Tags: list})
		s.check(err)
		return out.TopicArn
	}
	subscribe := func(topic *string, queue string, attributes map[string]string) {
		t.Helper()
		_, err := s.sns.Subscribe(ctx, &sns.SubscribeInput{TopicArn: topic, Protocol: aws.String("sqs"), Endpoint: aws.String(s.queueARN(queue)), Attributes: attributes})
		s.check(err)
	}
	heard, dead := s.queue("heard", nil), s.queue("dead", nil)

	a := topic("orders", "dhow:schema", "shop/order@1")
	subscribe(a, "heard", map[string]string{"RawMessageDelivery": "true"})
	_, err := s.sns.Publish(ctx, &sns.PublishInput{TopicArn: a, Message: s.text(0, order10)})
	s.check(err)
	s.take(heard)
	_, err = s.sns.Publish(ctx, &sns.PublishInput{TopicArn: a, Message: s.text(1, order10)})
	s.refused(err, "InvalidParameter", cut)
	batch, err := s.sns.PublishBatch(ctx, &sns.PublishBatchInput{TopicArn: a, PublishBatchRequestEntries: []snstypes.PublishBatchRequestEntry{
		{Id: aws.String("bad"), Message: aws.String("hello")}, {Id: aws.String("good"), Message: aws.String(`{"id":"a","total":1}`)}}})
	s.check(err)
	if len(batch.Successful) != 1 || *batch.Successful[0].Id != "good" || len(batch.Failed) != 1 || *batch.Failed[0].Id != "bad" || *batch.Failed[0].Code != "InvalidParameter" || !batch.Failed[0].SenderFault {
		t.Errorf("the batch: %+v %+v", batch.Successful, batch.Failed)
	}
	if m := s.take(heard); *m.Body != `{"id":"a","total":1}` {
		t.Errorf("heard %s", *m.Body)
	}
	_, err = s.sns.Publish(ctx, &sns.PublishInput{TopicArn: a, MessageStructure: aws.String("json"), Message: aws.String(`{"default":"{\"id\":\"a\",\"total\":1}","sqs":"hello","email":"Dear Ann"}`)})
	s.refused(err, "InvalidParameter", "shop/order")

	b := topic("letters", "dhow:schema", "shop/order", "dhow:schema-mode", "dead-letter", "dhow:schema-dead-letter", s.queueARN("dead"))
	out, err := s.sns.Publish(ctx, &sns.PublishInput{TopicArn: b, Message: aws.String("hello")})
	s.check(err)
	m := s.take(dead)
	if s.letter(m, *b, "hello", "name the version by a header"); *m.MessageId != *out.MessageId {
		t.Errorf("the dead letter is %s, published was %s", *m.MessageId, *out.MessageId)
	}

	c := topic("watched", "dhow:schema", "shop/order", "dhow:schema-mode", "observe")
	subscribe(c, "heard", map[string]string{"RawMessageDelivery": "true"})
	_, err = s.sns.Publish(ctx, &sns.PublishInput{TopicArn: c, Message: aws.String("hello")})
	s.check(err)
	if m := s.take(heard); *m.Body != "hello" {
		t.Errorf("heard %s", *m.Body)
	}

	_, err = s.sns.TagResource(ctx, &sns.TagResourceInput{ResourceArn: a, Tags: []snstypes.Tag{{Key: aws.String("dhow:schema-mode"), Value: aws.String("dead-letter")}}})
	s.refused(err, "InvalidParameter", "has no dead-letter queue: set the tag dhow:schema-dead-letter")
	_, err = s.sns.CreateTopic(ctx, &sns.CreateTopicInput{Name: aws.String("no"), Tags: []snstypes.Tag{{Key: aws.String("dhow:schema"), Value: aws.String("order")}}})
	s.refused(err, "InvalidParameter", "must be REGISTRY/NAME")

	// A topic without a schema delivers into a queue that has one: with the
	// notification around the message, and raw.
	plain := topic("plain")
	strict := s.queue("strict", nil, "dhow:schema", "shop/order")
	redrive := fmt.Sprintf(`{"deadLetterTargetArn":%q}`, s.queueARN("dead"))
	subscribe(plain, "strict", map[string]string{"RedrivePolicy": redrive})
	for _, message := range []*string{s.text(1, order11), aws.String("hello")} {
		_, err = s.sns.Publish(ctx, &sns.PublishInput{TopicArn: plain, Message: message})
		s.check(err)
	}
	var notification struct{ Message string }
	if err := json.Unmarshal([]byte(*s.take(strict).Body), &notification); err != nil || notification.Message != *s.text(1, order11) {
		t.Errorf("delivered %q, %v", notification.Message, err)
	}
	if m := s.take(dead); aws.ToString(m.MessageAttributes["ERROR_CODE"].StringValue) != "SCHEMA_VALIDATION_FAILED" || !strings.Contains(*m.Body, "hello") {
		t.Errorf("the dead letter is %s %v", *m.Body, m.MessageAttributes)
	}
	s.empty(strict)
}

func TestContractsOfStreams(t *testing.T) {
	s := newMarket(t, need(t), "444444444503")
	ctx := t.Context()
	dead := s.queue("dead", nil)
	stream := func(name string, tags ...string) (n *string, arn string) {
		t.Helper()
		_, err := s.kinesis.CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: &name, ShardCount: aws.Int32(1), Tags: pairs(tags)})
		s.check(err)
		s.check(kinesis.NewStreamExistsWaiter(s.kinesis).Wait(ctx, &kinesis.DescribeStreamInput{StreamName: &name}, 20*time.Second,
			func(o *kinesis.StreamExistsWaiterOptions) { o.MinDelay, o.MaxDelay = 50*time.Millisecond, time.Second }))
		return &name, "arn:aws:kinesis:us-east-1:" + s.account + ":stream/" + name
	}
	record := func(data []byte) kintypes.PutRecordsRequestEntry {
		return kintypes.PutRecordsRequestEntry{PartitionKey: aws.String("k"), Data: data}
	}

	a, arn := stream("orders", "dhow:schema", "shop/order@1")
	aggregates, _ := stream("aggregates", "dhow:schema", "shop/order@1")
	_, err := s.kinesis.PutRecord(ctx, &kinesis.PutRecordInput{StreamName: a, PartitionKey: aws.String("k"), Data: s.order(0, order10)})
	s.check(err)
	_, err = s.kinesis.PutRecord(ctx, &kinesis.PutRecordInput{StreamName: a, PartitionKey: aws.String("k"), Data: s.order(1, order10)})
	s.refused(err, "InvalidArgumentException", cut)
	_, err = s.kinesis.PutRecords(ctx, &kinesis.PutRecordsInput{StreamName: a, Records: []kintypes.PutRecordsRequestEntry{record(s.order(0, order10)), record(s.order(1, order10))}})
	s.refused(err, "InvalidArgumentException", "1 of 2 records; records[1]: the message is not of shop/order@1.1.0, which it names: "+cut)
	out, err := s.kinesis.PutRecords(ctx, &kinesis.PutRecordsInput{StreamName: a, Records: []kintypes.PutRecordsRequestEntry{record(s.order(0, order10)), record(order11)}})
	s.check(err)
	if *out.FailedRecordCount != 0 {
		t.Errorf("%+v", out.Records)
	}
	// Aggregates of the Kinesis Producer Library are looked into.
	for words, records := range map[string][][]byte{"": {s.order(0, order10), s.order(1, order11)}, cut: {s.order(0, order10), s.order(1, order10)}} {
		_, err = s.kinesis.PutRecord(ctx, &kinesis.PutRecordInput{StreamName: aggregates, PartitionKey: aws.String("k"), Data: aggregate(records...)})
		if words == "" {
			s.check(err)
		} else {
			s.refused(err, "InvalidArgumentException", words)
		}
	}
	follow(t, s.kinesis, *a, 3, func(_ string, r kintypes.Record) {
		if string(r.Data) != string(s.order(0, order10)) && string(r.Data) != string(order11) {
			t.Errorf("the stream has %q", r.Data)
		}
	})
	_, err = s.kinesis.AddTagsToStream(ctx, &kinesis.AddTagsToStreamInput{StreamName: a, Tags: map[string]string{"dhow:schema-mode": "dead-letter"}})
	s.refused(err, "InvalidArgumentException", "has no dead-letter queue")
	_, err = s.kinesis.CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: aws.String("no"), ShardCount: aws.Int32(1), Tags: map[string]string{"dhow:schema": "shop/order@7"}})
	s.refused(err, "InvalidArgumentException", "has no version in that range")

	_, err = s.kinesis.TagResource(ctx, &kinesis.TagResourceInput{ResourceARN: &arn, Tags: map[string]string{"dhow:schema-mode": "dead-letter", "dhow:schema-dead-letter": s.queueARN("dead")}})
	s.check(err)
	out, err = s.kinesis.PutRecords(ctx, &kinesis.PutRecordsInput{StreamName: a, Records: []kintypes.PutRecordsRequestEntry{record([]byte("hello")), record(s.order(1, order11))}})
	s.check(err)
	if *out.FailedRecordCount != 0 || *out.Records[0].ShardId != "dead-letter" || *out.Records[0].SequenceNumber != "0" || *out.Records[1].ShardId != "shardId-000000000000" {
		t.Errorf("the records: %s %s, %s", *out.Records[0].ShardId, *out.Records[0].SequenceNumber, *out.Records[1].ShardId)
	}
	m := s.take(dead)
	if s.letter(m, arn, base64.StdEncoding.EncodeToString([]byte("hello")), "name the version"); aws.ToString(m.MessageAttributes["PARTITION_KEY"].StringValue) != "k" {
		t.Errorf("the dead letter has %v", m.MessageAttributes)
	}
	_, err = s.kinesis.AddTagsToStream(ctx, &kinesis.AddTagsToStreamInput{StreamName: a, Tags: map[string]string{"dhow:schema-mode": "observe"}})
	s.check(err)
	_, err = s.kinesis.PutRecord(ctx, &kinesis.PutRecordInput{StreamName: a, PartitionKey: aws.String("k"), Data: []byte("hello")})
	s.check(err)
}

// aggregate is a record of the Kinesis Producer Library with several in it.
func aggregate(records ...[]byte) []byte {
	field := func(to []byte, tag byte, b []byte) []byte {
		return append(binary.AppendUvarint(append(to, tag), uint64(len(b))), b...)
	}
	m := field(nil, 1<<3|2, []byte("k"))
	for _, r := range records {
		m = field(m, 3<<3|2, field([]byte{1 << 3, 0}, 3<<3|2, r))
	}
	sum := md5.Sum(m)
	return slices.Concat([]byte{0xF3, 0x89, 0x9A, 0xC2}, m, sum[:])
}

func TestContractsOfBuses(t *testing.T) {
	s := newMarket(t, need(t), "444444444504")
	ctx := t.Context()
	dead, heard := s.queue("dead", nil), s.queue("heard", nil)
	bus := func(name string, letters string, tags ...string) string {
		t.Helper()
		in := &eventbridge.CreateEventBusInput{Name: &name}
		if letters != "" {
			in.DeadLetterConfig = &ebtypes.DeadLetterConfig{Arn: &letters}
		}
		for k, v := range pairs(tags) {
			in.Tags = append(in.Tags, ebtypes.Tag{Key: &k, Value: &v})
		}
		out, err := s.events.CreateEventBus(ctx, in)
		s.check(err)
		return *out.EventBusArn
	}
	rule := func(bus, name, target string, letters bool) {
		t.Helper()
		_, err := s.events.PutRule(ctx, &eventbridge.PutRuleInput{Name: &name, EventBusName: &bus, EventPattern: aws.String(`{"source":["shop"]}`)})
		s.check(err)
		to := ebtypes.Target{Id: aws.String("t"), Arn: &target}
		if letters {
			to.DeadLetterConfig = &ebtypes.DeadLetterConfig{Arn: aws.String(s.queueARN("dead"))}
		}
		if strings.Contains(target, ":event-bus/") {
			to.RoleArn = aws.String("arn:aws:iam::" + s.account + ":role/carrier")
		}
		_, err = s.events.PutTargets(ctx, &eventbridge.PutTargetsInput{Rule: &name, EventBusName: &bus, Targets: []ebtypes.Target{to}})
		s.check(err)
	}
	put := func(bus string, details ...string) []ebtypes.PutEventsResultEntry {
		t.Helper()
		var entries []ebtypes.PutEventsRequestEntry
		for _, d := range details {
			entries = append(entries, ebtypes.PutEventsRequestEntry{EventBusName: &bus, Source: aws.String("shop"), DetailType: aws.String("Order"), Detail: &d})
		}
		out, err := s.events.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: entries})
		s.check(err)
		return out.Entries
	}
	detail := func(m sqstypes.Message) string {
		var e struct{ Detail json.RawMessage }
		s.check(json.Unmarshal([]byte(*m.Body), &e))
		return string(e.Detail)
	}
	const good, bad = `{"id":"a","total":1}`, `{"id":"a","total":"x"}`

	a := bus("orders", "", "dhow:schema", "shop/order@1")
	rule("orders", "all", s.queueARN("heard"), false)
	wrapped := fmt.Sprintf(`{"dataschema":"shop/order","dataschemaversion":"1.0.0","datacontenttype":"avro/binary","data_base64":%q}`, base64.StdEncoding.EncodeToString(order10))
	got := put(a, good, bad, wrapped)
	if got[0].EventId == nil || got[2].EventId == nil || aws.ToString(got[1].ErrorCode) != "InvalidArgument" || !strings.Contains(aws.ToString(got[1].ErrorMessage), "Order.total") {
		t.Errorf("the entries: %+v", got)
	}
	if d := map[string]bool{detail(s.take(heard)): true, detail(s.take(heard)): true}; !d[good] || !d[wrapped] {
		t.Errorf("heard %v", d)
	}

	b := bus("letters", s.queueARN("dead"), "dhow:schema", "shop/order", "dhow:schema-mode", "dead-letter")
	if got := put(b, bad); got[0].EventId == nil {
		t.Errorf("the entries: %+v", got)
	}
	m := s.take(dead)
	if s.letter(m, b, *m.Body, "Order.total"); detail(m) != bad {
		t.Errorf("the dead letter is %s", *m.Body)
	}
	_, err := s.events.UpdateEventBus(ctx, &eventbridge.UpdateEventBusInput{Name: aws.String("letters"), DeadLetterConfig: &ebtypes.DeadLetterConfig{}})
	s.refused(err, "ValidationException", "give the bus a DeadLetterConfig")

	c := bus("watched", "", "dhow:schema", "shop/order", "dhow:schema-mode", "observe")
	rule("watched", "on", a, true) // and from there to the queue
	if got := put(c, good, bad); got[0].EventId == nil || got[1].EventId == nil {
		t.Errorf("the entries: %+v", got)
	}
	if d := detail(s.take(heard)); d != good {
		t.Errorf("the next bus sent on %s", d)
	}
	if m := s.take(dead); aws.ToString(m.MessageAttributes["ERROR_CODE"].StringValue) != "SCHEMA_VALIDATION_FAILED" || detail(m) != bad {
		t.Errorf("the dead letter is %s %v", *m.Body, m.MessageAttributes)
	}

	// Rules whose targets have schemas: a queue, a topic, a stream.
	bus("plain", "")
	s.queue("strict", nil, "dhow:schema", "shop/order")
	topic, err := s.sns.CreateTopic(ctx, &sns.CreateTopicInput{Name: aws.String("strict"), Tags: []snstypes.Tag{{Key: aws.String("dhow:schema"), Value: aws.String("shop/order")}}})
	s.check(err)
	_, err = s.kinesis.CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: aws.String("strict"), ShardCount: aws.Int32(1), Tags: map[string]string{"dhow:schema": "shop/order"}})
	s.check(err)
	s.check(kinesis.NewStreamExistsWaiter(s.kinesis).Wait(ctx, &kinesis.DescribeStreamInput{StreamName: aws.String("strict")}, 20*time.Second,
		func(o *kinesis.StreamExistsWaiterOptions) { o.MinDelay, o.MaxDelay = 50*time.Millisecond, time.Second }))
	targets := []string{s.queueARN("strict"), *topic.TopicArn, "arn:aws:kinesis:us-east-1:" + s.account + ":stream/strict"}
	for i, arn := range targets {
		rule("plain", fmt.Sprint("r", i), arn, true)
	}
	put("plain", bad)
	refused := map[string]string{}
	for range targets {
		m := s.take(dead)
		refused[aws.ToString(m.MessageAttributes["TARGET_ARN"].StringValue)] = aws.ToString(m.MessageAttributes["ERROR_MESSAGE"].StringValue)
	}
	for _, arn := range targets {
		if !strings.Contains(refused[arn], "Order.total") {
			t.Errorf("%s: the dead letter says %q", arn, refused[arn])
		}
	}

	_, err = s.events.TagResource(ctx, &eventbridge.TagResourceInput{ResourceARN: aws.String("arn:aws:events:us-east-1:" + s.account + ":rule/plain/r0"), Tags: []ebtypes.Tag{{Key: aws.String("dhow:schema"), Value: aws.String("shop/order")}}})
	s.refused(err, "ValidationException", "is for the event bus")
}

// usage is what GET /_dhow/schema/usage answers.
type usage struct {
	Usage []struct {
		Version, Resource, Sender string
		Accepted, Refused         int64
	}
}

func (s *market) usage() (u usage) {
	s.Helper()
	req, err := http.NewRequest(http.MethodGet, s.url+"/_dhow/schema/usage?schema=shop/order", nil)
	s.check(err)
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+s.account+"/20260101/us-east-1/glue/aws4_request, SignedHeaders=host, Signature=00")
	res, err := http.DefaultClient.Do(req)
	s.check(err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	s.check(err)
	if err := json.Unmarshal(body, &u); err != nil || res.StatusCode != 200 {
		s.Fatalf("usage: %d %s", res.StatusCode, body)
	}
	return u
}

// TestContractsUnderLoad sends while tags change, kills the platform and starts
// it again, and deletes versions: what was taken is what was right at its time,
// counts last, and what is in use is not deleted.
func TestContractsUnderLoad(t *testing.T) {
	p := ownPlatform(t)
	s := newMarket(t, p, "444444444505")
	ctx, address := t.Context(), p.address()
	q := s.queue("orders", nil, "dhow:schema", "shop/order@1")
	tag := func(schema string) {
		t.Helper()
		_, err := s.sqs.TagQueue(ctx, &sqs.TagQueueInput{QueueUrl: q, Tags: map[string]string{"dhow:schema": schema}})
		s.check(err)
	}
	// While a tag is the same before and after a send, it counts.
	var now atomic.Int64 // even: 1.0 only; odd: 1.1 only; of a change the half-way is -1
	now.Store(-1)
	var sent [2]atomic.Int64
	stop := make(chan struct{})
	var work sync.WaitGroup
	for worker := range 4 {
		version := worker % 2
		body := s.text(version, [][]byte{order10, order11}[version])
		work.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				before := now.Load()
				_, err := s.sqs.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: q, MessageBody: body})
				if err == nil {
					sent[version].Add(1)
				}
				if before < 0 || before != now.Load() {
					continue
				}
				if taken := int(before%2) == version; taken != (err == nil) {
					t.Errorf("version %d while the queue takes 1.%d: %v", version, before%2, err)
					return
				}
			}
		})
	}
	for n := range int64(20) {
		tag([]string{"shop/order@1.0", "shop/order@1.1"}[n%2])
		now.Store(n)
		time.Sleep(20 * time.Millisecond) // of load
		now.Store(-1)
	}
	close(stop)
	work.Wait()
	if sent[0].Load() == 0 || sent[1].Load() == 0 {
		t.Fatalf("sent %d and %d", sent[0].Load(), sent[1].Load())
	}
	tag("shop/order@1")
	counted := map[string]int64{}
	for _, u := range s.usage().Usage {
		counted[u.Version] += u.Accepted
	}
	if counted["1.0.0"] != sent[0].Load() || counted["1.1.0"] != sent[1].Load() {
		t.Errorf("counted %v, sent %d and %d", counted, sent[0].Load(), sent[1].Load())
	}

	p.kill()
	if err := p.start(address); err != nil {
		t.Fatal(err)
	}
	_, err := s.sqs.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: q, MessageBody: aws.String("hello")})
	s.refused(err, "InvalidMessageContents", "name the version")
	_, err = s.sqs.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: q, MessageBody: s.text(0, order10)})
	s.check(err)
	after := map[string]int64{}
	for _, u := range s.usage().Usage {
		after[u.Version] += u.Accepted
		if u.Resource != s.queueARN("orders") || u.Sender != "arn:aws:iam::"+s.account+":root" {
			t.Errorf("a row is %+v", u)
		}
	}
	if after["1.0.0"] != counted["1.0.0"]+1 || after["1.1.0"] != counted["1.1.0"] {
		t.Errorf("after a kill %v, before %v", after, counted)
	}
	res, err := http.Get(p.url + "/_dhow/metrics")
	s.check(err)
	metrics, err := io.ReadAll(res.Body)
	res.Body.Close()
	s.check(err)
	for _, want := range []string{`dhow_schema_messages_total{outcome="accepted",resource="` + s.queueARN("orders") + `",schema="shop/order",version="1.0.0"} 1`, `outcome="refused",resource="` + s.queueARN("orders") + `",schema="shop/order",version=""} 1`} {
		if !strings.Contains(string(metrics), want) {
			t.Errorf("the metrics lack %s", want)
		}
	}

	_, err = s.glue.DeleteSchema(ctx, &glue.DeleteSchemaInput{SchemaId: s.schema()})
	s.refused(err, "InvalidInputException", "is in use: "+s.queueARN("orders")+" took")
	_, err = s.sqs.TagQueue(ctx, &sqs.TagQueueInput{QueueUrl: q, Tags: map[string]string{"team": "shop"}})
	s.check(err)
	// The queue goes; then nothing uses the schema. One that is made later and
	// outlives it refuses in words.
	_, err = s.sqs.DeleteQueue(ctx, &sqs.DeleteQueueInput{QueueUrl: q})
	s.check(err)
	late := s.queue("late", nil, "dhow:schema", "shop/order@1")
	_, err = s.glue.DeleteSchema(ctx, &glue.DeleteSchemaInput{SchemaId: s.schema()})
	s.check(err)
	_, err = s.sqs.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: late, MessageBody: s.text(0, order10)})
	s.refused(err, "InvalidMessageContents", "names schema shop/order, which was deleted")
}
