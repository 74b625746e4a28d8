package gen

import (
	"flag"
	"math/big"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/twmb/avro"

	"github.com/dhowhq/dhow/contract/gen/example"
)

var update = flag.Bool("update", false, "write example/schemas.go anew")

func text(t *testing.T) string {
	b, err := os.ReadFile("example/order.avsc")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestGo holds the example, which the compiler has seen.
func TestGo(t *testing.T) {
	got, err := Go(Options{Package: "example"}, Schema{"shop/order", text(t)})
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("example/schemas.go", got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile("example/schemas.go"); err != nil || string(got) != string(want) {
		t.Errorf("example/schemas.go is not what is generated now (%v); run the test with -update and read the change\n%s", err, got)
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
