package lb

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// one makes a load balancer with one group and a healthy target.
func (r *rig) one(h http.HandlerFunc, edit ...func(*TargetGroup)) (url string, g TargetGroup, s *httptest.Server) {
	r.t.Helper()
	g = r.group("web", edit...)
	b, l := r.balancer("front", g)
	s, at := r.serve(func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Path != "/health" {
			h(w, q)
		}
	})
	r.register(g, at)
	r.await(g, at, Healthy)
	return r.e.URL(b.ARN(), l.Port), g, s
}

func TestConnectionsToTargetsAreKept(t *testing.T) {
	r := newRig(t)
	var opened atomic.Int64
	g := r.group("web")
	b, l := r.balancer("front", g)
	s := httptest.NewUnstartedServer(says("hello"))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	s.Start()
	defer s.Close()
	at := targetOf(t, s.Listener.Addr())
	r.register(g, at)
	r.await(g, at, Healthy)
	before := opened.Load() // the checks'
	for range 50 {
		if status, _ := r.get(r.e.URL(b.ARN(), l.Port)); status != 200 {
			t.Fatalf("status %d", status)
		}
	}
	if n := opened.Load() - before; n != 1 {
		t.Errorf("50 requests opened %d connections to the target", n)
	}
}

// TestKilledTarget kills one of three targets under load: no GET may fail.
func TestKilledTarget(t *testing.T) {
	r := newRig(t)
	g := r.group("web")
	b, l := r.balancer("front", g)
	url := r.e.URL(b.ARN(), l.Port)
	var servers []*httptest.Server
	for i := range 3 {
		s, at := r.serve(func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(time.Millisecond) // so that some are under way
			fmt.Fprint(w, i)
		})
		servers = append(servers, s)
		r.register(g, at)
		r.await(g, at, Healthy)
	}
	stop := make(chan struct{})
	var served, failed atomic.Int64
	var load sync.WaitGroup
	for range 16 {
		load.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				resp, err := r.client.Get(url)
				if err != nil || resp.StatusCode != 200 {
					failed.Add(1)
				}
				if err == nil {
					io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
				served.Add(1)
			}
		})
	}
	wait := func(n int64) {
		eventually(t, func() string {
			if served.Load() < n {
				return "the load does not move"
			}
			return ""
		})
	}
	wait(300)
	// As a killed process does it: the socket and all connections at once.
	servers[1].Listener.Close()
	servers[1].CloseClientConnections()
	wait(served.Load() + 1000)
	close(stop)
	load.Wait()
	if failed.Load() > 0 {
		t.Errorf("%d of %d GETs failed", failed.Load(), served.Load())
	}
}

// TestStaleConnection closes kept connections under the load balancer: the
// next request, whatever its method, goes through on a new one.
func TestStaleConnection(t *testing.T) {
	r := newRig(t)
	url, _, s := r.one(says("ok"))
	for _, method := range []string{"GET", "POST", "PATCH", "DELETE"} {
		r.get(url)
		s.CloseClientConnections()
		time.Sleep(10 * time.Millisecond) // let the FIN arrive, as it has when a target times out
		q, _ := http.NewRequest(method, url, strings.NewReader("body"))
		resp, err := r.client.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 200 {
			t.Errorf("%s after the target closed its connections: %d", method, resp.StatusCode)
		}
	}
}

func TestWeights(t *testing.T) {
	r := newRig(t)
	blue, green := r.group("blue"), r.group("green")
	b, l := r.balancer("front", blue, green)
	l.Action.Forward[0].Weight, l.Action.Forward[1].Weight = 3, 1
	r.update(func(tx *Tx) error { return PutListener(tx, &l) })
	r.e.Sync(b.ARN())
	for g, name := range map[*TargetGroup]string{&blue: "blue", &green: "green"} {
		_, at := r.serve(says(name))
		r.register(*g, at)
		r.await(*g, at, Healthy)
	}
	seen := map[string]int{}
	for range 100 {
		_, body := r.get(r.e.URL(b.ARN(), l.Port))
		seen[body]++
	}
	if seen["blue"] < 74 || seen["blue"] > 76 || seen["green"] != 100-seen["blue"] {
		t.Errorf("3:1 gave %v of 100", seen)
	}
}

