package pattern

import (
	"slices"
	"sync"
	"unicode/utf8"
)

// Set is an automaton of patterns, each known by a key of its own. A state
// stands for the steps that a rule's beginning has passed; rules with the same
// beginning share states. Putting and deleting cost what the pattern has steps;
// a pattern that is deleted leaves nothing behind.
//
// A Set is safe for concurrent use.
type Set[K comparable] struct {
	mu      sync.RWMutex
	root    state
	paths   pathNode
	keys    map[K]int32
	entries []entry[K]
	free    []int32 // numbers of entries that are not used
	pathIDs ids
	edgeIDs ids
	pool    sync.Pool // *scratch
}

type entry[K comparable] struct {
	key     K
	pattern *Pattern
}

// ids are small numbers, used again.
type ids struct {
	next int32
	free []int32
}

func (i *ids) take() int32 {
	if n := len(i.free); n > 0 {
		id := i.free[n-1]
		i.free = i.free[:n-1]
		return id
	}
	i.next++
	return i.next - 1
}

func (i *ids) give(id int32) { i.free = append(i.free, id) }

// state is where a rule stands after some of its steps.
type state struct {
	fields  []*field // what rules ask next
	byPath  map[*pathNode]*field
	accept  []int32 // entries of which a rule ends here
	absents int     // how many of fields have absent edges
}

// field is what rules in a state ask of a path.
type field struct {
	path   *pathNode
	at     int // in state.fields
	edges  map[string]*edge
	values values
	absent []*edge // that are passed where the path has no leaf
}

// edge is a step of rules in a state, and what follows it.
type edge struct {
	id    int32
	tests []test
	next  state
	rules int // that take it
}

// NewSet returns an empty set.
func NewSet[K comparable]() *Set[K] {
	s := &Set[K]{keys: map[K]int32{}}
	s.pool.New = func() any { return newScratch() }
	return s
}

// Len is the number of patterns.
func (s *Set[K]) Len() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.keys)
}

// Put sets the pattern of key k.
func (s *Set[K]) Put(k K, p *Pattern) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(k)
	var n int32
	if last := len(s.free) - 1; last >= 0 {
		n, s.free = s.free[last], s.free[:last]
	} else {
		n = int32(len(s.entries))
		s.entries = append(s.entries, entry[K]{})
	}
	s.keys[k], s.entries[n] = n, entry[K]{k, p}
	for _, r := range p.rules {
		at := &s.root
		for _, st := range r {
			at = s.take(at, st)
		}
		at.accept = append(at.accept, n)
	}
}

// Delete removes the pattern of key k, if there is one.
func (s *Set[K]) Delete(k K) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(k)
}

func (s *Set[K]) remove(k K) {
	n, ok := s.keys[k]
	if !ok {
		return
	}
	for _, r := range s.entries[n].pattern.rules {
		s.untake(&s.root, r, n)
	}
	delete(s.keys, k)
	s.entries[n] = entry[K]{}
	s.free = append(s.free, n)
}

// take goes a step on from a state, and makes the way if it is not there.
func (s *Set[K]) take(at *state, st step) *state {
	p := s.path(st.path)
	f := at.byPath[p]
	if f == nil {
		f = &field{path: p, at: len(at.fields), edges: map[string]*edge{}}
		if at.byPath == nil {
			at.byPath = map[*pathNode]*field{}
		}
		at.byPath[p] = f
		at.fields = append(at.fields, f)
		p.steps++
	}
	e := f.edges[st.id]
	if e == nil {
		e = &edge{id: s.edgeIDs.take(), tests: st.tests}
		f.edges[st.id] = e
		for _, t := range e.tests {
			if t.op != opAbsent {
				f.values.add(t, e)
				continue
			}
			if len(f.absent) == 0 {
				at.absents++
			}
			f.absent = append(f.absent, e)
		}
	}
	e.rules++
	return &e.next
}

// untake removes a rule of entry n from a state on.
func (s *Set[K]) untake(at *state, r rule, n int32) {
	if len(r) == 0 {
		i := slices.Index(at.accept, n)
		at.accept = slices.Delete(at.accept, i, i+1)
		return
	}
	p := s.path(r[0].path)
	f := at.byPath[p]
	e := f.edges[r[0].id]
	s.untake(&e.next, r[1:], n)
	if e.rules--; e.rules > 0 {
		return
	}
	for _, t := range e.tests {
		if t.op != opAbsent {
			f.values.remove(t, e)
		} else if f.absent = without(f.absent, e); f.absent == nil {
			at.absents--
		}
	}
	delete(f.edges, r[0].id)
	s.edgeIDs.give(e.id)
	if len(f.edges) > 0 {
		return
	}
	last := len(at.fields) - 1
	at.fields[f.at] = at.fields[last]
	at.fields[f.at].at = f.at
	at.fields[last] = nil
	at.fields = at.fields[:last]
	delete(at.byPath, p)
	p.steps--
	s.prune(p)
}

// path returns the node of a path, and makes it.
func (s *Set[K]) path(names []string) *pathNode {
	p := &s.paths
	for _, name := range names {
		k := p.kids[name]
		if k == nil {
			k = &pathNode{parent: p, name: name, id: s.pathIDs.take()}
			if p.kids == nil {
				p.kids = map[string]*pathNode{}
			}
			p.kids[name] = k
		}
		p = k
	}
	return p
}

// prune removes path nodes that nothing asks for.
func (s *Set[K]) prune(p *pathNode) {
	for p.parent != nil && p.steps == 0 && len(p.kids) == 0 {
		delete(p.parent.kids, p.name)
		s.pathIDs.give(p.id)
		p = p.parent
	}
}

// Match appends the keys of the patterns that match event to dst. The order is
// not told. The error is that the event is no JSON object, or nested deeper than
// 1000.
func (s *Set[K]) Match(event []byte, dst []K) ([]K, error) {
	if !utf8.Valid(event) {
		return dst, errJSON
	}
	m := s.pool.Get().(*scratch)
	defer s.pool.Put(m)
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := m.read(event, &s.paths, int(s.pathIDs.next)); err != nil {
		return dst, err
	}
	m.begin(len(s.entries), int(s.edgeIDs.next))
	m.walk(&s.root)
	if m.budget > 0 {
		for _, n := range m.found {
			dst = append(dst, s.entries[n].key)
		}
		return dst, nil
	}
	// Arrays that are not related multiply. Then each pattern is asked for
	// itself, which costs no more than the event's size each.
	root, err := decode(event)
	if err != nil {
		return dst, err
	}
	for k, n := range s.keys {
		if m.seen[n] == m.gen || s.entries[n].pattern.matches(root) {
			dst = append(dst, k)
		}
	}
	return dst, nil
}
