package pattern

import "strings"

// anythingBut reads what follows anything-but: a value, a list of strings or of
// numbers, or an operator with a string or a list of strings.
func (p *parser) anythingBut(t token) (test, error) {
	var but []test
	var err error
	switch t.kind {
	case '"':
		but = []test{{op: opString, s: t.text}}
	case '0':
		but = []test{numberTest(t.text)}
	case '[':
		but, err = p.butList()
	case '{':
		but, err = p.butOperator()
	default:
		err = p.fail("Value of anything-but must be an array or single string/number value.")
	}
	return test{op: opNot, but: but}, err
}

func (p *parser) butList() (out []test, err error) {
	strs, nums := false, false
	for first := true; ; first = false {
		t, err := p.element(first)
		if err != nil {
			return nil, err
		}
		switch t.kind {
		case ']':
			if first {
				return nil, p.fail("Empty arrays are not allowed")
			}
			if strs && nums {
				return nil, p.fail("Inside anything but list, either all values are number or string, mixed type is not supported")
			}
			return out, nil
		case '"':
			strs = true
			out = append(out, test{op: opString, s: t.text})
		case '0':
			nums = true
			out = append(out, numberTest(t.text))
		default:
			return nil, p.failInList("Inside anything but list, start|null|boolean is not supported.")
		}
	}
}

// butOperator reads {"prefix": …}, whose brace is taken.
func (p *parser) butOperator() ([]test, error) {
	name, end, err := p.name(true)
	if err != nil {
		return nil, err
	}
	if end {
		return nil, p.fail("Empty objects are not allowed")
	}
	t, err := p.next()
	if err != nil {
		return nil, err
	}
	served := name == "prefix" || !p.d.sns && (name == "suffix" || name == "equals-ignore-case" || name == "wildcard")
	if !served {
		return nil, p.fail("Unsupported anything-but pattern: %s", name)
	}
	var out []test
	switch {
	case t.kind == '[' && !p.d.sns:
		for first := true; ; first = false {
			if t, err = p.element(first); err != nil {
				return nil, err
			}
			if t.kind == ']' {
				if first {
					return nil, p.fail("Empty arrays are not allowed")
				}
				break
			}
			b, err := p.butTest(name, t, true)
			if err != nil {
				return nil, err
			}
			out = append(out, b)
		}
	default:
		b, err := p.butTest(name, t, false)
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, p.close()
}

func (p *parser) butTest(name string, t token, list bool) (test, error) {
	fail := p.fail
	if list {
		fail = p.failInList
	}
	if name == "wildcard" {
		if t.kind != '"' {
			return test{}, fail("wildcard match pattern must be a string")
		}
		return p.wildcard(t)
	}
	switch {
	case name == "equals-ignore-case" && t.kind != '"':
		return test{}, fail("Inside anything-but/equals-ignore-case list, number|start|null|boolean is not supported.")
	case name == "equals-ignore-case":
		return test{op: opFold, s: fold(t.text)}, nil
	case t.kind == '{':
		return test{}, fail("Value of anything-but must be an array or single string/number value.")
	case t.kind != '"' && p.d.sns:
		return test{}, fail("%s match pattern must be a string", name)
	case t.kind != '"':
		return test{}, fail("prefix/suffix match pattern must be a string")
	case t.text == "":
		return test{}, p.text().fail("Null prefix/suffix not allowed")
	case name == "prefix":
		return test{op: opPrefix, s: t.text}, nil
	}
	return test{op: opSuffix, s: t.text}, nil
}

// wildcard reads a wildcard's text: * stands for anything, \* for an asterisk,
// \\ for a backslash.
func (p *parser) wildcard(t token) (test, error) {
	if t.kind != '"' {
		return test{}, p.fail("wildcard match pattern must be a string")
	}
	segs := []string{""}
	var seg strings.Builder
	star := false
	for i := 0; i < len(t.text); i++ {
		c := t.text[i]
		switch {
		case c == '*' && star:
			return test{}, p.text().fail("Consecutive wildcard characters at pos %d", i)
		case c == '*':
			segs[len(segs)-1] = seg.String()
			seg.Reset()
			segs = append(segs, "")
			star = true
			continue
		case c == '\\':
			if i++; i == len(t.text) || t.text[i] != '*' && t.text[i] != '\\' {
				return test{}, p.text().fail("Invalid escape character at pos %d", i-1)
			}
			c = t.text[i]
		}
		star = false
		seg.WriteByte(c)
	}
	segs[len(segs)-1] = seg.String()
	if complexity(segs) > maxComplexity {
		return test{}, &Error{Reason: "Rule is too complex - try using fewer wildcard characters or fewer repeating character sequences after a wildcard character"}
	}
	if len(segs) == 1 {
		return test{op: opString, s: segs[0]}, nil
	}
	return test{op: opWildcard, segs: segs}, nil
}

// maxComplexity bounds what a wildcard may cost for each byte of a value. AWS
// does not publish its bound.
const maxComplexity = 50

// complexity is how many places of a wildcard can be reached at once, at worst:
// those behind each asterisk, and within a segment behind an asterisk as often
// as its beginning comes again in it.
func complexity(segs []string) int {
	if len(segs) == 1 {
		return 1
	}
	sum := 1
	for i, seg := range segs[1:] {
		if i < len(segs)-2 || seg != "" {
			sum += 1 + repeats(seg)
		}
	}
	return sum
}

// repeats is the largest number of beginnings of seg that end at the same place
// of seg.
func repeats(seg string) (most int) {
	borders := make([]int, len(seg)+1) // the longest border of each beginning
	depth := make([]int, len(seg)+1)
	for i, k := 1, 0; i < len(seg); i++ {
		for k > 0 && seg[k] != seg[i] {
			k = borders[k]
		}
		if seg[k] == seg[i] {
			k++
		}
		borders[i+1] = k
		if k > 0 {
			depth[i+1] = depth[k] + 1
		}
		most = max(most, depth[i+1])
	}
	return most
}
