package avro

import (
	"testing"

	twmb "github.com/twmb/avro"

	"github.com/dhowhq/dhow/contract/wire"
)

// twelve is a message of 12 fields and about 250 bytes.
const twelve = `{"type":"record","name":"Twelve","namespace":"shop","fields":[
  {"name":"id","type":"string"},{"name":"customer","type":"string"},{"name":"street","type":"string"},{"name":"city","type":"string"},
  {"name":"total","type":"long"},{"name":"at","type":"long"},{"name":"paid","type":"boolean"},{"name":"weight","type":"double"},
  {"name":"state","type":{"type":"enum","name":"State","symbols":["NEW","PAID","SENT"]}},{"name":"tags","type":{"type":"array","items":"string"}},
  {"name":"note","type":["null","string"],"default":null},{"name":"count","type":"int"}]}`

type Twelve struct {
	ID       string   `avro:"id"`
	Customer string   `avro:"customer"`
	Street   string   `avro:"street"`
	City     string   `avro:"city"`
	Total    int64    `avro:"total"`
	At       int64    `avro:"at"`
	Paid     bool     `avro:"paid"`
	Weight   float64  `avro:"weight"`
	State    string   `avro:"state"`
	Tags     []string `avro:"tags"`
	Note     *string  `avro:"note"`
	Count    int32    `avro:"count"`
}

func aTwelve() *Twelve {
	note := "please ring twice, the bell is quiet, and leave it with the neighbours if nobody opens the door"
	return &Twelve{"b7b4a7f0-9c96-4e4a-a687-fb5de9ef0c63", "customer-000000012345", "Elm Street 1234, third floor, on the left", "Springfield",
		123456, 1790000000000, true, 12.5, "PAID", []string{"gift", "express", "fragile"}, &note, 7}
}

func twelveSource(t testing.TB) (*Lock, *Producer[Twelve], *Consumer[Twelve]) {
	src := lockOf(t, &Version{Name: "shop/twelve", Version: "1.0.0", UUID: wire.UUID{1}, ID: 7, Definition: twelve})
	return src, must(NewProducer[Twelve](t.Context(), src, "shop/twelve")), must(NewConsumer[Twelve](t.Context(), src, "shop/twelve"))
}

// TestAllocations holds that naming the schema costs no allocation, in no form,
// on either side.
func TestAllocations(t *testing.T) {
	src, _, c := twelveSource(t)
	schema, v := twmb.MustParse(twelve), aTwelve()
	buf := make([]byte, 0, 1000)
	var out Twelve
	bareEncode := testing.AllocsPerRun(100, func() { must(schema.AppendEncode(buf, v)) })
	payload := must(schema.Encode(v))
	bareDecode := testing.AllocsPerRun(100, func() { must(schema.Decode(payload, &out)) })
	for _, form := range []wire.Form{wire.Glue, wire.Confluent, wire.SingleObject} {
		p := must(NewProducer[Twelve](t.Context(), src, "shop/twelve", WithForm(form)))
		if n := testing.AllocsPerRun(100, func() { must(p.Append(buf, v)) }); n > bareEncode {
			t.Errorf("%s: encode allocates %v times, without a header %v", form, n, bareEncode)
		}
		message := must(p.Encode(v))
		if n := testing.AllocsPerRun(100, func() {
			if err := c.DecodeInto(t.Context(), message, &out); err != nil {
				t.Fatal(err)
			}
		}); n > bareDecode {
			t.Errorf("%s: decode allocates %v times, without a header %v", form, n, bareDecode)
		}
	}
	bare := must(NewConsumer[Twelve](t.Context(), src, "shop/twelve", WithBare("1.0.0"), WithForms()))
	if n := testing.AllocsPerRun(100, func() {
		if err := bare.DecodeInto(t.Context(), payload, &out); err != nil {
			t.Fatal(err)
		}
	}); n > bareDecode {
		t.Errorf("of a message that names no schema decode allocates %v times, the library %v", n, bareDecode)
	}
	ref := wire.Reference{Form: wire.Glue, UUID: wire.UUID{1}}
	if n := testing.AllocsPerRun(100, func() { c.readers.get(&ref) }); n != 0 {
		t.Errorf("a lookup allocates %v times", n)
	}
}

