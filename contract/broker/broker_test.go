package broker

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/contract"
	"github.com/dhowhq/dhow/contract/registry"
	"github.com/dhowhq/dhow/contract/wire"
	"github.com/dhowhq/dhow/store"
	"github.com/dhowhq/dhow/store/storetest"
)

var here = cluster.Scope{Account: "123456789012", Region: "eu-west-1"}

// The versions of shop/order: a string id; then a total with a default; then a
// total of another type.
const (
	order10 = `{"type":"record","name":"Order","fields":[{"name":"id","type":"string"}]}`
	order11 = `{"type":"record","name":"Order","fields":[{"name":"id","type":"string"},{"name":"total","type":"double","default":0}]}`
	order20 = `{"type":"record","name":"Order","fields":[{"name":"id","type":"string"},{"name":"total","type":"string"}]}`
)

type fixture struct {
	testing.TB
	*Engine
	ctx      context.Context
	db       *store.DB
	registry *registry.Engine
	name     registry.Name
	versions []registry.Version
	tags     map[string]map[string]string // by ARN, for Config.Tags
}

func newFixture(t testing.TB, change func(*Config)) *fixture {
	f := &fixture{TB: t, ctx: context.Background(), db: storetest.Open(t), name: registry.Name{Scope: here, Registry: "shop", Schema: "order"}, tags: map[string]map[string]string{}}
	f.registry = registry.New(registry.Config{DB: f.db, Guard: func(ctx context.Context, v registry.Version) error { return f.Guard(ctx, v) }})
	c := Config{DB: f.db, Registry: f.registry, Tags: func(arn string) (map[string]string, bool) { tags, ok := f.tags[arn]; return tags, ok }}
	if change != nil {
		change(&c)
	}
	f.Engine = New(c)
	t.Cleanup(func() { f.Close(); f.registry.Close() })
	_, err := f.registry.CreateRegistry(f.ctx, registry.Registry{Scope: here, Name: "shop"})
	f.must(err)
	f.schema("order", order10, order11, order20)
	return f
}

func (f *fixture) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

// schema makes a schema of no compatibility with versions.
func (f *fixture) schema(name string, texts ...string) {
	f.Helper()
	_, _, err := f.registry.CreateSchema(f.ctx, registry.Schema{Scope: here, Registry: "shop", Name: name, Format: contract.Avro, Level: contract.None}, nil)
	f.must(err)
	for _, text := range texts {
		v, _, err := f.registry.Register(f.ctx, registry.Name{Scope: here, Registry: "shop", Schema: name}, registry.Definition{Text: text})
		f.must(err)
		f.versions = append(f.versions, v)
	}
}

// queue is a target with tags, in turns key and value.
func queue(tags ...string) Target {
	t := Target{Resource: Resource{here, "sqs", "orders"}, Tags: map[string]string{}}
	for i := 0; i < len(tags); i += 2 {
		t.Tags[tags[i]] = tags[i+1]
	}
	return t
}

func (f *fixture) check(t Target, m wire.Message) Verdict {
	f.Helper()
	return f.Check(f.ctx, t, m, Sender{Name: "arn:aws:iam::123456789012:user/ann"})
}

// Payloads: {"id":"a"}, the same with a total of 1.5, and with one of "x".
var (
	datum10 = []byte{2, 'a'}
	datum11 = binary.LittleEndian.AppendUint64([]byte{2, 'a'}, 0x3FF8000000000000)
	datum20 = []byte{2, 'a', 2, 'x'}
)

func (f *fixture) glue(version int, payload []byte) []byte {
	id, err := wire.ParseUUID(f.versions[version].ID)
	f.must(err)
	return append(wire.Reference{Form: wire.Glue, UUID: id}.AppendHeader(nil), payload...)
}

func (f *fixture) confluent(version int, payload []byte) []byte {
	return append(wire.Reference{Form: wire.Confluent, ID: uint32(f.versions[version].SchemaID)}.AppendHeader(nil), payload...)
}

func (f *fixture) single(version int, payload []byte) []byte {
	print, ok := f.print(f.versions[version])
	if !ok {
		f.Fatal("a version has no fingerprint")
	}
	return append(wire.Reference{Form: wire.SingleObject, Fingerprint: print}.AppendHeader(nil), payload...)
}

// binaryBody is a message of a service that carries bytes.
func binaryBody(b []byte) wire.Message { return wire.Message{Body: b} }

