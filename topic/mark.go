package topic

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/dhowhq/dhow/bus/delivery"
	"github.com/dhowhq/dhow/store"
)

// mark says how far a replay is. It is in the journal's batch that holds the
// replayed messages, as one more delivery, which brings it into the subscription's
// row: so a replay that is cut short between the two goes on behind them.
type mark struct {
	ID   string // Replay.ID
	Next uint64 // Replay.Next
}

// markPolicy does not give up: the replay waits for its marks when it goes on.
var markPolicy = delivery.Policy{MaxRetries: math.MaxInt, Backoff: delivery.Exponential(time.Second, 30*time.Second), Ordered: true}

const (
	// replayBatch is how many messages of a replay are enqueued at a time, and
	// replayBatchBytes how large they may be together: with the mark behind them
	// they are one append.
	replayBatch      = 500
	replayBatchBytes = 1 << 20
	// replaysAhead is how many messages of a replay wait for their delivery before
	// no more are enqueued.
	replaysAhead = 1000
)

// putMarked enqueues messages of a replay with the mark behind them that it goes
// on with next, once there is room for them.
func (r *reign) putMarked(ctx context.Context, s *Subscription, batch []delivery.Item, next uint64) error {
	if len(batch) > 0 {
		body, err := json.Marshal(mark{s.Replay.ID, next})
		if err != nil {
			return err
		}
		if err := r.waits(ctx, s.ARN(), replaysAhead); err != nil {
			return err
		}
		if err := r.deliver.Enqueue(ctx, append(batch, delivery.Item{Lanes: []string{replayLane + s.ARN()}, Body: body})...); err != nil {
			return err
		}
	}
	s.Replay.Next = next
	return nil
}

// marked waits until the row of a subscription is as its marks say.
func (r *reign) marked(ctx context.Context, s *Subscription) error {
	return r.waits(ctx, replayLane+s.ARN(), 1)
}

// waits returns when fewer than n deliveries of a lane are not done.
func (r *reign) waits(ctx context.Context, lane string, n int) error {
	for r.deliver.Waiting(lane) >= n {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
	return nil
}

// replays reports whether the subscription of that ARN replays.
func (e *Engine) replays(subscriptionARN string) (ok bool) {
	e.cfg.DB.View(func(rd store.Reader) error {
		s, there := findSubscription(rd, subscriptionARN)
		ok = there && s.Replaying()
		return nil
	})
	return ok
}

// sendMark is the delivery of a mark.
func (e *Engine) sendMark(ctx context.Context, subscriptionARN string, d delivery.Message) error {
	var to mark
	if err := json.Unmarshal(d.Body, &to); err != nil {
		return &delivery.Error{Permanent: true, Err: fmt.Errorf("the mark of a replay: %w", err)}
	}
	return e.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		s, ok := findSubscription(tx, subscriptionARN)
		if !ok || !s.Replaying() || s.Replay.ID != to.ID || s.Replay.Next >= to.Next {
			return nil
		}
		s.Replay.Next = to.Next
		return Subscriptions.Put(tx, s)
	})
}

func findSubscription(r store.Reader, subscriptionARN string) (s Subscription, ok bool) {
	scope, name, id, ok := ParseARN(subscriptionARN)
	if !ok {
		return s, false
	}
	return Subscriptions.Get(r, scope.Key(name, id))
}
