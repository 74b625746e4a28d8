package http1

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A handler takes the connection, with what was read of it ahead.
func TestHijack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dial := pipes(t, func(w http.ResponseWriter, r *http.Request) {
			r.Context().Done() // watched until here
			time.Sleep(time.Second)
			c, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := w.Write([]byte("x")); err != http.ErrHijacked {
				t.Errorf("a write after that: %v", err)
			}
			go func() {
				defer c.Close()
				for {
					line, err := rw.ReadString('\n')
					if err != nil {
						return
					}
					time.Sleep(time.Hour)
					io.WriteString(c, "> "+line)
				}
			}()
		})
		c := dial()
		go func() {
			io.WriteString(c, get+"ahead\n")
			time.Sleep(2 * time.Second)
			io.WriteString(c, "later\n")
		}()
		r := bufio.NewReader(c)
		for _, want := range []string{"> ahead\n", "> later\n"} {
			if got, err := r.ReadString('\n'); got != want || err != nil {
				t.Errorf("%q %v", got, err)
			}
		}
		if err := s.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		c.Close()
		synctest.Wait()
	})
}

// Deadlines that a handler sets are for its request only.
func TestDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, dial := pipes(t, func(w http.ResponseWriter, r *http.Request) {
			rc := http.NewResponseController(w)
			rc.SetReadDeadline(time.Now().Add(time.Second))
			rc.SetWriteDeadline(time.Now().Add(time.Minute))
			began := time.Now()
			_, err := io.ReadAll(r.Body)
			if took := time.Since(began); r.ContentLength == 9 && (took != time.Second || err == nil) {
				t.Errorf("the read ends after %v with %v", took, err)
			}
			fmt.Fprint(w, err != nil)
		})
		c := dial()
		r := bufio.NewReader(c)
		for range 2 {
			io.WriteString(c, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
			if got := read(t, r); got != "false" {
				t.Error(got)
			}
			time.Sleep(2 * time.Minute)
		}
		io.WriteString(c, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc")
		time.Sleep(2 * time.Second)
		go io.WriteString(c, "def")
		if _, took := after(c); took > time.Minute {
			t.Errorf("a connection with half a body ends after %v", took)
		}
	})
}

// A handler that panics ends its connection, and nothing else.
func TestPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dial := pipes(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/code" {
				w.WriteHeader(99)
			}
			io.WriteString(w, "half")
			if r.URL.Path == "/flush" {
				http.NewResponseController(w).Flush()
			}
			panic(http.ErrAbortHandler)
		})
		var log strings.Builder
		s.Log = slog.New(slog.NewTextHandler(&log, nil))
		c := dial()
		io.WriteString(c, get)
		if said, _ := after(c); said != "" {
			t.Errorf("said %q", said)
		}
		c = dial()
		io.WriteString(c, "GET /code HTTP/1.1\r\nHost: a\r\n\r\n")
		if said, _ := after(c); said != "" || !strings.Contains(log.String(), "invalid WriteHeader code 99") {
			t.Errorf("said %q, and to the log %q", said, log.String())
		}
		c = dial()
		io.WriteString(c, "GET /flush HTTP/1.1\r\nHost: a\r\n\r\n")
		if said, _ := after(c); !strings.HasSuffix(said, "\r\n\r\n4\r\nhalf\r\n") {
			t.Errorf("said %q", said)
		}
	})
}

// An answer that comes before the end of a large upload is not lost with it.
func TestEarlyAnswer(t *testing.T) {
	dial := tcp(t, func(w http.ResponseWriter, r *http.Request) { http.Error(w, "no", http.StatusForbidden) })
	for range 20 {
		c := dial()
		fmt.Fprintf(c, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", 8<<20)
		go func() { c.Write(make([]byte, 8<<20)) }()
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(res.Body); string(b) != "no\n" || err != nil || !res.Close {
			t.Fatalf("answer %q, %v", b, err)
		}
		c.Close()
	}
}
