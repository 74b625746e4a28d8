package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// releases has a folder of schemas for each release of the shop.
const releases = "examples/orders/schemas/"

// contractLabels say what a part of a release writes or reads: deployments are
// held against them.
func contractLabels(part, release string) map[string]string {
	switch part {
	case "api":
		return map[string]string{"dhow.contract.produces": "shop/order@" + release + ".0"}
	case "worker":
		return map[string]string{"dhow.contract.consumes": "shop/order@~" + release}
	}
	return nil
}

// contract registers the schema of release 1.0: each version is to be read by
// those before it, and reads what they wrote.
func (s *shop) contract(ctx context.Context) error {
	return s.p.dhow(ctx, "schema", "push", "--compatibility", "FULL", releases+"1.0")
}

// hold has the bus and the queue take 1.x of the schema and nothing else.
func (s *shop) hold(ctx context.Context) error {
	key, value := "dhow:schema", "shop/order@1"
	_, err := s.events.TagResource(ctx, &eventbridge.TagResourceInput{ResourceARN: aws.String("arn:aws:events:" + region + ":" + account + ":event-bus/shop"),
		Tags: []eventtypes.Tag{{Key: &key, Value: &value}}})
	if err != nil {
		return err
	}
	_, err = s.sqs.TagQueue(ctx, &sqs.TagQueueInput{QueueUrl: &s.queue, Tags: map[string]string{key: value}})
	return err
}

// evolve deploys release 1.1 of the API, and places orders until one comes of it.
func (s *shop) evolve(ctx context.Context) error {
	if err := s.p.dhow(ctx, "schema", "push", releases+"1.1"); err != nil {
		return err
	}
	api, err := s.define(ctx, "orders-api", "api", "1.1", map[string]string{"BUS": "shop"})
	if err != nil {
		return err
	}
	if err := errors.Join(s.run(ctx, "orders-api", api, 1, nil), s.settled(ctx, "orders-api")); err != nil {
		return err
	}
	if err := s.place(ctx, "o6", "coffee", 14); err != nil {
		return err
	}
	return s.logged(ctx, "order o6: coffee")
}

// breaking tries 2.0, and is content if nothing takes it.
func (s *shop) breaking(ctx context.Context) error {
	err := s.p.dhow(ctx, "schema", "check", releases+"2.0")
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		return fmt.Errorf("schema check let 2.0 pass: %v", err)
	}
	_, err = s.sqs.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: &s.queue,
		MessageBody: aws.String(`{"dataschema": "shop/order", "dataschemaversion": "2.0.0", "data": {"id": "o7", "sku": "tea", "cents": 1250}}`)})
	var refused *sqstypes.InvalidMessageContents
	if !errors.As(err, &refused) {
		return fmt.Errorf("the queue took 2.0: %v", err)
	}
	fmt.Println("  SendMessage → InvalidMessageContents:", refused.ErrorMessage())
	return nil
}
