package protobuf

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/dhowhq/dhow/contract/verdict"
)

func parse(t testing.TB, text string, refs ...Source) *Schema {
	t.Helper()
	s, err := Parse(Source{"order.proto", text}, refs...)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return s
}

const order = `syntax = "proto3";
package shop;
import "money.proto";
import "google/protobuf/timestamp.proto";

// An order.
message Order {
  string id = 1;
  repeated Line lines = 2;
  google.protobuf.Timestamp at = 3;
  map<string, shop.Money> fees = 4;
  optional int32 version = 5;
  Status status = 6;
  oneof to { string street = 7; int64 locker = 8; }
  repeated sint32 marks = 9;
  message Line { string sku = 1; Money total = 2; }
  enum Status { NEW = 0; PAID = 1; }
}
message Cancelled { string id = 1; }
`

var money = Source{"money.proto", "syntax = \"proto3\";\npackage shop;\nmessage Money { int64 cents = 1; }"}

func TestValidate(t *testing.T) {
	s := parse(t, order, money)
	field := func(n protowire.Number, b []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, n, protowire.BytesType), b)
	}
	varint := func(n protowire.Number, v uint64) []byte {
		return protowire.AppendVarint(protowire.AppendTag(nil, n, protowire.VarintType), v)
	}
	line := func(b []byte) []byte { return field(2, b) }
	for _, tt := range []struct {
		name string
		data []byte
		want string
	}{
		{"nothing", nil, ""},
		{"a string", field(1, []byte("é")), ""},
		{"a string that is none", field(1, []byte{0xff}), "Order.id: a string that is no UTF-8"},
		{"the second line's", append(line(field(1, []byte("a"))), line(field(1, []byte{0xc3}))...), "Order.lines[1].sku: a string that is no UTF-8"},
		{"another wire type", varint(1, 1), "Order.id: field 1 has wire type 0 where the schema has 2"},
		{"unknown fields", append(varint(100, 1), field(101, []byte("?"))...), ""},
		{"an unknown group that does not end", protowire.AppendTag(nil, 100, protowire.StartGroupType), "unknown field 100: the message ends within it"},
		{"a group that ends and never began", protowire.AppendTag(nil, 100, protowire.EndGroupType), "unknown field 100: mismatching end group marker"},
		{"cut off", field(1, []byte("abc"))[:3], "Order.id: the message ends within it"},
		{"a length of 2^62", append(protowire.AppendTag(nil, 1, protowire.BytesType), protowire.AppendVarint(nil, 1<<62)...), "Order.id: the message ends within it"},
		{"number 0", []byte{0, 0}, "no tag of a field at byte 0: invalid field number"},
		{"packed", field(9, []byte{1, 2, 0x80, 1}), ""},
		{"packed, cut off", field(9, []byte{1, 0x80}), "Order.marks[0]: packed values: the message ends within it"},
		{"not packed", append(varint(9, 1), varint(9, 2)...), ""},
		{"an enum's unknown number", varint(6, 7), ""},
		{"map", field(4, append(field(1, []byte("k")), field(2, varint(1, 5))...)), ""},
		{"map, its value", field(4, field(2, field(1, nil))), "Order.fees[0].value.cents: field 1 has wire type 2 where the schema has 0"},
	} {
		err := s.Validate(tt.data)
		if got := said(err); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
		if invalid := (*verdict.Invalid)(nil); err != nil && !errors.As(err, &invalid) {
			t.Errorf("%s: %T is no *verdict.Invalid", tt.name, err)
		}
	}
	for indexes, want := range map[string]string{"[1]": "", "[0 0]": "", "[2]": "the schema has no message of index [2]", "[]": "no index of a message", "[-1]": "the schema has no message of index [-1]"} {
		var list []int
		for _, s := range strings.Fields(strings.Trim(indexes, "[]")) {
			var i int
			_, _ = fmt.Sscan(s, &i)
			list = append(list, i)
		}
		if got := said(s.ValidateMessage(list, field(1, []byte("x")))); got != want {
			t.Errorf("%s: got %q, want %q", indexes, got, want)
		}
	}
	if s.Name() != "shop.Order" {
		t.Errorf("name %q", s.Name())
	}
}

