package codec

import (
	"math/big"
	"reflect"
	"sync"
	"time"

	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/document"
)

// A union's Go type is an interface, and reflection cannot list the types
// that satisfy one. The SDK's generated decoders can: a struct that has a
// union member is decoded from a script that names one member of the union,
// and what the decoder put there is the type. Documents, whose constructors
// are internal to each service, are made the same way.

// unionInfo is what a union node knows beside its members.
type unionInfo struct {
	concrete []reflect.Type // by member, the struct; nil where unknown
	byType   sync.Map       // reflect.Type → *field, for writing
}

// Know tells the codec of types, handlers' inputs and outputs, in which to
// look for structs that have union and document members.
func (c *Codec) Know(types ...reflect.Type) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known = append(c.known, types...)
}

func (c *Codec) listUnionMembers(members []any) {
	for _, m := range members {
		t := reflect.TypeOf(m)
		for t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		c.listed = append(c.listed, t)
	}
}

func (c *Codec) fillUnion(n *node) error {
	s := n.shape
	info := &unionInfo{concrete: make([]reflect.Type, len(s.Members))}
	n.union = info
	n.fields = make([]field, len(s.Members))
	n.byName = make(map[string]int, len(s.Members))
	n.byWire = make(map[string]int, len(s.Members))
	n.byEC2 = make(map[string]int, len(s.Members))
	owner, index, found := c.owner(n.typ)
	for i := range s.Members {
		m, f := &s.Members[i], &n.fields[i]
		f.member, f.name, f.wire, f.owner = m, m.Name, m.Wire, n
		if f.wire == "" {
			f.wire = f.name
		}
		f.ec2 = goName(f.wire)
		f.json = `"` + f.wire + `":`
		f.path = lowerFirst(f.name)
		f.flat = m.Flattened || c.m.Shapes[m.Shape].Flattened
		n.byName[f.name], n.byWire[f.wire], n.byEC2[f.ec2] = i, i, i
		t := c.listedMember(n, m.Name)
		if t == nil && found {
			t = probeUnion(owner, index, m.Name)
		}
		if t == nil {
			continue
		}
		info.concrete[i] = t
		value, ok := t.FieldByName("Value")
		if !ok {
			continue
		}
		f.index = value.Index[0]
		if err := c.slot(&f.slot, value.Type, m.Shape); err != nil {
			return err
		}
	}
	return nil
}

func (c *Codec) listedMember(n *node, member string) reflect.Type {
	for _, t := range c.listed {
		if name, ok := unionName(n, t); ok && name == goName(member) && reflect.PointerTo(t).Implements(n.typ) {
			return t
		}
	}
	return nil
}

// written returns the field that a union's concrete value stands for.
func (c *Codec) written(n *node, concrete reflect.Type) (*field, bool) {
	info := n.union
	if f, ok := info.byType.Load(concrete); ok {
		return f.(*field), true
	}
	name, ok := unionName(n, concrete)
	if !ok {
		return nil, false
	}
	for i := range n.fields {
		if goName(n.fields[i].name) != name {
			continue
		}
		f := n.fields[i]
		if f.n == nil { // a type that no decoder revealed
			value, ok := concrete.FieldByName("Value")
			if !ok {
				return nil, false
			}
			f.index = value.Index[0]
			c.mu.Lock()
			err := c.slot(&f.slot, value.Type, f.member.Shape)
			c.mu.Unlock()
			if err != nil {
				return nil, false
			}
		}
		info.byType.Store(concrete, &f)
		return &f, true
	}
	return nil, false
}

// owner finds a struct with a generated decoder and a field of type t, or of
// a list or map of t.
func (c *Codec) owner(t reflect.Type) (reflect.Type, int, bool) {
	seen := map[reflect.Type]bool{}
	var walk func(reflect.Type) (reflect.Type, int, bool)
	walk = func(at reflect.Type) (reflect.Type, int, bool) {
		switch at.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map:
			return walk(at.Elem())
		case reflect.Struct:
		default:
			return nil, 0, false
		}
		if seen[at] {
			return nil, 0, false
		}
		seen[at] = true
		decodes := reflect.PointerTo(at).Implements(serdeType)
		for i := range at.NumField() {
			f := at.Field(i)
			if !f.IsExported() {
				continue
			}
			ft := f.Type
			for ft.Kind() == reflect.Slice || ft.Kind() == reflect.Map {
				ft = ft.Elem()
			}
			if decodes && ft == t {
				return at, i, true
			}
			if s, j, ok := walk(ft); ok {
				return s, j, true
			}
		}
		return nil, 0, false
	}
	for _, k := range c.known {
		if s, i, ok := walk(k); ok {
			return s, i, true
		}
	}
	return nil, 0, false
}

