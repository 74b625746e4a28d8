package acs

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/coder/websocket"

	"github.com/dhowhq/dhow/cluster"
	wire "github.com/dhowhq/dhow/internal/acs"
	"github.com/dhowhq/dhow/store"
)

func (w *world) connected(instance string) bool {
	out, err := w.ecs.DescribeContainerInstances(w.t.Context(), &ecs.DescribeContainerInstancesInput{Cluster: aws.String("c"), ContainerInstances: []string{instance}})
	if err != nil || len(out.ContainerInstances) != 1 {
		w.t.Fatalf("%+v, %v", out, err)
	}
	return out.ContainerInstances[0].AgentConnected
}

// A stock agent: it registers, connects, gets its tasks in the protocol's form,
// acknowledges, and is told to stop them.
func TestStockSession(t *testing.T) {
	w := newWorld(t)
	instance := w.stock()
	c := w.connect(instance)
	m := next[wire.TaskManifestMessage](c)
	if m.Cluster != "c" || m.ContainerInstance != instance || len(m.Tasks) != 0 || m.Timeline == 0 {
		t.Errorf("manifest %+v", m)
	}
	c.ack(m.MessageID)
	w.until("agentConnected", func() bool { return w.connected(instance) })

	w.define("bridge", types.ContainerDefinition{
		Name: aws.String("web"), Image: aws.String("nginx"), Command: []string{"serve"}, Environment: []types.KeyValuePair{{Name: aws.String("A"), Value: aws.String("1")}},
		PortMappings: []types.PortMapping{{ContainerPort: aws.Int32(80)}},
	})
	arn := w.run(1, func(in *ecs.RunTaskInput) {
		in.Overrides = &types.TaskOverride{ContainerOverrides: []types.ContainerOverride{{Name: aws.String("web"), Command: []string{"other"}, Environment: []types.KeyValuePair{{Name: aws.String("A"), Value: aws.String("2")}}}}}
	})[0]
	p := next[wire.PayloadMessage](c)
	if p.Cluster != "c" || p.ContainerInstance != instance || p.SeqNum <= m.Timeline || len(p.Tasks) != 1 {
		t.Fatalf("payload %+v", p)
	}
	task := p.Tasks[0]
	k := task.Containers[0]
	if task.ARN != arn || task.DesiredStatus != "RUNNING" || task.Family != "f" || task.Version != "1" || k.Environment["A"] != "2" ||
		k.Overrides != `{"command":["other"]}` || k.Memory != 64 || !k.Essential || k.PortMappings[0].ContainerPort != 80 || !strings.Contains(k.ARN, ":container/c/") {
		t.Errorf("task %+v", task)
	}
	var host map[string]any
	if err := json.Unmarshal([]byte(k.DockerConfig.HostConfig), &host); err != nil || host["NetworkMode"] != "bridge" {
		t.Errorf("host config %s, %v", k.DockerConfig.HostConfig, err)
	}
	// Not acknowledged: it comes again, with a higher number.
	again := next[wire.PayloadMessage](c)
	if again.MessageID == p.MessageID || again.SeqNum <= p.SeqNum || again.Tasks[0].ARN != arn {
		t.Errorf("sent again as %+v", again)
	}
	c.ack(again.MessageID)
	w.must(w.ecs.SubmitTaskStateChange(t.Context(), &ecs.SubmitTaskStateChangeInput{Cluster: aws.String("c"), Task: &arn, Status: aws.String("RUNNING"),
		Containers: []types.ContainerStateChange{{ContainerName: aws.String("web"), Status: aws.String("RUNNING")}}}))
	if got := *w.task(arn).LastStatus; got != "RUNNING" {
		t.Errorf("status %s", got)
	}
	w.must(w.ecs.StopTask(t.Context(), &ecs.StopTaskInput{Cluster: aws.String("c"), Task: &arn}))
	stop := next[wire.PayloadMessage](c)
	if stop.Tasks[0].DesiredStatus != "STOPPED" || stop.Tasks[0].ARN != arn {
		t.Errorf("stop %+v", stop)
	}
	c.ack(stop.MessageID)
	// Acknowledged: only heartbeats from now on.
	deadline := time.Now().Add(time.Second)
	for time.Now().Before(deadline) {
		_, b, err := c.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		h, err := wire.Decode(b)
		if _, ok := h.(*wire.HeartbeatMessage); !ok || err != nil {
			t.Fatalf("after all was acknowledged came %s", b)
		}
		c.say(&wire.HeartbeatAckRequest{MessageID: h.(*wire.HeartbeatMessage).MessageID})
	}
}

