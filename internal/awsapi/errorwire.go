package awsapi

import (
	"net/http"
	"reflect"
	"strings"

	"github.com/dhowhq/dhow/internal/awsapi/codec"
)

// fail answers with err in the request's protocol.
func (x *exchange) fail(err error) {
	if x.started { // a streamed answer cannot be taken back, only cut
		x.s.log.Error("an answer broke off", "service", x.call.Service, "operation", x.call.Operation,
			"request", x.call.RequestID, "err", err)
		panic(http.ErrAbortHandler)
	}
	f := x.fault(err)
	x.queryCode(f)
	b := x.out[:0]
	h := x.w.Header()
	var contentType []string
	switch x.t.proto {
	case awsJSON:
		b = x.appendJSONError(b, f, true)
		contentType = x.jsonContentType()
		x.queryErrorHeader(f)
	case cborRPC:
		h["Smithy-Protocol"] = cborProtocol
		b = x.appendCBORError(b, codec.EpochSeconds, f)
		contentType = ctCBOR
		x.queryErrorHeader(f)
	case awsCBOR:
		b = x.appendCBORError(b, codec.EpochMillis, f)
		contentType = ctAWSCBOR
		x.queryErrorHeader(f)
	case restJSON:
		h["x-amzn-ErrorType"] = []string{f.name}
		x.errorHeaders(f)
		b = x.appendJSONError(b, f, false)
		contentType = ctJSON
	case ec2Query:
		b = x.appendEC2Error(b, f)
		contentType = ctXML
	default:
		x.errorHeaders(f)
		b = x.appendXMLError(b, f)
		contentType = ctXML
	}
	x.out = b
	if x.r.Method == http.MethodHead {
		b = nil
	}
	x.write(f.status, contentType, b)
}

// errorPlan returns the plan of the SDK's error type.
func (x *exchange) errorPlan(f *fault) *codec.Plan {
	if !f.value.IsValid() || f.shape == nil {
		return nil
	}
	svc := x.s.services[x.t.info.Name]
	if svc == nil {
		return nil
	}
	l, err := svc.load()
	if err != nil {
		return nil
	}
	for i, s := range l.m.Shapes {
		if s == f.shape {
			p, err := l.codec.Plan(f.value.Type(), i)
			if err != nil {
				x.s.log.Error("an error type does not fit the model", "type", f.value.Type(), "err", err)
				return nil
			}
			return p
		}
	}
	return nil
}

// typeName is what goes into __type: JSON 1.0 and CBOR have the namespace.
func (x *exchange) typeName(f *fault) string {
	if x.t.info != nil && (x.t.proto == cborRPC || x.t.info.JSONVersion == "1.0") && f.shape != nil {
		return "com.amazonaws." + x.t.info.Name + "#" + f.name
	}
	return f.name
}

// queryCode gives the error the code it has in the query protocol, where the
// service says so.
func (x *exchange) queryCode(f *fault) {
	if x.t.info == nil || x.s.services[x.t.info.Name] == nil {
		return
	}
	if code := x.s.services[x.t.info.Name].queryCodes[f.name]; code != "" {
		f.code = code
	}
}

// queryErrorHeader tells clients of a service that once spoke the query
// protocol the code it had there.
func (x *exchange) queryErrorHeader(f *fault) {
	if x.t.info == nil || !x.t.info.QueryCompatible {
		return
	}
	side := ";Receiver"
	if f.sender() {
		side = ";Sender"
	}
	x.w.Header()["x-amzn-query-error"] = []string{headerSafe(f.code) + side}
}

func headerSafe(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e {
			return -1
		}
		return r
	}, s)
}

func (x *exchange) appendJSONError(b []byte, f *fault, typed bool) []byte {
	b = append(b, '{')
	if typed {
		b = append(b, `"__type":`...)
		b = append(codec.AppendJSONString(b, x.typeName(f)), ',')
	}
	if p := x.errorPlan(f); p != nil {
		b = p.AppendJSONMembers(b, f.value, !typed)
	}
	if !hasMessage(f) {
		b = append(append(b, '"'), messageName(f)...)
		b = append(codec.AppendJSONString(append(b, `":`...), f.message), ',')
	}
	return append(b[:len(b)-1], '}')
}

// hasMessage reports whether the typed error's own members say the message.
// Many models' errors have no member for it: CloudWatch Logs', EventBridge's.
func hasMessage(f *fault) bool {
	if !f.value.IsValid() || messageMember(f) == "" {
		return false
	}
	m := f.value.FieldByName("Message")
	return m.IsValid() && m.Kind() == reflect.Pointer && !m.IsNil()
}

// messageName is "message", or "Message" where the model spells it so.
func messageName(f *fault) string {
	if n := messageMember(f); n != "" {
		return n
	}
	return "message"
}

// messageMember is the model's member for the message, "" where there is none.
func messageMember(f *fault) string {
	if f.shape != nil {
		for i := range f.shape.Members {
			if n := f.shape.Members[i].Name; strings.EqualFold(n, "message") {
				return n
			}
		}
	}
	return ""
}

// appendXMLError writes the query and restXml protocols' error. S3 has it
// without a wrapper.
func (x *exchange) appendXMLError(b []byte, f *fault) []byte {
	s3 := x.t.info != nil && x.t.info.Name == "s3"
	if s3 {
		b = append(b, `<?xml version="1.0" encoding="UTF-8"?>`+"\n<Error>"...)
	} else {
		b = append(b, "<ErrorResponse"...)
		if ns := x.namespace(); ns != "" {
			b = append(append(append(b, ` xmlns="`...), ns...), '"')
		}
		b = append(b, "><Error><Type>"...)
		if f.sender() {
			b = append(b, "Sender</Type>"...)
		} else {
			b = append(b, "Receiver</Type>"...)
		}
	}
	b = append(codec.AppendXMLText(append(b, "<Code>"...), f.code), "</Code><Message>"...)
	b = append(codec.AppendXMLText(b, f.message), "</Message>"...)
	if p := x.errorPlan(f); p != nil {
		b = p.AppendXMLExcept(b, f.value, messageName(f))
	}
	if q := x.query(); q != nil && q.Detail {
		b = append(b, "<Detail/>"...)
	}
	id := x.call.RequestID
	if s3 {
		b = append(append(append(b, "<RequestId>"...), id...), "</RequestId><HostId>"...)
		return append(append(b, id...), "</HostId></Error>"...)
	}
	return append(append(append(b, "</Error><RequestId>"...), id...), "</RequestId></ErrorResponse>"...)
}

func (x *exchange) appendEC2Error(b []byte, f *fault) []byte {
	b = append(b, `<?xml version="1.0" encoding="UTF-8"?>`+"\n<Response><Errors><Error><Code>"...)
	b = append(codec.AppendXMLText(b, f.code), "</Code><Message>"...)
	b = append(codec.AppendXMLText(b, f.message), "</Message></Error></Errors><RequestID>"...)
	return append(append(b, x.call.RequestID...), "</RequestID></Response>"...)
}

func (x *exchange) appendCBORError(b []byte, e codec.Epoch, f *fault) []byte {
	b = codec.AppendCBOROpen(b)
	b = codec.AppendCBORText(codec.AppendCBORText(b, "__type"), x.typeName(f))
	if p := x.errorPlan(f); p != nil {
		b = p.AppendCBORMembers(b, e, f.value)
	}
	if !hasMessage(f) {
		b = codec.AppendCBORText(codec.AppendCBORText(b, messageName(f)), f.message)
	}
	return codec.AppendCBORClose(b)
}
