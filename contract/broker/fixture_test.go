package broker

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"testing"

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
	f.registry = registry.New(registry.Config{DB: f.db, Guard: func(ctx context.Context, list []registry.Version) error { return f.Guard(ctx, list) }})
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
