package sqs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/dhowhq/dhow/internal/sdktest"
)

// TestOtherAccounts has a second account use a queue of the first.
func TestOtherAccounts(t *testing.T) {
	f := newFixture(t)
	caller := func(account string) *sqs.Client {
		return sqs.New(sqs.Options{BaseEndpoint: &f.url, Region: "eu-west-1", RetryMaxAttempts: 1, HTTPClient: sdktest.Client(),
			Credentials: credentials.NewStaticCredentialsProvider(account, "x", "")})
	}
	owner, other := caller(account), caller("222222222222")
	ctx := t.Context()
	q, err := owner.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String("q")})
	if err != nil {
		t.Fatal(err)
	}
	one := func(ctx context.Context) error {
		_, err := other.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: q.QueueUrl, MessageBody: aws.String("b")})
		return err
	}
	batch := func(ctx context.Context) error {
		_, err := other.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: q.QueueUrl, Entries: []types.SendMessageBatchRequestEntry{{Id: aws.String("1"), MessageBody: aws.String("b")}}})
		return err
	}
	find := func(ctx context.Context) error {
		_, err := other.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: aws.String("q"), QueueOwnerAWSAccountId: aws.String(account)})
		return err
	}
	remove := func(ctx context.Context) error {
		_, err := other.DeleteQueue(ctx, &sqs.DeleteQueueInput{QueueUrl: q.QueueUrl})
		return err
	}
	refused := func(what string, do func(context.Context) error, action string) {
		t.Helper()
		want := "AccessDenied: User: arn:aws:iam::222222222222:root is not authorized to perform: " + action + " on resource: arn:aws:sqs:eu-west-1:111111111111:q because no resource-based policy allows"
		if err := do(ctx); err == nil || !strings.Contains(strings.Replace(err.Error(), "AccessDeniedException", "AccessDenied", 1), want) {
			t.Errorf("%s: %v, not %s", what, err, want)
		}
	}
	allowed := func(what string, do func(context.Context) error) {
		t.Helper()
		if err := do(ctx); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	refused("send", one, "sqs:sendmessage")
	refused("send a batch", batch, "sqs:sendmessage")
	refused("find", find, "sqs:getqueueurl")
	if _, err := owner.AddPermission(ctx, &sqs.AddPermissionInput{QueueUrl: q.QueueUrl, Label: aws.String("l"), AWSAccountIds: []string{"222222222222"}, Actions: []string{"SendMessage"}}); err != nil {
		t.Fatal(err)
	}
	allowed("send", one)
	allowed("send a batch", batch)
	refused("find", find, "sqs:getqueueurl")
	everything := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"sqs:*","Resource":"*"},
		{"Effect":"Deny","Principal":"*","Action":"sqs:SendMessage","Resource":"*","Condition":{"StringNotEquals":{"aws:PrincipalAccount":"333333333333"}}}]}`
	if _, err := owner.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{QueueUrl: q.QueueUrl, Attributes: map[string]string{"Policy": everything}}); err != nil {
		t.Fatal(err)
	}
	allowed("find", find)
	refused("send", one, "sqs:sendmessage")
	refused("delete, which only the owner can", remove, "sqs:deletequeue")
}

// TestMovesOfOtherAccounts has a second account ask for the messages of a
// dead-letter queue of the first, and look at and end its tasks.
func TestMovesOfOtherAccounts(t *testing.T) {
	f := newFixture(t)
	caller := func(account, region string) *sqs.Client {
		return sqs.New(sqs.Options{BaseEndpoint: &f.url, Region: region, RetryMaxAttempts: 1, HTTPClient: sdktest.Client(),
			Credentials: credentials.NewStaticCredentialsProvider(account, "x", "")})
	}
	owner, other, elsewhere := caller(account, "eu-west-1"), caller("222222222222", "eu-west-1"), caller(account, "us-east-1")
	ctx := t.Context()
	dead, err := owner.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String("dead")})
	if err != nil {
		t.Fatal(err)
	}
	arn, mine := "arn:aws:sqs:eu-west-1:"+account+":dead", "arn:aws:sqs:eu-west-1:222222222222:mine"
	if _, err := owner.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String("main"), Attributes: map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"` + arn + `","maxReceiveCount":1}`}}); err != nil {
		t.Fatal(err)
	}
	if _, err := other.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String("mine")}); err != nil {
		t.Fatal(err)
	}
	if _, err := owner.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: dead.QueueUrl, MessageBody: aws.String("secret")}); err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]*sqs.Client{"another account": other, "another region": elsewhere} {
		if _, err := c.StartMessageMoveTask(ctx, &sqs.StartMessageMoveTaskInput{SourceArn: &arn, DestinationArn: &mine}); err == nil {
			t.Errorf("%s moves the messages", what)
		}
		if _, err := c.ListMessageMoveTasks(ctx, &sqs.ListMessageMoveTasksInput{SourceArn: &arn}); err == nil {
			t.Errorf("%s sees the tasks", what)
		}
	}
	if _, err := owner.StartMessageMoveTask(ctx, &sqs.StartMessageMoveTaskInput{SourceArn: &arn, DestinationArn: &mine}); err == nil {
		t.Error("the owner moves its messages into another account's queue")
	}
	task, err := owner.StartMessageMoveTask(ctx, &sqs.StartMessageMoveTaskInput{SourceArn: &arn, MaxNumberOfMessagesPerSecond: aws.Int32(1)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.CancelMessageMoveTask(ctx, &sqs.CancelMessageMoveTaskInput{TaskHandle: task.TaskHandle}); err == nil || !strings.Contains(err.Error(), "Task does not exist") {
		t.Errorf("another account's cancellation: %v", err)
	}
}

// TestTooManyPermissions adds as many statements as a policy may have, and one.
func TestTooManyPermissions(t *testing.T) {
	f := newFixture(t)
	c := &client{f: f}
	q := c.must("CreateQueue", object{"QueueName": "q"})["QueueUrl"]
	add := func(i int) object {
		return object{"QueueUrl": q, "Label": fmt.Sprint("l", i), "AWSAccountIds": []string{"222222222222"}, "Actions": []string{"SendMessage"}}
	}
	for i := range maxStatements {
		c.must("AddPermission", add(i))
	}
	if e, _ := c.call("AddPermission", add(maxStatements))["Error"].(object); e == nil || e["Code"] != "OverLimit" {
		t.Errorf("one more: %v", e)
	}
	c.must("RemovePermission", object{"QueueUrl": q, "Label": "l0"})
	c.must("AddPermission", add(maxStatements))
}

// TestURLOfOtherRegion has clients of two regions use one queue URL, which holds
// no region: each gets the queue of its own.
func TestURLOfOtherRegion(t *testing.T) {
	f := newFixture(t)
	caller := func(region string) *sqs.Client {
		return sqs.New(sqs.Options{BaseEndpoint: &f.url, Region: region, RetryMaxAttempts: 1, HTTPClient: sdktest.Client(),
			Credentials: credentials.NewStaticCredentialsProvider(account, "x", "")})
	}
	here, there := caller("eu-west-1"), caller("us-east-1")
	made, err := here.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("q")})
	if err != nil {
		t.Fatal(err)
	}
	send := func(c *sqs.Client, body string) error {
		_, err := c.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: made.QueueUrl, MessageBody: &body})
		return err
	}
	var none *types.QueueDoesNotExist
	if err := send(there, "x"); !errors.As(err, &none) {
		t.Errorf("a region without the queue: %v", err)
	}
	again, err := there.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("q")})
	if err != nil || *again.QueueUrl != *made.QueueUrl {
		t.Fatalf("%v, %v", again, err)
	}
	for region, c := range map[string]*sqs.Client{"eu-west-1": here, "us-east-1": there} {
		if err := send(c, region); err != nil {
			t.Fatal(err)
		}
	}
	for region, c := range map[string]*sqs.Client{"eu-west-1": here, "us-east-1": there} {
		out, err := c.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: made.QueueUrl, MaxNumberOfMessages: 10})
		if err != nil || len(out.Messages) != 1 || *out.Messages[0].Body != region {
			t.Errorf("%s: %v, %v", region, out, err)
		}
	}
}
