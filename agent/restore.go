package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/driver"
	"github.com/dhowhq/dhow/network"
)

// restore takes up tasks, containers and endpoints.
func (e *engine) restore(ctx context.Context) error {
	values, err := e.openRecords()
	if err != nil {
		return fmt.Errorf("task state: %w", err)
	}
	list, err := e.cfg.Driver.List(ctx)
	if err != nil {
		return fmt.Errorf("containers: %w", err)
	}
	e.resumed = len(values) > 0 || len(list) > 0
	found := make(map[string]driver.Container, len(list))
	for _, c := range list {
		found[c.ID] = c
	}
	tasks := e.load(values)
	if err := e.sweep(ctx, list); err != nil {
		return err
	}
	for _, t := range tasks {
		t.resume(found)
	}
	return nil
}

// load makes the tasks that are recorded known. A task whose records cannot be
// used is given up.
func (e *engine) load(values map[string]json.RawMessage) (tasks []*task) {
	ids := make(map[string]bool)
	for name := range values {
		id, _, _ := strings.Cut(name, "/")
		ids[id] = true
	}
	for id := range ids {
		msg, st, err := loadTask(values, id)
		if err != nil {
			if !errors.Is(err, errHalf) {
				e.log.Error("a task's state cannot be read; the task is given up", "task", id, "err", err)
			}
			// What is left of it does no harm: the next start meets it again.
			if err := e.dropRecords(id); err != nil {
				e.log.Warn("the records of a task that is given up are left", "task", id, "err", err)
			}
			continue
		}
		t := bareTask(e, msg)
		t.st = st
		e.tasks[t.id] = t
		tasks = append(tasks, t)
	}
	return tasks
}

// sweep removes containers, endpoints and files that belong to no task.
func (e *engine) sweep(ctx context.Context, list []driver.Container) error {
	for _, c := range list {
		if e.byContainer(c.ID) == nil {
			e.log.Info("removing a container that belongs to no task", "container", c.ID)
			if err := e.cfg.Driver.Delete(ctx, c.ID); err != nil {
				return err
			}
		}
	}
	ends, err := e.cfg.Network.List(ctx)
	if err != nil {
		return fmt.Errorf("network endpoints: %w", err)
	}
	for _, a := range ends {
		id, _, _ := strings.Cut(a.ID, "-")
		if t := e.tasks[id]; t != nil {
			t.noteAddress(a)
		} else {
			e.log.Info("removing a network endpoint that belongs to no task", "endpoint", a.ID)
			if err := e.cfg.Network.Remove(ctx, a.ID); err != nil {
				return err
			}
		}
	}
	return errors.Join(e.sweepDir("tasks"), e.sweepDir("etc"))
}

// sweepDir removes what lies in a directory whose entries begin with the ids
// of tasks, for tasks that are not there.
func (e *engine) sweepDir(name string) error {
	dir := filepath.Join(e.cfg.DataDir, name)
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	var errs []error
	for _, f := range entries {
		if id, _, _ := strings.Cut(f.Name(), "-"); e.tasks[id] == nil {
			errs = append(errs, os.RemoveAll(filepath.Join(dir, f.Name())))
		}
	}
	return errors.Join(errs...)
}

// takeUp puts back what a task that runs has of the agent in it: sockets in its
// namespaces, the tailing of its output, and its health checks.
func (t *task) takeUp() {
	if t.def == nil {
		return
	}
	vpc := ""
	if i := t.msg.Dhow.Interface; i != nil {
		vpc = i.Network
	}
	serve := func(id, vpc string) {
		// Without the namespace there is nothing to serve: the launch makes it.
		if err := t.serve(t.eng.ctx, id, vpc); err != nil && !errors.Is(err, network.ErrNotFound) {
			t.log.Warn("cannot serve a task that was running", "endpoint", id, "err", err)
		}
	}
	switch t.mode() {
	case network.Bridge:
	case network.Host:
		if err := t.eng.meta.serveHost(); err != nil {
			t.log.Warn("cannot serve a task that was running", "err", err)
		}
		t.rewriteDNS()
	default:
		serve(t.id, vpc)
	}
	for _, k := range t.now().Containers {
		if k.Started == nil {
			continue
		}
		c := t.defOf(k.Name)
		t.followLog(c)
		if k.Status == cluster.Running {
			if t.mode() == network.Bridge {
				serve(k.ID, "")
			}
			t.armHealth(c)
		}
	}
}

// resume carries on with a task where an earlier agent left it.
func (t *task) resume(found map[string]driver.Container) {
	var ended []driver.Exit
	t.mu.Lock()
	t.paused = found[t.pauseID()].State == driver.Running
	for i := range t.st.Containers {
		k := &t.st.Containers[i]
		c, there := found[k.ID]
		switch {
		case k.Status == cluster.Stopped:
		case there && c.State == driver.Running:
			k.Status = cluster.Running
			if k.Started == nil {
				k.Started = ptr(c.StartedAt.UTC())
			}
		case there && c.State == driver.Exited:
			if k.Started == nil {
				k.Started = ptr(c.StartedAt.UTC())
			}
			ended = append(ended, driver.Exit{ID: k.ID, Code: c.ExitCode, OOMKilled: c.OOMKilled, At: c.FinishedAt})
		case k.Restarts > 0 && k.Status == cluster.Pending:
			k.Started = nil // its restart was broken off: it is started anew
		case k.Started != nil:
			k.Status, k.Finished, k.Reason = cluster.Stopped, nowUTC(), "the container was gone when the node came back"
			if c := t.defOf(k.Name); c == nil || essential(c) {
				t.st.fail(essentialExited)
			}
		}
	}
	t.st.settle(t.def)
	last, stop := t.st.Last, t.st.Desired == cluster.Stopped
	t.mu.Unlock()
	t.change(func(*state) {}) // saved, and reported once more: the last report may be lost
	if last == cluster.Stopped {
		t.eng.cleanup(t)
		return
	}
	t.takeUp()
	for _, x := range ended {
		t.exited(x)
	}
	if stop {
		t.wind()
		return
	}
	t.spawn(t.launch)
}
