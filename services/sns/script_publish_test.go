package sns

import (
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"
)

// publishScripts are cases of publishes.
var publishScripts = map[string]func(r *run, variant string){
	"test_message_structure_json_exc": func(r *run, _ string) {
		a := r.topic("a")
		for step, text := range map[string]string{"missing-default-key": `{"sqs": "x"}`, "invalid-json": "not json", "duplicate-json-keys": `{"default": "a", "default": "b"}`, "key-is-not-string": `{"default": {"a": 1}}`} {
			r.step(step, r.tryPublish(&sns.PublishInput{TopicArn: &a, Message: &text, MessageStructure: ptr("json")}))
		}
	},
	"test_publish_batch_invalid_entry_id": func(r *run, _ string) {
		a := r.topic("a")
		for step, id := range map[string]string{"id-too-long-81": strings.Repeat("a", 81), "id-too-long-91": "myreallyreallyreallyreallyreallyreallyreallyreallyreallyreallyreallyreallyreallylongid",
			"invalid-char-dot": "message.id", "invalid-char-special": "msg@123#test", "valid-id-80-chars": strings.Repeat("a", 80), "valid-id-with-hyphen-underscore": "valid-message_123"} {
			out, err := r.client.PublishBatch(r.ctx, &sns.PublishBatchInput{TopicArn: &a, PublishBatchRequestEntries: []types.PublishBatchRequestEntry{{Id: &id, Message: ptr("x")}}})
			r.step(step, r.answer(out, err))
		}
	},
	"test_publish_batch_too_long_message": func(r *run, _ string) {
		a := r.topic("a")
		half := strings.Repeat("x", 128<<10)
		two := func(first, second types.PublishBatchRequestEntry) object {
			out, err := r.client.PublishBatch(r.ctx, &sns.PublishBatchInput{TopicArn: &a, PublishBatchRequestEntries: []types.PublishBatchRequestEntry{first, second}})
			return r.answer(out, err)
		}
		r.step("error-no-attrs", two(types.PublishBatchRequestEntry{Id: ptr("1"), Message: &half}, types.PublishBatchRequestEntry{Id: ptr("2"), Message: ptr(half + "x")}))
		r.step("error-with-attrs", two(types.PublishBatchRequestEntry{Id: ptr("1"), Message: &half}, types.PublishBatchRequestEntry{Id: ptr("2"), Message: &half, MessageAttributes: attrs{"a": numberOf("1")}}))
	},
	"test_publish_by_path_parameters": func(r *run, _ string) {
		a, q := r.topic("a"), r.queue("q")
		r.subscribe(a, "sqs", q)
		got := r.form("/?"+url.Values{"Action": {"Publish"}, "Version": {"2010-03-31"}, "TopicArn": {a}, "Message": {"test message direct post request"}}.Encode(), nil)
		got["PublishResponse"].(object)["ResponseMetadata"] = object{"HTTPStatusCode": 200}
		r.step("post-request", got)
		r.step("messages", messages(false, r.receive(q, 1)...))
	},
	"test_publish_non_existent_target": func(r *run, _ string) {
		r.step("non-existent-endpoint", r.tryPublish(&sns.PublishInput{TargetArn: ptr(topicARN("endpoint/APNS/abcdef/0f7d5971-aa8b-4bd5-b585-0826e9f93a66")), Message: ptr("x")}))
	},
	"test_publish_with_empty_subject": func(r *run, _ string) {
		a := r.topic("a")
		r.step("response-without-subject", r.tryPublish(&sns.PublishInput{TopicArn: &a, Message: ptr("x")}))
		r.step("response-with-empty-subject", r.tryPublish(&sns.PublishInput{TopicArn: &a, Message: ptr("x"), Subject: ptr("")}))
	},
	"test_unknown_topic_publish": func(r *run, _ string) {
		r.step("success", r.tryPublish(&sns.PublishInput{TopicArn: ptr(r.topic("a")), Message: ptr("x")}))
		r.step("error", r.tryPublish(&sns.PublishInput{TopicArn: ptr(topicARN("none")), Message: ptr("x")}))
	},
	"test_delivery_lambda": func(r *run, _ string) {
		p := newPost(r.t)
		r.functions["f"] = p.URL
		a := r.topic("a")
		r.step("get-topic-attrs", r.topicAttributes(a))
		r.step("publish-no-logs", r.tryPublish(&sns.PublishInput{TopicArn: &a, Message: ptr("x")}))
		r.setTopic(a, "LambdaSuccessFeedbackSampleRate", "100")
		r.setTopic(a, "LambdaSuccessFeedbackRoleArn", "arn:aws:iam::111111111111:role/feedback")
		r.step("get-topic-attrs-with-success-feedback", r.topicAttributes(a))
		r.subscribe(a, "lambda", "arn:aws:lambda:"+region+":"+account+":function:f")
		const body = "Test message" // the recording's own is told by its hash alone
		r.step("publish-logs", r.tryPublish(&sns.PublishInput{TopicArn: &a, Message: ptr(body)}))
		line := unjson(r.t, r.logged("sns/"+region+"/"+account+"/a", 0))
		line["notification"].(object)["messageMD5Sum"] = "c1c7ff780647014d463e6801bf83c59d"
		got := object{"events": []any{object{"ingestionTime": 1, "timestamp": 1, "message": line}}, "ResponseMetadata": object{"HTTPStatusCode": 200.0}}
		r.step("delivery-events", got)
	},
}
