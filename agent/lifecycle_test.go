package agent

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/network"
)

// of returns a container that runs a simulated image.
func of(name, image string) types.ContainerDefinition {
	return types.ContainerDefinition{Name: &name, Image: &image}
}

// statusesOf are the statuses of a task in the order of their reports.
func (n *node) statusesOf(arn string) string {
	n.p.mu.Lock()
	defer n.p.mu.Unlock()
	var out []string
	for _, s := range n.p.of(arn) {
		if len(out) == 0 || out[len(out)-1] != s.Status {
			out = append(out, s.Status)
		}
	}
	return strings.Join(out, " ")
}

// A start that takes no time is told as RUNNING alone: no report of a passing
// status is in its way. One that waits for its image shows so.
func TestPassingStatuses(t *testing.T) {
	inBubble(t, func(t *testing.T, n *node) {
		first := vpcTask("172.31.0.9", of("a", "busybox:1"))
		began := time.Now()
		n.p.run(first)
		n.p.reaches(first, cluster.Running)
		if got := n.statusesOf(first.ARN); got != "PENDING RUNNING" && got != "PENDING ACTIVATING RUNNING" {
			t.Errorf("with a pull: %s", got)
		}
		if d := time.Since(began); d > 2200*time.Millisecond {
			t.Errorf("with a pull of 2 s it took %v", d)
		}
		second := vpcTask("172.31.0.10", of("a", "busybox:1"))
		began = time.Now()
		n.p.run(second)
		n.p.reaches(second, cluster.Running)
		if d := time.Since(began); d > 65*time.Millisecond { // create 6 ms, start 55 ms
			t.Errorf("without a pull it took %v", d)
		}
		n.p.end(first)
		n.p.reaches(first, cluster.Stopped)
		if got := n.statusesOf(first.ARN); !strings.HasSuffix(got, "RUNNING STOPPING STOPPED") {
			t.Errorf("to the end: %s", got)
		}
	})
}

// A container that ends at once has still run: who looks at the task sees when
// it started and that an essential container exited.
func TestShortLived(t *testing.T) {
	inBubble(t, func(t *testing.T, n *node) {
		task := vpcTask("172.31.0.9", of("job", "sim/exit-4:1"))
		n.p.run(task)
		end := n.p.reaches(task, cluster.Stopped)
		if c := end.Containers[0]; end.Reason != "Essential container in task exited" || *c.ExitCode != 4 || c.Reason != "" {
			t.Errorf("reported %+v", end)
		}
		if got := n.statusesOf(task.ARN); !strings.Contains(got, "RUNNING") {
			t.Errorf("it was never RUNNING: %s", got)
		}
		run := n.p.reaches(task, cluster.Running)
		if run.Reason != "" || run.Containers[0].Status != "RUNNING" || run.Containers[0].ExitCode != nil {
			t.Errorf("RUNNING was told as %+v", run)
		}
	})
}

// A container that is not essential may end: its exit is told, the task goes on.
func TestNonEssential(t *testing.T) {
	inBubble(t, func(t *testing.T, n *node) {
		side := of("side", "sim/exit-1-after-5s:1")
		side.Essential = aws.Bool(false)
		task := vpcTask("172.31.0.9", of("main", "busybox:1"), side)
		n.p.run(task)
		n.p.reaches(task, cluster.Running)
		n.p.until("the sidecar's exit", func() bool {
			for _, s := range n.p.of(task.ARN) {
				if s.Status == "RUNNING" && s.Containers[1].ExitCode != nil && *s.Containers[1].ExitCode == 1 {
					return true
				}
			}
			return false
		})
		time.Sleep(time.Minute)
		if got := n.statusesOf(task.ARN); strings.Contains(got, "STOP") {
			t.Errorf("the task ended: %s", got)
		}
		n.p.end(task)
		n.p.reaches(task, cluster.Stopped)
	})
}

func TestFailures(t *testing.T) {
	bad := func(image string) types.ContainerDefinition { return of("c", image) }
	port := func(c types.ContainerDefinition) types.ContainerDefinition {
		c.PortMappings = []types.PortMapping{{ContainerPort: aws.Int32(80), HostPort: aws.Int32(8080)}}
		return c
	}
	logs := bad("busybox:1")
	logs.LogConfiguration = &types.LogConfiguration{LogDriver: "splunk"}
	volume := bad("busybox:1")
	volume.MountPoints = []types.MountPoint{{SourceVolume: aws.String("nope"), ContainerPath: aws.String("/x")}}
	for _, c := range []struct {
		name, reason string
		def          types.ContainerDefinition
	}{
		{"no such image", "CannotPullContainerError: ", bad("sim/fail-notfound:1")},
		{"image is private", "CannotPullContainerError: ", bad("sim/fail-auth:1")},
		{"registry is away", "CannotPullContainerError: ", bad("sim/fail-unreachable:1")},
		{"a short name", "CannotPullContainerError: say registry/sim/fail-unreachable:2: ", bad("sim/fail-unreachable:2")},
		{"no such command", "CannotStartContainerError: ", bad("sim/fail-command:1")},
		{"out of memory", "Essential container in task exited", bad("sim/oom-1s:1")},
		{"host port taken", "CannotStartContainerError: ", port(bad("busybox:1"))},
		{"log driver", "ResourceInitializationError: log driver \"splunk\" is not on this node", logs},
		{"volume", "CannotCreateVolumeError: volume \"nope\" is not among", volume},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, n *node) {
				n.p.until("a session", func() bool { return n.p.session != nil }) // leftovers are swept by now
				if _, err := n.net.Add(t.Context(), holder); err != nil {
					t.Fatal(err)
				}
				task := taskOf(c.def)
				n.p.run(task)
				end := n.p.reaches(task, cluster.Stopped)
				if !strings.HasPrefix(end.Reason, c.reason) {
					t.Errorf("reason %q", end.Reason)
				}
				if c.name == "out of memory" {
					k := end.Containers[0]
					if k.Reason != "OutOfMemoryError: Container killed due to memory usage" || *k.ExitCode != 137 {
						t.Errorf("container %+v", k)
					}
					return
				}
				if got := n.statusesOf(task.ARN); strings.Contains(got, "RUNNING") {
					t.Errorf("it was reported as running: %s", got)
				}
				if k := end.Containers[0]; k.Reason != end.Reason || k.ExitCode != nil {
					t.Errorf("container %+v", k)
				}
			})
		})
	}
}

