package avro

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"time"

	twmb "github.com/twmb/avro"

	"github.com/dhowhq/dhow/contract/wire"
)

const doubtful = `{"type":"record","name":"Event","namespace":"shop","fields":[{"name":"is","type":["null",
  {"type":"record","name":"Placed","fields":[{"name":"id","type":"string","default":""}]},
  {"type":"record","name":"Paid","fields":[{"name":"id","type":"string"}]},
  {"type":"record","name":"Sent","fields":[{"name":"id","type":"string"},{"name":"by","type":"string"}]}]}]}`

type (
	Placed struct {
		ID string `avro:"id"`
	}
	Paid struct {
		ID string `avro:"id"`
	}
	Sent struct {
		Other int32 `avro:"other"`
	}
	Bill struct {
		ID string `avro:"id"`
	}
	Size   string
	Word   string
	Other  string
	Digest [4]byte
)

// writer is a producer of T whose messages are looked at with the names of types.
func writer[T any](t *testing.T, schema string) func(T) (any, error) {
	t.Helper()
	p := must(NewProducer[T](t.Context(), lockOf(t, &Version{Name: "shop/event", Version: "1.0.0", UUID: wire.UUID{1}, Definition: schema}), "shop/event"))
	return func(v T) (any, error) {
		before := fmt.Sprintf("%#v", v)
		data, err := p.Encode(&v)
		if after := fmt.Sprintf("%#v", v); !strings.Contains(before, "0x") && before != after {
			t.Errorf("the value was %s and is %s", before, after)
		}
		if err != nil {
			return nil, err
		}
		var out any
		if rest, err := p.Version().Schema().Decode(data[18:], &out, twmb.TaggedUnions()); err != nil || len(rest) > 0 {
			t.Fatal(err, rest)
		}
		return out, nil
	}
}

