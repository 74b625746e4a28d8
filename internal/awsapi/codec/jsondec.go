package codec

import (
	"bytes"
	"cmp"
	"encoding/json"
	"reflect"
	"strconv"
	"time"

	"github.com/dhowhq/dhow/internal/awsapi/model"
)

// DecodeJSON fills v, a settable value of p's type, from a JSON object.
// Members that the model does not name are skipped, as AWS does; an empty
// body is an empty object.
func (p *Plan) DecodeJSON(body []byte, v reflect.Value, seen *Seen) error {
	d := jsonDecoder{c: p.c, scanner: scanner{b: body}}
	d.space()
	if d.i == len(body) {
		return nil
	}
	if d.peek() != '{' {
		return d.unexpected(&node{shape: &model.Shape{Kind: model.Structure}})
	}
	if err := d.members(p.root, v, seen); err != nil {
		return err
	}
	d.space()
	if d.i != len(body) {
		return d.invalid()
	}
	return nil
}

type jsonDecoder struct {
	scanner
	budget
	c *Codec
}

// members reads an object into the structure v. d is at its '{'.
func (d *jsonDecoder) members(n *node, v reflect.Value, seen *Seen) error {
	if d.depth++; d.depth > maxDepth {
		return errDepth
	}
	for first := true; ; first = false {
		key, done, err := d.key(first)
		if err != nil {
			return err
		}
		if done {
			d.depth--
			return nil
		}
		i, known := n.byWire[string(key)]
		if !known || n.fields[i].index < 0 {
			if err := cmp.Or(n.stranger(string(key)), d.skip()); err != nil {
				return err
			}
			continue
		}
		f := &n.fields[i]
		if d.null() {
			continue
		}
		seen.mark(i)
		if err := d.value(f.n, f.settle(v.Field(f.index))); err != nil {
			return err
		}
	}
}

// value reads what is not null into v.
func (d *jsonDecoder) value(n *node, v reflect.Value) error {
	c := d.peek()
	switch n.kind {
	case kStruct:
		if c != '{' {
			return d.unexpected(n)
		}
		return d.members(n, v, nil)
	case kList:
		if c != '[' {
			return d.unexpected(n)
		}
		return d.list(n, v)
	case kMap:
		if c != '{' {
			return d.unexpected(n)
		}
		return d.mapping(n, v)
	case kUnion:
		if c != '{' {
			return d.unexpected(n)
		}
		return d.union(n, v)
	case kDoc:
		return d.document(n, v)
	case kString:
		if c != '"' {
			return d.unexpected(n)
		}
		s, err := d.str()
		if err != nil {
			return err
		}
		v.SetString(string(s))
		return nil
	case kBlob:
		if c != '"' {
			return d.unexpected(n)
		}
		s, err := d.str()
		if err != nil {
			return err
		}
		return setBase64(v, string(s))
	case kBool:
		if c != 't' && c != 'f' {
			return d.unexpected(n)
		}
		v.SetBool(c == 't')
		return d.literal()
	}
	return d.number(n, v)
}

// number reads numbers and timestamps, which may be strings too.
func (d *jsonDecoder) number(n *node, v reflect.Value) error {
	c := d.peek()
	if c == '"' && (n.kind == kTime || n.kind == kFloat) {
		s, err := d.str()
		if err != nil {
			return err
		}
		if n.kind == kFloat { // only NaN and the infinities are strings
			if f, err := parseFloat(string(s), n.bits); err == nil && (f != f || f > 1e308 || f < -1e308) {
				v.SetFloat(f)
				return nil
			}
			return wrongType("STRING_VALUE cannot be converted to "+n.shape.Kind.String(), n.shape.Kind.String())
		}
		return setText(n, v, string(s))
	}
	if c != '-' && (c < '0' || c > '9') {
		return d.unexpected(n)
	}
	text, whole, err := d.num()
	if err != nil {
		return err
	}
	kind := n.shape.Kind.String()
	switch n.kind {
	case kInt:
		if whole {
			i, err := strconv.ParseInt(string(text), 10, n.bits)
			if err != nil {
				return wrongType("NUMBER_VALUE "+clip(string(text))+" is out of the range of "+kind, kind)
			}
			v.SetInt(i)
			return nil
		}
		f, err := strconv.ParseFloat(string(text), 64)
		if err != nil || f != float64(int64(f)) || f > 1<<53 || f < -(1<<53) || v.OverflowInt(int64(f)) {
			return wrongType("NUMBER_VALUE "+clip(string(text))+" cannot be converted to "+kind, kind)
		}
		v.SetInt(int64(f))
	case kFloat:
		f, err := strconv.ParseFloat(string(text), n.bits)
		if err != nil {
			return wrongType("NUMBER_VALUE "+clip(string(text))+" is out of the range of "+kind, kind)
		}
		v.SetFloat(f)
	case kTime:
		f, err := strconv.ParseFloat(string(text), 64)
		if err != nil {
			return wrongType("The timestamp is out of range", kind)
		}
		t, err := epoch(f)
		if err != nil {
			return err
		}
		*v.Addr().Interface().(*time.Time) = t
	default:
		return wrongType("NUMBER_VALUE cannot be converted to "+kind, kind)
	}
	return nil
}

