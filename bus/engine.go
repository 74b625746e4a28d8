package bus

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/dhowhq/dhow/bus/delivery"
	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/internal/fault"
	"github.com/dhowhq/dhow/journal"
	"github.com/dhowhq/dhow/store"
)

// ErrUnavailable is the answer while no process, or another one, leads the
// engine.
var ErrUnavailable = fault.Ours("bus: the engine does not lead yet",
	"No process takes events at the moment. Try again.")

// patience is how long a call waits for this process to lead.
const patience = 10 * time.Second

// Target is a kind of targets that the platform serves.
type Target interface {
	// Check says in words why a target of the scope's rules cannot be served;
	// that it does not exist yet is no reason.
	Check(s cluster.Scope, t types.Target) error
	// Send delivers. Errors are told apart as package delivery says.
	Send(ctx context.Context, d Delivery) error
}

// Delivery is an event on its way to a target.
type Delivery struct {
	cluster.Scope              // of the rule
	RuleARN       string       // of the rule, or of what else sends
	Target        types.Target // Arn and Id are set
	Input         []byte       // what the target gets
	Event         []byte       // what it was made of
	EventID       string
	Time          time.Time // of the event
	Attempts      int       // how often it was sent before
	Hops          int       // how many buses it passed
	Trace         string    // the event's TraceHeader, "" for none
}

// Config is what the platform tells the engine.
type Config struct {
	DB      *store.DB
	Journal journal.Journal
	Log     *slog.Logger
	// Targets are the kinds of targets by the service in their ARNs: sqs, ecs,
	// logs, … The engine adds its own: other buses, API destinations, functions.
	Targets map[string]Target
	// DeadLetter sends a message to the queue of that ARN.
	DeadLetter func(ctx context.Context, queue string, body []byte, attributes map[string]string) error
	// Admit decides whether a bus takes an event that a rule of that ARN, of
	// another bus, sends to it; without an error what is not taken is seen to.
	// Errors are told apart as package delivery says. nil takes all.
	Admit func(ctx context.Context, b *Bus, event []byte, ruleARN string) (taken bool, err error)
	// HTTP makes the calls of API destinations and functions; nil is a client
	// that refuses addresses which instances find metadata at.
	HTTP http.RoundTripper
}

// Engine acts on the tables of the package. Its calls work while Run runs and
// this process holds the lease; before that they wait a while.
type Engine struct {
	cfg    Config
	log    *slog.Logger
	routes *routes
	tokens tokens
	pacers pacers
	stop   []func()
	// backoff is delivery.Policy.Backoff of all targets: set by tests before Run.
	backoff func(n int, chance float64) time.Duration

	archives archiveLogs
	counts   counts

	mu      sync.RWMutex
	deliver *delivery.Engine
	leading chan struct{} // closed while deliver is not nil
	work    sync.WaitGroup
}

type counts struct {
	events, matched, unmatched, missed atomic.Int64
}

// Stats is what the engine counted.
type Stats struct {
	Events, Matched, Unmatched int64 // taken, with rules or archives, without
	MissedRuns                 int64 // of schedules, while nothing ran
	Delivery                   delivery.Stats
}

// New returns an engine that knows the rules; Run makes it work, Close lets go
// of the store.
func New(c Config) (*Engine, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.HTTP == nil {
		c.HTTP = guarded()
	}
	e := &Engine{cfg: c, log: c.Log, routes: newRoutes(), leading: make(chan struct{})}
	e.stop = append(e.stop, Rules.Follow(c.DB, func(ch store.Change[Rule]) { e.routes.rule(ch.Old, ch.New) }),
		Archives.Follow(c.DB, func(ch store.Change[Archive]) { e.routes.archive(ch.Old, ch.New) }))
	return e, c.DB.View(func(r store.Reader) error {
		for rule := range Rules.List(r, "") {
			e.routes.rule(nil, &rule)
		}
		for a := range Archives.List(r, "") {
			e.routes.archive(nil, &a)
		}
		return nil
	})
}

