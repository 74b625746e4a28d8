package sns

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"
)

// deliveryScripts are cases of deliveries to queues and functions.
var deliveryScripts = map[string]func(r *run, variant string){
	"test_publish_lambda_verify_signature": func(r *run, variant string) {
		p := newPost(r.t)
		r.functions["f"] = p.URL
		a := r.topic("a", "SignatureVersion", variant)
		r.subscribe(a, "lambda", "arn:aws:lambda:"+region+":"+account+":function:f")
		r.tryPublish(&sns.PublishInput{TopicArn: &a, Message: ptr("Hello world."), Subject: ptr("[Subject] Test subject Signature v" + variant)})
		event := unjson(r.t, p.next(r.t).body)["Records"].([]any)[0].(object)["Sns"].(object)
		verify(r.t, event, event["SigningCertUrl"].(string))
		r.step("notification", event)
	},
	"test_sns_topic_as_lambda_dead_letter_queue": func(r *run, _ string) {
		r.skip("lambda-response-dlq-config", "an answer of Lambda's")
		p := newPost(r.t)
		r.functions["f"] = p.URL
		in, dead, q := r.topic("in"), r.topic("dead"), r.queue("q")
		r.subscribe(in, "lambda", "arn:aws:lambda:"+region+":"+account+":function:f")
		r.subscribe(dead, "sqs", q)
		r.publish(in, `{"raise_error": 1}`)
		// What Lambda publishes when the function failed.
		r.tryPublish(&sns.PublishInput{TopicArn: &dead, Message: ptr(p.next(r.t).body), MessageAttributes: attrs{"ErrorCode": numberOf("200"),
			"ErrorMessage": {DataType: ptr("String"), StringValue: ptr("Test exception (this is intentional)")}, "RequestID": {DataType: ptr("String"), StringValue: ptr("id")}}})
		r.step("messages", messages(false, r.receive(q, 1)...))
	},
	"test_empty_or_wrong_message_attributes": func(r *run, _ string) { wrongAttributes(r) },
	"test_message_attributes_prefixes": func(r *run, _ string) {
		a := r.topic("a")
		for step, kind := range map[string]string{"publish-error": "prefixed-String", "publish-error-2": "StringPrefixed", "publish-ok-1": "String.prefixed", "publish-ok-2": "String.Prefixed.twice"} {
			r.step(step, r.tryPublish(&sns.PublishInput{TopicArn: &a, Message: ptr("x"), MessageAttributes: attrs{"attr1": {DataType: &kind, StringValue: ptr("v")}}}))
		}
	},
	"test_publish_sqs_from_sns": func(r *run, _ string) {
		a, q := r.topic("a"), r.queue("q")
		sub := r.subscribe(a, "sqs", q, "RawMessageDelivery", "true")
		r.step("sub-attrs-raw-true", r.subAttributes(sub))
		r.tryPublish(&sns.PublishInput{TopicArn: &a, Message: ptr("Test msg"), MessageAttributes: attrs{"attr1": numberOf("99.12")}})
		r.step("message-raw-true", messages(false, r.receive(q, 1)...))
		r.set(sub, "RawMessageDelivery", "false")
		r.step("sub-attrs-raw-false", r.subAttributes(sub))
		r.tryPublish(&sns.PublishInput{TopicArn: &a, Message: ptr("Test msg"), MessageAttributes: attrs{"attr1": numberOf("100.12")}})
		r.step("message-raw-false", messages(false, r.receive(q, 1)...))
	},
	"test_publish_sqs_from_sns_with_xray_propagation": func(r *run, _ string) {
		a, q := r.topic("a"), r.queue("q")
		r.subscribe(a, "sqs", q)
		req, err := http.NewRequest("POST", r.url, strings.NewReader(url.Values{"Action": {"Publish"}, "TopicArn": {a}, "Message": {"X-Ray propagation test msg"}}.Encode()))
		must(r.t, err)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("X-Amzn-Trace-Id", "Root=1-3152b799-8954dae64eda91bc9a23a7e8;Parent=7fa8c0f79203be72;Sampled=1")
		resp, err := http.DefaultClient.Do(req)
		must(r.t, err)
		resp.Body.Close()
		d := r.receive(q, 1)[0]
		m := messages(false, d)["Messages"].([]any)[0].(object)
		m["Attributes"] = object{"AWSTraceHeader": d.Trace, "SentTimestamp": d.Sent.String()}
		r.step("xray-msg", m)
	},
	"test_publish_sqs_verify_signature": func(r *run, variant string) {
		a, q := r.topic("a", "SignatureVersion", variant), r.queue("q")
		r.subscribe(a, "sqs", q)
		r.tryPublish(&sns.PublishInput{TopicArn: &a, Message: ptr("test signature value with attributes"), MessageAttributes: attrs{"attr1": numberOf("1")}})
		r.step("messages", messages(true, r.receive(q, 1)...))
	},
	"test_redrive_policy_sqs_queue_subscription": func(r *run, variant string) {
		a, q, dead := r.topic("a"), r.queue("q"), r.queue("dead")
		r.subscribe(a, "sqs", q, "RawMessageDelivery", strings.ToLower(variant), "RedrivePolicy", `{"deadLetterTargetArn": "`+dead+`"}`)
		r.removeQueue(q)
		r.tryPublish(&sns.PublishInput{TopicArn: &a, Message: ptr("test_dlq_after_sqs_endpoint_deleted"), MessageAttributes: attrs{"attr1": numberOf("111"), "attr2": {DataType: ptr("Binary"), BinaryValue: []byte{2, 3, 4}}}})
		r.step("messages", messages(true, r.receive(dead, 1)...))
	},
	"test_subscribe_to_sqs_with_queue_url": func(r *run, _ string) {
		r.step("sub-queue-url", r.trySubscribe(r.topic("a"), "sqs", "http://localhost:4566/000000000000/q"))
	},
	"test_subscription_after_failure_to_deliver": func(r *run, _ string) {
		a, q, dead := r.topic("a"), r.queue("q"), r.queue("dead")
		sub := r.subscribe(a, "sqs", q)
		r.step("subscriptions-attrs", r.subAttributes(sub))
		r.publish(a, "test_dlq_before_sqs_endpoint_deleted")
		r.step("messages-before-delete", messages(false, r.receive(q, 1)...))
		r.set(sub, "RedrivePolicy", `{"deadLetterTargetArn": "`+dead+`"}`)
		r.step("subscriptions-attrs-with-redrive", r.subAttributes(sub))
		r.removeQueue(q)
		r.publish(a, "test_dlq_after_sqs_endpoint_deleted_0")
		r.step("message-0-after-delete", messages(false, r.receive(dead, 1)...))
		r.publish(a, "test_dlq_after_sqs_endpoint_deleted_1")
		r.step("message-1-after-delete", messages(false, r.receive(dead, 1)...))
		r.step("subscriptions", r.subs(a))
	},
	"test_fifo_topic_to_regular_sqs": func(r *run, variant string) {
		a, q := r.topic("a.fifo", "ContentBasedDeduplication", strings.ToLower(variant)), r.queue("q")
		r.subscribe(a, "sqs", q)
		in := &sns.PublishInput{TopicArn: &a, Message: ptr("Test"), MessageGroupId: ptr("message-group-id-1")}
		if variant == "False" {
			in.MessageDeduplicationId = ptr("message-deduplication-id-1")
		}
		r.tryPublish(in)
		d := r.receive(q, 1)[0]
		d.Group = ""
		r.step("messages", messages(true, d))
		r.tryPublish(in)
		r.silent("dedup-messages", q)
	},
	"test_message_to_fifo_sqs": func(r *run, _ string) {
		a, q := r.topic("a.fifo"), r.queue("q.fifo")
		r.subscribe(a, "sqs", q)
		in := &sns.PublishInput{TopicArn: &a, Message: ptr("Test"), MessageGroupId: ptr("message-group-id-1"), MessageDeduplicationId: ptr("message-deduplication-id-1")}
		r.tryPublish(in)
		r.step("messages", messages(true, r.receive(q, 1)...))
		r.tryPublish(in)
		r.silent("dedup-messages", q)
	},
	"test_publish_batch_messages_from_fifo_topic_to_fifo_queue": func(r *run, _ string) {
		a, q := r.topic("a.fifo", "ContentBasedDeduplication", "true"), r.queue("q.fifo")
		r.step("topic-attrs", r.topicAttributes(a))
		r.step("sub-attrs-raw-true", r.subAttributes(r.subscribe(a, "sqs", q, "RawMessageDelivery", "true")))
		r.step("publish-batch-response-fifo", r.fifoBatch(a, false))
		r.step("messages", bare(messages(true, r.receive(q, 3)...)))
		r.step("republish-batch-response-fifo", r.fifoBatch(a, false))
		r.silent("duplicate-messages", q)
	},
	"test_publish_fifo_messages_to_dlq": func(r *run, variant string) {
		a, q, dead := r.topic("a.fifo"), r.queue("q.fifo"), r.queue("dead.fifo")
		r.step("topic-attrs", r.topicAttributes(a))
		r.subscribe(a, "sqs", q, "RawMessageDelivery", strings.ToLower(variant), "RedrivePolicy", `{"deadLetterTargetArn": "`+dead+`"}`)
		r.removeQueue(q)
		r.step("publish-response-fifo", r.tryPublish(&sns.PublishInput{TopicArn: &a, Message: ptr("test-message"), MessageGroupId: ptr("message-group-id-1"), MessageDeduplicationId: ptr("message-deduplication-id-1")}))
		r.step("messages-in-dlq", bare(messages(true, r.receive(dead, 1)...)))
		r.step("publish-batch-response-fifo", r.fifoBatch(a, true))
		r.step("batch-messages-in-dlq", bare(messages(true, r.receive(dead, 3)...)))
	},
	"test_publish_to_fifo_topic_to_sqs_queue_no_content_dedup": func(r *run, _ string) {
		a, q := r.topic("a.fifo", "ContentBasedDeduplication", "true"), r.queue("q.fifo")
		r.subscribe(a, "sqs", q)
		r.tryPublish(&sns.PublishInput{TopicArn: &a, Message: ptr("Test single"), MessageGroupId: ptr("message-group-id-1")})
		_, err := r.client.PublishBatch(r.ctx, &sns.PublishBatchInput{TopicArn: &a, PublishBatchRequestEntries: []types.PublishBatchRequestEntry{{Id: ptr("1"), Message: ptr("Test batched"), MessageGroupId: ptr("message-group-id-1")}}})
		must(r.t, err)
		r.step("messages", bare(messages(true, r.receive(q, 2)...)))
	},
}

