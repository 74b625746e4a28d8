package avro

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	kinesistypes "github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	twmb "github.com/twmb/avro"

	"encoding/json"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/dhowhq/dhow/contract"
	registryavro "github.com/dhowhq/dhow/contract/avro"
	"github.com/dhowhq/dhow/contract/wire"
)

func TestEachForm(t *testing.T) {
	src := orders(t)
	c := must(NewConsumer[Order](t.Context(), src, "shop/order@1.1.0"))
	for _, opts := range [][]Option{nil, {WithZlib()}, {WithForm(wire.Glue)}, {WithForm(wire.Confluent)}, {WithForm(wire.SingleObject)}} {
		p := must(NewProducer[Order](t.Context(), src, "shop/order@1.1.0", opts...))
		in := anOrder()
		data, err := p.Encode(&in)
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.Decode(t.Context(), data)
		if err != nil || got.String() != in.String() {
			t.Errorf("%s: %s, %v", p.Reference(), got, err)
		}
		text, attributes, err := p.Text(&in)
		if err != nil || attributes != nil {
			t.Fatal(attributes, err)
		}
		if got, err := c.SNS(t.Context(), []byte(text)); err != nil || got.String() != in.String() {
			t.Errorf("%s as text: %s, %v", p.Reference(), got, err)
		}
	}
}

// TestVersions has what 1.0.0 wrote read as 1.1.0, the other way round, and what
// neither can read refused.
func TestVersions(t *testing.T) {
	src, ctx := orders(t), t.Context()
	in := anOrder()
	old := must(NewProducer[Order10](ctx, src, "shop/order@~1.0"))
	young := must(NewProducer[Order](ctx, src, "shop/order@^1"))
	if v := young.Version().Version; v != "1.1.0" {
		t.Errorf("^1 is %s", v)
	}
	data := must(old.Encode(&Order10{in.ID, in.Total, in.Lines}))
	got, err := must(NewConsumer[Order](ctx, src, "shop/order@^1")).Decode(ctx, data)
	if in.Note = nil; err != nil || got.String() != in.String() {
		t.Errorf("1.0.0 as 1.1.0: %s, %v", got, err)
	}
	data = must(young.Encode(&in))
	back, err := must(NewConsumer[Order10](ctx, src, "shop/order@1.0.0")).Decode(ctx, data)
	if err != nil || back.ID != in.ID || len(back.Lines) != 2 {
		t.Errorf("1.1.0 as 1.0.0: %+v, %v", back, err)
	}

	type gone struct {
		ID string `avro:"id"`
	}
	data = must(must(NewProducer[gone](ctx, src, "shop/order")).Encode(&gone{"o"}))
	c := must(NewConsumer[Order](ctx, src, "shop/order@1.1.0"))
	for range 2 { // from the cache as well
		_, err = c.Decode(ctx, data)
		var why *twmb.CompatibilityError
		if !errors.Is(err, ErrUnreadable) || !errors.As(err, &why) || !strings.Contains(err.Error(), "shop/order@2.0.0 was written, and shop/order@1.1.0 cannot read it") {
			t.Errorf("2.0.0 as 1.1.0: %v", err)
		}
	}
}

