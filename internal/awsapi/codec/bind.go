package codec

import (
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"sort"
	"strconv"
	"strings"
)

// Parts are where HTTP carries members of a REST request, beside the body.
type Parts struct {
	Label  func(name string) (string, bool)
	Query  url.Values
	Header http.Header
}

// bind sorts the members of p's shape by where HTTP carries them. Only the
// REST protocols look at it.
func (p *Plan) bind() {
	for i := range p.root.fields {
		f := &p.root.fields[i]
		switch {
		case f.n != nil && f.n.kind == kStream:
			p.stream = f
		case f.member.Location != "":
			p.bound = append(p.bound, f)
		case p.root.shape.Payload == f.name:
			p.payload = f
		default:
			p.body = append(p.body, f)
		}
	}
}

// DecodeBound fills the members of v that parts carry.
func (p *Plan) DecodeBound(parts Parts, v reflect.Value, seen *Seen) error {
	for _, f := range p.bound {
		fv := v.Field(f.index)
		var err error
		switch f.member.Location {
		case "uri":
			if s, ok := parts.Label(f.wire); ok {
				err = setText(f.n, f.settle(fv), s)
				seen.mark(p.root.byName[f.name])
			}
		case "querystring":
			err = p.decodeQueryString(f, fv, parts.Query, seen)
		case "header":
			if values := parts.Header.Values(f.wire); len(values) > 0 {
				err = setHeader(f, fv, values)
				seen.mark(p.root.byName[f.name])
			}
		case "headers":
			decodePrefix(f, fv, parts.Header)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *Plan) decodeQueryString(f *field, v reflect.Value, q url.Values, seen *Seen) error {
	if f.n.kind == kMap { // every parameter that is not a member of its own
		return p.decodeQueryMap(f, v, q)
	}
	values, ok := q[f.wire]
	if !ok || len(values) == 0 {
		return nil
	}
	seen.mark(p.root.byName[f.name])
	if f.n.kind != kList {
		return setText(f.n, f.settle(v), values[0])
	}
	return setTexts(f, v, values)
}

func setTexts(f *field, v reflect.Value, values []string) error {
	list := reflect.MakeSlice(f.n.typ, len(values), len(values))
	for i, s := range values {
		if err := setText(f.n.elem.n, f.n.elem.settle(list.Index(i)), s); err != nil {
			return err
		}
	}
	v.Set(list)
	return nil
}

func (p *Plan) decodeQueryMap(f *field, v reflect.Value, q url.Values) error {
	m := reflect.MakeMap(f.n.typ)
	for name, values := range q {
		if _, own := p.root.byWire[name]; own || len(values) == 0 {
			continue
		}
		item := reflect.New(f.n.typ.Elem()).Elem()
		if f.n.elem.n.kind == kList {
			for _, s := range values {
				if err := setText(f.n.elem.n.elem.n, f.n.elem.n.elem.settle(grow(item)), s); err != nil {
					return err
				}
			}
		} else if err := setText(f.n.elem.n, f.n.elem.settle(item), values[0]); err != nil {
			return err
		}
		m.SetMapIndex(reflect.ValueOf(name).Convert(f.n.typ.Key()), item)
	}
	if m.Len() > 0 {
		v.Set(m)
	}
	return nil
}

func setHeader(f *field, v reflect.Value, values []string) error {
	if f.n.kind != kList {
		s := values[0]
		if f.member.JSONValue {
			if raw, err := base64.StdEncoding.DecodeString(s); err == nil {
				s = string(raw)
			}
		}
		return setText(f.n, f.settle(v), s)
	}
	var parts []string
	for _, line := range values {
		parts = append(parts, splitHeader(line, f.n.elem.n.kind == kTime)...)
	}
	return setTexts(f, v, parts)
}

// splitHeader takes a header's list apart; HTTP dates contain a comma.
func splitHeader(line string, dates bool) []string {
	var out []string
	for _, part := range strings.Split(line, ",") {
		part = strings.TrimSpace(part)
		if dates && len(out) > 0 && len(out[len(out)-1]) == 3 {
			out[len(out)-1] += ", " + part
			continue
		}
		if n := len(part); n >= 2 && part[0] == '"' && part[n-1] == '"' {
			part = strings.ReplaceAll(part[1:n-1], `\"`, `"`)
		}
		out = append(out, part)
	}
	return out
}

func decodePrefix(f *field, v reflect.Value, h http.Header) {
	prefix := f.member.Wire
	m := reflect.MakeMap(f.n.typ)
	for name, values := range h {
		if len(name) <= len(prefix) || !strings.EqualFold(name[:len(prefix)], prefix) {
			continue
		}
		key := reflect.New(f.n.typ.Key()).Elem()
		key.SetString(strings.ToLower(name[len(prefix):]))
		item := reflect.New(f.n.typ.Elem()).Elem()
		f.n.elem.settle(item).SetString(strings.Join(values, ","))
		m.SetMapIndex(key, item)
	}
	if m.Len() > 0 {
		v.Set(m)
	}
}

// EncodeBound writes the members of v that headers carry, and returns the
// status that a member says, or 0.
func (p *Plan) EncodeBound(v reflect.Value, h http.Header) (status int) {
	for _, f := range p.bound {
		fv := v.Field(f.index)
		if f.absent(fv) {
			continue
		}
		fv = f.deref(fv)
		switch f.member.Location {
		case "statusCode":
			status = int(fv.Int())
		case "header":
			if s := headerText(f, f.n, fv); s != "" || f.n.kind == kString {
				h[http.CanonicalHeaderKey(f.wire)] = []string{s}
			}
		case "headers":
			for _, key := range sortedKeys(fv) {
				h[http.CanonicalHeaderKey(f.member.Wire+key.String())] = []string{oneLine(f.n.elem.deref(fv.MapIndex(key)).String())}
			}
		}
	}
	return status
}

func headerText(f *field, n *node, v reflect.Value) string {
	if n.kind == kList {
		parts := make([]string, v.Len())
		for i := range parts {
			s := headerText(f, n.elem.n, n.elem.deref(v.Index(i)))
			if n.elem.n.kind == kString && strings.ContainsAny(s, `",`) {
				s = strconv.Quote(s)
			}
			parts[i] = s
		}
		return strings.Join(parts, ", ")
	}
	s := string(appendText(nil, n, v, timeFormat(n, rfc822)))
	if f.member.JSONValue {
		return base64.StdEncoding.EncodeToString([]byte(s))
	}
	return oneLine(s)
}

// oneLine removes what would end a header.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\r' || r == '\n' || r == 0 {
			return ' '
		}
		return r
	}, s)
}

