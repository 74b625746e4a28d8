package main

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
)

// measureTopics measures publishes to a topic with four queues, beside sends to
// one queue. It has no bar.
func measureTopics(ctx context.Context, b *bench) error {
	const (
		fan   = 4
		rate  = 300
		turns = 5
	)
	p, err := b.platform(ctx)
	if err != nil {
		return err
	}
	c := sns.NewFromConfig(awsConfig(p.url))
	t, err := c.CreateTopic(ctx, &sns.CreateTopicInput{Name: aws.String("bench")})
	if err != nil {
		return err
	}
	var queues []*queue
	var subscriptions []string
	for i := range fan {
		q, err := makeQueue(ctx, p.url, fmt.Sprint("topic-", i))
		if err != nil {
			return err
		}
		s, err := c.Subscribe(ctx, &sns.SubscribeInput{TopicArn: t.TopicArn, Protocol: aws.String("sqs"), Endpoint: &q.arn})
		if err != nil {
			return err
		}
		queues, subscriptions = append(queues, q), append(subscriptions, *s.SubscriptionArn)
	}
	in := queues[0].inbox(ctx)
	publish := &post{in: in, url: p.url, letter: publication(*t.TopicArn, stamp)}
	send := &post{in: in, url: p.url, letter: queues[0].send(stamp)}
	if err := exchange(ctx, turns, 3*rate, rate, publish, send); err != nil {
		return err
	}
	b.table.add(fmt.Sprintf("Publish → receiver of one of %d queues, %d/s", fan, rate), publish.took(), "SendMessage → receiver "+send.took(),
		shares(ratios(publish.p50s, send.p50s)).String(), "", verdictNone)
	if err := in.close(); err != nil {
		return err
	}
	single, err := makeQueue(ctx, p.url, "topic-beside")
	if err != nil {
		return err
	}
	if err := fanOut(ctx, b, *t.TopicArn, queues, single, "each signed with RSA"); err != nil {
		return err
	}
	for _, s := range subscriptions {
		if _, err := c.SetSubscriptionAttributes(ctx, &sns.SetSubscriptionAttributesInput{SubscriptionArn: &s, AttributeName: aws.String("RawMessageDelivery"), AttributeValue: aws.String("true")}); err != nil {
			return err
		}
	}
	if err := fanOut(ctx, b, *t.TopicArn, queues, single, "raw delivery"); err != nil {
		return err
	}
	for _, q := range append(queues, single) {
		if err := q.delete(ctx); err != nil {
			return err
		}
	}
	_, err = c.DeleteTopic(ctx, &sns.DeleteTopicInput{TopicArn: t.TopicArn})
	return err
}

func publication(topic, text string) []byte {
	return snsAPI.request("Publish", url.Values{"Action": {"Publish"}, "Version": {"2010-03-31"}, "TopicArn": {topic}, "Message": {text}}.Encode())
}

// fanOut publishes for a while and counts what is in the queues, until all is.
func fanOut(ctx context.Context, b *bench, topic string, queues []*queue, single *queue, how string) error {
	const (
		turns = 4
		span  = 3 * time.Second
	)
	var rates, sends []float64
	for turn := range turns + 1 {
		publish := repeat(ctx, b.p, 1, publication(topic, kilobyte[:100]), "<Error>")
		took, _, err := publish.arrivals(ctx, span, queues...)
		if err != nil {
			return err
		}
		send := repeat(ctx, b.p, 1, single.send(kilobyte[:100]), `"Code"`)
		if err := send.turn(ctx, span); err != nil {
			return err
		}
		if turn > 0 {
			rates, sends = append(rates, publish.units/took.Seconds()), append(sends, send.rates[0])
		}
	}
	b.table.add(fmt.Sprintf("Publish → %d queues, 16 connections, %s", len(queues), how),
		fmt.Sprintf("%.0f publishes/s (%.0f–%.0f), %.0f messages/s in the queues", median(rates), quantile(rates, 0), quantile(rates, 1), median(rates)*float64(len(queues))),
		fmt.Sprintf("SendMessage %.0f/s", median(sends)), shares(ratios(rates, sends)).String(), "", verdictNone)
	return nil
}
