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
	Count int
	Need  cluster.Resources // of one task
	Group string            // the tasks' group, a key of Candidate.Groups
	// Counts are the tasks of the group by Candidate.Slot, for callers who have
	// them at hand: a look into the maps of thousands of candidates takes long.
	Counts      []int32
	Requires    []types.Attribute // each must be there, with that value if it has one
	Constraints []Constraint
	Strategy    []Strategy // none: spread over zones, then over nodes
	// Fact answers the subjects of placement expressions that a candidate does
	// not know by itself; nil knows none.
	Fact func(c *Candidate, subject string) []string
}

// Candidate is a node that may take tasks: a container instance, or a machine
// for FARGATE. It is small, so that thousands are soon looked through; what few
// requests ask for is in its details.
type Candidate struct {
	Slot      int32 // in Request.Counts; below 0: it is not there, Groups tells
	Connected bool
	// AnyCapability says that the node's agent takes every definition: its
	// capability attributes need not be there.
	AnyCapability bool
	CPU, Memory   int64 // free
	Tasks         int   // that it runs
	Zone          string
	*Details
}

// Details are what is rarely asked of a candidate. They are not changed: those
// of a node that changes are made anew.
type Details struct {
	ID         string
	Node       string   // the machine, where ID is a container instance's
	Ports      []string // that tasks have, or none gets
	Attributes []types.Attribute
	Groups     map[string]int // the tasks by group
}

// Choice is a place for one task.
type Choice struct {
	Node  string // ID of the candidate
	Index int    // of it among the candidates
}

// Reason says why a node takes no more of the tasks.
type Reason struct {
	Node   string
	Code   string // in AWS's words: RESOURCE:CPU, AGENT, …
	Detail string // in ours, "" if Code says it all; only the first hundred have it
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

// detailed is how many reasons say more than their code: nobody reads ten
// thousand.
const detailed = 100

// Place chooses a node for as many of the tasks as fit, at most req.Count, and
// never more on a node than it has room for. If some are left, reasons say of
// each node why it takes no more. Equal nodes are chosen from by rnd.
func Place(req Request, nodes []Candidate, rnd *rand.Rand) (choices []Choice, reasons []Reason) {
	f, r := newFilter(&req), newRanking(req.Strategy, req.Count)
	for i := range nodes {
		s := newSeat(&req, &nodes[i], i)
		b := r.bucketOf(s.node, s.group)
		if f.reject(&s) == "" {
			s.luck = rnd.Uint64()
			b.offer(r, s)
		}
	}
	r.ready()
	for len(choices) < req.Count {
		b := r.best()
		if b == nil {
			break
		}
		s := b.top()
		choices = append(choices, Choice{Node: s.node.ID, Index: s.at})
		r.take(s, req.Need)
		s.luck = rnd.Uint64()
		if f.reject(s) != "" {
			b.remove(r)
		} else {
			b.down(r.less, 0)
		}
	}
	if len(choices) == req.Count {
		return choices, nil
	}
	return choices, f.reasons(nodes, choices)
}

// seat is a candidate and what this call has put on it so far.
type seat struct {
	node   *Candidate
	at     int // index of the candidate
	bucket *bucket
	free   struct{ cpu, memory int64 }
	group  int // tasks of the request's group that the candidate has
	placed int
	luck   uint64 // orders equals
}

func newSeat(req *Request, n *Candidate, at int) seat {
	s := seat{node: n, at: at}
	if req.Counts != nil && n.Slot >= 0 {
		s.group = int(req.Counts[n.Slot])
	} else {
		s.group = n.Groups[req.Group]
	}
	s.free.cpu, s.free.memory = n.CPU, n.Memory
	return s
}

// put books one task.
func (s *seat) put(need cluster.Resources) {
	s.placed++
	s.free.cpu -= need.CPU
	s.free.memory -= need.Memory
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
