package cluster

import (
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/store"
)

// TaskHealth is the health of a task whose containers are cs: over the
// essential containers that have a health check, UNHEALTHY before UNKNOWN
// before HEALTHY; UNKNOWN where none has one.
func TaskHealth(cs []Container) types.HealthStatus {
	var checked, healthy int
	for _, c := range cs {
		if !c.Essential || c.Health == "" {
			continue
		}
		checked++
		switch c.Health {
		case types.HealthStatusUnhealthy:
			return types.HealthStatusUnhealthy
		case types.HealthStatusHealthy:
			healthy++
		}
	}
	if checked > 0 && healthy == checked {
		return types.HealthStatusHealthy
	}
	return types.HealthStatusUnknown
}

// ReportHealth records what the node says of the health of the containers of
// the task under key, by container name. Reports on a task that has stopped,
// or on containers without a health check, change nothing.
func ReportHealth(tx *store.Tx, key string, containers map[string]types.HealthStatus) error {
	t, ok := Tasks.Get(tx, key)
	if !ok || t.Last == Stopped {
		return nil
	}
	t.Containers = slices.Clone(t.Containers)
	for i, c := range t.Containers {
		if h, ok := containers[c.Name]; ok && c.Health != "" {
			t.Containers[i].Health = h
		}
	}
	t.Health = TaskHealth(t.Containers)
	return SaveTask(tx, t)
}
