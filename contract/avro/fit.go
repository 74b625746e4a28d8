package avro

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
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
// below the name of the branch where it has one. In messages one without a name
// must fit no two, numbers aside.
func (f *fitter) branch(t *typ, v *value) (int, *value, *misfit) {
	named, reason := -1, (*misfit)(nil)
	if f.payload && v.shape == jsonObject && len(v.items) == 1 {
		if named = t.branchNamed(v.names[0]); named >= 0 {
			if reason = f.fits(t.branches[named], &v.items[0]); reason == nil {
				return named, &v.items[0], nil
			}
		}
	}
	plain, only, found := 0, (*misfit)(nil), -1
	for i, b := range t.branches {
		bad := f.fits(b, v)
		switch {
		case bad == nil && (!f.payload || v.shape == jsonNumber || v.shape == jsonNull):
			return i, v, nil // of numbers the first that has room
		case bad == nil && found >= 0:
			first, second := t.branches[found].label(), b.label()
			return 0, nil, refuse(v, "%s without the name of its type fits %s and %s: write it as Avro's JSON does, {%q: …}", v.shape, first, second, cmp.Or(b.name, b.kind.String()))
		case bad == nil:
			found = i
			continue
		}
		if b.kind != kindNull && wants[b.kind] == v.shape {
			plain, only = plain+1, bad
		}
	}
	switch {
	case found >= 0:
		return found, v, nil
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
