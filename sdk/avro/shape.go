package avro

import (
	"cmp"
	"iter"
	"strings"

	twmb "github.com/twmb/avro"
)

// shape is a version's types as a tree, for what the Avro library does not tell of
// them. It is not changed any more once it is made.
type shape struct {
	root  *twmb.SchemaNode
	named map[string]*twmb.SchemaNode           // the definitions, by their full names
	refs  map[*twmb.SchemaNode]*twmb.SchemaNode // what refers to them by their names
}

func shapeOf(v *Version) shape {
	s := shape{v.schema.Root(), map[string]*twmb.SchemaNode{}, map[*twmb.SchemaNode]*twmb.SchemaNode{}}
	s.collect(s.root, 0)
	s.refer(s.root, "", 0)
	return s
}

// of is the definition that a type refers to by its name, else the type itself.
func (s shape) of(n *twmb.SchemaNode) *twmb.SchemaNode {
	return cmp.Or(s.refs[n], n)
}

// parts are the types that a type is made of, but not what it refers to.
func parts(n *twmb.SchemaNode) iter.Seq[*twmb.SchemaNode] {
	return func(yield func(*twmb.SchemaNode) bool) {
		for i := range n.Fields {
			if !yield(&n.Fields[i].Type) {
				return
			}
		}
		for i := range n.Branches {
			if !yield(&n.Branches[i]) {
				return
			}
		}
		for _, item := range [...]*twmb.SchemaNode{n.Items, n.Values} {
			if item != nil && !yield(item) {
				return
			}
		}
	}
}

// collect notes the definitions of named types.
func (s shape) collect(n *twmb.SchemaNode, depth int) {
	if depth > maxDepth {
		return
	}
	if named(n) {
		name := fullName(n)
		if s.named[name] == nil {
			s.named[name] = n
		}
	}
	for part := range parts(n) {
		s.collect(part, depth+1)
	}
}

// refer finds what references refer to, and gives them full names: within a
// namespace they may lack it. A type may be called array, so what has parts is none.
func (s shape) refer(n *twmb.SchemaNode, space string, depth int) {
	switch full := space + "." + n.Type; {
	case depth > maxDepth:
		return
	case named(n):
		space = n.Namespace
		if i := strings.LastIndexByte(n.Name, '.'); i >= 0 {
			space = n.Name[:i]
		}
	case n.Items != nil || n.Values != nil || len(n.Branches) > 0:
	case s.named[full] != nil:
		n.Type, s.refs[n] = full, s.named[full]
	case s.named[n.Type] != nil:
		s.refs[n] = s.named[n.Type]
	}
	for part := range parts(n) {
		s.refer(part, space, depth+1)
	}
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
