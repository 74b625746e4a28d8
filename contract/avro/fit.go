package avro

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/dhowhq/dhow/contract/verdict"
)

// misfit is why a JSON value is no datum of a type.
type misfit struct {
	line   int
	path   string // from the value that was asked about
	detail string
}

func (m *misfit) under(step string) *misfit { return &misfit{m.line, step + m.path, m.detail} }

// fitter says which JSON values are data of which types. It remembers, because
// unions try a value on one type after another, on every level.
type fitter struct {
	payload bool // messages rather than defaults: unions may name their branch, floats may be "NaN"
	known   map[fit]*misfit
}

type fit struct {
	t *typ
	v *value
}

func newFitter(payload bool) *fitter { return &fitter{payload, map[fit]*misfit{}} }

func (f *fitter) fits(t *typ, v *value) *misfit {
	if len(v.items) == 0 && t.kind != kindRecord {
		return f.look(t, v)
	}
	m, ok := f.known[fit{t, v}]
	if !ok {
		m = f.look(t, v)
		f.known[fit{t, v}] = m
	}
	return m
}

// wants is the JSON that each kind is written in.
var wants = [...]shape{
	kindNull: jsonNull, kindBoolean: jsonBool, kindInt: jsonNumber, kindLong: jsonNumber,
	kindFloat: jsonNumber, kindDouble: jsonNumber, kindBytes: jsonString, kindString: jsonString,
	kindRecord: jsonObject, kindEnum: jsonString, kindArray: jsonArray, kindMap: jsonObject, kindFixed: jsonString,
}

func (f *fitter) look(t *typ, v *value) *misfit {
	if t.kind == kindUnion {
		_, _, m := f.branch(t, v)
		return m
	}
	if f.payload && (t.kind == kindFloat || t.kind == kindDouble) && v.shape == jsonString && notFinite(v.text) {
		return nil
	}
	if v.shape != wants[t.kind] {
		return refuse(v, "%s is %s in JSON, not %s", t.label(), wants[t.kind], v.shape)
	}
	switch t.kind {
	case kindInt, kindLong:
		return whole64(t, v)
	case kindBytes, kindFixed:
		return latin(t, v)
	case kindEnum:
		if _, ok := t.index[v.text]; !ok {
			return refuse(v, "%q is no symbol of enum %s", v.text, t.name)
		}
	case kindRecord:
		return f.record(t, v)
	case kindArray:
		return f.array(t, v)
	case kindMap:
		return f.values(t, v)
	}
	return nil
}

func refuse(v *value, format string, args ...any) *misfit {
	return &misfit{line: v.line, detail: fmt.Sprintf(format, args...)}
}

func notFinite(s string) bool { return s == "NaN" || s == "Infinity" || s == "-Infinity" }

func whole64(t *typ, v *value) *misfit {
	n, err := strconv.ParseInt(v.text, 10, 64)
	if err != nil || t.kind == kindInt && (n < math.MinInt32 || n > math.MaxInt32) {
		return refuse(v, "%s is no %s: a whole number of %d bits", v.text, t.kind, map[kind]int{kindInt: 32, kindLong: 64}[t.kind])
	}
	return nil
}

// latin checks bytes, which JSON writes as the characters of their numbers.
func latin(t *typ, v *value) *misfit {
	n := 0
	for _, c := range v.text {
		if n++; c > 255 {
			return refuse(v, "%s is written with the characters U+0000 to U+00FF, one for each byte, and %q is none", t.label(), c)
		}
	}
	if t.kind == kindFixed && n != t.size {
		return refuse(v, "%s has %d bytes, not %d", t.label(), t.size, n)
	}
	return nil
}

func (f *fitter) record(t *typ, v *value) *misfit {
	found := 0
	for i := range t.fields {
		fd := &t.fields[i]
		m := v.member(fd.name)
		if m == nil {
			if fd.fallback == nil {
				return &misfit{v.line, "." + fd.name, "is missing, and the field has no default"}
			}
			continue
		}
		found++
		if bad := f.fits(fd.typ, m); bad != nil {
			return bad.under("." + fd.name)
		}
	}
	if !f.payload || found == len(v.names) {
		return nil
	}
	for i, name := range v.names {
		if n, ok := t.index[name]; !ok || t.fields[n].name != name {
			return &misfit{v.items[i].line, "." + name, t.label() + " has no such field"}
		}
	}
	return nil
}

