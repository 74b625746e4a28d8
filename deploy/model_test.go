package deploy

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"pgregory.net/rapid"

	"github.com/dhowhq/dhow/cluster"
)

// world is a service, its tasks and its load balancer as a model: what nodes,
// users and time do to them is drawn at random, the plan's changes are applied
// as the engine would.
type world struct {
	now     time.Time
	svc     cluster.Service
	tasks   []cluster.Task
	targets map[string]string // state by task id; absent: not registered
	lb      bool
	checks  bool
	leaving map[string]bool
	serial  int
}

func (w *world) view() view {
	v := view{Now: w.now, Settle: 5 * time.Second, Service: w.svc, Leaving: w.leaving, Bound: map[string][]Bound{},
		Zones: []string{"a", "b", "c"}}
	for _, t := range w.tasks {
		if t.Last == cluster.Stopped && t.Noted {
			continue
		}
		v.Tasks = append(v.Tasks, t)
		if w.lb {
			v.Bound[t.ID] = []Bound{{Group: group, Port: 80, Target: Target{ID: t.ID, Port: 80}, State: w.targets[t.ID]}}
		}
	}
	return v
}

// serving counts the tasks that serve, as the plan counts them.
func serving(v view) (n int) {
	p := &planner{view: v, c: Changes{Service: v.Service}}
	p.observe()
	for _, t := range p.tasks {
		if t.serves() {
			n++
		}
	}
	return n
}

// step plans and applies, checking what must hold of every plan.
func (w *world) step(t *rapid.T) (idle bool) {
	v := w.view()
	c := plan(v)
	desired := 0
	if c.Service.Status == "ACTIVE" {
		desired = int(w.svc.DesiredCount)
	}
	least, most := bounds(w.svc.Configuration, desired)
	exist := 0
	for _, x := range v.Tasks {
		if x.ExecutionStoppedAt == nil && x.Last.Before(cluster.Deprovisioning) {
			exist++
		}
	}
	if c.Start > 0 && exist+c.Start > most {
		t.Fatalf("%d tasks exist, %d start: more than the maximum of %d", exist, c.Start, most)
	}
	if d := c.Service.Primary(); c.Start > 0 && (d == nil || d.RolloutState == types.DeploymentRolloutStateFailed) {
		t.Fatalf("a failed deployment starts %d tasks", c.Start)
	}
	before := serving(v)
	w.apply(c)
	if after := serving(w.view()); after < min(before, least) {
		t.Fatalf("%d tasks serve after %d did: fewer than the minimum of %d: %s", after, before, least, show(c))
	}
	primaries := 0
	for _, d := range w.svc.Deployments {
		if d.Status == "PRIMARY" {
			primaries++
		}
	}
	if w.svc.Status != "INACTIVE" && primaries != 1 {
		t.Fatalf("%d primary deployments", primaries)
	}
	return c.Start == 0 && len(c.Tasks) == 0 && len(c.Register) == 0 && len(c.Deregister) == 0
}

func (w *world) apply(c Changes) {
	for _, b := range c.Deregister {
		switch w.targets[b.Target.ID] {
		case "healthy", "unhealthy", "initial":
			w.targets[b.Target.ID] = "draining"
		default:
			delete(w.targets, b.Target.ID)
		}
	}
	for _, b := range c.Register {
		w.targets[b.Target.ID] = "initial"
	}
	for _, ch := range c.Tasks {
		i := slices.IndexFunc(w.tasks, func(t cluster.Task) bool { return t.ID == ch.Task.ID })
		t, at := &w.tasks[i], w.now
		switch ch.Do {
		case note:
			t.Noted = true
		case healthy:
			t.HealthyAt = &at
		case drain:
			t.Draining, t.StopCode, t.StoppedReason = &at, ch.Code, ch.Reason
		case stop:
			t.Desired, t.StopCode, t.StoppedReason = cluster.Stopped, ch.Code, ch.Reason
		}
	}
	w.svc = c.Service
	for range c.Start {
		w.serial++
		t := task(fmt.Sprintf("t%03d", w.serial), w.svc.Primary().ID, starting, on(fmt.Sprint("i", w.serial%2+1)))
		t.CreatedAt = w.now
		t.Zone = w.zone()
		if w.checks {
			checked("UNKNOWN")(&t)
		}
		w.tasks = append(w.tasks, t)
	}
}

// zone is the one with the fewest tasks, as placement chooses.
func (w *world) zone() string {
	n := map[string]int{}
	for _, t := range w.tasks {
		if t.Last != cluster.Stopped {
			n[t.Zone]++
		}
	}
	best := "a"
	for _, z := range []string{"b", "c"} {
		if n[z] < n[best] {
			best = z
		}
	}
	return best
}

