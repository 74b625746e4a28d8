package idl

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/dhowhq/dhow/contract/avro"
	"github.com/dhowhq/dhow/contract/verdict"
)

const apache = "../../../../shared/data/avro/schemas/"

// from opens files that are part of a test.
func from(files map[string]string) Open {
	fsys := fstest.MapFS{}
	for name, text := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return func(path string) ([]byte, error) { return fs.ReadFile(fsys, path) }
}

// TestOfficial reads Apache Avro's own files; the canonical forms are those that
// npm's avsc 5.7.9 gives.
func TestOfficial(t *testing.T) {
	files, _ := filepath.Glob(apache + "*.av[dp][lr]")
	if len(files) == 0 {
		t.Skip("no Avro data at ../shared/data/avro")
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		read := func(file, text string) (*File, error) { return Read(file, text, nil) }
		if filepath.Ext(f) == ".avpr" {
			read = ReadProtocol
		}
		got, err := read(filepath.Base(f), string(data))
		if err != nil {
			t.Error(err)
			continue
		}
		var forms []string
		for _, typ := range got.Types {
			forms = append(forms, typ.Schema.Canonical())
		}
		want, ok := official[filepath.Base(f)]
		if text := strings.Join(forms, "\n"); !ok || text != want {
			t.Errorf("%s\n got %s\nwant %s", f, text, want)
		}
	}
}

const whole = `
/* Not documentation. */
namespace shop;
schema Order;

import idl "parts/money.avdl";
import schema "parts/party.avsc";
import protocol "parts/old.avpr";

/** An order,
 *  as it is placed. */
@aliases(["Purchase"])
@team("orders")
record Order {
  /** Who it is. */
  string @order("ignore") id, @aliases(["ref"]) number = "none";
  Money total; // of another file
  shop.Party? buyer;
  int? count = 3;
  union { null, other.Status } status = null;
  array<Line> lines = [];
  map<@java-class("x.Y") string> tags = {"a": "b"};
  @logicalType("timestamp-micros") long placed;
  date day; time_ms hour; timestamp_ms at; local_timestamp_ms here; uuid key;
  decimal(9, 2) price = "\u0001";
  Old old;
  ` + "`error` `record`" + `;
  double rate = -1.5e3;
  boolean ok = true;
}

/** Its lines. */
record Line { string sku; Order? order = null; }
@namespace("other") enum Status { NEW, ` + "`fixed`" + `, DONE } = NEW;
fixed Hash(0x10);
error ` + "`error`" + ` { string why; }
`

