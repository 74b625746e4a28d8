package jsonschema

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	js "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/dhowhq/dhow/contract/verdict"
)

// Comparing asks whether one schema's documents are all the other's. It walks
// the reader's schema and holds against each keyword what the writer's subschemas
// for the same value leave possible. What it takes for granted of the writer is
// always at least what the writer allows, so that "can read" is never said
// wrongly; what then seems to break is shown by a document that the one allows
// and the other refuses, or, where none is found and the keyword is one that
// cannot be reasoned about in general, called not decidable.

const (
	maxSteps    = 50_000          // comparisons of subschemas
	maxTime     = 2 * time.Second // for what takes long in spite of that
	maxProblems = 100
	maxLooks    = 500_000 // subschemas looked at in checking examples
	sampleLooks = 2_000   // of these in checking one
)

// comparing keeps two comparisons from waiting for each other's counters.
var comparing sync.Mutex

// CanRead lists all that keeps readers with this schema from reading what is
// valid under another one.
func (s *Schema) CanRead(writer *Schema) []verdict.Problem {
	if s == writer || s.whole == writer.whole {
		return nil
	}
	defer lockBoth(s.count, writer.count)()
	return s.compare(writer).problems
}

// compare is CanRead, with the documents that show the problems.
func (s *Schema) compare(writer *Schema) *comparison {
	c := &comparison{
		writer: writer, reader: s,
		seen: map[string]bool{}, ids: map[*js.Schema]int{}, equals: map[[2]*js.Schema]bool{},
		types: map[*js.Schema]types{}, models: map[*js.Schema]modelled{}, made: map[string]*js.Schema{}, reported: map[verdict.Problem]bool{},
	}
	c.started = time.Now()
	c.sub(c.join(set{}, writer.compiled), s.compiled, "$")
	if c.exhausted() {
		c.report(problem{kind: verdict.Constraint, path: "$", reader: s.compiled, unsure: true, detail: "the schemas are too large, or have too many branches, to be compared"})
	}
	return c
}

func lockBoth(a, b *counter) (unlock func()) {
	if a == nil && b == nil {
		return func() {}
	}
	comparing.Lock()
	for _, c := range []*counter{a, b} {
		if c != nil {
			c.mu.Lock()
		}
	}
	return func() {
		for _, c := range []*counter{a, b} {
			if c != nil {
				c.mu.Unlock()
			}
		}
		comparing.Unlock()
	}
}

type comparison struct {
	writer, reader *Schema
	problems       []verdict.Problem
	shown          []any // documents that the writer allows and the reader refuses
	reported       map[verdict.Problem]bool
	steps          int
	checks, looks  int
	started        time.Time
	quiet          int // > 0: problems only count, what they say does not matter
	failed         int // how many there were while quiet

	// Pairs that are being compared or hold: a schema that refers to itself holds
	// if it does when one assumes so.
	seen  map[string]bool
	trail []string

	above  []frame // how to build a document around a value
	ids    map[*js.Schema]int
	types  map[*js.Schema]types
	models map[*js.Schema]modelled
	equals map[[2]*js.Schema]bool
	made   map[string]*js.Schema
}

// frame is a value that holds the one being compared.
type frame func(inner any) (outer any, ok bool)

// set is what the writer says of one value: all of nodes hold for it, and of
// each of splits one. (Nodes hold with their own anyOf and oneOf: splits are
// only not taken apart yet.)
type set struct {
	nodes  []*js.Schema
	splits [][]*js.Schema
}

// join is a set and more schemas.
func (c *comparison) join(s set, more ...*js.Schema) set {
	out := set{append([]*js.Schema(nil), s.nodes...), append([][]*js.Schema(nil), s.splits...)}
	for _, n := range more {
		c.flatten(&out, n)
	}
	return out
}

func (c *comparison) flatten(s *set, n *js.Schema) {
	if n.Bool != nil && *n.Bool {
		return
	}
	if slices.Contains(s.nodes, n) {
		return
	}
	s.nodes = append(s.nodes, n)
	if n.Ref != nil {
		c.flatten(s, n.Ref)
	}
	if to, static := c.target(n); to != nil && static {
		c.flatten(s, to)
	}
	for _, a := range n.AllOf {
		c.flatten(s, a)
	}
	for _, branches := range [][]*js.Schema{n.AnyOf, n.OneOf, c.cases(n)} {
		switch len(branches) {
		case 0:
		case 1:
			c.flatten(s, branches[0])
		default:
			s.splits = append(s.splits, branches)
		}
	}
}

