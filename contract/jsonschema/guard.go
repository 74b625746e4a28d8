package jsonschema

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"sync"

	js "github.com/santhosh-tekuri/jsonschema/v6"
)

// sizes are the keywords that hold a count; the library takes 2^64 for 0.
var sizes = []string{"minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "minContains", "maxContains"}

const maxSize = 1 << 31

func checkSize(keyword string, v any) error {
	n, ok := v.(json.Number)
	if !ok || !slices.Contains(sizes, keyword) {
		return nil
	}
	if r, ok := new(big.Rat).SetString(string(n)); ok && r.Cmp(big.NewRat(maxSize, 1)) > 0 {
		return fmt.Errorf("%s is more than %d", keyword, maxSize)
	}
	return nil
}

// A schema that refers to itself, or to one definition many times over, may make
// the library look at one value more often than anyone can wait for: two
// branches that both recurse take 2^depth. Such schemas are compiled with a
// counter in every subschema, and used by one at a time.

const (
	maxUnrolled = 20_000 // subschemas, where each reference counts as what it leads to
	baseLooks   = 20_000 // subschemas looked at in validating a message
	looksPer    = 20     // and more for each byte of it
)

var errLooks = errors.New("checking it takes too many steps: the schema's branches repeat themselves at every level")

// counter bounds how often subschemas are looked at, by a panic with errLooks:
// the library cannot be stopped otherwise.
type counter struct {
	mu   sync.Mutex // held by whom the count is for
	left int
}

// Validate is what the library calls after each subschema.
func (c *counter) Validate(*js.ValidatorContext, any) {
	if c.left--; c.left < 0 {
		panic(errLooks)
	}
}

// check is s.Validate, but gives up in time. c, which s is compiled with, may be
// nil; its lock is the caller's.
func (c *counter) check(s *js.Schema, v any, looks int) (err error) {
	if c == nil {
		return s.Validate(v)
	}
	c.left = looks
	defer func() {
		if r := recover(); r != nil {
			if r != any(errLooks) {
				panic(r)
			}
			err = errLooks
		}
	}()
	return s.Validate(v)
}

func (c *counter) vocabulary() *js.Vocabulary {
	return &js.Vocabulary{
		URL: "dhow:/vocabulary/count",
		Compile: func(*js.CompilerContext, map[string]any) (js.SchemaExt, error) {
			return c, nil
		},
	}
}

// bounded reports that no value is looked at more than maxUnrolled times,
// whatever it is.
func bounded(s *js.Schema) bool {
	u := unroller{size: map[*js.Schema]int{}}
	return u.of(s) <= maxUnrolled
}

type unroller struct{ size map[*js.Schema]int } // -1 while being counted

func (u *unroller) of(s *js.Schema) int {
	switch n := u.size[s]; {
	case n < 0:
		return maxUnrolled + 1 // it refers to itself
	case n > 0:
		return n
	}
	u.size[s] = -1
	n := 1
	if s.RecursiveRef != nil || s.DynamicRef != nil {
		n = maxUnrolled + 1
	}
	for _, sub := range children(s) {
		if n += u.of(sub); n > maxUnrolled {
			n = maxUnrolled + 1
			break
		}
	}
	u.size[s] = n
	return n
}

// children are the subschemas that a schema puts to use.
func children(s *js.Schema) []*js.Schema {
	out := []*js.Schema{
		s.Ref, s.RecursiveRef, s.Not, s.If, s.Then, s.Else, s.PropertyNames, s.UnevaluatedProperties,
		s.Contains, s.Items2020, s.UnevaluatedItems,
	}
	if s.DynamicRef != nil {
		out = append(out, s.DynamicRef.Ref)
	}
	for _, list := range [][]*js.Schema{s.AllOf, s.AnyOf, s.OneOf, s.PrefixItems} {
		out = append(out, list...)
	}
	for _, m := range []map[string]*js.Schema{s.Properties, s.DependentSchemas} {
		for _, sub := range m {
			out = append(out, sub)
		}
	}
	for _, sub := range s.PatternProperties {
		out = append(out, sub)
	}
	for _, sub := range s.Dependencies {
		out = appendSchema(out, sub)
	}
	out = appendSchema(out, s.AdditionalProperties)
	out = appendSchema(out, s.AdditionalItems)
	out = appendSchema(out, s.Items)
	return slices.DeleteFunc(out, func(s *js.Schema) bool { return s == nil })
}

func appendSchema(out []*js.Schema, v any) []*js.Schema {
	switch v := v.(type) {
	case *js.Schema:
		return append(out, v)
	case []*js.Schema:
		return append(out, v...)
	}
	return out
}
