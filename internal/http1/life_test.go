package http1

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

// A context that was asked for Done ends with the client, at once; the context
// of a request that returned has ended too.
func TestClientGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctxs := make(chan context.Context, 1)
		_, dial := pipes(t, func(w http.ResponseWriter, r *http.Request) {
			derived, cancel := context.WithCancel(r.Context())
			defer cancel()
			body, err := io.ReadAll(r.Body)
			if r.ContentLength > int64(len(body)) {
				if !errors.Is(err, io.ErrUnexpectedEOF) || r.Context().Err() == nil {
					t.Errorf("a body broke off with %v, the context with %v", err, r.Context().Err())
				}
			} else {
				<-derived.Done()
			}
			ctxs <- r.Context()
		})
		for _, text := range []string{get, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc"} {
			c := dial()
			io.WriteString(c, text)
			synctest.Wait()
			select {
			case <-ctxs:
				t.Errorf("%q: the context ends before its client", text)
			default:
			}
			began := time.Now()
			c.Close()
			if ctx := <-ctxs; ctx.Err() != context.Canceled || time.Since(began) > time.Millisecond {
				t.Errorf("%q: %v after %v", text, ctx.Err(), time.Since(began))
			}
		}
	})
	synctest.Test(t, func(t *testing.T) {
		var kept context.Context
		_, dial := pipes(t, func(w http.ResponseWriter, r *http.Request) { kept = r.Context() })
		c := dial()
		io.WriteString(c, get)
		read(t, bufio.NewReader(c))
		synctest.Wait()
		<-kept.Done()
		if kept.Err() != context.Canceled || context.Cause(kept) != context.Canceled {
			t.Errorf("the context of the past: %v", kept.Err())
		}
		stop := context.AfterFunc(kept, func() {})
		synctest.Wait()
		if stop() {
			t.Error("what waits for the context's end does not run")
		}
	})
}

// tcp is a server on a socket.
func tcp(t *testing.T, h http.HandlerFunc) (dial func() *net.TCPConn) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Handler: h, Other: func(c net.Conn) { c.Close() }}
	go s.Serve(l)
	t.Cleanup(func() { l.Close(); s.Close(); s.Shutdown(context.Background()) })
	return func() *net.TCPConn {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c.(*net.TCPConn)
	}
}

// A client that ends its side gets its answer where nobody asks for it; who
// asks the context learns that it is gone.
func TestHalfClosed(t *testing.T) {
	ask := make(chan bool, 1)
	dial := tcp(t, func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if <-ask {
			fmt.Fprint(w, r.Context().Err())
			<-r.Context().Done()
		}
		fmt.Fprint(w, string(b), err)
	})
	for _, tt := range []struct {
		ask  bool
		want string
	}{{false, "abc<nil>"}, {true, "context canceledabc<nil>"}} {
		c := dial()
		io.WriteString(c, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
		c.CloseWrite()
		ask <- tt.ask
		if got := read(t, bufio.NewReader(c)); got != tt.want {
			t.Errorf("asked: %v, answer %q", tt.ask, got)
		}
	}
}

// Err knows, without a read of its own, whether the client is there.
func TestErrAsks(t *testing.T) {
	step := make(chan error)
	dial := tcp(t, func(w http.ResponseWriter, r *http.Request) {
		for range 2 {
			step <- r.Context().Err()
		}
		for r.Context().Err() == nil {
			runtime.Gosched()
		}
		<-r.Context().Done()
		step <- r.Context().Err()
	})
	c := dial()
	io.WriteString(c, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n")
	for range 2 {
		if err := <-step; err != nil {
			t.Fatal(err)
		}
	}
	c.SetLinger(0)
	c.Close()
	if err := <-step; err != context.Canceled {
		t.Error(err)
	}
}
