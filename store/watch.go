package store

import (
	"slices"
	"sync"
	"sync/atomic"
)

// hub tells of commits. Its lists are copied on write, so that a callback may
// subscribe and unsubscribe.
type hub struct {
	mu        sync.Mutex
	watchers  atomic.Pointer[[]*watcher]
	followers atomic.Pointer[[]*follower]
	values    map[indexValue][]chan struct{}
	indexes   map[indexID]int // how many values are watched
}

type watcher struct {
	tables []*def // none: any commit
	c      chan struct{}
}

type follower struct {
	def  *def
	f    func(w write, rev int64)
	gone atomic.Bool
}

type indexID struct {
	def   *def
	index int
}

type indexValue struct {
	indexID
	value string
}

// Watch returns a channel that gets a token after each commit, ours or
// another server's, that changed one of the tables (coalesced: capacity one).
func (db *DB) Watch(tables ...Anything) (commits <-chan struct{}, stop func()) {
	defs := make([]*def, len(tables))
	for i, t := range tables {
		defs[i] = db.byName[t.Name()]
		if defs[i] == nil {
			panic("store: table " + t.Name() + " was declared after the store was opened")
		}
	}
	return db.hub.watch(defs)
}

// known panics where a table was declared after the store was opened.
func (db *DB) known(d *def) {
	if db.byName[d.name] == nil {
		panic("store: table " + d.name + " was declared after the store was opened")
	}
}

func (h *hub) watch(tables []*def) (<-chan struct{}, func()) {
	w := &watcher{tables, make(chan struct{}, 1)}
	h.mu.Lock()
	defer h.mu.Unlock()
	add(&h.watchers, w)
	return w.c, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		remove(&h.watchers, w)
	}
}

// Change is one committed change of a row; Old is nil for a new row, New for a
// deleted one.
type Change[T any] struct {
	Key      string
	Revision int64
	Old, New *T
}

// Follow calls f for each later change of the table, in commit order, without
// gaps: rows missed because etcd compacted them come as one change to their
// newest state, and changes of a row that were committed together come as one.
// f runs in the cache's goroutine after the change is readable and before the
// Update that made it returns; it must not block and must not call Update.
// After stop f may still be running for the last time.
func (t *Table[T]) Follow(db *DB, f func(Change[T])) (stop func()) {
	db.known(t.def)
	fo := &follower{def: t.def, f: func(w write, rev int64) {
		c := Change[T]{Key: w.key, Revision: rev}
		if w.was != nil {
			c.Old = w.was.val.(*T)
		}
		if w.row != nil {
			c.New = w.row.val.(*T)
		}
		f(c)
	}}
	h := &db.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	add(&h.followers, fo)
	return func() {
		fo.gone.Store(true)
		h.mu.Lock()
		defer h.mu.Unlock()
		remove(&h.followers, fo)
	}
}

// Notify returns a channel that gets a token after each commit that changed a
// row which the index files, or filed, under value.
func (t *Table[T]) Notify(db *DB, index, value string) (commits <-chan struct{}, stop func()) {
	db.known(t.def)
	id := indexValue{indexID{t.def, t.def.index(index)}, value}
	c := make(chan struct{}, 1)
	h := &db.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.values == nil {
		h.values, h.indexes = map[indexValue][]chan struct{}{}, map[indexID]int{}
	}
	h.values[id] = append(h.values[id], c)
	h.indexes[id.indexID]++
	return c, sync.OnceFunc(func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.values[id] = slices.DeleteFunc(h.values[id], func(x chan struct{}) bool { return x == c })
		if len(h.values[id]) == 0 {
			delete(h.values, id)
		}
		if h.indexes[id.indexID]--; h.indexes[id.indexID] == 0 {
			delete(h.indexes, id.indexID)
		}
	})
}

// tell hands the changes of one commit to all who asked.
func (h *hub) tell(changes []write, rev int64) {
	for _, f := range list(&h.followers) {
		for _, w := range changes {
			if w.def == f.def && (w.was != nil || w.row != nil) && !f.gone.Load() {
				f.f(w, rev)
			}
		}
	}
	for _, w := range list(&h.watchers) {
		if w.tables == nil || slices.ContainsFunc(changes, func(c write) bool { return slices.Contains(w.tables, c.def) }) {
			token(w.c)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.indexes) == 0 {
		return
	}
	for _, w := range changes {
		for i, ix := range w.def.indexes {
			if id := (indexID{w.def, i}); h.indexes[id] > 0 {
				h.tellValues(id, ix, w.was)
				h.tellValues(id, ix, w.row)
			}
		}
	}
}

// tellValues sends tokens for the values under which a row is filed.
func (h *hub) tellValues(id indexID, ix indexDef, r *row) {
	if r == nil {
		return
	}
	for _, v := range ix.values(r.val) {
		for _, c := range h.values[indexValue{id, v}] {
			token(c)
		}
	}
}

// token puts a token into c unless there is one.
func token(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func list[E any](p *atomic.Pointer[[]E]) []E {
	if l := p.Load(); l != nil {
		return *l
	}
	return nil
}

func add[E any](p *atomic.Pointer[[]E], e E) {
	l := append(slices.Clone(list(p)), e)
	p.Store(&l)
}

func remove[E comparable](p *atomic.Pointer[[]E], e E) {
	l := slices.DeleteFunc(slices.Clone(list(p)), func(x E) bool { return x == e })
	p.Store(&l)
}