func TestLeastOutstanding(t *testing.T) {
	r := newRig(t)
	g := r.group("web", func(g *TargetGroup) { g.Attributes = map[string]string{attrAlgorithm: "least_outstanding_requests"} })
	b, l := r.balancer("front", g)
	url := r.e.URL(b.ARN(), l.Port)
	release := make(chan struct{})
	stuck := make(chan string, 1)
	for _, name := range []string{"a", "b"} {
		_, at := r.serve(func(w http.ResponseWriter, q *http.Request) {
			if q.URL.Path == "/stuck" {
				stuck <- name
				<-release
			}
			io.WriteString(w, name)
		})
		r.register(g, at)
		r.await(g, at, Healthy)
	}
	done := make(chan struct{})
	go func() { defer close(done); r.get(url + "stuck") }()
	busy := <-stuck
	for range 10 {
		if _, body := r.get(url); body == busy {
			t.Errorf("a request went to the busy target")
		}
	}
	close(release)
	<-done
}

func TestErrorsInAWSsWords(t *testing.T) {
	r := newRig(t)
	page := func(text string) string {
		return "<html>\r\n<head><title>" + text + "</title></head>\r\n<body>\r\n<center><h1>" + text + "</h1></center>\r\n</body>\r\n</html>\r\n"
	}
	url, g, _ := r.one(func(w http.ResponseWriter, q *http.Request) {
		switch q.URL.Path {
		case "/slow":
			time.Sleep(1500 * time.Millisecond)
		case "/rubbish", "/hangup":
			c, _, _ := http.NewResponseController(w).Hijack()
			if q.URL.Path == "/rubbish" {
				io.WriteString(c, "SSH-2.0-OpenSSH\r\n\r\n")
			}
			c.Close()
		}
	})
	r.update(func(tx *Tx) error {
		b, _ := LoadBalancers.Get(tx, home.Key("front"))
		b.Attributes = map[string]string{attrIdle: "1"}
		return LoadBalancers.Put(tx, b)
	})
	b, _ := r.balancerRow("front")
	r.e.Sync(b.ARN())
	for _, tc := range []struct {
		method, path string
		status       int
		title        string
		length       string
	}{
		{"GET", "rubbish", 502, "502 Bad Gateway", "122"},
		{"POST", "hangup", 502, "502 Bad Gateway", "122"},
		{"GET", "slow", 504, "504 Gateway Time-out", "132"},
		{"TRACE", "", 405, "405 Method Not Allowed", "136"},
	} {
		q, _ := http.NewRequest(tc.method, url+tc.path, nil)
		resp, err := r.client.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != tc.status || string(body) != page(tc.title) {
			t.Errorf("%s %s: %d %q", tc.method, tc.path, resp.StatusCode, body)
		}
		if h := resp.Header; h.Get("Server") != "awselb/2.0" || h.Get("Content-Type") != "text/html" || h.Get("Content-Length") != tc.length {
			t.Errorf("%s %s: headers %v", tc.method, tc.path, h)
		}
	}
	for _, t := range r.targets(g) {
		r.deregister(g, t)
	}
	if status, body := r.get(url); status != 503 || body != page("503 Service Temporarily Unavailable") {
		t.Errorf("without targets: %d %q", status, body)
	}
}

// TestFailOpen wants requests to go to all targets when none is healthy.
func TestFailOpen(t *testing.T) {
	r := newRig(t)
	g := r.group("web", func(g *TargetGroup) { g.Check.Path = "/sick"; g.Check.Unhealthy = 1 })
	b, l := r.balancer("front", g)
	_, at := r.serve(func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Path == "/sick" {
			w.WriteHeader(500)
		}
	})
	r.register(g, at)
	r.await(g, at, Unhealthy)
	if h := r.e.Describe(g.ARN(), at); h.Reason != "Target.ResponseCodeMismatch" || h.Description != "Health checks failed with these codes: [500]" {
		t.Errorf("the target is %+v", h)
	}
	if status, _ := r.get(r.e.URL(b.ARN(), l.Port)); status != 200 {
		t.Errorf("with unhealthy targets only the status is %d", status)
	}
}

