package stream

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
)

// Limits of streams, from the quotas and the API reference of Kinesis.
const (
	MinRetentionHours  = 24
	MaxRetentionHours  = 8760
	DefaultRecordKiB   = 1024
	onDemandShards     = 4
	onDemandMaxShards  = 200 // MiB/s, AWS's default in most regions
	MaxOnDemandStreams = 50
	maxStreamShards    = 10000
	maxScalings        = 10 // calls of UpdateShardCount in 24 hours
	maxModeChanges     = 2  // calls of UpdateStreamMode in 24 hours
	maxConsumers       = 20
)

// ShardLimit is the number of open shards of provisioned streams that an account
// may have in a region.
func ShardLimit(region string) int {
	switch region {
	case "us-east-1", "us-west-2", "eu-west-1":
		return 20000
	}
	return 6000
}

// Describe returns a stream's row; NotFound is its refusal.
func (e *Engine) Describe(ref Ref) (s Stream, err error) {
	e.db.View(func(r store.Reader) error {
		s, err = find(r, ref)
		return nil
	})
	return s, err
}

func find(r store.Reader, ref Ref) (Stream, error) {
	s, ok := Streams.Get(r, ref.Scope.Key(ref.Name))
	if !ok {
		return s, notFound(ref)
	}
	return s, nil
}

func serves(s Stream) bool {
	return s.Status == types.StreamStatusActive || s.Status == types.StreamStatusUpdating
}

// busy refuses a change of a stream that is not ACTIVE.
func busy(s Stream) error {
	if s.Status == types.StreamStatusActive {
		return nil
	}
	return refuse(InUse, "Stream %s under account %s not ACTIVE, instead in state %s", s.Name, s.Account, s.Status)
}

// Usage is what an account has in a region.
type Usage struct {
	OpenShards      int // of provisioned streams
	OnDemandStreams int
}

// UsageOf counts the streams of a scope. Shards that are being made count.
func UsageOf(r store.Reader, scope cluster.Scope) (u Usage) {
	for s := range Streams.List(r, scope.Prefix()) {
		switch {
		case s.Status == types.StreamStatusDeleting:
		case s.Mode == types.StreamModeOnDemand:
			u.OnDemandStreams++
		default:
			u.OpenShards += s.wanted()
		}
	}
	return u
}

// wanted is the number of open shards once the work is done.
func (s Stream) wanted() int {
	if w := s.Work; w != nil {
		return max(s.OpenShards, w.Create, w.Count)
	}
	return s.OpenShards
}

// room refuses what would exceed the account's shards.
func room(r store.Reader, scope cluster.Scope, more int) error {
	have, limit := UsageOf(r, scope).OpenShards, ShardLimit(scope.Region)
	if have+more <= limit {
		return nil
	}
	return refuse(LimitExceeded, "This request would exceed the shard limit for the account %s in %s. Current shard count for the account: %d. Limit: %d. Number of additional shards that would have resulted from this request: %d. Refer to the AWS Service Limits page (https://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html) for current limits and how to request higher limits.",
		scope.Account, scope.Region, have, limit, more)
}

// Create records a new stream of that many shards; where the mode is ON_DEMAND,
// of as many as its warm throughput needs, at least four. The fields that s must
// have are Scope, Name and Mode.
func (e *Engine) Create(ctx context.Context, s Stream, shards int) error {
	s.ID, s.Status, s.CreatedAt = newStreamID(), types.StreamStatusCreating, e.now().UTC().Truncate(time.Second)
	s.RetentionHours = MinRetentionHours
	if s.MaxRecordKiB == 0 {
		s.MaxRecordKiB = DefaultRecordKiB
	}
	if s.Mode == types.StreamModeOnDemand {
		shards = max(onDemandShards, int(s.WarmMiBps))
	}
	s.Work = &Work{Create: shards}
	return e.db.Update(ctx, func(tx *store.Tx) error {
		if _, ok := Streams.Get(tx, s.Key()); ok {
			return refuse(InUse, "Stream %s under account %s already exists.", s.Name, s.Account)
		}
		if s.Mode == types.StreamModeOnDemand {
			if UsageOf(tx, s.Scope).OnDemandStreams >= MaxOnDemandStreams {
				return refuse(LimitExceeded, "This request would exceed the on-demand stream limit for the account %s in %s. Limit: %d.", s.Account, s.Region, MaxOnDemandStreams)
			}
		} else if shards > maxStreamShards {
			return refuse(LimitExceeded, "A stream has at most %d shards; %d were requested.", maxStreamShards, shards)
		} else if err := room(tx, s.Scope, shards); err != nil {
			return err
		}
		return Streams.Put(tx, s)
	})
}

