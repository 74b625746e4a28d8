package sns

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"

	"github.com/dhowhq/dhow/queue"
)

// raw publishes a body and returns nothing.
func (r *run) say(a, body string, attributes attrs) {
	r.t.Helper()
	_, err := r.client.Publish(r.ctx, &sns.PublishInput{TopicArn: &a, Message: &body, MessageAttributes: attributes})
	must(r.t, err)
}

// bodySubscription is a queue that gets raw bodies which a filter lets through.
func (r *run) bodySubscription(a, name, filter string) string {
	q := r.queue(name)
	r.subscribe(a, "sqs", q, "RawMessageDelivery", "true", "FilterPolicyScope", "MessageBody", "FilterPolicy", filter)
	return q
}

// system renders messages with their system attributes, without a status.
func system(list []queue.Delivery) object { return bare(messages(true, list...)) }

// recordedBodies are the bodies of a recorded step, in its order: they tell what
// was published.
func (r *run) recordedBodies(step string) (bodies []string) {
	for _, m := range r.want[step].(object)["Messages"].([]any) {
		b := m.(object)["Body"]
		if s, ok := b.(string); ok {
			bodies = append(bodies, s)
			continue
		}
		data, err := json.Marshal(b)
		must(r.t, err)
		bodies = append(bodies, string(data))
	}
	return bodies
}

// passes publishes what was recorded to have passed, and chaff that must not,
// and compares what comes.
func (r *run) passes(step, a, q string, chaff ...string) {
	r.t.Helper()
	bodies := r.recordedBodies(step)
	var got []queue.Delivery
	for _, b := range bodies {
		r.say(a, b, nil)
		got = append(got, r.receive(q, 1)...)
	}
	for _, c := range chaff {
		r.say(a, c, nil)
	}
	r.step(step, system(got))
	r.none(q)
}

