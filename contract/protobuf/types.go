package protobuf

import (
	"math"
	"slices"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/dhowhq/dhow/contract/verdict"
)

// reads are the kinds as which a kind can be read with all its values: those
// that are alike on the wire and no narrower. Enums are apart.
var reads = map[protoreflect.Kind][]protoreflect.Kind{
	protoreflect.BoolKind:    {protoreflect.Int32Kind, protoreflect.Int64Kind, protoreflect.Uint32Kind, protoreflect.Uint64Kind},
	protoreflect.Int32Kind:   {protoreflect.Int64Kind},
	protoreflect.Uint32Kind:  {protoreflect.Int64Kind, protoreflect.Uint64Kind},
	protoreflect.Sint32Kind:  {protoreflect.Sint64Kind},
	protoreflect.StringKind:  {protoreflect.BytesKind},
	protoreflect.MessageKind: {protoreflect.BytesKind},
}

// alike are kinds that are written alike; within one, a parser takes what is too
// wide and cuts it off.
var alike = []map[protoreflect.Kind]bool{
	{protoreflect.BoolKind: true, protoreflect.Int32Kind: true, protoreflect.Int64Kind: true, protoreflect.Uint32Kind: true, protoreflect.Uint64Kind: true, protoreflect.EnumKind: true},
	{protoreflect.Sint32Kind: true, protoreflect.Sint64Kind: true},
	{protoreflect.Fixed32Kind: true, protoreflect.Sfixed32Kind: true},
	{protoreflect.Fixed64Kind: true, protoreflect.Sfixed64Kind: true},
}

func (c *comparison) types(w, r protoreflect.FieldDescriptor, path string) {
	from, to := w.Kind(), r.Kind()
	switch {
	case w.Message() != nil && r.Message() != nil && from == to:
		c.message(w.Message(), r.Message(), path)
		return
	case from == protoreflect.EnumKind && to == from:
		c.enums(w, r, path)
		return
	case from == protoreflect.EnumKind:
		if fits(w.Enum().Values(), to) {
			return
		}
	case to == protoreflect.EnumKind:
		c.toEnum(w, r, path)
		return
	case from == to || slices.Contains(reads[from], to) && !w.IsMap():
		return
	}
	c.incompatible(w, r, path)
}

// fits reports that all numbers that an enum has names for can be read as a kind.
func fits(values protoreflect.EnumValueDescriptors, as protoreflect.Kind) bool {
	low, high := protoreflect.EnumNumber(math.MinInt32), protoreflect.EnumNumber(math.MaxInt32)
	switch as {
	case protoreflect.Int32Kind, protoreflect.Int64Kind:
	case protoreflect.Uint32Kind, protoreflect.Uint64Kind:
		low = 0
	case protoreflect.BoolKind:
		low, high = 0, 1
	default:
		return false
	}
	for i := range values.Len() {
		if n := values.Get(i).Number(); n < low || n > high {
			return false
		}
	}
	return true
}

func (c *comparison) incompatible(w, r protoreflect.FieldDescriptor, path string) {
	from, to := w.Kind(), r.Kind()
	for _, group := range alike {
		if group[from] && group[to] {
			c.report(verdict.Type, path, w, r, "%s cannot be read as %s: they are alike on the wire, but values that only %s has come out as others", from, to, from)
			return
		}
	}
	if from == protoreflect.BytesKind && to == protoreflect.StringKind {
		c.report(verdict.Type, path, w, r, "bytes cannot be read as string: they may be no UTF-8")
		return
	}
	c.report(verdict.Type, path, w, r, "%s cannot be read as %s", kindName(w), kindName(r))
}

func kindName(f protoreflect.FieldDescriptor) string {
	if f.IsMap() {
		return "map"
	}
	if f.Kind() == protoreflect.MessageKind {
		return "message " + string(f.Message().Name())
	}
	return f.Kind().String()
}

// enums compares the numbers that a writer has names for. Readers of an open
// enum keep others, those of a closed one do not see them; a name that stands
// for another number means something else.
func (c *comparison) enums(w, r protoreflect.FieldDescriptor, path string) {
	values := w.Enum().Values()
	for i := range values.Len() {
		v := values.Get(i)
		if is := r.Enum().Values().ByName(v.Name()); is != nil && is.Number() != v.Number() {
			c.report(verdict.FieldNumber, path, v, is, "%s is %d for the writer and %d for the reader", v.Name(), v.Number(), is.Number())
		} else if r.Enum().IsClosed() && r.Enum().Values().ByNumber(v.Number()) == nil {
			c.report(verdict.Symbol, path, v, r.Enum(), "%s = %d is not in the reader's enum %s, which is closed", v.Name(), v.Number(), r.Enum().Name())
		}
	}
}

// toEnum compares numbers that are read as an enum: an open one keeps all that
// fit, a closed one has to know them.
func (c *comparison) toEnum(w, r protoreflect.FieldDescriptor, path string) {
	most := map[protoreflect.Kind]int64{protoreflect.BoolKind: 1, protoreflect.Int32Kind: math.MaxInt32}[w.Kind()]
	if most == 0 {
		c.incompatible(w, r, path)
		return
	}
	if !r.Enum().IsClosed() {
		return
	}
	known := func(n protoreflect.EnumNumber) bool { return r.Enum().Values().ByNumber(n) != nil }
	if most > 1 || !known(0) || !known(1) {
		c.report(verdict.Symbol, path, w, r, "%s has values that are not in the reader's enum %s, which is closed", w.Kind(), r.Enum().Name())
	}
}
