package cluster

import (
	"fmt"
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

// Emit writes e to the outbox in tx and gives it its ID and time.
func Emit(tx *store.Tx, e Event) error {
	e.At = time.Now().UTC()
	e.ID = fmt.Sprintf("%020d-%s", e.At.UnixNano(), NewID()[:12])
	return Events.Put(tx, e)
}
