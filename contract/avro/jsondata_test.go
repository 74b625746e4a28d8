package avro

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	twmb "github.com/twmb/avro"

	"github.com/dhowhq/dhow/contract/verdict"
)

func TestFromJSON(t *testing.T) {
	s := must(t, order)
	data, err := s.FromJSON([]byte(orderJSON()))
	if err != nil {
		t.Fatal(err)
	}
	var v any
	w := twmb.MustParse(order)
	if rest, err := w.Decode(data, &v); err != nil || len(rest) > 0 {
		t.Fatal(err)
	}
	tagged, err := w.EncodeJSON(v, twmb.TaggedUnions())
	if err != nil {
		t.Fatal(err)
	}
	back, err := s.FromJSON(tagged)
	if err != nil || sorted(t, s, back) != sorted(t, s, data) {
		t.Errorf("twmb writes %s: %v", tagged, err)
	}
	plain, err := s.FromJSON([]byte(strings.Replace(orderJSON(), `{"string":"leave it with the neighbour, please"}`, `"leave it with the neighbour, please"`, 1)))
	if err != nil || !bytes.Equal(plain, data) {
		t.Errorf("a union's value without its type: %v", err)
	}
}

// sorted is a datum in JSON, without the order of map entries.
func sorted(t *testing.T, s *Schema, data []byte) string {
	t.Helper()
	text, err := s.ToJSON(data)
	if err != nil {
		t.Fatal(err)
	}
	v, bad := readJSON(string(text))
	if bad != nil {
		t.Fatal(bad)
	}
	w := writer{}
	w.value(&v)
	return string(w.buf)
}

func TestJSONForms(t *testing.T) {
	wrap := func(typ, rest string) string {
		return `{"type":"record","name":"R","fields":[{"name":"x","type":` + typ + rest + `}]}`
	}
	for _, c := range []struct{ schema, text, want string }{
		{`"bytes"`, `"\u00ff\u0000a"`, `"ÿ\u0000a"`},
		{`"double"`, `"NaN"`, `"NaN"`},
		{`"float"`, `"-Infinity"`, `"-Infinity"`},
		{`"float"`, `1e300`, `"Infinity"`},
		{`"double"`, `1e2`, `100`},
		{`"long"`, `-9223372036854775808`, `-9223372036854775808`},
		{`["null","int"]`, `null`, `null`},
		{`["null","int"]`, `7`, `{"int":7}`},
		{`["int","long"]`, `{"long":7}`, `{"long":7}`},
		{`["int","long"]`, `3000000000`, `{"long":3000000000}`},
		{`[{"type":"fixed","name":"a.F","size":1},{"type":"map","values":"int"}]`, `{"a.F":"x"}`, `{"a.F":"x"}`},
		{`[{"type":"fixed","name":"a.F","size":1},{"type":"map","values":"int"}]`, `{"map":{"a.F":1}}`, `{"map":{"a.F":1}}`},
		{`[{"type":"fixed","name":"a.F","size":1},{"type":"map","values":"int"}]`, `{"a.F":1}`, `{"map":{"a.F":1}}`},
		{wrap(`"int"`, `,"default":3`), `{}`, `{"x":3}`},
		{wrap(`["null","int"]`, `,"default":null`), `{}`, `{"x":null}`},
		{wrap(`["null","int"]`, `,"default":5`), `{}`, `{"x":{"int":5}}`},
		{`{"type":"array","items":["null",` + enum + `]}`, `[null,{"a.E":"A"},"B"]`, `[null,{"a.E":"A"},{"a.E":"B"}]`},
	} {
		s := must(t, c.schema)
		data, err := s.FromJSON([]byte(c.text))
		if err != nil {
			t.Errorf("%s %s: %v", c.schema, c.text, err)
			continue
		}
		got, err := s.ToJSON(data)
		if err != nil || string(got) != c.want {
			t.Errorf("%s %s: %s, %v, want %s", c.schema, c.text, got, err, c.want)
		}
	}
}

