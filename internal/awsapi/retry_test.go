package awsapi_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"

	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/internal/fault"
)

// TestFaultsAreRetried has the first call of each service for messages meet a
// full disk: its SDK tries again, whatever the service's word for the failure.
func TestFaultsAreRetried(t *testing.T) {
	calls := 0
	once := func() error {
		if calls++; calls == 1 {
			return fault.Ours("full", "No space is left.")
		}
		return nil
	}
	_, url := start(t, awsapi.Config{},
		awsapi.Service{Model: "sqs", API: awsapi.Handlers{"ListQueues": func(context.Context, *sqs.ListQueuesInput) (*sqs.ListQueuesOutput, error) {
			return &sqs.ListQueuesOutput{}, once()
		}}},
		awsapi.Service{Model: "sns", API: awsapi.Handlers{"ListTopics": func(context.Context, *sns.ListTopicsInput) (*sns.ListTopicsOutput, error) {
			return &sns.ListTopicsOutput{}, once()
		}}},
		awsapi.Service{Model: "kinesis", API: awsapi.Handlers{"DescribeLimits": func(context.Context, *kinesis.DescribeLimitsInput) (*kinesis.DescribeLimitsOutput, error) {
			return &kinesis.DescribeLimitsOutput{ShardLimit: aws.Int32(1), OpenShardCount: aws.Int32(1)}, once()
		}}},
		awsapi.Service{Model: "events", API: awsapi.Handlers{"ListRules": func(context.Context, *eventbridge.ListRulesInput) (*eventbridge.ListRulesOutput, error) {
			return &eventbridge.ListRulesOutput{}, once()
		}}})
	for attempts := 1; attempts <= 2; attempts++ {
		cfg := aws.Config{Region: "us-east-1", BaseEndpoint: &url, Credentials: creds, Retryer: func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) {
				o.MaxAttempts = attempts
				o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
			})
		}}
		for _, c := range []struct {
			code string
			call func() error
		}{
			{"ServiceUnavailable", func() error { _, err := sqs.NewFromConfig(cfg).ListQueues(t.Context(), nil); return err }},
			{"InternalError", func() error { _, err := sns.NewFromConfig(cfg).ListTopics(t.Context(), nil); return err }},
			{"InternalFailureException", func() error { _, err := kinesis.NewFromConfig(cfg).DescribeLimits(t.Context(), nil); return err }},
			{"InternalException", func() error {
				_, err := eventbridge.NewFromConfig(cfg).ListRules(t.Context(), &eventbridge.ListRulesInput{})
				return err
			}},
		} {
			calls = 0
			err := c.call()
			if attempts == 2 {
				if err != nil || calls != 2 {
					t.Errorf("%s: %d calls, %v", c.code, calls, err)
				}
				continue
			}
			var api smithy.APIError
			var answer *awshttp.ResponseError
			if !errors.As(err, &api) || !errors.As(err, &answer) || api.ErrorCode() != c.code || answer.HTTPStatusCode() != http.StatusServiceUnavailable || api.ErrorMessage() != "No space is left." {
				t.Errorf("%v, want %s with 503", err, c.code)
			}
		}
	}
}
