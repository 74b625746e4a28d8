// Package awsapi is the edge between AWS's wire protocols and Go handlers.
//
// A service hands it a value whose exported methods are named after the
// model's operations and have the shape
//
//	func(ctx context.Context, in *ecs.RunTaskInput) (*ecs.RunTaskOutput, error)
//
// where the types are those of the AWS SDK for Go v2. Everything else (wire
// names, protocols, constraints, request ids, error shapes) is this package's.
package awsapi

import (
	"context"
	"net/http"

	"github.com/dhowhq/dhow/internal/awsapi/codec"
)

// Service binds a model ("ecs", "elbv2", … the file names of the models) to
// the value whose methods are its handlers.
type Service struct {
	Model string
	// API is a value whose exported methods are handlers, or a Handlers.
	API any

	// The rest is for services with peculiarities; most set none of it.

	// MaxBody is the largest request body in bytes where Config.MaxBody and
	// the model's own limits on blobs do not say it.
	MaxBody int64
	// QueryCodes are the codes of the query protocol, and of the
	// x-amzn-query-error header, by the error shape's name, for services that
	// once spoke that protocol and whose model does not tell (SQS).
	QueryCodes map[string]string
	// Query is what such a service's messages look like in the query protocol.
	Query *Query
	// Unchecked are shapes of the model whose constraints the service checks
	// itself, for it has sentences of its own.
	Unchecked []string
	// Permit asks by Allow whether the caller may do what an input asks for, in
	// the service's own actions and resources. It comes before every handler,
	// while policies count. nil asks for the action of the operation's name, on
	// "*".
	Permit func(ctx context.Context, in any) error
	// Unions lists values of union member types (&types.FooMemberBar{}) that
	// requests carry and the SDK's decoders do not reveal; the error of
	// Server.Verify names them.
	Unions []any
}

// Query is how a service speaks the query protocol where its model does not
// tell.
type Query struct {
	Namespace string // of the XML replies
	// Names are the members' names on the wire where they are not the model's:
	// by "Shape.Member", or by "Member" for all structures; the parts of a map
	// are "Shape.key" and "Shape.value".
	Names map[string]string
	// Detail: errors have an empty element of that name.
	Detail bool
	// Path is the parameter that the request's path gives where it is absent:
	// queues are addressed so.
	Path string
}

// Handlers are handlers by operation, for services that are put together at
// run time: map[string]any{"RunTask": api.RunTask}.
type Handlers map[string]any

// Call is what a handler may know of the request it answers, besides its input.
type Call struct {
	Service   string // model name, as in Service.Model
	Operation string
	Account   string // 12 digits
	Region    string
	Principal string // ARN of the caller
	RequestID string
	Host      string // the request's Host header, port included
	Scheme    string // http or https: how the request came

	AccessKey string // of the credential; "" for unsigned requests
	Trace     string // the X-Amzn-Trace-Id header, "" for none

	// Allow says whether the caller's policies let it do an action with a
	// resource; it is asked by way of the function Allow. nil while policies do
	// not count. Its errors are *Denied, or why it cannot be told.
	Allow func(action, resource string) error

	op   *operation
	seen codec.Seen
	x    *exchange // while the handler runs
}

// CallFrom returns the call that ctx belongs to; a zero Call outside one.
func CallFrom(ctx context.Context) *Call {
	if c, ok := ctx.Value(callKey{}).(*Call); ok {
		return c
	}
	return &Call{}
}

// WithCall returns a context that carries c: what the server does for each
// request, and what tests and engines do to call a handler directly.
func WithCall(ctx context.Context, c *Call) context.Context {
	return context.WithValue(ctx, callKey{}, c)
}

type callKey struct{}

// Has reports whether the request that ctx belongs to carried the top-level
// member of that name (the model's, "VisibilityTimeout"), whatever its value:
// what Go's type does not tell where the SDK's field is no pointer. Outside a
// request it is false.
func Has(ctx context.Context, member string) bool {
	c := CallFrom(ctx)
	return c.op != nil && c.seen.Has(c.op.in.MemberIndex(member))
}

// Error is an error with a code of AWS's that the SDK has no type for.
// Handlers return it, or the SDK's typed exceptions.
type Error struct {
	Code    string
	Message string
	Status  int // HTTP status; 0 means 400
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Public is an error below the handlers that callers are told of in its own
// words: an engine's, which knows no codes of AWS's. Any other error that is
// none of AWS's is logged, and says nothing.
type Public interface {
	error
	// Public returns the sentence, and whether it is dhow that failed rather
	// than the request.
	Public() (sentence string, fault bool)
}

// Authorizer decides who calls and whether they may. It is asked for every
// request, after routing and before the input is read by a handler; c.Service
// and c.Operation are "" where the request names none that exist. It may set
// c.Account, c.Region and c.Principal, and c.Allow for those whose policies
// count: what is asked for is known only once the input is read.
type Authorizer interface {
	Authorize(r *http.Request, c *Call) error
}
