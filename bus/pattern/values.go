package pattern

import (
	"net/netip"
	"slices"
	"unicode"
	"unicode/utf8"
)

// values finds, for a leaf, the edges of a field that it passes.
type values struct {
	strings  map[string][]*edge
	literals map[string][]*edge // true, false, null, and numbers by their text
	numbers  map[float64][]*edge
	exists   []*edge
	nots     []*edge // with all their alternatives: one passes seldom less than the other
	rare     *rare
}

// rare is what most fields have none of.
type rare struct {
	folded         map[string][]*edge
	wild, wildFold trie
	back, backFold trie // suffixes, from their ends
	ranges         intervals
	cidrs          map[netip.Prefix][]*edge
	bits4, bits6   [129]int32 // how many of cidrs have that many bits
	needsFold      int        // how many alternatives do
}

func put[K comparable](m *map[K][]*edge, k K, e *edge) {
	if *m == nil {
		*m = map[K][]*edge{}
	}
	(*m)[k] = append((*m)[k], e)
}

func drop[K comparable](m map[K][]*edge, k K, e *edge) {
	if rest := without(m[k], e); rest == nil {
		delete(m, k)
	} else {
		m[k] = rest
	}
}

// add files e under t, an alternative that is not opAbsent.
func (v *values) add(t test, e *edge) {
	switch t.op {
	case opString:
		put(&v.strings, t.s, e)
	case opLiteral:
		put(&v.literals, t.s, e)
	case opNumber:
		put(&v.literals, t.s, e)
		if t.num == t.num {
			put(&v.numbers, t.num, e)
		}
	case opExists:
		v.exists = append(v.exists, e)
	case opNot:
		v.nots = append(v.nots, e)
	default:
		if v.rare == nil {
			v.rare = &rare{}
		}
		v.rare.add(t, e)
	}
}

func (v *values) remove(t test, e *edge) {
	switch t.op {
	case opString:
		drop(v.strings, t.s, e)
	case opLiteral:
		drop(v.literals, t.s, e)
	case opNumber:
		drop(v.literals, t.s, e)
		if t.num == t.num {
			drop(v.numbers, t.num, e)
		}
	case opExists:
		v.exists = without(v.exists, e)
	case opNot:
		v.nots = without(v.nots, e)
	default:
		v.rare.remove(t, e)
	}
}

func (r *rare) count(t test, n int) {
	switch t.op {
	case opFold, opPrefixFold, opSuffixFold:
		r.needsFold += n
	}
}

func (r *rare) add(t test, e *edge) {
	r.count(t, 1)
	switch t.op {
	case opFold:
		put(&r.folded, t.s, e)
	case opPrefix:
		r.wild.add([]string{t.s, ""}, e)
	case opPrefixFold:
		r.wildFold.add([]string{t.s, ""}, e)
	case opSuffix:
		r.back.add([]string{reversed(t.s), ""}, e)
	case opSuffixFold:
		r.backFold.add([]string{reversed(t.s), ""}, e)
	case opWildcard:
		r.wild.add(t.segs, e)
	case opRange:
		r.ranges.add(t.lo, t.hi, e)
	case opCIDR:
		put(&r.cidrs, t.prefix, e)
		r.bits(t.prefix)[t.prefix.Bits()]++
	}
}

func (r *rare) remove(t test, e *edge) {
	r.count(t, -1)
	switch t.op {
	case opFold:
		drop(r.folded, t.s, e)
	case opPrefix:
		r.wild.remove([]string{t.s, ""}, e)
	case opPrefixFold:
		r.wildFold.remove([]string{t.s, ""}, e)
	case opSuffix:
		r.back.remove([]string{reversed(t.s), ""}, e)
	case opSuffixFold:
		r.backFold.remove([]string{reversed(t.s), ""}, e)
	case opWildcard:
		r.wild.remove(t.segs, e)
	case opRange:
		r.ranges.remove(t.lo, t.hi, e)
	case opCIDR:
		drop(r.cidrs, t.prefix, e)
		r.bits(t.prefix)[t.prefix.Bits()]--
	}
}

func (r *rare) bits(p netip.Prefix) *[129]int32 {
	if p.Addr().Is4() {
		return &r.bits4
	}
	return &r.bits6
}

func reversed(s string) string {
	b := []byte(s)
	slices.Reverse(b)
	return string(b)
}

// match calls hit with the edges that l passes, some of them perhaps twice.
func (v *values) match(l *leaf, m *scratch, hit func(*edge)) {
	for _, e := range v.exists {
		hit(e)
	}
	for _, e := range v.nots {
		if e.passesNot(l) {
			hit(e)
		}
	}
	if l.kind != kindString {
		v.matchBare(l, hit)
		return
	}
	if len(v.strings) > 0 {
		for _, e := range v.strings[string(l.text)] {
			hit(e)
		}
	}
	if v.rare != nil {
		v.rare.match(l, m, hit)
	}
}

func (v *values) matchBare(l *leaf, hit func(*edge)) {
	for _, e := range v.literals[string(l.text)] {
		hit(e)
	}
	if l.kind != kindNumber || v.numbers == nil && v.rare == nil {
		return
	}
	n, ok := number(string(l.text))
	if !ok {
		return
	}
	for _, e := range v.numbers[n] {
		hit(e)
	}
	if v.rare != nil {
		v.rare.ranges.root.match(n, hit)
	}
}

func (r *rare) match(l *leaf, m *scratch, hit func(*edge)) {
	if !r.wild.empty() {
		r.wild.match(l.text, false, &m.walker, hit)
	}
	if !r.back.empty() {
		r.back.match(l.text, true, &m.walker, hit)
	}
	if r.needsFold > 0 {
		m.folded = appendFold(m.folded[:0], l.text)
		for _, e := range r.folded[string(m.folded)] {
			hit(e)
		}
		r.wildFold.match(m.folded, false, &m.walker, hit)
		r.backFold.match(m.folded, true, &m.walker, hit)
	}
	if len(r.cidrs) > 0 {
		r.matchAddress(l.text, hit)
	}
}

func (r *rare) matchAddress(text []byte, hit func(*edge)) {
	if len(text) < 2 || len(text) > 45 {
		return
	}
	a, ok := address(string(text))
	if !ok {
		return
	}
	bits := r.bits(netip.PrefixFrom(a, 0))
	for n := 0; n <= a.BitLen(); n++ {
		if bits[n] == 0 {
			continue
		}
		p, err := a.Prefix(n)
		if err != nil {
			return
		}
		for _, e := range r.cidrs[p] {
			hit(e)
		}
	}
}

// passesNot says whether l passes an opNot of e.
func (e *edge) passesNot(l *leaf) bool {
	text := string(l.text)
	for i := range e.tests {
		if e.tests[i].op == opNot && e.tests[i].passes(l.kind, text) {
			return true
		}
	}
	return false
}

// appendFold is fold without a new string.
func appendFold(dst, text []byte) []byte {
	for i := 0; i < len(text); {
		c := text[i]
		switch {
		case c >= 'A' && c <= 'Z':
			dst = append(dst, c+'a'-'A')
			i++
		case c < utf8.RuneSelf:
			dst = append(dst, c)
			i++
		default:
			r, n := utf8.DecodeRune(text[i:])
			dst = utf8.AppendRune(dst, unicode.ToLower(r))
			i += n
		}
	}
	return dst
}