func (f *fitter) array(t *typ, v *value) *misfit {
	for i := range v.items {
		if bad := f.fits(t.items, &v.items[i]); bad != nil {
			return bad.under("[" + strconv.Itoa(i) + "]")
		}
	}
	return nil
}

func (f *fitter) values(t *typ, v *value) *misfit {
	for i := range v.items {
		if bad := f.fits(t.items, &v.items[i]); bad != nil {
			return bad.under("[" + strconv.Quote(v.names[i]) + "]")
		}
	}
	return nil
}

// branch finds the branch of a union that a value belongs to, and the value
// below the name of the branch where it has one.
func (f *fitter) branch(t *typ, v *value) (int, *value, *misfit) {
	named, reason := -1, (*misfit)(nil)
	if f.payload && v.shape == jsonObject && len(v.items) == 1 {
		if named = t.branchNamed(v.names[0]); named >= 0 {
			if reason = f.fits(t.branches[named], &v.items[0]); reason == nil {
				return named, &v.items[0], nil
			}
		}
	}
	plain, only := 0, (*misfit)(nil)
	for i, b := range t.branches {
		bad := f.fits(b, v)
		if bad == nil {
			return i, v, nil
		}
		if b.kind != kindNull && wants[b.kind] == v.shape {
			plain, only = plain+1, bad
		}
	}
	switch {
	case reason != nil:
		return 0, nil, reason
	case plain == 1:
		return 0, nil, only
	}
	return 0, nil, refuse(v, "%s fits no type of %s", v.shape, t.label())
}

// branchNamed finds a branch by what Avro's JSON calls it: a full name, or the
// name of an unnamed type.
func (t *typ) branchNamed(name string) int {
	for i, b := range t.branches {
		if b.name == name || b.name == "" && b.kind.String() == name && b.kind != kindNull {
			return i
		}
	}
	return -1
}

// checkDefaults looks at all defaults, and that none needs itself.
func (p *parser) checkDefaults() error {
	f := newFitter(false)
	for _, d := range p.pending {
		fd := &d.owner.fields[d.field]
		if bad := f.fits(fd.typ, fd.fallback); bad != nil {
			return &verdict.Malformed{
				Place:  place(d.file, d.lines, bad.line),
				Detail: fmt.Sprintf("the default of field %s of %s does not fit its type: %s%s", fd.name, d.owner.name, pathColon(bad.path), bad.detail),
			}
		}
	}
	c := cycles{fitter: f, state: map[*field]int{}}
	for _, d := range p.pending {
		fd := &d.owner.fields[d.field]
		if c.field(fd) {
			return &verdict.Malformed{
				Place:  place(d.file, d.lines, fd.fallback.line),
				Detail: fmt.Sprintf("the default of field %s of %s has no end: what it leaves out is filled with defaults that lead back to it", fd.name, d.owner.name),
			}
		}
	}
	return nil
}

func pathColon(path string) string {
	if path == "" {
		return ""
	}
	return path + ": "
}

// cycles finds defaults that fill themselves in.
type cycles struct {
	*fitter
	state map[*field]int // 1 while it is looked at, 2 once it has an end
}

func (c *cycles) field(f *field) bool {
	if s := c.state[f]; s != 0 {
		return s == 1
	}
	c.state[f] = 1
	if c.value(f.typ, f.fallback) {
		return true
	}
	c.state[f] = 2
	return false
}

func (c *cycles) value(t *typ, v *value) bool {
	switch t.kind {
	case kindUnion:
		i, below, _ := c.branch(t, v)
		return c.value(t.branches[i], below)
	case kindArray, kindMap:
		for i := range v.items {
			if c.value(t.items, &v.items[i]) {
				return true
			}
		}
	case kindRecord:
		for i := range t.fields {
			f := &t.fields[i]
			if m := v.member(f.name); m != nil && c.value(f.typ, m) || m == nil && c.field(f) {
				return true
			}
		}
	}
	return false
}

// encoder writes JSON values that fit as binary.
type encoder struct {
	*fitter
	defaults *fitter // for what is filled in
	buf      []byte
	depth    int
}

// maxGrown bounds what defaults may make of a message.
const maxGrown = 16 << 20

