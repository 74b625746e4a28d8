package avro

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	twmb "github.com/twmb/avro"

	"github.com/dhowhq/dhow/contract/verdict"
)

func record(fields string) string {
	return `{"type":"record","name":"R","fields":[` + "\n" + fields + "\n]}"
}

// refused are texts that are no schema, with all that is said of them.
var refused = []struct{ text, want string }{
	{``, `s.avsc:1: a JSON value should be here, not the end of the text`},
	{`nul`, `s.avsc:1: a JSON value should be here, not "n"`},
	{`{"type":"int"} x`, `s.avsc:1: something follows the end of the JSON value: "x"`},
	{"{\n\"type\" \"int\"}", `s.avsc:2: a colon should follow the name "type", not "\""`},
	{"{\"type\":\n\"int\",\n\"type\":\"long\"}", `s.avsc:3: "type" is twice in one object`},
	{"[\"int\",\n]", `s.avsc:2: a JSON value should be here, not "]"`},
	{`"\ud800x"`, `s.avsc:1: \ud800 is half a character`},
	{"\"\xff\"", `s.avsc:1: a string is not valid UTF-8`},
	{`01`, `s.avsc:1: something follows the end of the JSON value: "1"`},
	{`7`, `s.avsc:1: a type is a name, an object or an array of types, not a number`},
	{"\n\"foo\"", `s.avsc:2: there is no type foo: neither a primitive type nor a name defined before`},
	{`"record"`, `s.avsc:1: record needs an object of its own: {"type": "record", …}`},
	{`{"name":"R"}`, `s.avsc:1: a type needs the attribute "type"`},
	{`{"type":{"type":"int"}}`, `s.avsc:1: the attribute "type" of a type is a string, not an object`},
	{`{"type":"array"}`, `s.avsc:1: array needs the attribute "items": the type of what is in it`},
	{`{"type":"map","items":"int"}`, `s.avsc:1: map needs the attribute "values": the type of what is in it`},
	{"[\"int\",\n\"int\"]", `s.avsc:2: int is twice in one union`},
	{`[{"type":"map","values":"int"},{"type":"map","values":"string"}]`, `s.avsc:1: map is twice in one union`},
	{`["int",["long"]]`, `s.avsc:1: a union may not hold a union of its own: write its types into the outer one`},
	{`{"type":"record","fields":[]}`, `s.avsc:1: a record needs the attribute "name"`},
	{`{"type":"record","name":"R"}`, `s.avsc:1: record R needs the attribute "fields"`},
	{`{"type":"record","name":"a.1","fields":[]}`, `s.avsc:1: "a.1" is no name for a record: names are letters, digits and _, not with a digit first, joined by dots`},
	{`{"type":"record","name":"R","namespace":"a..b","fields":[]}`, `s.avsc:1: "a..b.R" is no name for a record: names are letters, digits and _, not with a digit first, joined by dots`},
	{`{"type":"record","name":"R","namespace":null,"fields":[]}`, `s.avsc:1: the attribute "namespace" of a record is a string, not null`},
	{`{"type":"fixed","name":"a.int","size":1}`, `s.avsc:1: a fixed may not be named like the primitive type int`},
	{`{"type":"record","name":"R","aliases":"x","fields":[]}`, `s.avsc:1: the attribute "aliases" of a record is an array, not a string`},
	{`{"type":"record","name":"R","aliases":["1"],"fields":[]}`, `s.avsc:1: an alias of R is a name`},
	{record(`{"name":"x","type":"R2"}`), `s.avsc:2: there is no type R2: neither a primitive type nor a name defined before`},
	{record("{\"name\":\"x\",\"type\":\"L\"},\n{\"name\":\"y\",\"type\":{\"type\":\"record\",\"name\":\"L\",\"fields\":[]}}"),
		`s.avsc:2: L is used before it is defined (s.avsc:3): write the definition here and the name there`},
	{record("{\"name\":\"x\",\"type\":\"int\"},\n{\"name\":\"x\",\"type\":\"int\"}"), `s.avsc:3: field x is twice in R: first at line 2`},
	{record(`"x"`), `s.avsc:2: a field of R is an object, not a string`},
	{record(`{"name":"a-b","type":"int"}`), `s.avsc:2: "a-b" is no name for a field: names are letters, digits and _, not with a digit first`},
	{record(`{"name":"x"}`), `s.avsc:2: field x needs the attribute "type"`},
	{record(`{"name":"x","type":"enum","symbols":["A"]}`), `s.avsc:2: enum needs an object of its own: {"type": "enum", …}`},
	{record(`{"name":"x","type":"int","order":"up"}`), `s.avsc:2: the order of a field is ascending, descending or ignore`},
	{record("{\"name\":\"x\",\"type\":\"int\",\n\"aliases\":[\"y\"]},{\"name\":\"y\",\"type\":\"int\"}"), `s.avsc:3: "y", an alias of field x, is a name or an alias of field y already`},
	{record(`{"name":"x","type":{"type":"record","name":"R","fields":[]}}`), `s.avsc:2: R is defined twice: first at s.avsc:1`},
	{"{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\n\"A\"]}", `s.avsc:2: symbol A is twice in enum E`},
	{`{"type":"enum","name":"E","symbols":["a b"]}`, `s.avsc:1: a symbol of enum E is a name: letters, digits and _, not with a digit first`},
	{"{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\"],\n\"default\":\"B\"}", `s.avsc:2: the default of enum E is none of its symbols`},
	{`{"type":"fixed","name":"F","size":-1}`, `s.avsc:1: the size of fixed F is a whole number of bytes from 0 to 2147483647`},
	{`{"type":"fixed","name":"F","size":4294967296}`, `s.avsc:1: the size of fixed F is a whole number of bytes from 0 to 2147483647`},
	{`{"type":"fixed","name":"F"}`, `s.avsc:1: fixed F needs the attribute "size"`},
	{record("{\"name\":\"x\",\"type\":\"int\",\n\"default\":3000000000}"), `s.avsc:3: the default of field x of R does not fit its type: 3000000000 is no int: a whole number of 32 bits`},
	{record(`{"name":"x","type":"int","default":1.0}`), `s.avsc:2: the default of field x of R does not fit its type: 1.0 is no int: a whole number of 32 bits`},
	{record(`{"name":"x","type":"double","default":"NaN"}`), `s.avsc:2: the default of field x of R does not fit its type: double is a number in JSON, not a string`},
	{record(`{"name":"x","type":["null","string"],"default":1}`), `s.avsc:2: the default of field x of R does not fit its type: a number fits no type of union [null, string]`},
	{record(`{"name":"x","type":"bytes","default":"\u0100"}`), `s.avsc:2: the default of field x of R does not fit its type: bytes is written with the characters U+0000 to U+00FF, one for each byte, and 'Ā' is none`},
	{record(`{"name":"x","type":{"type":"fixed","name":"F","size":2},"default":"a"}`), `s.avsc:2: the default of field x of R does not fit its type: fixed F has 2 bytes, not 1`},
	{record(`{"name":"x","type":{"type":"array","items":{"type":"record","name":"S","fields":[{"name":"q","type":"int"}]}},"default":[{"q":1},{}]}`),
		`s.avsc:2: the default of field x of R does not fit its type: [1].q: is missing, and the field has no default`},
	{record(`{"name":"x","type":"R","default":{}}`), `s.avsc:2: the default of field x of R has no end: what it leaves out is filled with defaults that lead back to it`},
	{record("{\"name\":\"x\",\"type\":[\"null\",\"R\"],\"default\":{}},\n{\"name\":\"y\",\"type\":\"int\",\"default\":0}"),
		`s.avsc:2: the default of field x of R has no end: what it leaves out is filled with defaults that lead back to it`},
}

