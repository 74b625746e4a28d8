// Package logs serves the CloudWatch Logs API over package logstore: groups,
// streams, events, retention and tags.
package logs

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/logstore"
	"github.com/dhowhq/dhow/store"
)

// API is the service: its exported methods are the operations.
type API struct {
	store *logstore.Store
	db    *store.DB
}

// Config is what the platform tells the service.
type Config struct {
	Store *logstore.Store
	DB    *store.DB
}

// New returns the API over the log store.
func New(c Config) *API { return &API{store: c.Store, db: c.DB} }

func scope(ctx context.Context) cluster.Scope {
	c := awsapi.CallFrom(ctx)
	return cluster.Scope{Account: c.Account, Region: c.Region}
}

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

func ptr[T any](v T) *T { return &v }

func invalid(message string) error { return &types.InvalidParameterException{Message: &message} }

// wrap puts the store's errors into AWS's words; what says which exists already.
func wrap(err error, what string) error {
	switch {
	case errors.Is(err, logstore.ErrNoGroup):
		return &types.ResourceNotFoundException{Message: ptr("The specified log group does not exist.")}
	case errors.Is(err, logstore.ErrNoStream):
		return &types.ResourceNotFoundException{Message: ptr("The specified log stream does not exist.")}
	case errors.Is(err, logstore.ErrName), errors.Is(err, logstore.ErrTooLarge):
		return invalid(err.Error())
	case errors.Is(err, logstore.ErrExists):
		return &types.ResourceAlreadyExistsException{Message: ptr("The specified " + what + " already exists")}
	}
	return err
}

func groupARN(g logstore.Group) string { return g.Scope.ARN("logs", "log-group:"+g.Name) }

func streamARN(s logstore.Stream) string {
	return s.Scope.ARN("logs", "log-group:"+s.Group+":log-stream:"+s.Name)
}

// group finds the group that a call names, by name or by identifier: a name or
// an ARN, of the caller's account.
func (a *API) group(ctx context.Context, name, identifier *string) (logstore.Group, error) {
	if name != nil && identifier != nil {
		return logstore.Group{}, &awsapi.Error{Code: "ValidationException", Message: "LogGroup name and LogGroup ARN are mutually exclusive parameters."}
	}
	if name == nil && identifier == nil {
		return logstore.Group{}, invalid("Either logGroupName or logGroupIdentifier must be specified.")
	}
	s, n := scope(ctx), deref(name)
	if identifier != nil {
		n = *identifier
		if strings.HasPrefix(n, "arn:") {
			rest, ok := strings.CutPrefix(strings.TrimSuffix(n, ":*"), s.ARN("logs", "log-group:"))
			if !ok {
				return logstore.Group{}, wrap(logstore.ErrNoGroup, "")
			}
			n = rest
		}
	}
	g, err := a.store.Group(s, n)
	return g, wrap(err, "")
}

// eventToken says where a reader of events stands and which way it goes. The
// tokens of other lists are awsapi's.
type eventToken struct {
	Forward bool `json:"f"`
	// Gap is a place between two events: behind the one at this position, if
	// there is one.
	Gap logstore.Position `json:"p"`
}

// gapAhead is the gap ahead of the event at p.
func gapAhead(p logstore.Position) logstore.Position {
	p.Offset--
	return p
}

func (t eventToken) String() string {
	data, err := json.Marshal(t)
	if err != nil {
		panic(err) // a struct of numbers and strings
	}
	kind := "b/"
	if t.Forward {
		kind = "f/"
	}
	return kind + base64.RawURLEncoding.EncodeToString(data)
}

func parseToken(s string) (t eventToken, err error) {
	_, text, ok := strings.Cut(s, "/")
	data, err := base64.RawURLEncoding.DecodeString(text)
	if !ok || err != nil || json.Unmarshal(data, &t) != nil || t.String() != s {
		return t, invalid("The specified nextToken is invalid.")
	}
	return t, nil
}
