package deploy

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
)

// bounds are the least healthy and the most existing tasks during a
// deployment: the minimum rounds up, the maximum down.
func bounds(c types.DeploymentConfiguration, desired int) (least, most int) {
	lowest, highest := 100, 200
	if c.MinimumHealthyPercent != nil {
		lowest = int(*c.MinimumHealthyPercent)
	}
	if c.MaximumPercent != nil {
		highest = int(*c.MaximumPercent)
	}
	return (desired*lowest + 99) / 100, desired * highest / 100
}

// roll decides which tasks start and which stop.
func (p *planner) roll() {
	primary, desired := p.primary(), p.desired()
	least, most := bounds(p.c.Service.Configuration, desired)

	var good, sick, rest []*observed // the primary's; those of them that fail; others
	exist, serving := 0, 0
	for _, t := range p.tasks {
		if !t.gone {
			exist++
		}
		if t.serves() {
			serving++
		}
		switch {
		case t.going:
		case t.unwanted(primary):
			rest = append(rest, t)
		case t.sick != "":
			sick = append(sick, t)
		default:
			good = append(good, t)
		}
	}

	count := desired
	if primary != nil {
		count += int(primary.Extra)
	}
	need := max(count-len(good), 0)
	start := min(need, max(most-exist, 0))
	failed := primary == nil || primary.RolloutState == types.DeploymentRolloutStateFailed
	switch {
	case failed:
		start = 0
	case start > 0 && p.Now.Before(primary.RetryAt):
		p.wake(primary.RetryAt)
		start = 0
	}
	p.c.Start = start

	// More than wanted: the last word in a scale-in.
	if extra := len(good) - count; extra > 0 {
		for _, t := range p.scaleIn(good, extra) {
			p.stop(t, p.scaling(primary))
		}
	}

	// A replacement has no room, or no node: something must go first.
	waits := primary != nil && p.Now.Before(primary.RetryAt)
	stuck := !failed && !waits && need > 0 && (start < need || primary.PlacementFailure != "")
	p.stopSick(sick, serving, stuck && exist == len(good)+len(sick)+len(rest))

	// Tasks that serve give way only as far as enough others do. While every
	// missing task can be started first, nobody gives way before it serves.
	floor := max(least, desired)
	if stuck {
		floor = least
	}
	spare := serving - floor
	slices.SortStableFunc(rest, func(a, b *observed) int { return a.CreatedAt.Compare(b.CreatedAt) })
	blocked := false
	for _, t := range rest {
		switch {
		case !t.serves():
			if failed && !t.leaving && t.of != nil && t.of.Status == "ACTIVE" && t.sick == "" {
				continue // a failed deployment takes nothing from the one before
			}
		case spare <= 0:
			blocked = true
			continue
		default:
			spare--
		}
		p.stop(t, p.scaling(primary))
	}
	if blocked && stuck && start == 0 && most <= exist && exist == serving {
		p.say(once, "was unable to stop or start tasks during a deployment because of the service deployment configuration. Update the minimumHealthyPercent or maximumPercent value and try again.")
	}
}

// stopSick replaces tasks that fail their health checks. One that never was
// healthy goes at once, and fails its deployment; one that was stays until its
// replacement serves or, where that is stuck, goes first: one at a time.
func (p *planner) stopSick(sick []*observed, serving int, stuck bool) {
	for _, t := range sick {
		switch {
		case p.full():
			return
		case t.HealthyAt == nil:
			p.fail(t.of)
		case serving >= p.desired():
		case stuck:
			stuck = false
		default:
			continue
		}
		for _, b := range t.bound {
			if b.State == "unhealthy" {
				p.say(always, fmt.Sprintf("(task %s) (port %d) is unhealthy in (target-group %s) due to (reason %s)", t.ID, b.Port, b.Group, b.Reason))
			}
		}
		if t.Health == types.HealthStatusUnhealthy {
			p.say(always, fmt.Sprintf("(task %s) failed container health checks.", t.ID))
		}
		p.stop(t, t.sick)
	}
}

// scaling is why a service's task is stopped that did nothing wrong.
func (p *planner) scaling(d *cluster.Deployment) string {
	if d == nil {
		return "Scaling activity initiated by deletion of the service"
	}
	return fmt.Sprintf("Scaling activity initiated by (deployment %s)", d.ID)
}

// stop takes a task out of its target groups first, if it is in any.
func (p *planner) stop(t *observed, reason string) {
	if t.going || p.full() {
		return
	}
	t.going, t.running = true, false
	for _, b := range t.bound {
		if !b.out() {
			at := p.Now
			t.Draining, t.StopCode, t.StoppedReason = &at, types.TaskStopCodeServiceSchedulerInitiated, reason
			p.change(t, drain, t.StopCode, reason)
			return
		}
	}
	p.change(t, stop, types.TaskStopCodeServiceSchedulerInitiated, reason)
}

// scaleIn chooses n of the tasks to stop: those that do not serve first, then
// from the zone, and there the node, that has the most of them, the newest
// first. From the API reference, UpdateService: zones are kept in balance. A
// service that packs its nodes ends the task whose node is then left with the
// most free, by the developer guide's page on placement strategies.
func (p *planner) scaleIn(tasks []*observed, n int) (out []*observed) {
	left := slices.Clone(tasks)
	pack, free := packs(p.c.Service), map[string]int64{}
	maps.Copy(free, p.Free)
	then := func(t *observed) int64 { // free on t's node without t
		if pack == "" {
			return 0
		}
		return free[t.Node] + amount(t.Reserved, pack)
	}
	for range n {
		zones, nodes := map[string]int{}, map[string]int{}
		for _, t := range left {
			zones[t.Zone]++
			nodes[t.Node]++
		}
		rank := func(t *observed) int { // lower goes earlier
			switch {
			case !t.running:
				return 0
			case !t.serves():
				return 1
			}
			return 2
		}
		i := 0
		for j := range left {
			a, b := left[j], left[i]
			if c := cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(then(b), then(a)), cmp.Compare(zones[b.Zone], zones[a.Zone]),
				cmp.Compare(nodes[b.Node], nodes[a.Node]), b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(a.ID, b.ID)); c < 0 {
				i = j
			}
		}
		out = append(out, left[i])
		free[left[i].Node] = then(left[i])
		left = slices.Delete(left, i, i+1)
	}
	return out
}
