package registry

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/contract"
	"github.com/dhowhq/dhow/store"
)

// DeleteRegistry begins the deleting of a registry and all that is in it: it
// takes no more schemas, and Run removes it. Errors: ErrNoRegistry,
// Guard's.
func (e *Engine) DeleteRegistry(ctx context.Context, s cluster.Scope, name string) (r Registry, err error) {
	var versions []Version
	e.db.View(func(r store.Reader) error {
		versions = slices.Collect(Versions.List(r, s.Prefix(part(name))))
		return nil
	})
	if err := bySchema(versions, e.guardIn(ctx)); err != nil {
		return r, err
	}
	err = e.db.Update(ctx, func(tx *store.Tx) (err error) {
		if r, err = findRegistry(tx, s, name); err != nil {
			return err
		}
		if err := bySchema(slices.Collect(Versions.List(tx, s.Prefix(part(name)))), e.holdIn(tx)); err != nil {
			return err
		}
		r.Status, r.Updated = Deleting, e.now().UTC()
		return Registries.Put(tx, r)
	})
	return r, err
}

// DeleteSchema begins the deleting of a schema and its versions; Run removes
// them. Errors: ErrNoSchema, ErrReferenced, Guard's.
func (e *Engine) DeleteSchema(ctx context.Context, n Name) (s Schema, err error) {
	var versions []Version
	e.db.View(func(r store.Reader) error {
		versions = slices.Collect(Versions.List(r, n.key()+"/"))
		return nil
	})
	if err := bySchema(versions, e.guardIn(ctx)); err != nil {
		return s, err
	}
	err = e.db.Update(ctx, func(tx *store.Tx) (err error) {
		if s, err = findSchema(tx, n); err != nil {
			return err
		}
		if err := bySchema(slices.Collect(Versions.List(tx, n.key()+"/")), e.holdIn(tx)); err != nil {
			return err
		}
		for v := range Versions.List(tx, n.key()+"/") {
			for other := range referrers(tx, v) {
				if other.Name != v.Name {
					return fmt.Errorf("version %d of %s: %w: version %d of %s", v.Number, v.Name, ErrReferenced, other.Number, other.Name)
				}
			}
		}
		s.Status = Deleting
		return putSchema(tx, &s, e.now().UTC())
	})
	return s, err
}

// bySchema asks about all of the versions, schema by schema, that messages may be
// of.
func bySchema(versions []Version, ask func([]Version) error) error {
	versions = slices.DeleteFunc(versions, func(v Version) bool { return v.Status != Available })
	for len(versions) > 0 {
		n := slices.IndexFunc(versions, func(v Version) bool { return v.Schema() != versions[0].Schema() })
		if n < 0 {
			n = len(versions)
		}
		if err := ask(versions[:n]); err != nil {
			return err
		}
		versions = versions[n:]
	}
	return nil
}

func (e *Engine) guardIn(ctx context.Context) func([]Version) error {
	return func(list []Version) error { return e.guard(ctx, list) }
}

func (e *Engine) holdIn(tx *store.Tx) func([]Version) error {
	return func(list []Version) error { return e.held(tx, list) }
}

// DeleteVersion begins the deleting of one version; Run removes it. Errors:
// ErrNoSchema, ErrNoVersion, ErrCheckpoint, ErrFirst, ErrNecessary,
// ErrReferenced, Guard's. Where any is true, there are no first version,
// checkpoint and necessary versions: Confluent knows no such rules.
func (e *Engine) DeleteVersion(ctx context.Context, n Name, number int64, any bool) (v Version, err error) {
	if v, err = e.Version(n, number); err != nil {
		return v, err
	}
	if err := bySchema([]Version{v}, e.guardIn(ctx)); err != nil {
		return v, err
	}
	err = e.db.Update(ctx, func(tx *store.Tx) error {
		s, err := findSchema(tx, n)
		if err != nil {
			return err
		}
		var ok bool
		if v, ok = Versions.Get(tx, versionKey(n, number)); !ok || v.Status == Deleting {
			return ErrNoVersion
		}
		switch {
		case !any && number == s.Checkpoint:
			return ErrCheckpoint
		case !any && number == 1:
			return ErrFirst
		case !any && number > s.Checkpoint && v.Live() && all(s.level(tx)):
			return ErrNecessary
		}
		for other := range referrers(tx, v) {
			return fmt.Errorf("%w: version %d of %s", ErrReferenced, other.Number, other.Name)
		}
		if err := bySchema([]Version{v}, e.holdIn(tx)); err != nil {
			return err
		}
		v.Status = Deleting
		return e.unlist(tx, s, v)
	})
	return v, err
}