func said(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// What is required may come in pieces, and is not where a oneof dropped it.
func TestRequired(t *testing.T) {
	s := parse(t, `syntax = "proto2";
message M { optional In in = 1; repeated In list = 2; oneof one { In a = 3; int32 b = 4; } required Color color = 5; }
message In { required int32 x = 1; required int32 y = 2; }
enum Color { RED = 1; }`)
	red := []byte{40, 1}
	for name, tt := range map[string]struct {
		data []byte
		want string
	}{
		"none":                   {nil, "M.color: the field is required"},
		"an unknown value":       {[]byte{40, 2}, "M.color: the field is required"},
		"it":                     {red, ""},
		"half":                   {append([]byte{10, 2, 8, 1}, red...), "M.in.y: the field is required"},
		"two halves":             {append([]byte{10, 2, 8, 1, 10, 2, 16, 1}, red...), ""},
		"two halves in a list":   {append([]byte{18, 2, 8, 1, 18, 2, 16, 1}, red...), "M.list[0].y: the field is required"},
		"half, dropped":          {append([]byte{26, 2, 8, 1, 32, 1}, red...), ""},
		"halves with a cut":      {append([]byte{26, 2, 8, 1, 32, 1, 26, 2, 16, 1}, red...), "M.a.x: the field is required"},
		"half within a half, ok": {append([]byte{10, 4, 8, 1, 16, 1}, red...), ""},
	} {
		if got := said(s.Validate(tt.data)); got != tt.want {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}
}

// TestLongLine refuses a line for which the compiler would take very long.
func TestLongLine(t *testing.T) {
	text := "syntax = \"proto3\";\nmessage M {" + strings.Repeat(" ", 1<<20-100) + "}"
	var m *verdict.Malformed
	if _, err := Parse(Source{File: "a.proto", Text: text}); !errors.As(err, &m) || m.Place.Line != 2 || !strings.Contains(m.Detail, "a line of more than 16384 bytes") {
		t.Errorf("a long line: %v", err)
	}
}

func TestDepth(t *testing.T) {
	s := parse(t, `syntax = "proto3"; message M { M m = 1; repeated M list = 2; }`)
	nest := func(n int) (b []byte) {
		for range n {
			b = protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), b)
		}
		return b
	}
	if err := s.Validate(nest(99)); err != nil {
		t.Error(err)
	}
	if err := s.Validate(nest(100)); err == nil || !strings.Contains(err.Error(), "more than 100 messages within each other") {
		t.Error(err)
	}
	if err := s.Validate(nest(5000)); err == nil {
		t.Error("5000 messages within each other were taken")
	}
	groups := strings.Repeat("\x83\x01", 1_000_000) // an unknown group in a group in a group
	if err := s.Validate([]byte(groups)); err == nil {
		t.Error("a million groups were taken")
	}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":          "",
		"message {": "s.proto:1: syntax error",
		"syntax = \"proto3\";\nmessage A {\n int32 a = 1;\n int32 b = 1;\n}": "s.proto:4: ",
		"syntax = \"proto3\";\nimport \"x.proto\";":                          `s.proto:2: "x.proto" is not among the references that came with the schema`,
		"syntax = \"proto3\";\nimport \"/etc/passwd\";":                      "s.proto:2: ",
		"syntax = \"proto3\";\nimport \"s.proto\";":                          "s.proto:2: ",
		"syntax = \"proto3\";\nmessage A { B b = 1; }":                       "s.proto:2: ",
		"syntax = \"proto4\";":                                               "s.proto:1: ",
		"syntax = \"proto2\";\n" + strings.Repeat("message A {", 5000):       "s.proto:2: more than 64 brackets",
		"// {{{{\n/* " + strings.Repeat("{", 100) + " */ syntax = \"proto3\"; message A { string a = 1 [json_name = \"" + strings.Repeat("(", 100) + "\"]; }": "",
		strings.Repeat("/", 2<<20): "s.proto: more than 1048576 bytes",
	} {
		_, err := Parse(Source{"s.proto", text})
		if want == "" && err == nil {
			continue
		}
		var m *verdict.Malformed
		if !errors.As(err, &m) || want == "" || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.60q: got %v, want %s", text, err, want)
		}
	}
	if _, err := Parse(Source{"s.proto", `syntax = "proto3"; import "bad.proto";`}, Source{"bad.proto", "syntax = \"proto3\";\n\nmessage"}); err == nil || !strings.HasPrefix(err.Error(), "bad.proto:3: ") {
		t.Error(err)
	}
}

