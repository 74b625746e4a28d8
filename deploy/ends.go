package deploy

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
)

// Pacing of tasks that do not stay.
const (
	firstBackoff = 500 * time.Millisecond
	maxBackoff   = 27 * time.Minute // AWS's bound
	impairedAt   = 3                // rounds of failed starts before the service says so

	// A task that ends by itself within quickExit of RUNNING is replaced at
	// once the first freeExits times, then one every crashPace. AWS does not
	// throttle such tasks; its launches take seconds, ours do not.
	quickExit = 10 * time.Second
	freeExits = 5
	crashPace = time.Second
)

// backoff is the wait before the next start after so many rounds of tasks that
// never reached RUNNING.
func backoff(rounds int32) time.Duration {
	d := firstBackoff
	for range rounds - 1 {
		if d *= 2; d >= maxBackoff {
			return maxBackoff
		}
	}
	return d
}

// accountEnds takes note, once, of each task that has stopped: what it means
// for its deployment's failures and for when the next one may start.
func (p *planner) accountEnds() {
	for _, t := range p.tasks {
		if t.Last != cluster.Stopped || t.Noted {
			continue
		}
		if p.full() {
			return
		}
		p.change(t, note, "", "")
		d := t.of
		if d == nil || !failed(t.Task) {
			continue
		}
		if t.StartedAt == nil {
			if !p.Now.Before(d.RetryAt) { // failures of one round count once
				d.Throttle++
				d.RetryAt = p.Now.Add(backoff(d.Throttle))
			}
			if d.Throttle >= impairedAt && d.Status == "PRIMARY" {
				p.say(once, "is unable to consistently start tasks successfully. "+troubleshooting)
				p.act(cluster.ServiceAction, "SERVICE_TASK_START_IMPAIRED", "WARN", "", "")
			}
		} else if quick(t.Task) {
			if d.QuickExits++; d.QuickExits > freeExits {
				d.RetryAt = p.Now.Add(crashPace)
			}
		}
		if t.HealthyAt == nil {
			p.fail(d)
		}
	}
}

// fail counts a failed task of a deployment that is under way.
func (p *planner) fail(d *cluster.Deployment) {
	if d.RolloutState == types.DeploymentRolloutStateInProgress {
		d.FailedTasks++
		d.UpdatedAt = p.Now
	}
}

// failed reports whether a stopped task ended against everyone's will.
func failed(t cluster.Task) bool {
	switch t.StopCode {
	case types.TaskStopCodeUserInitiated, types.TaskStopCodeServiceSchedulerInitiated, types.TaskStopCodeSpotInterruption,
		types.TaskStopCodeTerminationNotice, "InfrastructureHealth":
		return false
	}
	return true
}

func quick(t cluster.Task) bool {
	return t.StoppedAt != nil && t.StartedAt != nil && t.StoppedAt.Sub(*t.StartedAt) < quickExit
}

// accountHealth marks tasks that are healthy for the first time, which ends
// their deployment's run of failures.
func (p *planner) accountHealth() {
	for _, t := range p.tasks {
		if !t.healthy || t.HealthyAt != nil {
			continue
		}
		if p.full() {
			return
		}
		p.change(t, healthy, "", "")
		at := p.Now
		t.HealthyAt = &at
		d := t.of
		if d == nil {
			continue
		}
		d.Throttle, d.QuickExits, d.RetryAt = 0, 0, time.Time{}
		b := p.c.Service.Configuration.DeploymentCircuitBreaker
		if b == nil || b.ResetOnHealthyTask == nil || *b.ResetOnHealthyTask {
			d.FailedTasks = 0
		}
	}
}

func seconds(n int32) time.Duration { return time.Duration(n) * time.Second }
