package sns

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"
)

func TestSubscribeRefused(t *testing.T) {
	f := newFixture(t)
	a, fifo := f.topic("a"), f.topic("a.fifo")
	for _, c := range []struct {
		topic, protocol, endpoint string
		attributes                []string
		message                   string
	}{
		{a, "pigeon", "x", nil, "Invalid parameter: Amazon SNS does not support this protocol string: pigeon"},
		{a, "firehose", "arn:aws:firehose:eu-west-1:111111111111:deliverystream/x", nil, "Invalid parameter: Protocol Reason: firehose is not served here: there are no delivery streams"},
		{a, "https", "http://x", nil, "Invalid parameter: Endpoint must match the specified protocol"},
		{a, "email", "nobody", nil, "Invalid parameter: Email address"},
		{a, "lambda", "f", nil, "Invalid parameter: Lambda endpoint ARN"},
		{a, "sqs", queueARN("q.fifo"), nil, "Invalid parameter: Invalid parameter: Endpoint Reason: FIFO SQS Queues can not be subscribed to standard SNS topics"},
		{fifo, "email", "a@example.com", nil, "Invalid parameter: Protocol Reason: FIFO topics deliver to queues, not by email"},
		{a, "email", "a@example.com", []string{"RawMessageDelivery", "true"}, "Invalid parameter: Attributes Reason: Delivery protocol [email] does not support raw message delivery."},
		{a, "sqs", queueARN("q"), []string{"RawMessageDelivery", "perhaps"}, "Invalid parameter: Attributes Reason: RawMessageDelivery: Invalid value [perhaps]. Must be true or false."},
		{a, "sqs", queueARN("q"), []string{"RedrivePolicy", "x"}, "Invalid parameter: Attributes Reason: RedrivePolicy: failed to parse JSON."},
		{a, "sqs", queueARN("q"), []string{"RedrivePolicy", `{"deadLetterTargetArn": "x"}`}, "Invalid parameter: Attributes Reason: RedrivePolicy: deadLetterTargetArn is an invalid arn"},
		{fifo, "sqs", queueARN("q.fifo"), []string{"RedrivePolicy", `{"deadLetterTargetArn": "` + queueARN("d") + `"}`}, "Invalid parameter: Attributes Reason: RedrivePolicy: must use a FIFO queue as DLQ for a FIFO topic"},
		{a, "sqs", queueARN("q"), []string{"DeliveryPolicy", `{}`}, "Invalid parameter: Attributes Reason: DeliveryPolicy: only subscriptions by http and https have one"},
		{a, "sqs", queueARN("q"), []string{"ReplayPolicy", `{"PointType": "Timestamp"}`}, "Invalid parameter: Attributes Reason: ReplayPolicy: the topic has no message archive policy"},
		{a, "sqs", queueARN("q"), []string{"FilterPolicy", `{"a": {"b": ["c"]}}`}, "Invalid parameter: Attributes Reason: Filter policy scope MessageAttributes does not support nested filter policy"},
		{a, "application", topicARN("endpoint/GCM/none/1"), nil, "Invalid parameter: Endpoint Reason: Endpoint does not exist for endpoint " + topicARN("endpoint/GCM/none/1")},
	} {
		_, err := f.client.Subscribe(f.ctx, &sns.SubscribeInput{TopicArn: &c.topic, Protocol: &c.protocol, Endpoint: &c.endpoint, Attributes: pairs(c.attributes)})
		refused(t, err, "InvalidParameter", c.message)
	}
	f.subscribe(a, "sqs", queueARN("q"), "FilterPolicy", `{"a": ["b"]}`)
	_, err := f.client.Subscribe(f.ctx, &sns.SubscribeInput{TopicArn: &a, Protocol: ptr("sqs"), Endpoint: ptr(queueARN("q")), Attributes: pairs([]string{"FilterPolicy", `{"a": ["c"]}`})})
	refused(t, err, "InvalidParameter", "Invalid parameter: Attributes Reason: Subscription already exists with different attributes")
}

// A topic holds 200 filter policies.
func TestFilterLimit(t *testing.T) {
	f := newFixture(t)
	a := f.topic("a")
	for i := range maxFilters {
		f.subscribe(a, "sqs", queueARN(fmt.Sprint("q", i)), "FilterPolicy", `{"a": ["b"]}`)
	}
	_, err := f.client.Subscribe(f.ctx, &sns.SubscribeInput{TopicArn: &a, Protocol: ptr("sqs"), Endpoint: ptr(queueARN("more")), Attributes: pairs([]string{"FilterPolicy", `{"a": ["b"]}`})})
	refused(t, err, "FilterPolicyLimitExceeded", "Filter policy limit of the topic is reached: it can have 200")
}

