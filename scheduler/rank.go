package scheduler

import (
	"strings"

	"github.com/dhowhq/dhow/cluster"
)

// ranking orders seats by the request's strategy: the first rule that tells two
// apart decides, then the fewer tasks, then luck.
//
// A rule that spreads over an attribute changes the rank of many seats with
// each task; all other rules change that of the chosen one. So seats that have
// the same attributes, as far as such rules ask, share a bucket, and each
// bucket is a heap by the other rules: the best seat is the top of a bucket.
type ranking struct {
	strategy []Strategy
	counts   [][]int // of the group's tasks, by rule and value; nil for other rules
	buckets  []*bucket
}

// bucket is a heap of seats that take a task.
type bucket struct {
	values []int // of the rules that spread over an attribute, index into counts
	seats  []*seat
}

var defaultStrategy = []Strategy{
	{Kind: Spread, Field: "attribute:" + zoneAttribute},
	{Kind: Spread, Field: "instanceId"},
}

const zoneAttribute = "ecs.availability-zone"

func newRanking(strategy []Strategy, seats []seat) *ranking {
	if len(strategy) == 0 {
		strategy = defaultStrategy
	}
	r := &ranking{strategy: strategy, counts: make([][]int, len(strategy))}
	known := make([]map[string]int, len(strategy)) // values by rule
	for i, s := range strategy {
		if s.Kind == Spread && strings.HasPrefix(s.Field, "attribute:") {
			known[i] = map[string]int{}
		}
	}
	byValues := map[string]*bucket{}
	values := make([]int, len(strategy))
	var key []byte
	for i := range seats {
		s := &seats[i]
		key = key[:0]
		for rule, m := range known {
			if m == nil {
				continue
			}
			v := spreadValue(s.node, strategy[rule].Field)
			n, ok := m[v]
			if !ok {
				n = len(m)
				m[v] = n
				r.counts[rule] = append(r.counts[rule], 0)
			}
			r.counts[rule][n] += s.node.GroupTasks
			values[rule] = n
			key = append(key, byte(n), byte(n>>8), byte(n>>16), byte(n>>24))
		}
		b := byValues[string(key)]
		if b == nil {
			b = &bucket{values: append([]int(nil), values...)}
			byValues[string(key)] = b
			r.buckets = append(r.buckets, b)
		}
		s.bucket = b
		if s.reason.Code == "" {
			b.seats = append(b.seats, s)
		}
	}
	for _, b := range r.buckets {
		for i := len(b.seats)/2 - 1; i >= 0; i-- {
			b.down(r, i)
		}
	}
	return r
}

func spreadValue(n *Candidate, field string) string {
	name := strings.TrimPrefix(field, "attribute:")
	if name == zoneAttribute && n.Zone != "" {
		return n.Zone
	}
	v, _ := n.attribute(name)
	return v
}

// best is the bucket whose top is the best seat, nil if all are full.
func (r *ranking) best() (best *bucket) {
	for _, b := range r.buckets {
		if len(b.seats) > 0 && (best == nil || r.less(b.top(), best.top())) {
			best = b
		}
	}
	return best
}

func (b *bucket) top() *seat { return b.seats[0] }

// remove takes the top away.
func (b *bucket) remove(r *ranking) {
	last := len(b.seats) - 1
	b.seats[0] = b.seats[last]
	b.seats = b.seats[:last]
	b.down(r, 0)
}

// down brings the seat at i to its place.
func (b *bucket) down(r *ranking, i int) {
	for {
		child := 2*i + 1
		if child >= len(b.seats) {
			return
		}
		if child+1 < len(b.seats) && r.less(b.seats[child+1], b.seats[child]) {
			child++
		}
		if !r.less(b.seats[child], b.seats[i]) {
			return
		}
		b.seats[i], b.seats[child] = b.seats[child], b.seats[i]
		i = child
	}
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
			x, y = int64(r.counts[i][a.bucket.values[i]]), int64(r.counts[i][b.bucket.values[i]])
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
			c[s.bucket.values[i]]++
		}
	}
}