// textBody is one of a service that carries text, with attributes.
func textBody(s string, attributes ...string) wire.Message {
	m := wire.Message{Body: []byte(s), Text: true}
	if len(attributes) > 0 {
		m.Attribute = func(name string) string {
			for i := 0; i < len(attributes); i += 2 {
				if attributes[i] == name {
					return attributes[i+1]
				}
			}
			return ""
		}
	}
	return m
}

func b64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

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

// TestCheckTags says what is wrong with tags.
func TestCheckTags(t *testing.T) {
	const dead, gone = "arn:aws:sqs:eu-west-1:123456789012:dead", "arn:aws:sqs:eu-west-1:123456789012:gone"
	f := newFixture(t, func(c *Config) { c.Queue = func(arn string) bool { return arn != gone } })
	f.schema("empty")
	for _, c := range []struct {
		want string
		tags []string
	}{
		{"", []string{SchemaTag, "shop/order"}},
		{"", []string{SchemaTag, "shop/order@^1", ModeTag, "observe"}},
		{"", []string{SchemaTag, "shop/order@1.x", ModeTag, "dead-letter", DeadLetterTag, dead}},
		{"", []string{SchemaTag, "arn:aws:glue:eu-west-1:123456789012:schema/shop/order@1"}},
		{"another account or region", []string{SchemaTag, "arn:aws:glue:eu-west-2:123456789012:schema/shop/order"}},
		{"must be REGISTRY/NAME", []string{SchemaTag, "order"}},
		{"must be REGISTRY/NAME", []string{SchemaTag, ""}},
		{"must be REGISTRY/NAME", []string{SchemaTag, "shop/order@"}},
		{"must be REGISTRY/NAME", []string{SchemaTag, "a/b/c"}},
		{"not a range of versions", []string{SchemaTag, "shop/order@latest"}},
		{"names shop/none, which is not in the registry", []string{SchemaTag, "shop/none"}},
		{"has no version in that range", []string{SchemaTag, "shop/order@^7"}},
		{"has no version in that range", []string{SchemaTag, "shop/empty"}},
		{"must be reject, dead-letter or observe", []string{SchemaTag, "shop/order", ModeTag, "warn"}},
		{"has no dead-letter queue", []string{SchemaTag, "shop/order", ModeTag, "dead-letter"}},
		{"must be the ARN of an SQS queue", []string{SchemaTag, "shop/order", ModeTag, "dead-letter", DeadLetterTag, "dead"}},
		{"of the same account", []string{SchemaTag, "shop/order", ModeTag, "dead-letter", DeadLetterTag, "arn:aws:sqs:eu-west-1:999999999999:dead"}},
		{"does not exist", []string{SchemaTag, "shop/order", ModeTag, "dead-letter", DeadLetterTag, gone}},
		{"cannot be its own", []string{SchemaTag, "shop/order", ModeTag, "dead-letter", DeadLetterTag, "arn:aws:sqs:eu-west-1:123456789012:orders"}},
		{"there is no tag dhow:schema-moed", []string{SchemaTag, "shop/order", "dhow:schema-moed", "observe"}},
		{"does nothing without dhow:schema", []string{ModeTag, "observe"}},
	} {
		at := queue(c.tags...)
		err := f.CheckTags(f.ctx, at, at.Tags, Sender{})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%v: %v, want %q", c.tags, err, c.want)
		}
	}
}

// TestChange follows changes of tags and of the registry.
func TestChange(t *testing.T) {
	f := newFixture(t, nil)
	at := func() Target { return queue(SchemaTag, "shop/order@1") }
	m := binaryBody(f.glue(0, datum10))
	if v := f.check(at(), m); v.Err != nil {
		t.Fatal(v.Err)
	}
	if v := f.check(queue(SchemaTag, "shop/order@2"), m); v.Err == nil {
		t.Error("the tag has changed and the message passes still")
	}
	latest := textBody(`{"id":"a","total":"2","note":"x"}`)
	if v := f.check(queue(SchemaTag, "shop/order"), latest); v.Err == nil {
		t.Error("a message has a field that the latest version has not")
	}
	_, _, err := f.registry.Register(f.ctx, f.name, registry.Definition{Text: strings.Replace(order20, "]}", `,{"name":"note","type":"string"}]}`, 1)})
	f.must(err)
	if v := f.check(queue(SchemaTag, "shop/order"), latest); v.Err != nil {
		t.Errorf("the latest version has the field now: %v", v.Err)
	}
	_, err = f.registry.DeleteVersion(f.ctx, f.name, 1, true)
	f.must(err) // no resource is tagged, by Config.Tags
	if v := f.check(at(), m); v.Err == nil || !strings.Contains(v.Err.Error(), "which the registry does not have") {
		t.Errorf("the version was deleted: %v", v.Err)
	}
	if v := f.check(at(), binaryBody(f.glue(1, datum11))); v.Err != nil {
		t.Error(v.Err)
	}
	_, err = f.registry.DeleteSchema(f.ctx, f.name)
	f.must(err)
	if v := f.check(at(), binaryBody(f.glue(1, datum11))); v.Err == nil || !strings.Contains(v.Err.Error(), "names schema shop/order, which was deleted") {
		t.Errorf("the schema was deleted: %v", v.Err)
	}
	f.must(f.registry.Sweep(f.ctx))
	f.schema("order", order10)
	if v := f.check(at(), binaryBody(f.glue(3, datum10))); v.Err != nil {
		t.Errorf("the schema is there again: %v", v.Err)
	}
}

