package agent

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/driver"
)

// pauseName is what the container is called that holds what a task's
// containers share; the stock agent calls its own so. No container of a
// definition can have the name.
const pauseName = "~internal~ecs~pause"

func (t *task) pauseID() string { return containerID(t.id, pauseName) }

// shares reports what the task's containers share by mode task.
func (t *task) shares() (pid, ipc bool) {
	return t.def != nil && t.def.PidMode == types.PidModeTask, t.def != nil && t.def.IpcMode == types.IpcModeTask
}

// namespaces are the driver's words for the task's pidMode and ipcMode.
func (t *task) namespaces() (pid, ipc string) {
	return t.namespace(string(t.def.PidMode)), t.namespace(string(t.def.IpcMode))
}

func (t *task) namespace(mode string) string {
	switch mode {
	case "task":
		return "container:" + t.pauseID()
	case "host", "none":
		return mode
	}
	return ""
}

// share makes the namespaces that the task's containers share, before the
// first of them starts. A container of their own holds them, so that they last
// as long as the task, whichever of its containers end; it is made of any of
// the task's images, and runs nothing of it.
func (t *task) share(ctx context.Context, img driver.Image, netns string) error {
	pid, ipc := t.shares()
	if !pid && !ipc {
		return nil
	}
	t.sharing.Lock()
	defer t.sharing.Unlock()
	t.mu.Lock()
	there := t.paused
	t.mu.Unlock()
	if there {
		return nil
	}
	drv, id := t.eng.cfg.Driver, t.pauseID()
	s := driver.Spec{ID: id, Image: img.Ref, Pause: true, NetNS: netns, CgroupParent: t.cgroup(),
		ReadonlyRoot: true, NoNewPrivileges: true, CapDrop: []string{"ALL"}}
	if ipc {
		s.IpcNS = "shareable"
	}
	if err := t.taskLimits(&s); err != nil {
		return err
	}
	// One that has ended, or that a crash left half made, makes way.
	if err := drv.Delete(ctx, id); err != nil {
		return fmt.Errorf("namespaces of the task: %w", err)
	}
	if err := drv.Create(ctx, s); err != nil {
		return fmt.Errorf("namespaces of the task: %w", err)
	}
	if _, err := drv.Start(ctx, id); err != nil {
		return fmt.Errorf("namespaces of the task: %w", err)
	}
	t.setPaused(true)
	return nil
}

// setPaused notes whether the task's pause runs.
func (t *task) setPaused(runs bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.paused = runs
	close(t.changed)
	t.changed = make(chan struct{})
}

// unshare ends the pause, once the task's containers have ended: it is in the
// task's network. The container itself goes with the others.
func (t *task) unshare(ctx context.Context) {
	t.mu.Lock()
	runs := t.paused
	t.mu.Unlock()
	if !runs {
		return
	}
	if err := t.eng.cfg.Driver.Signal(ctx, t.pauseID(), syscall.SIGKILL); err != nil && !errors.Is(err, driver.ErrNotFound) {
		t.log.Warn("cannot end the container that holds a task's namespaces", "err", err)
	}
	ctx, cancel := context.WithTimeout(ctx, exitTimeout)
	defer cancel()
	// It runs with t.mu held, which guards paused.
	_ = t.wait(ctx, func(*state) (bool, error) { return !t.paused, nil })
}
