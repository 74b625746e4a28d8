package pattern

import "math/rand/v2"

// intervals finds the ranges that hold a number. It is a treap by lower bound,
// in which each node knows the highest bound below it.
type intervals struct{ root *inode }

type inode struct {
	lo, hi, most float64
	weight       uint64
	left, right  *inode
	edges        []*edge
}

func (n *inode) compare(lo, hi float64) int {
	switch {
	case lo < n.lo:
		return -1
	case lo > n.lo:
		return 1
	case hi < n.hi:
		return -1
	case hi > n.hi:
		return 1
	}
	return 0
}

func (n *inode) update() *inode {
	n.most = n.hi
	if n.left != nil {
		n.most = max(n.most, n.left.most)
	}
	if n.right != nil {
		n.most = max(n.most, n.right.most)
	}
	return n
}

func (t *intervals) add(lo, hi float64, e *edge) { t.root = t.root.add(lo, hi, e) }

func (n *inode) add(lo, hi float64, e *edge) *inode {
	if n == nil {
		return &inode{lo: lo, hi: hi, most: hi, weight: rand.Uint64(), edges: []*edge{e}}
	}
	switch c := n.compare(lo, hi); {
	case c == 0:
		n.edges = append(n.edges, e)
	case c < 0:
		n.left = n.left.add(lo, hi, e)
		if n.left.weight > n.weight {
			l := n.left
			n.left, l.right = l.right, n
			n.update()
			return l.update()
		}
	default:
		n.right = n.right.add(lo, hi, e)
		if n.right.weight > n.weight {
			r := n.right
			n.right, r.left = r.left, n
			n.update()
			return r.update()
		}
	}
	return n.update()
}

func (t *intervals) remove(lo, hi float64, e *edge) { t.root = t.root.remove(lo, hi, e) }

func (n *inode) remove(lo, hi float64, e *edge) *inode {
	if n == nil {
		return nil
	}
	switch c := n.compare(lo, hi); {
	case c < 0:
		n.left = n.left.remove(lo, hi, e)
	case c > 0:
		n.right = n.right.remove(lo, hi, e)
	default:
		if n.edges = without(n.edges, e); len(n.edges) == 0 {
			return merge(n.left, n.right)
		}
	}
	return n.update()
}

func merge(a, b *inode) *inode {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	case a.weight > b.weight:
		a.right = merge(a.right, b)
		return a.update()
	}
	b.left = merge(a, b.left)
	return b.update()
}

// match calls hit with what is filed under the ranges that hold v.
func (n *inode) match(v float64, hit func(*edge)) {
	for n != nil && n.most >= v {
		n.left.match(v, hit)
		if n.lo > v {
			return
		}
		if n.hi >= v {
			for _, e := range n.edges {
				hit(e)
			}
		}
		n = n.right
	}
}
