package sns

import (
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
