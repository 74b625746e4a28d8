package wire

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
)

func attributes(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

// TestDecode has one message a row, with what the decoder makes of it.
func TestDecode(t *testing.T) {
	var (
		glue     = Reference{Form: Glue, UUID: uuid(t)}
		id       = Reference{Form: Confluent, ID: 17}
		single   = Reference{Form: SingleObject, Fingerprint: 0x1122334455667788}
		named    = Reference{Form: Named, Name: "shop/order", Version: "1.2.0"}
		bytes    = "\x02\xff\x00"
		text     = base64.StdEncoding.EncodeToString
		withName = []string{"dataschema", "shop/order", "dataschemaversion", "1.2.0"}
	)
	body := func(r Reference) string { return string(append(r.AppendHeader(nil), bytes...)) }
	for _, tt := range []struct {
		name string
		in   Message
		want Decoded
	}{
		{"bytes, Glue", Message{Body: []byte(body(glue))}, Decoded{Reference: glue, Payload: []byte(bytes)}},
		{"bytes, Glue, zlib", Message{Body: AppendZlib(nil, glue.UUID, []byte(bytes))}, Decoded{Reference: glue, Payload: []byte(bytes)}},
		{"bytes, Confluent", Message{Body: []byte(body(id))}, Decoded{Reference: id, Payload: []byte(bytes)}},
		{"bytes, single object", Message{Body: []byte(body(single))}, Decoded{Reference: single, Payload: []byte(bytes)}},
		{"bytes, none", Message{Body: []byte(bytes)}, Decoded{Payload: []byte(bytes)}},
		{"bytes, empty", Message{}, Decoded{}},
		{"bytes, named", Message{Body: []byte("\x00" + bytes), Attribute: attributes(withName...)}, Decoded{Reference: named, Payload: []byte("\x00" + bytes)}},
		{"text, Glue", Message{Body: []byte(text([]byte(body(glue)))), Text: true}, Decoded{Reference: glue, Payload: []byte(bytes)}},
		{"text, Glue, zlib", Message{Body: []byte(text(AppendZlib(nil, glue.UUID, []byte(bytes)))), Text: true}, Decoded{Reference: glue, Payload: []byte(bytes)}},
		{"text, Confluent, no padding", Message{Body: []byte(strings.TrimRight(text([]byte(body(id))), "=")), Text: true}, Decoded{Reference: id, Payload: []byte(bytes)}},
		{"text, single object, URL alphabet", Message{Body: []byte(base64.URLEncoding.EncodeToString([]byte(body(single) + "\xff\xff\xff"))), Text: true},
			Decoded{Reference: single, Payload: []byte(bytes + "\xff\xff\xff")}},
		{"text, none", Message{Body: []byte("hello"), Text: true}, Decoded{Payload: []byte("hello")}},
		{"text that is base64 of nothing known", Message{Body: []byte("hell"), Text: true}, Decoded{Payload: []byte("hell")}},
		{"text, JSON", Message{Body: []byte(`{"a":1}`), Text: true}, Decoded{Payload: []byte(`{"a":1}`), JSON: true}},
		{"text, named, binary", Message{Body: []byte(text([]byte(bytes))), Text: true, Attribute: attributes(append(withName, "datacontenttype", "avro/binary")...)},
			Decoded{Reference: named, Payload: []byte(bytes), ContentType: "avro/binary"}},
		{"text, named, base64 by guess", Message{Body: []byte(text([]byte(bytes))), Text: true, Attribute: attributes(withName...)}, Decoded{Reference: named, Payload: []byte(bytes)}},
		{"text, named, JSON by guess", Message{Body: []byte(` {"a":1}`), Text: true, Attribute: attributes(withName...)},
			Decoded{Reference: named, Payload: []byte(` {"a":1}`), JSON: true}},
		{"text, named, JSON by content type", Message{Body: []byte(`1234`), Text: true, Attribute: attributes(append(withName, "Content-Type", "application/json; charset=utf-8")...)},
			Decoded{Reference: named, Payload: []byte(`1234`), ContentType: "application/json; charset=utf-8", JSON: true}},
		{"CloudEvents' binary mode", Message{Body: []byte(bytes), Attribute: attributes("ce-dataschema", "shop/order", "ce-dataschemaversion", "1.2.0", "content-type", "application/avro")},
			Decoded{Reference: named, Payload: []byte(bytes), ContentType: "application/avro"}},
		{"CloudEvents' binary mode, Kafka, Glue's header within", Message{Body: []byte(body(glue)), Attribute: attributes("ce_specversion", "1.0", "content-type", "application/avro")},
			Decoded{Reference: glue, Payload: []byte(bytes), ContentType: "application/avro"}},
		{"CloudEvents' structured mode", Message{Body: []byte(`{"specversion":"1.0","id":"1","source":"s","type":"t","dataschema":"shop/order@1.2.0","data":{"a":1}}`), Text: true},
			Decoded{Reference: named, Payload: []byte(`{"a":1}`), ContentType: "application/json", JSON: true}},
		{"a URI of CloudEvents, Glue's header within", Message{Body: []byte(body(glue)), Attribute: attributes("ce_dataschema", "https://schemas.example/order.avsc", "content-type", "application/avro")},
			Decoded{Reference: glue, Payload: []byte(bytes), ContentType: "application/avro"}},
		{"the same in base64", Message{Body: []byte(text([]byte(body(single)))), Text: true, Attribute: attributes("dataschema", "urn:example:order")},
			Decoded{Reference: single, Payload: []byte(bytes)}},
		{"a URI and no header", Message{Body: []byte("\x03\x00\x01"), Attribute: attributes("dataschema", "https://schemas.example/order.avsc")},
			Decoded{Reference: Reference{Form: Named, Name: "https://schemas.example/order.avsc"}, Payload: []byte("\x03\x00\x01")}},
		{"a name wins over a header", Message{Body: []byte(body(glue)), Attribute: attributes(withName...)}, Decoded{Reference: named, Payload: []byte(body(glue))}},
		{"structured mode, bytes", Message{Body: []byte(`{"specversion":"1.0","dataschema":"urn:uuid:` + someUUID + `","datacontenttype":"avro/binary","data_base64":"Av8A"}`)},
			Decoded{Reference: glue, Payload: []byte(bytes), ContentType: "avro/binary"}},
		{"structured mode, a header within", Message{Body: []byte(`{"specversion":"1.0","data_base64":"` + text([]byte(body(id))) + `"}`), Text: true},
			Decoded{Reference: id, Payload: []byte(bytes)}},
		{"an envelope with base64 as data", Message{Body: []byte(`{"dataschema":"shop/order","dataschemaversion":"1.2.0","datacontenttype":"avro/binary","data":"Av8A"}`), Text: true},
			Decoded{Reference: named, Payload: []byte(bytes), ContentType: "avro/binary"}},
		{"an envelope with a text as data", Message{Body: []byte(`{"dataschema":"shop/note","datacontenttype":"text/plain","data":"hell"}`), Text: true},
			Decoded{Reference: Reference{Form: Named, Name: "shop/note"}, Payload: []byte("hell"), ContentType: "text/plain"}},
		{"an event of EventBridge", Message{Body: []byte(`{"version":"0","detail-type":"order","source":"shop","detail":{"dataschema":"shop/order","dataschemaversion":"1.2.0","data":{"a":1}}}`), Text: true},
			Decoded{Reference: named, Payload: []byte(`{"a":1}`), ContentType: "application/json", JSON: true}},
		{"an event without an envelope", Message{Body: []byte(`{"detail-type":"order","source":"shop","detail":{"a":1}}`), Text: true}, Decoded{Payload: []byte(`{"a":1}`), JSON: true}},
		{"a notification", Message{Body: []byte(`{"Type":"Notification","TopicArn":"arn:x","Message":"Av8A","MessageAttributes":{"dataschema":{"Type":"String","Value":"shop/order"},"dataschemaversion":{"Type":"String","Value":"1.2.0"}}}`), Text: true},
			Decoded{Reference: named, Payload: []byte(bytes)}},
		{"an event in a notification", Message{Body: []byte(`{"Type":"Notification","TopicArn":"arn:x","Message":"{\"detail-type\":\"o\",\"source\":\"s\",\"detail\":{\"dataschema\":\"shop/order@1.2.0\",\"data\":[]}}"}`), Text: true},
			Decoded{Reference: named, Payload: []byte(`[]`), ContentType: "application/json", JSON: true}},
		{"JSON that only speaks of envelopes", Message{Body: []byte(`{"a":"\"dataschema\""}`), Text: true}, Decoded{Payload: []byte(`{"a":"\"dataschema\""}`), JSON: true}},
	} {
		got, err := Decoder{}.Decode(tt.in)
		if err != nil || got.Reference != tt.want.Reference || string(got.Payload) != string(tt.want.Payload) || got.ContentType != tt.want.ContentType || got.JSON != tt.want.JSON {
			t.Errorf("%s: %+v, %v\nwant %+v", tt.name, got, err, tt.want)
		}
	}
}

func TestDecodeErrors(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   Message
		want string
	}{
		{"a cut header", Message{Body: []byte{3, 0, 1}}, "the Glue header is cut off: 3 of 18 bytes"},
		{"a cut header in base64", Message{Body: []byte("wwEC"), Text: true}, "the single object header is cut off: 3 of 10 bytes"},
		{"binary that is not base64", Message{Body: []byte("not base64!"), Text: true, Attribute: attributes("datacontenttype", "avro/binary")}, "has to be base64"},
		{"an envelope with nothing", Message{Body: []byte(`{"dataschema":"shop/order"}`), Text: true}, "neither data nor data_base64"},
		{"an envelope with bad base64", Message{Body: []byte(`{"dataschema":"shop/order","data_base64":"?"}`), Text: true}, "data_base64 of the envelope"},
		{"an object as binary data", Message{Body: []byte(`{"dataschema":"a/b","datacontenttype":"avro/binary","data":{}}`), Text: true}, "has to be base64"},
	} {
		if got, err := (Decoder{}).Decode(tt.in); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %+v, %v", tt.name, got, err)
		}
	}
}

