package events

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/dhowhq/dhow/bus"
	"github.com/dhowhq/dhow/bus/delivery"
	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/cluster/outlet"
	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/store"
)

// accounts takes the access key for the account.
type accounts struct{}

func (accounts) Authorize(_ *http.Request, c *awsapi.Call) error {
	c.Account = c.AccessKey
	return nil
}

func TestPutEvents(t *testing.T) {
	f := newFixture(t)
	f.rule("r", "", updates)
	id := f.put("", update)
	got := decode(t, f.queues.wait(t, queueARN("r"), 1)[0])
	if _, err := time.Parse("2006-01-02T15:04:05Z", got["time"].(string)); err != nil {
		t.Error(err)
	}
	delete(got, "time")
	want := decode(t, `{"version":"0","id":"`+id+`","detail-type":"core.update-account-command","source":"core.update-account-command","account":"`+account+`","region":"`+region+`","resources":[],"detail":`+update+`}`)
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", got, want)
	}
	f.put("", `{"command":"other"}`)
	f.put("", update)
	if n := len(f.queues.wait(t, queueARN("r"), 2)); n != 2 {
		t.Errorf("%d messages", n)
	}
}

func TestPutEventsRefusals(t *testing.T) {
	f := newFixture(t)
	change := func(c func(*types.PutEventsRequestEntry)) types.PutEventsRequestEntry {
		e := entry("", update)
		c(&e)
		return e
	}
	out, err := f.client.PutEvents(f.ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{
		entry("", update),
		change(func(e *types.PutEventsRequestEntry) { e.Source = nil }),
		change(func(e *types.PutEventsRequestEntry) { e.DetailType = nil }),
		change(func(e *types.PutEventsRequestEntry) { e.Detail = nil }),
		entry("", "{bad"), entry("", `"string"`), entry("", `[1]`),
		change(func(e *types.PutEventsRequestEntry) { e.Source = ptr("aws.ec2") }),
		entry("missing", update),
	}})
	must(t, err)
	var said []string
	for _, e := range out.Entries {
		said = append(said, deref(e.ErrorCode)+": "+deref(e.ErrorMessage))
	}
	malformed := "MalformedDetail: Detail is malformed."
	want := []string{": ", "InvalidArgument: Parameter Source is not valid. Reason: Source is a required argument.",
		"InvalidArgument: Parameter DetailType is not valid. Reason: DetailType is a required argument.",
		"InvalidArgument: Parameter Detail is not valid. Reason: Detail is a required argument.",
		malformed, malformed, malformed, "NotAuthorizedForSourceException: Not authorized for the source.", ": "}
	if strings.Join(said, "\n") != strings.Join(want, "\n") || out.FailedEntryCount != 7 {
		t.Errorf("%d failed:\n%s", out.FailedEntryCount, strings.Join(said, "\n"))
	}
	_, err = f.client.PutEvents(f.ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{entry("", `{"a":"`+strings.Repeat("x", 1<<20)+`"}`)}})
	refused(t, err, "ValidationException", "Total size of the entries in the request is over the limit.")
	f.rule("big", "", `{"source":[{"prefix":""}]}`)
	f.put("", `{"a":"`+strings.Repeat("x", 1<<20-200)+`"}`)
	if n := len(f.queues.wait(t, queueARN("big"), 1)[0]); n < 1<<20-200 {
		t.Errorf("the event has %d bytes", n)
	}
}

func TestDeadLetter(t *testing.T) {
	f := newFixture(t)
	arn := f.rule("r", "", updates, func(t *types.Target) {
		t.DeadLetterConfig = &types.DeadLetterConfig{Arn: ptr(queueARN("dlq"))}
		t.RetryPolicy = &types.RetryPolicy{MaximumRetryAttempts: ptr(int32(0))}
	})
	f.queues.mu.Lock()
	f.queues.fail[queueARN("r")] = transient
	f.queues.mu.Unlock()
	f.put("", update)
	got := f.queues.waitDead(t, queueARN("dlq"))
	if body := decode(t, got["body"]); body["source"] != "core.update-account-command" {
		t.Errorf("the body is %v", body)
	}
	delete(got, "body")
	want := map[string]string{"RULE_ARN": arn, "TARGET_ARN": queueARN("r"), "ERROR_CODE": "THROTTLING", "ERROR_MESSAGE": "away",
		"EXHAUSTED_RETRY_CONDITION": "MaximumRetryAttempts", "RETRY_ATTEMPTS": "0"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v", got)
	}
	// A permanent error has no condition.
	f.rule("p", "", `{"detail":{"p":[1]}}`, func(t *types.Target) {
		t.DeadLetterConfig = &types.DeadLetterConfig{Arn: ptr(queueARN("dlq2"))}
	})
	f.queues.mu.Lock()
	f.queues.fail[queueARN("p")] = delivery.Permanent(bus.CodeNoResource, "gone")
	f.queues.mu.Unlock()
	f.put("", `{"p":1}`)
	if got := f.queues.waitDead(t, queueARN("dlq2")); got["EXHAUSTED_RETRY_CONDITION"] != "" || got["ERROR_CODE"] != "NO_RESOURCE" {
		t.Errorf("%v", got)
	}
}

