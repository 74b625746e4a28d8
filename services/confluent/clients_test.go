package confluent

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/sr"

	"github.com/dhowhq/dhow/internal/sdktest"
)

// TestFranz drives the API with franz-go's client.
func TestFranz(t *testing.T) {
	f := newFixture(t)
	c, err := sr.NewClient(sr.URLs(f.url), sr.BasicAuth(here.Account, "any"))
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	base, err := c.CreateSchema(ctx, "orders-value", sr.Schema{Schema: record("id")})
	if err != nil || base.ID != 1 || base.Version != 1 || base.Subject != "orders-value" {
		t.Fatalf("created %+v, %v", base, err)
	}
	if set := c.SetCompatibility(ctx, sr.SetCompatibility{Level: sr.CompatFullTransitive}, "orders-value"); set[0].Err != nil || set[0].Level != sr.CompatFullTransitive {
		t.Errorf("the level is set to %+v", set)
	}
	_, err = c.CreateSchema(ctx, "orders-value", sr.Schema{Schema: record("id total")})
	var refused *sr.ResponseError
	if !errors.As(err, &refused) || refused.ErrorCode != 409 || !strings.Contains(refused.Message, "total") {
		t.Errorf("what breaks is answered by %v", err)
	}
	if ok, err := c.CheckCompatibility(ctx, "orders-value", -1, sr.Schema{Schema: record("id total?")}); err != nil || !ok.Is {
		t.Errorf("check: %+v, %v", ok, err)
	}
	if _, err = c.CreateSchema(ctx, "orders-value", sr.Schema{Schema: record("id total?")}); err != nil {
		t.Fatal(err)
	}
	if v, err := c.SubjectVersions(ctx, "orders-value"); err != nil || !slices.Equal(v, []int{1, 2}) {
		t.Errorf("versions are %v, %v", v, err)
	}
	if s, err := c.SchemaByID(ctx, 2); err != nil || s.Schema != record("id total?") {
		t.Errorf("schema 2 is %+v, %v", s, err)
	}
	if s, err := c.LookupSchema(ctx, "orders-value", sr.Schema{Schema: record("id")}); err != nil || s.Version != 1 {
		t.Errorf("looked up %+v, %v", s, err)
	}
	if v, err := c.DeleteSubject(ctx, "orders-value", sr.SoftDelete); err != nil || !slices.Equal(v, []int{1, 2}) {
		t.Errorf("deleted %v, %v", v, err)
	}
	if s, err := c.Subjects(sr.WithParams(ctx, sr.ShowDeleted)); err != nil || !slices.Equal(s, []string{"orders-value"}) {
		t.Errorf("subjects are %v, %v", s, err)
	}
	wire(t, c)
}

// wire has the client's serializer write and read what names its schema by id.
func wire(t *testing.T, c *sr.Client) {
	created, err := c.CreateSchema(context.Background(), "wire", sr.Schema{Schema: `"int"`})
	if err != nil {
		t.Fatal(err)
	}
	var serde sr.Serde
	serde.Register(created.ID, byte(0),
		sr.EncodeFn(func(v any) ([]byte, error) { return []byte{2 * v.(byte)}, nil }), // zigzag
		sr.DecodeFn(func(b []byte, v any) error { *v.(*byte) = b[0] / 2; return nil }))
	b, err := serde.Encode(byte(7))
	if err != nil || len(b) != 6 || b[0] != 0 || int(b[4]) != created.ID {
		t.Fatalf("encoded %v, %v", b, err)
	}
	var v byte
	if err := serde.Decode(b, &v); err != nil || v != 7 {
		t.Errorf("decoded %v, %v", v, err)
	}
}

// TestKafkaJS runs the npm package @kafkajs/confluent-schema-registry.
func TestKafkaJS(t *testing.T) {
	cmd := sdktest.Node(t, "testdata/kafkajs.mjs", []string{"@kafkajs/confluent-schema-registry@3"}, newFixture(t).url)
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "done") {
		t.Errorf("%v: %s", err, out)
	}
}
