package jsonschema

import (
	"encoding/json"
	"math/big"
	"strings"

	js "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/dhowhq/dhow/contract/verdict"
)

// types are kinds of JSON values; numbers are of two, so that an integer is one.
type types uint8

const (
	null types = 1 << iota
	boolean
	integer
	fraction
	text
	array
	object

	all     = object<<1 - 1
	numeric = integer | fraction
)

var typeNames = map[string]types{
	"null": null, "boolean": boolean, "integer": integer, "number": numeric, "string": text, "array": array, "object": object,
}

func (t types) String() string {
	var names []string
	for _, n := range []string{"null", "boolean", "number", "integer", "string", "array", "object"} {
		if bits := typeNames[n]; t&bits == bits {
			names = append(names, n)
			t &^= bits
		}
	}
	if t&fraction != 0 {
		names = append(names, "number with a fraction")
	}
	return strings.Join(names, ", ")
}

func typeOf(v any) types {
	switch v := v.(type) {
	case nil:
		return null
	case bool:
		return boolean
	case string:
		return text
	case []any:
		return array
	case map[string]any:
		return object
	case json.Number:
		if r, ok := new(big.Rat).SetString(string(v)); ok && !r.IsInt() {
			return fraction
		}
	}
	return integer
}

// declared are the types that a schema's own "type" lets through.
func declared(n *js.Schema) types {
	if n.Types == nil {
		return all
	}
	var t types
	for _, name := range n.Types.ToStrings() {
		t |= typeNames[name]
	}
	return t
}

// typesOf are the types that a schema lets through by its own keywords.
func (c *comparison) typesOf(n *js.Schema) types {
	t, ok := c.types[n]
	if ok {
		return t
	}
	t = declared(n)
	if n.Bool != nil && !*n.Bool {
		t = 0
	}
	if n.MultipleOf != nil && n.MultipleOf.IsInt() {
		t &^= fraction
	}
	if values, ok := listed(n); ok {
		var of types
		for _, v := range values {
			of |= typeOf(v)
		}
		t &= of
	}
	c.types[n] = t
	return t
}

// typesIn are the types that a set lets through.
func (c *comparison) typesIn(s set) types {
	t := all
	for _, n := range s.nodes {
		t &= c.typesOf(n)
	}
	for _, split := range s.splits {
		var of types
		for _, b := range split {
			of |= c.typesOf(b) & c.throughRefs(b)
		}
		t &= of
	}
	return t
}

func (c *comparison) throughRefs(n *js.Schema) types {
	t := all
	for hops := 0; n.Ref != nil && hops < 10; hops++ {
		n = n.Ref
		t &= c.typesOf(n)
	}
	return t
}

// listed are the values of a schema's enum or const.
func listed(n *js.Schema) ([]any, bool) {
	switch {
	case n.Const != nil:
		return []any{*n.Const}, true
	case n.Enum != nil:
		return n.Enum.Values, true
	}
	return nil, false
}

// few are all the values of a set, where they are a list, or a few integers.
func (c *comparison) few(w set, ts types) ([]any, bool) {
	for _, n := range w.nodes {
		if values, ok := listed(n); ok {
			return c.allowed(w, values), true
		}
	}
	var values []any
	switch {
	case ts&^(null|boolean|integer) != 0:
		return nil, false
	case ts&integer != 0:
		in := c.interval(w, ts)
		if values = in.integers(64); values == nil {
			return nil, false
		}
	}
	return c.allowed(w, append(values, nil, true, false)), true
}

func (c *comparison) allowed(w set, values []any) (out []any) {
	for _, v := range values {
		if !anyNode(w, func(n *js.Schema) bool { return c.refuses(n, v) }) {
			out = append(out, v)
		}
	}
	return out
}

// values compares the values that can be listed one by one, and the others by
// keyword.
func (c *comparison) values(w set, r *js.Schema, path string) {
	ts := c.typesIn(w)
	if values, ok := c.few(w, ts); ok {
		c.each(w, values, r, path)
		return
	}
	c.each(w, c.allowed(w, []any{nil, true, false}), r, path)
	if ts &^= null | boolean; ts != 0 {
		c.keywords(w, ts, r, path)
	}
}

func (c *comparison) each(w set, values []any, r *js.Schema, path string) {
	for _, v := range values {
		if c.done() {
			return
		}
		if c.valid(r, v) {
			continue
		}
		p := problem{kind: verdict.Constraint, path: path, reader: r, writer: w, try: []any{v}}
		switch values, ok := listed(r); {
		case declared(r)&typeOf(v) == 0:
			p.kind, p.detail = verdict.Type, words("%s cannot be read as %s", typeOf(v), declared(r))
		case ok:
			p.kind, p.detail = verdict.Symbol, words("the reader does not know %s, it knows %s", brief(v), brief(values))
		default:
			p.detail = words("the reader refuses %s", brief(v))
		}
		c.report(p)
	}
}

// keywords compares what no list holds, keyword by keyword of the reader.
func (c *comparison) keywords(w set, ts types, r *js.Schema, path string) {
	fail := func(kind verdict.Kind, unsure bool, format string, args ...any) {
		c.report(problem{kind: kind, path: path, reader: r, writer: w, unsure: unsure, detail: words(format, args...)})
	}
	if r.Bool != nil {
		fail(verdict.Constraint, false, "the reader allows nothing here")
		return
	}
	if r.Ref != nil {
		c.sub(w, r.Ref, path)
		if r.DraftVersion < 2019 {
			return
		}
	}
	if missing := ts &^ declared(r); missing != 0 {
		fail(verdict.Type, false, "%s cannot be read as %s", ts&missing, declared(r))
		if ts &^= missing; ts == 0 {
			return
		}
	}
	if values, ok := listed(r); ok {
		fail(verdict.Symbol, true, "the writer may send other values than %s, which are all that the reader knows", brief(values))
		return
	}
	if ts&numeric != 0 {
		c.numbers(w, ts, r, path)
	}
	if ts&text != 0 {
		c.texts(w, r, path)
	}
	if ts&array != 0 {
		c.arrays(w, r, path)
	}
	if ts&object != 0 {
		c.objects(w, r, path)
	}
	c.branches(w, ts, r, path)
}
