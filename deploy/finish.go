package deploy

import (
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
)

// finish drops deployments that have no tasks left, completes the primary one
// and the deletion of the service, and says when the service is steady.
func (p *planner) finish() {
	s := &p.c.Service
	alive := map[string]bool{} // deployments with tasks that have not begun to stop
	anyAlive, settled := false, true
	good, serving := 0, 0
	primary := p.primary()
	for _, t := range p.tasks {
		if t.Last.Before(cluster.Stopping) && !t.gone {
			alive[t.StartedBy], anyAlive = true, true
			if t.going || t.unwanted(primary) {
				settled = false
			}
		}
		if !t.going && !t.unwanted(primary) {
			good++
			if t.serves() {
				serving++
			}
		}
	}

	if s.Status == "DRAINING" {
		if !anyAlive {
			if s.Stable == nil && primary != nil { // says what it ran, for who asks later
				last := *primary
				s.Stable = &last
			}
			s.Status, s.Deployments, s.SteadyAt = "INACTIVE", nil, nil
		}
		return
	}

	var kept []cluster.Deployment
	for _, d := range s.Deployments {
		if d.Status == "PRIMARY" || alive[d.ID] {
			kept = append(kept, d)
		}
	}
	s.Deployments = kept

	d := p.primary()
	if d == nil || s.Status != "ACTIVE" {
		return
	}
	desired := p.desired()
	d.Desired = int32(desired)
	complete := settled && good == desired && serving == desired && len(kept) == 1
	if complete && d.RolloutState == types.DeploymentRolloutStateInProgress {
		d.RolloutState = types.DeploymentRolloutStateCompleted
		d.RolloutReason = fmt.Sprintf("ECS deployment %s completed.", d.ID)
		d.UpdatedAt = p.Now
		d.FailedTasks = 0
		p.say(always, fmt.Sprintf("(deployment %s) deployment completed.", d.ID))
		p.act(cluster.DeploymentStateChange, "SERVICE_DEPLOYMENT_COMPLETED", "INFO", d.RolloutReason, d.ID)
	}
	if good == desired && d.PlacementFailure != "" {
		d.PlacementFailure = ""
	}
	if d.RolloutState == types.DeploymentRolloutStateCompleted && (s.Stable == nil || s.Stable.ID != d.ID) {
		stable := *d
		s.Stable = &stable
	}
	switch steady := complete && d.RolloutState == types.DeploymentRolloutStateCompleted; {
	case steady && s.SteadyAt == nil:
		at := p.Now
		s.SteadyAt = &at
		p.say(always, "has reached a steady state.")
		p.act(cluster.ServiceAction, "SERVICE_STEADY_STATE", "INFO", "", "")
	case !steady:
		s.SteadyAt = nil
	}
}
