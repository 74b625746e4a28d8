package logs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	cwl "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/smithy-go"

	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/internal/sdktest"
	"github.com/dhowhq/dhow/logstore"
	"github.com/dhowhq/dhow/store/storetest"
)

// fixture is an API over an empty store, and a caller.
type fixture struct {
	*API
	t   testing.TB
	ctx context.Context
	now int64
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	db := storetest.Open(t)
	s, err := logstore.Open(logstore.Config{Dir: t.TempDir(), DB: db, SegmentSize: 4000})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	f := &fixture{API: New(Config{Store: s, DB: db}), t: t, now: time.Now().UnixMilli()}
	f.ctx = f.caller("111122223333")
	return f
}

// caller is a context of a call of an operation; page tokens are bound to it.
func (f *fixture) caller(account string) context.Context {
	return awsapi.WithCall(context.Background(), &awsapi.Call{Service: "logs", Account: account, Region: "eu-west-1"})
}

// serve serves the API over HTTP and returns its URL.
func (f *fixture) serve() string {
	f.t.Helper()
	s, err := awsapi.New(awsapi.Config{Account: "111122223333", Region: "eu-west-1", Log: slog.New(slog.DiscardHandler)}, awsapi.Service{Model: "logs", API: f.API})
	must(f.t, err)
	h := httptest.NewServer(s)
	f.t.Cleanup(h.Close)
	return h.URL
}

func (f *fixture) client() *cwl.Client {
	return cwl.New(cwl.Options{BaseEndpoint: ptr(f.serve()), Region: "eu-west-1", RetryMaxAttempts: 1, HTTPClient: sdktest.Client(),
		Credentials: aws.NewCredentialsCache(credentials.NewStaticCredentialsProvider("111122223333", "x", ""))})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) stream(group, name string) {
	f.t.Helper()
	_, err := f.CreateLogGroup(f.ctx, &cwl.CreateLogGroupInput{LogGroupName: &group})
	var exists *types.ResourceAlreadyExistsException
	if err != nil && !errors.As(err, &exists) {
		f.t.Fatal(err)
	}
	_, err = f.CreateLogStream(f.ctx, &cwl.CreateLogStreamInput{LogGroupName: &group, LogStreamName: &name})
	must(f.t, err)
}

// put writes messages, a millisecond apart, the first at f.now plus offset.
func (f *fixture) put(group, name string, offset int64, messages ...string) {
	f.t.Helper()
	in := &cwl.PutLogEventsInput{LogGroupName: &group, LogStreamName: &name}
	for i, m := range messages {
		in.LogEvents = append(in.LogEvents, types.InputLogEvent{Timestamp: ptr(f.now + offset + int64(i)), Message: ptr(m)})
	}
	out, err := f.PutLogEvents(f.ctx, in)
	must(f.t, err)
	if out.RejectedLogEventsInfo != nil {
		f.t.Fatal("events are rejected")
	}
}

func numbered(from, to int) (out []string) {
	for i := from; i < to; i++ {
		out = append(out, fmt.Sprintf("event %03d %s", i, strings.Repeat("x", 100)))
	}
	return out
}

func refused(t *testing.T, err error, code, message string) {
	t.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != code || !strings.Contains(api.ErrorMessage(), message) {
		t.Errorf("error %v, want %s: %s", err, code, message)
	}
}

