package avro

import (
	"maps"
	"sync"
	"sync/atomic"

	"github.com/dhowhq/dhow/contract/wire"
)

// maxCached is how many references a cache knows. More than a service will ever
// see; a sender who makes up spellings of a name gets no further.
const maxCached = 2_000

// cache finds what belongs to a reference without a lock: its tables are copied
// when something is added, which is rare. The zero value is ready.
type cache[V any] struct {
	mu     sync.Mutex // of who adds
	tables atomic.Pointer[tables[V]]
}

// tables have a map for each form: hashing a Reference as a whole costs more
// than the rest of a lookup.
type tables[V any] struct {
	last   wire.Reference // that was added, which most messages are of
	lastV  V
	byUUID map[wire.UUID]V
	byID   map[uint32]V
	byCRC  map[uint64]V
	byName map[[2]string]V
}

func (c *cache[V]) get(r *wire.Reference) (v V, ok bool) {
	t := c.tables.Load()
	if t == nil {
		return v, false
	}
	switch r.Form {
	case wire.Glue:
		if t.last.UUID == r.UUID && t.last.Form == wire.Glue {
			return t.lastV, true
		}
		v, ok = t.byUUID[r.UUID]
	case wire.Confluent:
		v, ok = t.byID[r.ID]
	case wire.SingleObject:
		v, ok = t.byCRC[r.Fingerprint]
	case wire.Named:
		v, ok = t.byName[[2]string{r.Name, r.Version}]
	}
	return v, ok
}

func (c *cache[V]) put(r wire.Reference, v V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := tables[V]{}
	if old := c.tables.Load(); old != nil {
		t = *old
	}
	switch r.Form {
	case wire.Glue:
		t.byUUID = with(t.byUUID, r.UUID, v)
	case wire.Confluent:
		t.byID = with(t.byID, r.ID, v)
	case wire.SingleObject:
		t.byCRC = with(t.byCRC, r.Fingerprint, v)
	case wire.Named:
		t.byName = with(t.byName, [2]string{r.Name, r.Version}, v)
	}
	t.last, t.lastV = r, v
	c.tables.Store(&t)
}

func with[K comparable, V any](m map[K]V, k K, v V) map[K]V {
	if len(m) >= maxCached {
		m = nil
	}
	n := maps.Clone(m)
	if n == nil {
		n = map[K]V{}
	}
	n[k] = v
	return n
}
