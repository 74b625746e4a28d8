package deploy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
)

var (
	noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	here = cluster.Scope{Account: "000000000000", Region: "us-east-1"}
)

const group = "arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/web/1"

// service is one at work on deployment new; old is the one before.
func service(desired int32, change ...func(*cluster.Service)) cluster.Service {
	s := cluster.Service{Scope: here, Cluster: "c", Name: "web", Status: "ACTIVE", DesiredCount: desired,
		Deployments: []cluster.Deployment{{ID: "new", Status: "PRIMARY", RolloutState: types.DeploymentRolloutStateInProgress}}}
	for _, f := range change {
		f(&s)
	}
	return s
}

func percents(least, most int32) func(*cluster.Service) {
	return func(s *cluster.Service) {
		s.Configuration.MinimumHealthyPercent, s.Configuration.MaximumPercent = &least, &most
	}
}

func withOld(s *cluster.Service) {
	s.Deployments = append(s.Deployments, cluster.Deployment{ID: "old", Status: "ACTIVE", RolloutState: types.DeploymentRolloutStateCompleted})
}

func completed(s *cluster.Service) {
	s.Deployments[0].RolloutState = types.DeploymentRolloutStateCompleted
	d := s.Deployments[0]
	s.Stable = &d
}

func breaker(rollback bool) func(*cluster.Service) {
	return func(s *cluster.Service) {
		s.Configuration.DeploymentCircuitBreaker = &types.DeploymentCircuitBreaker{Enable: true, Rollback: rollback}
	}
}

func deleted(s *cluster.Service) { s.Status = "DRAINING" }

// task makes a task of a deployment: RUNNING and healthy since long.
func task(id, deployment string, change ...func(*cluster.Task)) cluster.Task {
	started := noon.Add(-time.Hour)
	t := cluster.Task{Scope: here, Cluster: "c", ID: id, Service: "web", StartedBy: deployment, Node: "n1", Zone: "us-east-1a",
		Desired: cluster.Running, Last: cluster.Running, CreatedAt: started, StartedAt: &started, HealthyAt: &started,
		Containers: []cluster.Container{{Name: "app", Essential: true}}}
	for _, f := range change {
		f(&t)
	}
	return t
}

func starting(t *cluster.Task) { t.Last, t.StartedAt, t.HealthyAt = cluster.Pending, nil, nil }
func unsettled(t *cluster.Task) {
	at := noon.Add(-time.Second)
	t.StartedAt, t.HealthyAt = &at, nil
}
func checked(h types.HealthStatus) func(*cluster.Task) {
	return func(t *cluster.Task) { t.Health, t.Containers[0].Health = h, h }
}
func crashed(t *cluster.Task) {
	at := noon
	t.Desired, t.Last, t.StopCode, t.StoppedAt, t.ExecutionStoppedAt = cluster.Stopped, cluster.Stopped, types.TaskStopCodeEssentialContainerExited, &at, &at
}
func neverRan(t *cluster.Task) {
	crashed(t)
	t.StopCode, t.StartedAt, t.HealthyAt = types.TaskStopCodeTaskFailedToStart, nil, nil
}
func told(t *cluster.Task)  { t.Desired = cluster.Stopped }
func fresh(t *cluster.Task) { t.HealthyAt = nil }
func in(zone, node string) func(*cluster.Task) {
	return func(t *cluster.Task) { t.Zone, t.Node = zone, node }
}
func on(instance string) func(*cluster.Task) { return func(t *cluster.Task) { t.Instance = instance } }
func draining(t *cluster.Task) {
	at := noon.Add(-time.Minute)
	t.Draining, t.StopCode, t.StoppedReason = &at, types.TaskStopCodeServiceSchedulerInitiated, "because"
}

// show puts what a plan wants on one line.
func show(c Changes) string {
	var out []string
	if c.Start > 0 {
		out = append(out, fmt.Sprint("start ", c.Start))
	}
	for _, t := range c.Tasks {
		out = append(out, [...]string{"note", "healthy", "drain", "stop"}[t.Do]+" "+t.Task.ID)
	}
	for _, b := range c.Register {
		out = append(out, "register "+b.Target.ID)
	}
	for _, b := range c.Deregister {
		out = append(out, "deregister "+b.Target.ID)
	}
	for _, d := range c.Service.Deployments {
		if d.Status == "PRIMARY" {
			out = append(out, d.ID+" "+string(d.RolloutState))
		}
	}
	if c.Service.Status != "ACTIVE" {
		out = append(out, c.Service.Status)
	}
	return strings.Join(out, ", ")
}