// progress moves one task or target on, if it can.
func (w *world) progress(i int, die, sick bool) {
	t, at := &w.tasks[i], w.now
	switch {
	case t.Last == cluster.Stopped:
		return
	case die || t.Desired == cluster.Stopped:
		if t.StopCode == "" {
			t.StopCode = types.TaskStopCodeEssentialContainerExited
		}
		t.Desired, t.Last, t.StoppedAt, t.ExecutionStoppedAt = cluster.Stopped, cluster.Stopped, &at, &at
	case t.Last == cluster.Pending:
		t.Last, t.StartedAt = cluster.Running, &at
	case w.checks && t.Health != "HEALTHY" && !sick:
		checked("HEALTHY")(t)
	case w.checks && sick:
		checked("UNHEALTHY")(t)
	}
	if s, ok := w.targets[t.ID]; ok {
		switch {
		case s == "draining":
			delete(w.targets, t.ID)
		case sick:
			w.targets[t.ID] = "unhealthy"
		default:
			w.targets[t.ID] = "healthy"
		}
	}
}

func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &world{now: noon, targets: map[string]string{}, leaving: map[string]bool{}}
		w.lb, w.checks = rapid.Bool().Draw(t, "lb"), rapid.Bool().Draw(t, "checks")
		pair := rapid.SampledFrom([][2]int32{{100, 200}, {0, 100}, {50, 100}, {50, 150}, {50, 200}, {0, 200}, {75, 125}, {100, 150}}).Draw(t, "percents")
		w.svc = service(rapid.Int32Range(0, 6).Draw(t, "desired"), percents(pair[0], pair[1]))
		if rapid.Bool().Draw(t, "breaker") {
			breaker(rapid.Bool().Draw(t, "rollback"))(&w.svc)
		}
		if rapid.Bool().Draw(t, "rebalancing") {
			w.svc.ZoneRebalancing = types.AvailabilityZoneRebalancingEnabled
		}
		some := func() int { return rapid.IntRange(0, len(w.tasks)-1).Draw(t, "task") }
		deployments := 0
		t.Repeat(map[string]func(*rapid.T){
			"": func(t *rapid.T) { w.step(t) },
			"time": func(t *rapid.T) {
				w.now = w.now.Add(time.Duration(rapid.IntRange(1, 10_000).Draw(t, "ms")) * time.Millisecond)
			},
			"work": func(t *rapid.T) {
				for i := range w.tasks {
					w.progress(i, false, false)
				}
			},
			"die": func(t *rapid.T) {
				if len(w.tasks) > 0 {
					w.progress(some(), true, false)
				}
			},
			"sicken": func(t *rapid.T) {
				if len(w.tasks) > 0 {
					w.progress(some(), false, true)
				}
			},
			"scale": func(t *rapid.T) {
				if w.svc.Status == "ACTIVE" {
					w.svc.DesiredCount = rapid.Int32Range(0, 6).Draw(t, "desired")
				}
			},
			"deploy": func(t *rapid.T) {
				if w.svc.Status != "ACTIVE" {
					return
				}
				deployments++
				list := []cluster.Deployment{{ID: fmt.Sprint("d", deployments), Status: "PRIMARY", RolloutState: types.DeploymentRolloutStateInProgress}}
				for _, d := range w.svc.Deployments {
					d.Status = "ACTIVE"
					list = append(list, d)
				}
				w.svc.Deployments = list
			},
			"drain instance": func(t *rapid.T) { w.leaving["i1"] = rapid.Bool().Draw(t, "leaving") },
		})
		w.settle(t)
	})
}

// settle lets everything go well and expects the service to be as it should.
func (w *world) settle(t *rapid.T) {
	w.leaving = map[string]bool{}
	for range 300 {
		w.now = w.now.Add(10 * time.Minute)
		for i := range w.tasks {
			w.progress(i, false, false)
		}
		if w.step(t) && w.svc.SteadyAt != nil && w.svc.Primary().Extra == 0 && !w.now.Before(w.svc.RebalanceAt) {
			break
		}
	}
	d := w.svc.Primary()
	if d.RolloutState == types.DeploymentRolloutStateFailed {
		return // stays as it is, by definition
	}
	zones := map[string]int{}
	for _, x := range w.tasks {
		if x.Last == cluster.Running {
			zones[x.Zone]++
		}
	}
	if _, most := bounds(w.svc.Configuration, int(w.svc.DesiredCount)); w.svc.ZoneRebalancing != "" && most > int(w.svc.DesiredCount) && w.svc.SteadyAt != nil {
		for _, z := range []string{"a", "b", "c"} {
			if zones[z] > zones["a"]+1 || zones[z] > zones["b"]+1 || zones[z] > zones["c"]+1 {
				t.Fatalf("zones are out of balance: %v", zones)
			}
		}
	}
	// Minimum and maximum may leave no way: 100/150 of one task.
	if least, most := bounds(w.svc.Configuration, int(w.svc.DesiredCount)); least == most && len(w.svc.Deployments) > 1 {
		return
	}
	var live []string
	for _, x := range w.tasks {
		if x.Last != cluster.Stopped {
			live = append(live, x.StartedBy)
		}
	}
	if len(live) != int(w.svc.DesiredCount) || slices.ContainsFunc(live, func(s string) bool { return s != d.ID }) ||
		d.RolloutState != types.DeploymentRolloutStateCompleted || len(w.svc.Deployments) != 1 || w.svc.SteadyAt == nil {
		t.Fatalf("did not settle: %d wanted of %s, but %v; %s, %d deployments, steady %v", w.svc.DesiredCount, d.ID, live,
			d.RolloutState, len(w.svc.Deployments), w.svc.SteadyAt)
	}
}
