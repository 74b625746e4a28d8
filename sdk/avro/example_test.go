package avro_test

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/dhowhq/dhow/contract/wire"
	"github.com/dhowhq/dhow/sdk/avro"
)

//go:embed testdata/schemas
var schemas embed.FS

type Order struct {
	ID    string  `avro:"id"`
	Total int64   `avro:"total"` // cents
	Note  *string `avro:"note"`
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// A message on its way through a queue, with schemas that are part of the program.
func Example() {
	ctx := context.Background()
	lock, err := avro.Open(schemas, "testdata/schemas")
	check(err)
	producer, err := avro.NewProducer[Order](ctx, lock, "shop/order@1.1.0")
	check(err)
	consumer, err := avro.NewConsumer[Order](ctx, lock, "shop/order@^1")
	check(err)

	in, err := producer.SQS("https://queue", &Order{ID: "o-1", Total: 4200, Note: aws.String("gift")})
	check(err)
	// client.SendMessage(ctx, in), and elsewhere client.ReceiveMessage(ctx, …):
	received := types.Message{Body: in.MessageBody, MessageAttributes: in.MessageAttributes}

	order, err := consumer.SQS(ctx, received)
	check(err)
	fmt.Println(order.ID, order.Total, *order.Note)
	// Output: o-1 4200 gift
}

// Two versions in flight: what the old one writes, the new one reads, and the
// other way round.
func ExampleConsumer_versions() {
	type OldOrder struct {
		ID    string `avro:"id"`
		Total int64  `avro:"total"`
	}
	ctx := context.Background()
	lock, err := avro.Open(schemas, "testdata/schemas")
	check(err)
	oldProducer, err := avro.NewProducer[OldOrder](ctx, lock, "shop/order@1.0.0")
	check(err)
	newConsumer, err := avro.NewConsumer[Order](ctx, lock, "shop/order@1.1.0")
	check(err)
	message, err := oldProducer.Encode(&OldOrder{ID: "o-1", Total: 4200})
	check(err)
	order, err := newConsumer.Decode(ctx, message)
	check(err)
	fmt.Println(order.ID, order.Total, order.Note)

	newProducer, err := avro.NewProducer[Order](ctx, lock, "shop/order@1.1.0")
	check(err)
	oldConsumer, err := avro.NewConsumer[OldOrder](ctx, lock, "shop/order@1.0.0")
	check(err)
	message, err = newProducer.Encode(&Order{ID: "o-2", Total: 100, Note: aws.String("gift")})
	check(err)
	old, err := oldConsumer.Decode(ctx, message)
	check(err)
	fmt.Println(old.ID, old.Total)
	// Output:
	// o-1 4200 <nil>
	// o-2 100
}

// A consumer of a queue that asks the registry for what is not embedded, and
// knows what to do with what it cannot read.
func ExampleNewRegistry() {
	ctx := context.Background()
	cfg, err := config.LoadDefaultConfig(ctx)
	check(err)
	registry := avro.NewRegistry(glue.NewFromConfig(cfg), avro.RegistryOptions{
		OnError: func(err error) { log.Print(err) },
	})
	defer registry.Close()
	lock, err := avro.Open(schemas, "testdata/schemas")
	check(err)
	consumer, err := avro.NewConsumer[Order](ctx, avro.Chain(lock, registry), "shop/order@^1")
	check(err)

	queue, client := "https://queue", sqs.NewFromConfig(cfg)
	for {
		out, err := client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
			QueueUrl: &queue, WaitTimeSeconds: 20, MessageAttributeNames: avro.AttributeNames(),
		})
		check(err)
		for _, m := range out.Messages {
			order, err := consumer.SQS(ctx, m)
			var invalid *avro.Invalid
			switch {
			case err == nil:
				fmt.Println(order.ID)
			case errors.As(err, &invalid), errors.Is(err, avro.ErrUnknown), errors.Is(err, avro.ErrUnreadable):
				log.Print("not for us: ", err) // it becomes a dead letter after its receives
				continue
			default:
				log.Print("later: ", err) // the registry is away
				continue
			}
			_, err = client.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &queue, ReceiptHandle: m.ReceiptHandle})
			check(err)
		}
	}
}

// A registry that cannot be reached, and schemas that are embedded: the program
// starts, and reads all it knows.
func ExampleChain() {
	ctx := context.Background()
	registry := avro.NewRegistry(glue.New(glue.Options{
		Region: "us-east-1", BaseEndpoint: aws.String("http://127.0.0.1:1"), Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider("key", "secret", ""),
	}), avro.RegistryOptions{Timeout: time.Second})
	defer registry.Close()
	lock, err := avro.Open(schemas, "testdata/schemas")
	check(err)
	consumer, err := avro.NewConsumer[Order](ctx, avro.Chain(registry, lock), "shop/order@^1")
	check(err)
	fmt.Println(consumer.Version())
	// Output: shop/order@1.1.0
}

// What is wrong with a message, and where.
func ExampleInvalid() {
	ctx := context.Background()
	lock, err := avro.Open(schemas, "testdata/schemas")
	check(err)
	consumer, err := avro.NewConsumer[Order](ctx, lock, "shop/order")
	check(err)
	_, err = consumer.Event(ctx, []byte(`{"dataschema": "shop/order@1.0.0", "data": {"id": "o-1", "total": "much"}}`))
	var invalid *avro.Invalid
	if errors.As(err, &invalid) {
		fmt.Println(invalid.Schema, invalid.Path)
	}
	_, err = consumer.Decode(ctx, []byte("\x03\x00"))
	fmt.Println(err)
	_, err = consumer.Event(ctx, []byte(`{"dataschema": "shop/order@7.0.0", "data": {}}`))
	fmt.Println(errors.Is(err, avro.ErrUnknown))
	// Output:
	// shop/order@1.0.0 Order.total
	// the Glue header is cut off: 2 of 18 bytes
	// true
}

// The detail of an event, which rules of EventBridge can match.
func ExampleProducer_Event() {
	ctx := context.Background()
	lock, err := avro.Open(schemas, "testdata/schemas")
	check(err)
	producer, err := avro.NewProducer[Order](ctx, lock, "shop/order@1.1.0")
	check(err)
	entry, err := producer.Event("default", "shop", "OrderPlaced", &Order{ID: "o-1", Total: 4200})
	check(err)
	fmt.Println(*entry.Detail)
	// Output: {"dataschema":"shop/order","dataschemaversion":"1.1.0","datacontenttype":"application/json","data":{"id":"o-1","total":4200,"note":null}}
}

// The schema in message attributes, where filters of subscriptions see it.
func ExampleWithForm() {
	ctx := context.Background()
	lock, err := avro.Open(schemas, "testdata/schemas")
	check(err)
	producer, err := avro.NewProducer[Order](ctx, lock, "shop/order@1.1.0", avro.WithForm(wire.Named))
	check(err)
	in, err := producer.SNS("arn:aws:sns:us-east-1:000000000000:orders", &Order{ID: "o-1", Total: 4200})
	check(err)
	for _, name := range avro.AttributeNames() {
		fmt.Println(name, *in.MessageAttributes[name].StringValue)
	}
	// Output:
	// dataschema shop/order
	// dataschemaversion 1.1.0
	// datacontenttype avro/binary
}
