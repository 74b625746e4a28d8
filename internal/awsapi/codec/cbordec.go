package codec

import (
	"cmp"
	"math"
	"reflect"
	"slices"
	"time"
	"unicode/utf8"
)

// DecodeCBOR fills v, a settable value of p's type, from a CBOR map. Members
// that the model does not name are skipped; an empty body is an empty map.
func (p *Plan) DecodeCBOR(body []byte, e Epoch, v reflect.Value, seen *Seen) error {
	if len(body) == 0 {
		return nil
	}
	d := cborDecoder{c: p.c, epoch: e, cborScanner: cborScanner{b: body}}
	h, err := d.head()
	if err != nil {
		return err
	}
	if h.major != cborMap {
		return d.unexpected(h, "Structure")
	}
	if err := d.members(p.root, v, seen, h); err != nil {
		return err
	}
	if d.i != len(body) {
		return broken("The request body has %d bytes after its CBOR map", len(body)-d.i)
	}
	return nil
}

type cborDecoder struct {
	cborScanner
	budget
	c     *Codec
	epoch Epoch
}

// each calls f at every entry of the map h, after its key.
func (d *cborDecoder) each(h cborItem, f func(key string) error) error {
	if d.depth++; d.depth > maxDepth {
		return errDepth
	}
	defer func() { d.depth-- }()
	for i := uint64(0); h.open || i < h.n; i++ {
		if h.open && d.end() {
			return nil
		}
		k, err := d.head()
		if err != nil {
			return err
		}
		if k.major != cborText {
			return broken("A CBOR map has a key that is no text, at byte %d", d.i)
		}
		key, err := d.text(k)
		if err != nil {
			return err
		}
		if err := f(key); err != nil {
			return err
		}
	}
	return nil
}

func (d *cborDecoder) members(n *node, v reflect.Value, seen *Seen, h cborItem) error {
	return d.each(h, func(key string) error {
		i, known := n.byName[key]
		if !known || n.fields[i].index < 0 {
			return cmp.Or(n.stranger(key), d.skip())
		}
		f := &n.fields[i]
		h, err := d.item()
		if err != nil || h.null() {
			return err
		}
		seen.mark(i)
		return d.value(f.n, f.settle(v.Field(f.index)), h)
	})
}

// value reads the item whose head is h into v.
func (d *cborDecoder) value(n *node, v reflect.Value, h cborItem) error {
	want := n.shape.Kind.String()
	switch n.kind {
	case kStruct:
		if h.major != cborMap {
			return d.unexpected(h, want)
		}
		return d.members(n, v, nil, h)
	case kList:
		if h.major != cborArray {
			return d.unexpected(h, want)
		}
		return d.list(n, v, h)
	case kMap:
		if h.major != cborMap {
			return d.unexpected(h, want)
		}
		return d.mapping(n, v, h)
	case kUnion:
		if h.major != cborMap {
			return d.unexpected(h, want)
		}
		return d.union(n, v, h)
	case kString:
		if h.major != cborText {
			return d.unexpected(h, want)
		}
		s, err := d.text(h)
		v.SetString(s)
		return err
	case kBlob:
		if h.major != cborBytes {
			return d.unexpected(h, want)
		}
		data, err := d.bytes(h, cborBytes)
		v.SetBytes(data)
		return err
	case kBool:
		if h.first != cborTrue && h.first != cborFalse {
			return d.unexpected(h, want)
		}
		v.SetBool(h.first == cborTrue)
		return nil
	case kDoc:
		value, err := d.any(h)
		if err != nil {
			return err
		}
		return d.c.setDocument(n, v, value)
	}
	return d.number(n, v, h)
}

func (d *cborDecoder) number(n *node, v reflect.Value, h cborItem) error {
	want := n.shape.Kind.String()
	f, isFloat := h.float()
	i, isInt := h.int()
	switch {
	case !isFloat && !isInt:
		return d.unexpected(h, want)
	case n.kind == kInt && isInt:
		if v.OverflowInt(i) {
			return wrongType("A number is out of the range of "+want, want)
		}
		v.SetInt(i)
	case n.kind == kInt:
		if f != math.Trunc(f) || math.Abs(f) > 1<<53 || v.OverflowInt(int64(f)) {
			return wrongType("A number is out of the range of "+want, want)
		}
		v.SetInt(int64(f))
	case n.kind == kFloat:
		if isInt {
			f = float64(i)
		}
		v.SetFloat(f)
	case n.kind == kTime:
		if isInt {
			f = float64(i)
		}
		if d.epoch == EpochMillis {
			f /= 1000
		}
		t, err := epoch(f)
		if err != nil {
			return err
		}
		*v.Addr().Interface().(*time.Time) = t
	default:
		return d.unexpected(h, want)
	}
	return nil
}

