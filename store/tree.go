package store

import (
	"slices"
	"strings"
)

// nodeMax is the largest number of keys of a node. Small nodes make the copies
// of a write cheap, large ones make the tree shallow.
const nodeMax = 32

// edit marks the nodes that one writer made and may still change in place.
// Nodes of an earlier edit are shared with snapshots and are copied first.
type edit struct{ _ byte }

// tree is an ordered map of strings: a B+ tree whose copy is a snapshot. The
// zero tree is empty. Readers need no lock as long as writers use an edit that
// is younger than the reader's copy.
type tree[V any] struct {
	root *node[V]
	n    int
}

// node is a leaf (kids is nil, vals belong to keys) or an inner node (kids[i]
// holds the keys from keys[i] on; keys[0] is a lower bound only).
type node[V any] struct {
	by   *edit
	keys []string
	vals []V
	kids []*node[V]
}

// grow returns the tree of keys that are in order and differ, and their values.
// It keeps the slices.
func grow[V any](keys []string, vals []V) tree[V] {
	t := tree[V]{n: len(keys)}
	level := make([]*node[V], 0, len(keys)/nodeMax+1)
	for from := 0; from < len(keys); from += nodeMax {
		to := min(from+nodeMax, len(keys))
		level = append(level, &node[V]{keys: keys[from:to:to], vals: vals[from:to:to]})
	}
	for len(level) > 1 {
		var above []*node[V]
		for kids := range slices.Chunk(level, nodeMax) {
			n := &node[V]{kids: kids}
			for _, kid := range kids {
				n.keys = append(n.keys, kid.keys[0])
			}
			above = append(above, n)
		}
		level = above
	}
	if len(level) == 1 {
		t.root = level[0]
	}
	return t
}

// get returns the value under key.
func (t tree[V]) get(key string) (v V, ok bool) {
	n := t.root
	if n == nil {
		return v, false
	}
	for n.kids != nil {
		n = n.kids[n.child(key)]
	}
	i, ok := slices.BinarySearch(n.keys, key)
	if !ok {
		return v, false
	}
	return n.vals[i], true
}

// child is the index of the kid that covers key.
func (n *node[V]) child(key string) int {
	i, ok := slices.BinarySearch(n.keys, key)
	if ok || i == 0 {
		return i
	}
	return i - 1
}

// set puts v under key.
func (t *tree[V]) set(e *edit, key string, v V) {
	if t.root == nil {
		t.root = &node[V]{by: e}
	}
	t.root = t.root.own(e)
	added, right := t.root.set(e, key, v)
	if added {
		t.n++
	}
	if right != nil {
		t.root = &node[V]{
			by:   e,
			keys: []string{t.root.keys[0], right.keys[0]},
			kids: []*node[V]{t.root, right},
		}
	}
}

// own returns n if e made it, else a copy that e may change.
func (n *node[V]) own(e *edit) *node[V] {
	if n.by == e {
		return n
	}
	c := &node[V]{by: e, keys: grown(n.keys)}
	if n.kids != nil {
		c.kids = grown(n.kids)
	} else {
		c.vals = grown(n.vals)
	}
	return c
}

// grown copies s with room for one more, so that the usual insert after a copy
// does not copy again.
func grown[E any](s []E) []E {
	return append(make([]E, 0, len(s)+1), s...)
}

// set puts v under key in the subtree n, which e owns. A node that overflows
// keeps its left half and returns the right one.
func (n *node[V]) set(e *edit, key string, v V) (added bool, right *node[V]) {
	if n.kids == nil {
		i, ok := slices.BinarySearch(n.keys, key)
		if ok {
			n.vals[i] = v
			return false, nil
		}
		n.keys = slices.Insert(n.keys, i, key)
		n.vals = slices.Insert(n.vals, i, v)
		return true, n.split(e, i)
	}
	i := n.child(key)
	kid := n.kids[i].own(e)
	n.kids[i] = kid
	added, r := kid.set(e, key, v)
	n.keys[i] = min(n.keys[i], kid.keys[0])
	if r != nil {
		n.keys = slices.Insert(n.keys, i+1, r.keys[0])
		n.kids = slices.Insert(n.kids, i+1, r)
		right = n.split(e, i+1)
	}
	return added, right
}

