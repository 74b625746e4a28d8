package main

import (
	"context"
	"log"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// review looks at the large order for which its task was started: the rule's
// input transformer puts it into the environment.
func review(context.Context, aws.Config) error {
	id, err := env("ORDER_ID")
	if err != nil {
		return err
	}
	total, err := env("TOTAL")
	if err != nil {
		return err
	}
	log.Printf("order %s: large, %s, looked at", id, total)
	return nil
}