func TestFromJSONRefuses(t *testing.T) {
	for _, c := range []struct{ schema, text, want string }{
		{order, strings.Replace(orderJSON(), `"total":1279.02`, `"total":"dear"`, 1), "Order.lines[1].total: double is a number in JSON, not a string (line 4)"},
		{order, strings.Replace(orderJSON(), `"PAID"`, `"LOST"`, 1), `Order.status: "LOST" is no symbol of enum shop.Status (line 2)`},
		{order, strings.Replace(orderJSON(), `"gift":true,`, ``, 1), "Order.gift: is missing, and the field has no default (line 1)"},
		{order, strings.Replace(orderJSON(), `"gift"`, `"colour":"red","gift"`, 1), "Order.colour: record shop.Order has no such field (line 4)"},
		{order, strings.Replace(orderJSON(), `{"string":"leave`, `{"string":7,"x":"leave`, 1), "Order.note: an object fits no type of union [null, string] (line 3)"},
		{order, strings.Replace(orderJSON(), `"campaign":"monsoon"`, `"campaign":null`, 1), `Order.tags["campaign"]: string is a string in JSON, not null (line 4)`},
		{order, `{"id":`, "line 1: a JSON value should be here, not the end of the text"},
		{`"int"`, `3000000000`, "3000000000 is no int: a whole number of 32 bits (line 1)"},
		{`["null","int"]`, `{"int":"x"}`, "int is a number in JSON, not a string (line 1)"},
		{`["null","int"]`, `"x"`, "a string fits no type of union [null, int] (line 1)"},
		{`["null","string","bytes"]`, `"x"`, `a string without the name of its type fits string and bytes: write it as Avro's JSON does, {"bytes": …} (line 1)`},
		{`[{"type":"map","values":"int"},{"type":"record","name":"R","fields":[{"name":"a","type":"int"}]}]`, `{"a":1}`, `an object without the name of its type fits map and record R: write it as Avro's JSON does, {"R": …} (line 1)`},
		{`{"type":"string","logicalType":"uuid"}`, `"x"`, `"x" is no uuid, as 0191f6f2-7c4e-7b7a-9d51-0c2f4b6d8e10 is`},
	} {
		_, err := must(t, c.schema).FromJSON([]byte(c.text))
		if got := errorText(err); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.text, got, c.want)
		}
		if v := (*verdict.Invalid)(nil); !errors.As(err, &v) {
			t.Errorf("%s: the error is a %T", c.text, err)
		}
	}
}

// TestJSONBounded has what is small and would grow.
func TestJSONBounded(t *testing.T) {
	double := `{"type":"record","name":"R0","fields":[{"name":"i","type":"int","default":0}]}`
	for i := 1; i < 60; i++ {
		last := "R" + strings.Repeat("x", i-1) + "0"
		double = `{"type":"record","name":"R` + strings.Repeat("x", i) + `0","fields":[{"name":"a","type":` + double + `,"default":{}},{"name":"b","type":"` + last + `","default":{}}]}`
	}
	if _, err := must(t, double).FromJSON([]byte(`{}`)); err == nil || !strings.HasSuffix(err.Error(), "larger than 16777216 bytes (line 1)") {
		t.Error(err)
	}
	inner := bytes.Repeat(parts(4096, 0), 1<<12)
	_, err := must(t, `{"type":"array","items":`+nulls+`}`).ToJSON(parts(1<<12, inner, 0))
	if got, want := errorText(err), "the datum is larger than 16777216 bytes in JSON"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if _, err := must(t, `"double"`).FromJSON([]byte(`1` + strings.Repeat("0", 400))); err != nil {
		t.Error(err)
	}
}

// FuzzFromJSON: what is taken is valid, and comes back the same.
func FuzzFromJSON(f *testing.F) {
	schemas := []*Schema{must(f, order), must(f, everything), must(f, list), must(f, logicals), must(f, `["null","int","double",{"type":"map","values":["int","string"]}]`)}
	f.Add(0, orderJSON())
	f.Add(2, `{"next":{"List":{"next":null}}}`)
	f.Add(4, `{"map":{"a":1,"b":"c"}}`)
	f.Add(4, `{"double":"NaN"}`)
	f.Fuzz(func(t *testing.T, which int, text string) {
		s := schemas[uint(which)%uint(len(schemas))]
		data, err := s.FromJSON([]byte(text))
		if err != nil {
			if v := (*verdict.Invalid)(nil); !errors.As(err, &v) {
				t.Fatalf("%T %v", err, err)
			}
			return
		}
		checkJSON(t, s, data)
	})
}
