// Command orders is an event-driven shop in three parts, to deploy: an API that
// puts each order on an event bus, a worker that drains the queue to which a
// rule sends the ordinary ones, and a one-off task that another rule starts for
// each large one.
//
//	orders api      POST /orders takes {"id": "o1", "sku": "tea", "total": 12.5}
//	orders worker   long-polls QUEUE_URL
//	orders review   looks at one large order, ORDER_ID of TOTAL
//
// ledger/ledger.py is a fourth part, in Python, with a queue of its own.
//
// Events carry orders in Avro, by the contract in schemas, so that the parts may be
// deployed one by one: see event.go.
//
// Where the services are and as whom to call them the SDK finds by itself, on
// dhow as on AWS.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
)

func main() {
	log.SetFlags(0) // the log store has the times
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil && !errors.Is(err, context.Canceled) {
		log.Fatal("orders: ", err)
	}
}

func run(ctx context.Context, args []string) error {
	part := ""
	if len(args) == 1 {
		part = args[0]
	}
	parts := map[string]func(context.Context, aws.Config) error{"api": serve, "worker": work, "review": review}
	f := parts[part]
	if f == nil {
		return errors.New("say which part to run: api, worker or review")
	}
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return err
	}
	return f(ctx, cfg)
}

// env returns an environment variable that must be set.
func env(name string) (string, error) {
	if v := os.Getenv(name); v != "" {
		return v, nil
	}
	return "", fmt.Errorf("the environment variable %s is not set", name)
}
