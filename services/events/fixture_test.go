package events

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/smithy-go"

	"github.com/dhowhq/dhow/bus"
	"github.com/dhowhq/dhow/bus/delivery"
	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/internal/sdktest"
	"github.com/dhowhq/dhow/journal/mem"
	"github.com/dhowhq/dhow/store"
	"github.com/dhowhq/dhow/store/storetest"
)

const account, region = "111111111111", "eu-west-1"

// queues is a kind of targets that keeps what it gets, by ARN.
type queues struct {
	mu   sync.Mutex
	got  map[string][]string
	dead map[string][]map[string]string
	fail map[string]error
	more chan struct{} // closed at a change
}

func newQueues() *queues {
	return &queues{got: map[string][]string{}, dead: map[string][]map[string]string{}, fail: map[string]error{}, more: make(chan struct{})}
}

func (q *queues) changed() {
	close(q.more)
	q.more = make(chan struct{})
}

func (q *queues) Check(_ cluster.Scope, t types.Target) error {
	if strings.Contains(*t.Arn, "refused") {
		return errors.New("no such kind of queue")
	}
	return nil
}

func (q *queues) Send(_ context.Context, d bus.Delivery) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.fail[*d.Target.Arn]; err != nil {
		return err
	}
	q.got[*d.Target.Arn] = append(q.got[*d.Target.Arn], string(d.Input))
	q.changed()
	return nil
}

func (q *queues) deadLetter(_ context.Context, queue string, body []byte, attributes map[string]string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	attributes["body"] = string(body)
	q.dead[queue] = append(q.dead[queue], attributes)
	q.changed()
	return nil
}

// wait returns what the queue got once that is n messages.
func (q *queues) wait(t testing.TB, arn string, n int) []string {
	t.Helper()
	end := time.After(10 * time.Second)
	for {
		q.mu.Lock()
		got, more := slices.Clone(q.got[arn]), q.more
		q.mu.Unlock()
		if len(got) >= n {
			return got
		}
		select {
		case <-more:
		case <-end:
			t.Fatalf("%s got %d messages, not %d: %q", arn, len(got), n, got)
		}
	}
}

func (q *queues) waitDead(t testing.TB, arn string) map[string]string {
	t.Helper()
	end := time.After(10 * time.Second)
	for {
		q.mu.Lock()
		got, more := slices.Clone(q.dead[arn]), q.more
		q.mu.Unlock()
		if len(got) > 0 {
			return got[0]
		}
		select {
		case <-more:
		case <-end:
			t.Fatalf("%s got no dead letter", arn)
		}
	}
}

type fixture struct {
	*API
	t      testing.TB
	ctx    context.Context
	client *eventbridge.Client
	queues *queues
	url    string
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	f := newIdle(t)
	f.run()
	return f
}

// run runs the engine until the test ends.
func (f *fixture) run() {
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { f.engine.Run(ctx) })
	f.t.Cleanup(func() { cancel(); work.Wait() })
}

// newIdle is a fixture whose engine does not run.
func newIdle(t testing.TB) *fixture {
	t.Helper()
	return newOver(t, storetest.Open(t), nil)
}

// newOver is newIdle over a store, with targets in place of some that only keep
// what they get.
func newOver(t testing.TB, db *store.DB, own map[string]bus.Target) *fixture {
	t.Helper()
	q := newQueues()
	targets := map[string]bus.Target{"sqs": q, "sns": q, "ecs": q, "logs": q}
	maps.Copy(targets, own)
	e, err := bus.New(bus.Config{DB: db, Journal: mem.New(), Targets: targets, DeadLetter: q.deadLetter})
	must(t, err)
	t.Cleanup(e.Close)
	f := &fixture{API: New(Config{DB: db, Engine: e}), t: t, queues: q, ctx: context.Background()}
	s, err := awsapi.New(awsapi.Config{Account: account, Region: region, Auth: accounts{}, Log: slog.New(slog.DiscardHandler)}, awsapi.Service{Model: "events", API: f.API})
	must(t, err)
	must(t, s.Verify())
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	f.url = h.URL
	f.client = f.caller(account, region)
	return f
}

