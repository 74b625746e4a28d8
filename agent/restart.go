package agent

import (
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/driver"
	"github.com/dhowhq/dhow/network"
)

// defaultAttemptPeriod is how long a container must have run to be restarted.
const defaultAttemptPeriod = 300 * time.Second

// mayRestart reports whether c's restart policy starts it again after exit e.
// A container that ran for less than the attempt period is not restarted. Call
// with t.mu held.
func (t *task) mayRestart(c *types.ContainerDefinition, k *container, e driver.Exit) bool {
	p := c.RestartPolicy
	if p == nil || !deref(p.Enabled) || t.stopping || t.st.Desired == cluster.Stopped || k.Started == nil {
		return false
	}
	if slices.Contains(p.IgnoredExitCodes, int32(e.Code)) {
		return false
	}
	period := defaultAttemptPeriod
	if p.RestartAttemptPeriod != nil {
		period = time.Duration(*p.RestartAttemptPeriod) * time.Second
	}
	return e.At.Sub(*k.Started) >= period
}

// restart runs a container again under the same id; the task stays RUNNING.
func (t *task) restart(c *types.ContainerDefinition, e driver.Exit) {
	name := deref(c.Name)
	t.disarmHealth(name)
	t.on(name, func(k *container) {
		k.Restarts++
		k.Started = nowUTC() // of the attempt: the next one is a period away
		k.Status, k.ExitCode, k.Finished = cluster.Pending, &e.Code, ptr(e.At.UTC())
	})
	t.log.Info("container is restarted by its restart policy", "container", name, "exit", e.Code)
	t.spawn(func() { // if it is to stop since mayRestart looked, there is nothing to start
		err := t.runAgain(c)
		if err == nil || t.ctx.Err() != nil {
			return
		}
		t.log.Info("container cannot be restarted", "container", name, "err", err)
		t.change(func(s *state) {
			k := s.find(name)
			k.Status, k.Reason = cluster.Stopped, err.Error()
			if essential(c) {
				s.fail(essentialExited)
			}
		})
		if essential(c) {
			t.wind()
		}
	})
}

func (t *task) runAgain(c *types.ContainerDefinition) error {
	name, drv := deref(c.Name), t.eng.cfg.Driver
	k := t.containerNow(name)
	img, err := t.eng.images.present(t.ctx, deref(c.Image))
	if err != nil {
		return &failure{cannotCreate, err}
	}
	netns := ""
	switch t.mode() {
	case network.Host:
	case network.Bridge:
		a, err := t.attachContainer(t.ctx, c) // the one that is there
		if err != nil {
			return &failure{resourceInit, err}
		}
		netns = a.Path
	default:
		if netns, err = t.attach(t.ctx); err != nil {
			return &failure{resourceInit, err}
		}
	}
	if err := t.share(t.ctx, img, netns); err != nil {
		return &failure{cannotCreate, err}
	}
	spec, err := t.spec(c, k.ID, img, netns)
	if err != nil {
		return err
	}
	if err := drv.Delete(t.ctx, k.ID); err != nil {
		return &failure{cannotCreate, err}
	}
	if err := drv.Create(t.ctx, spec); err != nil {
		return &failure{cannotCreate, err}
	}
	if _, err := drv.Start(t.ctx, k.ID); err != nil {
		return &failure{cannotStart, err}
	}
	t.started(c, func(*container) {})
	return nil
}
