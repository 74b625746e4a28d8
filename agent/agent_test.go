package agent

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/driver/sim"
	netsim "github.com/dhowhq/dhow/network/sim"
)

// node is an agent under test with its simulated machine, which outlives it.
type node struct {
	t   *testing.T
	p   *plane
	cfg Config
	drv *sim.Driver
	net *netsim.Manager

	machine string // where simulated containers outlive the driver; "" if the driver is not ours

	a    *Agent
	stop context.CancelFunc
	done chan error
}

// inBubble runs f with a node in a synctest bubble.
func inBubble(t *testing.T, f func(t *testing.T, n *node), adjust ...func(*Config)) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlane(t)
		n := &node{t: t, p: p, cfg: p.config(t.TempDir()), machine: t.TempDir(), net: netsim.New()}
		n.cfg.Network = n.net
		for _, g := range adjust {
			g(&n.cfg)
		}
		n.start()
		defer func() { // also after t.Fatal, or the bubble never ends
			n.halt()
			p.stop()
			n.drv.Close()
		}()
		f(t, n)
	})
}

func (n *node) start() {
	n.t.Helper()
	if n.machine != "" {
		if n.drv != nil {
			n.drv.Close() // exits that it has not told are not for the next one
		}
		c := sim.Typical()
		c.Dir = n.machine
		drv, err := sim.Open(c)
		if err != nil {
			n.t.Fatal(err)
		}
		n.drv, n.cfg.Driver = drv, drv
	}
	a, err := New(n.cfg)
	if err != nil {
		n.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	n.a, n.stop, n.done = a, cancel, make(chan error, 1)
	go func() { n.done <- a.Run(ctx) }()
}

// halt ends the agent; its containers go on.
func (n *node) halt() {
	n.t.Helper()
	n.stop()
	if err := <-n.done; err != nil {
		n.t.Errorf("the agent ended with %v", err)
	}
}

func TestRunAndStop(t *testing.T) {
	inBubble(t, func(t *testing.T, n *node) {
		task := vpcTask("172.31.0.9", box("web", "trap 'exit 3' TERM; sleep infinity"))
		n.p.run(task)
		run := n.p.reaches(task, cluster.Running)
		if len(run.Containers) != 1 || run.Containers[0].Status != "RUNNING" || run.Containers[0].RuntimeID == "" || run.Containers[0].ImageDigest == "" || run.PullStartedAt == nil {
			t.Errorf("RUNNING was reported as %+v", run)
		}
		n.p.end(task)
		end := n.p.reaches(task, cluster.Stopped)
		if c := end.Containers[0]; c.Status != "STOPPED" || c.ExitCode == nil || *c.ExitCode != 3 || end.Reason != "" || end.ExecutionStoppedAt == nil {
			t.Errorf("STOPPED was reported as %+v", end)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if list, _ := n.drv.List(t.Context()); len(list) != 0 {
			t.Errorf("containers are left: %+v", list)
		}
		if ends, _ := n.net.List(t.Context()); len(ends) != 0 {
			t.Errorf("endpoints are left: %+v", ends)
		}
		if n.a.engine.get(lastPart(task.ARN)) != nil {
			t.Error("the task is not forgotten")
		}
	})
}
