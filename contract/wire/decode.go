package wire

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Message is what a service delivers.
type Message struct {
	Body []byte
	// Text says that the service carries text alone (SQS, SNS, EventBridge), so
	// that bytes travel in base64.
	Text bool
	// Attribute returns the value of a message attribute or header, "" where
	// there is none. nil: the message has none, which saves asking for each.
	Attribute func(name string) string
}

// Decoded is a message with its wrapping taken off.
type Decoded struct {
	Reference
	Payload     []byte // part of the message's body where nothing had to be unpacked
	ContentType string // as the message says, "" where it does not
	JSON        bool   // the payload is JSON and not the binary form of the schema's language
}

// Decoder recognises all forms. The zero value takes payloads of up to 1 MiB out
// of compressed ones.
type Decoder struct {
	Limit int   // of an inflated payload, in bytes; 0: 1 MiB
	Only  Forms // that are looked for; zero: all
}

// DefaultLimit is the largest message of the services: SQS's and EventBridge's.
const DefaultLimit = 1 << 20

// ErrBase64 is a body that says it is binary and is not base64.
var ErrBase64 = errors.New("the content type says that the payload is binary: in a text body it has to be base64")

// Decode takes off what is around a payload: notifications of SNS, events of
// EventBridge, envelopes, base64, a header, compression. What names no schema
// comes back whole with the form None: it is no error. Errors say what is cut
// off, damaged or larger than the limit.
//
// Where attributes or an envelope name the schema, the payload has no header of
// its own and none is looked for: a payload may begin like one, and what stands
// beside it cannot deceive. CloudEvents has any URI for dataschema; one that names
// no schema of a registry leaves the naming to a header, if there is one.
func (d Decoder) Decode(m Message) (Decoded, error) {
	m, err := unwrap(m)
	if err != nil {
		return Decoded{}, err
	}
	out := m.described(d.Only)
	out.JSON = isJSON(out.ContentType) || out.ContentType == "" && m.looksJSON()
	if out.JSON {
		out.Payload = m.Body
		return out, nil
	}
	data, err := d.bytes(m, out)
	out.Payload = data
	elsewhere := out.Form == Named && !names(out.Name)
	if err != nil || out.Form != None && !elsewhere {
		return out, err
	}
	var h Header
	payload, err := h.Split(data, d.Only)
	switch {
	case elsewhere && (err != nil || h.Form == None):
		return out, nil
	case err != nil:
		return Decoded{}, err
	}
	if h.Zlib {
		if payload, err = Inflate(nil, payload, d.limit()); err != nil {
			return Decoded{}, err
		}
	}
	out.Reference, out.Payload = h.Reference, payload
	return out, nil
}

// names reports whether a text can be the name of a schema of a registry.
func names(text string) bool {
	_, _, ok := SplitName(text)
	return ok
}

func (d Decoder) limit() int {
	if d.Limit == 0 {
		return DefaultLimit
	}
	return d.Limit
}

// bytes is the body with its base64 taken off.
func (d Decoder) bytes(m Message, out Decoded) ([]byte, error) {
	if !m.Text {
		return m.Body, nil
	}
	binary := isBinary(out.ContentType)
	expected := out.Form != None && out.ContentType == ""
	if !binary && !expected && !d.announced(m.Body) {
		return m.Body, nil
	}
	data, err := fromBase64(m.Body)
	switch {
	case err == nil:
		return data, nil
	case binary:
		return nil, fmt.Errorf("%w: %w", ErrBase64, err)
	}
	return m.Body, nil
}

// announced reports whether a text is the base64 of a header, by its first
// bytes, so that other texts cost nothing.
func (d Decoder) announced(text []byte) bool {
	var start [3]byte
	text = bytes.TrimSpace(text)
	if len(text) < 4 {
		return false
	}
	n, err := base64.StdEncoding.Decode(start[:], text[:4])
	f := formOf(start[:n])
	return err == nil && f != None && d.Only.has(f)
}

// fromBase64 reads the alphabets of both kinds, padded or not.
func fromBase64(text []byte) ([]byte, error) {
	text = bytes.TrimRight(bytes.TrimSpace(text), "=")
	out := make([]byte, base64.RawStdEncoding.DecodedLen(len(text)))
	n, err := base64.RawStdEncoding.Decode(out, text)
	if err != nil {
		if u, uerr := base64.RawURLEncoding.Decode(out, text); uerr == nil {
			return out[:u], nil
		}
	}
	return out[:n], err
}

// isBinary and isJSON sort content types; of others the payload itself decides.
func isBinary(contentType string) bool {
	t := mediaType(contentType)
	return !isJSON(contentType) && (strings.Contains(t, "avro") || strings.Contains(t, "protobuf") || t == "application/octet-stream")
}

func isJSON(contentType string) bool {
	t := mediaType(contentType)
	return strings.HasSuffix(t, "/json") || strings.HasSuffix(t, "+json")
}

func mediaType(contentType string) string {
	t, _, _ := strings.Cut(contentType, ";")
	return strings.ToLower(strings.TrimSpace(t))
}

// looksJSON tells JSON from base64, which a lone number or word may be as well,
// and from binary data, which begins with a quotation mark often enough.
func (m Message) looksJSON() bool {
	start := "{["
	if m.Text {
		start = `{["`
	}
	body := bytes.TrimLeft(m.Body, " \t\r\n")
	return len(body) > 0 && strings.IndexByte(start, body[0]) >= 0 && json.Valid(body)
}
