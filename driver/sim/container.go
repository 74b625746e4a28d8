package sim

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/dhowhq/dhow/driver"
)

// container is a simulated container; Driver.mu guards all of it.
type container struct {
	driver.Container
	does   *Behaviour // shared by the containers of an image
	script *script    // &nothing where the command says nothing that is understood
	ends   time.Time  // when it will end by itself or by a signal; zero: not
	code   int        // with which code
	oom    bool
	timer  *event
	busy   bool // Start is under way
	limit  int64
}

// nothing is the script of most containers: one for all, to save memory.
var nothing script

func (c *container) public() driver.Container { return c.Container }

// Create keeps a container. The image must have been pulled.
func (d *Driver) Create(ctx context.Context, s driver.Spec) error {
	if err := driver.ValidID(s.ID); err != nil {
		return err
	}
	im, err := d.present(s.Image)
	if err != nil {
		return err
	}
	if err := d.pause(ctx, d.cfg.Create); err != nil {
		return err
	}
	c := &container{
		Container: driver.Container{
			ID: s.ID, Labels: s.Labels, Image: s.Image, State: driver.Created, CreatedAt: time.Now(), LogPath: s.LogPath,
		},
		does:   &im.does,
		script: &nothing,
		limit:  s.Memory,
	}
	if s.Pause {
		c.does = &Behaviour{}
	} else if p := parseCommand(slices.Concat(s.Entrypoint, s.Command)); p.Known {
		c.script = &p
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return errClosed
	}
	if d.containers[s.ID] != nil {
		return fmt.Errorf("container %s exists already", s.ID)
	}
	if s.LogPath != "" {
		if err := writeLog(s.LogPath, ""); err != nil {
			return err
		}
	}
	if err := d.save(c); err != nil {
		return err
	}
	d.containers[s.ID] = c
	return nil
}

// Start makes a created container run.
func (d *Driver) Start(ctx context.Context, id string) (int, error) {
	d.mu.Lock()
	c := d.containers[id]
	switch {
	case c == nil:
		d.mu.Unlock()
		return 0, missing(id)
	case c.State != driver.Created || c.busy:
		d.mu.Unlock()
		return 0, fmt.Errorf("container %s cannot be started: it was started before", id)
	}
	c.busy = true
	takes, fails := c.does.start(d.cfg), c.does.Fail == "command"
	d.mu.Unlock()

	err := d.pause(ctx, takes)
	d.mu.Lock()
	defer d.mu.Unlock()
	c.busy = false
	switch {
	case err != nil:
		return 0, err
	case d.closed:
		return 0, errClosed
	case d.containers[id] != c:
		return 0, missing(id)
	case fails:
		return 0, failure{driver.ErrCommand, `exec: "simulated": executable file not found in $PATH`}
	}
	if c.LogPath != "" && c.script.Output != "" {
		if err := writeLog(c.LogPath, c.script.Output); err != nil {
			return 0, err
		}
	}
	d.nextPid++
	c.State, c.StartedAt, c.Pid = driver.Running, time.Now(), firstPid+d.nextPid
	c.plan()
	if err := d.save(c); err != nil {
		c.State, c.StartedAt, c.Pid, c.ends = driver.Created, time.Time{}, 0, time.Time{}
		return 0, err
	}
	d.schedule(c)
	return c.Pid, nil
}

// firstPid is above any real pid, so that nobody signals a process by it.
const firstPid = 1 << 24

// plan decides when a starting container ends by itself.
func (c *container) plan() {
	switch {
	case c.does.OOM:
		c.ends, c.code, c.oom = c.StartedAt.Add(c.does.After), c.does.Exit, true
	case c.script.Ends:
		c.ends, c.code = c.StartedAt.Add(c.script.After), c.script.Exit
	case c.script.Known: // sleeps for ever, or ends in a server
	case c.does.Ends:
		c.ends, c.code = c.StartedAt.Add(c.does.After), c.does.Exit
	}
}

// schedule sets the timer to the container's end. d.mu is held.
func (d *Driver) schedule(c *container) {
	d.engine.stop(c.timer)
	c.timer = nil
	if c.State != driver.Running || c.ends.IsZero() {
		return
	}
	c.timer = d.engine.after(c.ends, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if !d.closed && c.State == driver.Running && !c.ends.IsZero() && !time.Now().Before(c.ends) {
			d.end(c, true)
		}
	})
}