// all reports whether a level compares with more than the last version.
func all(l contract.Level) bool {
	return l == contract.BackwardAll || l == contract.ForwardAll || l == contract.FullAll
}

// SetDeleted deletes a version softly, or takes that back: it can be read by
// number and id, but is no more what others are compared with. Errors:
// ErrNoSchema, ErrNoVersion, ErrReferenced.
func (e *Engine) SetDeleted(ctx context.Context, n Name, number int64, deleted bool) (v Version, err error) {
	err = e.db.Update(ctx, func(tx *store.Tx) error {
		s, err := findSchema(tx, n)
		if err != nil {
			return err
		}
		if v, err = findVersion(tx, n, number); err != nil || v.Status != Available {
			return ErrNoVersion
		}
		for other := range referrers(tx, v) {
			if deleted && other.Live() {
				return fmt.Errorf("%w: version %d of %s", ErrReferenced, other.Number, other.Name)
			}
		}
		v.Deleted = deleted
		return e.unlist(tx, s, v)
	})
	return v, err
}

// unlist writes a version that ceases to be live, or is again, and makes the
// highest live one the schema's latest.
func (e *Engine) unlist(tx *store.Tx, s Schema, v Version) error {
	if err := Versions.Put(tx, v); err != nil {
		return err
	}
	s.Latest = max(s.Latest, v.Number)
	for s.Latest > 0 && !live(tx, versionKey(s.FullName(), s.Latest)) {
		s.Latest--
	}
	return putSchema(tx, &s, e.now().UTC())
}

func live(r store.Reader, key string) bool {
	v, ok := Versions.Get(r, key)
	return ok && v.Live()
}

// Run carries out deletes until ctx ends.
func (e *Engine) Run(ctx context.Context) error {
	registries, stop1 := Registries.Notify(e.db, "doomed", "")
	defer stop1()
	schemas, stop2 := Schemas.Notify(e.db, "doomed", "")
	defer stop2()
	versions, stop3 := Versions.Notify(e.db, "doomed", "")
	defer stop3()
	for {
		var again <-chan time.Time
		if err := e.Sweep(ctx); err != nil && ctx.Err() == nil {
			e.log.Warn("deleting schemas failed, will retry", "err", err)
			again = time.After(time.Second)
		}
		select {
		case <-again:
		case <-ctx.Done():
			return nil
		case <-registries:
		case <-schemas:
		case <-versions:
		}
	}
}

// batch is how many rows are deleted at once: a transaction is bounded.
const batch = 90

// Sweep carries out the deletes that were begun, and returns when they are done.
func (e *Engine) Sweep(ctx context.Context) error {
	for more := true; more; {
		err := e.db.Update(ctx, func(tx *store.Tx) error { more = sweep(tx); return nil })
		if err != nil {
			return err
		}
	}
	return nil
}

// sweep deletes some rows, and reports whether there were any: versions before
// their schemas, these before their registries.
func sweep(tx *store.Tx) bool {
	n := 0
	drop := func(v Version) bool {
		Versions.Delete(tx, v.Key())
		n++
		return n < batch
	}
	for v := range Versions.By(tx, "doomed", "") {
		if !drop(v) {
			return true
		}
	}
	schema := func(s Schema) bool {
		for v := range Versions.List(tx, s.Key()+"/") {
			if !drop(v) {
				return false
			}
		}
		Schemas.Delete(tx, s.Key())
		n++
		return n < batch
	}
	for s := range Schemas.By(tx, "doomed", "") {
		if !schema(s) {
			return true
		}
	}
	for r := range Registries.By(tx, "doomed", "") {
		for s := range Schemas.List(tx, r.Scope.Prefix(part(r.Name))) {
			if !schema(s) {
				return true
			}
		}
		Registries.Delete(tx, r.Key())
		if n++; n >= batch {
			return true
		}
	}
	return n > 0
}

// Reset removes all of an account.
func (e *Engine) Reset(ctx context.Context, account string) error {
	for _, clear := range []func(context.Context, *store.DB, string) error{Versions.Clear, Schemas.Clear, Registries.Clear, AllSettings.Clear, counters.Clear} {
		if err := clear(ctx, e.db, account+"/"); err != nil {
			return err
		}
	}
	return nil
}
