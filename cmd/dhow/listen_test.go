package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
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
