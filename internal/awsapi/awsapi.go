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
)

// Service binds a model ("ecs", "elbv2", … the file names of the models) to
// the value whose methods are its handlers.
type Service struct {
	Model string
	API   any
}

// Call is what a handler may know of the request it answers, besides its input.
type Call struct {
	Service   string // model name, as in Service.Model
	Operation string
	Account   string // 12 digits
	Region    string
	Principal string // ARN of the caller
	RequestID string
	Host      string // the request's Host header, port included
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

// Error is an error with a code of AWS's that the SDK has no type for.
// Handlers return it, or the SDK's typed exceptions.
type Error struct {
	Code    string
	Message string
	Status  int // HTTP status; 0 means 400
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Authorizer decides who calls and whether they may. It is asked for every
// request, after routing and before the input is read by a handler. It may
// set c.Account, c.Region and c.Principal.
type Authorizer interface {
	Authorize(r *http.Request, c *Call) error
}
