package events

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
)

func TestBuses(t *testing.T) {
	f := newFixture(t)
	out, err := f.client.CreateEventBus(f.ctx, &eventbridge.CreateEventBusInput{Name: ptr("b"), Description: ptr("test bus"), Tags: []types.Tag{{Key: ptr("k"), Value: ptr("v")}}})
	must(t, err)
	if *out.EventBusArn != busARN("b") || *out.Description != "test bus" {
		t.Errorf("%+v", out)
	}
	_, err = f.client.CreateEventBus(f.ctx, &eventbridge.CreateEventBusInput{Name: ptr("b")})
	refused(t, err, "ResourceAlreadyExistsException", "Event bus b already exists.")
	_, err = f.client.CreateEventBus(f.ctx, &eventbridge.CreateEventBusInput{Name: ptr("c"), KmsKeyIdentifier: ptr("k")})
	refused(t, err, "ValidationException", "Parameter KmsKeyIdentifier is not valid. Reason: events are not encrypted with keys of callers here. Leave it out.")
	l, err := f.client.ListEventBuses(f.ctx, &eventbridge.ListEventBusesInput{})
	must(t, err)
	if len(l.EventBuses) != 2 || *l.EventBuses[0].Name != "b" || *l.EventBuses[1].Name != "default" {
		t.Errorf("%+v", l.EventBuses)
	}
	_, err = f.client.UpdateEventBus(f.ctx, &eventbridge.UpdateEventBusInput{Name: ptr("b"), Description: ptr("other")})
	must(t, err)
	d, err := f.client.DescribeEventBus(f.ctx, &eventbridge.DescribeEventBusInput{Name: ptr(busARN("b"))})
	must(t, err)
	if *d.Description != "other" || d.CreationTime == nil || d.Policy != nil {
		t.Errorf("%+v", d)
	}
	f.rule("r", "b", updates)
	_, err = f.client.DeleteEventBus(f.ctx, &eventbridge.DeleteEventBusInput{Name: ptr("b")})
	refused(t, err, "ValidationException", "EventBus can't be deleted since it has rules.")
	f.put("b", update)
	f.queues.wait(t, queueARN("r"), 1)
	// Rules of one bus see nothing of another.
	f.rule("default-rule", "", updates)
	f.put("", update)
	f.queues.wait(t, queueARN("default-rule"), 1)
	if n := len(f.queues.wait(t, queueARN("r"), 1)); n != 1 {
		t.Errorf("%d events on the other bus", n)
	}
}

func TestBusToBus(t *testing.T) {
	f := newFixture(t)
	f.bus("from")
	f.bus("to")
	f.rule("forward", "from", updates, func(t *types.Target) { t.Arn = ptr(busARN("to")) })
	f.rule("back", "to", updates, func(t *types.Target) { t.Arn = ptr(busARN("from")) }) // in a circle, which ends
	f.rule("arrived", "to", updates)
	id := f.put("from", update)
	got := decode(t, f.queues.wait(t, queueARN("arrived"), 1)[0])
	if got["id"] != id || got["account"] != account {
		t.Errorf("%v", got)
	}
	for end := time.Now().Add(10 * time.Second); f.engine.Stats().Delivery.Waiting > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the circle does not end")
		}
	}
	if n := len(f.queues.wait(t, queueARN("arrived"), 1)); n != 8 {
		t.Errorf("it arrived %d times", n)
	}
}

func TestOtherAccounts(t *testing.T) {
	f := newFixture(t)
	const other = "222222222222"
	them := f.caller(other, region)
	f.rule("r", "", updates)
	e := entry(busARN("default"), update)
	out, err := them.PutEvents(f.ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{e}})
	must(t, err)
	if out.FailedEntryCount != 1 || *out.Entries[0].ErrorCode != "AccessDeniedException" {
		t.Errorf("without a policy: %+v", out.Entries)
	}
	_, err = f.client.PutPermission(f.ctx, &eventbridge.PutPermissionInput{StatementId: ptr("s1"), Principal: ptr(other), Action: ptr("events:PutEvents")})
	must(t, err)
	out, err = them.PutEvents(f.ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{e}})
	must(t, err)
	if out.FailedEntryCount != 0 {
		t.Errorf("with a policy: %s", *out.Entries[0].ErrorMessage)
	}
	if got := decode(t, f.queues.wait(t, queueARN("r"), 1)[0]); got["account"] != other {
		t.Errorf("%v", got)
	}
	d, err := f.client.DescribeEventBus(f.ctx, &eventbridge.DescribeEventBusInput{})
	must(t, err)
	if want := `{"Version":"2012-10-17","Statement":[{"Sid":"s1","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::222222222222:root"},"Action":"events:PutEvents","Resource":"` + busARN("default") + `"}]}`; *d.Policy != want {
		t.Errorf("%s", *d.Policy)
	}
	_, err = f.client.RemovePermission(f.ctx, &eventbridge.RemovePermissionInput{StatementId: ptr("s2")})
	refused(t, err, "ResourceNotFoundException", "Statement with the provided id does not exist.")
	_, err = f.client.RemovePermission(f.ctx, &eventbridge.RemovePermissionInput{RemoveAllPermissions: true})
	must(t, err)
	if d, err = f.client.DescribeEventBus(f.ctx, &eventbridge.DescribeEventBusInput{}); err != nil || d.Policy != nil {
		t.Errorf("%v, %v", d, err)
	}
	_, err = f.client.PutPermission(f.ctx, &eventbridge.PutPermissionInput{Policy: ptr(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"events:*","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-1"}}}}`)})
	must(t, err)
	if out, err = them.PutEvents(f.ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{e}}); err != nil || out.FailedEntryCount != 1 {
		t.Errorf("an organization's policy: %+v, %v", out, err)
	}
}

func TestPartners(t *testing.T) {
	f := newFixture(t)
	_, err := f.client.CreatePartnerEventSource(f.ctx, &eventbridge.CreatePartnerEventSourceInput{Name: ptr("aws.partner/x/y"), Account: ptr(account)})
	refused(t, err, "OperationDisabledException", "Partner event sources are not supported: no partner of AWS sends events here.")
	l, err := f.client.ListEndpoints(f.ctx, &eventbridge.ListEndpointsInput{})
	must(t, err)
	if len(l.Endpoints) != 0 {
		t.Errorf("%v", l.Endpoints)
	}
	_, err = f.client.DescribeEndpoint(f.ctx, &eventbridge.DescribeEndpointInput{Name: ptr("x")})
	refused(t, err, "ResourceNotFoundException", "Endpoint x does not exist.")
}
