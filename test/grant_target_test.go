package test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	ebtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// TestOtherAccountsTargets has a rule publish to a topic, and put into a stream,
// of another account: what their policies do not let in becomes dead letters,
// what they let in arrives.
func TestOtherAccountsTargets(t *testing.T) {
	p := need(t)
	ctx := t.Context()
	ours, theirs := newAccount(), newAccount()
	config := p.config
	events, topics, streams := eventbridge.NewFromConfig(config(ours)), sns.NewFromConfig(config(theirs)), kinesis.NewFromConfig(config(theirs))
	check := failing(t)
	queue := func(account, name string) (url, arn *string) {
		t.Helper()
		out, err := sqs.NewFromConfig(config(account)).CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &name})
		check(err)
		return out.QueueUrl, aws.String("arn:aws:sqs:us-east-1:" + account + ":" + name)
	}
	// take waits for n messages of a queue.
	take := func(account string, url *string, n int) (got []sqstypes.Message) {
		t.Helper()
		c := sqs.NewFromConfig(config(account))
		eventually(t, 20*time.Second, func() error {
			out, err := c.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: 10, WaitTimeSeconds: 2, MessageAttributeNames: []string{"All"}})
			check(err)
			for _, m := range out.Messages {
				_, err := c.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: url, ReceiptHandle: m.ReceiptHandle})
				check(err)
			}
			if got = append(got, out.Messages...); len(got) != n {
				return fmt.Errorf("%s gave %d messages, want %d", *url, len(got), n)
			}
			return nil
		})
		return got
	}

	topic, err := topics.CreateTopic(ctx, &sns.CreateTopicInput{Name: aws.String("t")})
	check(err)
	heard, heardARN := queue(theirs, "heard")
	_, err = topics.Subscribe(ctx, &sns.SubscribeInput{TopicArn: topic.TopicArn, Protocol: aws.String("sqs"), Endpoint: heardARN, Attributes: map[string]string{"RawMessageDelivery": "true"}})
	check(err)
	_, err = streams.CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: aws.String("s"), ShardCount: aws.Int32(1)})
	check(err)
	created(t, streams, "s")
	stream, role := "arn:aws:kinesis:us-east-1:"+theirs+":stream/s", "arn:aws:iam::"+ours+":role/carrier"

	rule, err := events.PutRule(ctx, &eventbridge.PutRuleInput{Name: aws.String("r"), EventPattern: aws.String(`{"source":["shop"]}`)})
	check(err)
	dead, deadARN := queue(ours, "dead")
	letters, path := &ebtypes.DeadLetterConfig{Arn: deadARN}, aws.String("$.detail.n")
	_, err = events.PutTargets(ctx, &eventbridge.PutTargetsInput{Rule: aws.String("r"), Targets: []ebtypes.Target{
		{Id: aws.String("t"), Arn: topic.TopicArn, InputPath: path, DeadLetterConfig: letters},
		{Id: aws.String("s"), Arn: &stream, RoleArn: &role, InputPath: path, DeadLetterConfig: letters}}})
	check(err)
	put := func(n int) {
		t.Helper()
		out, err := events.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []ebtypes.PutEventsRequestEntry{{Source: aws.String("shop"), DetailType: aws.String("x"), Detail: aws.String(fmt.Sprintf(`{"n":%d}`, n))}}})
		check(err)
		if out.FailedEntryCount != 0 {
			t.Fatalf("%+v", out.Entries)
		}
	}

	put(1)
	refused := map[string]string{}
	for _, m := range take(ours, dead, 2) {
		target, said := *m.MessageAttributes["TARGET_ARN"].StringValue, *m.MessageAttributes["ERROR_MESSAGE"].StringValue
		if refused[target] = *m.MessageAttributes["ERROR_CODE"].StringValue; !strings.Contains(said, "on resource: "+target+" for "+*rule.RuleArn) {
			t.Errorf("the dead letter says %s", said)
		}
	}
	if refused[*topic.TopicArn] != "NO_PERMISSIONS" || refused[stream] != "NO_PERMISSIONS" {
		t.Errorf("refused: %v", refused)
	}

	_, err = topics.SetTopicAttributes(ctx, &sns.SetTopicAttributesInput{TopicArn: topic.TopicArn, AttributeName: aws.String("Policy"), AttributeValue: aws.String(fmt.Sprintf(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":"sns:Publish","Resource":%q,"Condition":{"ArnEquals":{"aws:SourceArn":%q}}}]}`,
		*topic.TopicArn, *rule.RuleArn))})
	check(err)
	_, err = streams.PutResourcePolicy(ctx, &kinesis.PutResourcePolicyInput{ResourceARN: &stream, Policy: aws.String(fmt.Sprintf(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":%q},"Action":"kinesis:PutRecord","Resource":%q}]}`, role, stream))})
	check(err)
	put(2)
	if got := take(theirs, heard, 1); *got[0].Body != "2" {
		t.Errorf("the topic's queue has %s", *got[0].Body)
	}
	follow(t, streams, "s", 1, func(_ string, r types.Record) {
		if string(r.Data) != "2" {
			t.Errorf("the stream has %s", r.Data)
		}
	})
}
