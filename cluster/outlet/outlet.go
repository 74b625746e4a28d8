// Package outlet carries the events of package cluster out of the store: to
// subscribers, at least once and in order, and to whoever watches.
package outlet

import (
	"context"
	"log/slog"
	"time"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
)

// Keep is how many of the newest events can be replayed.
const Keep = 1000

// batch is how many events are delivered, and then deleted, at a time.
const batch = 100

// Subscriber takes events, in order. An error means that none of them counts as
// delivered: they come again, and the later ones wait. So return one for what
// may pass, and log what never will.
type Subscriber func(ctx context.Context, events []Event) error

// Event is an event and its JSON, as AWS sends it.
type Event struct {
	cluster.Event
	JSON []byte
}

// Config is what an outlet is made of.
type Config struct {
	DB  *store.DB
	Log *slog.Logger
	// Render gives an event's JSON. An event that it cannot render is logged
	// and goes no further.
	Render func(cluster.Event) ([]byte, error)
}

// Outlet carries events. Make it by New.
type Outlet struct {
	Config
	subscribers []subscriber
	recent      *recent
	unfollow    func()
}

type subscriber struct {
	name string
	take Subscriber
}

// New returns an outlet that remembers events from now on, and those that wait
// for delivery. Close lets go of the store.
func New(c Config) (*Outlet, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	o := &Outlet{Config: c, recent: newRecent()}
	o.unfollow = cluster.Events.Follow(c.DB, func(ch store.Change[cluster.Event]) {
		if ch.Old == nil && ch.New != nil {
			o.recent.add(*ch.New)
		}
	})
	return o, c.DB.View(func(r store.Reader) error {
		for e := range cluster.Events.List(r, "") {
			o.recent.add(e)
			cluster.EmitAfter(e.ID)
		}
		return nil
	})
}

// Close stops remembering.
func (o *Outlet) Close() { o.unfollow() }

// Subscribe adds a subscriber; call it before Run. The name is for the log.
func (o *Outlet) Subscribe(name string, s Subscriber) {
	o.subscribers = append(o.subscribers, subscriber{name, s})
}

// Run delivers events and deletes them from the store until ctx ends. It must
// run once for all servers: run it under a lease.
func (o *Outlet) Run(ctx context.Context) {
	commits, stop := o.DB.Watch(cluster.Events) // before the first look, so that none is missed
	defer stop()
	for ctx.Err() == nil {
		n, err := o.deliver(ctx)
		if err != nil && ctx.Err() == nil {
			o.Log.Warn("events are not delivered, will retry", "err", err)
			sleep(ctx, time.Second)
			continue
		}
		if n == batch {
			continue
		}
		select {
		case <-ctx.Done():
		case <-commits:
		}
	}
}

// deliver takes a batch to all subscribers and deletes it, and returns how many
// events it was.
func (o *Outlet) deliver(ctx context.Context) (int, error) {
	var events []Event
	var keys []string
	err := o.DB.View(func(r store.Reader) error {
		for e := range cluster.Events.List(r, "") {
			keys = append(keys, e.ID)
			if b, ok := o.render(e); ok {
				events = append(events, Event{e, b})
			}
			if len(keys) == batch {
				break
			}
		}
		return nil
	})
	if err != nil || len(keys) == 0 {
		return 0, err
	}
	for _, s := range o.subscribers {
		for wait := 100 * time.Millisecond; len(events) > 0; wait = min(2*wait, time.Minute) {
			err := s.take(ctx, events)
			if err == nil {
				break
			}
			if ctx.Err() != nil {
				return 0, ctx.Err()
			}
			o.Log.Warn("subscriber did not take events, will retry", "subscriber", s.name, "events", len(events), "in", wait, "err", err)
			sleep(ctx, wait)
		}
	}
	return len(keys), o.DB.Update(ctx, func(tx *store.Tx) error {
		for _, k := range keys {
			cluster.Events.Delete(tx, k)
		}
		return nil
	})
}

func (o *Outlet) render(e cluster.Event) ([]byte, bool) {
	b, err := o.Render(e)
	if err != nil {
		o.Log.Error("event cannot be rendered", "kind", e.Kind, "resource", e.Resource, "err", err)
	}
	return b, err == nil
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
