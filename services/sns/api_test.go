package sns

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
	"github.com/dhowhq/dhow/topic"
)

func TestTopics(t *testing.T) {
	f := newFixture(t)
	for _, c := range []struct {
		name       string
		attributes []string
		message    string
	}{
		{"a b", nil, "Invalid parameter: Topic Name"},
		{strings.Repeat("x", 257), nil, "Invalid parameter: Topic Name"},
		{"a.fifo", nil, "Invalid parameter: Topic Name"},
		{"a", []string{"FifoTopic", "true"}, "Invalid parameter: " + badFIFOName},
		{"a", []string{"Nonsense", "x"}, "Invalid parameter: Attributes Reason: Unknown attribute Nonsense"},
		{"a", []string{"SignatureVersion", "3"}, "Invalid parameter: Attributes Reason: SignatureVersion: Invalid value [3]. Please use either 1 or 2"},
		{"a", []string{"TracingConfig", "Active"}, "Invalid parameter: Attributes Reason: TracingConfig: Active is not served here: there is nothing that takes segments. PassThrough hands the caller's trace on."},
		{"a", []string{"ContentBasedDeduplication", "true"}, "Invalid parameter: Attributes Reason: Content-based deduplication can only be set for FIFO topics"},
		{"a", []string{"ArchivePolicy", `{"MessageRetentionPeriod": 1}`}, "Invalid parameter: Attributes Reason: ArchivePolicy: only FIFO topics have it"},
		{"a.fifo", []string{"FifoTopic", "true", "ArchivePolicy", `{"MessageRetentionPeriod": 366}`}, "Invalid parameter: Attributes Reason: ArchivePolicy: MessageRetentionPeriod must be a number of days between 1 and 365"},
		{"a", []string{"DeliveryPolicy", `{"http": {"defaultHealthyRetryPolicy": {"numRetries": 101}}}`}, "Invalid parameter: Attributes Reason: DeliveryPolicy: numRetries must be between 0 and 100"},
		{"a", []string{"Policy", `{"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage"}]}`}, "Invalid parameter: Policy statement action out of service scope!"},
		{"a", []string{"Policy", `{`}, "Invalid parameter: Attributes Reason: Policy Error: it is not JSON"},
		{"a", []string{"SQSSuccessFeedbackSampleRate", "101"}, "Invalid parameter: Attributes Reason: SQSSuccessFeedbackSampleRate: it must be a number between 0 and 100"},
	} {
		_, err := f.client.CreateTopic(f.ctx, &sns.CreateTopicInput{Name: &c.name, Attributes: pairs(c.attributes)})
		refused(t, err, "InvalidParameter", c.message)
	}
	a := f.topic("a", "DisplayName", "x")
	_, err := f.client.CreateTopic(f.ctx, &sns.CreateTopicInput{Name: ptr("a"), Attributes: pairs([]string{"DisplayName", "y"})})
	refused(t, err, "InvalidParameter", "Invalid parameter: Attributes Reason: Topic already exists with different attributes")
	_, err = f.client.CreateTopic(f.ctx, &sns.CreateTopicInput{Name: ptr("a"), Tags: []types.Tag{{Key: ptr("k"), Value: ptr("v")}}})
	refused(t, err, "InvalidParameter", "Invalid parameter: Tags Reason: Topic already exists with different tags")
	_, err = f.client.SetTopicAttributes(f.ctx, &sns.SetTopicAttributesInput{TopicArn: &a, AttributeName: ptr("Nonsense"), AttributeValue: ptr("x")})
	refused(t, err, "InvalidParameter", "Invalid parameter: AttributeName")
	_, err = f.client.GetTopicAttributes(f.ctx, &sns.GetTopicAttributesInput{TopicArn: ptr("arn:aws:sns:eu-west-3:" + account + ":a")})
	refused(t, err, "InvalidParameter", "Invalid parameter: TopicArn")

	kept := f.topic("kept.fifo", "ArchivePolicy", `{"MessageRetentionPeriod": "30"}`)
	got, err := f.client.GetTopicAttributes(f.ctx, &sns.GetTopicAttributesInput{TopicArn: &kept})
	must(t, err)
	if got.Attributes["ArchivePolicy"] != `{"MessageRetentionPeriod": "30"}` || got.Attributes["BeginningArchiveTime"] == "" {
		t.Errorf("%v", got.Attributes)
	}
	_, err = f.client.DeleteTopic(f.ctx, &sns.DeleteTopicInput{TopicArn: &kept})
	refused(t, err, "InvalidState", "Invalid state: Cannot delete a topic with an ArchivePolicy")
	_, err = f.client.SetTopicAttributes(f.ctx, &sns.SetTopicAttributesInput{TopicArn: &kept, AttributeName: ptr("ArchivePolicy"), AttributeValue: ptr("{}")})
	must(t, err)
	_, err = f.client.DeleteTopic(f.ctx, &sns.DeleteTopicInput{TopicArn: &kept})
	must(t, err)
}

