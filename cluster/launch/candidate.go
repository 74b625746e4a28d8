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
	constraints := append([]types.PlacementConstraint(nil), r.Constraints...)
	for _, c := range r.Definition.Def.PlacementConstraints {
		constraints = append(constraints, types.PlacementConstraint{
			Type: types.PlacementConstraintType(c.Type), Expression: c.Expression})
	}
	var err error
	if p.Constraints, err = scheduler.ParseConstraints(constraints); err != nil {
		return p, &Invalid{err.Error()}
	}
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
	nodes := map[string]cluster.Node{}
	for n := range cluster.Nodes.List(l.tx, "") {
		nodes[n.ID] = n
	}
	ledgers := make(map[string]cluster.Ledger, len(nodes))
	for g := range cluster.Ledgers.List(l.tx, "") {
		ledgers[g.Node] = g
	}
	group := map[string]int{}
	for t := range cluster.Tasks.By(l.tx, "group", l.Key(l.Cluster, l.Group)) {
		group[t.Node]++
	}
	l.nodes, l.homes = nil, map[string]home{}
	zones := map[string]bool{}
	add := func(c scheduler.Candidate, h home) {
		g := ledgers[h.node]
		c.Used, c.Tasks, c.GroupTasks = g.Used, g.Tasks, group[h.node]
		c.Zone = h.zone
		zones[h.zone] = true
		l.nodes = append(l.nodes, c)
		l.homes[c.ID] = h
	}
	if l.LaunchType == types.LaunchTypeFargate {
		for n := range cluster.Nodes.List(l.tx, "") {
			if n.Fargate {
				add(scheduler.Candidate{ID: n.ID, Total: n.Total, Connected: n.Connected},
					home{node: n.ID, zone: l.Region + n.Zone})
			}
		}
	} else {
		for i := range cluster.Instances.List(l.tx, l.Prefix(l.Cluster)) {
			n, ok := nodes[i.Node]
			if !ok || i.Status != types.ContainerInstanceStatusActive || !l.takes(i) {
				continue
			}
			c := instanceCandidate(i, n)
			c.Fact = facts(l.tx, i, n)
			add(c, home{node: n.ID, instance: i.ID, zone: c.Zone})
		}
	}
	l.zones = len(zones)
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
		Attributes: make(map[string]string, len(i.Attributes)), AnyCapability: !n.External,
	}
	for _, a := range i.Attributes {
		if a.Name == nil {
			continue
		}
		v := ""
		if a.Value != nil {
			v = *a.Value
		}
		c.Attributes[*a.Name] = v
		if *a.Name == "ecs.availability-zone" {
			c.Zone = v
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
	c.Fact = facts(r, i, n)
	for t := range cluster.Tasks.By(r, "node", n.ID) {
		if t.Instance == i.ID && t.Last == cluster.Running {
			c.Tasks++
		}
	}
	return c.Facts
}

// facts answers the subjects that need the store.
func facts(r store.Reader, i cluster.Instance, n cluster.Node) func(string) []string {
	return func(subject string) []string {
		switch subject {
		case "task:group":
			var groups []string
			for t := range cluster.Tasks.By(r, "node", n.ID) {
				if t.Instance == i.ID {
					groups = append(groups, t.Group)
				}
			}
			return groups
		case "ec2InstanceId":
			return []string{n.InstanceID()}
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
