package jsonschema

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	js "github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"
)

// The oracle is the library itself, on plain documents: what it says of each of
// many is what a comparison has to have foreseen.

func genSchema(depth int) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		s := map[string]any{}
		kinds := []string{"string", "integer", "number", "enum", "boolean", "null", "many"}
		if depth > 0 {
			kinds = append(kinds, "object", "object", "object", "array", "anyOf", "oneOf", "allOf", "not", "if", "ref")
		}
		sub := func() any { return genSchema(depth-1).Draw(t, "sub") }
		some := func(of string, one any) {
			if rapid.IntRange(0, 2).Draw(t, of) == 0 {
				s[of] = one
			}
		}
		small := func() int { return rapid.IntRange(0, 4).Draw(t, "n") }
		switch kind := rapid.SampledFrom(kinds).Draw(t, "kind"); kind {
		case "string":
			s["type"] = kind
			some("minLength", small())
			some("maxLength", small())
			some("pattern", rapid.SampledFrom([]string{"^a", "b$", "^[a-c]*$"}).Draw(t, "pattern"))
			some("format", rapid.SampledFrom([]string{"date", "uri", "uri-reference"}).Draw(t, "format"))
		case "integer", "number":
			s["type"] = kind
			some("minimum", small())
			some("maximum", small())
			some("exclusiveMinimum", small())
			some("exclusiveMaximum", small())
			some("multipleOf", rapid.SampledFrom([]any{1, 2, 3, 0.5, 1.5}).Draw(t, "multiple"))
		case "enum":
			s["enum"] = rapid.SliceOfNDistinct(rapid.SampledFrom([]any{"a", "b", 1, 2, nil, true}), 1, 4, func(v any) any { return v }).Draw(t, "enum")
		case "boolean", "null":
			s["type"] = kind
		case "many":
			s["type"] = rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"string", "integer", "number", "null", "object", "array"}), 1, 3, rapid.ID[string]).Draw(t, "types")
			some("minimum", small())
			some("maxLength", small())
			some("minProperties", small())
		case "array":
			s["type"] = kind
			some("items", sub())
			if rapid.IntRange(0, 2).Draw(t, "tuple") == 0 {
				s["items"] = []any{sub(), sub()}
				some("additionalItems", rapid.SampledFrom([]any{true, false, map[string]any{"type": "string"}}).Draw(t, "more"))
			}
			some("minItems", small())
			some("maxItems", small())
			some("uniqueItems", true)
			some("contains", sub())
			if rapid.IntRange(0, 4).Draw(t, "some") == 0 {
				s["minContains"], s["unevaluatedItems"] = small(), false
			}
		case "object":
			if rapid.IntRange(0, 3).Draw(t, "typed") > 0 {
				s["type"] = kind
			}
			props := map[string]any{}
			for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "xa", "xb"}), 0, 3, rapid.ID[string]).Draw(t, "names") {
				props[name] = sub()
			}
			s["properties"] = props
			some("required", rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "xa"}), 1, 2, rapid.ID[string]).Draw(t, "required"))
			some("additionalProperties", rapid.SampledFrom([]any{true, false, map[string]any{"type": "string"}, map[string]any{"type": "integer"}}).Draw(t, "rest"))
			if rapid.IntRange(0, 4).Draw(t, "patterned") == 0 {
				s["patternProperties"] = map[string]any{rapid.SampledFrom([]string{"^x", "b$"}).Draw(t, "name"): sub()}
			}
			if rapid.IntRange(0, 4).Draw(t, "dependent") == 0 {
				s["dependencies"] = map[string]any{"a": rapid.SampledFrom([]any{[]any{"b"}, map[string]any{"required": []any{"b"}}}).Draw(t, "on")}
			}
			if rapid.IntRange(0, 4).Draw(t, "bounded") == 0 {
				s["propertyNames"] = rapid.SampledFrom([]any{map[string]any{"maxLength": 1}, map[string]any{"pattern": "^[a-b]"}}).Draw(t, "propertyNames")
			}
			some("minProperties", small())
			some("maxProperties", small())
			if rapid.IntRange(0, 4).Draw(t, "unevaluated") == 0 { // of 2020-12
				s["unevaluatedProperties"] = rapid.SampledFrom([]any{true, false, map[string]any{"type": "string"}}).Draw(t, "unevaluatedProperties")
			}
		case "anyOf", "oneOf", "allOf":
			s[kind] = []any{sub(), sub()}
			if depth > 1 && rapid.IntRange(0, 2).Draw(t, "closed") == 0 {
				s["unevaluatedProperties"] = false
				s["type"] = "object"
			}
		case "not":
			s["not"] = sub()
		case "if":
			s["if"], s["then"], s["else"] = sub(), sub(), sub()
		case "ref":
			s["$ref"] = "#"
			return map[string]any{"type": "object", "properties": map[string]any{"a": s}}
		}
		return s
	})
}