// TestUnions: a value of a union is written as what it is called, as what it says,
// or not at all if that cannot be told; never as the first that it happens to fit.
func TestUnions(t *testing.T) {
	named := func(name string, v any) map[string]any { return map[string]any{name: v} }
	record := `{"type":"record","name":"shop.Placed","fields":[{"name":"id","type":"string","default":""}]},{"type":"record","name":"shop.Paid","fields":[{"name":"id","type":"string"}]}`
	size := `{"type":"enum","name":"shop.Size","symbols":["S","L"]}`
	at := time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC)
	id := map[string]any{"id": "p"}
	for name, tt := range map[string]struct {
		union string
		v     any
		want  any    // tagged
		err   string // or what the refusal says
	}{
		"called as the second":      {record, Paid{"p"}, named("shop.Paid", id), ""},
		"a pointer to it":           {record, &Paid{"p"}, named("shop.Paid", id), ""},
		"called as the first":       {record, Placed{"p"}, named("shop.Placed", id), ""},
		"said":                      {record, named("shop.Paid", Bill{"p"}), named("shop.Paid", id), ""},
		"said by the short name":    {record, named("Paid", Bill{"p"}), named("shop.Paid", id), ""},
		"a map that is said":        {record, named("shop.Paid", id), named("shop.Paid", id), ""},
		"called as neither":         {record, Bill{"p"}, nil, `a avro.Bill fits shop.Placed and shop.Paid: map[string]any{"shop.Paid": v} says which it is`},
		"a map of either":           {record, id, nil, `fits shop.Placed and shop.Paid`},
		"said, and does not fit":    {record, named("shop.Paid", map[string]any{}), nil, "it is said to be shop.Paid, which it does not fit"},
		"said, and not there":       {record, named("shop.Payd", id), nil, "keys that are no fields of shop.Placed and shop.Paid"},
		"called, and does not fit":  {record + `,{"type":"record","name":"Sent","fields":[{"name":"id","type":"string"}]}`, Sent{1}, nil, "a avro.Sent does not fit Sent, after which it is called"},
		"a map of one alone":        {record + `,{"type":"record","name":"Sent","fields":[{"name":"by","type":"string"}]}`, map[string]any{"by": "x"}, named("Sent", map[string]any{"by": "x"}), ""},
		"a map or a record":         {`{"type":"map","values":"string"},{"type":"record","name":"R","fields":[{"name":"id","type":"string"}]}`, id, nil, `fits map and R`},
		"a map":                     {`{"type":"record","name":"R","fields":[{"name":"id","type":"string","default":""}]},{"type":"map","values":"string"}`, map[string]any{"x": "y"}, named("map", map[string]any{"x": "y"}), ""},
		"an enum":                   {`"string",` + size, Size("L"), named("shop.Size", "L"), ""},
		"no symbol":                 {`"string",` + size, Size("XL"), nil, "a avro.Size does not fit shop.Size"},
		"a string":                  {size + `,"string"`, "L", named("string", "L"), ""},
		"a type of string":          {`"string",` + size, Word("L"), nil, "fits string and shop.Size"},
		"another one":               {`"string",` + size, Word("x"), named("string", "x"), ""},
		"two enums":                 {`{"type":"enum","name":"Word","symbols":["S","M"]},` + size, "S", nil, "a string fits Word and shop.Size"},
		"of two enums":              {size + `,{"type":"enum","name":"Word","symbols":["S","M"]}`, Word("S"), named("Word", "S"), ""},
		"of one of two":             {size + `,{"type":"enum","name":"Word","symbols":["S","M"]}`, "M", named("Word", "M"), ""},
		"a fixed":                   {`"bytes",{"type":"fixed","name":"Digest","size":4}`, Digest{1}, named("Digest", []byte{1, 0, 0, 0}), ""},
		"bytes":                     {`{"type":"fixed","name":"Digest","size":4},"bytes"`, []byte{1, 2, 3, 4}, named("bytes", []byte{1, 2, 3, 4}), ""},
		"two fixed":                 {`{"type":"fixed","name":"A","size":4},{"type":"fixed","name":"Digest","size":4}`, [4]byte{1}, nil, "fits A and Digest"},
		"of two fixed":              {`{"type":"fixed","name":"A","size":4},{"type":"fixed","name":"Digest","size":4}`, Digest{1}, named("Digest", []byte{1, 0, 0, 0}), ""},
		"a whole float":             {`"int","float"`, 2.0, named("float", float32(2)), ""},
		"a small integer":           {`"float","long"`, int32(7), named("long", int64(7)), ""},
		"a number":                  {`"float","long"`, json.Number("7"), named("long", int64(7)), ""},
		"a broken number":           {`"long","double"`, json.Number("7.5"), named("double", 7.5), ""},
		"a time":                    {`"string",{"type":"long","logicalType":"timestamp-millis"}`, at, named("long", at), ""},
		"a time or a day":           {`{"type":"int","logicalType":"date"},{"type":"long","logicalType":"timestamp-millis"}`, at, nil, "a time.Time fits int and long"},
		"a time that is said":       {`{"type":"int","logicalType":"date"},{"type":"long","logicalType":"timestamp-millis"}`, named("long", at), named("long", at), ""},
		"a duration":                {`"long",{"type":"int","logicalType":"time-millis"}`, time.Second, named("int", time.Second), ""},
		"a decimal":                 {`"string",{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}`, big.NewRat(5, 4), named("bytes", big.NewRat(5, 4)), ""},
		"a map with a type's key":   {`"string",` + size + `,{"type":"map","values":"string"}`, map[string]string{"Size": "XL"}, named("map", map[string]any{"Size": "XL"}), ""},
		"a field called as a type":  {record + `,{"type":"record","name":"Order","fields":[{"name":"Paid","type":"boolean"}]}`, map[string]any{"Paid": true}, named("Order", map[string]any{"Paid": true}), ""},
		"a duration as a number":    {`"double","long"`, time.Second, named("long", int64(time.Second)), ""},
		"a number beyond long":      {`"long","double"`, uint64(1 << 63), named("double", float64(1<<63)), ""},
		"a type of bytes":           {`{"type":"fixed","name":"A","size":4},"bytes"`, json.RawMessage("true"), named("bytes", []byte("true")), ""},
		"nil of a slice":            {`"string",` + size + `,{"type":"array","items":"int"}`, []int(nil), nil, ""},
		"nil of a map":              {`"string",` + size + `,{"type":"map","values":"int"}`, map[string]int(nil), nil, ""},
		"nil of bytes":              {`"string",` + size + `,"bytes"`, []byte(nil), nil, ""},
		"nil of raw bytes":          {`"string",` + size + `,"bytes"`, json.RawMessage(nil), nil, ""},
		"nothing":                   {record, nil, nil, ""},
		"nothing of a type":         {record, (*Paid)(nil), nil, ""},
		"what fits none":            {record, 5, nil, "cannot use int"},
		"of another kind":           {record + `,"long","boolean"`, true, named("boolean", true), ""},
		"a list of them":            {record + `,{"type":"array","items":["shop.Placed","shop.Paid"]}`, []any{Paid{"p"}, Placed{"p"}}, named("array", []any{named("shop.Paid", id), named("shop.Placed", id)}), ""},
		"a list that does not tell": {record + `,{"type":"array","items":["shop.Placed","shop.Paid"]}`, []any{Paid{"p"}, id}, nil, "Event.is[1]: a map[string]interface {} fits"},
	} {
		write := writer[struct {
			Is any `avro:"is"`
		}](t, `{"type":"record","name":"Event","fields":[{"name":"is","type":["null",`+tt.union+`]}]}`)
		got, err := write(struct {
			Is any `avro:"is"`
		}{tt.v})
		var invalid *Invalid
		switch {
		case tt.err != "":
			if !errors.As(err, &invalid) || !strings.Contains(err.Error(), tt.err) || !strings.HasPrefix(invalid.Path, "Event.is") {
				t.Errorf("%s: %v, %v; want %s", name, got, err, tt.err)
			}
		case err != nil || !reflect.DeepEqual(got, map[string]any{"is": tt.want}):
			t.Errorf("%s: %#v, %v; want %#v", name, got, err, tt.want)
		}
	}
}

