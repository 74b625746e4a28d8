package avro

import (
	"strings"

	"github.com/dhowhq/dhow/contract/verdict"
)

// reading is a reader by the letter of the specification, one datum at a time,
// slow and plain. It notes each thing that it cannot read and goes on.
type reading struct{ faults []fault }

type fault struct {
	kind verdict.Kind
	path string
}

func (r *reading) fault(k verdict.Kind, path string) {
	r.faults = append(r.faults, fault{k, strings.TrimPrefix(path, ".")})
}

func (r *reading) read(t *typ, d datum, path string) {
	if d.t.kind == kindUnion {
		chosen := d.items[0]
		if t.kind != kindUnion && !matches(t, chosen.t) {
			r.fault(verdict.Branch, path)
			return
		}
		r.branch(t, chosen, path)
		return
	}
	if t.kind == kindUnion {
		r.branch(t, d, path)
		return
	}
	r.plain(t, d, path)
}

// branch reads what was chosen from a union, or what a union has to take.
func (r *reading) branch(t *typ, d datum, path string) {
	if t.kind != kindUnion {
		r.plain(t, d, path)
		return
	}
	stages := []func(b *typ) bool{
		func(b *typ) bool { return b.kind == d.t.kind && (b.name == d.t.name || hasAlias(b, d.t.name)) },
		func(b *typ) bool { return b.kind == d.t.kind },
		func(b *typ) bool { return true },
	}
	for _, stage := range stages {
		for _, b := range t.branches {
			if stage(b) && matches(b, d.t) {
				r.plain(b, d, path)
				return
			}
		}
	}
	r.fault(verdict.Branch, path)
}

func hasAlias(t *typ, name string) bool {
	for _, a := range t.aliases {
		if a == name {
			return true
		}
	}
	return false
}

// widens is the specification's list of promotions.
var widens = map[string]string{
	"int": "long float double", "long": "float double", "float": "double", "string": "bytes", "bytes": "string",
}

func matches(r, w *typ) bool {
	if r.kind != w.kind {
		return strings.Contains(" "+widens[w.kind.String()]+" ", " "+r.kind.String()+" ")
	}
	if r.name == "" {
		return true
	}
	names := r.name[strings.LastIndex(r.name, ".")+1:] == w.name[strings.LastIndex(w.name, ".")+1:] || hasAlias(r, w.name)
	return names && (r.kind != kindFixed || r.size == w.size)
}

// plain reads what is no union.
func (r *reading) plain(t *typ, d datum, path string) {
	w := d.t
	switch {
	case t.kind != w.kind && !matches(t, w):
		r.fault(verdict.Type, path)
		return
	case t.kind == kindFixed && t.size != w.size && matches(&typ{kind: kindRecord, name: t.name, aliases: t.aliases}, &typ{kind: kindRecord, name: w.name}):
		r.fault(verdict.Size, path)
	case !matches(t, w):
		r.fault(verdict.Name, path)
		return
	}
	if t.logical == "decimal" && w.logical == "decimal" && (t.precision != w.precision || t.scale != w.scale) {
		r.fault(verdict.Logical, path)
	}
	if t.kind != w.kind {
		return
	}
	switch t.kind {
	case kindEnum:
		r.symbol(t, w.symbols[d.pick].name, path)
	case kindArray, kindMap:
		for _, item := range d.items {
			r.read(t.items, item, path+map[kind]string{kindArray: "[]", kindMap: "{}"}[t.kind])
		}
	case kindRecord:
		r.record(t, d, path)
	}
}

func (r *reading) symbol(t *typ, name, path string) {
	for _, s := range t.symbols {
		if s.name == name {
			return
		}
	}
	if !t.falls {
		r.fault(verdict.Symbol, path)
	}
}

func (r *reading) record(t *typ, d datum, path string) {
	for _, f := range t.fields {
		at := path + "." + f.name
		found := 0
		for i, wf := range d.t.fields {
			if f.name != wf.name && !hasAlias(&typ{aliases: f.aliases}, wf.name) {
				continue
			}
			if found++; found > 1 {
				r.fault(verdict.Name, at)
				continue
			}
			r.read(f.typ, d.items[i], at)
		}
		if found == 0 && f.fallback == nil {
			r.fault(verdict.NoDefault, at)
		}
	}
}
