// Package events serves the EventBridge API over package bus: buses, rules,
// targets, events, archives, replays, connections and API destinations.
package events

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/dhowhq/dhow/bus"
	"github.com/dhowhq/dhow/bus/pattern"
	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/internal/arn"
	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/store"
)

// API is the service: its exported methods are the operations.
type API struct {
	db     *store.DB
	engine *bus.Engine
	log    *slog.Logger
	gate   Gate
}

// Config is what the platform tells the service.
type Config struct {
	DB     *store.DB
	Engine *bus.Engine
	Log    *slog.Logger
	Gate   Gate // the zero Gate holds events to no schemas
}

// New returns the API over the engine.
func New(c Config) *API {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &API{db: c.DB, engine: c.Engine, log: c.Log, gate: c.Gate}
}

// page is how many things a list answers at most.
const page = 100

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

// given is p for what is not empty.
func given(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func invalid(format string, args ...any) error {
	return &awsapi.Error{Code: "ValidationException", Message: fmt.Sprintf(format, args...)}
}

func notFound(format string, args ...any) error {
	return &types.ResourceNotFoundException{Message: ptr(fmt.Sprintf(format, args...))}
}

func exists(format string, args ...any) error {
	return &types.ResourceAlreadyExistsException{Message: ptr(fmt.Sprintf(format, args...))}
}

func limitExceeded() error {
	return &types.LimitExceededException{Message: ptr("The requested resource exceeds the maximum number allowed.")}
}

// update is the store's Update, in EventBridge's words. Callers of one server take
// turns; what loses each of its many tries against the changes of other servers
// is a concurrent modification.
func (a *API) update(ctx context.Context, f func(tx *store.Tx) error) error {
	err := a.db.Update(ctx, f)
	if errors.Is(err, store.ErrConflict) {
		return &types.ConcurrentModificationException{Message: ptr("There is concurrent modification on a rule, target, archive, or replay.")}
	}
	return err
}

func noBus(name string) error { return notFound("Event bus %s does not exist.", name) }

func noRule(name, bus string) error {
	return notFound("Rule %s does not exist on EventBus %s.", name, bus)
}

// busName is the name in a bus's name or ARN, "" is the default bus's. A bus of
// another account or region is none of the caller's.
func busName(ctx context.Context, nameOrARN *string) (string, error) {
	name := deref(nameOrARN)
	if name == "" {
		return bus.DefaultName, nil
	}
	if !arn.Is(name) {
		return name, nil
	}
	s, n, ok := bus.ParseBusARN(name)
	if !ok {
		return "", invalid("Parameter EventBusName is not valid. Reason: %s is not the ARN of an event bus.", name)
	}
	if s != scope(ctx) {
		return "", noBus(n)
	}
	return n, nil
}

// findBus returns a bus of the caller's by name or ARN.
func findBus(ctx context.Context, r store.Reader, nameOrARN *string) (bus.Bus, error) {
	name, err := busName(ctx, nameOrARN)
	if err != nil {
		return bus.Bus{}, err
	}
	b, ok := bus.FindBus(r, scope(ctx), name)
	if !ok {
		return b, noBus(name)
	}
	return b, nil
}

// findRule returns a rule of the caller's on a bus.
func findRule(ctx context.Context, r store.Reader, name, busNameOrARN *string) (bus.Rule, error) {
	b, err := findBus(ctx, r, busNameOrARN)
	if err != nil {
		return bus.Rule{}, err
	}
	rule, ok := bus.Rules.Get(r, b.Scope.Key(b.Name, *name))
	if !ok {
		return rule, noRule(*name, b.Name)
	}
	return rule, nil
}

// checkPattern holds that a pattern is valid.
func checkPattern(text string) error {
	_, err := pattern.Parse(text)
	var bad *pattern.Error
	if errors.As(err, &bad) {
		return &types.InvalidEventPatternException{Message: ptr("Event pattern is not valid. Reason: " + bad.Error())}
	}
	return err
}

// maxTags is how many tags a resource may have.
const maxTags = 50

func withTags(have map[string]string, tags []types.Tag) (map[string]string, error) {
	all := maps.Clone(have)
	if all == nil {
		all = map[string]string{}
	}
	for _, t := range tags {
		if len(*t.Key) >= 4 && (*t.Key)[:4] == "aws:" {
			return nil, invalid("Tag keys that begin with aws: are reserved for AWS use.")
		}
		all[*t.Key] = *t.Value
	}
	if len(all) > maxTags {
		return nil, limitExceeded()
	}
	return all, nil
}

func wireTags(tags map[string]string) []types.Tag {
	out := []types.Tag{}
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		out = append(out, types.Tag{Key: &k, Value: ptr(tags[k])})
	}
	return out
}
