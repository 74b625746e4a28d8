// Package launch starts tasks: in the caller's transaction it asks the
// scheduler for nodes, books their capacity, allocates addresses and writes
// the tasks. Handlers (RunTask, StartTask) and the service loop share it.
package launch

import (
	"math/rand/v2"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/scheduler"
	"github.com/dhowhq/dhow/store"
)

// MaxCount is how many tasks one transaction can launch: each is up to four
// rows of a hundred.
const MaxCount = 20

// Reasons of failures that are not about one node.
const (
	// NoInstances is the reason when an EC2 task finds a cluster without
	// ACTIVE container instances. RunTask makes it an error.
	NoInstances = "No Container Instances were found in your cluster."
	// NoCapacity is the reason when no node takes a FARGATE task; the detail
	// says why.
	NoCapacity = "Capacity is unavailable at this time."
	// NoAddress is the reason when a subnet has no free address.
	NoAddress = "RESOURCE:ENI"
)

// Invalid is the error of a request that is wrong whatever the cluster holds.
type Invalid struct{ Reason string }

func (e *Invalid) Error() string { return e.Reason }

// Request is some tasks of one definition.
type Request struct {
	cluster.Scope
	Cluster              string
	Definition           cluster.TaskDefinition
	Count                int              // at most MaxCount
	LaunchType           types.LaunchType // EC2, FARGATE, EXTERNAL; "" takes EC2
	CapacityProvider     string
	PlatformVersion      string
	Group, StartedBy     string
	Service              string // "" for none
	Overrides            types.TaskOverride
	Network              *types.NetworkConfiguration
	Constraints          []types.PlacementConstraint
	Strategy             []types.PlacementStrategy
	EnableExecuteCommand bool
	Tags                 []types.Tag
	Instances            []string // StartTask: one task on each of these container instances, by id; Count is not read
}

// Launch places as many of the tasks as fit and writes them, desired RUNNING,
// last PROVISIONING. What does not fit is in failures, in AWS's words: for EC2
// one a container instance. An error is an *Invalid, or of the store.
func Launch(tx *store.Tx, r Request) (tasks []cluster.Task, failures []types.Failure, err error) {
	if r.LaunchType == "" {
		r.LaunchType = types.LaunchTypeEc2
	}
	l := &launcher{Request: r, tx: tx}
	if l.net, err = findNetwork(tx, r.Scope, r.LaunchType, r.Definition.Def.NetworkMode, r.Network); err != nil {
		return nil, nil, err
	}
	if l.place, err = placement(r); err != nil {
		return nil, nil, err
	}
	l.candidates()
	if len(r.Instances) > 0 {
		return l.onEach()
	}
	if len(l.nodes) == 0 {
		return nil, []types.Failure{l.nobody()}, nil
	}
	if err := l.fill(l.nodes, l.homes); err != nil {
		return nil, nil, err
	}
	return l.tasks, l.failures, nil
}

// launcher is one call of Launch.
type launcher struct {
	Request
	tx       *store.Tx
	net      network
	place    scheduler.Request
	group    string // Task.GroupKey of the tasks
	nodes    []scheduler.Candidate
	homes    []home // by candidate
	zones    int    // of the candidates: none, one, or more
	tasks    []cluster.Task
	failures []types.Failure
}

// home is what a candidate stands for.
type home struct {
	node     string
	instance string // id, "" on FARGATE
	zone     string
}

// fill places the tasks on nodes and notes what fails.
func (l *launcher) fill(nodes []scheduler.Candidate, homes []home) error {
	choices, reasons := scheduler.Place(l.place, nodes, rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())))
	for _, c := range choices {
		t, failure, err := l.start(homes[c.Index])
		switch {
		case err != nil:
			return err
		case failure != nil:
			l.failures = append(l.failures, *failure)
		default:
			l.tasks = append(l.tasks, t)
		}
	}
	l.failures = append(l.failures, l.explain(reasons)...)
	return nil
}

// onEach starts one task on each of the instances that the request names.
func (l *launcher) onEach() ([]cluster.Task, []types.Failure, error) {
	l.place.Count = 1
	for _, id := range l.Instances {
		at := slices.IndexFunc(l.nodes, func(c scheduler.Candidate) bool { return c.ID == id })
		if at < 0 {
			l.failures = append(l.failures, l.absent(id))
			continue
		}
		if err := l.fill(l.nodes[at:at+1], l.homes[at:at+1]); err != nil {
			return nil, nil, err
		}
		l.candidates() // the next task may be for the same node: it must see this one
	}
	return l.tasks, l.failures, nil
}

// start books a place on h and writes the task that takes it.
func (l *launcher) start(h home) (cluster.Task, *types.Failure, error) {
	t := l.task(h)
	if len(l.net.subnets) > 0 {
		subnet := l.subnet(h)
		i, ok := allocate(l.tx, subnet, l.net)
		if !ok {
			return t, failure("", NoAddress, "no address is free in "+subnet.ID), nil
		}
		i.Cluster, i.Task = t.Cluster, t.ID
		if err := cluster.Interfaces.Put(l.tx, i); err != nil {
			return t, nil, err
		}
		t.Interface, t.Zone = &i, i.Zone
	}
	if h.instance != "" {
		// Read so that the transaction runs again if the instance changed.
		cluster.Instances.Get(l.tx, l.Key(l.Cluster, h.instance))
	}
	if err := cluster.Reserve(l.tx, t); err != nil {
		return t, nil, err
	}
	return t, nil, cluster.SaveTask(l.tx, t)
}

// subnet is the one that the next task gets: any of those given, or of those in
// the node's zone where the nodes are of several.
func (l *launcher) subnet(h home) cluster.Subnet {
	from := l.net.subnets
	if l.zones > 1 {
		var near []cluster.Subnet
		for _, s := range from {
			if s.Zone == h.zone {
				near = append(near, s)
			}
		}
		if len(near) > 0 {
			from = near
		}
	}
	return from[(l.net.turn+len(l.tasks))%len(from)]
}
