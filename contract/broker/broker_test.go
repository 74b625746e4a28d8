package broker

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/dhowhq/dhow/contract"
	"github.com/dhowhq/dhow/contract/registry"
	"github.com/dhowhq/dhow/contract/wire"
)

// TestForms holds every form of reference to what it names.
func TestForms(t *testing.T) {
	f := newFixture(t, nil)
	f.schema("invoice", `{"type":"record","name":"Invoice","fields":[{"name":"no","type":"long"}]}`)
	unknown, err := wire.ParseUUID("b7b4a7f0-9c96-4e4a-a687-fb5de9ef0c63")
	f.must(err)
	nobody := append(wire.Reference{Form: wire.Glue, UUID: unknown}.AppendHeader(nil), datum10...)
	for _, c := range []struct {
		name string
		m    wire.Message
		want string // part of the refusal; "" passes
	}{
		{"Glue, the older version", binaryBody(f.glue(0, datum10)), ""},
		{"Glue, the newer version", binaryBody(f.glue(1, datum11)), ""},
		{"Glue in base64", textBody(b64(f.glue(1, datum11))), ""},
		{"Glue, compressed", binaryBody(wire.AppendZlib(nil, wire.UUID(f.glue(1, nil)[2:18]), datum11)), ""},
		{"Glue, of the other version's bytes", binaryBody(f.glue(1, datum10)), "not of shop/order@1.1.0, which it names: Order.total: the bytes end within double"},
		{"Glue, out of range", binaryBody(f.glue(2, datum20)), "of shop/order@2.0.0, and the queue takes shop/order@^1 only"},
		{"Glue, of another schema", binaryBody(f.glue(3, []byte{2})), "of schema shop/invoice, and the queue takes shop/order@^1 only"},
		{"Glue, of nobody", binaryBody(nobody), "names schema version b7b4a7f0-9c96-4e4a-a687-fb5de9ef0c63, which the registry does not have"},
		{"Glue, cut off", binaryBody(f.glue(1, nil)[:9]), "the Glue header is cut off"},
		{"Confluent", binaryBody(f.confluent(0, datum10)), ""},
		{"Confluent in base64", textBody(b64(f.confluent(1, datum11))), ""},
		{"Confluent, bad", binaryBody(f.confluent(0, datum11)), "8 bytes are left over"},
		{"Confluent, of nobody", binaryBody([]byte{0, 0, 1, 0, 0, 2, 'a'}), "names schema id 65536, which the registry does not have"},
		{"single object", binaryBody(f.single(0, datum10)), ""},
		{"single object in base64", textBody(b64(f.single(1, datum11))), ""},
		{"single object, bad", binaryBody(f.single(1, datum20)), "not of shop/order@1.1.0"},
		{"single object, of nobody", binaryBody([]byte{0xC3, 1, 1, 2, 3, 4, 5, 6, 7, 8, 2, 'a'}), "names fingerprint 0807060504030201, which"},
		{"named, binary", textBody(b64(datum10), "dataschema", "shop/order", "dataschemaversion", "1.0.0", "datacontenttype", "avro/binary"), ""},
		{"named twice", textBody(b64(f.glue(0, datum10)), "dataschema", "shop/order", "dataschemaversion", "1.0.0"), "Its payload begins like a header of the form Glue: where dataschema names the schema there is none"},
		{"Glue, and a URI of CloudEvents", textBody(b64(f.glue(0, datum10)), "dataschema", "https://schemas.example/order.avsc"), ""},
		{"a URI of CloudEvents alone", textBody(b64(datum11), "dataschema", "https://schemas.example/order.avsc"), `names schema "https://schemas.example/order.avsc"`},
		{"named by its ARN", textBody(b64(datum10), "dataschema", "arn:aws:glue:eu-west-1:123456789012:schema/shop/order", "dataschemaversion", "1.0.0"), ""},
		{"named, JSON", textBody(`{"id":"a","total":1.5}`, "dataschema", "shop/order", "dataschemaversion", "1.1.0"), ""},
		{"named, JSON, bad", textBody(`{"id":"a","total":"x"}`, "dataschema", "shop/order", "dataschemaversion", "1.1.0"), "Order.total"},
		{"named, not base64", textBody(`%`, "dataschema", "shop/order", "dataschemaversion", "1.0.0", "datacontenttype", "avro/binary"), "base64"},
		{"named without a version", textBody(`{"id":"a"}`, "dataschema", "shop/order"), ""},
		{"named in another account", textBody(b64(datum10), "dataschema", "arn:aws:glue:eu-west-1:999999999999:schema/shop/order", "dataschemaversion", "1.0.0"), "names schema"},
		{"named, of another schema", textBody(`{"no":1}`, "dataschema", "shop/invoice", "dataschemaversion", "1.0.0"), `names schema "shop/invoice" in dataschema, and the queue takes shop/order@^1 only`},
		{"named, of a version that is none", textBody(`{"id":"a"}`, "dataschema", "shop/order", "dataschemaversion", "latest"), "not a semantic version"},
		{"named, of a version that nobody has", textBody(`{"id":"a"}`, "dataschema", "shop/order", "dataschemaversion", "1.7.0"), "names schema shop/order@1.7.0, which the registry does not have"},
		{"a short name", textBody(`{"id":"a"}`, "dataschema", "a/b"), `names schema "a/b"`},
		{"CloudEvents", textBody(`{"specversion":"1.0","id":"1","type":"t","source":"s","dataschema":"shop/order","dataschemaversion":"1.0.0","data":{"id":"a"}}`), ""},
		{"CloudEvents, bad", textBody(`{"specversion":"1.0","id":"1","type":"t","source":"s","dataschema":"shop/order","dataschemaversion":"1.0.0","data":{"id":1}}`), "Order.id"},
		{"nothing named, JSON of the latest", textBody(`{"id":"a","total":2}`), ""},
		{"nothing named, JSON of none", textBody(`{"name":"a"}`), "does not say which version of shop/order it is, and is not of 1.1.0"},
		{"nothing named, bytes of the latest", binaryBody(datum11), ""},
		{"nothing named, bytes of an older", binaryBody(datum10), "does not say which version"},
		{"nothing named, text", textBody("hello"), "name the version by a header"},
		{"nothing named, text of none", textBody("hello"), "1.1.0, the latest that the queue takes: its text is neither JSON nor base64 of a payload with a header: "},
		{"nothing named, JSON cut short", textBody(`{"id":"a",`), "its text is neither JSON nor"},
		{"nothing named, bytes in base64", textBody(b64(datum11)), "its text is neither JSON nor base64 of a payload with a header"},
		{"nothing", binaryBody(nil), "does not say which version"},
	} {
		v := f.check(queue(SchemaTag, "shop/order@^1"), c.m)
		switch {
		case c.want == "" && v.Err != nil:
			t.Errorf("%s: refused: %v", c.name, v.Err)
		case c.want != "" && (v.Err == nil || !strings.Contains(v.Err.Error(), c.want)):
			t.Errorf("%s: %v, want %q", c.name, v.Err, c.want)
		}
	}
}

