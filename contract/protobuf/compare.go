package protobuf

import (
	"fmt"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/dhowhq/dhow/contract/verdict"
)

// Reading means reading the same: every value that a writer sets in a field that
// both have arrives as it was. Fields are what their numbers say; names, of
// fields, messages and enum values, and JSON names are not on the wire and may
// change, and so may defaults, as an absent field is absent for both. Fields
// that only one side has are fine, unless the reader requires one.
//
// Protobuf's own table of compatible types is wider: it also counts what a
// parser takes without an error and cuts off, as int64 read as int32, or a list
// of strings of which a reader of one keeps the last. Those are problems here,
// in that direction alone.

const maxProblems = 100

// CanRead lists all that keeps readers with this schema from reading what was
// written with another one. First messages are compared with each other, and
// further messages with those of the same full name.
func (s *Schema) CanRead(writer *Schema) []verdict.Problem {
	if s == writer {
		return nil
	}
	c := comparison{reader: s, writer: writer, seen: map[[2]protoreflect.FullName]bool{}}
	if s.first() == nil || writer.first() == nil {
		return nil
	}
	c.first()
	for i := range writer.file.Messages().Len() {
		w := writer.file.Messages().Get(i)
		if r := s.file.Messages().ByName(w.Name()); i > 0 && r != nil && r.FullName() == w.FullName() {
			c.message(w, r, string(r.Name()))
		}
	}
	return c.problems
}

type comparison struct {
	reader, writer *Schema
	seen           map[[2]protoreflect.FullName]bool
	problems       []verdict.Problem
}

func (c *comparison) report(kind verdict.Kind, path string, w, r protoreflect.Descriptor, format string, args ...any) {
	if len(c.problems) < maxProblems {
		c.problems = append(c.problems, verdict.Problem{
			Kind: kind, Path: path, Reader: c.reader.place(r), Writer: c.writer.place(w), Detail: fmt.Sprintf(format, args...),
		})
	}
}

func (c *comparison) first() {
	w, r := c.writer.first(), c.reader.first()
	if moved := c.reader.file.Messages().ByName(w.Name()); moved != nil && moved.Index() > 0 {
		c.report(verdict.Name, string(r.Name()), w, r, "messages say no name, and the first is %s for the writer and %s for the reader", w.Name(), r.Name())
		return
	}
	c.message(w, r, string(r.Name()))
}

func (c *comparison) message(w, r protoreflect.MessageDescriptor, path string) {
	pair := [2]protoreflect.FullName{w.FullName(), r.FullName()}
	if c.seen[pair] {
		return
	}
	c.seen[pair] = true
	written := map[protoreflect.FieldNumber]protoreflect.FieldDescriptor{}
	for _, f := range c.writer.fields(w) {
		written[f.Number()] = f
	}
	for _, f := range c.reader.fields(r) {
		at := path + "." + string(f.Name())
		if was, ok := written[f.Number()]; ok {
			c.field(was, f, at)
		} else {
			c.added(w, f, at)
		}
	}
	c.oneofs(w, r, written, path)
}

// added is a field that only the reader has. A number that the writer reserves it
// never writes, whichever of the two is newer; versions before the writer may
// have, and the _ALL levels compare with these.
func (c *comparison) added(w protoreflect.MessageDescriptor, f protoreflect.FieldDescriptor, path string) {
	if f.Cardinality() == protoreflect.Required {
		c.report(verdict.NoDefault, path, w, f, "the reader requires it and the writer has no field %d", f.Number())
		return
	}
	same := w.Fields().ByName(f.Name())
	if same == nil || f.IsExtension() || f.ContainingMessage().ReservedRanges().Has(same.Number()) {
		return // reserving the old number says that the field is a new one
	}
	c.report(verdict.FieldNumber, path, same, f, "it is number %d for the writer and %d for the reader, who does not find it", same.Number(), f.Number())
}

