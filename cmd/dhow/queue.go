package main

import (
	"context"
	"fmt"
	"os"
	"path"
	"text/tabwriter"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

type queueCmd struct {
	Ls      queueLsCmd      `cmd:"" help:"List queues with their messages."`
	Redrive queueRedriveCmd `cmd:"" help:"Move a dead-letter queue's messages back to where they came from."`
}

// sqs is a client of the platform's queues.
func (c client) sqs() *sqs.Client {
	return sqs.New(sqs.Options{Region: c.region, BaseEndpoint: &c.url,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return c.creds, nil })})
}

type queueLsCmd struct{}

// Run prints a line for each queue: messages that wait, that are in flight,
// that are delayed, and the queue's dead-letter queue.
func (queueLsCmd) Run(ctx context.Context) error {
	cl := newClient().sqs()
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "QUEUE\tWAITING\tIN FLIGHT\tDELAYED\tREDRIVE POLICY")
	for pages := sqs.NewListQueuesPaginator(cl, &sqs.ListQueuesInput{MaxResults: aws.Int32(1000)}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, url := range page.QueueUrls {
			out, err := cl.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll}})
			if err != nil {
				return err
			}
			a := out.Attributes
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", path.Base(url), a["ApproximateNumberOfMessages"], a["ApproximateNumberOfMessagesNotVisible"],
				a["ApproximateNumberOfMessagesDelayed"], a["RedrivePolicy"])
		}
	}
	return w.Flush()
}

type queueRedriveCmd struct {
	Queue string `arg:"" help:"Name of the dead-letter queue."`
	To    string `help:"Name of the queue to move the messages to; by default each goes back to the queue that it came from."`
	Rate  *int32 `help:"Messages a second at most, 1 to 500; by default as fast as possible."`
}

// Validate refuses rates that StartMessageMoveTask does not take.
func (c queueRedriveCmd) Validate() error {
	if c.Rate != nil && (*c.Rate < 1 || *c.Rate > 500) {
		return fmt.Errorf("--rate %d: a move takes 1 to 500 messages a second; leave --rate out to move as fast as possible", *c.Rate)
	}
	return nil
}

// Run starts a message move task and follows it to its end.
func (c queueRedriveCmd) Run(ctx context.Context) error {
	cl := newClient().sqs()
	from, err := queueARN(ctx, cl, c.Queue)
	if err != nil {
		return err
	}
	in := &sqs.StartMessageMoveTaskInput{SourceArn: &from, MaxNumberOfMessagesPerSecond: c.Rate}
	if c.To != "" {
		to, err := queueARN(ctx, cl, c.To)
		if err != nil {
			return err
		}
		in.DestinationArn = &to
	}
	if _, err := cl.StartMessageMoveTask(ctx, in); err != nil {
		return err
	}
	bar := newBar("moving")
	defer bar.end()
	for {
		task, err := moveTask(ctx, cl, from)
		if err != nil {
			return err
		}
		bar.count(task.ApproximateNumberOfMessagesMoved, aws.ToInt64(task.ApproximateNumberOfMessagesToMove), "messages")
		switch status := aws.ToString(task.Status); status {
		case "RUNNING", "CANCELLING":
		case "COMPLETED":
			bar.end()
			fmt.Println(moved(c.Queue, task.ApproximateNumberOfMessagesMoved, aws.ToInt64(task.ApproximateNumberOfMessagesToMove)))
			return nil
		default:
			return fmt.Errorf("the move of %s's messages is %s: %s", c.Queue, status, aws.ToString(task.FailureReason))
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// moved says what has become of a queue's messages: n of all have left it by the
// move.
func moved(queue string, n, all int64) string {
	if n >= all {
		return fmt.Sprintf("moved %s out of %s", messages(n), queue)
	}
	return fmt.Sprintf("moved %d of %s out of %s; the others were not taken where they came from, and are at its end (ERROR_MESSAGE of each says why), or were received meanwhile", n, messages(all), queue)
}

func messages(n int64) string { return count(n, "message") }

// count is a number of things, of which there may be one.
func count[N int | int64](n N, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprint(n, " ", what)
}

// moveTask returns the newest message move task of the queue of that ARN.
func moveTask(ctx context.Context, cl *sqs.Client, arn string) (types.ListMessageMoveTasksResultEntry, error) {
	out, err := cl.ListMessageMoveTasks(ctx, &sqs.ListMessageMoveTasksInput{SourceArn: &arn, MaxResults: aws.Int32(1)})
	if err != nil {
		return types.ListMessageMoveTasksResultEntry{}, err
	}
	if len(out.Results) == 0 {
		return types.ListMessageMoveTasksResultEntry{}, fmt.Errorf("the message move task of %s is not there any more", arn)
	}
	return out.Results[0], nil
}

// queueARN is the ARN of the queue of that name.
func queueARN(ctx context.Context, cl *sqs.Client, name string) (string, error) {
	url, err := cl.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &name})
	if err != nil {
		return "", fmt.Errorf("queue %s: %w", name, err)
	}
	const arn = types.QueueAttributeNameQueueArn
	out, err := cl.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: url.QueueUrl, AttributeNames: []types.QueueAttributeName{arn}})
	if err != nil {
		return "", err
	}
	return out.Attributes[string(arn)], nil
}