var filterScripts = map[string]func(r *run, variant string){
	"test_exists_filter_policy_attributes_array": func(r *run, _ string) {
		a, q := r.topic("a"), r.queue("q")
		sub := r.subscribe(a, "sqs", q, "RawMessageDelivery", "true")
		r.silent("messages-init", q)
		r.set(sub, "FilterPolicy", `{"store": ["value1"]}`)
		r.step("subscription-attributes-policy", r.subAttributes(sub))
		list := func(v string) attrs {
			return attrs{"store": {DataType: ptr("String.Array"), StringValue: &v}}
		}
		for i, v := range []string{`["value1"]`, `["value1", "value2"]`} {
			r.say(a, fmt.Sprint("message-", i+1), list(v))
			d := r.receive(q, 1)[0]
			d.Attributes = nil // the recording did not ask for them
			r.step(fmt.Sprint("messages-", i+1), messages(false, d))
		}
		r.say(a, "message-3", list(`["value2", "value3"]`))
		r.silent("messages-3", q)
	},
	"test_filter_policy": func(r *run, _ string) {
		a, q := r.topic("a"), r.queue("q")
		sub := r.subscribe(a, "sqs", q)
		r.set(sub, "FilterPolicy", `{"attr1": [{"numeric": [">", 0, "<=", 100]}]}`)
		r.step("subscription-attributes", r.subAttributes(sub))
		r.silent("messages-0", q)
		const text = "This is a test message"
		r.say(a, text, attrs{"attr1": numberOf("99")})
		d := r.receive(q, 1)
		r.step("messages-1", messages(false, d...))
		// The same message, received again.
		r.step("messages-2", messages(false, d...))
		r.say(a, "This is another test message", attrs{"attr1": numberOf("111")})
		r.silent("messages-3", q)
		r.set(sub, "FilterPolicy", `{"attr1": [null, {"anything-but": "whatever"}]}`)
		r.step("subscription-attributes-2", r.subAttributes(sub))
		r.say(a, "This the test message for null", nil)
		r.step("messages-4", messages(false, r.receive(q, 1)...))
	},
	"test_filter_policy_empty_array_payload": func(r *run, _ string) {
		a := r.topic("a")
		q := r.bodySubscription(a, "q", `{"detail": {"eventVersion": [""]}}`)
		r.passes("messages-queue", a, q, `{"detail": {"eventVersion": "1"}}`)
	},
	"test_filter_policy_for_batch": func(r *run, _ string) {
		a, with, without := r.topic("a"), r.queue("with"), r.queue("without")
		sub := r.subscribe(a, "sqs", with)
		r.set(sub, "FilterPolicy", `{"attr1": [{"numeric": [">", 0, "<=", 100]}]}`)
		free := r.subscribe(a, "sqs", without)
		r.step("subscription-attributes-with-filter", r.subAttributes(sub))
		r.step("subscription-attributes-no-filter", r.subAttributes(free))
		r.silent("messages-no-filter-before-publish", without)
		r.silent("messages-with-filter-before-publish", with)
		batch := func(text, v string) {
			_, err := r.client.PublishBatch(r.ctx, &sns.PublishBatchInput{TopicArn: &a, PublishBatchRequestEntries: []types.PublishBatchRequestEntry{
				{Id: ptr("1"), Message: &text, MessageAttributes: attrs{"attr1": numberOf(v)}}}})
			must(r.t, err)
		}
		batch("This is a test message", "99")
		r.step("messages-no-filter-after-publish-ok", messages(false, r.receive(without, 1)...))
		r.step("messages-with-filter-after-publish-ok", messages(false, r.receive(with, 1)...))
		batch("This is another test message", "111")
		r.step("messages-no-filter-after-publish-ok-1", messages(false, r.receive(without, 1)...))
		r.silent("messages-with-filter-after-publish-filtered", with)
	},
	"test_filter_policy_on_message_body": func(r *run, _ string) {
		a := r.topic("a")
		q := r.bodySubscription(a, "q", `{"object": {"key": [{"prefix": "auto-"}, "hardcodedvalue"]}}`)
		r.silent("recv-init", q)
		for i, step := range []string{"recv-passed-msg-0", "recv-passed-msg-1"} {
			r.say(a, r.recordedBodies(step)[0], nil)
			r.step(step, messages(false, r.receive(q, 1)...))
			r.say(a, []string{`{"object": {"key": "home-test"}}`, "no JSON"}[i], nil)
			r.say(a, `{"object": "auto-"}`, nil)
		}
		r.none(q)
	},
	"test_filter_policy_on_message_body_array_attributes": func(r *run, _ string) {
		a := r.topic("a")
		var queues []string
		for _, n := range []string{"queue1", "queue2"} {
			queues = append(queues, r.bodySubscription(a, n, `{"headers": {"route-to": ["`+n+`"]}}`))
		}
		seen := map[string]bool{}
		for i := range queues {
			for _, b := range r.recordedBodies(fmt.Sprint("messages-queue-", i)) {
				if !seen[b] {
					r.say(a, b, nil)
				}
				seen[b] = true
			}
		}
		r.say(a, `{"headers": {"route-to": ["queue3"]}}`, nil)
		for i, q := range queues {
			step := fmt.Sprint("messages-queue-", i)
			r.step(step, system(inOrder(r.receive(q, 2), r.recordedBodies(step))))
			r.none(q)
		}
	},
	"test_filter_policy_on_message_body_array_of_object_attributes": func(r *run, _ string) {
		a := r.topic("a")
		q := r.bodySubscription(a, "q", `{"Records": {"s3": {"object": {"key": [{"prefix": "auto-"}]}}, "eventName": [{"prefix": "ObjectCreated:"}]}}`)
		bodies := r.recordedBodies("messages")
		for i := range bodies { // what was recorded without its time
			bodies[i] = strings.ReplaceAll(bodies[i], `"date"`, `"2020-01-01T00:00:00Z"`)
			r.say(a, bodies[i], nil)
		}
		r.say(a, `{"Records": [{"eventName": "ObjectRemoved:Delete", "s3": {"object": {"key": "auto-x"}}}, {"eventName": "ObjectCreated:Put", "s3": {"object": {"key": "home-x"}}}]}`, nil)
		r.step("messages", system(inOrder(r.receive(q, 2), bodies)))
		r.none(q)
	},
	"test_filter_policy_on_message_body_or_attribute": func(r *run, _ string) {
		a := r.topic("a")
		q := r.bodySubscription(a, "q", `{"$or": [{"metricName": ["CPUUtilization", "ReadLatency"]}, {"namespace": ["AWS/EC2", "AWS/ES"]}], "detail": {"scope": ["Service"], "$or": [{"source": ["aws.cloudwatch"]}, {"type": ["CloudWatch Alarm State Change"]}]}}`)
		r.passes("messages-queue", a, q, `{"metricName": "CPUUtilization", "detail": {"scope": "Service"}}`, `{"metricName": "Other", "detail": {"scope": "Service", "source": "aws.cloudwatch"}}`)
	},
	"test_policy_complexity_with_or": func(r *run, _ string) {
		many := func(n int) string {
			var l []string
			for i := range n {
				l = append(l, fmt.Sprintf("%q", fmt.Sprint("v", i)))
			}
			return "[" + strings.Join(l, ",") + "]"
		}
		r.filterStep("error-complexity-or-flat", `{"source": `+many(20)+`, "$or": [{"a": `+many(20)+`}, {"b": `+many(20)+`}]}`)
		r.filterStep("error-complexity-or-nested", `{"source": `+many(20)+`, "detail": {"$or": [{"a": `+many(20)+`}, {"b": {"$or": [{"c": `+many(9)+`}, {"d": `+many(9)+`}]}}]}}`)
	},
	"test_validate_policy_nested_anything_but_operator": func(r *run, _ string) {
		r.filterStep("error-condition-wrong-operator", `{"key":[{"anything-but":{"wrong-operator":null}}]}`)
		r.filterStep("error-condition-anything-but-suffix", `{"key":[{"anything-but":{"suffix":"test"}}]}`)
		r.filterStep("error-condition-anything-but-exists", `{"key":[{"anything-but":{"exists":false}}]}`)
		r.filterStep("error-condition-anything-but-prefix-wrong-type", `{"key":[{"anything-but":{"prefix":false}}]}`)
	},
	"test_validate_policy_string_operators": func(r *run, _ string) {
		for step, p := range map[string]string{
			"error-condition-is-numeric":                  `{"key":[{"suffix":100}]}`,
			"error-condition-is-none":                     `{"key":[{"suffix":null}]}`,
			"error-condition-list-wrong-type":             `{"key":[{"suffix":["test","test2"]}]}`,
			"error-condition-empty-list":                  `{"key":[{"suffix":[]}]}`,
			"error-condition-is-not-list-and-operator":    `{"key":{"suffix":"value"}}`,
			"error-condition-is-not-list-two-ops":         `{"key":{"suffix":"value","prefix":"value"}}`,
			"error-condition-is-not-list-and-no-operator": `{"key":{"not-an-operator":"value"}}`,
			"error-condition-empty-array":                 `{"key":[]}`,
			"error-condition-bad-type":                    `{"key":[{"cidr":["bad-filter"]}]}`,
			"error-condition-bad-cidr-str":                `{"key":[{"cidr":"bad-filter/1/2"}]}`,
			"error-condition-bad-cidr-str-slash":          `{"key":[{"cidr":"bad-filter/64"}]}`,
			"error-condition-bad-cidr-str-slash-2":        `{"key":[{"cidr":"bad-filter/filter"}]}`,
			"error-condition-bad-cidr-v4":                 `{"key":[{"cidr":"xx.11.xx/8"}]}`,
			"error-condition-bad-cidr-v6":                 `{"key":[{"cidr":"xxxx:db8:1234:1a00::/64"}]}`,
		} {
			r.filterStep(step, p)
		}
	},
	"test_set_subscription_filter_policy_scope": func(r *run, _ string) {
		sub := r.subscribe(r.topic("a"), "sqs", r.queue("q"))
		r.step("sub-attrs-default", r.subAttributes(sub))
		r.set(sub, "FilterPolicyScope", "MessageBody")
		r.step("sub-attrs-filter-scope-body", r.subAttributes(sub))
		r.step("sub-attrs-filter-scope-error", r.trySet(sub, "FilterPolicyScope", "RandomValue"))
		r.set(sub, "FilterPolicy", `{"attr": ["match-this"]}`)
		r.step("sub-attrs-after-setting-policy", r.subAttributes(sub))
	},
	"test_sub_filter_policy_nested_property": func(r *run, _ string) {
		sub := r.subscribe(r.topic("a"), "sqs", r.queue("q"))
		const nested = `{"object": {"key": [{"prefix": "auto-"}]}}`
		r.step("sub-filter-policy-nested-error", r.trySet(sub, "FilterPolicy", nested))
		r.set(sub, "FilterPolicyScope", "MessageBody")
		r.set(sub, "FilterPolicy", nested)
		r.step("sub-attrs-after-setting-nested-policy", r.subAttributes(sub))
	},
	"test_sub_filter_policy_nested_property_constraints": func(r *run, _ string) {
		sub := r.subscribe(r.topic("a"), "sqs", r.queue("q"))
		r.set(sub, "FilterPolicyScope", "MessageBody")
		r.step("sub-filter-policy-nested-error-too-many-combinations", r.trySet(sub, "FilterPolicy",
			`{"key_a": {"key_b": {"key_c": ["value_one", "value_two", "value_three", "value_four"]}}, "key_d": {"key_e": ["value_one", "value_two", "value_three"]}, "key_f": ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13"]}`))
		r.step("sub-filter-policy-max-attr-keys", r.trySet(sub, "FilterPolicy", `{"a": ["v"], "b": ["v"], "c": ["v"], "d": ["v"], "e": ["v"], "f": ["v"]}`))
		r.step("sub-filter-policy-rule-no-list", r.trySet(sub, "FilterPolicy", `{"key_a":"value_one"}`))
	},
}

// filterStep subscribes with a policy on bodies that is refused.
func (r *run) filterStep(step, policy string) {
	r.t.Helper()
	r.step(step, r.trySubscribe(r.topic("a"), "sqs", queueARN("none"), "FilterPolicyScope", "MessageBody", "FilterPolicy", policy))
}

// inOrder sorts what came by the order in which it was published: a standard
// queue has none.
func inOrder(got []queue.Delivery, bodies []string) []queue.Delivery {
	slices.SortFunc(got, func(a, b queue.Delivery) int {
		return slices.Index(bodies, a.Body) - slices.Index(bodies, b.Body)
	})
	return got
}
