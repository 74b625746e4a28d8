package avro

import (
	"fmt"
	"strings"

	"github.com/dhowhq/dhow/contract/verdict"
)

// parser reads schemas that share their names.
type parser struct {
	file    string
	lines   []verdict.Place
	names   map[string]*typ
	types   []*typ                   // all, in the order of the text
	coming  map[string]verdict.Place // full names that this file defines somewhere
	pending []pending
}

// pending is a default that is looked at once all types are whole.
type pending struct {
	file  string
	lines []verdict.Place
	owner *typ
	field int
}

func (p *parser) fail(v *value, format string, args ...any) error {
	return &verdict.Malformed{Place: p.place(v), Detail: fmt.Sprintf(format, args...)}
}

func (p *parser) place(v *value) verdict.Place { return place(p.file, p.lines, v.line) }

// place is a line's, or that of the line that it was made from.
func place(file string, lines []verdict.Place, line int) verdict.Place {
	if line >= 1 && line <= len(lines) {
		return lines[line-1]
	}
	return verdict.Place{File: file, Line: line}
}

func (p *parser) source(src Source) (*typ, error) {
	p.file, p.lines = src.File, src.Lines
	if len(src.Text) > maxText {
		return nil, &verdict.Malformed{Place: verdict.Place{File: src.File}, Detail: fmt.Sprintf("the schema has %d bytes, at most %d are read", len(src.Text), maxText)}
	}
	v, err := readJSON(src.Text)
	if err != nil {
		return nil, &verdict.Malformed{Place: place(src.File, src.Lines, err.line), Detail: err.detail}
	}
	clear(p.coming)
	p.foresee(&v, "")
	return p.typ(&v, "")
}

// foresee notes the names that a text defines, only to tell "not yet" from
// "nowhere" in messages.
func (p *parser) foresee(v *value, ns string) {
	if name := v.member("name"); name != nil && name.shape == jsonString {
		if t := v.member("type"); t != nil && (t.text == "record" || t.text == "error" || t.text == "enum" || t.text == "fixed") {
			if s := v.member("namespace"); s != nil {
				ns = s.text
			}
			full := qualified(ns, name.text)
			ns = space(full)
			p.coming[full] = p.place(v)
		}
	}
	for i := range v.items {
		if v.shape != jsonObject || v.names[i] != "default" {
			p.foresee(&v.items[i], ns)
		}
	}
}

// qualified is the full name of what a text in a namespace calls by a name.
func qualified(ns, name string) string {
	if ns == "" || strings.Contains(name, ".") {
		return name
	}
	return ns + "." + name
}

// typ reads a type in a namespace.
func (p *parser) typ(v *value, ns string) (*typ, error) {
	switch v.shape {
	case jsonString:
		return p.reference(v, ns)
	case jsonArray:
		return p.union(v, ns)
	case jsonObject:
		return p.object(v, ns)
	}
	return nil, p.fail(v, "a type is a name, an object or an array of types, not %s", v.shape)
}

// reference finds a type by name: in the namespace around, then, as Java does,
// in none.
func (p *parser) reference(v *value, ns string) (*typ, error) {
	if k, ok := primitives[v.text]; ok {
		return p.new(k, v), nil
	}
	full := qualified(ns, v.text)
	for _, name := range []string{full, v.text} {
		if t := p.names[name]; t != nil {
			return t, nil
		}
	}
	if at, ok := p.coming[full]; ok {
		return nil, p.fail(v, "%s is used before it is defined (%s): write the definition here and the name there", full, at)
	}
	switch v.text {
	case "record", "error", "enum", "array", "map", "fixed":
		return nil, p.fail(v, `%[1]s needs an object of its own: {"type": "%[1]s", …}`, v.text)
	}
	return nil, p.fail(v, "there is no type %s: neither a primitive type nor a name defined before", full)
}

func (p *parser) union(v *value, ns string) (*typ, error) {
	u := p.new(kindUnion, v)
	seen := make(map[string]bool, len(v.items))
	for i := range v.items {
		b, err := p.typ(&v.items[i], ns)
		if err != nil {
			return nil, err
		}
		if b.kind == kindUnion {
			return nil, p.fail(&v.items[i], "a union may not hold a union of its own: write its types into the outer one")
		}
		if seen[b.label()] {
			return nil, p.fail(&v.items[i], "%s is twice in one union", b.label())
		}
		seen[b.label()] = true
		u.branches = append(u.branches, b)
	}
	return u, nil
}

func (p *parser) object(v *value, ns string) (*typ, error) {
	name, err := p.text(v, "type", "a type")
	if err != nil {
		return nil, err
	}
	var t *typ
	switch name {
	case "record", "error":
		t = p.new(kindRecord, v)
		err = p.record(t, v, ns)
	case "enum":
		t = p.new(kindEnum, v)
		err = p.enum(t, v, ns)
	case "fixed":
		t = p.new(kindFixed, v)
		err = p.fixed(t, v, ns)
	case "array":
		t = p.new(kindArray, v)
		err = p.items(t, v, "items", ns)
	case "map":
		t = p.new(kindMap, v)
		err = p.items(t, v, "values", ns)
	default:
		if t, err = p.reference(v.member("type"), ns); err != nil || t.name != "" {
			return t, err
		}
		t.place = p.place(v)
	}
	p.logical(t, v)
	return t, err
}

func (p *parser) new(k kind, v *value) *typ {
	t := &typ{kind: k, place: p.place(v), least: -1}
	p.types = append(p.types, t)
	return t
}

// text is a member that has to be there and a string.
func (p *parser) text(v *value, member, of string) (string, error) {
	m := v.member(member)
	switch {
	case m == nil:
		return "", p.fail(v, "%s needs the attribute %q", of, member)
	case m.shape != jsonString:
		return "", p.fail(m, "the attribute %q of %s is a string, not %s", member, of, m.shape)
	}
	return m.text, nil
}

// array is a member that is an array, nil where it is not there.
func (p *parser) array(v *value, member, of string) (*value, error) {
	m := v.member(member)
	if m != nil && m.shape != jsonArray {
		return nil, p.fail(m, "the attribute %q of %s is an array, not %s", member, of, m.shape)
	}
	return m, nil
}

func (p *parser) items(t *typ, v *value, member, ns string) (err error) {
	m := v.member(member)
	if m == nil {
		return p.fail(v, "%s needs the attribute %q: the type of what is in it", v.member("type").text, member)
	}
	t.items, err = p.typ(m, ns)
	return err
}
