// Package logstore keeps log events on disk: groups of streams, each stream a
// row of segments, of which the newest grows and the others are compressed.
// What Write acknowledged is synced. It knows nothing of CloudWatch's wire
// formats; services/logs is its face.
package logstore

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
)

// Errors that faces put into AWS's words.
var (
	ErrNoGroup  = errors.New("the log group does not exist")
	ErrNoStream = errors.New("the log stream does not exist")
	ErrExists   = errors.New("exists already")
	ErrName     = errors.New("the name is not valid")
	ErrTooLarge = errors.New("too large")
)

// Group is a log group. Faces are its writers.
type Group struct {
	cluster.Scope
	Name      string
	ID        string // names the directory; changes when a deleted name is made again
	Class     string // STANDARD, INFREQUENT_ACCESS, DELIVERY
	Retention int32  // days, 0 keeps for ever
	Tags      map[string]string
	CreatedAt time.Time
}

// Stream is a log stream: events of one source.
type Stream struct {
	cluster.Scope
	Group, Name string
	ID          string // names the directory
	CreatedAt   time.Time
}

// Groups is keyed ACCOUNT/REGION/NAME, Streams ACCOUNT/REGION/GROUP:STREAM:
// both names may hold slashes anywhere, neither may hold a colon.
var (
	Groups  = store.NewTable("logs.groups", Group.Key)
	Streams = store.NewTable("logs.streams", Stream.Key,
		store.Index[Stream]{Name: "group", Values: func(s Stream) []string { return []string{s.Scope.Key(s.Group)} }},
		store.Index[Stream]{Name: "id", Values: func(s Stream) []string { return []string{s.ID} }})
)

// Key is the row's key.
func (g Group) Key() string { return g.Scope.Key(g.Name) }

// Key is the row's key.
func (s Stream) Key() string { return streamKey(s.Scope, s.Group, s.Name) }

func streamKey(s cluster.Scope, group, name string) string { return s.Key(group + ":" + name) }

// Event is one log event. Times are milliseconds since 1970.
type Event struct {
	Timestamp int64
	Ingestion int64
	Message   string
}

// Config says where a Store keeps its things.
type Config struct {
	Dir string // made if absent
	DB  *store.DB
	Log *slog.Logger
	// SegmentSize is the size in bytes at which a segment is closed and
	// compressed; 4 MiB if 0.
	SegmentSize int64
	// MaxIdle is how many streams stay in memory that nobody uses: each costs
	// some hundred bytes, and a file while it was written to lately. 1024 if 0.
	MaxIdle int
}

// Store is an open log store. Methods are safe for concurrent use.
type Store struct {
	dir     string
	db      *store.DB
	log     *slog.Logger
	segment int64

	maxIdle int

	mu      sync.Mutex
	streams map[string]*stream  // by Stream.ID: those in use and the idle ones
	idle    list.List           // of *stream, the last used in front
	extents map[string]Extent   // by Stream.ID: of streams that left
	full    map[string]struct{} // by Stream.ID: they wait for the compressor
	watch   watchers
	seal    chan struct{} // wakes the compressor
	work    sync.WaitGroup
	closed  chan struct{}
	once    sync.Once

	compressing sync.Mutex // held by what replaces or deletes segments
}

// Open opens the store over c.Dir. Streams are opened when they are used.
func Open(c Config) (*Store, error) {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("logs: %w", err)
	}
	if c.SegmentSize == 0 {
		c.SegmentSize = 4 << 20
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.MaxIdle == 0 {
		c.MaxIdle = 1024
	}
	s := newStore(c)
	s.work.Go(s.compress)
	return s, nil
}

func newStore(c Config) *Store {
	return &Store{dir: c.Dir, db: c.DB, log: c.Log, segment: c.SegmentSize, maxIdle: c.MaxIdle,
		streams: make(map[string]*stream), extents: make(map[string]Extent), full: make(map[string]struct{}), seal: make(chan struct{}, 1), closed: make(chan struct{})}
}

// Close ends the background work and closes the files; again does nothing.
func (s *Store) Close() error {
	s.once.Do(func() { close(s.closed) })
	s.work.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, st := range s.streams {
		errs = append(errs, st.leave())
	}
	return errors.Join(errs...)
}

