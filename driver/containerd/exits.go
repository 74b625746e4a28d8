package containerd

import (
	"context"
	"errors"
	"sync"
	"time"

	tasks "github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"

	"github.com/dhowhq/dhow/driver"
)

// watch waits for the end of a running container in a goroutine of its own.
func (d *Driver) watch(c *container) {
	d.wg.Go(func() {
		code, at, err := d.wait(c)
		if err != nil {
			return // closed
		}
		d.exited(c, code, at, true)
	})
}

// lostCode is the exit code of a container whose shim vanished: containerd
// kills what is left of it.
const lostCode = 137

// askEvery bounds one question for the end of a container: an answer that was
// lost when containerd was killed must not keep a container running for good.
const askEvery = 30 * time.Second

// wait asks again while containerd restarts; it fails only at Close.
func (d *Driver) wait(c *container) (code int, at time.Time, err error) {
	for delay := 10 * time.Millisecond; ; delay = min(max(2*delay, 10*time.Millisecond), 2*time.Second) {
		ctx, cancel := context.WithTimeout(d.ctx, askEvery)
		resp, err := d.cl.TaskService().Wait(ctx, &tasks.WaitRequest{ContainerID: c.rid})
		late := ctx.Err() != nil
		cancel()
		if err == nil {
			return int(resp.ExitStatus), resp.ExitedAt.AsTime(), nil
		}
		if d.ctx.Err() != nil {
			return 0, at, d.ctx.Err()
		}
		if errdefs.IsNotFound(errgrpc.ToNative(err)) {
			return lostCode, time.Now(), nil
		}
		if late {
			delay = 0
			continue
		}
		d.log.Debug("wait for container failed, will retry", "container", c.id, "err", err)
		select {
		case <-time.After(delay):
		case <-d.ctx.Done():
			return 0, at, d.ctx.Err()
		}
	}
}

// exited records the end of a container, tells Exits if this process saw it,
// and lets go of its shim.
func (d *Driver) exited(c *container, code int, at time.Time, tell bool) {
	oom := code != 0 && d.host.cgroups.oomKills(c.meta.Cgroup) > 0
	d.mu.Lock()
	if c.state == driver.Exited {
		d.mu.Unlock()
		return
	}
	c.run.Exited, c.run.ExitCode, c.run.FinishedAt, c.run.OOMKilled = true, code, at, oom
	rec, gone := c.run, c.gone
	d.mu.Unlock()
	if !gone {
		d.note(c.rid, rec)
	}
	d.mu.Lock()
	c.state, c.pid = driver.Exited, 0
	if tell { // before Delete can return, and its name be used again
		d.exits.put(driver.Exit{ID: c.id, Code: code, OOMKilled: oom, At: at})
	}
	close(c.exited)
	d.mu.Unlock()
	d.wg.Go(func() { d.reap(c) })
}

// reap deletes the task of an ended container, which ends its shim: a stopped
// container should cost no memory until its record goes.
func (d *Driver) reap(c *container) {
	release, err := d.gate.cleaning(d.ctx)
	if err != nil {
		return
	}
	defer release()
	c.op.Lock()
	defer c.op.Unlock()
	if err := d.deleteTask(d.ctx, c); err != nil && !errors.Is(err, context.Canceled) {
		d.log.Debug("shim of ended container is kept", "container", c.id, "err", err)
	}
}

// exitQueue hands exits to one reader without ever blocking the writers.
type exitQueue struct {
	out  chan driver.Exit
	wake chan struct{}
	mu   sync.Mutex
	list []driver.Exit
}

func (q *exitQueue) start(wg *sync.WaitGroup, done <-chan struct{}) {
	q.out, q.wake = make(chan driver.Exit), make(chan struct{}, 1)
	wg.Go(func() {
		defer close(q.out)
		for {
			q.mu.Lock()
			list := q.list
			q.list = nil
			q.mu.Unlock()
			for _, e := range list {
				select {
				case q.out <- e:
				case <-done:
					return
				}
			}
			if len(list) > 0 {
				continue
			}
			select {
			case <-q.wake:
			case <-done:
				return
			}
		}
	})
}

func (q *exitQueue) put(e driver.Exit) {
	q.mu.Lock()
	q.list = append(q.list, e)
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}
