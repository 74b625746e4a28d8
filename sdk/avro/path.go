package avro

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	twmb "github.com/twmb/avro"
)

// locate finds where in a payload its writer's schema stops to fit: the path with
// the indexes of arrays and the keys of maps, which the Avro library's errors
// lack. "" where the payload fits: then the reader has something against it.
func locate(v *Version, payload []byte) string {
	w, root := newWalk(v, payload, maxItems)
	path, ok := w.value(root, v.record, 0)
	if ok {
		return ""
	}
	return path
}

// hollow reports whether a version has arrays of what takes no bytes, for which
// a short payload may claim more items than memory holds. The Avro library bounds
// those of one array, and not how many arrays there are.
func hollow(v *Version) bool {
	w, root := newWalk(v, nil, 0)
	for _, n := range append(slices.Collect(maps.Values(w.named)), root) {
		if w.holds(n, 0) {
			return true
		}
	}
	return false
}

// holds looks for such an array in a type, but not behind names.
func (w *walk) holds(n *twmb.SchemaNode, depth int) bool {
	if n == nil || depth > maxDepth {
		return false
	}
	if n.Type == "array" && w.empty(n.Items, 0) {
		return true
	}
	for i := range n.Fields {
		if w.holds(&n.Fields[i].Type, depth+1) {
			return true
		}
	}
	for i := range n.Branches {
		if w.holds(&n.Branches[i], depth+1) {
			return true
		}
	}
	return w.holds(n.Items, depth+1) || w.holds(n.Values, depth+1)
}

// empty reports whether values of a type may take no bytes.
func (w *walk) empty(n *twmb.SchemaNode, depth int) bool {
	if depth > maxDepth {
		return false
	}
	switch n.Type {
	case "null":
		return true
	case "fixed":
		return n.Size == 0
	case "record", "error":
		for i := range n.Fields {
			if !w.empty(&n.Fields[i].Type, depth+1) {
				return false
			}
		}
		return true
	}
	def := w.named[n.Type]
	return def != nil && def != n && w.empty(def, depth+1)
}

// overfull reports whether a payload of a hollow version claims more items
// without bytes than a consumer makes room for.
func overfull(v *Version, payload []byte) bool {
	w, root := newWalk(v, payload, math.MaxInt)
	w.value(root, "", 0)
	return w.empties > maxEmpties
}

// maxEmpties bounds the items of a message that take no bytes.
const maxEmpties = 1 << 16

// Bounds of a walk that looks for what is wrong: it runs only for a message that
// is refused already, and gives up with the path so far.
const (
	maxDepth = 100
	maxItems = 10_000
	maxKey   = 40 // bytes of a map's key in a path
)

type walk struct {
	data    []byte
	items   int // that were passed, of at most
	most    int
	empties int // of them without bytes, of at most maxEmpties
	named   map[string]*twmb.SchemaNode
}

func newWalk(v *Version, payload []byte, most int) (*walk, *twmb.SchemaNode) {
	root := v.schema.Root()
	w := &walk{data: payload, most: most, named: map[string]*twmb.SchemaNode{}}
	w.collect(root, 0)
	w.qualify(root, "", 0)
	return w, root
}

// qualify gives references their full names: within a namespace they may lack it.
func (w *walk) qualify(n *twmb.SchemaNode, space string, depth int) {
	if n == nil || depth > maxDepth {
		return
	}
	if full := space + "." + n.Type; !named(n) && w.named[full] != nil {
		n.Type = full
	}
	if named(n) {
		space = n.Namespace
		if i := strings.LastIndexByte(n.Name, '.'); i >= 0 {
			space = n.Name[:i]
		}
	}
	for i := range n.Fields {
		w.qualify(&n.Fields[i].Type, space, depth+1)
	}
	for i := range n.Branches {
		w.qualify(&n.Branches[i], space, depth+1)
	}
	w.qualify(n.Items, space, depth+1)
	w.qualify(n.Values, space, depth+1)
}

