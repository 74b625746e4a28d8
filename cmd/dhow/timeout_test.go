package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a server at work on pipes, in whose time nothing waits.
func pipes(t *testing.T, h http.Handler) (dial func() net.Conn) {
	q, srv := newBacklog(nothing{}), newServer(h)
	done := make(chan struct{})
	go func() { defer close(done); srv.Serve(q) }()
	t.Cleanup(func() { srv.Close(); <-done })
	return func() net.Conn {
		here, there := net.Pipe()
		q.put(there)
		t.Cleanup(func() { here.Close() })
		return here
	}
}

// ended reports whether the server closes c within d.
func ended(c net.Conn, d time.Duration) bool {
	c.SetReadDeadline(time.Now().Add(d))
	defer c.SetReadDeadline(time.Time{})
	_, err := io.Copy(io.Discard, c)
	return err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe)
}

// A client that does nothing, or is slow with its request's head, is let go in
// time.
func TestServerLetsGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial := pipes(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "here") }))
		c := dial()
		for range 3 {
			io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			res, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, res.Body)
			time.Sleep(95 * time.Second) // longer than clients keep connections
		}
		if !ended(c, time.Hour) {
			t.Error("an idle connection is kept for ever")
		}
		c = dial()
		io.WriteString(c, "GET / HTTP/1.1\r\nHo")
		if !ended(c, time.Minute) {
			t.Error("half a head is waited for longer than a minute")
		}
		if !ended(dial(), 10*time.Minute) {
			t.Error("a connection without a request is kept for ever")
		}
	})
}

// Long polls, slow uploads, event streams and websockets last as long as they
// like.
func TestServerHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mux := http.NewServeMux()
		mux.HandleFunc("/poll", func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-time.After(20 * time.Minute):
				io.WriteString(w, "polled")
			case <-r.Context().Done():
			}
		})
		mux.HandleFunc("/upload", func(w http.ResponseWriter, r *http.Request) {
			b, err := io.ReadAll(r.Body)
			fmt.Fprint(w, len(b), err)
		})
		mux.HandleFunc("/stream", func(w http.ResponseWriter, r *http.Request) {
			for range 3 {
				time.Sleep(20 * time.Minute)
				io.WriteString(w, "event ")
				http.NewResponseController(w).Flush()
			}
		})
		mux.HandleFunc("/socket", func(w http.ResponseWriter, r *http.Request) {
			c, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			var b [1]byte
			c.Read(b[:])
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n"+string(b[:]))
		})
		dial := pipes(t, mux)
		slowly := func(c net.Conn, text string) {
			for _, b := range []byte(text) {
				time.Sleep(20 * time.Minute)
				c.Write([]byte{b})
			}
		}
		for _, tt := range []struct{ head, slow, want string }{
			{"GET /poll HTTP/1.1\r\nHost: x\r\n\r\n", "", "polled"},
			{"PUT /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n", "abc", "3 <nil>"},
			{"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n", "", "event event event "},
			{"GET /socket HTTP/1.1\r\nHost: x\r\n\r\n", "w", "w"},
		} {
			c := dial()
			go func() {
				io.WriteString(c, tt.head)
				slowly(c, tt.slow)
			}()
			res, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Errorf("%.10s: %v", tt.head, err)
				continue
			}
			b, err := io.ReadAll(res.Body)
			if string(b) != tt.want || err != nil {
				t.Errorf("%.10s: %q %v, want %q", tt.head, b, err, tt.want)
			}
		}
	})
}

// The same over HTTP/2: a stream that lasts holds its connection, one without
// streams ends.
func TestServerHTTP2(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial := pipes(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-time.After(20 * time.Minute):
				io.WriteString(w, r.Proto)
			case <-r.Context().Done():
			}
		}))
		closed := make(chan struct{})
		transport := &http.Transport{Protocols: new(http.Protocols), DialContext: func(context.Context, string, string) (net.Conn, error) {
			return &noticed{Conn: dial(), closed: closed}, nil
		}}
		transport.Protocols.SetUnencryptedHTTP2(true)
		res, err := (&http.Client{Transport: transport}).Get("http://x/")
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(res.Body)
		res.Body.Close()
		if string(b) != "HTTP/2.0" || err != nil {
			t.Errorf("%q %v", b, err)
		}
		time.Sleep(2 * idleTimeout)
		select {
		case <-closed:
		default:
			t.Error("an idle connection is kept for ever")
		}
	})
}

// noticed says when its end was seen.
type noticed struct {
	net.Conn
	closed chan struct{}
	once   sync.Once
}

func (n *noticed) Read(b []byte) (int, error) {
	k, err := n.Conn.Read(b)
	if err != nil {
		n.once.Do(func() { close(n.closed) })
	}
	return k, err
}
