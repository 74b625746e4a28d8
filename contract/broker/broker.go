// Package broker holds messages to schemas where they are sent: at a queue, a
// topic, a stream or a bus whose tags name a schema of the registry.
//
//	dhow:schema             REGISTRY/NAME[@RANGE]: the schema, and which versions of it are taken
//	dhow:schema-mode        reject (the default), dead-letter or observe
//	dhow:schema-dead-letter ARN of the queue that takes refused messages in the mode dead-letter
//
// A resource's tags are compiled into a plan once, and again when they or the
// schema change. A message says which version it was written with
// (contract/wire); the plan knows the version parsed, or why it is not taken.
// What came in which version, and from whom, is counted per resource, so that
// one knows who still sends the old one.
package broker

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/contract/registry"
	"github.com/dhowhq/dhow/contract/wire"
	"github.com/dhowhq/dhow/store"
)

// Resource is what messages are sent to.
type Resource struct {
	cluster.Scope
	Service string // sqs, sns, kinesis or events
	Name    string
}

// ARN names the resource.
func (r Resource) ARN() string { return r.Scope.ARN(r.Service, resourceTypes[r.Service]+r.Name) }

var resourceTypes = map[string]string{"kinesis": "stream/", "events": "event-bus/"}

// kind is what messages call the resource.
func (r Resource) kind() string {
	switch r.Service {
	case "sqs":
		return "the queue"
	case "sns":
		return "the topic"
	case "kinesis":
		return "the stream"
	}
	return "the bus"
}

// Target is a resource with what it says of checks.
type Target struct {
	Resource
	Tags       map[string]string
	DeadLetter string // ARN of the queue that takes dead letters by the resource's own settings, "" for none
}

// Tagged reports whether tags ask for a check: without it nothing of this
// package need be called.
func Tagged(tags map[string]string) bool { return len(tags) > 0 && tags[SchemaTag] != "" }

// Sender is who sends a message.
type Sender struct {
	Name string // ARN of a principal, or of the topic, rule or bus that a service delivers for
	// Service says that it is no caller but a service of the platform's, whose
	// right to deliver has been looked at: it needs none to read the schema.
	Service bool
}

// Contracts is what the faces of queues, topics, streams and buses need of an
// [Engine].
type Contracts interface {
	CheckTags(ctx context.Context, t Target, set map[string]string, by Sender) error
	Check(ctx context.Context, t Target, m wire.Message, by Sender) Verdict
}

var _ Contracts = (*Engine)(nil)

// Config is what the platform tells the engine.
type Config struct {
	DB       *store.DB
	Registry *registry.Engine
	Log      *slog.Logger // nil discards
	// Allow says whether the caller that ctx belongs to may do the action with
	// the resources of those ARNs, the schema and its registry; its error says in
	// words who may not do what. nil asks nobody.
	Allow func(ctx context.Context, action string, resources ...string) error
	// Queue reports whether there is a queue of that ARN; nil finds all.
	Queue func(arn string) bool
	// Tags are the tags of the resource of that ARN, false where it is gone. nil
	// takes every resource for tagged as it was.
	Tags func(arn string) (map[string]string, bool)
	// Now is the clock; nil is the wall's.
	Now func() time.Time
}

// Engine checks the messages of all accounts and regions.
type Engine struct {
	cfg   Config
	log   *slog.Logger
	now   func() time.Time
	plans sync.Map // Resource → *plan
	gens  sync.Map // registry.Name → *atomic.Int64: changes of the schema and its versions
	uses  uses
	stop  []func()

	mu     sync.Mutex
	prints map[string]uint64 // of versions, by their ID
}

// New returns the engine. Counts are written while Run runs.
func New(c Config) *Engine {
	e := &Engine{cfg: c, log: c.Log, now: c.Now, prints: map[string]uint64{}}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	if e.now == nil {
		e.now = time.Now
	}
	// The registry's engine follows its tables before this one does: what a new
	// plan asks it for is not what was there before the change.
	e.stop = append(e.stop,
		registry.Versions.Follow(c.DB, func(ch store.Change[registry.Version]) {
			if ch.New != nil {
				e.changed(ch.New.Schema())
			} else {
				e.changed(ch.Old.Schema())
			}
		}),
		registry.Schemas.Follow(c.DB, func(ch store.Change[registry.Schema]) {
			if ch.New != nil {
				e.changed(ch.New.FullName())
			} else {
				e.changed(ch.Old.FullName())
			}
		}))
	return e
}

// Close ends what New began.
func (e *Engine) Close() {
	for _, stop := range e.stop {
		stop()
	}
}

// changed makes the plans stale that rest on a schema.
func (e *Engine) changed(n registry.Name) {
	if gen, ok := e.gens.Load(n); ok {
		gen.(*atomic.Int64).Add(1)
	}
}

func (e *Engine) gen(n registry.Name) *atomic.Int64 {
	gen, ok := e.gens.Load(n)
	if !ok {
		gen, _ = e.gens.LoadOrStore(n, new(atomic.Int64))
	}
	return gen.(*atomic.Int64)
}

// Action is what a policy has to allow to whoever sends to a tagged resource.
const Action = "glue:GetSchemaVersion"

// allow asks whether the sender may use the schema, of which resources are the
// names.
func (e *Engine) allow(ctx context.Context, resources []string, by Sender) error {
	if e.cfg.Allow == nil || by.Service {
		return nil
	}
	if err := e.cfg.Allow(ctx, Action, resources...); err != nil {
		return &Denied{err}
	}
	return nil
}

// Verdict is what becomes of a message: it is taken where Err is nil. Else it
// goes to the queue DeadLetter, and for its sender is taken; where that is "" the
// send fails.
type Verdict struct {
	Err        error  // *Refusal or *Denied
	DeadLetter string // ARN
}

// Check decides on a message to a resource whose tags ask for it (Tagged).
func (e *Engine) Check(ctx context.Context, t Target, m wire.Message, by Sender) Verdict {
	p := e.plan(&t)
	if p.resources != nil { // before anything is told of the schema
		if err := e.allow(ctx, p.resources, by); err != nil {
			return Verdict{Err: err}
		}
	}
	if p.err != nil {
		if Mode(t.Tags[ModeTag]) == Observe { // whatever has become of the schema
			return Verdict{}
		}
		return p.refused(p.err)
	}
	v, err := p.check(m)
	v.count(&e.uses, by.Name, err == nil, e.now())
	if err == nil || p.Mode == Observe {
		return Verdict{}
	}
	return p.refused(err)
}
