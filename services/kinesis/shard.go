package kinesis

import (
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/dhowhq/dhow/internal/arn"
	"github.com/dhowhq/dhow/stream"
)

// after leaves out the shards up to an id.
func after(shards []stream.Shard, id string) []stream.Shard {
	return slices.DeleteFunc(shards, func(s stream.Shard) bool { return s.ID() <= id })
}

func hashes(s stream.Shard) *types.HashKeyRange {
	return &types.HashKeyRange{StartingHashKey: ptr(s.Start.String()), EndingHashKey: ptr(s.End.String())}
}

func wireShards(shards []stream.Shard) []types.Shard {
	out := []types.Shard{}
	for _, s := range shards {
		w := types.Shard{ShardId: ptr(s.ID()), HashKeyRange: hashes(s),
			SequenceNumberRange: &types.SequenceNumberRange{StartingSequenceNumber: ptr(s.First().String())}}
		if !s.Open() {
			w.SequenceNumberRange.EndingSequenceNumber = ptr(s.Last().String())
		}
		if len(s.Parents) > 0 {
			w.ParentShardId = ptr(stream.ShardID(s.Parents[0]))
		}
		if len(s.Parents) > 1 {
			w.AdjacentParentShardId = ptr(stream.ShardID(s.Parents[1]))
		}
		out = append(out, w)
	}
	return out
}

func wireChildren(shards []stream.Shard) []types.ChildShard {
	var out []types.ChildShard
	for _, s := range shards {
		c := types.ChildShard{ShardId: ptr(s.ID()), HashKeyRange: hashes(s)}
		for _, p := range s.Parents {
			c.ParentShards = append(c.ParentShards, stream.ShardID(p))
		}
		out = append(out, c)
	}
	return out
}

// ListShards lists the shards of a stream, or those that a filter lets through.
func (a *API) ListShards(ctx context.Context, in *kinesis.ListShardsInput) (*kinesis.ListShardsOutput, error) {
	t := token{After: deref(in.ExclusiveStartShardId), Filter: in.ShardFilter}
	ref, err := a.listed(ctx, in, &t)
	if err != nil {
		return nil, err
	}
	s, shards, err := a.e.ShardsOf(ref)
	if err == nil && in.StreamCreationTimestamp != nil && in.StreamCreationTimestamp.Unix() != s.CreatedAt.Unix() {
		return nil, &types.ResourceNotFoundException{Message: ptr("Stream " + s.Name + " under account " + s.Account + " with that creation timestamp not found.")}
	}
	if err != nil {
		return nil, wrap(err)
	}
	if shards, err = filtered(s, shards, t.Filter, a.e.Horizon(s)); err != nil {
		return nil, err
	}
	shards = after(shards, t.After)
	most := 1000
	if in.MaxResults != nil {
		most = int(*in.MaxResults)
	}
	out := &kinesis.ListShardsOutput{}
	if len(shards) > most {
		shards = shards[:most]
		out.NextToken = newToken(ctx, token{After: shards[most-1].ID(), Stream: s.ARN(), Filter: t.Filter})
	}
	out.Shards = wireShards(shards)
	return out, nil
}

// listed finds the stream of a ListShards call, whose token says it on later
// pages.
func (a *API) listed(ctx context.Context, in *kinesis.ListShardsInput, t *token) (ref stream.Ref, err error) {
	if in.NextToken == nil {
		return a.ref(ctx, in.StreamName, in.StreamARN, in.StreamId)
	}
	switch {
	case in.StreamName != nil || in.StreamARN != nil:
		return ref, invalid("NextToken and StreamName cannot be provided together.")
	case in.ExclusiveStartShardId != nil:
		return ref, invalid("NextToken and ExclusiveStartShardId cannot be provided together.")
	case in.StreamCreationTimestamp != nil:
		return ref, invalid("NextToken and StreamCreationTimestamp cannot be provided together.")
	}
	if *t, err = parseToken(ctx, *in.NextToken); err != nil {
		return ref, err
	}
	return a.byARN(ctx, stream.Ref{Scope: scope(ctx)}, t.Stream)
}

