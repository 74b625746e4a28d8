package sqs

import (
	"fmt"
	"strings"
	"time"
)

const (
	quoted  = `{"foo": "bar"}`
	longA   = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	traceID = "Root=1-3152b799-8954dae64eda91bc9a23a7e8;Parent=7fa8c0f79203be72;Sampled=1"
)

func text1(v string) object { return object{"DataType": "String", "StringValue": v} }

// send sends a message; more are members and values.
func (r *run) send(q, body string, more ...any) object {
	r.f.t.Helper()
	in := object{"QueueUrl": q, "MessageBody": body}
	for i := 0; i+1 < len(more); i += 2 {
		in[more[i].(string)] = more[i+1]
	}
	return r.call("SendMessage", in)
}

func (r *run) group(q, body, group, dedup string) object {
	r.f.t.Helper()
	more := []any{"MessageGroupId", group}
	if dedup != "" {
		more = append(more, "MessageDeduplicationId", dedup)
	}
	return r.send(q, body, more...)
}

func (r *run) receive(q string, more ...any) object {
	r.f.t.Helper()
	in := object{"QueueUrl": q}
	for i := 0; i+1 < len(more); i += 2 {
		in[more[i].(string)] = more[i+1]
	}
	return r.call("ReceiveMessage", in)
}

func first(answer object) object {
	l, _ := answer["Messages"].([]any)
	if len(l) == 0 {
		return object{}
	}
	return l[0].(object)
}

func (r *run) remove(q string, answer object) object {
	return r.call("DeleteMessage", object{"QueueUrl": q, "ReceiptHandle": first(answer)["ReceiptHandle"]})
}

func (r *run) set(q string, attributes ...string) object {
	return r.call("SetQueueAttributes", object{"QueueUrl": q, "Attributes": pairs(attributes)})
}

func (r *run) attributes(q string, names ...string) object {
	return r.call("GetQueueAttributes", object{"QueueUrl": q, "AttributeNames": names})
}

func policyFor(arn string, actions ...string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":["` + strings.Join(actions, `","`) + `"],"Resource":"` + arn + `"}]}`
}

var somewhere = []string{"sqs:SendMessage", "sqs:GetQueueAttributes", "sqs:GetQueueUrl"}

func tooMany(op string) script {
	return func(r *run, _ string) {
		q := r.queue("")
		r.send(q, "b")
		handle := first(r.receive(q))["ReceiptHandle"]
		var entries []any
		for i := range 20 {
			e := object{"Id": fmt.Sprint(i), "ReceiptHandle": handle}
			if op == "ChangeMessageVisibilityBatch" {
				e["VisibilityTimeout"] = 123
			}
			entries = append(entries, e)
		}
		r.step("error_response", r.call(op, object{"QueueUrl": q, "Entries": entries}))
	}
}

// sameDedup sends two messages of different groups with one deduplication id.
func sameDedup(body1, body2 string, attributes ...string) script {
	return func(r *run, _ string) {
		q := r.fifo(attributes...)
		r.group(q, body1, "1", "1")
		r.group(q, body2, "2", "1")
		got := r.receive(q)
		r.step("same-dedup-different-grp-1", got)
		r.remove(q, got)
		r.step("same-dedup-different-grp-2", r.receive(q))
	}
}

func dead(arn string, max int) string {
	return fmt.Sprintf(`{"deadLetterTargetArn":"%s","maxReceiveCount":%d}`, arn, max)
}

// bury makes n messages of a queue, which gives up after one receive, dead.
func (r *run) bury(q string, n int) {
	for i := range n {
		r.send(q, fmt.Sprintf("message-%d", i))
	}
	for seen := 0; seen < n; {
		l, _ := r.receive(q, "VisibilityTimeout", 0, "MaxNumberOfMessages", 10)["Messages"].([]any)
		seen += len(l)
	}
	r.receive(q)
}

