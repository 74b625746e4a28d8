package input

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// path is a JSON path as EventBridge takes it: $, .name, ['name'], [n], [*], .*.
type path []part

// part is a step: into a member, an element, or into all of them.
type part struct {
	name  string
	index int
	kind  byte // 'n' name, 'i' index, '*'
}

// Find returns the value that the JSON path names in a document, compact, nil if
// there is none.
func Find(document []byte, jsonPath string) (json.RawMessage, error) {
	p, err := parsePath(jsonPath)
	if err != nil {
		return nil, err
	}
	if v := p.find(document); v != nil {
		return compact(v), nil
	}
	return nil, nil
}

func parsePath(s string) (path, error) {
	rest, ok := strings.CutPrefix(s, "$")
	if !ok {
		return nil, fmt.Errorf("the JSON path %q does not begin with $", s)
	}
	var out path
	for rest != "" {
		p, next, ok := parsePart(rest)
		if !ok {
			return nil, fmt.Errorf("the JSON path %q is not understood from %q on: it may have .name, ['name'], [0], [*] and .*", s, rest)
		}
		out, rest = append(out, p), next
	}
	return out, nil
}

func parsePart(s string) (p part, rest string, ok bool) {
	if s[0] == '.' {
		end := strings.IndexAny(s[1:], ".[") + 1
		if end == 0 {
			end = len(s)
		}
		name := s[1:end]
		if name == "*" {
			return part{kind: '*'}, s[end:], true
		}
		return part{name: name, kind: 'n'}, s[end:], name != "" && !strings.ContainsAny(name, `"'()*?@,:]`)
	}
	if s[0] != '[' || len(s) < 3 {
		return p, "", false
	}
	if q := s[1]; q == '\'' || q == '"' {
		end := strings.IndexByte(s[2:], q)
		if end < 1 || !strings.HasPrefix(s[2+end+1:], "]") {
			return p, "", false
		}
		return part{name: s[2 : 2+end], kind: 'n'}, s[2+end+2:], true
	}
	inner, rest, ok := strings.Cut(s[1:], "]")
	if !ok {
		return p, "", false
	}
	if inner == "*" {
		return part{kind: '*'}, rest, true
	}
	n, err := strconv.Atoi(inner)
	return part{index: n, kind: 'i'}, rest, err == nil && n >= 0
}

// find returns the value at p, nil if there is none. What [*] finds is an array.
func (p path) find(document json.RawMessage) json.RawMessage {
	v := bytes.TrimSpace(document)
	if len(p) == 0 || len(v) == 0 {
		if len(v) == 0 {
			return nil
		}
		return v
	}
	switch p[0].kind {
	case 'n':
		return p[1:].find(memberOf(v, p[0].name))
	case 'i':
		if list := elementsOf(v); p[0].index < len(list) {
			return p[1:].find(list[p[0].index])
		}
		return nil
	}
	return p[1:].all(v)
}

// all collects the values at p in each member or element of v.
func (p path) all(v json.RawMessage) json.RawMessage {
	list := elementsOf(v)
	if v[0] == '{' {
		members, err := membersOf(v)
		if err != nil {
			return nil
		}
		for _, m := range members {
			list = append(list, m.value)
		}
	} else if v[0] != '[' {
		return nil
	}
	found := []json.RawMessage{}
	for _, e := range list {
		if f := p.find(e); f != nil {
			found = append(found, f)
		}
	}
	out, err := json.Marshal(found)
	if err != nil {
		return nil
	}
	return out
}

func elementsOf(v json.RawMessage) (list []json.RawMessage) {
	if v[0] != '[' || json.Unmarshal(v, &list) != nil {
		return nil
	}
	return list
}

func memberOf(v json.RawMessage, name string) json.RawMessage {
	var members map[string]json.RawMessage
	if v[0] != '{' || json.Unmarshal(v, &members) != nil {
		return nil
	}
	return members[name]
}