func TestRefused(t *testing.T) {
	for _, c := range refused {
		_, err := Parse(Source{File: "s.avsc", Text: c.text})
		if err == nil || err.Error() != c.want {
			t.Errorf("%s\n got %v\nwant %s", c.text, err, c.want)
		}
		if m := (*verdict.Malformed)(nil); err != nil && !errors.As(err, &m) {
			t.Errorf("%s: the error is a %T", c.text, err)
		}
	}
}

// taken are schemas, with their meaning.
var taken = []struct{ text, want string }{
	{`[]`, `[]`},
	{`{"type":"int","logicalType":"date"}`, `{"type":"int","logicalType":"date"}`},
	{`{"type":"string","logicalType":"date"}`, `"string"`},
	{`{"type":"int","logicalType":7}`, `"int"`},
	{`{"type":"bytes","logicalType":"decimal","precision":4,"scale":2}`, `{"type":"bytes","logicalType":"decimal","precision":4,"scale":2}`},
	{`{"type":"bytes","logicalType":"decimal","precision":4}`, `{"type":"bytes","logicalType":"decimal","precision":4,"scale":0}`},
	{`{"type":"bytes","logicalType":"decimal","precision":2,"scale":3}`, `"bytes"`},
	{`{"type":"bytes","logicalType":"decimal"}`, `"bytes"`},
	{`{"type":"fixed","name":"F","size":2,"logicalType":"decimal","precision":4}`, `{"name":"F","type":"fixed","size":2,"logicalType":"decimal","precision":4,"scale":0}`},
	{`{"type":"fixed","name":"F","size":2,"logicalType":"decimal","precision":5}`, `{"name":"F","type":"fixed","size":2}`},
	{`{"type":"fixed","name":"F","size":2,"logicalType":"duration"}`, `{"name":"F","type":"fixed","size":2}`},
	{`{"type":"fixed","name":"F","size":"15"}`, `{"name":"F","type":"fixed","size":15}`},
	{`{"type":"error","name":"R","doc":7,"fields":[]}`, `{"name":"R","type":"record","fields":[]}`},
	{`{"type":"enum","name":"n.E","aliases":["D","m.C"],"symbols":["A"],"default":"A"}`, `{"name":"n.E","type":"enum","symbols":["A"],"aliases":["m.C","n.D"],"default":"A"}`},
	{record(`{"name":"x","type":"long","logicalType":"timestamp-millis","doc":"d","order":"ignore","aliases":["w","v"],"default":1}`),
		`{"name":"R","type":"record","fields":[{"name":"x","type":"long","aliases":["v","w"],"default":1}]}`},
	{record(`{"name":"x","type":["null","double"],"default":1.50}`), `{"name":"R","type":"record","fields":[{"name":"x","type":["null","double"],"default":1.5}]}`},
	{record(`{"name":"x","type":{"type":"map","values":"string"},"default":{"b":"\u00e9\"","a":""}}`),
		`{"name":"R","type":"record","fields":[{"name":"x","type":{"type":"map","values":"string"},"default":{"a":"","b":"é\""}}]}`},
	{`{"type":"record","name":"a.R","fields":[{"name":"x","type":{"type":"fixed","name":"F","namespace":"","size":1}},{"name":"y","type":"F"}]}`,
		`{"name":"a.R","type":"record","fields":[{"name":"x","type":{"name":"F","type":"fixed","size":1,"namespace":""}},{"name":"y","type":"F"}]}`},
	{record(`{"name":"x","type":{"type":"array","items":"R"},"default":[{"x":[]}]}`), `{"name":"R","type":"record","fields":[{"name":"x","type":{"type":"array","items":"R"},"default":[{"x":[]}]}]}`},
}

