package deploy

import (
	"slices"
	"sync"

	"github.com/dhowhq/dhow/cluster"
)

// index knows which services signals are for that name none: those with target
// groups, and those that wait for capacity.
type index struct {
	woken   chan struct{} // capacity may have come
	touched chan struct{} // instances began to leave or came back

	mu        sync.Mutex
	groups    map[string]bool // service keys with target groups
	waits     map[string]bool // service keys that wait for capacity
	instances []cluster.Instance
}

func newIndex() *index {
	return &index{woken: make(chan struct{}, 1), touched: make(chan struct{}, 1),
		groups: map[string]bool{}, waits: map[string]bool{}}
}

// put keeps what the index needs of a service; nil: it is gone.
func (x *index) put(key string, s *cluster.Service) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.groups, key)
	if s == nil || s.Status == "INACTIVE" {
		delete(x.waits, key)
		return
	}
	balanced := len(s.LoadBalancers) > 0
	for _, d := range s.Deployments {
		balanced = balanced || len(d.LoadBalancers) > 0
		if d.PlacementFailure != "" {
			x.waits[key] = true
		}
	}
	if balanced {
		x.groups[key] = true
	}
}

func (x *index) setWaiting(key string, waits bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if waits {
		x.waits[key] = true
	} else {
		delete(x.waits, key)
	}
}

func (x *index) balanced() []string { return x.keys(x.groups) }
func (x *index) waiting() []string  { return x.keys(x.waits) }

func (x *index) keys(m map[string]bool) []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// wake tells that capacity may have come.
func (x *index) wake() { signal(x.woken) }

// touch tells that an instance began to leave, or came back.
func (x *index) touch(i cluster.Instance) {
	x.mu.Lock()
	x.instances = append(x.instances, i)
	x.mu.Unlock()
	signal(x.touched)
}

func (x *index) takeTouched() []cluster.Instance {
	x.mu.Lock()
	defer x.mu.Unlock()
	out := x.instances
	x.instances = nil
	return out
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
