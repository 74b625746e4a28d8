package avro

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/dhowhq/dhow/contract/verdict"
)

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
// any header. Beyond the specification ("JSON Encoding") a union's value may leave
// out the name of its type where it fits one alone, of numbers the first that
// fits, and a field that has a default may be missing. What can be read as the
// specification has it is read so. Errors: *verdict.Invalid.
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
