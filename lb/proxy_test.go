package lb

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
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

// TestStreams passes a body and its response piece by piece, each before the
// next is sent.
func TestStreams(t *testing.T) {
	r := newRig(t)
	url, _, _ := r.one(func(w http.ResponseWriter, q *http.Request) {
		rc := http.NewResponseController(w)
		rc.EnableFullDuplex()
		in := bufio.NewReader(q.Body)
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			io.WriteString(w, strings.ToUpper(line))
			rc.Flush()
		}
	})
	body, say := io.Pipe()
	q, _ := http.NewRequest("POST", url, body)
	answers := make(chan *http.Response, 1)
	go func() {
		resp, err := r.client.Do(q)
		if err != nil {
			t.Error(err)
		}
		answers <- resp
	}()
	io.WriteString(say, "one\n")
	resp := <-answers
	if resp == nil {
		return
	}
	defer resp.Body.Close()
	out := bufio.NewReader(resp.Body)
	for i, word := range []string{"ONE\n", "TWO\n", "THREE\n"} {
		if line, err := out.ReadString('\n'); err != nil || line != word {
			t.Fatalf("piece %d came back as %q (%v)", i, line, err)
		}
		switch i {
		case 0:
			io.WriteString(say, "two\n")
		case 1:
			io.WriteString(say, "three\n")
		}
	}
	say.Close()
	if rest, err := io.ReadAll(out); err != nil || len(rest) > 0 {
		t.Errorf("at the end came %q (%v)", rest, err)
	}
}

func TestBodies(t *testing.T) {
	r := newRig(t)
	url, _, _ := r.one(func(w http.ResponseWriter, q *http.Request) {
		b, err := io.ReadAll(q.Body)
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("X-Length", strconv.FormatInt(q.ContentLength, 10))
		w.Write(b)
	})
	for _, n := range []int{0, 1, smallBody, smallBody + 1, 5 << 20} {
		for _, chunked := range []bool{false, true} {
			body := strings.Repeat("0123456789abcdef", n/16+1)[:n]
			var in io.Reader = strings.NewReader(body)
			length := strconv.Itoa(n)
			if chunked {
				in, length = io.MultiReader(in), "-1"
			}
			resp, err := r.client.Post(url, "text/plain", in)
			if err != nil {
				t.Fatal(err)
			}
			out, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || string(out) != body {
				t.Errorf("%d bytes (chunked %v) came back as %d (%v)", n, chunked, len(out), err)
			}
			if got := resp.Header.Get("X-Length"); got != length {
				t.Errorf("%d bytes (chunked %v) had the length %s at the target, want %s", n, chunked, got, length)
			}
		}
	}
}

func TestTrailers(t *testing.T) {
	r := newRig(t)
	url, _, _ := r.one(func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		io.Copy(w, q.Body)
		w.Header().Set("X-Sum", q.Trailer.Get("X-Sum"))
	})
	q, _ := http.NewRequest("POST", url, io.MultiReader(strings.NewReader("abc")))
	q.Trailer = http.Header{"X-Sum": {"42"}}
	resp, err := r.client.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "abc" || resp.Trailer.Get("X-Sum") != "42" {
		t.Errorf("got %q and %v (%v)", body, resp.Trailer, err)
	}
}

// TestExpectContinue wants the body held back until the target has decided.
func TestExpectContinue(t *testing.T) {
	r := newRig(t)
	url, _, _ := r.one(func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Path == "/no" {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			return
		}
		io.Copy(w, q.Body)
	})
	host := strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/")
	for path, want := range map[string][]string{
		"/yes": {"HTTP/1.1 100 Continue", "HTTP/1.1 200 OK"},
		"/no":  {"HTTP/1.1 413 Request Entity Too Large"},
	} {
		c, err := net.Dial("tcp", host)
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(5 * time.Second))
		fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n", path)
		in := bufio.NewReader(c)
		var got []string
		for len(got) < len(want) {
			line, err := in.ReadString('\n')
			if err != nil {
				t.Fatalf("%s: %v after %q", path, err, got)
			}
			if strings.HasPrefix(line, "HTTP/") {
				got = append(got, strings.TrimSpace(line))
				if strings.Contains(line, "100 Continue") {
					io.WriteString(c, "hello")
				}
			}
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("%s: got %q, want %q", path, got, want)
			}
		}
		c.Close()
	}
}

