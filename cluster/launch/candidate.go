package launch

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/scheduler"
	"github.com/dhowhq/dhow/store"
)

// placement reads the request's rules.
func placement(r Request) (scheduler.Request, error) {
	p := scheduler.Request{Count: r.Count}
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

// candidates lists who may take the tasks: nodes for FARGATE, else the
// cluster's ACTIVE instances. The rows are listed, not got: a heartbeat must
// not make the transaction run again. What a task takes is checked by the
// ledger, which Reserve writes.
func (l *launcher) candidates() {
	l.group = l.Key(l.Cluster, l.Group)
	l.nodes, l.homes, l.zones = nil, nil, 0
	if l.LaunchType == types.LaunchTypeFargate {
		l.machines()
	} else {
		l.instances()
	}
	for i, h := range l.homes {
		if i == 0 || h.zone != l.homes[0].zone {
			l.zones++ // more than one is all that matters
		}
	}
}

// machines lists the nodes that take FARGATE tasks. Nodes and ledgers come in
// one order, and so are joined as they come.
func (l *launcher) machines() {
	ledgers := make([]cluster.Ledger, 0, cluster.Ledgers.Len(l.tx))
	for g := range cluster.Ledgers.List(l.tx, "") {
		ledgers = append(ledgers, g)
	}
	n := cluster.Nodes.Len(l.tx)
	l.nodes, l.homes = make([]scheduler.Candidate, 0, n), make([]home, 0, n)
	for n := range cluster.Nodes.List(l.tx, "") {
		for len(ledgers) > 0 && ledgers[0].Node < n.ID {
			ledgers = ledgers[1:]
		}
		if !n.Fargate {
			continue
		}
		var g cluster.Ledger
		if len(ledgers) > 0 && ledgers[0].Node == n.ID {
			g = ledgers[0]
		}
		c := scheduler.Candidate{ID: n.ID, Total: n.Total, Connected: n.Connected, Zone: n.Zone}
		l.add(c, g, home{node: n.ID, zone: l.Region + n.Zone})
	}
}

// instances lists the container instances that take EC2 tasks.
func (l *launcher) instances() {
	var is []cluster.Instance
	for i := range cluster.Instances.List(l.tx, l.Prefix(l.Cluster)) {
		if i.Status == types.ContainerInstanceStatusActive && l.takes(i) {
			is = append(is, i)
		}
	}
	l.nodes, l.homes = make([]scheduler.Candidate, 0, len(is)), make([]home, 0, len(is))
	find := l.finder(len(is))
	for _, i := range is {
		n, g := find(i.Node)
		if n.ID == "" {
			continue
		}
		c := instanceCandidate(i, n)
		if len(l.place.Constraints) > 0 {
			c.Fact = facts(l.tx, i, n.ID)
		}
		l.add(c, g, home{node: n.ID, instance: i.ID, zone: c.Zone})
	}
}

// finder is the way to the nodes and ledgers of n instances: one by one for
// few, through a map for many. A node that is not there has no ID.
func (l *launcher) finder(n int) func(id string) (cluster.Node, cluster.Ledger) {
	const few = 64
	if n <= few {
		return func(id string) (cluster.Node, cluster.Ledger) {
			n, _ := peek(l.tx, cluster.Nodes, id, func(n cluster.Node) bool { return n.ID == id })
			g, _ := peek(l.tx, cluster.Ledgers, id, func(g cluster.Ledger) bool { return g.Node == id })
			return n, g
		}
	}
	type machine struct {
		node   cluster.Node
		ledger cluster.Ledger
	}
	all := make([]machine, 0, cluster.Nodes.Len(l.tx))
	at := make(map[string]int, cap(all))
	for n := range cluster.Nodes.List(l.tx, "") {
		at[n.ID] = len(all)
		all = append(all, machine{node: n})
	}
	for g := range cluster.Ledgers.List(l.tx, "") {
		if i, ok := at[g.Node]; ok {
			all[i].ledger = g
		}
	}
	return func(id string) (cluster.Node, cluster.Ledger) {
		i, ok := at[id]
		if !ok {
			return cluster.Node{}, cluster.Ledger{}
		}
		return all[i].node, all[i].ledger
	}
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

func (l *launcher) add(c scheduler.Candidate, g cluster.Ledger, h home) {
	c.Used, c.Tasks, c.GroupTasks = g.Used, g.Tasks, g.Groups[l.group]
	l.nodes = append(l.nodes, c)
	l.homes = append(l.homes, h)
}

// takes reports whether i is of the launch type: EXTERNAL tasks run on
// instances outside of EC2 alone, EC2 tasks on any.
func (l *launcher) takes(i cluster.Instance) bool {
	if l.LaunchType != types.LaunchTypeExternal {
		return true
	}
	for _, a := range i.Attributes {
		if a.Name != nil && *a.Name == "ecs.capability.external" {
			return true
		}
	}
	return false
}

func instanceCandidate(i cluster.Instance, n cluster.Node) scheduler.Candidate {
	c := scheduler.Candidate{
		ID: i.ID, Total: n.Total, Zone: n.Zone, Connected: Connected(i, n),
		Attributes: i.Attributes, AnyCapability: !n.External,
	}
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
	c := instanceCandidate(i, n)
	c.Fact = facts(r, i, n.ID)
	for t := range cluster.Tasks.By(r, "node", n.ID) {
		if t.Instance == i.ID && t.Last == cluster.Running {
			c.Tasks++
		}
	}
	return c.Facts
}

// facts answers the subjects that need the store.
func facts(r store.Reader, i cluster.Instance, node string) func(string) []string {
	return func(subject string) []string {
		switch subject {
		case "task:group":
			var groups []string
			for t := range cluster.Tasks.By(r, "node", node) {
				if t.Instance == i.ID {
					groups = append(groups, t.Group)
				}
			}
			return groups
		case "ec2InstanceId":
			return []string{cluster.Node{ID: node}.InstanceID()}
		case "registeredAt":
			return []string{i.RegisteredAt.UTC().Format(time.RFC3339)}
		case "agentVersion":
			if i.AgentVersion != nil && i.AgentVersion.AgentVersion != nil {
				return []string{*i.AgentVersion.AgentVersion}
			}
		}
		return nil
	}
}
