package avro

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"

	"github.com/dhowhq/dhow/contract/verdict"
)

// ToJSON writes one datum, a message without any header, in Avro's JSON: values
// of unions under the name of their type, bytes as the characters U+0000 to
// U+00FF. Numbers that JSON has not are the strings "NaN", "Infinity" and
// "-Infinity". Errors: *verdict.Invalid.
func (s *Schema) ToJSON(data []byte) ([]byte, error) {
	if err := s.Validate(data); err != nil {
		return nil, err
	}
	r := renderer{data: data, out: make([]byte, 0, 3*len(data))}
	r.datum(s.root)
	if len(r.out) > maxGrown {
		return nil, &verdict.Invalid{Detail: fmt.Sprintf("the datum is larger than %d bytes in JSON", maxGrown)}
	}
	return r.out, nil
}

// renderer writes data that were found valid.
type renderer struct {
	data []byte
	at   int
	out  []byte
}

func (r *renderer) long() int64 {
	n, size := binary.Varint(r.data[r.at:])
	r.at += size
	return n
}

func (r *renderer) take(n int) []byte {
	b := r.data[r.at : r.at+n]
	r.at += n
	return b
}

func (r *renderer) put(s string) { r.out = append(r.out, s...) }

func (r *renderer) datum(t *typ) {
	if len(r.out) > maxGrown {
		return // and ToJSON says so
	}
	switch t.kind {
	case kindNull:
		r.put("null")
	case kindBoolean:
		r.out = strconv.AppendBool(r.out, r.take(1)[0] == 1)
	case kindInt, kindLong:
		r.out = strconv.AppendInt(r.out, r.long(), 10)
	case kindFloat:
		r.float(float64(math.Float32frombits(binary.LittleEndian.Uint32(r.take(4)))), 32)
	case kindDouble:
		r.float(math.Float64frombits(binary.LittleEndian.Uint64(r.take(8))), 64)
	case kindString:
		r.put(quote(string(r.take(int(r.long())))))
	case kindBytes:
		r.latin(r.take(int(r.long())))
	case kindFixed:
		r.latin(r.take(t.size))
	case kindEnum:
		r.put(`"` + t.symbols[r.long()].name + `"`)
	case kindUnion:
		r.union(t.branches[r.long()])
	case kindRecord:
		r.record(t)
	default:
		r.blocks(t)
	}
}

func (r *renderer) float(f float64, bits int) {
	switch {
	case math.IsNaN(f):
		r.put(`"NaN"`)
	case math.IsInf(f, 1):
		r.put(`"Infinity"`)
	case math.IsInf(f, -1):
		r.put(`"-Infinity"`)
	default:
		r.out = strconv.AppendFloat(r.out, f, 'g', -1, bits)
	}
}

// latin writes bytes as the characters of their numbers.
func (r *renderer) latin(b []byte) {
	chars := make([]rune, len(b))
	for i, c := range b {
		chars[i] = rune(c)
	}
	r.put(quote(string(chars)))
}

func (r *renderer) union(t *typ) {
	if t.kind == kindNull {
		r.put("null")
		return
	}
	name := t.name
	if name == "" {
		name = t.kind.String()
	}
	r.put(`{"` + name + `":`)
	r.datum(t)
	r.put("}")
}

func (r *renderer) record(t *typ) {
	r.put("{")
	for i := range t.fields {
		if i > 0 {
			r.put(",")
		}
		r.put(`"` + t.fields[i].name + `":`)
		r.datum(t.fields[i].typ)
	}
	r.put("}")
}

func (r *renderer) blocks(t *typ) {
	open, end := "[", "]"
	if t.kind == kindMap {
		open, end = "{", "}"
	}
	r.put(open)
	for first := true; len(r.out) <= maxGrown; {
		count := r.long()
		if count == 0 {
			break
		}
		if count < 0 {
			count = -count
			r.long()
		}
		for ; count > 0 && len(r.out) <= maxGrown; count-- {
			if !first {
				r.put(",")
			}
			first = false
			if t.kind == kindMap {
				r.put(quote(string(r.take(int(r.long())))) + ":")
			}
			r.datum(t.items)
		}
	}
	r.put(end)
}
