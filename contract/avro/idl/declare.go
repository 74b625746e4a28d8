package idl

import (
	"strconv"
	"strings"
)

// head is what may come before a declaration.
type head struct {
	doc   string
	notes []member // annotations
}

func (h head) note(name string) *node {
	for _, m := range h.notes {
		if m.name == name {
			return m.node
		}
	}
	return nil
}

// head reads documentation and annotations.
func (r *reader) head() (h head, err error) {
	h.doc = r.next.doc
	for r.is("@") {
		if err := r.want("@"); err != nil {
			return h, err
		}
		t, err := r.name("an annotation")
		if err != nil {
			return h, err
		}
		if err := r.want("("); err != nil {
			return h, err
		}
		v, err := r.value(0)
		if err != nil {
			return h, err
		}
		if err := r.want(")"); err != nil {
			return h, err
		}
		if h.note(t.text) != nil {
			return h, r.fail(t.line, "@%s is there twice", t.text)
		}
		h.notes = append(h.notes, member{t.text, v})
		if r.next.doc != "" {
			h.doc = r.next.doc
		}
	}
	return h, nil
}

// file reads a protocol, or the namespace, schema and types of a file without one.
func (r *reader) file() error {
	h, err := r.head()
	if err != nil {
		return err
	}
	if r.isWord("protocol") {
		return r.protocol(h)
	}
	if r.isWord("namespace") && len(h.notes) == 0 {
		if err := r.advance(); err != nil {
			return err
		}
		t, err := r.name("a namespace")
		if err != nil {
			return err
		}
		if r.space = t.text; r.want(";") != nil {
			return r.fail(t.line, "a namespace ends with `;`")
		}
		if h, err = r.head(); err != nil {
			return err
		}
	}
	for r.next.form != end {
		if err := r.item(h, true); err != nil {
			return err
		}
		if h, err = r.head(); err != nil {
			return err
		}
	}
	if len(h.notes) > 0 {
		return r.fail(r.next.line, "annotations at the end of the file belong to nothing")
	}
	return nil
}

func (r *reader) protocol(h head) error {
	if err := r.advance(); err != nil {
		return err
	}
	t, err := r.name("a protocol")
	if err != nil {
		return err
	}
	if s := h.note("namespace"); s != nil {
		r.space = s.text
	}
	if r.out.Protocol = t.text; strings.Contains(t.text, ".") {
		r.space = spaceOf(t.text)
	}
	if err := r.want("{"); err != nil {
		return err
	}
	for !r.is("}") {
		h, err := r.head()
		if err != nil {
			return err
		}
		if err := r.item(h, false); err != nil {
			return err
		}
	}
	if err := r.want("}"); err != nil {
		return err
	}
	return r.wantEnd()
}

// item reads an import, a type, the main schema of a file, or a protocol's message.
func (r *reader) item(h head, file bool) error {
	t := r.next
	if t.form == word {
		switch t.text {
		case "import", "record", "error", "enum", "fixed":
			if err := r.advance(); err != nil {
				return err
			}
		}
		switch {
		case t.text == "import":
			return r.importFile()
		case t.text == "record", t.text == "error", t.text == "enum", t.text == "fixed":
			return r.named(h, t)
		case t.text == "schema" && file:
			return r.mainSchema(t)
		}
	}
	if file {
		return r.fail(t.line, "a schema, an import or a type should be declared here, not %s", t)
	}
	return r.message()
}

func (r *reader) mainSchema(t token) (err error) {
	if err := r.advance(); err != nil {
		return err
	}
	if r.main != nil {
		return r.fail(t.line, "the file has a main schema already, at line %d", r.main.place.Line)
	}
	h, err := r.head()
	if err != nil {
		return err
	}
	if r.main, err = r.typ(h, r.space, 0); err != nil {
		return err
	}
	return r.want(";")
}

// named reads a record, an enum or a fixed, after its keyword.
func (r *reader) named(h head, kind token) error {
	t, err := r.name(kind.text)
	if err != nil {
		return err
	}
	space := r.space
	if s := h.note("namespace"); s != nil {
		space = s.text
	}
	full := join(space, t.text)
	def := &node{place: r.place(t.line), what: object}
	def.addText("name", full)
	def.addText("type", kind.text)
	if h.doc != "" {
		def.addText("doc", h.doc)
	}
	for _, m := range h.notes {
		if m.name != "namespace" {
			def.members = append(def.members, m)
		}
	}
	if err := r.define(full, def); err != nil {
		return err
	}
	switch kind.text {
	case "enum":
		return r.enum(def)
	case "fixed":
		return r.fixed(def)
	}
	return r.record(def, spaceOf(full))
}

