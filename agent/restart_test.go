package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/driver"
	"github.com/dhowhq/dhow/internal/acs"
	"github.com/dhowhq/dhow/internal/register"
)

// only returns the node's containers, which must be so many.
func (n *node) containers(want int) []driver.Container {
	n.t.Helper()
	list, err := n.drv.List(n.t.Context())
	if err != nil || len(list) != want {
		n.t.Errorf("%d containers, want %d: %+v, %v", len(list), want, list, err)
	}
	return list
}

// Running tasks go on over the agent's restart: the same containers, still
// checked, still stopped when asked.
func TestRestartKeepsTasks(t *testing.T) {
	inBubble(t, func(t *testing.T, n *node) {
		task := vpcTask("172.31.0.9", checked(of("a", "busybox:1"), 30, 3))
		port := of("b", "busybox:1")
		port.PortMappings = []types.PortMapping{{ContainerPort: aws.Int32(80)}}
		other := taskOf(port)
		n.p.run(task, other)
		n.p.reaches(task, cluster.Running)
		n.p.reaches(other, cluster.Running)
		before := n.containers(2)
		n.halt()
		time.Sleep(time.Hour)
		n.p.mu.Lock()
		n.p.submitted, n.p.session, n.p.health = nil, nil, make(map[string]string)
		n.p.mu.Unlock()
		n.start()
		n.p.reaches(task, cluster.Running) // told once more: the last report might have been lost
		for i, c := range n.containers(2) {
			if c.Pid != before[i].Pid {
				t.Errorf("container %s was started anew", c.ID)
			}
		}
		n.p.until("health after the restart", func() bool { return n.p.health["a"] == "HEALTHY" })
		for _, id := range []string{lastPart(task.ARN), containerID(lastPart(other.ARN), "b")} {
			if l, err := n.net.Listen(t.Context(), id, "tcp", metadataAddress); err == nil {
				l.Close()
				t.Errorf("nobody serves metadata in %s after the restart", id)
			}
		}
		n.p.end(task)
		n.p.end(other)
		if got := n.p.reaches(other, cluster.Stopped); len(got.Containers[0].NetworkBindings) != 1 {
			t.Errorf("bindings are forgotten: %+v", got)
		}
		n.p.reaches(task, cluster.Stopped)
		time.Sleep(time.Minute)
		n.containers(0)
		if left, _ := filepath.Glob(filepath.Join(n.cfg.DataDir, "tasks", "*")); len(left) != 0 {
			t.Errorf("left on disk: %v", left)
		}
	})
}

// What ended while no agent was there is reported with its exit code.
func TestExitWhileAway(t *testing.T) {
	inBubble(t, func(t *testing.T, n *node) {
		task := vpcTask("172.31.0.9", of("a", "sim/exit-6-after-10m:1"))
		n.p.run(task)
		n.p.reaches(task, cluster.Running)
		n.halt()
		time.Sleep(time.Hour)
		n.start()
		end := n.p.reaches(task, cluster.Stopped)
		if c := end.Containers[0]; c.ExitCode == nil || *c.ExitCode != 6 || end.Reason != essentialExited {
			t.Errorf("reported %+v", end)
		}
	})
}

// A start that the agent's end broke off is finished by the next agent.
func TestRestartDuringStart(t *testing.T) {
	inBubble(t, func(t *testing.T, n *node) {
		task := vpcTask("172.31.0.9", of("a", "busybox:1"), after(of("b", "busybox:1"), "a", "START"))
		n.p.run(task)
		time.Sleep(2*time.Second + 90*time.Millisecond) // a has started, b has not
		n.halt()
		n.start()
		n.p.reaches(task, cluster.Running)
		n.containers(2)
		n.p.end(task)
		n.p.reaches(task, cluster.Stopped)
	})
}

// A stop that the agent's end broke off is finished too, and keeps its
// timeout.
func TestRestartDuringStop(t *testing.T) {
	inBubble(t, func(t *testing.T, n *node) {
		c := of("a", "sim/stop-never:1")
		c.StopTimeout = aws.Int32(100)
		task := vpcTask("172.31.0.9", c)
		n.p.run(task)
		n.p.reaches(task, cluster.Running)
		began := time.Now()
		n.p.end(task)
		time.Sleep(60 * time.Second)
		n.halt()
		n.start()
		end := n.p.reaches(task, cluster.Stopped)
		if d := time.Since(began); d < 99*time.Second || d > 103*time.Second {
			t.Errorf("stopped after %v", d)
		}
		if *end.Containers[0].ExitCode != 137 {
			t.Errorf("reported %+v", end)
		}
	})
}