// recorded sentences of AWS that belong to served operations. The others are of
// filters, deliveries, exports and resource policies, which are not served.
var recorded = []struct {
	code, message string
	call          func(c *cwl.Client) error
}{
	{"InvalidParameterException", "1 validation error detected: Value '10001' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 10000", func(c *cwl.Client) error {
		_, err := c.FilterLogEvents(context.Background(), &cwl.FilterLogEventsInput{LogGroupName: ptr("g"), Limit: ptr(int32(10001))})
		return err
	}},
	{"InvalidParameterException", "1 validation error detected: Value '10001' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 10000", func(c *cwl.Client) error {
		_, err := c.GetLogEvents(context.Background(), &cwl.GetLogEventsInput{LogGroupName: ptr("g"), LogStreamName: ptr("s"), Limit: ptr(int32(10001))})
		return err
	}},
	{"InvalidParameterException", "The specified nextToken is invalid.", func(c *cwl.Client) error {
		_, err := c.FilterLogEvents(context.Background(), &cwl.FilterLogEventsInput{LogGroupName: ptr("g"), NextToken: ptr("foo")})
		return err
	}},
	{"InvalidParameterException", "The specified nextToken is invalid.", func(c *cwl.Client) error {
		_, err := c.GetLogEvents(context.Background(), &cwl.GetLogEventsInput{LogGroupName: ptr("g"), LogStreamName: ptr("s"), NextToken: ptr("f/bm9uZQ")})
		return err
	}},
	{"InvalidParameterException", "The specified nextToken is invalid.", func(c *cwl.Client) error {
		_, err := c.DescribeLogStreams(context.Background(), &cwl.DescribeLogStreamsInput{LogGroupName: ptr("g"), NextToken: ptr("foo")})
		return err
	}},
	{"InvalidParameterException", "Log events in a single PutLogEvents request must be in chronological order.", func(c *cwl.Client) error {
		now := time.Now().UnixMilli()
		_, err := c.PutLogEvents(context.Background(), &cwl.PutLogEventsInput{LogGroupName: ptr("g"), LogStreamName: ptr("s"),
			LogEvents: []types.InputLogEvent{{Timestamp: ptr(now), Message: ptr("b")}, {Timestamp: ptr(now - 1), Message: ptr("a")}}})
		return err
	}},
	{"ResourceNotFoundException", "The specified log group does not exist.", func(c *cwl.Client) error {
		_, err := c.DeleteLogGroup(context.Background(), &cwl.DeleteLogGroupInput{LogGroupName: ptr("none")})
		return err
	}},
	{"ResourceNotFoundException", "The specified log stream does not exist.", func(c *cwl.Client) error {
		_, err := c.PutLogEvents(context.Background(), &cwl.PutLogEventsInput{LogGroupName: ptr("g"), LogStreamName: ptr("none"),
			LogEvents: []types.InputLogEvent{{Timestamp: ptr(time.Now().UnixMilli()), Message: ptr("a")}}})
		return err
	}},
	{"ValidationException", "LogGroup name and LogGroup ARN are mutually exclusive parameters.", func(c *cwl.Client) error {
		_, err := c.DescribeLogStreams(context.Background(), &cwl.DescribeLogStreamsInput{LogGroupName: ptr("g"), LogGroupIdentifier: ptr("g")})
		return err
	}},
}

func TestRecordedErrors(t *testing.T) {
	f := newFixture(t)
	f.stream("g", "s")
	c := f.client()
	for _, r := range recorded {
		var api smithy.APIError
		if err := r.call(c); !errors.As(err, &api) || api.ErrorCode() != r.code || api.ErrorMessage() != r.message {
			t.Errorf("error %v, want %s: %s", err, r.code, r.message)
		}
	}
	data, err := os.ReadFile("../../../shared/data/recordings/logs.errors.tsv")
	if err != nil {
		t.Skip("no recordings to compare with: ", err)
	}
	unserved := []string{"filterName", "Invalid LogGroup or LogStream", "Resource limit exceeded", "Delivery", "export task", "subscription filter"}
	for line := range strings.Lines(string(data)) {
		parts := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if slices.ContainsFunc(unserved, func(s string) bool { return strings.Contains(parts[2], s) }) {
			continue
		}
		if parts[1] != "400" {
			t.Errorf("status %s is recorded", parts[1])
		}
		found := false
		for _, r := range recorded {
			found = found || r.code == parts[0] && r.message == parts[2]
		}
		if !found {
			t.Errorf("no case for %s", line)
		}
	}
}

// readEvents pages through a stream as SDKs do: until a token comes back.
func (f *fixture) readEvents(in cwl.GetLogEventsInput, forward bool) (out []string, last string) {
	f.t.Helper()
	for range 100 {
		page, err := f.GetLogEvents(f.ctx, &in)
		must(f.t, err)
		var here []string
		for _, e := range page.Events {
			here = append(here, (*e.Message)[:9])
		}
		next := *page.NextBackwardToken
		if forward {
			out, next = append(out, here...), *page.NextForwardToken
		} else {
			out = append(here, out...)
		}
		if in.NextToken != nil && *in.NextToken == next {
			if len(here) > 0 {
				f.t.Errorf("the last page has %d events", len(here))
			}
			return out, next
		}
		in.NextToken = &next
	}
	f.t.Fatal("the pages have no end")
	return nil, ""
}

