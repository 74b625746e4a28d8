package deploy

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// Between two moves of a service's tasks, and after one that brought nothing.
const (
	moveEvery   = 30 * time.Second
	moveRefused = time.Hour
)

// rebalance moves tasks of a steady service from crowded zones to others, one
// at a time: it starts one more, which placement puts where the fewest are,
// and when that serves the scale-in takes one from where the most are.
func (p *planner) rebalance() {
	s, d := &p.c.Service, p.primary()
	if d == nil {
		return
	}
	if s.ZoneRebalancing != types.AvailabilityZoneRebalancingEnabled || s.Status != "ACTIVE" ||
		d.RolloutState != types.DeploymentRolloutStateCompleted || len(s.Deployments) > 1 {
		d.Extra = 0
		return
	}
	desired := p.desired()
	var good []*observed
	serving, exist := 0, 0
	for _, t := range p.tasks {
		if !t.gone {
			exist++
		}
		if !t.going && !t.unwanted(d) && t.sick == "" {
			good = append(good, t)
			if t.serves() {
				serving++
			}
		}
	}
	switch {
	case d.Extra > 0 && (d.PlacementFailure != "" || desired == 0):
		d.Extra, s.RebalanceAt = 0, p.Now.Add(moveRefused)
	case d.Extra > 0 && len(good) > desired && serving == len(good):
		// The scale-in that follows ends the move. If it takes the newcomer,
		// placement had no better zone for it.
		d.Extra, s.RebalanceAt = 0, p.Now.Add(moveEvery)
		newest := good[0]
		for _, t := range good {
			if t.CreatedAt.After(newest.CreatedAt) {
				newest = t
			}
		}
		if p.scaleIn(good, 1)[0] == newest {
			s.RebalanceAt = p.Now.Add(moveRefused)
		}
	case d.Extra == 0 && len(good) == desired && serving == desired && exist == desired && crowded(good, p.Zones):
		_, most := bounds(s.Configuration, desired)
		switch {
		case most <= exist:
		case p.Now.Before(s.RebalanceAt):
			p.wake(s.RebalanceAt)
		default:
			d.Extra = 1
		}
	}
}

// crowded reports whether a zone has at least two tasks more than another.
func crowded(tasks []*observed, zones []string) bool {
	if len(zones) < 2 {
		return false
	}
	n := map[string]int{}
	for _, z := range zones {
		n[z] = 0
	}
	for _, t := range tasks {
		if _, usable := n[t.Zone]; usable {
			n[t.Zone]++
		}
	}
	low, high := len(tasks), 0
	for _, k := range n {
		low, high = min(low, k), max(high, k)
	}
	return high-low > 1
}
