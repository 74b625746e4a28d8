package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// pageRows is how many keys one read of the load asks for. For each read etcd
// also counts all keys that come after: a few large ones cost less.
const pageRows = 20_000

// load reads all tables at one revision. Rows that old has in the same version
// are taken from there.
func (db *DB) load(ctx context.Context, old *state) (*state, error) {
	for {
		s, err := db.loadOnce(ctx, old)
		if !errors.Is(err, rpctypes.ErrCompacted) {
			return s, err
		}
	}
}

func (db *DB) loadOnce(ctx context.Context, old *state) (*state, error) {
	s := newState(db.tables)
	var pages []*loaded
	from := db.prefix
	for _, d := range db.late(old) {
		s.tables[d.id].late = &late{done: make(chan struct{})}
		before, rev, err := db.read(ctx, from, db.prefix+d.name+"/", s.rev, nil)
		if err != nil {
			return nil, err
		}
		s.rev, pages, from = rev, append(pages, before...), clientv3.GetPrefixRangeEnd(db.prefix+d.name+"/")
	}
	rest, rev, err := db.read(ctx, from, clientv3.GetPrefixRangeEnd(db.prefix), s.rev, old)
	if err != nil {
		return nil, err
	}
	s.rev = rev
	return s, s.fill(db.tables, append(pages, rest...))
}

// read reads the keys from one on and before another, at a revision, and tells
// it; 0 is the newest.
func (db *DB) read(ctx context.Context, from, to string, rev int64, old *state) (pages []*loaded, _ int64, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends a read under way
	next := db.readPage(ctx, from, to, rev)
	var decoding sync.WaitGroup
	defer decoding.Wait()
	for more := true; more; {
		p := <-next
		if p.err != nil {
			return nil, 0, fmt.Errorf("store: load from etcd: %w", p.err)
		}
		if rev == 0 {
			rev = p.resp.Header.Revision
		}
		kvs := p.resp.Kvs
		if more = p.resp.More; more {
			next = db.readPage(ctx, string(kvs[len(kvs)-1].Key)+"\x00", to, rev)
		}
		// A page is decoded while the next one is read, in parts: on all processors.
		for part := range slices.Chunk(kvs, pageRows/4) {
			l := &loaded{rows: make([][]*row, len(db.tables))}
			pages = append(pages, l)
			decoding.Go(func() { l.err = db.decode(l, old, part) })
		}
	}
	return pages, rev, nil
}

// page is one read of the load.
type page struct {
	resp *clientv3.GetResponse
	err  error
}

// readPage reads some of the keys that read does.
func (db *DB) readPage(ctx context.Context, from, to string, rev int64) <-chan page {
	opts := []clientv3.OpOption{clientv3.WithRange(to), clientv3.WithLimit(pageRows), clientv3.WithRev(rev)}
	if db.server != nil {
		opts = append(opts, clientv3.WithSerializable()) // the only member is always current
	}
	c := make(chan page, 1)
	go func() {
		resp, err := db.client.Get(ctx, from, opts...)
		c <- page{resp, err}
	}()
	return c
}

// loaded is what some of etcd's keys hold.
type loaded struct {
	rows    [][]*row // of each table, in the order of their keys
	clock   int64    // 0: the clock is not among them
	clockID string
	err     error
}

// decode fills l. The rows that old has in the same version are taken from there.
func (db *DB) decode(l *loaded, old *state, kvs []*mvccpb.KeyValue) error {
	for _, kv := range kvs {
		if string(kv.Key) == db.clockKey {
			l.clock, l.clockID = kv.ModRevision, string(kv.Value)
			continue
		}
		d, key := db.parse(kv.Key)
		if d == nil {
			continue
		}
		var r *row
		if old != nil {
			r = old.get(d, key)
		}
		if r == nil || r.rev != kv.ModRevision {
			var err error
			if r, err = newRow(d, key, kv); err != nil {
				return err
			}
		}
		l.rows[d.id] = append(l.rows[d.id], r)
	}
	return nil
}

// fill makes the tables of an empty state from pages in the order of their keys.
func (s *state) fill(defs []*def, pages []*loaded) error {
	for _, l := range pages {
		if l.err != nil {
			return l.err
		}
		if l.clock != 0 {
			s.clock, s.clockID = l.clock, l.clockID
		}
	}
	var building sync.WaitGroup
	defer building.Wait()
	for _, d := range defs {
		var rows []*row
		for _, l := range pages {
			rows = append(rows, l.rows[d.id]...)
		}
		if len(rows) == 0 {
			continue
		}
		t := s.tables[d.id]
		building.Go(func() { t.rows = rowTree(rows) })
		for i, ix := range d.indexes {
			building.Go(func() { t.indexes[i] = indexTree(ix, rows) })
		}
	}
	return nil
}

// rowTree is the tree of rows that are in the order of their keys.
func rowTree(rows []*row) tree[*row] {
	keys := make([]string, len(rows))
	for i, r := range rows {
		keys[i] = r.key
	}
	return grow(keys, rows)
}