// TestUnionsBelow: wherever a union is, and its Go type has room for it or not.
func TestUnionsBelow(t *testing.T) {
	type node struct {
		Is    any               `avro:"is"`
		Next  *node             `avro:"next"`
		Nodes []node            `avro:"nodes"`
		Any   map[string]any    `avro:"any"`
		Bills []Bill            `avro:"bills"`
		Paid  map[string]*Paid  `avro:"paid"`
		Lists map[string][2]any `avro:"lists"`
	}
	schema := `{"type":"record","name":"Node","namespace":"shop","fields":[{"name":"is","type":["null",
	  {"type":"record","name":"Placed","fields":[{"name":"id","type":"string"}]},{"type":"record","name":"Paid","fields":[{"name":"id","type":"string"}]}]},
	  {"name":"next","type":["null","Node"]},{"name":"nodes","type":{"type":"array","items":"Node"}},
	  {"name":"any","type":{"type":"map","values":["Placed","Paid"]}},{"name":"bills","type":{"type":"array","items":["Placed","Paid"]}},
	  {"name":"paid","type":{"type":"map","values":["Placed","Paid"]}},{"name":"lists","type":{"type":"map","values":{"type":"array","items":["Placed","Paid"]}}}]}`
	write := writer[node](t, schema)
	paid := Paid{"p"}
	leaf := node{Is: paid}
	in := node{Is: paid, Next: &node{Is: map[string]any{"shop.Paid": Bill{"p"}}, Next: &leaf}, Nodes: []node{{}, leaf}, Any: map[string]any{"a": paid, "b": Placed(paid)},
		Lists: map[string][2]any{"l": {Placed(paid), paid}}}
	got, err := write(in)
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprint(got)
	if n := strings.Count(text, "shop.Paid:"); n != 6 || strings.Count(text, "shop.Placed:") != 2 {
		t.Errorf("%d of Paid: %s", n, text)
	}
	if in.Nodes[1].Is != any(paid) || in.Next.Next.Is != any(paid) || in.Any["a"] != any(paid) || in.Lists["l"][1] != any(paid) {
		t.Errorf("the value is another one: %+v", in)
	}
	for want, v := range map[string]node{
		`Node.bills[0]: a avro.Bill fits`:                                          {Bills: []Bill{{"p"}}},
		`Node.paid["x"]: its type has to be named, for which the map's values has`: {Paid: map[string]*Paid{"x": {"p"}}},
		`Node.next.nodes[1].is: a avro.Bill fits`:                                  {Next: &node{Nodes: []node{{}, {Is: Bill{}}}}},
	} {
		if _, err := write(v); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// Base and More are part of a record.
type Base struct {
	Is any `avro:"is"`
}
type More struct {
	By any `avro:"by"`
}

func TestUnionsEmbedded(t *testing.T) {
	type event struct {
		*Base
		In More `avro:",inline"`
	}
	v := event{&Base{Paid{"p"}}, More{&Paid{"q"}}}
	got, err := writer[event](t, strings.Replace(doubtful, `]}]}]}`, `]}]},{"name":"by","type":["Placed","Paid"]}]}`, 1))(v)
	want := map[string]any{"is": map[string]any{"shop.Paid": map[string]any{"id": "p"}}, "by": map[string]any{"shop.Paid": map[string]any{"id": "q"}}}
	if err != nil || !reflect.DeepEqual(got, want) || v.Is != any(Paid{"p"}) {
		t.Errorf("%v, %v; it was %v", got, err, v.Is)
	}
}

// Whole has a union below, and is of one where it needs no name.
type Whole struct {
	Is any `avro:"is"`
}

func (*Whole) part() {}

// TestUnionsNarrow: a place that takes no name needs none where the library takes
// the type anyway, whatever is to be named below.
func TestUnionsNarrow(t *testing.T) {
	type part interface{ part() }
	type event struct {
		Is   *Whole `avro:"is"`
		Part part   `avro:"part"`
	}
	schema := `{"type":"record","name":"Event","fields":[
	  {"name":"is","type":["null",{"type":"record","name":"Whole","fields":[{"name":"is","type":["null",
	    {"type":"record","name":"Placed","fields":[{"name":"id","type":"string"}]},{"type":"record","name":"Paid","fields":[{"name":"id","type":"string"}]}]}]},"long","double"]},
	  {"name":"part","type":["null","Whole","long","double"]}]}`
	got, err := writer[event](t, schema)(event{&Whole{Paid{"p"}}, &Whole{Paid{"q"}}})
	whole := func(id string) any {
		return map[string]any{"Whole": map[string]any{"is": map[string]any{"Paid": map[string]any{"id": id}}}}
	}
	if want := (map[string]any{"is": whole("p"), "part": whole("q")}); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
}

// TestUnionsInEvents: details of events are JSON.
func TestUnionsInEvents(t *testing.T) {
	type event struct {
		Is any `avro:"is"`
	}
	src := lockOf(t, &Version{Name: "shop/event", Version: "1.0.0", UUID: wire.UUID{1}, Definition: doubtful})
	p := must(NewProducer[event](t.Context(), src, "shop/event"))
	if got, err := p.Detail(&event{&Paid{"p"}}); err != nil || !strings.Contains(string(got), `{"is":{"shop.Paid":{"id":"p"}}}`) {
		t.Errorf("%s, %v", got, err)
	}
	var invalid *Invalid
	if got, err := p.Detail(&event{Bill{"p"}}); !errors.As(err, &invalid) || invalid.Path != "Event.is" {
		t.Errorf("%s, %v", got, err)
	}
	if _, err := p.Encode(nil); err == nil {
		t.Error("nothing was written")
	}
}

// TestUnionsElsewhere: schemas without such unions are not looked at.
func TestUnionsElsewhere(t *testing.T) {
	for _, s := range []string{twelve, `["null","string","long","boolean",{"type":"array","items":"int"},{"type":"record","name":"R","fields":[{"name":"r","type":["null","R"]}]}]`, `["int","long"]`, `"int"`, `["null",{"type":"long","logicalType":"timestamp-millis"}]`} {
		v := must(NewVersion("a/b", "1.0.0", s))
		if r, err := routeOf(v); r != nil || err != nil {
			t.Errorf("%s: %+v, %v", s, r, err)
		}
	}
}

// TestTaggedUnions has a consumer read values of unions as a producer is told of
// them.
func TestTaggedUnions(t *testing.T) {
	src := lockOf(t, must(NewVersion("shop/event", "1.0.0", doubtful)))
	p := must(NewProducer[map[string]any](t.Context(), src, "shop/event"))
	c := must(NewConsumer[map[string]any](t.Context(), src, "shop/event", WithDecode(twmb.TaggedUnions())))
	data := must(p.Encode(&map[string]any{"is": Paid{"p"}}))
	got := must(c.Decode(t.Context(), data))
	if is, ok := (*got)["is"].(map[string]any); !ok || is["shop.Paid"] == nil {
		t.Errorf("it is read as %v", *got)
	}
	if again := must(p.Encode(got)); string(again) != string(data) {
		t.Errorf("and written as %x, not as %x", again, data)
	}
}
