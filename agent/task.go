package agent

import (
	"context"
	"hash/fnv"
	"log/slog"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/internal/acs"
	"github.com/dhowhq/dhow/network"
)

// task is one task on this node. While it starts and while it stops goroutines
// of its own work on it; a task that just runs has none.
type task struct {
	eng *engine
	log *slog.Logger
	arn string
	id  string                // the last part of the ARN
	dir string                // of its own volumes; there if it has some
	msg acs.Task              // as sent, without its credentials' keys; not changed
	def *types.TaskDefinition // msg's, nil if there is none

	arrived time.Time // from the control plane; zero for a task of an earlier agent

	ctx    context.Context // of the launch and of restarts; ends when the task is to stop
	cancel context.CancelFunc
	idle   sync.WaitGroup // launch and restarts

	sharing sync.Mutex // held while the pause is started; taken before mu

	mu       sync.Mutex
	st       state
	changed  chan struct{} // closed, and replaced, with every change of st
	stopping bool          // wind is at work
	paused   bool          // the pause runs, see share
	running  map[string]*running
	eps      []*endpoint
	addrs    map[string]string    // of bridge endpoints, by container id
	role     *acs.RoleCredentials // of the task role; after a restart without keys until these are sent

	report report
}

// running is what only this process knows of a container.
type running struct {
	health *healthCheck
}

// newTask makes the task that was sent, with nothing done yet.
func newTask(e *engine, msg acs.Task) *task {
	t := bareTask(e, msg)
	t.arrived = time.Now()
	t.st = state{Desired: cluster.Status(msg.DesiredStatus), Last: cluster.Provisioning}
	if msg.NetworkMode != string(types.NetworkModeAwsvpc) {
		t.st.Last = cluster.Pending
	}
	if t.def == nil {
		return t
	}
	for _, c := range t.def.ContainerDefinitions {
		k := container{Name: deref(c.Name), ID: containerID(t.id, deref(c.Name)), Status: cluster.Pending}
		if hasCheck(c) {
			k.Health = types.HealthStatusUnknown
		}
		t.st.Containers = append(t.st.Containers, k)
	}
	return t
}

func bareTask(e *engine, msg acs.Task) *task {
	t := &task{eng: e, msg: msg, arn: msg.ARN, id: lastPart(msg.ARN), changed: make(chan struct{}), running: make(map[string]*running)}
	t.log = e.log.With("task", t.id)
	t.dir = filepath.Join(e.cfg.DataDir, "tasks", t.id)
	t.ctx, t.cancel = context.WithCancel(e.ctx)
	t.role = msg.Role
	t.msg.Role, t.msg.ExecutionRole = withoutKeys(msg.Role), nil
	if msg.Dhow != nil {
		t.def = msg.Dhow.Definition
	}
	return t
}

func lastPart(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }

// containerID is the runtime's name of a task's container, in the form that
// AWS gives its own.
func containerID(task, name string) string {
	h := fnv.New32a()
	h.Write([]byte(name))
	return task + "-" + strconv.FormatUint(1e9+uint64(h.Sum32()), 10)
}

// mode is the task's network mode.
func (t *task) mode() network.Mode {
	switch m := network.Mode(t.msg.NetworkMode); m {
	case network.AWSVPC, network.Host, network.None:
		return m
	}
	return network.Bridge
}

// defOf is the definition of the named container.
func (t *task) defOf(name string) *types.ContainerDefinition { return defIn(t.def, name) }

func defIn(def *types.TaskDefinition, name string) *types.ContainerDefinition {
	if def == nil {
		return nil
	}
	for i := range def.ContainerDefinitions {
		if deref(def.ContainerDefinitions[i].Name) == name {
			return &def.ContainerDefinitions[i]
		}
	}
	return nil
}

func essential(c *types.ContainerDefinition) bool { return c.Essential == nil || *c.Essential }

// change lets f change the state, and makes it known: to the disk, to those
// who wait, and to the control plane.
func (t *task) change(f func(s *state)) {
	t.mu.Lock()
	f(&t.st)
	err := t.saveState()
	last := t.st.Last
	close(t.changed)
	t.changed = make(chan struct{})
	t.mu.Unlock()
	if err != nil {
		// The task goes on: what is lost is what a restart would know.
		t.log.Error("cannot save a task's state", "err", err)
	}
	t.eng.reports.dirty(t, last)
}

// pass moves the task on to a status that lasts only as long as the work at
// hand. It is not saved: a restart does that work again.
func (t *task) pass(to cluster.Status) {
	t.mu.Lock()
	forward := t.st.Last.Before(to)
	if forward {
		t.st.Last = to
		close(t.changed)
		t.changed = make(chan struct{})
	}
	t.mu.Unlock()
	if forward {
		t.eng.reports.dirty(t, to)
	}
}

// on changes one container.
func (t *task) on(name string, f func(c *container)) {
	t.change(func(s *state) {
		if c := s.find(name); c != nil {
			f(c)
		}
	})
}

func (s *state) find(name string) *container {
	for i := range s.Containers {
		if s.Containers[i].Name == name {
			return &s.Containers[i]
		}
	}
	return nil
}

// now is a copy of the state.
func (t *task) now() state {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.st
	s.Containers = slices.Clone(s.Containers)
	return s
}

// containerNow is a copy of one container's state.
func (t *task) containerNow(name string) container {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c := t.st.find(name); c != nil {
		return *c
	}
	return container{Name: name, Status: cluster.Stopped}
}

// wait returns when cond is true of the state, with cond's error, or with
// ctx's. cond runs under the task's lock.
func (t *task) wait(ctx context.Context, cond func(s *state) (bool, error)) error {
	for {
		t.mu.Lock()
		ok, err := cond(&t.st)
		changed := t.changed
		t.mu.Unlock()
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-changed:
		}
	}
}

// live is the in-memory part of a container; call with t.mu held.
func (t *task) live(name string) *running {
	r := t.running[name]
	if r == nil {
		r = &running{}
		t.running[name] = r
	}
	return r
}

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

func ptr[T any](v T) *T { return &v }

func nowUTC() *time.Time { return ptr(time.Now().UTC()) }
