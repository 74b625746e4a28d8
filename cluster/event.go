package cluster

import (
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/dhowhq/dhow/store"
)

// Kind is an event's detail-type, in AWS's words.
type Kind string

// The events of ECS.
const (
	TaskStateChange       Kind = "ECS Task State Change"
	InstanceStateChange   Kind = "ECS Container Instance State Change"
	DeploymentStateChange Kind = "ECS Deployment State Change"
	ServiceAction         Kind = "ECS Service Action"
)

// Event is something that happened, written in the transaction that made it
// happen and deleted when the outlet has delivered it. It holds a snapshot of
// its noun; faces turn it into AWS's JSON.
type Event struct {
	Scope
	ID       string // sorts by time of writing
	Kind     Kind
	At       time.Time
	Resource string // ARN; events of one resource are in order of Version
	Version  int64
	Task     *Task     `json:",omitempty"`
	Instance *Instance `json:",omitempty"`
	Action   *Action   `json:",omitempty"` // DeploymentStateChange and ServiceAction
}

// Action is what a service's loop tells of.
type Action struct {
	Name       string // SERVICE_STEADY_STATE, SERVICE_DEPLOYMENT_COMPLETED, …
	Type       string // INFO, WARN, ERROR
	Reason     string
	Cluster    string // ARN
	Service    string // ARN
	Deployment string // ecs-svc/…, "" for service actions
	CreatedAt  time.Time
}

// Events is the outbox, keyed by Event.ID.
var Events = store.NewTable("cluster.events", func(e Event) string { return e.ID })

// Emit writes e to the outbox in tx and gives it its time, and an ID that sorts
// after those of all events that this process has written or been told of.
func Emit(tx *store.Tx, e Event) error {
	e.At = time.Now().UTC()
	e.ID = fmt.Sprintf("%020d-%s", emitted.next(e.At.UnixNano()), NewID()[:12])
	return Events.Put(tx, e)
}

// EmitAfter makes the events to come sort after the one called id: one that a
// process before this has left in the outbox.
func EmitAfter(id string) {
	text, _, _ := strings.Cut(id, "-")
	if at, err := strconv.ParseInt(text, 10, 64); err == nil {
		emitted.raise(at)
	}
}

// emitted is the time in the newest event's ID, in nanoseconds. It rises although
// the machine's clock may be set back: events of one resource stay in order.
var emitted rising

type rising struct{ last atomic.Int64 }

// next returns now, or what comes after the last value if that is more.
func (r *rising) next(now int64) int64 {
	for {
		last := r.last.Load()
		n := max(now, last+1)
		if r.last.CompareAndSwap(last, n) {
			return n
		}
	}
}

// raise makes the next value more than at.
func (r *rising) raise(at int64) {
	for {
		last := r.last.Load()
		if at <= last || r.last.CompareAndSwap(last, at) {
			return
		}
	}
}