// edit changes something small somewhere in a schema.
func edit(t *rapid.T, v any, depth int) any {
	obj, ok := v.(map[string]any)
	if !ok || rapid.IntRange(0, 5).Draw(t, "here") == 0 {
		return genSchema(min(depth, 1)).Draw(t, "instead")
	}
	out := map[string]any{}
	for k, e := range obj {
		out[k] = e
	}
	keys := sorted(toAny(obj))
	if len(keys) == 0 {
		return out
	}
	k := rapid.SampledFrom(keys).Draw(t, "key").(string)
	switch e := out[k].(type) {
	case int:
		least := 0
		if k == "multipleOf" {
			least = 1
		}
		out[k] = max(least, e+rapid.SampledFrom([]int{-1, 1}).Draw(t, "by"))
	case map[string]any:
		switch k {
		case "properties", "patternProperties":
			props := map[string]any{}
			for name, s := range e {
				props[name] = s
			}
			if names := sorted(toAny(e)); len(names) > 0 {
				name := rapid.SampledFrom(names).Draw(t, "name").(string)
				if rapid.Bool().Draw(t, "drop") {
					delete(props, name)
				} else {
					props[name] = edit(t, props[name], depth-1)
				}
			}
			out[k] = props
		case "dependencies", "unevaluatedProperties", "additionalProperties", "additionalItems", "propertyNames":
			delete(out, k)
		default:
			out[k] = edit(t, e, depth-1)
		}
	case []any:
		if k == "anyOf" || k == "oneOf" || k == "allOf" {
			list := append([]any(nil), e...)
			i := rapid.IntRange(0, len(list)-1).Draw(t, "branch")
			list[i] = edit(t, list[i], depth-1)
			out[k] = list
		}
	default:
		if k != "$ref" && k != "multipleOf" {
			delete(out, k)
		}
	}
	return out
}

// to2020 writes a schema of draft 7 as one of 2020-12.
func to2020(v any) any {
	obj, ok := v.(map[string]any)
	if !ok {
		return v
	}
	out := map[string]any{}
	for k, e := range obj {
		switch e := e.(type) {
		case []any:
			list := make([]any, len(e))
			for i := range e {
				list[i] = to2020(e[i])
			}
			if k == "items" {
				k = "prefixItems"
			}
			out[k] = list
		case map[string]any:
			switch {
			case k == "dependencies":
				for name, on := range e {
					k = "dependentSchemas"
					if _, list := on.([]any); list {
						k = "dependentRequired"
					}
					out[k] = map[string]any{name: on}
				}
				continue
			case k == "additionalItems":
				k = "items"
			case k == "properties" || k == "patternProperties":
				props := map[string]any{}
				for name, s := range e {
					props[name] = to2020(s)
				}
				out[k] = props
				continue
			}
			out[k] = to2020(e)
		case bool:
			if k == "additionalItems" {
				k = "items"
			}
			out[k] = e
		default:
			out[k] = e
		}
	}
	return out
}

func toAny(m map[string]any) (out []any) {
	for k := range m {
		out = append(out, k)
	}
	return out
}

