package avro

import (
	"fmt"
	"slices"
	"strings"

	twmb "github.com/twmb/avro"

	"github.com/dhowhq/dhow/contract/verdict"
)

// Names are the full names of the types that a text of JSON defines, and of
// those that it uses without defining them, each in order of appearance. Error:
// *verdict.Malformed for what is no JSON; whether it is a schema is Parse's to
// say.
func Names(src Source) (defined, needed []string, err error) {
	v, bad := readJSON(src.Text)
	if bad != nil {
		return nil, nil, &verdict.Malformed{Place: place(src.File, src.Lines, bad.line), Detail: bad.detail}
	}
	var w nameWalk
	w.visit(&v, "")
	for _, n := range w.used {
		if !slices.Contains(w.defined, n) && !slices.Contains(needed, n) {
			needed = append(needed, n)
		}
	}
	return w.defined, needed, nil
}

type nameWalk struct{ defined, used []string }

// visit looks at a schema within a namespace, if there is one.
func (w *nameWalk) visit(v *value, ns string) {
	switch {
	case v == nil:
	case v.shape == jsonString:
		if _, ok := primitives[v.text]; !ok {
			w.used = append(w.used, qualified(ns, v.text))
		}
	case v.shape == jsonArray:
		for i := range v.items {
			w.visit(&v.items[i], ns)
		}
	case v.shape == jsonObject:
		w.object(v, ns)
	}
}

func (w *nameWalk) object(o *value, ns string) {
	name := o.textOf("name")
	if own := o.member("namespace"); own != nil && !strings.Contains(name, ".") {
		ns = own.text
	}
	switch o.textOf("type") {
	case "record", "error", "enum", "fixed":
		full := qualified(ns, name)
		w.defined = append(w.defined, full)
		if fields := o.member("fields"); fields != nil {
			for i := range fields.items {
				w.visit(fields.items[i].member("type"), space(full))
			}
		}
	case "array":
		w.visit(o.member("items"), ns)
	case "map":
		w.visit(o.member("values"), ns)
	default:
		w.visit(o.member("type"), ns)
	}
}

// Inline is the text of a schema with the types of refs, which are as for Parse,
// in place of their names; the text itself where there are none.
func Inline(src Source, refs ...Source) (string, error) {
	if len(refs) == 0 {
		return src.Text, nil
	}
	var cache twmb.SchemaCache
	var s *twmb.Schema
	for _, r := range append(slices.Clone(refs), src) {
		var err error
		if s, err = cache.Parse(r.Text); err != nil {
			return "", &verdict.Malformed{Place: verdict.Place{File: r.File}, Detail: err.Error()}
		}
	}
	s, err := s.Root().Schema()
	if err != nil {
		return "", &verdict.Malformed{Place: verdict.Place{File: src.File}, Detail: fmt.Sprint("its references cannot be put into it: ", err)}
	}
	return s.String(), nil
}
