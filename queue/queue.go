// Package queue is the engine of message queues: under the SQS face, and used
// directly by what sends to queues (topics, event rules) or reads them.
//
// It owns the queues' definitions (tables in the store) and their messages
// (logs in a journal). A message's body is in the journal alone; in memory a
// waiting message is an entry of some 64 bytes. One process at a time, the
// holder of the store's lease, owns all queues; its term fences the logs.
//
// Per queue there are three logs: the messages; the changes (receives,
// visibility, deletes, purges); and checkpoints of the index, of which only
// segments that changed are written anew. What Send and Delete acknowledge is
// synced. Receives and visibility are written before the answer and synced
// later: they survive kill -9, and a power loss brings a message back early.
package queue

import (
	"context"
	"errors"
	"time"

	"github.com/dhowhq/dhow/internal/fault"
)

// Message is what a sender gives.
type Message struct {
	Body       string
	Attributes map[string]Attribute // at most 10
	Trace      string               // the system attribute AWSTraceHeader, "" for none
	Group      string               // MessageGroupId: needed for FIFO, optional for standard queues
	Dedup      string               // MessageDeduplicationId, FIFO only; "" takes the body's hash if the queue says so
	Delay      *time.Duration       // nil takes the queue's; FIFO queues take nothing else
	Sender     string               // SenderId: who sent it, for the receiver's eyes

	deadLetterOf string // of Bury
}

// Attribute is a user's message attribute. Type is String, Number or Binary,
// or one of these with a suffix (".int"); Binary has its value in Binary.
type Attribute struct {
	Type   string
	String string
	Binary []byte
}

// Sent is the outcome of one message of a Send.
type Sent struct {
	ID       string // MessageId, a UUID; of a duplicate, that of the first
	Sequence string // SequenceNumber of FIFO queues, 20 digits, else ""
	Err      error  // why the message was not taken; the others of the call may have been
}

// Receive says what a receiver wants.
type Receive struct {
	Max        int            // messages, 1 to 10
	Visibility *time.Duration // nil takes the queue's
	Wait       time.Duration  // for a message where none is there, at most 20 s; negative takes the queue's
	Attempt    string         // ReceiveRequestAttemptId, FIFO only: the same one within five minutes gets the same messages
}

// Delivery is a received message.
type Delivery struct {
	Message
	ID            string
	Handle        string // for Delete and ChangeVisibility; good over restarts
	Sequence      string // of FIFO queues
	Sent          time.Time
	FirstReceived time.Time
	Receives      int    // this one included; of a dead letter those before it too
	DeadLetterOf  string // ARN of the queue that gave the message up, "" if none did
}

// Change is a new visibility timeout of a received message, from now.
type Change struct {
	Handle  string
	Timeout time.Duration
}

// Counts of a queue's messages at one moment: their sum is what it holds.
type Counts struct {
	Visible, InFlight, Delayed int
	Oldest                     time.Time // sending time of the oldest message, zero if there is none
}

// API is what a *Queue offers; those who need a queue and are tested without
// one declare the part of it that they use.
type API interface {
	// Send takes messages; those without an error in their result are on disk.
	// There may be any number of them. An error is of the whole call.
	Send(ctx context.Context, messages ...Message) ([]Sent, error)
	// Receive returns messages at once, or the first that come within r.Wait, or
	// none and no error: after r.Wait, or before if the process is about to end. Waiting receivers are served in the order they came.
	Receive(ctx context.Context, r Receive) ([]Delivery, error)
	// Delete removes received messages; the removal is on disk when it returns.
	// Errors are by handle: ErrHandle, ErrOtherQueue, ErrExpired. What is gone
	// already is no error.
	Delete(ctx context.Context, handles ...string) ([]error, error)
	// ChangeVisibility sets visibility timeouts; zero shows a message at once.
	// Errors are by change: ErrHandle, ErrOtherQueue, ErrGone, ErrNotInFlight,
	// ErrTooLong.
	ChangeVisibility(ctx context.Context, changes ...Change) ([]error, error)
	// Purge removes every message that was sent before the call.
	Purge(ctx context.Context) error
	// Counts counts the messages.
	Counts(ctx context.Context) (Counts, error)
}

// Errors of queues and their messages.
var (
	ErrNoQueue      = errors.New("queue: the queue does not exist")
	ErrExists       = errors.New("queue: the name is taken")
	ErrRecent       = errors.New("queue: a queue of this name was deleted less than 60 seconds ago")
	ErrPurging      = errors.New("queue: purged less than 60 seconds ago")
	ErrUnavailable  = fault.Ours("queue: this process does not own the queues at present", "The queue is not available at the moment. Try again.")
	ErrOverLimit    = errors.New("queue: too many messages are in flight")
	ErrTooLarge     = errors.New("queue: the message is larger than the queue takes")
	ErrEmpty        = errors.New("queue: the message has no body")
	ErrCharacters   = errors.New("queue: the message has characters that XML cannot hold")
	ErrNoGroup      = errors.New("queue: a FIFO queue needs MessageGroupId")
	ErrNoDedup      = errors.New("queue: the queue needs MessageDeduplicationId or content-based deduplication")
	ErrDelay        = errors.New("queue: FIFO queues take no delay of a message's own")
	ErrDedup        = errors.New("queue: standard queues take no MessageDeduplicationId")
	ErrHandle       = errors.New("queue: no receipt handle")
	ErrOtherQueue   = errors.New("queue: the receipt handle is another queue's")
	ErrExpired      = errors.New("queue: the receipt handle has expired")
	ErrGone         = errors.New("queue: the message does not exist")
	ErrNotInFlight  = errors.New("queue: the message is not in flight")
	ErrTooLong      = errors.New("queue: a message can stay invisible for 12 hours in all")
	ErrNoTask       = errors.New("queue: no such message move task")
	ErrTaskRunning  = errors.New("queue: a message move task is running for this source")
	ErrTaskEnded    = errors.New("queue: only a running message move task can be cancelled")
	ErrNoDeadLetter = errors.New("queue: the source is no dead-letter queue")
)

// Limits of AWS: "Amazon SQS message quotas" in the developer guide.
const (
	MaxSize        = 1 << 20 // bytes of a message and of a batch, attributes included
	MaxInFlight    = 120_000 // standard and FIFO
	MaxVisibility  = 12 * time.Hour
	MaxWait        = 20 * time.Second
	MaxDelay       = 15 * time.Minute
	DedupInterval  = 5 * time.Minute
	PurgeInterval  = 60 * time.Second
	DeleteInterval = 60 * time.Second
)