func (e *encoder) put(t *typ, v *value) *misfit {
	if t.least == 0 {
		return nil // however many records it is made of
	}
	if e.depth++; e.depth > maxNesting || len(e.buf) > maxGrown {
		return refuse(v, "the datum nests deeper than %d levels or is larger than %d bytes", maxNesting, maxGrown)
	}
	bad := e.datum(t, v)
	e.depth--
	return bad
}

func (e *encoder) datum(t *typ, v *value) *misfit {
	switch t.kind {
	case kindBoolean:
		e.buf = append(e.buf, map[string]byte{"true": 1, "false": 0}[v.text])
	case kindInt, kindLong:
		n, _ := strconv.ParseInt(v.text, 10, 64)
		e.long(n)
	case kindFloat, kindDouble:
		e.float(t.kind, v.text)
	case kindString:
		e.long(int64(len(v.text)))
		e.buf = append(e.buf, v.text...)
	case kindBytes:
		e.long(int64(utf8.RuneCountInString(v.text)))
		e.latin(v.text)
	case kindFixed:
		e.latin(v.text)
	case kindEnum:
		e.long(int64(t.index[v.text]))
	case kindUnion:
		i, below, _ := e.branch(t, v)
		e.long(int64(i))
		return e.put(t.branches[i], below)
	case kindRecord:
		return e.record(t, v)
	case kindArray, kindMap:
		return e.block(t, v)
	}
	return nil
}

func (e *encoder) long(n int64) { e.buf = appendLong(e.buf, n) }

func appendLong(b []byte, n int64) []byte {
	u := uint64(n)<<1 ^ uint64(n>>63)
	for ; u >= 0x80; u >>= 7 {
		b = append(b, byte(u)|0x80)
	}
	return append(b, byte(u))
}

// float writes a number; what is out of range is infinite, as readers of JSON
// have it.
func (e *encoder) float(k kind, text string) {
	if k == kindFloat {
		f, _ := strconv.ParseFloat(text, 32)
		n := math.Float32bits(float32(f))
		e.buf = append(e.buf, byte(n), byte(n>>8), byte(n>>16), byte(n>>24))
		return
	}
	f, _ := strconv.ParseFloat(text, 64)
	n := math.Float64bits(f)
	for i := range 8 {
		e.buf = append(e.buf, byte(n>>(8*i)))
	}
}

func (e *encoder) latin(s string) {
	for _, c := range s {
		e.buf = append(e.buf, byte(c))
	}
}

func (e *encoder) record(t *typ, v *value) *misfit {
	for i := range t.fields {
		f := &t.fields[i]
		m := v.member(f.name)
		var bad *misfit
		if m != nil {
			bad = e.put(f.typ, m)
		} else {
			bad = e.fill(f)
		}
		if bad != nil {
			return bad.under("." + f.name)
		}
	}
	return nil
}

// fill writes a field's default, by the rules of defaults.
func (e *encoder) fill(f *field) *misfit {
	messages := e.fitter
	e.fitter = e.defaults
	bad := e.put(f.typ, f.fallback)
	e.fitter = messages
	return bad
}

func (e *encoder) block(t *typ, v *value) *misfit {
	if len(v.items) > 0 {
		e.long(int64(len(v.items)))
	}
	for i := range v.items {
		if t.kind == kindMap {
			e.long(int64(len(v.names[i])))
			e.buf = append(e.buf, v.names[i]...)
		}
		if bad := e.put(t.items, &v.items[i]); bad != nil {
			return bad.under("[" + strconv.Itoa(i) + "]")
		}
	}
	e.buf = append(e.buf, 0)
	return nil
}

// FromJSON writes as binary what is written in Avro's JSON: a message without
// any header. Beyond the specification a union's value may leave out the name
// of its type, which then is the first that fits, and a field that has a
// default may be missing. Errors: *verdict.Invalid.
func (s *Schema) FromJSON(text []byte) ([]byte, error) {
	v, err := readJSON(string(text))
	if err != nil {
		return nil, &verdict.Invalid{Detail: err.Error()}
	}
	e := encoder{fitter: newFitter(true), defaults: newFitter(false), buf: make([]byte, 0, len(text))}
	bad := e.fits(s.root, &v)
	if bad == nil {
		bad = e.put(s.root, &v)
	}
	if bad != nil {
		return nil, &verdict.Invalid{Path: clip(strings.TrimPrefix(short(s.root.name)+bad.path, ".")), Detail: fmt.Sprintf("%s (line %d)", bad.detail, bad.line)}
	}
	return e.buf, s.Validate(e.buf)
}
