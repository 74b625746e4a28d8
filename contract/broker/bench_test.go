package broker

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/dhowhq/dhow/contract"
	"github.com/dhowhq/dhow/contract/registry"
	"github.com/dhowhq/dhow/contract/wire"
	"github.com/dhowhq/dhow/internal/awsapi"
)

const wide = `{"type":"record","name":"Sale","fields":[
 {"name":"id","type":"string"},{"name":"customer","type":"string"},{"name":"note","type":["null","string"]},
 {"name":"total","type":"double"},{"name":"count","type":"int"},{"name":"at","type":"long"},
 {"name":"paid","type":"boolean"},{"name":"state","type":{"type":"enum","name":"State","symbols":["NEW","SENT"]}},
 {"name":"tags","type":{"type":"array","items":"string"}},{"name":"address","type":"string"},
 {"name":"city","type":"string"},{"name":"more","type":{"type":"map","values":"string"}}]}`

// sale is a message of 300 bytes with 12 fields.
func sale(b testing.TB, s contract.Schema) []byte {
	str := func(out []byte, s string) []byte { return append(binary.AppendVarint(out, int64(len(s))), s...) }
	p := str(nil, "b7b4a7f0-9c96-4e4a-a687-fb5de9ef0c63")
	p = str(p, "ann@example.com")
	p = str(append(p, 2), "ring twice")
	p = append(p, 1, 2, 3, 4, 5, 6, 7, 8)
	p = binary.AppendVarint(p, 12)
	p = binary.AppendVarint(p, 1764201600000)
	p = append(p, 1, 2)
	p = append(str(str(append(p, 4), "gift"), "express"), 0)
	p = str(p, "12 Harbour Street, third floor, behind the old custom house")
	p = str(p, "Zanzibar")
	p = append(p, 4)
	p = str(str(p, "origin"), "mobile")
	p = str(p, "campaign")
	p = append(str(p, strings.Repeat("x", 300-len(p)-3)), 0)
	if err := s.Validate(p); err != nil || len(p) != 300 {
		b.Fatalf("%d bytes, %v", len(p), err)
	}
	return p
}

func benchFixture(b *testing.B) (*fixture, []byte) {
	f := newFixture(b, nil)
	f.schema("sale", wide)
	l, err := f.registry.ByNumber(registry.Name{Scope: here, Registry: "shop", Schema: "sale"}, 1)
	f.must(err)
	return f, sale(b, l.Contract)
}

func BenchmarkCheck(b *testing.B) {
	f, payload := benchFixture(b)
	at := queue(SchemaTag, "shop/sale@1")
	named := func(name string) string {
		return map[string]string{"dataschema": "shop/sale", "dataschemaversion": "1.0.0", "datacontenttype": "avro/binary"}[name]
	}
	for _, c := range []struct {
		name string
		m    wire.Message
	}{
		{"Glue", binaryBody(f.glue(3, payload))},
		{"Glue in base64", textBody(b64(f.glue(3, payload)))},
		{"Confluent in base64", textBody(b64(f.confluent(3, payload)))},
		{"named", wire.Message{Body: []byte(b64(payload)), Text: true, Attribute: named}},
	} {
		b.Run(c.name, func(b *testing.B) {
			by := Sender{Name: "arn:aws:sts::123456789012:assumed-role/web/task1"}
			for b.Loop() {
				if v := f.Check(f.ctx, at, c.m, by); v.Err != nil {
					b.Fatal(v.Err)
				}
			}
		})
	}
	b.Run("Glue, where policies do not count", func(b *testing.B) {
		f.cfg.Allow = awsapi.Allow
		defer func() { f.cfg.Allow = nil }()
		ctx := awsapi.WithCall(f.ctx, &awsapi.Call{})
		m, by := binaryBody(f.glue(3, payload)), Sender{Name: "arn:aws:sts::123456789012:assumed-role/web/task1"}
		b.ReportAllocs()
		for b.Loop() {
			if v := f.Check(ctx, at, m, by); v.Err != nil {
				b.Fatal(v.Err)
			}
		}
	})
	b.Run("floor: validation alone", func(b *testing.B) {
		s := f.versions[3]
		l, err := f.registry.ByNumber(s.Schema(), 1)
		f.must(err)
		for b.Loop() {
			if err := l.Contract.Validate(payload); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("untagged", func(b *testing.B) {
		tags := map[string]string{"team": "shop"}
		for b.Loop() {
			if Tagged(tags) {
				b.Fatal("it is not")
			}
		}
	})
}
