package avro

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dhowhq/dhow/contract/verdict"
)

// Bounds on what a comparison looks at and lists; both are far beyond what
// people write.
const (
	maxPairs    = 1 << 15
	maxProblems = 1000
)

// CanRead lists all that keeps readers with this schema from reading what was
// written with another, by the rules of the specification's schema resolution.
// A pair of named types that meets in several places is listed at the first.
// Of a union in the writer's schema every branch has to be readable. At most
// 1000 problems are listed, and schemas so entangled that more than 32,768
// pairs of named types meet are one.
func (s *Schema) CanRead(writer *Schema) []verdict.Problem {
	if s == writer || s.meaning == writer.meaning {
		return nil
	}
	c := comparison{met: map[pair]bool{}}
	if s.root.name != "" {
		c.path = append(c.path, short(s.root.name))
	}
	c.compare(s.root, writer.root)
	return c.problems
}

type pair struct{ reader, writer *typ }

type comparison struct {
	met      map[pair]bool // named types that were compared
	path     []string
	problems []verdict.Problem
	over     bool
}

func (c *comparison) problem(k verdict.Kind, reader, writer verdict.Place, format string, args ...any) {
	if len(c.problems) == maxProblems {
		return
	}
	c.problems = append(c.problems, verdict.Problem{
		Kind: k, Path: strings.TrimPrefix(strings.Join(c.path, ""), "."),
		Reader: reader, Writer: writer, Detail: fmt.Sprintf(format, args...),
	})
}

// below compares what is one step further down.
func (c *comparison) below(step string, reader, writer *typ) {
	c.path = append(c.path, step)
	c.compare(reader, writer)
	c.path = c.path[:len(c.path)-1]
}

func (c *comparison) compare(r, w *typ) {
	switch {
	case c.over:
	case w.kind == kindUnion:
		for _, b := range w.branches {
			c.branch(r, w, b)
		}
	case r.kind == kindUnion:
		c.branch(r, w, w)
	case r.kind == w.kind:
		c.same(r, w)
	case !promotes(w.kind, r.kind):
		c.problem(verdict.Type, r.place, w.place, "%s cannot be read as %s", w.label(), r.label())
	}
}

// branch compares one type that the writer may have chosen, of the union w or
// w itself.
func (c *comparison) branch(r, w, chosen *typ) {
	target := r
	if r.kind == kindUnion {
		target = r.pick(chosen)
	} else if !meets(r, chosen) {
		target = nil
	}
	if target == nil {
		c.problem(verdict.Branch, r.place, chosen.place, "%s, which the writer may send, cannot be read as %s", chosen.label(), r.label())
		return
	}
	c.compare(target, chosen)
}

// meets is the specification's "match" without looking into what both hold:
// that gives reasons of its own.
func meets(r, w *typ) bool {
	if r.kind != w.kind {
		return promotes(w.kind, r.kind)
	}
	return r.name == "" || namesMeet(r, w) && (r.kind != kindFixed || r.size == w.size)
}

// pick is the branch of the reader's union that reads w. The specification
// takes the first that matches; where several do, as with two names that differ
// in their namespaces, implementations prefer the same full name, then the same
// short name, then a promotion.
func (r *typ) pick(w *typ) *typ {
	var found *typ
	best := 0
	for _, b := range r.branches {
		rank := 0
		switch {
		case !meets(b, w):
		case b.kind != w.kind:
			rank = 1
		case b.name == w.name || slices.Contains(b.aliases, w.name):
			rank = 3
		default:
			rank = 2
		}
		if rank > best {
			found, best = b, rank
		}
	}
	return found
}

// namesMeet is the rule for names: the same without their namespaces, or an
// alias of the reader.
func namesMeet(r, w *typ) bool {
	return r.name == w.name || short(r.name) == short(w.name) || slices.Contains(r.aliases, w.name)
}

func promotes(from, to kind) bool {
	switch from {
	case kindInt:
		return to == kindLong || to == kindFloat || to == kindDouble
	case kindLong:
		return to == kindFloat || to == kindDouble
	case kindFloat:
		return to == kindDouble
	case kindString:
		return to == kindBytes
	case kindBytes:
		return to == kindString
	}
	return false
}

// same compares types of one kind.
func (c *comparison) same(r, w *typ) {
	if r.name != "" && !c.names(r, w) {
		return
	}
	switch r.kind {
	case kindRecord:
		c.fields(r, w)
	case kindEnum:
		c.symbols(r, w)
	case kindArray:
		c.below("[]", r.items, w.items)
	case kindMap:
		c.below("{}", r.items, w.items)
	case kindFixed:
		if r.size != w.size {
			c.problem(verdict.Size, r.place, w.place, "%s has %d bytes and cannot be read as %d bytes", w.label(), w.size, r.size)
		}
	}
	if r.logical == "decimal" && w.logical == "decimal" && (r.precision != w.precision || r.scale != w.scale) {
		c.problem(verdict.Logical, r.place, w.place, "decimal(%d,%d) cannot be read as decimal(%d,%d): precision and scale have to be the same",
			w.precision, w.scale, r.precision, r.scale)
	}
}

// names reports whether two named types are to be looked into.
func (c *comparison) names(r, w *typ) bool {
	p := pair{r, w}
	if c.met[p] {
		return false
	}
	if c.met[p] = true; len(c.met) > maxPairs {
		c.over = true
		c.problem(verdict.Type, r.place, w.place, "the schemas are too entangled to be compared: more than %d pairs of types meet", maxPairs)
		return false
	}
	if !namesMeet(r, w) {
		c.problem(verdict.Name, r.place, w.place, "%s cannot be read as %s: the names differ, and no alias joins them", w.label(), r.label())
		return false
	}
	return true
}

func (c *comparison) fields(r, w *typ) {
	from := make([]int32, len(r.fields)) // the writer's field for each, from 1
	for i := range w.fields {
		wf := &w.fields[i]
		n, ok := r.index[wf.name]
		if !ok {
			continue
		}
		if from[n] == 0 {
			from[n] = int32(i + 1)
			continue
		}
		rf, first := &r.fields[n], &w.fields[from[n]-1]
		c.path = append(c.path, "."+rf.name)
		c.problem(verdict.Name, rf.place, wf.place, "the writer's fields %s and %s are both read as field %s, one of them by an alias", first.name, wf.name, rf.name)
		c.path = c.path[:len(c.path)-1]
	}
	for i := range r.fields {
		c.field(r, w, i, int(from[i])-1)
	}
}

func (c *comparison) field(r, w *typ, reader, writer int) {
	rf := &r.fields[reader]
	if writer >= 0 {
		wt := w.fields[writer].typ
		if rf.typ.kind == wt.kind && wt.kind < kindBytes {
			return // the most frequent case, without a step of the path
		}
		c.below("."+rf.name, rf.typ, wt)
		return
	}
	if rf.fallback == nil {
		c.path = append(c.path, "."+rf.name)
		c.problem(verdict.NoDefault, rf.place, verdict.Place{}, "the writer's %s has no field %s, and the reader has no default for it", w.label(), rf.name)
		c.path = c.path[:len(c.path)-1]
	}
}

func (c *comparison) symbols(r, w *typ) {
	if r.falls {
		return
	}
	for _, s := range w.symbols {
		if _, ok := r.index[s.name]; !ok {
			c.problem(verdict.Symbol, r.place, s.place, "symbol %s is not in the reader's %s, which has no default", s.name, r.label())
		}
	}
}
