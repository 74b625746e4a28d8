package sqs

import "github.com/dhowhq/dhow/internal/awsapi"

// queryNames are what the query protocol of version 2012-11-05 calls things.
// Lists and maps are flat and have the names of their elements.
var queryNames = &awsapi.Query{
	Namespace: "http://queue.amazonaws.com/doc/2012-11-05/",
	Path:      "QueueUrl",
	Detail:    true,
	Names: map[string]string{
		"AWSAccountIds":         "AWSAccountId",
		"Actions":               "ActionName",
		"AttributeNames":        "AttributeName",
		"Attributes":            "Attribute",
		"BinaryListValues":      "BinaryListValue",
		"Failed":                "BatchResultErrorEntry",
		"MessageAttributeNames": "MessageAttributeName",
		// MessageSystemAttributeNames came after the protocol: AWS does not read it there.
		"MessageAttributes":       "MessageAttribute",
		"MessageSystemAttributes": "MessageSystemAttribute",
		"Messages":                "Message",
		"QueueUrls":               "QueueUrl",
		"queueUrls":               "QueueUrl",
		"Results":                 "ListMessageMoveTasksResultEntry",
		"StringListValues":        "StringListValue",
		"TagKeys":                 "TagKey",
		"Tags":                    "Tag",
		"tags":                    "Tag",

		"SendMessageBatchRequest.Entries":             "SendMessageBatchRequestEntry",
		"DeleteMessageBatchRequest.Entries":           "DeleteMessageBatchRequestEntry",
		"ChangeMessageVisibilityBatchRequest.Entries": "ChangeMessageVisibilityBatchRequestEntry",

		"SendMessageBatchResult.Successful":             "SendMessageBatchResultEntry",
		"DeleteMessageBatchResult.Successful":           "DeleteMessageBatchResultEntry",
		"ChangeMessageVisibilityBatchResult.Successful": "ChangeMessageVisibilityBatchResultEntry",

		"QueueAttributeMap.key":               "Name",
		"QueueAttributeMap.value":             "Value",
		"MessageBodyAttributeMap.key":         "Name",
		"MessageBodyAttributeMap.value":       "Value",
		"MessageBodySystemAttributeMap.key":   "Name",
		"MessageBodySystemAttributeMap.value": "Value",
		"MessageSystemAttributeMap.key":       "Name",
		"MessageSystemAttributeMap.value":     "Value",
		"TagMap.key":                          "Key",
		"TagMap.value":                        "Value",
	},
}