func BenchmarkEncode(b *testing.B) {
	_, p, _ := twelveSource(b)
	v := aTwelve()
	buf := make([]byte, 0, 1000)
	schema := twmb.MustParse(twelve)
	ratio(b, func() { must(schema.AppendEncode(buf, v)) }, func() { must(p.Append(buf, v)) })
}

func BenchmarkEncodeAlone(b *testing.B) {
	_, p, _ := twelveSource(b)
	v := aTwelve()
	schema := twmb.MustParse(twelve)
	ratio(b, func() { must(schema.Encode(v)) }, func() { must(p.Encode(v)) })
}

func BenchmarkDecode(b *testing.B) {
	_, p, c := twelveSource(b)
	message := must(p.Encode(aTwelve()))
	schema, ctx := twmb.MustParse(twelve), b.Context()
	payload := message[wire.GlueHeader:]
	ratio(b, func() {
		var v Twelve
		must(schema.Decode(payload, &v))
	}, func() {
		if v, err := c.Decode(ctx, message); err != nil || v.Count != 7 {
			b.Fatal(err)
		}
	})
}

func BenchmarkDecodeInto(b *testing.B) {
	_, p, c := twelveSource(b)
	message := must(p.Encode(aTwelve()))
	schema, ctx := twmb.MustParse(twelve), b.Context()
	payload := message[wire.GlueHeader:]
	var v Twelve
	ratio(b, func() { must(schema.Decode(payload, &v)) }, func() {
		if err := c.DecodeInto(ctx, message, &v); err != nil {
			b.Fatal(err)
		}
	})
}

// ratio measures what is ours against the floor, in turns, and reports both.
func ratio(b *testing.B, floor, ours func()) {
	measure := func(f func()) float64 {
		const calls = 20_000
		begin := b.Elapsed()
		for range calls {
			f()
		}
		return float64((b.Elapsed() - begin).Nanoseconds()) / calls
	}
	var low, high float64
	rounds := 0
	for b.Loop() {
		l, h := measure(floor), measure(ours)
		if rounds++; rounds == 1 || l < low {
			low = l
		}
		if rounds == 1 || h < high {
			high = h
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(low, "floor-ns")
	b.ReportMetric(high, "ours-ns")
	b.ReportMetric(high/low, "ratio")
}

func BenchmarkLookup(b *testing.B) {
	c := &cache[*Version]{}
	v := &Version{}
	refs := make([]wire.Reference, 100)
	for i := range refs {
		refs[i] = wire.Reference{Form: wire.Glue, UUID: newUUID()}
		c.put(refs[i], v)
	}
	for i := 0; b.Loop(); i++ {
		if got, ok := c.get(&refs[i%len(refs)]); !ok || got != v {
			b.Fatal("lost")
		}
	}
}

func BenchmarkLookupNamed(b *testing.B) {
	c := &cache[*Version]{}
	ref := wire.Reference{Form: wire.Named, Name: "shop/order", Version: "1.2.0"}
	c.put(ref, &Version{})
	for b.Loop() {
		if _, ok := c.get(&ref); !ok {
			b.Fatal("lost")
		}
	}
}

// BenchmarkUnion is what it takes to find out which record of a union a value is,
// beside the library alone, which is told.
func BenchmarkUnion(b *testing.B) {
	type event struct {
		Is any `avro:"is"`
	}
	src := lockOf(b, &Version{Name: "shop/event", Version: "1.0.0", UUID: wire.UUID{1}, Definition: doubtful})
	p := must(NewProducer[event](b.Context(), src, "shop/event"))
	b.Run("found", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			must(p.Encode(&event{Paid{"p"}}))
		}
	})
	b.Run("bare", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			must(p.Version().Schema().Encode(&event{map[string]any{"shop.Paid": Paid{"p"}}}))
		}
	})
}
