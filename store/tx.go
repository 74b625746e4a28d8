package store

import (
	"context"
	"fmt"
	"slices"
)

// Limits of a transaction and of a batch of them, within etcd's default limits
// of 128 operations and 1.5 MiB.
const (
	maxRows  = 100
	maxBytes = 1 << 20
	batchOps = 127 // and the clock
)

// attempts is how often Update runs its function before it gives up. The last
// ones have the writers of this process wait.
const (
	attempts = 100
	patience = 20
)

// Reader is a consistent view at one revision: inside View or Update.
type Reader interface {
	get(d *def, key string) *row
	table(d *def) *tableState
}

// Tx is a read-write transaction. It reads its own writes.
type Tx struct {
	db     *DB
	base   *state
	reads  []read
	writes []write
	size   int
	fork   *state // base with writes; nil until List, By or Len need it
	edit   *edit
	done   bool
	after  []func()
}

// read is a row that a transaction saw; row is nil if there was none.
type read struct {
	def *def
	key string
	row *row
}

// View runs f over a consistent view. f must not call Update.
func (db *DB) View(f func(r Reader) error) error { return f(db.now.Load()) }

// Update runs f and commits what it put and deleted, all or nothing, synced to
// disk before it returns. It runs f again when a row that f read by Get, put or
// deleted was changed meanwhile by another writer; rows seen by List and By are
// not checked, so keep a row that all contenders Get and Put where that
// matters. An error from f aborts and is returned as it is. A transaction holds
// at most 100 rows and 1 MiB. f must not call Update.
//
// Where f runs again it may see transactions that are on their way to the disk;
// Update returns only once these are there.
func (db *DB) Update(ctx context.Context, f func(tx *Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	base, mark := db.now.Load(), (*batch)(nil)
	for n := range attempts {
		if n > 0 {
			db.retries.Add(1)
			base, mark = db.queue.snapshot()
		}
		if err := db.attempt(ctx, f, &Tx{db: db, base: base}, mark, n >= patience); err != errRetry {
			return err
		}
	}
	return ErrConflict
}

// After has f called when it is known what becomes of what the function that got
// tx has written: it is committed, or refused, and then the function may run
// again with another Tx; or nobody waits for it any more.
func (tx *Tx) After(f func()) {
	tx.check()
	tx.after = append(tx.after, f)
}

// attempt runs f once and waits until what it wrote, if anything, is committed.
func (db *DB) attempt(ctx context.Context, f func(tx *Tx) error, tx *Tx, mark *batch, alone bool) error {
	defer func() {
		for _, f := range tx.after {
			f()
		}
	}()
	p, err := db.run(f, tx, &mark, alone)
	switch {
	case err == errRetry:
		return err
	case p != nil:
		return p.wait(ctx)
	case mark != nil:
		// What f saw may be on its way; if it never arrives, f must see
		// what is there instead.
		select {
		case <-mark.done:
		case <-ctx.Done():
			return ctx.Err()
		}
		if mark.err != nil {
			return errRetry
		}
	}
	return err
}

// run runs f over tx's base, or over the newest state with no other writer
// around, and queues what it wrote, if anything.
func (db *DB) run(f func(tx *Tx) error, tx *Tx, mark **batch, alone bool) (*pending, error) {
	if alone {
		db.queue.turn.Lock()
		defer db.queue.turn.Unlock()
		tx.base, *mark = db.queue.snapshot()
	}
	err := tx.call(f)
	tx.done = true
	if err != nil || len(tx.writes) == 0 {
		return nil, err
	}
	if len(tx.writes) > maxRows || tx.size > maxBytes {
		return nil, fmt.Errorf("%w: %d rows, %d bytes; the limits are %d rows and %d bytes",
			ErrTooBig, len(tx.writes), tx.size, maxRows, maxBytes)
	}
	if !alone {
		db.queue.turn.RLock()
		defer db.queue.turn.RUnlock()
	}
	return db.queue.submit(tx)
}

// get returns the newest version of a row and notes that the transaction
// depends on it.
func (tx *Tx) get(d *def, key string) *row {
	tx.check()
	if i := tx.find(d, key); i >= 0 {
		return tx.writes[i].row
	}
	r := tx.base.get(d, key)
	if n := len(tx.reads); n == 0 || tx.reads[n-1] != (read{d, key, r}) {
		tx.reads = append(tx.reads, read{d, key, r})
	}
	return r
}

// find is the position of a row among the writes, or -1.
func (tx *Tx) find(d *def, key string) int {
	for i := range tx.writes {
		if w := &tx.writes[i]; w.def == d && w.key == key {
			return i
		}
	}
	return -1
}

// write notes a row to be put, or deleted if it is nil.
func (tx *Tx) write(d *def, key string, r *row, data []byte) {
	tx.check()
	if i := tx.find(d, key); i >= 0 {
		w := &tx.writes[i]
		tx.size += len(data) - len(w.data)
		w.row, w.data = r, data
	} else {
		w := write{def: d, key: key, was: tx.base.get(d, key), row: r, data: data}
		tx.writes = append(tx.writes, w)
		tx.size += len(d.name) + len(key) + len(data)
	}
	if tx.fork != nil {
		tx.fork.set(tx.edit, d, key, r)
	}
}

// table returns the table with the transaction's own writes. It is a snapshot:
// later writes do not disturb who reads it.
func (tx *Tx) table(d *def) *tableState {
	tx.check()
	if len(tx.writes) == 0 {
		return tx.base.table(d)
	}
	if tx.fork == nil {
		s := tx.base.fork()
		tx.fork, tx.edit = &s, new(edit)
		for _, w := range tx.writes {
			tx.fork.set(tx.edit, w.def, w.key, w.row)
		}
	}
	tx.edit = new(edit)
	return tx.fork.table(d)
}

// puts reports whether the transaction needs space.
func (tx *Tx) puts() bool {
	return slices.ContainsFunc(tx.writes, func(w write) bool { return w.row != nil })
}

// check panics where a transaction is used after its function returned: what it
// wrote would be lost.
func (tx *Tx) check() {
	if tx.done {
		panic("store: transaction used after its function returned")
	}
}