// Another account may do what the topic's policy lets it, and no more.
func TestOtherAccounts(t *testing.T) {
	f := newFixture(t)
	const stranger = "222222222222"
	other := f.caller(stranger, region)
	a := f.topic("a")
	_, err := other.Publish(f.ctx, &sns.PublishInput{TopicArn: &a, Message: ptr("x")})
	refused(t, err, "AuthorizationError", "User: arn:aws:iam::222222222222:user/tester is not authorized to perform: SNS:Publish on resource: "+a+" because no resource-based policy allows the SNS:Publish action")
	_, err = f.client.AddPermission(f.ctx, &sns.AddPermissionInput{TopicArn: &a, Label: ptr("l"), AWSAccountId: []string{stranger}, ActionName: []string{"Publish", "Subscribe"}})
	must(t, err)
	_, err = other.Publish(f.ctx, &sns.PublishInput{TopicArn: &a, Message: ptr("x")})
	must(t, err)
	_, err = other.DeleteTopic(f.ctx, &sns.DeleteTopicInput{TopicArn: &a})
	if code, _, _ := told(err); code != "AuthorizationError" {
		t.Errorf("delete: %v", err)
	}
	// A queue of the owner's, subscribed by the other: its owner has to confirm.
	q := f.queue("q")
	_, err = other.Subscribe(f.ctx, &sns.SubscribeInput{TopicArn: &a, Protocol: ptr("sqs"), Endpoint: &q})
	must(t, err)
	doc := unjson(t, f.receive(q, 1)[0].Body)
	if doc["Type"] != "SubscriptionConfirmation" {
		t.Errorf("%v", doc)
	}
	_, err = f.client.RemovePermission(f.ctx, &sns.RemovePermissionInput{TopicArn: &a, Label: ptr("l")})
	must(t, err)
	_, err = f.client.RemovePermission(f.ctx, &sns.RemovePermissionInput{TopicArn: &a, Label: ptr("l")})
	refused(t, err, "NotFound", "Statement does not exist")
	_, err = other.Publish(f.ctx, &sns.PublishInput{TopicArn: &a, Message: ptr("x")})
	if code, _, _ := told(err); code != "AuthorizationError" {
		t.Errorf("publish: %v", err)
	}
}

// A subscription that asks for it is not cancelled by whoever knows its URL.
func TestAuthenticateOnUnsubscribe(t *testing.T) {
	f := newFixture(t)
	a := f.topic("a")
	p := newPost(t)
	arn := f.subscribe(a, "http", p.URL)
	doc := unjson(t, p.next(t).body)
	_, err := f.client.ConfirmSubscription(f.ctx, &sns.ConfirmSubscriptionInput{TopicArn: &a, Token: ptr(doc["Token"].(string)), AuthenticateOnUnsubscribe: ptr("true")})
	must(t, err)
	f.publish(a, "x")
	target := unjson(t, p.next(t).body)["UnsubscribeURL"].(string)
	resp, err := http.Get(target)
	must(t, err)
	resp.Body.Close()
	if resp.StatusCode != 403 {
		t.Errorf("unsubscribed without credentials: %s", resp.Status)
	}
	_, err = f.client.Unsubscribe(f.ctx, &sns.UnsubscribeInput{SubscriptionArn: &arn})
	must(t, err)
	_, err = f.client.GetSubscriptionAttributes(f.ctx, &sns.GetSubscriptionAttributesInput{SubscriptionArn: &arn})
	refused(t, err, "NotFound", "Subscription does not exist")
}

// A subscription that was cancelled by its URL comes back by the token that its
// endpoint got.
func TestRestore(t *testing.T) {
	f := newFixture(t)
	a := f.topic("a")
	p := newPost(t)
	arn := f.confirmed(a, p, "/")
	f.publish(a, "one")
	first := unjson(t, p.next(t).body)
	resp, err := http.Get(first["UnsubscribeURL"].(string))
	must(t, err)
	resp.Body.Close()
	bye := unjson(t, p.next(t).body)
	if bye["Type"] != "UnsubscribeConfirmation" {
		t.Fatalf("%v", bye)
	}
	verify(t, bye, bye["SigningCertURL"].(string))
	f.publish(a, "two") // for nobody
	resp, err = http.Get(bye["SubscribeURL"].(string))
	must(t, err)
	resp.Body.Close()
	f.publish(a, "three")
	if got := unjson(t, p.next(t).body); got["Message"] != "three" {
		t.Errorf("%v", got)
	}
	got, err := f.client.GetSubscriptionAttributes(f.ctx, &sns.GetSubscriptionAttributesInput{SubscriptionArn: &arn})
	must(t, err)
	if got.Attributes["ConfirmationWasAuthenticated"] != "false" || got.Attributes["EffectiveDeliveryPolicy"] == "" {
		t.Errorf("%v", got.Attributes)
	}
}

