package kinesis

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/store"
	"github.com/dhowhq/dhow/stream"
)

// CreateStream records a stream, which is CREATING until it can be used. Where a
// call names neither a mode nor a number of shards AWS makes an on-demand
// stream, as its recorded answers show.
func (a *API) CreateStream(ctx context.Context, in *kinesis.CreateStreamInput) (*kinesis.CreateStreamOutput, error) {
	mode := types.StreamModeProvisioned
	switch {
	case in.StreamModeDetails != nil:
		mode = in.StreamModeDetails.StreamMode
	case in.ShardCount == nil:
		mode = types.StreamModeOnDemand
	}
	switch {
	case mode == types.StreamModeProvisioned && in.ShardCount == nil:
		return nil, invalid("ShardCount must be specified for a stream in the PROVISIONED mode.")
	case mode == types.StreamModeOnDemand && in.ShardCount != nil:
		return nil, invalid("ShardCount must not be specified for a stream in the ON_DEMAND mode.")
	case mode == types.StreamModeProvisioned && in.WarmThroughputMiBps != nil:
		return nil, invalid("WarmThroughputMiBps must not be specified for a stream in the PROVISIONED mode.")
	}
	if err := a.mayWarm(ctx, in.WarmThroughputMiBps); err != nil {
		return nil, err
	}
	if err := checkTags(nil, in.Tags); err != nil {
		return nil, err
	}
	s := stream.Stream{Scope: scope(ctx), Name: *in.StreamName, Mode: mode, Tags: in.Tags,
		MaxRecordKiB: deref(in.MaxRecordSizeInKiB), WarmMiBps: deref(in.WarmThroughputMiBps)}
	if err := a.checkContract(ctx, &s, nil); err != nil {
		return nil, err
	}
	return &kinesis.CreateStreamOutput{}, wrap(a.e.Create(ctx, s, int(deref(in.ShardCount))))
}

// DeleteStream records that a stream goes; one with consumers does so only where
// EnforceConsumerDeletion says it.
func (a *API) DeleteStream(ctx context.Context, in *kinesis.DeleteStreamInput) (*kinesis.DeleteStreamOutput, error) {
	ref, err := a.ref(ctx, in.StreamName, in.StreamARN, in.StreamId)
	if err != nil {
		return nil, err
	}
	return &kinesis.DeleteStreamOutput{}, wrap(a.e.Delete(ctx, ref, deref(in.EnforceConsumerDeletion)))
}

// maxDescribed is how many shards DescribeStream gives at most.
const maxDescribed = 100

// DescribeStream shows a stream and its shards, a page of them.
func (a *API) DescribeStream(ctx context.Context, in *kinesis.DescribeStreamInput) (*kinesis.DescribeStreamOutput, error) {
	ref, err := a.ref(ctx, in.StreamName, in.StreamARN, in.StreamId)
	if err != nil {
		return nil, err
	}
	s, shards, err := a.e.ShardsOf(ref)
	if err != nil {
		return nil, wrap(err)
	}
	shards = after(shards, deref(in.ExclusiveStartShardId))
	most := maxDescribed
	if in.Limit != nil {
		most = min(most, int(*in.Limit))
	}
	more := len(shards) > most
	if more {
		shards = shards[:most]
	}
	d := &types.StreamDescription{StreamName: &s.Name, StreamARN: ptr(s.ARN()), StreamStatus: s.Status,
		StreamModeDetails: &types.StreamModeDetails{StreamMode: s.Mode}, RetentionPeriodHours: &s.RetentionHours,
		StreamCreationTimestamp: &s.CreatedAt, EnhancedMonitoring: monitoring(s), EncryptionType: encryption(s.KeyID != ""),
		KeyId: keyOf(s), Shards: wireShards(shards), HasMoreShards: &more}
	return &kinesis.DescribeStreamOutput{StreamDescription: d}, nil
}

// DescribeStreamSummary shows a stream without its shards.
func (a *API) DescribeStreamSummary(ctx context.Context, in *kinesis.DescribeStreamSummaryInput) (*kinesis.DescribeStreamSummaryOutput, error) {
	ref, err := a.ref(ctx, in.StreamName, in.StreamARN, in.StreamId)
	if err != nil {
		return nil, err
	}
	s, consumers, err := a.e.ConsumersOf(ref)
	if err != nil {
		return nil, wrap(err)
	}
	d := &types.StreamDescriptionSummary{StreamName: &s.Name, StreamARN: ptr(s.ARN()), StreamId: &s.ID, StreamStatus: s.Status,
		StreamModeDetails: &types.StreamModeDetails{StreamMode: s.Mode}, RetentionPeriodHours: &s.RetentionHours,
		StreamCreationTimestamp: &s.CreatedAt, EnhancedMonitoring: monitoring(s), EncryptionType: encryption(s.KeyID != ""),
		KeyId: keyOf(s), OpenShardCount: ptr(int32(s.OpenShards)), ConsumerCount: ptr(int32(len(consumers))),
		MaxRecordSizeInKiB: &s.MaxRecordKiB, WarmThroughput: warmth(s)}
	return &kinesis.DescribeStreamSummaryOutput{StreamDescriptionSummary: d}, nil
}