func TestGetLogEvents(t *testing.T) {
	f := newFixture(t)
	f.stream("g", "s")
	var want []string
	for i := range 10 {
		f.put("g", "s", int64(10*i), numbered(10*i, 10*i+10)...)
	}
	for _, m := range numbered(0, 100) {
		want = append(want, m[:9])
	}
	in := cwl.GetLogEventsInput{LogGroupName: ptr("g"), LogStreamName: ptr("s"), Limit: ptr(int32(7))}
	head := in
	head.StartFromHead = ptr(true)
	got, end := f.readEvents(head, true)
	if !slices.Equal(got, want) {
		t.Errorf("forward: %v", got)
	}
	if got, _ := f.readEvents(in, false); !slices.Equal(got, want) {
		t.Errorf("backward: %v", got)
	}
	// The token of the end gives what comes later, and the other direction
	// begins there.
	f.put("g", "s", 100, "event 100", "event 101")
	later := in
	later.NextToken = &end
	if got, _ := f.readEvents(later, true); !slices.Equal(got, []string{"event 100", "event 101"}) {
		t.Errorf("from the end: %v", got)
	}
	turned, err := f.GetLogEvents(f.ctx, &cwl.GetLogEventsInput{LogGroupName: ptr("g"), LogStreamName: ptr("s"), NextToken: &end, StartTime: ptr(f.now + 500)})
	must(t, err)
	back := in
	back.NextToken = turned.NextBackwardToken
	if got, _ := f.readEvents(back, false); !slices.Equal(got, want) {
		t.Errorf("back from the end: %v", got)
	}
	// And from the beginning forward, nothing is left out.
	first := in
	_, begin := f.readEvents(first, false)
	page, err := f.GetLogEvents(f.ctx, &cwl.GetLogEventsInput{LogGroupName: ptr("g"), LogStreamName: ptr("s"), NextToken: &begin})
	must(t, err)
	again := in
	again.NextToken = page.NextForwardToken
	if got, _ := f.readEvents(again, true); len(got) != 102 || got[0] != "event 000" {
		t.Errorf("forward from the beginning: %d events", len(got))
	}

	window := head
	window.StartTime, window.EndTime = ptr(f.now+20), ptr(f.now+25)
	window.LogGroupName, window.LogGroupIdentifier = nil, ptr("arn:aws:logs:eu-west-1:111122223333:log-group:g")
	if got, _ := f.readEvents(window, true); !slices.Equal(got, want[20:25]) {
		t.Errorf("window: %v", got)
	}
	window.StartTime, window.EndTime = nil, ptr(int64(0))
	if got, _ := f.readEvents(window, true); len(got) != 0 {
		t.Errorf("%d events before 1970", len(got))
	}
	window.LogGroupIdentifier = ptr("arn:aws:logs:eu-west-1:999999999999:log-group:g")
	_, err = f.GetLogEvents(f.ctx, &window)
	refused(t, err, "ResourceNotFoundException", "log group")
	_, err = f.GetLogEvents(f.caller("999999999999"), &in)
	refused(t, err, "ResourceNotFoundException", "log group")
}

func TestFilterLogEvents(t *testing.T) {
	f := newFixture(t)
	for _, s := range []string{"web/1", "web/2", "db/1"} {
		f.stream("g", s)
		for i := range 5 {
			f.put("g", s, int64(20*i), numbered(20*i, 20*i+20)...)
		}
	}
	read := func(change func(*cwl.FilterLogEventsInput)) (out []types.FilteredLogEvent) {
		t.Helper()
		in := &cwl.FilterLogEventsInput{LogGroupName: ptr("g"), Limit: ptr(int32(13))}
		change(in)
		ids := make(map[string]bool)
		for range 200 {
			page, err := f.FilterLogEvents(f.ctx, in)
			must(t, err)
			for _, e := range page.Events {
				if ids[*e.EventId] || len(*e.EventId) != 56 {
					t.Fatalf("event id %s", *e.EventId)
				}
				ids[*e.EventId] = true
			}
			out = append(out, page.Events...)
			if in.NextToken = page.NextToken; in.NextToken == nil {
				return out
			}
		}
		t.Fatal("the pages have no end")
		return nil
	}
	rising := func(a, b types.FilteredLogEvent) int { return int(*a.Timestamp - *b.Timestamp) }
	all := read(func(*cwl.FilterLogEventsInput) {})
	if len(all) != 300 || !slices.IsSortedFunc(all, rising) {
		t.Errorf("%d events", len(all))
	}
	newest := read(func(in *cwl.FilterLogEventsInput) {
		in.StartFromHead, in.StartTime = ptr(false), ptr(f.now-1000)
	})
	slices.Reverse(newest)
	if len(newest) != 300 || !slices.EqualFunc(all, newest, func(a, b types.FilteredLogEvent) bool { return *a.EventId == *b.EventId }) {
		t.Errorf("%d events, newest first", len(newest))
	}
	for _, tt := range []struct {
		what   string
		want   int
		change func(*cwl.FilterLogEventsInput)
	}{
		{"prefix", 200, func(in *cwl.FilterLogEventsInput) { in.LogStreamNamePrefix = ptr("web/") }},
		{"names", 200, func(in *cwl.FilterLogEventsInput) { in.LogStreamNames = []string{"db/1", "web/2"} }},
		{"pattern", 3, func(in *cwl.FilterLogEventsInput) { in.FilterPattern = ptr(`"event 042"`) }},
		{"window, both ends in it", 9, func(in *cwl.FilterLogEventsInput) { in.StartTime, in.EndTime = ptr(f.now+5), ptr(f.now+7) }},
		{"no events", 0, func(in *cwl.FilterLogEventsInput) { in.FilterPattern = ptr("nothing") }},
	} {
		if got := read(tt.change); len(got) != tt.want {
			t.Errorf("%s: %d events, want %d", tt.what, len(got), tt.want)
		}
	}
	for _, tt := range []struct {
		in            cwl.FilterLogEventsInput
		code, message string
	}{
		{cwl.FilterLogEventsInput{LogGroupName: ptr("g"), LogStreamNames: []string{"none"}}, "ResourceNotFoundException", "log stream"},
		{cwl.FilterLogEventsInput{LogGroupName: ptr("g"), LogStreamNames: []string{"db/1"}, LogStreamNamePrefix: ptr("d")}, "InvalidParameterException", "Only one of"},
		{cwl.FilterLogEventsInput{LogGroupName: ptr("g"), StartFromHead: ptr(false)}, "InvalidParameterException", "2024"},
		{cwl.FilterLogEventsInput{LogGroupName: ptr("g"), FilterPattern: ptr("[a, b]")}, "InvalidParameterException", "Invalid filter pattern"},
		{cwl.FilterLogEventsInput{}, "InvalidParameterException", "must be specified"},
	} {
		_, err := f.FilterLogEvents(f.ctx, &tt.in)
		refused(t, err, tt.code, tt.message)
	}
}