func (c *comparison) field(w, r protoreflect.FieldDescriptor, path string) {
	before := len(c.problems)
	c.cardinality(w, r, path)
	if len(c.problems) > before {
		return
	}
	if other := w.ContainingMessage().Fields().ByName(r.Name()); other != nil && other.Number() != w.Number() && !w.IsExtension() && !r.IsExtension() {
		c.report(verdict.FieldNumber, path, other, r, "it is number %d for the writer and %d for the reader, where the writer has %s", other.Number(), r.Number(), w.Name())
		return
	}
	if w.IsMap() && r.IsMap() {
		c.field(w.MapKey(), r.MapKey(), path+"[].key")
		c.field(w.MapValue(), r.MapValue(), path+"[]")
		return
	}
	if r.IsList() || r.IsMap() {
		path += "[]"
	}
	c.types(w, r, path)
}

func (c *comparison) cardinality(w, r protoreflect.FieldDescriptor, path string) {
	wList, rList := w.IsList() || w.IsMap(), r.IsList() || r.IsMap()
	switch {
	case r.Cardinality() == protoreflect.Required && w.Cardinality() != protoreflect.Required && !wList:
		c.report(verdict.NoDefault, path, w, r, "the reader requires it and the writer may leave it out")
	case wList && !rList:
		c.report(verdict.FieldNumber, path, w, r, "a list cannot be read as one value: all but the last are lost")
	case r.IsMap() && !w.IsMap():
		c.report(verdict.FieldNumber, path, w, r, "what is no map cannot be read as one: of equal keys the last is kept")
	case !w.HasPresence() && !wList && !rList && !isZero(r):
		c.report(verdict.Constraint, path, w, r, "the writer leaves out what is zero, and the reader takes %v for what is left out", r.Default())
	}
}

// isZero reports that what a field is when it is absent is what proto3 leaves
// out.
func isZero(f protoreflect.FieldDescriptor) bool {
	switch f.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return true
	case protoreflect.EnumKind:
		return f.Default().Enum() == 0
	case protoreflect.BytesKind:
		return len(f.Default().Bytes()) == 0
	case protoreflect.StringKind:
		return f.Default().String() == ""
	case protoreflect.BoolKind:
		return !f.Default().Bool()
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		return f.Default().Float() == 0
	case protoreflect.Uint32Kind, protoreflect.Uint64Kind, protoreflect.Fixed32Kind, protoreflect.Fixed64Kind:
		return f.Default().Uint() == 0
	}
	return f.Default().Int() == 0
}

// oneofs compares what is in a oneof.
func (c *comparison) oneofs(w, r protoreflect.MessageDescriptor, written map[protoreflect.FieldNumber]protoreflect.FieldDescriptor, path string) {
	for i := range r.Oneofs().Len() {
		o := r.Oneofs().Get(i)
		if o.IsSynthetic() {
			continue
		}
		from := map[protoreflect.OneofDescriptor]bool{}
		var free []protoreflect.FieldDescriptor // the writer's that are in no oneof
		for j := range o.Fields().Len() {
			was, ok := written[o.Fields().Get(j).Number()]
			if !ok {
				continue
			}
			if in := realOneof(was); in != nil {
				from[in] = true
			} else {
				free = append(free, was)
			}
		}
		if len(from)+len(free) > 1 {
			c.report(verdict.FieldNumber, path+"."+string(o.Name()), w, o, "the writer may set more than one of its fields, of which the reader's oneof keeps the last")
		}
		for in := range from {
			c.lostBranches(in, o, path)
		}
	}
}

// lostBranches reports what a writer may choose and the reader does not know.
func (c *comparison) lostBranches(w, r protoreflect.OneofDescriptor, path string) {
	for i := range w.Fields().Len() {
		f := w.Fields().Get(i)
		if r.Parent().(protoreflect.MessageDescriptor).Fields().ByNumber(f.Number()) == nil {
			c.report(verdict.Branch, path+"."+string(r.Name()), f, r, "the writer may choose %s = %d, which the reader does not know", f.Name(), f.Number())
		}
	}
}
