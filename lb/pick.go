package lb

import (
	"math"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
)

// group is a target group at work.
type group struct {
	e   *Engine
	key string

	mu      sync.Mutex
	row     *TargetGroup // nil once deleted
	matches func(code int) bool
	used    bool            // a listener forwards here
	zones   map[string]bool // of the load balancers
	targets map[string]*target

	choice atomic.Pointer[choice]
	next   atomic.Uint64
}

// choice is what pick chooses from. It does not change.
type choice struct {
	prefer  []*target
	rest    []*target // when all of prefer have failed
	fewest  bool      // least outstanding requests
	targets int       // how many are registered
}

// refresh makes the choice anew; g.mu is held. Where fewer targets are healthy
// than the group asks for, all get requests: AWS calls it failing open.
func (g *group) refresh() {
	c := &choice{}
	var good, all []*target
	for _, t := range g.targets {
		if t.draining.Load() || t.rec.State == Unused {
			continue
		}
		all = append(all, t)
		if t.rec.State == Healthy {
			good = append(good, t)
		}
	}
	if g.row != nil {
		c.fewest = g.row.Attribute(attrAlgorithm) == "least_outstanding_requests"
		if len(good) < g.row.minHealthy(len(all)) {
			good = all
		}
	}
	c.targets = len(all)
	slices.SortFunc(good, func(a, b *target) int {
		if a.key < b.key {
			return -1
		}
		return 1
	})
	for _, t := range good {
		if t.suspect.Load() {
			c.rest = append(c.rest, t)
		} else {
			c.prefer = append(c.prefer, t)
		}
	}
	g.choice.Store(c)
}

// minHealthy is how many of n targets must be healthy for the others to be
// left out.
func (g *TargetGroup) minHealthy(n int) int {
	least, err := strconv.Atoi(g.Attribute(attrMinCount))
	if err != nil {
		least = 1
	}
	if p, err := strconv.Atoi(g.Attribute(attrMinPercent)); err == nil {
		least = max(least, int(math.Ceil(float64(n)*float64(p)/100)))
	}
	return least
}

// pick chooses a target that is not among tried and begins a request on it,
// which its done ends. It returns nil if there is none.
func (g *group) pick(tried []*target) *target {
	for {
		c := g.choice.Load()
		if c == nil {
			return nil
		}
		t := c.from(c.prefer, &g.next, tried)
		if t == nil {
			t = c.from(c.rest, &g.next, tried)
		}
		if t == nil {
			return nil
		}
		t.inflight.Add(1)
		if !t.draining.Load() {
			return t
		}
		// It was deregistered between the choice and here.
		t.done()
		tried = append(tried, t)
	}
}

func (c *choice) from(list []*target, next *atomic.Uint64, tried []*target) *target {
	if len(list) == 0 {
		return nil
	}
	start := int(next.Add(1) % uint64(len(list)))
	var best *target
	var load int64
	for i := range list {
		t := list[(start+i)%len(list)]
		if len(tried) > 0 && slices.Contains(tried, t) {
			continue
		}
		if !c.fewest {
			return t
		}
		if n := t.inflight.Load(); best == nil || n < load {
			best, load = t, n
		}
	}
	return best
}

// shares are the target groups of a forward action with their weights.
type shares struct {
	groups []share
	total  uint64
	count  atomic.Uint64
}

type share struct {
	*group
	below uint64 // sum of the weights up to and with this group's
}

func newShares(w []WeightedGroup, find func(arn string) *group) *shares {
	s := &shares{}
	for _, g := range w {
		s.total += uint64(max(g.Weight, 0))
		s.groups = append(s.groups, share{group: find(g.Group), below: s.total})
	}
	return s
}

// choose returns the group of the next request, nil if all weights are zero.
// Multiples of the golden ratio, modulo one, spread evenly over any number of
// requests: a weight of one in ten gets every tenth, not ten after ninety.
func (s *shares) choose() *group {
	if s.total == 0 {
		return nil
	}
	if len(s.groups) == 1 {
		return s.groups[0].group
	}
	const golden = 0x9E3779B97F4A7C15 // 2^64 / φ
	x := s.count.Add(1) * golden
	at := uint64(float64(x>>11) / (1 << 53) * float64(s.total))
	for _, g := range s.groups {
		if at < g.below {
			return g.group
		}
	}
	return s.groups[len(s.groups)-1].group
}
