package logs

import (
	"bytes"
	"encoding/json"
	"io"
	"strconv"
	"strings"
)

// decodeEvent decodes a message that is one JSON object or array.
func decodeEvent(message []byte) (event any, ok bool) {
	message = bytes.TrimLeft(message, " \t\r\n")
	if len(message) == 0 || message[0] != '{' && message[0] != '[' {
		return nil, false
	}
	d := json.NewDecoder(bytes.NewReader(message))
	d.UseNumber()
	if d.Decode(&event) != nil {
		return nil, false
	}
	_, err := d.Token()
	return event, err == io.EOF
}

// step is one part of a selector.
type step struct {
	name  string // of a property, if not indexed
	index int
	array bool // [index]
	all   bool // * or [*]: every property or element
}

type selector []step

// any holds if f does for one of the values that the selector selects.
func (s selector) any(f func(v any) bool) condition {
	return func(event any) bool { return s.walk(event, f) }
}

func (s selector) walk(v any, f func(v any) bool) bool {
	if len(s) == 0 {
		return f(v)
	}
	switch v := v.(type) {
	case map[string]any:
		if s[0].all && !s[0].array {
			for _, x := range v {
				if s[1:].walk(x, f) {
					return true
				}
			}
			return false
		}
		x, ok := v[s[0].name]
		return ok && !s[0].array && s[1:].walk(x, f)
	case []any:
		if s[0].all {
			for _, x := range v {
				if s[1:].walk(x, f) {
					return true
				}
			}
			return false
		}
		return s[0].array && s[0].index < len(v) && s[1:].walk(v[s[0].index], f)
	}
	return false
}

// selector reads $.name.list[0]['other name'].
func (p *jsonParser) selector() (selector, error) {
	if p.space(); !p.take("$") {
		return nil, p.bad("a selector that begins with $ is expected")
	}
	var s selector
	wild := 0
	for {
		dot := p.take(".")
		switch {
		case p.take("["):
			st, err := p.bracket()
			if err != nil {
				return nil, err
			}
			s = append(s, st)
		case dot && p.take("*"):
			s = append(s, step{all: true})
		case dot:
			start := p.at
			for p.at < len(p.text) && (isWord(p.text[p.at]) || p.text[p.at] == '-') {
				p.at++
			}
			if p.at == start {
				return nil, p.bad(`after $. comes a name of letters, digits, - and _; others are written ['name']`)
			}
			s = append(s, step{name: p.text[start:p.at]})
		default:
			if len(s) == 0 {
				return nil, p.bad("after $ comes . and a name")
			}
			if wild > 1 {
				return nil, p.bad("a selector can have one wildcard at most")
			}
			p.wild += wild
			return s, nil
		}
		if s[len(s)-1].all {
			wild++
		}
	}
}

// bracket reads 0], *] or 'name'] behind the opening bracket.
func (p *jsonParser) bracket() (st step, err error) {
	rest := p.text[p.at:]
	switch {
	case p.take("*"):
		st = step{array: true, all: true}
	case strings.HasPrefix(rest, "'"), strings.HasPrefix(rest, `"`):
		name, left, err := nextQuoted(rest)
		if err != nil {
			return st, p.bad("a name in brackets is empty or its quote is not closed")
		}
		st, p.at = step{name: name}, len(p.text)-len(left)
	default:
		end := 0
		for end < len(rest) && rest[end] >= '0' && rest[end] <= '9' {
			end++
		}
		n, err := strconv.Atoi(rest[:end])
		if err != nil {
			return st, p.bad("in brackets comes an index, * or a 'name'")
		}
		st, p.at = step{array: true, index: n}, p.at+end
	}
	if !p.take("]") {
		return st, p.bad("a closing ] is missing")
	}
	return st, nil
}

// operand is what a property is compared with.
type operand struct {
	parts   []string // of a text, cut at its wildcards
	number  float64
	numeric bool // = and != may also compare numbers
}

func (o operand) compare(op string) func(v any) bool {
	switch op {
	case "=":
		return o.equals
	case "!=":
		return func(v any) bool { return !o.equals(v) }
	}
	return func(v any) bool {
		n, ok := v.(json.Number)
		if !ok {
			return false
		}
		f, err := n.Float64()
		if err != nil {
			return false
		}
		switch op {
		case "<":
			return f < o.number
		case "<=":
			return f <= o.number
		case ">":
			return f > o.number
		}
		return f >= o.number
	}
}

// equals compares texts; of a number and a boolean it is what JSON writes. A
// lone * is equal to whatever is there, which is how "exists" is said.
func (o operand) equals(v any) bool {
	if len(o.parts) == 2 && o.parts[0] == "" && o.parts[1] == "" {
		return true
	}
	switch v := v.(type) {
	case string:
		return glob(o.parts, v)
	case bool:
		return glob(o.parts, strconv.FormatBool(v))
	case json.Number:
		if f, err := v.Float64(); o.numeric && err == nil {
			return f == o.number
		}
		return glob(o.parts, v.String())
	}
	return false
}

// glob reports whether s is made of parts with anything between them.
func glob(parts []string, s string) bool {
	if len(parts) == 1 {
		return s == parts[0]
	}
	first, last := parts[0], parts[len(parts)-1]
	if len(s) < len(first)+len(last) || !strings.HasPrefix(s, first) || !strings.HasSuffix(s, last) {
		return false
	}
	s = s[len(first) : len(s)-len(last)]
	for _, part := range parts[1 : len(parts)-1] {
		i := strings.Index(s, part)
		if i < 0 {
			return false
		}
		s = s[i+len(part):]
	}
	return true
}

// isScalar keeps maps and slices, which cannot be compared, from ==.
func isScalar(v any) bool {
	switch v.(type) {
	case map[string]any, []any:
		return false
	}
	return true
}
