package containerd

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	tasks "github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/api/types/runc/options"
	"github.com/containerd/containerd/api/types/task"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/typeurl/v2"

	"github.com/dhowhq/dhow/driver"
)

// rebootCode is the exit code of a container that ran when the machine went
// down: nobody saw it end. Docker uses the same.
const rebootCode = 255

// recover finds the containers of an earlier Driver, waits for those that
// run, and clears away what a crash left half made.
func (d *Driver) recover(ctx context.Context) error {
	recs, err := d.cl.ContainerService().List(ctx)
	if err != nil {
		return fmt.Errorf("list containers: %w", err)
	}
	list, err := d.cl.TaskService().List(ctx, &tasks.ListTasksRequest{})
	if err != nil {
		return fmt.Errorf("list tasks: %w", err)
	}
	procs := map[string]*task.Process{}
	for _, p := range list.Tasks {
		procs[p.ID] = p
	}
	runs, err := d.openRuns()
	if err != nil {
		return fmt.Errorf("read the courses of containers: %w", err)
	}
	known := map[string]bool{}
	for _, rec := range recs {
		m, err := metaFrom(rec.Extensions)
		if err != nil {
			d.log.Warn("container is not dhow's and is left alone", "container", rec.ID, "err", err)
			known[rec.ID] = true
			continue
		}
		known[rec.ID] = true
		d.recoverOne(ctx, rec, m, procs[rec.ID], runs)
	}
	d.sweep(ctx, known, runs)
	return nil
}

func (d *Driver) recoverOne(ctx context.Context, rec containers.Container, m meta, p *task.Process, runs map[string]run) {
	c := &container{
		id: m.ID, rid: rec.ID, meta: m, created: rec.CreatedAt, state: driver.Created,
		task: p != nil, exited: make(chan struct{}),
	}
	var started bool
	c.run, started = runs[c.rid]
	d.mu.Lock()
	d.containers[c.id] = c
	d.mu.Unlock()
	// The limits are set already; after a reboot the group is gone with its
	// containers.
	if err := d.parents.add(m.Parent, c.id, 0, 0); err != nil {
		d.log.Warn("cgroup of task", "container", c.id, "err", err)
	}
	switch {
	case p == nil && !started:
	case p == nil && c.run.Exited:
		d.settle(c)
	case p == nil:
		c.run.Exited, c.run.ExitCode, c.run.FinishedAt = true, rebootCode, time.Now()
		d.note(c.rid, c.run)
		d.settle(c)
	case p.Status == task.Status_CREATED: // the crash was between the halves of Start
		_, _ = d.cl.TaskService().Kill(ctx, &tasks.KillRequest{ContainerID: c.rid, Signal: uint32(syscall.SIGKILL), All: true})
		if err := d.deleteTask(ctx, c); err != nil {
			d.log.Warn("half-started container", "container", c.id, "err", err)
		}
		c.run = run{}
		d.unnote(c.rid)
	case p.Status == task.Status_STOPPED:
		d.exited(c, int(p.ExitStatus), p.ExitedAt.AsTime(), false)
	default:
		c.state, c.pid = driver.Running, int(p.Pid)
		d.watch(c)
		d.wg.Go(func() { d.endExecs(c) })
	}
}

// endExecs kills the commands that an earlier Driver ran in a container:
// nobody reads their output any more.
func (d *Driver) endExecs(c *container) {
	release, err := d.gate.cleaning(d.ctx)
	if err != nil {
		return
	}
	defer release()
	list, err := d.cl.TaskService().ListPids(d.ctx, &tasks.ListPidsRequest{ContainerID: c.rid})
	if err != nil {
		return // it has ended
	}
	for _, p := range list.Processes {
		var info options.ProcessDetails
		if p.Info == nil || typeurl.UnmarshalTo(p.Info, &info) != nil {
			continue
		}
		if !strings.HasPrefix(info.ExecID, execPrefix) || strings.HasPrefix(info.ExecID, execPrefix+d.nonce) {
			continue
		}
		_, _ = d.cl.TaskService().Kill(d.ctx, &tasks.KillRequest{ContainerID: c.rid, ExecID: info.ExecID, Signal: uint32(syscall.SIGKILL)})
		_, _ = d.cl.TaskService().Wait(d.ctx, &tasks.WaitRequest{ContainerID: c.rid, ExecID: info.ExecID})
		_, _ = d.cl.TaskService().DeleteProcess(d.ctx, &tasks.DeleteProcessRequest{ContainerID: c.rid, ExecID: info.ExecID})
	}
}

// settle makes a recovered container an ended one.
func (d *Driver) settle(c *container) {
	d.mu.Lock()
	c.state = driver.Exited
	close(c.exited)
	d.mu.Unlock()
}

// sweep removes snapshots, records, volumes and mounts whose container is not
// there: a crash in the middle of Create or Delete leaves them.
func (d *Driver) sweep(ctx context.Context, known map[string]bool, runs map[string]run) {
	var orphans []string
	err := d.snap.Walk(ctx, func(_ context.Context, info snapshots.Info) error {
		if owner := info.Labels[ownerLabel]; owner != "" && !known[owner] {
			orphans = append(orphans, info.Name)
		}
		return nil
	}, `labels."`+ownerLabel+`"`)
	if err != nil {
		d.log.Warn("snapshots are not swept", "err", err)
	}
	for _, key := range orphans {
		if err := d.snap.Remove(ctx, key); err != nil {
			d.log.Warn("orphaned snapshot is left", "snapshot", key, "err", err)
		}
	}
	for rid := range runs {
		if !known[rid] {
			d.unnote(rid)
		}
	}
	for _, rid := range entries(filepath.Join(d.paths.data, "volumes")) {
		if !known[rid] {
			os.RemoveAll(d.paths.volumes(rid))
		}
	}
	for _, rid := range entries(filepath.Join(d.paths.run, "io")) {
		if !known[rid] {
			os.RemoveAll(d.paths.fifo(rid)) // an exec's pipes are in a directory
		}
	}
	for _, id := range entries(filepath.Join(d.paths.run, "shm")) {
		if d.containers[id] == nil {
			unmountDir(d.paths.shm(id))
		}
	}
	for _, name := range entries(d.paths.run) {
		if strings.HasPrefix(name, "rootfs-") {
			unmountDir(filepath.Join(d.paths.run, name))
		}
	}
}

func unmountDir(dir string) {
	if mount.UnmountAll(dir, syscall.MNT_DETACH) == nil {
		os.Remove(dir)
	}
}

func entries(dir string) []string {
	list, _ := os.ReadDir(dir)
	out := make([]string, 0, len(list))
	for _, e := range list {
		out = append(out, e.Name())
	}
	return out
}
