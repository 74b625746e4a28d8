package stream

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
)

// Commitment is an account's to a minimum of throughput, without which AWS lets
// no stream be warm ("On-demand Advantage").
type Commitment struct {
	cluster.Scope
	Status    types.MinimumThroughputBillingCommitmentOutputStatus
	StartedAt time.Time
	EndedAt   time.Time
}

// Commitments is their table.
var Commitments = store.NewTable("stream.commitments", func(c Commitment) string { return c.Scope.Key() })

// CommitmentLife is how long a commitment cannot be ended.
const CommitmentLife = 24 * time.Hour

// Settled is the commitment at a time: one that was ended before it could be
// ends by itself.
func (c Commitment) Settled(now time.Time) Commitment {
	if c.Status == "" {
		c.Status = types.MinimumThroughputBillingCommitmentOutputStatusDisabled
	}
	if end := c.StartedAt.Add(CommitmentLife); c.Status == types.MinimumThroughputBillingCommitmentOutputStatusEnabledUntilEarliestAllowedEnd && !now.Before(end) {
		c.Status, c.EndedAt = types.MinimumThroughputBillingCommitmentOutputStatusDisabled, end
	}
	return c
}
