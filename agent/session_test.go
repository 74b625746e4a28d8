package agent

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/internal/acs"
)

func (p *plane) ready() {
	p.t.Helper()
	p.until("a session", func() bool { return p.session != nil })
}

func TestRegistration(t *testing.T) {
	inBubble(t, func(t *testing.T, n *node) {
		n.p.ready()
		n.p.mu.Lock()
		reg, auth := n.p.regs[0], n.p.auth[0]
		n.p.mu.Unlock()
		b, _ := json.Marshal(reg)
		for _, want := range []string{
			`"cluster":"*"`, `{"integerValue":2048,"name":"CPU","type":"INTEGER"}`, `{"integerValue":4096,"name":"MEMORY","type":"INTEGER"}`,
			`"name":"PORTS"`, `"name":"PORTS_UDP"`, `{"name":"dhow.everyone","value":"true"}`, `{"name":"ecs.os-type","value":"linux"}`,
			`{"name":"ecs.availability-zone","value":"us-east-1a"}`, `{"name":"ecs.capability.task-eni"}`,
		} {
			if !strings.Contains(string(b), want) {
				t.Errorf("registration lacks %s: %s", want, b)
			}
		}
		if !strings.Contains(auth, "/us-east-1/ecs/aws4_request") {
			t.Errorf("authorization %q", auth)
		}
		n.halt()
		n.p.note(func() { n.p.session = nil })
		n.start()
		n.p.ready()
		n.p.mu.Lock()
		defer n.p.mu.Unlock()
		if n.p.regs[1]["containerInstanceArn"] != nodeARN {
			t.Errorf("the second registration is %v", n.p.regs[1])
		}
	})
}

// The agent registers for as long as nobody answers or the control plane is
// unwell, and gives up when it is refused.
func TestRegistrationRetries(t *testing.T) {
	calls := 0
	inBubble(t, func(t *testing.T, n *node) {
		n.p.note(func() {
			n.p.fail = func(op string) (string, int) {
				calls++
				switch {
				case op != "RegisterContainerInstance" || calls > 4:
					return "", 0
				case calls%2 == 0:
					return "ThrottlingException", 400
				}
				return "ServerException", 500
			}
		})
		n.p.ready()
		n.p.note(func() {
			if len(n.p.regs) != 1 || calls < 5 {
				t.Errorf("%d registrations after %d calls", len(n.p.regs), calls)
			}
		})
		n.halt()
		n.p.note(func() { n.p.fail = func(string) (string, int) { return "AccessDeniedException", 400 } })
		n.start()
		err := <-n.done
		if err == nil || !strings.Contains(err.Error(), "refused to register this node") {
			t.Errorf("it ended with %v", err)
		}
		n.done <- nil
	}, func(c *Config) {
		dial := c.Dial
		var tries atomic.Int32
		c.Dial = func(ctx context.Context) (net.Conn, error) {
			if tries.Add(1) < 3 {
				return nil, errors.New("nobody listens")
			}
			return dial(ctx)
		}
	})
}

func TestHeartbeatAndSilence(t *testing.T) {
	inBubble(t, func(t *testing.T, n *node) {
		n.p.ready()
		for i := range 5 {
			time.Sleep(45 * time.Second)
			id := string(rune('a' + i))
			n.p.send(&acs.HeartbeatMessage{MessageID: id, Healthy: true})
			n.p.until("heartbeat's answer", func() bool { return slices.Contains(n.p.acked, id) })
		}
		if k, _ := n.p.nth(); k != 1 {
			t.Errorf("%d sessions while heartbeats came", k)
		}
		time.Sleep(silence + 5*time.Second)
		n.p.until("a second session", func() bool { return n.p.sessions >= 2 })
	})
}

