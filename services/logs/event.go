package logs

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	cwl "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"github.com/dhowhq/dhow/logstore"
)

// Limits of PutLogEvents, from its API reference.
const (
	maxEvent    = 1 << 20 // bytes of a message with its overhead
	maxBatch    = 1 << 20
	overhead    = 26
	maxSpan     = 24 * time.Hour
	maxAge      = 14 * 24 * time.Hour
	maxAhead    = 2 * time.Hour
	pageBytes   = 1 << 20
	eventsLimit = 10000
)

// PutLogEvents appends events to a stream; they are on disk when it returns.
func (a *API) PutLogEvents(ctx context.Context, in *cwl.PutLogEventsInput) (*cwl.PutLogEventsOutput, error) {
	if err := checkBatch(in.LogEvents); err != nil {
		return nil, err
	}
	g, err := a.group(ctx, in.LogGroupName, nil)
	if err != nil {
		return nil, err
	}
	rejected, from, to := reject(in.LogEvents, g.Retention, time.Now())
	events := make([]logstore.Event, 0, to-from)
	for _, e := range in.LogEvents[from:to] {
		events = append(events, logstore.Event{Timestamp: *e.Timestamp, Message: *e.Message})
	}
	if err := a.store.Write(ctx, g.Scope, g.Name, *in.LogStreamName, events); err != nil {
		return nil, wrap(err, "")
	}
	out := &cwl.PutLogEventsOutput{RejectedLogEventsInfo: rejected, NextSequenceToken: ptr(sequenceToken)}
	if in.Entity != nil {
		// The events are taken, the entity is not, and the reply says so.
		out.RejectedEntityInfo = &types.RejectedEntityInfo{ErrorType: types.EntityRejectionErrorTypeUnsupportedLogGroupType}
	}
	return out, nil
}

// sequenceToken is what AWS still gives and nobody looks at.
const sequenceToken = "49039859618765411230000000000000000000000000000000000000"

func checkBatch(events []types.InputLogEvent) error {
	size := 0
	for i, e := range events {
		n := len(*e.Message) + overhead
		if n > maxEvent {
			return invalid(fmt.Sprintf("Log event too large: %d bytes exceeds limit of %d", n, maxEvent))
		}
		if size += n; size > maxBatch {
			return invalid(fmt.Sprintf("Upload too large: %d bytes exceeds limit of %d", size, maxBatch))
		}
		if i > 0 && *e.Timestamp < *events[i-1].Timestamp {
			return invalid("Log events in a single PutLogEvents request must be in chronological order.")
		}
	}
	if n := len(events); n > 0 && *events[n-1].Timestamp-*events[0].Timestamp > maxSpan.Milliseconds() {
		return invalid("The batch of log events in a single PutLogEvents request cannot span more than 24 hours.")
	}
	return nil
}

// reject says which events are not taken: expired or too old ones from the
// beginning, too new ones from the end. The others are events[from:to].
func reject(events []types.InputLogEvent, retention int32, now time.Time) (info *types.RejectedLogEventsInfo, from, to int) {
	first := func(limit time.Time) int {
		return slices.IndexFunc(append(slices.Clone(events), types.InputLogEvent{Timestamp: ptr(limit.UnixMilli())}),
			func(e types.InputLogEvent) bool { return *e.Timestamp >= limit.UnixMilli() })
	}
	old, ahead := first(now.Add(-maxAge)), first(now.Add(maxAhead).Add(time.Millisecond))
	expired := 0
	if retention > 0 {
		expired = first(now.AddDate(0, 0, -int(retention)))
	}
	if old == 0 && expired == 0 && ahead == len(events) {
		return nil, 0, len(events)
	}
	info = &types.RejectedLogEventsInfo{}
	if old > 0 {
		info.TooOldLogEventEndIndex = ptr(int32(old))
	}
	if expired > 0 {
		info.ExpiredLogEventEndIndex = ptr(int32(expired))
	}
	if ahead < len(events) {
		info.TooNewLogEventStartIndex = ptr(int32(ahead))
	}
	from = max(old, expired)
	return info, from, max(from, ahead)
}

