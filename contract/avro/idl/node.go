package idl

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/dhowhq/dhow/contract/verdict"
)

// node is a part of a schema in JSON: a literal, an array, an object, or the
// name of a type that is yet to be found.
type node struct {
	place   verdict.Place
	what    what
	text    string // of literals the JSON, of strings the characters, of references the name
	space   string // of references, the namespace around
	items   []*node
	members []member
}

type what byte

const (
	literal what = iota
	str
	array
	object
	reference
)

type member struct {
	name string
	node *node
}

func (n *node) member(name string) *node {
	for _, m := range n.members {
		if m.name == name {
			return m.node
		}
	}
	return nil
}

// textOf is a member that is a string, else "".
func (n *node) textOf(name string) string {
	if m := n.member(name); m != nil && m.what == str {
		return m.text
	}
	return ""
}

func (n *node) add(name string, value *node) {
	n.members = append(n.members, member{name, value})
}

func (n *node) addText(name, value string) {
	n.add(name, &node{place: n.place, what: str, text: value})
}

var primitives = map[string]bool{
	"null": true, "boolean": true, "int": true, "long": true, "float": true, "double": true, "bytes": true, "string": true,
}

func join(space, name string) string {
	if space == "" || strings.Contains(name, ".") {
		return name
	}
	return space + "." + name
}

func spaceOf(name string) string { return name[:max(0, strings.LastIndexByte(name, '.'))] }

// value reads a JSON value, which may hold comments.
func (r *reader) value(depth int) (*node, error) {
	t, err := r.take()
	if err != nil {
		return nil, err
	}
	n := &node{place: r.place(t.line)}
	switch {
	case depth > maxNesting:
		return nil, r.fail(t.line, "JSON nests deeper than %d levels", maxNesting)
	case t.form == text:
		n.what, n.text = str, t.text
		return n, nil
	case t.form == number && json.Valid([]byte(t.text)), t.form == word && (t.text == "true" || t.text == "false" || t.text == "null"):
		n.text = t.text
		return n, nil
	case t.text == "[" && t.form == mark:
		n.what = array
		return n, r.list("]", func() error {
			item, err := r.value(depth + 1)
			n.items = append(n.items, item)
			return err
		})
	case t.text == "{" && t.form == mark:
		n.what = object
		return n, r.list("}", func() error { return r.valueMember(n, depth) })
	}
	return nil, r.fail(t.line, "a JSON value should be here, not %s", t)
}

func (r *reader) valueMember(n *node, depth int) error {
	t, err := r.take()
	if err != nil {
		return err
	}
	if t.form != text {
		return r.fail(t.line, "a member's name in quotes should be here, not %s", t)
	}
	if n.member(t.text) != nil {
		return r.fail(t.line, "%q is twice in one object", t.text)
	}
	if err := r.want(":"); err != nil {
		return err
	}
	v, err := r.value(depth + 1)
	n.add(t.text, v)
	return err
}

// list reads items with commas between them up to a mark.
func (r *reader) list(until string, item func() error) error {
	if r.is(until) {
		return r.want(until)
	}
	for {
		if err := item(); err != nil {
			return err
		}
		if !r.is(",") {
			return r.want(until)
		}
		if err := r.want(","); err != nil {
			return err
		}
	}
}

// adopt turns a schema in JSON into nodes with references: definitions move
// into r.types, under their full names.
func (r *reader) adopt(n *node, space string, depth int) (*node, error) {
	switch {
	case depth > maxNesting:
		return nil, r.fail(n.place.Line, "types nest deeper than %d levels", maxNesting)
	case n.what == str && primitives[n.text]:
		return n, nil
	case n.what == str:
		return &node{place: n.place, what: reference, text: n.text, space: space}, nil
	case n.what == array:
		return n, r.adoptAll(n.items, space, depth)
	case n.what != object:
		return nil, r.fail(n.place.Line, "a type is a name, an object or an array of types")
	}
	switch kind := n.textOf("type"); kind {
	case "record", "error", "enum", "fixed":
		return r.adoptNamed(n, space, depth)
	case "array", "map":
		return n, r.adoptMember(n, map[string]string{"array": "items", "map": "values"}[kind], space, depth)
	}
	if t := n.member("type"); t != nil && t.what == str && !primitives[t.text] {
		return r.adopt(t, space, depth+1)
	}
	return n, nil
}

