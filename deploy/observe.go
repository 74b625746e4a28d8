package deploy

import (
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
)

// observed is a task as this pass sees it.
type observed struct {
	cluster.Task
	bound []Bound
	of    *cluster.Deployment // nil: of a service of this name that is no more

	going   bool // on its way out, or told to be
	gone    bool // its containers have ended
	running bool // and not going
	healthy bool // counts as healthy now
	sick    string
	leaving bool // its container instance is draining
}

// serves reports whether the task may be counted on: it is healthy, or was and
// nothing says otherwise since (a load balancer that starts anew knows nothing
// at first).
func (t *observed) serves() bool {
	return t.running && t.sick == "" && (t.healthy || t.HealthyAt != nil)
}

// unwanted reports whether the task should make room for another.
func (t *observed) unwanted(primary *cluster.Deployment) bool {
	return t.of == nil || primary == nil || t.of.ID != primary.ID || t.leaving
}

// observe sorts the tasks out.
func (p *planner) observe() {
	for _, row := range p.Tasks {
		t := &observed{Task: row, bound: p.Bound[row.ID], of: p.deployment(row.StartedBy)}
		t.gone = row.ExecutionStoppedAt != nil || !row.Last.Before(cluster.Deprovisioning)
		t.going = row.Desired == cluster.Stopped || row.Draining != nil || cluster.Running.Before(row.Last) || t.gone
		t.running = row.Last == cluster.Running && !t.going
		t.leaving = row.Instance != "" && p.Leaving[row.Instance]
		if t.running {
			p.examine(t)
		}
		p.tasks = append(p.tasks, t)
	}
}

// examine decides whether a running task is healthy or sick.
func (p *planner) examine(t *observed) {
	since := t.CreatedAt
	if t.StartedAt != nil {
		since = *t.StartedAt
	}
	grace := since.Add(seconds(p.c.Service.HealthGrace))
	inGrace := p.Now.Before(grace)
	checked := hasHealthCheck(t.Task)
	sick := ""
	if checked && t.Health == types.HealthStatusUnhealthy {
		sick = "Task failed container health checks"
	}
	passes := len(t.bound) > 0
	for _, b := range t.bound {
		switch b.State {
		case "healthy", "unavailable", "unused":
			// unavailable: the group checks nothing; unused: no load balancer
			// asks, as after its listener was deleted.
		case "unhealthy":
			passes = false
			if sick == "" {
				sick = fmt.Sprintf("Task failed ELB health checks in (target-group %s)", b.Group)
			}
		default:
			passes = false
		}
	}
	if sick != "" && inGrace {
		p.wake(grace)
		sick = ""
		passes = false
	}
	t.sick = sick
	switch {
	case sick != "":
	case len(t.bound) > 0:
		t.healthy = passes && (!checked || t.Health == types.HealthStatusHealthy)
	case checked:
		t.healthy = t.Health == types.HealthStatusHealthy
	default:
		// A task of an earlier deployment counts at once: else it would be the
		// first to go, before any other is there.
		settled := since.Add(p.Settle)
		if t.healthy = !p.Now.Before(settled) || t.unwanted(p.primary()); !t.healthy {
			p.wake(settled)
		}
	}
}

// hasHealthCheck reports whether an essential container has a health check.
func hasHealthCheck(t cluster.Task) bool {
	for _, c := range t.Containers {
		if c.Essential && c.Health != "" {
			return true
		}
	}
	return false
}
