package oracle

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"reflect"
	"strings"
	"time"
	"unicode"

	"github.com/aws/smithy-go/document"
	"pgregory.net/rapid"

	"github.com/dhowhq/dhow/internal/awsapi/model"
)

// generator makes random values of SDK types that their protocol can carry.
type generator struct {
	m     *model.Model
	xml   bool
	query bool // an empty structure is as if it were absent
	f     face
}

func newGenerator(m *model.Model, f face) *generator {
	g := &generator{m: m, f: f}
	p := m.Info.Protocols[0]
	g.query = p == "query" || p == "ec2"
	g.xml = g.query || p == "rest-xml"
	return g
}

const maxDepth = 3

func (g *generator) fill(t *rapid.T, v reflect.Value, shape int, input bool) {
	g.structure(t, v, g.m.Shapes[shape], 0, input)
}

func (g *generator) structure(t *rapid.T, v reflect.Value, s *model.Shape, depth int, input bool) {
	for i := range s.Members {
		m := &s.Members[i]
		target := g.m.Shapes[m.Shape]
		f := v.FieldByName(strings.ToUpper(m.Name[:1]) + m.Name[1:])
		if target.Stream || !f.IsValid() {
			continue
		}
		must := m.Required || m.Location == "uri" || m.Location == "statusCode" || m.Streaming || target.Streaming || m.Name == s.Payload
		if !must && !(g.query && depth > 0 && i == 0) && (depth >= maxDepth || rapid.IntRange(0, 2).Draw(t, "present") == 0) {
			continue
		}
		if m.Location == "statusCode" {
			f.SetInt(int64(rapid.SampledFrom([]int{200, 202, 207}).Draw(t, m.Name)))
			continue
		}
		g.value(t, f, target, m, depth, must, input)
		if g.query && !must && hollow(f) {
			f.SetZero()
		}
	}
}

// hollow reports whether v is or has nothing but empty structures, which the
// query protocols cannot carry.
func hollow(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer:
		return v.IsNil() || v.Elem().Kind() == reflect.Struct && hollow(v.Elem())
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return false
		}
		for i := range v.NumField() {
			if f := v.Field(i); v.Type().Field(i).IsExported() && !f.IsZero() && !hollow(f) {
				return false
			}
		}
		return true
	}
	return false
}

// value fills v; member says how HTTP carries it.
func (g *generator) value(t *rapid.T, v reflect.Value, s *model.Shape, m *model.Member, depth int, must, input bool) {
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	if m.Location == "headers" {
		g.prefixed(t, v)
		return
	}
	switch {
	case s.Kind == model.Document:
		v.Set(reflect.ValueOf(g.f.document(map[string]any{
			"n": rapid.IntRange(-9, 9).Draw(t, "n"), "s": rapid.String().Draw(t, "s"), "l": []any{true, nil, 1.5}})))
	case s.Union:
		g.union(t, v, s, depth, input)
	case v.Kind() == reflect.Interface:
		if v.Type().Implements(reflect.TypeFor[io.Reader]()) {
			v.Set(reflect.ValueOf(newContent(rapid.SliceOfN(rapid.Byte(), 1, 20).Draw(t, "blob"))))
		}
	case v.Type() == reflect.TypeFor[time.Time]():
		ms := rapid.Int64Range(0, 4102444800000).Draw(t, "time")
		ms -= ms % 125 // exact in binary: the SDK cuts where it should round
		if m.Location == "header" || s.TimeFmt == "rfc822" {
			ms -= ms % 1000
		}
		v.Set(reflect.ValueOf(time.UnixMilli(ms).UTC()))
	case s.Kind == model.Structure:
		g.structure(t, v, s, depth+1, input)
	case s.Kind == model.List:
		g.list(t, v, s, m, depth, must, input)
	case s.Kind == model.Map:
		g.mapping(t, v, s, m, depth, must, input)
	case v.Kind() == reflect.String:
		v.SetString(g.text(t, m, s))
	case v.Kind() == reflect.Slice:
		v.SetBytes(rapid.SliceOfN(rapid.Byte(), 1, 20).Draw(t, "bytes"))
	case v.Kind() == reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, "bool"))
	case v.CanInt():
		v.SetInt(g.integer(t, v.Type().Bits()))
	case v.CanFloat():
		v.SetFloat(g.float(t, v.Type().Bits()))
	default:
		t.Fatalf("no generator for %s", v.Type())
	}
}

