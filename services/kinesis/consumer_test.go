package kinesis

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

func TestConsumers(t *testing.T) {
	f := newFixture(t)
	arn := f.stream("s", 1)
	for i := range 20 {
		f.consumer(arn, fmt.Sprintf("c%02d", i))
	}
	_, err := f.c.RegisterStreamConsumer(f.ctx, &kinesis.RegisterStreamConsumerInput{StreamARN: &arn, ConsumerName: ptr("more")})
	refused(t, err, "LimitExceededException", "20 registered consumers, which is the limit")
	_, err = f.c.RegisterStreamConsumer(f.ctx, &kinesis.RegisterStreamConsumerInput{StreamARN: &arn, ConsumerName: ptr("c00")})
	refused(t, err, "ResourceInUseException", "Consumer c00 under stream s of account 111122223333 already exists.")
	p1, err := f.c.ListStreamConsumers(f.ctx, &kinesis.ListStreamConsumersInput{StreamARN: &arn, MaxResults: ptr(int32(15))})
	must(t, err)
	p2, err := f.c.ListStreamConsumers(f.ctx, &kinesis.ListStreamConsumersInput{StreamARN: &arn, NextToken: p1.NextToken})
	must(t, err)
	if len(p1.Consumers) != 15 || len(p2.Consumers) != 5 || p2.NextToken != nil {
		t.Errorf("pages of %d and %d", len(p1.Consumers), len(p2.Consumers))
	}
	_, err = f.c.DeleteStream(f.ctx, &kinesis.DeleteStreamInput{StreamARN: &arn})
	refused(t, err, "ResourceInUseException", "has registered consumers")
	_, err = f.c.DeregisterStreamConsumer(f.ctx, &kinesis.DeregisterStreamConsumerInput{StreamARN: &arn, ConsumerName: ptr("c00")})
	must(t, err)
	_, err = f.c.DescribeStreamConsumer(f.ctx, &kinesis.DescribeStreamConsumerInput{ConsumerARN: ptr(arn + "/consumer/c01:17")})
	refused(t, err, "ResourceNotFoundException", "Consumer c01 under stream s of account 111122223333 not found.")
	_, err = f.c.DeleteStream(f.ctx, &kinesis.DeleteStreamInput{StreamARN: &arn, EnforceConsumerDeletion: ptr(true)})
	must(t, err)
}

// clients are the ways in which a consumer can connect.
func (f *fixture) clients() map[string]*kinesis.Client {
	h2c := &http.Transport{Protocols: new(http.Protocols)}
	h2c.Protocols.SetUnencryptedHTTP2(true)
	f.t.Cleanup(h2c.CloseIdleConnections)
	return map[string]*kinesis.Client{
		"HTTP/1.1": f.c,
		"h2c":      f.client(account, func(o *kinesis.Options) { o.HTTPClient = &http.Client{Transport: h2c} }),
		"TLS h2":   f.client(account, func(o *kinesis.Options) { o.HTTPClient, o.BaseEndpoint = f.tls.Client(), &f.tls.URL }),
	}
}

func TestSubscribeToShard(t *testing.T) {
	f := newFixture(t)
	arn := f.stream("s", 1)
	n := 0
	for name, c := range f.clients() {
		n++
		consumer := f.consumer(arn, fmt.Sprint("c", n))
		in := &kinesis.SubscribeToShardInput{ConsumerARN: &consumer, ShardId: ptr("shardId-000000000000"), StartingPosition: &types.StartingPosition{Type: types.ShardIteratorTypeLatest}}
		out, err := c.SubscribeToShard(f.ctx, in)
		must(t, err)
		_, err = c.SubscribeToShard(f.ctx, in)
		refused(t, err, "ResourceInUseException", "Another active subscription exists for this consumer: 111122223333:s:shardId-000000000000:c")
		p := f.put("s", "k", "hello "+name)
		select {
		case e := <-out.GetStream().Events():
			v := e.(*types.SubscribeToShardEventStreamMemberSubscribeToShardEvent).Value
			if len(v.Records) != 1 || string(v.Records[0].Data) != "hello "+name || *v.ContinuationSequenceNumber != *p.SequenceNumber || *v.MillisBehindLatest != 0 {
				t.Errorf("%s: event %+v", name, v)
			}
		case <-time.After(10 * time.Second):
			t.Errorf("%s: no event", name)
		}
		_, err = c.DeregisterStreamConsumer(f.ctx, &kinesis.DeregisterStreamConsumerInput{ConsumerARN: &consumer})
		must(t, err)
		for range out.GetStream().Events() {
		}
		var gone *types.ResourceNotFoundException
		if err := out.GetStream().Err(); !errors.As(err, &gone) {
			t.Errorf("%s: a subscription of a consumer that is gone ended with %v", name, err)
		}
		out.GetStream().Close() // tells the same again
	}
	consumer := f.consumer(arn, "c")
	_, err := f.c.SubscribeToShard(f.ctx, &kinesis.SubscribeToShardInput{ConsumerARN: &consumer, ShardId: ptr("shardId-000000000009"), StartingPosition: &types.StartingPosition{Type: types.ShardIteratorTypeLatest}})
	refused(t, err, "ResourceNotFoundException", "Shard shardId-000000000009 in stream s under account 111122223333 does not exist")
	ctx, cancel := context.WithCancel(f.ctx)
	out, err := f.c.SubscribeToShard(ctx, &kinesis.SubscribeToShardInput{ConsumerARN: &consumer, ShardId: ptr("shardId-000000000000"), StartingPosition: &types.StartingPosition{Type: types.ShardIteratorTypeTrimHorizon}})
	must(t, err)
	if e, ok := (<-out.GetStream().Events()).(*types.SubscribeToShardEventStreamMemberSubscribeToShardEvent); !ok || len(e.Value.Records) != 3 {
		t.Errorf("from the horizon: %+v", e)
	}
	cancel()
	for range out.GetStream().Events() {
	}
}
