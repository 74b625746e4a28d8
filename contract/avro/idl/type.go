package idl

// logical is the types that IDL has keywords for.
var logical = map[string][2]string{
	"date":               {"int", "date"},
	"time_ms":            {"int", "time-millis"},
	"timestamp_ms":       {"long", "timestamp-millis"},
	"local_timestamp_ms": {"long", "local-timestamp-millis"},
	"uuid":               {"string", "uuid"},
}

// optional marks the union that `T?` makes, whose order depends on the default.
const optional = "?"

// typ reads a type whose annotations were read.
func (r *reader) typ(h head, space string, depth int) (*node, error) {
	t, err := r.name("a type")
	if err != nil {
		return nil, err
	}
	if depth > maxNesting {
		return nil, r.fail(t.line, "types nest deeper than %d levels", maxNesting)
	}
	n, err := r.plain(t, space, depth)
	if err != nil {
		return nil, err
	}
	if n, err = r.annotated(n, h); err != nil || !r.is("?") {
		return n, err
	}
	if n.what == array {
		return nil, r.fail(t.line, "a union says itself whether it may be null: it takes no `?`")
	}
	none := &node{place: n.place, what: str, text: "null"}
	return &node{place: n.place, what: array, text: optional, items: []*node{none, n}}, r.want("?")
}

func (r *reader) plain(t token, space string, depth int) (*node, error) {
	n := &node{place: r.place(t.line), what: str, text: t.text}
	if t.form == word {
		l, ok := logical[t.text]
		switch {
		case primitives[t.text]:
			return n, nil
		case ok:
			n.what = object
			n.addText("type", l[0])
			n.addText("logicalType", l[1])
			return n, nil
		case t.text == "decimal" && r.is("("):
			return n, r.decimal(n)
		case t.text == "array" && r.is("<"):
			return n, r.within(n, "array", "items", space, depth)
		case t.text == "map" && r.is("<"):
			return n, r.within(n, "map", "values", space, depth)
		case t.text == "union" && r.is("{"):
			return n, r.union(n, space, depth)
		}
	}
	n.what, n.space = reference, space
	return n, nil
}

func (r *reader) decimal(n *node) error {
	if err := r.want("("); err != nil {
		return err
	}
	precision, err := r.count("the precision of a decimal")
	if err != nil {
		return err
	}
	n.what = object
	n.addText("type", "bytes")
	n.addText("logicalType", "decimal")
	n.add("precision", precision)
	if r.is(",") {
		if err := r.want(","); err != nil {
			return err
		}
		scale, err := r.count("the scale of a decimal")
		if err != nil {
			return err
		}
		n.add("scale", scale)
	}
	return r.want(")")
}

// within reads the type of what an array or a map holds.
func (r *reader) within(n *node, kind, member, space string, depth int) error {
	if err := r.want("<"); err != nil {
		return err
	}
	h, err := r.head()
	if err != nil {
		return err
	}
	inner, err := r.typ(h, space, depth+1)
	if err != nil {
		return err
	}
	n.what = object
	n.addText("type", kind)
	n.add(member, ordered(inner, nil))
	return r.want(">")
}

func (r *reader) union(n *node, space string, depth int) error {
	if err := r.want("{"); err != nil {
		return err
	}
	n.what, n.text = array, ""
	return r.list("}", func() error {
		h, err := r.head()
		if err != nil {
			return err
		}
		branch, err := r.typ(h, space, depth+1)
		n.items = append(n.items, branch)
		return err
	})
}

// annotated gives a type the annotations before it.
func (r *reader) annotated(n *node, h head) (*node, error) {
	if len(h.notes) == 0 {
		return n, nil
	}
	if n.what == reference || n.what == array {
		return nil, r.fail(n.place.Line, "@%s stands before a %s, which takes no annotations: write those of the field before its name",
			h.notes[0].name, map[what]string{reference: "type's name", array: "union"}[n.what])
	}
	if n.what == str {
		bare := *n
		n = &node{place: n.place, what: object, members: []member{{"type", &bare}}}
	}
	for _, m := range h.notes {
		if n.member(m.name) != nil {
			return nil, r.fail(m.node.place.Line, "@%s is said by the type already", m.name)
		}
		n.members = append(n.members, m)
	}
	return n, nil
}

// ordered is a field's type: `T?` with a default that is not null puts T first.
func ordered(t, fallback *node) *node {
	if t.what != array || t.text != optional || fallback == nil || fallback.what == literal && fallback.text == "null" {
		return t
	}
	return &node{place: t.place, what: array, items: []*node{t.items[1], t.items[0]}}
}
