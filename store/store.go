// Package store keeps the control plane's state: typed tables with secondary
// indexes over etcd, embedded in the process or external.
//
// Reads are served from a local cache that follows etcd's watch; a writer sees
// its own writes. Values returned by reads share memory with the cache: treat
// what their pointers, maps and slices reach as read-only, and copy before a
// change.
package store

import (
	"context"
	"errors"
	"iter"
	"log/slog"
)

// ErrConflict is what Update returns when it lost against other writers too
// many times in a row.
var ErrConflict = errors.New("store: transaction conflicted too often")

// ErrInUse is what Open returns when another process holds the data directory.
var ErrInUse = errors.New("store: data directory is in use by another process")

// Config says where the state lives.
type Config struct {
	Dir       string   // directory of the embedded etcd; created if absent
	Endpoints []string // an external etcd instead of the embedded one
	Prefix    string   // key prefix, "/dhow/" if empty
	Log       *slog.Logger
}

// DB is an open store.
type DB struct{}

// Open starts or reaches etcd, fills the cache of every table made by NewTable
// and returns when reads are current.
func Open(ctx context.Context, c Config) (*DB, error) { panic("contract only") }

// Close stops the store; what Update acknowledged is on disk.
func (db *DB) Close() error { panic("contract only") }

// Reader is a consistent view at one revision: inside View or Update.
type Reader interface{ reader() }

// Tx is a read-write transaction. It reads its own writes.
type Tx struct{}

func (*Tx) reader() {}

// View runs f over a consistent view. f must not block and must not call
// Update.
func (db *DB) View(f func(r Reader) error) error { panic("contract only") }

// Update runs f and commits what it put and deleted, all or nothing, synced to
// disk before it returns. It runs f again when a row that f read by Get, put or
// deleted was changed meanwhile by another writer; rows seen by List and By are
// not checked, so keep a row that all contenders Get and Put where that
// matters. An error from f aborts and is returned as it is. A transaction holds
// at most 100 rows and 1 MiB.
func (db *DB) Update(ctx context.Context, f func(tx *Tx) error) error { panic("contract only") }

// Anything is a table of any type, for Watch.
type Anything interface{ Name() string }

// Watch returns a channel that gets a token after each commit, ours or
// another server's, that changed one of the tables (coalesced: capacity one).
func (db *DB) Watch(tables ...Anything) (commits <-chan struct{}, stop func()) {
	panic("contract only")
}

// Lead runs f while this process holds the named lease, again after each loss,
// until ctx ends. f's context ends when the lease is lost.
func (db *DB) Lead(ctx context.Context, name string, f func(ctx context.Context)) error {
	panic("contract only")
}

// Index is a secondary index: the values under which a row is found by By.
type Index[T any] struct {
	Name   string
	Values func(T) []string
}

// Table is a set of rows of one type, kept as JSON under a key of their own.
type Table[T any] struct{}

// NewTable declares a table; declare each once, in a package variable. Names
// are unique and stable: they are part of the keys on disk.
func NewTable[T any](name string, key func(T) string, indexes ...Index[T]) *Table[T] {
	panic("contract only")
}

// Name is the table's name.
func (t *Table[T]) Name() string { panic("contract only") }

// Get returns the row under key.
func (t *Table[T]) Get(r Reader, key string) (v T, ok bool) { panic("contract only") }

// Put writes v under its key. The error is of encoding, or of a bad key.
func (t *Table[T]) Put(tx *Tx, v T) error { panic("contract only") }

// Delete removes the row under key, if any.
func (t *Table[T]) Delete(tx *Tx, key string) { panic("contract only") }

// List yields the rows whose keys begin with prefix, in key order.
func (t *Table[T]) List(r Reader, prefix string) iter.Seq[T] { panic("contract only") }

// By yields the rows that the index files under value, in key order.
func (t *Table[T]) By(r Reader, index, value string) iter.Seq[T] { panic("contract only") }

// Len is the number of rows.
func (t *Table[T]) Len(r Reader) int { panic("contract only") }

// Change is one committed change of a row; Old is nil for a new row, New for a
// deleted one.
type Change[T any] struct {
	Key      string
	Revision int64
	Old, New *T
}

// Follow calls f for each later change of the table, in commit order, without
// gaps: rows missed because etcd compacted them come as one change to their
// newest state. f runs in the cache's goroutine after the change is readable;
// it must not block and must not call Update.
func (t *Table[T]) Follow(db *DB, f func(Change[T])) (stop func()) { panic("contract only") }

// Notify returns a channel that gets a token after each commit that changed a
// row which the index files, or filed, under value.
func (t *Table[T]) Notify(db *DB, index, value string) (commits <-chan struct{}, stop func()) {
	panic("contract only")
}