// TestPlain takes payloads without a header whose first bytes look like one.
func TestPlain(t *testing.T) {
	f := newFixture(t, nil)
	f.schema("blob", `{"type":"record","name":"Blob","fields":[{"name":"id","type":["null","string"]},{"name":"n","type":"long"},{"name":"d","type":"double"}]}`)
	at := queue(SchemaTag, "shop/blob")
	good := append([]byte{0, 2}, make([]byte, 8)...) // null, 1, 0.0
	if v := f.check(at, binaryBody(good)); v.Err != nil {
		t.Errorf("refused: %v", v.Err)
	}
	if v := f.check(at, binaryBody(good[:9])); v.Err == nil {
		t.Error("a payload that is cut off is taken")
	}
}

// TestOtherFormats checks messages of Protobuf and of JSON Schema.
func TestOtherFormats(t *testing.T) {
	f := newFixture(t, nil)
	make := func(name string, format contract.Format, text string) {
		_, v, err := f.registry.CreateSchema(f.ctx, registry.Schema{Scope: here, Registry: "shop", Name: name, Format: format, Level: contract.None}, &registry.Definition{Text: text})
		f.must(err)
		f.versions = append(f.versions, v)
	}
	make("proto", contract.Protobuf, `syntax = "proto3"; message Z { string id = 1; } message A { int64 n = 1; }`) // 3
	make("json", contract.JSON, `{"type":"object","properties":{"id":{"type":"string"}},"required":["id"]}`)       // 4
	z, a := []byte{10, 1, 'a'}, []byte{8, 1}
	named := func(schema, body string) wire.Message {
		return textBody(body, "dataschema", schema, "dataschemaversion", "1.0.0")
	}
	for _, c := range []struct {
		schema, name, want string
		m                  wire.Message
	}{
		{"proto", "Confluent, the first message", "", binaryBody(f.confluent(3, append([]byte{0}, z...)))},
		{"proto", "Confluent, the second", "", binaryBody(f.confluent(3, append([]byte{2, 2}, a...)))},
		{"proto", "Confluent, the other's bytes", "Z.id", binaryBody(f.confluent(3, append([]byte{0}, a...)))},
		{"proto", "Glue, the second by name", "", binaryBody(f.glue(3, append([]byte{1}, z...)))},
		{"proto", "Glue, the other's bytes", "A.n", binaryBody(f.glue(3, append([]byte{0}, z...)))},
		{"proto", "Glue, no such message", "does not begin with the number", binaryBody(f.glue(3, append([]byte{2}, z...)))},
		{"proto", "Glue, nothing", "does not begin with the number", binaryBody(f.glue(3, nil))},
		{"proto", "no header", "", binaryBody(z)},
		{"proto", "JSON", "send it in binary", named("shop/proto", `{"id":"a"}`)},
		{"json", "named", "", named("shop/json", `{"id":"a"}`)},
		{"json", "named, bad", "id", named("shop/json", `{"id":1}`)},
		{"json", "no name", "", textBody(`{"id":"a"}`)},
		{"json", "no name, bad", "does not say which version", textBody(`{"name":"a"}`)},
		{"json", "Glue", "", binaryBody(f.glue(4, []byte(`{"id":"a"}`)))},
		{"json", "Glue, bad", "id", binaryBody(f.glue(4, []byte(`{}`)))},
		{"json", "Confluent in base64", "", textBody(b64(f.confluent(4, []byte(`{"id":"a"}`))))},
	} {
		v := f.check(queue(SchemaTag, "shop/"+c.schema), c.m)
		if c.want == "" && v.Err != nil || c.want != "" && (v.Err == nil || !strings.Contains(v.Err.Error(), c.want)) {
			t.Errorf("%s, %s: %v, want %q", c.schema, c.name, v.Err, c.want)
		}
	}
}