func TestTags(t *testing.T) {
	f := newFixture(t)
	a := f.topic("a")
	_, err := f.client.TagResource(f.ctx, &sns.TagResourceInput{ResourceArn: &a, Tags: []types.Tag{{Key: ptr("b"), Value: ptr("2")}, {Key: ptr("a"), Value: ptr("1")}}})
	must(t, err)
	_, err = f.client.UntagResource(f.ctx, &sns.UntagResourceInput{ResourceArn: &a, TagKeys: []string{"b"}})
	must(t, err)
	got, err := f.client.ListTagsForResource(f.ctx, &sns.ListTagsForResourceInput{ResourceArn: &a})
	must(t, err)
	if len(got.Tags) != 1 || *got.Tags[0].Key != "a" {
		t.Errorf("%v", got.Tags)
	}
	var many []types.Tag
	for i := range 50 {
		many = append(many, types.Tag{Key: ptr(fmt.Sprint(i)), Value: ptr("")})
	}
	_, err = f.client.TagResource(f.ctx, &sns.TagResourceInput{ResourceArn: &a, Tags: many})
	refused(t, err, "TagLimitExceeded", "Could not complete request: tag quota of per resource exceeded")
	_, err = f.client.ListTagsForResource(f.ctx, &sns.ListTagsForResourceInput{ResourceArn: ptr(topicARN("none"))})
	refused(t, err, "ResourceNotFound", "Resource does not exist")
}

// Lists come in pages of a hundred.
func TestPages(t *testing.T) {
	f := newFixture(t)
	for i := range 101 {
		f.topic(fmt.Sprintf("t%03d", i))
	}
	one, err := f.client.ListTopics(f.ctx, &sns.ListTopicsInput{})
	must(t, err)
	two, err := f.client.ListTopics(f.ctx, &sns.ListTopicsInput{NextToken: one.NextToken})
	must(t, err)
	if len(one.Topics) != 100 || len(two.Topics) != 1 || two.NextToken != nil {
		t.Errorf("%d and %d topics", len(one.Topics), len(two.Topics))
	}
	if _, err := f.client.ListTopics(f.ctx, &sns.ListTopicsInput{NextToken: ptr("junk")}); err == nil {
		t.Error("junk is a token")
	}
}

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