// TestAccess asks the policy check for callers and not for services.
func TestAccess(t *testing.T) {
	var asked []string
	f := newFixture(t, func(c *Config) {
		c.Allow = func(_ context.Context, action, arn string) error {
			asked = append(asked, action+" "+arn)
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
	want := "glue:GetSchemaVersion arn:aws:glue:eu-west-1:123456789012:schema/shop/order"
	if len(asked) != 2 || asked[0] != want || asked[1] != want {
		t.Errorf("asked for %q, want %q", asked, want)
	}
	if v := f.Check(f.ctx, at, binaryBody(f.glue(0, datum10)), Sender{Name: "arn:aws:sns:eu-west-1:123456789012:t", Service: true}); v.Err != nil {
		t.Errorf("a service is asked: %v", v.Err)
	}
}

// TestUsage counts, keeps the counts over a restart, and guards what is used.
func TestUsage(t *testing.T) {
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	f := newFixture(t, func(c *Config) { c.Now = func() time.Time { return now } })
	at := queue(SchemaTag, "shop/order@1")
	f.tags[at.ARN()] = at.Tags
	const task = "arn:aws:sts::123456789012:assumed-role/web/"
	for i := range 3 {
		if v := f.Check(f.ctx, at, binaryBody(f.glue(0, datum10)), Sender{Name: fmt.Sprint(task, "task", i)}); v.Err != nil {
			t.Fatal(v.Err)
		}
	}
	f.check(at, binaryBody(f.glue(1, datum10)))
	f.check(at, binaryBody(f.glue(2, datum20)))
	f.check(at, textBody("hello"))

	again := New(f.cfg)
	f.must(f.flush(f.ctx))
	list, err := again.Usage(f.ctx, f.name)
	f.must(err)
	got := map[string][2]int64{}
	for _, u := range list {
		if u.Resource != at.ARN() || !u.Last.Equal(now) || !u.First.Equal(now) {
			t.Errorf("a row is %+v", u)
		}
		got[u.Version+" "+u.Sender] = [2]int64{u.Accepted, u.Refused}
	}
	ann := "arn:aws:iam::123456789012:user/ann"
	want := map[string][2]int64{"1.0.0 arn:aws:sts::123456789012:assumed-role/web": {3, 0}, "1.1.0 " + ann: {0, 1}, "2.0.0 " + ann: {0, 1}, " " + ann: {0, 1}}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("counted %v, want %v", got, want)
	}
	again.Check(f.ctx, at, binaryBody(f.glue(0, datum10)), Sender{Name: task + "x"})
	if list, err = again.Usage(f.ctx, f.name); err != nil || list[1].Accepted != 4 {
		t.Errorf("after a restart: %+v, %v", list, err)
	}
	again.Close()

	_, err = f.registry.DeleteVersion(f.ctx, f.name, 1, true)
	if !errors.Is(err, registry.ErrInUse) || !strings.Contains(err.Error(), "took 4 messages of it from arn:aws:sts::123456789012:assumed-role/web") {
		t.Errorf("a version in use is deleted: %v", err)
	}
	if _, err = f.registry.DeleteVersion(f.ctx, f.name, 2, true); err != nil {
		t.Errorf("a version of which every message was refused: %v", err)
	}
	now = now.Add(Window + time.Second)
	if _, err = f.registry.DeleteVersion(f.ctx, f.name, 1, true); err != nil {
		t.Errorf("nobody has sent it for %v: %v", Window, err)
	}
	f.must(f.registry.Sweep(f.ctx))
	f.must(f.sweep(f.ctx))
	if list, err = f.Usage(f.ctx, f.name); err != nil || len(list) != 2 {
		t.Errorf("rows of deleted versions are left: %+v, %v", list, err)
	}
	f.check(at, textBody("hello"))
	if list, err = f.Usage(f.ctx, f.name); err != nil || len(list) != 2 || list[0].Refused != 2 {
		t.Errorf("counted on after the sweep: %+v, %v", list, err)
	}
	f.must(f.Reset(f.ctx, here.Account))
	if list, err = f.Usage(f.ctx, f.name); err != nil || len(list) != 0 {
		t.Errorf("after a reset: %+v, %v", list, err)
	}
}

// TestUntagged lets versions go of which a resource that is tagged no more took
// messages.
func TestUntagged(t *testing.T) {
	f := newFixture(t, nil)
	at := queue(SchemaTag, "shop/order@1")
	if v := f.check(at, binaryBody(f.glue(0, datum10))); v.Err != nil {
		t.Fatal(v.Err)
	}
	f.tags[at.ARN()] = map[string]string{SchemaTag: "shop/invoice"}
	if err := f.Guard(f.ctx, f.versions[0]); err != nil {
		t.Errorf("the queue takes another schema: %v", err)
	}
	f.tags[at.ARN()] = at.Tags
	if err := f.Guard(f.ctx, f.versions[0]); err == nil {
		t.Error("the version is in use")
	}
}

// TestManySenders bounds the counters.
func TestManySenders(t *testing.T) {
	f := newFixture(t, nil)
	at, m := queue(SchemaTag, "shop/order@1"), binaryBody(f.glue(0, datum10))
	const senders = 3 * maxSenders
	for i := range senders {
		f.Check(f.ctx, at, m, Sender{Name: fmt.Sprint("s", i)})
	}
	list, err := f.Usage(f.ctx, f.name)
	f.must(err)
	var sum int64
	for _, u := range list {
		sum += u.Accepted
	}
	if len(list) != maxSenders+1 || sum != senders {
		t.Errorf("%d rows with %d messages, want %d with %d", len(list), sum, maxSenders+1, senders)
	}
}

// TestDeletedUnderLoad deletes versions while messages of them come: a message
// is taken before the delete, and refused after it.
func TestDeletedUnderLoad(t *testing.T) {
	f := newFixture(t, nil)
	at := queue(SchemaTag, "shop/order@1")
	for _, version := range []int{0, 1} {
		m := binaryBody(f.glue(version, [][]byte{datum10, datum11}[version]))
		var deleted atomic.Bool
		var taken, refused atomic.Int64
		var work sync.WaitGroup
		stop := make(chan struct{})
		for range 4 {
			work.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					was := deleted.Load()
					v := f.check(at, m)
					switch {
					case v.Err == nil && was:
						t.Error("taken after the delete")
						return
					case v.Err == nil:
						taken.Add(1)
					default:
						refused.Add(1)
					}
				}
			})
		}
		for taken.Load() < 1000 {
			time.Sleep(time.Millisecond)
		}
		_, err := f.registry.DeleteVersion(f.ctx, f.name, int64(version+1), true)
		f.must(err)
		deleted.Store(true)
		for n := refused.Load(); refused.Load() < n+1000; {
			time.Sleep(time.Millisecond)
		}
		close(stop)
		work.Wait()
		list, err := f.Usage(f.ctx, f.name)
		f.must(err)
		var accepted int64
		for _, u := range list {
			if u.ID == f.versions[version].ID {
				accepted += u.Accepted
			}
		}
		if accepted != taken.Load() {
			t.Errorf("counted %d messages, %d were taken", accepted, taken.Load())
		}
	}
}

// TestUnknownReferences bounds what messages can make a plan remember.
func TestUnknownReferences(t *testing.T) {
	f := newFixture(t, nil)
	at := queue(SchemaTag, "shop/order@1")
	for i := range 1000 {
		m := append(wire.Reference{Form: wire.Glue, UUID: wire.UUID{0: byte(i), 1: byte(i >> 8)}}.AppendHeader(nil), datum10...)
		if v := f.check(at, binaryBody(m)); v.Err == nil {
			t.Fatal("a version that nobody has is taken")
		}
	}
	if v := f.check(at, binaryBody(f.glue(1, datum11))); v.Err != nil {
		t.Error(v.Err)
	}
	if n := len(*f.plan(&at).known.Load()); n > maxBad+2 {
		t.Errorf("the plan remembers %d references", n)
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