func (r *reader) adoptAll(items []*node, space string, depth int) (err error) {
	for i := range items {
		if items[i], err = r.adopt(items[i], space, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) adoptMember(n *node, name, space string, depth int) (err error) {
	for i := range n.members {
		if m := &n.members[i]; m.name == name {
			m.node, err = r.adopt(m.node, space, depth+1)
		}
	}
	return err
}

func (r *reader) adoptNamed(n *node, space string, depth int) (*node, error) {
	if s := n.member("namespace"); s != nil {
		space = s.text
	}
	full := join(space, n.textOf("name"))
	def := &node{place: n.place, what: object}
	def.addText("name", full)
	for _, m := range n.members {
		if m.name != "name" && m.name != "namespace" {
			def.members = append(def.members, m)
		}
	}
	if err := r.define(full, def); err != nil {
		return nil, err
	}
	if fields := def.member("fields"); fields != nil {
		for _, f := range fields.items {
			if err := r.adoptMember(f, "type", spaceOf(full), depth+1); err != nil {
				return nil, err
			}
		}
	}
	return &node{place: n.place, what: reference, text: full}, nil
}

// writer writes nodes as JSON, each definition where its name comes first, a
// new line wherever the place changes.
type writer struct {
	types map[string]*node
	seen  map[string]bool
	buf   strings.Builder
	lines []verdict.Place
}

func (w *writer) at(p verdict.Place) {
	if n := len(w.lines); n == 0 {
		w.lines = append(w.lines, p)
	} else if w.lines[n-1] != p && p.Line > 0 {
		w.buf.WriteByte('\n')
		w.lines = append(w.lines, p)
	}
}

func (w *writer) write(n *node, space string, depth int) error {
	w.at(n.place)
	switch n.what {
	case literal:
		w.buf.WriteString(n.text)
	case str:
		w.buf.WriteString(quote(n.text))
	case array:
		return w.list("[", len(n.items), "]", func(i int) error { return w.write(n.items[i], space, depth+1) })
	case object:
		return w.object(n, space, depth)
	case reference:
		return w.reference(n, space, depth)
	}
	return nil
}

func (w *writer) list(open string, n int, end string, item func(int) error) error {
	w.buf.WriteString(open)
	for i := range n {
		if i > 0 {
			w.buf.WriteByte(',')
		}
		if err := item(i); err != nil {
			return err
		}
	}
	w.buf.WriteString(end)
	return nil
}

func (w *writer) object(n *node, space string, depth int) error {
	return w.list("{", len(n.members), "}", func(i int) error {
		w.at(n.members[i].node.place)
		w.buf.WriteString(quote(n.members[i].name) + ":")
		return w.write(n.members[i].node, space, depth+1)
	})
}

// reference writes a definition the first time and its name after.
func (w *writer) reference(n *node, space string, depth int) error {
	full := join(n.space, n.text)
	def := w.types[full]
	if def == nil {
		full = n.text
		def = w.types[full]
	}
	switch {
	case def == nil:
		return &verdict.Malformed{Place: n.place, Detail: "there is no type " + join(n.space, n.text) + ": neither a primitive type nor a name that is declared or imported"}
	case w.seen[full]:
		w.buf.WriteString(quote(full))
		return nil
	case depth > maxNesting:
		return &verdict.Malformed{Place: n.place, Detail: "types nest deeper than " + strconv.Itoa(maxNesting) + " levels"}
	}
	w.seen[full] = true
	w.at(def.place)
	if space != "" && !strings.Contains(full, ".") {
		apart := *def
		apart.members = append([]member{{"namespace", &node{what: str}}}, def.members...)
		def = &apart
	}
	return w.object(def, spaceOf(full), depth+1)
}

func quote(s string) string {
	b, _ := json.Marshal(s) // a string has a JSON form
	return string(b)
}
