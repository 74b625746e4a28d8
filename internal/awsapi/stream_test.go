package awsapi_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logstypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/dhowhq/dhow/internal/awsapi"
)

type tails struct{ gone chan error }

func (a *tails) StartLiveTail(ctx context.Context, in *cloudwatchlogs.StartLiveTailInput, out awsapi.Stream) error {
	if in.LogGroupIdentifiers[0] == "none" {
		return &logstypes.ResourceNotFoundException{Message: aws.String("no such group")}
	}
	err := out.Send(&logstypes.StartLiveTailResponseStreamMemberSessionStart{Value: logstypes.LiveTailSessionStart{SessionId: aws.String("s1")}})
	if err != nil {
		return err
	}
	for range 3 {
		err := out.Send(&logstypes.StartLiveTailResponseStreamMemberSessionUpdate{Value: logstypes.LiveTailSessionUpdate{
			SessionMetadata: &logstypes.LiveTailSessionMetadata{Sampled: true},
			SessionResults:  []logstypes.LiveTailSessionLogEvent{{Message: aws.String("hello"), Timestamp: aws.Int64(7)}},
		}})
		if err != nil {
			return err
		}
	}
	switch in.LogGroupIdentifiers[0] {
	case "wait":
		<-ctx.Done()
		a.gone <- ctx.Err()
		return nil
	case "stray":
		return out.Send("no event")
	}
	return &logstypes.SessionTimeoutException{Message: aws.String("three hours are over")}
}

// noPrefix keeps the client from putting streaming- before the host.
func noPrefix(o *cloudwatchlogs.Options) {
	o.APIOptions = append(o.APIOptions, func(s *middleware.Stack) error {
		return s.Initialize.Add(middleware.InitializeMiddlewareFunc("noPrefix", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
			return next.HandleInitialize(smithyhttp.DisableEndpointHostPrefix(ctx, true), in)
		}), middleware.Before)
	})
}

func TestEventStream(t *testing.T) {
	api := &tails{gone: make(chan error, 1)}
	_, url := start(t, awsapi.Config{}, awsapi.Service{Model: "logs", API: api})
	c := cloudwatchlogs.New(cloudwatchlogs.Options{BaseEndpoint: &url, Region: "r", Credentials: creds}, noPrefix)
	tail := func(group string) (*cloudwatchlogs.StartLiveTailOutput, error) {
		return c.StartLiveTail(context.Background(), &cloudwatchlogs.StartLiveTailInput{LogGroupIdentifiers: []string{group}})
	}
	out, err := tail("g")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for e := range out.GetStream().Events() {
		switch e := e.(type) {
		case *logstypes.StartLiveTailResponseStreamMemberSessionStart:
			got = append(got, "start "+*e.Value.SessionId)
		case *logstypes.StartLiveTailResponseStreamMemberSessionUpdate:
			got = append(got, *e.Value.SessionResults[0].Message)
		}
	}
	if strings.Join(got, ",") != "start s1,hello,hello,hello" {
		t.Errorf("got %q", got)
	}
	var timeout *logstypes.SessionTimeoutException
	if err := out.GetStream().Err(); !errors.As(err, &timeout) || *timeout.Message != "three hours are over" {
		t.Errorf("the stream ended with %v", err)
	}

	var none *logstypes.ResourceNotFoundException
	if _, err := tail("none"); !errors.As(err, &none) {
		t.Errorf("a stream of nothing: %v", err)
	}

	out, err = tail("wait")
	if err != nil {
		t.Fatal(err)
	}
	for range 4 { // all that the handler sends before it waits
		<-out.GetStream().Events()
	}
	if err := out.GetStream().Close(); err != nil {
		t.Error(err)
	}
	select {
	case err := <-api.gone:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("the handler's context ended with %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("the handler did not learn that the client had gone")
	}
}

type invoker struct{}

func (invoker) InvokeWithResponseStream(_ context.Context, in *lambda.InvokeWithResponseStreamInput, out awsapi.Stream) error {
	if err := out.Start(&lambda.InvokeWithResponseStreamOutput{ExecutedVersion: aws.String("7")}); err != nil {
		return err
	}
	err := out.Send(&lambdatypes.InvokeWithResponseStreamResponseEventMemberPayloadChunk{Value: lambdatypes.InvokeResponseStreamUpdate{Payload: in.Payload}})
	if err != nil {
		return err
	}
	return out.Send(&lambdatypes.InvokeWithResponseStreamResponseEventMemberInvokeComplete{Value: lambdatypes.InvokeWithResponseStreamCompleteEvent{ErrorCode: aws.String("none")}})
}

func TestEventStreamREST(t *testing.T) {
	_, url := start(t, awsapi.Config{}, awsapi.Service{Model: "lambda", API: invoker{}})
	c := lambda.New(lambda.Options{BaseEndpoint: &url, Region: "r", Credentials: creds})
	out, err := c.InvokeWithResponseStream(context.Background(), &lambda.InvokeWithResponseStreamInput{FunctionName: aws.String("f"), Payload: []byte("\x00raw")})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for e := range out.GetStream().Events() {
		switch e := e.(type) {
		case *lambdatypes.InvokeWithResponseStreamResponseEventMemberPayloadChunk:
			got = append(got, string(e.Value.Payload))
		case *lambdatypes.InvokeWithResponseStreamResponseEventMemberInvokeComplete:
			got = append(got, *e.Value.ErrorCode)
		}
	}
	if err := out.GetStream().Err(); err != nil || strings.Join(got, ",") != "\x00raw,none" || aws.ToString(out.ExecutedVersion) != "7" {
		t.Errorf("%q, version %v, %v", got, out.ExecutedVersion, err)
	}
}
