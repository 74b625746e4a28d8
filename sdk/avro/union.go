package avro

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	twmb "github.com/twmb/avro"
)

// The Avro library writes a value of a union as the first of its types that the
// value fits: of two records of one shape always the first, of a string type with
// an enum's name a string. A producer therefore finds out which type of a union a
// value is, and says so to the library. Only unions of which values may fit more
// than one type are looked at, and schemas without any cost nothing.

// route is a type on the way to such unions.
type route struct {
	kind     string
	fields   map[string]*route // of a record, those that lead to unions
	index    sync.Map          // of Go's fields, of a record
	items    *route            // of an array or a map
	branches []branch          // of a union
	schema   *twmb.Schema      // of a union that is to be looked at
}

// branch is one type of a union.
type branch struct {
	name   string   // as a value names it: the full name, or the kind
	also   []string // or by these, which two types may share
	called []string // Go types of it, in any case
	node   *twmb.SchemaNode
	fields []string     // of a record
	schema *twmb.Schema // of unions that are looked at
	below  *route       // nil: there are no such unions below
}

// planner makes routes.
type planner struct {
	shape
	opts  []twmb.SchemaOpt
	known map[*twmb.SchemaNode]*route // of records
}

// routeOf is the way to all unions of a version that are to be looked at, nil if
// there are none.
func routeOf(v *Version, opts ...twmb.SchemaOpt) (*route, error) {
	p := planner{shapeOf(v), opts, map[*twmb.SchemaNode]*route{}}
	return p.route(p.root, 0)
}

func (p *planner) route(n *twmb.SchemaNode, depth int) (*route, error) {
	if n = p.of(n); depth > maxDepth || !p.leads(n, map[*twmb.SchemaNode]bool{}, 0) {
		return nil, nil
	}
	r := &route{kind: n.Type}
	switch n.Type {
	case "record", "error":
		if known := p.known[n]; known != nil {
			return known, nil
		}
		p.known[n], r.fields = r, map[string]*route{}
		for i := range n.Fields {
			below, err := p.route(&n.Fields[i].Type, depth+1)
			if err != nil {
				return nil, err
			}
			if below != nil {
				r.fields[n.Fields[i].Name] = below
			}
		}
	case "array", "map":
		item := n.Items
		if n.Type == "map" {
			item = n.Values
		}
		below, err := p.route(item, depth+1)
		r.items = below
		return r, err
	case "union":
		return r, p.union(r, n, depth)
	}
	return r, nil
}

func (p *planner) union(r *route, n *twmb.SchemaNode, depth int) (err error) {
	look := p.doubtful(n)
	if look {
		if r.schema, err = n.Schema(p.opts...); err != nil {
			return err
		}
	}
	for i := range n.Branches {
		b := branch{node: p.of(&n.Branches[i])}
		b.name = b.node.Type
		if named(b.node) {
			b.name = fullName(b.node)
			b.also = append(b.also, b.name[strings.LastIndexByte(b.name, '.')+1:])
			b.called = goNames(b.name)
		}
		if b.node.LogicalType != "" {
			b.also = append(b.also, b.node.Type+"."+b.node.LogicalType)
		}
		for i := range b.node.Fields {
			b.fields = append(b.fields, b.node.Fields[i].Name)
		}
		if look {
			if b.schema, err = n.Branches[i].Schema(p.opts...); err != nil {
				return fmt.Errorf("the type %s of a union: %w", b.name, err)
			}
		}
		if b.below, err = p.route(b.node, depth+1); err != nil {
			return err
		}
		r.branches = append(r.branches, b)
	}
	return nil
}

// goNames are what a named type may be called in Go: generated types have as much
// of the namespace as tells them apart, and Go's names have no underscores.
func goNames(full string) (list []string) {
	parts := strings.Split(strings.ReplaceAll(full, "_", ""), ".")
	for i := range parts {
		list = append(list, strings.Join(parts[i:], ""))
	}
	return append(list, full[strings.LastIndexByte(full, '.')+1:])
}

// leads reports whether there are unions to look at in a type.
func (p *planner) leads(n *twmb.SchemaNode, seen map[*twmb.SchemaNode]bool, depth int) bool {
	if n = p.of(n); depth > maxDepth || seen[n] {
		return false
	}
	seen[n] = true
	if n.Type == "union" && p.doubtful(n) {
		return true
	}
	for part := range parts(n) {
		if p.leads(part, seen, depth+1) {
			return true
		}
	}
	return false
}

// families are kinds of which a value of one may fit another.
var families = map[string]string{
	"record": "record", "error": "record", "map": "record", "string": "text", "enum": "text", "bytes": "bytes", "fixed": "bytes",
	"int": "whole", "long": "whole", "float": "broken", "double": "broken",
}

// doubtful reports whether values of a union may fit more than one of its types.
// Go's integers alone tell int from long, and float64 from float32.
func (p *planner) doubtful(n *twmb.SchemaNode) bool {
	count, logical, others := map[string]int{}, false, 0
	for i := range n.Branches {
		b := p.of(&n.Branches[i])
		if b.Type != "null" {
			others++
		}
		count[families[b.Type]]++
		logical = logical || b.LogicalType != ""
	}
	return others > 1 && (logical || count["record"] > 1 || count["text"] > 1 || count["bytes"] > 1 || count["whole"] > 0 && count["broken"] > 0)
}

// called finds the type that a value names, by its full name, or by what the Avro
// library takes for it.
func (r *route) called(name string) *branch {
	for i := range r.branches {
		if r.branches[i].name == name {
			return &r.branches[i]
		}
	}
	var found *branch
	for i := range r.branches {
		if slices.Contains(r.branches[i].also, name) {
			if found != nil {
				return nil
			}
			found = &r.branches[i]
		}
	}
	return found
}
