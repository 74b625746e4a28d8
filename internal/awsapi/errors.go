package awsapi

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"

	"github.com/aws/smithy-go"

	"github.com/dhowhq/dhow/internal/awsapi/codec"
	"github.com/dhowhq/dhow/internal/awsapi/model"
)

// CodeNotServed is the code of the error for operations that AWS has and dhow
// has not. Its status is 501, which no SDK tries again.
const CodeNotServed = "NotImplemented"

func notServed(t *target) error {
	return &Error{Code: CodeNotServed, Status: http.StatusNotImplemented,
		Message: fmt.Sprintf("dhow does not serve %s.%s. See docs/coverage.md for what it serves.", t.info.Name, t.op)}
}

func unknownService(x *exchange) error {
	name := x.scope.service
	if name == "" {
		name, _, _ = strings.Cut(header(x.r, "X-Amz-Target"), ".")
	}
	if action := x.params.Get("Action"); name == "" && action != "" {
		return &Error{Code: "InvalidAction", Message: fmt.Sprintf("Could not find operation %s for version %s", clip(action), clip(x.params.Get("Version")))}
	}
	if name == "" {
		return &Error{Code: "UnknownOperationException", Status: http.StatusNotFound,
			Message: "The request names no AWS service: it is not signed and has no X-Amz-Target, Action or known path. Point an AWS SDK or the AWS CLI at this endpoint."}
	}
	return &Error{Code: CodeNotServed, Status: http.StatusNotImplemented,
		Message: fmt.Sprintf("dhow does not know the service %q. See docs/coverage.md for what it serves.", clip(name))}
}

// unknownOperation is AWS's answer, by protocol, to an operation that does
// not exist.
func unknownOperation(x *exchange, t *target) error {
	switch t.proto {
	case query, ec2Query:
		action := x.action()
		if action == "" {
			return &Error{Code: "MissingAction", Message: "The request must contain the parameter Action."}
		}
		if t.proto == ec2Query {
			return &Error{Code: "InvalidAction", Message: fmt.Sprintf("The action %s is not valid for this web service.", clip(action))}
		}
		return &Error{Code: "InvalidAction", Message: fmt.Sprintf("Could not find operation %s for version %s", clip(action), clip(x.params.Get("Version")))}
	case restJSON, restXML:
		return &Error{Code: "UnknownOperationException", Status: http.StatusNotFound,
			Message: fmt.Sprintf("%s has no operation %s %s.", t.info.FullName, x.r.Method, clip(x.r.URL.Path))}
	}
	if t.op == "" {
		return &Error{Code: "UnknownOperationException", Message: fmt.Sprintf("The request names no operation of %s.", t.info.FullName)}
	}
	return &Error{Code: "UnknownOperationException", Message: fmt.Sprintf("%s has no operation %s.", t.info.FullName, clip(t.op))}
}