// TestUpgrade speaks another protocol through the load balancer.
func TestUpgrade(t *testing.T) {
	r := newRig(t)
	url, _, _ := r.one(func(w http.ResponseWriter, q *http.Request) {
		if q.Header.Get("Upgrade") != "echo" || q.Header.Get("Connection") != "Upgrade" {
			t.Errorf("the target got %v", q.Header)
		}
		c, rw, _ := http.NewResponseController(w).Hijack()
		defer c.Close()
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\nX-Accept: yes\r\n\r\nwelcome\n")
		io.Copy(c, rw)
	})
	c, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	io.WriteString(c, "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: echo\r\n\r\nearly\n")
	in := bufio.NewReader(c)
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != 101 || resp.Header.Get("Upgrade") != "echo" || resp.Header.Get("X-Accept") != "yes" {
		t.Fatalf("got %v", resp)
	}
	for _, want := range []string{"welcome\n", "early\n"} {
		if line, err := in.ReadString('\n'); line != want {
			t.Fatalf("got %q (%v), want %q", line, err, want)
		}
	}
	io.WriteString(c, "late\n")
	if line, err := in.ReadString('\n'); line != "late\n" {
		t.Fatalf("got %q (%v)", line, err)
	}
	c.(*net.TCPConn).CloseWrite()
	if rest, err := io.ReadAll(in); err != nil || len(rest) > 0 {
		t.Errorf("after the end came %q (%v)", rest, err)
	}
}

// TestBrokenResponse wants the client to see that a response broke off.
func TestBrokenResponse(t *testing.T) {
	r := newRig(t)
	url, g, _ := r.one(func(w http.ResponseWriter, q *http.Request) {
		c, _, _ := http.NewResponseController(w).Hijack()
		defer c.Close()
		if q.URL.Path == "/chunked" {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
		} else {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
		}
	})
	for _, path := range []string{"", "chunked"} {
		resp, err := r.client.Get(url + path)
		if err == nil {
			var body []byte
			body, err = io.ReadAll(resp.Body)
			resp.Body.Close()
			if !strings.HasPrefix("hello", string(body)) {
				t.Errorf("%s: got %q", path, body)
			}
		}
		if err == nil {
			t.Errorf("%s: the client did not notice", path)
		}
	}
	eventually(t, func() string { return r.idleTargets(g) })
}

// TestClientGone wants the target to see that its client has gone away.
func TestClientGone(t *testing.T) {
	r := newRig(t)
	started, ended := make(chan struct{}), make(chan struct{})
	url, g, _ := r.one(func(_ http.ResponseWriter, q *http.Request) {
		close(started)
		<-q.Context().Done()
		close(ended)
	})
	ctx, cancel := context.WithCancel(context.Background())
	q, _ := http.NewRequestWithContext(ctx, "GET", url, nil)
	go func() { <-started; cancel() }()
	if _, err := r.client.Do(q); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Error("the target still works for a client that is gone")
	}
	eventually(t, func() string { return r.idleTargets(g) })
}

// idleTargets says which targets of g have requests under way.
func (r *rig) idleTargets(g TargetGroup) string {
	r.e.mu.Lock()
	defer r.e.mu.Unlock()
	at := r.e.groups[g.Key()]
	at.mu.Lock()
	defer at.mu.Unlock()
	for _, t := range at.targets {
		if n := t.inflight.Load(); n != 0 {
			return fmt.Sprintf("%s has %d requests under way", t.key, n)
		}
		t.mu.Lock()
		n := len(t.busy)
		t.mu.Unlock()
		if n != 0 {
			return fmt.Sprintf("%s has %d busy connections", t.key, n)
		}
	}
	return ""
}

func TestNoBodyResponses(t *testing.T) {
	r := newRig(t)
	url, _, _ := r.one(func(w http.ResponseWriter, q *http.Request) {
		switch q.URL.Path {
		case "/204":
			w.WriteHeader(204)
		case "/304":
			w.Header().Set("Etag", `"x"`)
			w.WriteHeader(304)
		default:
			w.Header().Set("Content-Length", "12345")
		}
	})
	for _, tc := range []struct {
		method, path string
		status       int
	}{{"HEAD", "big", 200}, {"GET", "204", 204}, {"GET", "304", 304}, {"HEAD", "204", 204}} {
		q, _ := http.NewRequest(tc.method, url+tc.path, nil)
		resp, err := r.client.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != tc.status || len(b) > 0 || err != nil {
			t.Errorf("%s %s: %d %q (%v)", tc.method, tc.path, resp.StatusCode, b, err)
		}
		if tc.path == "big" && resp.ContentLength != 12345 {
			t.Errorf("HEAD says %d bytes", resp.ContentLength)
		}
	}
}
