package test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// acked is a record that a producer was told of.
type acked struct{ shard, sequence, key, data string }

// TestKinesisKill9 kills the platform ten times while producers put records into
// an encrypted stream whose shards change. What was acknowledged is there
// afterwards, where it was said to be, once, and in the order of its key; and a
// reader goes on after each restart with the iterator that it had before.
func TestKinesisKill9(t *testing.T) {
	need(t)
	p := ownPlatform(t)
	address := p.address()
	ctx := t.Context()
	c := kinesis.NewFromConfig(p.config("111111111111"))
	name := aws.String("s")
	check := failing(t)
	active := func() {
		t.Helper()
		eventually(t, 20*time.Second, func() error {
			out, err := c.DescribeStreamSummary(ctx, &kinesis.DescribeStreamSummaryInput{StreamName: name})
			if err == nil && out.StreamDescriptionSummary.StreamStatus != types.StreamStatusActive {
				err = fmt.Errorf("the stream is %s", out.StreamDescriptionSummary.StreamStatus)
			}
			return err
		})
	}
	_, err := c.CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: name, ShardCount: aws.Int32(4)})
	check(err)
	active()
	_, err = c.StartStreamEncryption(ctx, &kinesis.StartStreamEncryptionInput{StreamName: name, EncryptionType: types.EncryptionTypeKms, KeyId: aws.String("alias/aws/kinesis")})
	check(err)
	active()

	var mu sync.Mutex
	var told []acked
	produce := func(ctx context.Context, producer, round int) {
		for i := 0; ctx.Err() == nil; i++ {
			in := &kinesis.PutRecordsInput{StreamName: name}
			for n := range 10 {
				in.Records = append(in.Records, types.PutRecordsRequestEntry{PartitionKey: aws.String(fmt.Sprintf("p%d-%d", producer, n%3)),
					Data: fmt.Appendf(nil, "%d", (round*1_000_000+i)*100+n)})
			}
			out, err := c.PutRecords(ctx, in)
			if err != nil {
				return // killed: nobody knows what became of these
			}
			mu.Lock()
			for n, r := range out.Records {
				if r.ErrorCode == nil {
					told = append(told, acked{*r.ShardId, *r.SequenceNumber, *in.Records[n].PartitionKey, string(in.Records[n].Data)})
				}
			}
			mu.Unlock()
		}
	}
	it, err := c.GetShardIterator(ctx, &kinesis.GetShardIteratorInput{StreamName: name, ShardId: aws.String("shardId-000000000000"), ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
	check(err)
	token, followed := it.ShardIterator, 0
	for round := range 10 {
		run, stop := context.WithCancel(ctx)
		var producers sync.WaitGroup
		for producer := range 8 {
			producers.Go(func() { produce(run, producer, round) })
		}
		time.Sleep(time.Duration(100+round*37) * time.Millisecond) // load, before the kill in the midst of it
		if round%3 == 1 {                                          // and of a resharding
			_, err := c.UpdateShardCount(ctx, &kinesis.UpdateShardCountInput{StreamName: name, TargetShardCount: aws.Int32([]int32{6, 3, 5}[round/3]), ScalingType: types.ScalingTypeUniformScaling})
			check(err)
		}
		p.kill()
		producers.Wait()
		stop()
		check(p.start(address))
		active()
		if token != nil {
			out, err := c.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: token})
			check(err)
			followed += len(out.Records)
			token = out.NextShardIterator
		}
	}

	found := map[string]acked{} // by shard and sequence number
	last := map[string]int{}    // by key
	seen := map[string]bool{}
	shards, err := c.ListShards(ctx, &kinesis.ListShardsInput{StreamName: name})
	check(err)
	for _, s := range shards.Shards { // parents come before their children
		it, err := c.GetShardIterator(ctx, &kinesis.GetShardIteratorInput{StreamName: name, ShardId: s.ShardId, ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
		check(err)
		n := 0
		for token := it.ShardIterator; token != nil; {
			out, err := c.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: token})
			if err != nil && strings.Contains(err.Error(), "Rate exceeded") {
				time.Sleep(200 * time.Millisecond) // five reads a second
				continue
			}
			check(err)
			for _, r := range out.Records {
				n++
				key, data := *r.PartitionKey, string(r.Data)
				found[*s.ShardId+*r.SequenceNumber] = acked{*s.ShardId, *r.SequenceNumber, key, data}
				number, err := strconv.Atoi(data)
				check(err)
				if seen[key+"/"+data] {
					t.Errorf("record %s of %s is there twice", data, key)
				}
				seen[key+"/"+data] = true
				if number < last[key] {
					t.Errorf("record %d of %s came after %d", number, key, last[key])
				}
				last[key] = number
			}
			if token = out.NextShardIterator; *out.MillisBehindLatest == 0 {
				break
			}
		}
		if *s.ShardId == "shardId-000000000000" && token == nil && followed != n {
			t.Errorf("the reader that went on over the restarts has %d records of the first shard, which has %d", followed, n)
		}
	}
	lost := 0
	for _, a := range told {
		if found[a.shard+a.sequence] != a {
			lost++
		}
	}
	t.Logf("%d records acknowledged, %d lost, %d found; %d shards", len(told), lost, len(found), len(shards.Shards))
	if lost > 0 || len(told) < 1000 {
		t.Errorf("%d of %d acknowledged records are lost", lost, len(told))
	}
}