func TestTaken(t *testing.T) {
	for _, c := range taken {
		s := must(t, c.text)
		if s.Meaning() != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.text, s.Meaning(), c.want)
		}
		if _, err := twmb.Parse(s.Meaning()); err != nil {
			t.Errorf("twmb refuses the meaning %s: %v", s.Meaning(), err)
		}
		if again := must(t, s.Meaning()); again.Meaning() != s.Meaning() {
			t.Errorf("%s reads as %s", s.Meaning(), again.Meaning())
		}
	}
}

func TestReferences(t *testing.T) {
	money := Source{File: "money.avsc", Text: `{"type":"record","name":"shop.Money","fields":[{"name":"cents","type":"long"}]}`}
	line := Source{File: "line.avsc", Text: `{"type":"record","name":"shop.Line","fields":[{"name":"price","type":"Money"}]}`}
	s := must(t, `{"type":"record","name":"shop.Order","fields":[{"name":"lines","type":{"type":"array","items":"Line"}},{"name":"sum","type":"shop.Money"}]}`, money, line, money)
	want := `{"name":"shop.Order","type":"record","fields":[{"name":"lines","type":{"type":"array","items":{"name":"shop.Line","type":"record","fields":[{"name":"price","type":{"name":"shop.Money","type":"record","fields":[{"name":"cents","type":"long"}]}}]}}},{"name":"sum","type":"shop.Money"}]}`
	if s.Canonical() != want {
		t.Errorf("got %s", s.Canonical())
	}
	if s.Name() != "shop.Order" {
		t.Errorf("the name is %s", s.Name())
	}
	_, err := Parse(line, Source{File: "bad.avsc", Text: "\n["})
	if err == nil || err.Error() != "bad.avsc:2: a JSON value should be here, not the end of the text" {
		t.Error(err)
	}
	_, err = Parse(Source{File: "again.avsc", Text: money.Text + " "}, money)
	if err == nil || err.Error() != "again.avsc:1: shop.Money is defined twice: first at money.avsc:1" {
		t.Error(err)
	}
}

