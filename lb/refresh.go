package lb

import (
	"time"

	"github.com/dhowhq/dhow/store"
)

// refreshGroup takes in a group's rows; e.mu is held.
func (e *Engine) refreshGroup(r store.Reader, key string) {
	row, ok := TargetGroups.Get(r, key)
	g := e.group(key)
	g.mu.Lock()
	defer g.mu.Unlock()
	if !ok || g.row != nil && g.row.ID != row.ID {
		for _, t := range g.targets {
			e.forget(t)
			e.ledger.remove(t.key)
		}
		g.row = nil
		if !ok {
			// Rows that were registered since the last look.
			for reg := range Targets.List(r, key+"/") {
				e.ledger.remove(reg.Key())
			}
			g.refresh()
			delete(e.groups, key)
			return
		}
	}
	again := g.row == nil || g.row.Check != row.Check
	g.row = &row
	if again {
		g.matches, _ = ParseMatcher(row.Check.Matcher)
	}
	g.used = len(row.Users) > 0
	g.zones = map[string]bool{}
	for _, arn := range row.LoadBalancers() {
		if b, err := FindLoadBalancer(r, row.Scope, arn); err == nil {
			for _, z := range b.Zones {
				g.zones[z.Zone] = true
			}
		}
	}
	seen := map[string]bool{}
	for reg := range Targets.List(r, row.targetPrefix()) {
		seen[reg.Key()] = true
		e.refreshTarget(r, g, reg, again)
	}
	for key, t := range g.targets {
		if !seen[key] {
			e.forget(t)
		}
	}
	g.refresh()
}

// refreshTarget takes in a target's row; g.mu is held.
func (e *Engine) refreshTarget(r store.Reader, g *group, reg Registration, again bool) {
	now := time.Now()
	t := g.targets[reg.Key()]
	if t == nil {
		t = &target{g: g, key: reg.Key(), slot: -1, busy: map[*conn]struct{}{}}
		g.targets[t.key] = t
		t.rec.Health = registering
		if _, t.last = Marks.Get(r, t.key); t.last {
			t.rec.Health = healthy
		}
		again = true
	}
	t.reg = reg
	known := t.resolve(g.row)
	if t.draining.Swap(reg.Draining != nil) && reg.Draining == nil {
		t.rec.Health = registering // registered again
		again = true
	}
	switch {
	case reg.Draining != nil:
		e.drain(t, now)
		return
	case !g.used:
		e.shelve(t, notInUse)
		return
	case g.row.Type == "ip" && reg.Zone != "" && reg.Zone != "all" && !g.zones[reg.Zone]:
		// Not so for instances: the zone of a machine that is no machine of
		// AWS's is no more than a label.
		e.shelve(t, otherZone)
		return
	case !known:
		e.shelve(t, invalid)
		e.agenda.set(t, now.Add(time.Duration(g.row.Check.Interval)*time.Second)) // it may come
		return
	}
	if t.rec.State == Unused || t.rec.Health == registering {
		t.rec = record{Health: checking, since: now, quick: true}
		again = true
	}
	if again {
		t.rec.counted = now
		e.agenda.set(t, now)
	}
}

// shelve makes t unused; g.mu is held.
func (e *Engine) shelve(t *target, why Health) {
	t.rec = record{Health: why}
	e.agenda.drop(t)
	t.closeIdle(time.Now().Add(time.Hour))
	e.remember(t)
}

// drain ends what t has to do; g.mu is held.
func (e *Engine) drain(t *target, now time.Time) {
	t.rec = record{Health: draining}
	t.closeIdle(now.Add(time.Hour))
	if t.inflight.Load() == 0 {
		e.agenda.drop(t)
		e.ledger.finish(t.reg)
		return
	}
	delay, err := time.ParseDuration(t.g.row.Attribute(attrDelay) + "s")
	if err != nil {
		delay = 300 * time.Second
	}
	e.agenda.set(t, t.reg.Draining.Add(delay))
}

// drained is called when the last request of a draining target has ended.
func (e *Engine) drained(t *target) {
	t.g.mu.Lock()
	defer t.g.mu.Unlock()
	if t.reg.Draining != nil {
		e.ledger.finish(t.reg)
	}
}

// forget lets go of t, which is registered no more; g.mu is held.
func (e *Engine) forget(t *target) {
	e.agenda.drop(t)
	t.draining.Store(true)
	t.close()
	delete(t.g.targets, t.key)
}
