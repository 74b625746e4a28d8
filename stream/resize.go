package stream

import (
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/dhowhq/dhow/store"
)

// Rescale asks for that many open shards of even ranges, by AWS's rules for
// UpdateShardCount. It returns the row before.
func (e *Engine) Rescale(ctx context.Context, ref Ref, target int) (before Stream, err error) {
	_, err = e.update(ctx, ref, func(tx *store.Tx, s *Stream) error {
		before = *s
		now := e.now()
		s.Scalings = within(s.Scalings, now.Add(-24*time.Hour))
		have := s.OpenShards
		switch {
		case s.Mode == types.StreamModeOnDemand:
			return refuse(Validation, "Request is invalid. Stream %s under account %s is in On-Demand mode.", s.Name, s.Account)
		case target > 2*have:
			return refuse(Invalid, "UpdateShardCount cannot scale up over double your current open shard count. Current open shard count: %d Target shard count: %d", have, target)
		case 2*target < have:
			return refuse(Invalid, "UpdateShardCount cannot scale down below half your current open shard count. Current open shard count: %d Target shard count: %d", have, target)
		case target > maxStreamShards:
			return refuse(LimitExceeded, "A stream has at most %d shards; %d were requested.", maxStreamShards, target)
		case len(s.Scalings) >= maxScalings:
			return refuse(LimitExceeded, "UpdateShardCount limit exceeded: stream %s under account %s was scaled %d times within 24 hours.", s.Name, s.Account, maxScalings)
		}
		if err := room(tx, s.Scope, target-have); err != nil {
			return err
		}
		s.Scalings = append(s.Scalings, now)
		s.Work = &Work{Count: target}
		return nil
	})
	return before, err
}

func within(times []time.Time, since time.Time) []time.Time {
	return slices.DeleteFunc(slices.Clone(times), func(t time.Time) bool { return t.Before(since) })
}

// Split asks for two shards in the place of one; the second begins at that key.
func (e *Engine) Split(ctx context.Context, ref Ref, shard string, at HashKey) error {
	_, err := e.update(ctx, ref, func(tx *store.Tx, s *Stream) error {
		if s.Mode == types.StreamModeOnDemand {
			return refuse(Validation, "Request is invalid. Stream %s under account %s is in On-Demand mode.", s.Name, s.Account)
		}
		sh, err := openShard(tx, *s, shard)
		if err != nil {
			return err
		}
		if !sh.Start.Less(at) || !at.Less(sh.End) {
			return refuse(Invalid, "NewStartingHashKey %s used in SplitShard() on shard %s in stream %s under account %s is not both greater than one plus the shard's StartingHashKey %s and less than the shard's EndingHashKey %s.",
				at, shard, s.Name, s.Account, sh.Start, sh.End)
		}
		s.Work = &Work{Split: &at}
		return room(tx, s.Scope, 1)
	})
	return err
}

// Merge asks for one shard in the place of two adjacent ones.
func (e *Engine) Merge(ctx context.Context, ref Ref, shard, adjacent string) error {
	_, err := e.update(ctx, ref, func(tx *store.Tx, s *Stream) error {
		if s.Mode == types.StreamModeOnDemand {
			return refuse(Validation, "Request is invalid. Stream %s under account %s is in On-Demand mode.", s.Name, s.Account)
		}
		a, err := openShard(tx, *s, shard)
		if err != nil {
			return err
		}
		b, err := openShard(tx, *s, adjacent)
		if err != nil {
			return err
		}
		if b.Start.Less(a.Start) {
			a, b = b, a
		}
		if a.Index == b.Index || a.End == maxHash || a.End.add(1) != b.Start {
			return refuse(Invalid, "Shards %s and %s in stream %s under account %s are not an adjacent pair of shards eligible for merging", shard, adjacent, s.Name, s.Account)
		}
		s.Work = &Work{Merge: &b.Start}
		return nil
	})
	return err
}

// openShard finds a shard that can be split or merged.
func openShard(r store.Reader, s Stream, id string) (Shard, error) {
	index, ok := shardIndex(id)
	sh, found := Shards.Get(r, s.Scope.Key(s.Name, ShardID(index)))
	if !ok || !found {
		return sh, refuse(NotFound, "Could not find shard %s in stream %s under account %s.", id, s.Name, s.Account)
	}
	if !sh.Open() {
		return sh, refuse(InUse, "Shard %s in stream %s under account %s has already been merged or split, and thus is not eligible for merging or splitting.", id, s.Name, s.Account)
	}
	return sh, nil
}