// A silent agent counts as disconnected, also while its socket is open; one
// that comes back counts as connected.
func TestSilence(t *testing.T) {
	w := newWorld(t)
	instance := w.stock()
	c := w.connect(instance)
	w.until("agentConnected", func() bool { return w.connected(instance) })
	began := time.Now()
	for time.Since(began) < 2*w.config.Silence { // it answers heartbeats
		next[wire.HeartbeatMessage](c)
	}
	if !w.connected(instance) {
		t.Error("an agent that answers counts as disconnected")
	}
	began = time.Now()
	w.until("agentConnected=false", func() bool { return !w.connected(instance) })
	if d := time.Since(began); d < w.config.Silence/2 {
		t.Errorf("disconnected after %v", d)
	}
	w.connect(instance)
	w.until("agentConnected", func() bool { return w.connected(instance) })
}

func TestManifestAndStops(t *testing.T) {
	w := newWorld(t)
	instance := w.stock()
	w.connect(instance).CloseNow()
	w.until("agentConnected", func() bool { return w.connected(instance) })
	w.define("bridge", types.ContainerDefinition{Name: aws.String("web"), Image: aws.String("nginx")})
	arns := w.run(2)
	w.must(w.ecs.StopTask(t.Context(), &ecs.StopTaskInput{Cluster: aws.String("c"), Task: &arns[1]}))
	c := w.connect(instance)
	m := next[wire.TaskManifestMessage](c)
	want := map[string]string{arns[0]: "RUNNING", arns[1]: "STOPPED"}
	for _, id := range m.Tasks {
		if want[id.Task] != id.DesiredStatus {
			t.Errorf("manifest has %+v", id)
		}
		delete(want, id.Task)
	}
	if len(want) != 0 {
		t.Errorf("the manifest lacks %v", want)
	}
	stray := strings.Replace(arns[0], lastPart(arns[0]), cluster.NewID(), 1)
	c.say(&wire.TaskStopVerificationMessage{MessageID: m.MessageID, StopCandidates: []wire.TaskIdentifier{{Task: arns[0]}, {Task: arns[1]}, {Task: stray}, {Task: "garbage"}}})
	ack := next[wire.TaskStopVerificationAck](c)
	var got []string
	for _, id := range ack.StopTasks {
		got = append(got, id.Task)
	}
	if ack.MessageID != m.MessageID || strings.Join(got, " ") != arns[1]+" "+stray {
		t.Errorf("confirmed %v", got)
	}
}

func lastPart(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }

func TestHandshakeRefused(t *testing.T) {
	w := newWorld(t)
	instance := w.stock()
	for _, c := range []struct{ name, instance, want string }{
		{"nobody", "arn:aws:ecs:us-east-1:000000000000:container-instance/c/0123", "InactiveInstanceException"},
		{"garbage", "garbage", "InvalidInstanceException"},
		{"a node without its key", cluster.NodeARN("n1"), "InactiveInstanceException"},
	} {
		_, resp, err := w.dial("/_dhow/acs/ws", url.Values{"containerInstanceArn": {c.instance}, "clusterArn": {"c"}})
		if err == nil {
			t.Errorf("%s was let in", c.name)
			continue
		}
		b, _ := io.ReadAll(resp.Body)
		var body map[string]string
		if json.Unmarshal(b, &body) != nil || len(body) != 1 || body[c.want] == "" || resp.StatusCode < 400 {
			t.Errorf("%s: %d %s, want %s", c.name, resp.StatusCode, b, c.want)
		}
	}
	// A registered dhow node may be spoken for by its own key only.
	w.must(nil, w.db.Update(t.Context(), func(tx *store.Tx) error { return cluster.Nodes.Put(tx, cluster.Node{ID: "n1"}) }))
	_, resp, err := w.dial("/_dhow/acs/ws", url.Values{"containerInstanceArn": {cluster.NodeARN("n1")}})
	if err == nil || resp.StatusCode != http.StatusForbidden {
		t.Errorf("a stranger as node n1: %v", err)
	}
	// Nor by the name of a container instance, which is no secret.
	i := cluster.Instance{Scope: w.scope, Cluster: "c", ID: "i1", Node: "n1"}
	w.must(nil, w.db.Update(t.Context(), func(tx *store.Tx) error { return cluster.SaveInstance(tx, i) }))
	_, resp, err = w.dial("/_dhow/acs/ws", url.Values{"containerInstanceArn": {i.ARN()}})
	if err == nil || resp.StatusCode != http.StatusForbidden {
		t.Errorf("a stranger as an instance of node n1: %v", err)
	}
	// Nor may an agent of another account speak for an instance.
	_, resp, err = w.dialAs("111122223333", "/_dhow/acs/ws", url.Values{"containerInstanceArn": {instance}})
	if err == nil || resp.StatusCode != http.StatusForbidden {
		t.Errorf("another account as an instance: %v", err)
	}
	w.connect(instance)
	if resp, err := http.Get(w.web.URL + "/_dhow/acs/ws?containerInstanceArn=" + url.QueryEscape(instance)); err != nil || resp.StatusCode < 400 {
		t.Errorf("plain GET: %v, %v", resp, err)
	}
}

func TestDeregistered(t *testing.T) {
	w := newWorld(t)
	instance := w.stock()
	c := w.connect(instance)
	next[wire.TaskManifestMessage](c)
	w.must(w.ecs.DeregisterContainerInstance(t.Context(), &ecs.DeregisterContainerInstanceInput{Cluster: aws.String("c"), ContainerInstance: &instance}))
	next[wire.CloseMessage](c)
	if _, _, err := c.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusNormalClosure {
		t.Errorf("closed with %v", err)
	}
	_, resp, err := w.dial("/_dhow/acs/ws", url.Values{"containerInstanceArn": {instance}})
	if err == nil {
		t.Fatal("a deregistered instance was let in")
	}
	if b, _ := io.ReadAll(resp.Body); !strings.Contains(string(b), "InactiveInstanceException") {
		t.Errorf("refused with %s", b)
	}
}

// What an agent says that makes no sense neither ends its session nor the
// server; too much of it at once ends the session alone.
func TestHostileFrames(t *testing.T) {
	w := newWorld(t)
	instance := w.stock()
	c := w.connect(instance)
	next[wire.TaskManifestMessage](c)
	for _, frame := range []string{"", "x", "{}", `{"type":"Nope"}`, `{"type":"PayloadMessage","message":{}}`, `{"type":"AckRequest","message":{"messageId":7}}`,
		`{"type":"TaskStopVerificationMessage","message":{"stopCandidates":[{"taskArn":"arn:aws:ecs:::task/"}]}}`, strings.Repeat("[", 10000)} {
		if err := c.Write(t.Context(), websocket.MessageText, []byte(frame)); err != nil {
			t.Fatal(err)
		}
	}
	next[wire.TaskStopVerificationAck](c)
	next[wire.HeartbeatMessage](c)
	c.Write(t.Context(), websocket.MessageText, make([]byte, 2*maxFrame))
	for {
		if _, _, err := c.Read(t.Context()); err != nil {
			break
		}
	}
	next[wire.HeartbeatMessage](w.connect(instance))
}