// The end of a task is not lost, though nobody could be told while the agent
// lived.
func TestUnreportedEnd(t *testing.T) {
	inBubble(t, func(t *testing.T, n *node) {
		task := vpcTask("172.31.0.9", of("a", "sim/exit-0-after-5s:1"))
		n.p.run(task)
		n.p.reaches(task, cluster.Running)
		n.p.note(func() {
			n.p.fail = func(op string) (string, int) {
				if op == "SubmitTaskStateChange" {
					return "ServerException", 500
				}
				return "", 0
			}
		})
		time.Sleep(10 * time.Minute)
		n.halt()
		n.p.note(func() { n.p.fail = nil })
		n.start()
		n.p.reaches(task, cluster.Stopped)
		time.Sleep(time.Minute)
		n.containers(0)
	})
}

// Containers, endpoints and half-written directories that belong to nothing
// are removed at the start.
func TestSweep(t *testing.T) {
	inBubble(t, func(t *testing.T, n *node) {
		n.p.until("a session", func() bool { return n.p.session != nil })
		n.halt()
		if _, err := n.drv.Pull(t.Context(), driver.Pull{Ref: "busybox:1"}, nil); err != nil {
			t.Fatal(err)
		}
		if err := n.drv.Create(t.Context(), driver.Spec{ID: "0123-4", Image: "busybox:1"}); err != nil {
			t.Fatal(err)
		}
		if _, err := n.net.Add(t.Context(), holder); err != nil {
			t.Fatal(err)
		}
		// Records of a task that was not acknowledged, and such as nobody reads.
		records, _, err := register.Open(filepath.Join(n.cfg.DataDir, "tasks.jsonl"), n.cfg.Log)
		if err != nil {
			t.Fatal(err)
		}
		for name, v := range map[string]any{"0456" + taskRecord: acs.Task{ARN: "arn:0456"}, "0789" + taskRecord: 7, "0789" + stateRecord: "what"} {
			if err := records.Put(name, v); err != nil {
				t.Fatal(err)
			}
		}
		records.Close()
		for _, p := range []string{"tasks/0456/scratch", "etc/0123-4.hosts"} {
			if err := os.MkdirAll(filepath.Join(n.cfg.DataDir, p), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		n.p.note(func() { n.p.session = nil })
		n.start()
		n.p.until("a session", func() bool { return n.p.session != nil })
		n.containers(0)
		if ends, _ := n.net.List(t.Context()); len(ends) != 0 {
			t.Errorf("endpoints are left: %+v", ends)
		}
		for _, dir := range []string{"tasks", "etc"} {
			if left, _ := filepath.Glob(filepath.Join(n.cfg.DataDir, dir, "*")); len(left) != 0 {
				t.Errorf("files are left: %v", left)
			}
		}
		n.halt()
		if _, left, err := register.Open(filepath.Join(n.cfg.DataDir, "tasks.jsonl"), n.cfg.Log); err != nil || len(left) != 0 {
			t.Errorf("records are left: %v, %v", left, err)
		}
		n.p.note(func() { n.p.session = nil })
		n.start()
	})
}

// A container that is gone when the agent returns ends its task.
func TestGoneContainer(t *testing.T) {
	inBubble(t, func(t *testing.T, n *node) {
		task := vpcTask("172.31.0.9", of("a", "busybox:1"))
		n.p.run(task)
		n.p.reaches(task, cluster.Running)
		n.halt()
		for _, c := range n.containers(1) {
			if err := n.drv.Delete(t.Context(), c.ID); err != nil {
				t.Fatal(err)
			}
		}
		n.start()
		end := n.p.reaches(task, cluster.Stopped)
		if c := end.Containers[0]; c.ExitCode != nil || !strings.Contains(c.Reason, "gone when the node came back") {
			t.Errorf("reported %+v", end)
		}
	})
}

// Task files hold no credentials, and their mode keeps others out.
func TestFilesKeepSecrets(t *testing.T) {
	inBubble(t, func(t *testing.T, n *node) {
		task := vpcTask("172.31.0.9", of("a", "busybox:1"))
		task.Role = &acs.RoleCredentials{ID: "cred-1", RoleARN: "arn:r", AccessKeyID: "AK", SecretAccessKey: "very-secret", SessionToken: "tok", Expiration: "2030-01-01T00:00:00Z"}
		n.p.run(task)
		n.p.reaches(task, cluster.Running)
		n.p.until("the role's acknowledgement", func() bool { return len(n.p.roleAcks) == 1 && n.p.roleAcks[0] == "cred-1" })
		err := filepath.WalkDir(n.cfg.DataDir, func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			b, err := os.ReadFile(path)
			if strings.Contains(string(b), "very-secret") {
				t.Errorf("%s holds a secret", path)
			}
			st, _ := d.Info()
			if strings.Contains(path, ".json") && st.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s has mode %v", path, st.Mode())
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
}
