package containerd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	tasks "github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"

	"github.com/dhowhq/dhow/driver"
)

// killPatience is how long a process may take to die of SIGKILL: it may be in
// an uninterruptible wait.
const killPatience = 30 * time.Second

// Delete removes a container, killing it if need be, and returns when nothing
// is left of it but its log file. The removal waits for starts that are under
// way, up to two seconds.
func (d *Driver) Delete(ctx context.Context, id string) error {
	c, err := d.find(id)
	if err != nil {
		return nil
	}
	for {
		if err := d.end(ctx, c); err != nil {
			return err
		}
		release, err := d.gate.cleaning(ctx)
		if err != nil {
			return err
		}
		done, err := d.deleteEnded(ctx, c)
		release()
		if done || err != nil {
			return err
		}
	}
}

// deleteEnded removes a container unless a Start was quicker.
func (d *Driver) deleteEnded(ctx context.Context, c *container) (done bool, err error) {
	c.op.Lock()
	defer c.op.Unlock()
	d.mu.Lock()
	state, gone := c.state, c.gone
	d.mu.Unlock()
	if gone {
		return true, nil
	}
	if state == driver.Running {
		return false, nil
	}
	return true, d.remove(ctx, c)
}

// end kills a running container and waits for its exit.
func (d *Driver) end(ctx context.Context, c *container) error {
	d.mu.Lock()
	running := c.state == driver.Running
	d.mu.Unlock()
	if !running {
		return nil
	}
	if err := d.kill(ctx, c, syscall.SIGKILL, c.meta.KillAll); err != nil && !errors.Is(err, driver.ErrNotFound) {
		return fmt.Errorf("kill container %s: %w", c.id, err)
	}
	timeout := time.NewTimer(killPatience)
	defer timeout.Stop()
	select {
	case <-c.exited:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-d.ctx.Done():
		return d.ctx.Err()
	case <-timeout.C:
		return fmt.Errorf("container %s does not end %s after SIGKILL", c.id, killPatience)
	}
}

func (d *Driver) deleteTask(ctx context.Context, c *container) error {
	d.mu.Lock()
	task := c.task
	d.mu.Unlock()
	if !task {
		return nil
	}
	_, err := d.cl.TaskService().Delete(ctx, &tasks.DeleteTaskRequest{ContainerID: c.rid})
	if err = errgrpc.ToNative(err); err != nil && !errdefs.IsNotFound(err) {
		return err
	}
	d.mu.Lock()
	c.task = false
	d.mu.Unlock()
	return nil
}

// remove takes away all that Create and Start made. It can be repeated after
// an error; what is not there is no error. The caller holds c.op.
func (d *Driver) remove(ctx context.Context, c *container) error {
	if err := d.deleteTask(ctx, c); err != nil {
		return fmt.Errorf("delete task of %s: %w", c.id, err)
	}
	if err := d.cl.ContainerService().Delete(ctx, c.rid); err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("delete container %s: %w", c.id, err)
	}
	if err := d.snap.Remove(ctx, snapshotKey(c.rid)); err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("delete file system of %s: %w", c.id, err)
	}
	d.removeFiles(c.rid, c.id)
	d.host.cgroups.kill(c.meta.Cgroup)
	d.host.cgroups.remove(c.meta.Cgroup)
	d.parents.remove(c.meta.Parent, c.id)
	d.mu.Lock()
	c.gone = true
	if d.containers[c.id] == c {
		delete(d.containers, c.id)
	}
	d.mu.Unlock()
	return nil
}

// removeFiles removes what lies beside containerd's own state.
func (d *Driver) removeFiles(rid, id string) {
	if shm := d.paths.shm(id); mount.UnmountAll(shm, syscall.MNT_DETACH) == nil {
		os.Remove(shm)
	}
	if err := os.RemoveAll(d.paths.volumes(rid)); err != nil {
		d.log.Warn("volumes of deleted container are left", "container", id, "err", err)
	}
	os.Remove(d.paths.fifo(rid))
	d.unnote(rid)
}
