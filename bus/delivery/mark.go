package delivery

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"time"
)

// A mark says how far one has come who enqueues from a log, as a replay does. It is
// one more delivery in the append that holds the items up to there, and brings what
// it says into a row: so who is cut short between the two goes on behind the items.
// Marks have a lane of their own, and who goes on waits for it first.

// Marks is the policy of a lane of marks: they are given up for their age alone.
var Marks = Policy{MaxRetries: math.MaxInt, Backoff: Exponential(time.Second, 30*time.Second), Ordered: true}

// MarkedBytes is how large the bodies of items may be together that are one append
// with their mark, unless their lanes are very many.
const MarkedBytes = 1 << 20

// EnqueueMarked is Enqueue of items with a mark behind them, which is written as
// JSON.
func (e *Engine) EnqueueMarked(ctx context.Context, items []Item, lane string, mark any) error {
	body, err := json.Marshal(mark)
	if err != nil {
		return err
	}
	return e.Enqueue(ctx, append(items, Item{Lanes: []string{lane}, Body: body})...)
}

// Mark reads the mark that a message is.
func (m *Message) Mark(mark any) error {
	if err := json.Unmarshal(m.Body, mark); err != nil {
		return &Error{Permanent: true, Err: fmt.Errorf("the mark of a replay: %w", err)}
	}
	return nil
}

// Await returns when fewer than n deliveries of a lane are not done.
func (e *Engine) Await(ctx context.Context, lane string, n int) error {
	for {
		fewer := e.fewer(lane, n)
		if fewer == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-fewer:
		}
	}
}

// fewer is closed when a delivery of a lane is done, nil if fewer than n are not.
func (e *Engine) fewer(lane string, n int) <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	l := e.lanes[lane]
	if l == nil || l.len() < n {
		return nil
	}
	if l.fewer == nil {
		l.fewer = make(chan struct{})
	}
	return l.fewer
}
