package lb

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
	"github.com/dhowhq/dhow/store/storetest"
)

var home = cluster.Scope{Account: "000000000000", Region: "us-east-1"}

// rig is an engine at work on a store of its own.
type rig struct {
	t      testing.TB
	db     *store.DB
	e      *Engine
	client *http.Client
	stop   func()
}

func newRig(t testing.TB, options ...func(*Config)) *rig {
	t.Helper()
	r := &rig{t: t, db: storetest.Open(t), client: &http.Client{Transport: &http.Transport{}}}
	r.start(options...)
	return r
}

// start runs an engine; stop, called at the test's end at the latest, ends it.
func (r *rig) start(options ...func(*Config)) {
	c := Config{DB: r.db, Log: slog.New(slog.NewTextHandler(testWriter{r.t}, nil)), Shared: netip.MustParseAddr("127.0.63.1")}
	for _, o := range options {
		o(&c)
	}
	r.e = New(c)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); r.e.Run(ctx) }()
	var once atomic.Bool
	r.stop = func() {
		if !once.Swap(true) {
			cancel()
			<-done
		}
	}
	r.t.Cleanup(r.stop)
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Logf("%s", strings.TrimSpace(string(p)))
	return len(p), nil
}

func (r *rig) update(f func(tx *store.Tx) error) {
	r.t.Helper()
	if err := r.db.Update(context.Background(), f); err != nil {
		r.t.Fatal(err)
	}
}

// group makes a target group whose targets are checked fast.
func (r *rig) group(name string, edit ...func(*TargetGroup)) TargetGroup {
	r.t.Helper()
	g := TargetGroup{Scope: home, Name: name, Type: "ip", Protocol: "HTTP", Port: 80, VPC: "vpc-1",
		Check: Check{Protocol: "HTTP", Port: "traffic-port", Path: "/health", Interval: 5, Timeout: 2,
			Healthy: 5, Unhealthy: 2, Matcher: "200"}}
	for _, f := range edit {
		f(&g)
	}
	r.update(func(tx *store.Tx) error { return CreateTargetGroup(tx, &g) })
	r.e.Sync(g.ARN())
	return g
}

// balancer makes a load balancer with one listener on a free port, which
// forwards to the groups.
func (r *rig) balancer(name string, groups ...TargetGroup) (LoadBalancer, Listener) {
	r.t.Helper()
	b := LoadBalancer{Scope: home, Name: name, Zones: []Zone{{"subnet-a", "us-east-1a"}, {"subnet-b", "us-east-1b"}}}
	l := Listener{Scope: home, Balancer: name, Port: freePort(r.t)}
	for _, g := range groups {
		l.Action.Forward = append(l.Action.Forward, WeightedGroup{g.ARN(), 1})
	}
	r.update(func(tx *store.Tx) error {
		if err := CreateLoadBalancer(tx, &b); err != nil {
			return err
		}
		l.BalancerID = b.ID
		return PutListener(tx, &l)
	})
	r.e.Sync(b.ARN())
	return b, l
}

func freePort(t testing.TB) int32 {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return int32(ln.Addr().(*net.TCPAddr).Port)
}

// serve starts a target.
func (r *rig) serve(h http.HandlerFunc) (*httptest.Server, Target) {
	r.t.Helper()
	s := httptest.NewServer(h)
	r.t.Cleanup(s.Close)
	return s, targetOf(r.t, s.Listener.Addr())
}

func targetOf(t testing.TB, a net.Addr) Target {
	t.Helper()
	host, port, err := net.SplitHostPort(a.String())
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return Target{ID: host, Port: int32(n)}
}

func (r *rig) register(g TargetGroup, targets ...Target) {
	r.t.Helper()
	if err := r.e.Register(context.Background(), g.ARN(), targets...); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) deregister(g TargetGroup, targets ...Target) {
	r.t.Helper()
	if err := r.e.Deregister(context.Background(), g.ARN(), targets...); err != nil {
		r.t.Fatal(err)
	}
}

// await waits until the target has the state.
func (r *rig) await(g TargetGroup, t Target, state State) {
	r.t.Helper()
	eventually(r.t, func() string {
		if s, reason := r.e.Health(g.ARN(), t); s != string(state) {
			return fmt.Sprintf("target %s:%d is %s (%s), want %s", t.ID, t.Port, s, reason, state)
		}
		return ""
	})
}

// eventually polls until check has nothing to say, for at most ten seconds.
func eventually(t testing.TB, check func() string) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		why := check()
		if why == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(why)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// get returns the status and body of a GET.
func (r *rig) get(url string) (int, string) {
	r.t.Helper()
	resp, err := r.client.Get(url)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func says(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, text) }
}

func TestForward(t *testing.T) {
	r := newRig(t)
	g := r.group("web")
	b, l := r.balancer("front", g)
	url := r.e.URL(b.ARN(), l.Port)

	if want := fmt.Sprintf("http://%s:%d/", b.Address, l.Port); url != want {
		t.Fatalf("URL is %s, want %s", url, want)
	}
	if status, _ := r.get(url); status != 503 {
		t.Errorf("without targets the status is %d, want 503", status)
	}
	_, one := r.serve(says("one"))
	r.register(g, one)
	r.await(g, one, Healthy)
	if status, body := r.get(url); status != 200 || body != "one" {
		t.Errorf("got %d %q", status, body)
	}

	_, two := r.serve(says("two"))
	r.register(g, two)
	r.await(g, two, Healthy)
	seen := map[string]int{}
	for range 10 {
		_, body := r.get(url)
		seen[body]++
	}
	if seen["one"] != 5 || seen["two"] != 5 {
		t.Errorf("ten requests went to %v, want five each", seen)
	}
}

// Tx spares the tests an import.
type Tx = store.Tx

func (r *rig) balancerRow(name string) (b LoadBalancer, ok bool) {
	r.db.View(func(rd store.Reader) error {
		b, ok = LoadBalancers.Get(rd, home.Key(name))
		return nil
	})
	return b, ok
}

func (r *rig) targets(g TargetGroup) (all []Target) {
	r.db.View(func(rd store.Reader) error {
		for t := range TargetsOf(rd, g) {
			all = append(all, Target{ID: t.ID, Port: t.Port, Zone: t.Zone})
		}
		return nil
	})
	return all
}

// Reader spares the tests an import.
type Reader = store.Reader

func itoa(n int32) string { return strconv.Itoa(int(n)) }

// Nobody sees the target group of another account or region.
func TestTargetGroupScope(t *testing.T) {
	r := newRig(t)
	g := r.group("g")
	b, _ := r.balancer("b", g)
	for _, s := range []cluster.Scope{home, {Account: "111122223333", Region: home.Region}, {Account: home.Account, Region: "eu-west-1"}} {
		kind, users := r.e.TargetGroup(s, g.ARN())
		if mine := s == home; mine != (kind == "ip" && len(users) == 1 && users[0] == b.ARN()) || !mine && (kind != "" || users != nil) {
			t.Errorf("%v sees %q, used by %v", s, kind, users)
		}
	}
}
