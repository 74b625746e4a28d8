package jsonschema

import (
	"strings"
	"testing"

	js "github.com/santhosh-tekuri/jsonschema/v6"
)

func parse(t testing.TB, text string) *Schema {
	t.Helper()
	s, err := Parse(Source{File: "order.json", Text: text})
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return s
}

// Two sides, what the reader is told when it is not able to read: kind and path,
// "" for a reader that can read; "?" begins what cannot be decided.
func TestCanRead(t *testing.T) {
	const (
		openAB   = `{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"string"}}}`
		openA    = `{"type":"object","properties":{"a":{"type":"integer"}}}`
		closedAB = `{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"string"}},"additionalProperties":false}`
		closedA  = `{"type":"object","properties":{"a":{"type":"integer"}},"additionalProperties":false}`
		partly   = `{"type":"object","properties":{"a":{"type":"integer"}},"additionalProperties":{"type":"string"}}`
		needA    = `{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]}`
		tree     = `{"$ref":"#/definitions/n","definitions":{"n":{"type":"object","properties":{"v":{"type":"integer"},"next":{"$ref":"#/definitions/n"}}}}}`
		treeNum  = `{"$ref":"#/definitions/x","definitions":{"x":{"type":"object","properties":{"v":{"type":"number"},"next":{"$ref":"#/definitions/x"}}}}}`
		v2020    = `"$schema":"https://json-schema.org/draft/2020-12/schema",`
	)
	for _, tt := range []struct{ name, writer, reader, want string }{
		{"any reads all", openAB, `{}`, ""},
		{"nothing is written", `false`, closedA, ""},
		{"nothing is read", openA, `false`, "CONSTRAINT $"},
		{"integers as numbers", `{"type":"integer"}`, `{"type":"number"}`, ""},
		{"numbers as integers", `{"type":"number"}`, `{"type":"integer"}`, "TYPE $"},
		{"whole multiples as integers", `{"type":"number","multipleOf":2}`, `{"type":"integer"}`, ""},
		{"another type", `{"type":["string","null"]}`, `{"type":"string"}`, "TYPE $"},
		{"fewer types", `{"type":"string"}`, `{"type":["string","null"]}`, ""},

		{"open: property added", openA, openAB, "TYPE $.b"},
		{"open: property removed", openAB, openA, ""},
		{"closed: property added", closedA, closedAB, ""},
		{"closed: property removed", closedAB, closedA, "CONSTRAINT $.b"},
		{"open to closed", openA, closedA, "CONSTRAINT $.*"},
		{"closed to open", closedA, openA, ""},
		{"partly open: property added of its kind", partly, openAB, ""},
		{"partly open to closed", partly, closedA, "CONSTRAINT $.*"},
		{"required added", openA, needA, "NO_DEFAULT $.a"},
		{"required removed", needA, openA, ""},
		{"required where another asks for it", `{"type":"object","dependencies":{"b":["a"]}}`, `{"required":["a"]}`, "NO_DEFAULT $.a"},
		{"required where another asks for it, objects", `{"type":"object","required":["b"],"dependencies":{"b":["a"]}}`, `{"required":["a"]}`, ""},

		{"enum grown", `{"enum":["a"]}`, `{"enum":["b","a"]}`, ""},
		{"enum shrunk", `{"enum":["a","b"]}`, `{"enum":["a"]}`, "SYMBOL $"},
		{"enum of what fits", `{"enum":[1,2]}`, `{"type":"integer","minimum":1}`, ""},
		{"any string as enum", `{"type":"string"}`, `{"enum":["a"]}`, "SYMBOL $"},
		{"few integers as enum", `{"type":"integer","minimum":1,"maximum":3}`, `{"enum":[1,2,3,4]}`, ""},
		{"booleans as enum", `{"type":"boolean"}`, `{"enum":[true,false]}`, ""},
		{"const", `{"const":{"a":1}}`, `{"const":{"a":1.0}}`, ""},

		{"wider bounds", `{"type":"integer","minimum":1,"exclusiveMaximum":10}`, `{"type":"number","minimum":0,"maximum":9}`, ""},
		{"narrower bounds", `{"type":"integer","minimum":0}`, `{"type":"integer","minimum":1}`, "CONSTRAINT $"},
		{"multiples of multiples", `{"type":"number","multipleOf":0.5}`, `{"type":"number","multipleOf":0.25}`, ""},
		{"multiples that are none", `{"type":"integer","multipleOf":3}`, `{"type":"integer","multipleOf":2}`, "CONSTRAINT $"},
		{"multiples by two factors", `{"type":"integer","allOf":[{"multipleOf":3},{"multipleOf":2}]}`, `{"multipleOf":6}`, ""},
		{"shorter", `{"type":"string","maxLength":10}`, `{"type":"string","maxLength":9}`, "CONSTRAINT $"},
		{"longer", `{"type":"string","minLength":2,"maxLength":9}`, `{"type":"string","minLength":1,"maxLength":10}`, ""},
		{"same pattern", `{"type":"string","pattern":"^a+$","maxLength":3}`, `{"type":"string","pattern":"^a+$"}`, ""},
		{"another pattern, shown", `{"type":"string","pattern":"^[a-z]+$"}`, `{"type":"string","pattern":"^[b-z]+$"}`, "CONSTRAINT $"},
		{"another pattern, equal in effect", `{"type":"string","pattern":"^aa*$"}`, `{"type":"string","pattern":"^a+$"}`, "? $"},
		{"format added", `{"type":"string"}`, `{"type":"string","format":"date-time"}`, "CONSTRAINT $"},
		{"format that is wider", `{"type":"string","format":"uri"}`, `{"type":"string","format":"uri-reference"}`, ""},
		{"format that only informs", `{` + v2020 + `"type":"string"}`, `{` + v2020 + `"type":"string","format":"date"}`, ""},

		{"items wider", `{"type":"array","items":{"type":"integer"}}`, `{"type":"array","items":{"type":"number"}}`, ""},
		{"items narrower", `{"type":"array","items":{"type":"number"}}`, `{"type":"array","items":{"type":"integer"}}`, "TYPE $[]"},
		{"items narrower, never any", `{"type":"array","maxItems":0}`, `{"type":"array","items":{"type":"integer"}}`, ""},
		{"fewer items", `{"type":"array"}`, `{"type":"array","maxItems":2}`, "CONSTRAINT $"},
		{"tuple closed", `{"type":"array","items":[{},{}],"additionalItems":false}`, `{"type":"array","items":[{}],"additionalItems":false}`, "CONSTRAINT $[1]"},
		{"tuple in another draft", `{"type":"array","items":[{"type":"integer"}]}`, `{` + v2020 + `"type":"array","prefixItems":[{"type":"number"}]}`, ""},
		{"unique", `{"type":"array","items":{"type":"integer"}}`, `{"type":"array","items":{"type":"integer"},"uniqueItems":true}`, "CONSTRAINT $"},
		{"contains by items", `{"type":"array","items":{"type":"integer"},"minItems":1}`, `{"type":"array","contains":{"type":"number"}}`, ""},
		{"contains", `{"type":"array"}`, `{"type":"array","contains":{"type":"number"}}`, "CONSTRAINT $"},

		{"anyOf grown", `{"anyOf":[{"type":"string"},{"type":"integer"}]}`, `{"anyOf":[{"type":"integer"},{"type":"string"},{"type":"array"}]}`, ""},
		{"anyOf shrunk", `{"anyOf":[{"type":"string"},{"type":"integer"}]}`, `{"anyOf":[{"type":"integer"},{"type":"array"}]}`, "BRANCH $"},
		{"oneOf by a constant", `{"oneOf":[{"properties":{"k":{"const":"a"},"x":{"type":"integer"}},"required":["k","x"],"type":"object"},{"properties":{"k":{"const":"b"}},"required":["k"],"type":"object"}]}`,
			`{"oneOf":[{"properties":{"k":{"const":"b"}},"required":["k"],"type":"object"},{"properties":{"k":{"const":"a"},"x":{"type":"number"}},"required":["k"],"type":"object"},{"properties":{"k":{"const":"c"}},"required":["k"],"type":"object"}]}`, ""},
		{"oneOf by a constant, narrowed", `{"oneOf":[{"properties":{"k":{"const":"a"},"x":{"type":"number"}},"required":["k","x"],"type":"object"},{"properties":{"k":{"const":"b"}},"required":["k"],"type":"object"}]}`,
			`{"oneOf":[{"properties":{"k":{"const":"b"}},"required":["k"],"type":"object"},{"properties":{"k":{"const":"a"},"x":{"type":"integer"}},"required":["k"],"type":"object"}]}`, "TYPE $.x"},
		{"one schema to a oneOf of it and null", `{"type":"string"}`, `{"oneOf":[{"type":"null"},{"type":"string"}]}`, ""},
		{"oneOf overlapping", `{"type":"integer"}`, `{"oneOf":[{"type":"integer"},{"type":"number"}]}`, "CONSTRAINT|BRANCH $"},
		{"allOf is both", `{"allOf":[{"type":"integer"},{"minimum":5}]}`, `{"type":"integer","minimum":4}`, ""},
		{"not of what never comes", `{"type":"string"}`, `{"not":{"type":"integer"}}`, ""},
		{"not of what comes", `{"type":"string"}`, `{"not":{"const":"a-b"}}`, "CONSTRAINT $"},
		{"if, the same", `{"if":{"required":["a"]},"then":{"required":["b"]},"type":"object"}`, `{"if":{"required":["a"]},"then":{"required":["b"]}}`, ""},
		{"if, added", `{"type":"object"}`, `{"if":{"required":["a"]},"then":{"required":["b"]}}`, "NO_DEFAULT $.b"},

		{"recursion widened", tree, treeNum, ""},
		{"recursion narrowed", treeNum, tree, "TYPE $.next.v"},
		{"unevaluated is closed", `{` + v2020 + `"type":"object","allOf":[{"properties":{"a":{"type":"string"}}}],"unevaluatedProperties":false}`,
			`{` + v2020 + `"type":"object","allOf":[{"properties":{"a":{"type":"string"},"b":{"type":"integer"}}}],"unevaluatedProperties":false}`, ""},
		{"unevaluated, removed", `{` + v2020 + `"type":"object","properties":{"a":{},"b":{}},"unevaluatedProperties":false}`,
			`{` + v2020 + `"type":"object","properties":{"a":{}},"unevaluatedProperties":false}`, "CONSTRAINT $.b"},
		{"patterns the same", `{"type":"object","patternProperties":{"^x":{"type":"integer"}},"additionalProperties":false}`,
			`{"type":"object","patternProperties":{"^x":{"type":"number"}},"additionalProperties":false}`, ""},
		{"pattern added to an open model", `{"type":"object"}`, `{"type":"object","patternProperties":{"^x":{"type":"number"}}}`, "CONSTRAINT $.*"},
		{"names bounded", `{"type":"object"}`, `{"type":"object","propertyNames":{"maxLength":3}}`, "CONSTRAINT $"},
		{"names bounded, closed", closedAB, `{"type":"object","propertyNames":{"maxLength":3}}`, ""},
		{"names that the writer bounds", `{"type":"object","propertyNames":{"pattern":"^[a-z]$"},"additionalProperties":{"type":"string"}}`,
			`{"type":"object","additionalProperties":{"type":"integer"}}`, "TYPE $.*"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			problems := parse(t, tt.reader).CanRead(parse(t, tt.writer))
			got := ""
			for i, p := range problems {
				kind := string(p.Kind)
				if strings.HasPrefix(p.Detail, "cannot be decided") {
					kind = "?"
				}
				if i == 0 {
					got = kind + " " + p.Path
				}
				t.Logf("%s %s %v <- %v: %s", kind, p.Path, p.Reader, p.Writer, p.Detail)
			}
			if kinds, path, _ := strings.Cut(tt.want, " "); got != tt.want && !(strings.Contains(kinds, "|") && strings.HasSuffix(got, " "+path) && strings.Contains(kinds, strings.Fields(got)[0])) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestNeeds has a property that both keywords speak of: schemas are shared, so
// nothing may be written behind the list of one.
func TestNeeds(t *testing.T) {
	list := []string{"b", "c", "d", "free"}[:3]
	n := &js.Schema{Dependencies: map[string]any{"a": list}, DependentRequired: map[string][]string{"a": {"e"}}}
	if got := strings.Join(needs(n, "a"), " "); got != "b c d e" {
		t.Errorf("a needs %s", got)
	}
	if after := list[:4][3]; after != "free" {
		t.Errorf("%q was written behind the schema's list", after)
	}
}
