package test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

func TestContractsOfQueues(t *testing.T) {
	s := newMarket(t, need(t))
	ctx := t.Context()
	dead := s.queue("dead", nil)
	redrive := map[string]string{"RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":5}`, s.queueARN("dead"))}

	q := s.queue("orders", nil, "dhow:schema", "shop/order@^1")
	for version, payload := range [][]byte{order10, order11} {
		_, err := s.sqs.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: q, MessageBody: s.text(version, payload)})
		s.must(err)
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
	s.must(err)
	if len(batch.Successful) != 1 || *batch.Successful[0].Id != "good" || len(batch.Failed) != 2 || *batch.Failed[0].Code != "InvalidMessageContents" || !batch.Failed[0].SenderFault || !strings.Contains(*batch.Failed[0].Message, "Order.id") {
		t.Errorf("the batch: %+v %+v", batch.Successful, batch.Failed)
	}
	if got := s.take(q); *got.Body != `{"id":"b"}` {
		t.Errorf("received %s", *got.Body)
	}

	d := s.queue("letters", redrive, "dhow:schema", "shop/order", "dhow:schema-mode", "dead-letter")
	sent, err := s.sqs.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: d, MessageBody: aws.String("hello"), MessageAttributes: map[string]sqstypes.MessageAttributeValue{"color": {DataType: aws.String("String"), StringValue: aws.String("red")}}})
	s.must(err)
	m := s.take(dead)
	s.letter(m, s.queueARN("letters"), "hello", "name the version by a header")
	if *m.MessageId != *sent.MessageId || aws.ToString(m.MessageAttributes["color"].StringValue) != "red" {
		t.Errorf("the dead letter is %s %v, sent was %s", *m.MessageId, m.MessageAttributes, *sent.MessageId)
	}
	s.empty(d)

	// What comes back from a dead-letter queue is checked too: what is not of the
	// schema goes to that queue's end, and says so still.
	_, err = s.sqs.TagQueue(ctx, &sqs.TagQueueInput{QueueUrl: d, Tags: map[string]string{"dhow:schema": "shop/order@1.0"}})
	s.must(err)
	for _, body := range []*string{s.text(1, order11), aws.String("hello")} {
		_, err = s.sqs.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: d, MessageBody: body})
		s.must(err)
	}
	_, err = s.sqs.TagQueue(ctx, &sqs.TagQueueInput{QueueUrl: d, Tags: map[string]string{"dhow:schema": "shop/order@1"}})
	s.must(err)
	_, err = s.sqs.StartMessageMoveTask(ctx, &sqs.StartMessageMoveTaskInput{SourceArn: aws.String(s.queueARN("dead"))})
	s.must(err)
	if m := s.take(d); *m.Body != *s.text(1, order11) || len(m.MessageAttributes) != 0 || m.Attributes["DeadLetterQueueSourceArn"] != "" {
		t.Errorf("moved back: %s %v %v", *m.Body, m.MessageAttributes, m.Attributes)
	}
	s.letter(s.take(dead), s.queueARN("letters"), "hello", "name the version by a header")
	s.empty(dead)
	moves, err := s.sqs.ListMessageMoveTasks(ctx, &sqs.ListMessageMoveTasksInput{SourceArn: aws.String(s.queueARN("dead"))})
	s.must(err)
	if m := moves.Results[0]; aws.ToInt64(m.ApproximateNumberOfMessagesToMove) != 2 || m.ApproximateNumberOfMessagesMoved != 1 {
		t.Errorf("of %d letters %d have moved", *m.ApproximateNumberOfMessagesToMove, m.ApproximateNumberOfMessagesMoved)
	}
	s.empty(d)
	_, err = s.sqs.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{QueueUrl: d, Attributes: map[string]string{"RedrivePolicy": ""}})
	s.refused(err, "InvalidParameterValue", "has no dead-letter queue")

	// FIFO queues keep groups, and a second send of the same is a duplicate.
	deadFIFO := s.queue("dead.fifo", nil)
	f := s.queue("letters.fifo", map[string]string{"ContentBasedDeduplication": "true"}, "dhow:schema", "shop/order", "dhow:schema-mode", "dead-letter", "dhow:schema-dead-letter", s.queueARN("dead.fifo"))
	for range 2 {
		_, err = s.sqs.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: f, MessageBody: aws.String("hello"), MessageGroupId: aws.String("g")})
		s.must(err)
	}
	if m := s.take(deadFIFO); m.Attributes["MessageGroupId"] != "g" {
		t.Errorf("the dead letter is of %v", m.Attributes)
	}
	// Letters come back from a queue that only a tag names.
	toBe := s.queue("named", nil)
	n := s.queue("naming", nil, "dhow:schema", "shop/order", "dhow:schema-mode", "dead-letter", "dhow:schema-dead-letter", s.queueARN("named"))
	_, err = s.sqs.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: n, MessageBody: aws.String("hello")})
	s.must(err)
	_, err = s.sqs.TagQueue(ctx, &sqs.TagQueueInput{QueueUrl: n, Tags: map[string]string{"dhow:schema-mode": "observe"}})
	s.must(err)
	_, err = s.sqs.StartMessageMoveTask(ctx, &sqs.StartMessageMoveTaskInput{SourceArn: aws.String(s.queueARN("named"))})
	s.must(err)
	if m := s.take(n); *m.Body != "hello" {
		t.Errorf("%s came back", *m.Body)
	}
	s.empty(toBe)
	s.empty(deadFIFO)

	o := s.queue("watched", nil, "dhow:schema", "shop/order", "dhow:schema-mode", "observe")
	_, err = s.sqs.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: o, MessageBody: aws.String("hello")})
	s.must(err)
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
	s.must(err)
	_, err = s.sqs.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: o, MessageBody: aws.String("hello")})
	s.refused(err, "InvalidMessageContents", "shop/order")
	_, err = s.sqs.UntagQueue(ctx, &sqs.UntagQueueInput{QueueUrl: o, TagKeys: []string{"dhow:schema", "dhow:schema-mode"}})
	s.must(err)
	_, err = s.sqs.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: o, MessageBody: aws.String("hello")})
	s.must(err)
}

func TestContractsOfTopics(t *testing.T) {
	s := newMarket(t, need(t))
	ctx := t.Context()
	topic := func(name string, tags ...string) *string {
		t.Helper()
		var list []snstypes.Tag
		for k, v := range pairs(tags) {
			list = append(list, snstypes.Tag{Key: &k, Value: &v})
		}
		out, err := s.sns.CreateTopic(ctx, &sns.CreateTopicInput{Name: &name, Tags: list})
		s.must(err)
		return out.TopicArn
	}
	subscribe := func(topic *string, queue string, attributes map[string]string) {
		t.Helper()
		_, err := s.sns.Subscribe(ctx, &sns.SubscribeInput{TopicArn: topic, Protocol: aws.String("sqs"), Endpoint: aws.String(s.queueARN(queue)), Attributes: attributes})
		s.must(err)
	}
	heard, dead := s.queue("heard", nil), s.queue("dead", nil)

	a := topic("orders", "dhow:schema", "shop/order@1")
	subscribe(a, "heard", map[string]string{"RawMessageDelivery": "true"})
	_, err := s.sns.Publish(ctx, &sns.PublishInput{TopicArn: a, Message: s.text(0, order10)})
	s.must(err)
	s.take(heard)
	_, err = s.sns.Publish(ctx, &sns.PublishInput{TopicArn: a, Message: s.text(1, order10)})
	s.refused(err, "InvalidParameter", cut)
	batch, err := s.sns.PublishBatch(ctx, &sns.PublishBatchInput{TopicArn: a, PublishBatchRequestEntries: []snstypes.PublishBatchRequestEntry{
		{Id: aws.String("bad"), Message: aws.String("hello")}, {Id: aws.String("good"), Message: aws.String(`{"id":"a","total":1}`)}}})
	s.must(err)
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
	s.must(err)
	m := s.take(dead)
	if s.letter(m, *b, "hello", "name the version by a header"); *m.MessageId != *out.MessageId {
		t.Errorf("the dead letter is %s, published was %s", *m.MessageId, *out.MessageId)
	}

	c := topic("watched", "dhow:schema", "shop/order", "dhow:schema-mode", "observe")
	subscribe(c, "heard", map[string]string{"RawMessageDelivery": "true"})
	_, err = s.sns.Publish(ctx, &sns.PublishInput{TopicArn: c, Message: aws.String("hello")})
	s.must(err)
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
		s.must(err)
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

// TestContractsUnderLoad sends while tags change, kills the platform and starts
// it again, and deletes versions: what was taken is what was right at its time,
// counts last, and what is in use is not deleted.
func TestContractsUnderLoad(t *testing.T) {
	p := ownPlatform(t)
	s := newMarket(t, p)
	ctx, address := t.Context(), p.address()
	q := s.queue("orders", nil, "dhow:schema", "shop/order@1")
	tag := func(schema string) {
		t.Helper()
		_, err := s.sqs.TagQueue(ctx, &sqs.TagQueueInput{QueueUrl: q, Tags: map[string]string{"dhow:schema": schema}})
		s.must(err)
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
	s.must(err)
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
	s.must(err)
	metrics, err := io.ReadAll(res.Body)
	res.Body.Close()
	s.must(err)
	for _, want := range []string{`dhow_schema_messages_total{outcome="accepted",resource="` + s.queueARN("orders") + `",schema="shop/order",version="1.0.0"} 1`, `outcome="refused",resource="` + s.queueARN("orders") + `",schema="shop/order",version=""} 1`} {
		if !strings.Contains(string(metrics), want) {
			t.Errorf("the metrics lack %s", want)
		}
	}

	_, err = s.glue.DeleteSchema(ctx, &glue.DeleteSchemaInput{SchemaId: s.schema()})
	s.refused(err, "InvalidInputException", "is in use: "+s.queueARN("orders")+" took")
	_, err = s.sqs.TagQueue(ctx, &sqs.TagQueueInput{QueueUrl: q, Tags: map[string]string{"team": "shop"}})
	s.must(err)
	// The queue goes; then nothing uses the schema. One that is made later and
	// outlives it refuses in words.
	_, err = s.sqs.DeleteQueue(ctx, &sqs.DeleteQueueInput{QueueUrl: q})
	s.must(err)
	late := s.queue("late", nil, "dhow:schema", "shop/order@1")
	_, err = s.glue.DeleteSchema(ctx, &glue.DeleteSchemaInput{SchemaId: s.schema()})
	s.must(err)
	_, err = s.sqs.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: late, MessageBody: s.text(0, order10)})
	s.refused(err, "InvalidMessageContents", "names schema shop/order, which was deleted")
}