func TestPlan(t *testing.T) {
	type tasks = []cluster.Task
	bound := func(states map[string]string) map[string][]Bound {
		out := map[string][]Bound{}
		for id, s := range states {
			out[id] = []Bound{{Group: group, Port: 80, Target: Target{ID: id, Port: 80}, State: s, Reason: "why"}}
		}
		return out
	}
	throttled := func(s *cluster.Service) { s.Deployments[0].RetryAt = noon.Add(time.Minute) }
	full := func(s *cluster.Service) { s.Deployments[0].PlacementFailure = "no room" }
	failedState := func(s *cluster.Service) { s.Deployments[0].RolloutState = types.DeploymentRolloutStateFailed }
	grace := func(n int32) func(*cluster.Service) { return func(s *cluster.Service) { s.HealthGrace = n } }
	failures := func(n int32) func(*cluster.Service) {
		return func(s *cluster.Service) { s.Deployments[0].FailedTasks = n }
	}
	rollbackTo := func(s *cluster.Service) {
		s.Stable = &cluster.Deployment{ID: "old", Status: "PRIMARY", Family: "web", Revision: 1, RolloutState: types.DeploymentRolloutStateCompleted}
	}

	for _, c := range []struct {
		name  string
		svc   cluster.Service
		tasks tasks
		lb    map[string]string // target states by task
		want  string
	}{
		{"nothing there", service(3), nil, nil, "start 3, new IN_PROGRESS"},
		{"none wanted", service(0), nil, nil, "new COMPLETED"},
		{"all there", service(2), tasks{task("a", "new"), task("b", "new")}, nil, "new COMPLETED"},
		{"starting ones count", service(2), tasks{task("a", "new"), task("b", "new", starting)}, nil, "new IN_PROGRESS"},
		{"not settled yet", service(1), tasks{task("a", "new", unsettled)}, nil, "new IN_PROGRESS"},
		{"healthy for the first time", service(1), tasks{task("a", "new", fresh)}, nil, "healthy a, new COMPLETED"},
		{"a check that has not passed", service(1), tasks{task("a", "new", fresh, checked("UNKNOWN"))}, nil, "new IN_PROGRESS"},
		{"a check that passed", service(1), tasks{task("a", "new", fresh, checked("HEALTHY"))}, nil, "healthy a, new COMPLETED"},

		{"a dead one is replaced at once", service(2, completed), tasks{task("a", "new"), task("b", "new", crashed)}, nil, "start 1, note b, new COMPLETED"},
		{"one that the user stops is replaced", service(1, completed), tasks{task("a", "new", told)}, nil, "start 1, new COMPLETED"},
		{"a stopping one counts against the maximum", service(1, completed, percents(0, 100)), tasks{task("a", "new", told)}, nil, "new COMPLETED"},
		{"throttled", service(1, throttled), nil, nil, "new IN_PROGRESS"},
		{"a task that never ran throttles", service(1), tasks{task("a", "new", neverRan)}, nil, "note a, new IN_PROGRESS"},
		{"tasks of another life are stopped", service(0), tasks{task("a", "ecs-svc/1")}, nil, "stop a, new IN_PROGRESS"},

		{"scale out", service(3, completed), tasks{task("a", "new")}, nil, "start 2, new COMPLETED"},
		{"scale in ends what does not run first", service(1, completed), tasks{task("a", "new"), task("b", "new", starting)}, nil, "stop b, new COMPLETED"},
		{"scale in keeps zones in balance", service(2, completed), tasks{task("a", "new", in("us-east-1a", "n1")), task("b", "new", in("us-east-1b", "n2")),
			task("c", "new", in("us-east-1a", "n1"))}, nil, "stop a, new COMPLETED"},

		{"rolling: new ones first", service(2, withOld), tasks{task("a", "old"), task("b", "old")}, nil, "start 2, new IN_PROGRESS"},
		{"rolling: old ones stay until new ones serve", service(2, withOld), tasks{task("a", "old"), task("b", "old"), task("c", "new", unsettled), task("d", "new", starting)}, nil, "new IN_PROGRESS"},
		{"rolling: one for one", service(2, withOld), tasks{task("a", "old"), task("b", "old"), task("c", "new"), task("d", "new", starting)}, nil, "stop a, new IN_PROGRESS"},
		{"rolling: done", service(2, withOld), tasks{task("c", "new"), task("d", "new")}, nil, "new COMPLETED"},
		{"rolling: old ones on their way out hold it up", service(1, withOld), tasks{task("a", "old", told), task("c", "new")}, nil, "new IN_PROGRESS"},
		{"0/100 stops first", service(1, withOld, percents(0, 100)), tasks{task("a", "old")}, nil, "stop a, new IN_PROGRESS"},
		{"50/100 stops half first", service(4, withOld, percents(50, 100)), tasks{task("a", "old"), task("b", "old"), task("c", "old"), task("d", "old")}, nil, "stop a, stop b, new IN_PROGRESS"},
		{"50/150 does both", service(2, withOld, percents(50, 150)), tasks{task("a", "old"), task("b", "old")}, nil, "start 1, stop a, new IN_PROGRESS"},
		{"50/200 starts first", service(2, withOld, percents(50, 200)), tasks{task("a", "old"), task("b", "old")}, nil, "start 2, new IN_PROGRESS"},
		{"50/200 without room stops down to the minimum", service(2, withOld, percents(50, 200), full), tasks{task("a", "old"), task("b", "old")}, nil, "start 2, stop a, new IN_PROGRESS"},
		{"100/200 without room waits", service(2, withOld, full), tasks{task("a", "old"), task("b", "old")}, nil, "start 2, new IN_PROGRESS"},
		{"minimum rounds up, maximum down", service(3, withOld, percents(50, 133)), tasks{task("a", "old"), task("b", "old"), task("c", "old")}, nil, "stop a, new IN_PROGRESS"},
		{"old ones that only start make room", service(2, withOld), tasks{task("a", "old", starting), task("b", "old")}, nil, "start 2, stop a, new IN_PROGRESS"},
		{"old ones count as they run", service(1, withOld), tasks{task("a", "old", unsettled)}, nil, "start 1, healthy a, new IN_PROGRESS"},
		{"smaller and newer at once", service(1, withOld), tasks{task("a", "old"), task("b", "old"), task("c", "old")}, nil, "stop a, stop b, new IN_PROGRESS"},
		{"throttled ones take nothing from the old", service(1, withOld, percents(0, 100), throttled), tasks{task("a", "old")}, nil, "new IN_PROGRESS"},
		{"a failed one starts nothing", service(2, withOld, failedState), tasks{task("a", "old"), task("b", "old", starting)}, nil, "new FAILED"},

		{"registered when it runs", service(1), tasks{task("a", "new", fresh)}, map[string]string{"a": ""}, "register a, new IN_PROGRESS"},
		{"not before", service(1), tasks{task("a", "new", starting)}, map[string]string{"a": ""}, "new IN_PROGRESS"},
		{"initial is not healthy", service(1), tasks{task("a", "new", fresh)}, map[string]string{"a": "initial"}, "new IN_PROGRESS"},
		{"healthy target", service(1), tasks{task("a", "new", fresh)}, map[string]string{"a": "healthy"}, "healthy a, new COMPLETED"},
		{"both checks", service(1), tasks{task("a", "new", fresh, checked("UNKNOWN"))}, map[string]string{"a": "healthy"}, "new IN_PROGRESS"},
		{"a group without load balancer holds nothing up", service(1), tasks{task("a", "new", fresh)}, map[string]string{"a": "unused"}, "healthy a, new COMPLETED"},
		{"old ones drain first", service(1, withOld), tasks{task("a", "old"), task("b", "new")}, map[string]string{"a": "healthy", "b": "healthy"}, "drain a, deregister a, new IN_PROGRESS"},
		{"drains on", service(1, withOld), tasks{task("a", "old", draining), task("b", "new")}, map[string]string{"a": "draining", "b": "healthy"}, "new IN_PROGRESS"},
		{"asks again after a crash", service(1, withOld), tasks{task("a", "old", draining), task("b", "new")}, map[string]string{"a": "healthy", "b": "healthy"}, "deregister a, new IN_PROGRESS"},
		{"drained", service(1, withOld), tasks{task("a", "old", draining), task("b", "new")}, map[string]string{"a": "", "b": "healthy"}, "stop a, new IN_PROGRESS"},
		{"the dead leave their group", service(1, completed), tasks{task("a", "new", crashed)}, map[string]string{"a": "healthy"}, "start 1, note a, deregister a, new COMPLETED"},
		{"one that the user stops leaves its group", service(1, completed), tasks{task("a", "new", told)}, map[string]string{"a": "healthy"}, "start 1, deregister a, new COMPLETED"},

		{"a sick new one goes and fails the deployment", service(1), tasks{task("a", "new", fresh)}, map[string]string{"a": "unhealthy"}, "start 1, drain a, deregister a, new IN_PROGRESS"},
		{"not in its grace period", service(1, grace(4000)), tasks{task("a", "new", fresh)}, map[string]string{"a": "unhealthy"}, "new IN_PROGRESS"},
		{"a sick old one is replaced first", service(1, completed), tasks{task("a", "new")}, map[string]string{"a": "unhealthy"}, "start 1, new COMPLETED"},
		{"until its replacement serves", service(1, completed), tasks{task("a", "new"), task("b", "new")}, map[string]string{"a": "unhealthy", "b": "healthy"}, "drain a, deregister a, new COMPLETED"},
		{"a sick one goes first where there is no room", service(2, completed, percents(50, 100)), tasks{task("a", "new", checked("UNHEALTHY")), task("b", "new", checked("UNHEALTHY"))}, nil, "stop a, new COMPLETED"},

		{"breaker: below the threshold", service(1, breaker(false), failures(2)), nil, nil, "start 1, new IN_PROGRESS"},
		{"breaker: at the threshold", service(1, breaker(false), failures(3)), nil, nil, "new FAILED"},
		{"breaker: counts the one that ends now", service(1, breaker(false), failures(2)), tasks{task("a", "new", neverRan)}, nil, "note a, new FAILED"},
		{"breaker: a task that ran and died counts", service(1, breaker(false), failures(2)), tasks{task("a", "new", fresh, crashed)}, nil, "note a, new FAILED"},
		{"breaker: not one that was healthy", service(1, breaker(false), failures(2)), tasks{task("a", "new", crashed)}, nil, "start 1, note a, new IN_PROGRESS"},
		{"breaker: a healthy task resets", service(2, breaker(false), failures(3)), tasks{task("a", "new", fresh)}, nil, "start 1, healthy a, new IN_PROGRESS"},
		{"breaker: rolls back", service(1, withOld, breaker(true), failures(3), rollbackTo), tasks{task("a", "old"), task("b", "new", starting)}, nil, "stop b, old IN_PROGRESS"},
		{"breaker: rolls back to what is gone", service(1, breaker(true), failures(3), rollbackTo), nil, nil, "start 1, old IN_PROGRESS"},

		{"deletion", service(0, deleted), tasks{task("a", "new"), task("b", "new", starting)}, nil, "stop b, stop a, new IN_PROGRESS, DRAINING"},
		{"deletion waits", service(0, deleted), tasks{task("a", "new", told)}, nil, "new IN_PROGRESS, DRAINING"},
		{"deleted", service(0, deleted), tasks{task("a", "new", told, func(t *cluster.Task) { t.Last = cluster.Stopping })}, nil, "INACTIVE"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := plan(view{Now: noon, Settle: 5 * time.Second, Service: c.svc, Tasks: c.tasks, Bound: bound(c.lb)})
			if s := show(got); s != c.want {
				t.Errorf("got  %s\nwant %s", s, c.want)
			}
		})
	}
}