func TestHeaders(t *testing.T) {
	r := newRig(t)
	got := make(chan *http.Request, 1)
	url, _, _ := r.one(func(w http.ResponseWriter, q *http.Request) {
		got <- q
		w.Header().Set("Connection", "X-Private")
		w.Header().Set("X-Private", "1")
		w.Header().Set("X-Public", "1")
		w.Header().Set("Keep-Alive", "timeout=3")
		w.Header()["Content-Type"] = nil
		io.WriteString(w, "<html>")
	})
	_, port, _ := net.SplitHostPort(strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/"))
	q, _ := http.NewRequest("GET", url+"a%2Fb?c=d%20e", nil)
	q.Header.Set("X-Forwarded-For", "10.1.2.3")
	q.Header.Set("X-Forwarded-Proto", "gopher")
	q.Header.Set("X-Amzn-Trace-Id", "Root=1-67891233-abcdef012345678912345678;CalledFrom=app;Self=1-old")
	q.Header.Set("Connection", "X-Secret")
	q.Header.Set("X-Secret", "1")
	q.Header.Set("Te", "trailers, deflate")
	q.Header["X-Twice"] = []string{"1", "2"}
	resp, err := r.client.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	in := <-got
	for k, want := range map[string]string{
		"X-Forwarded-For":   "10.1.2.3, 127.0.0.1",
		"X-Forwarded-Proto": "http",
		"X-Forwarded-Port":  port,
		"X-Secret":          "",
		"X-Twice":           "1|2",
		"Te":                "trailers",
		"Connection":        "",
		"Content-Length":    "",
		"Transfer-Encoding": "",
	} {
		if v := strings.Join(in.Header[k], "|"); v != want {
			t.Errorf("the target got %s: %q, want %q", k, v, want)
		}
	}
	trace := in.Header.Get("X-Amzn-Trace-Id")
	if !strings.HasPrefix(trace, "Self=1-") || !strings.HasSuffix(trace, ";Root=1-67891233-abcdef012345678912345678;CalledFrom=app") {
		t.Errorf("the trace id is %q", trace)
	}
	if in.RequestURI != "/a%2Fb?c=d%20e" {
		t.Errorf("the target got %s", in.RequestURI)
	}
	if want := strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/"); in.Host != want {
		t.Errorf("the target got Host %s, want %s", in.Host, want)
	}
	h := resp.Header
	if h.Get("X-Private") != "" || h.Get("Keep-Alive") != "" || h.Get("X-Public") != "1" {
		t.Errorf("the client got %v", h)
	}
	if _, guessed := h["Content-Type"]; guessed {
		t.Errorf("a Content-Type was made up: %v", h)
	}
}

// TestForwardedFor covers the modes of X-Forwarded-For and of the Host.
func TestForwardedFor(t *testing.T) {
	r := newRig(t)
	got := make(chan *http.Request, 1)
	url, _, _ := r.one(func(_ http.ResponseWriter, q *http.Request) { got <- q })
	port := url[strings.LastIndexByte(url, ':')+1 : len(url)-1]
	for _, tc := range []struct {
		attributes map[string]string
		given      string
		want       string // a trailing colon stands for any port
		host       string
		odd        string
	}{
		{nil, "", "127.0.0.1", "example.com:" + port, "kept"},
		{nil, "10.0.0.9", "10.0.0.9, 127.0.0.1", "example.com:" + port, "kept"},
		{map[string]string{attrXFFPort: "true"}, "", "127.0.0.1:", "example.com:" + port, "kept"},
		{map[string]string{attrXFFMode: "preserve"}, "10.0.0.9", "10.0.0.9", "example.com:" + port, "kept"},
		{map[string]string{attrXFFMode: "preserve"}, "", "", "example.com:" + port, "kept"},
		{map[string]string{attrXFFMode: "remove"}, "10.0.0.9", "", "example.com:" + port, "kept"},
		{map[string]string{attrKeepHost: "true"}, "", "127.0.0.1", "example.com", "kept"},
		{map[string]string{attrDropHeaders: "true"}, "", "127.0.0.1", "example.com:" + port, ""},
	} {
		r.update(func(tx *Tx) error {
			b, _ := LoadBalancers.Get(tx, home.Key("front"))
			b.Attributes = tc.attributes
			return LoadBalancers.Put(tx, b)
		})
		b, _ := r.balancerRow("front")
		r.e.Sync(b.ARN())
		q, _ := http.NewRequest("GET", url, nil)
		q.Host = "example.com"
		q.Header["odd_name"] = []string{"kept"}
		if tc.given != "" {
			q.Header.Set("X-Forwarded-For", tc.given)
		}
		resp, err := r.client.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		in := <-got
		v := in.Header.Get("X-Forwarded-For")
		if strings.HasSuffix(tc.want, ":") && strings.HasPrefix(v, tc.want) {
			v = tc.want
		}
		if v != tc.want || in.Host != tc.host || in.Header.Get("Odd_name") != tc.odd {
			t.Errorf("%v with %q: X-Forwarded-For %q, Host %q, odd_name %q", tc.attributes, tc.given, v, in.Host, in.Header.Get("Odd_name"))
		}
	}
}
