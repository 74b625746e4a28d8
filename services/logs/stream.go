package logs

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	cwl "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/logstore"
)

// CreateLogStream makes a stream in a group.
func (a *API) CreateLogStream(ctx context.Context, in *cwl.CreateLogStreamInput) (*cwl.CreateLogStreamOutput, error) {
	err := a.store.CreateStream(ctx, scope(ctx), *in.LogGroupName, *in.LogStreamName)
	return &cwl.CreateLogStreamOutput{}, wrap(err, "log stream")
}

// DeleteLogStream removes a stream with its events.
func (a *API) DeleteLogStream(ctx context.Context, in *cwl.DeleteLogStreamInput) (*cwl.DeleteLogStreamOutput, error) {
	err := a.store.DeleteStream(ctx, scope(ctx), *in.LogGroupName, *in.LogStreamName)
	return &cwl.DeleteLogStreamOutput{}, wrap(err, "")
}

// described is a stream with what it holds.
type described struct {
	logstore.Stream
	extent logstore.Extent
	key    string // sorts as the caller asked
}

// DescribeLogStreams lists a group's streams, by name or by the time of the
// last event.
func (a *API) DescribeLogStreams(ctx context.Context, in *cwl.DescribeLogStreamsInput) (*cwl.DescribeLogStreamsOutput, error) {
	byTime := in.OrderBy == types.OrderByLastEventTime
	if byTime && in.LogStreamNamePrefix != nil {
		return nil, invalid("Cannot order by LastEventTime with a logStreamNamePrefix.")
	}
	g, err := a.group(ctx, in.LogGroupName, in.LogGroupIdentifier)
	if err != nil {
		return nil, err
	}
	rows := a.store.StreamsOf(g, func(name string) bool { return strings.HasPrefix(name, deref(in.LogStreamNamePrefix)) })
	all := make([]described, len(rows))
	for i, s := range rows {
		d := described{Stream: s, key: s.Name}
		if byTime {
			if d.extent, err = a.store.Extent(s); err != nil {
				return nil, err
			}
			d.key = fmt.Sprintf("%020d %s", d.extent.Last, s.Name)
		}
		all[i] = d
	}
	order := func(x, y described) int { return cmp.Compare(x.key, y.key) }
	page, next, err := pageOf(ctx, all, order, deref(in.Descending), in.NextToken, in.Limit)
	if err != nil {
		return nil, err
	}
	out := &cwl.DescribeLogStreamsOutput{NextToken: next, LogStreams: []types.LogStream{}}
	for _, d := range page {
		if d.extent, err = a.store.Extent(d.Stream); err != nil {
			return nil, err
		}
		w := types.LogStream{LogStreamName: ptr(d.Name), Arn: ptr(streamARN(d.Stream)), CreationTime: ptr(d.CreatedAt.UnixMilli()),
			StoredBytes: ptr(int64(0))} // AWS says 0 for streams since 2019
		if d.extent.Events > 0 {
			w.FirstEventTimestamp, w.LastEventTimestamp, w.LastIngestionTime = &d.extent.First, &d.extent.Last, &d.extent.Ingested
			w.UploadSequenceToken = ptr(sequenceToken)
		}
		out.LogStreams = append(out.LogStreams, w)
	}
	return out, nil
}

// pageOf pages in either direction: descending keys are made to rise.
func pageOf(ctx context.Context, all []described, order func(x, y described) int, descending bool, token *string, limit *int32) ([]described, *string, error) {
	slices.SortFunc(all, func(x, y described) int {
		if descending {
			return order(y, x)
		}
		return order(x, y)
	})
	key := func(d described) string { return d.key }
	if descending {
		key = func(d described) string { return complement(d.key) }
	}
	return awsapi.Page(ctx, all, key, token, limit, 50)
}

// complement turns the order of keys around; the end of a key, which must sort
// behind its continuations then, becomes the greatest byte.
func complement(s string) string {
	b := make([]byte, len(s)+1)
	for i := range len(s) {
		b[i] = 255 - s[i]
	}
	b[len(s)] = 255
	return string(b)
}