func monitoring(s stream.Stream) []types.EnhancedMetrics {
	return []types.EnhancedMetrics{{ShardLevelMetrics: append([]types.MetricsName{}, s.Metrics...)}}
}

func encryption(on bool) types.EncryptionType {
	if on {
		return types.EncryptionTypeKms
	}
	return types.EncryptionTypeNone
}

func keyOf(s stream.Stream) *string {
	if s.KeyID == "" {
		return nil
	}
	return &s.KeyID
}

func warmth(s stream.Stream) *types.WarmThroughputObject {
	if s.WarmMiBps == 0 {
		return nil
	}
	return &types.WarmThroughputObject{TargetMiBps: &s.WarmMiBps, CurrentMiBps: ptr(min(s.WarmMiBps, int32(s.OpenShards)))}
}

// ListStreams lists streams by name: after a name, or a token.
func (a *API) ListStreams(ctx context.Context, in *kinesis.ListStreamsInput) (*kinesis.ListStreamsOutput, error) {
	from := deref(in.ExclusiveStartStreamName)
	if in.NextToken != nil {
		t, err := parseToken(ctx, *in.NextToken)
		if err != nil {
			return nil, err
		}
		from = t.After
	}
	var rows []stream.Stream
	s := scope(ctx)
	a.db.View(func(r store.Reader) error {
		rows = slices.Collect(stream.Streams.List(r, s.Prefix()))
		return nil
	})
	rows = slices.DeleteFunc(rows, func(s stream.Stream) bool { return s.Name <= from })
	most := 100
	if in.Limit != nil {
		most = int(*in.Limit)
	}
	out := &kinesis.ListStreamsOutput{StreamNames: []string{}, StreamSummaries: []types.StreamSummary{}, HasMoreStreams: ptr(len(rows) > most)}
	if *out.HasMoreStreams {
		rows = rows[:most]
		out.NextToken = newToken(ctx, token{After: rows[most-1].Name})
	}
	for _, s := range rows {
		out.StreamNames = append(out.StreamNames, s.Name)
		out.StreamSummaries = append(out.StreamSummaries, types.StreamSummary{StreamName: &s.Name, StreamARN: ptr(s.ARN()), StreamStatus: s.Status,
			StreamModeDetails: &types.StreamModeDetails{StreamMode: s.Mode}, StreamCreationTimestamp: &s.CreatedAt})
	}
	return out, nil
}

// token is what a NextToken says: where the page ended, and of what.
type token struct {
	Made   int64              `json:"m"` // unix milliseconds
	After  string             `json:"a"`
	Stream string             `json:"s,omitempty"` // ARN
	Filter *types.ShardFilter `json:"f,omitempty"`
}

// tokenLife is from the API reference: 300 seconds.
const tokenLife = 300 * time.Second

func newToken(ctx context.Context, t token) *string {
	t.Made = time.Now().UnixMilli()
	data, err := json.Marshal(t)
	if err != nil {
		panic(err) // a struct of numbers and strings
	}
	return awsapi.Token(ctx, string(data))
}

func parseToken(ctx context.Context, s string) (t token, err error) {
	data, err := awsapi.ParseToken(ctx, &s)
	if err != nil || json.Unmarshal([]byte(data), &t) != nil {
		return t, invalid("NextToken is invalid.")
	}
	if age := time.Since(time.UnixMilli(t.Made)); age > tokenLife {
		return t, &types.ExpiredNextTokenException{Message: ptr("NextToken has expired: it was valid for 300 seconds.")}
	}
	return t, nil
}

// DescribeLimits shows what the account has and may have.
func (a *API) DescribeLimits(ctx context.Context, _ *kinesis.DescribeLimitsInput) (*kinesis.DescribeLimitsOutput, error) {
	var u stream.Usage
	s := scope(ctx)
	a.db.View(func(r store.Reader) error {
		u = stream.UsageOf(r, s)
		return nil
	})
	return &kinesis.DescribeLimitsOutput{OpenShardCount: ptr(int32(u.OpenShards)), ShardLimit: ptr(int32(stream.ShardLimit(s.Region))),
		OnDemandStreamCount: ptr(int32(u.OnDemandStreams)), OnDemandStreamCountLimit: ptr(int32(stream.MaxOnDemandStreams))}, nil
}