// GetLogEvents reads a page of a stream. Its tokens are good in either
// direction and at the end, where the same token comes back.
func (a *API) GetLogEvents(ctx context.Context, in *cwl.GetLogEventsInput) (*cwl.GetLogEventsOutput, error) {
	g, err := a.group(ctx, in.LogGroupName, in.LogGroupIdentifier)
	if err != nil {
		return nil, err
	}
	row, err := a.store.Find(g.Scope, g.Name, *in.LogStreamName)
	if err != nil {
		return nil, wrap(err, "")
	}
	q := newQuery(in.StartTime, in.EndTime, in.Limit, in.StartFromHead)
	q.Streams = []logstore.Stream{row}
	from, err := turnTo(&q, in.NextToken)
	if err != nil {
		return nil, err
	}
	page, err := a.store.Read(g, q)
	if err != nil {
		return nil, err
	}
	// An empty page leaves both tokens where the reader stands.
	forward, backward := eventToken{true, from}, eventToken{false, from}
	if n := len(page.Events); n > 0 {
		forward.Gap, backward.Gap = page.Events[n-1].Position, gapAhead(page.Events[0].Position)
	}
	out := &cwl.GetLogEventsOutput{Events: []types.OutputLogEvent{}, NextForwardToken: ptr(forward.String()), NextBackwardToken: ptr(backward.String())}
	for _, e := range page.Events {
		out.Events = append(out.Events, types.OutputLogEvent{Timestamp: ptr(e.Timestamp), IngestionTime: ptr(e.Ingestion), Message: ptr(e.Message)})
	}
	return out, nil
}

// newQuery is a page's query; the end is exclusive.
func newQuery(start, end *int64, limit *int32, fromHead *bool) logstore.Query {
	q := logstore.Query{From: deref(start), MaxBytes: pageBytes, Limit: eventsLimit, Backward: !deref(fromHead)}
	if end != nil {
		q.To = max(1, *end) // 0 would be no end
	}
	if limit != nil {
		q.Limit = int(*limit)
	}
	return q
}

// turnTo makes q go on where token says, in the token's direction.
func turnTo(q *logstore.Query, token *string) (gap logstore.Position, err error) {
	if token == nil {
		return gap, nil
	}
	t, err := parseToken(*token)
	if err != nil {
		return gap, err
	}
	if q.Backward = !t.Forward; t.Forward {
		q.After = &t.Gap
	} else {
		behind := t.Gap
		behind.Offset++
		q.Before = &behind
	}
	return t.Gap, nil
}

// Reading backward, FilterLogEvents looks no further than this.
var newestFirstSince = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

// FilterLogEvents reads a page of a group's events that match a pattern.
func (a *API) FilterLogEvents(ctx context.Context, in *cwl.FilterLogEventsInput) (*cwl.FilterLogEventsOutput, error) {
	if in.LogStreamNamePrefix != nil && len(in.LogStreamNames) > 0 {
		return nil, invalid("Only one of logStreamNamePrefix and logStreamNames can be specified.")
	}
	g, err := a.group(ctx, in.LogGroupName, in.LogGroupIdentifier)
	if err != nil {
		return nil, err
	}
	pattern, err := parsePattern(deref(in.FilterPattern))
	if err != nil {
		return nil, err
	}
	fromHead := in.StartFromHead == nil || *in.StartFromHead
	if !fromHead && deref(in.StartTime) < newestFirstSince.UnixMilli() {
		return nil, invalid("startFromHead can be false only when startTime is on or after 2024-01-01T00:00:00Z.")
	}
	end := in.EndTime
	if end != nil && *end < math.MaxInt64 {
		end = ptr(*end + 1) // inclusive here, exclusive in GetLogEvents
	}
	q := newQuery(in.StartTime, end, in.Limit, &fromHead)
	q.Match = pattern
	q.Streams = a.store.StreamsOf(g, func(name string) bool {
		return strings.HasPrefix(name, deref(in.LogStreamNamePrefix)) &&
			(len(in.LogStreamNames) == 0 || slices.Contains(in.LogStreamNames, name))
	})
	for _, want := range in.LogStreamNames {
		if !slices.ContainsFunc(q.Streams, func(s logstore.Stream) bool { return s.Name == want }) {
			return nil, wrap(logstore.ErrNoStream, "")
		}
	}
	if _, err := turnTo(&q, in.NextToken); err != nil {
		return nil, err
	}
	page, err := a.store.Read(g, q)
	if err != nil {
		return nil, err
	}
	if q.Backward {
		slices.Reverse(page.Events)
	}
	out := &cwl.FilterLogEventsOutput{Events: []types.FilteredLogEvent{}, SearchedLogStreams: []types.SearchedLogStream{}}
	for _, e := range page.Events {
		out.Events = append(out.Events, types.FilteredLogEvent{LogStreamName: ptr(e.Stream), Timestamp: ptr(e.Timestamp), IngestionTime: ptr(e.Ingestion),
			Message: ptr(e.Message), EventId: ptr(eventID(e.Position))})
	}
	if next := page.Next; next != nil {
		t := eventToken{!q.Backward, *next}
		if q.Backward {
			t.Gap = gapAhead(*next)
		}
		out.NextToken = ptr(t.String())
	}
	return out, nil
}

// eventID is 56 digits, as AWS's are: time, then place.
func eventID(p logstore.Position) string {
	var stream uint32
	for i := range len(p.Stream) {
		stream = stream*31 + uint32(p.Stream[i])
	}
	return fmt.Sprintf("%020d%010d%010d%016d", p.Timestamp, stream, p.Segment, p.Offset)
}
