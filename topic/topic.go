// Package topic is the engine under SNS: topics, their subscriptions, and the
// way of a message from a publisher to everything that subscribed.
//
// The tables are wishes, written by faces. The Engine acts on them: it finds who
// gets a message (filter policies of a topic are one automaton each), makes the
// deliveries durable in one append before a publication is acknowledged, and
// carries them to queues, URLs and functions with the retries that AWS
// documents (bus/delivery). What would leave the platform by mail, short message
// or push lands in an outbox instead. FIFO topics order and deduplicate, keep an
// archive where they are told to, and replay it.
package topic

import (
	"errors"
	"strings"
	"time"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/internal/arn"
	"github.com/dhowhq/dhow/internal/fault"
	"github.com/dhowhq/dhow/store"
)

// Errors of the engine.
var (
	ErrNoTopic     = errors.New("topic: the topic does not exist")
	ErrUnavailable = fault.Ours("topic: this process does not carry messages at present", "No process carries messages of topics at the moment. Try again.")
	ErrNoEndpoint  = errors.New("topic: the platform endpoint does not exist")
	ErrDisabled    = errors.New("topic: the platform endpoint is disabled")
	ErrTooLong     = errors.New("topic: the message is larger than 256 KiB")
	ErrNoGroup     = errors.New("topic: a FIFO topic needs MessageGroupId")
	ErrNoDedup     = errors.New("topic: the topic needs MessageDeduplicationId or content-based deduplication")
)

// sentence is an error in AWS's own words.
type sentence string

func (s sentence) Error() string { return string(s) }

// Topic is a topic. The face writes it.
type Topic struct {
	cluster.Scope
	Name string
	ID   string // of this making of the name; logs are called after it
	Key  []byte // seals messages on disk where KmsMasterKeyId is set
	FIFO bool
	// Attributes are those that were set, by AWS's names: DisplayName,
	// DeliveryPolicy, KmsMasterKeyId, … FifoTopic is not among them.
	Attributes map[string]string
	Policy     string // JSON; "" is the default one
	Tags       map[string]string
	// ArchiveDays is for how long messages of a FIFO topic are kept, 0 for not
	// at all; Archived is since when.
	ArchiveDays int
	Archived    time.Time
	Deleted     int // confirmed subscriptions that were removed
	Created     time.Time
}

// RowKey is the row's key.
func (t Topic) RowKey() string { return t.Scope.Key(t.Name) }

// ARN names the topic.
func (t Topic) ARN() string { return t.Scope.ARN("sns", t.Name) }

// ByGroup reports whether deduplication and order are by message group
// (FifoThroughputScope MessageGroup).
func (t Topic) ByGroup() bool { return t.Attributes["FifoThroughputScope"] == "MessageGroup" }

// ContentDedup reports whether a message's body stands in for its
// MessageDeduplicationId.
func (t Topic) ContentDedup() bool { return t.Attributes["ContentBasedDeduplication"] == "true" }

// Topics is the table of topics.
var Topics = store.NewTable("topic.topics", Topic.RowKey,
	store.Index[Topic]{Name: "id", Values: func(t Topic) []string { return []string{t.ID} }})

// The protocols of subscriptions.
const (
	HTTP        = "http"
	HTTPS       = "https"
	Email       = "email"
	EmailJSON   = "email-json"
	SMS         = "sms"
	SQS         = "sqs"
	Lambda      = "lambda"
	Application = "application"
)

// Subscription is who gets a topic's messages. The face writes it; the engine
// writes Replay.Status and Replay.Next.
type Subscription struct {
	cluster.Scope        // the topic's
	Topic         string // name
	TopicID       string // Topic.ID: subscriptions outlive their topic for a while and get nothing
	ID            string // a UUID
	Owner         string // account that subscribed
	Principal     string // ARN of who subscribed
	Protocol      string
	Endpoint      string
	Base          string // SCHEME://HOST by which the subscriber reached the platform

	Raw          bool
	Filter       string // FilterPolicy
	FilterScope  string // "" or a FilterPolicyScope
	Delivery     string // DeliveryPolicy
	Redrive      string // RedrivePolicy
	ReplayPolicy string
	Replay       Replay

	Pending       bool   // not confirmed
	Cancelled     bool   // unsubscribed by its URL; Token brings it back
	Token         string // confirms it
	Authenticated bool   // the confirmation was signed
	Authenticate  bool   // AuthenticateOnUnsubscribe
	Created       time.Time
	Asked         time.Time // when Token was sent
}

