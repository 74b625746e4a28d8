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
	l.place.Fact = l.fact
	l.candidates()
	switch {
	case len(r.Instances) > 0:
		return l.onEach()
	case l.pooled:
		err = l.fillFromPool()
	case len(l.nodes) == 0:
		l.failures = []types.Failure{l.nobody()}
	default:
		err = l.fill(l.nodes)
	}
	if err != nil {
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
	nodes    []scheduler.Candidate
	pooled   bool // they are many: the pool has them
	several  bool // they are of more than one zone
	tasks    []cluster.Task
	failures []types.Failure
}

// home is what a candidate stands for.
type home struct {
	node     string
	instance string // id, "" on FARGATE
	zone     string
}

func (l *launcher) home(c scheduler.Candidate) home {
	if l.LaunchType == types.LaunchTypeFargate {
		return home{node: c.Node, zone: l.Region + c.Zone}
	}
	return home{c.Node, c.ID, c.Zone}
}

// fill places the tasks on nodes and notes what fails.
func (l *launcher) fill(nodes []scheduler.Candidate) error {
	choices, reasons := l.choose(nodes)
	homes := make([]home, len(choices))
	for i, c := range choices {
		homes[i] = l.home(nodes[c.Index])
	}
	return l.startAll(homes, reasons)
}

// startAll starts a task on each of the homes. reasons are why others have none.
func (l *launcher) startAll(homes []home, reasons []scheduler.Reason) error {
	for _, h := range homes {
		t, failure, err := l.start(h)
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

func (l *launcher) choose(nodes []scheduler.Candidate) ([]scheduler.Choice, []scheduler.Reason) {
	return scheduler.Place(l.place, nodes, rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())))
}

// fillFromPool is fill for what the pool has by now.
func (l *launcher) fillFromPool() error {
	homes, reasons, any := l.chooseFromPool()
	if !any {
		l.failures = append(l.failures, l.nobody())
		return nil
	}
	return l.startAll(homes, reasons)
}

// rounds is how often chooseFromPool looks up the chosen before it looks up all.
const rounds = 16

// chooseFromPool places the tasks on what the pool has, which counts what other
// transactions have chosen. It may be behind, or ahead of, what this one sees:
// those that are chosen are looked up, and if one has less room than it seemed
// to have the choice is made anew. any is false where there are no candidates.
func (l *launcher) chooseFromPool() (homes []home, reasons []scheduler.Reason, any bool) {
	l.withPool(func(p *pool, nodes []scheduler.Candidate) {
		var choices []scheduler.Choice
		known := make(map[int]bool, l.place.Count) // those that were looked up
		settle := func() {
			for round := 0; ; round++ {
				choices, reasons = l.choose(nodes)
				if round > rounds || !l.lookUp(nodes, choices, known, round == rounds) {
					return
				}
			}
		}
		if settle(); len(choices) < l.place.Count && l.disregard(p, nodes, known) {
			settle()
		}
		on := make([]string, len(choices))
		for i, c := range choices {
			on[i] = nodes[c.Index].Node
			homes = append(homes, l.home(nodes[c.Index]))
		}
		l.several, any = severalZones(nodes), len(nodes) > 0
		l.tx.After(p.assume(on, l.place.Group, l.place.Need))
	})
	return homes, reasons, any
}

// withPool calls f with the pool's candidates, which f may change but not keep,
// while nobody else chooses from the pool.
func (l *launcher) withPool(f func(p *pool, nodes []scheduler.Candidate)) {
	p := pools.Of(l.tx)
	p.placing.Lock()
	defer p.placing.Unlock()
	if l.LaunchType == types.LaunchTypeFargate {
		p.room, l.place.Counts = p.ofFargate(l.place.Group, p.room[:0])
	} else {
		p.room, l.place.Counts = p.ofCluster(l.Scope, l.Cluster, l.place.Group, p.room[:0])
	}
	f(p, l.outside(p.room))
}

// lookUp puts what the transaction sees into the list where it is worse than
// what the list has, and reports whether it was: for those that were chosen, or
// for all.
func (l *launcher) lookUp(nodes []scheduler.Candidate, choices []scheduler.Choice, known map[int]bool, all bool) (stale bool) {
	if all {
		choices = make([]scheduler.Choice, len(nodes))
		for i := range choices {
			choices[i].Index = i
		}
	}
	for _, c := range choices {
		if known[c.Index] {
			continue
		}
		known[c.Index] = true
		was := &nodes[c.Index]
		switch is, ok := l.current(was); {
		case !ok:
			was.Connected, stale = false, true
		case l.worse(is, *was):
			*was, stale = is, true
		}
	}
	return stale
}

// disregard puts what the transaction sees in the place of what others are about
// to book, and reports whether there was any such: they may yet fail, and then
// nothing must have been refused for their sake.
func (l *launcher) disregard(p *pool, nodes []scheduler.Candidate, known map[int]bool) (any bool) {
	assumed := p.assumedOn()
	for i := range nodes {
		if !assumed[nodes[i].Node] {
			continue
		}
		if is, ok := l.current(&nodes[i]); ok {
			nodes[i], known[i], any = is, true, true
		}
	}
	return any
}

// worse reports whether is takes fewer tasks than c, or later.
func (l *launcher) worse(is, c scheduler.Candidate) bool {
	taken := func(port string) bool { return slices.Contains(is.Ports, port) }
	return c.Connected && !is.Connected || is.CPU < c.CPU || is.Memory < c.Memory || is.Tasks > c.Tasks ||
		is.Groups[l.place.Group] > c.Groups[l.place.Group] || slices.ContainsFunc(l.place.Need.Ports, taken)
}

// onEach starts one task on each of the instances that the request names.
func (l *launcher) onEach() ([]cluster.Task, []types.Failure, error) {
	if l.pooled {
		l.withPool(func(_ *pool, nodes []scheduler.Candidate) { l.several = severalZones(nodes) })
	}
	l.place.Count, l.place.Counts = 1, nil
	for _, id := range l.Instances {
		var nodes []scheduler.Candidate
		if i, ok := l.named(id); ok {
			if c, ok := l.instance(i); ok {
				nodes = l.outside([]scheduler.Candidate{c})
			}
		}
		if len(nodes) == 0 {
			l.failures = append(l.failures, l.absent(id))
			continue
		}
		if err := l.fill(nodes); err != nil {
			return nil, nil, err
		}
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

// severalZones reports whether the candidates are of more than one zone.
func severalZones(nodes []scheduler.Candidate) bool {
	for i := range nodes {
		if nodes[i].Zone != nodes[0].Zone {
			return true
		}
	}
	return false
}

// subnet is the one that the next task gets: any of those given, or of those in
// the node's zone where the nodes are of several.
func (l *launcher) subnet(h home) cluster.Subnet {
	from := l.net.subnets
	if l.several {
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