// TestModes compares the modes on a message that is refused.
func TestModes(t *testing.T) {
	const dead = "arn:aws:sqs:eu-west-1:123456789012:dead"
	f := newFixture(t, nil)
	bad := textBody("hello")
	if v := f.check(queue(SchemaTag, "shop/order"), bad); v.Err == nil || v.DeadLetter != "" {
		t.Errorf("reject: %+v", v)
	}
	if v := f.check(queue(SchemaTag, "shop/order", ModeTag, "observe"), bad); v.Err != nil {
		t.Errorf("observe: %+v", v)
	}
	if v := f.check(queue(SchemaTag, "shop/order", ModeTag, "dead-letter", DeadLetterTag, dead), bad); v.Err == nil || v.DeadLetter != dead {
		t.Errorf("dead-letter: %+v", v)
	}
	own := queue(SchemaTag, "shop/order", ModeTag, "dead-letter")
	own.DeadLetter = dead
	if v := f.check(own, bad); v.Err == nil || v.DeadLetter != dead {
		t.Errorf("dead-letter of the queue's own: %+v", v)
	}
	own.DeadLetter = ""
	if v := f.check(own, textBody(`{"id":"a","total":"x"}`)); v.Err == nil || v.DeadLetter != "" {
		t.Errorf("dead-letter, and the queue has lost its own: %+v", v)
	}
	var r *Refusal
	if v := f.check(queue(SchemaTag, "shop/order@1"), textBody(`{"id":1,"total":2}`)); !errors.As(v.Err, &r) || r.Schema != "shop/order" || r.Version != "1.1.0" {
		t.Errorf("the refusal is %+v", v.Err)
	}
	if v := f.check(queue(SchemaTag, "shop/order@1"), textBody(`{"id":"`+strings.Repeat("é", 5000)+`"`)); v.Err == nil || len(v.Err.Error()) > maxReason+10 {
		t.Errorf("a long refusal has %d bytes", len(v.Err.Error()))
	}
}