func TestLeavingInstances(t *testing.T) {
	v := view{Now: noon, Service: service(3, completed), Leaving: map[string]bool{"i1": true},
		Tasks: []cluster.Task{task("a", "new", on("i1")), task("b", "new", on("i1"), starting), task("c", "new", on("i2"))}}
	if got := show(plan(v)); got != "start 2, stop b, new COMPLETED" {
		t.Error(got)
	}
	v.Tasks = append(v.Tasks[:1], task("c", "new", on("i2")), task("d", "new", on("i2")), task("e", "new", on("i2")))
	if got := show(plan(v)); got != "stop a, new COMPLETED" {
		t.Error(got)
	}
}

// A service that packs its nodes empties those that have the most free, though
// that unbalances the zones.
func TestScaleInPacks(t *testing.T) {
	sized := func(memory int64) func(*cluster.Task) {
		return func(t *cluster.Task) { t.Reserved = cluster.Resources{CPU: 1, Memory: memory} }
	}
	packing := func(field string) func(*cluster.Service) {
		return func(s *cluster.Service) {
			s.PlacementStrategy = []types.PlacementStrategy{{Type: types.PlacementStrategyTypeBinpack, Field: &field}}
		}
	}
	tasks := []cluster.Task{task("a", "new", in("us-east-1a", "n1"), sized(100)), task("b", "new", in("us-east-1a", "n1"), sized(100)),
		task("c", "new", in("us-east-1b", "n2"), sized(100)), task("d", "new", in("us-east-1b", "n3"), sized(300))}
	free := map[string]int64{"n1": 50, "n2": 500, "n3": 350}
	for _, c := range []struct {
		desired int32
		change  func(*cluster.Service)
		want    string
	}{
		{3, packing("MEMORY"), "stop d, new COMPLETED"}, // 350 + 300 is more than 500 + 100
		{2, packing("memory"), "stop d, stop c, new COMPLETED"},
		{1, packing("memory"), "stop d, stop c, stop a, new COMPLETED"},
		{3, packing("cpu"), "stop c, new COMPLETED"},
		{3, func(*cluster.Service) {}, "stop a, new COMPLETED"},
	} {
		if got := show(plan(view{Now: noon, Service: service(c.desired, completed, c.change), Tasks: tasks, Free: free})); got != c.want {
			t.Errorf("%d desired: %s, want %s", c.desired, got, c.want)
		}
	}
}

