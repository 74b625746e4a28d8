package registry

import (
	"context"
	"hash/maphash"
	"iter"
	"log/slog"
	"sync"
	"time"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/contract"
	"github.com/dhowhq/dhow/store"
)

// Config is what the platform tells the engine.
type Config struct {
	DB  *store.DB
	Log *slog.Logger
	// CacheBytes bounds the parsed schemas that are kept, by the length of their
	// texts: 8 MiB if zero. What is parsed takes some twenty times as much.
	CacheBytes int
	// Guard is asked before versions are deleted, once for all of a schema's that
	// a call deletes, and refuses by an ErrInUse. nil lets all be deleted.
	Guard func(ctx context.Context, list []Version) error
	// Hold is asked the same in the transaction that begins the deleting, so that
	// what it reads and puts there is serialised with it.
	Hold func(tx *store.Tx, list []Version) error
	// Now is the clock; nil is the wall's.
	Now func() time.Time
}

// Engine is the registry of all accounts and regions.
type Engine struct {
	db    *store.DB
	log   *slog.Logger
	guard func(ctx context.Context, list []Version) error
	held  func(tx *store.Tx, list []Version) error
	now   func() time.Time
	cache *cache
	stop  func()
	locks [64]sync.Mutex // of those who register in a schema, by its name's hash
	seed  maphash.Seed
}

// New returns the engine. Deletes are carried out while Run runs.
func New(c Config) *Engine {
	e := &Engine{db: c.DB, log: c.Log, guard: c.Guard, held: c.Hold, now: c.Now, seed: maphash.MakeSeed()}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	if e.now == nil {
		e.now = time.Now
	}
	if e.guard == nil {
		e.guard = func(context.Context, []Version) error { return nil }
	}
	if e.held == nil {
		e.held = func(*store.Tx, []Version) error { return nil }
	}
	if c.CacheBytes == 0 {
		c.CacheBytes = 8 << 20
	}
	e.cache = newCache(c.CacheBytes)
	e.stop = Versions.Follow(e.db, e.cache.changed)
	return e
}

// Close ends what New began.
func (e *Engine) Close() { e.stop() }

// lock keeps others of this process from registering in the same schema: they
// would do the comparing again.
func (e *Engine) lock(n Name) (unlock func()) {
	m := &e.locks[maphash.String(e.seed, n.key())%uint64(len(e.locks))]
	m.Lock()
	return m.Unlock
}

// Registry finds a registry. Error: ErrNoRegistry.
func (e *Engine) Registry(s cluster.Scope, name string) (r Registry, err error) {
	err = e.db.View(func(tx store.Reader) error { r, err = findRegistry(tx, s, name); return err })
	return r, err
}

func findRegistry(r store.Reader, s cluster.Scope, name string) (Registry, error) {
	if name == "" {
		name = Default
	}
	found, ok := Registries.Get(r, Registry{Scope: s, Name: name}.Key())
	if !ok {
		return Registry{}, ErrNoRegistry
	}
	return found, nil
}

// Schema finds a schema. Errors: ErrNoRegistry, ErrNoSchema.
func (e *Engine) Schema(n Name) (s Schema, err error) {
	err = e.db.View(func(r store.Reader) error { s, err = findSchema(r, n); return err })
	return s, err
}

func findSchema(r store.Reader, n Name) (Schema, error) {
	if s, ok := Schemas.Get(r, n.key()); ok {
		return s, nil
	}
	return Schema{}, ErrNoSchema
}

// Level is the level that a schema's next version must keep to: its own, or the
// account's in the region where it inherits that.
func (e *Engine) Level(s Schema) (l contract.Level) {
	e.db.View(func(r store.Reader) error { l = s.level(r); return nil })
	return l
}

// Settings are the account's in the region.
func (e *Engine) Settings(s cluster.Scope) (found Settings) {
	e.db.View(func(r store.Reader) error { found = settings(r, s); return nil })
	return found
}

func settings(r store.Reader, s cluster.Scope) Settings {
	found, ok := AllSettings.Get(r, Settings{Scope: s}.Key())
	if !ok {
		found = Settings{Scope: s}
	}
	if found.Level == "" {
		found.Level = contract.Backward
	}
	if found.Mode == "" {
		found.Mode = "READWRITE"
	}
	return found
}

// SetSettings changes the account's settings in the region.
func (e *Engine) SetSettings(ctx context.Context, s cluster.Scope, change func(*Settings) error) error {
	return e.db.Update(ctx, func(tx *store.Tx) error {
		row := settings(tx, s)
		if err := change(&row); err != nil {
			return err
		}
		return AllSettings.Put(tx, row)
	})
}

// Registries calls f with the registries of a scope by name; f must not keep
// the sequence.
func (e *Engine) Registries(s cluster.Scope, f func(iter.Seq[Registry])) {
	e.db.View(func(r store.Reader) error { f(Registries.List(r, s.Prefix())); return nil })
}

// Schemas calls f with the schemas of a scope, by registry and name, or of one
// registry where it is not "".
func (e *Engine) Schemas(s cluster.Scope, registry string, f func(iter.Seq[Schema])) {
	prefix := s.Prefix()
	if registry != "" {
		prefix = s.Prefix(part(registry))
	}
	e.db.View(func(r store.Reader) error { f(Schemas.List(r, prefix)); return nil })
}

// Versions calls f with the versions of a schema by number, whatever their
// status.
func (e *Engine) Versions(n Name, f func(iter.Seq[Version])) {
	e.db.View(func(r store.Reader) error { f(Versions.List(r, n.key()+"/")); return nil })
}