func TestWhole(t *testing.T) {
	files := map[string]string{
		"in/parts/money.avdl": `namespace shop; import idl "../order.avdl"; import idl "money.avdl"; record Money { long cents; }`,
		"in/parts/party.avsc": `{"type": "record", "name": "shop.Party", "fields": [{"name": "owes", "type": ["null", "Money"]}, {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["A"]}}]}`,
		"in/parts/old.avpr":   `{"protocol": "P", "namespace": "shop", "types": [{"type": "fixed", "name": "Old", "size": 2}], "messages": {}}`,
	}
	f, err := Read("in/order.avdl", whole, from(files))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"name":"shop.Order","type":"record","fields":[` +
		`{"name":"id","type":"string"},` +
		`{"name":"number","type":"string","aliases":["ref"],"default":"none"},` +
		`{"name":"total","type":{"name":"shop.Money","type":"record","fields":[{"name":"cents","type":"long"}]}},` +
		`{"name":"buyer","type":["null",{"name":"shop.Party","type":"record","fields":[{"name":"owes","type":["null","shop.Money"]},{"name":"kind","type":{"name":"shop.Kind","type":"enum","symbols":["A"]}}]}]},` +
		`{"name":"count","type":["int","null"],"default":3},` +
		`{"name":"status","type":["null",{"name":"other.Status","type":"enum","symbols":["NEW","fixed","DONE"],"default":"NEW"}],"default":null},` +
		`{"name":"lines","type":{"type":"array","items":{"name":"shop.Line","type":"record","fields":[{"name":"sku","type":"string"},{"name":"order","type":["null","shop.Order"],"default":null}]}},"default":[]},` +
		`{"name":"tags","type":{"type":"map","values":"string"},"default":{"a":"b"}},` +
		`{"name":"placed","type":{"type":"long","logicalType":"timestamp-micros"}},` +
		`{"name":"day","type":{"type":"int","logicalType":"date"}},` +
		`{"name":"hour","type":{"type":"int","logicalType":"time-millis"}},` +
		`{"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}},` +
		`{"name":"here","type":{"type":"long","logicalType":"local-timestamp-millis"}},` +
		`{"name":"key","type":{"type":"string","logicalType":"uuid"}},` +
		`{"name":"price","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":2},"default":"\u0001"},` +
		`{"name":"old","type":{"name":"shop.Old","type":"fixed","size":2}},` +
		`{"name":"record","type":{"name":"shop.error","type":"record","fields":[{"name":"why","type":"string"}]}},` +
		`{"name":"rate","type":"double","default":-1500},` +
		`{"name":"ok","type":"boolean","default":true}],"aliases":["shop.Purchase"]}`
	if f.Main == nil || f.Main.Schema.Meaning() != want {
		t.Fatalf("\n got %s\nwant %s", f.Main.Schema.Meaning(), want)
	}
	for _, part := range []string{`"doc":"An order,\nas it is placed."`, `"team":"orders"`, `"doc":"Who it is."`, `"order":"ignore"`, `"java-class":"x.Y"`} {
		if !strings.Contains(strings.ReplaceAll(f.Main.Source.Text, ",\n", ","), part) {
			t.Errorf("%s is not in %s", part, f.Main.Source.Text)
		}
	}
	var names []string
	for _, typ := range f.Types {
		names = append(names, typ.Kind+" "+typ.Name+" "+typ.Place.String())
	}
	if got, want := strings.Join(names, ", "), "record shop.Order in/order.avdl:14, record shop.Line in/order.avdl:33, enum other.Status in/order.avdl:34, fixed shop.Hash in/order.avdl:35, error shop.error in/order.avdl:36"; got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

// TestPlaces: what is wrong between two files is where it was written.
func TestPlaces(t *testing.T) {
	read := func(file, text string) *avro.Schema {
		f, err := Read(file, text, nil)
		if err != nil {
			t.Fatal(err)
		}
		return f.Main.Schema
	}
	was := read("was.avdl", "namespace n; schema R;\nrecord R {\n  int a;\n  E e;\n}\nenum E {\n  A,\n  B\n}")
	is := read("is.avdl", "namespace n; schema R;\nrecord R {\n  string a;\n  E e;\n\n  int c;\n}\nenum E { A }")
	var got []string
	for _, p := range is.CanRead(was) {
		got = append(got, string(p.Kind)+" "+p.Reader.String()+" "+p.Writer.String())
	}
	if got, want := strings.Join(got, ", "), "TYPE is.avdl:3 was.avdl:3, SYMBOL is.avdl:8 was.avdl:8, NO_DEFAULT is.avdl:6 "; got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

// TestReadSchema: a schema in JSON uses types of IDL, which may use its own.
func TestReadSchema(t *testing.T) {
	open := from(map[string]string{
		"common/money.avdl": "namespace shop;\nimport schema \"../order.avsc\";\n/** In cents. */\nrecord Money {\n  long cents;\n  Order? of = null;\n}",
		"old.avpr":          `{"protocol": "P", "namespace": "shop", "types": [{"type": "enum", "name": "Kind", "symbols": ["A"]}]}`,
	})
	text := "{\"type\": \"record\", \"name\": \"shop.Order\", \"semver\": \"1.2.0\", \"fields\": [\n{\"name\": \"total\", \"type\": \"Money\"},\n{\"name\": \"kind\", \"type\": \"Kind\"}]}"
	got, err := ReadSchema("order.avsc", text, open, "common/money.avdl", "old.avpr")
	if err != nil {
		t.Fatal(err)
	}
	want := `{"name":"shop.Order","type":"record","fields":[{"name":"total","type":{"name":"shop.Money","type":"record","fields":[{"name":"cents","type":"long"},{"name":"of","type":["null","shop.Order"],"default":null}]}},{"name":"kind","type":{"name":"shop.Kind","type":"enum","symbols":["A"]}}]}`
	if got.Schema.Meaning() != want || got.Name != "shop.Order" || !strings.Contains(got.Source.Text, `"semver":"1.2.0"`) || !strings.Contains(got.Source.Text, `"doc":"In cents."`) {
		t.Errorf("%s is\n got %s\nwant %s\nin %s", got.Name, got.Schema.Meaning(), want, got.Source.Text)
	}
	if !slices.Contains(got.Source.Lines, verdict.Place{File: "common/money.avdl", Line: 5}) || !slices.Contains(got.Source.Lines, verdict.Place{File: "order.avsc", Line: 3}) {
		t.Errorf("its lines are %v", got.Source.Lines)
	}
	for want, text := range map[string]string{
		"order.avsc:2: there is no type Penny: neither a primitive type nor a name that is declared or imported": "{\"type\": \"record\", \"name\": \"Order\", \"fields\": [\n{\"name\": \"total\", \"type\": \"Penny\"}]}",
		"order.avsc:1: shop.Money is declared twice: first at common/money.avdl:4":                               `{"type": "fixed", "name": "shop.Money", "size": 1}`,
		"order.avsc:1: the file should end here, and goes on with `1`":                                           `"int" 1`,
	} {
		if _, err := ReadSchema("order.avsc", text, open, "common/money.avdl"); err == nil || err.Error() != want {
			t.Errorf("%s\n got %v\nwant %s", text, err, want)
		}
	}
}

func TestRefused(t *testing.T) {
	files := map[string]string{
		"bad.avdl": "record X {", "twice.avdl": "record R {}", "bad.avsc": "{\n\"type\": }", "other.avsc": `{"type":"record","name":"Q","fields":[{"name":"z","type":"Nowhere"}]}`,
	}
	for _, c := range []struct{ text, want string }{
		{"record R {\n int x\n}", "s.avdl:3: `;` should be here, not `}`"},
		{"record R {\n Foo x;\n}", "s.avdl:2: there is no type Foo: neither a primitive type nor a name that is declared or imported"},
		{"namespace n;\nrecord R { int x; int x; }", "s.avdl:2: field x is twice in n.R: first at line 2"},
		{"record R {}\nfixed R(1);", "s.avdl:2: R is declared twice: first at s.avdl:1"},
		{"record R { int x =\n\"a\"; }", "s.avdl:2: the default of field x of R does not fit its type: int is a number in JSON, not a string"},
		{"record R { int? x =\n\"a\"; }", "s.avdl:2: the default of field x of R does not fit its type: a string fits no type of union [int, null]"},
		{"enum E { A,\nA }", "s.avdl:2: symbol A is twice in enum E"},
		{"enum E { A } = B;", "s.avdl:1: the default of enum E is none of its symbols"},
		{"fixed F(x);", "s.avdl:1: the size of a fixed is a whole number, not `x`"},
		{"record R { union { int, int } x; }", "s.avdl:1: int is twice in one union"},
		{"record R { union { int, string }? x; }", "s.avdl:1: a union says itself whether it may be null: it takes no `?`"},
		{"record R { @a(1) Foo x; }", "s.avdl:1: @a stands before a type's name, which takes no annotations: write those of the field before its name"},
		{"record R { @a(1) @a(2) int x; }", "s.avdl:1: @a is there twice"},
		{"/* x", "s.avdl:1: a comment does not end"},
		{"record R { string x = \"a\n\"; }", "s.avdl:1: a string does not end on its line"},
		{"record R { string x = \"\\q\"; }", "s.avdl:1: a string is not valid: its escapes are those of JSON"},
		{"protocol P { record R {} } x", "s.avdl:1: the file should end here, and goes on with `x`"},
		{"protocol P { int f(int x) }", "s.avdl:1: a message ends with `;`, not `}`"},
		{"hello", "s.avdl:1: a schema, an import or a type should be declared here, not `hello`"},
		{"schema int; schema int;", "s.avdl:1: the file has a main schema already, at line 1"},
		{"import idl \"none.avdl\";", "s.avdl:1: none.avdl cannot be imported: open none.avdl: file does not exist"},
		{"import idl \"bad.avdl\";", "bad.avdl:1: the name of a type should be here, not the end of the file"},
		{"import idl \"twice.avdl\";\nrecord R {}", "s.avdl:2: R is declared twice: first at twice.avdl:1"},
		{"import schema \"bad.avsc\";", "bad.avsc:2: a JSON value should be here, not `}`"},
		{"import schema \"other.avsc\";\nrecord R { Q q; }", "other.avsc:1: there is no type Nowhere: neither a primitive type nor a name that is declared or imported"},
		{"record R { " + strings.Repeat("array<", 1000) + "int" + strings.Repeat(">", 1000) + " x; }", "s.avdl:1: types nest deeper than 300 levels"},
		{"record R { int x = " + strings.Repeat("[", 1000), "s.avdl:1: JSON nests deeper than 300 levels"},
	} {
		_, err := Read("s.avdl", c.text, from(files))
		if err == nil || err.Error() != c.want {
			t.Errorf("%.80s\n got %v\nwant %s", c.text, err, c.want)
		}
		if m := (*verdict.Malformed)(nil); !errors.As(err, &m) {
			t.Errorf("%.80s: the error is a %T", c.text, err)
		}
	}
}

// TestBounded has a chain of types, each of which holds all before it.
func TestBounded(t *testing.T) {
	var b strings.Builder
	b.WriteString("record R0 { int x; }\n")
	for i := 1; i < 30000; i++ {
		b.WriteString("record R" + strconv.Itoa(i) + " { R" + strconv.Itoa(i-1) + " a; R" + strconv.Itoa(i-1) + " b; }\n")
	}
	_, err := Read("s.avdl", b.String(), nil)
	if err == nil || !strings.Contains(err.Error(), "types nest deeper than 300 levels") {
		t.Error(err)
	}
	b.Reset()
	b.WriteString("record All {")
	for i := range 20000 {
		b.WriteString("F" + strconv.Itoa(i) + " f" + strconv.Itoa(i) + ";\n")
	}
	b.WriteString("}\n")
	for i := range 20000 {
		b.WriteString("record F" + strconv.Itoa(i) + " { All? all; }\n")
	}
	_, err = Read("s.avdl", b.String(), nil)
	if err == nil || !strings.Contains(err.Error(), "have more than 16777216 bytes") {
		t.Error(err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(whole)
	files, _ := filepath.Glob(apache + "*.avdl")
	for _, file := range files {
		if data, err := os.ReadFile(file); err == nil {
			f.Add(string(data))
		}
	}
	f.Add("namespace n; import schema \"a.avsc\"; record R { A? x = null; }")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := Read("s.avdl", text, func(string) ([]byte, error) { return []byte(text), nil })
		if err != nil {
			if m := (*verdict.Malformed)(nil); !errors.As(err, &m) || m.Place.Line == 0 {
				t.Fatalf("%q: %T %v", text, err, err)
			}
			return
		}
		for _, typ := range got.Types {
			if typ.Name == "" || typ.Schema.Name() != typ.Name {
				t.Fatalf("%q declares %q", text, typ.Name)
			}
		}
	})
}

func FuzzReadProtocol(f *testing.F) {
	f.Add(`{"protocol": "P", "namespace": "shop", "types": [{"type": "fixed", "name": "Old", "size": 2}], "messages": {}}`)
	f.Fuzz(func(t *testing.T, text string) {
		_, err := ReadSchema("s.avsc", text, func(string) ([]byte, error) { return []byte(text), nil }, "t.avsc", "u.avdl")
		if m := (*verdict.Malformed)(nil); err != nil && !errors.As(err, &m) {
			t.Fatalf("%q: %T %v", text, err, err)
		}
		_, err = ReadProtocol("s.avpr", text)
		if m := (*verdict.Malformed)(nil); err != nil && !errors.As(err, &m) {
			t.Fatalf("%q: %T %v", text, err, err)
		}
	})
}
