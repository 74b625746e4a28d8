package lb

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dhowhq/dhow/cluster"
)

// TestProbe makes single checks of targets that behave in all ways.
func TestProbe(t *testing.T) {
	e := New(Config{})
	var asked atomic.Pointer[http.Request]
	handler := http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		asked.Store(q)
		switch q.URL.Path {
		case "/404":
			w.WriteHeader(404)
		case "/hints":
			w.WriteHeader(http.StatusEarlyHints)
		case "/slow":
			time.Sleep(1200 * time.Millisecond)
		}
	})
	plain, secure := httptest.NewServer(handler), httptest.NewTLSServer(handler)
	defer plain.Close()
	defer secure.Close()
	mute := canned(t, "")
	rubbish := canned(t, "220 mail ready\r\n")
	endless := canned(t, "HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", 2*maxHead))
	closed := httptest.NewServer(handler)
	closed.Close()

	for _, tc := range []struct {
		name    string
		address string
		check   Check
		want    outcome
	}{
		{"fine", plain.Listener.Addr().String(), Check{Protocol: "HTTP", Path: "/a?b=c"}, outcome{ok: true}},
		{"over TLS, with whatever certificate", secure.Listener.Addr().String(), Check{Protocol: "HTTPS", Path: "/"}, outcome{ok: true}},
		{"a code that does not match", plain.Listener.Addr().String(), Check{Protocol: "HTTP", Path: "/404"}, outcome{why: wrongCode, code: 404}},
		{"hints first", plain.Listener.Addr().String(), Check{Protocol: "HTTP", Path: "/hints"}, outcome{ok: true}},
		{"too slow", plain.Listener.Addr().String(), Check{Protocol: "HTTP", Path: "/slow"}, outcome{why: timedOut}},
		{"nobody there", closed.Listener.Addr().String(), Check{Protocol: "HTTP", Path: "/"}, outcome{why: failed}},
		{"silence", mute, Check{Protocol: "HTTP", Path: "/"}, outcome{why: failed}},
		{"no HTTP", rubbish, Check{Protocol: "HTTP", Path: "/"}, outcome{why: failed}},
		{"a head without end", endless, Check{Protocol: "HTTP", Path: "/"}, outcome{why: failed}},
		{"a connection is enough", rubbish, Check{Protocol: "TCP"}, outcome{ok: true}},
		{"not even that", closed.Listener.Addr().String(), Check{Protocol: "TCP"}, outcome{why: failed}},
		{"plain where TLS is due", secure.Listener.Addr().String(), Check{Protocol: "HTTP", Path: "/"}, outcome{why: wrongCode, code: 400}},
		{"TLS where it is not", plain.Listener.Addr().String(), Check{Protocol: "HTTPS", Path: "/"}, outcome{why: failed}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.check.Timeout = 1
			matches, err := ParseMatcher("200")
			if err != nil {
				t.Fatal(err)
			}
			if got := e.probe("", tc.address, tc.check, matches); got != tc.want {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
		})
	}
	e.probe("", plain.Listener.Addr().String(), Check{Protocol: "HTTP", Path: "/a?b=c", Timeout: 1}, func(int) bool { return true })
	if q := asked.Load(); q.UserAgent() != "ELB-HealthChecker/2.0" || q.Host != plain.Listener.Addr().String() || q.RequestURI != "/a?b=c" || !q.Close {
		t.Errorf("the target was asked %s %s by %s", q.Host, q.RequestURI, q.UserAgent())
	}
}

// canned listens and answers every connection with text, then closes it.
func canned(t *testing.T, text string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			io.WriteString(c, text)
			c.Close()
		}
	}()
	return ln.Addr().String()
}

// TestSlowStart registers a target before it listens: it is healthy soon after
// it does, not an interval later, and not unhealthy before the threshold.
func TestSlowStart(t *testing.T) {
	r := newRig(t)
	g := r.group("web", func(g *TargetGroup) { g.Check.Interval, g.Check.Unhealthy = 300, 2 })
	r.balancer("front", g)
	port := freePort(t)
	at := Target{ID: "127.0.0.1", Port: port}
	r.register(g, at)
	time.Sleep(300 * time.Millisecond) // many quick checks fail meanwhile
	if h := r.e.Describe(g.ARN(), at); h != checking {
		t.Errorf("before it listens the target is %+v", h)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:"+itoa(port))
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: says("up")}
	go s.Serve(ln)
	defer s.Close()
	began := time.Now()
	r.await(g, at, Healthy)
	if d := time.Since(began); d > 3*time.Second {
		t.Errorf("it took %v to see the target up", d)
	}
}

// TestFirstCheckIsImmediate bounds what a target that is up waits for.
func TestFirstCheckIsImmediate(t *testing.T) {
	r := newRig(t)
	g := r.group("web", func(g *TargetGroup) { g.Check.Interval = 300 })
	r.balancer("front", g)
	_, at := r.serve(says("up"))
	began := time.Now()
	r.register(g, at)
	r.await(g, at, Healthy)
	if d := time.Since(began); d > time.Second {
		t.Errorf("it took %v", d)
	}
}

// TestInstances dials instance targets at their node, by host port.
func TestInstances(t *testing.T) {
	var elsewhere atomic.Int64
	r := newRig(t, func(c *Config) {
		c.Instance = func(_ cluster.Scope, id string) (string, bool) { return "127.0.0.1", id == "i-1" }
		c.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			if network != "" {
				elsewhere.Add(1)
			}
			var d net.Dialer
			return d.DialContext(ctx, "tcp", address)
		}
	})
	g := r.group("web", func(g *TargetGroup) { g.Type, g.Network = "instance", "overlay" })
	b, l := r.balancer("front", g)
	_, at := r.serve(says("on a node"))
	at.ID = "i-1"
	r.register(g, at)
	r.await(g, at, Healthy)
	if status, body := r.get(r.e.URL(b.ARN(), l.Port)); status != 200 || body != "on a node" {
		t.Errorf("got %d %q", status, body)
	}
	if elsewhere.Load() > 0 {
		t.Error("an instance was dialled in its VPC's network")
	}
}

// TestNetworks dials targets in the VPC through it, others from the host.
func TestNetworks(t *testing.T) {
	got := make(chan string, 10)
	r := newRig(t, func(c *Config) {
		c.Dial = func(_ context.Context, network, address string) (net.Conn, error) {
			got <- network + " " + address
			return nil, io.EOF
		}
	})
	g := r.group("web", func(g *TargetGroup) { g.Network, g.CIDR = "overlay", "172.31.0.0/16"; g.Check.Port = "9000" })
	r.balancer("front", g)
	for id, want := range map[string]string{"172.31.0.9": "overlay 172.31.0.9:9000", "10.0.0.1": " 10.0.0.1:9000"} {
		at := Target{ID: id, Port: 80}
		r.register(g, at)
		if dialled := <-got; dialled != want {
			t.Errorf("%s was dialled at %q, want %q", id, dialled, want)
		}
		r.deregister(g, at)
		eventually(t, func() string {
			if state, _ := r.e.Health(g.ARN(), at); state != "" {
				return state
			}
			return ""
		})
		for len(got) > 0 {
			<-got
		}
	}
}
