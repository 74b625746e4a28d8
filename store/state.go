package store

import (
	"fmt"
	"slices"
)

// state is all tables at one revision. A published state never changes.
type state struct {
	rev     int64  // of etcd
	clock   int64  // revision of the clock key
	clockID string // and its value: the batch that was committed last
	tables  []*tableState
}

// tableState is one table's rows and, per index, the entries VALUE NUL KEY.
type tableState struct {
	by      *edit
	rows    tree[*row]
	indexes []tree[struct{}]
	late    *late // nil unless the table is read after Open
}

// write is a change of one row; row is nil if it is deleted.
type write struct {
	def      *def
	key      string
	was, row *row
	data     []byte // the row's JSON
}

// newState returns empty tables.
func newState(defs []*def) *state {
	s := &state{tables: make([]*tableState, len(defs))}
	for i, d := range defs {
		s.tables[i] = &tableState{indexes: make([]tree[struct{}], len(d.indexes))}
	}
	return s
}

// table returns the state of a table that was declared before the store was
// opened.
func (s *state) table(d *def) *tableState {
	if d.id >= len(s.tables) {
		panic(fmt.Sprintf("store: table %s was declared after the store was opened", d.name))
	}
	t := s.tables[d.id]
	if t.late != nil {
		t.late.wait()
	}
	return t
}

// get returns the row under key, or nil.
func (s *state) get(d *def, key string) *row {
	r, _ := s.table(d).rows.get(key)
	return r
}

// fork returns a copy that the next edit may change.
func (s *state) fork() state {
	c := *s
	c.tables = slices.Clone(s.tables)
	return c
}

// set changes one row; the state is a fork, and e is younger than its copies.
func (s *state) set(e *edit, d *def, key string, r *row) {
	t := s.table(d)
	if t.by != e {
		t = &tableState{by: e, rows: t.rows, indexes: slices.Clone(t.indexes)}
		s.tables[d.id] = t
	}
	old, _ := t.rows.get(key)
	for i, ix := range d.indexes {
		t.file(e, &t.indexes[i], ix, key, old, r)
	}
	if r != nil {
		t.rows.set(e, key, r)
	} else {
		t.rows.delete(e, key)
	}
}

// file moves the entries of one row in one index from its old values to its
// new ones.
func (t *tableState) file(e *edit, entries *tree[struct{}], ix indexDef, key string, old, new *row) {
	var from, to []string
	if old != nil {
		from = ix.values(old.val)
	}
	if new != nil {
		to = ix.values(new.val)
	}
	if slices.Equal(from, to) {
		return
	}
	for _, v := range from {
		if !slices.Contains(to, v) {
			entries.delete(e, v+"\x00"+key)
		}
	}
	for _, v := range to {
		if !slices.Contains(from, v) {
			entries.set(e, v+"\x00"+key, struct{}{})
		}
	}
}
