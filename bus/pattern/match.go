package pattern

// maxWork is how many steps one event may take through a set's states before
// its patterns are asked one by one.
const maxWork = 200_000

// scratch is what matching one event needs; it is used again.
type scratch struct {
	flat
	walker walker
	folded []byte
	found  []int32  // entries
	seen   []uint32 // by entry: gen, if it is in found
	gen    uint32
	hits   []hit
	passed []visit // by edge: when it was last hit
	visits uint32
	chosen []int32 // elements of arrays that hold the leaves of the steps so far
	budget int

	onHit func(*edge) // hit for the leaf that is looked at
	now   visit
}

func newScratch() *scratch {
	m := &scratch{}
	m.onHit = func(e *edge) {
		if m.passed[e.id] != m.now {
			m.passed[e.id] = m.now
			m.hits = append(m.hits, hit{e, m.now.mem})
		}
	}
	return m
}

// hit is an edge that a leaf in mem passes.
type hit struct {
	e   *edge
	mem int32
}

type visit struct {
	n   uint32
	mem int32
}

func (m *scratch) begin(entries, edges int) {
	if len(m.seen) < entries {
		m.seen = make([]uint32, max(entries, 2*len(m.seen)))
		m.gen = 0
	}
	if m.gen++; m.gen == 0 {
		clear(m.seen)
		m.gen = 1
	}
	if len(m.passed) < edges {
		m.passed = make([]visit, max(edges, 2*len(m.passed)))
		m.visits = 0
	}
	if m.visits > 1<<31 {
		clear(m.passed)
		m.visits = 0
	}
	m.found, m.hits, m.chosen, m.budget = m.found[:0], m.hits[:0], m.chosen[:0], maxWork
}

// walk takes the steps that the event passes from a state on.
func (m *scratch) walk(at *state) {
	for _, n := range at.accept {
		if m.seen[n] != m.gen {
			m.seen[n] = m.gen
			m.found = append(m.found, n)
		}
	}
	if len(at.fields) <= len(m.paths)+at.absents {
		for _, f := range at.fields {
			m.ask(f)
		}
		return
	}
	for _, p := range m.paths {
		if f := at.byPath[p]; f != nil {
			m.ask(f)
		}
	}
	if at.absents > 0 {
		for _, f := range at.fields {
			if len(f.absent) > 0 && m.at(f.path) < 0 {
				m.ask(f)
			}
		}
	}
}

// ask follows the edges of a field.
func (m *scratch) ask(f *field) {
	from := len(m.hits)
	l := m.at(f.path)
	if l < 0 {
		for _, e := range f.absent {
			m.hits = append(m.hits, hit{e, -1})
		}
	}
	if l >= 0 {
		m.visits++
		for ; l >= 0; l = m.leaves[l].next {
			m.now = visit{m.visits, m.leaves[l].mem}
			f.values.match(&m.leaves[l], m, m.onHit)
		}
	}
	for i := from; i < len(m.hits) && m.budget > 0; i++ {
		m.budget--
		m.follow(m.hits[i])
	}
	m.hits = m.hits[:from]
}

func (m *scratch) follow(h hit) {
	if h.mem < 0 {
		m.walk(&h.e.next)
		return
	}
	for _, c := range m.chosen {
		if !m.together(c, h.mem) {
			return
		}
	}
	m.chosen = append(m.chosen, h.mem)
	m.walk(&h.e.next)
	m.chosen = m.chosen[:len(m.chosen)-1]
}