// A server that ends says so; an agent that does not listen holds nothing up.
func TestShutdown(t *testing.T) {
	w := newWorld(t)
	instance := w.stock()
	c := w.connect(instance)
	next[wire.TaskManifestMessage](c)
	w.connect(w.stock()) // and never reads
	done := make(chan error, 1)
	go func() { done <- w.srv.Close() }()
	next[wire.CloseMessage](c)
	if _, _, err := c.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("closed with %v", err)
	}
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		t.Error("the server does not end")
	}
}

func TestNewerSessionWins(t *testing.T) {
	w := newWorld(t)
	instance := w.stock()
	first := w.connect(instance)
	next[wire.TaskManifestMessage](first)
	second := w.connect(instance)
	next[wire.TaskManifestMessage](second)
	next[wire.CloseMessage](first)
	if _, _, err := first.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusPolicyViolation {
		t.Errorf("closed with %v", err)
	}
	next[wire.HeartbeatMessage](second)
}

func TestTelemetry(t *testing.T) {
	w := newWorld(t)
	instance := w.stock()
	c := w.connect(instance)
	w.until("agentConnected", func() bool { return w.connected(instance) })
	w.define("bridge", types.ContainerDefinition{Name: aws.String("web"), Image: aws.String("nginx"), HealthCheck: &types.HealthCheck{Command: []string{"CMD", "true"}}})
	arn := w.run(1)[0]
	p := next[wire.PayloadMessage](c)
	if k := p.Tasks[0].Containers[0]; k.HealthCheckType != "docker" || !strings.Contains(k.DockerConfig.Config, `"Healthcheck":{"Test":["CMD","true"]`) {
		t.Errorf("container %+v", k)
	}
	tc, _, err := w.dial("/_dhow/tcs/ws", url.Values{"cluster": {"c"}, "containerInstance": {instance}})
	if err != nil {
		t.Fatal(err)
	}
	defer tc.CloseNow()
	say := func(m any) any {
		t.Helper()
		b, err := wire.Encode(m)
		if err != nil {
			t.Fatal(err)
		}
		if err := tc.Write(t.Context(), websocket.MessageText, wire.JoinTCS([]string{"Host: x", "X-Amz-Date: y"}, b)); err != nil {
			t.Fatal(err)
		}
		_, b, err = tc.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ack, err := wire.Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		return ack
	}
	health := func(s string) *wire.PublishHealthRequest {
		return &wire.PublishHealthRequest{Tasks: []wire.TaskHealth{{Task: arn, Containers: []wire.ContainerHealth{{Name: "web", Status: s}}}, {Task: "garbage"}}}
	}
	if _, ok := say(health("HEALTHY")).(*wire.AckPublishHealth); !ok {
		t.Error("health was not acknowledged")
	}
	if got := w.task(arn).HealthStatus; got != "HEALTHY" {
		t.Errorf("health %s", got)
	}
	say(health("UNHEALTHY"))
	if got := w.task(arn); got.HealthStatus != "UNHEALTHY" || got.Containers[0].HealthStatus != "UNHEALTHY" {
		t.Errorf("health %+v", got)
	}
	m := &wire.PublishMetricsRequest{Tasks: []wire.TaskMetric{{Task: arn, Containers: []wire.ContainerMetric{{Name: "web", CPU: &wire.Stats{Sum: 12.5, SampleCount: 1}}}}}}
	if _, ok := say(m).(*wire.AckPublishMetric); !ok {
		t.Error("metrics were not acknowledged")
	}
	got, _, ok := w.srv.Metrics(arn)
	if !ok || got.Containers[0].CPU.Sum != 12.5 {
		t.Errorf("metrics %+v, %v", got, ok)
	}
	if _, ok := say(&wire.PublishInstanceStatusRequest{}).(*wire.AckPublishInstanceStatus); !ok {
		t.Error("instance status was not acknowledged")
	}
}
