package agent

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/driver"
)

func after(c types.ContainerDefinition, on string, cond types.ContainerCondition) types.ContainerDefinition {
	c.DependsOn = append(c.DependsOn, types.ContainerDependency{ContainerName: &on, Condition: cond})
	return c
}

func optional(c types.ContainerDefinition) types.ContainerDefinition {
	c.Essential = aws.Bool(false)
	return c
}

func checked(c types.ContainerDefinition, interval, retries int32) types.ContainerDefinition {
	c.HealthCheck = &types.HealthCheck{Command: []string{"CMD", "check"}, Interval: &interval, Retries: &retries}
	return c
}

func TestMayStart(t *testing.T) {
	at := nowUTC()
	zero, one := 0, 1
	pending := container{Name: "d", Status: cluster.Pending}
	running := container{Name: "d", Status: cluster.Running, Started: at}
	healthy := container{Name: "d", Status: cluster.Running, Started: at, Health: types.HealthStatusHealthy}
	unhealthy := container{Name: "d", Status: cluster.Running, Started: at, Health: types.HealthStatusUnhealthy}
	good := container{Name: "d", Status: cluster.Stopped, Started: at, ExitCode: &zero}
	bad := container{Name: "d", Status: cluster.Stopped, Started: at, ExitCode: &one}
	never := container{Name: "d", Status: cluster.Stopped}
	for _, c := range []struct {
		cond types.ContainerCondition
		on   container
		want string // yes, no, never
	}{
		{"START", pending, "no"}, {"START", running, "yes"}, {"START", good, "yes"}, {"START", never, "yes"},
		{"COMPLETE", running, "no"}, {"COMPLETE", good, "yes"}, {"COMPLETE", bad, "yes"}, {"COMPLETE", never, "never"},
		{"SUCCESS", pending, "no"}, {"SUCCESS", good, "yes"}, {"SUCCESS", bad, "never"}, {"SUCCESS", never, "never"},
		{"HEALTHY", pending, "no"}, {"HEALTHY", running, "no"}, {"HEALTHY", healthy, "yes"},
		{"HEALTHY", unhealthy, "never"}, {"HEALTHY", good, "never"}, {"HEALTHY", never, "never"},
	} {
		def := after(of("c", "i"), "d", c.cond)
		ok, err := mayStart(&def, &state{Containers: []container{c.on}})
		got := map[bool]string{true: "yes", false: "no"}[ok]
		if err != nil {
			got = "never"
		}
		if got != c.want {
			t.Errorf("%s of %+v: %s (%v), want %s", c.cond, c.on, got, err, c.want)
		}
	}
}

// started is when each of a task's containers was started, by name.
func (n *node) times(task string) map[string]container {
	out := make(map[string]container)
	for _, k := range n.a.engine.get(task).now().Containers {
		out[k.Name] = k
	}
	return out
}

// Containers start after what they depend on and end before it.
func TestOrder(t *testing.T) {
	inBubble(t, func(t *testing.T, n *node) {
		task := vpcTask("172.31.0.9",
			after(after(of("app", "sim/stop-3s:1"), "migrate", "SUCCESS"), "db", "HEALTHY"),
			optional(after(of("migrate", "sim/exit-0-after-20s:1"), "db", "START")),
			checked(of("db", "sim/stop-2s:1"), 5, 3),
		)
		n.p.run(task)
		n.p.reaches(task, cluster.Running)
		at := n.times(lastPart(task.ARN))
		if at["migrate"].Started.Before(*at["db"].Started) {
			t.Error("migrate started before db")
		}
		if d := at["app"].Started.Sub(*at["migrate"].Started); d < 20*time.Second || d > 21*time.Second {
			t.Errorf("app started %v after migrate", d)
		}
		tk := n.a.engine.get(lastPart(task.ARN))
		n.p.end(task)
		n.p.reaches(task, cluster.Stopped)
		var app, db container
		for _, k := range tk.now().Containers {
			switch k.Name {
			case "app":
				app = k
			case "db":
				db = k
			}
		}
		if d := db.Finished.Sub(*app.Finished); d < 2*time.Second {
			t.Errorf("db, which takes 2 s to end, ended %v after app", d)
		}
	})
}

func TestDependencyFails(t *testing.T) {
	inBubble(t, func(t *testing.T, n *node) {
		task := vpcTask("172.31.0.9",
			after(of("app", "busybox:1"), "migrate", "SUCCESS"),
			optional(of("migrate", "sim/exit-9-after-5s:1")),
		)
		n.p.run(task)
		end := n.p.reaches(task, cluster.Stopped)
		if want := "CannotStartContainerError: container app depends on migrate: it did not exit with success (exit code 9)"; end.Reason != want {
			t.Errorf("reason %q", end.Reason)
		}
	})
}