// split moves the right part of an overflowing node into a new one. Where the
// last insert was at the end the left node stays nearly full: keys that only
// grow fill their nodes.
func (n *node[V]) split(e *edit, inserted int) *node[V] {
	if len(n.keys) <= nodeMax {
		return nil
	}
	at := len(n.keys) / 2
	if inserted == len(n.keys)-1 {
		at = len(n.keys) - 1
	}
	r := &node[V]{by: e, keys: slices.Clone(n.keys[at:])}
	n.keys = shrunk(n.keys, at)
	if n.kids != nil {
		r.kids = slices.Clone(n.kids[at:])
		n.kids = shrunk(n.kids, at)
	} else {
		r.vals = slices.Clone(n.vals[at:])
		n.vals = shrunk(n.vals, at)
	}
	return r
}

// shrunk cuts s to its first n elements and forgets the others.
func shrunk[E any](s []E, n int) []E {
	clear(s[n:])
	return s[:n]
}

// delete removes key and reports whether it was there.
func (t *tree[V]) delete(e *edit, key string) bool {
	if _, ok := t.get(key); !ok {
		return false
	}
	t.root = t.root.own(e)
	t.root.delete(e, key)
	t.n--
	for len(t.root.kids) == 1 {
		t.root = t.root.kids[0]
	}
	if len(t.root.keys) == 0 {
		t.root = nil
	}
	return true
}

// delete removes key, which is there, from the subtree n, which e owns.
func (n *node[V]) delete(e *edit, key string) {
	if n.kids == nil {
		i, _ := slices.BinarySearch(n.keys, key)
		n.keys = slices.Delete(n.keys, i, i+1)
		n.vals = slices.Delete(n.vals, i, i+1)
		return
	}
	i := n.child(key)
	kid := n.kids[i].own(e)
	n.kids[i] = kid
	kid.delete(e, key)
	if len(kid.keys) >= nodeMax/4 {
		return
	}
	if len(kid.keys) == 0 {
		n.drop(i)
		return
	}
	// Join a small node to a neighbour if both fit in one.
	if i > 0 {
		i--
	}
	if i+1 < len(n.kids) && len(n.kids[i].keys)+len(n.kids[i+1].keys) <= nodeMax*3/4 {
		l, r := n.kids[i].own(e), n.kids[i+1]
		l.keys = append(l.keys, r.keys...)
		l.vals = append(l.vals, r.vals...)
		if l.kids != nil {
			l.kids = append(l.kids, r.kids...)
		}
		n.kids[i] = l
		n.drop(i + 1)
	}
}

// drop removes the kid at i.
func (n *node[V]) drop(i int) {
	n.keys = slices.Delete(n.keys, i, i+1)
	n.kids = slices.Delete(n.kids, i, i+1)
}

// ascend yields the entries whose keys begin with prefix, in order, until
// yield says false.
func (t tree[V]) ascend(prefix string, yield func(key string, v V) bool) {
	if t.root != nil {
		t.root.ascend(prefix, yield)
	}
}

func (n *node[V]) ascend(prefix string, yield func(string, V) bool) bool {
	if n.kids == nil {
		i, _ := slices.BinarySearch(n.keys, prefix)
		for ; i < len(n.keys); i++ {
			if !strings.HasPrefix(n.keys[i], prefix) || !yield(n.keys[i], n.vals[i]) {
				return false
			}
		}
		return true
	}
	for i := n.child(prefix); i < len(n.kids); i++ {
		if !n.kids[i].ascend(prefix, yield) {
			return false
		}
	}
	return true
}
