package pattern

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// op is a way to look at a leaf.
type op uint8

const (
	opString     op = iota // the string s
	opNumber               // a number of value num, or of text s
	opLiteral              // true, false or null, as s says
	opFold                 // a string that equals s but for case; s is folded
	opPrefix               // a string that begins with s
	opSuffix               // a string that ends with s
	opPrefixFold           // as opPrefix, but for case
	opSuffixFold           // as opSuffix, but for case
	opWildcard             // a string of the segments segs, with anything between them
	opRange                // a number in [lo, hi]
	opCIDR                 // a string that is an address of the prefix
	opExists               // any leaf
	opAbsent               // no leaf at the path
	opNot                  // a leaf that passes none of but
)

// test is one alternative of a pattern's field. It is immutable.
type test struct {
	op     op
	s      string
	num    float64
	lo, hi float64
	segs   []string
	prefix netip.Prefix
	but    []test
}

// key is a text that is equal for tests that are equal.
func (t test) key() string {
	switch t.op {
	case opNumber:
		return fmt.Sprintf("%d:%q:%v", t.op, t.s, t.num)
	case opRange:
		return fmt.Sprintf("%d:%v:%v", t.op, t.lo, t.hi)
	case opWildcard:
		return fmt.Sprintf("%d:%q", t.op, t.segs)
	case opCIDR:
		return fmt.Sprintf("%d:%v", t.op, t.prefix)
	case opNot:
		return fmt.Sprintf("%d:(%s)", t.op, keyOf(t.but))
	}
	return strconv.Itoa(int(t.op)) + ":" + strconv.Quote(t.s)
}

// keyOf is a text that is equal for alternatives that are equal, in any order.
func keyOf(ts []test) string {
	keys := make([]string, len(ts))
	for i, t := range ts {
		keys[i] = t.key()
	}
	slices.Sort(keys)
	return strings.Join(slices.Compact(keys), "|")
}

// kind is what a leaf is.
type kind uint8

const (
	kindString kind = iota
	kindNumber
	kindLiteral
)

// passes says whether a leaf passes t; text is a string's value or another
// leaf's text. This is the plain form of what Set does by lookups.
func (t test) passes(k kind, text string) bool {
	switch t.op {
	case opExists:
		return true
	case opAbsent:
		return false
	case opNot:
		return !slices.ContainsFunc(t.but, func(b test) bool { return b.passes(k, text) })
	case opLiteral:
		return k == kindLiteral && text == t.s
	case opNumber:
		if k != kindNumber {
			return false
		}
		v, ok := number(text)
		return text == t.s || ok && v == t.num
	case opRange:
		v, ok := number(text)
		return k == kindNumber && ok && t.lo <= v && v <= t.hi
	}
	return k == kindString && t.passesString(text)
}

func (t test) passesString(text string) bool {
	switch t.op {
	case opString:
		return text == t.s
	case opFold:
		return fold(text) == t.s
	case opPrefix:
		return strings.HasPrefix(text, t.s)
	case opSuffix:
		return strings.HasSuffix(text, t.s)
	case opPrefixFold:
		return strings.HasPrefix(fold(text), t.s)
	case opSuffixFold:
		return strings.HasSuffix(fold(text), t.s)
	case opWildcard:
		return wildcard(t.segs, text)
	case opCIDR:
		a, ok := address(text)
		return ok && t.prefix.Contains(a)
	}
	return false
}

// number is a number's value, if it has a finite one.
func number(text string) (float64, bool) {
	v, err := strconv.ParseFloat(text, 64)
	return v + 0, err == nil // -0 is 0
}

// fold is a string without the difference of case.
func fold(s string) string { return strings.Map(unicode.ToLower, s) }

// address reads an address as events hold it.
func address(text string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(text)
	return a, err == nil && a.Zone() == ""
}

// wildcard says whether text is the segments in their order, with anything
// between them.
func wildcard(segs []string, text string) bool {
	last := len(segs) - 1
	if last == 0 {
		return text == segs[0]
	}
	rest, ok := strings.CutPrefix(text, segs[0])
	if !ok {
		return false
	}
	for _, seg := range segs[1:last] {
		i := strings.Index(rest, seg)
		if i < 0 {
			return false
		}
		rest = rest[i+len(seg):]
	}
	return strings.HasSuffix(rest, segs[last])
}

// rangeTest is the test of lo < x < hi, where the bounds themselves pass unless
// they are open.
func rangeTest(lo float64, openLo bool, hi float64, openHi bool) test {
	if openLo {
		lo = math.Nextafter(lo, math.Inf(1))
	}
	if openHi {
		hi = math.Nextafter(hi, math.Inf(-1))
	}
	return test{op: opRange, lo: lo, hi: hi}
}
