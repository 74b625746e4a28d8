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
// waits. If they cannot be read the store fails; see DB.Failed. Call it where the
// table is declared.
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
}

func (l *late) wait() {
	if !l.over.Load() {
		<-l.done
	}
}

func (l *late) end() {
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
		if err := db.readTable(s, d); err != nil && db.ctx.Err() == nil {
			db.end(err)
		}
		s.tables[d.id].late.end()
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
