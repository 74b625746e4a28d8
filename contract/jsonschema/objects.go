package jsonschema

import (
	"maps"
	"slices"

	js "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/dhowhq/dhow/contract/verdict"
)

// content is what a schema says of the properties that it does not name: a
// closed content model says false, an open one nothing (nil).
type content struct {
	named    map[string]bool
	patterns []js.Regexp
	rest     *js.Schema
}

func (m content) covers(name string) bool {
	return m.named[name] || slices.ContainsFunc(m.patterns, func(p js.Regexp) bool { return p.MatchString(name) })
}

// contents are the models that a schema has: additionalProperties looks beside
// itself, unevaluatedProperties into what allOf and $ref lead to as well. ok is
// false where that depends on the value.
func (c *comparison) contents(n *js.Schema) (models []content, ok bool) {
	m, known := c.models[n]
	if !known {
		m.models, m.ok = c.findContents(n)
		c.models[n] = m
	}
	return m.models, m.ok
}

type modelled struct {
	models []content
	ok     bool
}

func (c *comparison) findContents(n *js.Schema) (models []content, ok bool) {
	ok = true
	if n.AdditionalProperties != nil {
		models = append(models, content{names(n), patterns(n), c.orBool(n.AdditionalProperties)})
	} else if n.UnevaluatedProperties != nil {
		m := content{named: map[string]bool{}, rest: n.UnevaluatedProperties}
		if ok = c.evaluated(n, &m, 0); ok {
			models = append(models, m)
		}
	}
	return models, ok || n.UnevaluatedProperties.Bool != nil && *n.UnevaluatedProperties.Bool
}

func (c *comparison) evaluated(n *js.Schema, m *content, depth int) bool {
	if n.If != nil || len(n.AnyOf)+len(n.OneOf)+len(n.DependentSchemas)+len(n.Dependencies) > 0 || depth > 20 ||
		depth > 0 && (n.AdditionalProperties != nil || n.UnevaluatedProperties != nil) {
		return false
	}
	maps.Copy(m.named, names(n))
	m.patterns = append(m.patterns, patterns(n)...)
	for _, a := range n.AllOf {
		if !c.evaluated(a, m, depth+1) {
			return false
		}
	}
	if to, static := c.target(n); to != nil && (!static || !c.evaluated(to, m, depth+1)) {
		return false
	}
	return n.Ref == nil || c.evaluated(n.Ref, m, depth+1)
}

func names(n *js.Schema) map[string]bool {
	out := map[string]bool{}
	for name := range n.Properties {
		out[name] = true
	}
	return out
}

func patterns(n *js.Schema) []js.Regexp { return slices.Collect(maps.Keys(n.PatternProperties)) }

// of lists what a schema says of the property of a name.
func (c *comparison) of(n *js.Schema, name string) (out []*js.Schema) {
	if s, ok := n.Properties[name]; ok {
		out = append(out, s)
	}
	for p, s := range n.PatternProperties {
		if p.MatchString(name) {
			out = append(out, s)
		}
	}
	models, _ := c.contents(n)
	for _, m := range models {
		if m.rest != nil && !m.covers(name) {
			out = append(out, m.rest)
		}
	}
	return out
}

// property is what a set says of the property of a name.
func (c *comparison) property(w set, name string) set {
	of := c.other(w, name)
	if c.refusesName(w, name) {
		return c.join(of, c.orBool(false))
	}
	return of
}

func (c *comparison) refusesName(w set, name string) bool {
	return anyNode(w, func(n *js.Schema) bool { return n.PropertyNames != nil && c.refuses(n.PropertyNames, name) })
}

// other is what a set says of properties like that of a name, whatever it says
// of the name itself.
func (c *comparison) other(w set, name string) set {
	var of []*js.Schema
	for _, n := range w.nodes {
		of = append(of, c.of(n, name)...)
	}
	return c.join(set{}, of...)
}

// matching is what a set says of properties that no schema names and that match
// a pattern of its own.
func (c *comparison) matching(w set, pattern string) set {
	var of []*js.Schema
	for _, n := range w.nodes {
		for p, s := range n.PatternProperties {
			if p.String() == pattern {
				of = append(of, s)
			}
		}
		models, _ := c.contents(n)
		for _, m := range models {
			if m.rest != nil && len(m.patterns) == 0 {
				of = append(of, m.rest)
			}
		}
	}
	return c.join(set{}, of...)
}

func objectSpan(w set) span {
	s := span{0, -1}
	for _, n := range w.nodes {
		s.narrow(n.MinProperties, n.MaxProperties)
	}
	s.min = max(s.min, len(required(w)))
	return s
}

// required are the properties that all objects of a set have.
func required(w set) map[string]bool {
	out := map[string]bool{}
	for grown := -1; grown < len(out); {
		grown = len(out)
		for _, n := range w.nodes {
			for _, name := range n.Required {
				out[name] = true
			}
			for name := range maps.Clone(out) {
				for _, also := range needs(n, name) {
					out[also] = true
				}
			}
		}
	}
	return out
}