// holder has host port 8080.
var holder = network.Endpoint{ID: "holder", Mode: network.Bridge, Ports: []network.Port{{Protocol: "tcp", ContainerPort: 80, HostPort: 8080}}}

// A container that ignores SIGTERM is killed after its stop timeout, not later.
func TestStopTimeout(t *testing.T) {
	inBubble(t, func(t *testing.T, n *node) {
		c := of("deaf", "sim/stop-never:1")
		c.StopTimeout = aws.Int32(7)
		task := vpcTask("172.31.0.9", c)
		n.p.run(task)
		n.p.reaches(task, cluster.Running)
		began := time.Now()
		n.p.end(task)
		end := n.p.reaches(task, cluster.Stopped)
		if d := time.Since(began); d < 7*time.Second || d > 8*time.Second {
			t.Errorf("it took %v", d)
		}
		if c := end.Containers[0]; *c.ExitCode != 137 {
			t.Errorf("container %+v", c)
		}
	})
}

// A task whose network cannot be made does not wait for its images.
func TestNetworkFailure(t *testing.T) {
	inBubble(t, func(t *testing.T, n *node) {
		n.p.ready()
		first := vpcTask("172.31.0.9", of("a", "busybox:1"))
		n.p.run(first)
		n.p.reaches(first, cluster.Running)
		began := time.Now()
		second := vpcTask("172.31.0.9", of("a", "sim/pull-10m:1")) // the same address
		n.p.run(second)
		end := n.p.reaches(second, cluster.Stopped)
		if !strings.HasPrefix(end.Reason, "ResourceInitializationError: ") {
			t.Errorf("reason %q", end.Reason)
		}
		if d := time.Since(began); d > 3*time.Second {
			t.Errorf("it took %v", d)
		}
	})
}

// A stop overtakes a pull.
func TestStopDuringPull(t *testing.T) {
	inBubble(t, func(t *testing.T, n *node) {
		task := vpcTask("172.31.0.9", of("c", "sim/pull-10m:1"))
		n.p.run(task)
		n.p.reaches(task, cluster.Pending)
		began := time.Now()
		n.p.end(task)
		end := n.p.reaches(task, cluster.Stopped)
		if d := time.Since(began); d > time.Second {
			t.Errorf("it took %v", d)
		}
		if c := end.Containers[0]; c.Status != "STOPPED" || c.ExitCode != nil || c.RuntimeID != "" {
			t.Errorf("container %+v", c)
		}
		if got := n.statusesOf(task.ARN); strings.Contains(got, "RUNNING") || strings.Contains(got, "DEACTIVATING") {
			t.Errorf("statuses %s", got)
		}
	})
}

// A task that is to stop before it ever came here ends too.
func TestStopOfUnknown(t *testing.T) {
	inBubble(t, func(t *testing.T, n *node) {
		whole := vpcTask("172.31.0.9", of("c", "busybox:1"))
		n.p.end(whole)
		if end := n.p.reaches(whole, cluster.Stopped); end.Containers[0].Status != "STOPPED" {
			t.Errorf("reported %+v", end)
		}
		bare := vpcTask("172.31.0.10", of("c", "busybox:1"))
		bare.Dhow.Definition, bare.Containers = nil, nil // it was deleted
		n.p.end(bare)
		n.p.reaches(bare, cluster.Stopped)
	})
}

// What is sent twice runs once, also when it comes again after its end.
func TestSentTwice(t *testing.T) {
	inBubble(t, func(t *testing.T, n *node) {
		task := vpcTask("172.31.0.9", of("c", "busybox:1"))
		n.p.run(task)
		n.p.run(task)
		n.p.reaches(task, cluster.Running)
		if list, _ := n.drv.List(t.Context()); len(list) != 1 {
			t.Errorf("containers %+v", list)
		}
		n.p.end(task)
		n.p.reaches(task, cluster.Stopped)
		time.Sleep(time.Minute)
		n.p.run(task) // was under way
		time.Sleep(time.Minute)
		if list, _ := n.drv.List(t.Context()); len(list) != 0 {
			t.Errorf("the ended task runs again: %+v", list)
		}
	})
}

func TestBridgeBindings(t *testing.T) {
	inBubble(t, func(t *testing.T, n *node) {
		c := of("web", "busybox:1")
		c.PortMappings = []types.PortMapping{
			{ContainerPort: aws.Int32(80), HostPort: aws.Int32(0)},
			{ContainerPortRange: aws.String("9000-9002")},
		}
		task := taskOf(c)
		n.p.run(task)
		got := n.p.reaches(task, cluster.Running).Containers[0].NetworkBindings
		var ports []int
		for _, b := range got {
			ports = append(ports, b.ContainerPort)
			if b.HostPort < network.DynamicPortFirst {
				t.Errorf("container port %d is published at %d", b.ContainerPort, b.HostPort)
			}
		}
		if slices.Sort(ports); !slices.Equal(ports, []int{80, 9000, 9001, 9002}) {
			t.Errorf("bindings %+v", got)
		}
	})
}
