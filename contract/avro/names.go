package avro

import (
	"encoding/json"
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
	var v any
	if err := json.Unmarshal([]byte(src.Text), &v); err != nil {
		bad := &verdict.Malformed{Place: verdict.Place{File: src.File}, Detail: err.Error()}
		if _, at := readJSON(src.Text); at != nil { // which knows the line
			bad.Place.Line, bad.Detail = at.line, at.detail
		}
		return nil, nil, bad
	}
	var w nameWalk
	w.visit(v, "")
	for _, n := range w.used {
		if !slices.Contains(w.defined, n) && !slices.Contains(needed, n) {
			needed = append(needed, n)
		}
	}
	return w.defined, needed, nil
}

type nameWalk struct{ defined, used []string }

// visit looks at a schema within a namespace.
func (w *nameWalk) visit(v any, ns string) {
	switch v := v.(type) {
	case string:
		if _, ok := primitives[v]; !ok {
			w.used = append(w.used, qualified(ns, v))
		}
	case []any:
		for _, b := range v {
			w.visit(b, ns)
		}
	case map[string]any:
		w.object(v, ns)
	}
}

func (w *nameWalk) object(o map[string]any, ns string) {
	name, _ := o["name"].(string)
	if own, ok := o["namespace"].(string); ok && !strings.Contains(name, ".") {
		ns = own
	}
	switch o["type"] {
	case "record", "error", "enum", "fixed":
		full := qualified(ns, name)
		w.defined = append(w.defined, full)
		fields, _ := o["fields"].([]any)
		for _, f := range fields {
			if f, ok := f.(map[string]any); ok {
				w.visit(f["type"], space(full))
			}
		}
	case "array":
		w.visit(o["items"], ns)
	case "map":
		w.visit(o["values"], ns)
	default:
		w.visit(o["type"], ns)
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