// cases are a schema's if and then, and its else, as branches of which one holds.
func (c *comparison) cases(n *js.Schema) []*js.Schema {
	if n.If == nil || n.Then == nil && n.Else == nil {
		return nil
	}
	then, other := []*js.Schema{n.If}, []*js.Schema{c.not(n.If)}
	if n.Then != nil {
		then = append(then, n.Then)
	}
	if n.Else != nil {
		other = append(other, n.Else)
	}
	return []*js.Schema{
		c.make(words("then %d", c.id(n)), js.Schema{AllOf: then}),
		c.make(words("else %d", c.id(n)), js.Schema{AllOf: other}),
	}
}

func (c *comparison) not(n *js.Schema) *js.Schema {
	return c.make(words("not %d", c.id(n)), js.Schema{Not: n})
}

func (c *comparison) id(n *js.Schema) int {
	if _, ok := c.ids[n]; !ok {
		c.ids[n] = len(c.ids)
	}
	return c.ids[n]
}

// target is where a dynamic or recursive reference leads; static unless that
// depends on the way to it.
func (c *comparison) target(n *js.Schema) (to *js.Schema, static bool) {
	switch {
	case n.RecursiveRef != nil:
		return n.RecursiveRef, !n.RecursiveRef.RecursiveAnchor || len(c.writer.files) == 1 && len(c.reader.files) == 1
	case n.DynamicRef != nil:
		d := n.DynamicRef
		return d.Ref, d.Anchor == "" || d.Ref.DynamicAnchor != d.Anchor || len(c.writer.files) == 1 && len(c.reader.files) == 1
	}
	return nil, false
}

func (c *comparison) key(s set, r *js.Schema) string {
	var b []byte
	id := func(n *js.Schema) {
		b = append(strconv.AppendInt(b, int64(c.id(n)), 36), ' ')
	}
	id(r)
	for _, n := range s.nodes {
		id(n)
	}
	for _, split := range s.splits {
		b = append(b, '|')
		for _, n := range split {
			id(n)
		}
	}
	return string(b)
}

// sub reports what of w the reader's r refuses.
func (c *comparison) sub(w set, r *js.Schema, path string) {
	c.steps++
	if c.exhausted() && c.quiet > 0 {
		c.failed++
	}
	if c.exhausted() || c.done() || r.Bool != nil && *r.Bool || c.sameAsOne(w, r) {
		return
	}
	key := c.key(w, r)
	if c.seen[key] {
		return
	}
	c.seen[key] = true
	c.trail = append(c.trail, key)
	mark, before := len(c.trail)-1, c.count()
	if len(w.splits) == 0 {
		c.values(w, r, path)
	} else if !c.try(func() { c.values(w, r, path) }) {
		c.split(w, r, path)
	}
	if c.count() > before { // then nothing holds that took this for granted
		for _, k := range c.trail[mark:] {
			delete(c.seen, k)
		}
		c.trail = c.trail[:mark]
	}
}

// exhausted reports that no more can be compared: what is left counts as broken.
func (c *comparison) exhausted() bool {
	if c.steps%64 == 0 && time.Since(c.started) > maxTime {
		c.steps = maxSteps + 1
	}
	return c.steps > maxSteps
}

// split compares each branch of a writer's anyOf or oneOf.
func (c *comparison) split(w set, r *js.Schema, path string) {
	rest := set{w.nodes, w.splits[1:]}
	for _, b := range w.splits[0] {
		if in := c.join(rest, b); !c.unsat(in, 4) {
			c.sub(in, r, path)
		}
	}
}

// count is how many problems there are by now.
func (c *comparison) count() int { return len(c.problems) + c.failed }

// done reports that more problems would change nothing.
func (c *comparison) done() bool {
	return c.quiet > 0 && c.failed > 0 || len(c.problems) >= maxProblems
}