// probeUnion decodes member of the union at owner's field from a script and
// returns the struct type that the decoder put there, or nil.
func probeUnion(owner reflect.Type, index int, member string) reflect.Type {
	v, ok := decodeScript(owner, index, &script{union: member})
	if !ok {
		return nil
	}
	for v.Kind() == reflect.Slice || v.Kind() == reflect.Map {
		if v.Len() == 0 {
			return nil
		}
		if v.Kind() == reflect.Slice {
			v = v.Index(0)
		} else {
			v = v.MapIndex(v.MapKeys()[0])
		}
	}
	if v.Kind() != reflect.Interface || v.IsNil() || v.Elem().Kind() != reflect.Pointer {
		return nil
	}
	return v.Elem().Type().Elem()
}

// newDocument returns value, as encoding/json decodes into any, in the
// service's document type t.
func (c *Codec) newDocument(t reflect.Type, value any) (reflect.Value, bool) {
	c.mu.Lock()
	owner, index, ok := c.owner(t)
	c.mu.Unlock()
	if !ok {
		return reflect.Value{}, false
	}
	v, ok := decodeScript(owner, index, &script{doc: document.Opaque{Value: value}})
	return v, ok && v.Kind() == reflect.Interface && !v.IsNil()
}

func decodeScript(owner reflect.Type, index int, s *script) (v reflect.Value, ok bool) {
	defer func() {
		if recover() != nil { // a decoder that needs more than the script says
			ok = false
		}
	}()
	s.field = owner.Field(index).Name
	p := reflect.New(owner)
	if err := p.Interface().(smithy.Deserializable).Deserialize(s); err != nil {
		return v, false
	}
	return p.Elem().Field(index), true
}

// script is a message of one member: a union of which one member is set, or a
// document. Everything inside is empty.
type script struct {
	field  string // Go name of the member
	union  string
	doc    document.Value
	top    *smithy.Schema
	opened bool // the member was given
	chosen bool // the union's member was given
	item   bool // the list's or map's only item was given
}

func (s *script) ReadStruct(schema *smithy.Schema) error {
	if s.top == nil {
		s.top = schema
	}
	return nil
}

func (s *script) ReadStructMember() (*smithy.Schema, error) {
	if s.opened {
		return nil, nil
	}
	s.opened = true
	for name, m := range s.top.Members() {
		if goName(name) == s.field {
			return m, nil
		}
	}
	return nil, nil
}

func (s *script) ReadUnion(schema *smithy.Schema) (*smithy.Schema, error) {
	if s.chosen || s.union == "" {
		return nil, nil
	}
	s.chosen, s.item = true, true
	return schema.Member(s.union), nil
}

func (s *script) once() bool {
	if s.item {
		return false
	}
	s.item = true
	return true
}

func (s *script) ReadDocument(_ *smithy.Schema, v *document.Value) error {
	*v = s.doc
	return nil
}

func (s *script) ReadList(*smithy.Schema) error                   { return nil }
func (s *script) ReadListItem(*smithy.Schema) (bool, error)       { return s.once(), nil }
func (s *script) ReadMap(*smithy.Schema) error                    { return nil }
func (s *script) ReadMapKey(*smithy.Schema) (string, bool, error) { return "k", s.once(), nil }
func (s *script) ReadNil(*smithy.Schema) (bool, error)            { return false, nil }
func (s *script) ReadInt8(*smithy.Schema, *int8) error            { return nil }
func (s *script) ReadInt16(*smithy.Schema, *int16) error          { return nil }
func (s *script) ReadInt32(*smithy.Schema, *int32) error          { return nil }
func (s *script) ReadInt64(*smithy.Schema, *int64) error          { return nil }
func (s *script) ReadFloat32(*smithy.Schema, *float32) error      { return nil }
func (s *script) ReadFloat64(*smithy.Schema, *float64) error      { return nil }
func (s *script) ReadBool(*smithy.Schema, *bool) error            { return nil }
func (s *script) ReadString(*smithy.Schema, *string) error        { return nil }
func (s *script) ReadBlob(*smithy.Schema, *[]byte) error          { return nil }
func (s *script) ReadTime(*smithy.Schema, *time.Time) error       { return nil }
func (s *script) ReadBigInt(*smithy.Schema, *big.Int) error       { return nil }
func (s *script) ReadBigFloat(*smithy.Schema, *big.Float) error   { return nil }
