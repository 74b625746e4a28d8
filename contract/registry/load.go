package registry

import (
	"fmt"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/contract"
	"github.com/dhowhq/dhow/store"
)

// ByID returns a version parsed, by its UUID. Errors: ErrNoVersion; of failures
// and of what is being deleted too, for no message is of these.
func (e *Engine) ByID(s cluster.Scope, id string) (*Loaded, error) {
	if l := e.cache.byID(id); l != nil && l.Scope == s {
		return l, nil
	}
	return e.find(func(r store.Reader) (Version, error) { return versionByID(r, s, id) }, nil)
}

// Load parses a version of a reader's, which may be newer than what ByID sees.
func (e *Engine) Load(r store.Reader, v Version) (*Loaded, error) {
	if l, err := e.ByID(v.Scope, v.ID); err == nil {
		return l, nil
	}
	return e.load(r, v, -1) // which is kept for nobody else
}

// BySchemaID returns a version parsed, by the number of its definition; which,
// where several schemas have it, is not said. Error: ErrNoVersion.
func (e *Engine) BySchemaID(s cluster.Scope, id int) (*Loaded, error) {
	if l := e.cache.byNumber(schemaID{s, id}); l != nil {
		return l, nil
	}
	return e.find(func(r store.Reader) (Version, error) {
		for v := range Versions.By(r, "schema id", schemaIDKey(s, id)) {
			if v.Status == Available {
				return v, nil
			}
		}
		return Version{}, ErrNoVersion
	}, nil)
}

// ByNumber returns a version parsed, by schema and number; 0 is the latest live
// one. Errors: ErrNoSchema, ErrNoVersion.
func (e *Engine) ByNumber(n Name, number int64) (*Loaded, error) {
	c := call{n.whole(), number, ""}
	if l := e.cache.names.get(c); l != nil {
		return l, nil
	}
	return e.find(func(r store.Reader) (Version, error) { return findVersion(r, n, number) }, &c)
}

// ByRange returns parsed the live version with the highest semantic version in a
// range, as [contract.ParseRange] reads it. Errors: contract.ErrRange,
// ErrNoSchema, ErrNoVersion.
func (e *Engine) ByRange(n Name, rng string) (*Loaded, error) {
	if rng == "" {
		rng = "*"
	}
	c := call{n.whole(), 0, rng}
	if l := e.cache.names.get(c); l != nil {
		return l, nil
	}
	return e.find(func(r store.Reader) (Version, error) { return versionInRange(r, n, rng) }, &c)
}

// find parses what look finds and keeps it, by what it was called too.
func (e *Engine) find(look func(store.Reader) (Version, error), c *call) (l *Loaded, err error) {
	gen := e.cache.gen.Load()
	err = e.db.View(func(r store.Reader) error {
		v, err := look(r)
		if err != nil {
			return err
		}
		if v.Status != Available {
			return ErrNoVersion
		}
		l, err = e.load(r, v, gen)
		return err
	})
	if err != nil {
		return nil, err
	}
	if c != nil {
		e.cache.names.set(*c, l, func() bool { return e.cache.gen.Load() == gen && e.cache.byID(l.ID) == l })
	}
	return l, nil
}

// load returns a version of r parsed; gen is the cache's before r was taken.
func (e *Engine) load(r store.Reader, v Version, gen int64) (*Loaded, error) {
	if l := e.cache.byID(v.ID); l != nil {
		return l, nil
	}
	src, err := source(r, v)
	if err != nil {
		return nil, fmt.Errorf("version %d of %s: %w", v.Number, v.Name, err)
	}
	s, err := contract.Parse(src)
	if err != nil {
		return nil, fmt.Errorf("version %d of %s: %w", v.Number, v.Name, err)
	}
	cost := len(src.Text)
	for _, ref := range src.Refs {
		cost += len(ref.Text)
	}
	return e.cache.add(&Loaded{Version: v, Contract: s, cost: cost}, gen), nil
}
