package awsapi

import (
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"reflect"
	"strconv"
	"time"

	"github.com/dhowhq/dhow/internal/arn"
	"github.com/dhowhq/dhow/internal/awsapi/codec"
)

// exchange is one request and its answer. Its buffers are used again; what
// handlers may keep (the call, the input) is made anew.
type exchange struct {
	s     *Server
	w     http.ResponseWriter
	r     *http.Request
	call  *Call
	scope scope
	t     target
	start time.Time

	pooled   bool
	params   codec.Params
	formRead bool
	formErr  error

	raw     []byte // the body as it came
	rawRead bool
	out     []byte
	rd      bytesReader

	status  int
	started bool // the answer's head is out
}

func (x *exchange) reset(s *Server, w http.ResponseWriter, r *http.Request) {
	raw, out := x.raw[:0], x.out[:0]
	*x = exchange{s: s, w: w, r: r, raw: raw, out: out, pooled: true}
	x.start = time.Now()
	x.call = &Call{RequestID: newRequestID(), Host: r.Host, Scheme: "http", Account: s.cfg.Account, Region: s.cfg.Region, Trace: header(r, "X-Amzn-Trace-Id")}
	if r.TLS != nil {
		x.call.Scheme = "https"
	}
}

// maxPooled is the largest buffer that is kept.
const maxPooled = 1 << 20

func (x *exchange) release() {
	s := x.s
	x.call.x = nil
	raw, out := x.raw, x.out
	if cap(raw) > maxPooled {
		raw = nil
	}
	if cap(out) > maxPooled {
		out = nil
	}
	*x = exchange{raw: raw, out: out}
	s.pool.Put(x)
}

// newRequestID is a random UUID, as AWS's are.
func newRequestID() string {
	var u [16]byte
	for i, n := 0, rand.Uint64(); i < 8; i, n = i+1, n>>8 {
		u[i] = byte(n)
	}
	for i, n := 8, rand.Uint64(); i < 16; i, n = i+1, n>>8 {
		u[i] = byte(n)
	}
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
	var b [36]byte
	hex.Encode(b[0:8], u[0:4])
	hex.Encode(b[9:13], u[4:6])
	hex.Encode(b[14:18], u[6:8])
	hex.Encode(b[19:23], u[8:10])
	hex.Encode(b[24:36], u[10:16])
	b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
	return string(b[:])
}

// serve answers the request, or returns the error to answer with.
func (x *exchange) serve() error {
	x.scope = credential(x.r)
	t, err := x.s.resolve(x)
	x.t = t
	x.identify()
	if err != nil {
		// Who may not call at all is not told what there is to call.
		if denied := x.authorize(x.s.cfg.MaxBody); denied != nil {
			return denied
		}
		return err
	}
	svc := x.s.services[t.info.Name]
	var h *handler
	if svc != nil {
		h = svc.handlers[t.op]
	}
	if h == nil {
		if err := x.authorize(x.s.cfg.MaxBody); err != nil {
			return err
		}
		return notServed(&t)
	}
	o, err := svc.operation(h)
	if err != nil {
		return err
	}
	x.call.op = o
	if o.in.StreamsBlob() {
		if x.s.cfg.Auth != nil {
			err = x.s.cfg.Auth.Authorize(x.r, x.call)
		}
	} else {
		err = x.authorize(max(x.s.cfg.MaxBody, o.maxBody))
	}
	if err != nil {
		return err
	}
	in := reflect.New(h.in)
	if err := x.decode(o, in.Elem()); err != nil {
		return err
	}
	if !x.s.cfg.SkipConstraints {
		if bad := o.in.Validate(in.Elem(), &x.call.seen); len(bad) > 0 {
			return bad
		}
	}
	x.call.x = x
	ctx := WithCall(x.r.Context(), x.call)
	if x.call.Allow != nil {
		if err := svc.permit(ctx, o.Name, in.Interface()); err != nil {
			return err
		}
	}
	if h.out == nil {
		return x.serveStream(ctx, o, in)
	}
	// By way of its address ctx has the parameter's type, an interface;
	// otherwise every call would look up whether its own type implements it.
	results := h.call(reflect.ValueOf(&ctx).Elem(), in)
	if err, _ := results[1].Interface().(error); err != nil {
		return err
	}
	if results[0].IsNil() {
		return errors.New("the handler returned neither an output nor an error")
	}
	return x.answer(o, results[0].Elem())
}