// needs are the properties that an object with one of a name must have.
func needs(n *js.Schema, name string) []string {
	if also, ok := n.Dependencies[name].([]string); ok {
		return slices.Concat(also, n.DependentRequired[name])
	}
	return n.DependentRequired[name]
}

// triggered is what else holds for objects with a property.
func triggered(w set, name string) (out []*js.Schema) {
	for _, n := range w.nodes {
		if s, ok := n.Dependencies[name].(*js.Schema); ok {
			out = append(out, s)
		}
		if s, ok := n.DependentSchemas[name]; ok {
			out = append(out, s)
		}
	}
	return out
}

// having is the objects of a set that have a property.
func (c *comparison) having(w set, name string) set {
	return c.join(w, append(triggered(w, name), c.make("has "+name, js.Schema{Required: []string{name}}))...)
}

// closedNames are all the properties that objects of a set may have, if they
// are named.
func (c *comparison) closedNames(w set) (map[string]bool, bool) {
	for _, n := range w.nodes {
		models, _ := c.contents(n)
		for _, m := range models {
			if m.rest != nil && m.rest.Bool != nil && !*m.rest.Bool && len(m.patterns) == 0 {
				return m.named, true
			}
		}
	}
	return nil, false
}

func (c *comparison) objects(w set, r *js.Schema, path string) {
	w = c.join(w, c.ofType(object))
	for name := range required(w) {
		w = c.join(w, triggered(w, name)...)
	}
	s := objectSpan(w)
	if closed, ok := c.closedNames(w); ok && (s.max < 0 || s.max > len(closed)) {
		s.max = len(closed)
	}
	if s.empty() {
		return
	}
	p := problem{path: path, reader: r, writer: w}
	c.within(s, r.MinProperties, r.MaxProperties, "properties", p)
	c.missing(w, r, path)
	c.named(w, r, path)
	c.unnamed(w, r, path)
	c.dependent(w, r, path)
	c.propertyNames(w, r, path)
	if _, ok := c.contents(r); !ok {
		p.kind, p.detail, p.unsure = verdict.Constraint, "\"unevaluatedProperties\" depends on branches", true
		c.report(p)
	}
}

// missing reports what the reader needs and the writer may leave out.
func (c *comparison) missing(w set, r *js.Schema, path string) {
	has := required(w)
	for _, name := range r.Required {
		if !has[name] {
			c.report(problem{
				kind: verdict.NoDefault, path: path + member(name), reader: r, writer: w, try: c.without(w, name),
				detail: "the reader requires it and the writer may leave it out",
			})
		}
	}
}

// without makes objects that lack a property.
func (c *comparison) without(w set, name string) (out []any) {
	if c.quiet > 0 {
		return nil
	}
	for _, v := range c.samples(w, nil, 4) {
		if obj, ok := v.(map[string]any); ok {
			obj = maps.Clone(obj)
			delete(obj, name)
			out = append(out, obj)
		}
	}
	return out
}

