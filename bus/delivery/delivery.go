// Package delivery carries messages to where they shall go, durably: under the
// targets of EventBridge's rules and the subscriptions of SNS's topics.
//
// A lane is one receiver: a rule's target, a subscription. Lanes do not wait for
// each other. A message is on disk when Enqueue returns, and stays there until
// its lane's Sender took it, or it was refused for good, or its Policy is
// exhausted; in the latter cases it goes to Config.Dead. A message is delivered
// at least once; after the end of the process, those of the last milliseconds
// may come again.
package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"

	"github.com/dhowhq/dhow/journal"
)

// ErrLane is Enqueue's answer to a message without lanes, or with a lane whose
// name is empty or longer than MaxLane.
var ErrLane = errors.New("delivery: a message needs lanes of 1 to 2048 bytes")

// MaxLane is the longest name of a lane in bytes.
const MaxLane = 2048

// Item is what Enqueue takes: a body for one or more lanes. It is one record of
// the journal, however many its lanes are.
type Item struct {
	Lanes []string
	Body  []byte // opaque; at most journal.MaxRecord less some KiB
}

// Message is a body on its way to a lane.
type Message struct {
	Lane     string
	Body     []byte    // the receiver's to read, not to change
	Enqueued time.Time // the age of Policy.MaxAge counts from here
	Attempts int       // how often it was sent before; 0 at first
}

// Sender takes a message to its lane. An error is tried again by the lane's
// policy, unless it is a permanent one. It is called concurrently, for a lane as
// often as its Policy.Concurrent says. It must not hang: ctx ends after
// Policy.Timeout.
type Sender func(ctx context.Context, m Message) error

// Error is a Sender's error with what AWS's dead letters say of it.
type Error struct {
	Code      string // ERROR_CODE of a dead letter: NO_PERMISSIONS, SDK_CLIENT_ERROR, …
	Permanent bool   // trying again is of no use
	// After is when the receiver wants to be tried again, at the earliest; 0
	// leaves it to the policy. An attempt that ends so counts all the same.
	After time.Duration
	Err   error
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// Permanent is an error that is not tried again.
func Permanent(code, format string, args ...any) error {
	return &Error{Code: code, Permanent: true, Err: fmt.Errorf(format, args...)}
}

// Retryable is an error with a code that is tried again.
func Retryable(code, format string, args ...any) error {
	return &Error{Code: code, Err: fmt.Errorf(format, args...)}
}

// The values of a dead letter's EXHAUSTED_RETRY_CONDITION.
const (
	ExhaustedAttempts = "MaximumRetryAttempts"
	ExhaustedAge      = "MaximumEventAgeInSeconds"
)

// Failure is why a message is dead.
type Failure struct {
	Code      string // of the last error, "" where it had none
	Message   string // of the last error
	Exhausted string // ExhaustedAttempts, ExhaustedAge, or "" for a permanent error
	Retries   int    // attempts after the first
}

// Policy is how a lane is served.
type Policy struct {
	MaxAge     time.Duration // a message older than this is dead; 0 is 24 h
	MaxRetries int           // attempts after the first; 0 is none
	// Backoff is the wait before retry n (1 for the first). It is pure: chance
	// in [0, 1) comes in as an argument. nil is Exponential of 1 s to 15 min.
	Backoff func(n int, chance float64) time.Duration
	// Concurrent is how many messages of the lane are under way at a time; 0 is
	// 64. Of an ordered lane it is 1.
	Concurrent int
	// PerSecond, where not 0, is how many attempts the lane makes in a second.
	PerSecond float64
	Timeout   time.Duration // of one attempt; 0 is 30 s
	// Ordered lanes send in the order of Enqueue: a message that fails holds up
	// those behind it until it is taken or dead.
	Ordered bool
}

// EventBridge is the policy of a target that says nothing else: 24 hours and 185
// retries (user guide, "How EventBridge retries delivering events").
var EventBridge = Policy{MaxAge: 24 * time.Hour, MaxRetries: 185}

// Exponential is a backoff that doubles from least to most, with the full jitter
// of the upper half.
func Exponential(least, most time.Duration) func(n int, chance float64) time.Duration {
	return func(n int, chance float64) time.Duration {
		d := most
		if n <= 40 {
			d = min(most, time.Duration(float64(least)*math.Exp2(float64(n-1))))
		}
		return d/2 + time.Duration(chance*float64(d/2))
	}
}

// Config is what an Engine is made of.
type Config struct {
	Journal journal.Journal
	Name    string // of the engine; its logs are delivery/NAME/…
	Term    int64  // of the owner, see journal.Journal.Open
	Log     *slog.Logger

	Send Sender
	// Policy returns how a lane is served. ok is false for a lane that is gone:
	// its messages are dropped. It is asked for each attempt, so that changes act
	// at once, and must be quick.
	Policy func(lane string) (p Policy, ok bool)
	// Dead takes a message that is given up. An error is tried again as the
	// policy of EventBridge says, unless it is permanent: then the message is
	// lost, and logged. nil drops the dead.
	Dead func(ctx context.Context, m Message, f Failure) error
}

// Stats is what an Engine counted since it was opened, but for Waiting.
type Stats struct {
	Enqueued, Delivered, Failed, Dead, Dropped int64
	Waiting                                    int64 // deliveries that are not done
}
