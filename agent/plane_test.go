package agent

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/coder/websocket"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/internal/acs"
)

// plane is a control plane that speaks just enough of the protocol: it answers
// the three API calls, hands out what a test tells it to, and remembers what
// it is told. It listens in memory, so that tests run in synctest bubbles.
type plane struct {
	t     *testing.T
	conns chan net.Conn
	done  chan struct{}
	srv   *http.Server

	mu        sync.Mutex
	submitted []submission
	acked     []string
	nacked    []string
	roleAcks  []string
	verifies  []*acs.TaskStopVerificationMessage
	health    map[string]string // by container name
	metrics   []acs.TaskMetric
	regs      []map[string]any
	session   *websocket.Conn
	sessions  int
	auth      []string
	fail      func(op string) (code string, status int) // "" lets the call through
	seq       int64
	changed   chan struct{}
	patience  time.Duration
}

// submission is a SubmitTaskStateChange as it came over the wire.
type submission struct {
	At     time.Time
	Task   string
	Status string
	Reason string

	ExecutionStoppedAt *float64
	PullStartedAt      *float64
	Containers         []struct {
		ContainerName, RuntimeID, Status, Reason, ImageDigest string
		ExitCode                                              *int
		NetworkBindings                                       []struct{ ContainerPort, HostPort int }
	}
}

func newPlane(t *testing.T) *plane {
	p := &plane{t: t, conns: make(chan net.Conn), done: make(chan struct{}), changed: make(chan struct{}), health: make(map[string]string), seq: 1, patience: 10 * time.Minute}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /", p.api)
	mux.HandleFunc("GET /acs/ws", p.acs)
	mux.HandleFunc("GET /tcs/ws", p.tcs)
	p.srv = &http.Server{Handler: mux}
	go p.srv.Serve(p)
	return p
}

func (p *plane) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *plane) Addr() net.Addr { return &net.TCPAddr{} }

func (p *plane) Close() error {
	select {
	case <-p.done:
	default:
		close(p.done)
	}
	return nil
}

func (p *plane) dial(ctx context.Context) (net.Conn, error) {
	a, b := net.Pipe()
	select {
	case p.conns <- b:
		return a, nil
	case <-p.done:
		return nil, os.NewSyscallError("connect", os.ErrClosed)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *plane) stop() {
	p.srv.Close()
	p.mu.Lock()
	if p.session != nil {
		p.session.CloseNow()
	}
	p.mu.Unlock()
}

func (p *plane) note(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *plane) api(w http.ResponseWriter, r *http.Request) {
	op := r.Header.Get("X-Amz-Target")
	op = op[strings.LastIndexByte(op, '.')+1:]
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the agent has gone
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	code, status := "", 0
	p.note(func() {
		if p.fail != nil {
			code, status = p.fail(op)
		}
	})
	if code != "" {
		w.WriteHeader(status)
		json.NewEncoder(w).Encode(map[string]string{"__type": code, "message": "as the test wants"})
		return
	}
	switch op {
	case "RegisterContainerInstance":
		var in map[string]any
		json.Unmarshal(body, &in)
		p.note(func() { p.regs = append(p.regs, in); p.auth = append(p.auth, r.Header.Get("Authorization")) })
		json.NewEncoder(w).Encode(map[string]any{"containerInstance": map[string]any{"containerInstanceArn": nodeARN}})
	case "DiscoverPollEndpoint":
		json.NewEncoder(w).Encode(map[string]string{"endpoint": "http://plane/acs/", "telemetryEndpoint": "http://plane/tcs"})
	case "SubmitTaskStateChange":
		s := submission{At: time.Now()}
		if err := json.Unmarshal(body, &s); err != nil {
			p.t.Errorf("submission %s: %v", body, err)
		}
		p.note(func() { p.submitted = append(p.submitted, s) })
		json.NewEncoder(w).Encode(map[string]string{"acknowledgment": "OK"})
	default:
		w.WriteHeader(http.StatusNotImplemented)
		p.t.Errorf("unexpected call of %q", op)
	}
}

func (p *plane) acs(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Get("containerInstanceArn") != nodeARN || q.Get("protocolVersion") != "2" || !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ") {
		p.t.Errorf("handshake %s with authorization %q", r.URL, r.Header.Get("Authorization"))
	}
	c, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	p.note(func() { p.session = c; p.sessions++ })
	for {
		_, b, err := c.Read(context.Background())
		if err != nil {
			return
		}
		m, err := acs.Decode(b)
		if err != nil {
			p.t.Errorf("agent sent %s: %v", b, err)
		}
		p.note(func() {
			switch m := m.(type) {
			case *acs.AckRequest:
				p.acked = append(p.acked, m.MessageID)
			case *acs.NackRequest:
				p.nacked = append(p.nacked, m.MessageID)
			case *acs.HeartbeatAckRequest:
				p.acked = append(p.acked, m.MessageID)
			case *acs.IAMRoleCredentialsAckRequest:
				p.roleAcks = append(p.roleAcks, m.CredentialsID)
			case *acs.TaskStopVerificationMessage:
				p.verifies = append(p.verifies, m)
			default:
				p.t.Errorf("agent sent %T", m)
			}
		})
	}
}

func (p *plane) tcs(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	for {
		_, b, err := c.Read(context.Background())
		if err != nil {
			return
		}
		if b[0] == '{' {
			p.t.Errorf("telemetry without header lines: %s", b)
		}
		b, err = acs.SplitTCS(b)
		if err != nil {
			p.t.Error(err)
		}
		m, err := acs.Decode(b)
		if err != nil {
			p.t.Errorf("telemetry %s: %v", b, err)
		}
		p.note(func() {
			switch m := m.(type) {
			case *acs.PublishHealthRequest:
				for _, t := range m.Tasks {
					for _, k := range t.Containers {
						p.health[k.Name] = k.Status
					}
				}
			case *acs.PublishMetricsRequest:
				p.metrics = append(p.metrics, m.Tasks...)
			}
		})
	}
}