func TestPublishRefused(t *testing.T) {
	f := newFixture(t)
	a, fifo := f.topic("a"), f.topic("a.fifo")
	for _, c := range []struct {
		in      sns.PublishInput
		message string
	}{
		{sns.PublishInput{}, "TopicArn or TargetArn Reason: no value for required parameter"},
		{sns.PublishInput{TopicArn: &a, PhoneNumber: ptr("+15551234567")}, "Reason: only one of TopicArn, TargetArn and PhoneNumber may be given"},
		{sns.PublishInput{PhoneNumber: ptr("12")}, "PhoneNumber Reason: 12 is not valid to publish to"},
		{sns.PublishInput{TopicArn: &a, Message: ptr("")}, "Empty message"},
		{sns.PublishInput{TopicArn: &a, Message: ptr(strings.Repeat("x", 256<<10+1))}, "Message too long"},
		{sns.PublishInput{TopicArn: &a, MessageStructure: ptr("xml")}, "MessageStructure"},
		{sns.PublishInput{TopicArn: &a, Subject: ptr("two\nlines")}, "Subject"},
		{sns.PublishInput{TopicArn: &a, Subject: ptr(strings.Repeat("x", 101))}, "Subject"},
		{sns.PublishInput{TopicArn: &a, MessageDeduplicationId: ptr("d")}, "MessageDeduplicationId Reason: The request includes MessageDeduplicationId parameter that is not valid for this topic type"},
		{sns.PublishInput{TopicArn: &fifo}, "The MessageGroupId parameter is required for FIFO topics"},
		{sns.PublishInput{TopicArn: &fifo, MessageGroupId: ptr("g")}, "The topic should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly"},
		{sns.PublishInput{TopicArn: &fifo, MessageGroupId: ptr("a b")}, "MessageGroupId Reason: It can only include alphanumeric and punctuation characters. 1 to 128 in length."},
	} {
		if c.in.Message == nil {
			c.in.Message = ptr("x")
		}
		_, err := f.client.Publish(f.ctx, &c.in)
		refused(t, err, "InvalidParameter", "Invalid parameter: "+c.message)
	}
	_, err := f.client.Publish(f.ctx, &sns.PublishInput{TopicArn: &a, Message: ptr("x"), MessageAttributes: attrs{"n": numberOf("many")}})
	refused(t, err, "ParameterValueInvalid", "Could not cast message attribute 'n' value to number.")
}

func TestBatchRefused(t *testing.T) {
	f := newFixture(t)
	a, q := f.topic("a"), f.queue("q")
	f.subscribe(a, "sqs", q, "RawMessageDelivery", "true")
	batch := func(entries ...types.PublishBatchRequestEntry) (*sns.PublishBatchOutput, error) {
		return f.client.PublishBatch(f.ctx, &sns.PublishBatchInput{TopicArn: &a, PublishBatchRequestEntries: entries})
	}
	entry := func(id string) types.PublishBatchRequestEntry {
		return types.PublishBatchRequestEntry{Id: &id, Message: ptr("message " + id)}
	}
	_, err := batch(entry("a"), entry("a"))
	refused(t, err, "BatchEntryIdsNotDistinct", "Two or more batch entries in the request have the same Id.")
	var eleven []types.PublishBatchRequestEntry
	for i := range 11 {
		eleven = append(eleven, entry(fmt.Sprint(i)))
	}
	_, err = batch(eleven...)
	refused(t, err, "TooManyEntriesInBatchRequest", "The batch request contains more entries than permissible.")
	_, err = batch([]types.PublishBatchRequestEntry{}...)
	refused(t, err, "EmptyBatchRequest", "The batch request doesn't contain any entries.")
	_, err = batch(entry("a"), entry("a.b"))
	refused(t, err, "InvalidBatchEntryId", "The Id of a batch entry in the batch request contains an impermissible character: a.b")
	long := entry("long")
	long.Message = ptr(strings.Repeat("b", topic.MaxMessage))
	_, err = batch(long, entry("a"))
	refused(t, err, "BatchRequestTooLong", "The length of all the messages put together is more than the limit.")
	bad := entry("bad")
	bad.Subject = ptr("two\nlines")
	odd := entry("odd")
	odd.MessageStructure, odd.Message = ptr("json"), ptr(`{"sqs": "x"}`)
	out, err := batch(entry("good"), bad, odd)
	must(t, err)
	if len(out.Successful) != 1 || *out.Successful[0].Id != "good" || len(out.Failed) != 2 || *out.Failed[0].Message != "Invalid parameter: Subject" || !out.Failed[0].SenderFault ||
		*out.Failed[1].Message != "Invalid parameter: Message Structure - No default entry in JSON message body" {
		t.Errorf("%+v", out)
	}
	if d := f.receive(q, 1)[0]; d.Body != "message good" {
		t.Errorf("%+v", d)
	}
}

