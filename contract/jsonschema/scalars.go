package jsonschema

import (
	"encoding/json"
	"math/big"
	"slices"

	js "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/dhowhq/dhow/contract/verdict"
)

// interval is what numbers may be between; nil is no bound.
type interval struct {
	low, high         *big.Rat
	openLow, openHigh bool
	step              *big.Rat // all are multiples of it; nil: any number
}

// interval is what a set's numbers are within.
func (c *comparison) interval(w set, ts types) interval {
	var in interval
	if ts&fraction == 0 {
		in.step = big.NewRat(1, 1)
	}
	for _, n := range w.nodes {
		in.raise(n.Minimum, false)
		in.raise(n.ExclusiveMinimum, true)
		in.lower(n.Maximum, false)
		in.lower(n.ExclusiveMaximum, true)
		if n.MultipleOf != nil {
			in.step = common(in.step, n.MultipleOf)
		}
	}
	if in.step != nil {
		in.low, in.openLow = toStep(in.low, in.step, in.openLow, 1), false
		in.high, in.openHigh = toStep(in.high, in.step, in.openHigh, -1), false
	}
	return in
}

func (in *interval) raise(to *big.Rat, open bool) {
	if to == nil {
		return
	}
	if in.low == nil || to.Cmp(in.low) > 0 {
		in.low, in.openLow = to, open
	} else if to.Cmp(in.low) == 0 {
		in.openLow = in.openLow || open
	}
}

func (in *interval) lower(to *big.Rat, open bool) {
	if to == nil {
		return
	}
	if in.high == nil || to.Cmp(in.high) < 0 {
		in.high, in.openHigh = to, open
	} else if to.Cmp(in.high) == 0 {
		in.openHigh = in.openHigh || open
	}
}

func (in interval) empty() bool {
	if in.low == nil || in.high == nil {
		return false
	}
	cmp := in.low.Cmp(in.high)
	return cmp > 0 || cmp == 0 && (in.openLow || in.openHigh)
}

// toStep is the multiple of step next to a bound, upwards or downwards.
func toStep(bound, step *big.Rat, open bool, up int) *big.Rat {
	if bound == nil {
		return nil
	}
	q := new(big.Rat).Quo(bound, step)
	n := new(big.Int).Div(q.Num(), q.Denom()) // rounded down
	exact := q.IsInt()
	if up > 0 && !exact || up > 0 && open {
		n.Add(n, big.NewInt(1))
	}
	if up < 0 && exact && open {
		n.Sub(n, big.NewInt(1))
	}
	return new(big.Rat).Mul(new(big.Rat).SetInt(n), step)
}

// common is the least number that is a multiple of both.
func common(a, b *big.Rat) *big.Rat {
	if a == nil {
		return b
	}
	// a/b as p/q in lowest terms: the least common multiple is a*q = b*p
	q := new(big.Rat).Quo(a, b)
	return new(big.Rat).Mul(a, new(big.Rat).SetInt(q.Denom()))
}

// integers lists the integers of an interval, nil if there may be more than max.
func (in interval) integers(max int64) []any {
	if in.low == nil || in.high == nil || in.step == nil {
		return nil
	}
	width := new(big.Rat).Quo(new(big.Rat).Sub(in.high, in.low), in.step)
	if width.Cmp(big.NewRat(max, 1)) > 0 {
		return nil
	}
	out := []any{}
	for n := in.low; n.Cmp(in.high) <= 0; n = new(big.Rat).Add(n, in.step) {
		out = append(out, toNumber(n))
	}
	return out
}

func toNumber(r *big.Rat) json.Number {
	if r.IsInt() {
		return json.Number(r.Num().String())
	}
	return json.Number(r.FloatString(20))
}

func (c *comparison) numbers(w set, ts types, r *js.Schema, path string) {
	in := c.interval(w, ts)
	if in.empty() {
		return
	}
	fail := func(format string, args ...any) {
		c.report(problem{kind: verdict.Constraint, path: path, reader: r, writer: c.join(w, c.ofType(ts&numeric)), detail: words(format, args...)})
	}
	if m := r.Minimum; m != nil && (in.low == nil || in.low.Cmp(m) < 0) {
		fail("the writer may send less than the reader's minimum of %s", toNumber(m))
	}
	if m := r.ExclusiveMinimum; m != nil && (in.low == nil || in.low.Cmp(m) < 0 || in.low.Cmp(m) == 0 && !in.openLow) {
		fail("the writer may send less than the reader takes, which is above %s", toNumber(m))
	}
	if m := r.Maximum; m != nil && (in.high == nil || in.high.Cmp(m) > 0) {
		fail("the writer may send more than the reader's maximum of %s", toNumber(m))
	}
	if m := r.ExclusiveMaximum; m != nil && (in.high == nil || in.high.Cmp(m) > 0 || in.high.Cmp(m) == 0 && !in.openHigh) {
		fail("the writer may send more than the reader takes, which is below %s", toNumber(m))
	}
	if m := r.MultipleOf; m != nil && (in.step == nil || !new(big.Rat).Quo(in.step, m).IsInt()) {
		fail("the writer may send what is no multiple of %s", toNumber(m))
	}
}

// span is how long a value may be; max < 0 is no bound.
type span struct{ min, max int }

func (s *span) narrow(min, max *int) {
	if min != nil && *min > s.min {
		s.min = *min
	}
	if max != nil && (s.max < 0 || *max < s.max) {
		s.max = *max
	}
}

func (s span) empty() bool { return s.max >= 0 && s.max < s.min }

// within reports what of a span is outside of a reader's bounds.
func (c *comparison) within(s span, min, max *int, what string, p problem) {
	if min != nil && *min > s.min {
		p.kind, p.detail = verdict.Constraint, words("the writer may send fewer %s than the reader's least, %d", what, *min)
		c.report(p)
	}
	if max != nil && (s.max < 0 || s.max > *max) {
		p.kind, p.detail = verdict.Constraint, words("the writer may send more %s than the reader's most, %d", what, *max)
		c.report(p)
	}
}

func textSpan(w set) span {
	s := span{0, -1}
	for _, n := range w.nodes {
		s.narrow(n.MinLength, n.MaxLength)
	}
	return s
}

func (c *comparison) texts(w set, r *js.Schema, path string) {
	s := textSpan(w)
	if s.empty() {
		return
	}
	p := problem{path: path, reader: r, writer: c.join(w, c.ofType(text))}
	c.within(s, r.MinLength, r.MaxLength, "characters", p)
	p.kind = verdict.Constraint
	if r.Pattern != nil && !samePattern(w, r) {
		p.detail, p.unsure = words("the writer's text may not match the reader's pattern %q", r.Pattern), true
		c.report(p)
	}
	if r.Format != nil && !sameFormat(w, r) {
		p.detail, p.unsure = words("the writer's text may be no %s, as the reader has it", r.Format.Name), true
		c.report(p)
	}
}

func samePattern(w set, r *js.Schema) bool {
	return anyNode(w, func(n *js.Schema) bool { return sameText(n.Pattern, r.Pattern) })
}

// wider are formats that take all that another one takes.
var wider = map[string][]string{
	"uri": {"iri", "uri-reference", "iri-reference"}, "iri": {"uri", "uri-reference", "iri-reference"},
	"uri-reference": {"iri-reference"}, "iri-reference": {"uri-reference"},
}

func sameFormat(w set, r *js.Schema) bool {
	return anyNode(w, func(n *js.Schema) bool {
		return n.Format != nil && (n.Format.Name == r.Format.Name || slices.Contains(wider[n.Format.Name], r.Format.Name))
	})
}