// TestOnly has a payload without a header that begins like one.
func TestOnly(t *testing.T) {
	bare := []byte{0, 0, 0}
	var cut *TruncatedError
	if _, err := (Decoder{}).Decode(Message{Body: bare}); !errors.As(err, &cut) {
		t.Errorf("looked for everything: %v", err)
	}
	got, err := Decoder{Only: Only(Glue)}.Decode(Message{Body: bare})
	if err != nil || got.Form != None || len(got.Payload) != 3 {
		t.Errorf("looked for Glue: %+v, %v", got, err)
	}
	got, err = Decoder{Only: Only(Glue)}.Decode(Message{Body: bare, Attribute: attributes("dataschema", "a/b")})
	if err != nil || got.Form != None {
		t.Errorf("looked for Glue in a named one: %+v, %v", got, err)
	}
}

func TestNames(t *testing.T) {
	for _, tt := range []struct{ schema, version, want, registry, name string }{
		{"shop/order", "1.2.0", "schema shop/order@1.2.0", "shop", "order"},
		{"shop/order@1.2.0", "", "schema shop/order@1.2.0", "shop", "order"},
		{"shop/order", "", "schema shop/order", "shop", "order"},
		{"arn:aws:glue:eu-west-1:111122223333:schema/shop/order", "1.0.0", "schema arn:aws:glue:eu-west-1:111122223333:schema/shop/order@1.0.0", "shop", "order"},
		{"arn:aws:glue:eu-west-1:111122223333:registry/shop", "1.0.0", "schema arn:aws:glue:eu-west-1:111122223333:registry/shop@1.0.0", "", ""},
		{"https://example.com/order.avsc", "", "schema https://example.com/order.avsc", "", ""},
		{"urn:uuid:" + someUUID, "1.0.0", "schema version " + someUUID, "", ""},
		{"urn:uuid:1", "", "schema urn:uuid:1", "", ""},
		{"", "1.0.0", "no schema", "", ""},
		{"order", "", "schema order", "", ""},
	} {
		r := ParseName(tt.schema, tt.version)
		registry, name, ok := SplitName(r.Name)
		if r.String() != tt.want || ok != (tt.name != "") || ok && (registry != tt.registry || name != tt.name) {
			t.Errorf("%q %q: %s, %q %q %v", tt.schema, tt.version, r, registry, name, ok)
		}
	}
}

