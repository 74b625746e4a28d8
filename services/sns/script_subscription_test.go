package sns

import (
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/sns"
)

// subscriptionScripts are cases of subscriptions.
var subscriptionScripts = map[string]func(r *run, variant string){
	"test_not_found_error_on_set_subscription_attributes": func(r *run, _ string) {
		a, q := r.topic("a"), r.queue("q")
		got := r.trySubscribe(a, "sqs", q)
		r.step("sub", got)
		sub := got["SubscriptionArn"].(string)
		r.step("sub-attrs", r.subAttributes(sub))
		r.step("subscriptions-for-topic-before-unsub", r.subs(a))
		r.unsubscribe(sub)
		r.step("subscriptions-for-topic-after-unsub", r.subs(a))
		r.step("sub-not-found", r.trySet(sub, "RawMessageDelivery", "true"))
	},
	"test_sns_confirm_subscription_wrong_token": func(r *run, _ string) {
		a := r.topic("a")
		r.step("topic-not-exists", r.confirm(topicARN("none"), longToken))
		r.step("token-not-exists", r.confirm(a, longToken))
		r.step("invalid-token", r.confirm(a, "not a token"))
	},
	"test_subscribe_with_invalid_topic": func(r *run, _ string) {
		r.step("invalid-subscribe-arn-1", r.trySubscribe("randomstring", "email", "localstack@yopmail.com"))
		r.step("invalid-subscribe-arn-2", r.trySubscribe("arn:aws:sns:us-east-1:random", "email", "localstack@yopmail.com"))
		r.step("non-existent-topic", r.trySubscribe(topicARN("none"), "email", "localstack@yopmail.com"))
	},
	"test_unsubscribe_from_non_existing_subscription": func(r *run, _ string) {
		sub := r.subscribe(r.topic("a"), "sqs", r.queue("q"))
		r.step("empty-unsubscribe", r.unsubscribe(sub[:len(sub)-4]+"0000"))
	},
	"test_unsubscribe_idempotency": func(r *run, _ string) {
		sub := r.subscribe(r.topic("a"), "sqs", r.queue("q"))
		r.step("unsubscribe-1", r.unsubscribe(sub))
		r.step("unsubscribe-2", r.unsubscribe(sub))
	},
	"test_confirm_subscription": func(r *run, _ string) {
		a := r.topic("confirm-sub-e46f689a")
		p := newPost(r.t)
		r.subscribe(a, "http", p.URL)
		r.step("confirm-subscription", r.confirm(a, unjson(r.t, p.next(r.t).body)["Token"].(string)))
	},
	"test_creating_subscription": func(r *run, _ string) {
		r.step("create-subscription", r.trySubscribe(r.topic("a"), "http", newPost(r.t).URL))
	},
	"test_creating_subscription_with_attributes": func(r *run, _ string) {
		r.step("subscription-with-attributes", r.subAttributes(r.subscribe(r.topic("a"), "sqs", r.queue("q"), "RawMessageDelivery", "true")))
	},
	"test_delete_subscriptions_on_delete_topic": func(r *run, _ string) {
		a := r.topic("a")
		sub := r.subscribe(a, "sqs", r.queue("q"), "RawMessageDelivery", "true")
		_, err := r.client.DeleteTopic(r.ctx, &sns.DeleteTopicInput{TopicArn: &a})
		must(r.t, err)
		r.step("get-sub-after-topic-delete", r.subAttributes(sub))
	},
	"test_double_subscription": func(r *run, _ string) {
		a, q := r.topic("double-sub-befdfdff"), r.queue("q")
		r.step("double-subscription-first", r.trySubscribe(a, "sqs", q))
		r.step("double-subscription-second", r.trySubscribe(a, "sqs", q))
	},
	"test_list_opted_out": func(r *run, _ string) {
		out, err := r.client.ListPhoneNumbersOptedOut(r.ctx, &sns.ListPhoneNumbersOptedOutInput{})
		r.step("list-opted-out", r.answer(out, err))
	},
	"test_set_subscription_attributes": func(r *run, _ string) {
		sub := r.subscribe(r.topic("a"), "sqs", r.queue("q"))
		r.set(sub, "RawMessageDelivery", "true")
		r.step("set-subscription-attributes", r.subAttributes(sub))
	},
	"test_subscribe_bad_sms": func(r *run, _ string) {
		r.step("subscribe-bad-sms", r.trySubscribe(r.topic("a"), "sms", "invalid-number"))
	},
	"test_subscribe_invalid_sms": func(r *run, _ string) {
		a := r.topic("a")
		for _, n := range []string{"+15--551234567", "NAA+15551234567", "+15551234567.", "/+15551234567"} {
			r.step("subscribe-bad-sms-"+n, r.trySubscribe(a, "sms", n))
		}
	},
	"test_subscribe_unknown_sqs_queue": func(r *run, _ string) {
		a := r.topic("a")
		r.step("subscribe-unknown-sqs", r.trySubscribe(a, "sqs", queueARN("none")))
		r.step("subscribe-unknown-sqs-invalid_arn", r.trySubscribe(a, "sqs", "none"))
	},
	"test_subscribe_unknown_topic": func(r *run, _ string) {
		r.step("subscribe-unknown-topic", r.trySubscribe(topicARN("none"), "sqs", r.queue("q")))
	},
	"test_unsubscribe_from_deleted_topic": func(r *run, _ string) {
		a := r.topic("a")
		got := r.trySubscribe(a, "http", newPost(r.t).URL)
		_, err := r.client.DeleteTopic(r.ctx, &sns.DeleteTopicInput{TopicArn: &a})
		must(r.t, err)
		r.step("unsubscribe-deleted-topic", r.unsubscribe(got["SubscriptionArn"].(string)))
	},
	"test_subscribe_external_http_endpoint": func(r *run, _ string) {
		a := r.topic("a")
		p := newPost(r.t)
		sub := r.subscribe(a, "http", p.URL)
		headers := func(h http.Header, host string) object {
			out := object{"Connection": "x", "Content-Length": "x", "Host": host}
			for k := range h {
				out[k] = h.Get(k)
			}
			return out
		}
		got := p.next(r.t)
		confirm := unjson(r.t, got.body)
		r.step("subscription-confirmation", confirm)
		h := headers(got.header, p.URL)
		h["Content-Length"], h["Connection"] = "content--length", "connection"
		r.step("http-confirm-sub-headers", h)
		subscribeURL := confirm["SubscribeURL"].(string)
		r.step("broken-topic-arn-confirm", r.get(strings.Replace(subscribeURL, a, "not-an-arn", 1)))
		r.step("broken-token-confirm", r.get(subscribeURL[:strings.Index(subscribeURL, "Token=")]+"Token=abc123"))
		r.step("different-region-arn-confirm", r.get(strings.Replace(subscribeURL, region, "eu-central-2", 1)))
		r.step("nonexistent-token-confirm", r.get(strings.Replace(subscribeURL, a, a+"b", 1)))
		r.step("confirm-subscribe", r.get(subscribeURL))
		r.publish(a, "test_external_http_endpoint")
		got = p.next(r.t)
		r.step("http-message", got.body)
		h = headers(got.header, p.URL)
		h["Content-Length"], h["Connection"] = "content--length", "connection"
		r.step("http-message-headers", h)
		r.step("unsubscribe-response", r.get(unjson(r.t, got.body)["UnsubscribeURL"].(string)))
		r.step("unsubscribe-request", unjson(r.t, p.next(r.t).body))
		if code, _, _ := told(second(r.client.GetSubscriptionAttributes(r.ctx, &sns.GetSubscriptionAttributesInput{SubscriptionArn: &sub}))); code != "NotFound" {
			r.t.Errorf("after the end: %s", code)
		}
	},
}