// Replay is how a ReplayPolicy is carried out.
type Replay struct {
	ID       string
	From, To time.Time // To is zero for no end
	Status   string    // "" for none, or one of the below
	Next     uint64    // record of the archive to go on with
}

// The values of ReplayStatus.
const (
	ReplayPending   = "Pending"
	ReplayRunning   = "In progress"
	ReplayCompleted = "Completed"
	ReplayFailed    = "Failed"
)

// MaxReplays is how many replays of the topics of an account in a region run at
// once. SNS documents that there is such a limit (ReplayLimitExceeded), but not
// which: this one lets all subscriptions that a FIFO topic can have replay.
const MaxReplays = 100

// Replaying reports whether the archive is being read for the subscription:
// until it has caught up, new messages of its time do not go to it directly. A
// replay begins when the subscription is confirmed.
func (s *Subscription) Replaying() bool {
	return !s.Pending && (s.Replay.Status == ReplayPending || s.Replay.Status == ReplayRunning)
}

// RoomToReplay reports whether the replay of s, where it has one to run, is among
// the first MaxReplays of its account and region.
func RoomToReplay(r store.Reader, s *Subscription) bool {
	if !s.Replaying() {
		return true
	}
	n := 0
	for other := range Subscriptions.By(r, "replay", "1") {
		if other.Scope == s.Scope && other.RowKey() != s.RowKey() {
			n++
		}
	}
	return n < MaxReplays
}

// replays reports whether a new message comes to the subscription by a replay
// that is under way.
func (s *Subscription) replays(m *Message) bool {
	return s.Replaying() && (s.Replay.To.IsZero() || !m.Time.After(s.Replay.To))
}

// RowKey is the row's key.
func (s Subscription) RowKey() string { return s.Scope.Key(s.Topic, s.ID) }

// TopicARN names the subscription's topic.
func (s Subscription) TopicARN() string { return s.Scope.ARN("sns", s.Topic) }

// ARN names the subscription.
func (s Subscription) ARN() string { return s.TopicARN() + ":" + s.ID }

// Subscriptions is the table of subscriptions, with the indexes "endpoint" of
// Scope.Key(topic, protocol, endpoint), "owner" of ACCOUNT/REGION of who
// subscribed, "token", and "replay" of "1" while
// one is under way.
var Subscriptions = store.NewTable("topic.subscriptions", Subscription.RowKey,
	store.Index[Subscription]{Name: "endpoint", Values: func(s Subscription) []string {
		return []string{s.Scope.Key(s.Topic, s.Protocol, s.Endpoint)}
	}},
	store.Index[Subscription]{Name: "owner", Values: func(s Subscription) []string { return []string{s.Owner + "/" + s.Region} }},
	store.Index[Subscription]{Name: "token", Values: func(s Subscription) []string {
		if s.Token == "" {
			return nil
		}
		return []string{s.Token}
	}},
	store.Index[Subscription]{Name: "replay", Values: func(s Subscription) []string {
		if !s.Replaying() {
			return nil
		}
		return []string{"1"}
	}})

// ParseARN takes the ARN of a topic or a subscription apart; id is "" for a
// topic's.
func ParseARN(s string) (scope cluster.Scope, name, id string, ok bool) {
	a, err := arn.Parse(s)
	if err != nil || a.Service != "sns" {
		return scope, "", "", false
	}
	name, id, _ = strings.Cut(a.Resource, ":")
	return cluster.Scope{Account: a.Account, Region: a.Region}, name, id, name != "" && !strings.Contains(a.Resource, "/")
}

// Find returns a topic.
func Find(r store.Reader, s cluster.Scope, name string) (Topic, bool) {
	return Topics.Get(r, s.Key(name))
}

// FindSubscription returns the subscription of an ARN, unless it was cancelled.
func FindSubscription(r store.Reader, s string) (sub Subscription, ok bool) {
	scope, name, id, ok := ParseARN(s)
	if !ok || id == "" {
		return sub, false
	}
	sub, ok = Subscriptions.Get(r, scope.Key(name, id))
	return sub, ok && !sub.Cancelled
}
