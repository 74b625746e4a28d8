package sqs

import (
	"errors"
	"fmt"

	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/queue"
)

// queryCodes are the errors' names in the query protocol, which JSON clients get
// in x-amzn-query-error; where there is none the name is the same.
var queryCodes = map[string]string{
	"AccessDeniedException":             "AccessDenied",
	"BatchEntryIdsNotDistinct":          "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
	"BatchRequestTooLong":               "AWS.SimpleQueueService.BatchRequestTooLong",
	"EmptyBatchRequest":                 "AWS.SimpleQueueService.EmptyBatchRequest",
	"InvalidBatchEntryId":               "AWS.SimpleQueueService.InvalidBatchEntryId",
	"MessageNotInflight":                "AWS.SimpleQueueService.MessageNotInflight",
	"PurgeQueueInProgress":              "AWS.SimpleQueueService.PurgeQueueInProgress",
	"QueueDeletedRecently":              "AWS.SimpleQueueService.QueueDeletedRecently",
	"QueueDoesNotExist":                 "AWS.SimpleQueueService.NonExistentQueue",
	"QueueNameExists":                   "QueueAlreadyExists",
	"TooManyEntriesInBatchRequest":      "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
	"UnsupportedOperation":              "AWS.SimpleQueueService.UnsupportedOperation",
	"InvalidParameterValueException":    "InvalidParameterValue",
	"MissingRequiredParameterException": "MissingParameter",
}

// fault is an error by its name in the JSON protocol.
func fault(code string, status int, format string, args ...any) *awsapi.Error {
	return &awsapi.Error{Code: code, Status: status, Message: fmt.Sprintf(format, args...)}
}

// invalid is an error of a parameter's value, in SQS's sentence.
func invalid(parameter string, value any, reason string) *awsapi.Error {
	return invalidValue(fmt.Sprintf("Value %v for parameter %s is invalid. Reason: %s", value, parameter, reason))
}

func invalidValue(message string) *awsapi.Error {
	return fault("InvalidParameterValueException", 400, "%s", message)
}

func missing(parameter string) *awsapi.Error {
	return fault("MissingRequiredParameterException", 400, "The request must contain the parameter %s.", parameter)
}

const wrongType = "The request include parameter that is not valid for this queue type."

// wrap says an error of the engine's in the service's words.
func wrap(err error) error {
	switch {
	case errors.Is(err, queue.ErrNoQueue):
		return fault("QueueDoesNotExist", 400, "The specified queue does not exist.")
	case errors.Is(err, queue.ErrOverLimit):
		return fault("OverLimit", 403, "Too many messages in flight: the limit is %d. Delete messages or let their visibility timeouts end.", queue.MaxInFlight)
	case errors.Is(err, queue.ErrRecent):
		return fault("QueueDeletedRecently", 400, "You must wait 60 seconds after deleting a queue before you can create another with the same name.")
	}
	return err
}

// wrapHandle says what is wrong with a receipt handle.
func wrapHandle(err error, handle string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, queue.ErrHandle):
		return fault("ReceiptHandleIsInvalid", 400, "The input receipt handle \"%s\" is not a valid receipt handle.", handle)
	case errors.Is(err, queue.ErrOtherQueue):
		return fault("ReceiptHandleIsInvalid", 400, "The input receipt handle \"%s\" is not a receipt handle of this queue.", handle)
	case errors.Is(err, queue.ErrExpired):
		return invalid("ReceiptHandle", handle, "The receipt handle has expired.")
	case errors.Is(err, queue.ErrGone):
		return invalid("ReceiptHandle", handle, "Message does not exist or is not available for visibility timeout change.")
	case errors.Is(err, queue.ErrNotInFlight):
		return fault("MessageNotInflight", 400, "The specified message isn't in flight.")
	}
	return wrap(err)
}
