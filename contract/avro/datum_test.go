package avro

import "strings"

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
