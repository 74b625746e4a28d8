package broker

import (
	"context"
	"fmt"
	"time"

	"github.com/dhowhq/dhow/contract/registry"
	"github.com/dhowhq/dhow/store"
)

const (
	flushEvery = 10 * time.Second // what a crash loses of the counts at most
	sweepEvery = time.Hour
	keepRows   = 90 * 24 * time.Hour // after a sender's last message
)

// Window is for how long a version that messages came in is held to be in use.
const Window = 24 * time.Hour

// Run writes the counts until ctx ends, and then for the last time.
func (e *Engine) Run(ctx context.Context) error {
	flush, sweep := time.NewTicker(flushEvery), time.NewTicker(sweepEvery)
	defer flush.Stop()
	defer sweep.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			if err := e.flush(last); err != nil {
				e.log.Warn("the last counts of messages by schema version are lost", "err", err)
			}
			return nil
		case <-flush.C:
			if err := e.flush(ctx); err != nil && ctx.Err() == nil {
				e.log.Warn("counts of messages by schema version cannot be written, will retry", "err", err)
			}
		case <-sweep.C:
			if err := e.sweep(ctx); err != nil && ctx.Err() == nil {
				e.log.Warn("old counts of messages by schema version cannot be removed, will retry", "err", err)
			}
		}
	}
}

// sweep forgets plans and counters that were of no use for a while, and rows of
// versions that are no more or that nobody has sent for long.
func (e *Engine) sweep(ctx context.Context) error {
	e.plans.Range(func(k, v any) bool {
		if !v.(*plan).used.Swap(false) {
			e.plans.Delete(k)
		}
		return true
	})
	if err := e.flush(ctx); err != nil {
		return err
	}
	e.forget(func(u *use) bool { return e.now().Sub(time.UnixMilli(u.last.Load())) > sweepEvery })
	return Usages.Prune(ctx, e.cfg.DB, "", func(r store.Reader, u Usage) bool {
		if e.now().Sub(u.Last) > keepRows {
			return true
		}
		if u.ID == "" {
			_, ok := registry.Schemas.Get(r, registry.Schema{Scope: u.Scope, Registry: u.Registry, Name: u.Schema}.Key())
			return !ok
		}
		v, ok := registry.Versions.Get(r, registry.Version{Scope: u.Scope, Registry: u.Registry, Name: u.Schema, Number: u.Number}.Key())
		return !ok || v.ID != u.ID
	})
}

// forget drops counters that are in the store.
func (e *Engine) forget(which func(*use) bool) {
	e.uses.flushing.Lock()
	defer e.uses.flushing.Unlock()
	for _, u := range e.uses.list() {
		if u.stored == [2]int64{u.accepted.Load(), u.refused.Load()} && which(u) {
			e.uses.drop(u)
		}
	}
}

// Reset forgets all that was counted for an account.
func (e *Engine) Reset(ctx context.Context, account string) error {
	if err := e.flush(ctx); err != nil {
		return err
	}
	e.forget(func(u *use) bool { return u.schema.Account == account })
	return Usages.Clear(ctx, e.cfg.DB, account+"/")
}

// InUse is why a version is not to be deleted. It is a registry.ErrInUse.
type InUse struct {
	Usage
	taken string // what the resource's tag says
}

func (e *InUse) Error() string {
	messages := "1 message"
	if e.Accepted != 1 {
		messages = fmt.Sprintf("%d messages", e.Accepted)
	}
	return fmt.Sprintf("Version %s of %s/%s is in use: %s took %s of it from %s, the last at %s, and is tagged %s=%s. Have that sender send another version, or remove the tag; what took none for %d hours may be deleted",
		e.Version, e.Registry, e.Schema, e.Resource, messages, e.Sender, e.Last.Format(time.RFC3339), SchemaTag, e.taken, int(Window.Hours()))
}

func (e *InUse) Unwrap() error { return registry.ErrInUse }

// Guard is registry.Config.Guard: it keeps versions from being deleted in which
// messages came within the Window to a resource that is still tagged with the
// schema. Errors: *InUse, the store's.
func (e *Engine) Guard(ctx context.Context, list []registry.Version) error {
	if err := e.flush(ctx); err != nil {
		return err
	}
	return e.cfg.DB.View(func(r store.Reader) error {
		for _, v := range list {
			if err := e.idle(r, v); err != nil {
				return err
			}
		}
		return nil
	})
}

// idle reports whether no messages come in a version. Error: *InUse.
func (e *Engine) idle(r store.Reader, v registry.Version) error {
	for u := range Usages.List(r, rowsOfVersion(v.Schema(), v.Number)) {
		if u.ID != v.ID || u.Accepted == 0 || e.now().Sub(u.Last) > Window {
			continue
		}
		if tag, ok := e.tagged(u); ok {
			return &InUse{u, tag}
		}
	}
	return nil
}

// tagged returns the tag by which the resource of a row still takes the schema.
func (e *Engine) tagged(u Usage) (string, bool) {
	if e.cfg.Tags == nil {
		return u.Registry + "/" + u.Schema, true
	}
	tags, ok := e.cfg.Tags(u.Resource)
	if !ok {
		return "", false
	}
	n, _, err := readSchema(u.Scope, tags[SchemaTag])
	return tags[SchemaTag], err == nil && n == u.Name()
}
