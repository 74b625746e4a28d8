package jsonschema

import (
	"slices"

	js "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/dhowhq/dhow/contract/verdict"
)

// branches compares what the reader says in terms of other schemas.
func (c *comparison) branches(w set, ts types, r *js.Schema, path string) {
	for _, a := range r.AllOf {
		c.sub(w, a, path)
	}
	for _, t := range []types{numeric & ts, text & ts, array & ts, object & ts} {
		if t == 0 {
			continue
		}
		of := c.join(w, c.ofType(t))
		if len(r.AnyOf) > 0 {
			c.oneOf(of, t, r, r.AnyOf, false, path)
		}
		if len(r.OneOf) > 0 && !c.sameOneOf(w, r) {
			c.oneOf(of, t, r, r.OneOf, true, path)
		}
	}
	unsure := func(detail string) {
		c.report(problem{kind: verdict.Constraint, path: path, reader: r, writer: w, unsure: true, detail: detail})
	}
	if r.Not != nil && !c.sameNot(w, r) && !c.unsat(c.join(w, r.Not), 4) {
		unsure("the writer may send what the reader's \"not\" refuses")
	}
	if r.If != nil && !c.sameIf(w, r) {
		if r.Then != nil {
			c.sub(c.join(w, r.If), r.Then, path)
		}
		if r.Else != nil && !c.try(func() { c.sub(w, r.If, path) }) {
			c.sub(c.join(w, c.not(r.If)), r.Else, path)
		}
	}
	if to, static := c.target(r); to != nil {
		if static {
			c.sub(w, to, path)
		} else {
			unsure("a dynamic reference means what depends on the way to it")
		}
	}
}

// oneOf finds a branch that takes all of w, which is of one kind of value; alone
// if no other may take any of it.
func (c *comparison) oneOf(w set, t types, r *js.Schema, branches []*js.Schema, alone bool, path string) {
	if c.unsat(w, 4) {
		return
	}
	for _, b := range branches {
		if !c.overlaps(w, b) || alone && c.others(w, branches, b) {
			continue
		}
		if c.try(func() { c.sub(w, b, path) }) {
			return
		}
	}
	if len(w.splits) > 0 && c.try(func() { c.eachBranch(w, t, r, branches, alone, path) }) {
		return
	}
	c.noBranch(w, t, r, branches, alone, path)
}

func (c *comparison) eachBranch(w set, t types, r *js.Schema, branches []*js.Schema, alone bool, path string) {
	rest := set{w.nodes, w.splits[1:]}
	for _, b := range w.splits[0] {
		c.oneOf(c.join(rest, b), t, r, branches, alone, path)
	}
}

func (c *comparison) overlaps(w set, b *js.Schema) bool { return !c.unsat(c.join(w, b), 4) }

func (c *comparison) others(w set, branches []*js.Schema, than *js.Schema) bool {
	return slices.ContainsFunc(branches, func(b *js.Schema) bool { return b != than && c.overlaps(w, b) })
}

// noBranch reports that no branch takes all: by what keeps the only one that
// takes any, where there is just one.
func (c *comparison) noBranch(w set, t types, r *js.Schema, branches []*js.Schema, alone bool, path string) {
	var able []*js.Schema
	for _, b := range branches {
		if c.overlaps(w, b) {
			able = append(able, b)
		}
	}
	p := problem{kind: verdict.Branch, path: path, reader: r, writer: w}
	switch {
	case len(able) == 0:
		p.detail = words("no branch of the reader takes this %s", t)
	case len(able) == 1:
		c.sub(w, able[0], path)
		return
	case alone:
		p.detail, p.unsure = words("this %s may match several branches of the reader's \"oneOf\", or none", t), true
	default:
		p.detail, p.unsure = words("this %s may match no branch of the reader's \"anyOf\"", t), true
	}
	c.report(p)
}

// unsat reports that no value is in a set, as far as that is plain to see.
func (c *comparison) unsat(w set, depth int) bool {
	ts := c.typesIn(w)
	if ts == 0 {
		return true
	}
	if c.steps++; c.exhausted() {
		return false
	}
	if anyNode(w, func(n *js.Schema) bool { return n.Not != nil && c.sameAsOne(w, n.Not) }) {
		return true
	}
	for _, n := range w.nodes {
		if values, ok := listed(n); ok {
			return len(c.allowed(w, values)) == 0
		}
	}
	if depth == 0 || ts&(null|boolean) != 0 {
		return false
	}
	possible := ts&numeric != 0 && !c.interval(w, ts).empty() ||
		ts&text != 0 && !textSpan(w).empty() ||
		ts&array != 0 && !c.noArray(w, depth) ||
		ts&object != 0 && !c.noObject(w, depth)
	return !possible || len(w.splits) > 0 && c.noSplit(w, depth)
}

func (c *comparison) noSplit(w set, depth int) bool {
	rest := set{w.nodes, w.splits[1:]}
	for _, b := range w.splits[0] {
		if !c.unsat(c.join(rest, b), depth-1) {
			return false
		}
	}
	return true
}

func (c *comparison) noArray(w set, depth int) bool {
	s := arraySpan(w)
	return s.empty() || s.min > 0 && c.unsat(c.item(w, 0), depth-1)
}

func (c *comparison) noObject(w set, depth int) bool {
	if objectSpan(w).empty() {
		return true
	}
	for name := range required(w) {
		if c.unsat(c.property(w, name), depth-1) {
			return true
		}
	}
	return false
}

// make is a schema of this package's own, one for each key.
func (c *comparison) make(key string, s js.Schema) *js.Schema {
	if _, ok := c.made[key]; !ok {
		s.DraftVersion = 2020
		c.made[key] = &s
	}
	return c.made[key]
}

// ofType is the schema of values of some types.
func (c *comparison) ofType(t types) *js.Schema {
	var of js.Types
	for name, bits := range typeNames {
		if t&bits == bits || name == "number" && t&fraction != 0 {
			of.Add(name)
		}
	}
	return c.make(words("type %d", t), js.Schema{Types: &of})
}