func TestRules(t *testing.T) {
	f := newFixture(t)
	f.rule("r", "", updates)
	_, err := f.client.DisableRule(f.ctx, &eventbridge.DisableRuleInput{Name: ptr("r")})
	must(t, err)
	f.put("", `{"command":"update-account","n":1}`)
	_, err = f.client.EnableRule(f.ctx, &eventbridge.EnableRuleInput{Name: ptr("r")})
	must(t, err)
	f.put("", `{"command":"update-account","n":2}`)
	if got := decode(t, f.queues.wait(t, queueARN("r"), 1)[0]); got["detail"].(map[string]any)["n"] != 2.0 {
		t.Errorf("a disabled rule acted: %v", got)
	}
	d, err := f.client.DescribeRule(f.ctx, &eventbridge.DescribeRuleInput{Name: ptr("r")})
	must(t, err)
	if *d.Arn != "arn:aws:events:eu-west-1:111111111111:rule/r" || *d.CreatedBy != account || *d.EventBusName != "default" || d.State != types.RuleStateEnabled || *d.EventPattern != updates {
		t.Errorf("%+v", d)
	}
	_, err = f.client.DeleteRule(f.ctx, &eventbridge.DeleteRuleInput{Name: ptr("r")})
	refused(t, err, "ValidationException", "Rule can't be deleted since it has targets.")
	// PutRule keeps targets.
	_, err = f.client.PutRule(f.ctx, &eventbridge.PutRuleInput{Name: ptr("r"), EventPattern: ptr(`{"source":["x"]}`)})
	must(t, err)
	l, err := f.client.ListTargetsByRule(f.ctx, &eventbridge.ListTargetsByRuleInput{Rule: ptr("r")})
	must(t, err)
	if len(l.Targets) != 1 || *l.Targets[0].Id != "target" {
		t.Errorf("%+v", l.Targets)
	}
	out, err := f.client.RemoveTargets(f.ctx, &eventbridge.RemoveTargetsInput{Rule: ptr("r"), Ids: []string{"target", "other"}})
	must(t, err)
	if out.FailedEntryCount != 1 || *out.FailedEntries[0].TargetId != "other" {
		t.Errorf("%+v", out)
	}
	_, err = f.client.DeleteRule(f.ctx, &eventbridge.DeleteRuleInput{Name: ptr("r")})
	must(t, err)
	_, err = f.client.DescribeRule(f.ctx, &eventbridge.DescribeRuleInput{Name: ptr("r")})
	refused(t, err, "ResourceNotFoundException", "Rule r does not exist on EventBus default.")
	_, err = f.client.PutRule(f.ctx, &eventbridge.PutRuleInput{Name: ptr("r"), EventBusName: ptr("no"), EventPattern: ptr(updates)})
	refused(t, err, "ResourceNotFoundException", "Event bus no does not exist.")
	_, err = f.client.PutRule(f.ctx, &eventbridge.PutRuleInput{Name: ptr("r")})
	refused(t, err, "ValidationException", "Parameter(s) EventPattern or ScheduleExpression must be specified.")
}

