package launch

import (
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/scheduler"
	"github.com/dhowhq/dhow/store"
)

// placement reads the request's rules.
func placement(r Request) (scheduler.Request, error) {
	p := scheduler.Request{Count: r.Count, Group: r.Key(r.Cluster, r.Group)}
	p.Need, _, _ = Need(r.Definition.Def, r.Overrides)
	if r.LaunchType == types.LaunchTypeFargate {
		switch {
		case len(r.Constraints) > 0:
			return p, &Invalid{"Placement constraints are not supported with FARGATE launch type."}
		case len(r.Strategy) > 0:
			return p, &Invalid{"Placement strategies are not supported with FARGATE launch type."}
		}
		return p, nil
	}
	var own []types.PlacementConstraint
	for _, c := range r.Definition.Def.PlacementConstraints {
		own = append(own, types.PlacementConstraint{Type: types.PlacementConstraintType(c.Type), Expression: c.Expression})
	}
	for _, some := range [][]types.PlacementConstraint{r.Constraints, own} { // ten of each may be
		parsed, err := scheduler.ParseConstraints(some)
		if err != nil {
			return p, &Invalid{err.Error()}
		}
		p.Constraints = append(p.Constraints, parsed...)
	}
	var err error
	if p.Strategy, err = scheduler.ParseStrategy(r.Strategy); err != nil {
		return p, &Invalid{err.Error()}
	}
	p.Requires = r.Definition.Def.RequiresAttributes
	return p, nil
}

// few is how many candidates are read from the transaction itself; more come
// from the pool.
const few = 64

// candidates lists who may take the tasks: nodes for FARGATE, else the
// cluster's ACTIVE instances. Where there are many it only says that the pool
// has them. Rows are listed, not got: a heartbeat must not make the transaction
// run again. What a task takes is checked by the ledger, which Reserve writes.
func (l *launcher) candidates() {
	if l.LaunchType == types.LaunchTypeFargate {
		if l.pooled = cluster.Nodes.Len(l.tx) > few; l.pooled {
			return
		}
		for n := range cluster.Nodes.List(l.tx, "") {
			if n.Fargate {
				l.nodes = append(l.nodes, machineCandidate(n, l.ledger(n.ID)))
			}
		}
		l.several = severalZones(l.nodes)
		return
	}
	for i := range cluster.Instances.List(l.tx, l.Prefix(l.Cluster)) {
		if l.pooled = len(l.nodes) == few; l.pooled {
			l.nodes = nil
			return
		}
		if c, ok := l.instance(i); ok {
			l.nodes = append(l.nodes, c)
		}
	}
	l.nodes = l.outside(l.nodes)
	l.several = severalZones(l.nodes)
}

// instance is the candidate that i is; false if it is none.
func (l *launcher) instance(i cluster.Instance) (c scheduler.Candidate, ok bool) {
	n, ok := peek(l.tx, cluster.Nodes, i.Node, func(n cluster.Node) bool { return n.ID == i.Node })
	if !ok || i.Status != types.ContainerInstanceStatusActive {
		return c, false
	}
	return instanceCandidate(i, n, l.ledger(i.Node)), true
}

func (l *launcher) ledger(node string) cluster.Ledger {
	g, _ := peek(l.tx, cluster.Ledgers, node, func(g cluster.Ledger) bool { return g.Node == node })
	return g
}

// named is the container instance of that id, as peek finds it.
func (l *launcher) named(id string) (cluster.Instance, bool) {
	return peek(l.tx, cluster.Instances, l.Key(l.Cluster, id), func(i cluster.Instance) bool { return i.ID == id })
}

// current is c as the transaction sees it; false if it is no candidate there.
func (l *launcher) current(c *scheduler.Candidate) (now scheduler.Candidate, ok bool) {
	if l.LaunchType != types.LaunchTypeFargate {
		i, ok := l.named(c.ID)
		if !ok {
			return now, false
		}
		return l.instance(i)
	}
	n, ok := peek(l.tx, cluster.Nodes, c.ID, func(n cluster.Node) bool { return n.ID == c.ID })
	if !ok || !n.Fargate {
		return now, false
	}
	return machineCandidate(n, l.ledger(c.ID)), true
}

