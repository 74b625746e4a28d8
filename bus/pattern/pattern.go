// Package pattern matches JSON events with the event patterns of EventBridge and
// the filter policies of SNS.
//
// A Pattern is parsed once and tells by itself whether it matches an event. A
// Set is many patterns in one automaton: what matching costs grows with the
// event and with the patterns that match, not with those that do not.
//
// The rules are those of the EventBridge user guide's pages on event patterns
// and of SNS's on filter policies. An event is the set of its leaves: a
// pattern's field matches if any leaf at its path does. Leaves in objects below
// an array belong together: what matches a pattern must not come from different
// elements of the same array. An array or object without leaves counts as
// absent.
package pattern

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// Pattern is a pattern that is valid. It is immutable.
type Pattern struct {
	src   string
	rules []rule // the pattern matches if any of them does
}

// rule is a conjunction of steps, in the order in which a Set takes them.
type rule []step

// step is what a rule asks of the leaves at a path: one must pass any of tests.
type step struct {
	path  []string
	tests []test
	id    string // equal for steps that are equal
	rank  int    // steps that few events pass come first
}

// String is the text that the pattern was parsed from.
func (p *Pattern) String() string { return p.src }

// Match says whether p matches an event. It is the plain definition of matching,
// with what a Set decides compared; for many events or patterns a Set is faster.
func (p *Pattern) Match(event []byte) (bool, error) {
	root, err := decode(event)
	if err != nil {
		return false, err
	}
	return p.matches(root), nil
}

func (p *Pattern) matches(root map[string]any) bool {
	for _, r := range p.rules {
		if r.matches(root, root, 0) {
			return true
		}
	}
	return false
}

// decode reads an event into maps.
func decode(event []byte) (map[string]any, error) {
	var root map[string]any
	if !utf8.Valid(event) {
		return nil, errJSON
	}
	d := json.NewDecoder(bytes.NewReader(event))
	d.UseNumber()
	if d.Decode(&root) != nil || root == nil || len(bytes.TrimSpace(event[d.InputOffset():])) > 0 {
		return nil, errJSON
	}
	markNulls(root)
	return root, nil
}

// null is a null in an event, told from what is not there.
type null struct{}

func markNulls(v any) any {
	switch v := v.(type) {
	case nil:
		return null{}
	case map[string]any:
		for k, e := range v {
			v[k] = markNulls(e)
		}
	case []any:
		for i, e := range v {
			v[i] = markNulls(e)
		}
	}
	return v
}

// matches says whether the steps of r, whose paths have depth names above obj in
// common, are satisfied below obj.
func (r rule) matches(root, obj map[string]any, depth int) bool {
	below := map[string]rule{}
	for _, s := range r {
		name := s.path[depth]
		if depth+1 < len(s.path) {
			below[name] = append(below[name], s)
		} else if !s.satisfied(root, obj[name]) {
			return false
		}
	}
	for name, r := range below {
		if !r.inside(root, obj[name], depth+1) {
			return false
		}
	}
	return true
}

// inside says whether r is satisfied in v, in an element of v, or by what is
// absent.
func (r rule) inside(root map[string]any, v any, depth int) bool {
	switch v := v.(type) {
	case map[string]any:
		return r.matches(root, v, depth)
	case []any:
		for _, e := range v {
			if r.inside(root, e, depth) {
				return true
			}
		}
	}
	return r.matches(root, nil, depth)
}

// satisfied says whether a leaf of v passes.
func (s step) satisfied(root map[string]any, v any) bool {
	for _, t := range s.tests {
		if t.op == opAbsent && !hasLeaf(root, s.path) || anyLeaf(v, t.passes) {
			return true
		}
	}
	return false
}

// anyLeaf says whether f is true of a leaf that v is, or holds as an array.
func anyLeaf(v any, f func(kind, string) bool) bool {
	switch v := v.(type) {
	case string:
		return f(kindString, v)
	case json.Number:
		return f(kindNumber, v.String())
	case bool:
		if v {
			return f(kindLiteral, "true")
		}
		return f(kindLiteral, "false")
	case []any:
		for _, e := range v {
			if anyLeaf(e, f) {
				return true
			}
		}
	case null:
		return f(kindLiteral, "null")
	}
	return false
}

// hasLeaf says whether there is a leaf at path, below any arrays.
func hasLeaf(v any, path []string) bool {
	if len(path) == 0 {
		return anyLeaf(v, func(kind, string) bool { return true })
	}
	switch v := v.(type) {
	case map[string]any:
		return hasLeaf(v[path[0]], path[1:])
	case []any:
		for _, e := range v {
			if hasLeaf(e, path) {
				return true
			}
		}
	}
	return false
}

// Error is why a pattern is not valid.
type Error struct {
	Reason string // in AWS's words
	Where  string // where in the source, as AWS puts it behind the reason; or ""
}

func (e *Error) Error() string { return e.Reason + e.Where }