func TestStartTimeout(t *testing.T) {
	inBubble(t, func(t *testing.T, n *node) {
		db := checked(of("db", "sim/exec-1:1"), 300, 10)
		db.StartTimeout = aws.Int32(45)
		task := vpcTask("172.31.0.9", after(of("app", "busybox:1"), "db", "HEALTHY"), db)
		began := time.Now()
		n.p.run(task)
		end := n.p.reaches(task, cluster.Stopped)
		if !strings.Contains(end.Reason, "dependency db did not meet its condition within its startTimeout") {
			t.Errorf("reason %q", end.Reason)
		}
		if d := time.Since(began); d < 45*time.Second || d > 50*time.Second {
			t.Errorf("it took %v", d)
		}
	})
}

func TestHealth(t *testing.T) {
	inBubble(t, func(t *testing.T, n *node) {
		task := vpcTask("172.31.0.9", checked(of("good", "busybox:1"), 30, 3), checked(of("bad", "sim/exec-1:1"), 10, 2))
		began := time.Now()
		n.p.run(task)
		n.p.until("health", func() bool { return n.p.health["good"] == "HEALTHY" })
		// A healthy container is seen to be so well before its first interval.
		if d := time.Since(began); d > 5*time.Second {
			t.Errorf("HEALTHY after %v", d)
		}
		n.p.until("bad health", func() bool { return n.p.health["bad"] == "UNHEALTHY" })
		// Failures count from the first interval on, as on AWS: at 10 and 20 s.
		if d := time.Since(began); d < 20*time.Second || d > 25*time.Second {
			t.Errorf("UNHEALTHY after %v", d)
		}
	})
}

func TestJudge(t *testing.T) {
	const unknown, healthy, unhealthy = types.HealthStatusUnknown, types.HealthStatusHealthy, types.HealthStatusUnhealthy
	c := checked(of("c", "busybox:1"), 30, 2)
	c.HealthCheck.StartPeriod = aws.Int32(100)
	h := &healthCheck{plan: planOf(*c.HealthCheck)}
	for i, step := range []struct {
		now   types.HealthStatus
		err   error
		early bool
		age   time.Duration
		want  types.HealthStatus
	}{
		{unknown, errUnhealthy, true, time.Second, ""},
		{unknown, errUnhealthy, false, 60 * time.Second, ""}, // start period
		{unknown, errUnhealthy, false, 99 * time.Second, ""},
		{unknown, errUnhealthy, false, 101 * time.Second, ""},
		{unknown, errUnhealthy, false, 131 * time.Second, unhealthy},
		{unhealthy, errUnhealthy, false, 161 * time.Second, ""}, // no change
		{unhealthy, nil, false, 191 * time.Second, healthy},
		{healthy, nil, false, 221 * time.Second, ""},
		// Once healthy, failures count even within the start period.
		{healthy, errUnhealthy, true, 10 * time.Second, ""},
		{healthy, errUnhealthy, false, 40 * time.Second, unhealthy},
	} {
		if got := h.judge(step.now, step.err, step.early, step.age); got != step.want {
			t.Errorf("step %d: %q, want %q", i, got, step.want)
		}
	}
}

func TestRestartPolicy(t *testing.T) {
	inBubble(t, func(t *testing.T, n *node) {
		c := of("c", "sim/exit-1-after-70s:1")
		c.RestartPolicy = &types.ContainerRestartPolicy{Enabled: aws.Bool(true), RestartAttemptPeriod: aws.Int32(60), IgnoredExitCodes: []int32{7}}
		task := vpcTask("172.31.0.9", c)
		n.p.run(task)
		n.p.reaches(task, cluster.Running)
		time.Sleep(5 * time.Minute)
		if got := n.statusesOf(task.ARN); strings.Contains(got, "STOP") {
			t.Errorf("it ended: %s", got)
		}
		if got := n.times(lastPart(task.ARN))["c"].Restarts; got != 4 {
			t.Errorf("%d restarts in 5 minutes", got)
		}
		n.p.end(task)
		n.p.reaches(task, cluster.Stopped)
	})
	tk := &task{st: state{Desired: cluster.Running}}
	now := time.Now()
	for _, c := range []struct {
		code int
		ran  time.Duration
		want bool
	}{{1, 61 * time.Second, true}, {1, 59 * time.Second, false}, {7, time.Hour, false}, {0, time.Hour, true}} {
		def := of("c", "i")
		def.RestartPolicy = &types.ContainerRestartPolicy{Enabled: aws.Bool(true), RestartAttemptPeriod: aws.Int32(60), IgnoredExitCodes: []int32{7}}
		k := &container{Started: ptr(now.Add(-c.ran))}
		if got := tk.mayRestart(&def, k, driver.Exit{Code: c.code, At: now}); got != c.want {
			t.Errorf("exit %d after %v: restart %v", c.code, c.ran, got)
		}
	}
}
