package avro

import (
	"math"

	twmb "github.com/twmb/avro"
)

// hollow reports whether there are arrays of what takes no bytes, for which a
// short payload may claim more items than memory holds. The Avro library bounds
// those of one array, and not how many arrays there are.
func (s shape) hollow() bool {
	for _, n := range s.named {
		if s.holds(n, 0) {
			return true
		}
	}
	return s.holds(s.root, 0)
}

// holds looks for such an array in a type, but not behind names.
func (s shape) holds(n *twmb.SchemaNode, depth int) bool {
	if depth > maxDepth {
		return false
	}
	if n.Items != nil && s.empty(n.Items, 0) {
		return true
	}
	for part := range parts(n) {
		if s.holds(part, depth+1) {
			return true
		}
	}
	return false
}

// empty reports whether values of a type may take no bytes.
func (s shape) empty(n *twmb.SchemaNode, depth int) bool {
	if depth > maxDepth {
		return false
	}
	if def := s.of(n); def != n {
		return s.empty(def, depth+1)
	}
	switch n.Type {
	case "null":
		return true
	case "fixed":
		return n.Size == 0
	case "record", "error":
		for i := range n.Fields {
			if !s.empty(&n.Fields[i].Type, depth+1) {
				return false
			}
		}
		return true
	}
	return false
}

// overfull reports whether a payload of a hollow version claims more items
// without bytes than a consumer makes room for.
func (s shape) overfull(payload []byte) bool {
	w := walk{shape: s, data: payload, most: math.MaxInt}
	w.value(w.root, "", 0)
	return w.empties > maxEmpties
}

// maxEmpties bounds the items of a message that take no bytes.
const maxEmpties = 1 << 16
