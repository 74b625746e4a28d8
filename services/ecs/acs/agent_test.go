package acs

import (
	"context"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/agent"
	driversim "github.com/dhowhq/dhow/driver/sim"
	networksim "github.com/dhowhq/dhow/network/sim"
)

// machine runs dhow's own agent on a simulated machine, which outlives it.
type machine struct {
	w    *world
	cfg  agent.Config
	stop context.CancelFunc
	done chan error
}

// machine starts one, which reaches the control plane by dial, or itself where
// that is nil.
func (w *world) machine(c driversim.Config, dial func(context.Context) (net.Conn, error)) *machine {
	w.t.Helper()
	drv, err := driversim.Open(c)
	if err != nil {
		w.t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	m := &machine{w: w, cfg: agent.Config{
		DataDir: w.t.TempDir(), Log: log, Driver: drv, Network: networksim.New(), Cluster: "*", Region: "us-east-1",
		CPU: 64 * 1024, Memory: 64 * 1024, Endpoint: w.web.URL, Credentials: w.nodeKey(), Dial: dial,
	}}
	m.start()
	w.t.Cleanup(func() {
		m.halt()
		drv.Close()
	})
	return m
}

func (m *machine) start() {
	m.w.t.Helper()
	a, err := agent.New(m.cfg)
	if err != nil {
		m.w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	m.stop, m.done = cancel, make(chan error, 1)
	go func() { m.done <- a.Run(ctx) }()
}

func (m *machine) halt() {
	m.w.t.Helper()
	m.stop()
	select {
	case err := <-m.done:
		if err != nil {
			m.w.t.Errorf("the agent ended with %v", err)
		}
	case <-time.After(10 * time.Second):
		m.w.t.Error("the agent does not end")
	}
	m.done <- nil
}

// ready waits for the node's instance in cluster c to be connected.
func (w *world) ready() {
	w.t.Helper()
	w.until("a connected instance", func() bool {
		out, err := w.ecs.ListContainerInstances(w.t.Context(), &ecs.ListContainerInstancesInput{Cluster: aws.String("c")})
		return err == nil && len(out.ContainerInstanceArns) == 1 && w.connected(out.ContainerInstanceArns[0])
	})
}

func (w *world) reaches(arn, status string) {
	w.t.Helper()
	w.until("task in "+status, func() bool { return *w.task(arn).LastStatus == status })
}

// dhow's own agent against the real control plane, from RunTask to STOPPED.
func TestOwnAgent(t *testing.T) {
	w := newWorld(t)
	m := w.machine(driversim.Config{}, nil)
	w.ready()
	w.define("awsvpc", types.ContainerDefinition{Name: aws.String("web"), Image: aws.String("nginx")})
	arn := w.run(1, w.awsvpc)[0]
	w.reaches(arn, "RUNNING")
	got := w.task(arn)
	if got.StartedAt == nil || got.PullStartedAt == nil || got.Connectivity != "CONNECTED" || *got.Containers[0].LastStatus != "RUNNING" || *got.Containers[0].RuntimeId == "" {
		t.Errorf("running as %+v", got)
	}
	w.must(w.ecs.StopTask(t.Context(), &ecs.StopTaskInput{Cluster: aws.String("c"), Task: &arn, Reason: aws.String("enough")}))
	w.reaches(arn, "STOPPED")
	got = w.task(arn)
	if got.StopCode != "UserInitiated" || *got.StoppedReason != "enough" || got.StoppedAt == nil || got.ExecutionStoppedAt == nil || got.Containers[0].ExitCode == nil {
		t.Errorf("stopped as %+v", got)
	}

	// One that ends by itself.
	w.define("bridge", types.ContainerDefinition{Name: aws.String("job"), Image: aws.String("sim/exit-5:1")})
	arn = w.run(1)[0]
	w.reaches(arn, "STOPPED")
	got = w.task(arn)
	if got.StopCode != "EssentialContainerExited" || *got.StoppedReason != "Essential container in task exited" || *got.Containers[0].ExitCode != 5 || got.StartedAt == nil {
		t.Errorf("ended as %+v", got)
	}

	// One that cannot start.
	w.define("bridge", types.ContainerDefinition{Name: aws.String("job"), Image: aws.String("sim/fail-notfound:1")})
	arn = w.run(1)[0]
	w.reaches(arn, "STOPPED")
	got = w.task(arn)
	if got.StopCode != "TaskFailedToStart" || got.StartedAt != nil || got.Containers[0].ExitCode != nil || *got.Containers[0].Reason != *got.StoppedReason {
		t.Errorf("failed as %+v", got)
	}

	// The agent goes and comes back; its tasks do not notice.
	w.define("bridge", types.ContainerDefinition{Name: aws.String("web"), Image: aws.String("nginx")})
	arns := w.run(5)
	for _, arn := range arns {
		w.reaches(arn, "RUNNING")
	}
	m.halt()
	w.must(w.ecs.StopTask(t.Context(), &ecs.StopTaskInput{Cluster: aws.String("c"), Task: &arns[0]}))
	m.start()
	w.reaches(arns[0], "STOPPED")
	for _, arn := range arns[1:] {
		if got := *w.task(arn).LastStatus; got != "RUNNING" {
			t.Errorf("after the agent's restart a task is %s", got)
		}
	}
}

// A node whose data was lost says so, and its tasks do not count as running.
func TestLostData(t *testing.T) {
	w := newWorld(t)
	m := w.machine(driversim.Config{}, nil)
	w.ready()
	w.define("bridge", types.ContainerDefinition{Name: aws.String("web"), Image: aws.String("nginx")})
	arn := w.run(1)[0]
	w.reaches(arn, "RUNNING")
	m.halt()
	m.cfg.DataDir = t.TempDir()
	m.start()
	w.reaches(arn, "STOPPED")
	list, err := m.cfg.Driver.List(t.Context())
	if err != nil || len(list) != 0 {
		t.Errorf("its container is left: %+v, %v", list, err)
	}
}

// The way from RunTask to RUNNING, without what the runtime itself takes.
func TestOverhead(t *testing.T) {
	w := newWorld(t)
	w.machine(driversim.Config{}, nil)
	w.ready()
	w.define("awsvpc", types.ContainerDefinition{Name: aws.String("web"), Image: aws.String("nginx")})
	var worst time.Duration
	for range 10 {
		began := time.Now()
		arn := w.run(1, w.awsvpc)[0]
		w.reaches(arn, "RUNNING")
		worst = max(worst, time.Since(began))
	}
	t.Logf("worst of ten: %v", worst)
	if worst > 2*time.Second {
		t.Errorf("RunTask to RUNNING took %v", worst)
	}
}
