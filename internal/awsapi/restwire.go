package awsapi

import (
	"errors"
	"io"
	"net/http"
	"reflect"

	"github.com/dhowhq/dhow/internal/awsapi/codec"
)

// decodeREST reads a restJson1 or restXml request.
func (x *exchange) decodeREST(o *operation, in reflect.Value, limit int64) error {
	seen := &x.call.seen
	parts := codec.Parts{
		Label: func(name string) (string, bool) {
			for _, l := range x.t.label {
				if l.name == name {
					return l.value, true
				}
			}
			return "", false
		},
		Query:  x.r.URL.Query(),
		Header: x.r.Header,
	}
	if err := o.in.DecodeBound(parts, in, seen); err != nil {
		return err
	}
	if o.in.StreamsBlob() {
		body, err := x.decoding(x.r.Body)
		if err != nil {
			return err
		}
		o.in.SetPayloadStream(in, readCloser{body, x.r.Body}, seen)
		return nil
	}
	body, err := x.plainBody(limit)
	if err != nil || !o.in.HasBody() {
		return err
	}
	payload, raw := o.in.HasPayload()
	switch {
	case raw:
		if len(body) > 0 {
			o.in.SetPayload(in, body, seen)
		}
		return nil
	case x.t.proto == restXML:
		return o.in.DecodeXML(body, in, seen)
	case payload:
		return o.in.DecodeJSONPayload(body, in, seen)
	}
	return o.in.DecodeJSON(body, in, seen)
}

type readCloser struct {
	io.Reader
	io.Closer
}

// answerREST writes a restJson1 or restXml answer.
func (x *exchange) answerREST(o *operation, out reflect.Value) error {
	status := o.Status
	if status == 0 {
		status = http.StatusOK
	}
	if o.Output < 0 {
		x.write(status, nil, nil)
		return nil
	}
	if s := o.out.EncodeBound(out, x.w.Header()); s != 0 {
		if s < 200 || s > 599 {
			return errors.New("the handler's output has an impossible status code")
		}
		status = s
	}
	contentType := ctJSON
	if x.t.proto == restXML {
		contentType = ctXML
	}
	payload, raw := o.out.HasPayload()
	b := x.out[:0]
	switch {
	case raw:
		return x.answerRaw(o, out, status)
	case !o.out.HasBody():
		contentType = nil
		if x.t.proto == restJSON {
			contentType, b = ctJSON, append(b, "{}"...)
			if o.out.NoMembers() {
				contentType, b = nil, b[:0]
			}
		}
	case x.t.proto == restXML && payload:
		b = o.out.AppendXMLPayload(b, out)
	case x.t.proto == restXML:
		b = x.appendRoot(b, o, out)
	case payload:
		b = o.out.AppendJSONPayload(b, out)
	default:
		b = o.out.AppendJSONBody(b, out)
	}
	x.out = b
	if x.r.Method == http.MethodHead {
		b = nil
	}
	x.write(status, contentType, b)
	return nil
}

// appendRoot writes the root element of a restXml answer; its name is that of
// the output's shape.
func (x *exchange) appendRoot(b []byte, o *operation, out reflect.Value) []byte {
	name := o.out.Shape().Wire
	if name == "" {
		name = o.out.Shape().Name
	}
	b = append(append(b, `<?xml version="1.0" encoding="UTF-8"?>`+"\n<"...), name...)
	if ns := x.restNamespace(); ns != "" {
		b = append(append(append(b, ` xmlns="`...), ns...), '"')
	}
	b = o.out.AppendXMLBody(append(b, '>'), out)
	return append(append(append(b, "</"...), name...), '>')
}

// restNamespace is the XML namespace that the service's requests have.
func (x *exchange) restNamespace() string {
	m := x.model()
	if m == nil {
		return ""
	}
	for _, o := range m.Ops {
		if o.RootNS != "" {
			return o.RootNS
		}
	}
	for _, s := range m.Shapes {
		for i := range s.Members {
			if m := &s.Members[i]; m.Name == s.Payload && m.Namespace != "" {
				return m.Namespace
			}
		}
	}
	return ""
}

// answerRaw writes a payload of bytes, all at once or as they come.
func (x *exchange) answerRaw(o *operation, out reflect.Value, status int) error {
	data, r := o.out.Payload(out)
	if closer, ok := r.(io.Closer); ok {
		defer closer.Close()
	}
	contentType := x.w.Header()["Content-Type"]
	if contentType == nil {
		contentType = []string{"application/octet-stream"}
	}
	if r == nil {
		x.write(status, contentType, data)
		return nil
	}
	x.head(status, contentType, -1) // Content-Length is a member of such outputs, if they know it
	if x.r.Method == http.MethodHead {
		return nil
	}
	if _, err := io.Copy(x.w, r); err != nil {
		return err // fail cuts the connection: the client must not take this for all
	}
	return nil
}

// errorHeaders writes the members of an error that headers carry.
func (x *exchange) errorHeaders(f *fault) {
	if p := x.errorPlan(f); p != nil {
		p.EncodeBound(f.value, x.w.Header())
	}
}
