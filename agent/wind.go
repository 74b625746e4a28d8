package agent

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/driver"
)

const (
	defaultStopTimeout = 30 * time.Second
	killTimeout        = 30 * time.Second // for a container to end after SIGKILL
	exitTimeout        = 3 * time.Second  // for the exit of a container that no longer runs to be told
	drainTimeout       = 2 * time.Second  // for its output to be taken before the task is reported STOPPED
)

// wind begins the task's end, once: its containers are stopped in the reverse
// order of their dependencies, then its network is taken away.
func (t *task) wind() {
	t.mu.Lock()
	first := !t.stopping
	t.stopping = true
	t.mu.Unlock()
	if !first {
		return
	}
	t.cancel()
	t.eng.work.Go(func() { t.end(t.eng.ctx) })
}

// end does the work of wind. If ctx ends, with the agent, it is taken up again
// by the next one.
func (t *task) end(ctx context.Context) {
	t.idle.Wait()
	if t.now().Ran != nil {
		t.pass(cluster.Deactivating)
	}
	t.change(func(s *state) {
		s.Last = cluster.Stopping
		if s.StopBegan == nil {
			s.StopBegan = nowUTC()
		}
	})
	var all sync.WaitGroup
	for _, k := range t.now().Containers {
		all.Go(func() { t.stopContainer(ctx, k.Name) })
	}
	all.Wait()
	if ctx.Err() != nil {
		return
	}
	t.change(func(s *state) {
		s.Last = cluster.Deprovisioning
		if s.ExecutionStopped == nil {
			s.ExecutionStopped = nowUTC()
		}
	})
	t.drainLogs(ctx, drainTimeout)
	t.unshare(ctx)
	if err := t.detach(ctx); err != nil {
		// The next start of the agent removes what is left. The task's address
		// must not be given away meanwhile, so the task is kept until then.
		t.log.Error("cannot remove a task's network, will retry", "err", err)
		for pause := time.Second; err != nil; pause = min(2*pause, time.Minute) {
			select {
			case <-ctx.Done():
				return
			case <-time.After(pause):
				err = t.detach(ctx)
			}
		}
	}
	if ctx.Err() != nil {
		return
	}
	t.change(func(s *state) { s.Last = cluster.Stopped })
	t.eng.cleanup(t)
}

// stopContainer ends one container when those that depend on it have ended:
// its stop signal, then after the stop timeout SIGKILL.
func (t *task) stopContainer(ctx context.Context, name string) {
	stopped := func(s *state) (bool, error) {
		k := s.find(name)
		return k == nil || k.Status == cluster.Stopped, nil
	}
	err := t.wait(ctx, func(s *state) (bool, error) {
		done, _ := stopped(s)
		return done || t.def == nil || mayStop(t.def, name, s), nil
	})
	if err != nil {
		return
	}
	k := t.containerNow(name)
	if k.Status == cluster.Stopped {
		return
	}
	drv := t.eng.cfg.Driver
	if k.Started == nil {
		// Its start was broken off, perhaps with the process there already.
		if err := drv.Delete(ctx, k.ID); err != nil && ctx.Err() == nil {
			t.log.Warn("cannot remove a container whose start was broken off", "container", name, "err", err)
		}
		t.gone(k, "")
		return
	}
	timeout := t.stopTimeout(name)
	if at := t.now().StopBegan; at != nil && t.eng.resumed {
		timeout = max(0, timeout-time.Since(*at))
	}
	for _, step := range []struct {
		sig  syscall.Signal
		wait time.Duration
	}{{stopSignal(k.StopSignal), timeout}, {syscall.SIGKILL, killTimeout}} {
		err := drv.Signal(ctx, k.ID, step.sig)
		switch {
		case errors.Is(err, driver.ErrNotFound):
			step.wait = min(step.wait, exitTimeout)
		case err != nil && ctx.Err() == nil:
			t.log.Warn("cannot signal a container", "container", name, "signal", step.sig, "err", err)
		}
		wctx, cancel := context.WithTimeout(ctx, step.wait)
		err = t.wait(wctx, stopped)
		cancel()
		if err == nil || ctx.Err() != nil {
			return
		}
	}
	t.gone(k, "DockerTimeoutError: Could not transition to stopped; timed out after waiting "+(timeout+killTimeout).String())
}

// gone notes the end of a container without an exit code.
func (t *task) gone(k container, reason string) {
	t.on(k.Name, func(k *container) {
		if k.Status == cluster.Stopped {
			return
		}
		k.Status, k.Finished = cluster.Stopped, nowUTC()
		if k.Reason == "" {
			k.Reason = reason
		}
	})
}

func (t *task) stopTimeout(name string) time.Duration {
	if t.def != nil {
		if c := t.defOf(name); c != nil && c.StopTimeout != nil {
			return time.Duration(*c.StopTimeout) * time.Second
		}
	}
	return defaultStopTimeout
}

// stopSignal is the signal that an image names to be stopped by: a name with
// or without SIG, or a number. SIGTERM if it names none.
func stopSignal(s string) syscall.Signal {
	s = strings.ToUpper(strings.TrimSpace(s))
	if n, err := strconv.Atoi(s); err == nil && n > 0 && n <= 64 {
		return syscall.Signal(n)
	}
	s = "SIG" + strings.TrimPrefix(s, "SIG")
	if n := unix.SignalNum(s); n != 0 {
		return n
	}
	for base, n := range map[string]int{"SIGRTMIN": 34, "SIGRTMAX": 64} {
		rest, ok := strings.CutPrefix(s, base)
		if !ok {
			continue
		}
		off, err := strconv.Atoi(rest)
		if rest != "" && err != nil {
			break
		}
		if n += off; n >= 34 && n <= 64 {
			return syscall.Signal(n)
		}
	}
	return syscall.SIGTERM
}

// exited deals with the end of a container's process.
func (t *task) exited(e driver.Exit) {
	if e.ID == t.pauseID() {
		t.setPaused(false)
		return
	}
	var c *types.ContainerDefinition
	again := false
	t.mu.Lock()
	for i := range t.st.Containers {
		if k := &t.st.Containers[i]; k.ID == e.ID && k.Status != cluster.Stopped {
			c = t.defOf(k.Name)
			again = t.mayRestart(c, k, e)
			break
		}
	}
	stopping := t.stopping
	t.mu.Unlock()
	if c == nil {
		return // known already
	}
	if again {
		t.restart(c, e)
		return
	}
	t.disarmHealth(deref(c.Name))
	ends := essential(c) && !stopping
	t.change(func(s *state) {
		k := s.find(deref(c.Name))
		k.Status, k.ExitCode, k.Finished = cluster.Stopped, &e.Code, ptr(e.At.UTC())
		if k.Started == nil {
			k.Started = k.Finished // it ended before its start was noted
		}
		if e.OOMKilled {
			k.Reason = "OutOfMemoryError: Container killed due to memory usage"
		}
		s.settle(t.def)
		if ends {
			s.fail(essentialExited)
			s.ExecutionStopped = k.Finished
		}
	})
	if ends {
		t.wind()
	}
}

const essentialExited = "Essential container in task exited"