// An orderly close of a session that has lasted is followed by the next at
// once; anything else is not hammered.
func TestReconnect(t *testing.T) {
	inBubble(t, func(t *testing.T, n *node) {
		n.p.ready()
		time.Sleep(time.Minute)
		at := time.Now()
		_, conn := n.p.nth()
		conn.Close(websocket.StatusGoingAway, "")
		n.p.until("a second session", func() bool { return n.p.sessions == 2 })
		if d := time.Since(at); d > 100*time.Millisecond {
			t.Errorf("after an orderly close it took %v", d)
		}
		// Sessions that do not last are begun ever more slowly.
		began := time.Now()
		for want := 3; want <= 10; want++ {
			_, conn = n.p.nth()
			conn.Close(websocket.StatusGoingAway, "")
			n.p.until("another session", func() bool { return n.p.sessions == want })
		}
		if d := time.Since(began); d < 5*time.Second {
			t.Errorf("eight sessions that did not last in %v", d)
		}
		time.Sleep(time.Minute)
		at = time.Now()
		_, conn = n.p.nth()
		conn.Close(websocket.StatusPolicyViolation, "")
		n.p.until("another session", func() bool { return n.p.sessions == 11 })
		if d := time.Since(at); d < 200*time.Millisecond {
			t.Errorf("after being put out it came back in %v", d)
		}
	})
}

func TestManifest(t *testing.T) {
	inBubble(t, func(t *testing.T, n *node) {
		keep, drop := vpcTask("172.31.0.9", of("a", "busybox:1")), vpcTask("172.31.0.10", of("a", "busybox:1"))
		n.p.run(keep, drop)
		n.p.reaches(keep, cluster.Running)
		n.p.reaches(drop, cluster.Running)
		lost := vpcTask("172.31.0.11", of("a", "busybox:1"))
		fresh := vpcTask("172.31.0.12", of("a", "busybox:1"))
		m := &acs.TaskManifestMessage{MessageID: "m1", Timeline: 100, Tasks: []acs.TaskIdentifier{
			{Task: keep.ARN, DesiredStatus: "RUNNING", DhowLastStatus: "RUNNING"},
			{Task: lost.ARN, DesiredStatus: "RUNNING", DhowLastStatus: "RUNNING"},
			{Task: fresh.ARN, DesiredStatus: "RUNNING", DhowLastStatus: "PROVISIONING"}, // its payload is under way
		}}
		n.p.send(m)
		n.p.until("the question", func() bool { return len(n.p.verifies) == 1 })
		var q *acs.TaskStopVerificationMessage
		n.p.note(func() { q = n.p.verifies[0] })
		if q.MessageID != "m1" || len(q.StopCandidates) != 1 || q.StopCandidates[0].Task != drop.ARN {
			t.Errorf("asked %+v", q)
		}
		n.p.reaches(lost, cluster.Stopped)
		// An answer to no question of ours stops nothing.
		n.p.send(&acs.TaskStopVerificationAck{MessageID: "m0", StopTasks: []acs.TaskIdentifier{{Task: keep.ARN}}})
		n.p.send(&acs.TaskStopVerificationAck{MessageID: "m1", StopTasks: q.StopCandidates})
		n.p.reaches(drop, cluster.Stopped)
		// An old manifest is acknowledged and dropped.
		old := *m
		old.MessageID, old.Timeline, old.Tasks = "m2", 50, nil
		n.p.send(&old)
		n.p.until("its acknowledgement", func() bool { return slices.Contains(n.p.acked, "m2") })
		time.Sleep(time.Minute)
		if got := n.statusesOf(keep.ARN); strings.Contains(got, "STOP") {
			t.Errorf("the kept task: %s", got)
		}
		if got := n.statusesOf(fresh.ARN); got != "" {
			t.Errorf("a task that is still to come was reported: %s", got)
		}
	})
}

func TestOtherMessages(t *testing.T) {
	inBubble(t, func(t *testing.T, n *node) {
		n.p.send(&acs.ConfirmAttachmentMessage{MessageID: "c1"})
		n.p.send(&acs.AttachTaskNetworkInterfacesMessage{MessageID: "c2"})
		n.p.send(&acs.AttachInstanceNetworkInterfacesMessage{MessageID: "c3"})
		n.p.send(&acs.StageUpdateMessage{MessageID: "u1"})
		n.p.send(&acs.PerformUpdateMessage{MessageID: "u2"})
		n.p.send(&acs.ErrorMessage{Message: "nothing"})
		n.p.until("answers", func() bool {
			return slices.Equal(n.p.acked, []string{"c1", "c2", "c3"}) && slices.Equal(n.p.nacked, []string{"u1", "u2"})
		})
	})
}