// filtered applies a filter, by the API reference of ShardFilter. horizon is
// when the oldest records came that are not expired.
func filtered(s stream.Stream, shards []stream.Shard, f *types.ShardFilter, horizon time.Time) ([]stream.Shard, error) {
	if f == nil {
		return shards, nil
	}
	if s.CreatedAt.After(horizon) {
		horizon = s.CreatedAt
	}
	timed := f.Type == types.ShardFilterTypeAtTimestamp || f.Type == types.ShardFilterTypeFromTimestamp
	switch {
	case timed && f.Timestamp == nil:
		return nil, invalid("Timestamp must be specified for a ShardFilter of type %s.", f.Type)
	case !timed && f.Timestamp != nil:
		return nil, invalid("Timestamp must not be specified for a ShardFilter of type %s.", f.Type)
	case (f.Type == types.ShardFilterTypeAfterShardId) != (f.ShardId != nil):
		return nil, invalid("ShardId must be specified for a ShardFilter of type AFTER_SHARD_ID, and for no other.")
	}
	at := deref(f.Timestamp)
	if timed && at.Before(horizon) {
		at = horizon
	}
	keep := func(stream.Shard) bool { return true } // FROM_TRIM_HORIZON: all that are not expired
	open := func(at time.Time) func(stream.Shard) bool {
		return func(s stream.Shard) bool { return !s.CreatedAt.After(at) && (s.Open() || s.ClosedAt.After(at)) }
	}
	switch f.Type {
	case types.ShardFilterTypeAfterShardId:
		keep = func(s stream.Shard) bool { return s.ID() > *f.ShardId }
	case types.ShardFilterTypeAtLatest:
		keep = stream.Shard.Open
	case types.ShardFilterTypeAtTrimHorizon:
		keep = open(horizon)
	case types.ShardFilterTypeAtTimestamp:
		keep = open(at)
	case types.ShardFilterTypeFromTimestamp:
		keep = func(s stream.Shard) bool { return s.Open() || !s.ClosedAt.Before(at) }
	}
	return slices.DeleteFunc(shards, func(s stream.Shard) bool { return !keep(s) }), nil
}

// SplitShard makes two shards of one.
func (a *API) SplitShard(ctx context.Context, in *kinesis.SplitShardInput) (*kinesis.SplitShardOutput, error) {
	ref, err := a.ref(ctx, in.StreamName, in.StreamARN, in.StreamId)
	if err != nil {
		return nil, err
	}
	at, err := stream.ParseHashKey(*in.NewStartingHashKey)
	if err != nil {
		return nil, invalid("NewStartingHashKey %s is not in the range: [0, 2^128-1].", *in.NewStartingHashKey)
	}
	return &kinesis.SplitShardOutput{}, wrap(a.e.Split(ctx, ref, *in.ShardToSplit, at))
}

// MergeShards makes one shard of two that are adjacent.
func (a *API) MergeShards(ctx context.Context, in *kinesis.MergeShardsInput) (*kinesis.MergeShardsOutput, error) {
	ref, err := a.ref(ctx, in.StreamName, in.StreamARN, in.StreamId)
	if err != nil {
		return nil, err
	}
	return &kinesis.MergeShardsOutput{}, wrap(a.e.Merge(ctx, ref, *in.ShardToMerge, *in.AdjacentShardToMerge))
}

// UpdateShardCount splits and merges shards until there are that many of even
// ranges.
func (a *API) UpdateShardCount(ctx context.Context, in *kinesis.UpdateShardCountInput) (*kinesis.UpdateShardCountOutput, error) {
	ref, err := a.ref(ctx, in.StreamName, in.StreamARN, in.StreamId)
	if err != nil {
		return nil, err
	}
	s, err := a.e.Rescale(ctx, ref, int(*in.TargetShardCount))
	if err != nil {
		return nil, wrap(err)
	}
	return &kinesis.UpdateShardCountOutput{StreamName: &s.Name, StreamARN: ptr(s.ARN()), CurrentShardCount: ptr(int32(s.OpenShards)), TargetShardCount: in.TargetShardCount}, nil
}

// consumerARN reports whether an ARN is a consumer's.
func consumerARN(s string) bool {
	p, err := arn.Parse(s)
	return err == nil && len(p.Segments()) == 4 && p.Segments()[2] == "consumer"
}
