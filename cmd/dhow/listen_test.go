package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dhowhq/dhow/internal/cert"
)

// tired fails the first accepts as a process does that has no descriptors left.
type tired struct {
	net.Listener
	mu    sync.Mutex
	fails int
}

func (l *tired) Accept() (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fails > 0 {
		l.fails--
		return nil, &net.OpError{Op: "accept", Err: unix.EMFILE}
	}
	return l.Listener.Accept()
}

// The API port survives that the process is out of descriptors for a while,
// and its servers end when it is closed.
func TestSniffOutlivesFailures(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := sniff(&tired{Listener: inner, fails: 3})
	srv := newServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "here") }))
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(s.plain) }()
	client := &http.Client{Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	res, err := client.Get("http://" + inner.Addr().String())
	if err != nil {
		t.Fatal("the port does not answer after a failed accept: ", err)
	}
	b, _ := io.ReadAll(res.Body)
	res.Body.Close()
	if string(b) != "here" {
		t.Errorf("answer %q", b)
	}
	inner.Close()
	select {
	case err := <-ended:
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("ended with %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("the server does not end with its listener")
	}
}

// A dial into the process gives up when its caller does: before the API serves
// nobody takes the other end.
func TestInsiderDialEnds(t *testing.T) {
	i := newInsider()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	done := make(chan error, 1)
	go func() { _, err := i.dial(ctx); done <- err }()
	select {
	case err := <-done:
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("dial ended with %v", err)
		}
	case <-time.After(10 * time.Second):
		i.Close()
		t.Fatal("dial does not end with its context")
	}
}

// The API port speaks TLS under every name of dhow's, those of load balancers
// that are yet to be made included, to who trusts the data directory's
// authority.
func TestSecured(t *testing.T) {
	dir := t.TempDir()
	authority, err := cert.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := sniff(inner)
	srv := newServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto+" "+r.Host) }))
	var ends sync.WaitGroup
	for _, l := range []net.Listener{s.plain, secured(s.secure, authority)} {
		ends.Go(func() { srv.Serve(l) })
	}
	defer ends.Wait()
	defer inner.Close()
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: authority.Pool()}, ForceAttemptHTTP2: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, inner.Addr().String())
		}}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 10 * time.Second}
	for url, want := range map[string]string{
		"https://127.0.0.1":                                "HTTP/2.0 127.0.0.1",
		"https://localhost":                                "HTTP/2.0 localhost",
		"https://web-1.us-east-1.elb.localhost":            "HTTP/2.0 web-1.us-east-1.elb.localhost",
		"https://api-2.eu-west-1.elb.dhow.internal":        "HTTP/2.0 api-2.eu-west-1.elb.dhow.internal",
		"http://web-1.us-east-1.elb.localhost":             "HTTP/1.1 web-1.us-east-1.elb.localhost",
		"https://000000000000.dkr.ecr.eu-west-1.localhost": "HTTP/2.0 000000000000.dkr.ecr.eu-west-1.localhost",
	} {
		res, err := client.Get(url)
		if err != nil {
			t.Error(err)
			continue
		}
		b, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if string(b) != want {
			t.Errorf("%s: answer %q, want %q", url, b, want)
		}
	}
}

// Plain requests, others, and h2c all come by one port, in any order on a
// connection.
func TestLane(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s %s %d", r.Proto, r.RemoteAddr, r.Context().Value(http.LocalAddrContextKey), b, r.ContentLength)
	})
	s, other := sniff(inner), newBacklog(nothing{})
	lane, std := newLane(h, other), newServer(h)
	var ends sync.WaitGroup
	ends.Go(func() { lane.Serve(s.plain) })
	ends.Go(func() { std.Serve(other) })
	defer ends.Wait()
	defer std.Close()
	defer lane.Close()
	defer inner.Close()
	for _, proto := range []string{"HTTP/1.1", "HTTP/2.0"} {
		var from string // all by one connection
		transport := &http.Transport{Protocols: new(http.Protocols)}
		transport.Protocols.SetHTTP1(proto == "HTTP/1.1")
		transport.Protocols.SetUnencryptedHTTP2(proto != "HTTP/1.1")
		defer transport.CloseIdleConnections()
		client := &http.Client{Transport: transport, Timeout: 10 * time.Second}
		for _, length := range []int64{3, 3, -1, 3} {
			req, err := http.NewRequest("PUT", "http://"+inner.Addr().String(), io.LimitReader(strings.NewReader("abc"), 3))
			if err != nil {
				t.Fatal(err)
			}
			req.ContentLength = length
			res, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			b, _ := io.ReadAll(res.Body)
			res.Body.Close()
			if words := strings.Fields(string(b)); from == "" && len(words) > 1 {
				from = words[1]
			}
			if want := fmt.Sprintf("%s %s %s abc %d", proto, from, inner.Addr(), length); string(b) != want {
				t.Errorf("%s: answer %q, want %q", proto, b, want)
			}
		}
	}
}