// TestAccess asks the policy check for callers and not for services.
func TestAccess(t *testing.T) {
	var asked []string
	f := newFixture(t, func(c *Config) {
		c.Allow = func(_ context.Context, action string, resources ...string) error {
			asked = append(asked, action+" "+strings.Join(resources, " "))
			return errors.New("User: ann is not authorized")
		}
	})
	at := queue(SchemaTag, "shop/order@1", ModeTag, "observe")
	var denied *Denied
	if v := f.check(at, binaryBody(f.glue(0, datum10))); !errors.As(v.Err, &denied) {
		t.Errorf("the verdict is %+v", v)
	}
	if err := f.CheckTags(f.ctx, at, at.Tags, Sender{}); !errors.As(err, &denied) {
		t.Errorf("the tags are taken: %v", err)
	}
	if v := f.check(queue(SchemaTag, "shop/gone"), textBody(`{}`)); !errors.As(v.Err, &denied) {
		t.Errorf("whoever may not read a schema is told that it is not there: %+v", v)
	}
	const names = "glue:GetSchemaVersion arn:aws:glue:eu-west-1:123456789012:registry/shop arn:aws:glue:eu-west-1:123456789012:schema/shop/"
	if want := []string{names + "order", names + "order", names + "gone"}; !slices.Equal(asked, want) {
		t.Errorf("asked for %q, want %q", asked, want)
	}
	if v := f.Check(f.ctx, at, binaryBody(f.glue(0, datum10)), Sender{Name: "arn:aws:sns:eu-west-1:123456789012:t", Service: true}); v.Err != nil {
		t.Errorf("a service is asked: %v", v.Err)
	}
}

func FuzzCheck(f *testing.F) {
	x := newFixture(f, nil)
	f.Add(x.glue(1, datum11), "", false)
	f.Add([]byte(b64(x.confluent(1, datum11))), "shop/order", true)
	f.Add([]byte(`{"dataschema":"shop/order","dataschemaversion":"1.0.0","data":{"id":"a"}}`), "", true)
	at := queue(SchemaTag, "shop/order@1")
	f.Fuzz(func(t *testing.T, body []byte, schema string, text bool) {
		m := wire.Message{Body: body, Text: text, Attribute: func(name string) string {
			if name == wire.SchemaAttribute {
				return schema
			}
			return ""
		}}
		if v := x.Check(x.ctx, at, m, Sender{}); v.Err != nil && len(v.Err.Error()) > maxReason+10 {
			t.Errorf("a refusal of %d bytes", len(v.Err.Error()))
		}
	})
}
