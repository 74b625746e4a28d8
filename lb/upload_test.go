package lb

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestEarlyResponse answers before the body has come: the client gets the
// answer, and what it sends after it is never taken for another request.
func TestEarlyResponse(t *testing.T) {
	r := newRig(t)
	var smuggled atomic.Int64
	url, g, _ := r.one(func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Path == "/smuggled" {
			smuggled.Add(1)
		}
		http.NewResponseController(w).EnableFullDuplex()
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		if q.URL.Path == "/known" {
			return
		}
		fmt.Fprint(w, "too ")
		http.NewResponseController(w).Flush() // no Content-Length: in chunks
		fmt.Fprint(w, "much")
	})
	host := strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/")
	inner := "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
	for path, want := range map[string]string{"/known": "", "/chunked": "too much"} {
		c, err := net.Dial("tcp", host)
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(5 * time.Second))
		fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", path, len(inner), inner)
		in := bufio.NewReader(c)
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		body, err := io.ReadAll(resp.Body)
		if resp.StatusCode != 413 || string(body) != want || err != nil {
			t.Errorf("%s: %d %q (%v)", path, resp.StatusCode, body, err)
		}
		io.WriteString(c, inner) // outside of any chunk
		if rest, _ := io.ReadAll(in); len(rest) > 0 {
			t.Errorf("%s: after the response came %q", path, rest)
		}
		c.Close()
	}
	if smuggled.Load() > 0 {
		t.Errorf("a part of a body was taken for a request")
	}
	eventually(t, func() string { return r.idleTargets(g) })
}

// TestBodyToDeadTarget sends a body that is not kept to a target that is gone:
// another target gets it, since nothing of it was read.
func TestBodyToDeadTarget(t *testing.T) {
	r := newRig(t)
	g := r.group("web", func(g *TargetGroup) { g.Check.Interval = 300 })
	b, l := r.balancer("front", g)
	var dead []interface{ Close() }
	for i := range 3 {
		s, at := r.serve(func(w http.ResponseWriter, q *http.Request) { io.Copy(w, q.Body) })
		r.register(g, at)
		r.await(g, at, Healthy)
		if i > 0 {
			dead = append(dead, s)
		}
	}
	for _, s := range dead {
		s.Close()
	}
	for range 3 {
		resp, err := r.client.Post(r.e.URL(b.ARN(), l.Port), "text/plain", io.MultiReader(strings.NewReader("cargo")))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 200 || string(body) != "cargo" || err != nil {
			t.Errorf("got %d %q (%v)", resp.StatusCode, body, err)
		}
	}
}

// TestStalledUpload gives up on a client that stops sending.
func TestStalledUpload(t *testing.T) {
	r := newRig(t)
	url, g, _ := r.one(func(_ http.ResponseWriter, q *http.Request) { io.Copy(io.Discard, q.Body) })
	r.update(func(tx *Tx) error {
		b, _ := LoadBalancers.Get(tx, home.Key("front"))
		b.Attributes = map[string]string{attrIdle: "1"}
		return LoadBalancers.Put(tx, b)
	})
	b, _ := r.balancerRow("front")
	r.e.Sync(b.ARN())
	for _, head := range []string{"Content-Length: 100", "Content-Length: 100000", "Transfer-Encoding: chunked"} {
		c, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/"))
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(5 * time.Second))
		fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n", head)
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatalf("%s: %v", head, err)
		}
		if resp.StatusCode != 408 || !resp.Close {
			t.Errorf("%s: got %v", head, resp)
		}
		c.Close()
	}
	eventually(t, func() string { return r.idleTargets(g) })
}
