package test

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	ebtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	kintypes "github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

func TestContractsOfStreams(t *testing.T) {
	s := newMarket(t, need(t))
	ctx := t.Context()
	dead := s.queue("dead", nil)
	stream := func(name string, tags ...string) (n *string, arn string) {
		t.Helper()
		_, err := s.kinesis.CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: &name, ShardCount: aws.Int32(1), Tags: pairs(tags)})
		s.must(err)
		created(t, s.kinesis, name)
		return &name, "arn:aws:kinesis:us-east-1:" + s.account + ":stream/" + name
	}
	record := func(data []byte) kintypes.PutRecordsRequestEntry {
		return kintypes.PutRecordsRequestEntry{PartitionKey: aws.String("k"), Data: data}
	}

	a, arn := stream("orders", "dhow:schema", "shop/order@1")
	aggregates, _ := stream("aggregates", "dhow:schema", "shop/order@1")
	_, err := s.kinesis.PutRecord(ctx, &kinesis.PutRecordInput{StreamName: a, PartitionKey: aws.String("k"), Data: s.order(0, order10)})
	s.must(err)
	_, err = s.kinesis.PutRecord(ctx, &kinesis.PutRecordInput{StreamName: a, PartitionKey: aws.String("k"), Data: s.order(1, order10)})
	s.refused(err, "InvalidArgumentException", cut)
	_, err = s.kinesis.PutRecords(ctx, &kinesis.PutRecordsInput{StreamName: a, Records: []kintypes.PutRecordsRequestEntry{record(s.order(0, order10)), record(s.order(1, order10))}})
	s.refused(err, "InvalidArgumentException", "1 of 2 records; records[1]: the message is not of shop/order@1.1.0, which it names: "+cut)
	out, err := s.kinesis.PutRecords(ctx, &kinesis.PutRecordsInput{StreamName: a, Records: []kintypes.PutRecordsRequestEntry{record(s.order(0, order10)), record(order11)}})
	s.must(err)
	if *out.FailedRecordCount != 0 {
		t.Errorf("%+v", out.Records)
	}
	// Aggregates of the Kinesis Producer Library are looked into.
	for words, records := range map[string][][]byte{"": {s.order(0, order10), s.order(1, order11)}, cut: {s.order(0, order10), s.order(1, order10)}} {
		_, err = s.kinesis.PutRecord(ctx, &kinesis.PutRecordInput{StreamName: aggregates, PartitionKey: aws.String("k"), Data: aggregate(records...)})
		if words == "" {
			s.must(err)
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
	s.must(err)
	out, err = s.kinesis.PutRecords(ctx, &kinesis.PutRecordsInput{StreamName: a, Records: []kintypes.PutRecordsRequestEntry{record([]byte("hello")), record(s.order(1, order11))}})
	s.must(err)
	if *out.FailedRecordCount != 0 || *out.Records[0].ShardId != "dead-letter" || *out.Records[0].SequenceNumber != "0" || *out.Records[1].ShardId != "shardId-000000000000" {
		t.Errorf("the records: %s %s, %s", *out.Records[0].ShardId, *out.Records[0].SequenceNumber, *out.Records[1].ShardId)
	}
	m := s.take(dead)
	if s.letter(m, arn, base64.StdEncoding.EncodeToString([]byte("hello")), "name the version"); aws.ToString(m.MessageAttributes["PARTITION_KEY"].StringValue) != "k" {
		t.Errorf("the dead letter has %v", m.MessageAttributes)
	}
	_, err = s.kinesis.AddTagsToStream(ctx, &kinesis.AddTagsToStreamInput{StreamName: a, Tags: map[string]string{"dhow:schema-mode": "observe"}})
	s.must(err)
	_, err = s.kinesis.PutRecord(ctx, &kinesis.PutRecordInput{StreamName: a, PartitionKey: aws.String("k"), Data: []byte("hello")})
	s.must(err)
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
	s := newMarket(t, need(t))
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
		s.must(err)
		return *out.EventBusArn
	}
	rule := func(bus, name, target string, letters bool) {
		t.Helper()
		_, err := s.events.PutRule(ctx, &eventbridge.PutRuleInput{Name: &name, EventBusName: &bus, EventPattern: aws.String(`{"source":["shop"]}`)})
		s.must(err)
		to := ebtypes.Target{Id: aws.String("t"), Arn: &target}
		if letters {
			to.DeadLetterConfig = &ebtypes.DeadLetterConfig{Arn: aws.String(s.queueARN("dead"))}
		}
		if strings.Contains(target, ":event-bus/") {
			to.RoleArn = aws.String("arn:aws:iam::" + s.account + ":role/carrier")
		}
		_, err = s.events.PutTargets(ctx, &eventbridge.PutTargetsInput{Rule: &name, EventBusName: &bus, Targets: []ebtypes.Target{to}})
		s.must(err)
	}
	put := func(bus string, details ...string) []ebtypes.PutEventsResultEntry {
		t.Helper()
		var entries []ebtypes.PutEventsRequestEntry
		for _, d := range details {
			entries = append(entries, ebtypes.PutEventsRequestEntry{EventBusName: &bus, Source: aws.String("shop"), DetailType: aws.String("Order"), Detail: &d})
		}
		out, err := s.events.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: entries})
		s.must(err)
		return out.Entries
	}
	detail := func(m sqstypes.Message) string {
		var e struct{ Detail json.RawMessage }
		s.must(json.Unmarshal([]byte(*m.Body), &e))
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
	s.must(err)
	_, err = s.kinesis.CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: aws.String("strict"), ShardCount: aws.Int32(1), Tags: map[string]string{"dhow:schema": "shop/order"}})
	s.must(err)
	created(t, s.kinesis, "strict")
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
