package jsonschema

import (
	"maps"
	"math/big"
	"slices"

	js "github.com/santhosh-tekuri/jsonschema/v6"
)

// sameAsOne reports that the reader's schema is one of the writer's, word for
// word but for annotations: whatever it means, it means the same.
func (c *comparison) sameAsOne(w set, r *js.Schema) bool {
	return slices.ContainsFunc(w.nodes, func(n *js.Schema) bool { return c.same(n, r) })
}

func (c *comparison) sameNot(w set, r *js.Schema) bool {
	return anyNode(w, func(n *js.Schema) bool { return n.Not != nil && c.same(n.Not, r.Not) })
}

func (c *comparison) sameIf(w set, r *js.Schema) bool {
	return anyNode(w, func(n *js.Schema) bool {
		return n.If != nil && c.same(n.If, r.If) && c.same(n.Then, r.Then) && c.same(n.Else, r.Else)
	})
}

func (c *comparison) sameOneOf(w set, r *js.Schema) bool {
	return anyNode(w, func(n *js.Schema) bool { return c.sameList(n.OneOf, r.OneOf) })
}

// same reports that two schemas say the same in the same words.
func (c *comparison) same(a, b *js.Schema) bool {
	if a == b {
		return true
	}
	if a == nil || b == nil {
		return false
	}
	pair := [2]*js.Schema{a, b}
	if known, ok := c.equals[pair]; ok {
		return known
	}
	c.equals[pair] = true // they are, unless something else than this pair differs
	ok := c.sameKeywords(a, b)
	if !ok {
		maps.DeleteFunc(c.equals, func(_ [2]*js.Schema, same bool) bool { return same }) // may have been taken for granted
		c.equals[pair] = false
	}
	return ok
}

func (c *comparison) sameKeywords(a, b *js.Schema) bool {
	return equal(a.Bool, b.Bool) && equal(a.Types, b.Types) &&
		(a.DraftVersion == b.DraftVersion || a.UnevaluatedItems == nil) &&
		sameValues(a, b) && sameNumbers(a, b) && sameSizes(a, b) &&
		a.UniqueItems == b.UniqueItems && a.RecursiveAnchor == b.RecursiveAnchor && a.DynamicAnchor == b.DynamicAnchor &&
		sameText(a.Pattern, b.Pattern) && formatName(a) == formatName(b) &&
		slices.Equal(slices.Sorted(slices.Values(a.Required)), slices.Sorted(slices.Values(b.Required))) &&
		maps.EqualFunc(a.DependentRequired, b.DependentRequired, slices.Equal) &&
		c.sameParts(a, b)
}

func (c *comparison) sameParts(a, b *js.Schema) bool {
	if to, static := c.target(a); to != nil && !static {
		return false
	}
	pairs := [][2]*js.Schema{
		{a.Ref, b.Ref}, {a.RecursiveRef, b.RecursiveRef}, {a.Not, b.Not}, {a.If, b.If}, {a.Then, b.Then}, {a.Else, b.Else},
		{a.PropertyNames, b.PropertyNames}, {a.UnevaluatedProperties, b.UnevaluatedProperties},
		{a.Contains, b.Contains}, {a.Items2020, b.Items2020}, {a.UnevaluatedItems, b.UnevaluatedItems},
	}
	for _, p := range pairs {
		if !c.same(p[0], p[1]) {
			return false
		}
	}
	if (a.DynamicRef == nil) != (b.DynamicRef == nil) ||
		a.DynamicRef != nil && (a.DynamicRef.Anchor != b.DynamicRef.Anchor || !c.same(a.DynamicRef.Ref, b.DynamicRef.Ref)) {
		return false
	}
	return c.sameList(a.AllOf, b.AllOf) && c.sameList(a.AnyOf, b.AnyOf) && c.sameList(a.OneOf, b.OneOf) &&
		c.sameList(a.PrefixItems, b.PrefixItems) &&
		maps.EqualFunc(a.Properties, b.Properties, c.same) && maps.EqualFunc(a.DependentSchemas, b.DependentSchemas, c.same) &&
		maps.EqualFunc(byText(a), byText(b), c.same) &&
		c.sameEither(a.AdditionalProperties, b.AdditionalProperties) && c.sameEither(a.AdditionalItems, b.AdditionalItems) &&
		c.sameEither(a.Items, b.Items) && maps.EqualFunc(a.Dependencies, b.Dependencies, c.sameEither)
}

func byText(n *js.Schema) map[string]*js.Schema {
	out := map[string]*js.Schema{}
	for p, s := range n.PatternProperties {
		out[p.String()] = s
	}
	return out
}

func (c *comparison) sameList(a, b []*js.Schema) bool { return slices.EqualFunc(a, b, c.same) }

// sameEither compares keywords that hold a schema or something simpler.
func (c *comparison) sameEither(a, b any) bool {
	switch a := a.(type) {
	case nil:
		return b == nil
	case bool:
		b, ok := b.(bool)
		return ok && a == b
	case *js.Schema:
		b, ok := b.(*js.Schema)
		return ok && c.same(a, b)
	case []*js.Schema:
		b, ok := b.([]*js.Schema)
		return ok && c.sameList(a, b)
	case []string:
		b, ok := b.([]string)
		return ok && slices.Equal(a, b)
	}
	return false
}

func sameValues(a, b *js.Schema) bool {
	x, ok1 := listed(a)
	y, ok2 := listed(b)
	return ok1 == ok2 && (a.Const == nil) == (b.Const == nil) && brieflyEqual(x, y)
}

func brieflyEqual(x, y []any) bool {
	return string(appendJSON(nil, sorted(x))) == string(appendJSON(nil, sorted(y)))
}

func sameNumbers(a, b *js.Schema) bool {
	x := []*big.Rat{a.Minimum, a.Maximum, a.ExclusiveMinimum, a.ExclusiveMaximum, a.MultipleOf}
	y := []*big.Rat{b.Minimum, b.Maximum, b.ExclusiveMinimum, b.ExclusiveMaximum, b.MultipleOf}
	return slices.EqualFunc(x, y, func(p, q *big.Rat) bool {
		return p == nil && q == nil || p != nil && q != nil && p.Cmp(q) == 0
	})
}

func sameSizes(a, b *js.Schema) bool {
	list := func(s *js.Schema) []*int {
		return []*int{s.MinLength, s.MaxLength, s.MinItems, s.MaxItems, s.MinProperties, s.MaxProperties, s.MinContains, s.MaxContains}
	}
	return slices.EqualFunc(list(a), list(b), equal[int])
}

func equal[T comparable](a, b *T) bool { return a == b || a != nil && b != nil && *a == *b }

func sameText(a, b js.Regexp) bool {
	return a == nil && b == nil || a != nil && b != nil && a.String() == b.String()
}

func formatName(n *js.Schema) string {
	if n.Format == nil {
		return ""
	}
	return n.Format.Name
}