func TestListRuleNamesByTarget(t *testing.T) {
	f := newFixture(t)
	for i := range 5 {
		f.rule(fmt.Sprint("rule-", i), "", updates, func(t *types.Target) { t.Arn = ptr(queueARN("q")) })
	}
	f.target("rule-0", "", types.Target{Id: ptr("again"), Arn: ptr(queueARN("q"))})
	var pages []string
	var next *string
	for {
		out, err := f.client.ListRuleNamesByTarget(f.ctx, &eventbridge.ListRuleNamesByTargetInput{TargetArn: ptr(queueARN("q")), Limit: ptr(int32(2)), NextToken: next})
		must(t, err)
		pages = append(pages, strings.Join(out.RuleNames, " "))
		if next = out.NextToken; next == nil {
			break
		}
	}
	if got := strings.Join(pages, "|"); got != "rule-0 rule-1|rule-2 rule-3|rule-4" {
		t.Error(got)
	}
	out, err := f.client.ListRuleNamesByTarget(f.ctx, &eventbridge.ListRuleNamesByTargetInput{TargetArn: ptr(queueARN("other"))})
	must(t, err)
	if len(out.RuleNames) != 0 {
		t.Errorf("%v", out.RuleNames)
	}
}

func TestTargetRefusals(t *testing.T) {
	f := newFixture(t)
	f.rule("r", "", updates)
	for _, c := range []struct {
		t    types.Target
		want string
	}{
		{types.Target{Arn: ptr("nonsense")}, "Parameter nonsense is not valid. Reason: Provided Arn is not in correct format."},
		{types.Target{Arn: ptr(queueARN("q.fifo"))}, "Parameter(s) MessageGroupId must be specified for target: t."},
		{types.Target{Arn: ptr("arn:aws:ecs:eu-west-1:111111111111:cluster/c")}, "Parameter(s) EcsParameters must be specified for target: t."},
		{types.Target{Arn: ptr(queueARN("q")), KinesisParameters: &types.KinesisParameters{PartitionKeyPath: ptr("$.id")}}, "Parameter KinesisParameters is not valid for target t. Reason: it is not for targets of sqs."},
		{types.Target{Arn: ptr(queueARN("q")), InputPath: ptr("$.a"), Input: ptr("1")}, "Only one of Input, InputPath, or InputTransformer must be provided for target t."},
		{types.Target{Arn: ptr(queueARN("q")), DeadLetterConfig: &types.DeadLetterConfig{Arn: ptr("arn:aws:sns:eu-west-1:111111111111:t")}}, "Parameter DeadLetterConfig.Arn is not valid. Reason: it must be the ARN of an SQS queue."},
	} {
		c.t.Id = ptr("t")
		_, err := f.client.PutTargets(f.ctx, &eventbridge.PutTargetsInput{Rule: ptr("r"), Targets: []types.Target{c.t}})
		refused(t, err, "ValidationException", c.want)
	}
	out, err := f.client.PutTargets(f.ctx, &eventbridge.PutTargetsInput{Rule: ptr("r"), Targets: []types.Target{{Id: ptr("a"), Arn: ptr("arn:aws:firehose:eu-west-1:111111111111:deliverystream/x")},
		{Id: ptr("b"), Arn: ptr(queueARN("refused"))}, {Id: ptr("c"), Arn: ptr(queueARN("q"))}}})
	must(t, err)
	if out.FailedEntryCount != 2 || *out.FailedEntries[0].ErrorMessage != "targets of firehose are not served: arn:aws:firehose:eu-west-1:111111111111:deliverystream/x" {
		t.Errorf("%+v", out.FailedEntries)
	}
	var many []types.Target
	for i := range 4 {
		many = append(many, types.Target{Id: ptr(fmt.Sprint(i)), Arn: ptr(queueARN("q"))})
	}
	_, err = f.client.PutTargets(f.ctx, &eventbridge.PutTargetsInput{Rule: ptr("r"), Targets: many})
	refused(t, err, "LimitExceededException", "The requested resource exceeds the maximum number allowed.")
}

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

