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

	"github.com/dhowhq/dhow/sdk/avro"
)

// work drains the queue until ctx ends. An order that it cannot do stays in the
// queue: it comes back, and after some tries the queue's redrive policy moves
// it to the dead-letter queue.
func work(ctx context.Context, cfg aws.Config) error {
	url, err := env("QUEUE_URL")
	if err != nil {
		return err
	}
	name, built, err := release()
	if err != nil {
		return err
	}
	r := registry(cfg)
	defer r.Close()
	orders, err := avro.NewConsumer[order](ctx, r, contract, built)
	if err != nil {
		return err
	}
	w := &worker{url: url, queue: sqs.NewFromConfig(cfg), orders: orders, sells: strings.Split(os.Getenv("SELLS"), ",")}
	log.Printf("release %s sells %s", name, strings.Join(w.sells, ", "))
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
	url    string
	queue  *sqs.Client
	orders *avro.Consumer[order]
	sells  []string // the SKUs that it knows
}

// receive waits for orders and does them. Those that are here it does also when
// ctx ends meanwhile.
func (w *worker) receive(ctx context.Context) error {
	out, err := w.queue.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &w.url, MaxNumberOfMessages: 10, WaitTimeSeconds: 20})
	if err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	for _, m := range out.Messages {
		if err := w.do(ctx, m); err != nil {
			log.Printf("%v", err)
			// Soon again, rather than after the visibility timeout.
			_, err := w.queue.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{QueueUrl: &w.url, ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: 1})
			if err != nil {
				log.Printf("message %s: %v", aws.ToString(m.MessageId), err)
			}
		}
	}
	return nil
}

func (w *worker) do(ctx context.Context, m types.Message) error {
	o, err := w.orders.SQS(ctx, m)
	if err != nil {
		return fmt.Errorf("message %s cannot be read: %w", aws.ToString(m.MessageId), err)
	}
	if !slices.Contains(w.sells, o.SKU) {
		return fmt.Errorf("order %s: FAILED: nothing is known of %q", o.ID, o.SKU)
	}
	log.Printf("order %s: %s for %s shipped (written as %s)", o.ID, o.SKU, o.price(), writtenAs(m))
	_, err = w.queue.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &w.url, ReceiptHandle: m.ReceiptHandle})
	return err
}

// price is the total, in the currency if the worker's release reads one.
func (o *order) price() string {
	return strings.TrimSpace(fmt.Sprintf("%.2f %s", o.Total, o.Currency))
}

// writtenAs is the version of the schema that a message names.
func writtenAs(m types.Message) string {
	var event struct{ Detail detail }
	json.Unmarshal([]byte(aws.ToString(m.Body)), &event) // it has been read already
	return event.Detail.Version
}
