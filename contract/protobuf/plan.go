package protobuf

import (
	"cmp"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// message is what validation knows of a message type.
type message struct {
	name     protoreflect.Name
	low      [32]*field // by number
	high     map[protowire.Number]*field
	required []*field
	needs    bool // it, or a message that it holds, has required fields
}

type field struct {
	name     protoreflect.Name
	number   protowire.Number
	wire     protowire.Type
	packable bool
	list     bool
	utf8     bool
	oneof    protoreflect.Name // "" for none
	closed   map[int32]bool    // the values of a closed enum
	message  *message
	required int // 1 + its index among the required fields, 0 for the others
}

func (m *message) field(n protowire.Number) *field {
	if n >= 0 && int(n) < len(m.low) {
		return m.low[n]
	}
	return m.high[n]
}

// fields are a message's own and the extensions of it that the schema sees.
func (s *Schema) fields(d protoreflect.MessageDescriptor) []protoreflect.FieldDescriptor {
	var out, extensions []protoreflect.FieldDescriptor
	for i := range d.Fields().Len() {
		out = append(out, d.Fields().Get(i))
	}
	s.types.RangeExtensionsByMessage(d.FullName(), func(x protoreflect.ExtensionType) bool {
		extensions = append(extensions, x.TypeDescriptor().Descriptor())
		return true
	})
	slices.SortFunc(extensions, func(a, b protoreflect.FieldDescriptor) int { return cmp.Compare(a.Number(), b.Number()) })
	return append(out, extensions...)
}

// addExtensions makes the extensions known that a file, or a message in it,
// declares.
func (s *Schema) addExtensions(in interface {
	Extensions() protoreflect.ExtensionDescriptors
	Messages() protoreflect.MessageDescriptors
}) {
	for i := range in.Extensions().Len() {
		// A number that is taken is refused by the linker already.
		_ = s.types.RegisterExtension(dynamicpb.NewExtensionType(in.Extensions().Get(i)))
	}
	for i := range in.Messages().Len() {
		s.addExtensions(in.Messages().Get(i))
	}
}

// plan makes ready what validation of a message, and of those that it holds,
// needs.
func (s *Schema) plan(d protoreflect.MessageDescriptor) {
	s.planOne(d)
	for i := range d.Messages().Len() {
		if nested := d.Messages().Get(i); !nested.IsMapEntry() {
			s.plan(nested)
		}
	}
}

// findNeeds goes from the messages that have required fields up to those that
// hold them, also around cycles.
func (s *Schema) findNeeds() {
	holders := map[*message][]*message{}
	var found []*message
	for _, m := range s.plans {
		m.each(func(f *field) {
			if f.message != nil {
				holders[f.message] = append(holders[f.message], m)
			}
		})
		if m.needs = len(m.required) > 0; m.needs {
			found = append(found, m)
		}
	}
	for ; len(found) > 0; found = found[1:] {
		for _, m := range holders[found[0]] {
			if !m.needs {
				m.needs = true
				found = append(found, m)
			}
		}
	}
}

func (m *message) each(do func(*field)) {
	for _, f := range m.low {
		if f != nil {
			do(f)
		}
	}
	for _, f := range m.high {
		do(f)
	}
}

func (s *Schema) planOne(d protoreflect.MessageDescriptor) *message {
	if m, ok := s.plans[d.FullName()]; ok {
		return m
	}
	m := &message{name: d.Name(), high: map[protowire.Number]*field{}}
	s.plans[d.FullName()] = m
	for _, fd := range s.fields(d) {
		f := s.planField(fd)
		if fd.Cardinality() == protoreflect.Required {
			m.required = append(m.required, f)
			f.required = len(m.required)
		}
		if int(f.number) < len(m.low) {
			m.low[f.number] = f
		} else {
			m.high[f.number] = f
		}
	}
	return m
}

func (s *Schema) planField(fd protoreflect.FieldDescriptor) *field {
	f := &field{name: fd.Name(), number: fd.Number(), wire: wireType(fd.Kind()), list: fd.IsList() || fd.IsMap()}
	f.packable = fd.IsList() && f.wire != protowire.BytesType && f.wire != protowire.StartGroupType
	if fd.Kind() == protoreflect.StringKind {
		f.utf8 = enforcesUTF8(fd)
	}
	if o := fd.ContainingOneof(); o != nil {
		f.oneof = o.Name()
	}
	if e := fd.Enum(); e != nil && e.IsClosed() {
		f.closed = map[int32]bool{}
		for i := range e.Values().Len() {
			f.closed[int32(e.Values().Get(i).Number())] = true
		}
	}
	if fd.Message() != nil {
		f.message = s.planOne(fd.Message())
	}
	return f
}

// enforcesUTF8 is the rule of proto3, and of editions as their features say.
func enforcesUTF8(fd protoreflect.FieldDescriptor) bool {
	if f, ok := fd.(interface{ EnforceUTF8() bool }); ok {
		return f.EnforceUTF8()
	}
	return fd.ParentFile().Syntax() == protoreflect.Proto3
}

func wireType(k protoreflect.Kind) protowire.Type {
	switch k {
	case protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind, protoreflect.FloatKind:
		return protowire.Fixed32Type
	case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind, protoreflect.DoubleKind:
		return protowire.Fixed64Type
	case protoreflect.StringKind, protoreflect.BytesKind, protoreflect.MessageKind:
		return protowire.BytesType
	case protoreflect.GroupKind:
		return protowire.StartGroupType
	}
	return protowire.VarintType
}
