package acs

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/coder/websocket"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/identity"
	wire "github.com/dhowhq/dhow/internal/acs"
	"github.com/dhowhq/dhow/internal/awsapi"
	ecsface "github.com/dhowhq/dhow/services/ecs"
	"github.com/dhowhq/dhow/store"
	"github.com/dhowhq/dhow/store/storetest"
)

// world is a control plane on a loopback port: the ECS API, and the agents'
// sockets with short times.
type world struct {
	t      *testing.T
	db     *store.DB
	srv    *Server
	web    *httptest.Server
	node   identity.Node
	ecs    *ecs.Client
	scope  cluster.Scope
	config Config
}

func newWorld(t *testing.T, adjust ...func(*Config)) *world {
	t.Helper()
	w := &world{t: t, db: storetest.Open(t), scope: cluster.Scope{Account: "000000000000", Region: "us-east-1"},
		node: identity.Node{ID: "n1", AccessKeyID: "DHOWNODETEST", SecretAccessKey: "secret"}}
	issuer, err := identity.OpenIssuer(t.Context(), w.db, TaskAlive(w.db))
	if err != nil {
		t.Fatal(err)
	}
	auth := identity.Open{Node: w.node, Issuer: issuer}
	w.config = Config{DB: w.db, Log: slog.New(slog.DiscardHandler), Auth: auth, Issuer: issuer,
		Heartbeat: 100 * time.Millisecond, Silence: time.Second, Lost: time.Minute, Resend: 200 * time.Millisecond}
	for _, f := range adjust {
		f(&w.config)
	}
	var api *awsapi.Server
	w.config.Account = func(r *http.Request) string {
		return api.Caller(r).Account
	}
	w.srv = New(w.config)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.srv.Run(ctx) }()
	api, err = awsapi.New(awsapi.Config{Account: w.scope.Account, Region: w.scope.Region, Auth: auth, Log: w.config.Log},
		awsapi.Service{Model: "ecs", API: ecsface.New(ecsface.Config{DB: w.db, DefaultCIDR: netip.MustParsePrefix("172.31.0.0/16")})})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/_dhow/acs/", w.srv)
	mux.Handle("/_dhow/tcs/", w.srv)
	mux.Handle("/", api)
	w.web = httptest.NewServer(mux)
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		w.web.Close()
	})
	w.ecs = w.client(credentials.NewStaticCredentialsProvider("000000000000", "x", ""))
	w.must(w.ecs.CreateCluster(t.Context(), &ecs.CreateClusterInput{ClusterName: aws.String("c")}))
	return w
}

func (w *world) client(c aws.CredentialsProvider) *ecs.Client {
	return ecs.New(ecs.Options{Region: "us-east-1", BaseEndpoint: &w.web.URL, Credentials: c, Retryer: aws.NopRetryer{}})
}

func (w *world) nodeKey() aws.CredentialsProvider {
	return credentials.NewStaticCredentialsProvider(w.node.AccessKeyID, w.node.SecretAccessKey, "")
}

