package containerd

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"path/filepath"
	"syscall"

	tasks "github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"
	"github.com/containerd/typeurl/v2"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/dhowhq/dhow/driver"
)

// execPrefix begins the names of execs; this Driver's nonce follows.
const execPrefix = "exec-"

// Exec runs one more process in a running container and waits for it.
func (d *Driver) Exec(ctx context.Context, id string, e driver.Exec) (int, error) {
	c, _, err := d.running(id)
	if err != nil {
		return 0, err
	}
	if len(e.Command) == 0 {
		return 0, commandError("no command specified")
	}
	process, err := d.execProcess(ctx, c, e)
	if err != nil {
		return 0, err
	}
	spec, err := typeurl.MarshalAnyToProto(process)
	if err != nil {
		return 0, err
	}
	name := execPrefix + d.nonce + randomName()
	pace := &pace{}
	var stdin io.Reader
	started, ended := make(chan struct{}), make(chan struct{})
	defer close(ended)
	if e.Stdin != nil {
		stdin = &endReader{Reader: e.Stdin, atEnd: func() {
			// The shim holds the pipe open until it is told, which it
			// understands only after the start.
			select {
			case <-started:
			case <-ended:
				return
			}
			_, _ = d.cl.TaskService().CloseIO(d.ctx, &tasks.CloseIORequest{ContainerID: c.rid, ExecID: name, Stdin: true})
		}}
	}
	opts := []cio.Opt{cio.WithFIFODir(filepath.Join(d.paths.run, "io")), cio.WithStreams(stdin, pace.writer(e.Stdout), pace.writer(e.Stderr))}
	if e.TTY {
		opts = append(opts, cio.WithTerminal)
	}
	streams, err := cio.NewCreator(opts...)(name)
	if err != nil {
		return 0, err
	}
	defer streams.Close()
	paths := streams.Config()
	_, err = d.cl.TaskService().Exec(ctx, &tasks.ExecProcessRequest{
		ContainerID: c.rid, ExecID: name, Terminal: e.TTY, Spec: spec,
		Stdin: paths.Stdin, Stdout: paths.Stdout, Stderr: paths.Stderr,
	})
	if err != nil {
		streams.Cancel()
		return 0, d.execError(c, err)
	}
	// What the process was given must be taken back also after a cancel.
	end := context.WithoutCancel(ctx)
	defer func() {
		_, _ = d.cl.TaskService().DeleteProcess(end, &tasks.DeleteProcessRequest{ContainerID: c.rid, ExecID: name})
	}()
	if _, err := d.cl.TaskService().Start(ctx, &tasks.StartRequest{ContainerID: c.rid, ExecID: name}); err != nil {
		streams.Cancel()
		return 0, d.execError(c, err)
	}
	close(started)
	stop := d.resizes(c, name, e.Resize)
	defer stop()
	return d.awaitExec(ctx, c, name, streams, pace)
}

func (d *Driver) awaitExec(ctx context.Context, c *container, name string, streams cio.IO, pace *pace) (int, error) {
	type result struct {
		code int
		err  error
	}
	ended := make(chan result, 1)
	wait, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	go func() {
		resp, err := d.cl.TaskService().Wait(wait, &tasks.WaitRequest{ContainerID: c.rid, ExecID: name})
		ended <- result{int(resp.GetExitStatus()), err}
	}()
	kill := func() {
		_, _ = d.cl.TaskService().Kill(wait, &tasks.KillRequest{ContainerID: c.rid, ExecID: name, Signal: uint32(syscall.SIGKILL)})
	}
	select {
	case r := <-ended:
		if r.err != nil {
			streams.Cancel()
			return 0, d.execError(c, r.err)
		}
		pace.drain(ctx, streams)
		return r.code, nil
	case <-ctx.Done():
		kill()
		streams.Cancel()
		return 0, ctx.Err()
	}
}

// execProcess is the container's own process with another command.
func (d *Driver) execProcess(ctx context.Context, c *container, e driver.Exec) (*specs.Process, error) {
	rec, err := d.cl.ContainerService().Get(ctx, c.rid)
	if err != nil {
		return nil, d.execError(c, err)
	}
	var spec specs.Spec
	if err := typeurl.UnmarshalTo(rec.Spec, &spec); err != nil {
		return nil, err
	}
	p := spec.Process
	p.Args, p.Terminal = e.Command, e.TTY
	p.Env = mergeEnv(p.Env, e.Env)
	if e.TTY {
		p.Env = mergeEnv([]string{"TERM=xterm"}, p.Env)
	}
	if e.WorkingDir != "" {
		p.Cwd = e.WorkingDir
	}
	if e.User != "" {
		im, err := d.image(ctx, c.meta.Image)
		if err != nil {
			return nil, err
		}
		mounts, err := d.snap.Mounts(ctx, snapshotKey(c.rid))
		if err != nil {
			return nil, err
		}
		u, err := d.execUser(im, e.User, mounts)
		if err != nil {
			return nil, err
		}
		p.User = specs.User{UID: uint32(u.Uid), GID: uint32(u.Gid), AdditionalGids: groups(u)}
	}
	return p, nil
}

func (d *Driver) resizes(c *container, name string, sizes <-chan driver.Size) (stop func()) {
	if sizes == nil {
		return func() {}
	}
	done := make(chan struct{})
	go func() {
		for {
			select {
			case s, ok := <-sizes:
				if !ok {
					return
				}
				_, _ = d.cl.TaskService().ResizePty(d.ctx, &tasks.ResizePtyRequest{
					ContainerID: c.rid, ExecID: name, Width: uint32(s.Columns), Height: uint32(s.Rows),
				})
			case <-done:
				return
			}
		}
	}()
	return func() { close(done) }
}

func (d *Driver) execError(c *container, err error) error {
	if native := errgrpc.ToNative(err); errdefs.IsNotFound(native) {
		return fmt.Errorf("container %s is not running: %w", c.id, driver.ErrNotFound)
	}
	return startError(err)
}

func randomName() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
