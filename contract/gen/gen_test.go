package gen

import (
	"flag"
	"maps"
	"math/big"
	"os"
	"path"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/avro"

	"github.com/dhowhq/dhow/contract/folder"
	"github.com/dhowhq/dhow/contract/gen/example"
	"github.com/dhowhq/dhow/contract/gen/example/kinds"
)

var update = flag.Bool("update", false, "write example/schemas.go anew")

func text(t *testing.T) string {
	b, err := os.ReadFile("example/order.avsc")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// kindsText is the schemas of kinds.avdl by name.
func kindsText(t *testing.T) map[string]string {
	list, err := folder.ReadIDL(os.DirFS("example"), "kinds/kinds.avdl")
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for _, f := range list {
		texts[f.Name] = f.Text
	}
	return texts
}

// TestGo holds the examples, which the compiler has seen.
func TestGo(t *testing.T) {
	golden(t, "example", Schema{"shop/order", text(t)})
	var all []Schema
	texts := kindsText(t)
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		all = append(all, Schema{name, texts[name]})
	}
	golden(t, "example/kinds", all...)
}

func golden(t *testing.T, dir string, schemas ...Schema) {
	t.Helper()
	got, err := Go(Options{Package: path.Base(dir)}, schemas...)
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(dir+"/schemas.go", got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(dir + "/schemas.go"); err != nil || string(got) != string(want) {
		t.Errorf("%s/schemas.go is not what is generated now (%v); run the test with -update and read the change\n%s", dir, err, got)
	}
}

// TestRoundTrip writes and reads a value of the generated types.
func TestRoundTrip(t *testing.T) {
	schema, err := avro.Parse(text(t))
	if err != nil {
		t.Fatal(err)
	}
	note := "at the door"
	in := example.Order{
		OrderID: "6f2c1a52-6d8b-4a43-9d0f-0d5c9d6c2f11", PlacedAt: time.UnixMilli(1_790_000_000_123).UTC(), Window: 90 * time.Minute,
		Status: example.StatusInTransit, Lines: []example.Line{{SKU: "mug", Quantity: 2, Price: big.NewRat(1999, 100)}},
		Note: &note, Discount: big.NewRat(5, 2), Gift: &example.Gift{Text: "for you"}, Payment: "invoice",
		Labels: map[string]float64{"weight": 1.5}, Digest: example.Md5{1, 2, 3}, Parent: &example.Order{
			OrderID: "6f2c1a52-6d8b-4a43-9d0f-0d5c9d6c2f12", PlacedAt: time.UnixMilli(0).UTC(), Status: example.StatusNew, Payment: int64(7),
			Lines: []example.Line{}, Labels: map[string]float64{}, Raw: []byte{},
		},
		Raw: []byte("x"), Type: true, Lead: avro.Duration{Days: 3},
	}
	b, err := schema.Encode(&in)
	if err != nil {
		t.Fatal(err)
	}
	var out example.Order
	if rest, err := schema.Decode(b, &out); err != nil || len(rest) > 0 {
		t.Fatalf("%v, %d bytes are left", err, len(rest))
	}
	if !reflect.DeepEqual(in, out) {
		t.Errorf("sent %+v\nread %+v", in, out)
	}
}

// TestRoundTripKinds does so with the types of an IDL, which has every kind.
func TestRoundTripKinds(t *testing.T) {
	schema, err := avro.Parse(kindsText(t)["kinds/All"])
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 27, 8, 30, 0, 123_456_789, time.UTC)
	word, large, sum := "x", kinds.SizeLarge, kinds.Digest{9}
	in := kinds.All{
		Day: time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC), Hour: 90 * time.Minute, Moment: 5 * time.Microsecond,
		At: at.Truncate(time.Millisecond), Exactly: at.Truncate(time.Microsecond), Precisely: at, Here: at.Truncate(time.Millisecond),
		Key: "6f2c1a52-6d8b-4a43-9d0f-0d5c9d6c2f11", Price: big.NewRat(-1999, 100), Discount: big.NewRat(1, 4),
		Counts: map[string][]int32{"a": {1, -2}, "b": {}}, Rates: []map[string]float64{{"x": 0.5}, {}},
		Notes: map[string]*string{"none": nil, "one": &word}, Lines: []*string{nil, &word}, Blobs: map[string][]byte{"b": {0, 255}},
		Size: kinds.SizeLarge, Was: &large, Sizes: map[string]kinds.Size{"s": kinds.SizeSmall}, Digest: kinds.Digest{1, 2, 3, 4}, Short: kinds.OtherDigest{5, 6}, Sum: &sum,
		Event: nil, Events: []any{int64(7), "s"}, Number: int32(8), Word: "w",
		Tree:  tree(kinds.Node{Name: "root", Children: []kinds.Node{tree(kinds.Node{Name: "leaf"})}, Named: map[string]kinds.Node{"n": tree(kinds.Node{Name: "n"})}}),
		Ratio: 1.5, Error: true, Type: "t", FuncName: "f", X2nd: "2",
	}
	next := tree(kinds.Node{Name: "next"})
	in.Tree.Next = &next
	if out := through(t, schema, in); !reflect.DeepEqual(in, out) {
		t.Errorf("sent %+v\nread %+v", in, out)
	}
	// Values that name their type, as the comments say: of two records of one
	// shape the second is written.
	in.Event = map[string]any{"shop.kinds.Paid": kinds.Paid{ID: "p"}}
	in.Events = []any{map[string]any{"shop.kinds.Placed": kinds.Placed{ID: "q"}}, map[string]any{"string": "s"}}
	in.Number, in.Word = map[string]any{"long": int64(8)}, map[string]any{"shop.kinds.Size": kinds.SizeLarge}
	out := through(t, schema, in, avro.TaggedUnions())
	for name, pair := range map[string][2]any{
		"event":  {out.Event, map[string]any{"shop.kinds.Paid": map[string]any{"id": "p"}}},
		"events": {out.Events, []any{map[string]any{"shop.kinds.Placed": map[string]any{"id": "q"}}, map[string]any{"string": "s"}}},
		"number": {out.Number, map[string]any{"long": int64(8)}},
		"word":   {out.Word, map[string]any{"shop.kinds.Size": "LARGE"}},
	} {
		if !reflect.DeepEqual(pair[0], pair[1]) {
			t.Errorf("%s is %#v, want %#v", name, pair[0], pair[1])
		}
	}
}

