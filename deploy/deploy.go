// Package deploy is the service loop: it keeps each service at its count,
// rolls out deployments between the minimum and maximum healthy percent, moves
// targets in and out of load balancers, drains, and rolls back what fails.
//
// Everything it does is derived from the store: a loop that takes over, or
// starts again after a crash, goes on where the last one stood. plan is pure;
// an Engine runs it for the services that something happened to, so that a
// commit costs the same whether there are ten services or ten thousand.
package deploy

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/dhowhq/dhow/store"
)

// DefaultSettleTime is how long a task without load balancer and health check
// must have been RUNNING before it counts as healthy. AWS waits 40 s; here a
// rolling update of a service without checks would mostly be that wait. Set
// Config.SettleTime to 40 s to have AWS's caution.
const DefaultSettleTime = 5 * time.Second

// Config says what an Engine works on.
type Config struct {
	DB         *store.DB
	Log        *slog.Logger
	Targets    Targets       // nil: no service has load balancers
	SettleTime time.Duration // 0: DefaultSettleTime; negative: none
	Workers    int           // services looked at concurrently; 0: 8
}

// Targets is what the loop needs of load balancers. Methods are safe for
// concurrent use and return soon.
type Targets interface {
	// Register adds t to the group; again changes nothing.
	Register(ctx context.Context, groupARN string, t Target) error
	// Deregister begins to drain t; again changes nothing, and a target that
	// is not there is no error.
	Deregister(ctx context.Context, groupARN string, t Target) error
	// Health is the target's state and the reason's description in ELB's words:
	// initial, healthy, unhealthy, draining, unused, unavailable; "" for a
	// target that is not registered.
	Health(groupARN string, t Target) (state, reason string)
	// Changed gets a token after targets changed state (coalesced).
	Changed() <-chan struct{}
}

// Target is where a load balancer sends requests for a task.
type Target struct {
	ID   string // IP address or EC2 instance id
	Port int
	Zone string // availability zone
}

// Engine runs the loop. Make it with New.
type Engine struct {
	cfg    Config
	settle time.Duration
	queue  *queue
	index  *index // of the services, while this process leads
	zones  *zones // of the nodes, while this process leads
	passes atomic.Int64
}

// New returns an Engine that Run starts.
func New(c Config) *Engine {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Workers == 0 {
		c.Workers = 8
	}
	e := &Engine{cfg: c, settle: c.SettleTime, queue: newQueue()}
	if e.settle == 0 {
		e.settle = DefaultSettleTime
	}
	return e
}
