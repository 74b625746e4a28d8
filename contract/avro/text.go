package avro

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// text writes a type as a schema: the Parsing Canonical Form, or the whole
// meaning, which also has what readers act on.
func text(t *typ, whole bool) string {
	w := writer{whole: whole, seen: map[*typ]bool{}}
	w.typ(t, "")
	return string(w.buf)
}

type writer struct {
	buf   []byte
	whole bool
	seen  map[*typ]bool
}

func (w *writer) put(s string) { w.buf = append(w.buf, s...) }

// quoted writes a string; names hold nothing that has to be escaped.
func (w *writer) quoted(s string) {
	w.buf = append(append(append(w.buf, '"'), s...), '"')
}

func (w *writer) typ(t *typ, ns string) {
	switch {
	case t.kind == kindUnion:
		w.list(len(t.branches), func(i int) { w.typ(t.branches[i], ns) })
	case t.kind == kindArray:
		w.put(`{"type":"array","items":`)
		w.typ(t.items, ns)
		w.put("}")
	case t.kind == kindMap:
		w.put(`{"type":"map","values":`)
		w.typ(t.items, ns)
		w.put("}")
	case t.name != "":
		w.named(t, ns)
	case w.whole && t.logical != "":
		w.put(`{"type":`)
		w.quoted(t.kind.String())
		w.extra(t, ns)
		w.put("}")
	default:
		w.quoted(t.kind.String())
	}
}

func (w *writer) list(n int, item func(int)) {
	w.put("[")
	for i := range n {
		if i > 0 {
			w.put(",")
		}
		item(i)
	}
	w.put("]")
}

func (w *writer) named(t *typ, ns string) {
	if w.seen[t] {
		w.quoted(t.name)
		return
	}
	w.seen[t] = true
	w.put(`{"name":`)
	w.quoted(t.name)
	w.put(`,"type":`)
	w.quoted(t.kind.String())
	switch t.kind {
	case kindRecord:
		w.put(`,"fields":`)
		w.list(len(t.fields), func(i int) { w.field(&t.fields[i], space(t.name)) })
	case kindEnum:
		w.put(`,"symbols":`)
		w.list(len(t.symbols), func(i int) { w.quoted(t.symbols[i].name) })
	case kindFixed:
		w.put(`,"size":`)
		w.buf = strconv.AppendInt(w.buf, int64(t.size), 10)
	}
	if w.whole {
		w.extra(t, ns)
	}
	w.put("}")
}

// extra writes what the canonical form leaves out of types.
func (w *writer) extra(t *typ, ns string) {
	if t.name != "" && ns != "" && space(t.name) == "" {
		w.put(`,"namespace":""`)
	}
	w.aliases(t.aliases)
	if t.falls {
		w.put(`,"default":`)
		w.quoted(t.fallback)
	}
	if t.logical == "" {
		return
	}
	w.put(`,"logicalType":`)
	w.quoted(t.logical)
	if t.logical == "decimal" {
		w.put(`,"precision":` + strconv.Itoa(t.precision) + `,"scale":` + strconv.Itoa(t.scale))
	}
}

// aliases writes them in order: which comes first means nothing.
func (w *writer) aliases(aliases []string) {
	if len(aliases) == 0 {
		return
	}
	sorted := slices.Compact(slices.Sorted(slices.Values(aliases)))
	w.put(`,"aliases":`)
	w.list(len(sorted), func(i int) { w.put(quote(sorted[i])) })
}

func (w *writer) field(f *field, ns string) {
	w.put(`{"name":`)
	w.quoted(f.name)
	w.put(`,"type":`)
	w.typ(f.typ, ns)
	if w.whole {
		w.aliases(f.aliases)
		if f.fallback != nil {
			w.put(`,"default":`)
			w.value(f.fallback)
		}
	}
	w.put("}")
}

// value writes JSON so that values that mean the same have one text.
func (w *writer) value(v *value) {
	switch v.shape {
	case jsonNull:
		w.put("null")
	case jsonBool:
		w.put(v.text)
	case jsonNumber:
		w.put(plainNumber(v.text))
	case jsonString:
		w.put(quote(v.text))
	case jsonArray:
		w.list(len(v.items), func(i int) { w.value(&v.items[i]) })
	case jsonObject:
		w.object(v)
	}
}

func (w *writer) object(v *value) {
	order := make([]int, len(v.names))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return strings.Compare(v.names[a], v.names[b]) })
	w.put("{")
	for i, n := range order {
		if i > 0 {
			w.put(",")
		}
		w.put(quote(v.names[n]) + ":")
		w.value(&v.items[n])
	}
	w.put("}")
}

// plainNumber writes 1.50 as 1.5 and 1e2 as 100; whole numbers stay as they are.
func plainNumber(s string) string {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || !strings.ContainsAny(s, ".eE") {
		return s
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}

func quote(s string) string {
	b, _ := json.Marshal(s) // a string has a JSON form
	return string(b)
}