// Each protocol gets its own body of a structured message.
func TestStructure(t *testing.T) {
	f := newFixture(t)
	a, q := f.topic("a"), f.queue("q")
	p := newPost(t)
	f.subscribe(a, "sqs", q)
	f.confirmed(a, p, "/", "RawMessageDelivery", "true")
	_, err := f.client.Publish(f.ctx, &sns.PublishInput{TopicArn: &a, Message: ptr(`{"default": "for all", "sqs": "for queues", "number": 1}`), MessageStructure: ptr("json")})
	must(t, err)
	if doc := unjson(t, f.receive(q, 1)[0].Body); doc["Message"] != "for queues" {
		t.Errorf("%v", doc)
	}
	got := p.next(t)
	if got.body != "for all" || got.header.Get("X-Amz-Sns-Rawdelivery") != "true" || got.header.Get("X-Amz-Sns-Subscription-Arn") == "" {
		t.Errorf("%+v", got)
	}
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

// letters waits for n letters in the outbox.
func (f *fixture) letters(n int) []topic.Letter {
	f.t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		all, err := f.engine.Outbox(f.ctx, account, 0)
		must(f.t, err)
		if len(all) >= n {
			return all
		}
		if time.Now().After(end) {
			f.t.Fatalf("%d letters, not %d", len(all), n)
		}
	}
}

// Mail and short messages land in the outbox, confirmations too.
func TestOutbox(t *testing.T) {
	f := newFixture(t)
	a := f.topic("a", "DisplayName", "Shop")
	f.subscribe(a, "email", "a@example.com")
	ask := f.letters(1)[0]
	if ask.To != "a@example.com" || !strings.Contains(ask.Body, "Action=ConfirmSubscription") {
		t.Fatalf("%+v", ask)
	}
	list, err := f.client.ListSubscriptionsByTopic(f.ctx, &sns.ListSubscriptionsByTopicInput{TopicArn: &a})
	must(t, err)
	if *list.Subscriptions[0].SubscriptionArn != "PendingConfirmation" {
		t.Errorf("%v", *list.Subscriptions[0].SubscriptionArn)
	}
	at := strings.Index(ask.Body, f.url+"/?Action=")
	resp, err := http.Get(strings.Fields(ask.Body[at:])[0])
	must(t, err)
	resp.Body.Close()
	f.subscribe(a, "sms", "+15551234567")
	_, err = f.client.Publish(f.ctx, &sns.PublishInput{TopicArn: &a, Message: ptr("hello"), Subject: ptr("Hi")})
	must(t, err)
	got := f.letters(3)[1:]
	slices.SortFunc(got, func(a, b topic.Letter) int { return strings.Compare(a.Protocol, b.Protocol) })
	if m := got[0]; m.Protocol != "email" || m.Subject != "Hi" || m.From != "Shop" || !strings.HasPrefix(m.Body, "hello\n\n--\n") {
		t.Errorf("%+v", m)
	}
	if m := got[1]; m.Protocol != "sms" || m.To != "+15551234567" || m.Body != "hello" || m.Type != "Promotional" {
		t.Errorf("%+v", m)
	}
	// Who opted out gets nothing.
	_, err = f.client.SetSMSAttributes(f.ctx, &sns.SetSMSAttributesInput{Attributes: pairs([]string{"DeliveryStatusIAMRole", "arn:aws:iam::111111111111:role/sms", "DefaultSenderID", "SHOP", "DefaultSMSType", "Transactional"})})
	must(t, err)
	must(t, f.db.Update(f.ctx, func(tx *store.Tx) error {
		return topic.OptOuts.Put(tx, topic.OptOut{Scope: cluster.Scope{Account: account, Region: region}, Number: "+15550000000"})
	}))
	for _, n := range []string{"+15550000000", "+15551111111"} {
		_, err = f.client.Publish(f.ctx, &sns.PublishInput{PhoneNumber: &n, Message: ptr("direct")})
		must(t, err)
	}
	m := f.letters(4)[3]
	if m.To != "+15551111111" || m.From != "SHOP" || m.Type != "Transactional" {
		t.Errorf("%+v", m)
	}
	line := f.logged("sns/"+region+"/"+account+"/DirectPublishToPhoneNumber/Failure", 0)
	if !strings.Contains(line, "Phone number is opted out") {
		t.Error(line)
	}
	out, err := f.client.CheckIfPhoneNumberIsOptedOut(f.ctx, &sns.CheckIfPhoneNumberIsOptedOutInput{PhoneNumber: ptr("+15550000000")})
	must(t, err)
	if !out.IsOptedOut {
		t.Error("the number has not opted out")
	}
}

