package bus

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
)

// Archive keeps the events of a bus that match its pattern.
type Archive struct {
	cluster.Scope
	Name        string
	ID          string // of its log
	Bus         string // a bus of its scope
	Description string
	Pattern     string // "" is everything
	Days        int32  // how long events are kept; 0 is for ever
	CreatedAt   time.Time
}

// Key is the row's key.
func (a Archive) Key() string { return a.Scope.Key(a.Name) }

// ARN names the archive.
func (a Archive) ARN() string { return a.Scope.ARN("events", "archive/"+a.Name) }

// Archives is the table of archives, with the index "bus" of Scope.Key(bus).
var Archives = store.NewTable("bus.archives", Archive.Key,
	store.Index[Archive]{Name: "bus", Values: func(a Archive) []string { return []string{a.Scope.Key(a.Bus)} }})

// Replay puts archived events on their bus again.
type Replay struct {
	cluster.Scope
	Name        string
	Description string
	Archive     string // name
	ArchiveID   string
	Bus         string
	FilterARNs  []string // of the rules that get the events; none is all
	From, To    time.Time
	State       types.ReplayState
	Reason      string
	StartedAt   time.Time
	EndedAt     time.Time // written by the engine, as are the following
	Reached     uint64    // of the archive's log: what is before it was replayed
	LastEvent   time.Time
}

// Key is the row's key.
func (r Replay) Key() string { return r.Scope.Key(r.Name) }

// ARN names the replay.
func (r Replay) ARN() string { return r.Scope.ARN("events", "replay/"+r.Name) }

// Active reports whether the replay has not ended.
func (r Replay) Active() bool {
	switch r.State {
	case types.ReplayStateStarting, types.ReplayStateRunning, types.ReplayStateCancelling:
		return true
	}
	return false
}

// MaxReplays is how many replays of a scope may be active.
const MaxReplays = 10

// Replays is the table of replays, with the index "active" of "1".
var Replays = store.NewTable("bus.replays", Replay.Key,
	store.Index[Replay]{Name: "active", Values: func(r Replay) []string {
		if r.Active() {
			return []string{"1"}
		}
		return nil
	}})
