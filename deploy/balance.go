package deploy

import (
	"time"

	"github.com/dhowhq/dhow/cluster"
)

// drainLimit ends a drain that the load balancer does not end: ELB's longest
// deregistration delay is an hour.
const drainLimit = time.Hour + 5*time.Minute

// balancers puts running tasks into their target groups, takes out those that
// go, and stops those that have drained.
func (p *planner) balancers() {
	for _, t := range p.tasks {
		if !t.going {
			for _, b := range t.bound {
				if t.running && !b.registered() {
					p.c.Register = append(p.c.Register, b)
				}
			}
			continue
		}
		drained := true
		for _, b := range t.bound {
			if b.out() {
				if b.registered() {
					p.c.Deregister = append(p.c.Deregister, b)
				}
				continue
			}
			drained = false
			if b.State != "draining" {
				p.c.Deregister = append(p.c.Deregister, b)
			}
		}
		if t.Draining == nil || t.Desired == cluster.Stopped {
			continue
		}
		limit := t.Draining.Add(drainLimit)
		switch {
		case !drained && !t.gone && p.Now.Before(limit):
			p.wake(limit)
		case !p.full():
			p.change(t, stop, t.StopCode, t.StoppedReason)
		}
	}
}
