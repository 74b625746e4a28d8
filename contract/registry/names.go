package registry

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
)

// names is a cache of what schemas' versions are called. A lookup takes no lock:
// what a call came to is in one of the slots that its hash names, or nowhere.
type names struct {
	seed  maphash.Seed
	slots []atomic.Pointer[called]

	mu   sync.Mutex
	used map[Name][]uint // slots that the schema's calls are or were in
}

// call is how a version is asked for: by number, 0 for the latest, or by range.
type call struct {
	Name
	number int64
	rng    string
}

type called struct {
	call
	l *Loaded
}

// slotCount is how many calls are kept, a power of two.
const slotCount = 4096

func (n *names) init() {
	n.seed, n.slots, n.used = maphash.MakeSeed(), make([]atomic.Pointer[called], slotCount), map[Name][]uint{}
}

// slot is the first of the two that a call may be in; the other is its neighbour.
func (n *names) slot(c *call) uint {
	h := maphash.String(n.seed, c.Schema) ^ 31*maphash.String(n.seed, c.Registry) ^ 127*maphash.String(n.seed, c.Account)
	if c.rng != "" {
		h += 8191 * maphash.String(n.seed, c.rng)
	}
	h += uint64(c.number) * 0x9e3779b97f4a7c15
	return uint(h>>20) % slotCount
}

func (n *names) get(c call) *Loaded {
	s := n.slot(&c)
	for _, s := range [2]uint{s, s ^ 1} {
		if p := n.slots[s].Load(); p != nil && p.call == c {
			return p.l.touch()
		}
	}
	return nil
}

// set keeps what a call came to, if current says that it is still so; what then
// happens to the schema's versions is told to forget.
func (n *names) set(c call, l *Loaded, current func() bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !current() {
		return
	}
	s := n.slot(&c)
	if p := n.slots[s].Load(); p != nil && p.call != c {
		s ^= 1
	}
	if p := n.slots[s].Swap(&called{c, l}); p != nil {
		n.unuse(p.Name, s)
	}
	n.used[c.Name] = append(n.used[c.Name], s)
}

// unuse takes a slot off a schema's.
func (n *names) unuse(name Name, slot uint) {
	left := n.used[name]
	for i, s := range left {
		if s == slot {
			left[i] = left[len(left)-1]
			left = left[:len(left)-1]
			break
		}
	}
	if n.used[name] = left; len(left) == 0 {
		delete(n.used, name)
	}
}

// forget drops all calls of a schema.
func (n *names) forget(name Name) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, s := range n.used[name] {
		n.slots[s].Store(nil)
	}
	delete(n.used, name)
}