// fifoBatch publishes the batch of three of the recordings.
func (r *run) fifoBatch(a string, dedup bool) object {
	group := ptr("complexMessageGroupId")
	entries := []types.PublishBatchRequestEntry{
		{Id: ptr("1"), MessageGroupId: group, Message: ptr("Test Message with two attributes"), Subject: ptr("Subject"), MessageAttributes: attrs{"attr1": numberOf("99.12"), "attr2": numberOf("109.12")}},
		{Id: ptr("2"), MessageGroupId: group, Message: ptr("Test Message with one attribute"), Subject: ptr("Subject"), MessageAttributes: attrs{"attr1": numberOf("19.12")}},
		{Id: ptr("3"), MessageGroupId: group, Message: ptr("Test Message without attribute"), Subject: ptr("Subject")},
	}
	for i := range entries {
		if dedup {
			entries[i].MessageDeduplicationId = ptr("MessageDeduplicationId-" + *entries[i].Id)
		}
	}
	out, err := r.client.PublishBatch(r.ctx, &sns.PublishBatchInput{TopicArn: &a, PublishBatchRequestEntries: entries})
	return r.answer(out, err)
}

// wrongAttributes publishes what is refused, alone and in a batch.
func wrongAttributes(r *run) {
	a := r.topic("a")
	text := func(name, kind, v string) url.Values {
		f := url.Values{"Name": {name}, "Value.DataType": {kind}}
		if v != "" {
			f.Set("Value.StringValue", v)
		}
		return f
	}
	binary := func(kind, v string) url.Values {
		return url.Values{"Name": {"attr1"}, "Value.DataType": {kind}, "Value.BinaryValue": {v}}
	}
	empty := text("attr1", "String", "")
	empty.Set("Value.StringValue", "")
	noBinary := url.Values{"Name": {"attr1"}, "Value.DataType": {"Binary"}, "Value.BinaryValue": {""}}
	for step, f := range map[string]url.Values{
		"missing_string_attr":       empty,
		"fully_missing_string_attr": text("attr1", "String", ""),
		"fully_missing_data_type":   {"Name": {"attr1"}, "Value.StringValue": {"x"}},
		"missing_binary_attr":       noBinary,
		"str_attr_binary_value":     binary("String", "AgME"),
		"int_attr_binary_value":     binary("Number", "AgME"),
		"binary_attr_string_value":  text("attr1", "Binary", "123"),
		"invalid_attr_string_value": text("attr1", "InvalidType", "123"),
		"too_long_name":             text(strings.Repeat("a", 257), "String", "x"),
		"invalid_name":              text("a^nvalid", "String", "x"),
		"invalid_name_2":            text(".abc", "String", "x"),
		"invalid_name_3":            text("abc.", "String", "x"),
		"invalid_name_4":            text("a..bc", "String", "x"),
	} {
		one := url.Values{"Action": {"Publish"}, "TopicArn": {a}, "Message": {"x"}}
		batch := url.Values{"Action": {"PublishBatch"}, "TopicArn": {a}, "PublishBatchRequestEntries.member.1.Id": {"1"}, "PublishBatchRequestEntries.member.1.Message": {"x"}}
		for k, v := range f {
			one["MessageAttributes.entry.1."+k] = v
			batch["PublishBatchRequestEntries.member.1.MessageAttributes.entry.1."+k] = v
		}
		r.step(step, r.form("/", one))
		r.step("batch-"+step, r.form("/", batch))
	}
}