// CreateGroup makes a group; ErrExists if there is one of that name, ErrName.
func (s *Store) CreateGroup(ctx context.Context, g Group) error {
	if err := checkGroup(g.Name); err != nil {
		return err
	}
	g.ID, g.CreatedAt = cluster.NewID(), time.Now().UTC()
	return s.db.Update(ctx, func(tx *store.Tx) error {
		if _, ok := Groups.Get(tx, g.Key()); ok {
			return ErrExists
		}
		return Groups.Put(tx, g)
	})
}

// CreateStream makes a stream; ErrExists, ErrNoGroup, ErrName.
func (s *Store) CreateStream(ctx context.Context, scope cluster.Scope, group, name string) error {
	if err := checkStream(name); err != nil {
		return err
	}
	return s.db.Update(ctx, func(tx *store.Tx) error { return createStream(tx, scope, group, name) })
}

func createStream(tx *store.Tx, scope cluster.Scope, group, name string) error {
	g, ok := Groups.Get(tx, scope.Key(group))
	if !ok {
		return ErrNoGroup
	}
	// Written as it is: a deletion of the group meanwhile sees its streams again.
	if err := Groups.Put(tx, g); err != nil {
		return err
	}
	st := Stream{Scope: scope, Group: group, Name: name, ID: cluster.NewID(), CreatedAt: time.Now().UTC()}
	if _, ok := Streams.Get(tx, st.Key()); ok {
		return ErrExists
	}
	return Streams.Put(tx, st)
}

// Ensure makes the stream, and the group too if create says so, where they are
// missing.
func (s *Store) Ensure(ctx context.Context, scope cluster.Scope, group, name string, create bool) error {
	if create {
		if err := s.CreateGroup(ctx, Group{Scope: scope, Name: group, Class: "STANDARD"}); err != nil && !errors.Is(err, ErrExists) {
			return err
		}
	}
	err := s.CreateStream(ctx, scope, group, name)
	if errors.Is(err, ErrExists) {
		return nil
	}
	return err
}

// DeleteStream removes a stream and its events.
func (s *Store) DeleteStream(ctx context.Context, scope cluster.Scope, group, name string) error {
	var id string
	err := s.db.Update(ctx, func(tx *store.Tx) error {
		if _, ok := Groups.Get(tx, scope.Key(group)); !ok {
			return ErrNoGroup
		}
		st, ok := Streams.Get(tx, streamKey(scope, group, name))
		if !ok {
			return ErrNoStream
		}
		id = st.ID
		Streams.Delete(tx, st.Key())
		return nil
	})
	if err != nil {
		return err
	}
	return s.remove(id)
}

// DeleteGroup removes a group with all its streams.
func (s *Store) DeleteGroup(ctx context.Context, scope cluster.Scope, group string) error {
	for more := true; more; {
		var ids []string
		err := s.db.Update(ctx, func(tx *store.Tx) error {
			ids, more = nil, false
			g, ok := Groups.Get(tx, scope.Key(group))
			if !ok {
				return ErrNoGroup
			}
			for st := range Streams.By(tx, "group", g.Key()) {
				if len(ids) == 80 { // a transaction is bounded
					more = true
					return nil
				}
				ids = append(ids, st.ID)
				Streams.Delete(tx, st.Key())
			}
			Groups.Delete(tx, g.Key())
			return nil
		})
		if err != nil {
			return err
		}
		for _, id := range ids {
			if err := s.remove(id); err != nil {
				return err
			}
		}
	}
	return nil
}

// Reset removes all of an account's groups, in every region.
func (s *Store) Reset(ctx context.Context, account string) error {
	var groups []Group
	s.db.View(func(r store.Reader) error {
		for g := range Groups.List(r, account+"/") {
			groups = append(groups, g)
		}
		return nil
	})
	for _, g := range groups {
		if err := s.DeleteGroup(ctx, g.Scope, g.Name); err != nil && !errors.Is(err, ErrNoGroup) {
			return err
		}
	}
	return nil
}

// remove deletes a stream's files.
func (s *Store) remove(id string) error {
	s.compressing.Lock() // or the compressor makes a file in what is deleted
	defer s.compressing.Unlock()
	s.mu.Lock()
	st := s.streams[id]
	delete(s.streams, id)
	delete(s.full, id)
	delete(s.extents, id)
	if st != nil {
		s.stir(st)
	}
	s.mu.Unlock()
	if st != nil {
		st.drop()
	}
	return os.RemoveAll(filepath.Join(s.dir, id))
}
