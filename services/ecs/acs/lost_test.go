package acs

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/deploy"
	driversim "github.com/dhowhq/dhow/driver/sim"
	wire "github.com/dhowhq/dhow/internal/acs"
	"github.com/dhowhq/dhow/store"
)

// cable is an agent's way to the control plane.
type cable struct {
	to string

	mu    sync.Mutex
	cut   bool
	conns []net.Conn
}

func (c *cable) dial(ctx context.Context) (net.Conn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cut {
		return nil, errors.New("the cable is cut")
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", c.to)
	if err == nil {
		c.conns = append(c.conns, conn)
	}
	return conn, err
}

func (c *cable) set(cut bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = cut
	for _, conn := range c.conns {
		conn.Close()
	}
	c.conns = nil
}

// soonLost has nodes lost after three seconds.
func soonLost(c *Config) { c.Lost = 3 * time.Second }

// holdings are what the store says is held: strays, addresses, and tasks of the
// node's ledger.
func (w *world) holdings() (strays, addresses, tasks int) {
	w.db.View(func(r store.Reader) error {
		l, _ := cluster.Ledgers.Get(r, w.node.ID)
		strays, addresses, tasks = cluster.Strays.Len(r), cluster.Interfaces.Len(r), l.Tasks
		return nil
	})
	return strays, addresses, tasks
}

func (w *world) free() {
	w.t.Helper()
	w.until("all given back", func() bool {
		strays, addresses, tasks := w.holdings()
		return strays == 0 && addresses == 0 && tasks == 0
	})
}

// A node that is cut off is lost after a while: its tasks count as stopped, but
// what they hold is not given away while they may run there. When it is back it
// stops them.
func TestCutOff(t *testing.T) {
	w := newWorld(t, soonLost)
	way := &cable{to: strings.TrimPrefix(w.web.URL, "http://")}
	m := w.machine(driversim.Config{}, way.dial)
	w.ready()
	w.define("awsvpc", types.ContainerDefinition{Name: aws.String("web"), Image: aws.String("nginx")})
	arns := w.run(2, w.awsvpc)
	for _, arn := range arns {
		w.reaches(arn, "RUNNING")
	}
	way.set(true)
	w.reaches(arns[0], "STOPPED")
	w.reaches(arns[1], "STOPPED")
	got := w.task(arns[0])
	if got.StopCode != "InfrastructureHealth" || !strings.HasPrefix(*got.StoppedReason, "Host EC2 (instance i-") || got.Connectivity != "DISCONNECTED" || got.ExecutionStoppedAt == nil {
		t.Errorf("stopped as %+v", got)
	}
	if strays, addresses, tasks := w.holdings(); strays != 2 || addresses != 2 || tasks != 2 {
		t.Errorf("held: %d strays, %d addresses, %d tasks", strays, addresses, tasks)
	}
	if list, err := m.cfg.Driver.List(t.Context()); err != nil || len(list) != 2 {
		t.Errorf("on the node: %+v, %v", list, err)
	}
	// The row of one is forgotten meanwhile.
	key, _ := taskKey(arns[1])
	w.must(nil, w.db.Update(t.Context(), func(tx *store.Tx) error { cluster.Tasks.Delete(tx, key); return nil }))
	way.set(false)
	w.free()
	w.until("nothing on the node", func() bool {
		list, err := m.cfg.Driver.List(t.Context())
		return err == nil && len(list) == 0
	})
	// It takes tasks as before.
	w.reaches(w.run(1, w.awsvpc)[0], "RUNNING")
}

// A node that comes back without its tasks says so.
func TestLostAndEmpty(t *testing.T) {
	w := newWorld(t, soonLost)
	m := w.machine(driversim.Config{}, nil)
	w.ready()
	w.define("awsvpc", types.ContainerDefinition{Name: aws.String("web"), Image: aws.String("nginx")})
	arn := w.run(1, w.awsvpc)[0]
	w.reaches(arn, "RUNNING")
	m.halt()
	w.reaches(arn, "STOPPED")
	if strays, addresses, _ := w.holdings(); strays != 1 || addresses != 1 {
		t.Errorf("held: %d strays, %d addresses", strays, addresses)
	}
	m.cfg.DataDir = t.TempDir()
	m.start()
	w.free()
}

// A short silence has no such effect.
func TestBriefSilence(t *testing.T) {
	w := newWorld(t)
	m := w.machine(driversim.Config{}, nil)
	w.ready()
	w.define("bridge", types.ContainerDefinition{Name: aws.String("web"), Image: aws.String("nginx")})
	arn := w.run(1)[0]
	w.reaches(arn, "RUNNING")
	m.halt()
	out, err := w.ecs.ListContainerInstances(t.Context(), &ecs.ListContainerInstancesInput{Cluster: aws.String("c")})
	w.must(out, err)
	w.until("agentConnected=false", func() bool { return !w.connected(out.ContainerInstanceArns[0]) })
	m.start()
	w.ready()
	if got := w.task(arn); *got.LastStatus != "RUNNING" || got.DesiredStatus != nil && *got.DesiredStatus != "RUNNING" {
		t.Errorf("the task is %+v", got)
	}
}

// Deregistering the lost instance gives back what its tasks hold.
func TestLostDeregistered(t *testing.T) {
	w := newWorld(t, soonLost)
	instance := w.stock()
	c := w.connect(instance)
	w.until("agentConnected", func() bool { return w.connected(instance) })
	w.define("bridge", types.ContainerDefinition{Name: aws.String("web"), Image: aws.String("nginx")})
	arn := w.run(1)[0]
	w.report(arn, "RUNNING")
	c.CloseNow()
	w.reaches(arn, "STOPPED")
	if strays, _, _ := w.holdings(); strays != 1 {
		t.Errorf("%d strays", strays)
	}
	w.must(w.ecs.DeregisterContainerInstance(t.Context(), &ecs.DeregisterContainerInstanceInput{Cluster: aws.String("c"), ContainerInstance: &instance}))
	w.free()
}

// A service has its tasks elsewhere when their node is lost, and does not take
// it for a failure of theirs.
func TestLostReplaced(t *testing.T) {
	w := newWorld(t, soonLost)
	engine := deploy.New(deploy.Config{DB: w.db})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- engine.Run(ctx) }()
	defer func() { cancel(); <-done }()

	first := w.stock()
	c := w.connect(first)
	w.until("the first instance", func() bool { return w.connected(first) })
	w.define("bridge", types.ContainerDefinition{Name: aws.String("web"), Image: aws.String("nginx")})
	w.must(w.ecs.CreateService(t.Context(), &ecs.CreateServiceInput{Cluster: aws.String("c"), ServiceName: aws.String("s"),
		TaskDefinition: aws.String("f"), DesiredCount: aws.Int32(1), LaunchType: types.LaunchTypeEc2}))
	lost := next[wire.PayloadMessage](c).Tasks[0].ARN
	w.report(lost, "RUNNING")
	second := w.stock()
	other := w.connect(second)
	w.until("the second instance", func() bool { return w.connected(second) })
	c.CloseNow()
	again := next[wire.PayloadMessage](other).Tasks[0].ARN
	if again == lost || w.task(lost).StopCode != "InfrastructureHealth" {
		t.Errorf("task %s is replaced by %s", lost, again)
	}
	out, err := w.ecs.DescribeServices(t.Context(), &ecs.DescribeServicesInput{Cluster: aws.String("c"), Services: []string{"s"}})
	if err != nil || out.Services[0].Deployments[0].FailedTasks != 0 {
		t.Errorf("%+v, %v", out, err)
	}
}
