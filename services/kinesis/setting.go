package kinesis

import (
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
	"github.com/dhowhq/dhow/stream"
)

// IncreaseStreamRetentionPeriod lets records stay longer.
func (a *API) IncreaseStreamRetentionPeriod(ctx context.Context, in *kinesis.IncreaseStreamRetentionPeriodInput) (*kinesis.IncreaseStreamRetentionPeriodOutput, error) {
	ref, err := a.ref(ctx, in.StreamName, in.StreamARN, in.StreamId)
	if err != nil {
		return nil, err
	}
	return &kinesis.IncreaseStreamRetentionPeriodOutput{}, wrap(a.e.SetRetention(ctx, ref, *in.RetentionPeriodHours, true))
}

// DecreaseStreamRetentionPeriod lets records expire sooner.
func (a *API) DecreaseStreamRetentionPeriod(ctx context.Context, in *kinesis.DecreaseStreamRetentionPeriodInput) (*kinesis.DecreaseStreamRetentionPeriodOutput, error) {
	ref, err := a.ref(ctx, in.StreamName, in.StreamARN, in.StreamId)
	if err != nil {
		return nil, err
	}
	return &kinesis.DecreaseStreamRetentionPeriodOutput{}, wrap(a.e.SetRetention(ctx, ref, *in.RetentionPeriodHours, false))
}

// StartStreamEncryption seals the records that come from now on, with a key of
// the stream's own. The KeyId is shown; no key of that name is used or needed.
func (a *API) StartStreamEncryption(ctx context.Context, in *kinesis.StartStreamEncryptionInput) (*kinesis.StartStreamEncryptionOutput, error) {
	ref, err := a.encrypts(ctx, in.StreamName, in.StreamARN, in.StreamId, in.EncryptionType)
	if err != nil {
		return nil, err
	}
	return &kinesis.StartStreamEncryptionOutput{}, wrap(a.e.Encrypt(ctx, ref, *in.KeyId))
}

// StopStreamEncryption leaves the records that come from now on plain.
func (a *API) StopStreamEncryption(ctx context.Context, in *kinesis.StopStreamEncryptionInput) (*kinesis.StopStreamEncryptionOutput, error) {
	ref, err := a.encrypts(ctx, in.StreamName, in.StreamARN, in.StreamId, in.EncryptionType)
	if err != nil {
		return nil, err
	}
	return &kinesis.StopStreamEncryptionOutput{}, wrap(a.e.Encrypt(ctx, ref, ""))
}

func (a *API) encrypts(ctx context.Context, name, arn, id *string, t types.EncryptionType) (stream.Ref, error) {
	if t != types.EncryptionTypeKms {
		return stream.Ref{}, invalid("EncryptionType must be KMS.")
	}
	return a.ref(ctx, name, arn, id)
}

// allMetrics are what ALL stands for.
var allMetrics = []types.MetricsName{"IncomingBytes", "IncomingRecords", "OutgoingBytes", "OutgoingRecords",
	"WriteProvisionedThroughputExceeded", "ReadProvisionedThroughputExceeded", "IteratorAgeMilliseconds"}

func expand(names []types.MetricsName) []types.MetricsName {
	if slices.Contains(names, types.MetricsNameAll) {
		return allMetrics
	}
	return names
}

// EnableEnhancedMonitoring switches shard-level metrics on.
func (a *API) EnableEnhancedMonitoring(ctx context.Context, in *kinesis.EnableEnhancedMonitoringInput) (*kinesis.EnableEnhancedMonitoringOutput, error) {
	ref, err := a.ref(ctx, in.StreamName, in.StreamARN, in.StreamId)
	if err != nil {
		return nil, err
	}
	before, after, err := a.e.SetMetrics(ctx, ref, func(have []types.MetricsName) []types.MetricsName {
		for _, m := range expand(in.ShardLevelMetrics) {
			if !slices.Contains(have, m) {
				have = append(have, m)
			}
		}
		return have
	})
	if err != nil {
		return nil, wrap(err)
	}
	return &kinesis.EnableEnhancedMonitoringOutput{StreamName: &after.Name, StreamARN: ptr(after.ARN()),
		CurrentShardLevelMetrics: monitoring(before)[0].ShardLevelMetrics, DesiredShardLevelMetrics: monitoring(after)[0].ShardLevelMetrics}, nil
}

// DisableEnhancedMonitoring switches shard-level metrics off.
func (a *API) DisableEnhancedMonitoring(ctx context.Context, in *kinesis.DisableEnhancedMonitoringInput) (*kinesis.DisableEnhancedMonitoringOutput, error) {
	ref, err := a.ref(ctx, in.StreamName, in.StreamARN, in.StreamId)
	if err != nil {
		return nil, err
	}
	before, after, err := a.e.SetMetrics(ctx, ref, func(have []types.MetricsName) []types.MetricsName {
		return slices.DeleteFunc(have, func(m types.MetricsName) bool { return slices.Contains(expand(in.ShardLevelMetrics), m) })
	})
	if err != nil {
		return nil, wrap(err)
	}
	return &kinesis.DisableEnhancedMonitoringOutput{StreamName: &after.Name, StreamARN: ptr(after.ARN()),
		CurrentShardLevelMetrics: monitoring(before)[0].ShardLevelMetrics, DesiredShardLevelMetrics: monitoring(after)[0].ShardLevelMetrics}, nil
}