// Delete records that a stream goes, with its records and consumers. Without
// force it refuses streams that have consumers.
func (e *Engine) Delete(ctx context.Context, ref Ref, force bool) error {
	return e.db.Update(ctx, func(tx *store.Tx) error {
		s, err := find(tx, ref)
		if err != nil || s.Status == types.StreamStatusDeleting {
			return err
		}
		if !force {
			for range Consumers.List(tx, ref.Scope.Prefix(ref.Name)) {
				return refuse(InUse, "Stream %s under account %s has registered consumers. Deregister them, or set EnforceConsumerDeletion.", ref.Name, ref.Account)
			}
		}
		s.Status, s.Work = types.StreamStatusDeleting, nil
		return Streams.Put(tx, s)
	})
}

// Change applies a change to a stream's row that Run need know nothing of: tags,
// a policy. The stream may have any status but DELETING.
func (e *Engine) Change(ctx context.Context, ref Ref, change func(*Stream) error) (s Stream, err error) {
	err = e.db.Update(ctx, func(tx *store.Tx) error {
		if s, err = find(tx, ref); err != nil {
			return err
		}
		if s.Status == types.StreamStatusDeleting {
			return busy(s)
		}
		if err := change(&s); err != nil {
			return err
		}
		return Streams.Put(tx, s)
	})
	return s, err
}

// update applies a change to an ACTIVE stream, which is then UPDATING until Run
// has done what it says.
func (e *Engine) update(ctx context.Context, ref Ref, change func(*store.Tx, *Stream) error) (s Stream, err error) {
	err = e.db.Update(ctx, func(tx *store.Tx) error {
		if s, err = find(tx, ref); err != nil {
			return err
		}
		if err := busy(s); err != nil {
			return err
		}
		if err := change(tx, &s); err != nil {
			return err
		}
		s.Status = types.StreamStatusUpdating
		return Streams.Put(tx, s)
	})
	return s, err
}

// SetRetention changes how long records stay, in hours; grow says which of the
// two operations asks. Records that are expired and not yet trimmed return.
func (e *Engine) SetRetention(ctx context.Context, ref Ref, hours int32, grow bool) error {
	_, err := e.update(ctx, ref, func(_ *store.Tx, s *Stream) error {
		switch {
		case hours < MinRetentionHours:
			return refuse(Invalid, "Minimum allowed retention period is %d hours. Requested retention period (%d hours) is too short.", MinRetentionHours, hours)
		case hours > MaxRetentionHours:
			return refuse(Invalid, "Maximum allowed retention period is %d hours. Requested retention period (%d hours) is too long.", MaxRetentionHours, hours)
		case grow && hours < s.RetentionHours:
			return refuse(Invalid, "Requested retention period (%d hours) for stream %s can not be shorter than existing retention period (%d hours). Use DecreaseRetentionPeriod API.", hours, s.Name, s.RetentionHours)
		case !grow && hours > s.RetentionHours:
			return refuse(Invalid, "Requested retention period (%d hours) for stream %s can not be longer than existing retention period (%d hours). Use IncreaseRetentionPeriod API.", hours, s.Name, s.RetentionHours)
		}
		s.RetentionHours = hours
		return nil
	})
	return err
}

// Encrypt seals the records that come from now on with the stream's own key; what
// keyID names is shown. An empty keyID ends it. What is sealed stays so, and
// readable, until it expires.
func (e *Engine) Encrypt(ctx context.Context, ref Ref, keyID string) error {
	_, err := e.update(ctx, ref, func(tx *store.Tx, s *Stream) error {
		s.KeyID = keyID
		if keyID == "" {
			return nil
		}
		_, err := ensureSecret(tx, s.ID)
		return err
	})
	return err
}

