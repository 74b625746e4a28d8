package avro

import (
	"encoding/binary"
	"fmt"

	twmb "github.com/twmb/avro"
)

// locate finds where in a payload its writer's schema stops to fit: the path with
// the indexes of arrays and the keys of maps, which the Avro library's errors
// lack. "" where the payload fits: then the reader has something against it.
func locate(v *Version, payload []byte) string {
	w := walk{shape: shapeOf(v), data: payload, most: maxItems}
	path, ok := w.value(w.root, v.record, 0)
	if ok {
		return ""
	}
	return path
}

// Bounds of a walk that looks for what is wrong: it runs only for a message that
// is refused already, and gives up with the path so far.
const (
	maxDepth = 100
	maxItems = 10_000
	maxKey   = 40 // bytes of a map's key in a path
)

// walk passes over a payload by its schema.
type walk struct {
	shape
	data    []byte
	items   int // that were passed, of at most
	most    int
	empties int // of them without bytes, of at most maxEmpties
}

// value passes over one value; where it does not fit, it returns its path.
func (w *walk) value(n *twmb.SchemaNode, path string, depth int) (string, bool) {
	if depth > maxDepth {
		return path, false
	}
	if def := w.of(n); def != n {
		return w.value(def, path, depth+1)
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