func TestCanonical(t *testing.T) {
	all := `syntax = "proto2";
package a.b;
import "google/protobuf/descriptor.proto";
option java_package = "x\001\"";
option (file_note) = { text: "a" more: 1 more: 2 [a.b.deep] { text: "in" } };
extend google.protobuf.FileOptions { optional Note file_note = 50001; }
message Note { optional string text = 1; repeated int32 more = 2; extensions 100 to max; extend Note { optional Note nested = 101; } }
extend Note { optional Note deep = 100; }
message M {
  optional int32 z = 3 [default = -5, deprecated = true];
  required string a = 1 [default = "q\"\n", json_name = "Other"];
  repeated int32 p = 2 [packed = true];
  optional group G = 4 { optional float f = 1 [default = inf]; optional double d = 2 [default = 1.5e10]; }
  oneof one { string s = 9; bytes y = 6 [default = "\377"]; }
  map<int32, M> m = 7;
  optional E e = 8 [default = B];
  reserved 20, 30 to 40, 1000 to max; reserved "old", "older";
  enum E { option allow_alias = true; A = 0; B = 1; C = 1; reserved 5, 7 to 9; }
}
service S { rpc Two(stream M) returns (M) { option deprecated = true; } rpc One(M) returns (stream M); }
`
	edition := `edition = "2023";
option features.field_presence = IMPLICIT;
message M { int32 a = 1; string b = 2 [features.field_presence = EXPLICIT, features.utf8_validation = NONE]; M c = 3 [features.message_encoding = DELIMITED]; reserved old; enum E { option features.enum_type = CLOSED; X = 1; } E e = 4 [features.field_presence = LEGACY_REQUIRED]; }
`
	for name, text := range map[string]string{"all": all, "edition": edition, "order": order} {
		s := parse(t, text, money)
		again, err := Parse(Source{"order.proto", s.Canonical()}, money)
		if err != nil {
			t.Errorf("%s: %v\n%s", name, err, s.Canonical())
			continue
		}
		if again.Canonical() != s.Canonical() {
			t.Errorf("%s: printed again it is\n%s\nnot\n%s", name, again.Canonical(), s.Canonical())
		}
		if p := append(again.CanRead(s), s.CanRead(again)...); len(p) > 0 {
			t.Errorf("%s: cannot read itself: %v", name, p)
		}
	}
	a := parse(t, "syntax='proto3';message M{int32 b=2;/*x*/string a=1;reserved 9,7;}").Canonical()
	b := parse(t, "// y\nsyntax = \"proto3\";\nmessage M {\n  string a = 1;\n  int32 b = 2; reserved 7; reserved 9; }").Canonical()
	if want := "syntax = \"proto3\";\nmessage M {\n  string a = 1;\n  int32 b = 2;\n  reserved 7, 9;\n}\n"; a != want || b != want {
		t.Errorf("%s and %s", a, b)
	}
}