// Close lets go of the store.
func (e *Engine) Close() {
	for _, f := range e.stop {
		f()
	}
}

// Run takes the lease and works until ctx ends.
func (e *Engine) Run(ctx context.Context) error { return e.cfg.DB.Lead(ctx, "events", e.lead) }

// lead serves one term.
func (e *Engine) lead(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	d, err := delivery.Open(ctx, delivery.Config{Journal: e.cfg.Journal, Name: "events", Term: store.Term(ctx), Log: e.log,
		Send: e.send, Policy: e.policy, Dead: e.bury})
	if err != nil {
		if ctx.Err() == nil {
			e.log.Error("events are not delivered, will retry", "err", err)
		}
		return
	}
	e.archives.begin(e.cfg.Journal, store.Term(ctx))
	e.mu.Lock()
	e.deliver = d
	close(e.leading)
	e.mu.Unlock()
	for _, loop := range []func(context.Context){e.runSchedules, e.runReplays, e.keepArchives, e.authorize} {
		e.work.Go(func() { loop(ctx) })
	}
	if err := d.Run(ctx); err != nil && ctx.Err() == nil {
		e.log.Error("events are not delivered any more, will retry", "err", err)
	}
	cancel()
	e.mu.Lock()
	e.deliver, e.leading = nil, make(chan struct{})
	e.mu.Unlock()
	e.work.Wait()
	e.archives.end()
}

// delivery returns the deliveries once this process leads.
func (e *Engine) delivery(ctx context.Context) (*delivery.Engine, error) {
	e.mu.RLock()
	d, leading := e.deliver, e.leading
	e.mu.RUnlock()
	if d != nil {
		return d, nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case <-leading:
		e.mu.RLock()
		defer e.mu.RUnlock()
		if e.deliver != nil {
			return e.deliver, nil
		}
		return nil, ErrUnavailable
	case <-ctx.Done():
		return nil, ErrUnavailable
	}
}

// Stats returns what was counted.
func (e *Engine) Stats() Stats {
	s := Stats{Events: e.counts.events.Load(), Matched: e.counts.matched.Load(), Unmatched: e.counts.unmatched.Load(), MissedRuns: e.counts.missed.Load()}
	e.mu.RLock()
	defer e.mu.RUnlock()
	if e.deliver != nil {
		s.Delivery = e.deliver.Stats()
	}
	return s
}

// Event is an event to be put on a bus.
type Event struct {
	Bus      cluster.Scope
	Name     string // of the bus
	JSON     []byte // as AWS sends it; not to be changed any more
	Ingested time.Time
	Hops     int
	Trace    string   // its TraceHeader, "" for none
	Replay   string   // ARN of the replay that it comes from, or ""
	Only     []string // ARNs of the rules that get it; none is all
}

// Put puts events on their buses. It returns when what rules and archives get of
// them is durable.
func (e *Engine) Put(ctx context.Context, events ...Event) error {
	items, err := e.items(events)
	if err != nil || len(items) == 0 {
		return err
	}
	d, err := e.delivery(ctx)
	if err != nil {
		return err
	}
	return d.Enqueue(ctx, items...)
}

// items are what rules and archives get of events.
func (e *Engine) items(events []Event) (items []delivery.Item, err error) {
	for _, ev := range events {
		e.counts.events.Add(1)
		lanes, err := e.routes.lanes(ev)
		if err != nil {
			return nil, fmt.Errorf("event: %w", err)
		}
		if len(lanes) == 0 {
			e.counts.unmatched.Add(1)
			continue
		}
		e.counts.matched.Add(1)
		items = append(items, delivery.Item{Lanes: lanes, Body: envelope{ev.Ingested, ev.Hops, ev.Trace, ev.JSON}.encode()})
	}
	return items, nil
}