// HasPayload reports whether one member is the whole body, and whether that
// is raw bytes or text rather than a structure.
func (p *Plan) HasPayload() (yes, raw bool) {
	if p.payload == nil {
		return false, false
	}
	switch p.payload.n.kind {
	case kBlob, kReader, kString:
		return true, true
	}
	return true, false
}

// HasBody reports whether members go into the body at all.
func (p *Plan) HasBody() bool { return p.payload != nil || len(p.body) > 0 }

// SetPayload makes raw bytes the payload member.
func (p *Plan) SetPayload(v reflect.Value, body []byte, seen *Seen) {
	f := p.payload
	fv := f.settle(v.Field(f.index))
	seen.mark(p.root.byName[f.name])
	if f.n.kind == kString {
		fv.SetString(string(body))
		return
	}
	fv.SetBytes(append([]byte{}, body...))
}

// SetPayloadStream makes r the payload member.
func (p *Plan) SetPayloadStream(v reflect.Value, r io.ReadCloser, seen *Seen) {
	v.Field(p.payload.index).Set(reflect.ValueOf(r))
	seen.mark(p.root.byName[p.payload.name])
}

// Payload returns the payload member's raw bytes, or a reader of them.
func (p *Plan) Payload(v reflect.Value) ([]byte, io.Reader) {
	f := p.payload
	fv := v.Field(f.index)
	if f.absent(fv) {
		return nil, nil
	}
	fv = f.deref(fv)
	switch f.n.kind {
	case kBlob:
		return fv.Bytes(), nil
	case kString:
		return []byte(fv.String()), nil
	}
	r, _ := fv.Interface().(io.Reader)
	return nil, r
}

