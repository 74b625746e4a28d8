package jsonschema

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	js "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/dhowhq/dhow/contract/verdict"
)

// Validate reports whether data is one JSON text that the schema allows, as
// *verdict.Invalid with a path as in "$.lines[3].total". Formats count where the
// schema's draft says so: to draft 7.
func (s *Schema) Validate(data []byte) error {
	v, err := decode(string(data))
	if err != nil {
		return &verdict.Invalid{Detail: err.Error()}
	}
	if s.count != nil {
		s.count.mu.Lock()
		defer s.count.mu.Unlock()
	}
	if err = s.count.check(s.compiled, v, baseLooks+looksPer*len(data)); err == nil {
		return nil
	}
	var invalid *js.ValidationError
	if !errors.As(err, &invalid) {
		return &verdict.Invalid{Detail: err.Error()}
	}
	leaf := deepest(invalid)
	return &verdict.Invalid{Path: valuePath(v, leaf.InstanceLocation), Detail: leaf.ErrorKind.LocalizedString(english)}
}

// deepest is the error that says most: the one furthest into the message, as
// the branches that were not meant fail early; of equals the first by path, so
// that the same message always gets the same answer.
func deepest(e *js.ValidationError) *js.ValidationError {
	var best *js.ValidationError
	var walk func(*js.ValidationError)
	walk = func(e *js.ValidationError) {
		if len(e.Causes) == 0 && e.ErrorKind != nil && (best == nil || further(e, best)) {
			best = e
		}
		for _, c := range e.Causes {
			walk(c)
		}
	}
	walk(e)
	return best
}

func further(a, b *js.ValidationError) bool {
	if la, lb := len(a.InstanceLocation), len(b.InstanceLocation); la != lb {
		return la > lb
	}
	if c := slices.Compare(a.InstanceLocation, b.InstanceLocation); c != 0 {
		return c < 0
	}
	return a.SchemaURL < b.SchemaURL
}

// valuePath is the path of a value in a document, "$.lines[3].total".
func valuePath(doc any, location []string) string {
	path := "$"
	for _, step := range location {
		switch d := doc.(type) {
		case []any:
			i, _ := strconv.Atoi(step)
			path += "[" + step + "]"
			doc = nil
			if i < len(d) {
				doc = d[i]
			}
		case map[string]any:
			path += member(step)
			doc = d[step]
		default: // the name of a property
			path += member(step)
		}
	}
	return path
}

// dollar is the path of a location of which the document is not at hand.
func dollar(location []string) string { return valuePath(nil, location) }

func member(name string) string {
	plain := func(c rune) bool {
		return c == '_' || c == '-' || c == '$' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
	}
	if name != "" && strings.TrimFunc(name, plain) == "" && len(name) <= 100 {
		return "." + name
	}
	return fmt.Sprintf("[%.100q]", name)
}
