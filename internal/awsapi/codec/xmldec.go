package codec

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"errors"
	"io"
	"reflect"
	"strings"
)

// DecodeXML fills the body members of v, or its payload member, from an XML
// document; the root element's name does not matter. An empty body is an
// empty document.
func (p *Plan) DecodeXML(body []byte, v reflect.Value, seen *Seen) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	d := xmlDecoder{x: xml.NewDecoder(bytes.NewReader(body))}
	for {
		t, err := d.token()
		if err != nil {
			return err
		}
		if start, ok := t.(xml.StartElement); ok {
			if err := d.root(p, start, v, seen); err != nil {
				return err
			}
			break
		}
	}
	for { // nothing but comments and space may follow
		t, err := d.x.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return d.broken(err)
		}
		if _, ok := t.(xml.StartElement); ok {
			return broken("The request body has a second root element")
		}
	}
}

type xmlDecoder struct {
	budget
	x     *xml.Decoder
	depth int
}

func (d *xmlDecoder) root(p *Plan, start xml.StartElement, v reflect.Value, seen *Seen) error {
	if f := p.payload; f != nil {
		seen.mark(p.root.byName[f.name])
		return d.value(f.n, f.settle(v.Field(f.index)), start)
	}
	return d.members(p.root, v, seen, start)
}

func (d *xmlDecoder) broken(err error) error {
	var se *xml.SyntaxError
	if errors.As(err, &se) {
		return broken("The XML you provided was not well-formed: line %d: %s", se.Line, clip(se.Msg))
	}
	return broken("The XML you provided was not well-formed: it ends too early")
}

func (d *xmlDecoder) token() (xml.Token, error) {
	t, err := d.x.Token()
	if err != nil {
		return nil, d.broken(err)
	}
	return t, nil
}

// children calls f at every child element of the element that was opened.
func (d *xmlDecoder) children(f func(xml.StartElement) error) error {
	if d.depth++; d.depth > maxDepth {
		return errDepth
	}
	for {
		t, err := d.token()
		if err != nil {
			return err
		}
		switch t := t.(type) {
		case xml.StartElement:
			if err := f(t); err != nil {
				return err
			}
		case xml.EndElement:
			d.depth--
			return nil
		}
	}
}

func (d *xmlDecoder) skip() error {
	return d.children(func(xml.StartElement) error { return d.skip() })
}

func (d *xmlDecoder) members(n *node, v reflect.Value, seen *Seen, start xml.StartElement) error {
	for _, a := range start.Attr {
		for i := range n.fields {
			if f := &n.fields[i]; f.member.Attribute && attributeName(f.wire) == a.Name.Local {
				if err := setText(f.n, f.settle(v.Field(f.index)), a.Value); err != nil {
					return err
				}
			}
		}
	}
	return d.children(func(child xml.StartElement) error {
		i, known := n.byWire[child.Name.Local]
		if !known || n.fields[i].index < 0 || n.fields[i].member.Location != "" {
			return cmp.Or(n.stranger(child.Name.Local), d.skip())
		}
		f := &n.fields[i]
		fv := v.Field(f.index)
		seen.mark(i)
		switch {
		case f.flat && f.n.kind == kList:
			return d.item(f.n, fv, child)
		case f.flat && f.n.kind == kMap:
			return d.entry(f.n, fv)
		}
		return d.value(f.n, f.settle(fv), child)
	})
}

// attributeName is the local part of "xsi:type".
func attributeName(wire string) string { return wire[strings.IndexByte(wire, ':')+1:] }

func (d *xmlDecoder) value(n *node, v reflect.Value, start xml.StartElement) error {
	switch n.kind {
	case kStruct:
		return d.members(n, v, nil, start)
	case kUnion:
		return d.union(n, v)
	case kList:
		v.Set(reflect.MakeSlice(n.typ, 0, 0))
		return d.children(func(child xml.StartElement) error {
			if child.Name.Local != n.elemName() {
				return d.skip()
			}
			return d.item(n, v, child)
		})
	case kMap:
		v.Set(reflect.MakeMap(n.typ))
		return d.children(func(child xml.StartElement) error {
			if child.Name.Local != "entry" {
				return d.skip()
			}
			return d.entry(n, v)
		})
	}
	text, err := d.text(n)
	if err != nil {
		return err
	}
	if n.kind != kString {
		text = strings.TrimSpace(text)
	}
	return setText(n, v, text)
}

// text is the character data of the element that was opened.
func (d *xmlDecoder) text(n *node) (string, error) {
	var b []byte
	for {
		t, err := d.token()
		if err != nil {
			return "", err
		}
		switch t := t.(type) {
		case xml.CharData:
			b = append(b, t...)
		case xml.StartElement:
			return "", wrongType("Element "+clip(t.Name.Local)+" was found where a "+n.shape.Kind.String()+" was expected", n.shape.Kind.String())
		case xml.EndElement:
			return string(b), nil
		}
	}
}

func (d *xmlDecoder) item(n *node, v reflect.Value, start xml.StartElement) error {
	if err := d.spend(n.elem.n.size); err != nil {
		return err
	}
	return d.value(n.elem.n, n.elem.settle(grow(v)), start)
}

func (d *xmlDecoder) entry(n *node, v reflect.Value) error {
	if v.IsNil() {
		v.Set(reflect.MakeMap(n.typ))
	}
	if err := d.spend(n.elem.n.size + 16); err != nil {
		return err
	}
	keyName, valueName := n.mapNames()
	key, item := reflect.New(n.typ.Key()).Elem(), reflect.New(n.typ.Elem()).Elem()
	slot := n.elem.settle(item)
	err := d.children(func(child xml.StartElement) error {
		switch child.Name.Local {
		case keyName:
			return d.value(n.key.n, key, child)
		case valueName:
			return d.value(n.elem.n, slot, child)
		}
		return d.skip()
	})
	if err == nil {
		v.SetMapIndex(key, item)
	}
	return err
}

func (d *xmlDecoder) union(n *node, v reflect.Value) error {
	return d.children(func(child xml.StartElement) error {
		i, known := n.byWire[child.Name.Local]
		if !known {
			return d.skip()
		}
		set, err := n.choose(i, v)
		if err != nil {
			return err
		}
		f := &n.fields[i]
		return d.value(f.n, f.settle(set), child)
	})
}
