package store

import "sync"

// Derived is what a package makes of tables for itself, once for each open
// store: an index in memory, say, that Follow keeps current. Declare it in a
// package variable.
type Derived[V any] struct{ make func(db *DB) V }

// NewDerived returns a Derived whose value make returns. make must not call
// Update.
func NewDerived[V any](make func(db *DB) V) *Derived[V] { return &Derived[V]{make} }

// Of returns the value for tx's store, made when it is first asked for. It is of
// what was committed last, which tx may be behind of or, with transactions that
// are on their way, ahead of: read in tx what a decision depends on.
func (d *Derived[V]) Of(tx *Tx) V {
	type once struct {
		sync.Once
		v V
	}
	kept, ok := tx.db.derived.Load(d)
	if !ok {
		kept, _ = tx.db.derived.LoadOrStore(d, new(once))
	}
	o := kept.(*once)
	o.Do(func() { o.v = d.make(tx.db) })
	return o.v
}
