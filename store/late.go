package store

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Late says that Open need not wait for the table, which may have very many
// rows: an embedded etcd's are read after it, and whoever uses the table first
// waits. If they cannot be read the store fails; see DB.Failed. Until the process
// ends nobody is told that there are no rows: an Update that uses the table returns
// why they cannot be read, and a View panics with it. Call it where the table is
// declared.
func (t *Table[T]) Late() *Table[T] {
	t.def.late = true
	return t
}

// late is the reading of a table that goes on after Open. The table's state is
// filled before it ends; nobody changes the table meanwhile, for a writer looks
// at what is there first.
type late struct {
	over atomic.Bool
	done chan struct{}
	err  error // why the rows are not there; set before it is over
}

func (l *late) wait() {
	if !l.over.Load() {
		<-l.done
	}
	if l.err != nil {
		panic(unread{l.err})
	}
}

// unread is what the use of a table panics with whose rows could not be read.
type unread struct{ error }

// call runs the function of an Update.
func (tx *Tx) call(f func(tx *Tx) error) (err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case unread:
			err = r.error
		default:
			panic(r)
		}
	}()
	return f(tx)
}

func (l *late) end(err error) {
	l.err = err
	l.over.Store(true)
	close(l.done)
}

// late lists the tables, by name, that a load leaves for readLate: none where
// other processes write, too.
func (db *DB) late(old *state) (defs []*def) {
	for _, d := range db.tables {
		if d.late && db.server != nil && old == nil {
			defs = append(defs, d)
		}
	}
	slices.SortFunc(defs, func(a, b *def) int { return strings.Compare(a.name+"/", b.name+"/") })
	return defs
}

// readLate reads the tables that the load of s has left.
func (db *DB) readLate(s *state) {
	for _, d := range db.late(nil) {
		err := db.readTable(s, d)
		switch {
		case db.alive.Err() == nil && db.ctx.Err() != nil:
			err = nil // it is being closed, and nobody reads any more
		case err != nil:
			db.end(err)
		}
		s.tables[d.id].late.end(err)
	}
}

func (db *DB) readTable(s *state, d *def) error {
	from := db.prefix + d.name + "/"
	for {
		pages, _, err := db.read(db.ctx, from, clientv3.GetPrefixRangeEnd(from), 0, nil)
		switch {
		case errors.Is(err, rpctypes.ErrCompacted):
		case err != nil:
			return fmt.Errorf("store: table %s: %w", d.name, err)
		default:
			return s.fill([]*def{d}, pages)
		}
	}
}