// indexTree is an index over rows.
func indexTree(ix indexDef, rows []*row) tree[struct{}] {
	var entries []string
	for _, r := range rows {
		for _, v := range ix.values(r.val) {
			entries = append(entries, v+"\x00"+r.key)
		}
	}
	slices.Sort(entries)
	entries = slices.Compact(entries)
	return grow(entries, make([]struct{}, len(entries)))
}

// newRow decodes a row.
func newRow(d *def, key string, kv *mvccpb.KeyValue) (*row, error) {
	val, err := d.decode(kv.Value)
	if err != nil {
		return nil, fmt.Errorf("store: table %s: row %q does not decode: %w", d.name, key, err)
	}
	return &row{key: key, rev: kv.ModRevision, val: val}, nil
}

// parse finds the table and the row's key in a key of etcd; the table is nil if
// it is none of ours.
func (db *DB) parse(key []byte) (*def, string) {
	name, rest, ok := strings.Cut(string(key[len(db.prefix):]), "/")
	if !ok {
		return nil, ""
	}
	return db.byName[name], rest
}

// reload reads everything anew, where the history of changes is gone: each
// missed row becomes one change to its newest state.
func (db *DB) reload(ctx context.Context) error {
	s, err := db.load(ctx, db.now.Load())
	if err != nil {
		return err
	}
	db.applying.Lock()
	defer db.applying.Unlock()
	was := db.now.Load()
	if s.rev <= was.rev {
		return nil // our own commits have got further meanwhile
	}
	db.reloads.Add(1)
	db.publish(s, diff(db.tables, was, s))
	return nil
}

// publish makes s, which foreign changes made, what reads see.
func (db *DB) publish(s *state, changes []write) {
	db.now.Store(s)
	db.queue.published(s)
	db.hub.tell(changes, s.rev)
}

// diff lists the rows that differ between two states.
func diff(defs []*def, old, new *state) (changes []write) {
	for _, d := range defs {
		before, after := old.table(d).rows, new.table(d).rows
		before.ascend("", func(key string, was *row) bool {
			if _, ok := after.get(key); !ok {
				changes = append(changes, write{def: d, key: key, was: was})
			}
			return true
		})
		after.ascend("", func(key string, is *row) bool {
			if was, _ := before.get(key); was != is {
				changes = append(changes, write{def: d, key: key, was: was, row: is})
			}
			return true
		})
	}
	return changes
}

// catchUp returns when the cache has reached a revision of the clock.
func (db *DB) catchUp(clock int64) {
	if db.server != nil {
		// Nobody else writes to the embedded etcd, so this is not expected;
		// there is no watch that would bring what happened.
		if err := db.reload(db.ctx); err != nil {
			db.log.Error("store cannot reload", "err", err)
		}
		return
	}
	moved, stop := db.hub.watch(nil)
	defer stop()
	for db.now.Load().clock < clock {
		select {
		case <-moved:
		case <-db.ctx.Done():
			return
		}
	}
}

// follow keeps the cache current with what other processes write.
func (db *DB) follow() {
	for db.ctx.Err() == nil {
		err := db.followOnce()
		if errors.Is(err, rpctypes.ErrCompacted) {
			db.log.Info("etcd compacted changes not seen yet, reading all rows anew")
			err = db.reload(db.ctx)
		}
		if err != nil && db.ctx.Err() == nil {
			db.log.Warn("watch of etcd ended, will retry", "err", err)
			select {
			case <-time.After(time.Second):
			case <-db.ctx.Done():
			}
		}
	}
}

func (db *DB) followOnce() error {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(db.ctx))
	defer cancel()
	for resp := range db.client.Watch(ctx, db.prefix, clientv3.WithPrefix(), clientv3.WithRev(db.now.Load().rev+1)) {
		if err := resp.Err(); err != nil {
			return err
		}
		for events := resp.Events; len(events) > 0; {
			n := 1
			for n < len(events) && events[n].Kv.ModRevision == events[0].Kv.ModRevision {
				n++
			}
			db.apply(events[:n])
			events = events[n:]
		}
	}
	return nil
}

// apply publishes what one foreign transaction did; events are all of one
// revision.
func (db *DB) apply(events []*clientv3.Event) {
	rev, clock, id := events[0].Kv.ModRevision, int64(0), ""
	for _, e := range events {
		if string(e.Kv.Key) == db.clockKey {
			clock, id = rev, string(e.Kv.Value)
		}
	}
	if b := db.queue.isFlying(id); b != nil {
		db.finish(b, rev) // etcd's answer is late or lost
		return
	}
	db.applying.Lock()
	defer db.applying.Unlock()
	was := db.now.Load()
	if rev <= was.rev {
		return
	}
	s, e := was.fork(), new(edit)
	s.rev = rev
	if clock > 0 {
		s.clock, s.clockID = clock, id
	}
	var changes []write
	for _, ev := range events {
		d, key := db.parse(ev.Kv.Key)
		if d == nil {
			continue
		}
		w := write{def: d, key: key, was: s.get(d, key)}
		if ev.Type == clientv3.EventTypePut {
			var err error
			if w.row, err = newRow(d, key, ev.Kv); err != nil {
				db.log.Error("row of another server left out", "err", err)
				continue
			}
		}
		s.set(e, d, key, w.row)
		changes = append(changes, w)
	}
	db.publish(&s, changes)
}
