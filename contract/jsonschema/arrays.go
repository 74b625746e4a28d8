package jsonschema

import (
	"slices"

	js "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/dhowhq/dhow/contract/verdict"
)

// tuple is what a schema says of an array's items: those at the front each on
// their own, then the others. A nil rest says nothing.
func (c *comparison) tuple(n *js.Schema) (front []*js.Schema, rest *js.Schema) {
	switch items := n.Items.(type) {
	case []*js.Schema:
		front, rest = items, c.orBool(n.AdditionalItems)
	case *js.Schema:
		rest = items
	}
	if n.PrefixItems != nil || n.Items2020 != nil {
		front, rest = n.PrefixItems, n.Items2020
	}
	if rest == nil && n.UnevaluatedItems != nil && plain(n) && n.Contains == nil {
		rest = n.UnevaluatedItems
	}
	return front, rest
}

// orBool is the schema of a keyword that takes true and false as well.
func (c *comparison) orBool(v any) *js.Schema {
	switch v := v.(type) {
	case *js.Schema:
		return v
	case bool:
		return c.make(words("%v", v), js.Schema{Bool: &v})
	}
	return nil
}

// plain reports that nothing but a schema's own keywords evaluates parts of a
// value.
func plain(n *js.Schema) bool {
	return n.Ref == nil && n.RecursiveRef == nil && n.DynamicRef == nil && n.If == nil &&
		len(n.AllOf)+len(n.AnyOf)+len(n.OneOf)+len(n.DependentSchemas)+len(n.Dependencies) == 0
}

func arraySpan(w set) span {
	s := span{0, -1}
	for _, n := range w.nodes {
		s.narrow(n.MinItems, n.MaxItems)
	}
	return s
}

// item is what a set says of the item at an index.
func (c *comparison) item(w set, i int) set {
	var of []*js.Schema
	for _, n := range w.nodes {
		front, rest := c.tuple(n)
		if i < len(front) {
			of = append(of, front[i])
		} else if rest != nil {
			of = append(of, rest)
		}
	}
	return c.join(set{}, of...)
}

// fronts is how many items a set and a schema may speak of one by one.
func (c *comparison) fronts(w set, r *js.Schema) int {
	front, _ := c.tuple(r)
	n := len(front)
	for _, s := range w.nodes {
		front, _ := c.tuple(s)
		n = max(n, len(front))
	}
	return n
}

func (c *comparison) arrays(w set, r *js.Schema, path string) {
	s := arraySpan(w)
	if s.empty() {
		return
	}
	p := problem{path: path, reader: r, writer: c.join(w, c.ofType(array))}
	c.within(s, r.MinItems, r.MaxItems, "items", p)
	c.items(p.writer, s, r, path)
	p.kind = verdict.Constraint
	if r.UniqueItems && !anyNode(w, func(n *js.Schema) bool { return n.UniqueItems }) && (s.max < 0 || s.max > 1) {
		p.detail, p.unsure = "the writer may send an item twice", true
		p.try = c.twice(p.writer, s)
		c.report(p)
	}
	if r.Contains != nil && !c.contains(w, s, r) {
		p.detail, p.unsure = "the writer's items may not be as many as the reader's \"contains\" wants", true
		c.report(p)
	}
	if u := r.UnevaluatedItems; u != nil && (u.Bool == nil || !*u.Bool) {
		if _, rest := c.tuple(r); rest == nil {
			p.detail, p.unsure = "\"unevaluatedItems\" depends on branches", true
			c.report(p)
		}
	}
}

func anyNode(w set, is func(*js.Schema) bool) bool { return slices.ContainsFunc(w.nodes, is) }

func (c *comparison) items(w set, s span, r *js.Schema, path string) {
	front, rest := c.tuple(r)
	n := c.fronts(w, r)
	for i := range n + 1 {
		of := rest
		if i < len(front) {
			of = front[i]
		}
		if of == nil || s.max >= 0 && i >= s.max {
			continue
		}
		at := path + words("[%d]", i)
		if i == n {
			at = path + "[]"
		}
		c.in(c.aroundItem(w, s, i), func() { c.sub(c.item(w, i), of, at) })
	}
}

// aroundItem makes an array with a value at an index.
func (c *comparison) aroundItem(w set, s span, i int) frame {
	return func(inner any) (any, bool) {
		for _, n := range []int{max(s.min, i+1), i + 1} {
			arr, ok := c.arrayOf(w, n, 3)
			if ok {
				arr[i] = inner
				if c.allows(w, arr) {
					return arr, true
				}
			}
		}
		return nil, false
	}
}

func (c *comparison) arrayOf(w set, n, depth int) ([]any, bool) {
	if n > 100 {
		return nil, false
	}
	arr := make([]any, n)
	for i := range arr {
		of := c.samples(c.item(w, i), nil, depth-1)
		for _, s := range w.nodes {
			if s.Contains != nil && depth > 1 {
				of = append(c.samples(c.join(c.item(w, i), s.Contains), nil, depth-1), of...)
			}
		}
		if len(of) == 0 {
			return nil, false
		}
		arr[i] = of[i%len(of)]
	}
	return arr, true
}

// twice makes arrays with equal items.
func (c *comparison) twice(w set, s span) (out []any) {
	for _, v := range c.samples(c.item(w, 0), nil, 3) {
		arr := make([]any, max(s.min, 2))
		for i := range min(len(arr), 100) {
			arr[i] = v
		}
		out = append(out, arr)
	}
	return out
}

// contains reports whether enough items, and not too many, are surely what the
// reader's contains wants.
func (c *comparison) contains(w set, s span, r *js.Schema) bool {
	least := 1
	if r.MinContains != nil {
		least = *r.MinContains
	}
	if least == 0 && r.MaxContains == nil {
		return true
	}
	for _, n := range w.nodes {
		if n.Contains == nil || !c.same(n.Contains, r.Contains) {
			continue
		}
		has := 1
		if n.MinContains != nil {
			has = *n.MinContains
		}
		if has >= least && (r.MaxContains == nil || n.MaxContains != nil && *n.MaxContains <= *r.MaxContains) {
			return true
		}
	}
	if s.min < least || r.MaxContains != nil && (s.max < 0 || s.max > *r.MaxContains) {
		return false
	}
	for i := range c.fronts(w, r) + 1 {
		if !c.try(func() { c.sub(c.item(w, i), r.Contains, "") }) {
			return false
		}
	}
	return true
}
