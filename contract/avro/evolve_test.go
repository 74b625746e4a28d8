package avro

import (
	"encoding/json"
	"fmt"
	"slices"

	"pgregory.net/rapid"
)

// model is a schema that tests make and change.
type model struct {
	Kind    string
	Name    string // of named types, full
	Aliases []string
	Fields  []modelField
	Symbols []string
	Default string // of enums
	Size    int
	Items   *model
	Types   []*model
	Logical map[string]any
}

type modelField struct {
	Name    string
	Aliases []string
	Type    *model
	Default any
	Has     bool
}

// clone copies a model by way of JSON, which it has all it needs for.
func (m *model) clone() *model {
	text, _ := json.Marshal(m)
	var c model
	if err := json.Unmarshal(text, &c); err != nil {
		panic(err)
	}
	return &c
}

// schema is a model as Avro's JSON has it. A named type is written where it
// comes first and named after.
func (m *model) schema(seen map[string]bool) any {
	out := map[string]any{"type": m.Kind}
	for k, v := range m.Logical {
		out[k] = v
	}
	switch m.Kind {
	case "union":
		list := []any{}
		for _, t := range m.Types {
			list = append(list, t.schema(seen))
		}
		return list
	case "array":
		out["items"] = m.Items.schema(seen)
	case "map":
		out["values"] = m.Items.schema(seen)
	case "record", "enum", "fixed":
		if seen[m.Name] {
			return m.Name
		}
		seen[m.Name] = true
		out["name"] = m.Name
		out["aliases"] = append([]string{}, m.Aliases...)
		m.body(out, seen)
	case "ref":
		return m.Name
	}
	return out
}

func (m *model) body(out map[string]any, seen map[string]bool) {
	switch m.Kind {
	case "fixed":
		out["size"] = m.Size
	case "enum":
		out["symbols"] = m.Symbols
		if m.Default != "" {
			out["default"] = m.Default
		}
	case "record":
		fields := []any{}
		for _, f := range m.Fields {
			field := map[string]any{"name": f.Name, "type": f.Type.schema(seen), "aliases": append([]string{}, f.Aliases...)}
			if f.Has {
				field["default"] = f.Default
			}
			fields = append(fields, field)
		}
		out["fields"] = fields
	}
}

func (m *model) text() string {
	b, err := json.MarshalIndent(m.schema(map[string]bool{}), "", " ")
	if err != nil {
		panic(err)
	}
	return string(b)
}

// maker makes models at random.
type maker struct {
	t     *rapid.T
	names int
	open  []string // records around, for recursion
}

func (k *maker) n(from, to int) int      { return rapid.IntRange(from, to).Draw(k.t, "n") }
func (k *maker) chance(percent int) bool { return k.n(1, 100) <= percent }

func pickOne[T any](k *maker, from ...T) T { return from[k.n(0, len(from)-1)] }

var primitiveNames = []string{"null", "boolean", "int", "long", "float", "double", "bytes", "string"}

func (k *maker) model(depth int) *model {
	if depth <= 0 || k.chance(35) {
		return k.leaf()
	}
	switch k.n(0, 4) {
	case 0:
		return &model{Kind: "array", Items: k.model(depth - 1)}
	case 1:
		return &model{Kind: "map", Items: k.model(depth - 1)}
	case 2:
		return k.union(depth - 1)
	}
	return k.record(depth - 1)
}

func (k *maker) name() string {
	k.names++
	return pickOne(k, "", "a.", "b.", "a.c.") + fmt.Sprintf("T%d", k.names)
}

func (k *maker) leaf() *model {
	switch k.n(0, 5) {
	case 0:
		return k.enum()
	case 1:
		m := &model{Kind: "fixed", Name: k.name(), Size: k.n(1, 4)}
		if k.chance(40) {
			m.Logical = k.decimal()
		}
		return m
	case 2:
		return &model{Kind: "bytes", Logical: k.decimal()}
	case 3:
		return &model{Kind: "long", Logical: map[string]any{"logicalType": "timestamp-millis"}}
	}
	return &model{Kind: pickOne(k, primitiveNames...)}
}

func (k *maker) decimal() map[string]any {
	return map[string]any{"logicalType": "decimal", "precision": k.n(2, 3), "scale": k.n(0, 2)}
}

func (k *maker) enum() *model {
	m := &model{Kind: "enum", Name: k.name(), Symbols: []string{"A", "B", "C"}[:k.n(1, 3)]}
	if k.chance(30) {
		m.Default = m.Symbols[0]
	}
	return m
}

func (k *maker) union(depth int) *model {
	u := &model{Kind: "union"}
	for range k.n(1, 3) {
		b := k.model(depth)
		clash := b.Kind == "union" || slices.ContainsFunc(u.Types, func(o *model) bool { return o.Kind == b.Kind && b.Name == "" })
		if !clash {
			u.Types = append(u.Types, b)
		}
	}
	if len(u.Types) == 0 {
		u.Types = []*model{{Kind: "null"}}
	}
	return u
}

func (k *maker) record(depth int) *model {
	r := &model{Kind: "record", Name: k.name()}
	k.open = append(k.open, r.Name)
	for i := range k.n(1, 4) {
		r.Fields = append(r.Fields, k.field(fmt.Sprintf("f%d", i), depth))
	}
	k.open = k.open[:len(k.open)-1]
	return r
}

