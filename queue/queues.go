package queue

import (
	"context"
	"slices"
	"time"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
)

// Create makes a queue of d's Scope, Name, Settings, Policy and Tags. Where the
// name is taken it returns the definition that has it, and ErrExists; ErrRecent
// where it was given up less than 60 seconds ago.
func (e *Engine) Create(ctx context.Context, d Definition) (Definition, error) {
	now := time.Now()
	d.ID, d.Key = newID(), newKey()
	d.Created, d.Changed = now.Unix(), now.Unix()
	err := e.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		if have, ok := Definitions.Get(tx, d.key()); ok {
			d = have
			return ErrExists
		}
		if g, ok := graves.Get(tx, d.key()); ok {
			if now.UnixMilli()-g.At < DeleteInterval.Milliseconds() {
				return ErrRecent
			}
			graves.Delete(tx, d.key())
		}
		return Definitions.Put(tx, d)
	})
	return d, err
}

// Update changes a queue's definition by f, which may fail. Scope, Name, ID and
// Key stay as they are.
func (e *Engine) Update(ctx context.Context, scope cluster.Scope, name string, f func(tx *store.Tx, d *Definition) error) error {
	return e.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		d, ok := Definitions.Get(tx, scope.Key(name))
		if !ok {
			return ErrNoQueue
		}
		if err := f(tx, &d); err != nil {
			return err
		}
		return Definitions.Put(tx, d)
	})
}

// Remove deletes a queue with all its messages. Receivers that wait get
// ErrNoQueue.
func (e *Engine) Remove(ctx context.Context, scope cluster.Scope, name string) error {
	var d Definition
	err := e.cfg.DB.Update(ctx, func(tx *store.Tx) (err error) {
		var ok bool
		if d, ok = Definitions.Get(tx, scope.Key(name)); !ok {
			return ErrNoQueue
		}
		Definitions.Delete(tx, d.key())
		for m := range moves.By(tx, "source", d.ARN()) {
			moves.Delete(tx, m.Handle)
		}
		return graves.Put(tx, grave{Scope: scope, Name: name, At: millis()})
	})
	if err != nil {
		return err
	}
	term, err := e.await(ctx)
	if err != nil {
		return nil // the next owner drops the logs
	}
	e.mu.RLock()
	o := e.states[d.ID]
	e.mu.RUnlock()
	if o != nil {
		if <-o.done; o.err == nil {
			o.st.close(ErrNoQueue)
			o.st.work.Wait()
		}
	}
	for _, name := range logNames(d.ID) {
		if err := e.cfg.Journal.Drop(context.WithoutCancel(ctx), name, term); err != nil {
			e.log.Warn("cannot drop the log of a deleted queue; the next start does", "log", name, "err", err)
		}
	}
	return nil
}

// Reset removes all queues of an account, and forgets which names were in use.
func (e *Engine) Reset(ctx context.Context, account string) error {
	var all []Definition
	e.cfg.DB.View(func(r store.Reader) error {
		for d := range Definitions.List(r, account+"/") {
			all = append(all, d)
		}
		return nil
	})
	for _, d := range all {
		if err := e.Remove(ctx, d.Scope, d.Name); err != nil && err != ErrNoQueue {
			return err
		}
	}
	return e.clearGraves(ctx, account+"/", millis()+1)
}

// clearGraves forgets names that were given up before a time.
func (e *Engine) clearGraves(ctx context.Context, prefix string, before int64) error {
	return graves.Prune(ctx, e.cfg.DB, prefix, func(_ store.Reader, g grave) bool { return g.At < before })
}

// Queue is one queue, as it was defined when it was looked up. It is an API.
type Queue struct {
	Definition
	e *Engine
}

var _ API = (*Queue)(nil)

// Send implements API.
func (q *Queue) Send(ctx context.Context, messages ...Message) ([]Sent, error) {
	s, err := q.open(ctx)
	if err != nil {
		return nil, err
	}
	return s.send(ctx, &q.Definition, messages)
}

// Receive implements API.
func (q *Queue) Receive(ctx context.Context, r Receive) ([]Delivery, error) {
	s, err := q.open(ctx)
	if err != nil {
		return nil, err
	}
	return s.receive(ctx, &q.Definition, r)
}

// Delete implements API.
func (q *Queue) Delete(ctx context.Context, handles ...string) ([]error, error) {
	s, err := q.open(ctx)
	if err != nil {
		return nil, err
	}
	return s.delete(ctx, handles)
}

// ChangeVisibility implements API.
func (q *Queue) ChangeVisibility(ctx context.Context, changes ...Change) ([]error, error) {
	s, err := q.open(ctx)
	if err != nil {
		return nil, err
	}
	return s.change(ctx, changes)
}

// Purge implements API. Within 60 seconds of another it is ErrPurging.
func (q *Queue) Purge(ctx context.Context) error {
	s, err := q.open(ctx)
	if err != nil {
		return err
	}
	err = q.e.Update(ctx, q.Scope, q.Name, func(_ *store.Tx, d *Definition) error {
		now := millis()
		if now-d.Purged < PurgeInterval.Milliseconds() {
			return ErrPurging
		}
		d.Purged = now
		return nil
	})
	if err != nil {
		return err
	}
	return s.purge(ctx)
}

// Counts implements API.
func (q *Queue) Counts(ctx context.Context) (Counts, error) {
	s, err := q.open(ctx)
	if err != nil {
		return Counts{}, err
	}
	return s.counts(&q.Definition)
}

// List are the queues of a scope whose names begin with prefix, by name.
func (e *Engine) List(scope cluster.Scope, prefix string) (all []Definition) {
	e.cfg.DB.View(func(r store.Reader) error {
		for d := range Definitions.List(r, scope.Key(prefix)) {
			all = append(all, d)
		}
		return nil
	})
	return all
}

// Sources are the queues whose dead letters go to the queue of that ARN, by name.
func (e *Engine) Sources(arn string) (all []Definition) {
	e.cfg.DB.View(func(r store.Reader) error {
		for d := range Definitions.By(r, "dead", arn) {
			all = append(all, d)
		}
		return nil
	})
	return all
}

// Admits reports whether the queue of that ARN may name this one as its
// dead-letter queue.
func (d *Definition) Admits(source string) bool {
	switch r := d.RedriveAllow; {
	case r == nil || r.Permission == "allowAll":
		return true
	case r.Permission == "byQueue":
		return slices.Contains(r.Sources, source)
	}
	return false
}