// DecodeJSONPayload fills the payload member, a structure, from JSON.
func (p *Plan) DecodeJSONPayload(body []byte, v reflect.Value, seen *Seen) error {
	d := jsonDecoder{c: p.c, scanner: scanner{b: body}}
	if d.space(); d.i == len(body) || d.null() {
		return nil
	}
	f := p.payload
	seen.mark(p.root.byName[f.name])
	if err := d.value(f.n, f.settle(v.Field(f.index))); err != nil {
		return err
	}
	if d.space(); d.i != len(body) {
		return d.invalid()
	}
	return nil
}

// AppendJSONPayload writes the payload member, a structure, as JSON.
func (p *Plan) AppendJSONPayload(b []byte, v reflect.Value) []byte {
	f := p.payload
	fv := v.Field(f.index)
	if f.absent(fv) {
		return b
	}
	return jsonEncoder{c: p.c}.value(b, f.n, f.deref(fv))
}

// AppendXMLPayload writes the payload member, a structure, as an element.
func (p *Plan) AppendXMLPayload(b []byte, v reflect.Value) []byte {
	return xmlEncoder{p.c}.member(b, p.payload, v.Field(p.payload.index))
}

// BlobLimit is how large a body may be because the model admits blobs that
// large: their length in base64 and a megabyte for the rest; 0 where no blob
// of the shape is large.
func (p *Plan) BlobLimit() int64 {
	var total float64
	seen := map[*node]bool{}
	var walk func(*node)
	walk = func(n *node) {
		if n == nil || seen[n] {
			return
		}
		seen[n] = true
		if n.kind == kBlob && n.checks != nil && n.checks.max != nil {
			total += n.checks.max.f
		}
		for i := range n.fields {
			walk(n.fields[i].n)
		}
		walk(n.elem.n)
	}
	walk(p.root)
	if total < 1<<20 || total > 1<<30 {
		return 0
	}
	return int64(total*4/3) + 1<<20
}

// Unread names the members of unions that requests of this shape may carry
// and whose Go types are not known.
func (p *Plan) Unread() []string {
	var out []string
	seen := map[*node]bool{}
	var walk func(*node)
	walk = func(n *node) {
		if n == nil || seen[n] {
			return
		}
		seen[n] = true
		for i := range n.fields {
			if n.kind == kUnion && n.union.concrete[i] == nil {
				out = append(out, n.shape.Name+"."+n.fields[i].name)
			}
			walk(n.fields[i].n)
		}
		walk(n.elem.n)
	}
	walk(p.root)
	sort.Strings(out)
	return out
}

// AWSCBOR is the content type of the JSON protocol in CBOR.
const AWSCBOR = "application/x-amz-cbor-1.1"

// NoMembers reports whether the shape is empty.
func (p *Plan) NoMembers() bool { return len(p.root.fields) == 0 }

// AppendEvent writes v, an event of a stream: its payload member, where it
// has one, else all of it as JSON; where cbor is set, as CBOR with times in
// milliseconds.
func (p *Plan) AppendEvent(b []byte, cbor bool, v reflect.Value) (body []byte, contentType string) {
	for i := range p.root.fields {
		f := &p.root.fields[i]
		if !f.member.Payload {
			continue
		}
		fv := v.Field(f.index)
		switch {
		case f.absent(fv):
			return b, "application/octet-stream"
		case f.n.kind == kBlob:
			return append(b, fv.Bytes()...), "application/octet-stream"
		case f.n.kind == kString:
			return append(b, f.deref(fv).String()...), "text/plain"
		}
		if cbor {
			return cborEncoder{p.c, EpochMillis}.value(b, f.n, f.deref(fv)), AWSCBOR
		}
		return jsonEncoder{c: p.c}.value(b, f.n, f.deref(fv)), "application/json"
	}
	if cbor {
		return p.AppendCBOR(b, EpochMillis, v), AWSCBOR
	}
	return p.AppendJSON(b, v), "application/json"
}
