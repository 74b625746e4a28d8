package agent

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/driver"
)

// hasCheck reports whether the definition checks the container's health. A
// check of the image's own does not count.
func hasCheck(c types.ContainerDefinition) bool {
	return c.HealthCheck != nil && len(c.HealthCheck.Command) > 0 && c.HealthCheck.Command[0] != "NONE"
}

// checkPlan is a health check with ECS's defaults filled in.
type checkPlan struct {
	command                        []string
	interval, timeout, startPeriod time.Duration
	retries                        int
}

func planOf(h types.HealthCheck) checkPlan {
	p := checkPlan{interval: 30 * time.Second, timeout: 5 * time.Second, retries: 3}
	if h.Interval != nil {
		p.interval = time.Duration(*h.Interval) * time.Second
	}
	if h.Timeout != nil {
		p.timeout = time.Duration(*h.Timeout) * time.Second
	}
	if h.Retries != nil {
		p.retries = int(*h.Retries)
	}
	p.startPeriod = time.Duration(deref(h.StartPeriod)) * time.Second
	switch h.Command[0] {
	case "CMD":
		p.command = h.Command[1:]
	case "CMD-SHELL":
		p.command = append([]string{"/bin/sh", "-c"}, h.Command[1:]...)
	default:
		p.command = h.Command
	}
	return p
}

// firstLook is when a container is looked at first. Until a whole interval has
// passed it is looked at after twice as long each time, and then only a success
// counts: AWS's first look comes after an interval, and who waits for HEALTHY
// should not wait longer than it takes.
const firstLook = 500 * time.Millisecond

// healthCheck looks after one run of one container: a timer between looks, a
// goroutine only during one.
type healthCheck struct {
	t    *task
	name string
	id   string
	plan checkPlan

	ctx    context.Context
	cancel context.CancelFunc

	mu      sync.Mutex
	timer   *time.Timer
	began   time.Time
	pause   time.Duration
	fails   int
	stopped bool
}

// armHealth begins to check a container that runs, if it has a check.
func (t *task) armHealth(c *types.ContainerDefinition) {
	if !hasCheck(*c) {
		return
	}
	name := deref(c.Name)
	k := t.containerNow(name)
	if k.Status != cluster.Running {
		return
	}
	h := &healthCheck{t: t, name: name, id: k.ID, plan: planOf(*c.HealthCheck), began: *k.Started, pause: firstLook}
	h.ctx, h.cancel = context.WithCancel(t.ctx)
	t.mu.Lock()
	r := t.live(name)
	if r.health != nil {
		r.health.stop()
	}
	r.health = h
	t.mu.Unlock()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.next()
}

// disarmHealth ends the checks of a container that has ended.
func (t *task) disarmHealth(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r := t.live(name); r.health != nil {
		r.health.stop()
		r.health = nil
	}
}

func (h *healthCheck) stop() {
	h.cancel()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopped = true
	if h.timer != nil {
		h.timer.Stop()
	}
}

// next sets the timer; h.mu is held.
func (h *healthCheck) next() {
	if h.stopped {
		return
	}
	wait := h.plan.interval
	if left := h.plan.interval - time.Since(h.began); left > 0 {
		wait = min(h.pause, left)
		h.pause *= 2
	}
	h.timer = time.AfterFunc(wait, h.look)
}

// look runs the check once.
func (h *healthCheck) look() {
	early := time.Since(h.began) < h.plan.interval
	err := h.probe()
	if h.ctx.Err() != nil {
		return
	}
	now := h.t.containerNow(h.name).Health // not below: the task's lock comes before this one
	h.mu.Lock()
	verdict := h.judge(now, err, early, time.Since(h.began))
	h.next()
	h.mu.Unlock()
	if verdict == "" {
		return
	}
	h.t.on(h.name, func(k *container) {
		if k.Health != verdict && k.Status == cluster.Running {
			k.Health, k.HealthAt = verdict, nowUTC()
		}
	})
	h.t.eng.healthChanged()
}

// judge turns one look's outcome into the container's new health, "" for no
// change. Failures count only outside the start period, and retries of them in
// a row make the container UNHEALTHY.
func (h *healthCheck) judge(now types.HealthStatus, err error, early bool, age time.Duration) types.HealthStatus {
	verdict := types.HealthStatusHealthy
	switch {
	case err == nil:
		h.fails = 0
	case now != types.HealthStatusHealthy && (early || age < h.plan.startPeriod):
		return ""
	default:
		if h.fails++; h.fails < h.plan.retries {
			return ""
		}
		verdict = types.HealthStatusUnhealthy
	}
	if verdict == now {
		return ""
	}
	return verdict
}

var errUnhealthy = errors.New("the health check's command failed")

func (h *healthCheck) probe() error {
	ctx, cancel := context.WithTimeout(h.ctx, h.plan.timeout)
	defer cancel()
	code, err := h.t.eng.cfg.Driver.Exec(ctx, h.id, driver.Exec{Command: h.plan.command, Stdout: io.Discard, Stderr: io.Discard})
	if err == nil && code != 0 {
		err = errUnhealthy
	}
	return err
}