// TestLargeSchemas reads what is meant to take for ever, or all memory.
func TestLargeSchemas(t *testing.T) {
	wide := make([]string, 20000)
	for i := range wide {
		wide[i] = fmt.Sprintf(`{"name":"field%d","type":["null","string"],"default":null}`, i)
	}
	double := `{"type":"record","name":"R0","fields":[{"name":"i","type":"int","default":0}]}`
	for i := 1; i < 60; i++ {
		double = fmt.Sprintf(`{"type":"record","name":"R%d","fields":[{"name":"a","type":%s,"default":{}},{"name":"b","type":"R%d","default":{}}]}`, i, double, i-1)
	}
	twins := `{"type":"record","name":"R","fields":[{"name":"x","type":["null",
		{"type":"record","name":"A","fields":[{"name":"n","type":["null","A",{"type":"record","name":"B","fields":[{"name":"n","type":["null","A","B"]}]}]}]}],
		"default":` + strings.Repeat(`{"n":`, 300) + "1" + strings.Repeat("}", 301) + "]}"
	for name, c := range map[string]struct{ text, want string }{
		"1 MB":          {record(strings.Join(wide, ",\n")), ""},
		"too large":     {`"` + strings.Repeat("x", maxText) + `"`, "the schema has 4194306 bytes, at most 4194304 are read"},
		"brackets":      {strings.Repeat("[", 1<<20), "JSON nests deeper than 1000 levels"},
		"deep":          {strings.Repeat(`{"type":"array","items":`, 1<<15) + `"int"` + strings.Repeat("}", 1<<15), "JSON nests deeper than 1000 levels"},
		"2^60 defaults": {double, ""},
		"2^300 tries":   {twins, "fits no type of union"},
	} {
		start := time.Now()
		_, err := Parse(Source{Text: c.text})
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%s took %v", name, took)
		}
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// wronglyRefused is what twmb says of a default that leaves out a field whose own
// default it has not read yet, because its type is the record around; in a union
// it then finds no branch.
func wronglyRefused(err error) bool {
	return err != nil && strings.Contains(err.Error(), "encoding default: ") &&
		(strings.HasSuffix(err.Error(), "got null") || strings.Contains(err.Error(), "union default does not match any branch: map["))
}

// TestWronglyRefused holds that twmb still refuses these, and in the words that
// wronglyRefused knows: a default leaves out l, whose own default it has not read
// yet. Where it takes them, wronglyRefused may go.
func TestWronglyRefused(t *testing.T) {
	const s = `{"type":"record","name":"S","fields":[{"name":"l","type":{"type":"array","items":"S"},"default":[]},{"name":"k","type":"int","default":0}]}`
	for _, text := range []string{
		record(`{"name":"x","type":` + s + `,"default":{"k":1}}`),
		record(`{"name":"x","type":[` + s + `,"string"],"default":{"k":1}}`),
	} {
		if _, err := twmb.Parse(must(t, text).Meaning()); !wronglyRefused(err) {
			t.Errorf("%s: twmb: %v", text, err)
		}
	}
}

// FuzzParse holds parsing against twmb's: what is read here is read there, in
// the text of its meaning, and has the same canonical form.
func FuzzParse(f *testing.F) {
	for _, c := range refused {
		f.Add(c.text)
	}
	for _, c := range taken {
		f.Add(c.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse(Source{Text: text})
		if err != nil {
			if m := (*verdict.Malformed)(nil); !errors.As(err, &m) || m.Place.Line == 0 {
				t.Fatalf("%q: %T %v", text, err, err)
			}
			return
		}
		w, err := twmb.Parse(s.Meaning())
		if wronglyRefused(err) {
			return
		}
		if err != nil {
			t.Fatalf("%s\n%s: twmb: %v", text, s.Meaning(), err)
		}
		if got := string(w.Canonical()); got != s.Canonical() {
			t.Fatalf("%s\n got %s\ntwmb %s", text, s.Canonical(), got)
		}
		again, err := Parse(Source{Text: s.Meaning()})
		if err != nil || again.Meaning() != s.Meaning() {
			t.Fatalf("%s\n%s: %v", text, s.Meaning(), err)
		}
	})
}
