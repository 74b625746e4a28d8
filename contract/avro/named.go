package avro

import (
	"strconv"
	"strings"
)

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
	if t.name = qualified(ns, name); !validFullName(t.name) {
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
		full := qualified(space(t.name), a.text)
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
