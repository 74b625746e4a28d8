package codec

import (
	"io"
	"reflect"
	"unicode/utf8"
)

// AppendXML writes the members of v, a value of p's type, as XML elements,
// without an element around them: the form of query, ec2query and restXml.
func (p *Plan) AppendXML(b []byte, v reflect.Value) []byte {
	if p.zero {
		return b
	}
	return xmlEncoder{p.c}.members(b, p.root, v, nil)
}

// AppendXMLBody is AppendXML for the members that HTTP carries in the body.
func (p *Plan) AppendXMLBody(b []byte, v reflect.Value) []byte {
	if p.zero || len(p.body) == 0 {
		return b
	}
	return xmlEncoder{p.c}.members(b, p.root, v, p.body)
}

// AppendXMLExcept is AppendXML without the member of that name.
func (p *Plan) AppendXMLExcept(b []byte, v reflect.Value, name string) []byte {
	e := xmlEncoder{p.c}
	for _, f := range p.body {
		if f.name != name {
			b = e.member(b, f, v.Field(f.index))
		}
	}
	return b
}

type xmlEncoder struct{ c *Codec }

func (e xmlEncoder) members(b []byte, n *node, v reflect.Value, only []*field) []byte {
	if only != nil {
		for _, f := range only {
			b = e.member(b, f, v.Field(f.index))
		}
		return b
	}
	for i := range n.fields {
		if f := &n.fields[i]; f.index >= 0 {
			b = e.member(b, f, v.Field(f.index))
		}
	}
	return b
}

func (e xmlEncoder) member(b []byte, f *field, v reflect.Value) []byte {
	if f.absent(v) || f.member.Attribute {
		return b
	}
	v = f.deref(v)
	switch {
	case f.flat && f.n.kind == kList:
		name := f.wire
		if f.n.item.Wire != "" {
			name = f.n.item.Wire
		}
		return e.items(b, name, f.n, v)
	case f.flat && f.n.kind == kMap:
		return e.entries(b, f.wire, f.n, v)
	}
	return e.element(b, f.wire, f.member.Prefix, f.member.Namespace, f.n, v)
}

// element writes <name>…</name> with the namespace and attributes it has.
func (e xmlEncoder) element(b []byte, name, prefix, ns string, n *node, v reflect.Value) []byte {
	b = append(append(b, '<'), name...)
	if ns != "" {
		b = append(b, " xmlns"...)
		if prefix != "" {
			b = append(append(b, ':'), prefix...)
		}
		b = append(b, '=', '"')
		b = append(appendXMLText(b, ns), '"')
	}
	if n.kind == kStruct {
		b = e.attributes(b, n, v)
	}
	b = append(b, '>')
	b = e.value(b, n, v)
	b = append(b, '<', '/')
	return append(append(b, name...), '>')
}

func (e xmlEncoder) attributes(b []byte, n *node, v reflect.Value) []byte {
	for i := range n.fields {
		f := &n.fields[i]
		if !f.member.Attribute || f.absent(v.Field(f.index)) {
			continue
		}
		b = append(append(append(b, ' '), f.wire...), '=', '"')
		b = appendXMLText(b, string(appendText(nil, f.n, f.deref(v.Field(f.index)), iso8601)))
		b = append(b, '"')
	}
	return b
}

func (e xmlEncoder) value(b []byte, n *node, v reflect.Value) []byte {
	switch n.kind {
	case kStruct:
		return e.members(b, n, v, nil)
	case kList:
		return e.items(b, n.elemName(), n, v)
	case kMap:
		return e.entries(b, "entry", n, v)
	case kUnion:
		if f, value, ok := e.c.chosen(n, v); ok {
			return e.member(b, f, value)
		}
		return b
	case kString:
		return appendXMLText(b, v.String())
	case kReader:
		if r, ok := v.Interface().(io.Reader); ok {
			if data, err := io.ReadAll(r); err == nil {
				return appendBase64(b, data)
			}
		}
		return b
	}
	return appendText(b, n, v, timeFormat(n, iso8601))
}

func (e xmlEncoder) items(b []byte, name string, n *node, v reflect.Value) []byte {
	for i := range v.Len() {
		item := v.Index(i)
		if n.elem.ptr && item.IsNil() {
			continue
		}
		b = e.element(b, name, n.item.Prefix, n.item.Namespace, n.elem.n, n.elem.deref(item))
	}
	return b
}

func (e xmlEncoder) entries(b []byte, name string, n *node, v reflect.Value) []byte {
	keyName, valueName := n.mapNames()
	for _, key := range sortedKeys(v) {
		item := v.MapIndex(key)
		if n.elem.ptr && item.IsNil() {
			continue
		}
		b = append(append(append(b, '<'), name...), '>')
		b = e.element(b, keyName, "", "", n.key.n, key)
		b = e.element(b, valueName, "", "", n.elem.n, n.elem.deref(item))
		b = append(append(append(b, '<', '/'), name...), '>')
	}
	return b
}

// AppendXMLText escapes s; what XML 1.0 cannot say becomes U+FFFD.
func AppendXMLText(b []byte, s string) []byte { return appendXMLText(b, s) }

func appendXMLText(b []byte, s string) []byte {
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= 0x20 && c < utf8.RuneSelf && c != '&' && c != '<' && c != '>' && c != '"' {
			i++
			continue
		}
		size, esc := 1, ""
		switch {
		case c == '&':
			esc = "&amp;"
		case c == '<':
			esc = "&lt;"
		case c == '>':
			esc = "&gt;"
		case c == '"':
			esc = "&quot;"
		case c == '\t', c == '\n':
			i++
			continue
		case c == '\r':
			esc = "&#13;"
		case c < 0x20:
			esc = "\uFFFD"
		default:
			var r rune
			r, size = utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 || r == 0xFFFE || r == 0xFFFF {
				esc = "\uFFFD"
			}
		}
		if esc != "" {
			b = append(append(b, s[start:i]...), esc...)
			start = i + size
		}
		i += size
	}
	return append(b, s[start:]...)
}
