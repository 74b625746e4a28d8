package logs

import (
	"context"
	"fmt"
	"slices"
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
	return &cwl.PutLogEventsOutput{RejectedLogEventsInfo: rejected,
		NextSequenceToken: ptr("49039859618765411230000000000000000000000000000000000000")}, nil
}

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
	q := logstore.Query{Streams: []logstore.Stream{row}, From: deref(in.StartTime), To: deref(in.EndTime), MaxBytes: pageBytes, Limit: eventsLimit,
		Backward: !deref(in.StartFromHead)}
	if in.Limit != nil {
		q.Limit = int(*in.Limit)
	}
	var from eventToken
	if in.NextToken != nil {
		if from, err = parseToken(*in.NextToken); err != nil {
			return nil, err
		}
		if from.Forward {
			q.After, q.Backward = &from.At, false
		} else {
			q.Before, q.Backward = &from.At, true
		}
	}
	page, _, err := a.store.Read(g, q)
	if err != nil {
		return nil, err
	}
	forward, backward := eventToken{true, from.At}, eventToken{false, from.At}
	if len(page) > 0 {
		forward.At, backward.At = page[len(page)-1].Position, page[0].Position
	}
	out := &cwl.GetLogEventsOutput{Events: []types.OutputLogEvent{}, NextForwardToken: ptr(forward.String()), NextBackwardToken: ptr(backward.String())}
	for _, e := range page {
		out.Events = append(out.Events, types.OutputLogEvent{Timestamp: ptr(e.Timestamp), IngestionTime: ptr(e.Ingestion), Message: ptr(e.Message)})
	}
	return out, nil
}

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
	q := logstore.Query{From: deref(in.StartTime), MaxBytes: pageBytes, Limit: eventsLimit, Match: pattern}
	if in.EndTime != nil {
		q.To = *in.EndTime + 1 // inclusive here, exclusive in GetLogEvents
	}
	if in.Limit != nil {
		q.Limit = int(*in.Limit)
	}
	q.Streams = a.store.StreamsOf(g, func(name string) bool {
		return len(name) >= len(deref(in.LogStreamNamePrefix)) && name[:len(deref(in.LogStreamNamePrefix))] == deref(in.LogStreamNamePrefix) &&
			(len(in.LogStreamNames) == 0 || slices.Contains(in.LogStreamNames, name))
	})
	for _, want := range in.LogStreamNames {
		if !slices.ContainsFunc(q.Streams, func(s logstore.Stream) bool { return s.Name == want }) {
			return nil, wrap(logstore.ErrNoStream, "")
		}
	}
	if in.NextToken != nil {
		from, err := parseToken(*in.NextToken)
		if err != nil {
			return nil, err
		}
		q.After = &from.At
	}
	page, more, err := a.store.Read(g, q)
	if err != nil {
		return nil, err
	}
	out := &cwl.FilterLogEventsOutput{Events: []types.FilteredLogEvent{}, SearchedLogStreams: []types.SearchedLogStream{}}
	for _, e := range page {
		out.Events = append(out.Events, types.FilteredLogEvent{LogStreamName: ptr(e.Stream), Timestamp: ptr(e.Timestamp), IngestionTime: ptr(e.Ingestion),
			Message: ptr(e.Message), EventId: ptr(eventID(e.Position))})
	}
	if more {
		out.NextToken = ptr(eventToken{true, page[len(page)-1].Position}.String())
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