// try reports whether do finds no problem, and forgets what it finds.
func (c *comparison) try(do func()) bool {
	failed, mark := c.failed, len(c.trail)
	c.failed = 0
	c.quiet++
	do()
	c.quiet--
	ok := c.failed == 0
	c.failed = failed
	if !ok {
		for _, k := range c.trail[mark:] {
			delete(c.seen, k)
		}
		c.trail = c.trail[:mark]
	}
	return ok
}

// in compares a value that is part of another one.
func (c *comparison) in(f frame, do func()) {
	c.above = append(c.above, f)
	do()
	c.above = c.above[:len(c.above)-1]
}

// refusal is why a schema of either side, or made of both, refuses a value; nil
// where it does not, errLooks where that takes too long to tell.
func (c *comparison) refusal(s *js.Schema, v any) error {
	c.checks++
	if c.checks%64 == 0 && time.Since(c.started) > maxTime || c.looks > maxLooks {
		c.steps = maxSteps + 1
	}
	count := cmp.Or(c.reader.count, c.writer.count)
	if count == nil {
		return s.Validate(v)
	}
	if c.steps > maxSteps {
		return errLooks
	}
	for _, side := range []*counter{c.reader.count, c.writer.count} {
		if side != nil {
			side.left = sampleLooks
			defer func() { c.looks += sampleLooks - side.left }()
		}
	}
	return count.check(s, v, sampleLooks)
}

// valid reports whether a schema of either side allows a value.
func (c *comparison) valid(s *js.Schema, v any) bool { return c.refusal(s, v) == nil }

func (c *comparison) refuses(s *js.Schema, v any) bool {
	err := c.refusal(s, v)
	return err != nil && err != errLooks
}

func (c *comparison) allows(w set, v any) bool {
	for _, n := range w.nodes {
		if !c.valid(n, v) {
			return false
		}
	}
	return true
}

// problem is what seems to keep the reader from reading.
type problem struct {
	kind   verdict.Kind
	path   string
	reader *js.Schema
	writer set
	detail string
	unsure bool  // true: a problem only if an example shows it
	try    []any // values that may be examples
}

// report keeps a problem, with an example where one is found.
func (c *comparison) report(p problem) {
	if c.unsat(p.writer, 4) {
		return
	}
	if c.quiet > 0 {
		c.failed++
		return
	}
	example, shown := c.example(p)
	switch {
	case shown:
		p.detail += ", as in " + brief(example)
	case p.unsure || anyNode(p.writer, unclear):
		p.kind, p.detail = verdict.Constraint, "cannot be decided: "+p.detail
	}
	v := verdict.Problem{Kind: p.kind, Path: p.path, Reader: c.reader.place(p.reader.Location), Detail: p.detail}
	for _, n := range p.writer.nodes {
		if at := c.writer.place(n.Location); at.Line > 0 {
			v.Writer = at
			break
		}
	}
	if !c.reported[v] {
		c.reported[v] = true
		c.problems = append(c.problems, v)
	}
}

// unclear reports that a schema may allow less than is made of it here.
func unclear(n *js.Schema) bool {
	return n.Not != nil || n.OneOf != nil || n.Contains != nil || n.PropertyNames != nil || n.Format != nil || n.Pattern != nil ||
		n.UnevaluatedProperties != nil || n.UnevaluatedItems != nil || n.DynamicRef != nil || n.RecursiveRef != nil
}

// example is a value for which all of the writer's document is valid and the
// reader's is not.
func (c *comparison) example(p problem) (any, bool) {
	tries := append(p.try, c.samples(p.writer, p.reader, 4)...)
	for _, v := range tries[:min(len(tries), 60)] {
		if c.allows(p.writer, v) && c.refuses(p.reader, v) && c.shows(v) {
			return v, true
		}
	}
	return nil, false
}

// shows reports whether a value at this place makes a document that tells.
func (c *comparison) shows(v any) bool {
	for i := len(c.above) - 1; i >= 0; i-- {
		var ok bool
		if v, ok = c.above[i](v); !ok {
			return false
		}
	}
	if !c.valid(c.writer.compiled, v) || !c.refuses(c.reader.compiled, v) {
		return false
	}
	c.shown = append(c.shown, v)
	return true
}

func brief(v any) string {
	text := string(appendJSON(nil, v))
	if len(text) > 80 {
		text = strings.ToValidUTF8(text[:77], "") + "..."
	}
	return text
}

func words(format string, args ...any) string { return fmt.Sprintf(format, args...) }
