package cluster

import (
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// Stop records in t the wish that it stop, and why. It reports false, and
// changes nothing, if t is to stop already: the first reason stays.
func (t *Task) Stop(code types.TaskStopCode, reason string, now time.Time) bool {
	if t.Desired == Stopped {
		return false
	}
	t.Desired, t.StopCode, t.StoppedReason, t.StoppingAt = Stopped, code, reason, &now
	return true
}

// End makes t STOPPED where no agent will report it: the node never had it, or
// is gone. Call Stop before.
func (t *Task) End(now time.Time) {
	if t.Last == Stopped {
		return
	}
	t.Last, t.StoppedAt = Stopped, &now
	if t.StartedAt != nil && t.ExecutionStoppedAt == nil {
		t.ExecutionStoppedAt = &now
	}
	t.Containers = slices.Clone(t.Containers)
	for i := range t.Containers {
		t.Containers[i].Last = Stopped
	}
}
