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
	lag     time.Duration
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

func TestRollingDeployment(t *testing.T) {
	p := newPlatform(t)
	p.nodes()
	p.run(Config{SettleTime: 50 * time.Millisecond})
	p.create("web", 3)
	p.wait("steady", p.steady("web", "d1", 3))
	zones := map[string]int{}
	for _, x := range p.running("web") {
		zones[x.Zone]++
		if x.StartedBy != "d1" || x.Group != "service:web" || x.HealthyAt == nil {
			t.Errorf("%+v", x)
		}
	}
	if len(zones) != 2 {
		t.Errorf("not spread over zones: %v", zones)
	}
	for _, line := range []string{"(service web) has started 3 tasks: (task ", "(service web) (deployment d1) deployment completed.", "(service web) has reached a steady state."} {
		if !strings.Contains(p.log("web"), line) {
			t.Errorf("the log lacks %q:\n%s", line, p.log("web"))
		}
	}

	p.deploy("web", "d2", 2)
	p.wait("the second deployment", p.steady("web", "d2", 3))
	for _, x := range p.running("web") {
		if x.Revision != 2 {
			t.Errorf("a task of revision %d is left", x.Revision)
		}
	}
	if !strings.Contains(p.log("web"), "has stopped") {
		t.Error(p.log("web"))
	}
	p.change("web", func(s *cluster.Service) { s.DesiredCount = 1 })
	p.wait("scaled in", p.steady("web", "d2", 1))

	p.change("web", func(s *cluster.Service) { s.Status, s.DesiredCount = "DRAINING", 0 })
	p.wait("deleted", func() bool { return p.service("web").Status == "INACTIVE" })
	if s := p.service("web"); len(s.Deployments) != 0 || s.Stable == nil || len(p.running("web")) != 0 {
		t.Errorf("%+v", s)
	}
	// What the tasks held is free again.
	p.db.View(func(r store.Reader) error {
		for l := range cluster.Ledgers.List(r, "") {
			if l.Tasks != 0 || l.Used.Memory != 0 {
				t.Errorf("%+v", l)
			}
		}
		return nil
	})
}

// TestReplacement: a dead task's replacement runs within 100 ms of the report.
func TestReplacement(t *testing.T) {
	p := newPlatform(t)
	p.nodes()
	p.run(Config{SettleTime: -1})
	p.create("web", 2)
	p.wait("steady", p.steady("web", "d1", 2))
	var best time.Duration
	for range 5 {
		dead := p.running("web")[0]
		at := time.Now()
		p.end(dead, types.TaskStopCodeEssentialContainerExited)
		p.wait("replaced", func() bool {
			live := p.running("web")
			return len(live) == 2 && !slices.ContainsFunc(live, func(x cluster.Task) bool { return x.ID == dead.ID })
		})
		if took := time.Since(at); best == 0 || took < best {
			best = took
		}
	}
	if best > 100*time.Millisecond {
		t.Errorf("took %v at best", best)
	}
	t.Logf("best of 5: %v", best)
}

func TestLoadBalancer(t *testing.T) {
	p := newPlatform(t)
	p.nodes()
	p.run(Config{Targets: p.lb})
	p.create("web", 2, balanced)
	p.wait("steady", p.steady("web", "d1", 2))
	if got := fmt.Sprint(p.lb.states()); got != "[healthy healthy]" {
		t.Error(got)
	}
	p.deploy("web", "d2", 2)
	p.wait("the second deployment", p.steady("web", "d2", 2))
	p.wait("the old targets gone", func() bool { return fmt.Sprint(p.lb.states()) == "[healthy healthy]" })
	for _, line := range []string{"(service web) registered 1 targets in (target-group " + group + ")", "has begun draining connections on", "deregistered"} {
		if !strings.Contains(p.log("web"), line) {
			t.Errorf("the log lacks %q:\n%s", line, p.log("web"))
		}
	}
	// A task that dies leaves its group.
	p.end(p.running("web")[0], types.TaskStopCodeEssentialContainerExited)
	p.wait("replaced", func() bool {
		return p.steady("web", "d2", 2)() && fmt.Sprint(p.lb.states()) == "[healthy healthy]"
	})
}

