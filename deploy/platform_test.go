package deploy

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
	"github.com/dhowhq/dhow/store/storetest"
)

// platform is a store with a cluster c, nodes, definition web:1 and web:2, and
// a node's side that runs what it is told to.
type platform struct {
	t    *testing.T
	db   *store.DB
	ctx  context.Context
	lb   *balancer
	fail func(cluster.Task) bool // tasks that never reach RUNNING
	sick func(cluster.Task) bool // tasks whose targets are never healthy
	port atomic.Int32            // the last host port given
}

func newPlatform(t *testing.T) *platform {
	p := &platform{t: t, db: storetest.Open(t)}
	ctx, cancel := context.WithCancel(context.Background())
	p.ctx = ctx
	t.Cleanup(cancel)
	p.lb = &balancer{targets: map[string]string{}, changed: make(chan struct{}, 1), p: p}
	p.put(func(tx *store.Tx) error {
		c := cluster.Cluster{Scope: here, Name: "c", Status: "ACTIVE", CreatedAt: time.Now()}
		if err := cluster.Clusters.Put(tx, c); err != nil {
			return err
		}
		for i, zone := range []string{"a", "b"} {
			n := cluster.Node{ID: fmt.Sprint("n", i+1), Zone: zone, Total: cluster.Resources{CPU: 4096, Memory: 8192}, Everyone: true, Fargate: true, Connected: true}
			if err := cluster.Nodes.Put(tx, n); err != nil {
				return err
			}
			if err := cluster.Enroll(tx, n, c); err != nil {
				return err
			}
		}
		for rev := int32(1); rev <= 2; rev++ {
			d := cluster.TaskDefinition{Scope: here, Family: "web", Revision: rev, Def: types.TaskDefinition{
				ContainerDefinitions: []types.ContainerDefinition{{Name: ptr("app"), Image: ptr("app"), Cpu: 64, Memory: ptr(int32(64)),
					PortMappings: []types.PortMapping{{ContainerPort: ptr(int32(80)), HostPort: ptr(int32(0))}}}}}}
			if err := cluster.TaskDefinitions.Put(tx, d); err != nil {
				return err
			}
		}
		return nil
	})
	return p
}

func (p *platform) put(f func(tx *store.Tx) error) {
	p.t.Helper()
	if err := p.db.Update(p.ctx, f); err != nil && p.ctx.Err() == nil {
		p.t.Fatal(err)
	}
}

// run starts the node's side and the loop; both end with the test, the loop
// earlier if stop is called.
func (p *platform) run(c Config) (stop func()) {
	c.DB, c.Log = p.db, slog.New(slog.NewTextHandler(p.t.Output(), nil))
	ctx, cancel := context.WithCancel(p.ctx)
	var wg sync.WaitGroup
	wg.Go(func() { New(c).Run(ctx) })
	stop = sync.OnceFunc(func() { cancel(); wg.Wait() })
	p.t.Cleanup(stop)
	return stop
}

// nodes plays the nodes: what is placed runs, what shall stop stops.
func (p *platform) nodes() {
	commits, end := p.db.Watch(cluster.Tasks)
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(p.ctx)
	p.t.Cleanup(func() { cancel(); wg.Wait(); end() })
	wg.Go(func() {
		for {
			var act []cluster.Task
			p.db.View(func(r store.Reader) error {
				for t := range cluster.Tasks.List(r, "") {
					if t.Last != cluster.Stopped && (t.Last.Before(cluster.Running) || t.Desired == cluster.Stopped) {
						act = append(act, t)
					}
				}
				return nil
			})
			for _, t := range act {
				p.step(t)
			}
			select {
			case <-ctx.Done():
				return
			case <-commits:
			}
		}
	})
}

func (p *platform) step(t cluster.Task) {
	switch {
	case t.Desired == cluster.Stopped:
		p.end(t, t.StopCode)
	case p.fail != nil && p.fail(t):
		p.end(t, types.TaskStopCodeTaskFailedToStart)
	default:
		p.save(t, func(t *cluster.Task) {
			at := time.Now().UTC()
			t.Last, t.StartedAt = cluster.Running, &at
			t.Containers = slices.Clone(t.Containers)
			for i := range t.Containers {
				port := p.port.Add(1)
				t.Containers[i].Last = cluster.Running
				t.Containers[i].Bindings = []types.NetworkBinding{{ContainerPort: ptr(int32(80)), HostPort: &port}}
			}
		})
	}
}

// end reports that a task has ended.
func (p *platform) end(t cluster.Task, code types.TaskStopCode) {
	p.save(t, func(t *cluster.Task) {
		at := time.Now().UTC()
		t.Desired, t.Last, t.StopCode, t.StoppedAt, t.ExecutionStoppedAt = cluster.Stopped, cluster.Stopped, code, &at, &at
	})
}

func (p *platform) save(t cluster.Task, change func(*cluster.Task)) {
	p.put(func(tx *store.Tx) error {
		now, ok := cluster.Tasks.Get(tx, t.Key())
		if !ok || now.Last == cluster.Stopped {
			return nil
		}
		change(&now)
		return cluster.SaveTask(tx, now)
	})
}

