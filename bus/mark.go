package bus

import (
	"context"
	"strings"
	"time"

	"github.com/dhowhq/dhow/bus/delivery"
	"github.com/dhowhq/dhow/journal"
	"github.com/dhowhq/dhow/store"
)

// mark says how far a replay is (see delivery.Marks), for the replay's row.
type mark struct {
	Started time.Time // of the replay: another one of its name may follow
	Reached journal.Seq
	Last    time.Time
}

// isReplay reports whether a lane is that of a replay's marks: its ARN.
func isReplay(lane string) bool {
	return strings.Contains(lane, ":replay/") && !strings.Contains(lane, "|")
}

// replayOf is the replay that a lane is of.
func replayOf(r store.Reader, lane string) (Replay, bool) {
	s, name, ok := resource(lane, "replay")
	if !ok {
		return Replay{}, false
	}
	return Replays.Get(r, s.Key(name))
}

// putMarked puts a replay's events with the mark behind them.
func (e *Engine) putMarked(ctx context.Context, r Replay, m mark, events []Event) error {
	items, err := e.items(events)
	if err != nil {
		return err
	}
	d, err := e.delivery(ctx)
	if err != nil {
		return err
	}
	return d.EnqueueMarked(ctx, items, r.ARN(), m)
}

// marked waits until the replay's row is as its marks say.
func (e *Engine) marked(ctx context.Context, r Replay) error {
	d, err := e.delivery(ctx)
	if err != nil {
		return err
	}
	return d.Await(ctx, r.ARN(), 1)
}

// sendMark is the delivery of a mark.
func (e *Engine) sendMark(ctx context.Context, m delivery.Message) error {
	var to mark
	if err := m.Mark(&to); err != nil {
		return err
	}
	return e.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		r, ok := replayOf(tx, m.Lane)
		if !ok || !r.StartedAt.Equal(to.Started) || r.Reached >= uint64(to.Reached) {
			return nil
		}
		r.Reached, r.LastEvent = uint64(to.Reached), to.Last
		return Replays.Put(tx, r)
	})
}
