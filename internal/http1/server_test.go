package http1

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a server at work on pipes, in whose time nothing waits. What it
// hands over is closed, with a note.
func pipes(t *testing.T, h http.HandlerFunc) (s *Server, dial func() net.Conn) {
	s = &Server{Handler: h, ReadHeaderTimeout: 30 * time.Second, IdleTimeout: 3 * time.Minute,
		Other: func(c net.Conn) { io.WriteString(c, "other"); c.Close() }}
	t.Cleanup(s.Close)
	return s, func() net.Conn {
		here, there := net.Pipe()
		go s.ServeConn(there)
		t.Cleanup(func() { here.Close() })
		return here
	}
}

const get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

// read is the next answer on r.
func read(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Error(err)
		return ""
	}
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Error(err)
	}
	return string(b)
}

func here(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "here") }

// after is what c says until it ends, and how long it takes to end.
func after(c net.Conn) (string, time.Duration) {
	began := time.Now()
	b, _ := io.ReadAll(c)
	return string(b), time.Since(began).Round(time.Second)
}

// A client that does nothing, or is slow with its request's head, is let go in
// time.
func TestLetsGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, dial := pipes(t, here)
		if _, took := after(dial()); took < 30*time.Second || took > 40*time.Second {
			t.Errorf("a connection without a request is kept for %v", took)
		}
		c := dial()
		r := bufio.NewReader(c)
		for range 5 {
			io.WriteString(c, get)
			if got := read(t, r); got != "here" {
				t.Errorf("answer %q", got)
			}
			time.Sleep(170 * time.Second)
		}
		io.WriteString(c, get)
		read(t, r)
		if _, took := after(c); took < 3*time.Minute || took > 4*time.Minute {
			t.Errorf("an idle connection is kept for %v", took)
		}
		c = dial()
		go func() {
			for i := range get {
				if _, err := io.WriteString(c, get[i:i+1]); err != nil {
					return
				}
				time.Sleep(20 * time.Second)
			}
		}()
		if said, took := after(c); said != "" || took > 45*time.Second {
			t.Errorf("a slow head is waited for for %v: %q", took, said)
		}
		time.Sleep(time.Minute) // the client notices
	})
}

// What a request is at work on lasts as long as it likes.
func TestHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, dial := pipes(t, func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/poll":
				select {
				case <-time.After(time.Hour):
				case <-r.Context().Done():
				}
			case "/upload":
				b, err := io.ReadAll(r.Body)
				fmt.Fprint(w, len(b), err, " ")
			case "/stream":
				for range 3 {
					time.Sleep(time.Hour)
					io.WriteString(w, "event ")
					http.NewResponseController(w).Flush()
				}
			}
			fmt.Fprint(w, r.Context().Err())
		})
		for _, tt := range []struct{ head, slow, want string }{
			{"GET /poll HTTP/1.1\r\nHost: x\r\n\r\n", "", "<nil>"},
			{"PUT /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n", "abc", "3 <nil> <nil>"},
			{"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n", "", "event event event <nil>"},
		} {
			c := dial()
			go func() {
				io.WriteString(c, tt.head)
				for _, b := range []byte(tt.slow) {
					time.Sleep(time.Hour)
					c.Write([]byte{b})
				}
			}()
			if got := strings.ReplaceAll(read(t, bufio.NewReader(c)), "3<nil>", "3 <nil>"); got != tt.want {
				t.Errorf("%.10s: %q, want %q", tt.head, got, tt.want)
			}
			if _, took := after(c); took < 3*time.Minute || took > 4*time.Minute {
				t.Errorf("%.10s: idle for %v", tt.head, took)
			}
		}
	})
}

// Requests that come while another is under way are not lost by watching it,
// however their bytes are split.
func TestPipelined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, dial := pipes(t, func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			select {
			case <-r.Context().Done():
				t.Error("a client that sends more is taken for gone")
			case <-time.After(time.Minute):
			}
			fmt.Fprintf(w, "%s %s", r.URL.Path, b)
		})
		var text string
		for i := range 5 {
			text += fmt.Sprintf("POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 3000\r\n\r\n%03000d", i, i)
		}
		for _, piece := range []int{1, 997, 4000, 1 << 20} {
			c := dial()
			go func() {
				for rest := text; rest != ""; {
					n := min(piece, len(rest))
					io.WriteString(c, rest[:n])
					rest = rest[n:]
				}
			}()
			r := bufio.NewReader(c)
			for i := range 5 {
				if got, want := read(t, r), fmt.Sprintf("/%d %03000d", i, i); got != want {
					t.Fatalf("pieces of %d: answer %d is %.20q", piece, i, got)
				}
			}
		}
	})
}

// Shutdown closes what is idle at once and lets requests end.
func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dial := pipes(t, func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Minute)
			io.WriteString(w, "here")
		})
		idle := dial()
		io.WriteString(idle, get)
		read(t, bufio.NewReader(idle))
		fresh, busy := dial(), dial()
		io.WriteString(busy, get)
		synctest.Wait()
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		if err := s.Shutdown(ctx); err != context.DeadlineExceeded {
			t.Errorf("shut down with a request under way: %v", err)
		}
		cancel()
		for _, c := range []net.Conn{idle, fresh} {
			if _, took := after(c); took > 0 {
				t.Errorf("an idle connection ends after %v", took)
			}
		}
		ended := make(chan error)
		go func() { ended <- s.Shutdown(t.Context()) }()
		res, err := http.ReadResponse(bufio.NewReader(busy), nil)
		if err != nil || !res.Close {
			t.Fatal(res, err)
		}
		if b, _ := io.ReadAll(res.Body); string(b) != "here" {
			t.Errorf("answer %q", b)
		}
		if err := <-ended; err != nil || time.Since(began) != time.Minute {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		if said, took := after(dial()); said != "" || took > 0 {
			t.Errorf("served after the end: %q, %v", said, took)
		}
	})
}
