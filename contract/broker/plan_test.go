package broker

import (
	"strings"
	"testing"

	"github.com/dhowhq/dhow/contract/registry"
	"github.com/dhowhq/dhow/contract/wire"
)

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
	if v := f.check(queue(SchemaTag, "shop/order@1", ModeTag, "observe"), binaryBody(f.glue(1, datum11))); v.Err != nil {
		t.Errorf("the schema was deleted, and a queue that only observes: %v", v.Err)
	}
	f.must(f.registry.Sweep(f.ctx))
	f.schema("order", order10)
	if v := f.check(at(), binaryBody(f.glue(3, datum10))); v.Err != nil {
		t.Errorf("the schema is there again: %v", v.Err)
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

// TestUnknownPrints goes through the versions once, however many fingerprints
// messages make up, and again when there is another version.
func TestUnknownPrints(t *testing.T) {
	f := newFixture(t, nil)
	at := queue(SchemaTag, "shop/order@1")
	for i := range 200 {
		m := append(wire.Reference{Form: wire.SingleObject, Fingerprint: uint64(i)}.AppendHeader(nil), datum10...)
		if v := f.check(at, binaryBody(m)); v.Err == nil {
			t.Fatal("a fingerprint that nobody has is taken")
		}
	}
	p := f.plan(&at)
	if n := len(p.prints); n != 3 {
		t.Errorf("%d fingerprints of three versions", n)
	}
	for i, datum := range [][]byte{datum10, datum11} {
		if v := f.check(at, binaryBody(f.single(i, datum))); v.Err != nil {
			t.Error(v.Err)
		}
	}
	_, _, err := f.registry.Register(f.ctx, f.name, registry.Definition{Text: strings.Replace(order11, "]}", `,{"name":"more","type":"int","default":0}]}`, 1)})
	f.must(err)
	f.check(at, binaryBody(f.single(0, datum10)))
	again := f.plan(&at)
	f.check(at, binaryBody(append(wire.Reference{Form: wire.SingleObject, Fingerprint: 7}.AppendHeader(nil), datum10...)))
	if again == p || len(again.prints) != 4 {
		t.Errorf("after another version: %d fingerprints", len(again.prints))
	}
}
