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
	names   [fans]struct {
		sync.RWMutex
		m map[Name]*calls
	}

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

// calls are the versions of a schema by what lookups call them.
type calls struct {
	numbers map[int64]*Loaded // 0: the latest
	ranges  map[string]*Loaded
}

// maxCalls bounds the numbers, and the ranges, of a schema that are kept.
const maxCalls = 256

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

func newCache(bytes int) *cache { return &cache{left: bytes} }

// fanID spreads UUIDs, fanName names.
func fanID(id string) uint {
	if len(id) < 8 {
		return 0
	}
	return uint(id[7])
}

func fanName(n Name) uint {
	if n.Schema == "" {
		return 0
	}
	return uint(len(n.Schema)) + uint(n.Schema[len(n.Schema)-1])
}

func (c *cache) byID(id string) *Loaded { return c.ids.get(fanID(id), id) }

func (c *cache) byNumber(k schemaID) *Loaded { return c.numbers.get(uint(k.id), k) }

func (c *cache) byName(n Name, number int64) (l *Loaded) {
	f := &c.names[fanName(n)%fans]
	f.RLock()
	if k := f.m[n]; k != nil {
		l = k.numbers[number]
	}
	f.RUnlock()
	return l.touch()
}

func (c *cache) byRange(n Name, rng string) (l *Loaded) {
	f := &c.names[fanName(n)%fans]
	f.RLock()
	if k := f.m[n]; k != nil {
		l = k.ranges[rng]
	}
	f.RUnlock()
	return l.touch()
}

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

// call keeps what a lookup of a schema came to, as add does.
func (c *cache) call(n Name, gen int64, set func(*calls)) {
	f := &c.names[fanName(n)%fans]
	f.Lock()
	defer f.Unlock()
	if c.gen.Load() != gen {
		return
	}
	if f.m == nil {
		f.m = map[Name]*calls{}
	}
	k := f.m[n]
	if k == nil || len(k.numbers) >= maxCalls || len(k.ranges) >= maxCalls {
		k = &calls{map[int64]*Loaded{}, map[string]*Loaded{}}
		f.m[n] = k
	}
	set(k)
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
	c.forget(l.Schema())
}

func (c *cache) forget(n Name) {
	f := &c.names[fanName(n)%fans]
	f.Lock()
	delete(f.m, n)
	f.Unlock()
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
	c.forget(v.Schema())
}
