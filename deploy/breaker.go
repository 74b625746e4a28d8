package deploy

import (
	"fmt"
	"math"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
)

// threshold is how many failed tasks fail a deployment: by default half the
// desired count, at least 3 and at most 200. From the API reference,
// DeploymentCircuitBreaker.
func threshold(b types.DeploymentCircuitBreaker, desired int) int32 {
	kind, value := types.ThresholdTypeBoundedPercent, int32(50)
	if t := b.ThresholdConfiguration; t != nil {
		kind, value = t.Type, t.Value
	}
	if kind == types.ThresholdTypeCount {
		return value
	}
	n := math.Ceil(float64(value) * float64(desired) / 100)
	if kind == types.ThresholdTypeUnboundedPercent {
		return int32(max(n, 1))
	}
	return int32(min(max(n, 3), 200))
}

// breaker fails the primary deployment when too many of its tasks did, and
// goes back to the last one that completed where that is asked for.
func (p *planner) breaker() {
	s, d := &p.c.Service, p.primary()
	b := s.Configuration.DeploymentCircuitBreaker
	if d == nil || b == nil || !b.Enable || s.Status != "ACTIVE" ||
		d.RolloutState != types.DeploymentRolloutStateInProgress || d.FailedTasks < threshold(*b, p.desired()) {
		return
	}
	if s.Stable != nil && s.Stable.ID == d.ID {
		return // it is what a rollback would go back to: keep trying
	}
	d.RolloutState = types.DeploymentRolloutStateFailed
	d.RolloutReason = "ECS deployment circuit breaker: tasks failed to start."
	d.UpdatedAt = p.Now
	p.say(always, fmt.Sprintf("(deployment %s) deployment failed: tasks failed to start.", d.ID))
	p.act(cluster.DeploymentStateChange, "SERVICE_DEPLOYMENT_FAILED", "ERROR", d.RolloutReason, d.ID)
	if !b.Rollback || s.Stable == nil {
		return
	}
	d.Status = "ACTIVE"
	back := *s.Stable
	if old := p.deployment(back.ID); old != nil {
		back = *old
	}
	back.Status = "PRIMARY"
	back.RolloutState = types.DeploymentRolloutStateInProgress
	back.RolloutReason = fmt.Sprintf("ECS deployment circuit breaker: rolling back to deploymentId %s.", back.ID)
	back.FailedTasks, back.Throttle, back.QuickExits = 0, 0, 0
	back.UpdatedAt = p.Now
	list := []cluster.Deployment{back}
	for _, o := range s.Deployments {
		if o.ID != back.ID {
			list = append(list, o)
		}
	}
	s.Deployments = list
	s.LaunchType, s.CapacityStrategy, s.PlatformVersion = back.LaunchType, back.CapacityStrategy, back.PlatformVersion
	s.Network, s.LoadBalancers = back.Network, back.LoadBalancers
	for _, t := range p.tasks { // the list has moved
		t.of = p.deployment(t.StartedBy)
	}
	p.say(always, fmt.Sprintf("rolling back to deployment %s.", back.ID))
	p.act(cluster.DeploymentStateChange, "SERVICE_DEPLOYMENT_IN_PROGRESS", "INFO", back.RolloutReason, back.ID)
}
