package events

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
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

// TestDeepEvent has an event that is nested too deep fail for itself.
func TestDeepEvent(t *testing.T) {
	f := newFixture(t)
	f.rule("all", "", `{"source":[{"prefix":""}]}`)
	for _, depth := range []int{10, 990, 995, 996, 997, 998, 999, 1000, 1001, 5000, 10001, 100_000} {
		deep := `{"a":` + strings.Repeat("[", depth) + strings.Repeat("]", depth) + `}`
		out, err := f.client.PutEvents(f.ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{entry("", deep), entry("", update)}})
		if err != nil {
			t.Errorf("depth %d: %v", depth, err)
			continue
		}
		if want := depth > 997; (out.Entries[0].ErrorCode != nil) != want || want && *out.Entries[0].ErrorCode != "MalformedDetail" || out.Entries[1].ErrorCode != nil {
			t.Errorf("depth %d: %v, %v", depth, deref(out.Entries[0].ErrorCode), deref(out.Entries[1].ErrorCode))
		}
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
