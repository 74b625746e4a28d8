package protobuf

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/dhowhq/dhow/contract/verdict"
)

// maxDepth is how deep messages may be within each other, as C++ and Java have
// it by default.
const maxDepth = 100

// Validate reports whether data is one of the schema's first message, as
// *verdict.Invalid: well-formed; known fields of their types, text in UTF-8 where
// the syntax asks for it, and what is required present. Fields that the schema
// does not know are fine, and so are numbers that no name of an enum has, which
// readers keep. A known field of another wire type is refused, though parsers
// would keep it as unknown: its value would be lost.
func (s *Schema) Validate(data []byte) error { return s.ValidateMessage([]int{0}, data) }

// ValidateMessage is Validate for another message of the schema: its index among
// the file's, then among those within that one, and so on.
func (s *Schema) ValidateMessage(indexes []int, data []byte) error {
	d, err := s.message(indexes)
	if err != nil {
		return &verdict.Invalid{Detail: err.Error()}
	}
	m := s.plans[d.FullName()]
	bad := m.check(data, 1)
	if bad == nil && m.needs {
		bad = m.complete([][]byte{data})
	}
	if bad == nil {
		return nil
	}
	if bad.Path != "" {
		bad.Path = string(m.name) + bad.Path
	}
	return bad
}

// check looks at all but what is required. Paths begin with a dot, as the
// message's name is the caller's.
func (m *message) check(data []byte, depth int) *verdict.Invalid {
	if depth > maxDepth {
		return &verdict.Invalid{Detail: fmt.Sprintf("more than %d messages within each other", maxDepth)}
	}
	for rest := data; len(rest) > 0; {
		number, typ, n := protowire.ConsumeTag(rest)
		if n < 0 {
			return &verdict.Invalid{Detail: "no tag of a field at byte " + fmt.Sprint(len(data)-len(rest)) + ": " + reason(n)}
		}
		if number > protowire.MaxValidNumber {
			return &verdict.Invalid{Detail: fmt.Sprintf("the number of a field is %d, beyond %d", number, protowire.MaxValidNumber)}
		}
		f := m.field(number)
		var bad *verdict.Invalid
		size := 0
		if f == nil {
			if size = protowire.ConsumeFieldValue(number, typ, rest[n:]); size < 0 {
				bad = &verdict.Invalid{Detail: fmt.Sprintf("unknown field %d: %s", number, reason(size))}
			}
		} else if size, bad = f.check(typ, rest[n:], depth); bad != nil {
			bad.Path = f.at(data, len(data)-len(rest)) + bad.Path
		}
		if bad != nil {
			return bad
		}
		rest = rest[n+size:]
	}
	return nil
}

// at is a field's step in a path; of lists with how many came before in data.
func (f *field) at(data []byte, offset int) string {
	if !f.list {
		return "." + string(f.name)
	}
	i := 0
	for rest := data[:offset]; len(rest) > 0; {
		number, typ, n := protowire.ConsumeTag(rest)
		size := protowire.ConsumeFieldValue(number, typ, rest[n:])
		if number == f.number {
			i++
		}
		rest = rest[n+size:]
	}
	return fmt.Sprintf(".%s[%d]", f.name, i)
}

func reason(n int) string {
	err := protowire.ParseError(n)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return "the message ends within it"
	}
	return strings.TrimLeft(strings.TrimPrefix(err.Error(), "proto:"), " \u00a0") // Go varies the space
}

// check looks at one value and says how long it is.
func (f *field) check(typ protowire.Type, data []byte, depth int) (int, *verdict.Invalid) {
	if typ != f.wire && !(f.packable && typ == protowire.BytesType) {
		return 0, &verdict.Invalid{Detail: fmt.Sprintf("field %d has wire type %d where the schema has %d", f.number, typ, f.wire)}
	}
	var value []byte
	n := 0
	switch typ {
	case protowire.StartGroupType:
		value, n = protowire.ConsumeGroup(f.number, data)
	case protowire.BytesType:
		value, n = protowire.ConsumeBytes(data)
	default:
		n = protowire.ConsumeFieldValue(f.number, typ, data)
	}
	if n < 0 {
		return 0, &verdict.Invalid{Detail: reason(n)}
	}
	switch {
	case f.message != nil:
		return n, f.message.check(value, depth+1)
	case typ == protowire.BytesType && f.packable:
		return n, f.packed(value)
	case f.utf8 && !utf8.Valid(value):
		return n, &verdict.Invalid{Detail: "a string that is no UTF-8"}
	}
	return n, nil
}

func (f *field) packed(data []byte) *verdict.Invalid {
	for len(data) > 0 {
		n := protowire.ConsumeFieldValue(f.number, f.wire, data)
		if n < 0 {
			return &verdict.Invalid{Detail: "packed values: " + reason(n)}
		}
		data = data[n:]
	}
	return nil
}

// complete looks for what is required in a message that came in pieces: those of
// a field that is no list are one message, as if they were one after the other.
// The pieces are well-formed.
func (m *message) complete(pieces [][]byte) *verdict.Invalid {
	seen := make([]bool, len(m.required))
	single := map[protowire.Number][][]byte{}
	for _, data := range pieces {
		for rest := data; len(rest) > 0; {
			number, typ, n := protowire.ConsumeTag(rest)
			size := protowire.ConsumeFieldValue(number, typ, rest[n:])
			if f := m.field(number); f != nil {
				if bad := f.complete(m, typ, rest[n:n+size], seen, single); bad != nil {
					bad.Path = f.at(data, len(data)-len(rest)) + bad.Path
					return bad
				}
			}
			rest = rest[n+size:]
		}
	}
	for i, f := range m.required {
		if !seen[i] {
			return &verdict.Invalid{Path: "." + string(f.name), Detail: "the field is required"}
		}
	}
	for _, number := range slices.Sorted(maps.Keys(single)) {
		f := m.field(number)
		if bad := f.message.complete(single[number]); bad != nil {
			bad.Path = "." + string(f.name) + bad.Path
			return bad
		}
	}
	return nil
}

func (f *field) complete(m *message, typ protowire.Type, data []byte, seen []bool, single map[protowire.Number][][]byte) *verdict.Invalid {
	if f.required > 0 && f.known(data) {
		seen[f.required-1] = true
	}
	if f.oneof != "" {
		for number := range single {
			if other := m.field(number); other != f && other.oneof == f.oneof {
				delete(single, number)
			}
		}
	}
	if f.message == nil || !f.message.needs {
		return nil
	}
	value := data
	if typ == protowire.StartGroupType {
		value, _ = protowire.ConsumeGroup(f.number, data)
	} else {
		value, _ = protowire.ConsumeBytes(data)
	}
	if f.list {
		return f.message.complete([][]byte{value})
	}
	single[f.number] = append(single[f.number], value)
	return nil
}

// known reports that a value is one of a closed enum's, if the field has one:
// readers do not see others.
func (f *field) known(data []byte) bool {
	if f.closed == nil {
		return true
	}
	v, n := protowire.ConsumeVarint(data)
	return n > 0 && f.closed[int32(v)]
}
