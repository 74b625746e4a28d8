package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

func kinesisClient(url string) *kinesis.Client {
	return kinesis.NewFromConfig(awsConfig(url), func(o *kinesis.Options) {
		t := &http.Transport{Protocols: new(http.Protocols)}
		t.Protocols.SetUnencryptedHTTP2(true) // as subscriptions are had on AWS
		o.HTTPClient = &http.Client{Transport: t}
	})
}

// makeStream returns its ARN when it is active.
func makeStream(ctx context.Context, c *kinesis.Client, name string, shards int32) (string, error) {
	if _, err := c.CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: &name, ShardCount: &shards}); err != nil {
		return "", err
	}
	for {
		out, err := c.DescribeStreamSummary(ctx, &kinesis.DescribeStreamSummaryInput{StreamName: &name})
		if err != nil {
			return "", err
		}
		if s := out.StreamDescriptionSummary; s.StreamStatus == types.StreamStatusActive {
			return *s.StreamARN, nil
		}
		if err := sleep(ctx, 50*time.Millisecond); err != nil {
			return "", err
		}
	}
}

// measureKinesis measures PutRecords, and how far a subscription lags.
func measureKinesis(ctx context.Context, b *bench) error {
	if _, err := b.platform(ctx); err != nil {
		return err
	}
	if err := putRecords(ctx, b); err != nil {
		return err
	}
	return subscription(ctx, b)
}

const (
	putBatch  = 500
	putRecord = 100 // bytes
)

// putRecords puts to as many shards as their limits need; what is throttled
// does not count. The floor is Pebble alone with batches of as many bytes.
func putRecords(ctx context.Context, b *bench) error {
	const (
		shards    = 400 // of 1,000 records a second
		perSecond = 200_000.0
		bar       = 0.5
		turns     = 6
		span      = 2 * time.Second
	)
	c := kinesisClient(b.p.url)
	if _, err := makeStream(ctx, c, "put", shards); err != nil {
		return err
	}
	set, err := startSet(filepath.Join(b.dir, "kinesis"))
	if err != nil {
		return err
	}
	defer set.stop()
	ours := putSide(ctx, b.p.url, b.p.pid(), "put")
	var raw []float64
	ours.before = func(ctx context.Context) error {
		rate, err := set.raw(ctx, putBatch, putRecord, span)
		raw = append(raw, rate)
		return err
	}
	if err := race(ctx, turns, span, ours); err != nil {
		return err
	}
	peer := askMoto(ctx, func(m *moto) (string, error) {
		if _, err := kinesis.NewFromConfig(awsConfig(m.url)).CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: aws.String("put"), ShardCount: aws.Int32(4)}); err != nil {
			return "", err
		}
		s := putSide(ctx, m.url, m.pid(), "put")
		err := s.turn(ctx, 5*time.Second)
		return fmt.Sprintf("%.0f/s", quantile(s.rates, 0)), err
	})
	ratio := shares(ratios(ours.rates, raw[1:]))
	rate := median(ours.rates)
	b.table.add("PutRecords of 500 × 100 B, 16 connections", ours.count("records"), fmt.Sprintf("raw Pebble batches %.0f/s; %s", median(raw[1:]), peer),
		fmt.Sprintf("%.0f/s, %s", rate, ratio), fmt.Sprintf("≥ %.0f/s or %.1f ×", perSecond, bar), verdict(rate >= perSecond || median(ratio) >= bar))
	_, err = c.DeleteStream(ctx, &kinesis.DeleteStreamInput{StreamName: aws.String("put")})
	return err
}

// putSide puts batches whose records go to all shards.
func putSide(ctx context.Context, url string, pid int, stream string) *side {
	data := orders(putBatch, putRecord)
	conns := dial(ctx, url, connections)
	requests := make([][]byte, connections)
	for w := range requests {
		var records []string
		for i := range putBatch {
			records = append(records, fmt.Sprintf(`{"PartitionKey":"%d-%d","Data":"%s"}`, w, i, base64.StdEncoding.EncodeToString([]byte(data[i]))))
		}
		requests[w] = kinesisAPI.request("PutRecords", fmt.Sprintf(`{"StreamName":"%s","Records":[%s]}`, stream, strings.Join(records, ",")))
	}
	return &side{pid: pid, do: func(i int) (int, error) {
		answer, err := conns[i].do(requests[i])
		if err != nil {
			return 0, err
		}
		return putBatch - bytes.Count(answer, []byte(`"ErrorCode"`)), nil
	}}
}

