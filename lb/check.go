package lb

import (
	"net"
	"time"
)

// call is the agenda's: t is due for a check, or its time to drain is over.
func (e *Engine) call(t *target) {
	g := t.g
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.row == nil || g.targets[t.key] != t {
		return
	}
	if t.reg.Draining != nil {
		t.close()
		e.ledger.finish(t.reg)
		return
	}
	if t.rec.Health == invalid {
		e.mark(dirt{true, g.key})
		return
	}
	if t.probing || t.rec.State == Unused {
		return
	}
	t.probing = true
	now := time.Now()
	counts := !now.Before(t.rec.counted)
	if counts {
		t.rec.counted = now.Add(time.Duration(g.row.Check.Interval) * time.Second)
	}
	c, matches, at := g.row.Check, g.matches, *t.at.Load()
	address := at.address
	if c.Port != "traffic-port" {
		address = net.JoinHostPort(at.host, c.Port)
	}
	go func() {
		e.slots <- struct{}{}
		o := e.probe(at.network, address, c, matches)
		<-e.slots
		e.report(t, c, o, counts)
	}()
}

// report takes in what a check found.
func (e *Engine) report(t *target, c Check, o outcome, counts bool) {
	g := t.g
	g.mu.Lock()
	defer g.mu.Unlock()
	t.probing = false
	if g.row == nil || g.targets[t.key] != t || t.reg.Draining != nil || t.rec.State == Unused {
		return
	}
	before := t.rec.Health
	t.rec = t.rec.note(c, o, counts)
	cleared := o.ok && t.suspect.Swap(false)
	if g.row.Check != c {
		t.rec.counted = time.Now() // the check changed under way
	}
	e.agenda.set(t, t.rec.next(time.Now()))
	if before != t.rec.Health || cleared {
		g.refresh()
	}
	if before != t.rec.Health {
		e.remember(t)
		notify(e.changed)
		if before.State != t.rec.State {
			e.log.Info("target health", "group", g.row.Name, "target", t.at.Load().address,
				"state", string(t.rec.State), "reason", t.rec.Reason)
		}
	}
}

// remember keeps in the tables whether t is healthy; g.mu is held.
func (e *Engine) remember(t *target) {
	if good := t.rec.State == Healthy; good != t.last {
		t.last = good
		e.ledger.set(t.key, good)
	}
}

// suspect is called when a request could not be brought to t: others are
// preferred until a check, which is made at once, succeeds.
func (e *Engine) suspect(t *target) {
	if t.suspect.Swap(true) {
		return
	}
	t.closeIdle(time.Now().Add(time.Hour))
	g := t.g
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.targets[t.key] != t || t.reg.Draining != nil || t.rec.State == Unused {
		return
	}
	t.rec.quick, t.rec.since = true, time.Now()
	g.refresh()
	e.agenda.set(t, time.Now().Add(quickest))
}
