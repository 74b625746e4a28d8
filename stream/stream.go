// Package stream is the engine under Kinesis: streams of shards over a journal,
// one log a shard. It owns what a stream is (shards by ranges of hash keys,
// sequence numbers, retention, encryption, consumers), the way records take in
// and out, and the limits that AWS has on it.
//
// Calls record wishes in the tables of this package (a stream that is CREATING
// or UPDATING); Run, under a lease, carries them out. Everything else than the
// rows is in the logs: nothing is kept in memory that grows with records.
//
// Other engines use Put, and Read with Iterator, to deliver to a stream and to
// follow one.
package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/internal/fault"
	"github.com/dhowhq/dhow/journal"
	"github.com/dhowhq/dhow/store"
)

// Config is what the platform gives the engine.
type Config struct {
	DB      *store.DB
	Journal journal.Journal
	Log     *slog.Logger     // nil discards
	Now     func() time.Time // nil is time.Now
}

// Engine is all streams of all accounts. Its methods are safe for concurrent
// use. Those that write or read records wait for Run to own the logs, for at
// most ownerWait.
type Engine struct {
	db  *store.DB
	j   journal.Journal
	log *slog.Logger
	now func() time.Time

	mu    sync.Mutex
	reign *reign        // nil while this process does not own the logs
	owned chan struct{} // closed when reign is set
}

// New returns the engine; Run makes it work.
func New(c Config) *Engine {
	e := &Engine{db: c.DB, j: c.Journal, log: c.Log, now: c.Now, owned: make(chan struct{})}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	if e.now == nil {
		e.now = time.Now
	}
	return e
}

// Ref names a stream in its account and region.
type Ref struct {
	cluster.Scope
	Name string
}

// Entry is a record to be put.
type Entry struct {
	PartitionKey string // 1 to 256 characters; its MD5 chooses the shard
	HashKey      *HashKey
	Data         []byte // the caller must not change it until Put returns
}

// size is what counts against limits: AWS counts the partition key in.
func (x *Entry) size() int { return len(x.Data) + len(x.PartitionKey) }

// Placed says what became of an entry.
type Placed struct {
	Shard     string // "shardId-000000000000"; "" where Err is set
	Sequence  SequenceNumber
	Encrypted bool
	// Err is an *Error of kind Throttled where the shard was over its limit, any
	// other error where the entry could not be written, nil where it is on disk.
	Err error
}

// Record is a record of a shard.
type Record struct {
	Sequence     SequenceNumber
	Arrival      time.Time // in milliseconds; never falls within a shard
	PartitionKey string
	Data         []byte
	Encrypted    bool // at rest
}

// Kind says what sort of refusal an Error is.
type Kind int

// The kinds of refusals, by the names of Kinesis's exceptions.
const (
	NotFound        Kind = iota + 1 // ResourceNotFoundException
	InUse                           // ResourceInUseException
	Invalid                         // InvalidArgumentException
	LimitExceeded                   // LimitExceededException
	Throttled                       // ProvisionedThroughputExceededException
	IteratorExpired                 // ExpiredIteratorException
	Validation                      // ValidationException
)

// Error is a refusal in AWS's words. All other errors are failures of ours.
type Error struct {
	Kind    Kind
	Message string
}

func (e *Error) Error() string { return e.Message }

// Is reports whether err is a refusal of the kind.
func Is(err error, k Kind) bool {
	var e *Error
	return errors.As(err, &e) && e.Kind == k
}

func refuse(k Kind, format string, args ...any) error {
	return &Error{Kind: k, Message: fmt.Sprintf(format, args...)}
}

// ErrNoOwner is the answer to calls for records while no process, or another
// one, owns the logs.
var ErrNoOwner = fault.Ours("stream: this process does not own the shards", "No process owns the shards at the moment. Try again.")

// ownerWait is how long a call waits for the lease: a start takes less.
const ownerWait = 5 * time.Second

// Put appends entries to the shards of a stream that is ACTIVE or UPDATING. The
// answer has one element an entry, in order; those of one shard keep their
// order, and are on disk when Put returns. The error is of the whole call: an
// *Error, and then nothing was written.
//
// An entry larger than the stream's MaxRecordKiB refuses the call (Invalid).
func (e *Engine) Put(ctx context.Context, ref Ref, entries ...Entry) ([]Placed, error) {
	return e.put(ctx, ref, entries)
}
