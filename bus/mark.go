package bus

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/dhowhq/dhow/bus/delivery"
	"github.com/dhowhq/dhow/journal"
	"github.com/dhowhq/dhow/store"
)

// mark says how far a replay is. It is in the journal's batch that holds the
// replayed events, as one more delivery, which brings it into the replay's row:
// so a replay that is cut short between the two begins again behind them.
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
	body, err := json.Marshal(m)
	if err != nil {
		return err
	}
	d, err := e.delivery(ctx)
	if err != nil {
		return err
	}
	return d.Enqueue(ctx, append(items, delivery.Item{Lanes: []string{r.ARN()}, Body: body})...)
}

// marked waits until the replay's row is as its marks say.
func (e *Engine) marked(ctx context.Context, r Replay) error {
	d, err := e.delivery(ctx)
	if err != nil {
		return err
	}
	for d.Waiting(r.ARN()) > 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
	return nil
}

// sendMark is the delivery of a mark.
func (e *Engine) sendMark(ctx context.Context, m delivery.Message) error {
	var to mark
	if err := json.Unmarshal(m.Body, &to); err != nil {
		return &delivery.Error{Permanent: true, Err: fmt.Errorf("the mark of a replay: %w", err)}
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
