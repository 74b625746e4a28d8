package sqs

import (
	"fmt"
	"strings"
	"testing"
)

func entries(n int, more object) []any {
	list := make([]any, n)
	for i := range list {
		e := object{"Id": fmt.Sprint("e", i), "MessageBody": "b"}
		for k, v := range more {
			e[k] = v
		}
		list[i] = e
	}
	return list
}

// TestRefusals holds the answers to bad input, in both protocols.
func TestRefusals(t *testing.T) {
	f := newFixture(t)
	for _, query := range []bool{false, true} {
		c := &client{f: f, query: query}
		name := fmt.Sprint("q", query)
		q := c.must("CreateQueue", object{"QueueName": name})["QueueUrl"]
		fifo := c.must("CreateQueue", object{"QueueName": name + ".fifo", "Attributes": object{"FifoQueue": "true", "ContentBasedDeduplication": "true"}})["QueueUrl"]
		other := c.must("CreateQueue", object{"QueueName": name + "-other"})["QueueUrl"]
		c.must("SendMessage", object{"QueueUrl": other, "MessageBody": "b"})
		foreign := first(c.must("ReceiveMessage", object{"QueueUrl": other}))["ReceiptHandle"]
		c.must("SendMessage", object{"QueueUrl": q, "MessageBody": "b"})
		outdated := first(c.must("ReceiveMessage", object{"QueueUrl": q, "VisibilityTimeout": 0}))["ReceiptHandle"]
		first(c.must("ReceiveMessage", object{"QueueUrl": q}))
		for _, tt := range []struct {
			op         string
			in         object
			code, want string
		}{
			{"SendMessage", object{"QueueUrl": q, "MessageBody": "a\x00b"}, "InvalidMessageContents", "Invalid characters found."},
			{"SendMessage", object{"QueueUrl": q, "MessageBody": "a\uFFFEb"}, "InvalidMessageContents", "Invalid characters found."},
			{"SendMessage", object{"QueueUrl": q, "MessageBody": ""}, "MissingParameter", "The request must contain the parameter MessageBody."},
			{"SendMessage", object{"QueueUrl": q}, "MissingParameter", "The request must contain the parameter MessageBody."},
			{"SendMessage", object{"QueueUrl": q, "MessageBody": "b", "DelaySeconds": 901}, "InvalidParameterValue", "Value 901 for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900."},
			{"SendMessage", object{"QueueUrl": q, "MessageBody": "b", "MessageDeduplicationId": "d"}, "InvalidParameterValue", "Value d for parameter MessageDeduplicationId is invalid. Reason: The request include parameter that is not valid for this queue type."},
			{"SendMessage", object{"QueueUrl": q, "MessageBody": "b", "MessageAttributes": object{"a": object{"DataType": "Number", "StringValue": "x"}}}, "InvalidParameterValue", "Can't cast the value of message (user) attribute 'a' to a number."},
			{"SendMessage", object{"QueueUrl": q, "MessageBody": "b", "MessageAttributes": object{"a": object{"DataType": "Date", "StringValue": "x"}}}, "InvalidParameterValue", "the set of supported type prefixes is Binary, Number, and String."},
			{"SendMessage", object{"QueueUrl": q, "MessageBody": "b", "MessageAttributes": object{"aws.a": text1("x")}}, "InvalidParameterValue", "attribute name 'aws.a' is invalid"},
			{"SendMessage", object{"QueueUrl": fifo, "MessageBody": "b"}, "MissingParameter", "The request must contain the parameter MessageGroupId."},
			{"SendMessage", object{"QueueUrl": "http://h/" + account + "/none", "MessageBody": "b"}, "AWS.SimpleQueueService.NonExistentQueue", "The specified queue does not exist."},
			{"SendMessageBatch", object{"QueueUrl": q, "Entries": entries(11, nil)}, "AWS.SimpleQueueService.TooManyEntriesInBatchRequest", "Maximum number of entries per request are 10. You have sent 11."},
			{"SendMessageBatch", object{"QueueUrl": q, "Entries": append(entries(2, nil), entries(1, nil)...)}, "AWS.SimpleQueueService.BatchEntryIdsNotDistinct", "Id e0 repeated."},
			{"SendMessageBatch", object{"QueueUrl": q, "Entries": entries(2, object{"MessageBody": strings.Repeat("a", 1<<19+1)})}, "AWS.SimpleQueueService.BatchRequestTooLong", "Batch requests cannot be longer than 1048576 bytes. You have sent 1048578 bytes."},
			{"DeleteMessage", object{"QueueUrl": q, "ReceiptHandle": "garbage"}, "ReceiptHandleIsInvalid", `The input receipt handle "garbage" is not a valid receipt handle.`},
			{"DeleteMessage", object{"QueueUrl": q, "ReceiptHandle": foreign}, "ReceiptHandleIsInvalid", "is not a receipt handle of this queue."},
			{"ChangeMessageVisibility", object{"QueueUrl": q, "ReceiptHandle": outdated, "VisibilityTimeout": 5}, "AWS.SimpleQueueService.MessageNotInflight", "The specified message isn't in flight."},
			{"ChangeMessageVisibility", object{"QueueUrl": other, "ReceiptHandle": foreign, "VisibilityTimeout": 43201}, "InvalidParameterValue", "Value 43201 for parameter VisibilityTimeout is invalid."},
			{"ChangeMessageVisibility", object{"QueueUrl": other, "ReceiptHandle": foreign}, "MissingParameter", "The request must contain the parameter VisibilityTimeout."},
			{"ReceiveMessage", object{"QueueUrl": q, "MaxNumberOfMessages": 0}, "InvalidParameterValue", "Value 0 for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided."},
			{"ReceiveMessage", object{"QueueUrl": q, "ReceiveRequestAttemptId": "a"}, "InvalidParameterValue", "Value a for parameter ReceiveRequestAttemptId is invalid."},
			{"ReceiveMessage", object{"QueueUrl": q, "AttributeNames": []string{"Nothing"}}, "InvalidAttributeName", "Unknown Attribute Nothing."},
			{"GetQueueAttributes", object{"QueueUrl": q, "AttributeNames": []string{"Nothing"}}, "InvalidAttributeName", "Unknown Attribute Nothing."},
			{"SetQueueAttributes", object{"QueueUrl": q, "Attributes": object{"Nothing": "1"}}, "InvalidAttributeName", "Unknown Attribute Nothing."},
			{"SetQueueAttributes", object{"QueueUrl": q, "Attributes": object{"VisibilityTimeout": "43201"}}, "InvalidAttributeValue", "Invalid value for the parameter VisibilityTimeout."},
			{"SetQueueAttributes", object{"QueueUrl": q, "Attributes": object{"Policy": "{"}}, "InvalidAttributeValue", "Invalid value for the parameter Policy."},
			{"SetQueueAttributes", object{"QueueUrl": q, "Attributes": object{"RedrivePolicy": dead("arn:aws:sqs:eu-west-1:"+account+":none", 1)}}, "InvalidParameterValue", "Dead letter target does not exist."},
			{"SetQueueAttributes", object{"QueueUrl": q, "Attributes": object{"RedrivePolicy": dead("arn:aws:sqs:eu-west-1:"+account+":"+name+".fifo", 1)}}, "InvalidParameterValue", "Dead-letter queue must be same type of queue as the source."},
			{"SetQueueAttributes", object{"QueueUrl": q, "Attributes": object{"RedrivePolicy": dead("arn:aws:sqs:eu-west-1:"+account+":"+name+"-other", 1001)}}, "InvalidParameterValue", "Invalid value for maxReceiveCount: 1001, valid values are from 1 to 1000 both inclusive."},
			{"SetQueueAttributes", object{"QueueUrl": fifo, "Attributes": object{"FifoThroughputLimit": "perMessageGroupId"}}, "InvalidAttributeValue", "perMessageGroupId is allowed only when the value of DeduplicationScope is messageGroup."},
			{"CreateQueue", object{"QueueName": "a b"}, "InvalidParameterValue", "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"},
			{"CreateQueue", object{"QueueName": "a", "Attributes": object{"FifoQueue": "true"}}, "InvalidParameterValue", "must end with .fifo suffix"},
			{"StartMessageMoveTask", object{"SourceArn": "arn:aws:sqs:eu-west-1:" + account + ":none"}, "ResourceNotFoundException", "The resource that you specified for the SourceArn parameter doesn't exist."},
			{"StartMessageMoveTask", object{"SourceArn": "arn:aws:sqs:eu-west-1:" + account + ":none", "MaxNumberOfMessagesPerSecond": 0}, "InvalidParameterValue", "Value 0 for parameter MaxNumberOfMessagesPerSecond is invalid. Reason: Must be between 1 and 500, if provided."},
			{"StartMessageMoveTask", object{"SourceArn": "arn:aws:sqs:eu-west-1:" + account + ":none", "MaxNumberOfMessagesPerSecond": 501}, "InvalidParameterValue", "Value 501 for parameter MaxNumberOfMessagesPerSecond is invalid."},
			{"CancelMessageMoveTask", object{"TaskHandle": "none"}, "ResourceNotFoundException", "Task does not exist."},
			{"AddPermission", object{"QueueUrl": q, "Label": "l", "AWSAccountIds": []string{"12"}, "Actions": []string{"SendMessage"}}, "InvalidParameterValue", "Value [12] for parameter PrincipalId is invalid. Reason: Unable to verify."},
			{"AddPermission", object{"QueueUrl": q, "Label": "l", "AWSAccountIds": []string{account}, "Actions": []string{"CreateQueue"}}, "InvalidParameterValue", "Only the queue owner is allowed to invoke this action."},
		} {
			out := c.call(tt.op, tt.in)
			e, _ := out["Error"].(object)
			if e == nil || e["Code"] != tt.code || !strings.Contains(fmt.Sprint(e["Message"]), tt.want) {
				t.Errorf("query %v: %s %.100v: %v, want %s: %s", query, tt.op, tt.in, out, tt.code, tt.want)
			}
		}
		if out := c.call("DeleteMessage", object{"QueueUrl": q, "ReceiptHandle": outdated}); out["Error"] != nil {
			t.Errorf("deleting by an outdated handle is no error at AWS: %v", out)
		}
		if n := c.must("GetQueueAttributes", object{"QueueUrl": q, "AttributeNames": []string{"ApproximateNumberOfMessagesNotVisible"}})["Attributes"].(object)["ApproximateNumberOfMessagesNotVisible"]; n != "1" {
			t.Errorf("the outdated handle deleted: %v are in flight", n)
		}
	}
}

// TestZeroDelay has entries of batches with a delay of zero, where the queue has
// another, and none.
func TestZeroDelay(t *testing.T) {
	f := newFixture(t)
	for _, query := range []bool{false, true} {
		c := &client{f: f, query: query}
		q := c.must("CreateQueue", object{"QueueName": fmt.Sprint("q", query), "Attributes": object{"DelaySeconds": "900"}})["QueueUrl"]
		list := entries(3, nil)
		list[1].(object)["DelaySeconds"] = 0
		c.must("SendMessageBatch", object{"QueueUrl": q, "Entries": list})
		a := c.must("GetQueueAttributes", object{"QueueUrl": q, "AttributeNames": []string{"All"}})["Attributes"].(object)
		if a["ApproximateNumberOfMessages"] != "1" || a["ApproximateNumberOfMessagesDelayed"] != "2" {
			t.Errorf("query %v: %v", query, a)
		}
	}
}