// task is the newest move task of a source, once ok says so.
func (r *run) task(source string, ok func(object) bool) object {
	for {
		out := r.must("ListMessageMoveTasks", object{"SourceArn": source})
		if ok(out["Results"].([]any)[0].(object)) {
			return out
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func ended(task object) bool { return task["Status"] != "RUNNING" }

// scripts are what AWS was asked in each recorded case, as its name and answers
// tell.
var scripts = map[string]script{
	"test_update_completely_remove_resource": func(r *run, _ string) {
		q := r.queue("")
		r.must("DeleteQueue", object{"QueueUrl": q})
		r.step("error", r.attributes(q, "All"))
	},
	"test_update_standard_queue_add_properties_with_replacement": func(r *run, _ string) {
		old, dlq := r.queue(""), r.queue("-dlq")
		r.must("DeleteQueue", object{"QueueUrl": old})
		r.step("error", r.attributes(old, "All"))
		q := r.must("CreateQueue", object{"QueueName": "MyStandardQueueWithADifferentName", "tags": object{"Department": "Marketing", "Environment": "Pre-Test"},
			"Attributes": object{"DelaySeconds": "15", "MaximumMessageSize": "4444", "MessageRetentionPeriod": "17777", "ReceiveMessageWaitTimeSeconds": "14",
				"VisibilityTimeout": "35", "RedrivePolicy": dead(r.arn(dlq), 4)}})["QueueUrl"].(string)
		r.step("updated_attributes", r.attributes(q, "All"))
		r.step("updated_tags", r.call("ListQueueTags", object{"QueueUrl": q}))
	},
	"test_update_standard_queue_without_explicit_name": func(r *run, _ string) {
		q := r.queue("", "MaximumMessageSize", "4321", "MessageRetentionPeriod", "17539", "ReceiveMessageWaitTimeSeconds", "17")
		r.step("updated_attributes", r.attributes(q, "All"))
	},
	"test_create_sqs_with_inlinepolicy": func(r *run, _ string) {
		q := r.queue("")
		r.set(q, "Policy", policyFor(r.arn(q), somewhere...))
		r.step("policy", r.attributes(q, "Policy"))
	},
	"test_sqs_queue_policy": func(r *run, _ string) {
		q := r.queue("")
		r.set(q, "Policy", policyFor(r.arn(q), somewhere...))
		r.step("policy", r.attributes(q, "Policy"))
	},
	"test_update_sqs_remove_inlinepolicy": func(r *run, _ string) {
		q := r.queue("")
		r.set(q, "Policy", policyFor(r.arn(q), somewhere...))
		r.step("policy_before", r.attributes(q, "Policy"))
		r.set(q, "Policy", "")
		r.step("policy_after", r.attributes(q, "Policy"))
	},
	"test_update_add_two_additional_queues_to_policy": func(r *run, _ string) {
		qs := []string{r.queue(""), r.queue(""), r.queue("")}
		arn := r.arn(qs[0])
		for i, q := range qs {
			if i == 0 {
				r.set(q, "Policy", policyFor(arn, somewhere...))
			}
			r.step(fmt.Sprintf("queue_%d_before", i+1), r.attributes(q, "Policy"))
		}
		for i, q := range qs {
			r.set(q, "Policy", policyFor(arn, append(somewhere[:3:3], "sqs:ChangeMessageVisibility")...))
			r.step(fmt.Sprintf("queue_%d_after", i+1), r.attributes(q, "Policy"))
		}
	},
	"test_aws_trace_header_propagation": func(r *run, _ string) {
		q := r.queue("")
		r.send(q, "test", "MessageAttributes", object{"timestamp": object{"DataType": "Number", "StringValue": "1493147359900"}},
			"MessageSystemAttributes", object{"AWSTraceHeader": text1(traceID)})
		r.step("xray-msg", first(r.receive(q, "AttributeNames", []string{"SentTimestamp", "AWSTraceHeader"}, "MessageAttributeNames", []string{"All"})))
	},
	"test_change_message_visibility_batch_with_too_large_batch": tooMany("ChangeMessageVisibilityBatch"),
	"test_delete_message_batch_with_too_large_batch":            tooMany("DeleteMessageBatch"),
	"test_create_fifo_queue_with_different_attributes_raises_error": func(r *run, _ string) {
		r.must("CreateQueue", object{"QueueName": "a.fifo", "Attributes": object{"FifoQueue": "true", "ContentBasedDeduplication": "true"}})
		r.step("queue-already-exists", r.call("CreateQueue", object{"QueueName": "a.fifo", "Attributes": object{"FifoQueue": "true", "ContentBasedDeduplication": "false"}}))
	},
	"test_create_standard_queue_with_fifo_attribute_raises_error": func(r *run, _ string) {
		for step, a := range map[string][]string{
			"invalid-attribute-fifo-queue":                  {"FifoQueue", "false"},
			"invalid-attribute-content-based-deduplication": {"ContentBasedDeduplication", "false"},
			"invalid-attribute-deduplication-scope":         {"DeduplicationScope", "queue"},
			"invalid-attribute-throughput-limit":            {"FifoThroughputLimit", "perQueue"},
		} {
			got := r.call("CreateQueue", object{"QueueName": "standard", "Attributes": pairs(a)})
			got["message"] = got["Error"].(object)["Message"]
			r.step(step, got)
		}
	},
	"test_delete_after_visibility_timeout": func(r *run, _ string) {
		q := r.queue("")
		r.send(q, "foobar")
		got := r.receive(q, "VisibilityTimeout", 0)
		r.remove(q, got)
		r.step("delete_after_timeout_queue_empty", r.receive(q))
	},
	"test_fifo_delete_after_visibility_timeout": func(r *run, _ string) {
		q := r.fifo("ContentBasedDeduplication", "true")
		r.group(q, "foobar", "1", "")
		got := r.receive(q, "VisibilityTimeout", 0)
		r.step("received_sqs_message", got)
		r.step("delete_after_timeout_fifo", r.remove(q, got))
	},
	"test_delete_message_batch_invalid_msg_id": func(r *run, variant string) {
		q := r.queue("")
		r.send(q, "b")
		_, id, _ := strings.Cut(variant, "-")
		r.step("error_response", r.call("DeleteMessageBatch", object{"QueueUrl": q, "Entries": []any{object{"Id": id, "ReceiptHandle": first(r.receive(q))["ReceiptHandle"]}}}))
	},
	"test_fair_queue_with_message_group_id": func(r *run, _ string) {
		q := r.queue("")
		r.step("send_message", r.group(q, "message", "test", ""))
		r.step("get-message-with-deduplication-id", r.receive(q, "AttributeNames", []string{"All"}))
	},
	"test_fifo_change_to_regular_throughput_after_creation": func(r *run, _ string) {
		q := r.fifo("DeduplicationScope", "messageGroup", "FifoThroughputLimit", "perMessageGroupId")
		r.group(q, "Test1", "1", "1")
		r.group(q, "Test2", "2", "1")
		for _, step := range []string{"same-dedup-different-grp-1", "same-dedup-different-grp-2"} {
			got := r.receive(q)
			r.step(step, got)
			r.remove(q, got)
		}
		r.set(q, "FifoThroughputLimit", "perQueue", "DeduplicationScope", "queue")
		r.step("set-to-regular-throughput", r.attributes(q, "All"))
		r.group(q, "Test3", "1", "2")
		r.group(q, "Test4", "2", "2")
		r.step("same-dedup-different-grp-regular-throughput", r.receive(q, "MaxNumberOfMessages", 10))
	},
	"test_fifo_deduplication_arrives_once_after_delete": func(r *run, _ string) {
		q := r.fifo("ContentBasedDeduplication", "true")
		r.group(q, quoted, "1", "")
		got := r.receive(q)
		r.step("get-messages", got)
		r.remove(q, got)
		r.group(q, quoted, "1", "")
		r.step("get-messages-duplicate", r.receive(q))
	},
	"test_fifo_deduplication_not_on_message_group_id": func(r *run, variant string) {
		q, dedup := r.fifo("ContentBasedDeduplication", "true"), ""
		if strings.HasSuffix(variant, "False") {
			q, dedup = r.fifo(), "d"
		}
		r.group(q, quoted, "1", dedup)
		r.group(q, quoted, "2", dedup)
		got := r.receive(q)
		r.step("get-messages", got)
		r.remove(q, got)
		r.step("get-dedup-messages", r.receive(q))
	},
	"test_fifo_empty_message_groups_added_back_to_queue": func(r *run, _ string) {
		q := r.fifo()
		r.group(q, "Message 1", "g", "1")
		got := r.receive(q)
		r.step("inital-fifo-receive", got)
		r.remove(q, got)
		r.step("empty-fifo-receive", r.receive(q))
		r.group(q, "Message 2", "g", "2")
		r.step("final-fifo-receive", r.receive(q))
	},
	// What precedes the first message in flight is visible, what follows is not.
	"test_fifo_group_visibility_extends_with_change_message_visibility": func(r *run, variant string) {
		q := r.fifo("ContentBasedDeduplication", "true")
		for _, body := range []string{"foo", "bar", "baz"} {
			r.group(q, body, "1", "")
		}
		got := r.receive(q, "MaxNumberOfMessages", 10, "VisibilityTimeout", 30)
		r.step("receive_all_messages", got)
		extended := 0
		if strings.Contains(variant, "2-visible") {
			extended = 2
		}
		for i, m := range got["Messages"].([]any) {
			if i != extended {
				r.must("ChangeMessageVisibility", object{"QueueUrl": q, "ReceiptHandle": m.(object)["ReceiptHandle"], "VisibilityTimeout": 0})
			}
		}
		r.step("some-messages-invisible", r.receive(q, "MaxNumberOfMessages", 10))
	},
	"test_fifo_high_throughput_ordering":                      sameDedup("Test1", "Test2", "DeduplicationScope", "messageGroup", "FifoThroughputLimit", "perMessageGroupId"),
	"test_sqs_fifo_message_group_scope_no_throughput_setting": sameDedup("Test", "Test", "DeduplicationScope", "messageGroup"),
	"test_sqs_fifo_same_dedup_id_different_message_groups":    sameDedup("Test", "Test"),
	"test_fifo_message_attributes": func(r *run, _ string) {
		q := r.fifo()
		r.step("send_message", r.group(q, "message-body-1", "group-1", "dedup-1"))
		r.step("receive_message_0", r.receive(q, "AttributeNames", []string{"All"}, "VisibilityTimeout", 0))
		r.step("receive_message_1", r.receive(q, "AttributeNames", []string{"All"}))
	},
	"test_fifo_queue_send_message_with_delay_seconds_fails": func(r *run, _ string) {
		q := r.fifo("ContentBasedDeduplication", "true")
		r.step("send_message", r.send(q, "message-1", "MessageGroupId", "1", "DelaySeconds", 2))
	},
	"test_fifo_queue_send_message_with_zero_delay_defaults_to_queue_delay": func(r *run, _ string) {
		q := r.fifo("ContentBasedDeduplication", "true", "DelaySeconds", "1")
		r.step("send_message_result", r.send(q, "message-1", "MessageGroupId", "1", "DelaySeconds", 0))
		r.step("receive_message_initial_result", r.receive(q))
		r.step("receive_message_after_delay_result", r.receive(q, "WaitTimeSeconds", 10))
	},
	"test_fifo_set_content_based_deduplication_strategy": func(r *run, _ string) {
		q := r.fifo("ContentBasedDeduplication", "true")
		r.step("before-update", r.attributes(q, "All"))
		r.set(q, "ContentBasedDeduplication", "false")
		r.step("after-update", r.attributes(q, "All"))
	},
	"test_invalid_batch_id": func(r *run, _ string) {
		r.step("test_invalid_batch_id", r.call("SendMessageBatch", object{"QueueUrl": r.queue(""), "Entries": []any{object{"Id": "message:invalid", "MessageBody": "b"}}}))
	},
	"test_list_queues_pagination": func(r *run, _ string) {
		const prefix = "7f7df0f5-test-queue-"
		for i := range 10 {
			r.must("CreateQueue", object{"QueueName": fmt.Sprint(prefix, i)})
		}
		for _, step := range r.want { // the host is ours, and so is the token's form
			urls := step.(object)["QueueUrls"].([]any)
			for i := range urls {
				urls[i] = "<url>" + urls[i].(string)[strings.Index(urls[i].(string), "/111"):]
			}
			if step.(object)["NextToken"] != nil {
				step.(object)["NextToken"] = "<token>"
			}
		}
		r.step("list_all", r.call("ListQueues", object{"QueueNamePrefix": prefix}))
		two := r.call("ListQueues", object{"QueueNamePrefix": prefix, "MaxResults": 2})
		r.step("list_two_max", two)
		r.step("list_remaining", r.call("ListQueues", object{"QueueNamePrefix": prefix, "MaxResults": 8, "NextToken": two["NextToken"]}))
	},
	"test_message_deduplication_id_invalid": func(r *run, variant string) {
		id := "group 123"
		if variant == "too_long" {
			id = longA
		}
		r.step("error-response", r.group(r.fifo(), "message", "1", id))
	},
	"test_send_message_to_standard_queue_with_invalid_message_group_id": func(r *run, variant string) {
		id := ""
		if variant == "too_long" {
			id = longA
		}
		r.step("error-response", r.send(r.queue(""), "message", "MessageGroupId", id))
	},
	"test_message_system_attribute_names_with_attribute_names": func(r *run, _ string) {
		q := r.queue("", "VisibilityTimeout", "0")
		r.send(q, "msg")
		r.step("same_values", r.receive(q, "AttributeNames", []string{"All"}, "MessageSystemAttributeNames", []string{"All"}))
		r.step("different_values", r.receive(q, "AttributeNames", []string{"SenderId"}, "MessageSystemAttributeNames", []string{"All"}))
	},
	"test_posting_to_fifo_requires_deduplicationid_group_id": func(r *run, _ string) {
		q := r.fifo()
		noGroup, noDedup := r.send(q, "m", "MessageDeduplicationId", "1"), r.group(q, "m", "1", "")
		r.step("missing-parameter", noGroup)
		r.step("missing-parameter-query", noGroup)
		r.step("invalid-parameter-value", noDedup)
		r.step("invalid-parameter-value-query", noDedup)
	},
	"test_receive_empty_queue": func(r *run, _ string) {
		q := r.queue("")
		r.step("empty_short_poll_resp_no_param", r.receive(q))
		r.step("empty_short_poll_resp", r.receive(q, "WaitTimeSeconds", 0))
		r.step("empty_long_poll_resp", r.receive(q, "WaitTimeSeconds", 1))
	},
	"test_receive_message_attribute_names_filters":                filterSystem("AttributeNames"),
	"test_receive_message_message_system_attribute_names_filters": filterSystem("MessageSystemAttributeNames"),
	"test_receive_message_message_attribute_names_filters": func(r *run, _ string) {
		q := r.queue("", "VisibilityTimeout", "0")
		r.step("send_message_response", r.send(q, "msg", "MessageAttributes", object{"Help.Me": text1("Me"), "Hello": text1("There"), "General": text1("Kenobi")}))
		ask := func(names ...string) object { return r.receive(q, "MessageAttributeNames", names) }
		r.step("empty_filter", ask())
		r.step("all_name", ask("All"))
		r.step("all_wildcard_asterisk", first(ask(".*")))
		r.step("all_wildcard", first(ask("All", "Foo")))
		r.step("only_non_existing_names", first(ask("Foo", "Help")))
		r.step("only_existing", first(ask("Hello", "General")))
		r.step("existing_and_non_existing", first(ask("Foo", "Hello")))
		r.step("prefix_filter", first(ask("Hel.*")))
		r.step("illegal_name_1", ask("AWS."))
		r.step("illegal_name_2", ask("..foo"))
	},
	"test_send_batch_message_size": func(r *run, _ string) {
		q := r.queue("", "MaximumMessageSize", "1024")
		r.step("send-message-batch-result", r.call("SendMessageBatch", object{"QueueUrl": q, "Entries": []any{
			object{"Id": "b1", "MessageBody": strings.Repeat("a", 1024)}, object{"Id": "b2", "MessageBody": strings.Repeat("a", 1025)}}}))
	},
	"test_send_batch_missing_deduplication_id_for_fifo_queue": func(r *run, _ string) {
		r.step("test_missing_deduplication_id_for_fifo_queue", r.call("SendMessageBatch", object{"QueueUrl": r.fifo(), "Entries": []any{
			object{"Id": "1", "MessageBody": "b", "MessageGroupId": "g", "MessageDeduplicationId": "d"}, object{"Id": "2", "MessageBody": "b", "MessageGroupId": "g"}}}))
	},
	"test_send_message_batch_with_oversized_contents": func(r *run, _ string) {
		r.step("send_oversized_message_batch", r.call("SendMessageBatch", object{"QueueUrl": r.queue(""), "Entries": []any{
			object{"Id": "1", "MessageBody": strings.Repeat("a", 1<<20-8), "MessageAttributes": object{"k": text1("x")}}, object{"Id": "2", "MessageBody": "a"}}}))
	},
	"test_send_message_batch_with_oversized_contents_with_updated_maximum_message_size": func(r *run, _ string) {
		q := r.queue("", "MaximumMessageSize", "2048")
		r.step("send_oversized_message_batch", r.call("SendMessageBatch", object{"QueueUrl": q, "Entries": []any{
			object{"Id": "1", "MessageBody": strings.Repeat("a", 2048-8), "MessageAttributes": object{"k": text1("x")}}, object{"Id": "2", "MessageBody": "a"}}}))
	},
	"test_send_message_with_binary_attributes": func(r *run, _ string) {
		const value = "traceparent\x1e00-774062d6c37081a5a0b9b5b88e30627c-2d2482211f6489da-01"
		r.want["binary-attrs-msg"].(object)["Messages"].([]any)[0].(object)["MessageAttributes"].(object)["attr1"].(object)["BinaryValue"] =
			"dHJhY2VwYXJlbnQeMDAtNzc0MDYyZDZjMzcwODFhNWEwYjliNWI4OGUzMDYyN2MtMmQyNDgyMjExZjY0ODlkYS0wMQ==" // as on the wire
		q := r.queue("")
		r.send(q, "test", "MessageAttributes", object{"attr1": object{"DataType": "Binary", "BinaryValue": []byte(value)}})
		r.step("binary-attrs-msg", r.receive(q, "MessageAttributeNames", []string{"All"}))
	},
	"test_send_message_with_empty_string_attribute": func(r *run, _ string) {
		r.step("empty-string-attr", r.send(r.queue(""), "test", "MessageAttributes", object{"ErrorDetails": text1("")}))
	},
	"test_send_message_with_updated_maximum_message_size": func(r *run, _ string) {
		r.step("send_oversized_message", r.send(r.queue("", "MaximumMessageSize", "1024"), strings.Repeat("a", 1025)))
	},
	"test_send_oversized_message": func(r *run, _ string) {
		r.step("send_oversized_message", r.send(r.queue(""), strings.Repeat("a", 1<<20-7), "MessageAttributes", object{"k": text1("x")}))
	},
	"test_send_receive_max_number_of_messages": func(r *run, _ string) {
		r.step("send_max_number_of_messages", r.receive(r.queue(""), "MaxNumberOfMessages", 11))
	},
	"test_send_receive_wait_time_seconds": func(r *run, _ string) {
		q := r.queue("")
		r.step("recieve_message_error_too_large", r.receive(q, "WaitTimeSeconds", 21))
		r.step("recieve_message_error_too_small", r.receive(q, "WaitTimeSeconds", -1))
		r.send(q, "message")
		r.step("empty_short_poll_by_default_resp", r.receive(q))
		r.send(q, "message")
		r.step("empty_short_poll_explicit_resp", r.receive(q, "WaitTimeSeconds", 0))
	},
	"test_set_queue_attributes_default_values": func(r *run, _ string) {
		q := r.queue("")
		r.step("get-queue-attributes-initial-values", r.attributes(q, "All"))
		r.set(q, "KmsMasterKeyId", "testKeyId", "KmsDataKeyReusePeriodSeconds", "6000")
		r.step("get-queue-attributes-after-update", r.attributes(q, "All"))
		r.set(q, "DelaySeconds", "", "KmsMasterKeyId", "", "KmsDataKeyReusePeriodSeconds", "", "MaximumMessageSize", "", "MessageRetentionPeriod", "",
			"Policy", "", "ReceiveMessageWaitTimeSeconds", "", "RedrivePolicy", "", "VisibilityTimeout", "")
		r.step("get-queue-attributes-after-set-to-defaults", r.attributes(q, "All"))
	},
	"test_set_unsupported_attribute_fifo": func(r *run, _ string) {
		r.unsupported("invalid-attr-name-1", r.set(r.queue(""), "FifoQueue", "true"))
		r.unsupported("invalid-attr-name-2", r.set(r.fifo(), "FifoQueue", "false"))
	},
	"test_set_unsupported_attribute_standard": func(r *run, _ string) {
		q := r.queue("")
		r.unsupported("invalid-attr-name-1", r.set(q, "FifoQueue", "true"))
		r.unsupported("invalid-attr-name-2", r.set(q, "FifoQueue", "false"))
	},
	"test_sqs_permission_lifecycle": permissions,
	"test_sse_kms_and_sqs_are_mutually_exclusive": func(r *run, _ string) {
		e := r.set(r.queue(""), "KmsMasterKeyId", "testKeyId", "SqsManagedSseEnabled", "true")["Error"].(object)
		r.step("error", fmt.Sprintf("An error occurred (%s) when calling the SetQueueAttributes operation: %s", e["Code"], e["Message"]))
	},
	"test_sse_queue_attributes": func(r *run, _ string) {
		names := []string{"KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds", "SqsManagedSseEnabled"}
		q := r.queue("", "KmsMasterKeyId", "testKeyId", "KmsDataKeyReusePeriodSeconds", "6000")
		r.step("sse_kms_attributes", r.attributes(q, names...))
		q = r.queue("")
		r.set(q, "SqsManagedSseEnabled", "true")
		r.step("sse_sqs_attributes", r.attributes(q, names...))
	},
	"test_successive_purge_calls_fail": func(r *run, _ string) {
		q := r.queue("")
		r.must("PurgeQueue", object{"QueueUrl": q})
		r.step("purge_queue_error", r.call("PurgeQueue", object{"QueueUrl": q}))
	},
	"test_tag_untag_queue": func(r *run, _ string) {
		q := r.queue("")
		r.must("TagQueue", object{"QueueUrl": q, "Tags": object{"tag1": "value1", "tag2": "value2", "tag3": ""}})
		list := func() object { return r.call("ListQueueTags", object{"QueueUrl": q}) }
		r.step("get-tag-1", list())
		r.must("UntagQueue", object{"QueueUrl": q, "TagKeys": []string{"tag1", "tag3"}})
		r.step("get-tag-2", list())
		r.must("UntagQueue", object{"QueueUrl": q, "TagKeys": []string{"tag2"}})
		r.step("get-tag-after-untag", list())
	},
	"test_basic_move_task_workflow": func(r *run, _ string) {
		dlq, to := r.queue("-dlq"), r.queue("-to")
		q := r.queue("", "RedrivePolicy", dead(r.arn(dlq), 1))
		r.bury(q, 2)
		r.step("start-message-move-task-response", r.call("StartMessageMoveTask", object{"SourceArn": r.arn(dlq), "DestinationArn": r.arn(to)}))
		r.step("list-message-move-task-response", r.task(r.arn(dlq), ended))
	},
	"test_move_task_delete_destination_queue_while_running": func(r *run, _ string) {
		dlq, to := r.queue("-dlq"), r.queue("-to")
		r.queue("", "RedrivePolicy", dead(r.arn(dlq), 1))
		for i := range 10 {
			r.send(dlq, fmt.Sprint(i))
		}
		r.must("StartMessageMoveTask", object{"SourceArn": r.arn(dlq), "DestinationArn": r.arn(to), "MaxNumberOfMessagesPerSecond": 1})
		r.task(r.arn(dlq), func(t object) bool { return fmt.Sprint(t["ApproximateNumberOfMessagesMoved"]) == "3" })
		r.must("DeleteQueue", object{"QueueUrl": to})
		r.step("list", r.task(r.arn(dlq), ended))
	},
	"test_move_task_workflow_with_multiple_sources_as_default_destination": func(r *run, _ string) {
		dlq := r.queue("-dlq")
		arn := r.arn(dlq)
		qs := []string{r.queue("", "RedrivePolicy", dead(arn, 1)), r.queue("", "RedrivePolicy", dead(arn, 1))}
		r.step("source-arn", arn)
		for i, q := range qs {
			r.step(fmt.Sprintf("original-source-%d", i+1), r.arn(q))
			r.bury(q, 2)
		}
		r.step("start-message-move-task-response", r.call("StartMessageMoveTask", object{"SourceArn": arn}))
		r.step("list-message-move-task-response", r.task(arn, ended))
		for _, q := range qs {
			if n := r.attributes(q, "ApproximateNumberOfMessages")["Attributes"].(object)["ApproximateNumberOfMessages"]; n != "2" {
				r.f.t.Errorf("%v messages came back to %s, 2 had left", n, q)
			}
		}
	},
	"test_source_needs_redrive_policy": func(r *run, _ string) {
		r.step("error", r.call("StartMessageMoveTask", object{"SourceArn": r.arn(r.queue("")), "DestinationArn": r.arn(r.queue(""))}))
	},
}

// unsupported is a step of which the JSON recordings have the message twice.
func (r *run) unsupported(step string, got object) {
	if !r.query {
		got["message"] = got["Error"].(object)["Message"]
	}
	r.step(step, got)
}

func filterSystem(member string) script {
	return func(r *run, _ string) {
		q := r.queue("", "VisibilityTimeout", "0")
		r.send(q, "msg", "MessageAttributes", object{"Foo": text1("Bar")})
		r.step("all_attributes", r.receive(q, member, []string{"All"}))
		r.step("all_system_and_message_attributes", r.receive(q, member, []string{"All"}, "MessageAttributeNames", []string{"All"}))
		r.step("single_attribute", r.receive(q, member, []string{"SenderId"}))
		r.step("multiple_attributes", r.receive(q, member, []string{"SenderId", "SequenceNumber"}))
	}
}

func permissions(r *run, _ string) {
	q := r.queue("")
	add := func(label string, ids ...string) object {
		return r.call("AddPermission", object{"QueueUrl": q, "Label": label, "AWSAccountIds": ids, "Actions": []string{"ReceiveMessage"}})
	}
	remove := func(label string) object { return r.call("RemovePermission", object{"QueueUrl": q, "Label": label}) }
	get := func() object { return r.attributes(q, "Policy") }
	r.step("add-permission-response", add("crossaccountpermission", "668614515564", account))
	r.step("get-queue-policy-attribute", get())
	r.step("remove-permission-response", remove("crossaccountpermission"))
	r.step("get-queue-policy-attribute-after-removal", get())
	add("crossaccountpermission", account)
	r.step("get-queue-policy-attribute-first-account-same-label", get())
	r.step("get-queue-policy-attribute-second-account-same-label", add("crossaccountpermission", "668614515564"))
	add("crossaccountpermission2", account)
	r.step("get-queue-policy-attribute-second-account-different-label", get())
	remove("crossaccountpermission")
	r.step("get-queue-policy-attribute-delete-first-permission", get())
	remove("crossaccountpermission2")
	r.step("get-queue-policy-attribute-delete-second-permission", get())
	r.step("get-queue-policy-attribute-delete-non-existent-label", remove("crossaccountpermission2"))
}