// clip keeps what callers sent short in messages.
func clip(s string) string {
	if len(s) > 128 {
		s = s[:128] + "…"
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

type errTooLarge struct{ limit int64 }

func (e *errTooLarge) Error() string {
	return fmt.Sprintf("The request body is larger than %d bytes.", e.limit)
}

func tooLarge(limit int64) error { return &errTooLarge{limit} }

// fault is an error as it goes out.
type fault struct {
	code    string // on the XML wires, and in x-amzn-query-error
	name    string // the shape's, on the JSON and CBOR wires
	message string
	status  int
	shape   *model.Shape
	value   reflect.Value // the SDK's error struct, where there is one
}

func (f *fault) sender() bool { return f.status < 500 }

// fault turns what serve returned into an error of the service's. Only what
// is no error of AWS's is logged, and says nothing to the caller.
func (x *exchange) fault(err error) *fault {
	m := x.model()
	var own *Error
	var api smithy.APIError
	var bad codec.Violations
	var syntax *codec.SyntaxError
	var large *errTooLarge
	var public Public
	var denied *Denied
	switch {
	case errors.As(err, &denied):
		return deniedFault(m, x.t.info, denied)
	case errors.As(err, &own):
		return plainFault(m, own)
	case errors.As(err, &bad):
		return plainFault(m, x.violation(bad))
	case errors.As(err, &syntax):
		return plainFault(m, x.malformed(syntax))
	case errors.As(err, &large):
		code := "RequestEntityTooLargeException"
		if x.isXML() {
			code = "RequestEntityTooLarge"
		}
		return &fault{code: code, name: code, message: large.Error(), status: http.StatusRequestEntityTooLarge}
	case errors.As(err, &api):
		return typedFault(m, api)
	case errors.As(err, &public):
		return x.publicFault(m, err, public)
	}
	if err != errPanic {
		x.s.log.Error("a call failed", "service", x.call.Service, "operation", x.call.Operation,
			"request", x.call.RequestID, "err", err)
	}
	f := internalFault(m)
	f.message = "The request failed for a reason that is dhow's, not yours. Its log names request " + x.call.RequestID + "."
	return f
}

// publicFault is an engine's error: the service's own failure, for now, or its
// word for bad input.
func (x *exchange) publicFault(m *model.Model, err error, public Public) *fault {
	sentence, ours := public.Public()
	if !ours && x.t.info != nil {
		return plainFault(m, &Error{Code: constraintCode(x.t.info), Message: sentence})
	}
	x.s.log.Warn("a call failed", "service", x.call.Service, "operation", x.call.Operation, "request", x.call.RequestID, "err", err)
	f := internalFault(m)
	if f.shape == nil { // AWS's common errors have a name for it
		f.code, f.name = "ServiceUnavailable", "ServiceUnavailable"
	}
	f.message, f.status = sentence, http.StatusServiceUnavailable
	return f
}

func (x *exchange) model() *model.Model {
	if x.t.info == nil {
		return nil
	}
	if svc := x.s.services[x.t.info.Name]; svc != nil {
		if l, err := svc.load(); err == nil {
			return l.m // whose shapes may be copies
		}
	}
	m, err := model.Load(x.t.info.Name)
	if err != nil {
		return nil
	}
	return m
}

func (x *exchange) isXML() bool {
	switch x.t.proto {
	case query, ec2Query, restXML:
		return true
	}
	return false
}

func plainFault(m *model.Model, e *Error) *fault {
	f := &fault{code: e.Code, name: e.Code, message: e.Message, status: e.Status}
	if m != nil {
		f.describe(m.Exception(e.Code))
	}
	if f.status == 0 {
		f.status = http.StatusBadRequest
	}
	return f
}

// describe takes name, code and status from the model's shape.
func (f *fault) describe(s *model.Shape) {
	if s == nil {
		return
	}
	f.shape, f.name, f.code = s, s.Name, s.Name
	if s.Code != "" {
		f.code = s.Code
	}
	switch {
	case f.status != 0:
	case s.Status != 0:
		f.status = s.Status
	case s.Fault:
		f.status = http.StatusInternalServerError
	default:
		f.status = http.StatusBadRequest
	}
}

func typedFault(m *model.Model, api smithy.APIError) *fault {
	f := &fault{code: api.ErrorCode(), name: api.ErrorCode(), message: api.ErrorMessage()}
	v := reflect.ValueOf(api)
	if v.Kind() == reflect.Pointer && !v.IsNil() && v.Elem().Kind() == reflect.Struct {
		v = v.Elem()
		if m != nil {
			if s := m.Exception(v.Type().Name()); s != nil {
				f.describe(s)
				f.value = v
			} else {
				f.describe(m.Exception(f.code))
			}
		}
		if o := v.FieldByName("ErrorCodeOverride"); o.IsValid() && o.Kind() == reflect.Pointer && !o.IsNil() {
			f.code = o.Elem().String()
			f.name = f.code
		}
	}
	if f.status == 0 {
		f.status = http.StatusBadRequest
		if api.ErrorFault() == smithy.FaultServer {
			f.status = http.StatusInternalServerError
		}
	}
	return f
}

// internalNames are what services call their own failures.
var internalNames = []string{"ServerException", "InternalServerException", "InternalServerError", "InternalServiceException",
	"InternalServiceFault", "InternalFailureException", "InternalFailure", "InternalException", "InternalErrorException",
	"InternalError", "ServiceException", "KMSInternalException", "ServiceFailureException"}

func internalFault(m *model.Model) *fault {
	f := &fault{code: "InternalFailure", name: "InternalFailure", status: http.StatusInternalServerError}
	if m == nil {
		return f
	}
	for _, name := range internalNames {
		if s := m.Exception(name); s != nil {
			f.describe(s)
			break
		}
	}
	f.status = http.StatusInternalServerError
	return f
}
