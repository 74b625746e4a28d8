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
		return nil, nil, &verdict.Malformed{Place: verdict.Place{File: src.File}, Detail: err.Error()}
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
func (w *nameWalk) visit(v any, space string) {
	switch v := v.(type) {
	case string:
		if !primitive(v) {
			w.used = append(w.used, fullName(v, space))
		}
	case []any:
		for _, b := range v {
			w.visit(b, space)
		}
	case map[string]any:
		w.object(v, space)
	}
}

func (w *nameWalk) object(o map[string]any, space string) {
	name, _ := o["name"].(string)
	if ns, ok := o["namespace"].(string); ok && !strings.Contains(name, ".") {
		space = ns
	}
	switch o["type"] {
	case "record", "error", "enum", "fixed":
		full := fullName(name, space)
		w.defined = append(w.defined, full)
		space = full[:max(0, strings.LastIndexByte(full, '.'))]
		fields, _ := o["fields"].([]any)
		for _, f := range fields {
			if f, ok := f.(map[string]any); ok {
				w.visit(f["type"], space)
			}
		}
	case "array":
		w.visit(o["items"], space)
	case "map":
		w.visit(o["values"], space)
	default:
		w.visit(o["type"], space)
	}
}

func fullName(name, space string) string {
	if space == "" || strings.Contains(name, ".") {
		return name
	}
	return space + "." + name
}

func primitive(name string) bool {
	switch name {
	case "null", "boolean", "int", "long", "float", "double", "bytes", "string":
		return true
	}
	return false
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
