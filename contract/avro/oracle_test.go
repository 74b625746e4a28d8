package avro

import (
	"strings"
	"testing"

	twmb "github.com/twmb/avro"
	"pgregory.net/rapid"

	"github.com/dhowhq/dhow/contract/verdict"
)

// datum is a value, as a tree over the type that it was written with.
type datum struct {
	t     *typ
	pick  int // the branch or the symbol
	items []datum
}

// bytes is the datum as it is sent.
func (d datum) bytes(b []byte) []byte {
	switch d.t.kind {
	case kindBoolean:
		return append(b, 1)
	case kindInt, kindLong:
		return appendLong(b, 3)
	case kindFloat:
		return append(b, 0, 0, 0x80, 0x3f)
	case kindDouble:
		return append(b, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f)
	case kindBytes, kindString:
		return append(b, 2, 7)
	case kindFixed:
		return append(append(b, make([]byte, d.t.size-1)...), 7)
	case kindEnum:
		return appendLong(b, int64(d.pick))
	case kindUnion:
		return d.items[0].bytes(appendLong(b, int64(d.pick)))
	case kindRecord:
		for _, f := range d.items {
			b = f.bytes(b)
		}
	case kindArray, kindMap:
		if len(d.items) > 0 {
			b = appendLong(b, int64(len(d.items)))
		}
		for i, item := range d.items {
			if d.t.kind == kindMap {
				b = append(b, 2, 'a'+byte(i))
			}
			b = item.bytes(b)
		}
		return append(b, 0)
	}
	return b
}

// least is a small datum of a type; recursion in tests goes through arrays and
// nullable unions only.
func least(t *typ) datum {
	d := datum{t: t}
	switch t.kind {
	case kindUnion:
		for i, b := range t.branches {
			if b.kind == kindNull {
				d.pick = i
			}
		}
		d.items = []datum{least(t.branches[d.pick])}
	case kindRecord:
		for i := range t.fields {
			d.items = append(d.items, least(t.fields[i].typ))
		}
	}
	return d
}

// bottomless reports whether least would never end.
func bottomless(t *typ, depth int) bool {
	if depth > 60 {
		return true
	}
	switch t.kind {
	case kindUnion:
		for _, b := range t.branches {
			if b.kind == kindNull {
				return false
			}
		}
		return bottomless(t.branches[0], depth+1)
	case kindRecord:
		for i := range t.fields {
			if bottomless(t.fields[i].typ, depth+1) {
				return true
			}
		}
	}
	return false
}

// random is a datum at random.
func random(k *maker, t *typ, depth int) datum {
	if depth == 0 {
		return least(t)
	}
	d := datum{t: t}
	switch t.kind {
	case kindEnum:
		d.pick = k.n(0, len(t.symbols)-1)
	case kindUnion:
		d.pick = k.n(0, len(t.branches)-1)
		d.items = []datum{random(k, t.branches[d.pick], depth-1)}
	case kindRecord:
		for i := range t.fields {
			d.items = append(d.items, random(k, t.fields[i].typ, depth-1))
		}
	case kindArray, kindMap:
		for range k.n(0, 2) {
			d.items = append(d.items, random(k, t.items, depth-1))
		}
	}
	return d
}

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

// witnesses are data of w that come to where a problem is when t reads them.
func witnesses(t, w *typ, path, target string) []datum {
	path = strings.TrimPrefix(path, ".")
	if rest, ok := strings.CutPrefix(target, path); !ok || path != "" && rest != "" && !strings.ContainsAny(rest[:1], ".[{") {
		return nil
	}
	var found []datum
	switch w.kind {
	case kindUnion:
		for i, b := range w.branches {
			found = append(found, datum{t: w, pick: i, items: []datum{least(b)}})
			for _, below := range witnesses(t, b, path, target) {
				found = append(found, datum{t: w, pick: i, items: []datum{below}})
			}
		}
		return found
	case kindEnum:
		for i := range w.symbols {
			found = append(found, datum{t: w, pick: i})
		}
		return found
	}
	if t.kind == kindUnion {
		for _, b := range t.branches {
			if matches(b, w) {
				found = append(found, witnesses(b, w, path, target)...)
			}
		}
		return append(found, least(w))
	}
	return append(descend(t, w, path, target), least(w))
}

func descend(t, w *typ, path, target string) (found []datum) {
	switch {
	case t.kind != w.kind:
	case w.kind == kindArray, w.kind == kindMap:
		step := map[kind]string{kindArray: "[]", kindMap: "{}"}[w.kind]
		for _, below := range witnesses(t.items, w.items, path+step, target) {
			found = append(found, datum{t: w, items: []datum{below}})
		}
	case w.kind == kindRecord:
		for _, f := range t.fields {
			for i, wf := range w.fields {
				if f.name != wf.name && !hasAlias(&typ{aliases: f.aliases}, wf.name) {
					continue
				}
				for _, below := range witnesses(f.typ, wf.typ, path+"."+f.name, target) {
					d := least(w)
					d.items[i] = below
					found = append(found, d)
				}
			}
		}
	}
	return found
}

// pairs are a reader and a writer: one a change of the other, or strangers.
func pairs(t *rapid.T) (reader, writer *Schema) {
	k := &maker{t: t}
	a := k.record(3)
	if k.chance(10) {
		a = k.model(3)
	}
	b := a.clone()
	for range k.n(0, 5) {
		k.change(b)
	}
	if k.chance(10) {
		b = k.model(2)
	}
	reader, writer = parsed(t, "reader.avsc", a), parsed(t, "writer.avsc", b)
	if bottomless(writer.root, 0) || bottomless(reader.root, 0) {
		t.Skip("no datum has an end")
	}
	if k.chance(50) {
		return writer, reader
	}
	return reader, writer
}

