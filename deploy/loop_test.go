package deploy

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/cluster/launch"
	"github.com/dhowhq/dhow/store"
)

func (p *platform) instance(node string, status types.ContainerInstanceStatus) {
	p.put(func(tx *store.Tx) error {
		for i := range cluster.Instances.List(tx, here.Prefix("c")) {
			if i.Node == node {
				i.Status = status
				return cluster.SaveInstance(tx, i)
			}
		}
		return nil
	})
}

func TestMovesToAZoneThatOpens(t *testing.T) {
	p := newPlatform(t)
	p.instance("n2", types.ContainerInstanceStatusDraining)
	p.nodes()
	p.run(Config{SettleTime: -1})
	p.create("web", 2, func(s *cluster.Service) { s.ZoneRebalancing = types.AvailabilityZoneRebalancingEnabled })
	p.wait("steady", p.steady("web", "d1", 2))
	p.instance("n2", types.ContainerInstanceStatusActive)
	p.wait("moved", func() bool {
		live := p.running("web")
		return len(live) == 2 && live[0].Zone != live[1].Zone && p.service("web").SteadyAt != nil
	})
}

// TestCostOfACommit: what happens to one service is one service's work,
// however many there are.
func TestCostOfACommit(t *testing.T) {
	p := newPlatform(t)
	const n = 300
	p.nodes()
	e := New(Config{DB: p.db, SettleTime: -1, Targets: p.lb})
	ctx, cancel := context.WithCancel(p.ctx)
	done := make(chan struct{})
	go func() { e.Run(ctx); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
	for i := range n {
		p.create(fmt.Sprint("idle", i), 0)
	}
	p.create("web", 1)
	p.wait("all steady", func() bool {
		for i := range n {
			if p.service(fmt.Sprint("idle", i)).SteadyAt == nil {
				return false
			}
		}
		return p.steady("web", "d1", 1)()
	})
	before := e.passes.Load()
	for i := int32(1); i <= 5; i++ {
		p.change("web", func(s *cluster.Service) { s.DesiredCount = i })
		p.wait("scaled", p.steady("web", "d1", int(i)))
	}
	if spent := e.passes.Load() - before; spent > 100 {
		t.Errorf("%d passes for changes of one service of %d", spent, n)
	}
}

func TestSweep(t *testing.T) {
	p := newPlatform(t)
	p.create("web", 0)
	p.create("gone", 0)
	p.create("lately", 0)
	now := time.Now()
	delete := func(name string, ago time.Duration) {
		p.change(name, func(s *cluster.Service) {
			s.Status, s.Deployments, s.UpdatedAt = "INACTIVE", nil, now.Add(-ago)
		})
	}
	delete("gone", 25*time.Hour)
	delete("lately", 23*time.Hour)
	// web names revision 1; nothing names revision 2.
	p.put(func(tx *store.Tx) error {
		for rev := int32(1); rev <= 2; rev++ {
			d, _ := cluster.TaskDefinitions.Get(tx, cluster.TaskDefinitionKey(here, "web", rev))
			d.Def.Status = types.TaskDefinitionStatusDeleteInProgress
			if err := cluster.TaskDefinitions.Put(tx, d); err != nil {
				return err
			}
		}
		return nil
	})
	if err := Sweep(p.ctx, p.db, now); err != nil {
		t.Fatal(err)
	}
	var left []string
	p.db.View(func(r store.Reader) error {
		for s := range cluster.Services.List(r, "") {
			left = append(left, s.Name)
		}
		for d := range cluster.TaskDefinitions.List(r, "") {
			left = append(left, fmt.Sprint(d.Family, ":", d.Revision))
		}
		return nil
	})
	if got := fmt.Sprint(left); got != "[lately web web:1]" {
		t.Error(got)
	}
}

func TestUnplaced(t *testing.T) {
	one := func(arn, reason, detail string) []types.Failure {
		return []types.Failure{{Arn: &arn, Reason: &reason, Detail: &detail}}
	}
	const arn = "arn:aws:ecs:us-east-1:000000000000:container-instance/c/i1"
	for _, c := range []struct {
		lt       types.LaunchType
		failures []types.Failure
		want     string
	}{
		{"EC2", one(arn, "RESOURCE:MEMORY", ""), "was unable to place a task because no container instance met all of its requirements. The closest matching (container-instance i1) has insufficient memory available. For more information, see the Troubleshooting section of the Amazon ECS Developer Guide."},
		{"EC2", one(arn, "RESOURCE:PORTS", ""), "was unable to place a task because no container instance met all of its requirements. The closest matching (container-instance i1) is already using a port required by your task. For more information, see the Troubleshooting section of the Amazon ECS Developer Guide."},
		{"EC2", one("", launch.NoInstances, ""), "was unable to place a task because no container instance met all of its requirements. Reason: No Container Instances were found in your cluster. For more information, see the Troubleshooting section of the Amazon ECS Developer Guide."},
		{"FARGATE", one("", launch.NoCapacity, "full"), "was unable to place a task. Reason: Capacity is unavailable at this time. Please try again later or in a different availability zone. No node has room: full. For more information, see the Troubleshooting section of the Amazon ECS Developer Guide."},
		{"FARGATE", one("", "The subnet ID 'subnet-1' does not exist", ""), "was unable to place a task. Reason: The subnet ID 'subnet-1' does not exist. For more information, see the Troubleshooting section of the Amazon ECS Developer Guide."},
	} {
		if got, _ := unplaced(c.lt, c.failures); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

// TestStillNoRoom: a service that waits for room says so every six hours.
func TestStillNoRoom(t *testing.T) {
	p := newPlatform(t)
	p.create("web", 200) // 128 fit
	e := New(Config{DB: p.db, SettleTime: -1})
	said := func(at time.Time) (lines, events int) {
		for range 20 {
			if _, err := e.pass(p.ctx, cluster.ServiceKey(here, "c", "web"), at); err != nil {
				t.Fatal(err)
			}
		}
		p.db.View(func(r store.Reader) error {
			for e := range cluster.Events.List(r, "") {
				if e.Action != nil && e.Action.Name == "SERVICE_TASK_PLACEMENT_FAILURE" {
					events++
				}
			}
			return nil
		})
		return strings.Count(p.log("web"), "was unable to place"), events
	}
	for _, c := range []struct {
		after         time.Duration
		lines, events int
	}{{0, 1, 1}, {5 * time.Hour, 1, 1}, {7 * time.Hour, 2, 1}, {8 * time.Hour, 2, 1}} {
		if lines, events := said(noon.Add(c.after)); lines != c.lines || events != c.events {
			t.Errorf("after %v: %d lines, %d events, want %d, %d", c.after, lines, events, c.lines, c.events)
		}
	}
}

// TestLogKeepsQuiet: a complaint is not repeated within six hours.
func TestLogKeepsQuiet(t *testing.T) {
	p := newPlatform(t)
	at := func(ago time.Duration, m ...message) {
		p.put(func(tx *store.Tx) error {
			return appendLog(tx, cluster.ServiceKey(here, "c", "web"), m, noon.Add(-ago))
		})
	}
	at(8*time.Hour, message{"first", once})
	at(7*time.Hour, message{"first", once})
	at(time.Hour, message{"first", once}, message{"second", always})
	at(0, message{"second", always})
	if got := strings.ReplaceAll(p.log("web"), "\n", " "); got != "second second first first" {
		t.Error(got)
	}
	for range 60 {
		at(0, message{"x", always}, message{"y", always})
	}
	if n := strings.Count(p.log("web"), "\n") + 1; n != cluster.MaxServiceEvents {
		t.Errorf("%d lines", n)
	}
}