func (r *reader) enum(def *node) error {
	if err := r.want("{"); err != nil {
		return err
	}
	symbols := &node{place: def.place, what: array}
	def.add("symbols", symbols)
	err := r.list("}", func() error {
		t, err := r.name("a symbol")
		symbols.items = append(symbols.items, &node{place: r.place(t.line), what: str, text: t.text})
		return err
	})
	if err != nil || !r.is("=") {
		return err
	}
	if err := r.want("="); err != nil {
		return err
	}
	t, err := r.name("the default symbol")
	if err != nil {
		return err
	}
	def.add("default", &node{place: r.place(t.line), what: str, text: t.text})
	return r.want(";")
}

func (r *reader) fixed(def *node) error {
	if err := r.want("("); err != nil {
		return err
	}
	n, err := r.count("the size of a fixed")
	if err != nil {
		return err
	}
	def.add("size", n)
	if err := r.want(")"); err != nil {
		return err
	}
	return r.want(";")
}

// count reads a whole number.
func (r *reader) count(of string) (*node, error) {
	t, err := r.take()
	if err != nil {
		return nil, err
	}
	n, bad := strconv.ParseUint(t.text, 0, 31)
	if t.form != number || bad != nil {
		return nil, r.fail(t.line, "%s is a whole number, not %s", of, t)
	}
	return &node{place: r.place(t.line), text: strconv.FormatUint(n, 10)}, nil
}

func (r *reader) record(def *node, space string) error {
	if err := r.want("{"); err != nil {
		return err
	}
	fields := &node{place: def.place, what: array}
	def.add("fields", fields)
	for !r.is("}") {
		if err := r.fields(fields, space); err != nil {
			return err
		}
	}
	return r.want("}")
}

// fields reads one declaration, which may have several names for one type.
func (r *reader) fields(list *node, space string) error {
	h, err := r.head()
	if err != nil {
		return err
	}
	t, err := r.typ(h, space, 0)
	if err != nil {
		return err
	}
	for {
		if err := r.field(list, h.doc, t); err != nil {
			return err
		}
		if !r.is(",") {
			return r.want(";")
		}
		if err := r.want(","); err != nil {
			return err
		}
	}
}

func (r *reader) field(list *node, doc string, t *node) error {
	h, err := r.head()
	if err != nil {
		return err
	}
	name, err := r.name("a field")
	if err != nil {
		return err
	}
	f := &node{place: r.place(name.line), what: object}
	f.addText("name", name.text)
	if h.doc != "" {
		doc = h.doc
	}
	if doc != "" {
		f.addText("doc", doc)
	}
	f.members = append(f.members, h.notes...)
	var fallback *node
	if r.is("=") {
		if err := r.want("="); err != nil {
			return err
		}
		if fallback, err = r.value(0); err != nil {
			return err
		}
	}
	f.add("type", ordered(t, fallback))
	if fallback != nil {
		f.add("default", fallback)
	}
	list.items = append(list.items, f)
	return nil
}

// message reads over a message of a protocol.
func (r *reader) message() error {
	if r.isWord("void") {
		if err := r.advance(); err != nil {
			return err
		}
	} else if _, err := r.typ(head{}, r.space, 0); err != nil {
		return err
	}
	if _, err := r.head(); err != nil {
		return err
	}
	if _, err := r.name("a message"); err != nil {
		return err
	}
	if err := r.want("("); err != nil {
		return err
	}
	parameters := &node{what: array}
	err := r.list(")", func() error {
		h, err := r.head()
		if err != nil {
			return err
		}
		t, err := r.typ(h, r.space, 0)
		if err != nil {
			return err
		}
		return r.field(parameters, "", t)
	})
	if err != nil {
		return err
	}
	for !r.is(";") { // oneway, or throws and names
		if t, err := r.take(); err != nil || t.form != word && t.form != quoted && t.text != "," {
			return r.fail(t.line, "a message ends with `;`, not %s", t)
		}
	}
	return r.want(";")
}
