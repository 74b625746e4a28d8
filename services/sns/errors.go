package sns

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/sns/types"

	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/store"
	"github.com/dhowhq/dhow/topic"
)

// invalid is SNS's error for a parameter.
func invalid(format string, args ...any) error {
	return refuse("Invalid parameter: "+format, args...)
}

// refuse is invalid with a sentence of its own.
func refuse(format string, args ...any) error {
	return &types.InvalidParameterException{Message: ptr(fmt.Sprintf(format, args...))}
}

// badValue is SNS's error for message attributes.
func badValue(format string, args ...any) error {
	return &types.InvalidParameterValueException{Message: ptr(fmt.Sprintf(format, args...))}
}

func notFound(what string) error {
	return &types.NotFoundException{Message: ptr(what + " does not exist")}
}

func noTopic() error { return notFound("Topic") }

func denied(ctx context.Context, action, resource string) error {
	return &types.AuthorizationErrorException{Message: ptr(fmt.Sprintf("User: %s is not authorized to perform: SNS:%s on resource: %s because no resource-based policy allows the SNS:%s action",
		awsapi.CallFrom(ctx).Principal, action, resource, action))}
}

// concurrent says that a topic's tags, which lost each of many tries against the
// changes of other servers, are changed by others.
func concurrent(err error) error {
	if errors.Is(err, store.ErrConflict) {
		return &types.ConcurrentAccessException{Message: ptr("Can't perform multiple operations on a tag simultaneously. Perform the operations sequentially.")}
	}
	return err
}

// wrap says an error of the engine's in the service's words.
func wrap(err error) error {
	if refused := wrapContract(err); refused != nil {
		return refused
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, topic.ErrNoTopic):
		return noTopic()
	case errors.Is(err, topic.ErrNoGroup):
		return invalid("The MessageGroupId parameter is required for FIFO topics")
	case errors.Is(err, topic.ErrNoDedup):
		return invalid("The topic should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly")
	case errors.Is(err, topic.ErrNoEndpoint):
		return invalid("TargetArn Reason: No endpoint found for the target arn specified")
	case errors.Is(err, topic.ErrDisabled):
		return &types.EndpointDisabledException{Message: ptr("Endpoint is disabled")}
	}
	return err
}
