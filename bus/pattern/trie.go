package pattern

import (
	"slices"
	"sort"
)

// trie holds wildcards by their bytes; beginnings that they share are walked
// once. A wildcard is segments with anything between them: the prefix abc is
// abc and "".
type trie struct{ root tnode }

// tnode stands for label behind its parent. Any bytes may follow a node with a
// star before what the star holds.
type tnode struct {
	label string
	kids  []*tnode // by their labels' first bytes, which differ
	star  *tnode   // has an empty label
	edges []*edge  // of wildcards that end here
}

func (n *tnode) kid(c byte) (int, bool) {
	if len(n.kids) == 1 {
		return 0, n.kids[0].label[0] == c
	}
	i := sort.Search(len(n.kids), func(i int) bool { return n.kids[i].label[0] >= c })
	return i, i < len(n.kids) && n.kids[i].label[0] == c
}

func (t *trie) empty() bool {
	return len(t.root.kids) == 0 && t.root.star == nil && len(t.root.edges) == 0
}

// add files e under a wildcard.
func (t *trie) add(segs []string, e *edge) {
	n := &t.root
	for i, seg := range segs {
		if i > 0 {
			if n.star == nil {
				n.star = &tnode{}
			}
			n = n.star
		}
		n = n.descend(seg)
	}
	n.edges = append(n.edges, e)
}

// descend returns the node that stands for seg below n, and makes it.
func (n *tnode) descend(seg string) *tnode {
	if seg == "" {
		return n
	}
	i, ok := n.kid(seg[0])
	if !ok {
		if i < len(n.kids) && n.kids[i].label[0] < seg[0] {
			i++
		}
		leaf := &tnode{label: seg}
		n.kids = slices.Insert(n.kids, i, leaf)
		return leaf
	}
	k := n.kids[i]
	same := 0
	for same < len(seg) && same < len(k.label) && seg[same] == k.label[same] {
		same++
	}
	if same < len(k.label) {
		upper := &tnode{label: k.label[:same], kids: []*tnode{k}}
		k.label = k.label[same:]
		n.kids[i] = upper
		k = upper
	}
	return k.descend(seg[same:])
}

// remove takes e from under a wildcard, where it is.
func (t *trie) remove(segs []string, e *edge) { t.root.remove(segs, e) }

func (n *tnode) remove(segs []string, e *edge) {
	seg := segs[0]
	switch {
	case seg != "":
		i, _ := n.kid(seg[0])
		k := n.kids[i]
		k.remove(append([]string{seg[len(k.label):]}, segs[1:]...), e)
		switch {
		case k.bare() && len(k.kids) == 0:
			n.kids = slices.Delete(n.kids, i, i+1)
		case k.bare() && len(k.kids) == 1:
			only := k.kids[0]
			only.label = k.label + only.label
			n.kids[i] = only
		}
	case len(segs) > 1:
		n.star.remove(segs[1:], e)
		if n.star.bare() && len(n.star.kids) == 0 {
			n.star = nil
		}
	default:
		n.edges = without(n.edges, e)
	}
}

// bare reports whether no wildcard ends at n or has an asterisk there.
func (n *tnode) bare() bool { return len(n.edges) == 0 && n.star == nil }

// walker goes through a trie with a value.
type walker struct {
	at    []place  // within labels, or at their ends
	loops []*tnode // stars that were reached; they stay so
}

type place struct {
	n   *tnode
	off int
}

// match calls hit with what is filed under the wildcards that value matches. It
// may do so more than once. With back the value is read from its end.
func (t *trie) match(value []byte, back bool, w *walker, hit func(*edge)) {
	w.at, w.loops = append(w.at[:0], place{&t.root, 0}), w.loops[:0]
	w.arrive(&t.root, hit)
	for i := range value {
		if len(w.at) == 0 && len(w.loops) == 0 {
			return
		}
		c := value[i]
		if back {
			c = value[len(value)-1-i]
		}
		w.step(c, hit)
	}
	for _, p := range w.at {
		if p.off == len(p.n.label) {
			for _, e := range p.n.edges {
				hit(e)
			}
		}
	}
}

// step takes a byte. The places before it are overwritten by those after it:
// each makes one at most, but for the loops, whose come last.
func (w *walker) step(c byte, hit func(*edge)) {
	old, loops := w.at, len(w.loops)
	w.at = old[:0]
	for _, p := range old {
		if p.off < len(p.n.label) {
			if p.n.label[p.off] == c {
				w.enter(p.n, p.off+1, hit)
			}
		} else if i, ok := p.n.kid(c); ok && len(p.n.kids) > 0 {
			w.enter(p.n.kids[i], 1, hit)
		}
	}
	for _, l := range w.loops[:loops] {
		if i, ok := l.kid(c); ok {
			w.enter(l.kids[i], 1, hit)
		}
	}
}

func (w *walker) enter(n *tnode, off int, hit func(*edge)) {
	w.at = append(w.at, place{n, off})
	if off == len(n.label) {
		w.arrive(n, hit)
	}
}

// arrive is at the end of n's label: its star, if it has one, is reached.
func (w *walker) arrive(n *tnode, hit func(*edge)) {
	if n.star == nil {
		return
	}
	for _, e := range n.star.edges {
		hit(e)
	}
	if len(n.star.kids) > 0 && !slices.Contains(w.loops, n.star) {
		w.loops = append(w.loops, n.star)
	}
}

func without(es []*edge, e *edge) []*edge {
	if i := slices.Index(es, e); i >= 0 {
		last := len(es) - 1
		es[i] = es[last]
		es[last] = nil
		es = es[:last]
	}
	if len(es) == 0 {
		return nil
	}
	return es
}
