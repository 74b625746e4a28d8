package containerd

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	tasks "github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"
	"github.com/containerd/typeurl/v2"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/dhowhq/dhow/driver"
)

// Start runs a created container. It makes just the two calls that containerd
// needs for it.
func (d *Driver) Start(ctx context.Context, id string) (int, error) {
	c, err := d.find(id)
	if err != nil {
		return 0, err
	}
	c.op.Lock()
	defer c.op.Unlock()
	d.mu.Lock()
	state, gone := c.state, c.gone
	d.mu.Unlock()
	if gone {
		return 0, fmt.Errorf("container %s: %w", id, driver.ErrNotFound)
	}
	if state != driver.Created {
		return 0, fmt.Errorf("container %s cannot be started: %w", id, errStarted)
	}
	done, err := d.gate.starting(ctx)
	if err != nil {
		return 0, err
	}
	defer done()
	pid, err := d.start(ctx, c)
	if err != nil {
		d.unnote(c.rid)
		return 0, err
	}
	return pid, nil
}

func (d *Driver) start(ctx context.Context, c *container) (int, error) {
	mounts := c.mounts
	if mounts == nil {
		var err error
		if mounts, err = d.snap.Mounts(ctx, snapshotKey(c.rid)); err != nil {
			return 0, fmt.Errorf("file system of %s: %w", c.id, err)
		}
	}
	if c.meta.Joins {
		if err := d.fillJoins(ctx, c); err != nil {
			return 0, err
		}
	}
	req := &tasks.CreateTaskRequest{ContainerID: c.rid, Terminal: c.meta.TTY, Rootfs: mount.ToProto(mounts)}
	if err := d.setIO(c, req); err != nil {
		return 0, err
	}
	started := run{StartedAt: time.Now()}
	if err := d.runs.Put(c.rid, started); err != nil { // before the start: a crash must not lose that it was started
		return 0, err
	}
	// A caller that gives up must not leave a half-started container behind.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Minute)
	defer cancel()
	created, err := d.cl.TaskService().Create(ctx, req)
	if err == nil {
		_, err = d.cl.TaskService().Start(ctx, &tasks.StartRequest{ContainerID: c.rid})
	}
	if err != nil {
		undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		_, _ = d.cl.TaskService().Delete(undo, &tasks.DeleteTaskRequest{ContainerID: c.rid})
		return 0, startError(err)
	}
	d.mu.Lock()
	c.state, c.pid, c.task, c.run = driver.Running, int(created.Pid), true, started
	c.mounts = nil
	d.mu.Unlock()
	d.watch(c)
	return int(created.Pid), nil
}

// setIO points the shim at the log file. Without a terminal it copies both
// streams to a file by itself; a terminal's output it only copies to a path
// that it opens, which may be a plain file too.
func (d *Driver) setIO(c *container, req *tasks.CreateTaskRequest) error {
	out := c.meta.LogPath
	if out == "" && (c.meta.TTY || c.meta.Stdin) {
		out = "/dev/null" // a shim that copies anything must copy all
	}
	switch {
	case out == "":
	case c.meta.TTY:
		req.Stdout = out
	default:
		req.Stdout = (&url.URL{Scheme: "file", Path: out}).String()
		req.Stderr = req.Stdout
	}
	if c.meta.Stdin {
		// Nobody writes to it: it only keeps the container's input open.
		req.Stdin = d.paths.fifo(c.rid)
		if err := unix.Mkfifo(req.Stdin, 0o600); err != nil && err != unix.EEXIST {
			return fmt.Errorf("%s: %w", req.Stdin, err)
		}
	}
	return nil
}

// fillJoins replaces "container:ID" in the stored spec by the path of the
// other container's namespace, which is known only while that one runs.
func (d *Driver) fillJoins(ctx context.Context, c *container) error {
	rec, err := d.cl.ContainerService().Get(ctx, c.rid)
	if err != nil {
		return err
	}
	var spec specs.Spec
	if err := typeurl.UnmarshalTo(rec.Spec, &spec); err != nil {
		return err
	}
	for i, ns := range spec.Linux.Namespaces {
		other, ok := strings.CutPrefix(ns.Path, joinPrefix)
		if !ok {
			continue
		}
		_, pid, err := d.running(other)
		if err != nil {
			return fmt.Errorf("cannot join the %s namespace of container %s: %w", ns.Type, other, err)
		}
		file := string(ns.Type)
		spec.Linux.Namespaces[i].Path = filepath.Join("/proc", fmt.Sprint(pid), "ns", file)
	}
	if rec.Spec, err = typeurl.MarshalAny(&spec); err != nil {
		return err
	}
	_, err = d.cl.ContainerService().Update(ctx, rec, "spec")
	return err
}

// Signal sends sig to the container's first process.
func (d *Driver) Signal(ctx context.Context, id string, sig syscall.Signal) error {
	c, _, err := d.running(id)
	if err != nil {
		return err
	}
	return d.kill(ctx, c, sig, false)
}

func (d *Driver) kill(ctx context.Context, c *container, sig syscall.Signal, all bool) error {
	_, err := d.cl.TaskService().Kill(ctx, &tasks.KillRequest{ContainerID: c.rid, Signal: uint32(sig), All: all})
	if err = errgrpc.ToNative(err); errdefs.IsNotFound(err) {
		return fmt.Errorf("container %s is not running: %w", c.id, driver.ErrNotFound)
	}
	return err
}
