package test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	ebtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// TestEventsIntoStream has a rule put events into a stream of two shards, under
// the key that a path finds in them and, by another target, under their ids. An
// event without the key, and one for a stream that is gone, become dead letters.
func TestEventsIntoStream(t *testing.T) {
	p := need(t)
	ctx := t.Context()
	account := newAccount()
	cfg := aws.Config{Region: "us-east-1", BaseEndpoint: &p.url, Credentials: credentials.NewStaticCredentialsProvider(account, "any", "")}
	events, streams, queues := eventbridge.NewFromConfig(cfg), kinesis.NewFromConfig(cfg), sqs.NewFromConfig(cfg)
	check := failing(t)
	arn := func(service, rest string) *string {
		return aws.String("arn:aws:" + service + ":us-east-1:" + account + ":" + rest)
	}
	for _, name := range []string{"keyed", "plain"} {
		_, err := streams.CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: &name, ShardCount: aws.Int32(2)})
		check(err)
		created(t, streams, name)
	}
	dead, err := queues.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String("dead")})
	check(err)
	rule := aws.String("r")
	_, err = events.PutRule(ctx, &eventbridge.PutRuleInput{Name: rule, EventPattern: aws.String(`{"source":["shop"]}`)})
	check(err)
	target := func(id, stream string, path *string) ebtypes.Target {
		out := ebtypes.Target{Id: &id, Arn: arn("kinesis", "stream/"+stream), DeadLetterConfig: &ebtypes.DeadLetterConfig{Arn: arn("sqs", "dead")}}
		if path != nil {
			out.KinesisParameters = &ebtypes.KinesisParameters{PartitionKeyPath: path}
		}
		return out
	}
	put, err := events.PutTargets(ctx, &eventbridge.PutTargetsInput{Rule: rule, Targets: []ebtypes.Target{
		target("keyed", "keyed", aws.String("$.detail.user")), target("plain", "plain", nil), target("gone", "gone", nil)}})
	check(err)
	if put.FailedEntryCount != 0 {
		t.Fatalf("%+v", put.FailedEntries)
	}
	send := func(detail string) string {
		t.Helper()
		out, err := events.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []ebtypes.PutEventsRequestEntry{{Source: aws.String("shop"), DetailType: aws.String("Order"), Detail: &detail}}})
		check(err)
		if out.FailedEntryCount != 0 {
			t.Fatalf("%+v", out.Entries)
		}
		return *out.Entries[0].EventId
	}
	user := map[string]string{} // by the event's id
	for n := range 20 {
		name := fmt.Sprint("user-", n%5)
		user[send(fmt.Sprintf(`{"user":%q,"n":%d}`, name, n))] = name
	}
	keyless := send(`{"n":20}`)

	// Each stream has each event once, under its key, and a key in one shard.
	keyed, where := map[string]string{}, map[string]string{}
	follow(t, streams, "keyed", len(user), func(shard string, r types.Record) {
		id := eventID(t, r)
		if keyed[id] = *r.PartitionKey; keyed[id] != user[id] {
			t.Errorf("the event of %q is under the key %q", user[id], keyed[id])
		}
		if s, ok := where[*r.PartitionKey]; ok && s != shard {
			t.Errorf("key %s is in %s and in %s", *r.PartitionKey, s, shard)
		}
		where[*r.PartitionKey] = shard
	})
	plain := map[string]bool{}
	follow(t, streams, "plain", len(user)+1, func(_ string, r types.Record) {
		id := eventID(t, r)
		if plain[id] = true; *r.PartitionKey != id {
			t.Errorf("event %s is under the key %s", id, *r.PartitionKey)
		}
	})
	if len(keyed) != len(user) || len(plain) != len(user)+1 || !plain[keyless] {
		t.Errorf("%d events are in the stream with keys, %d in the other, of %d", len(keyed), len(plain), len(user)+1)
	}

	codes := map[string]int{}
	eventually(t, 20*time.Second, func() error {
		got, err := queues.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: dead.QueueUrl, MaxNumberOfMessages: 10, WaitTimeSeconds: 1, MessageAttributeNames: []string{"All"}})
		check(err)
		for _, m := range got.Messages {
			target, code := *m.MessageAttributes["TARGET_ARN"].StringValue, *m.MessageAttributes["ERROR_CODE"].StringValue
			codes[target+" "+code]++
			_, err := queues.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: dead.QueueUrl, ReceiptHandle: m.ReceiptHandle})
			check(err)
		}
		if codes[*arn("kinesis", "stream/gone")+" NO_RESOURCE"] != len(user)+1 || codes[*arn("kinesis", "stream/keyed")+" INVALID_INPUT"] != 1 || len(codes) != 2 {
			return fmt.Errorf("dead letters: %v", codes)
		}
		return nil
	})
}