func (d *jsonDecoder) list(n *node, v reflect.Value) error {
	if d.depth++; d.depth > maxDepth {
		return errDepth
	}
	d.i++
	v.Set(reflect.MakeSlice(n.typ, 0, 0))
	for first := true; ; first = false {
		done, err := d.next(first, ']')
		if err != nil {
			return err
		}
		if done {
			d.depth--
			return nil
		}
		if err := d.spend(n.elem.n.size); err != nil {
			return err
		}
		item := grow(v)
		if d.null() {
			if n.elem.ptr {
				continue
			}
			return wrongType("A list must not contain null", "List")
		}
		if err := d.value(n.elem.n, n.elem.settle(item)); err != nil {
			return err
		}
	}
}

// grow appends a zero element to the slice v and returns it.
func grow(v reflect.Value) reflect.Value {
	n := v.Len()
	if n == v.Cap() {
		v.Grow(1)
	}
	v.SetLen(n + 1)
	return v.Index(n)
}

func (d *jsonDecoder) mapping(n *node, v reflect.Value) error {
	if d.depth++; d.depth > maxDepth {
		return errDepth
	}
	v.Set(reflect.MakeMap(n.typ))
	for first := true; ; first = false {
		raw, done, err := d.key(first)
		if err != nil {
			return err
		}
		if done {
			d.depth--
			return nil
		}
		if err := d.spend(n.elem.n.size + 16); err != nil {
			return err
		}
		key := reflect.New(n.typ.Key()).Elem()
		key.SetString(string(raw))
		item := reflect.New(n.typ.Elem()).Elem()
		if d.null() {
			if n.elem.ptr {
				v.SetMapIndex(key, item)
			}
			continue
		}
		if err := d.value(n.elem.n, n.elem.settle(item)); err != nil {
			return err
		}
		v.SetMapIndex(key, item)
	}
}

func (d *jsonDecoder) union(n *node, v reflect.Value) error {
	if d.depth++; d.depth > maxDepth {
		return errDepth
	}
	for first := true; ; first = false {
		key, done, err := d.key(first)
		if err != nil {
			return err
		}
		if done {
			if v.IsNil() {
				return wrongType("Exactly one member of "+n.shape.Name+" must be set", "Structure")
			}
			d.depth--
			return nil
		}
		i, known := n.byWire[string(key)]
		if !known {
			if err := d.skip(); err != nil {
				return err
			}
			continue
		}
		if d.null() {
			continue
		}
		set, err := n.choose(i, v)
		if err != nil {
			return err
		}
		f := &n.fields[i]
		if err := d.value(f.n, f.settle(set)); err != nil {
			return err
		}
	}
}

// choose makes v hold member i of the union n and returns the place of its
// value.
func (n *node) choose(i int, v reflect.Value) (reflect.Value, error) {
	if !v.IsNil() {
		return v, wrongType("Exactly one member of "+n.shape.Name+" must be set", "Structure")
	}
	t := n.union.concrete[i]
	if t == nil {
		return v, wrongType("dhow cannot read member "+n.fields[i].name+" of "+n.shape.Name, "Structure")
	}
	p := reflect.New(t)
	v.Set(p)
	return p.Elem().Field(n.fields[i].index), nil
}

func (d *jsonDecoder) document(n *node, v reflect.Value) error {
	start := d.i
	if err := d.skip(); err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(d.b[start:d.i]))
	dec.UseNumber()
	var value any
	if err := dec.Decode(&value); err != nil {
		return d.invalid()
	}
	return d.c.setDocument(n, v, value)
}

func (c *Codec) setDocument(n *node, v reflect.Value, value any) error {
	doc, ok := c.newDocument(n.typ, value)
	if !ok {
		return wrongType("dhow cannot read the document "+n.shape.Name, "Document")
	}
	v.Set(doc)
	return nil
}

// unexpected is AWS's sentence for a value of the wrong kind.
func (d *jsonDecoder) unexpected(n *node) error {
	want := n.shape.Kind.String()
	switch c := d.peek(); {
	case c == '{':
		return wrongType("Start of structure or map found where not expected.", want)
	case c == '[':
		return wrongType("Start of list found where not expected", want)
	case c == '"':
		return wrongType("STRING_VALUE cannot be converted to "+want, want)
	case c == 't', c == 'f':
		return wrongType(map[byte]string{'t': "TRUE", 'f': "FALSE"}[c]+"_VALUE cannot be converted to "+want, want)
	case c == '-', '0' <= c && c <= '9':
		return wrongType("NUMBER_VALUE cannot be converted to "+want, want)
	}
	return d.invalid()
}