// subscription puts records at a rate to a shard that is subscribed to. The
// floor is the put: a record is not pushed before it is on the disk.
func subscription(ctx context.Context, b *bench) error {
	const (
		rate, n = 500, 5000 // half of a shard's limit
		bar     = 20 * time.Millisecond
	)
	c := kinesisClient(b.p.url)
	arn, err := makeStream(ctx, c, "lag", 1)
	if err != nil {
		return err
	}
	t := newTrips(0, n)
	end, err := subscribe(ctx, c, arn, t)
	if err != nil {
		return err
	}
	defer end()
	// Data is base64: the mark is in the partition key, which comes back with it.
	put := kinesisAPI.request("PutRecord", fmt.Sprintf(`{"StreamName":"lag","Data":"%s","PartitionKey":"%s"}`, base64.StdEncoding.EncodeToString(make([]byte, putRecord)), stamp))
	calls, err := openLoop(ctx, b.p.url, rate, n, put, func(i int, from time.Time) int {
		t.sent[i].Store(int64(from.Sub(epoch)))
		return i
	})
	if err != nil {
		return err
	}
	lags, err := t.wait(ctx)
	if err != nil {
		return err
	}
	p99 := quantile(lags, 0.99)
	b.table.add(fmt.Sprintf("PutRecord → SubscribeToShard, %d/s", rate), fmt.Sprintf("p50 %s, p99 %s, worst %s", fine(median(lags)), fine(p99), fine(quantile(lags, 1))),
		fmt.Sprintf("the put alone p50 %s, p99 %s", fine(median(calls)), fine(quantile(calls, 0.99))), fine(p99), "≤ "+ms(bar), verdict(p99 <= bar))
	_, err = c.DeleteStream(ctx, &kinesis.DeleteStreamInput{StreamName: aws.String("lag"), EnforceConsumerDeletion: aws.Bool(true)})
	return err
}

// subscribe notes the arrivals of what a shard is given from now on.
func subscribe(ctx context.Context, c *kinesis.Client, arn string, t *trips) (end func() error, err error) {
	r, err := c.RegisterStreamConsumer(ctx, &kinesis.RegisterStreamConsumerInput{StreamARN: &arn, ConsumerName: aws.String("bench")})
	if err != nil {
		return nil, err
	}
	for r.Consumer.ConsumerStatus != types.ConsumerStatusActive {
		if err := sleep(ctx, 50*time.Millisecond); err != nil {
			return nil, err
		}
		d, err := c.DescribeStreamConsumer(ctx, &kinesis.DescribeStreamConsumerInput{ConsumerARN: r.Consumer.ConsumerARN})
		if err != nil {
			return nil, err
		}
		r.Consumer.ConsumerStatus = d.ConsumerDescription.ConsumerStatus
	}
	out, err := c.SubscribeToShard(ctx, &kinesis.SubscribeToShardInput{ConsumerARN: r.Consumer.ConsumerARN, ShardId: aws.String("shardId-000000000000"),
		StartingPosition: &types.StartingPosition{Type: types.ShardIteratorTypeLatest}})
	if err != nil {
		return nil, err
	}
	stream := out.GetStream()
	go func() {
		for e := range stream.Events() {
			at := time.Now()
			if m, ok := e.(*types.SubscribeToShardEventStreamMemberSubscribeToShardEvent); ok {
				for _, r := range m.Value.Records {
					if i, err := strconv.Atoi(strings.Trim(*r.PartitionKey, "~")); err == nil {
						t.arrive(i, at)
					}
				}
			}
		}
	}()
	return stream.Close, nil
}
