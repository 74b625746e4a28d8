package registry

import (
	"sync"
	"sync/atomic"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/contract"
	"github.com/dhowhq/dhow/store"
)

// Loaded is a version with its schema parsed. It is shared: change nothing.
type Loaded struct {
	Version
	Contract contract.Schema

	cost int // bytes of text
	used atomic.Bool
	slot int // in the cache's ring
}

// cache keeps parsed schemas by all that they are called, within a bound of
// bytes: of what was not used since the clock's hand last passed it, it lets go.
type cache struct {
	ids     shards[string]
	numbers shards[schemaID]
	names   names

	gen  atomic.Int64 // counts changes of versions
	mu   sync.Mutex   // of the ring
	ring []*Loaded
	hand int
	left int // bytes
}

type schemaID struct {
	cluster.Scope
	id int
}

const fans = 16

// shards is a map for many readers.
type shards[K comparable] [fans]struct {
	sync.RWMutex
	m map[K]*Loaded
}

func (s *shards[K]) get(fan uint, k K) *Loaded {
	f := &s[fan%fans]
	f.RLock()
	l := f.m[k]
	f.RUnlock()
	return l.touch()
}

func (s *shards[K]) set(fan uint, k K, l *Loaded) {
	f := &s[fan%fans]
	f.Lock()
	defer f.Unlock()
	if l == nil {
		delete(f.m, k)
		return
	}
	if f.m == nil {
		f.m = map[K]*Loaded{}
	}
	f.m[k] = l
}

func (l *Loaded) touch() *Loaded {
	if l != nil && !l.used.Load() {
		l.used.Store(true)
	}
	return l
}

func newCache(bytes int) *cache {
	c := &cache{left: bytes}
	c.names.init()
	return c
}

// fanID spreads UUIDs.
func fanID(id string) uint {
	if len(id) < 8 {
		return 0
	}
	return uint(id[7])
}

func (c *cache) byID(id string) *Loaded { return c.ids.get(fanID(id), id) }

func (c *cache) byNumber(k schemaID) *Loaded { return c.numbers.get(uint(k.id), k) }

// add keeps l, unless a version has changed since gen: l may be out of date. It
// returns what is kept.
func (c *cache) add(l *Loaded, gen int64) *Loaded {
	c.mu.Lock()
	defer c.mu.Unlock()
	if kept := c.ids.get(fanID(l.ID), l.ID); kept != nil {
		return kept
	}
	if c.gen.Load() != gen {
		return l
	}
	l.used.Store(true)
	l.slot = len(c.ring)
	c.ring, c.left = append(c.ring, l), c.left-l.cost
	c.ids.set(fanID(l.ID), l.ID, l)
	if l.SchemaID != 0 {
		c.numbers.set(uint(l.SchemaID), schemaID{l.Scope, l.SchemaID}, l)
	}
	for c.left < 0 && len(c.ring) > 1 {
		if c.hand >= len(c.ring) {
			c.hand = 0
		}
		if old := c.ring[c.hand]; old == l || old.used.Swap(false) {
			c.hand++
		} else {
			c.drop(old)
		}
	}
	return l
}

// drop forgets l; c.mu is held.
func (c *cache) drop(l *Loaded) {
	last := c.ring[len(c.ring)-1]
	c.ring[l.slot], last.slot = last, l.slot
	c.ring[len(c.ring)-1] = nil
	c.ring, c.left = c.ring[:len(c.ring)-1], c.left+l.cost
	c.ids.set(fanID(l.ID), l.ID, nil)
	if k := (schemaID{l.Scope, l.SchemaID}); c.numbers.get(uint(k.id), k) == l {
		c.numbers.set(uint(k.id), k, nil)
	}
	c.names.forget(l.Schema())
}

// changed follows the table.
func (c *cache) changed(ch store.Change[Version]) {
	v := ch.New
	if v == nil {
		v = ch.Old
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gen.Add(1)
	if l := c.ids.get(fanID(v.ID), v.ID); l != nil {
		c.drop(l)
		return
	}
	c.names.forget(v.Schema())
}
