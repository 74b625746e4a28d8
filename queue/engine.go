package queue

import (
	"context"
	"log/slog"
	"time"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/journal"
	"github.com/dhowhq/dhow/store"
)

// Config is what an engine is made of.
type Config struct {
	DB      *store.DB
	Journal journal.Journal
	Log     *slog.Logger // nil is slog.Default()
}

// Engine owns the queues of a process. Its calls work while Run runs and this
// process holds the lease; before that they wait.
type Engine struct {
	cfg Config
}

// New returns an engine; Run makes it work.
func New(c Config) *Engine { panic("not yet") }

// Run takes the lease and serves the queues until ctx ends.
func (e *Engine) Run(ctx context.Context) error { panic("not yet") }

// Queue returns the queue of that name, or ErrNoQueue. The value is for now:
// look a queue up for each call, which costs less than a microsecond.
func (e *Engine) Queue(scope cluster.Scope, name string) (*Queue, error) { panic("not yet") }

// QueueByARN is Queue for an ARN.
func (e *Engine) QueueByARN(arn string) (*Queue, error) { panic("not yet") }

// Create makes a queue of d's Scope, Name, Settings, Policy and Tags. Where the
// name is taken it returns the definition that has it, and ErrExists.
func (e *Engine) Create(ctx context.Context, d Definition) (Definition, error) { panic("not yet") }

// Update changes a queue's definition by f, which may fail. Scope, Name, ID and
// Key stay as they are.
func (e *Engine) Update(ctx context.Context, scope cluster.Scope, name string, f func(tx *store.Tx, d *Definition) error) error {
	panic("not yet")
}

// Remove deletes a queue with all its messages. Receivers that wait get
// ErrNoQueue.
func (e *Engine) Remove(ctx context.Context, scope cluster.Scope, name string) error {
	panic("not yet")
}

// Queue is one queue, as it was defined when it was looked up. It is an API.
type Queue struct {
	Definition
}

var _ API = (*Queue)(nil)

// Send implements API.
func (q *Queue) Send(ctx context.Context, messages ...Message) ([]Sent, error) { panic("not yet") }

// Receive implements API.
func (q *Queue) Receive(ctx context.Context, r Receive) ([]Delivery, error) { panic("not yet") }

// Delete implements API.
func (q *Queue) Delete(ctx context.Context, handles ...string) ([]error, error) { panic("not yet") }

// ChangeVisibility implements API.
func (q *Queue) ChangeVisibility(ctx context.Context, changes ...Change) ([]error, error) {
	panic("not yet")
}

// Purge implements API.
func (q *Queue) Purge(ctx context.Context) error { panic("not yet") }

// Counts implements API.
func (q *Queue) Counts(ctx context.Context) (Counts, error) { panic("not yet") }

// Move is a message move task: the way back from a dead-letter queue.
type Move struct {
	Handle      string
	Source      string // ARN
	Destination string // ARN; "" is the queue that each message came from
	PerSecond   int    // at most; 0: as fast as it goes
	Status      string // RUNNING, COMPLETED, CANCELLING, CANCELLED, FAILED
	Failure     string // a code, where FAILED
	ToMove      int64  // messages, when it started
	Moved       int64
	Started     int64 // milliseconds
}

// StartMove starts a task. The source must be some queue's dead-letter queue.
func (e *Engine) StartMove(ctx context.Context, source, destination string, perSecond int) (Move, error) {
	panic("not yet")
}

// CancelMove ends a running task, and returns how many messages it has moved.
func (e *Engine) CancelMove(ctx context.Context, handle string) (Move, error) { panic("not yet") }

// Moves are the newest tasks of a source, newest first.
func (e *Engine) Moves(source string, max int) []Move { panic("not yet") }

var _ = time.Second