func TestSandbox(t *testing.T) {
	f := newFixture(t)
	number := ptr("+15551234567")
	_, err := f.client.CreateSMSSandboxPhoneNumber(f.ctx, &sns.CreateSMSSandboxPhoneNumberInput{PhoneNumber: number})
	must(t, err)
	otp := strings.TrimPrefix(f.letters(1)[0].Body, "Your verification code is ")
	wrong := "00000"
	_, err = f.client.VerifySMSSandboxPhoneNumber(f.ctx, &sns.VerifySMSSandboxPhoneNumberInput{PhoneNumber: number, OneTimePassword: &wrong})
	if code, _, _ := told(err); code != "VerificationException" {
		t.Errorf("a wrong password: %v", err)
	}
	_, err = f.client.VerifySMSSandboxPhoneNumber(f.ctx, &sns.VerifySMSSandboxPhoneNumberInput{PhoneNumber: number, OneTimePassword: &otp})
	must(t, err)
	list, err := f.client.ListSMSSandboxPhoneNumbers(f.ctx, &sns.ListSMSSandboxPhoneNumbersInput{})
	must(t, err)
	if len(list.PhoneNumbers) != 1 || list.PhoneNumbers[0].Status != types.SMSSandboxPhoneNumberVerificationStatusVerified {
		t.Errorf("%+v", list.PhoneNumbers)
	}
	_, err = f.client.DeleteSMSSandboxPhoneNumber(f.ctx, &sns.DeleteSMSSandboxPhoneNumberInput{PhoneNumber: number})
	if code, _, _ := told(err); code != "UserError" {
		t.Errorf("deleted at once: %v", err)
	}
}

// Pushes land in the outbox; an application's topics hear of its endpoints.
func TestMobile(t *testing.T) {
	f := newFixture(t)
	events, q := f.topic("events"), f.queue("q")
	f.subscribe(events, "sqs", q)
	app, err := f.client.CreatePlatformApplication(f.ctx, &sns.CreatePlatformApplicationInput{Name: ptr("app"), Platform: ptr("GCM"),
		Attributes: pairs([]string{"PlatformCredential", "secret", "EventEndpointCreated", events, "EventDeliveryFailure", events})})
	must(t, err)
	shown, err := f.client.GetPlatformApplicationAttributes(f.ctx, &sns.GetPlatformApplicationAttributesInput{PlatformApplicationArn: app.PlatformApplicationArn})
	must(t, err)
	if _, ok := shown.Attributes["PlatformCredential"]; ok {
		t.Error("the credential is shown")
	}
	end, err := f.client.CreatePlatformEndpoint(f.ctx, &sns.CreatePlatformEndpointInput{PlatformApplicationArn: app.PlatformApplicationArn, Token: ptr("device")})
	must(t, err)
	if doc := unjson(t, unjson(t, f.receive(q, 1)[0].Body)["Message"].(string)); doc["EventType"] != "EndpointCreated" || doc["EndpointArn"] != *end.EndpointArn {
		t.Errorf("%v", doc)
	}
	a := f.topic("a")
	f.subscribe(a, "application", *end.EndpointArn)
	_, err = f.client.Publish(f.ctx, &sns.PublishInput{TargetArn: end.EndpointArn, MessageStructure: ptr("json"), Message: ptr(`{"default": "d", "GCM": "{\"data\": 1}"}`)})
	must(t, err)
	if l := f.letters(1)[0]; l.Body != `{"data": 1}` || l.Token != "device" {
		t.Errorf("%+v", l)
	}
	_, err = f.client.SetEndpointAttributes(f.ctx, &sns.SetEndpointAttributesInput{EndpointArn: end.EndpointArn, Attributes: pairs([]string{"Enabled", "false"})})
	must(t, err)
	_, err = f.client.Publish(f.ctx, &sns.PublishInput{TargetArn: end.EndpointArn, Message: ptr("x")})
	refused(t, err, "EndpointDisabled", "Endpoint is disabled")
	f.publish(a, "for a disabled endpoint")
	if doc := unjson(t, unjson(t, f.receive(q, 1)[0].Body)["Message"].(string)); doc["EventType"] != "DeliveryFailure" {
		t.Errorf("%v", doc)
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
