package scheduler

import (
	"strings"

	"github.com/dhowhq/dhow/cluster"
)

// ranking orders seats by the request's strategy: the first that tells two
// apart decides, then the fewer tasks, then luck.
type ranking struct {
	strategy []Strategy
	// counts of the group's tasks by value, one for each strategy that spreads
	// over an attribute.
	counts []map[string]int
}

var defaultStrategy = []Strategy{
	{Kind: Spread, Field: "attribute:ecs.availability-zone"},
	{Kind: Spread, Field: "instanceId"},
}

func newRanking(strategy []Strategy, seats []seat) *ranking {
	if len(strategy) == 0 {
		strategy = defaultStrategy
	}
	r := &ranking{strategy: strategy, counts: make([]map[string]int, len(strategy))}
	for i, s := range strategy {
		name, ok := strings.CutPrefix(s.Field, "attribute:")
		if s.Kind != Spread || !ok {
			continue
		}
		r.counts[i] = map[string]int{}
		for j := range seats {
			n := seats[j].node
			v, ok := n.Attributes[name]
			if !ok && name == "ecs.availability-zone" {
				v = n.Zone
			}
			if seats[j].values == nil {
				seats[j].values = make([]string, len(strategy))
			}
			seats[j].values[i] = v
			r.counts[i][v] += n.GroupTasks
		}
	}
	return r
}

// less reports whether a is the better place for the next task.
func (r *ranking) less(a, b *seat) bool {
	for i, s := range r.strategy {
		var x, y int64
		switch {
		case s.Kind == Random:
			return a.luck < b.luck
		case s.Kind == Binpack && s.Field == "cpu":
			x, y = a.free.CPU, b.free.CPU
		case s.Kind == Binpack:
			x, y = a.free.Memory, b.free.Memory
		case r.counts[i] != nil:
			x, y = int64(r.counts[i][a.values[i]]), int64(r.counts[i][b.values[i]])
		default:
			x, y = int64(a.node.GroupTasks+a.placed), int64(b.node.GroupTasks+b.placed)
		}
		if x != y {
			return x < y
		}
	}
	if x, y := a.node.Tasks+a.placed, b.node.Tasks+b.placed; x != y {
		return x < y
	}
	return a.luck < b.luck
}

// take books one task on s.
func (r *ranking) take(s *seat, need cluster.Resources) {
	s.placed++
	s.free.CPU -= need.CPU
	s.free.Memory -= need.Memory
	for i, c := range r.counts {
		if c != nil {
			c[s.values[i]]++
		}
	}
}
