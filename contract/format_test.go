package contract

import (
	"errors"
	"fmt"
	"testing"

	"github.com/dhowhq/dhow/contract/verdict"
)

// formatCase is what the suite needs of a format: a schema of an order with an
// id and a total, in two forms and with another type for the total.
type formatCase struct {
	file              string
	schema            string
	reformatted       string // the same, with other white space and documentation
	other             string // another type for the total
	malformed         string // at line 2
	name              string
	message           []byte
	garbage           [][]byte // no messages
	unlessOnABoundary bool     // a message that is cut off is none, but between two fields it is one
}

var formats = map[Format]formatCase{
	Avro: {
		file:        "order.avsc",
		schema:      `{"type":"record","name":"Order","fields":[{"name":"id","type":"string"},{"name":"total","type":"long"}]}`,
		reformatted: "{ \"type\": \"record\",\n \"name\": \"Order\", \"doc\": \"An order.\",\n \"fields\": [{\"name\": \"id\", \"type\": \"string\"},{\"name\": \"total\", \"type\": {\"type\": \"long\"}}]}",
		other:       `{"type":"record","name":"Order","fields":[{"name":"id","type":"string"},{"name":"total","type":"boolean"}]}`,
		malformed:   "{\"type\":\"record\",\"name\":\"Order\",\"fields\":[\n{\"name\":\"id\",\"type\":\"strin\"}]}",
		name:        "Order",
		message:     []byte{4, 'a', 'b', 0xce, 0x0f},
		garbage:     [][]byte{{}, {1}, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, {4, 'a', 'b', 2, 0}, {4, 0xff, 0xff, 2}},
	},
	JSON: {
		file:        "order.json",
		schema:      `{"title":"Order","type":"object","required":["id","total"],"properties":{"id":{"type":"string"},"total":{"type":"integer"}}}`,
		reformatted: "{ \"type\": \"object\", \"title\": \"Order\", \"description\": \"An order.\",\n \"properties\": {\"total\": {\"type\": \"integer\"}, \"id\": {\"type\": \"string\"}}, \"required\": [\"total\", \"id\"]}",
		other:       `{"title":"Order","type":"object","required":["id","total"],"properties":{"id":{"type":"string"},"total":{"type":"boolean"}}}`,
		malformed:   "{\"type\":\"object\",\"properties\":{\n\"id\":{\"type\":\"strin\"}}}",
		name:        "Order",
		message:     []byte(`{"id":"ab","total":999}`),
		garbage:     [][]byte{{}, []byte("null"), []byte(`{"id":"ab","total":"999"}`), {0xff}, []byte(`{"id":"ab","total":1}}`)},
	},
	Protobuf: {
		file:              "order.proto",
		schema:            "syntax = \"proto3\";\nmessage Order {\n  string id = 1;\n  int64 total = 2;\n}\n",
		reformatted:       "// An order.\nsyntax='proto3'; message Order { int64 total=2; string id=1; }",
		other:             "syntax = \"proto3\";\nmessage Order {\n  string id = 1;\n  bool total = 2;\n}\n",
		malformed:         "syntax = \"proto3\";\nmessage Order { strin id = 1; }",
		name:              "Order",
		message:           []byte{10, 2, 'a', 'b', 16, 0xe7, 7},
		garbage:           [][]byte{{1}, {0xff}, {10, 0xff, 0xff, 0xff, 0xff, 7}, {10, 1, 0xff}, {16}, {18, 1, 'a'}},
		unlessOnABoundary: true,
	},
}

func TestFormats(t *testing.T) {
	for format, c := range formats {
		t.Run(string(format), func(t *testing.T) { testFormat(t, format, c) })
	}
}

func testFormat(t *testing.T, format Format, c formatCase) {
	parse := func(text string) Schema {
		t.Helper()
		s, err := Parse(Source{Format: format, File: c.file, Text: text})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s, again, other := parse(c.schema), parse(c.reformatted), parse(c.other)

	var m *verdict.Malformed
	if _, err := Parse(Source{Format: format, File: c.file, Text: c.malformed}); !errors.As(err, &m) || m.Place != (verdict.Place{File: c.file, Line: 2}) {
		t.Errorf("malformed: %v, which is not at line 2", err)
	}
	if s.Source().Text != c.schema || s.Name() != c.name {
		t.Errorf("%s of %q", s.Name(), s.Source().Text)
	}
	if s.Canonical() != again.Canonical() || s.Canonical() == other.Canonical() {
		t.Errorf("canonical forms: %s\nand reformatted %s\nand changed %s", s.Canonical(), again.Canonical(), other.Canonical())
	}
	if p := append(s.CanRead(again), again.CanRead(s)...); len(p) > 0 {
		t.Errorf("it cannot read itself: %v", p)
	}
	if p := other.CanRead(s); len(p) != 1 || p[0].Kind != verdict.Type || p[0].Reader.Line == 0 || p[0].Writer.Line == 0 {
		t.Errorf("an integer as a boolean: %+v", p)
	}
	testMessages(t, s, c)
	testOtherFormats(t, s, format)
}

func testMessages(t *testing.T, s Schema, c formatCase) {
	refuse := func(what string, data []byte) {
		t.Helper()
		var invalid *verdict.Invalid
		if err := s.Validate(data); !errors.As(err, &invalid) {
			t.Errorf("%s %x: %v, which is no *verdict.Invalid", what, data, err)
		}
	}
	if err := s.Validate(c.message); err != nil {
		t.Errorf("a message: %v", err)
	}
	for n := range c.message {
		if c.unlessOnABoundary && (n == 0 || n == 4) {
			continue
		}
		refuse("cut off", c.message[:n])
	}
	for _, g := range c.garbage {
		refuse("garbage", g)
	}
}

func testOtherFormats(t *testing.T, s Schema, format Format) {
	for other, c := range formats {
		if other == format {
			continue
		}
		o, err := Parse(Source{Format: other, File: c.file, Text: c.schema})
		if err != nil {
			t.Fatal(err)
		}
		if p := s.CanRead(o); len(p) != 1 || p[0].Kind != verdict.Type || p[0].Detail != fmt.Sprintf("%s cannot be read as %s", other, format) {
			t.Errorf("%s: %+v", other, p)
		}
		if _, err := Parse(Source{Format: format, File: c.file, Text: c.schema}); format != JSON && err == nil {
			t.Errorf("a schema of %s was taken for one of %s", other, format)
		}
	}
}
