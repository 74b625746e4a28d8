// Command contracts is two services that share a queue and nothing else but the
// schema of its messages: `contracts send QUEUE-URL ID TOTAL` puts an order into
// it, `contracts receive QUEUE-URL` takes what is there and prints it.
//
// Both learn the schema from the registry that AWS_ENDPOINT_URL leads to. The
// types are those that `dhow schema gen go` writes.
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/dhowhq/dhow/examples/contracts/schemas"
	"github.com/dhowhq/dhow/sdk/avro"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "contracts:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return err
	}
	registry := avro.NewRegistry(glue.NewFromConfig(cfg), avro.RegistryOptions{})
	defer registry.Close()
	queue := sqs.NewFromConfig(cfg)
	switch {
	case len(args) == 4 && args[0] == "send":
		return send(ctx, queue, registry, args[1], args[2], args[3])
	case len(args) == 2 && args[0] == "receive":
		return receive(ctx, queue, registry, args[1])
	}
	return fmt.Errorf("usage: contracts send QUEUE-URL ID TOTAL | contracts receive QUEUE-URL")
}

func send(ctx context.Context, queue *sqs.Client, source avro.Source, url, id, total string) error {
	cents, err := strconv.ParseInt(total, 10, 64)
	if err != nil {
		return err
	}
	producer, err := avro.NewProducer[schemas.Order](ctx, source, "shop/order@1.0.0")
	if err != nil {
		return err
	}
	in, err := producer.SQS(url, &schemas.Order{ID: id, Total: cents})
	if err != nil {
		return err
	}
	_, err = queue.SendMessage(ctx, in)
	return err
}

// receive prints the messages that wait. One that cannot be read stays in the
// queue, whose dead-letter queue gets it in the end.
func receive(ctx context.Context, queue *sqs.Client, source avro.Source, url string) error {
	consumer, err := avro.NewConsumer[schemas.Order](ctx, source, "shop/order@1.0.0")
	if err != nil {
		return err
	}
	for {
		out, err := queue.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &url, MaxNumberOfMessages: 10,
			MessageAttributeNames: []string{"All"}})
		if err != nil || len(out.Messages) == 0 {
			return err
		}
		for _, m := range out.Messages {
			order, err := consumer.SQS(ctx, m)
			if err != nil {
				fmt.Println("cannot be read:", err)
				continue
			}
			fmt.Printf("order %s: %d cents\n", order.ID, order.Total)
			if _, err := queue.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &url, ReceiptHandle: m.ReceiptHandle}); err != nil {
				return err
			}
		}
	}
}