// What the reader is told when it is not able to read.
func TestCanRead(t *testing.T) {
	message := func(syntax, body string) string {
		return `syntax = "` + syntax + "\";\nmessage M {\n" + body + "\n}\nenum Color { NONE = 0; RED = 1; }\nmessage A { int32 x = 1; }\nmessage B { int32 x = 1; }"
	}
	for _, tt := range []struct{ name, syntax, writer, reader, want string }{
		{"renamed", "proto3", "int32 a = 1;", "int32 b = 1;", ""},
		{"message renamed", "proto3", "A a = 1;", "B a = 1;", ""},
		{"added", "proto3", "int32 a = 1;", "int32 a = 1; int32 b = 2;", ""},
		{"removed", "proto3", "int32 a = 1; int32 b = 2;", "int32 a = 1;", ""},
		{"required added", "proto2", "optional int32 a = 1;", "optional int32 a = 1; required int32 b = 2;", "NO_DEFAULT M.b"},
		{"required made", "proto2", "optional int32 a = 1;", "required int32 a = 1;", "NO_DEFAULT M.a"},
		{"required eased", "proto2", "required int32 a = 1;", "optional int32 a = 1;", ""},
		{"wider", "proto3", "int32 a = 1; uint32 b = 2; bool c = 3; Color d = 4; string e = 5;", "int64 a = 1; uint64 b = 2; int32 c = 3; int32 d = 4; bytes e = 5;", ""},
		{"narrower", "proto3", "int64 a = 1;", "int32 a = 1;", "TYPE M.a"},
		{"of another sign", "proto3", "int32 a = 1;", "uint32 a = 1;", "TYPE M.a"},
		{"zigzag", "proto3", "int32 a = 1;", "sint32 a = 1;", "TYPE M.a"},
		{"float for fixed", "proto3", "fixed32 a = 1;", "float a = 1;", "TYPE M.a"},
		{"text for bytes", "proto3", "bytes a = 1;", "string a = 1;", "TYPE M.a"},
		{"bytes for message", "proto3", "bytes a = 1;", "A a = 1;", "TYPE M.a"},
		{"message for bytes", "proto3", "A a = 1;", "bytes a = 1;", ""},
		{"one to many", "proto3", "int32 a = 1; string b = 2;", "repeated int32 a = 1; repeated string b = 2;", ""},
		{"many to one", "proto3", "repeated int32 a = 1;", "int32 a = 1;", "FIELD_NUMBER M.a"},
		{"not packed any more", "proto3", "repeated int32 a = 1;", "repeated int32 a = 1 [packed = false];", ""},
		{"renumbered", "proto3", "int32 a = 1;", "int32 a = 2;", "FIELD_NUMBER M.a"},
		{"renumbered and said so", "proto3", "int32 a = 1;", "int32 a = 2; reserved 1;", ""},
		{"swapped", "proto3", "int32 a = 1; int32 b = 2;", "int32 a = 2; int32 b = 1;", "FIELD_NUMBER M.a"},
		{"a number that the writer reserves", "proto3", "reserved 2;", "int32 a = 2;", ""},
		{"into a oneof, one", "proto3", "int32 a = 1;", "oneof o { int32 a = 1; string b = 2; }", ""},
		{"into a oneof, two", "proto3", "int32 a = 1; string b = 2;", "oneof o { int32 a = 1; string b = 2; }", "FIELD_NUMBER M.o"},
		{"out of a oneof", "proto3", "oneof o { int32 a = 1; string b = 2; }", "int32 a = 1; string b = 2;", ""},
		{"oneof grown", "proto3", "oneof o { int32 a = 1; }", "oneof o { int32 a = 1; string b = 2; }", ""},
		{"oneof shrunk", "proto3", "oneof o { int32 a = 1; string b = 2; }", "oneof o { int32 a = 1; }", "BRANCH M.o"},
		{"group for message", "proto2", "optional group G = 1 { optional int32 x = 1; }", "optional A g = 1;", "TYPE M.g"},
		{"map for list of entries", "proto3", "map<int32, int32> a = 1;", "message E { int32 k = 1; int32 v = 2; } repeated E a = 1;", ""},
		{"map's value", "proto3", "map<int32, int64> a = 1;", "map<int32, int32> a = 1;", "TYPE M.a[]"},
		{"recursive", "proto3", "M m = 1; int64 a = 2;", "M m = 1; int32 a = 2;", "TYPE M.a"},
	} {
		writer := strings.Replace(message(tt.syntax, tt.writer), "int32 x = 1", label2(tt.syntax)+"int32 x = 1", 2)
		reader := strings.Replace(message(tt.syntax, tt.reader), "int32 x = 1", label2(tt.syntax)+"int32 x = 1", 2)
		writer, reader = strings.ReplaceAll(writer, "optional optional", "optional"), strings.ReplaceAll(reader, "optional optional", "optional")
		if tt.syntax == "proto2" {
			writer, reader = strings.ReplaceAll(writer, "{ int32", "{ optional int32"), strings.ReplaceAll(reader, "{ int32", "{ optional int32")
		}
		got := ""
		for i, p := range parse(t, reader).CanRead(parse(t, writer)) {
			if i == 0 {
				got = string(p.Kind) + " " + p.Path
			}
			if p.Reader.Line == 0 || p.Writer.Line == 0 {
				t.Errorf("%s: nowhere: %+v", tt.name, p)
			}
			t.Logf("%s: %s %s %v <- %v: %s", tt.name, p.Kind, p.Path, p.Reader, p.Writer, p.Detail)
		}
		if got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func label2(syntax string) string {
	if syntax == "proto2" {
		return "optional "
	}
	return ""
}

func TestCanReadEnumsAndOrder(t *testing.T) {
	for _, tt := range []struct{ name, writer, reader, want string }{
		{"a value, read open", `syntax="proto3";message M{E e=1;}enum E{A=0;B=1;}`, `syntax="proto3";message M{E e=1;}enum E{A=0;}`, ""},
		{"a value, read closed", `syntax="proto2";message M{optional E e=1;}enum E{A=0;B=1;}`, `syntax="proto2";message M{optional E e=1;}enum E{A=0;}`, "SYMBOL M.e"},
		{"a value added", `syntax="proto2";message M{optional E e=1;}enum E{A=0;}`, `syntax="proto2";message M{optional E e=1;}enum E{A=0;B=1;}`, ""},
		{"a value renumbered", `syntax="proto3";message M{E e=1;}enum E{A=0;B=1;}`, `syntax="proto3";message M{E e=1;}enum E{A=0;B=2;}`, "FIELD_NUMBER M.e"},
		{"zero left out, another default", `syntax="proto3";message M{int32 a=1;}`, `syntax="proto2";message M{optional int32 a=1 [default=7];}`, "CONSTRAINT M.a"},
		{"another first", `syntax="proto3";message M{int32 a=1;}message N{int32 a=1;}`, `syntax="proto3";message N{int32 a=1;}message M{int32 a=1;}`, "NAME N"},
		{"first renamed", `syntax="proto3";message M{int32 a=1;}`, `syntax="proto3";message N{int32 a=1;}`, ""},
		{"the second", `syntax="proto3";message M{}message N{int64 a=1;}`, `syntax="proto3";message M{}message N{int32 a=1;}`, "TYPE N.a"},
		{"an extension", `syntax="proto2";message M{extensions 5;}extend M{optional int64 x=5;}`, `syntax="proto2";message M{extensions 5;}extend M{optional string x=5;}`, "TYPE M.x"},
	} {
		got := ""
		for i, p := range parse(t, tt.reader).CanRead(parse(t, tt.writer)) {
			if i == 0 {
				got = string(p.Kind) + " " + p.Path
			}
		}
		if got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(order)
	f.Add(fuzzed)
	f.Add(`edition = "2023"; message M { M m = 1 [features.message_encoding = DELIMITED]; extensions 5 to 9; }`)
	f.Add(`syntax = "proto2"; import "google/protobuf/descriptor.proto"; extend google.protobuf.FieldOptions { optional int32 n = 50000; } message M { optional int32 a = 1 [(n) = 5]; }`)
	fixed, err := Parse(Source{"order.proto", order}, money)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse(Source{"a.proto", text}, money)
		if err != nil {
			if m := (*verdict.Malformed)(nil); !errors.As(err, &m) {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		again, err := Parse(Source{"a.proto", s.Canonical()}, money)
		if err != nil {
			t.Fatalf("its canonical form: %v\n%s", err, s.Canonical())
		}
		if again.Canonical() != s.Canonical() {
			t.Fatalf("%s and %s", again.Canonical(), s.Canonical())
		}
		if p := again.CanRead(s); len(p) > 0 {
			t.Fatalf("cannot read itself: %v", p)
		}
		fixed.CanRead(s)
		s.CanRead(fixed)
		_ = s.Validate([]byte{8, 1, 18, 1, 'a'})
	})
}

const event = `syntax = "proto3";
message Event {
  string id = 1; string customer = 2; Status status = 3; int64 total = 4; string currency = 5; int64 created = 6; bool paid = 7;
  double discount = 8; string note = 9; repeated string items = 10; Address address = 11; int32 version = 12;
  enum Status { NEW = 0; PAID = 1; }
  message Address { string street = 1; string city = 2; }
}`

func BenchmarkValidate(b *testing.B) {
	s := parse(b, event)
	text := func(b []byte, n protowire.Number, v string) []byte {
		return protowire.AppendString(protowire.AppendTag(b, n, protowire.BytesType), v)
	}
	num := func(b []byte, n protowire.Number, v uint64) []byte {
		return protowire.AppendVarint(protowire.AppendTag(b, n, protowire.VarintType), v)
	}
	data := text(text(nil, 1, "5f1d7a90-3f0a-4c39-9a52-07f6fb4f6a11"), 2, "c-10293")
	data = num(num(text(num(num(data, 3, 1), 4, 12999), 5, "EUR"), 6, 1767323045000), 7, 1)
	data = protowire.AppendFixed64(protowire.AppendTag(data, 8, protowire.Fixed64Type), 0x3fc3333333333333)
	data = text(text(text(data, 9, "leave at the door, or with the neighbours "+strings.Repeat("downstairs ", 8)), 10, "sku-1-blue-XL"), 10, "sku-2-red-M")
	data = num(text(data, 11, string(text(text(nil, 1, "Quay 7, third floor, back entrance"), 2, "Port of the long name"))), 12, 3)
	b.Logf("%d bytes", len(data))
	b.Run("dhow", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := s.Validate(data); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("dynamicpb", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := proto.Unmarshal(data, dynamicpb.NewMessage(s.first())); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkCanRead(b *testing.B) {
	wide := func(more string) *Schema {
		text := "syntax = \"proto3\"; message M { " + more
		for i := range 200 {
			text += fmt.Sprintf("string field%d = %d; ", i, i+10)
		}
		return parse(b, text+"}")
	}
	w, r := wide(""), wide("int32 added = 1; ")
	for b.Loop() {
		if p := r.CanRead(w); len(p) > 0 {
			b.Fatal(p)
		}
	}
}