// nth is how many ACS sessions there were, and the newest.
func (p *plane) nth() (int, *websocket.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sessions, p.session
}

// until waits for cond, which is called with p.mu held.
func (p *plane) until(what string, cond func() bool) {
	p.t.Helper()
	limit := time.After(p.patience)
	for {
		p.mu.Lock()
		ok, changed := cond(), p.changed
		p.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-limit:
			p.t.Fatalf("never came: %s; submitted %+v", what, p.statuses())
		}
	}
}

// send gives the agent a message over its present session.
func (p *plane) send(m any) {
	p.t.Helper()
	p.until("a session", func() bool { return p.session != nil })
	b, err := acs.Encode(m)
	if err != nil {
		p.t.Fatal(err)
	}
	p.mu.Lock()
	c := p.session
	p.mu.Unlock()
	if err := c.Write(context.Background(), websocket.MessageText, b); err != nil {
		p.t.Fatalf("send %T: %v", m, err)
	}
}

// run hands tasks to the agent and waits for the acknowledgement.
func (p *plane) run(tasks ...acs.Task) {
	p.t.Helper()
	p.mu.Lock()
	p.seq++
	m := &acs.PayloadMessage{MessageID: cluster.NewID(), Cluster: "*", ContainerInstance: nodeARN, SeqNum: p.seq, Timeline: p.seq, Tasks: tasks}
	p.mu.Unlock()
	p.send(m)
	p.until("acknowledgement of the payload", func() bool { return slices.Contains(p.acked, m.MessageID) })
}

// end asks for a task's stop.
func (p *plane) end(t acs.Task) {
	p.t.Helper()
	t.DesiredStatus = "STOPPED"
	p.run(t)
}

// of are the submissions about one task.
func (p *plane) of(arn string) (out []submission) {
	for _, s := range p.submitted {
		if s.Task == arn {
			out = append(out, s)
		}
	}
	return out
}

func (p *plane) statuses() (out []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.submitted {
		out = append(out, strings.TrimSpace(lastPart(s.Task)[:6]+" "+s.Status+" "+s.Reason))
	}
	return out
}

// reaches waits until a task is reported in a status, and returns the report.
func (p *plane) reaches(t acs.Task, status cluster.Status) (got submission) {
	p.t.Helper()
	p.until("task "+lastPart(t.ARN)+" in "+string(status), func() bool {
		for _, s := range p.of(t.ARN) {
			if s.Status == string(status) {
				got = s
				return true
			}
		}
		return false
	})
	return got
}

const nodeARN = "arn:dhow:node:::n1"

// config is a node for tests of p.
func (p *plane) config(dir string) Config {
	return Config{
		DataDir: dir, Log: logTo(p.t), Cluster: "*", Region: "us-east-1", CPU: 2048, Memory: 4096, Hostname: "host",
		Endpoint: "http://plane", Dial: p.dial,
		Credentials: credentials.NewStaticCredentialsProvider("AKID", "secret", ""),
		Meant: func(account, region, ref string) string {
			if account != "000000000000" || region != "us-east-1" || ref != "sim/fail-unreachable:2" {
				return ""
			}
			return "say registry/" + ref
		},
	}
}

func logTo(t *testing.T) *slog.Logger {
	if !testing.Verbose() {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Log(strings.TrimSuffix(string(b), "\n"))
	return len(b), nil
}

// taskOf is a task of these containers in bridge mode.
func taskOf(containers ...types.ContainerDefinition) acs.Task {
	id := cluster.NewID()
	t := acs.Task{
		ARN: "arn:aws:ecs:us-east-1:000000000000:task/c/" + id, Cluster: "arn:aws:ecs:us-east-1:000000000000:cluster/c",
		DesiredStatus: "RUNNING", Family: "f", Version: "1", NetworkMode: "bridge", LaunchType: "EC2",
		Dhow: &acs.Dhow{Account: "000000000000", Region: "us-east-1", Definition: &types.TaskDefinition{
			Family: aws.String("f"), NetworkMode: types.NetworkModeBridge, ContainerDefinitions: containers,
		}},
	}
	for _, c := range containers {
		t.Containers = append(t.Containers, acs.Container{Name: *c.Name, ARN: "arn:aws:ecs:us-east-1:000000000000:container/c/" + id + "/" + *c.Name})
	}
	return t
}

// vpcTask is taskOf in awsvpc mode.
func vpcTask(address string, containers ...types.ContainerDefinition) acs.Task {
	t := taskOf(containers...)
	t.NetworkMode = "awsvpc"
	t.Dhow.Definition.NetworkMode = types.NetworkModeAwsvpc
	t.Dhow.Interface = &acs.Interface{
		Network: "default", CIDR: "172.31.0.0/16", Default: true, Address: address, SubnetCIDR: "172.31.0.0/20",
		MAC: "02:00:00:00:00:01", PrivateDNS: "ip-172-31-0-9.ec2.internal",
	}
	return t
}

// box is a container that runs a shell script.
func box(name, script string) types.ContainerDefinition {
	return types.ContainerDefinition{
		Name: &name, Image: aws.String("busybox:1"), Essential: aws.Bool(true),
		Command: []string{"sh", "-c", script},
	}
}

// discard is an API for tasks that answers nothing.
func discard(l net.Listener) error {
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		c.Close()
	}
}
