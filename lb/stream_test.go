package lb

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

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
