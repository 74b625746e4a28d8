package stream

import (
	"crypto/rand"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
)

// Stream is a stream's row. Calls write it with a Status that is not ACTIVE and
// the Work that Run has to do; Run makes it ACTIVE, or removes it.
type Stream struct {
	cluster.Scope
	Name string
	// ID is of this stream alone, not of a later one of the same name. It has
	// the form of AWS's stream ids, and names the logs.
	ID        string
	Status    types.StreamStatus
	Work      *Work `json:",omitempty"`
	Mode      types.StreamMode
	CreatedAt time.Time

	RetentionHours int32
	MaxRecordKiB   int32
	WarmMiBps      int32               // 0: none was asked for
	KeyID          string              // "" is a stream that is not encrypted
	Metrics        []types.MetricsName // shard-level
	Tags           map[string]string   `json:",omitempty"`
	Policy         string              `json:",omitempty"` // a JSON document
	Scalings       []time.Time         `json:",omitempty"` // calls of UpdateShardCount within a day
	ModeChanges    []time.Time         `json:",omitempty"` // calls of UpdateStreamMode within a day
	NextShard      int                 // the number of the next shard that is made
	OpenShards     int                 // written by Run
}

// Key is the row's key.
func (s Stream) Key() string { return s.Scope.Key(s.Name) }

// Ref names the stream.
func (s Stream) Ref() Ref { return Ref{s.Scope, s.Name} }

// ARN is the stream's Amazon Resource Name.
func (s Stream) ARN() string { return s.Ref().ARN() }

// ARN is the stream's Amazon Resource Name.
func (r Ref) ARN() string { return r.Scope.ARN("kinesis", "stream/"+r.Name) }

// Work is what turns a stream ACTIVE.
type Work struct {
	// Create, Split, Merge and Count: one is set, or none where the row's
	// other fields have said it all.
	Create int      `json:",omitempty"` // shards of a new stream
	Split  *HashKey `json:",omitempty"` // where a new shard begins
	Merge  *HashKey `json:",omitempty"` // where the second of two adjacent shards begins
	Count  int      `json:",omitempty"` // open shards that are wanted, of even ranges
}

// Shard is a shard's row.
type Shard struct {
	cluster.Scope
	Stream     string // its name
	Index      int    // the number in its id
	Start, End HashKey
	Epoch      uint64 // of its sequence numbers
	Parents    []int  `json:",omitempty"` // none, the one split, or the two merged
	CreatedAt  time.Time
	ClosedAt   time.Time // zero while open
}

// Key is the row's key; the shards of a stream are in the order of their ids.
func (s Shard) Key() string { return s.Scope.Key(s.Stream, s.ID()) }

// ID is shardId-000000000000.
func (s Shard) ID() string { return ShardID(s.Index) }

// Open reports whether the shard takes records.
func (s Shard) Open() bool { return s.ClosedAt.IsZero() }

// First is the number at which the shard begins, below that of every record.
func (s Shard) First() SequenceNumber { return SequenceNumber{Epoch: s.Epoch, Shard: uint32(s.Index)} }

// Last is the number at which a closed shard ends.
func (s Shard) Last() SequenceNumber {
	return SequenceNumber{Epoch: s.Epoch, Seq: endSeq, Shard: uint32(s.Index)}
}

// ShardID is the id of the shard of that number.
func ShardID(index int) string { return fmt.Sprintf("shardId-%012d", index) }

// shardIndex reads the number in an id; ok is false for what is none.
func shardIndex(id string) (index int, ok bool) {
	digits, ok := strings.CutPrefix(id, "shardId-")
	n, err := strconv.ParseUint(digits, 10, 31)
	return int(n), ok && err == nil && ShardID(int(n)) == id
}

// Consumer is a fan-out consumer's row.
type Consumer struct {
	cluster.Scope
	Stream    string
	Name      string
	Status    types.ConsumerStatus // written by calls, but for ACTIVE, which is Run's
	CreatedAt time.Time
	Tags      map[string]string `json:",omitempty"`
	Policy    string            `json:",omitempty"`
}

// Key is the row's key.
func (c Consumer) Key() string { return c.Scope.Key(c.Stream, c.Name) }

// ARN is the consumer's Amazon Resource Name, which holds the second in which
// it was registered.
func (c Consumer) ARN() string {
	return c.Scope.ARN("kinesis", fmt.Sprintf("stream/%s/consumer/%s:%d", c.Stream, c.Name, c.CreatedAt.Unix()))
}

// secret is a key: of a stream's records, or of the iterators.
type secret struct {
	Name string
	Key  []byte
}

// The tables.
var (
	Streams = store.NewTable("stream.streams", Stream.Key,
		store.Index[Stream]{Name: "id", Values: func(s Stream) []string { return []string{s.ID} }},
		store.Index[Stream]{Name: "work", Values: func(s Stream) []string {
			if s.Status == types.StreamStatusActive {
				return nil
			}
			return []string{"waits"}
		}})
	Shards    = store.NewTable("stream.shards", Shard.Key)
	Consumers = store.NewTable("stream.consumers", Consumer.Key,
		store.Index[Consumer]{Name: "work", Values: func(c Consumer) []string {
			if c.Status == types.ConsumerStatusActive {
				return nil
			}
			return []string{"waits"}
		}})
	secrets = store.NewTable("stream.secrets", func(s secret) string { return s.Name })
)

// newStreamID returns an id of the form that AWS's have.
func newStreamID() string {
	const digits = "abcdefghijklmnopqrstuvwxyz0123456789"
	var b [23]byte
	rand.Read(b[:]) // never fails, see its documentation
	for i := range b {
		b[i] = digits[int(b[i])%len(digits)]
	}
	return string(b[:20]) + "-" + string(b[20:])
}
