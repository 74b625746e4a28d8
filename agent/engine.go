package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/dhowhq/dhow/agent/logtail"
	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/internal/acs"
	"github.com/dhowhq/dhow/internal/register"
)

// engine runs the node's tasks. It does not need the control plane for it.
type engine struct {
	cfg     Config
	log     *slog.Logger
	images  *images
	reports *reports
	ctx     context.Context // ends with the agent
	cancel  context.CancelFunc
	records *register.Register // of tasks, by id
	work    sync.WaitGroup     // cleanups and the loop over exits
	resumed bool               // an earlier agent may have left things behind
	tails   *logtail.Tailer
	meta    *metadata
	schemas *schemas
	dns     hostDNS
	vpcs    vpcs
	samples samples
	healthy chan struct{} // a token: health has changed

	mu       sync.Mutex
	draining bool             // StopAll: no new tasks
	tasks    map[string]*task // by id
	buried   map[string]time.Time
	pruned   time.Time // when old output was looked through
}

func newEngine(c Config) *engine {
	e := &engine{cfg: c, log: c.Log, images: newImages(c), tasks: make(map[string]*task), buried: make(map[string]time.Time)}
	e.reports = newReports(c.Log)
	e.meta = newMetadata(e)
	e.schemas = newSchemas(e)
	e.vpcs.net = c.Network
	e.dns.eng = e
	e.healthy = make(chan struct{}, 1)
	return e
}

// open takes up what an earlier agent left, and then follows the containers.
func (e *engine) open(ctx context.Context) error {
	e.ctx, e.cancel = context.WithCancel(ctx)
	e.reports.ctx = e.ctx
	e.tails = logtail.New(e.ctx, e.log)
	if err := e.restore(e.ctx); err != nil {
		e.cancel()
		return fmt.Errorf("agent: cannot take up this node's tasks: %w", err)
	}
	e.pruneLogs(time.Now())
	e.work.Go(e.follow)
	return nil
}

// close lets go of everything and leaves the containers running.
func (e *engine) close() {
	e.cancel()
	for _, t := range e.all() {
		t.idle.Wait()
		t.release()
	}
	e.meta.close()
	e.schemas.close()
	e.dns.close()
	e.work.Wait()
	e.tails.Wait()
	e.records.Close()
}

// hostMetadata is where tasks in host mode find the metadata endpoint.
func (e *engine) hostMetadata() string { return e.meta.hostURL() }

// follow hands exits to their tasks.
func (e *engine) follow() {
	exits := e.cfg.Driver.Exits()
	for {
		select {
		case <-e.ctx.Done():
			return
		case x, ok := <-exits:
			if !ok {
				return
			}
			if t := e.byContainer(x.ID); t != nil {
				t.exited(x)
			}
		}
	}
}

// byContainer is the task of the container with this id, nil if it has none.
func (e *engine) byContainer(id string) *task {
	task, _, ok := cutLast(id, '-')
	if !ok {
		return nil
	}
	return e.get(task)
}

func cutLast(s string, sep byte) (before, after string, ok bool) {
	i := strings.LastIndexByte(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

func (e *engine) get(id string) *task {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.tasks[id]
}

// all is a snapshot of the tasks.
func (e *engine) all() []*task {
	e.mu.Lock()
	defer e.mu.Unlock()
	ts := make([]*task, 0, len(e.tasks))
	for _, t := range e.tasks {
		ts = append(ts, t)
	}
	return ts
}

// buriedFor is how long an ended task is remembered, so that a message about it
// that was under way does not start it again.
const buriedFor = 10 * time.Minute

// take takes charge of a task that was sent: a new one is begun, one that is
// to stop is stopped. After nil the task is safe on disk. An error means that
// it could not be taken, and will be sent again.
func (e *engine) take(msg acs.Task) error {
	if msg.ARN == "" || msg.Dhow == nil {
		return errors.New("agent: the task is not in the form that dhow's control plane sends")
	}
	id := lastPart(msg.ARN)
	stop := cluster.Status(msg.DesiredStatus) == cluster.Stopped
	e.mu.Lock()
	t, there := e.tasks[id]
	_, dead := e.buried[id]
	if !there && !dead && e.draining && !stop {
		e.mu.Unlock()
		return errDraining
	}
	if !there && !dead {
		t = newTask(e, msg)
		e.tasks[id] = t
	}
	e.mu.Unlock()
	switch {
	case there && stop:
		t.stop()
		return nil
	case there:
		t.setRole(acs.TaskApplication, msg.Role)
		return nil
	case dead:
		return nil
	}
	err := t.begin(stop)
	if err != nil {
		e.mu.Lock()
		delete(e.tasks, id)
		e.mu.Unlock()
	}
	return err
}

// lose tells the control plane that a task which it believes to run here does
// not: this node's data was lost.
func (e *engine) lose(arn, clusterARN string) error {
	msg := acs.Task{ARN: arn, Cluster: clusterARN, DesiredStatus: string(cluster.Stopped), Dhow: &acs.Dhow{}}
	return e.take(msg)
}

// begin records a new task and starts it, or reports it STOPPED at once if
// it is not wanted any more.
func (t *task) begin(stop bool) error {
	if err := t.saveTask(); err != nil {
		return err
	}
	if stop || t.def == nil {
		t.stop()
		return nil
	}
	t.mu.Lock()
	err := t.saveState()
	t.mu.Unlock()
	if err != nil {
		return err
	}
	t.eng.reports.dirty(t, t.now().Last)
	t.spawn(t.launch)
	return nil
}

// spawn does a part of the task's work, unless it is already to stop.
func (t *task) spawn(f func()) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stopping {
		return false
	}
	t.idle.Go(f)
	return true
}

// stop carries out the control plane's wish that the task end.
func (t *task) stop() {
	t.mu.Lock()
	known := t.st.Desired == cluster.Stopped && t.stopping
	t.mu.Unlock()
	if known {
		return
	}
	t.change(func(s *state) { s.fail("") })
	t.wind()
}

func (e *engine) forget(t *task) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.tasks, t.id)
	now := time.Now()
	for id, at := range e.buried {
		if now.Sub(at) > buriedFor {
			delete(e.buried, id)
		}
	}
	e.buried[t.id] = now
}

// cleanup removes what an ended task leaves, once its end is known: containers,
// files, and last the memory of it. It is off the way of everything else.
func (e *engine) cleanup(t *task) {
	e.work.Go(func() {
		for _, k := range t.now().Containers {
			e.retry("delete a container", func() error { return e.cfg.Driver.Delete(e.ctx, k.ID) })
		}
		if pid, ipc := t.shares(); pid || ipc {
			e.retry("delete a container", func() error { return e.cfg.Driver.Delete(e.ctx, t.pauseID()) })
		}
		t.drainLogs(e.ctx, drainAtMost)
		if t.reported(e.ctx) != nil {
			return
		}
		t.dropLogs()
		e.retry("remove a task's files", t.removeFiles)
		e.retry("remove a task's records", func() error { return e.dropRecords(t.id) })
		if e.ctx.Err() == nil {
			e.forget(t)
		}
	})
}

// drainAtMost bounds how long an ended task's output is kept for a log service
// that does not take it.
const drainAtMost = time.Hour

// retry does f until it works or the agent ends.
func (e *engine) retry(what string, f func() error) {
	for pause := time.Second; ; pause = min(2*pause, time.Minute) {
		err := f()
		if err == nil || e.ctx.Err() != nil {
			return
		}
		e.log.Warn("cannot "+what+", will retry", "err", err)
		select {
		case <-e.ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}