func TestRebalance(t *testing.T) {
	enabled := func(s *cluster.Service) { s.ZoneRebalancing = types.AvailabilityZoneRebalancingEnabled }
	a := func(id string, change ...func(*cluster.Task)) cluster.Task {
		return task(id, "new", append(change, in("us-east-1a", "n1"))...)
	}
	b := func(id string, change ...func(*cluster.Task)) cluster.Task {
		return task(id, "new", append(change, in("us-east-1b", "n2"))...)
	}
	moving := func(s *cluster.Service) { s.Deployments[0].Extra = 1 }
	newer := func(t *cluster.Task) { t.CreatedAt = noon.Add(-time.Minute) }
	two := []string{"us-east-1a", "us-east-1b"}
	for _, c := range []struct {
		name  string
		svc   cluster.Service
		zones []string
		tasks []cluster.Task
		want  string
		wait  time.Duration // RebalanceAt from now
	}{
		{"crowded", service(2, completed, enabled), two, []cluster.Task{a("1"), a("2")}, "start 1, new COMPLETED", 0},
		{"even", service(3, completed, enabled), two, []cluster.Task{a("1"), a("2"), b("3")}, "new COMPLETED", 0},
		{"one zone", service(2, completed, enabled), two[:1], []cluster.Task{a("1"), a("2")}, "new COMPLETED", 0},
		{"off", service(2, completed), two, []cluster.Task{a("1"), a("2")}, "new COMPLETED", 0},
		{"no room", service(2, completed, enabled, percents(50, 100)), two, []cluster.Task{a("1"), a("2")}, "new COMPLETED", 0},
		{"under way", service(2, completed, enabled, moving), two, []cluster.Task{a("1"), a("2"), b("3", starting)}, "new COMPLETED", 0},
		{"moved", service(2, completed, enabled, moving), two, []cluster.Task{a("1"), a("2"), b("3", newer)}, "stop 1, new COMPLETED", moveEvery},
		{"in vain", service(2, completed, enabled, moving), two, []cluster.Task{a("1"), a("2"), a("3", newer)}, "stop 3, new COMPLETED", moveRefused},
		{"a deployment comes between", service(2, enabled, moving), two, []cluster.Task{a("1"), a("2"), b("3", starting)}, "stop 3, new IN_PROGRESS", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := plan(view{Now: noon, Service: c.svc, Tasks: c.tasks, Zones: c.zones})
			if s := show(got); s != c.want {
				t.Errorf("got  %s\nwant %s", s, c.want)
			}
			if at := got.Service.RebalanceAt; c.wait == 0 != at.IsZero() || !at.IsZero() && at.Sub(noon) != c.wait {
				t.Errorf("again at %v", at)
			}
		})
	}
}