// UpdateStreamMode changes a stream's capacity mode.
func (a *API) UpdateStreamMode(ctx context.Context, in *kinesis.UpdateStreamModeInput) (*kinesis.UpdateStreamModeOutput, error) {
	ref, err := a.ref(ctx, nil, in.StreamARN, in.StreamId)
	if err != nil {
		return nil, err
	}
	mode := in.StreamModeDetails.StreamMode
	if mode == types.StreamModeProvisioned && in.WarmThroughputMiBps != nil {
		return nil, invalid("WarmThroughputMiBps must not be specified for a stream in the PROVISIONED mode.")
	}
	if err := a.mayWarm(ctx, in.WarmThroughputMiBps); err != nil {
		return nil, err
	}
	return &kinesis.UpdateStreamModeOutput{}, wrap(a.e.SetMode(ctx, ref, mode, deref(in.WarmThroughputMiBps)))
}

// UpdateMaxRecordSize changes how large a stream's records may be.
func (a *API) UpdateMaxRecordSize(ctx context.Context, in *kinesis.UpdateMaxRecordSizeInput) (*kinesis.UpdateMaxRecordSizeOutput, error) {
	ref, err := a.ref(ctx, nil, in.StreamARN, in.StreamId)
	if err != nil {
		return nil, err
	}
	return &kinesis.UpdateMaxRecordSizeOutput{}, wrap(a.e.SetMaxRecord(ctx, ref, *in.MaxRecordSizeInKiB))
}

// UpdateStreamWarmThroughput changes what an on-demand stream takes at once.
func (a *API) UpdateStreamWarmThroughput(ctx context.Context, in *kinesis.UpdateStreamWarmThroughputInput) (*kinesis.UpdateStreamWarmThroughputOutput, error) {
	ref, err := a.ref(ctx, in.StreamName, in.StreamARN, in.StreamId)
	if err != nil {
		return nil, err
	}
	if err := a.mayWarm(ctx, in.WarmThroughputMiBps); err != nil {
		return nil, err
	}
	s, err := a.e.SetWarm(ctx, ref, *in.WarmThroughputMiBps)
	if err != nil {
		return nil, wrap(err)
	}
	return &kinesis.UpdateStreamWarmThroughputOutput{StreamName: &s.Name, StreamARN: ptr(s.ARN()), WarmThroughput: warmth(s)}, nil
}

func wireCommitment(c stream.Commitment) *types.MinimumThroughputBillingCommitmentOutput {
	w := &types.MinimumThroughputBillingCommitmentOutput{Status: c.Status}
	if !c.StartedAt.IsZero() {
		w.StartedAt, w.EarliestAllowedEndAt = &c.StartedAt, ptr(c.StartedAt.Add(stream.CommitmentLife))
	}
	if !c.EndedAt.IsZero() {
		w.EndedAt = &c.EndedAt
	}
	return w
}

func (a *API) commitment(s cluster.Scope) (c stream.Commitment) {
	a.db.View(func(r store.Reader) error {
		c, _ = stream.Commitments.Get(r, s.Key())
		return nil
	})
	c.Scope = s
	return c.Settled(time.Now())
}

// mayWarm refuses a warm throughput to accounts without a commitment.
func (a *API) mayWarm(ctx context.Context, mibps *int32) error {
	if mibps == nil || a.commitment(scope(ctx)).Status != types.MinimumThroughputBillingCommitmentOutputStatusDisabled {
		return nil
	}
	return validation("WarmThroughputMiBps needs the account's minimum throughput billing commitment: enable it with UpdateAccountSettings.")
}

// DescribeAccountSettings shows the account's commitment.
func (a *API) DescribeAccountSettings(ctx context.Context, _ *kinesis.DescribeAccountSettingsInput) (*kinesis.DescribeAccountSettingsOutput, error) {
	return &kinesis.DescribeAccountSettingsOutput{MinimumThroughputBillingCommitment: wireCommitment(a.commitment(scope(ctx)))}, nil
}

// UpdateAccountSettings begins or ends the account's commitment.
func (a *API) UpdateAccountSettings(ctx context.Context, in *kinesis.UpdateAccountSettingsInput) (*kinesis.UpdateAccountSettingsOutput, error) {
	s, now := scope(ctx), time.Now().UTC().Truncate(time.Millisecond)
	var c stream.Commitment
	err := a.db.Update(ctx, func(tx *store.Tx) error {
		c, _ = stream.Commitments.Get(tx, s.Key())
		c.Scope = s
		c = c.Settled(now)
		on := c.Status != types.MinimumThroughputBillingCommitmentOutputStatusDisabled
		switch want := in.MinimumThroughputBillingCommitment.Status == types.MinimumThroughputBillingCommitmentInputStatusEnabled; {
		case want && !on:
			c.StartedAt, c.EndedAt = now, time.Time{}
			c.Status = types.MinimumThroughputBillingCommitmentOutputStatusEnabled
		case want:
			c.Status = types.MinimumThroughputBillingCommitmentOutputStatusEnabled
		case on && now.Before(c.StartedAt.Add(stream.CommitmentLife)):
			c.Status = types.MinimumThroughputBillingCommitmentOutputStatusEnabledUntilEarliestAllowedEnd
		case on:
			c.Status, c.EndedAt = types.MinimumThroughputBillingCommitmentOutputStatusDisabled, now
		}
		return stream.Commitments.Put(tx, c)
	})
	if err != nil {
		return nil, err
	}
	return &kinesis.UpdateAccountSettingsOutput{MinimumThroughputBillingCommitment: wireCommitment(c)}, nil
}
