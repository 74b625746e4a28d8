package bus

import (
	"context"
	"time"

	"github.com/dhowhq/dhow/bus/delivery"
	"github.com/dhowhq/dhow/bus/schedule"
	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
)

// fire is a run of a rule's schedule.
type fire struct {
	rule   Rule
	at     time.Time // when it was due
	missed int       // runs before it that did not happen
}

// maxMissed is how many missed runs are counted; there may be more.
const maxMissed = 10_000

// plan says which rules are due, and when the next one is, zero for never. last
// is when a rule's schedule was last seen to. Of runs that were missed the
// newest counts, and it is one.
func plan(now time.Time, rules []Rule, last func(Rule) time.Time) (due []fire, next time.Time) {
	for _, r := range rules {
		s, err := schedule.Parse(r.Schedule)
		if err != nil {
			continue // faces let no such schedule in
		}
		from := last(r)
		if from.Before(r.Since) {
			from = r.Since
		}
		f := fire{rule: r, missed: -1}
		at := s.Next(from.UTC())
		for ; !at.IsZero() && !at.After(now) && f.missed < maxMissed; at = s.Next(at) {
			f.at = at
			f.missed++
		}
		if f.missed >= maxMissed { // too long ago to count
			f.at = now.Truncate(time.Minute)
			at = s.Next(f.at)
		}
		if !f.at.IsZero() {
			due = append(due, f)
		}
		if !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return due, next
}

// runSchedules runs rules by their schedules.
func (e *Engine) runSchedules(ctx context.Context) {
	commits, stop := e.cfg.DB.Watch(Rules)
	defer stop()
	for ctx.Err() == nil {
		wait, err := e.schedulePass(ctx, time.Now())
		if err != nil && ctx.Err() == nil {
			e.log.Warn("schedules of rules are not run, will retry", "err", err)
		}
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-commits:
		case <-t.C:
		}
		t.Stop()
	}
}

// schedulePass runs what is due and returns how long there is nothing to do.
func (e *Engine) schedulePass(ctx context.Context, now time.Time) (time.Duration, error) {
	var rules []Rule
	last := map[string]time.Time{}
	e.cfg.DB.View(func(r store.Reader) error {
		for rule := range Rules.By(r, "scheduled", "1") {
			rules = append(rules, rule)
			if run, ok := Runs.Get(r, rule.Scope.Key(rule.Name)); ok {
				last[rule.Key()] = run.Last
			}
		}
		return nil
	})
	due, next := plan(now, rules, func(r Rule) time.Time { return last[r.Key()] })
	for _, f := range due {
		if err := e.fire(ctx, f); err != nil {
			return time.Second, err
		}
	}
	if next.IsZero() {
		return time.Hour, nil
	}
	// Not longer: the clock may be set.
	return min(max(time.Until(next), 0), time.Minute), nil
}

// fire sends a scheduled event to a rule's targets, and then notes that it did:
// a crash between the two sends it again.
func (e *Engine) fire(ctx context.Context, f fire) error {
	if f.missed > 0 {
		e.counts.missed.Add(int64(f.missed))
		e.log.Warn("a schedule was due while nothing ran: its rule runs once now", "rule", f.rule.ARN(), "missed", f.missed+1, "due", f.at)
	}
	if len(f.rule.Targets) > 0 {
		d, err := e.delivery(ctx)
		if err != nil {
			return err
		}
		item := delivery.Item{Body: envelope{ingested: now(), event: scheduledEvent(f.rule, f.at)}.encode()}
		for _, t := range f.rule.Targets {
			item.Lanes = append(item.Lanes, laneOf(f.rule.ARN(), *t.Id))
		}
		if err := d.Enqueue(ctx, item); err != nil {
			return err
		}
	}
	return e.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		return Runs.Put(tx, Run{Scope: f.rule.Scope, Rule: f.rule.Name, Last: f.at})
	})
}

func scheduledEvent(r Rule, at time.Time) []byte {
	return Render(Parts{ID: cluster.NewUUID(), DetailType: "Scheduled Event", Source: "aws.events", Scope: r.Scope, Time: at, Resources: []string{r.ARN()}, Detail: []byte("{}")})
}
