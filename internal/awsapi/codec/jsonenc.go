package codec

import (
	"cmp"
	"io"
	"math"
	"reflect"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/aws/smithy-go/document"
)

// AppendJSONBody writes the members of v that HTTP carries in the body.
func (p *Plan) AppendJSONBody(b []byte, v reflect.Value) []byte {
	if len(p.body) == 0 {
		return append(b, "{}"...)
	}
	return jsonEncoder{c: p.c}.members(b, p.root, v, p.body)
}

// AppendJSON writes v, a value of p's type, as awsJson has it: the whole
// structure, HTTP bindings ignored.
func (p *Plan) AppendJSON(b []byte, v reflect.Value) []byte {
	e := jsonEncoder{c: p.c}
	if p.zero {
		return append(b, "{}"...)
	}
	return e.members(b, p.root, v, nil)
}

// AppendJSONMembers is AppendJSON without the braces and with a comma at the
// end; for errors, which have more members than their shape. With bodyOnly,
// members that HTTP carries elsewhere are left out.
func (p *Plan) AppendJSONMembers(b []byte, v reflect.Value, bodyOnly bool) []byte {
	if p.zero {
		return b
	}
	e := jsonEncoder{c: p.c}
	n := len(b)
	var only []*field
	if bodyOnly {
		only = p.body
	}
	b = e.members(b, p.root, v, only)
	if b = append(b[:n], b[n+1:len(b)-1]...); len(b) > n {
		b = append(b, ',')
	}
	return b
}

type jsonEncoder struct{ c *Codec }

// members writes a structure; only, where not nil, names the fields to write.
func (e jsonEncoder) members(b []byte, n *node, v reflect.Value, only []*field) []byte {
	b = append(b, '{')
	start := len(b)
	count := len(n.fields)
	if only != nil {
		count = len(only)
	}
	for i := range count {
		f := (*field)(nil)
		if only != nil {
			f = only[i]
		} else {
			f = &n.fields[i]
		}
		if f.index < 0 {
			continue
		}
		fv := v.Field(f.index)
		if f.absent(fv) {
			continue
		}
		if len(b) > start {
			b = append(b, ',')
		}
		b = append(b, f.json...)
		b = e.value(b, f.n, f.deref(fv))
	}
	return append(b, '}')
}

func (e jsonEncoder) value(b []byte, n *node, v reflect.Value) []byte {
	switch n.kind {
	case kStruct:
		return e.members(b, n, v, nil)
	case kString:
		return AppendJSONString(b, v.String())
	case kBool:
		return strconv.AppendBool(b, v.Bool())
	case kInt:
		return strconv.AppendInt(b, v.Int(), 10)
	case kFloat:
		f := v.Float()
		if math.IsNaN(f) || math.IsInf(f, 0) {
			b = append(b, '"')
			return append(appendFloat(b, f, n.bits), '"')
		}
		return appendFloat(b, f, n.bits)
	case kTime:
		t := v.Interface().(time.Time)
		format := timeFormat(n, unixFmt)
		if format == unixFmt {
			return appendEpoch(b, t)
		}
		b = append(b, '"')
		return append(appendTime(b, t, format), '"')
	case kBlob:
		b = append(b, '"')
		return append(appendBase64(b, v.Bytes()), '"')
	case kList:
		return e.list(b, n, v)
	case kMap:
		return e.mapping(b, n, v)
	case kUnion:
		return e.union(b, n, v)
	case kDoc:
		if m, ok := v.Interface().(document.Marshaler); ok {
			if raw, err := m.MarshalSmithyDocument(); err == nil && len(raw) > 0 {
				return append(b, raw...)
			}
		}
	case kReader:
		if r, ok := v.Interface().(io.Reader); ok {
			if data, err := io.ReadAll(r); err == nil {
				b = append(b, '"')
				return append(appendBase64(b, data), '"')
			}
		}
	}
	return append(b, "null"...)
}

func (e jsonEncoder) list(b []byte, n *node, v reflect.Value) []byte {
	b = append(b, '[')
	for i := range v.Len() {
		if i > 0 {
			b = append(b, ',')
		}
		item := v.Index(i)
		if n.elem.ptr && item.IsNil() {
			b = append(b, "null"...)
			continue
		}
		b = e.value(b, n.elem.n, n.elem.deref(item))
	}
	return append(b, ']')
}

func (e jsonEncoder) mapping(b []byte, n *node, v reflect.Value) []byte {
	b = append(b, '{')
	for i, key := range sortedKeys(v) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(AppendJSONString(b, key.String()), ':')
		item := v.MapIndex(key)
		if n.elem.ptr && item.IsNil() {
			b = append(b, "null"...)
			continue
		}
		b = e.value(b, n.elem.n, n.elem.deref(item))
	}
	return append(b, '}')
}

func sortedKeys(v reflect.Value) []reflect.Value {
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return cmp.Compare(a.String(), b.String()) })
	return keys
}

func (e jsonEncoder) union(b []byte, n *node, v reflect.Value) []byte {
	f, value, ok := e.c.chosen(n, v)
	if !ok {
		return append(b, "{}"...)
	}
	b = append(append(b, '{'), f.json...)
	return append(e.value(b, f.n, f.deref(value)), '}')
}

// chosen returns the member that the union value v holds, and its value.
func (c *Codec) chosen(n *node, v reflect.Value) (*field, reflect.Value, bool) {
	v = v.Elem()
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct {
		return nil, v, false
	}
	f, ok := c.written(n, v.Type())
	if !ok {
		return nil, v, false
	}
	return f, v.Field(f.index), true
}

const hex = "0123456789abcdef"

// AppendJSONString quotes s; bytes that are not UTF-8 become U+FFFD.
func AppendJSONString(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c < utf8.RuneSelf {
			b = append(b, s[start:i]...)
			switch c {
			case '"', '\\':
				b = append(b, '\\', c)
			case '\n':
				b = append(b, '\\', 'n')
			case '\r':
				b = append(b, '\\', 'r')
			case '\t':
				b = append(b, '\\', 't')
			default:
				b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			}
			i++
			start = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 {
			b = append(append(b, s[start:i]...), "\uFFFD"...)
			start = i + 1
		}
		i += size
	}
	return append(append(b, s[start:]...), '"')
}