// peek reads a row without making the transaction depend on it.
func peek[T any](r store.Reader, table *store.Table[T], key string, is func(T) bool) (none T, ok bool) {
	for v := range table.List(r, key) {
		if is(v) {
			return v, true
		}
		break // the exact key sorts before longer ones
	}
	return none, false
}

// outside keeps those of the candidates that the launch type is for: EXTERNAL
// tasks run on instances outside of EC2 alone, EC2 tasks on any.
func (l *launcher) outside(all []scheduler.Candidate) []scheduler.Candidate {
	if l.LaunchType != types.LaunchTypeExternal {
		return all
	}
	return slices.DeleteFunc(all, func(c scheduler.Candidate) bool {
		return !slices.ContainsFunc(c.Attributes, func(a types.Attribute) bool { return a.Name != nil && *a.Name == "ecs.capability.external" })
	})
}

// machineCandidate is n for FARGATE tasks. Its zone is without the region, which
// is the task's.
func machineCandidate(n cluster.Node, g cluster.Ledger) scheduler.Candidate {
	return scheduler.Candidate{Slot: -1, CPU: n.Total.CPU - g.Used.CPU, Memory: n.Total.Memory - g.Used.Memory, Tasks: g.Tasks,
		Connected: n.Connected, Zone: n.Zone,
		Details: &scheduler.Details{ID: n.ID, Node: n.ID, Ports: slices.Concat(n.Total.Ports, g.Used.Ports), Groups: g.Groups}}
}

// instanceCandidate is i, n's membership of a cluster.
func instanceCandidate(i cluster.Instance, n cluster.Node, g cluster.Ledger) scheduler.Candidate {
	c := machineCandidate(n, g)
	c.ID, c.Attributes = i.ID, i.Attributes
	c.Connected, c.AnyCapability = Connected(i, n), !n.External
	if n.Everyone && n.Zone != "" {
		c.Zone = i.Region + n.Zone
		return c
	}
	for _, a := range i.Attributes {
		if a.Name != nil && *a.Name == "ecs.availability-zone" && a.Value != nil {
			c.Zone = *a.Value
		}
	}
	return c
}

// Connected reports whether the agent behind an instance is connected: a stock
// agent's session is the instance's, ours is the node's.
func Connected(i cluster.Instance, n cluster.Node) bool {
	return n.Connected || n.External && i.Connected
}

// Facts answers the subjects of the cluster query language for an instance.
func Facts(r store.Reader, i cluster.Instance, n cluster.Node) func(subject string) []string {
	c := instanceCandidate(i, n, cluster.Ledger{})
	for t := range cluster.Tasks.By(r, "node", n.ID) {
		if t.Instance == i.ID && t.Last == cluster.Running {
			c.Tasks++
		}
	}
	return c.Facts(func(subject string) []string { return fact(r, i, subject) })
}

// fact answers a subject of placement expressions that needs the store.
func (l *launcher) fact(c *scheduler.Candidate, subject string) []string {
	i, ok := l.named(c.ID)
	if !ok {
		return nil
	}
	return fact(l.tx, i, subject)
}

func fact(r store.Reader, i cluster.Instance, subject string) []string {
	switch subject {
	case "task:group":
		var groups []string
		for t := range cluster.Tasks.By(r, "node", i.Node) {
			if t.Instance == i.ID {
				groups = append(groups, t.Group)
			}
		}
		return groups
	case "ec2InstanceId":
		return []string{cluster.Node{ID: i.Node}.InstanceID()}
	case "registeredAt":
		return []string{i.RegisteredAt.UTC().Format(time.RFC3339)}
	case "agentVersion":
		if i.AgentVersion != nil && i.AgentVersion.AgentVersion != nil {
			return []string{*i.AgentVersion.AgentVersion}
		}
	}
	return nil
}