// Replays begin by the subscription's attribute, and end by it.
func TestReplayPolicy(t *testing.T) {
	f := newFixture(t)
	a, q := f.topic("a.fifo", "ArchivePolicy", `{"MessageRetentionPeriod": 7}`, "ContentBasedDeduplication", "true"), f.queue("q.fifo")
	_, err := f.client.Publish(f.ctx, &sns.PublishInput{TopicArn: &a, Message: ptr("kept"), MessageGroupId: ptr("g")})
	must(t, err)
	sub := f.subscribe(a, "sqs", q)
	_, err = f.client.SetSubscriptionAttributes(f.ctx, &sns.SetSubscriptionAttributesInput{SubscriptionArn: &sub, AttributeName: ptr("ReplayPolicy"), AttributeValue: ptr(`{"PointType": "Sequence"}`)})
	refused(t, err, "InvalidParameter", "Invalid parameter: ReplayPolicy: PointType must be Timestamp")
	f.set(sub, "ReplayPolicy", `{"PointType": "Timestamp", "StartingPoint": "`+time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)+`"}`)
	doc := unjson(t, f.receive(q, 1)[0].Body)
	if doc["Message"] != "kept" || doc["Replayed"] != "true" {
		t.Errorf("%v", doc)
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		got, err := f.client.GetSubscriptionAttributes(f.ctx, &sns.GetSubscriptionAttributesInput{SubscriptionArn: &sub})
		must(t, err)
		if got.Attributes["ReplayStatus"] == "Completed" {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%v", got.Attributes)
		}
	}
	f.set(sub, "ReplayPolicy", "{}")
	got, err := f.client.GetSubscriptionAttributes(f.ctx, &sns.GetSubscriptionAttributesInput{SubscriptionArn: &sub})
	must(t, err)
	if got.Attributes["ReplayPolicy"] != "" || got.Attributes["ReplayStatus"] != "" {
		t.Errorf("%v", got.Attributes)
	}
}

// Numbers of filter policies are within ±10^9, and so is what they match.
func TestNumericFilter(t *testing.T) {
	f := newFixture(t)
	a, q := f.topic("a"), f.queue("q")
	const sentence = "FilterPolicy: Value must be between -1.0E9 and 1.0E9, inclusive"
	for _, scope := range []string{"MessageAttributes", "MessageBody"} {
		for _, test := range []string{`["=", 1000000001]`, `["<", -1000000000.1]`, `[">", 0, "<=", 5e9]`} {
			policy := `{"price": [{"numeric": ` + test + `}]}`
			_, err := f.client.Subscribe(f.ctx, &sns.SubscribeInput{TopicArn: &a, Protocol: ptr("sqs"), Endpoint: &q, Attributes: map[string]string{"FilterPolicy": policy, "FilterPolicyScope": scope}})
			refused(t, err, "InvalidParameter", "Invalid parameter: Attributes Reason: "+sentence)
		}
	}
	sub := f.subscribe(a, "sqs", q, "FilterPolicy", `{"price": [{"numeric": [">=", -1000000000, "<=", 1000000000]}]}`, "RawMessageDelivery", "true")
	_, err := f.client.SetSubscriptionAttributes(f.ctx, &sns.SetSubscriptionAttributesInput{SubscriptionArn: &sub, AttributeName: ptr("FilterPolicy"), AttributeValue: ptr(`{"price": [{"numeric": ["=", 1e10]}]}`)})
	refused(t, err, "InvalidParameter", "Invalid parameter: "+sentence)
	for _, price := range []string{"1000000000.1", "1e10", "-1000000000", "1e9"} {
		_, err := f.client.Publish(f.ctx, &sns.PublishInput{TopicArn: &a, Message: &price, MessageAttributes: map[string]types.MessageAttributeValue{"price": {DataType: ptr("Number"), StringValue: &price}}})
		must(t, err)
	}
	var got []string
	for _, d := range f.receive(q, 2) {
		got = append(got, d.Body)
	}
	if slices.Sort(got); !slices.Equal(got, []string{"-1000000000", "1e9"}) {
		t.Errorf("%q passed", got)
	}
	f.none(q)
}