// union sets one of the members that the face lists.
func (g *generator) union(t *rapid.T, v reflect.Value, s *model.Shape, depth int, input bool) {
	var fitting []reflect.Type
	for _, u := range g.f.variants {
		if reflect.TypeOf(u).Implements(v.Type()) {
			fitting = append(fitting, reflect.TypeOf(u).Elem())
		}
	}
	if len(fitting) == 0 {
		t.Fatalf("no variants of %s are listed", v.Type())
	}
	p := reflect.New(rapid.SampledFrom(fitting).Draw(t, "variant"))
	for i := range s.Members {
		if strings.HasSuffix(p.Elem().Type().Name(), "Member"+strings.ToUpper(s.Members[i].Name[:1])+s.Members[i].Name[1:]) {
			g.value(t, p.Elem().FieldByName("Value"), g.m.Shapes[s.Members[i].Shape], &s.Members[i], depth, true, input)
		}
	}
	v.Set(p)
}

func (g *generator) integer(t *rapid.T, bits int) int64 {
	if bits == 32 {
		return int64(rapid.Int32().Draw(t, "int"))
	}
	return rapid.Int64().Draw(t, "long")
}

func (g *generator) float(t *rapid.T, bits int) float64 {
	special := rapid.IntRange(0, 9).Draw(t, "special")
	switch {
	case special == 0:
		return math.Inf(1)
	case special == 1:
		return math.Inf(-1)
	case bits == 32:
		return float64(rapid.Float32().Draw(t, "float"))
	}
	return rapid.Float64().Draw(t, "double")
}

func (g *generator) list(t *rapid.T, v reflect.Value, s *model.Shape, m *model.Member, depth int, must, input bool) {
	n := rapid.IntRange(0, 2).Draw(t, "len")
	if n == 0 && (must || m.Location != "" || g.xml) {
		n = 1
	}
	if m.Location == "querystring" { // the signer sorts the values
		n = 1
	}
	if depth >= maxDepth && !must {
		n = 0
		if g.xml || m.Location != "" {
			return
		}
	}
	item := g.m.Shapes[s.Members[0].Shape]
	list := reflect.MakeSlice(v.Type(), n, n)
	for i := range n {
		inner := s.Members[0]
		inner.Location = m.Location
		g.value(t, list.Index(i), item, &inner, depth+1, must, input)
		if !carried(list.Index(i)) || g.query && hollow(list.Index(i)) { // a union, which this generator cannot make
			return
		}
	}
	v.Set(list)
}

func carried(v reflect.Value) bool { return v.Kind() != reflect.Interface || !v.IsNil() }

func (g *generator) mapping(t *rapid.T, v reflect.Value, s *model.Shape, m *model.Member, depth int, must, input bool) {
	out := reflect.MakeMap(v.Type())
	n := rapid.IntRange(0, 2).Draw(t, "size")
	if n == 0 && (must || g.xml || m.Location != "") {
		n = 1
	}
	for range n {
		key, item := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		key.SetString("k" + g.text(t, m, g.m.Shapes[s.Members[0].Shape]))
		inner := s.Members[1]
		inner.Location = m.Location
		g.value(t, item, g.m.Shapes[s.Members[1].Shape], &inner, depth+1, true, input)
		if carried(item) && !(g.query && hollow(item)) {
			out.SetMapIndex(key, item)
		}
	}
	if out.Len() > 0 || n == 0 {
		v.Set(out)
	}
}

func (g *generator) prefixed(t *rapid.T, v reflect.Value) {
	out := reflect.MakeMap(v.Type())
	out.SetMapIndex(reflect.ValueOf("meta"), reflect.ValueOf(rapid.StringMatching(`[a-z][a-z ]{0,8}[a-z]`).Draw(t, "meta")))
	v.Set(out)
}

// text is any string that the member's place in the message can hold.
func (g *generator) text(t *rapid.T, m *model.Member, s *model.Shape) string {
	switch {
	case m.JSONValue:
		return `{"a":1}`
	case m.Location == "uri":
		if g.m.Info.Name == "route53" { // its client cuts what stands before a slash
			return rapid.StringMatching(`[A-Za-z0-9]{1,10}`).Draw(t, "label")
		}
		return rapid.StringMatching(`[A-Za-z0-9:/ %+é?&#]{0,10}[A-Za-z0-9]`).Draw(t, "label")
	case m.Location == "header":
		return rapid.StringMatching(`[!-~][ -~]{0,8}[!-~]`).Draw(t, "header")
	case m.Location == "querystring" && len(s.Enum) == 0:
		return rapid.StringMatching(`[ -~é]{1,10}`).Draw(t, "param")
	case len(s.Enum) > 0:
		return rapid.SampledFrom(s.Enum).Draw(t, "enum")
	case g.m.Info.Name == "route53":
		return rapid.StringMatching(`[A-Za-z0-9<>&"' ]{1,10}`).Draw(t, "text")
	}
	out := rapid.StringN(0, 8, -1).Draw(t, "text")
	if g.xml {
		out = strings.Map(func(r rune) rune {
			if r < 0x20 && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF || unicode.Is(unicode.Cs, r) {
				return 'x'
			}
			return r
		}, out)
	}
	return out
}

