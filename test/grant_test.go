package test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	ebtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// TestOtherAccountsQueue has a topic and a rule deliver into a queue of another
// account: what its policy does not let in becomes a dead letter, what it lets in
// arrives.
func TestOtherAccountsQueue(t *testing.T) {
	p := need(t)
	ctx := t.Context()
	ours, theirs := newAccount(), newAccount()
	config := p.config
	events, topics := eventbridge.NewFromConfig(config(ours)), sns.NewFromConfig(config(ours))
	subscriber := sns.NewFromConfig(config(theirs))
	check := failing(t)
	queue := func(account, name, policy string) (url *string, arn string) {
		t.Helper()
		out, err := sqs.NewFromConfig(config(account)).CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &name, Attributes: map[string]string{"Policy": policy}})
		check(err)
		return out.QueueUrl, "arn:aws:sqs:us-east-1:" + account + ":" + name
	}
	letIn := func(name, service, source string) string {
		return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"%s.amazonaws.com"},"Action":"sqs:SendMessage",
			"Resource":"arn:aws:sqs:us-east-1:%s:%s","Condition":{"ArnEquals":{"aws:SourceArn":%q}}}]}`, service, theirs, name, source)
	}
	// next is the next message of a queue.
	next := func(account string, url *string) (m types.Message) {
		t.Helper()
		c := sqs.NewFromConfig(config(account))
		eventually(t, 20*time.Second, func() error {
			out, err := c.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: url, WaitTimeSeconds: 2, MessageAttributeNames: []string{"All"}})
			check(err)
			if len(out.Messages) == 0 {
				return fmt.Errorf("%s is empty", *url)
			}
			m = out.Messages[0]
			_, err = c.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: url, ReceiptHandle: m.ReceiptHandle})
			return err
		})
		return m
	}
	setPolicy := func(url *string, policy string) {
		t.Helper()
		_, err := sqs.NewFromConfig(config(theirs)).SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{QueueUrl: url, Attributes: map[string]string{"Policy": policy}})
		check(err)
	}

	topic, err := topics.CreateTopic(ctx, &sns.CreateTopicInput{Name: aws.String("t")})
	check(err)
	_, err = topics.AddPermission(ctx, &sns.AddPermissionInput{TopicArn: topic.TopicArn, Label: aws.String("theirs"), AWSAccountId: []string{theirs}, ActionName: []string{"Subscribe"}})
	check(err)
	toTopic, toTopicARN := queue(theirs, "subscribed", "")
	buried, buriedARN := queue(theirs, "buried", letIn("buried", "sns", *topic.TopicArn))
	_, err = subscriber.Subscribe(ctx, &sns.SubscribeInput{TopicArn: topic.TopicArn, Protocol: aws.String("sqs"), Endpoint: &toTopicARN,
		Attributes: map[string]string{"RawMessageDelivery": "true", "RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn":%q}`, buriedARN)}})
	check(err)
	publish := func(message string) {
		t.Helper()
		_, err := topics.Publish(ctx, &sns.PublishInput{TopicArn: topic.TopicArn, Message: &message})
		check(err)
	}
	publish("refused")
	if got := next(theirs, buried); *got.Body != "refused" {
		t.Errorf("the dead-letter queue has %s", *got.Body)
	}
	setPolicy(toTopic, letIn("subscribed", "sns", *topic.TopicArn))
	publish("let in")
	if got := next(theirs, toTopic); *got.Body != "let in" {
		t.Errorf("the subscribed queue has %s", *got.Body)
	}

	rule, err := events.PutRule(ctx, &eventbridge.PutRuleInput{Name: aws.String("r"), EventPattern: aws.String(`{"source":["shop"]}`)})
	check(err)
	toRule, toRuleARN := queue(theirs, "targeted", letIn("targeted", "events", *rule.RuleArn+"2"))
	dead, deadARN := queue(ours, "dead", "")
	_, err = events.PutTargets(ctx, &eventbridge.PutTargetsInput{Rule: aws.String("r"), Targets: []ebtypes.Target{
		{Id: aws.String("q"), Arn: &toRuleARN, DeadLetterConfig: &ebtypes.DeadLetterConfig{Arn: &deadARN}}}})
	check(err)
	put := func(detail string) {
		t.Helper()
		out, err := events.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []ebtypes.PutEventsRequestEntry{{Source: aws.String("shop"), DetailType: aws.String("x"), Detail: &detail}}})
		check(err)
		if out.FailedEntryCount != 0 {
			t.Fatalf("%+v", out.Entries)
		}
	}
	put(`{"n":"refused"}`)
	got := next(ours, dead)
	if code := *got.MessageAttributes["ERROR_CODE"].StringValue; code != "NO_PERMISSIONS" || !strings.Contains(*got.Body, "refused") {
		t.Errorf("the dead letter is %s, %s", code, *got.Body)
	}
	setPolicy(toRule, letIn("targeted", "events", *rule.RuleArn))
	put(`{"n":"let in"}`)
	if got := next(theirs, toRule); !strings.Contains(*got.Body, "let in") {
		t.Errorf("the target has %s", *got.Body)
	}
}