// TestEventsIntoBusyShard puts more on one shard than it takes in a second: what
// it refuses comes later, all of it.
func TestEventsIntoBusyShard(t *testing.T) {
	p := need(t)
	ctx := t.Context()
	account := newAccount()
	const size, events = 240_000, 12
	cfg := aws.Config{Region: "us-east-1", BaseEndpoint: &p.url, Credentials: credentials.NewStaticCredentialsProvider(account, "any", "")}
	bus, streams := eventbridge.NewFromConfig(cfg), kinesis.NewFromConfig(cfg)
	check := failing(t)
	_, err := streams.CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: aws.String("narrow"), ShardCount: aws.Int32(1)})
	check(err)
	created(t, streams, "narrow")
	_, err = bus.PutRule(ctx, &eventbridge.PutRuleInput{Name: aws.String("r"), EventPattern: aws.String(`{"source":["bulk"]}`)})
	check(err)
	_, err = bus.PutTargets(ctx, &eventbridge.PutTargetsInput{Rule: aws.String("r"), Targets: []ebtypes.Target{
		{Id: aws.String("s"), Arn: aws.String("arn:aws:kinesis:us-east-1:" + account + ":stream/narrow"), InputPath: aws.String("$.detail")}}})
	check(err)
	begin := time.Now()
	load := strings.Repeat("x", size)
	for range events / 4 { // as much as a call may have
		in := &eventbridge.PutEventsInput{}
		for range 4 {
			in.Entries = append(in.Entries, ebtypes.PutEventsRequestEntry{Source: aws.String("bulk"), DetailType: aws.String("x"), Detail: aws.String(`{"load":"` + load + `"}`)})
		}
		out, err := bus.PutEvents(ctx, in)
		check(err)
		if out.FailedEntryCount != 0 {
			t.Fatalf("%+v", out.Entries)
		}
	}
	follow(t, streams, "narrow", events, func(_ string, r types.Record) {
		if string(r.Data) != `{"load":"`+load+`"}` {
			t.Errorf("a record has %d bytes", len(r.Data))
		}
	})
	if took := time.Since(begin); took < time.Second {
		t.Errorf("a shard took %d bytes in %v: nothing was refused, so this has shown nothing", events*size, took)
	}
}

func eventID(t *testing.T, r types.Record) string {
	t.Helper()
	var e struct{ ID string }
	if err := json.Unmarshal(r.Data, &e); err != nil || e.ID == "" {
		t.Fatalf("%s: %v", r.Data, err)
	}
	return e.ID
}

// created waits until a stream that is being made can be used.
func created(t *testing.T, c *kinesis.Client, stream string) {
	t.Helper()
	err := kinesis.NewStreamExistsWaiter(c).Wait(t.Context(), &kinesis.DescribeStreamInput{StreamName: &stream}, 20*time.Second,
		func(o *kinesis.StreamExistsWaiterOptions) { o.MinDelay, o.MaxDelay = 50*time.Millisecond, time.Second })
	if err != nil {
		t.Fatal(err)
	}
}

// follow reads a stream from its beginning until it gave n records, and then
// whatever else there is.
func follow(t *testing.T, c *kinesis.Client, stream string, n int, see func(shard string, r types.Record)) {
	t.Helper()
	shards, err := c.ListShards(t.Context(), &kinesis.ListShardsInput{StreamName: &stream})
	if err != nil {
		t.Fatal(err)
	}
	at := map[string]*string{}
	for _, s := range shards.Shards {
		it, err := c.GetShardIterator(t.Context(), &kinesis.GetShardIteratorInput{StreamName: &stream, ShardId: s.ShardId, ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
		if err != nil {
			t.Fatal(err)
		}
		at[*s.ShardId] = it.ShardIterator
	}
	had := 0
	eventually(t, 20*time.Second, func() error {
		for shard, it := range at {
			out, err := c.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: it})
			if err != nil {
				return err
			}
			at[shard], had = out.NextShardIterator, had+len(out.Records)
			for _, r := range out.Records {
				see(shard, r)
			}
		}
		if had != n {
			return fmt.Errorf("%s gave %d records, want %d", stream, had, n)
		}
		return nil
	})
}
