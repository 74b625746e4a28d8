package pattern

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// MaxRules is into how many conjunctions the $or of a pattern may unfold, as AWS
// counts them.
const MaxRules = 1000

// dialect is what EventBridge and SNS differ in.
type dialect struct {
	sns      bool
	flat     bool    // no nested objects
	maxRange float64 // the largest number of a numeric test
}

// Parse reads an event pattern of EventBridge. Its error is an *Error.
func Parse(src string) (*Pattern, error) {
	return parse(src, dialect{maxRange: 5e9})
}

func parse(src string, d dialect) (*Pattern, error) {
	p := parser{lexer: lexer{src: src}, d: d}
	if err := p.start(); err != nil {
		return nil, err
	}
	n, err := p.object(nil)
	if err != nil {
		return nil, err
	}
	if p.space(); p.pos < len(src) {
		return nil, p.unexpected("expected the end of the pattern")
	}
	rules, err := n.rules()
	if err != nil {
		return nil, err
	}
	if d.sns {
		if err := p.limits(); err != nil {
			return nil, err
		}
	}
	out := &Pattern{src: src}
	for _, r := range rules {
		r.sort()
		out.rules = append(out.rules, r)
	}
	return out, nil
}

// sort brings the steps into the order of a Set: what few events pass first, so
// that a Set looks at the rest of a rule seldom, and then by path, so that rules
// share their beginnings.
func (r rule) sort() {
	for i := range r {
		r[i].id = fmt.Sprintf("%q", r[i].path) + keyOf(r[i].tests)
		for _, t := range r[i].tests {
			r[i].rank = max(r[i].rank, t.rank())
		}
	}
	slices.SortFunc(r, func(a, b step) int {
		if a.rank != b.rank {
			return a.rank - b.rank
		}
		if c := slices.Compare(a.path, b.path); c != 0 {
			return c
		}
		return strings.Compare(a.id, b.id)
	})
}

func (t test) rank() int {
	switch t.op {
	case opString, opNumber, opLiteral, opFold:
		return 0
	case opExists, opAbsent, opNot:
		return 2
	}
	return 1
}

// node is an object of a pattern: all its fields and one of each of ors.
type node struct {
	fields []step
	subs   []*node
	ors    [][]*node
}

// rules unfolds n into conjunctions.
func (n *node) rules() ([]rule, error) {
	out := []rule{slices.Clone(n.fields)}
	var err error
	for _, s := range n.subs {
		r, e := s.rules()
		if e != nil {
			return nil, e
		}
		if out, err = product(out, r); err != nil {
			return nil, err
		}
	}
	for _, or := range n.ors {
		var sum []rule
		for _, alternative := range or {
			r, err := alternative.rules()
			if err != nil {
				return nil, err
			}
			sum = append(sum, r...)
		}
		if out, err = product(out, sum); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func product(as, bs []rule) ([]rule, error) {
	if len(as)*len(bs) > MaxRules {
		return nil, &Error{Reason: fmt.Sprintf("There are too many rule combinations: the alternatives of $or make more than %d", MaxRules)}
	}
	out := make([]rule, 0, len(as)*len(bs))
	for _, a := range as {
		for _, b := range bs {
			out = append(out, slices.Concat(a, b))
		}
	}
	return out, nil
}

// parser reads a pattern.
type parser struct {
	lexer
	d      dialect
	depth  int
	leaves int // fields with values
	combos int // product of the numbers of values, at most math.MaxInt32
	nested bool
}

// start takes the first brace.
func (p *parser) start() error {
	t, err := p.next()
	if err != nil {
		return err
	}
	if t.kind != '{' {
		return p.fail("Filter is not an object")
	}
	p.combos = 1
	return nil
}

// object reads an object of fields, whose brace is taken.
func (p *parser) object(path []string) (*node, error) {
	if p.depth++; p.depth > 100 {
		return nil, p.fail("The pattern is nested too deep")
	}
	defer func() { p.depth-- }()
	n := &node{}
	seen := map[string]bool{}
	for first := true; ; first = false {
		name, end, err := p.name(first)
		if err != nil {
			return nil, err
		}
		if end {
			if first {
				return nil, p.fail("Empty objects are not allowed")
			}
			return n, nil
		}
		if seen[name] {
			return nil, p.fail("Path `%s` cannot be allowed multiple times", strings.Join(append(slices.Clip(path), name), "->"))
		}
		seen[name] = true
		if err := p.field(n, path, name); err != nil {
			return nil, err
		}
	}
}

// field reads the value of the field name.
func (p *parser) field(n *node, path []string, name string) error {
	if name == "$or" && p.isOr() {
		return p.or(n, path)
	}
	t, err := p.next()
	if err != nil {
		return err
	}
	path = append(slices.Clip(path), name)
	switch t.kind {
	case '{':
		p.nested = true
		sub, err := p.object(path)
		if err != nil {
			return err
		}
		n.subs = append(n.subs, sub)
	case '[':
		tests, err := p.alternatives()
		if err != nil {
			return err
		}
		p.leaves++
		p.combos = min(p.combos*len(tests), math.MaxInt32)
		if p.d.flat && slices.ContainsFunc(tests, test.isNull) { // an attribute that is not there is meant
			tests = append(tests, test{op: opAbsent})
		}
		n.fields = append(n.fields, step{path: path, tests: tests})
	default:
		return p.fail(`"%s" must be an object or an array`, name)
	}
	return nil
}

func (t test) isNull() bool { return t.op == opLiteral && t.s == "null" }

// or reads the alternatives of $or.
func (p *parser) or(n *node, path []string) error {
	if _, err := p.next(); err != nil { // the bracket, by isOr
		return err
	}
	var or []*node
	for first := true; ; first = false {
		t, err := p.element(first)
		if err != nil {
			return err
		}
		if t.kind == ']' {
			n.ors = append(n.ors, or)
			return nil
		}
		sub, err := p.object(path)
		if err != nil {
			return err
		}
		or = append(or, sub)
	}
}

// isOr says whether the value that follows is one of alternatives: an array of
// two or more objects with fields that are no operators.
func (p *parser) isOr() bool {
	look := parser{lexer: p.lexer}
	if t, err := look.next(); err != nil || t.kind != '[' {
		return false
	}
	for count := 0; ; count++ {
		t, err := look.element(count == 0)
		switch {
		case err != nil:
			return true // a syntax error, which is told of by or
		case t.kind == ']':
			return count >= 2
		case t.kind != '{':
			return false
		}
		for first := true; ; first = false {
			name, end, err := look.name(first)
			if err != nil {
				return true
			}
			if end {
				break
			}
			if slices.Contains(operators, name) {
				return false
			}
			if look.skip() != nil {
				return true
			}
		}
	}
}

// alternatives reads the values of a field, whose bracket is taken.
func (p *parser) alternatives() ([]test, error) {
	var out []test
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
			return out, nil
		case '{':
			ts, err := p.operator()
			if err != nil {
				return nil, err
			}
			out = append(out, ts)
		case '[':
			return nil, p.fail("Match value must be String, number, true, false, or null")
		case '"':
			out = append(out, test{op: opString, s: t.text})
		case '0':
			out = append(out, numberTest(t.text))
		default:
			out = append(out, test{op: opLiteral, s: t.text})
		}
	}
}