// drain replaces readers by ones that can be read again.
func drain(v reflect.Value) {
	for i := range v.NumField() {
		f := v.Field(i)
		if !v.Type().Field(i).IsExported() || f.Kind() != reflect.Interface || f.IsNil() {
			continue
		}
		if r, ok := f.Interface().(io.Reader); ok {
			data, err := io.ReadAll(r)
			if err != nil {
				data = []byte(err.Error())
			}
			f.Set(reflect.ValueOf(newContent(data)))
		}
	}
}

type content struct {
	*bytes.Reader
	data []byte
}

func newContent(data []byte) content { return content{bytes.NewReader(data), data} }

func (content) Close() error { return nil }

// diff says where got differs from want, "" where it does not. lenient takes
// absent and empty for the same.
func diff(want, got reflect.Value, lenient bool) string {
	if want.Type() != got.Type() {
		return fmt.Sprintf("%s became %s", want.Type(), got.Type())
	}
	switch want.Kind() {
	case reflect.Pointer:
		if want.IsNil() != got.IsNil() {
			if lenient && emptyText(want) && emptyText(got) {
				return ""
			}
			return fmt.Sprintf("%s, want %s", dump(got), dump(want))
		}
		if want.IsNil() {
			return ""
		}
		return diff(want.Elem(), got.Elem(), lenient)
	case reflect.Struct:
		return diffStruct(want, got, lenient)
	case reflect.Slice:
		if want.IsNil() != got.IsNil() && !(lenient && want.Len() == 0 && got.Len() == 0) || want.Len() != got.Len() {
			return fmt.Sprintf("%s, want %s", dump(got), dump(want))
		}
		for i := range want.Len() {
			if d := diff(want.Index(i), got.Index(i), lenient); d != "" {
				return fmt.Sprintf("[%d]: %s", i, d)
			}
		}
		return ""
	case reflect.Map:
		if want.IsNil() != got.IsNil() && !(lenient && want.Len() == 0 && got.Len() == 0) || want.Len() != got.Len() {
			return fmt.Sprintf("%s, want %s", dump(got), dump(want))
		}
		for _, k := range want.MapKeys() {
			if !got.MapIndex(k).IsValid() {
				return fmt.Sprintf("key %q is lost", k)
			}
			if d := diff(want.MapIndex(k), got.MapIndex(k), lenient); d != "" {
				return fmt.Sprintf("[%q]: %s", k, d)
			}
		}
		return ""
	case reflect.Interface:
		return diffInterface(want, got)
	}
	if want.Interface() != got.Interface() {
		return fmt.Sprintf("%s, want %s", dump(got), dump(want))
	}
	return ""
}

func emptyText(v reflect.Value) bool {
	return v.IsNil() || v.Elem().Kind() == reflect.String && v.Elem().Len() == 0
}

func diffStruct(want, got reflect.Value, lenient bool) string {
	if t, ok := want.Interface().(time.Time); ok {
		if !t.Equal(got.Interface().(time.Time)) {
			return fmt.Sprintf("%s, want %s", dump(got), dump(want))
		}
		return ""
	}
	for i := range want.NumField() {
		f := want.Type().Field(i)
		if !f.IsExported() || f.Name == "ResultMetadata" {
			continue
		}
		if d := diff(want.Field(i), got.Field(i), lenient); d != "" {
			return f.Name + ": " + d
		}
	}
	return ""
}

func diffInterface(want, got reflect.Value) string {
	if want.IsNil() != got.IsNil() {
		return fmt.Sprintf("%s, want %s", dump(got), dump(want))
	}
	if want.IsNil() {
		return ""
	}
	if w, ok := want.Interface().(document.Marshaler); ok {
		return diffDocument(w, got.Interface().(document.Marshaler))
	}
	if want.Elem().Kind() == reflect.Pointer {
		return diff(want.Elem(), got.Elem(), false)
	}
	// The sent reader is spent; what arrived is compared by the caller's copy.
	w, ok := want.Interface().(content)
	if g, ok2 := got.Interface().(content); ok && ok2 && !bytes.Equal(w.data, g.data) {
		return fmt.Sprintf("%q, want %q", g.data, w.data)
	}
	return ""
}

func diffDocument(want, got document.Marshaler) string {
	var values [2]any
	for i, d := range []document.Marshaler{want, got} {
		raw, err := d.MarshalSmithyDocument()
		if err != nil {
			return err.Error()
		}
		if err := json.Unmarshal(raw, &values[i]); err != nil {
			return err.Error()
		}
	}
	if !reflect.DeepEqual(values[0], values[1]) {
		return fmt.Sprintf("document %v, want %v", values[1], values[0])
	}
	return ""
}