func TestInputs(t *testing.T) {
	f := newFixture(t)
	arn := f.rule("r", "", updates, func(t *types.Target) {
		t.InputTransformer = &types.InputTransformer{InputPathsMap: map[string]string{"c": "$.detail.command"}, InputTemplate: ptr(`{"command": <c>, "rule": <aws.events.rule-arn>}`)}
	})
	f.rule("path", "", updates, func(t *types.Target) { t.InputPath = ptr("$.detail.payload.sf_id") })
	f.rule("constant", "", updates, func(t *types.Target) { t.Input = ptr(`{"a":1}`) })
	f.put("", update)
	for name, want := range map[string]string{"r": `{"command":"update-account","rule":"` + arn + `"}`, "path": `"baz"`, "constant": `{"a":1}`} {
		if got := f.queues.wait(t, queueARN(name), 1)[0]; got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestArchiveAndReplay(t *testing.T) {
	f := newFixture(t)
	f.bus("b")
	begin := time.Now().Add(-time.Second)
	_, err := f.client.CreateArchive(f.ctx, &eventbridge.CreateArchiveInput{ArchiveName: ptr("a"), EventSourceArn: ptr(busARN("b")), EventPattern: ptr(updates), RetentionDays: ptr(int32(1))})
	must(t, err)
	for i := range 10 {
		f.put("b", fmt.Sprintf(`{"command":"update-account","n":%d}`, i))
		f.put("b", `{"command":"other"}`)
	}
	var d *eventbridge.DescribeArchiveOutput
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if d, err = f.client.DescribeArchive(f.ctx, &eventbridge.DescribeArchiveInput{ArchiveName: ptr("a")}); err != nil || d.EventCount == 10 || time.Now().After(end) {
			break
		}
	}
	must(t, err)
	if d.EventCount != 10 || d.SizeBytes == 0 || d.State != types.ArchiveStateEnabled || *d.EventSourceArn != busARN("b") {
		t.Fatalf("%+v", d)
	}
	// A rule that was not there when the events came gets them by a replay.
	arn := f.rule("late", "b", updates)
	f.rule("unasked", "b", updates)
	_, err = f.client.StartReplay(f.ctx, &eventbridge.StartReplayInput{ReplayName: ptr("again"), EventSourceArn: d.ArchiveArn, EventStartTime: &begin, EventEndTime: ptr(time.Now().Add(time.Hour)),
		Destination: &types.ReplayDestination{Arn: ptr(busARN("b")), FilterArns: []string{arn}}})
	must(t, err)
	for i, m := range f.queues.wait(t, queueARN("late"), 10) {
		if got := decode(t, m); got["replay-name"] != "again" {
			t.Errorf("message %d: %v", i, got)
		}
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		r, err := f.client.DescribeReplay(f.ctx, &eventbridge.DescribeReplayInput{ReplayName: ptr("again")})
		must(t, err)
		if r.State == types.ReplayStateCompleted {
			if r.ReplayEndTime == nil || r.EventLastReplayedTime == nil {
				t.Errorf("%+v", r)
			}
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the replay is %s", r.State)
		}
	}
	if f.queues.got[queueARN("unasked")] != nil {
		t.Error("a rule got events that was not asked for")
	}
	if d, err = f.client.DescribeArchive(f.ctx, &eventbridge.DescribeArchiveInput{ArchiveName: ptr("a")}); err != nil || d.EventCount != 10 {
		t.Errorf("replayed events were archived: %v, %v", d, err)
	}
	_, err = f.client.CancelReplay(f.ctx, &eventbridge.CancelReplayInput{ReplayName: ptr("again")})
	refused(t, err, "IllegalStatusException", "Replay again is not in a valid state for this operation.")
	_, err = f.client.DeleteArchive(f.ctx, &eventbridge.DeleteArchiveInput{ArchiveName: ptr("a")})
	must(t, err)
}

func TestPlatformEvents(t *testing.T) {
	f := newFixture(t)
	f.rule("r", "", `{"source":["aws.ecs"],"detail-type":["ECS Task State Change"]}`)
	e := outlet.Event{Event: cluster.Event{Scope: cluster.Scope{Account: account, Region: region}}, JSON: []byte(`{"version":"0","id":"1","detail-type":"ECS Task State Change","source":"aws.ecs","detail":{}}`)}
	must(t, f.engine.TakePlatform(f.ctx, []outlet.Event{e}))
	f.queues.wait(t, queueARN("r"), 1)
}

func TestFunction(t *testing.T) {
	f := newFixture(t)
	got := make(chan string, 10)
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got <- string(b)
	}))
	defer srv.Close()
	must(t, f.db.Update(f.ctx, func(tx *store.Tx) error {
		return bus.Functions.Put(tx, bus.Function{Scope: cluster.Scope{Account: account, Region: region}, Name: "fn", URL: srv.URL})
	}))
	f.rule("r", "", updates, func(t *types.Target) {
		t.Arn = ptr("arn:aws:lambda:" + region + ":" + account + ":function:fn")
		t.InputPath = ptr("$.detail")
	})
	f.put("", update)
	if b := decode(t, <-got); b["command"] != "update-account" {
		t.Errorf("%v", b)
	}
}

