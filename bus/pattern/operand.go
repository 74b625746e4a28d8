package pattern

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// operators are the names that make an object a test. An array below $or that
// holds one is a plain field's.
var operators = []string{"exists", "cidr", "anything-but", "numeric", "prefix", "suffix", "equals-ignore-case", "wildcard"}

// numberTest is the test for a number. Numbers are compared by value; what has
// no finite one, by text.
func numberTest(text string) test {
	v, ok := number(text)
	if !ok {
		v = math.NaN()
	}
	return test{op: opNumber, s: text, num: v}
}

// operator reads {"operator": …}, whose brace is taken.
func (p *parser) operator() (test, error) {
	name, end, err := p.name(true)
	if err != nil {
		return test{}, err
	}
	if end {
		return test{}, p.fail("Empty objects are not allowed")
	}
	t, err := p.operand(name)
	if err != nil {
		return t, err
	}
	return t, p.close()
}

// close takes the brace of an operator.
func (p *parser) close() error {
	_, end, err := p.name(false)
	if err != nil {
		return err
	}
	if !end {
		return p.fail("Only one key allowed in match expression")
	}
	return nil
}

func (p *parser) operand(name string) (test, error) {
	t, err := p.next()
	if err != nil {
		return test{}, err
	}
	switch name {
	case "exists":
		switch t.text {
		case "true":
			return test{op: opExists}, nil
		case "false":
			return test{op: opAbsent}, nil
		}
		return test{}, p.fail("exists match pattern must be either true or false.")
	case "prefix", "suffix":
		return p.affix(name, t)
	case "equals-ignore-case":
		if t.kind != '"' {
			return test{}, p.fail("equals-ignore-case match pattern must be a string")
		}
		return test{op: opFold, s: fold(t.text)}, nil
	case "wildcard":
		return p.wildcard(t)
	case "cidr":
		return p.cidr(t)
	case "numeric":
		return p.numeric(t)
	case "anything-but":
		return p.anythingBut(t)
	}
	return test{}, p.fail("Unrecognized match type %s", name)
}

// affix reads what follows prefix or suffix: a string, or a string but for case.
func (p *parser) affix(name string, t token) (test, error) {
	plain, folded := opPrefix, opPrefixFold
	if name == "suffix" {
		plain, folded = opSuffix, opSuffixFold
	}
	switch t.kind {
	case '"':
		return test{op: plain, s: t.text}, nil
	case '{':
		inner, end, err := p.name(true)
		if err != nil {
			return test{}, err
		}
		if end || inner != "equals-ignore-case" {
			return test{}, p.fail("Unsupported anything-but pattern: %s", inner)
		}
		if t, err = p.next(); err != nil {
			return test{}, err
		}
		if t.kind != '"' {
			return test{}, p.fail("equals-ignore-case match pattern must be a string")
		}
		return test{op: folded, s: fold(t.text)}, p.close()
	}
	return test{}, p.fail("%s match pattern must be a string", name)
}

func (p *parser) cidr(t token) (test, error) {
	if t.kind != '"' {
		return test{}, p.fail("prefix match pattern must be a string") // so AWS says
	}
	// Errors of addresses come without a place.
	ip, bits, ok := strings.Cut(t.text, "/")
	if p.d.sns && !ok {
		if _, err := netip.ParseAddr(ip); err != nil {
			return test{}, &Error{Reason: "Nonstandard IP address: " + ip}
		}
		a, _ := address(ip)
		return test{op: opCIDR, prefix: netip.PrefixFrom(a, a.BitLen())}, nil
	}
	if !ok || strings.Contains(bits, "/") {
		return test{}, &Error{Reason: "Malformed CIDR, one '/' required"}
	}
	n, err := strconv.Atoi(bits)
	if err != nil {
		return test{}, &Error{Reason: "Malformed CIDR, mask bits must be an integer"}
	}
	if n < 0 {
		return test{}, &Error{Reason: "Malformed CIDR, mask bits must not be negative"}
	}
	a, isAddress := address(ip)
	if !isAddress {
		return test{}, &Error{Reason: "Nonstandard IP address: " + ip}
	}
	if n > a.BitLen() {
		return test{}, &Error{Reason: fmt.Sprintf("IPv%d mask bits must be <= %d", map[bool]int{true: 4, false: 6}[a.Is4()], a.BitLen())}
	}
	return test{op: opCIDR, prefix: netip.PrefixFrom(a, n).Masked()}, nil
}

// numeric reads the bounds behind numeric: = x, a lower bound, an upper bound,
// or a lower and an upper one.
func (p *parser) numeric(t token) (test, error) {
	if t.kind != '[' {
		return test{}, p.fail("Value of numeric must be an array.")
	}
	lo, hi, openLo, openHi := -p.d.maxRange, p.d.maxRange, false, false
	var seen []string
	for {
		t, err := p.element(len(seen) == 0)
		if err != nil {
			return test{}, err
		}
		if t.kind == ']' {
			break
		}
		if t.kind != '"' {
			return test{}, p.fail("Invalid member in numeric match: %s", t)
		}
		if len(seen) == 2 || len(seen) == 1 && (seen[0][0] != '>' || t.text == "" || t.text[0] != '<') {
			return test{}, p.fail("Too many elements in numeric expression")
		}
		if !slices.Contains([]string{"=", "<", "<=", ">", ">="}, t.text) {
			return test{}, p.fail("Unrecognized numeric range operator: %s", t.text)
		}
		v, err := p.bound(t.text)
		if err != nil {
			return test{}, err
		}
		switch t.text {
		case "=":
			return test{op: opRange, lo: v, hi: v}, p.endNumeric()
		case "<", "<=":
			hi, openHi = v, t.text == "<"
		default:
			lo, openLo = v, t.text == ">"
		}
		seen = append(seen, t.text)
	}
	if len(seen) == 0 {
		return test{}, p.fail("Invalid member in numeric match: ]")
	}
	if lo >= hi {
		return test{}, &Error{Reason: "Bottom must be less than top"} // as all errors of values, without a place
	}
	return rangeTest(lo, openLo, hi, openHi), nil
}

func (p *parser) endNumeric() error {
	t, err := p.element(false)
	if err == nil && t.kind != ']' {
		err = p.fail("Too many elements in numeric expression")
	}
	return err
}

// bound reads a number within the dialect's range: ±5.0e9 for event patterns
// (user guide, "Numeric matching"), ±10^9 for filter policies (developer guide,
// "Filter policy constraints"). All digits count, of which AWS promises six and
// five behind the point.
func (p *parser) bound(operator string) (float64, error) {
	t, err := p.element(false)
	if err != nil {
		return 0, err
	}
	name := operator
	if operator == "=" {
		name = "equals"
	}
	if t.kind != '0' {
		return 0, p.fail("Value of %s must be numeric", name)
	}
	v, ok := number(t.text)
	if !ok || math.Abs(v) > p.d.maxRange {
		most := strings.Replace(strconv.FormatFloat(p.d.maxRange, 'E', 1, 64), "E+0", "E", 1)
		return 0, &Error{Reason: fmt.Sprintf("Value must be between -%s and %s, inclusive", most, most)}
	}
	return v, nil
}