func genValue(depth int) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		n := 9
		if depth == 0 {
			n = 6
		}
		switch rapid.IntRange(0, n).Draw(t, "kind") {
		case 0:
			return nil
		case 1:
			return rapid.Bool().Draw(t, "bool")
		case 2, 3:
			return json.Number(rapid.SampledFrom([]string{"0", "1", "2", "3", "4", "5", "6", "-1", "0.5", "1.5", "3.25", "1e2"}).Draw(t, "number"))
		case 4, 5, 6:
			return rapid.SampledFrom([]string{"", "a", "b", "ab", "abc", "cab", "aaaaa", "2026-01-02", "a:b", "%"}).Draw(t, "string")
		case 7:
			return rapid.SliceOfN(genValue(depth-1), 0, 4).Draw(t, "array")
		default:
			obj := map[string]any{}
			for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "xa", "xb", "other"}), 0, 4, rapid.ID[string]).Draw(t, "names") {
				obj[name] = genValue(depth-1).Draw(t, name)
			}
			return obj
		}
	})
}

func plainCompile(t *rapid.T, text string) *js.Schema {
	doc, err := js.UnmarshalJSON(bytes.NewReader([]byte(text)))
	if err != nil {
		t.Fatal(err)
	}
	c := js.NewCompiler()
	c.DefaultDraft(js.Draft7)
	_ = c.AddResource("dhow:///x", doc)
	s, err := c.Compile("dhow:///x")
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return s
}

func mustJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

var tally struct{ fine, shown, bare, undecided int }

func TestOracle(t *testing.T) {
	rapid.Check(t, checkOracle)
	t.Logf("can read %d; problems with a document that shows them %d, without %d, undecided %d", tally.fine, tally.shown, tally.bare, tally.undecided)
}

func checkOracle(t *rapid.T) {
	w := genSchema(3).Draw(t, "writer")
	r := w
	for range rapid.IntRange(0, 2).Draw(t, "edits") {
		r = edit(t, r, 3)
	}
	if rapid.IntRange(0, 5).Draw(t, "unrelated") == 0 {
		r = genSchema(2).Draw(t, "reader")
	}
	if rapid.Bool().Draw(t, "2020-12") {
		w, r = to2020(w), to2020(r)
		for _, s := range []any{w, r} {
			s.(map[string]any)["$schema"] = "https://json-schema.org/draft/2020-12/schema"
		}
	}
	writer, err1 := Parse(Source{Text: mustJSON(w)})
	reader, err2 := Parse(Source{Text: mustJSON(r)})
	if err1 != nil || err2 != nil {
		t.Fatalf("%v %v", err1, err2)
	}
	plainW, plainR := plainCompile(t, mustJSON(w)), plainCompile(t, mustJSON(r))
	if p := reader.CanRead(reader); len(p) > 0 {
		t.Fatalf("%s cannot read itself: %v", mustJSON(r), p)
	}
	c := reader.compare(writer)
	for _, doc := range c.shown {
		if plainW.Validate(doc) != nil || plainR.Validate(doc) == nil {
			t.Fatalf("%s does not show that %s cannot read %s", mustJSON(doc), mustJSON(r), mustJSON(w))
		}
	}
	for _, p := range c.problems {
		switch {
		case strings.HasPrefix(p.Detail, "cannot be decided"):
			tally.undecided++
		case strings.Contains(p.Detail, ", as in "):
			tally.shown++
		default:
			tally.bare++
		}
	}
	if len(c.problems) > 0 {
		return
	}
	tally.fine++
	docs := c.samples(c.join(set{}, writer.compiled), reader.compiled, 4)
	for range 20 {
		docs = append(docs, genValue(3).Draw(t, "document"))
	}
	for _, doc := range docs {
		if plainW.Validate(doc) == nil && plainR.Validate(doc) != nil {
			t.Fatalf("%s is said to read all of %s, but not %s: %v", mustJSON(r), mustJSON(w), mustJSON(doc), plainR.Validate(doc))
		}
	}
}