// A task that is not in dhow's form is not acknowledged, and harms nobody.
func TestForeignTask(t *testing.T) {
	inBubble(t, func(t *testing.T, n *node) {
		n.p.send(&acs.PayloadMessage{MessageID: "p1", SeqNum: 2, Tasks: []acs.Task{{ARN: "arn:aws:ecs:r:a:task/c/1", DesiredStatus: "RUNNING"}, {}}})
		task := vpcTask("172.31.0.9", of("a", "busybox:1"))
		n.p.run(task)
		n.p.reaches(task, cluster.Running)
		n.p.note(func() {
			if slices.Contains(n.p.acked, "p1") {
				t.Error("it was acknowledged")
			}
		})
	})
}

// Reports are retried until they are taken, with growing pauses; one that the
// control plane refuses for good is not repeated.
func TestReportRetries(t *testing.T) {
	inBubble(t, func(t *testing.T, n *node) {
		calls := 0
		n.p.note(func() {
			n.p.fail = func(op string) (string, int) {
				if op != "SubmitTaskStateChange" {
					return "", 0
				}
				if calls++; calls <= 5 {
					return "ServerException", 500
				}
				return "", 0
			}
		})
		task := vpcTask("172.31.0.9", of("a", "busybox:1"))
		n.p.run(task)
		n.p.reaches(task, cluster.Running)
		n.p.note(func() {
			calls = 0
			n.p.fail = func(op string) (string, int) {
				if op != "SubmitTaskStateChange" {
					return "", 0
				}
				calls++
				return "InvalidParameterException", 400
			}
		})
		n.p.end(task)
		time.Sleep(time.Minute)
		n.p.note(func() {
			if calls == 0 || calls > 6 {
				t.Errorf("a task that the control plane does not know was reported %d times", calls)
			}
		})
		if n.a.engine.get(lastPart(task.ARN)) != nil {
			t.Error("it is not forgotten")
		}
	})
}

func TestMetadata(t *testing.T) {
	inBubble(t, func(t *testing.T, n *node) {
		task := vpcTask("172.31.0.9", of("a", "busybox:1"))
		task.Role = &acs.RoleCredentials{ID: "cred-1", RoleARN: "arn:r", AccessKeyID: "AK", SecretAccessKey: "SK", SessionToken: "T", Expiration: "2030-01-01T00:00:00Z"}
		task.Dhow.CPU = "256"
		other := vpcTask("172.31.0.10", of("b", "busybox:1"))
		n.p.run(task, other)
		n.p.reaches(task, cluster.Running)
		n.p.reaches(other, cluster.Running)
		id := n.times(lastPart(task.ARN))["a"].ID
		otherID := n.times(lastPart(other.ARN))["b"].ID
		get := func(path string) (int, string) {
			t.Helper()
			rec := &recorder{header: make(http.Header)}
			r, _ := http.NewRequestWithContext(context.WithValue(t.Context(), taskKey{}, lastPart(task.ARN)), "GET", path, nil)
			n.a.engine.meta.server.Handler.ServeHTTP(rec, r)
			return rec.code, rec.b.String()
		}
		for path, want := range map[string]string{
			"/v4/" + id:                   `"KnownStatus":"RUNNING"`,
			"/v4/" + id + "/task":         `"TaskARN":"` + task.ARN + `"`,
			"/v4/" + id + "/taskWithTags": `"Family":"f"`,
			"/v4/" + id + "/stats":        `"memory_stats"`,
			"/v4/" + id + "/task/stats":   `"` + id + `":{`,
			"/v2/credentials/cred-1":      `"SecretAccessKey":"SK"`,
		} {
			if code, body := get(path); code != 200 || !strings.Contains(body, want) {
				t.Errorf("%s: %d %s", path, code, body)
			}
		}
		for _, path := range []string{"/v4/" + otherID, "/v4/nope", "/v4/nope/task", "/v2/credentials/nope", "/", "/v4/"} {
			if code, body := get(path); code < 400 {
				t.Errorf("%s: %d %s", path, code, body)
			}
		}
	})
}

type recorder struct {
	header http.Header
	code   int
	b      strings.Builder
}

func (r *recorder) Header() http.Header { return r.header }
func (r *recorder) WriteHeader(c int)   { r.code = c }
func (r *recorder) Write(p []byte) (int, error) {
	if r.code == 0 {
		r.code = 200
	}
	return r.b.Write(p)
}
