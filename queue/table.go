package queue

import (
	"crypto/rand"
	"strings"
	"time"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
)

// Definition is a queue as the store knows it. The face writes it, by
// Engine.Create and Engine.Update; the engine obeys.
type Definition struct {
	cluster.Scope
	Name    string
	ID      string // of this making of the name; the logs are called after it
	Key     []byte // seals receipt handles, and bodies where encryption is on
	Created int64  // seconds
	Changed int64  // seconds, of Settings
	Purged  int64  // milliseconds, of the last purge
	Settings
	Policy string // JSON, "" for none
	Tags   map[string]string
}

// Settings are a queue's attributes that the engine obeys. Times are seconds.
type Settings struct {
	FIFO              bool // set once
	Delay             int
	Visibility        int
	Retention         int
	Wait              int
	MaxSize           int
	ContentDedup      bool
	DedupByGroup      bool // DeduplicationScope messageGroup
	ThroughputByGroup bool // FifoThroughputLimit perMessageGroupId
	Redrive           *Redrive
	RedriveAllow      *RedriveAllow
	SSE               bool   // SqsManagedSseEnabled
	KMSKey            string // KmsMasterKeyId, "" for none
	KMSReuse          int    // KmsDataKeyReusePeriodSeconds, 0 for not set
}

// Redrive is where messages go after Max receives.
type Redrive struct {
	Target string // ARN
	Max    int
}

// RedriveAllow says which queues may name this one as their dead-letter queue:
// allowAll, denyAll, or byQueue, those whose ARNs are listed.
type RedriveAllow struct {
	Permission string
	Sources    []string
}

// Defaults are AWS's for a new queue.
func Defaults() Settings {
	return Settings{Visibility: 30, Retention: 345600, MaxSize: MaxSize, SSE: true}
}

// Encrypted reports whether bodies are to be encrypted in the journal.
func (s *Settings) Encrypted() bool { return s.SSE || s.KMSKey != "" }

// ARN is the queue's.
func (d *Definition) ARN() string { return d.Scope.ARN("sqs", d.Name) }

// key is the row's.
func (d Definition) key() string { return d.Scope.Key(d.Name) }

// grave remembers when a name was given up.
type grave struct {
	cluster.Scope
	Name string
	At   int64 // milliseconds
}

// Definitions are the queues. The index "id" finds them by ID, "dead" by the ARN
// of their dead-letter queue.
var (
	Definitions = store.NewTable("queue.queues", Definition.key,
		store.Index[Definition]{Name: "id", Values: func(d Definition) []string { return []string{d.ID} }},
		store.Index[Definition]{Name: "dead", Values: func(d Definition) []string {
			if d.Redrive == nil {
				return nil
			}
			return []string{d.Redrive.Target}
		}})
	graves = store.NewTable("queue.graves", func(g grave) string { return g.Scope.Key(g.Name) })
)

// newID is the ID of a new queue: 26 letters and digits.
func newID() string { return strings.ToLower(rand.Text()) }

// newKey is 32 random bytes.
func newKey() []byte {
	k := make([]byte, 32)
	rand.Read(k)
	return k
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }
