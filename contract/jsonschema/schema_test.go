package jsonschema

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	js "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/dhowhq/dhow/contract/verdict"
)

const order = `{
  "$schema": "http://json-schema.org/draft-07/schema#",
  "$id": "https://shop.example/order.json",
  "title": "Order",
  "type": "object",
  "required": ["id", "lines"],
  "properties": {
    "id": {"type": "string", "minLength": 1},
    "customer": {"$ref": "customer.json"},
    "lines": {"type": "array", "items": {"$ref": "#/definitions/line"}}
  },
  "definitions": {
    "line": {"type": "object", "properties": {"total": {"type": "integer", "minimum": 0}}, "required": ["total"]}
  }
}`

const customer = `{"type": "object", "properties": {"email": {"type": "string", "format": "email"}, "id": {"type": "integer"}}}`

func TestValidate(t *testing.T) {
	s, err := Parse(Source{"order.json", order}, Source{"customer.json", customer})
	if err != nil {
		t.Fatal(err)
	}
	for data, want := range map[string]string{
		`{"id":"1","lines":[]}`:                                   "",
		`{"id":"1","lines":[{"total":1},{"total":-1}]}`:           "$.lines[1].total: minimum: got -1, want 0",
		`{"id":"1","lines":[{}]}`:                                 "$.lines[0]: missing property 'total'",
		`{"id":"1","lines":[{"total":1.5}]}`:                      "$.lines[0].total: got number, want integer",
		`{"id":"1","lines":[],"customer":{"email":"nobody"}}`:     "$.customer.email: 'nobody' is not valid email: missing @",
		`{"id":"1","lines":[`:                                     "the JSON text ends where a value should be",
		`{"id":"1","id":"2","lines":[]}`:                          `the key "id" occurs twice in one object`,
		`{"id":"1","lines":[{"total":1e999999999}]}`:              "a number with an exponent beyond 400",
		`{"id":"1","lines":[{"total":` + digits(500) + `}]}`:      "a number of more than 400 characters",
		strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000): "more than 512 arrays and objects within each other",
		"{\"id\":\"\xff\",\"lines\":[]}":                          "a string that is no UTF-8",
		``:                                                        "the JSON text ends where a value should be",
		`{"id":"1","lines":[]} {}`:                                "something follows the JSON value",
	} {
		err := s.Validate([]byte(data))
		if got := said(err); got != want {
			t.Errorf("%.80s: got %q, want %q", data, got, want)
		}
		if invalid := (*verdict.Invalid)(nil); err != nil && !errors.As(err, &invalid) {
			t.Errorf("%T is no *verdict.Invalid", err)
		}
	}
	if s.Name() != "https://shop.example/order.json" {
		t.Errorf("name %q", s.Name())
	}
}

func digits(n int) string { return strings.Repeat("7", n) }

func said(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		`{`:                                      "s.json:1: the JSON text ends where a key in quotes should be",
		"{\n\"type\": \"strin\"}":                "s.json:2: $.type: ",
		"{\n\n\"pattern\":\"(?=a)\"}":            "s.json:3: ",
		"{\n\"$ref\":\"http://x.test/y#/a\"":     "s.json:2: ",
		"{\n\"$ref\":\"http://x.test/y#/a\"}":    "s.json:2: http://x.test/y cannot be referred to: it is not among the references that came with the schema, and nothing is fetched",
		"{\n\"$ref\":\"file:///etc/passwd\"}":    "s.json:2: file:///etc/passwd cannot be referred to: ",
		"{\n\"$ref\":\"missing.json\"}":          "s.json:2: missing.json cannot be referred to: ",
		"{\n\"$schema\":\"http://x.test/meta\"}": "s.json:2: http://x.test/meta cannot be referred to: ",
		`{"minLength":99999999999999999999}`:     "s.json:1: minLength is more than 2147483648",
		`{"minimum":1e999999999}`:                "s.json:1: a number with an exponent beyond 400",
		`{"$ref":"#/definitions/none"}`:          "s.json:1: ",
		`7`:                                      "s.json:1: ",
		strings.Repeat(`{"not":`, 600) + `{}` + strings.Repeat(`}`, 600):         "s.json:1: more than 512 ",
		`{"enum":[` + strings.Repeat(`{},`, 30_000) + `{}]}`:                     "s.json:1: more than 20000 objects",
		`{"title":"` + strings.Repeat(`x`, 2<<20) + `"}`:                         "s.json: more than 1048576 bytes",
		`{"pattern":"` + strings.Repeat(`a`, 5000) + `"}`:                        "s.json:1: ",
		`{"$id":"http://json-schema.org/draft-07/schema","type":"object","x":1}`: "",
	} {
		_, err := Parse(Source{"s.json", text})
		if want == "" && err == nil {
			continue
		}
		var m *verdict.Malformed
		if !errors.As(err, &m) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.60q: got %v, want %s", text, err, want)
		}
	}
}