func TestEnvelope(t *testing.T) {
	for _, r := range []Reference{{Form: Named, Name: "shop/order", Version: "1.2.0"}, {Form: Glue, UUID: uuid(t)}} {
		for contentType, payload := range map[string]string{AvroBinary: "\x03\x00\xff", AvroJSON: `{"a":{"string":"b"}}`} {
			e, err := AppendEnvelope(nil, r, contentType, []byte(payload))
			if err != nil {
				t.Fatal(err)
			}
			got, err := Decoder{}.Decode(Message{Body: e, Text: true})
			if err != nil || got.Reference != r || string(got.Payload) != payload || got.ContentType != contentType || got.JSON != (contentType == AvroJSON) {
				t.Errorf("%s: %+v, %v", e, got, err)
			}
		}
	}
	if _, err := AppendEnvelope(nil, Reference{Form: Confluent, ID: 3}, AvroJSON, []byte("{}")); err == nil {
		t.Error("an envelope has no place for a Confluent id")
	}
}

// FuzzDecode holds that any bytes come back bounded, and that a header that was
// found is the one that was there.
func FuzzDecode(f *testing.F) {
	r := Reference{Form: Glue}
	f.Add(r.AppendHeader(nil), false, "", "")
	f.Add(AppendZlib(nil, UUID{1}, []byte("payload")), false, "", "")
	f.Add([]byte("wwEBAgMEBQYHCAI="), true, "", "")
	f.Add([]byte(`{"Type":"Notification","TopicArn":"a","Message":"{\"detail-type\":1,\"source\":1,\"detail\":{\"dataschema\":\"a/b\",\"data\":1}}"}`), true, "", "")
	f.Add([]byte(`{"specversion":"1.0","data_base64":"AAAAAAE="}`), true, "a/b@1", "avro/binary")
	f.Fuzz(func(t *testing.T, body []byte, text bool, schema, contentType string) {
		const limit = 1000
		d, err := Decoder{Limit: limit}.Decode(Message{Body: body, Text: text, Attribute: attributes("dataschema", schema, "datacontenttype", contentType)})
		if len(d.Payload) > max(limit, len(body)) {
			t.Fatalf("%d bytes of %d", len(d.Payload), len(body))
		}
		if err != nil && d.Payload != nil {
			t.Fatalf("a payload beside an error: %+v, %v", d, err)
		}
		if h, rest, err := SplitHeader(body); err == nil && !h.Zlib {
			if again := append(h.AppendHeader(nil), rest...); string(again) != string(body) {
				t.Fatalf("%x comes back as %x", body, again)
			}
		}
		SplitIndexes(nil, body)
	})
}

func BenchmarkDecode(b *testing.B) {
	payload := make([]byte, 300)
	glue := append(Reference{Form: Glue, UUID: uuid(b)}.AppendHeader(nil), payload...)
	text := []byte(base64.StdEncoding.EncodeToString(glue))
	bare := []byte(base64.StdEncoding.EncodeToString(payload))
	envelope, _ := AppendEnvelope(nil, Reference{Form: Named, Name: "shop/order", Version: "1.2.0"}, AvroBinary, payload)
	named := attributes(SchemaAttribute, "shop/order", VersionAttribute, "1.2.0", ContentTypeAttribute, AvroBinary)
	for name, m := range map[string]Message{
		"bytes": {Body: glue}, "text": {Body: text, Text: true}, "named": {Body: bare, Text: true, Attribute: named},
		"zlib": {Body: AppendZlib(nil, uuid(b), payload)}, "envelope": {Body: envelope, Text: true},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if d, err := (Decoder{}).Decode(m); err != nil || len(d.Payload) != len(payload) {
					b.Fatal(d, err)
				}
			}
		})
	}
}
