package avro

import (
	"iter"
	"strings"

	twmb "github.com/twmb/avro"
)

// shape is a version's types as a tree, for what the Avro library does not tell of
// them. It is not changed any more once it is made.
type shape struct {
	root  *twmb.SchemaNode
	named map[string]*twmb.SchemaNode // the definitions, by their full names
}

func shapeOf(v *Version) shape {
	s := shape{v.schema.Root(), map[string]*twmb.SchemaNode{}}
	s.collect(s.root, 0)
	s.qualify(s.root, "", 0)
	return s
}

// of is the definition that a type refers to by its name, else the type itself.
func (s shape) of(n *twmb.SchemaNode) *twmb.SchemaNode {
	if def := s.named[n.Type]; def != nil {
		return def
	}
	return n
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

// qualify gives references their full names: within a namespace they may lack it.
func (s shape) qualify(n *twmb.SchemaNode, space string, depth int) {
	if depth > maxDepth {
		return
	}
	if full := space + "." + n.Type; !named(n) && s.named[full] != nil {
		n.Type = full
	}
	if named(n) {
		space = n.Namespace
		if i := strings.LastIndexByte(n.Name, '.'); i >= 0 {
			space = n.Name[:i]
		}
	}
	for part := range parts(n) {
		s.qualify(part, space, depth+1)
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