// parsed is a model's schema. Some models are none, as by a name that has lost its
// definition or a default that no longer fits: those twmb refuses as well, but for
// names that are used before they are defined and for what forgiven counts.
func parsed(t *rapid.T, file string, m *model) *Schema {
	s, err := Parse(Source{File: file, Text: m.text()})
	if err == nil {
		return s
	}
	overlooked := strings.Contains(err.Error(), "is used before it is defined") || strings.HasSuffix(err.Error(), "is missing, and the field has no default")
	if _, theirs := twmb.Parse(m.text()); theirs == nil && !overlooked {
		t.Fatalf("%v, and twmb takes it: %s", err, m.text())
	}
	t.Skip(err)
	return nil
}

// TestOracle holds CanRead against the slow reader above and against twmb. What
// it finds compatible reads every datum; each problem that it lists has a datum
// that shows it.
func TestOracle(t *testing.T) {
	count := map[verdict.Kind]int{}
	for range 50 { // a hundred pairs each
		rapid.Check(t, func(t *rapid.T) { checkPair(t, count) })
	}
	t.Log(count)
	for _, k := range []verdict.Kind{verdict.Branch, verdict.Name, verdict.NoDefault, verdict.Type, ""} {
		if count[k] == 0 {
			t.Errorf("no pair with %q", k)
		}
	}
}

func checkPair(t *rapid.T, count map[verdict.Kind]int) {
	reader, writer := pairs(t)
	problems := reader.CanRead(writer)
	r, w := compile(t, reader), compile(t, writer)
	resolved, err := twmb.Resolve(w, r)
	if err == nil && len(problems) > 0 && bareAlias(reader, writer) {
		t.Skip("twmb takes an alias for one of any namespace")
	}
	if (err == nil) != (len(problems) == forgiven(reader, problems)) {
		t.Fatalf("reader %s\nwriter %s\n%v\ntwmb: %v", reader.Meaning(), writer.Meaning(), problems, err)
	}
	k := &maker{t: t}
	for range 5 {
		d := random(k, writer.root, 6)
		data := d.bytes(nil)
		if err := writer.Validate(data); err != nil {
			t.Fatalf("writer %s: %x: %v", writer.Meaning(), data, err)
		}
		var slow reading
		slow.read(reader.root, d, short(reader.root.name))
		checkFaults(t, slow.faults, problems)
		if resolved != nil {
			var v any
			if rest, err := resolved.Decode(data, &v); err != nil || len(rest) > 0 {
				t.Fatalf("reader %s\nwriter %s\n%x: %v", reader.Meaning(), writer.Meaning(), data, err)
			}
		}
	}
	for _, p := range problems {
		count[p.Kind]++
		checkWitness(t, reader, writer, p)
	}
	if len(problems) == 0 {
		count[""]++
	}
}

func compile(t *rapid.T, s *Schema) *twmb.Schema {
	c, err := twmb.Parse(s.Meaning())
	if wronglyRefused(err) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatalf("%s: %v", s.Meaning(), err)
	}
	return c
}

// bareAlias reports whether a reader's alias is a writer's name but for the
// namespace: twmb lets it match, the specification has aliases relative to their
// type's namespace.
func bareAlias(reader, writer *Schema) bool {
	found := false
	walk(reader.root, func(r *typ) {
		for _, a := range r.aliases {
			walk(writer.root, func(w *typ) { found = found || w.name != a && w.name != "" && short(w.name) == short(a) })
		}
	})
	return found
}

// walk calls f with every type of a schema, once.
func walk(root *typ, f func(*typ)) {
	seen := map[*typ]bool{}
	var visit func(t *typ)
	visit = func(t *typ) {
		if t == nil || seen[t] {
			return
		}
		seen[t] = true
		f(t)
		for _, fd := range t.fields {
			visit(fd.typ)
		}
		for _, b := range t.branches {
			visit(b)
		}
		visit(t.items)
	}
	visit(root)
}

// forgiven counts the problems that twmb overlooks: it takes null for the default
// of a field that may be null and has none, which the specification does not.
func forgiven(reader *Schema, problems []verdict.Problem) (n int) {
	nullable := map[verdict.Place]bool{}
	walk(reader.root, func(t *typ) {
		for _, f := range t.fields {
			nullable[f.place] = f.typ.kind == kindUnion && len(f.typ.branches) > 1 && f.typ.branches[0].kind == kindNull
		}
	})
	for _, p := range problems {
		if p.Kind == verdict.NoDefault && nullable[p.Reader] {
			n++
		}
	}
	return n
}

// checkFaults: what one datum shows is a problem of a kind that is listed.
func checkFaults(t *rapid.T, faults []fault, problems []verdict.Problem) {
	for _, f := range faults {
		known := false
		for _, p := range problems {
			known = known || p.Kind == f.kind
		}
		if !known {
			t.Fatalf("a datum shows %v, which is not in %v", f, problems)
		}
	}
}

func checkWitness(t *rapid.T, reader, writer *Schema, p verdict.Problem) {
	root := short(reader.root.name)
	for _, d := range witnesses(reader.root, writer.root, root, p.Path) {
		if err := writer.Validate(d.bytes(nil)); err != nil {
			t.Fatalf("a witness is invalid: %v", err)
		}
		var slow reading
		slow.read(reader.root, d, root)
		for _, f := range slow.faults {
			if f.kind == p.Kind && f.path == p.Path {
				return
			}
		}
	}
	t.Fatalf("reader %s\nwriter %s\nno datum shows %+v", reader.Meaning(), writer.Meaning(), p)
}
