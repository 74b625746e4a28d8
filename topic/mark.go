package topic

import (
	"context"

	"github.com/dhowhq/dhow/bus/delivery"
	"github.com/dhowhq/dhow/store"
)

// mark says how far a replay is (see delivery.Marks), for the subscription's row.
type mark struct {
	ID   string // Replay.ID
	Next uint64 // Replay.Next
}

const (
	// replayBatch is how many messages of a replay are enqueued at a time.
	replayBatch = 500
	// replaysAhead is how many messages of a replay wait for their delivery before
	// no more are enqueued.
	replaysAhead = 1000
)

// putMarked enqueues messages of a replay with the mark behind them that it goes
// on with next, once there is room for them.
func (r *reign) putMarked(ctx context.Context, s *Subscription, batch []delivery.Item, next uint64) error {
	if len(batch) > 0 {
		if err := r.deliver.Await(ctx, s.ARN(), replaysAhead); err != nil {
			return err
		}
		if err := r.deliver.EnqueueMarked(ctx, batch, replayLane+s.ARN(), mark{s.Replay.ID, next}); err != nil {
			return err
		}
	}
	s.Replay.Next = next
	return nil
}

// marked waits until the row of a subscription is as its marks say.
func (r *reign) marked(ctx context.Context, s *Subscription) error {
	return r.deliver.Await(ctx, replayLane+s.ARN(), 1)
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
	if err := d.Mark(&to); err != nil {
		return err
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