// create puts a service; deploy gives it a new primary deployment.
func (p *platform) create(name string, desired int32, change ...func(*cluster.Service)) {
	s := cluster.Service{Scope: here, Cluster: "c", Name: name, ID: cluster.NewID(), Status: "ACTIVE", DesiredCount: desired, LaunchType: types.LaunchTypeEc2}
	for _, f := range change {
		f(&s)
	}
	p.put(func(tx *store.Tx) error { return cluster.Services.Put(tx, s) })
	p.deploy(name, "d1", 1)
}

func (p *platform) change(name string, f func(*cluster.Service)) {
	p.put(func(tx *store.Tx) error {
		s, _ := cluster.Services.Get(tx, cluster.ServiceKey(here, "c", name))
		s.Deployments = slices.Clone(s.Deployments)
		f(&s)
		return cluster.Services.Put(tx, s)
	})
}

func (p *platform) deploy(name, id string, revision int32) {
	p.change(name, func(s *cluster.Service) {
		for i := range s.Deployments {
			s.Deployments[i].Status = "ACTIVE"
		}
		s.SteadyAt = nil
		s.Deployments = slices.Insert(s.Deployments, 0, cluster.Deployment{ID: id, Status: "PRIMARY", Family: "web", Revision: revision,
			LaunchType: s.LaunchType, LoadBalancers: s.LoadBalancers, RolloutState: types.DeploymentRolloutStateInProgress, CreatedAt: time.Now().UTC()})
	})
}

func (p *platform) service(name string) (s cluster.Service) {
	p.db.View(func(r store.Reader) error {
		s, _ = cluster.Services.Get(r, cluster.ServiceKey(here, "c", name))
		return nil
	})
	return s
}

func (p *platform) running(name string) (out []cluster.Task) {
	p.db.View(func(r store.Reader) error {
		for t := range cluster.Tasks.By(r, "open", cluster.ServiceKey(here, "c", name)) {
			if t.Last == cluster.Running {
				out = append(out, t)
			}
		}
		return nil
	})
	return out
}

func (p *platform) log(name string) string {
	var lines []string
	p.db.View(func(r store.Reader) error {
		l, _ := cluster.ServiceLogs.Get(r, cluster.ServiceKey(here, "c", name))
		for _, e := range l.Events {
			lines = append(lines, e.Message)
		}
		return nil
	})
	return strings.Join(lines, "\n")
}

// wait polls for a condition.
func (p *platform) wait(what string, ok func() bool) {
	p.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			s := p.service("web")
			p.t.Fatalf("%s: not within 20 s\n%+v\n%s", what, s, p.log("web"))
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func (p *platform) steady(name, deployment string, n int) func() bool {
	return func() bool {
		s := p.service(name)
		return s.SteadyAt != nil && s.Primary().ID == deployment && len(s.Deployments) == 1 && len(p.running(name)) == n
	}
}

// balancer plays target groups: targets are healthy soon, and drain at once.
type balancer struct {
	p       *platform
	mu      sync.Mutex
	targets map[string]string
	calls   []string
	changed chan struct{}
}

func (b *balancer) key(group string, t Target) string {
	return fmt.Sprint(group, " ", t.ID, ":", t.Port)
}

func (b *balancer) Register(_ context.Context, group string, t Target) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	k := b.key(group, t)
	b.calls = append(b.calls, "register")
	b.targets[k] = "initial"
	b.later(k, func() string {
		if b.p.sick != nil && b.p.sick(b.task(t)) {
			return "unhealthy"
		}
		return "healthy"
	})
	return nil
}

func (b *balancer) task(target Target) (found cluster.Task) {
	b.p.db.View(func(r store.Reader) error {
		for t := range cluster.Tasks.List(r, "") {
			for _, c := range t.Containers {
				for _, x := range c.Bindings {
					if int(*x.HostPort) == target.Port && t.Last == cluster.Running {
						found = t
					}
				}
			}
		}
		return nil
	})
	return found
}

func (b *balancer) Deregister(_ context.Context, group string, t Target) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	k := b.key(group, t)
	b.calls = append(b.calls, "deregister")
	if b.targets[k] != "" {
		b.targets[k] = "draining"
		b.later(k, func() string { return "" })
	}
	return nil
}

func (b *balancer) later(k string, state func() string) {
	time.AfterFunc(20*time.Millisecond, func() {
		s := state()
		b.mu.Lock()
		b.targets[k] = s
		b.mu.Unlock()
		signal(b.changed)
	})
}

func (b *balancer) Health(group string, t Target) (string, string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.targets[b.key(group, t)], "Health checks failed"
}

func (b *balancer) Changed() <-chan struct{} { return b.changed }

func (b *balancer) states() (out []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, k := range slices.Sorted(maps.Keys(b.targets)) {
		if s := b.targets[k]; s != "" {
			out = append(out, s)
		}
	}
	return out
}

func balanced(s *cluster.Service) {
	s.LoadBalancers = []types.LoadBalancer{{TargetGroupArn: ptr(group), ContainerName: ptr("app"), ContainerPort: ptr(int32(80))}}
}