func TestUnhealthyTargets(t *testing.T) {
	p := newPlatform(t)
	p.sick = func(x cluster.Task) bool { return x.Revision == 2 }
	p.nodes()
	p.run(Config{Targets: p.lb})
	p.create("web", 1, balanced, breaker(true))
	p.wait("steady", p.steady("web", "d1", 1))
	p.deploy("web", "d2", 2)
	p.wait("rolled back", func() bool { return strings.Contains(p.log("web"), "rolling back to deployment d1.") })
	p.wait("steady again", p.steady("web", "d1", 1))
	p.db.View(func(r store.Reader) error {
		for x := range cluster.Tasks.By(r, "service", cluster.ServiceKey(here, "c", "web")) {
			if x.Revision == 2 && x.StoppedReason != "Task failed ELB health checks in (target-group "+group+")" && !strings.HasPrefix(x.StoppedReason, "Scaling activity") {
				t.Errorf("%s: %s", x.ID, x.StoppedReason)
			}
		}
		return nil
	})
	if !strings.Contains(p.log("web"), "is unhealthy in (target-group "+group+") due to (reason Health checks failed)") {
		t.Error(p.log("web"))
	}
}

func TestCircuitBreaker(t *testing.T) {
	p := newPlatform(t)
	p.fail = func(x cluster.Task) bool { return x.Revision == 2 }
	p.nodes()
	p.run(Config{SettleTime: -1})
	p.create("web", 2, breaker(true))
	p.wait("steady", p.steady("web", "d1", 2))
	before := p.running("web")
	at := time.Now()
	p.deploy("web", "d2", 2)
	p.wait("rolled back", p.steady("web", "d1", 2))
	t.Logf("rolled back after %v", time.Since(at))
	after := p.running("web")
	if before[0].ID != after[0].ID || before[1].ID != after[1].ID {
		t.Error("the old tasks did not stay")
	}
	var events []string
	p.db.View(func(r store.Reader) error {
		for e := range cluster.Events.List(r, "") {
			if e.Action != nil && e.Kind == cluster.DeploymentStateChange {
				events = append(events, e.Action.Name+" "+e.Action.Deployment)
			}
		}
		return nil
	})
	if got := fmt.Sprint(events); got != "[SERVICE_DEPLOYMENT_COMPLETED d1 SERVICE_DEPLOYMENT_FAILED d2 SERVICE_DEPLOYMENT_IN_PROGRESS d1 SERVICE_DEPLOYMENT_COMPLETED d1]" {
		t.Error(got)
	}
}

func TestNoRoom(t *testing.T) {
	p := newPlatform(t)
	p.nodes()
	p.run(Config{SettleTime: -1})
	p.create("big", 120) // 128 fit: 64 MiB each of 16384, 64 CPU units of 8192
	p.wait("steady", p.steady("big", "d1", 120))
	p.create("web", 10)
	p.wait("what fits runs", func() bool { return len(p.running("web")) == 8 })
	p.wait("said so", func() bool {
		return strings.Contains(p.log("web"), "(service web) was unable to place a task because no container instance met all of its requirements. The closest matching (container-instance ")
	})
	if n := strings.Count(p.log("web"), "was unable to place"); n != 1 {
		t.Errorf("said so %d times", n)
	}
	p.change("big", func(s *cluster.Service) { s.DesiredCount = 100 })
	p.wait("room", p.steady("web", "d1", 10))
	if d := p.service("web").Primary(); d.PlacementFailure != "" {
		t.Error(d.PlacementFailure)
	}
}

func TestDrainingInstance(t *testing.T) {
	p := newPlatform(t)
	p.nodes()
	p.run(Config{SettleTime: 20 * time.Millisecond})
	p.create("web", 4)
	p.wait("steady", p.steady("web", "d1", 4))
	p.put(func(tx *store.Tx) error {
		for i := range cluster.Instances.List(tx, here.Prefix("c")) {
			if i.Node == "n1" {
				i.Status = types.ContainerInstanceStatusDraining
				return cluster.SaveInstance(tx, i)
			}
		}
		return nil
	})
	p.wait("moved", func() bool {
		return p.steady("web", "d1", 4)() && !slices.ContainsFunc(p.running("web"), func(x cluster.Task) bool { return x.Node == "n1" })
	})
}

// TestTakesOver: a loop that begins in the middle of a deployment ends it.
func TestTakesOver(t *testing.T) {
	p := newPlatform(t)
	p.nodes()
	stop := p.run(Config{SettleTime: 30 * time.Millisecond})
	p.create("web", 6)
	p.wait("steady", p.steady("web", "d1", 6))
	p.deploy("web", "d2", 2)
	p.wait("under way", func() bool {
		return slices.ContainsFunc(p.running("web"), func(x cluster.Task) bool { return x.StartedBy == "d2" })
	})
	stop()
	p.run(Config{SettleTime: 30 * time.Millisecond})
	p.wait("done", p.steady("web", "d2", 6))
	n := 0
	p.db.View(func(r store.Reader) error {
		for x := range cluster.Tasks.By(r, "service", cluster.ServiceKey(here, "c", "web")) {
			if x.StartedBy == "d2" {
				n++
			}
		}
		return nil
	})
	if n != 6 {
		t.Errorf("%d tasks were started for a count of 6", n)
	}
}
