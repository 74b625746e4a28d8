package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
)

// Names of attributes of messages and of members of envelopes. dataschema and
// datacontenttype are CloudEvents' own.
const (
	SchemaAttribute      = "dataschema"
	VersionAttribute     = "dataschemaversion"
	ContentTypeAttribute = "datacontenttype"
)

// ContentType of Avro's binary encoding, by the specification of Avro's protocol
// over HTTP, and of its JSON encoding.
const (
	AvroBinary = "avro/binary"
	AvroJSON   = "application/json"
)

// ErrNoData is an envelope that names a schema and carries nothing.
var ErrNoData = errors.New("the envelope names a schema in dataschema but carries neither data nor data_base64")

// maxWraps is how many wrappings lie around an envelope at most: a rule of
// EventBridge that sends to a topic, whose subscription is a queue, wraps twice.
const maxWraps = 4

// described is what a message's attributes say of it. An attribute of
// CloudEvents has the prefix ce- in headers of HTTP, ce_ in those of Kafka, and
// cloudEvents_ in properties of AMQP.
func (m Message) described(only Forms) Decoded {
	if m.Attribute == nil {
		return Decoded{}
	}
	out := Decoded{ContentType: m.attribute(ContentTypeAttribute)}
	for _, name := range [...]string{"content-type", "Content-Type", "contentType", "ContentType"} {
		if out.ContentType == "" {
			out.ContentType = m.Attribute(name)
		}
	}
	if only.has(Named) {
		out.Reference = ParseName(m.attribute(SchemaAttribute), m.attribute(VersionAttribute))
	}
	return out
}

func (m Message) attribute(name string) string {
	if v := m.Attribute(name); v != "" {
		return v
	}
	for _, prefixed := range prefixed[name] {
		if v := m.Attribute(prefixed); v != "" {
			return v
		}
	}
	return ""
}

var prefixed = map[string][]string{
	SchemaAttribute:      {"ce-dataschema", "ce_dataschema", "cloudEvents_dataschema", "cloudEvents:dataschema"},
	VersionAttribute:     {"ce-dataschemaversion", "ce_dataschemaversion", "cloudEvents_dataschemaversion", "cloudEvents:dataschemaversion"},
	ContentTypeAttribute: {"ce-datacontenttype", "ce_datacontenttype", "cloudEvents_datacontenttype", "cloudEvents:datacontenttype"},
}

// unwrap takes off what is JSON around a body and known.
func unwrap(m Message) (Message, error) {
	for range maxWraps {
		if !wrapped(m.Body) {
			break
		}
		inner, deeper, err := unwrapOne(m)
		if m = inner; err != nil || !deeper {
			return m, err
		}
	}
	return m, nil
}

// unwrapOne takes off one wrapping; deeper says that there may be another.
func unwrapOne(m Message) (inner Message, deeper bool, err error) {
	var members map[string]json.RawMessage
	if json.Unmarshal(m.Body, &members) != nil {
		return m, false, nil
	}
	switch {
	case members["specversion"] != nil || members[SchemaAttribute] != nil:
		inner, err = envelope(m, members)
		return inner, false, err
	case text(members["Type"]) == "Notification" && members["TopicArn"] != nil && members["Message"] != nil:
		return notification(members), true, nil
	case members["detail-type"] != nil && members["source"] != nil && members["detail"] != nil:
		return Message{Body: members["detail"], Text: true}, true, nil
	}
	return m, false, nil
}

// wrapped looks for what marks an envelope, so that other JSON is not parsed.
func wrapped(body []byte) bool {
	if body = bytes.TrimLeft(body, " \t\r\n"); len(body) == 0 || body[0] != '{' {
		return false
	}
	for _, mark := range [...]string{`"dataschema"`, `"specversion"`, `"TopicArn"`, `"detail-type"`} {
		if bytes.Contains(body, []byte(mark)) {
			return true
		}
	}
	return false
}

// envelope is an event in CloudEvents' JSON format, or a JSON object that has
// its members dataschema, and data or data_base64.
func envelope(around Message, members map[string]json.RawMessage) (Message, error) {
	m := Message{Text: true, Attribute: func(name string) string { return text(members[name]) }}
	contentType := text(members[ContentTypeAttribute])
	switch {
	case members["data_base64"] != nil:
		data, err := fromBase64([]byte(text(members["data_base64"])))
		if err != nil {
			return m, errors.New("data_base64 of the envelope is not base64: " + err.Error())
		}
		m.Text = isJSON(contentType)
		m.Body = data
	case members["data"] != nil:
		m.Body = members["data"]
		if s := text(m.Body); contentType != "" && !isJSON(contentType) && m.Body[0] == '"' {
			m.Body = []byte(s) // a text or base64
		} else if contentType == "" {
			m.Attribute = func(name string) string {
				if name == ContentTypeAttribute {
					return AvroJSON // the default of the JSON format
				}
				return text(members[name])
			}
		}
	case members[SchemaAttribute] != nil:
		return m, ErrNoData
	default:
		return around, nil
	}
	return m, nil
}

// notification is what SNS sends to subscriptions without raw delivery.
func notification(members map[string]json.RawMessage) Message {
	m := Message{Body: []byte(text(members["Message"])), Text: true}
	var attributes map[string]struct{ Value string }
	if json.Unmarshal(members["MessageAttributes"], &attributes) == nil {
		m.Attribute = func(name string) string { return attributes[name].Value }
	}
	return m
}

// text is the value of a JSON string, or of a number as it is written.
func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	if s = string(raw); strings.Trim(s, "-.0123456789") == "" {
		return s
	}
	return ""
}

// AppendEnvelope appends a JSON object with the members that name the schema
// and with the payload: as data where it is JSON, else as data_base64. It is
// what [Decoder.Decode] takes apart, and what EventBridge carries as detail.
func AppendEnvelope(dst []byte, r Reference, contentType string, payload []byte) ([]byte, error) {
	e := struct {
		Schema      string          `json:"dataschema,omitempty"`
		Version     string          `json:"dataschemaversion,omitempty"`
		ContentType string          `json:"datacontenttype,omitempty"`
		Data        json.RawMessage `json:"data,omitempty"`
		Base64      []byte          `json:"data_base64,omitempty"`
	}{ContentType: contentType}
	switch r.Form {
	case Named:
		e.Schema, e.Version = r.Name, r.Version
	case Glue:
		e.Schema = "urn:uuid:" + r.UUID.String()
	default:
		return dst, errors.New("an envelope names a schema by its name or by the UUID of its version, not by " + r.String())
	}
	if isJSON(contentType) {
		e.Data = payload
	} else {
		e.Base64 = payload
	}
	out, err := json.Marshal(e)
	return append(dst, out...), err
}