// destination makes a connection and an API destination, and a rule that sends
// to it.
func (f *fixture) destination(endpoint string, rate *int32, auth types.CreateConnectionAuthRequestParameters, typ types.ConnectionAuthorizationType, change func(*types.Target)) {
	f.t.Helper()
	c, err := f.client.CreateConnection(f.ctx, &eventbridge.CreateConnectionInput{Name: ptr("c"), AuthorizationType: typ, AuthParameters: &auth})
	must(f.t, err)
	d, err := f.client.CreateApiDestination(f.ctx, &eventbridge.CreateApiDestinationInput{Name: ptr("d"), ConnectionArn: c.ConnectionArn, HttpMethod: types.ApiDestinationHttpMethodPost,
		InvocationEndpoint: &endpoint, InvocationRateLimitPerSecond: rate})
	must(f.t, err)
	f.rule("r", "", updates, func(t *types.Target) {
		t.Arn = d.ApiDestinationArn
		t.DeadLetterConfig = &types.DeadLetterConfig{Arn: ptr(queueARN("dlq"))}
		t.RetryPolicy = &types.RetryPolicy{MaximumRetryAttempts: ptr(int32(1))}
		if change != nil {
			change(t)
		}
	})
}

func TestAPIDestination(t *testing.T) {
	f := newFixture(t)
	got := make(chan *http.Request, 10)
	bodies := make(chan string, 10)
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got <- r
		bodies <- string(b)
	}))
	defer srv.Close()
	f.destination(srv.URL+"/x/*/y", nil, types.CreateConnectionAuthRequestParameters{BasicAuthParameters: &types.CreateConnectionBasicAuthRequestParameters{Username: ptr("u"), Password: ptr("p")},
		InvocationHttpParameters: &types.ConnectionHttpParameters{HeaderParameters: []types.ConnectionHeaderParameter{{Key: ptr("X-C"), Value: ptr("connection"), IsValueSecret: true}},
			BodyParameters: []types.ConnectionBodyParameter{{Key: ptr("extra"), Value: ptr("yes")}}}}, types.ConnectionAuthorizationTypeBasic, func(t *types.Target) {
		t.HttpParameters = &types.HttpParameters{PathParameterValues: []string{"a b"}, HeaderParameters: map[string]string{"X-T": "target", "X-C": "target"}, QueryStringParameters: map[string]string{"q": "1"}}
	})
	f.put("", update)
	r := <-got
	u, p, _ := r.BasicAuth()
	if r.URL.String() != "/x/a%20b/y?q=1" || u != "u" || p != "p" || r.Header.Get("X-C") != "connection" || r.Header.Get("X-T") != "target" || r.Method != "POST" {
		t.Errorf("%s %s, %v", r.Method, r.URL, r.Header)
	}
	if b := decode(t, <-bodies); b["extra"] != "yes" || b["source"] != "core.update-account-command" {
		t.Errorf("%v", b)
	}
	d, err := f.client.DescribeConnection(f.ctx, &eventbridge.DescribeConnectionInput{Name: ptr("c")})
	must(t, err)
	text, err := json.Marshal(d)
	must(t, err)
	if strings.Contains(string(text), `"connection"`) || d.AuthParameters.BasicAuthParameters.Username == nil || d.ConnectionState != types.ConnectionStateAuthorized {
		t.Errorf("%s", text)
	}
}

func TestOAuth(t *testing.T) {
	f := newFixture(t)
	var mu sync.Mutex
	issued, calls := 0, []string{}
	done := make(chan struct{}, 10)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if r.URL.Path == "/token" {
			r.ParseForm()
			if r.Form.Get("client_id") != "id" || r.Form.Get("client_secret") != "secret" || r.Form.Get("grant_type") != "client_credentials" || r.Form.Get("audience") != "all" {
				w.WriteHeader(http.StatusForbidden)
				return
			}
			issued++
			fmt.Fprintf(w, `{"access_token":"t%d","token_type":"bearer","expires_in":3600}`, issued)
			return
		}
		calls = append(calls, r.Header.Get("Authorization"))
		if len(calls) == 3 {
			w.WriteHeader(http.StatusUnauthorized) // a token that was withdrawn
			return
		}
		done <- struct{}{}
	}))
	defer srv.Close()
	f.destination(srv.URL, nil, types.CreateConnectionAuthRequestParameters{OAuthParameters: &types.CreateConnectionOAuthRequestParameters{AuthorizationEndpoint: ptr(srv.URL + "/token"), HttpMethod: types.ConnectionOAuthHttpMethodPost,
		ClientParameters:    &types.CreateConnectionOAuthClientRequestParameters{ClientID: ptr("id"), ClientSecret: ptr("secret")},
		OAuthHttpParameters: &types.ConnectionHttpParameters{BodyParameters: []types.ConnectionBodyParameter{{Key: ptr("audience"), Value: ptr("all")}}}}}, types.ConnectionAuthorizationTypeOauthClientCredentials, nil)
	for range 3 {
		f.put("", update)
		<-done
	}
	mu.Lock()
	defer mu.Unlock()
	if got := strings.Join(calls, ","); got != "Bearer t1,Bearer t1,Bearer t1,Bearer t2" || issued != 2 {
		t.Errorf("%s, %d tokens", got, issued)
	}
	d, err := f.client.DescribeApiDestination(f.ctx, &eventbridge.DescribeApiDestinationInput{Name: ptr("d")})
	must(t, err)
	if d.ApiDestinationState != types.ApiDestinationStateActive {
		t.Errorf("the destination is %s", d.ApiDestinationState)
	}
}