// What AWS rejects of a batch: too old, expired and too new events; the rest is
// taken.
func TestRejectedEvents(t *testing.T) {
	f := newFixture(t)
	f.stream("g", "s")
	_, err := f.PutRetentionPolicy(f.ctx, &cwl.PutRetentionPolicyInput{LogGroupName: ptr("g"), RetentionInDays: ptr(int32(3))})
	must(t, err)
	hour := int64(3600_000)
	at := func(offsets ...int64) *cwl.PutLogEventsInput {
		in := &cwl.PutLogEventsInput{LogGroupName: ptr("g"), LogStreamName: ptr("s")}
		for _, o := range offsets {
			in.LogEvents = append(in.LogEvents, types.InputLogEvent{Timestamp: ptr(f.now + o), Message: ptr("m")})
		}
		return in
	}
	for _, tt := range []struct {
		what              string
		offsets           []int64
		old, expired, new *int32
	}{
		{"all taken", []int64{-hour, 0, hour}, nil, nil, nil},
		{"expired", []int64{-73 * hour, -72*hour - 1, -71 * hour}, nil, ptr(int32(2)), nil},
		{"too old", []int64{-337 * hour, -330 * hour}, ptr(int32(1)), ptr(int32(2)), nil},
		{"too new", []int64{0, hour, 3 * hour, 4 * hour}, nil, nil, ptr(int32(2))},
	} {
		out, err := f.PutLogEvents(f.ctx, at(tt.offsets...))
		must(t, err)
		info := out.RejectedLogEventsInfo
		if info == nil {
			info = &types.RejectedLogEventsInfo{}
		}
		if deref(info.TooOldLogEventEndIndex) != deref(tt.old) || deref(info.ExpiredLogEventEndIndex) != deref(tt.expired) ||
			deref(info.TooNewLogEventStartIndex) != deref(tt.new) || *out.NextSequenceToken == "" {
			t.Errorf("%s: %v %v %v", tt.what, deref(info.TooOldLogEventEndIndex), deref(info.ExpiredLogEventEndIndex), deref(info.TooNewLogEventStartIndex))
		}
	}
	page, err := f.GetLogEvents(f.ctx, &cwl.GetLogEventsInput{LogGroupName: ptr("g"), LogStreamName: ptr("s")})
	if must(t, err); len(page.Events) != 6 {
		t.Errorf("%d events were taken, want 6", len(page.Events))
	}
	_, err = f.PutLogEvents(f.ctx, at(-25*hour, 0))
	refused(t, err, "InvalidParameterException", "cannot span more than 24 hours")
	big := at(0)
	big.LogEvents[0].Message = ptr(strings.Repeat("x", maxEvent-overhead+1))
	_, err = f.PutLogEvents(f.ctx, big)
	refused(t, err, "InvalidParameterException", "Log event too large")
	big.LogEvents = slices.Repeat([]types.InputLogEvent{{Timestamp: &f.now, Message: ptr(strings.Repeat("x", maxBatch/2))}}, 2)
	_, err = f.PutLogEvents(f.ctx, big)
	refused(t, err, "InvalidParameterException", "Upload too large")
	entity := at(0)
	entity.Entity = &types.Entity{KeyAttributes: map[string]string{"Type": "Service"}}
	out, err := f.PutLogEvents(f.ctx, entity)
	if must(t, err); out.RejectedEntityInfo == nil {
		t.Error("an entity is taken and forgotten")
	}
}