func (f *fixture) caller(account, region string) *eventbridge.Client {
	return eventbridge.New(eventbridge.Options{BaseEndpoint: &f.url, Region: region, RetryMaxAttempts: 1, HTTPClient: sdktest.Client(),
		Credentials: aws.NewCredentialsCache(credentials.NewStaticCredentialsProvider(account, "x", ""))})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// refused checks that err is an API error of that code and message.
func refused(t testing.TB, err error, code, message string) {
	t.Helper()
	var e smithy.APIError
	if !errors.As(err, &e) {
		t.Errorf("error %v, want %s: %s", err, code, message)
		return
	}
	if e.ErrorCode() != code || e.ErrorMessage() != message {
		t.Errorf("error\n %s: %s, want\n %s: %s", e.ErrorCode(), e.ErrorMessage(), code, message)
	}
}

func queueARN(name string) string { return "arn:aws:sqs:" + region + ":" + account + ":" + name }

func busARN(name string) string {
	return "arn:aws:events:" + region + ":" + account + ":event-bus/" + name
}

// rule makes a rule with a pattern that sends to a queue of the same name.
func (f *fixture) rule(name, busName, pattern string, change ...func(*types.Target)) string {
	f.t.Helper()
	out, err := f.client.PutRule(f.ctx, &eventbridge.PutRuleInput{Name: &name, EventBusName: given(busName), EventPattern: &pattern})
	must(f.t, err)
	t := types.Target{Id: ptr("target"), Arn: ptr(queueARN(name))}
	for _, c := range change {
		c(&t)
	}
	f.target(name, busName, t)
	return *out.RuleArn
}

func (f *fixture) target(rule, busName string, t types.Target) {
	f.t.Helper()
	out, err := f.client.PutTargets(f.ctx, &eventbridge.PutTargetsInput{Rule: &rule, EventBusName: given(busName), Targets: []types.Target{t}})
	must(f.t, err)
	if out.FailedEntryCount > 0 {
		f.t.Fatalf("target: %s", *out.FailedEntries[0].ErrorMessage)
	}
}

func (f *fixture) bus(name string) {
	f.t.Helper()
	_, err := f.client.CreateEventBus(f.ctx, &eventbridge.CreateEventBusInput{Name: &name})
	must(f.t, err)
}

// put puts an event and returns its id.
func (f *fixture) put(busName, detail string) string {
	f.t.Helper()
	out, err := f.client.PutEvents(f.ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{entry(busName, detail)}})
	must(f.t, err)
	if out.FailedEntryCount > 0 {
		f.t.Fatalf("event: %s", *out.Entries[0].ErrorMessage)
	}
	return *out.Entries[0].EventId
}

func entry(busName, detail string) types.PutEventsRequestEntry {
	return types.PutEventsRequestEntry{EventBusName: given(busName), Source: ptr("core.update-account-command"), DetailType: ptr("core.update-account-command"), Detail: &detail}
}

const update = `{"command": "update-account", "payload": {"acc_id": "0a787ecb-4015", "sf_id": "baz"}}`
const updates = `{"source": ["core.update-account-command"], "detail-type": ["core.update-account-command"], "detail": {"command": ["update-account"]}}`

func decode(t testing.TB, s string) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(s), &v); err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return v
}

// transient fails as a receiver that is away.
var transient = delivery.Retryable("THROTTLING", "away")

func path(p string) func(*types.Target) { return func(t *types.Target) { t.InputPath = &p } }

func to(a string) func(*types.Target) { return func(t *types.Target) { t.Arn = &a } }

func filled(template string, paths map[string]string) func(*types.Target) {
	return func(t *types.Target) {
		t.InputTransformer = &types.InputTransformer{InputTemplate: &template, InputPathsMap: paths}
	}
}
