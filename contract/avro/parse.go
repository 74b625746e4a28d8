package avro

import (
	"fmt"
	"strconv"
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
			full := name.text
			if s := v.member("namespace"); s != nil {
				ns = s.text
			}
			if !strings.Contains(full, ".") {
				full = join(ns, full)
			}
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

func join(ns, name string) string {
	if ns == "" {
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
	full := v.text
	if !strings.Contains(full, ".") {
		full = join(ns, full)
	}
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

// define reads the names of a named type and makes it known.
func (p *parser) define(t *typ, v *value, kind, ns string) error {
	name, err := p.text(v, "name", kind)
	if err != nil {
		return err
	}
	if m := v.member("namespace"); m != nil {
		if ns, err = p.text(v, "namespace", kind); err != nil {
			return err
		}
	}
	if t.name = name; !strings.Contains(name, ".") {
		t.name = join(ns, name)
	}
	if !validFullName(t.name) {
		return p.fail(v, "%q is no name for %s: names are letters, digits and _, not with a digit first, joined by dots", t.name, kind)
	}
	if _, ok := primitives[short(t.name)]; ok {
		return p.fail(v, "%s may not be named like the primitive type %s", kind, short(t.name))
	}
	if old := p.names[t.name]; old != nil {
		return p.fail(v, "%s is defined twice: first at %s", t.name, old.place)
	}
	if err := p.aliases(t, v, kind); err != nil {
		return err
	}
	p.names[t.name] = t
	return nil
}

// aliases reads a type's aliases, which are relative to its namespace.
func (p *parser) aliases(t *typ, v *value, kind string) error {
	list, err := p.array(v, "aliases", kind)
	if err != nil || list == nil {
		return err
	}
	for i := range list.items {
		a := &list.items[i]
		full := a.text
		if !strings.Contains(full, ".") {
			full = join(space(t.name), full)
		}
		if a.shape != jsonString || !validFullName(full) {
			return p.fail(a, "an alias of %s is a name", t.name)
		}
		t.aliases = append(t.aliases, full)
	}
	return nil
}

func validFullName(s string) bool {
	for part := range strings.SplitSeq(s, ".") {
		if !validName(part) {
			return false
		}
	}
	return true
}

func validName(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

func (p *parser) record(t *typ, v *value, ns string) error {
	if err := p.define(t, v, "a record", ns); err != nil {
		return err
	}
	list, err := p.array(v, "fields", "a record")
	if err != nil {
		return err
	}
	if list == nil {
		return p.fail(v, "record %s needs the attribute \"fields\"", t.name)
	}
	t.fields = make([]field, len(list.items))
	t.index = make(map[string]int, len(list.items))
	for i := range list.items {
		if err := p.field(t, i, &list.items[i]); err != nil {
			return err
		}
	}
	return p.fieldAliases(t, list)
}

func (p *parser) field(t *typ, i int, v *value) (err error) {
	if v.shape != jsonObject {
		return p.fail(v, "a field of %s is an object, not %s", t.name, v.shape)
	}
	f := &t.fields[i]
	f.place = p.place(v)
	if f.name, err = p.text(v, "name", "a field"); err != nil {
		return err
	}
	if !validName(f.name) {
		return p.fail(v, "%q is no name for a field: names are letters, digits and _, not with a digit first", f.name)
	}
	if first, ok := t.index[f.name]; ok {
		return p.fail(v, "field %s is twice in %s: first at line %d", f.name, t.name, t.fields[first].place.Line)
	}
	t.index[f.name] = i
	if err := p.order(v); err != nil {
		return err
	}
	m := v.member("type")
	if m == nil {
		return p.fail(v, "field %s needs the attribute \"type\"", f.name)
	}
	if f.typ, err = p.typ(m, space(t.name)); err != nil {
		return err
	}
	if f.fallback = v.member("default"); f.fallback != nil {
		p.pending = append(p.pending, pending{p.file, p.lines, t, i})
	}
	return nil
}

func (p *parser) order(v *value) error {
	m := v.member("order")
	if m == nil || m.shape == jsonString && (m.text == "ascending" || m.text == "descending" || m.text == "ignore") {
		return nil
	}
	return p.fail(m, "the order of a field is ascending, descending or ignore")
}

// fieldAliases reads them once all names are known: one that is another
// field's name or alias would leave open which field is read.
func (p *parser) fieldAliases(t *typ, list *value) error {
	for i := range t.fields {
		f := &t.fields[i]
		aliases, err := p.array(&list.items[i], "aliases", "a field")
		if err != nil {
			return err
		}
		if aliases == nil {
			continue
		}
		for j := range aliases.items {
			a := &aliases.items[j]
			if a.shape != jsonString || a.text == "" {
				return p.fail(a, "an alias of field %s is a name", f.name)
			}
			if other, taken := t.index[a.text]; taken {
				return p.fail(a, "%q, an alias of field %s, is a name or an alias of field %s already", a.text, f.name, t.fields[other].name)
			}
			t.index[a.text] = i
			f.aliases = append(f.aliases, a.text)
		}
	}
	return nil
}

func (p *parser) enum(t *typ, v *value, ns string) error {
	if err := p.define(t, v, "an enum", ns); err != nil {
		return err
	}
	list, err := p.array(v, "symbols", "an enum")
	if err != nil {
		return err
	}
	if list == nil {
		return p.fail(v, "enum %s needs the attribute \"symbols\"", t.name)
	}
	t.index = make(map[string]int, len(list.items))
	for i := range list.items {
		s := &list.items[i]
		if s.shape != jsonString || !validName(s.text) {
			return p.fail(s, "a symbol of enum %s is a name: letters, digits and _, not with a digit first", t.name)
		}
		if _, taken := t.index[s.text]; taken {
			return p.fail(s, "symbol %s is twice in enum %s", s.text, t.name)
		}
		t.index[s.text] = i
		t.symbols = append(t.symbols, symbol{s.text, p.place(s)})
	}
	return p.enumDefault(t, v)
}

func (p *parser) enumDefault(t *typ, v *value) error {
	m := v.member("default")
	if m == nil {
		return nil
	}
	if _, ok := t.index[m.text]; !ok || m.shape != jsonString {
		return p.fail(m, "the default of enum %s is none of its symbols", t.name)
	}
	t.fallback, t.falls = m.text, true
	return nil
}

func (p *parser) fixed(t *typ, v *value, ns string) error {
	if err := p.define(t, v, "a fixed", ns); err != nil {
		return err
	}
	m := v.member("size")
	if m == nil {
		return p.fail(v, "fixed %s needs the attribute \"size\"", t.name)
	}
	n, err := strconv.ParseInt(m.text, 10, 32)
	if err != nil || n < 0 || m.shape != jsonNumber && m.shape != jsonString {
		return p.fail(m, "the size of fixed %s is a whole number of bytes from 0 to 2147483647", t.name)
	}
	t.size = int(n)
	return nil
}
