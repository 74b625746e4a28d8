package agent

import (
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
)

// mayStart reports whether c's dependencies let it start now. The error says
// that they never will. Rules: facts of ECS's dependsOn: START holds once the
// dependency has started, COMPLETE once it has exited, SUCCESS once it has
// exited with 0, HEALTHY once its check has passed; each is looked at only
// before the start.
func mayStart(c *types.ContainerDefinition, s *state) (bool, error) {
	for _, d := range c.DependsOn {
		on := s.find(deref(d.ContainerName))
		if on == nil {
			return false, fmt.Errorf("container %s depends on %s, which the task does not have", deref(c.Name), deref(d.ContainerName))
		}
		ok, err := holds(d.Condition, on)
		if err != nil {
			return false, fmt.Errorf("container %s depends on %s: %w", deref(c.Name), on.Name, err)
		}
		if !ok {
			return false, nil
		}
	}
	for _, name := range startsAfter(c) {
		on := s.find(name)
		if on == nil {
			return false, fmt.Errorf("container %s needs %s, which the task does not have", deref(c.Name), name)
		}
		if ok, err := holds(types.ContainerConditionStart, on); !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

// startsAfter are the containers that c is linked to or takes volumes from:
// they must have started before, as for Docker.
func startsAfter(c *types.ContainerDefinition) (names []string) {
	for _, l := range c.Links {
		name, _ := link(l)
		names = append(names, name)
	}
	for _, v := range c.VolumesFrom {
		names = append(names, deref(v.SourceContainer))
	}
	return names
}

// link takes NAME or NAME:ALIAS apart.
func link(l string) (name, alias string) {
	name, alias, ok := strings.Cut(l, ":")
	if !ok {
		alias = name
	}
	return name, alias
}

func holds(cond types.ContainerCondition, on *container) (bool, error) {
	stopped := on.Status == cluster.Stopped
	switch {
	case stopped && on.Started == nil && cond != types.ContainerConditionStart:
		return false, fmt.Errorf("it did not start, so that it cannot become %s", cond)
	case cond == types.ContainerConditionStart:
		return on.Started != nil || stopped, nil
	case cond == types.ContainerConditionComplete:
		return stopped, nil
	case cond == types.ContainerConditionSuccess:
		if stopped && (on.ExitCode == nil || *on.ExitCode != 0) {
			return false, fmt.Errorf("it did not exit with success (exit code %s)", exitText(on.ExitCode))
		}
		return stopped, nil
	case cond == types.ContainerConditionHealthy:
		if on.Health == types.HealthStatusHealthy {
			return true, nil
		}
		if stopped {
			return false, fmt.Errorf("it stopped before it was healthy")
		}
		if on.Health == types.HealthStatusUnhealthy {
			return false, fmt.Errorf("it is unhealthy")
		}
		return false, nil
	}
	return false, fmt.Errorf("condition %q is unknown", cond)
}

func exitText(code *int) string {
	if code == nil {
		return "unknown"
	}
	return fmt.Sprint(*code)
}

// giveUpAt is when c's wait for its dependencies ends: the earliest moment at
// which one that has started has used up its startTimeout. Zero if none has one
// that runs.
func giveUpAt(def *types.TaskDefinition, c *types.ContainerDefinition, s *state) (at time.Time, on string) {
	for _, d := range c.DependsOn {
		dep := s.find(deref(d.ContainerName))
		if dep == nil || dep.Started == nil {
			continue
		}
		for i := range def.ContainerDefinitions {
			k := &def.ContainerDefinitions[i]
			if deref(k.Name) != dep.Name || deref(k.StartTimeout) == 0 {
				continue
			}
			end := dep.Started.Add(time.Duration(*k.StartTimeout) * time.Second)
			if at.IsZero() || end.Before(at) {
				at, on = end, dep.Name
			}
		}
	}
	return at, on
}

// mayStop reports whether the container called name may be told to end: those
// that depend on it have ended.
func mayStop(def *types.TaskDefinition, name string, s *state) bool {
	for i := range def.ContainerDefinitions {
		k := &def.ContainerDefinitions[i]
		for _, d := range k.DependsOn {
			if deref(d.ContainerName) != name || deref(k.Name) == name {
				continue
			}
			if dep := s.find(deref(k.Name)); dep != nil && dep.Status != cluster.Stopped {
				return false
			}
		}
	}
	return true
}
