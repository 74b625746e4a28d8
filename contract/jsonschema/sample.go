package jsonschema

import (
	"maps"
	"math/big"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode"

	js "github.com/santhosh-tekuri/jsonschema/v6"
)

// formatSamples are texts that formats take.
var formatSamples = map[string]string{
	"date-time": "2026-01-02T03:04:05Z", "date": "2026-01-02", "time": "03:04:05Z", "duration": "P1D",
	"email": "a@b.example", "hostname": "a", "ipv4": "127.0.0.1", "ipv6": "::1", "uuid": "00000000-0000-4000-8000-000000000000",
	"uri": "a:b", "iri": "a:b", "uri-reference": "a", "iri-reference": "a", "uri-template": "a", "json-pointer": "/a",
	"relative-json-pointer": "0", "regex": "a", "semver": "1.0.0", "period": "2026-01-02/P1D",
}

// samples are some values of a set, chosen near to what the schema against, if
// any, draws a line at.
func (c *comparison) samples(w set, against *js.Schema, depth int) []any {
	if against == nil {
		against = &js.Schema{}
	}
	ts := c.typesIn(w)
	if ts == 0 || depth <= 0 {
		return nil
	}
	if values, ok := c.few(w, ts); ok {
		return values
	}
	var out []any
	if ts&text != 0 {
		out = append(out, c.sampleTexts(w, against)...)
	}
	if ts&numeric != 0 {
		out = append(out, c.sampleNumbers(w, ts, against)...)
	}
	if ts&object != 0 {
		out = append(out, c.sampleObjects(w, against, depth)...)
	}
	if ts&array != 0 {
		out = append(out, c.sampleArrays(w, against, depth)...)
	}
	out = append(out, nil, true, false)
	if len(w.splits) > 0 {
		for _, b := range w.splits[0] {
			of := c.samples(c.join(set{w.nodes, w.splits[1:]}, b), against, depth-1)
			out = append(out, of[:min(len(of), 6)]...)
		}
	}
	out = c.allowed(w, out)
	return out[:min(len(out), 24)]
}

func (c *comparison) sampleTexts(w set, against *js.Schema) (out []any) {
	s := textSpan(w)
	lengths := []int{s.min, s.max, 1, 7}
	for _, at := range []*int{against.MinLength, against.MaxLength} {
		if at != nil {
			lengths = append(lengths, *at-1, *at+1)
		}
	}
	for _, n := range w.nodes {
		if n.Pattern != nil {
			out = append(out, samplePattern(n.Pattern.String()))
		}
		if n.Format != nil {
			out = append(out, formatSamples[n.Format.Name])
		}
	}
	for _, n := range lengths {
		if n >= 0 && n <= 10_000 {
			out = append(out, strings.Repeat("x", n), strings.Repeat("0", n))
		}
	}
	return append(out, " ", "A", "a-b")
}

func (c *comparison) sampleNumbers(w set, ts types, against *js.Schema) (out []any) {
	in := c.interval(w, ts)
	step := in.step
	if step == nil {
		step = big.NewRat(1, 2)
	}
	add := func(at *big.Rat) {
		for _, n := range []int64{0, 1, -1, 2, -2, 3} {
			out = append(out, toNumber(new(big.Rat).Add(at, new(big.Rat).Mul(step, big.NewRat(n, 1)))))
		}
	}
	for _, at := range []*big.Rat{against.Minimum, against.Maximum, against.ExclusiveMinimum, against.ExclusiveMaximum, in.low, in.high} {
		if at != nil {
			add(toStep(at, step, false, 1))
		}
	}
	add(new(big.Rat))
	return out
}

func (c *comparison) sampleArrays(w set, against *js.Schema, depth int) (out []any) {
	s := arraySpan(w)
	lengths := []int{s.min, s.min + 1}
	for _, at := range []*int{against.MinItems, against.MaxItems} {
		if at != nil {
			lengths = append(lengths, *at-1, *at+1)
		}
	}
	for _, n := range lengths {
		if arr, ok := c.arrayOf(w, max(n, 0), depth); ok {
			out = append(out, arr)
		}
	}
	return out
}

// sampleObjects makes one of the required properties, one of all that are named,
// and one with a property that is not.
func (c *comparison) sampleObjects(w set, against *js.Schema, depth int) (out []any) {
	least, most := map[string]any{}, map[string]any{}
	must := required(w)
	all := map[string]bool{}
	for name := range must {
		all[name] = true
	}
	for _, n := range w.nodes {
		for name := range n.Properties {
			all[name] = true
		}
		for p := range n.PatternProperties {
			all[samplePattern(p.String())] = true
		}
	}
	for name := range all {
		of := c.samples(c.property(w, name), nil, depth-1)
		if len(of) == 0 {
			continue
		}
		most[name] = of[0]
		if must[name] {
			least[name] = of[0]
		}
	}
	more := map[string]any{"other": "x"}
	for name, v := range least {
		more[name] = v
	}
	out = []any{least, most, more}
	counts := []int{objectSpan(w).min}
	for _, at := range []*int{against.MinProperties, against.MaxProperties} {
		if at != nil {
			counts = append(counts, *at-1, *at+1)
		}
	}
	for _, n := range counts {
		out = append(out, c.sized(w, least, all, n, depth))
	}
	return out
}

// sized adds properties to an object, or makes them up, until there are n.
func (c *comparison) sized(w set, least map[string]any, all map[string]bool, n, depth int) any {
	obj := maps.Clone(least)
	names := slices.Sorted(maps.Keys(all))
	for i := range min(n, 50) {
		names = append(names, string(rune('a'+i%26))+strings.Repeat("b", i/26))
	}
	for _, name := range names {
		if len(obj) >= n || n > 50 {
			break
		}
		if of := c.samples(c.property(w, name), nil, depth-1); len(of) > 0 {
			obj[name] = of[0]
		}
	}
	return obj
}

// samplePattern is a short text that matches a pattern, as a rule.
func samplePattern(pattern string) string {
	re, err := syntax.Parse(fromECMA(pattern), syntax.Perl)
	if err != nil {
		return ""
	}
	var b strings.Builder
	sampleRegexp(&b, re.Simplify(), 0)
	return b.String()
}

func sampleRegexp(b *strings.Builder, re *syntax.Regexp, depth int) {
	if depth > 50 || b.Len() > 1000 {
		return
	}
	switch re.Op {
	case syntax.OpLiteral:
		b.WriteString(string(re.Rune))
	case syntax.OpCharClass:
		b.WriteRune(sampleClass(re.Rune))
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		b.WriteByte('x')
	case syntax.OpCapture, syntax.OpPlus:
		sampleRegexp(b, re.Sub[0], depth+1)
	case syntax.OpConcat:
		for _, s := range re.Sub {
			sampleRegexp(b, s, depth+1)
		}
	case syntax.OpAlternate:
		sampleRegexp(b, re.Sub[0], depth+1)
	}
}

func sampleClass(ranges []rune) rune {
	for _, c := range []rune{'a', 'A', '0', '_', ' '} {
		for i := 0; i+1 < len(ranges); i += 2 {
			if ranges[i] <= c && c <= ranges[i+1] {
				return c
			}
		}
	}
	if i := slices.IndexFunc(ranges, unicode.IsPrint); i >= 0 {
		return ranges[i]
	}
	if len(ranges) > 0 {
		return ranges[0]
	}
	return 'x'
}