// What an endpoint must not do is refused: leading to where credentials are, to
// other hosts, or answering without end.
func TestBadEndpoints(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"link-local addresses are not called": nil,
		"redirects to another host": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://169.254.169.254/latest/meta-data", http.StatusTemporaryRedirect)
		},
		"the answer is larger than 1048576 bytes": func(w http.ResponseWriter, r *http.Request) {
			for chunk := make([]byte, 1<<16); r.Context().Err() == nil; {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		},
		"the endpoint answered 400 Bad Request": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(400) },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			url := "http://169.254.169.254/latest"
			if handler != nil {
				srv := httptest.NewServer(handler)
				defer srv.Close()
				url = srv.URL
			}
			f.destination(url, nil, types.CreateConnectionAuthRequestParameters{ApiKeyAuthParameters: &types.CreateConnectionApiKeyAuthRequestParameters{ApiKeyName: ptr("X-Key"), ApiKeyValue: ptr("v")}}, types.ConnectionAuthorizationTypeApiKey, nil)
			f.put("", update)
			if got := f.queues.waitDead(t, queueARN("dlq")); !strings.Contains(got["ERROR_MESSAGE"], name) || got["RETRY_ATTEMPTS"] != "0" {
				t.Errorf("%v", got)
			}
		})
	}
}

func TestInvocationRate(t *testing.T) {
	f := newFixture(t)
	times := make(chan time.Time, 10)
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { times <- time.Now() }))
	defer srv.Close()
	f.destination(srv.URL, ptr(int32(10)), types.CreateConnectionAuthRequestParameters{ApiKeyAuthParameters: &types.CreateConnectionApiKeyAuthRequestParameters{ApiKeyName: ptr("X-Key"), ApiKeyValue: ptr("v")}}, types.ConnectionAuthorizationTypeApiKey, nil)
	for range 4 {
		f.put("", update)
	}
	first := <-times
	var last time.Time
	for range 3 {
		last = <-times
	}
	if d := last.Sub(first); d < 250*time.Millisecond {
		t.Errorf("4 invocations within %v", d)
	}
}

func TestEventPatterns(t *testing.T) {
	f := newFixture(t)
	event := `{"id":"1","account":"1","source":"order","time":"2024-01-01T00:00:00Z","region":"r","resources":[],"detail-type":"d"}`
	out, err := f.client.TestEventPattern(f.ctx, &eventbridge.TestEventPatternInput{Event: &event, EventPattern: ptr(`{"source":["order"]}`)})
	must(t, err)
	if !out.Result {
		t.Error("no match")
	}
	for _, bad := range []string{`[]`, `"x"`, `{"id":"1"}`} {
		_, err = f.client.TestEventPattern(f.ctx, &eventbridge.TestEventPatternInput{Event: &bad, EventPattern: ptr(`{"source":["order"]}`)})
		refused(t, err, "ValidationException", "Parameter Event is not valid.")
	}
	_, err = f.client.TestEventPattern(f.ctx, &eventbridge.TestEventPatternInput{Event: &event, EventPattern: ptr(`{"a":5}`)})
	refused(t, err, "InvalidEventPatternException", "Event pattern is not valid. Reason: \"a\" must be an object or an array\n at [Source: (String)\"{\"a\":5}\"; line: 1, column: 7]")
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
