package deploy

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
)

// view is all that a plan may know.
type view struct {
	Now     time.Time
	Settle  time.Duration
	Service cluster.Service
	Tasks   []cluster.Task     // those that are open
	Leaving map[string]bool    // ids of container instances that take no part any more: DRAINING or gone
	Bound   map[string][]Bound // by task ID: its places in target groups
	Zones   []string           // where tasks of the service may run
	Free    map[string]int64   // for a service that binpacks: by node ID, what is free of the resource it packs by
}

// Bound is a task's place in one target group.
type Bound struct {
	Group  string // ARN
	Port   int32  // container port
	Target Target
	State  string // as Targets.Health says, "" while it is not registered
	Reason string
}

// registered reports whether the group knows the target.
func (b Bound) registered() bool { return b.State != "" }

// out reports whether the target has left the group, or is not used by it, so
// that nothing needs to drain.
func (b Bound) out() bool { return b.State == "" || b.State == "unused" }

// Changes is what a plan wants done.
type Changes struct {
	Service    cluster.Service // the row as it should be
	Start      int             // tasks of the primary deployment
	Tasks      []taskChange
	Register   []Bound
	Deregister []Bound
	Messages   []message
	Actions    []action
	Wake       time.Time // look again then, even if nothing happens; zero: never
	More       bool      // there is more to do than fits one transaction
}

// maxChanges bounds the tasks that a pass changes: each is two rows of a
// transaction's hundred.
const maxChanges = 25

// taskChange is one change of one task's row.
type taskChange struct {
	Task   cluster.Task
	Do     do
	Code   types.TaskStopCode
	Reason string
}

type do int

const (
	note    do = iota // its end is accounted for
	healthy           // it counted as healthy for the first time
	drain             // take it out of its target groups, then stop it
	stop              // tell its node to stop it
)

// message is a line of the service's events.
type message struct {
	Text string
	// Once keeps it back while the same text is in the log of the last 6 h.
	Once bool
}

// action is an event for EventBridge.
type action struct {
	Kind       cluster.Kind
	Name       string
	Type       string // INFO, WARN, ERROR
	Reason     string
	Deployment string
}

// plan compares what the service wants with the tasks it has. It is pure.
func plan(v view) Changes {
	p := &planner{view: v, c: Changes{Service: v.Service}}
	p.c.Service.Deployments = append([]cluster.Deployment(nil), v.Service.Deployments...)
	p.observe()
	p.accountEnds()
	p.accountHealth()
	p.breaker()
	p.rebalance()
	p.roll()
	p.balancers()
	p.finish()
	return p.c
}

// planner carries a plan from step to step.
type planner struct {
	view
	c     Changes
	tasks []*observed
}

// primary is the deployment the service is moving to, nil if it has none.
func (p *planner) primary() *cluster.Deployment { return p.c.Service.Primary() }

// deployment is the one called id, nil if it is not the service's.
func (p *planner) deployment(id string) *cluster.Deployment {
	for i := range p.c.Service.Deployments {
		if p.c.Service.Deployments[i].ID == id {
			return &p.c.Service.Deployments[i]
		}
	}
	return nil
}

// desired is how many tasks there should be: none once the service is deleted.
func (p *planner) desired() int {
	if p.c.Service.Status != "ACTIVE" {
		return 0
	}
	return int(p.c.Service.DesiredCount)
}

// wake asks for another look at t at the latest.
func (p *planner) wake(t time.Time) {
	if p.c.Wake.IsZero() || t.Before(p.c.Wake) {
		p.c.Wake = t
	}
}

// full reports whether the pass has as many changes as it may, and then asks
// for another pass.
func (p *planner) full() bool {
	if len(p.c.Tasks) < maxChanges {
		return false
	}
	p.c.More = true
	return true
}

// change adds a change of t; the caller has asked full.
func (p *planner) change(t *observed, d do, code types.TaskStopCode, reason string) {
	p.c.Tasks = append(p.c.Tasks, taskChange{Task: t.Task, Do: d, Code: code, Reason: reason})
}