// SetMaxRecord changes the size that a record may have.
func (e *Engine) SetMaxRecord(ctx context.Context, ref Ref, kib int32) error {
	_, err := e.update(ctx, ref, func(_ *store.Tx, s *Stream) error {
		s.MaxRecordKiB = kib
		return nil
	})
	return err
}

// SetMode changes the capacity mode, at most twice within 24 hours. The shards
// stay, but that an on-demand stream gets those that warm throughput needs.
func (e *Engine) SetMode(ctx context.Context, ref Ref, mode types.StreamMode, warm int32) error {
	_, err := e.update(ctx, ref, func(tx *store.Tx, s *Stream) error {
		if s.Mode == mode {
			return refuse(Invalid, "Stream %s under account %s is already in the %s mode.", s.Name, s.Account, mode)
		}
		s.ModeChanges = within(s.ModeChanges, e.now().Add(-24*time.Hour))
		if len(s.ModeChanges) >= maxModeChanges {
			return refuse(LimitExceeded, "The mode of stream %s under account %s was changed %d times within 24 hours, which is the limit.", s.Name, s.Account, maxModeChanges)
		}
		s.ModeChanges = append(s.ModeChanges, e.now())
		s.Mode, s.WarmMiBps = mode, 0
		if mode == types.StreamModeProvisioned {
			return room(tx, s.Scope, s.OpenShards)
		}
		s.warm(warm)
		return nil
	})
	return err
}

// SetWarm changes the throughput that an on-demand stream takes at once, in
// MiB/s.
func (e *Engine) SetWarm(ctx context.Context, ref Ref, warm int32) (Stream, error) {
	return e.update(ctx, ref, func(_ *store.Tx, s *Stream) error {
		if s.Mode != types.StreamModeOnDemand {
			return refuse(Invalid, "Stream %s under account %s is not in the ON_DEMAND mode: only such streams have a warm throughput.", s.Name, s.Account)
		}
		s.warm(warm)
		return nil
	})
}

func (s *Stream) warm(mibps int32) {
	s.WarmMiBps = mibps
	if int(mibps) > s.OpenShards {
		s.Work = &Work{Count: int(mibps)}
	}
}

// SetMetrics changes the shard-level metrics.
func (e *Engine) SetMetrics(ctx context.Context, ref Ref, change func(have []types.MetricsName) []types.MetricsName) (before, after Stream, err error) {
	after, err = e.update(ctx, ref, func(_ *store.Tx, s *Stream) error {
		before = *s
		s.Metrics = change(slices.Clone(s.Metrics))
		return nil
	})
	return before, after, err
}

// ShardsOf lists the shards of a stream that are not expired, by id.
func (e *Engine) ShardsOf(ref Ref) (s Stream, shards []Shard, err error) {
	e.db.View(func(r store.Reader) error {
		if s, err = find(r, ref); err != nil {
			return nil
		}
		since := e.Horizon(s)
		for sh := range Shards.List(r, ref.Scope.Prefix(ref.Name)) {
			if sh.Open() || !sh.ClosedAt.Before(since) {
				shards = append(shards, sh)
			}
		}
		return nil
	})
	return s, shards, err
}

// Horizon is the time before which the stream's records are expired.
func (e *Engine) Horizon(s Stream) time.Time {
	return e.now().Add(-time.Duration(s.RetentionHours) * time.Hour)
}

// Reset removes all that an account has, in all regions, and returns when it is
// gone.
func (e *Engine) Reset(ctx context.Context, account string) error {
	err := e.db.Update(ctx, func(tx *store.Tx) error {
		for c := range Commitments.List(tx, account+"/") {
			Commitments.Delete(tx, c.Scope.Key())
		}
		return nil
	})
	if err != nil {
		return err
	}
	changes, stop := e.db.Watch(Streams)
	defer stop()
	for {
		var left []Stream
		e.db.View(func(r store.Reader) error {
			left = slices.Collect(Streams.List(r, account+"/"))
			return nil
		})
		if len(left) == 0 {
			return nil
		}
		for _, s := range left {
			if err := e.Delete(ctx, s.Ref(), true); err != nil && !Is(err, NotFound) {
				return fmt.Errorf("stream %s: %w", s.Name, err)
			}
		}
		select {
		case <-changes:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