func (w *world) must(_ any, err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// define registers family f with these containers.
func (w *world) define(mode types.NetworkMode, containers ...types.ContainerDefinition) {
	w.t.Helper()
	w.register(ecs.RegisterTaskDefinitionInput{NetworkMode: mode, ContainerDefinitions: containers})
}

// register registers family f.
func (w *world) register(in ecs.RegisterTaskDefinitionInput) {
	w.t.Helper()
	in.Family = aws.String("f")
	for i := range in.ContainerDefinitions {
		if in.ContainerDefinitions[i].Memory == nil {
			in.ContainerDefinitions[i].Memory = aws.Int32(64)
		}
	}
	w.must(w.ecs.RegisterTaskDefinition(w.t.Context(), &in))
}

// run starts tasks of f and returns their ARNs.
func (w *world) run(count int32, change ...func(*ecs.RunTaskInput)) (arns []string) {
	w.t.Helper()
	in := &ecs.RunTaskInput{Cluster: aws.String("c"), TaskDefinition: aws.String("f"), Count: &count}
	for _, f := range change {
		f(in)
	}
	out, err := w.ecs.RunTask(w.t.Context(), in)
	if err != nil {
		w.t.Fatal(err)
	}
	if len(out.Failures) > 0 {
		w.t.Fatalf("failures %+v", out.Failures)
	}
	for _, t := range out.Tasks {
		arns = append(arns, *t.TaskArn)
	}
	return arns
}

// awsvpc puts the tasks of a RunTask into the default VPC.
func (w *world) awsvpc(in *ecs.RunTaskInput) {
	w.must(nil, cluster.EnsureDefaultVPC(w.t.Context(), w.db, w.scope, netip.MustParsePrefix("172.31.0.0/16")))
	var subnet string
	w.db.View(func(r store.Reader) error {
		for s := range cluster.Subnets.List(r, w.scope.Prefix()) {
			subnet = s.ID
		}
		return nil
	})
	in.NetworkConfiguration = &types.NetworkConfiguration{AwsvpcConfiguration: &types.AwsVpcConfiguration{Subnets: []string{subnet}}}
}

func (w *world) task(arn string) types.Task {
	w.t.Helper()
	out, err := w.ecs.DescribeTasks(w.t.Context(), &ecs.DescribeTasksInput{Cluster: aws.String("c"), Tasks: []string{arn}})
	if err != nil || len(out.Tasks) != 1 {
		w.t.Fatalf("describe %s: %+v, %v", arn, out, err)
	}
	return out.Tasks[0]
}

// until polls for cond, which real processes and stores make true.
func (w *world) until(what string, cond func() bool) {
	w.t.Helper()
	for limit := time.Now().Add(15 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if cond() {
			return
		}
		if time.Now().After(limit) {
			w.t.Fatalf("never came: %s", what)
		}
	}
}

// stock registers an instance as the stock agent does and returns its ARN.
func (w *world) stock() string {
	w.t.Helper()
	out, err := w.ecs.RegisterContainerInstance(w.t.Context(), &ecs.RegisterContainerInstanceInput{
		Cluster: aws.String("c"),
		Attributes: []types.Attribute{{Name: aws.String("ecs.os-type"), Value: aws.String("linux")}, {Name: aws.String("ecs.availability-zone"), Value: aws.String("us-east-1a")},
			{Name: aws.String("com.amazonaws.ecs.capability.docker-remote-api.1.24")}, {Name: aws.String("ecs.capability.container-health-check")},
			{Name: aws.String("com.amazonaws.ecs.capability.task-iam-role")}},
		TotalResources: []types.Resource{
			{Name: aws.String("CPU"), Type: aws.String("INTEGER"), IntegerValue: 2048},
			{Name: aws.String("MEMORY"), Type: aws.String("INTEGER"), IntegerValue: 4096},
			{Name: aws.String("PORTS"), Type: aws.String("STRINGSET"), StringSetValue: []string{"22"}},
			{Name: aws.String("PORTS_UDP"), Type: aws.String("STRINGSET")},
		},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return *out.ContainerInstance.ContainerInstanceArn
}

// peerConn is an agent's end of a websocket, in the hands of a test.
type peerConn struct {
	w *world
	*websocket.Conn
	instance string
}

func (w *world) connect(instance string) *peerConn {
	w.t.Helper()
	c, resp, err := w.dial("/_dhow/acs/ws", url.Values{"clusterArn": {"c"}, "containerInstanceArn": {instance}, "seqNum": {"1"}, "protocolVersion": {"2"}, "sendCredentials": {"true"}})
	if err != nil {
		w.t.Fatalf("%v (%+v)", err, resp)
	}
	w.t.Cleanup(func() { c.CloseNow() })
	return &peerConn{w, c, instance}
}

func (w *world) dial(path string, q url.Values) (*websocket.Conn, *http.Response, error) {
	return w.dialAs("", path, q)
}

// dialAs is dial with the key of another than the server's account.
func (w *world) dialAs(key, path string, q url.Values) (*websocket.Conn, *http.Response, error) {
	h := http.Header{}
	if key != "" {
		h.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+key+"/20260101/us-east-1/ecs/aws4_request, SignedHeaders=host, Signature=0")
	}
	c, resp, err := websocket.Dial(w.t.Context(), strings.Replace(w.web.URL, "http", "ws", 1)+path+"?"+q.Encode(), &websocket.DialOptions{HTTPHeader: h})
	if c != nil {
		c.SetReadLimit(1 << 24)
	}
	return c, resp, err
}

// next reads messages up to the first of type T; heartbeats are answered.
func next[T any](c *peerConn) *T {
	c.w.t.Helper()
	ctx, cancel := context.WithTimeout(c.w.t.Context(), 15*time.Second)
	defer cancel()
	for {
		_, b, err := c.Read(ctx)
		if err != nil {
			c.w.t.Fatalf("waiting for %T: %v", *new(T), err)
		}
		m, err := wire.Decode(b)
		if err != nil {
			c.w.t.Fatal(err)
		}
		if h, ok := m.(*wire.HeartbeatMessage); ok {
			c.say(&wire.HeartbeatAckRequest{MessageID: h.MessageID})
		}
		if want, ok := m.(*T); ok {
			return want
		}
	}
}

func (c *peerConn) say(m any) {
	c.w.t.Helper()
	b, err := wire.Encode(m)
	if err != nil {
		c.w.t.Fatal(err)
	}
	if err := c.Write(c.w.t.Context(), websocket.MessageText, b); err != nil {
		c.w.t.Fatal(err)
	}
}

func (c *peerConn) ack(id string) {
	c.say(&wire.AckRequest{Cluster: "c", ContainerInstance: c.instance, MessageID: id})
}