// end turns a running container into an ended one. d.mu is held.
func (d *Driver) end(c *container, tell bool) {
	c.State, c.Pid = driver.Exited, 0
	c.ExitCode, c.FinishedAt, c.OOMKilled = c.code, c.ends, c.oom
	d.engine.stop(c.timer)
	c.timer = nil
	_ = d.save(c) // it is in memory; the next Open works it out from the plan
	if tell {
		d.tell(driver.Exit{ID: c.ID, Code: c.ExitCode, OOMKilled: c.OOMKilled, At: c.FinishedAt})
	}
}

// Signal ends the container as the signal and the container's behaviour say.
func (d *Driver) Signal(_ context.Context, id string, sig syscall.Signal) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.containers[id]
	if c == nil || c.State != driver.Running {
		return fmt.Errorf("container %s is not running: %w", id, driver.ErrNotFound)
	}
	now := time.Now()
	var at time.Time
	code := 128 + int(sig)
	switch sig {
	case syscall.SIGKILL:
		at = now
	case syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGHUP:
		stop := c.does.stop(d.cfg)
		if sig == syscall.SIGTERM && c.script.Ignores || stop < 0 {
			return nil
		}
		if sig == syscall.SIGTERM && c.script.Trapped {
			code = c.script.Trap
		}
		at = now.Add(stop)
	default:
		return nil
	}
	if !c.ends.IsZero() && c.ends.Before(at) {
		return nil // it ends by itself before that
	}
	c.ends, c.code, c.oom = at, code, false
	if !at.After(now) {
		d.end(c, true)
		return nil
	}
	d.schedule(c)
	return d.save(c)
}

// Delete removes the container, killing it if need be.
func (d *Driver) Delete(ctx context.Context, id string) error {
	if err := d.pause(ctx, d.cfg.Delete); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.containers[id]
	if c == nil {
		return nil
	}
	if c.State == driver.Running {
		c.ends, c.code, c.oom = time.Now(), 137, false
		d.end(c, true)
	}
	delete(d.containers, id)
	return d.forget("containers", id)
}

// Stats shows a steady load.
func (d *Driver) Stats(_ context.Context, id string) (driver.Stats, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.containers[id]
	if c == nil || c.State != driver.Running {
		return driver.Stats{}, fmt.Errorf("container %s is not running: %w", id, driver.ErrNotFound)
	}
	now := time.Now()
	cpu, mem, limit := c.does.CPU, c.does.Memory, c.limit
	if cpu == 0 {
		cpu = 0.01
	}
	if mem == 0 {
		mem = 8 << 20
	}
	if limit == 0 {
		limit = 1 << 36
	}
	return driver.Stats{
		At: now, CPUNanos: uint64(cpu * float64(now.Sub(c.StartedAt))),
		MemoryBytes: uint64(mem), MemoryLimit: uint64(limit), Pids: 1,
	}, nil
}

// Exec runs a command that the simulation understands; any other ends at once
// with the code that the image's name says.
func (d *Driver) Exec(ctx context.Context, id string, e driver.Exec) (int, error) {
	d.mu.Lock()
	c := d.containers[id]
	running := c != nil && c.State == driver.Running
	d.mu.Unlock()
	if !running {
		return 0, fmt.Errorf("container %s is not running: %w", id, driver.ErrNotFound)
	}
	if len(e.Command) == 0 {
		return 0, failure{driver.ErrCommand, "no command specified"}
	}
	s := parseCommand(e.Command)
	if !s.Known {
		return c.does.Exec, nil
	}
	if e.Stdout != nil {
		if _, err := io.WriteString(e.Stdout, s.Output); err != nil {
			return 0, err
		}
	}
	if !s.Ends {
		<-ctx.Done()
		return 0, ctx.Err()
	}
	if err := d.pause(ctx, s.After); err != nil {
		return 0, err
	}
	return s.Exit, nil
}

func missing(id string) error {
	return fmt.Errorf("container %s: %w", id, driver.ErrNotFound)
}

func writeLog(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o640)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}
