package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// work drains the queue until ctx ends. An order that it cannot do stays in the
// queue: it comes back, and after some tries the queue's redrive policy moves
// it to the dead-letter queue.
func work(ctx context.Context, cfg aws.Config) error {
	url, err := env("QUEUE_URL")
	if err != nil {
		return err
	}
	w := &worker{url: url, queue: sqs.NewFromConfig(cfg), sells: strings.Split(os.Getenv("SELLS"), ",")}
	log.Printf("sells %s", strings.Join(w.sells, ", "))
	for ctx.Err() == nil {
		if err := w.receive(ctx); err != nil && ctx.Err() == nil {
			log.Printf("cannot receive, will retry: %v", err)
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
		}
	}
	return ctx.Err()
}

type worker struct {
	url   string
	queue *sqs.Client
	sells []string // the SKUs that it knows
}

// receive waits for orders and does them.
func (w *worker) receive(ctx context.Context) error {
	out, err := w.queue.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &w.url, MaxNumberOfMessages: 10, WaitTimeSeconds: 20})
	if err != nil {
		return err
	}
	for _, m := range out.Messages {
		if err := w.do(ctx, m); err != nil {
			log.Printf("%v", err)
		}
	}
	return nil
}

func (w *worker) do(ctx context.Context, m types.Message) error {
	var event struct{ Detail order }
	if err := json.Unmarshal([]byte(aws.ToString(m.Body)), &event); err != nil {
		return fmt.Errorf("message %s is no event: %w", aws.ToString(m.MessageId), err)
	}
	o := event.Detail
	if !slices.Contains(w.sells, o.SKU) {
		// Soon again, rather than after the visibility timeout.
		_, err := w.queue.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{QueueUrl: &w.url, ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: 1})
		if err != nil {
			return err
		}
		return fmt.Errorf("order %s: FAILED: nothing is known of %q", o.ID, o.SKU)
	}
	log.Printf("order %s: %s for %.2f shipped", o.ID, o.SKU, o.Total)
	_, err := w.queue.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &w.url, ReceiptHandle: m.ReceiptHandle})
	return err
}