func TestRefused(t *testing.T) {
	src, ctx := orders(t), t.Context()
	c := must(NewConsumer[Order](ctx, src, "shop/order@1.1.0"))
	refund := must(src.Find(ctx, "shop/refund", wire.Reference{Form: wire.Confluent, ID: 90}))
	strange := wire.Reference{Form: wire.Glue, UUID: wire.UUID{7}}
	for _, tt := range []struct {
		name string
		data []byte
		is   error
		says string
	}{
		{"no reference", []byte{2, 2}, ErrNoReference, "the message names no schema version"},
		{"unknown", strange.AppendHeader(nil), ErrUnknown, "07000000-0000-0000-0000-000000000000 is not among the embedded versions of shop/order (shop/order@1.0.0"},
		{"another schema", must(refund.Reference(wire.Glue)).AppendHeader(nil), ErrUnknown, "shop/order"},
		{"another name", []byte(`{"dataschema":"shop/refund@1.0.0","data":{}}`), ErrUnknown, "the message is of schema shop/refund@1.0.0, and shop/order is read here"},
		{"cut", []byte{3, 0, 1}, nil, "the Glue header is cut off: 3 of 18 bytes"},
	} {
		_, err := c.Decode(ctx, tt.data)
		if err == nil || tt.is != nil && !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	limited := must(NewConsumer[Order](ctx, src, "shop/order@1.1.0", WithLimit(1000)))
	var large *wire.LimitError
	if _, err := limited.Decode(ctx, wire.AppendZlib(nil, wire.UUID{1, 1}, make([]byte, 1<<20))); !errors.As(err, &large) || large.Limit != 1000 {
		t.Error(err)
	}
}

// TestInvalid holds that errors say where in a message or value they are.
func TestInvalid(t *testing.T) {
	src, ctx := orders(t), t.Context()
	p := must(NewProducer[Order](ctx, src, "shop/order@1.1.0"))
	c := must(NewConsumer[Order](ctx, src, "shop/order@1.1.0"))
	in := anOrder()
	in.Lines[1].Kind = "GIFT"
	var why *Invalid
	if data, err := p.Encode(&in); !errors.As(err, &why) || why.Schema != "shop/order@1.1.0" || why.Path != "Order.lines.kind" || !strings.Contains(why.Detail, "GIFT") {
		t.Errorf("%x, %v", data, err)
	}
	if _, err := must(NewProducer[map[string]any](ctx, src, "shop/order@1.1.0")).Encode(&map[string]any{"id": "o", "total": "many", "lines": nil}); !errors.As(err, &why) || why.Path != "Order.total" {
		t.Error(err)
	}
	header := p.Reference().AppendHeader(nil)
	for _, tt := range []struct{ payload, path, detail string }{
		{"", "Order.id", "short buffer"},
		{"\x02o\x04\x04\x02s\x00\x02s\x7e\x00\x00", "Order.lines[1].kind", "enum index 63 out of range"},
		{"\x02o\x04\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", "Order.lines[0].sku", "exceeds"},
		{"\x02o\x04\x00\x08", "Order.note", "union index"},
		{"\x02o\x04\x00\x00left", "Order", "4 bytes are left over"},
	} {
		_, err := c.Decode(ctx, append(header, tt.payload...))
		if !errors.As(err, &why) || why.Path != tt.path || !strings.Contains(why.Detail, tt.detail) {
			t.Errorf("%q: %v", tt.payload, err)
		}
	}
	deep := `{"type":"record","name":"Tree","fields":[{"name":"leaves","type":{"type":"map","values":["null","Tree"]}}]}`
	tree := must(NewConsumer[any](ctx, lockOf(t, &Version{Name: "a/tree", Version: "1.0.0", Definition: deep}), "a/tree", WithBare("1.0.0"), WithForms()))
	_, err := tree.Decode(ctx, []byte("\x02\x04ab\x02\x01\x02\x02c\x06\x00\x00"))
	if !errors.As(err, &why) || why.Path != `Tree.leaves["ab"].leaves["c"]` {
		t.Error(err)
	}
	_, err = tree.Decode(ctx, []byte(strings.Repeat("\x02\x02c\x02", 100_000)))
	if !errors.As(err, &why) || len(why.Error()) > 5_000 {
		t.Errorf("%.200s", err)
	}
	_, err = c.Event(ctx, []byte(`{"dataschema":"shop/order@1.1.0","data":{"id":"o","total":"x","lines":[]}}`))
	if !errors.As(err, &why) || why.Path != "Order.total" {
		t.Error(err)
	}
}

// TestServices has a value travel through each service's types, in each form.
func TestServices(t *testing.T) {
	src, ctx := orders(t), t.Context()
	c := must(NewConsumer[Order](ctx, src, "shop/order@1.1.0"))
	in := anOrder()
	check := func(name string, got *Order, err error) {
		t.Helper()
		if err != nil || got.String() != in.String() {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
	for _, form := range []wire.Form{wire.Glue, wire.Confluent, wire.SingleObject, wire.Named} {
		p := must(NewProducer[Order](ctx, src, "shop/order@1.1.0", WithForm(form)))
		send := must(p.SQS("http://queue", &in))
		got, err := c.SQS(ctx, sqstypes.Message{Body: send.MessageBody, MessageAttributes: send.MessageAttributes})
		check("SQS, "+form.String(), got, err)
		entry := must(p.SQSEntry("1", &in))
		got, err = c.SQS(ctx, sqstypes.Message{Body: entry.MessageBody, MessageAttributes: entry.MessageAttributes})
		check("an SQS entry, "+form.String(), got, err)
		if n := len(send.MessageAttributes); (n > 0) != (form == wire.Named) || n > 0 && n != len(AttributeNames()) {
			t.Errorf("%s: %d attributes", form, n)
		}

		publish := must(p.SNS("arn:topic", &in))
		note := notificationOf(t, *publish.Message, publish.MessageAttributes)
		got, err = c.SNS(ctx, note)
		check("SNS, "+form.String(), got, err)
		got, err = c.SQS(ctx, sqstypes.Message{Body: aws.String(string(note))})
		check("SNS to SQS, "+form.String(), got, err)
		batch := must(p.SNSEntry("1", &in))
		got, err = c.SNS(ctx, notificationOf(t, *batch.Message, batch.MessageAttributes))
		check("an SNS entry, "+form.String(), got, err)

		record, err := p.Kinesis("stream", "key", &in)
		if form == wire.Named {
			if !errors.Is(err, ErrHeaderless) {
				t.Error(err)
			}
		} else {
			got, err = c.Kinesis(ctx, kinesistypes.Record{Data: record.Data})
			check("Kinesis, "+form.String(), got, err)
			entry := must(p.KinesisEntry("key", &in))
			got, err = c.Kinesis(ctx, kinesistypes.Record{Data: entry.Data})
			check("a Kinesis entry, "+form.String(), got, err)
		}

		event := must(p.Event("bus", "shop", "order", &in))
		got, err = c.Event(ctx, []byte(*event.Detail))
		check("EventBridge, "+form.String(), got, err)
		delivered := must(json.Marshal(map[string]any{"version": "0", "detail-type": "order", "source": "shop", "detail": json.RawMessage(*event.Detail)}))
		got, err = c.SQS(ctx, sqstypes.Message{Body: aws.String(string(delivered))})
		check("EventBridge to SQS, "+form.String(), got, err)
		got, err = c.SNS(ctx, notificationOf(t, string(delivered), nil))
		check("EventBridge to SNS, "+form.String(), got, err)
	}
}

func notificationOf(t *testing.T, message string, attributes map[string]snstypes.MessageAttributeValue) []byte {
	t.Helper()
	values := map[string]any{}
	for name, a := range attributes {
		values[name] = map[string]string{"Type": *a.DataType, "Value": *a.StringValue}
	}
	n := map[string]any{"Type": "Notification", "TopicArn": "arn:aws:sns:us-east-1:000000000000:t", "Message": message, "MessageAttributes": values}
	return must(json.Marshal(n))
}

func TestEventIsMatchable(t *testing.T) {
	in := anOrder()
	detail := must(must(NewProducer[Order](t.Context(), orders(t), "shop/order@1.1.0")).Detail(&in))
	const want = `{"dataschema":"shop/order","dataschemaversion":"1.1.0","datacontenttype":"application/json",` +
		`"data":{"id":"o-1","total":4200,"lines":[{"sku":"apple","kind":"GOODS"},{"sku":"wrapping","kind":"SERVICE"}],"note":{"string":"gift"}}}`
	if string(detail) != want {
		t.Errorf("%s\nwant %s", detail, want)
	}
}

func TestOptions(t *testing.T) {
	src, ctx := orders(t), t.Context()
	in := anOrder()
	bare := must(NewProducer[Order](ctx, src, "shop/order@1.1.0", WithForm(wire.None)))
	c := must(NewConsumer[Order](ctx, src, "shop/order@1.1.0", WithBare("1.1.0"), WithForms()))
	if got, err := c.Decode(ctx, must(bare.Encode(&in))); err != nil || got.String() != in.String() {
		t.Errorf("a bare message: %s, %v", got, err)
	}
	in.ID = "" // a bare message that begins with 0, as Confluent's header does
	if got, err := c.Decode(ctx, must(bare.Encode(&in))); err != nil || got.String() != in.String() {
		t.Errorf("a bare message that looks like Confluent's: %s, %v", got, err)
	}

	given := must(NewProducer[Order10](ctx, src, "shop/order", WithSchema(order10)))
	if given.Version().Version != "1.0.0" || given.Reference().UUID != (wire.UUID{1, 0}) {
		t.Errorf("a schema that was given is %s", given.Version())
	}
	type id struct {
		ID string `avro:"id"`
	}
	part := must(NewConsumer[id](ctx, Chain(), "shop/order", WithSchema(order11), WithDecode(twmb.SkipUnknown())))
	part.source = src
	if got, err := part.Decode(ctx, must(given.Encode(&Order10{ID: "x"}))); err != nil || got.ID != "x" {
		t.Errorf("with some fields alone: %+v, %v", got, err)
	}
	type cents int64
	custom := WithCustom(twmb.NewCustomType("", func(c cents, _ *twmb.SchemaNode) (int64, error) { return int64(c) * 100, nil },
		func(n int64, _ *twmb.SchemaNode) (cents, error) { return cents(n / 100), nil }))
	type money struct {
		ID    string `avro:"id"`
		Total cents  `avro:"total"`
		Lines []Line `avro:"lines"`
	}
	data := must(must(NewProducer[money](ctx, src, "shop/order@1.0.0", custom)).Encode(&money{ID: "x", Total: 42}))
	if got, err := must(NewConsumer[Order](ctx, src, "shop/order@^1")).Decode(ctx, data); err != nil || got.Total != 4200 {
		t.Errorf("a type of one's own, written: %+v, %v", got, err)
	}
	if got, err := must(NewConsumer[money](ctx, src, "shop/order@1.0.0", custom)).Decode(ctx, data); err != nil || got.Total != 42 {
		t.Errorf("a type of one's own, read: %+v, %v", got, err)
	}

	for says, make := range map[string]func() error{
		"names no schema":                         func() error { _, err := NewProducer[Order](ctx, src, "order"); return err },
		"is neither a version nor a range":        func() error { _, err := NewConsumer[Order](ctx, src, "shop/order@2026-01-01"); return err },
		"shop/order@^3 is not among the embedded": func() error { _, err := NewConsumer[Order](ctx, src, "shop/order@^3"); return err },
		"only the form Glue has compression": func() error {
			_, err := NewProducer[Order](ctx, src, "shop/order", WithZlib(), WithForm(wire.Confluent))
			return err
		},
		"for messages that name no schema":                     func() error { _, err := NewConsumer[Order](ctx, src, "shop/order", WithBare("7.0.0")); return err },
		"has to be a version in the source":                    func() error { _, err := NewProducer[Order](ctx, src, "shop/order", WithSchema(`"int"`)); return err },
		"version shop/order@1.0.0, which shop/order@^2 leaves": func() error { _, err := NewProducer[Order](ctx, src, "shop/order@^2", WithSchema(order10)); return err },
		"does not parse": func() error { _, err := NewConsumer[Order](ctx, src, "shop/order", WithSchema(`"int`)); return err },
		"nothing that the form Glue needs": func() error {
			_, err := NewProducer[Order](ctx, lockOf(t, &Version{Name: "a/b", Version: "1.0.0", Definition: order11}), "a/b", WithForm(wire.Glue))
			return err
		},
	} {
		if err := make(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("want %q: %v", says, err)
		}
	}
}

func TestWanted(t *testing.T) {
	for _, tt := range []struct{ wanted, yes, no string }{
		{"a/b", "1.0.0 2.3.4 0.0.1", ""},
		{"a/b@1.2.3", "1.2.3", "1.2.4 1.2.2 2.2.3"},
		{"a/b@^1", "1.0.0 1.9.9", "0.9.9 2.0.0"},
		{"a/b@^1.2", "1.2.0 1.3.0", "1.1.9 2.0.0"},
		{"a/b@^1.2.3", "1.2.3 1.3.0", "1.2.2 2.0.0"},
		{"a/b@^0", "0.0.1 0.9.0", "1.0.0"},
		{"a/b@^0.2", "0.2.0 0.2.9", "0.1.9 0.3.0"},
		{"a/b@^0.0.3", "0.0.3", "0.0.2 0.0.4 0.1.0"},
		{"a/b@^0.2.3", "0.2.3 0.2.9", "0.2.2 0.3.0"},
		{"a/b@~1.2", "1.2.0 1.2.9", "1.3.0 1.1.9"},
		{"a/b@~1.2.3", "1.2.3 1.2.9", "1.3.0 1.2.2"},
		{"a/b@~1", "1.0.0 1.9.0", "2.0.0"},
		{"a/b@1", "1.0.0 1.9.0", "0.9.9 2.0.0"},
		{"a/b@1.2", "1.2.0 1.2.9", "1.3.0 1.1.9"},
		{"a/b@0", "0.0.0 0.9.0", "1.0.0"},
		{"a/b@*", "1.0.0 0.0.1", ""},
	} {
		w, err := ParseWanted(tt.wanted)
		if err != nil || w.String() != tt.wanted {
			t.Errorf("%s: %s, %v", tt.wanted, w, err)
		}
		for text, want := range map[string]bool{tt.yes: true, tt.no: false} {
			for _, v := range strings.Fields(text) {
				if _, got := w.accepts(&Version{Version: v}); got != want {
					t.Errorf("%s accepts %s: %v", tt.wanted, v, got)
				}
			}
		}
	}
	for _, bad := range []string{"", "a", "/b", "a/", "a/b@", "a/b@v1.2.3", "a/b@1.*", "a/b@^*", "a/b@1.2.3-rc1", "a/b@01.2.3", "a/b@^^1", "a/b@^~1.2", "a/b@1.2.3.4", "a/b@+1.2.3", "a/b@latest", "a/b@^"} {
		if w, err := ParseWanted(bad); err == nil {
			t.Errorf("%q: %+v", bad, w)
		}
	}
	if _, ok := must(ParseWanted("a/b@^1")).accepts(&Version{}); ok {
		t.Error("a version without a number is in a range")
	}
}

// TestWantedAsTags holds the ranges against those of tags and labels.
func TestWantedAsTags(t *testing.T) {
	for _, kind := range []string{"", "^", "~"} {
		for _, numbers := range []string{"*", "0", "1", "0.0", "0.1", "1.0", "1.2", "0.0.0", "0.0.3", "0.1.0", "0.1.2", "1.0.0", "1.2.3"} {
			if kind+numbers == "~0.0.0" {
				continue // the library under tags takes that for all versions
			}
			w, err := ParseWanted("a/b@" + kind + numbers)
			if err != nil {
				if numbers != "*" || kind == "" {
					t.Error(err)
				}
				continue
			}
			r := must(contract.ParseRange(kind + numbers))
			for at := range 4 * 4 * 5 {
				v := fmt.Sprintf("%d.%d.%d", at/20, at/5%4, at%5)
				if _, got := w.accepts(&Version{Version: v}); got != r.Has(must(contract.ParseVersion(v))) {
					t.Errorf("%s: %s: %v", w, v, got)
				}
			}
		}
	}
}

// TestTakenByRegistry parses what the registry takes, and finds the same
// fingerprints.
func TestTakenByRegistry(t *testing.T) {
	record := func(fields string) string {
		return `{"type":"record","name":"R","namespace":"shop","fields":[` + fields + `]}`
	}
	const decimal = `{"type":"bytes","logicalType":"decimal"`
	for _, text := range []string{
		// Decimals that are none are what they are of.
		decimal + `}`, decimal + `,"precision":2,"scale":3}`, decimal + `,"precision":"4"}`, decimal + `,"precision":4,"scale":"2"}`,
		decimal + `,"precision":4.5}`, decimal + `,"precision":0}`, decimal + `,"precision":-4}`, decimal + `,"precision":4,"scale":-1}`,
		`{"type":"fixed","name":"F","size":2,"logicalType":"decimal","precision":5}`,
		`["null",{"type":"map","values":{"type":"array","items":` + decimal + `}}}]`,
		record(`{"name":"bad","type":["null",` + decimal + `}],"default":null},{"name":"good","type":` + decimal + `,"precision":4},"default":"\u0001"},
			{"name":"m","type":{"type":"map","values":"string"},"default":{"logicalType":"decimal"}}`),
		`{"type":"int","logicalType":7}`, `{"type":"string","logicalType":"date"}`, `{"type":"fixed","name":"F","size":"15"}`, `[]`,
		record(`{"name":"x","type":["null","string"],"default":"a"}`), record(`{"name":"x","type":"long","logicalType":"timestamp-millis","doc":7,"aliases":["y"]}`),
		record(`{"name":"x","type":{"type":"array","items":"R"},"default":[{"x":[]}]}`),
	} {
		s, err := registryavro.Parse(registryavro.Source{Text: text})
		if err != nil {
			t.Errorf("%s: the registry: %v", text, err)
			continue
		}
		v, err := NewVersion("a/b", "1.0.0", text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if v.Fingerprint() != s.CRC64() || v.Definition != text {
			t.Errorf("%s: fingerprint %x, the registry's is %x", text, v.Fingerprint(), s.CRC64())
		}
	}
	if _, err := NewLockEntry("a/b", "1.0.0", "b.avsc", []byte(`{"type":"array","items":"M"}`), `{"type":"fixed","name":"M","size":2,"logicalType":"decimal","precision":5}`); err != nil {
		t.Errorf("within a reference: %v", err)
	}
	// A valid decimal beside stays one.
	v := must(NewVersion("a/b", "1.0.0", record(`{"name":"bad","type":`+decimal+`}},{"name":"good","type":`+decimal+`,"precision":4,"scale":2}}`)))
	if f := v.Schema().Root().Fields; f[0].Type.LogicalType != "" || f[1].Type.LogicalType != "decimal" {
		t.Errorf("%+v", f)
	}
}

// TestHollow reads no message that has next to no bytes and room for billions of
// items.
func TestHollow(t *testing.T) {
	arrays := func(items string) string { return `{"type":"array","items":{"type":"array","items":` + items + `}}` }
	const empty = `{"type":"record","name":"E","fields":[{"name":"n","type":"null"}]}`
	for text, want := range map[string]bool{
		arrays(`"null"`): true, arrays(empty): true, arrays(`{"type":"fixed","name":"F","size":0}`): true, arrays(`"int"`): false, arrays(`["null","int"]`): false,
		`{"type":"record","name":"R","fields":[{"name":"e","type":` + empty + `},{"name":"a","type":["null",{"type":"map","values":{"type":"array","items":"E"}}]}]}`:           true,
		`{"type":"record","name":"a.R","fields":[{"name":"e","type":` + empty + `},{"name":"a","type":{"type":"array","items":"E"}}]}`:                                          true,
		`{"type":"record","name":"R","fields":[{"name":"a","type":{"type":"array","items":"R"}}]}`:                                                                              false,
		`{"type":"record","name":"R","fields":[{"name":"m","type":{"type":"map","values":"null"}}]}`:                                                                            false,
		`{"type":"record","name":"R","fields":[{"name":"r","type":["null","R"]},{"name":"x","type":{"type":"record","name":"S","fields":[{"name":"s","type":["null","S"]}]}}]}`: false,
	} {
		if got := shapeOf(must(NewVersion("a/b", "1.0.0", text))).hollow(); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	v := must(NewVersion("a/b", "1.0.0", arrays(`"null"`)))
	c := must(NewConsumer[any](t.Context(), lockOf(t, v), "a/b@1.0.0"))
	for n, ok := range map[int]bool{10: true, 16: true, 17: false, 100_000: false} {
		data := binary.AppendVarint(wire.Reference{Form: wire.SingleObject, Fingerprint: v.Fingerprint()}.AppendHeader(nil), int64(n))
		for range n {
			data = append(binary.AppendVarint(data, 4096), 0)
		}
		_, err := c.Decode(t.Context(), append(data, 0))
		if in := (*Invalid)(nil); (err == nil) != ok || err != nil && !errors.As(err, &in) {
			t.Errorf("%d arrays of 4096: %v", n, err)
		}
	}
}

// TestLocate finds the place behind names that leave out their namespace.
func TestLocate(t *testing.T) {
	v := must(NewVersion("a/b", "1.0.0", `{"type":"record","name":"Node","namespace":"shop","fields":[
	  {"name":"e","type":{"type":"enum","name":"E","symbols":["A"]}},{"name":"next","type":["null","Node"]},{"name":"last","type":"E"},{"name":"n","type":{"type":"int","name":"x.Y"}}]}`))
	for payload, want := range map[string]string{
		"\x00\x02\x00\x00\x00\x00\x00\x00": "", "\x00\x02\x00\x00\x02\x00": "Node.next.last", "\x00\x00\x02": "Node.last", "\x00\x02\x00\x04": "Node.next.next",
	} {
		if got := locate(v, []byte(payload)); got != want {
			t.Errorf("%x: %q, want %q", payload, got, want)
		}
	}
}

// TestNamedLikeAKind reads messages of types that are called as Avro calls lists.
func TestNamedLikeAKind(t *testing.T) {
	v := must(NewVersion("a/b", "1.0.0", `{"type":"record","name":"array","fields":[{"name":"n","type":{"type":"array","items":"int"}},{"name":"next","type":["null","array"]}]}`))
	c := must(NewConsumer[any](t.Context(), lockOf(t, v), "a/b@1.0.0", WithBare("1.0.0"), WithForms()))
	if got, err := c.Decode(t.Context(), []byte("\x02\x0e\x00\x02\x00\x00")); err != nil {
		t.Errorf("%v: %v", got, err)
	}
	if got := locate(v, []byte("\x02\x0e\x00\x02\x00\x04")); got != "array.next.next" {
		t.Errorf("it does not fit at %q", got)
	}
}

// TestMisplacedOptions refuses what the other side alone would act on.
func TestMisplacedOptions(t *testing.T) {
	src := orders(t)
	for name, o := range map[string]Option{"WithDecode": WithDecode(), "WithLimit": WithLimit(1), "WithBare": WithBare("1.0.0"), "WithForms": WithForms(wire.Glue)} {
		if _, err := NewProducer[Order](t.Context(), src, "shop/order@1.1.0", o); err == nil || !strings.Contains(err.Error(), name+" is an option of consumers") {
			t.Errorf("a producer takes %s: %v", name, err)
		}
	}
	for name, o := range map[string]Option{"WithForm": WithForm(wire.Glue), "WithZlib": WithZlib()} {
		if _, err := NewConsumer[Order](t.Context(), src, "shop/order@1.1.0", o); err == nil || !strings.Contains(err.Error(), name+" is an option of producers") {
			t.Errorf("a consumer takes %s: %v", name, err)
		}
	}
}
