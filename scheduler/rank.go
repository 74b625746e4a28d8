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
// Each task takes one seat, so no more than the best so many of a bucket can
// be taken, and the others are not kept.
type ranking struct {
	strategy []Strategy
	most     int       // tasks of the request
	counts   [][]int   // of the group's tasks, by rule and value; nil for other rules
	values   []*values // by rule, nil for those that do not spread over an attribute
	buckets  []*bucket
	byKey    map[string]*bucket // where several rules spread over attributes
	one      []*bucket          // by value, where a single one does
	only     int                // that rule; -1: there are none or several
}

// bucket is a heap of seats that take a task: the worst on top while seats are
// offered, the best afterwards.
type bucket struct {
	values []int // of the rules that spread over an attribute, index into counts
	seats  []seat
}

var defaultStrategy = []Strategy{
	{Kind: Spread, Field: "attribute:" + zoneAttribute},
	{Kind: Spread, Field: "instanceId"},
}

const zoneAttribute = "ecs.availability-zone"

func newRanking(strategy []Strategy, most int) *ranking {
	if len(strategy) == 0 {
		strategy = defaultStrategy
	}
	r := &ranking{strategy: strategy, most: most, counts: make([][]int, len(strategy)), values: make([]*values, len(strategy)),
		byKey: map[string]*bucket{}, only: -1}
	spreads := 0
	for i, s := range strategy {
		if s.Kind == Spread && strings.HasPrefix(s.Field, "attribute:") {
			r.values[i] = &values{name: strings.TrimPrefix(s.Field, "attribute:")}
			r.only = i
			spreads++
		}
	}
	if spreads != 1 {
		r.only = -1
	}
	return r
}

// values numbers the values of an attribute in the order in which they come.
type values struct {
	name string
	list []string
	at   map[string]int // once there are many
}

const fewValues = 8

func (v *values) number(s string) int {
	if v.at == nil {
		for i := range v.list {
			if v.list[i] == s {
				return i
			}
		}
	} else if i, ok := v.at[s]; ok {
		return i
	}
	v.list = append(v.list, s)
	switch {
	case v.at != nil:
		v.at[s] = len(v.list) - 1
	case len(v.list) > fewValues:
		v.at = make(map[string]int, 2*len(v.list))
		for i, s := range v.list {
			v.at[s] = i
		}
	}
	return len(v.list) - 1
}

func (v *values) of(n *Candidate) string {
	if v.name == zoneAttribute && n.Zone != "" {
		return n.Zone
	}
	s, _ := n.attribute(v.name)
	return s
}

// bucketOf is n's bucket; the tasks of the group on n count for its values.
func (r *ranking) bucketOf(n *Candidate, group int) *bucket {
	if r.only >= 0 {
		v := r.values[r.only].number(r.values[r.only].of(n))
		if v == len(r.one) {
			b := &bucket{values: make([]int, len(r.strategy))}
			b.values[r.only] = v
			r.one, r.buckets = append(r.one, b), append(r.buckets, b)
			r.counts[r.only] = append(r.counts[r.only], 0)
		}
		r.counts[r.only][v] += group
		return r.one[v]
	}
	var room [64]byte
	key := room[:0]
	for i, vs := range r.values {
		if vs == nil {
			continue
		}
		v := vs.number(vs.of(n))
		if v == len(r.counts[i]) {
			r.counts[i] = append(r.counts[i], 0)
		}
		r.counts[i][v] += group
		key = append(key, byte(v), byte(v>>8), byte(v>>16), byte(v>>24))
	}
	b := r.byKey[string(key)]
	if b == nil {
		b = &bucket{values: make([]int, len(r.strategy))}
		for i, vs := range r.values {
			if vs != nil {
				b.values[i] = vs.number(vs.of(n))
			}
		}
		r.byKey[string(key)] = b
		r.buckets = append(r.buckets, b)
	}
	return b
}

// offer keeps s if it is among the best.
func (b *bucket) offer(r *ranking, s seat) {
	s.bucket = b
	switch {
	case len(b.seats) < r.most:
		b.seats = append(b.seats, s)
		if len(b.seats) == r.most {
			b.heapify(r.more)
		}
	case r.most > 0 && r.less(&s, &b.seats[0]):
		b.seats[0] = s
		b.down(r.more, 0)
	}
}

// ready puts the best seat of each bucket on top: all have been offered.
func (r *ranking) ready() {
	for _, b := range r.buckets {
		b.heapify(r.less)
	}
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

func (b *bucket) top() *seat { return &b.seats[0] }

// remove takes the top away.
func (b *bucket) remove(r *ranking) {
	last := len(b.seats) - 1
	b.seats[0] = b.seats[last]
	b.seats = b.seats[:last]
	b.down(r.less, 0)
}

func (b *bucket) heapify(first func(a, b *seat) bool) {
	for i := len(b.seats)/2 - 1; i >= 0; i-- {
		b.down(first, i)
	}
}

// down brings the seat at i to its place in the heap that has the first on top.
func (b *bucket) down(first func(a, b *seat) bool, i int) {
	for {
		child := 2*i + 1
		if child >= len(b.seats) {
			return
		}
		if child+1 < len(b.seats) && first(&b.seats[child+1], &b.seats[child]) {
			child++
		}
		if !first(&b.seats[child], &b.seats[i]) {
			return
		}
		b.seats[i], b.seats[child] = b.seats[child], b.seats[i]
		i = child
	}
}

// more is less the other way round.
func (r *ranking) more(a, b *seat) bool { return r.less(b, a) }

// less reports whether a is the better place for the next task.
func (r *ranking) less(a, b *seat) bool {
	for i := range r.strategy {
		s := &r.strategy[i]
		var x, y int64
		switch {
		case s.Kind == Random:
			return a.luck < b.luck
		case s.Kind == Binpack && s.Field == "cpu":
			x, y = a.free.cpu, b.free.cpu
		case s.Kind == Binpack:
			x, y = a.free.memory, b.free.memory
		case r.values[i] != nil:
			x, y = int64(r.counts[i][a.bucket.values[i]]), int64(r.counts[i][b.bucket.values[i]])
		default:
			x, y = int64(a.group+a.placed), int64(b.group+b.placed)
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
	s.put(need)
	for i, vs := range r.values {
		if vs != nil {
			r.counts[i][s.bucket.values[i]]++
		}
	}
}