func TestReferences(t *testing.T) {
	for name, tt := range map[string]struct {
		root string
		refs []Source
	}{
		"by file":               {`{"properties":{"a":{"$ref":"b.json"}}}`, []Source{{"b.json", `{"type":"integer"}`}}},
		"beside the own id":     {`{"$id":"https://x.test/s/a.json","properties":{"a":{"$ref":"b.json"}}}`, []Source{{"b.json", `{"type":"integer"}`}}},
		"by the other's id":     {`{"properties":{"a":{"$ref":"https://x.test/b"}}}`, []Source{{"b.json", `{"$id":"https://x.test/b","type":"integer"}`}}},
		"by a name that is one": {`{"properties":{"a":{"$ref":"https://x.test/b#/definitions/n"}}}`, []Source{{"https://x.test/b", `{"definitions":{"n":{"type":"integer"}}}`}}},
		"through another":       {`{"properties":{"a":{"$ref":"b.json"}}}`, []Source{{"c.json", `{"type":"integer"}`}, {"b.json", `{"$ref":"c.json"}`}}},
		"anchors of 2020-12":    {`{"$schema":"https://json-schema.org/draft/2020-12/schema","properties":{"a":{"$ref":"#n"}},"$defs":{"n":{"$anchor":"n","type":"integer"}}}`, nil},
		"draft 4":               {`{"$schema":"http://json-schema.org/draft-04/schema#","properties":{"a":{"type":"integer","minimum":0,"exclusiveMinimum":true}}}`, nil},
	} {
		s, err := Parse(Source{"a.json", tt.root}, tt.refs...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := s.Validate([]byte(`{"a":1}`)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if s.Validate([]byte(`{"a":"1"}`)) == nil {
			t.Errorf("%s: the reference was not followed", name)
		}
		other, _ := Parse(Source{"a.json", tt.root + " "}, tt.refs...)
		if p := other.CanRead(s); len(p) > 0 {
			t.Errorf("%s: cannot read itself: %v", name, p)
		}
	}
}

func TestCanonical(t *testing.T) {
	for _, same := range [][2]string{
		{`{"type":"integer","minimum":1.0}`, "{ \"minimum\" : 1,\n\"type\":\"integer\"}"},
		{`{"required":["b","a"]}`, `{"description":"x","required":["a","b"]}`},
		{`{"properties":{"title":{"title":"T"}}}`, `{"properties":{"title":{}}}`},
		{`{"enum":[1e2,"\u0041"]}`, `{"enum":["A",100]}`},
	} {
		if a, b := parse(t, same[0]).Canonical(), parse(t, same[1]).Canonical(); a != b {
			t.Errorf("%s and %s differ", a, b)
		}
	}
	for _, differ := range [][2]string{
		{`{"properties":{"title":{}}}`, `{}`},
		{`{"const":{"title":1}}`, `{"const":{}}`},
		{`{"minimum":9007199254740993}`, `{"minimum":9007199254740992}`},
		{`{"items":[{"type":"string"},{}]}`, `{"items":[{},{"type":"string"}]}`},
	} {
		if a, b := parse(t, differ[0]).Canonical(), parse(t, differ[1]).Canonical(); a == b {
			t.Errorf("%s and %s are the same", differ[0], differ[1])
		}
	}
	if got, want := parse(t, `{"const":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001,"€$\u000F\nA'B\"\\/"]}`).Canonical(),
		`{"const":[333333333.33333329,1e+30,4.5,0.002,1e-27,"€$\u000f\nA'B\"\\/"]}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A schema whose two branches both recurse would take 2^depth; one whose
// definitions double takes as long at any message.
func TestWorkIsBounded(t *testing.T) {
	twice := `{"anyOf":[{"properties":{"a":{"$ref":"#"}},"required":["b"]},{"properties":{"a":{"$ref":"#"}},"required":["c"]}]}`
	doubling := `{"$ref":"#/definitions/d0","definitions":{"d30":{"type":"object"}`
	for i := range 30 {
		next := words("{\"$ref\":\"#/definitions/d%d\"}", i+1)
		doubling += words(`,"d%d":{"allOf":[%s,%s]}`, i, next, next)
	}
	doubling += `}}`
	data := strings.Repeat(`{"a":`, 200) + `{}` + strings.Repeat(`}`, 200)
	for name, text := range map[string]string{"recursion": twice, "doubling": doubling} {
		start := time.Now()
		s := parse(t, text)
		if err := s.Validate([]byte(data)); err == nil || err.Error() != errLooks.Error() {
			t.Errorf("%s: %v", name, err)
		}
		s.CanRead(parse(t, `{"type":"object"}`))
		parse(t, `{"type":"object","required":["a"]}`).CanRead(s)
		if d := time.Since(start); d > 10*time.Second {
			t.Errorf("%s took %v", name, d)
		}
	}
	if err := parse(t, twice).Validate([]byte(`{"a":{"a":{"b":1},"c":1},"b":1}`)); err != nil {
		t.Error(err)
	}
}

func TestPatterns(t *testing.T) {
	for _, tt := range []struct {
		pattern, text string
		match         bool
	}{
		{`^\u0041$`, "A", true}, {`^\u{1F600}$`, "😀", true}, {`^\cA$`, "\x01", true}, {`^a$`, "a\n", false},
		{`^[^]$`, "\n", true}, {`^.$`, "\u2028", false}, {`^\s$`, "\u00a0", true}, {`^[\s]$`, "\ufeff", true}, {`^\S$`, "\u00a0", false},
		{`^\d$`, "٣", false}, {`^[[]$`, "[", true}, {`^\p{L}+$`, "é", true}, {`^(?<year>\d{4})$`, "2026", true}, {`\$`, "$", true}, {`^[\b]$`, "\b", true},
	} {
		re, err := compilePattern(tt.pattern)
		if err != nil {
			t.Errorf("%s: %v", tt.pattern, err)
		} else if re.MatchString(tt.text) != tt.match {
			t.Errorf("%s on %q: %v", tt.pattern, tt.text, !tt.match)
		}
	}
	for _, p := range []string{`(?=a)`, `(?<!a)b`, `(a)\1`, `(`, `a{1001}`} {
		if _, err := compilePattern(p); err == nil {
			t.Errorf("%s was taken", p)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(order)
	f.Add(`{"$ref":"#/definitions/a","definitions":{"a":{"allOf":[{"$ref":"#/definitions/a"}]}}}`)
	f.Add(`{"$schema":"https://json-schema.org/draft/2020-12/schema","$dynamicAnchor":"a","unevaluatedItems":{"$dynamicRef":"#a"}}`)
	f.Add(`{"patternProperties":{"^(a|b)*$":{"oneOf":[{},{"not":{}}]}},"if":{"const":1},"then":false}`)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse(Source{"a.json", text}, Source{"customer.json", customer})
		if err != nil {
			if m := (*verdict.Malformed)(nil); !errors.As(err, &m) {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		again, err := Parse(Source{"a.json", string(appendJSON(nil, s.doc))}, Source{"customer.json", customer})
		if err != nil {
			t.Fatalf("its own text in another form: %v", err)
		}
		if again.Canonical() != s.Canonical() {
			t.Fatalf("%s and %s", again.Canonical(), s.Canonical())
		}
		if p := again.CanRead(s); len(p) > 0 {
			t.Fatalf("cannot read itself: %v", p)
		}
		s.CanRead(mustParse(order))
		mustParse(order).CanRead(s)
		_ = s.Validate([]byte(`{"id":"1","lines":[{"total":1}],"a":[null,true]}`))
	})
}

func mustParse(text string) *Schema {
	s, err := Parse(Source{"order.json", text}, Source{"customer.json", customer})
	if err != nil {
		panic(err)
	}
	return s
}

func FuzzValidate(f *testing.F) {
	s := mustParse(order)
	f.Add([]byte(`{"id":"1","customer":{"email":"a@b.c","id":1},"lines":[{"total":1}]}`))
	f.Add([]byte(`{"id":"\ud83d\ude00\ud800 \u0000","lines":[{"total":1e-2}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := decode(string(data))
		_ = s.Validate(data)
		if err != nil {
			return
		}
		d := json.NewDecoder(bytes.NewReader(data))
		d.UseNumber()
		var want any
		if err := d.Decode(&want); err != nil || !reflect.DeepEqual(v, want) {
			t.Fatalf("%v, encoding/json has %v %v", v, want, err)
		}
	})
}

const event = `{"id":"5f1d7a90-3f0a-4c39-9a52-07f6fb4f6a11","customer":"c-10293","status":"PAID","total":12999,"currency":"EUR",` +
	`"created":"2026-01-02T03:04:05Z","paid":true,"discount":0.15,"note":"leave at the door","items":["sku-1","sku-2"],` +
	`"address":{"street":"Quay 7","city":"Port"},"version":3,"x":null}`

const eventSchema = `{"type":"object","required":["id","customer","status","total"],"properties":{
	"id":{"type":"string","minLength":36},"customer":{"type":"string"},"status":{"enum":["NEW","PAID","SENT"]},"total":{"type":"integer","minimum":0},
	"currency":{"type":"string","maxLength":3},"created":{"type":"string"},"paid":{"type":"boolean"},"discount":{"type":"number"},
	"note":{"type":["string","null"]},"items":{"type":"array","items":{"type":"string"}},
	"address":{"type":"object","properties":{"street":{"type":"string"},"city":{"type":"string"}}},"version":{"type":"integer"}}}`

func BenchmarkValidate(b *testing.B) {
	s := parse(b, eventSchema)
	data := []byte(event)
	b.Run("dhow", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := s.Validate(data); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("library", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			v, err := js.UnmarshalJSON(bytes.NewReader(data))
			if err == nil {
				err = s.compiled.Validate(v)
			}
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkCanRead(b *testing.B) {
	wide := func(more string) *Schema {
		text := `{"type":"object","additionalProperties":false,"properties":{"last":{"type":"string"}` + more
		for i := range 200 {
			text += words(`,"field%d":{"type":"string","maxLength":%d}`, i, 10+i)
		}
		return parse(b, text+`}}`)
	}
	w, r := wide(""), wide(`,"added":{"type":"integer"}`)
	for b.Loop() {
		if p := r.CanRead(w); len(p) > 0 {
			b.Fatal(p)
		}
	}
}