// named compares the properties that either side names.
func (c *comparison) named(w set, r *js.Schema, path string) {
	all, has := names(r), required(w)
	s := objectSpan(w)
	full := s.max >= 0 && len(has) >= s.max // nothing but what is required
	models, _ := c.contents(r)
	if len(models) > 0 || len(r.PatternProperties) > 0 {
		for _, n := range w.nodes {
			maps.Copy(all, names(n))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		of := c.of(r, name)
		if len(of) == 0 || full && !has[name] {
			continue
		}
		p := c.property(w, name)
		c.in(c.aroundProperty(w, name), func() {
			for _, s := range of {
				c.sub(p, s, path+member(name))
			}
		})
	}
}

// unnamed compares the properties that neither names: those that match patterns
// and those that match none.
func (c *comparison) unnamed(w set, r *js.Schema, path string) {
	models, _ := c.contents(r)
	if of, name, any := c.unspoken(w, r); any {
		c.in(c.aroundProperty(w, name), func() {
			for _, m := range models {
				if m.rest != nil {
					c.sub(of, m.rest, path+".*")
				}
			}
		})
	}
	own := map[string]bool{} // the reader's patterns
	for p, s := range r.PatternProperties {
		own[p.String()] = true
		c.pattern(w, p, s, r, path)
	}
	for _, q := range allPatterns(w) {
		for _, m := range models {
			if m.rest == nil || own[q] {
				continue
			}
			of := c.matching(w, q)
			if !c.try(func() { c.sub(of, m.rest, path) }) {
				c.report(problem{
					kind: verdict.Constraint, path: path + ".*", reader: r, writer: w, unsure: true, try: c.withName(w, samplePattern(q)),
					detail: words("properties that match the writer's %q may be refused", q),
				})
			}
		}
	}
}

func allPatterns(w set) (out []string) {
	for _, n := range w.nodes {
		for p := range n.PatternProperties {
			out = append(out, p.String())
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// pattern compares properties that match a pattern of the reader and that no
// one names.
func (c *comparison) pattern(w set, p js.Regexp, s, r *js.Schema, path string) {
	classes := []set{}
	if slices.Contains(allPatterns(w), p.String()) {
		classes = append(classes, c.matching(w, p.String()))
	} else {
		for _, q := range allPatterns(w) {
			classes = append(classes, c.matching(w, q))
		}
		if of, _, any := c.unspoken(w, nil); any {
			classes = append(classes, of)
		}
	}
	for _, of := range classes {
		if !c.unsat(of, 4) && !c.try(func() { c.sub(of, s, path) }) {
			c.report(problem{
				kind: verdict.Constraint, path: path + ".*", reader: r, writer: w, unsure: true, try: c.withName(w, samplePattern(p.String())),
				detail: words("properties that match the reader's %q may be refused", p),
			})
			return
		}
	}
}

// withName makes objects with a property of a name.
func (c *comparison) withName(w set, name string) (out []any) {
	if c.quiet > 0 {
		return nil
	}
	around := c.aroundProperty(w, name)
	for _, v := range c.samples(c.property(w, name), nil, 3) {
		if obj, ok := around(v); ok {
			out = append(out, obj)
		}
	}
	return out
}

// unspoken is what a set says of properties that no one names or matches, with
// the name of one; any is false where a pattern matches all names.
func (c *comparison) unspoken(w set, r *js.Schema) (of set, name string, any bool) {
	all := w.nodes
	if r != nil {
		all = append(slices.Clone(w.nodes), r)
	}
	for _, n := range all {
		for _, p := range patterns(n) {
			if slices.Contains([]string{"", "^", "$", ".*", "^.*$", "^.*", ".*$", "[\\s\\S]*"}, p.String()) {
				return set{}, "", false
			}
		}
	}
	free := func(name string) bool {
		return !slices.ContainsFunc(all, func(n *js.Schema) bool {
			return content{named: names(n), patterns: patterns(n)}.covers(name)
		})
	}
	tries := []string{"other", "Other9", "x", "_", "~", "1", "été", "another name"}
	for _, n := range w.nodes {
		if n.PropertyNames != nil {
			for _, v := range c.samples(c.join(set{}, c.ofType(text), n.PropertyNames), nil, 2) {
				if name, ok := v.(string); ok {
					tries = append([]string{name}, tries...)
				}
			}
		}
	}
	found := false
	for _, t := range tries {
		if free(t) && (!found || c.refusesName(w, name)) {
			name, found = t, true
		}
	}
	if !found { // there may be one yet: only what holds for all names is said of it
		return c.matching(w, "\x00"), "other", true
	}
	return c.other(w, name), name, true
}

// aroundProperty makes an object with a value for a property.
func (c *comparison) aroundProperty(w set, name string) frame {
	return func(inner any) (any, bool) {
		for _, v := range append(c.samples(c.having(w, name), nil, 3), c.samples(w, nil, 3)...) {
			if obj, ok := v.(map[string]any); ok {
				obj = maps.Clone(obj)
				obj[name] = inner
				if c.allows(w, obj) {
					return obj, true
				}
			}
		}
		return nil, false
	}
}

// dependent compares what a property's presence asks for.
func (c *comparison) dependent(w set, r *js.Schema, path string) {
	has := required(w)
	on := slices.Collect(maps.Keys(r.Dependencies))
	on = slices.AppendSeq(slices.AppendSeq(on, maps.Keys(r.DependentRequired)), maps.Keys(r.DependentSchemas))
	slices.Sort(on)
	for _, name := range slices.Compact(on) {
		with := c.having(w, name)
		if !has[name] && c.unsat(c.property(w, name), 4) {
			continue
		}
		then := required(with)
		for _, also := range needs(r, name) {
			if !then[also] {
				c.report(problem{
					kind: verdict.NoDefault, path: path + member(also), reader: r, writer: with, try: c.without(with, also),
					detail: words("the reader requires it beside %s and the writer may leave it out", name),
				})
			}
		}
		if s, ok := r.Dependencies[name].(*js.Schema); ok {
			c.sub(with, s, path)
		}
		if s, ok := r.DependentSchemas[name]; ok {
			c.sub(with, s, path)
		}
	}
}

func (c *comparison) propertyNames(w set, r *js.Schema, path string) {
	if r.PropertyNames == nil {
		return
	}
	fail := func(try []any) {
		c.report(problem{
			kind: verdict.Constraint, path: path, reader: r, writer: w, unsure: try == nil, try: try,
			detail: "the writer may send properties of names that the reader refuses",
		})
	}
	if closed, ok := c.closedNames(w); ok {
		for _, name := range slices.Sorted(maps.Keys(closed)) {
			if !c.valid(r.PropertyNames, name) && !c.unsat(c.property(w, name), 4) {
				fail(c.withName(w, name))
			}
		}
		return
	}
	of := []*js.Schema{c.ofType(text)}
	for _, n := range w.nodes {
		if n.PropertyNames != nil {
			of = append(of, n.PropertyNames)
		}
	}
	if in := c.join(set{}, of...); !c.try(func() { c.sub(in, r.PropertyNames, path) }) {
		var try []any
		for _, name := range c.samples(in, r.PropertyNames, 2) {
			try = append(try, c.withName(w, name.(string))...)
		}
		fail(try)
	}
}