func (d *cborDecoder) list(n *node, v reflect.Value, h cborItem) error {
	if d.depth++; d.depth > maxDepth {
		return errDepth
	}
	v.Set(reflect.MakeSlice(n.typ, 0, 0))
	for i := uint64(0); h.open || i < h.n; i++ {
		if h.open && d.end() {
			break
		}
		if err := d.spend(n.elem.n.size); err != nil {
			return err
		}
		item, err := d.item()
		if err != nil {
			return err
		}
		slot := grow(v)
		if item.null() {
			if n.elem.ptr {
				continue
			}
			return wrongType("A list must not contain null", "List")
		}
		if err := d.value(n.elem.n, n.elem.settle(slot), item); err != nil {
			return err
		}
	}
	d.depth--
	return nil
}

func (d *cborDecoder) mapping(n *node, v reflect.Value, h cborItem) error {
	v.Set(reflect.MakeMap(n.typ))
	return d.each(h, func(k string) error {
		if err := d.spend(n.elem.n.size + 16); err != nil {
			return err
		}
		h, err := d.item()
		if err != nil {
			return err
		}
		key, slot := reflect.New(n.typ.Key()).Elem(), reflect.New(n.typ.Elem()).Elem()
		key.SetString(k)
		if h.null() {
			if n.elem.ptr {
				v.SetMapIndex(key, slot)
			}
			return nil
		}
		if err := d.value(n.elem.n, n.elem.settle(slot), h); err != nil {
			return err
		}
		v.SetMapIndex(key, slot)
		return nil
	})
}

func (d *cborDecoder) union(n *node, v reflect.Value, h cborItem) error {
	err := d.each(h, func(key string) error {
		i, known := n.byName[key]
		if !known {
			return d.skip()
		}
		h, err := d.item()
		if err != nil || h.null() {
			return err
		}
		set, err := n.choose(i, v)
		if err != nil {
			return err
		}
		f := &n.fields[i]
		return d.value(f.n, f.settle(set), h)
	})
	if err == nil && v.IsNil() {
		return wrongType("Exactly one member of "+n.shape.Name+" must be set", "Structure")
	}
	return err
}

func (d *cborDecoder) unexpected(h cborItem, want string) error {
	return wrongType("A CBOR "+h.name()+" cannot be converted to "+want, want)
}

// any reads an item as encoding/json would have it.
func (d *cborDecoder) any(h cborItem) (any, error) {
	switch h.major {
	case cborText:
		return d.text(h)
	case cborBytes:
		data, err := d.bytes(h, cborBytes)
		return string(appendBase64(nil, data)), err
	case cborMap:
		m := map[string]any{}
		err := d.each(h, func(key string) error {
			h, err := d.item()
			if err != nil {
				return err
			}
			m[key], err = d.any(h)
			return err
		})
		return m, err
	case cborArray:
		if d.depth++; d.depth > maxDepth {
			return nil, errDepth
		}
		defer func() { d.depth-- }()
		list := []any{}
		for i := uint64(0); h.open || i < h.n; i++ {
			if h.open && d.end() {
				break
			}
			h, err := d.item()
			if err != nil {
				return nil, err
			}
			item, err := d.any(h)
			if err != nil {
				return nil, err
			}
			list = append(list, item)
		}
		return list, nil
	}
	if i, ok := h.int(); ok {
		return float64(i), nil
	}
	if f, ok := h.float(); ok {
		return f, nil
	}
	switch h.first {
	case cborTrue:
		return true, nil
	case cborFalse:
		return false, nil
	}
	return nil, nil
}

// text reads the text string h.
func (d *cborScanner) text(h cborItem) (string, error) {
	data, err := d.bytes(h, cborText)
	if err != nil {
		return "", err
	}
	if !utf8.Valid(data) {
		return "", broken("The request body is not valid UTF-8 before byte %d", d.i)
	}
	return string(data), nil
}

// bytes reads the content of the string h, as a copy; one of unknown length
// is made of parts.
func (d *cborScanner) bytes(h cborItem, major byte) ([]byte, error) {
	if !h.open {
		data, err := d.take(h.n)
		if data == nil {
			data = []byte{}
		}
		return slices.Clone(data), err
	}
	all := []byte{}
	for !d.end() {
		part, err := d.head()
		if err != nil {
			return nil, err
		}
		if part.major != major || part.open {
			return nil, broken("A CBOR string has a part of another kind at byte %d", d.i)
		}
		data, err := d.take(part.n)
		if err != nil {
			return nil, err
		}
		all = append(all, data...)
	}
	return all, nil
}
