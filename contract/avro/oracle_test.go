package avro

import (
	"strings"
	"testing"

	twmb "github.com/twmb/avro"
	"pgregory.net/rapid"

	"github.com/dhowhq/dhow/contract/verdict"
)

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

// TestOracle holds CanRead against the slow reader and against twmb. What
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