// header returns a request's header by its canonical name; unlike Header.Get
// it does not make sure that name is that.
func header(r *http.Request, name string) string {
	if v := r.Header[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// identify fills the call from the routing and the credential. An access key
// of 12 digits names its account.
func (x *exchange) identify() {
	c := x.call
	if x.t.info != nil {
		c.Service = x.t.info.Name
		if x.t.info.HasOp(x.t.op) { // else it is the caller's word: no label for logs and metrics
			c.Operation = x.t.op
		}
	}
	c.AccessKey = x.scope.key
	if arn.IsAccount(x.scope.key) {
		c.Account = x.scope.key
	}
	if x.scope.region != "" {
		c.Region = x.scope.region
	}
	c.Principal = "arn:aws:iam::" + c.Account + ":root"
}

// authorize reads the body and asks the Authorizer, to whom r.Body is the
// body as the client signed it.
func (x *exchange) authorize(limit int64) error {
	raw, err := x.readBody(limit)
	if err != nil || x.s.cfg.Auth == nil {
		return err
	}
	x.rd.b = raw
	x.r.Body = &x.rd
	return x.s.cfg.Auth.Authorize(x.r, x.call)
}

// bytesReader is a request body that was read before.
type bytesReader struct{ b []byte }

func (r *bytesReader) Read(p []byte) (int, error) {
	if len(r.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.b)
	r.b = r.b[n:]
	return n, nil
}

func (r *bytesReader) Close() error { return nil }

// decode reads the request into in.
func (x *exchange) decode(o *operation, in reflect.Value) error {
	seen := &x.call.seen
	switch x.t.proto {
	case query, ec2Query:
		if q := x.query(); q != nil && q.Path != "" && len(x.r.URL.Path) > 1 {
			x.params = x.params.Default(q.Path, x.r.URL.Path)
		}
		return o.plans(x.t.proto).in.DecodeQuery(x.params, x.t.proto == ec2Query, in, seen)
	}
	limit := max(x.s.cfg.MaxBody, o.maxBody)
	if x.t.proto == restJSON || x.t.proto == restXML {
		return x.decodeREST(o, in, limit)
	}
	body, err := x.plainBody(limit)
	if err != nil {
		return err
	}
	switch x.t.proto {
	case cborRPC:
		return o.in.DecodeCBOR(body, codec.EpochSeconds, in, seen)
	case awsCBOR:
		return o.in.DecodeCBOR(body, codec.EpochMillis, in, seen)
	}
	return o.in.DecodeJSON(body, in, seen)
}

// answer writes a handler's output.
func (x *exchange) answer(o *operation, out reflect.Value) error {
	b := x.out[:0]
	var contentType []string
	switch x.t.proto {
	case awsJSON:
		if o.Output >= 0 {
			b = o.out.AppendJSON(b, out)
		}
		contentType = x.jsonContentType()
	case cborRPC:
		x.w.Header()["Smithy-Protocol"] = cborProtocol
		if o.Output >= 0 {
			b = o.out.AppendCBOR(b, codec.EpochSeconds, out)
		}
		contentType = ctCBOR
	case awsCBOR:
		if o.Output >= 0 {
			b = o.out.AppendCBOR(b, codec.EpochMillis, out)
		}
		contentType = ctAWSCBOR
	case query:
		b = x.appendQuery(b, o, out)
		contentType = ctXML
	case ec2Query:
		b = x.appendEC2(b, o, out)
		contentType = ctXML
	default:
		return x.answerREST(o, out)
	}
	x.out = b
	x.write(http.StatusOK, contentType, b)
	return nil
}

var (
	ctJSON10     = []string{"application/x-amz-json-1.0"}
	ctJSON11     = []string{"application/x-amz-json-1.1"}
	ctJSON       = []string{"application/json"}
	ctXML        = []string{"text/xml"}
	ctCBOR       = []string{"application/cbor"}
	ctAWSCBOR    = []string{codec.AWSCBOR}
	cborProtocol = []string{"rpc-v2-cbor"}
	closing      = []string{"close"}
)

func (x *exchange) jsonContentType() []string {
	if x.t.info != nil && x.t.info.JSONVersion == "1.0" {
		return ctJSON10
	}
	return ctJSON11
}

// head writes the answer's status and common headers. length is the body's,
// -1 where it is not known.
func (x *exchange) head(status int, contentType []string, length int) {
	h := x.w.Header()
	id := []string{x.call.RequestID}
	// Not in net/http's canonical form: these are the names AWS sends.
	if x.t.info != nil && x.t.info.Name == "s3" {
		h["x-amz-request-id"] = id
		h["x-amz-id-2"] = id
	} else {
		h["x-amzn-RequestId"] = id
	}
	if contentType != nil {
		h["Content-Type"] = contentType
	}
	if length >= 0 && status != http.StatusNoContent && status != http.StatusNotModified {
		h["Content-Length"] = []string{strconv.Itoa(length)}
	}
	x.status, x.started = status, true
	x.w.WriteHeader(status)
}

func (x *exchange) write(status int, contentType []string, body []byte) {
	x.head(status, contentType, len(body))
	if len(body) > 0 {
		x.w.Write(body) // a client that has gone needs no answer
	}
}

// query is what the service says of the query protocol, nil if nothing.
func (x *exchange) query() *Query {
	if x.t.info == nil || x.s.services[x.t.info.Name] == nil {
		return nil
	}
	return x.s.services[x.t.info.Name].query
}

// namespace is that of the service's XML replies.
func (x *exchange) namespace() string {
	switch q := x.query(); {
	case q != nil:
		return q.Namespace
	case x.t.info != nil:
		return x.t.info.Namespace
	}
	return ""
}

// appendQuery writes <OpResponse><OpResult>…</OpResult><ResponseMetadata>….
func (x *exchange) appendQuery(b []byte, o *operation, out reflect.Value) []byte {
	b = append(b, "<"...)
	b = append(append(b, o.Name...), "Response xmlns=\""...)
	b = append(append(b, x.namespace()...), "\">"...)
	wrapper := o.Wrapper
	if wrapper == "" {
		wrapper = o.Name + "Result"
	}
	if o.Output >= 0 {
		b = append(append(append(b, '<'), wrapper...), '>')
		b = o.plans(query).out.AppendXML(b, out)
		b = append(append(append(b, "</"...), wrapper...), '>')
	}
	b = append(b, "<ResponseMetadata><RequestId>"...)
	b = append(append(b, x.call.RequestID...), "</RequestId></ResponseMetadata></"...)
	return append(append(b, o.Name...), "Response>"...)
}

// appendEC2 writes <OpResponse><requestId>…</requestId>…</OpResponse>.
func (x *exchange) appendEC2(b []byte, o *operation, out reflect.Value) []byte {
	b = append(b, "<"...)
	b = append(append(b, o.Name...), "Response xmlns=\""...)
	b = append(append(b, x.t.info.Namespace...), "/\"><requestId>"...)
	b = append(append(b, x.call.RequestID...), "</requestId>"...)
	if o.Output >= 0 {
		b = o.out.AppendXML(b, out)
	} else {
		b = append(b, "<return>true</return>"...)
	}
	b = append(b, "</"...)
	return append(append(b, o.Name...), "Response>"...)
}