func (k *maker) field(name string, depth int) modelField {
	f := modelField{Name: name}
	if len(k.open) > 0 && k.chance(12) {
		again := &model{Kind: "ref", Name: pickOne(k, k.open...)}
		f.Type = pickOne(k, &model{Kind: "array", Items: again}, &model{Kind: "union", Types: []*model{{Kind: "null"}, again}})
	} else {
		f.Type = k.model(depth)
	}
	if k.chance(50) {
		f.Default, f.Has = sample(f.Type)
	}
	return f
}

// sample is a default for a type.
func sample(m *model) (any, bool) {
	switch m.Kind {
	case "null":
		return nil, true
	case "boolean":
		return true, true
	case "int", "long", "float", "double":
		return 1, true
	case "bytes", "string":
		return "x", true
	case "array":
		return []any{}, true
	case "map":
		return map[string]any{}, true
	case "fixed":
		return "xxxx"[:m.Size], true
	case "enum":
		return m.Symbols[0], true
	case "union":
		return sample(m.Types[0])
	case "record":
		out := map[string]any{}
		for _, f := range m.Fields {
			v, ok := sample(f.Type)
			if !ok {
				return nil, false
			}
			out[f.Name] = v
		}
		return out, true
	}
	return nil, false
}

// all lists a model's parts.
func (m *model) all() []*model {
	list := []*model{m}
	for _, f := range m.Fields {
		list = append(list, f.Type.all()...)
	}
	for _, t := range m.Types {
		list = append(list, t.all()...)
	}
	if m.Items != nil {
		list = append(list, m.Items.all()...)
	}
	return list
}

// change makes one edit at random, as people do to schemas.
func (k *maker) change(m *model) {
	k.names += 100
	at := pickOne(k, m.all()...)
	switch at.Kind {
	case "record":
		k.changeRecord(at)
	case "enum":
		k.changeEnum(at)
	case "fixed":
		k.rename(at, func() { at.Size = k.n(1, 4); at.Logical = nil })
	case "union":
		k.changeUnion(at)
	case "ref":
	default:
		k.changeType(at)
	}
}

// rename changes a named type's name, with an alias or without, or else does other.
func (k *maker) rename(m *model, other func()) {
	old := m.Name
	switch k.n(0, 4) {
	case 0:
		m.Name, m.Aliases = k.name(), append(m.Aliases, old)
	case 1:
		m.Name = k.name()
	case 2:
		m.Name = "z." + short(old)
	default:
		other()
	}
}

func (k *maker) changeRecord(m *model) {
	i := k.n(0, max(0, len(m.Fields)-1))
	switch k.n(0, 6) {
	case 0, 1:
		m.Fields = slices.Insert(m.Fields, i, k.field(fmt.Sprintf("g%d", k.names), 1))
	case 2:
		if len(m.Fields) > 0 {
			m.Fields = slices.Delete(m.Fields, i, i+1)
		}
	case 3:
		if len(m.Fields) > 0 {
			k.renameField(m, i)
		}
	case 4:
		slices.Reverse(m.Fields)
	case 5:
		if len(m.Fields) > 0 {
			m.Fields[i].Has, m.Fields[i].Default = false, nil
		}
	default:
		k.rename(m, func() {})
	}
}

func (k *maker) renameField(m *model, i int) {
	f := &m.Fields[i]
	old := f.Name
	f.Name = fmt.Sprintf("h%d", k.names)
	if k.chance(70) {
		f.Aliases = append(f.Aliases, old)
	}
	if k.chance(15) { // both are in the writer's schema then, if this one reads the other
		f.Name, f.Aliases = old, append(f.Aliases, m.Fields[k.n(0, len(m.Fields)-1)].Name)
		f.Aliases = slices.DeleteFunc(f.Aliases, func(a string) bool { return a == old })
		m.Fields = slices.DeleteFunc(m.Fields, func(o modelField) bool { return slices.Contains(f.Aliases, o.Name) })
	}
}

func (k *maker) changeEnum(m *model) {
	k.rename(m, func() {
		m.Symbols, m.Default = []string{"A", "B", "C", "D"}[k.n(0, 1):k.n(2, 4)], ""
		if k.chance(40) {
			m.Default = m.Symbols[0]
		}
	})
}

func (k *maker) changeUnion(m *model) {
	i := k.n(0, len(m.Types)-1)
	switch k.n(0, 3) {
	case 0:
		extra := k.leaf()
		if !slices.ContainsFunc(m.Types, func(o *model) bool { return o.Kind == extra.Kind && extra.Name == "" }) {
			m.Types = append(m.Types, extra)
		}
	case 1:
		if len(m.Types) > 1 && m.Types[i].Kind != "null" {
			m.Types = slices.Delete(m.Types, i, i+1)
		}
	case 2:
		slices.Reverse(m.Types)
	default:
		if m.Types[i].Kind != "ref" { // which would need itself for ever
			*m = *m.Types[i]
		}
	}
}

func (k *maker) changeType(m *model) {
	if m.Kind == "null" || k.chance(40) {
		inner := *m
		*m = model{Kind: "union", Types: []*model{&inner}}
		if inner.Kind != "null" {
			m.Types = append(m.Types, &model{Kind: "null"})
		}
		return
	}
	wider := map[string][]string{
		"int": {"long", "float", "double", "string"}, "long": {"float", "double", "int"}, "float": {"double", "long"},
		"double": {"float"}, "string": {"bytes", "int"}, "bytes": {"string"}, "boolean": {"int"},
	}
	if to := wider[m.Kind]; to != nil {
		m.Kind, m.Logical = pickOne(k, to...), nil
		return
	}
	m.Items = k.model(1)
}