// tree has no list nor map that is nil: they are read as empty ones.
func tree(n kinds.Node) kinds.Node {
	if n.Children == nil {
		n.Children = []kinds.Node{}
	}
	if n.Named == nil {
		n.Named = map[string]kinds.Node{}
	}
	return n
}

func through[T any](t *testing.T, schema *avro.Schema, in T, opts ...avro.Opt) (out T) {
	t.Helper()
	b, err := schema.Encode(&in, opts...)
	if err != nil {
		t.Fatal(err)
	}
	if rest, err := schema.Decode(b, &out, opts...); err != nil || len(rest) > 0 {
		t.Fatalf("%v, %d bytes are left", err, len(rest))
	}
	return out
}

// TestReadNewer: what a newer writer adds to an enum is read as its default;
// errors are records, which may hold themselves.
func TestReadNewer(t *testing.T) {
	texts := kindsText(t)
	reader := avro.MustParse(texts["kinds/All"])
	writer := avro.MustParse(strings.Replace(texts["kinds/All"], `"LARGE",`, `"LARGE","HUGE",`, 1))
	resolved, err := avro.Resolve(writer, reader)
	if err != nil {
		t.Fatal(err)
	}
	in := kinds.All{Precisely: time.Unix(0, 0), Key: "6f2c1a52-6d8b-4a43-9d0f-0d5c9d6c2f11", Price: new(big.Rat), Size: "HUGE", Number: int32(1), Tree: kinds.Node{Name: "t"}}
	b, err := writer.Encode(&in)
	if err != nil {
		t.Fatal(err)
	}
	var out kinds.All
	if _, err := resolved.Decode(b, &out); err != nil || out.Size != kinds.SizeUnknown || out.Tree.Name != "t" {
		t.Errorf("HUGE is read as %q, %v", out.Size, err)
	}
	failed := kinds.Failed{Why: "this", Cause: &kinds.Failed{Why: "that"}}
	if out := through(t, avro.MustParse(texts["kinds/Failed"]), failed); !reflect.DeepEqual(out, failed) {
		t.Errorf("the error is read as %+v", out)
	}
}

func TestGoRefuses(t *testing.T) {
	for _, tt := range []struct{ name, pkg, text, want string }{
		{"package", "a-b", `"int"`, "is no name for a Go package"},
		{"schema", "p", `{"type":"rekord"}`, "shop/x: "},
		{"endless", "p", `{"type":"record","name":"A","fields":[{"name":"a","type":"A"}]}`, "shop/x: "},
	} {
		if _, err := Go(Options{Package: tt.pkg}, Schema{"shop/x", tt.text}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
	a, b := `{"type":"record","name":"A","fields":[]}`, `{"type":"record","name":"A","fields":[{"name":"x","type":"int"}]}`
	if _, err := Go(Options{Package: "p"}, Schema{"s/a", a}, Schema{"s/b", b}); err == nil || !strings.Contains(err.Error(), "is another one in another schema") {
		t.Errorf("two types of one name: %v", err)
	}
	if _, err := Go(Options{Package: "p"}, Schema{"s/a", a}, Schema{"s/b", a}); err != nil {
		t.Errorf("one type in two schemas: %v", err)
	}
}

func TestExported(t *testing.T) {
	for in, want := range map[string]string{"order_id": "OrderID", "orderId": "OrderID", "IN_TRANSIT": "InTransit", "x": "X", "_1": "X1", "url": "URL", "HTTPServer": "HTTPServer", "_": "X"} {
		if got := exported(in); got != want {
			t.Errorf("%s is %s, want %s", in, got, want)
		}
	}
}

func FuzzGo(f *testing.F) {
	f.Add(`{"type":"record","name":"A","fields":[{"name":"a","type":["null","A"]},{"name":"A","type":{"type":"enum","name":"B","symbols":["a","A"]}}]}`)
	f.Add(`["null",{"type":"fixed","name":"n.f","size":3}]`)
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := Go(Options{Package: "p"}, Schema{"s/a", text}); err != nil && strings.Contains(err.Error(), "no Go") {
			t.Errorf("%q: %v", text, err)
		}
	})
}