// named reports whether a node defines a type: others may have a name that means
// nothing.
func named(n *twmb.SchemaNode) bool {
	return n.Name != "" && (n.Type == "record" || n.Type == "error" || n.Type == "enum" || n.Type == "fixed")
}

func fullName(n *twmb.SchemaNode) string {
	if n.Namespace == "" || strings.Contains(n.Name, ".") {
		return n.Name
	}
	return n.Namespace + "." + n.Name
}

// collect notes the definitions of named types.
func (w *walk) collect(n *twmb.SchemaNode, depth int) {
	if n == nil || depth > maxDepth {
		return
	}
	if named(n) {
		name := fullName(n)
		if w.named[name] == nil {
			w.named[name] = n
		}
	}
	for i := range n.Fields {
		w.collect(&n.Fields[i].Type, depth+1)
	}
	for i := range n.Branches {
		w.collect(&n.Branches[i], depth+1)
	}
	w.collect(n.Items, depth+1)
	w.collect(n.Values, depth+1)
}

// value passes over one value; where it does not fit, it returns its path.
func (w *walk) value(n *twmb.SchemaNode, path string, depth int) (string, bool) {
	if depth > maxDepth {
		return path, false
	}
	switch n.Type {
	case "null":
		return path, true
	case "boolean":
		return path, w.skip(1)
	case "int", "long":
		_, ok := w.long()
		return path, ok
	case "float":
		return path, w.skip(4)
	case "double":
		return path, w.skip(8)
	case "bytes", "string":
		size, ok := w.long()
		return path, ok && w.skip(size)
	case "fixed":
		return path, w.skip(int64(n.Size))
	case "enum":
		i, ok := w.long()
		return path, ok && i >= 0 && i < int64(len(n.Symbols))
	case "union":
		i, ok := w.long()
		if !ok || i < 0 || i >= int64(len(n.Branches)) {
			return path, false
		}
		return w.value(&n.Branches[i], path, depth+1)
	case "array", "map":
		return w.blocks(n, path, depth)
	case "record", "error":
		for i := range n.Fields {
			if p, ok := w.value(&n.Fields[i].Type, path+"."+n.Fields[i].Name, depth+1); !ok {
				return p, false
			}
		}
		return path, true
	}
	if def := w.named[n.Type]; def != nil {
		return w.value(def, path, depth+1)
	}
	return path, false
}

// blocks passes over the items of an array or map.
func (w *walk) blocks(n *twmb.SchemaNode, path string, depth int) (string, bool) {
	for at := 0; ; {
		count, ok := w.long()
		if ok && count < 0 {
			count = -count
			_, ok = w.long() // the block's length in bytes
		}
		if !ok || count < 0 {
			return path, false
		}
		if count == 0 {
			return path, true
		}
		for ; count > 0; count-- {
			if w.items++; w.items > w.most || w.empties > maxEmpties {
				return path, false
			}
			left := len(w.data)
			item, inner := n.Items, fmt.Sprintf("%s[%d]", path, at)
			if n.Type == "map" {
				size, ok := w.long()
				if !ok || size < 0 || size > int64(len(w.data)) {
					return path, false
				}
				item, inner = n.Values, fmt.Sprintf("%s[%q]", path, w.data[:min(size, maxKey)])
				w.data = w.data[size:]
			}
			if p, ok := w.value(item, inner, depth+1); !ok {
				return p, false
			}
			if len(w.data) == left {
				w.empties++
			}
			at++
		}
	}
}

func (w *walk) skip(n int64) bool {
	if n < 0 || n > int64(len(w.data)) {
		return false
	}
	w.data = w.data[n:]
	return true
}

func (w *walk) long() (int64, bool) {
	v, n := binary.Varint(w.data)
	if n <= 0 {
		return 0, false
	}
	w.data = w.data[n:]
	return v, true
}
