// Package scheduler chooses nodes for tasks: filter, rank, place, explain. Its
// functions are pure: state and randomness are arguments.
package scheduler

import (
	"math/rand/v2"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
)

// Request is some equal tasks to place.
type Request struct {
	Count       int
	Need        cluster.Resources // of one task
	Requires    []types.Attribute // each must be there, with that value if it has one
	Constraints []Constraint
	Strategy    []Strategy // none: spread over zones, then over nodes
}

// Candidate is a node that may take tasks: a container instance, or a machine
// for FARGATE.
type Candidate struct {
	ID         string
	Total      cluster.Resources // Ports: reserved ones, which no task gets
	Used       cluster.Resources
	Connected  bool
	Zone       string // availability zone
	Attributes []types.Attribute
	Tasks      int // that it runs
	GroupTasks int // of them, those of the request's group
	// AnyCapability says that the node's agent takes every definition: its
	// capability attributes need not be there.
	AnyCapability bool
	// Fact answers the other subjects of placement expressions; nil knows none.
	Fact func(subject string) []string
}

// Choice is a place for one task.
type Choice struct {
	Node  string
	Index int // of the node among the candidates
}

// Reason says why a node takes no more of the tasks.
type Reason struct {
	Node   string
	Code   string // in AWS's words: RESOURCE:CPU, AGENT, …
	Detail string // in ours, "" if Code says it all
}

// Codes of reasons, as RunTask's failures carry them.
const (
	ReasonAgent     = "AGENT"
	ReasonAttribute = "ATTRIBUTE"
	ReasonMemberOf  = "MemberOf placement constraint unsatisfied."
	ReasonDistinct  = "DistinctInstance placement constraint unsatisfied."
	ReasonCPU       = "RESOURCE:CPU"
	ReasonMemory    = "RESOURCE:MEMORY"
	ReasonPorts     = "RESOURCE:PORTS"
)

// Place chooses a node for as many of the tasks as fit, at most req.Count, and
// never more on a node than it has room for. If some are left, reasons say of
// each node why it takes no more. Equal nodes are chosen from by rnd.
func Place(req Request, nodes []Candidate, rnd *rand.Rand) (choices []Choice, reasons []Reason) {
	seats := make([]seat, len(nodes))
	for i := range nodes {
		s := &seats[i]
		s.node, s.at = &nodes[i], i
		s.free = free(nodes[i])
		s.luck = rnd.Uint64()
		s.reason = reject(&req, s)
	}
	r := newRanking(req.Strategy, seats)
	for len(choices) < req.Count {
		b := r.best()
		if b == nil {
			break
		}
		s := b.top()
		choices = append(choices, Choice{Node: s.node.ID, Index: s.at})
		r.take(s, req.Need)
		s.luck = rnd.Uint64()
		if s.reason = reject(&req, s); s.reason.Code != "" {
			b.remove(r)
		} else {
			b.down(r, 0)
		}
	}
	if len(choices) == req.Count {
		return choices, nil
	}
	for i := range seats {
		reasons = append(reasons, seats[i].reason)
	}
	return choices, reasons
}

// seat is a candidate and what this call has put on it so far.
type seat struct {
	node   *Candidate
	at     int // index of the candidate
	free   cluster.Resources
	placed int
	luck   uint64 // orders equals
	bucket *bucket
	reason Reason
}

func free(c Candidate) cluster.Resources {
	return cluster.Resources{CPU: c.Total.CPU - c.Used.CPU, Memory: c.Total.Memory - c.Used.Memory}
}

// attribute is the value of the candidate's attribute called name.
func (c *Candidate) attribute(name string) (value string, ok bool) {
	for i := range c.Attributes {
		if a := &c.Attributes[i]; a.Name != nil && *a.Name == name {
			if a.Value == nil {
				return "", true
			}
			return *a.Value, true
		}
	}
	return "", false
}