// TestPlanChangesNothingOfItsInput: rows are shared with the store's cache.
func TestPlanChangesNothingOfItsInput(t *testing.T) {
	s := service(1, withOld, breaker(true), func(s *cluster.Service) { s.Deployments[0].FailedTasks = 3 })
	s.Stable = &cluster.Deployment{ID: "old"}
	before := fmt.Sprintf("%+v", s)
	plan(view{Now: noon, Service: s, Tasks: []cluster.Task{task("a", "old"), task("b", "new", neverRan)}})
	if after := fmt.Sprintf("%+v", s); after != before {
		t.Errorf("before %s\nafter  %s", before, after)
	}
}

func TestThreshold(t *testing.T) {
	for _, c := range []struct {
		kind    types.ThresholdType
		value   int32
		desired int
		want    int32
	}{
		{"", 0, 1, 3}, {"", 0, 6, 3}, {"", 0, 7, 4}, {"", 0, 25, 13}, {"", 0, 1000, 200},
		{types.ThresholdTypeBoundedPercent, 10, 100, 10}, {types.ThresholdTypeUnboundedPercent, 50, 1000, 500},
		{types.ThresholdTypeUnboundedPercent, 10, 1, 1}, {types.ThresholdTypeCount, 2, 1000, 2},
	} {
		b := types.DeploymentCircuitBreaker{}
		if c.kind != "" {
			b.ThresholdConfiguration = &types.ThresholdConfiguration{Type: c.kind, Value: c.value}
		}
		if got := threshold(b, c.desired); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
}

func TestBackoff(t *testing.T) {
	if a, b, c, d := backoff(1), backoff(2), backoff(3), backoff(40); a != firstBackoff || b != 2*firstBackoff || c != 4*firstBackoff || d != 27*time.Minute {
		t.Error(a, b, c, d)
	}
}

// TestWake: a plan that waits for time says until when.
func TestWake(t *testing.T) {
	for what, c := range map[string]struct {
		v    view
		want time.Time
	}{
		"settling":  {view{Service: service(1), Tasks: []cluster.Task{task("a", "new", unsettled)}}, noon.Add(4 * time.Second)},
		"throttled": {view{Service: service(1, func(s *cluster.Service) { s.Deployments[0].RetryAt = noon.Add(time.Minute) })}, noon.Add(time.Minute)},
		"nothing":   {view{Service: service(1, completed), Tasks: []cluster.Task{task("a", "new")}}, time.Time{}},
	} {
		c.v.Now, c.v.Settle = noon, 5*time.Second
		if got := plan(c.v).Wake; !got.Equal(c.want) {
			t.Errorf("%s: %v, want %v", what, got, c.want)
		}
	}
}

// TestCrashLoop: tasks that run and die are replaced at once, but not for ever.
func TestCrashLoop(t *testing.T) {
	s := service(1, completed)
	soon := func(t *cluster.Task) {
		at := noon.Add(-time.Second)
		t.StartedAt, t.HealthyAt = &at, nil
	}
	for i := range freeExits + 1 {
		c := plan(view{Now: noon, Service: s, Tasks: []cluster.Task{task("a", "new", soon, crashed)}})
		if want := i < freeExits; (c.Start == 1) != want {
			t.Fatalf("death %d: starts %d", i+1, c.Start)
		}
		s = c.Service
	}
	if got := s.Deployments[0].RetryAt.Sub(noon); got != crashPace {
		t.Error(got)
	}
}

func TestMessages(t *testing.T) {
	c := plan(view{Now: noon, Service: service(1, breaker(false), func(s *cluster.Service) { s.Deployments[0].FailedTasks = 3 })})
	if !slices.Contains(c.Messages, message{Text: "(service web) (deployment new) deployment failed: tasks failed to start."}) ||
		c.Service.Deployments[0].RolloutReason != "ECS deployment circuit breaker: tasks failed to start." {
		t.Errorf("%+v", c)
	}
	c = plan(view{Now: noon, Service: service(1), Tasks: []cluster.Task{task("a", "new")}})
	if len(c.Messages) != 2 || c.Messages[0].Text != "(service web) (deployment new) deployment completed." ||
		c.Messages[1].Text != "(service web) has reached a steady state." || len(c.Actions) != 2 {
		t.Errorf("%+v %+v", c.Messages, c.Actions)
	}
	// Steady once.
	if again := plan(view{Now: noon.Add(time.Hour), Service: c.Service, Tasks: []cluster.Task{task("a", "new")}}); len(again.Messages) != 0 || len(again.Actions) != 0 {
		t.Errorf("%+v", again)
	}
}
