// Package store keeps the control plane's state: typed tables with secondary
// indexes over etcd, embedded in the process or external.
//
// Reads are served from a local cache: immutable snapshots, so that a View
// takes no lock and costs a pointer. Values returned by reads share memory with
// the cache: treat what their pointers, maps and slices reach as read-only, and
// copy before a change. Put keeps nothing of its argument: the cache holds what
// the JSON of a row decodes to, in this process as after a restart.
//
// Writes are optimistic. A transaction is checked against the newest state,
// committed or under way, and joins the batch that the committer sends next:
// one etcd transaction, one sync for many writers. Each batch also writes the
// clock key, and only succeeds if the clock is still what this process last
// saw. A success hence proves that the cache missed nothing, and any number of
// processes may write to one external etcd; when they do, their batches take
// turns. Keys under the prefix belong to the store: change them only through
// it.
package store

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/dhowhq/dhow/internal/fault"
)

var (
	// ErrConflict is what Update returns when it lost against other writers
	// too many times in a row.
	ErrConflict = errors.New("store: transaction conflicted too often")

	// ErrInUse is what Open returns when another process holds the data
	// directory.
	ErrInUse = errors.New("store: data directory is in use by another process")

	// ErrFull is what Update returns while the disk or etcd's space quota is
	// full. Nothing was written; what was acknowledged before is safe. Updates
	// succeed again once there is room.
	ErrFull = fault.Ours("store: no space left",
		"dhow can write nothing: no space is left on its disk, or in its quota. Free some; what was acknowledged before is kept.")

	// ErrTooBig is what Update returns for a transaction of more than 100 rows
	// or 1 MiB.
	ErrTooBig = fault.Theirs("store: transaction is too big",
		"The request is too large: what it says, or changes, takes more than 1 MiB or 100 rows at once.")

	// ErrClosed is what Update and Lead return after Close.
	ErrClosed = errors.New("store: closed")

	// ErrUnknown is what Update returns when it cannot say whether its
	// transaction was committed: its context ended while the commit was under
	// way, or an external etcd failed at the wrong moment.
	ErrUnknown = errors.New("store: outcome of the transaction is unknown")
)

// Config says where the state lives.
type Config struct {
	Dir       string   // directory of the embedded etcd; created if absent
	Endpoints []string // an external etcd instead of the embedded one; Dir is then unused
	Prefix    string   // key prefix, "/dhow/" if empty
	Log       *slog.Logger

	TLS                *tls.Config // for an external etcd; nil: plain
	Username, Password string      // for an external etcd with authentication

	// Quota is the size in bytes to which the embedded etcd's file may grow,
	// 16 GiB if zero, at least 128 MiB. Nearly there the store takes no more
	// rows until some are deleted.
	Quota int64

	// UnsafeNoSync leaves out every sync to disk: for tests alone.
	UnsafeNoSync bool

	reserve, hard int64 // of the embedded etcd; tests change them
}

// DB is an open store.
type DB struct {
	log      *slog.Logger
	prefix   string
	clockKey string
	id       string // of this process, in the clock's values
	client   *clientv3.Client
	server   *server // nil if etcd is external
	tables   []*def  // declared when the store was opened
	byName   map[string]*def

	now      atomic.Pointer[state] // what reads see
	applying sync.Mutex            // publishing a state and telling of it
	hub      hub
	queue    queue
	election election
	derived  sync.Map // by *Derived

	ctx    context.Context // ends at Close
	cancel context.CancelFunc
	alive  context.Context // ends when the embedded etcd fails
	kill   context.CancelFunc
	closed sync.Once
	loops  sync.WaitGroup

	lowSpace chan struct{} // capacity one: look at the space at once

	reloads, transactions, batches, written, retries atomic.Int64 // see Stats
	failed                                           chan error
}

// Open starts or reaches etcd, fills the cache of every table made by NewTable
// and returns when reads are current. ctx bounds the opening alone.
func Open(ctx context.Context, c Config) (*DB, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Prefix == "" {
		c.Prefix = "/dhow/"
	}
	if !strings.HasSuffix(c.Prefix, "/") {
		return nil, fmt.Errorf("store: prefix %q must end in a slash", c.Prefix)
	}
	db := &DB{
		log:      c.Log,
		prefix:   c.Prefix,
		clockKey: c.Prefix + ".clock",
		id:       rand.Text(),
		tables:   declared(),
		byName:   map[string]*def{},
		failed:   make(chan error, 1),
		lowSpace: make(chan struct{}, 1),
	}
	for _, d := range db.tables {
		db.byName[d.name] = d
	}
	db.alive, db.kill = context.WithCancel(context.Background())
	db.ctx, db.cancel = context.WithCancel(db.alive)
	db.queue.init()
	if err := db.connect(ctx, c); err != nil {
		db.cancel()
		return nil, err
	}
	if err := db.start(ctx); err != nil {
		db.Close()
		return nil, err
	}
	return db, nil
}

// connect makes the client: of the embedded server or of an external one.
func (db *DB) connect(ctx context.Context, c Config) (err error) {
	switch {
	case len(c.Endpoints) > 0:
		db.client, err = dial(ctx, c)
	case c.Dir != "":
		if db.server, err = startServer(ctx, c); err == nil {
			db.client = db.server.client
		}
	default:
		err = errors.New("store: neither a directory nor endpoints given")
	}
	return err
}

// start fills the cache and starts the loops.
func (db *DB) start(ctx context.Context) error {
	s, err := db.load(ctx, nil)
	if err != nil {
		return err
	}
	db.now.Store(s)
	db.queue.head, db.queue.edit = s.fork(), new(edit)
	if db.server != nil {
		db.queue.quota = db.server.checkQuota
		if err := db.dropLeases(ctx); err != nil {
			return err
		}
		db.loops.Go(func() { db.readLate(s) })
		db.loops.Go(db.watchServer)
		db.loops.Go(db.keepSpace)
	} else {
		db.loops.Go(db.follow)
	}
	db.loops.Go(db.commit)
	return nil
}

// Close stops the store; what Update acknowledged is on disk. Updates that
// still wait get ErrClosed.
func (db *DB) Close() (err error) {
	db.closed.Do(func() {
		db.queue.refuse(ErrClosed)
		db.cancel()
		db.election.close(db.alive)
		db.loops.Wait()
		if db.server != nil {
			err = db.server.close()
		} else {
			err = db.client.Close()
		}
		db.kill()
	})
	return err
}

// Failed returns a channel that gets an error when the embedded etcd has
// stopped for good, of a disk that failed or filled up, say: etcd ends the
// process at such errors, the store reports them here instead and fails every
// further Update. What was acknowledged is on disk; a new process can open it.
func (db *DB) Failed() <-chan error { return db.failed }
