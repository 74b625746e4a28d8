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
		_, dial := pipes(t, func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "half")
			if r.URL.Path == "/flush" {
				http.NewResponseController(w).Flush()
			}
			panic(http.ErrAbortHandler)
		})
		c := dial()
		io.WriteString(c, get)
		if said, _ := after(c); said != "" {
			t.Errorf("said %q", said)
		}
		c = dial()
		io.WriteString(c, "GET /flush HTTP/1.1\r\nHost: a\r\n\r\n")
		if said, _ := after(c); !strings.HasSuffix(said, "\r\n\r\n4\r\nhalf\r\n") {
			t.Errorf("said %q", said)
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

// still is a connection on which nothing comes any more once text is read.
type still struct {
	script
	asleep func()
}

func (s *still) Read(p []byte) (int, error) {
	if n, err := s.script.Read(p); err != io.EOF {
		return n, err
	}
	s.asleep()
	<-s.ended
	return 0, net.ErrClosed
}

// Idle connections take little memory, and end without trace.
func TestIdleMemory(t *testing.T) {
	const n, most = 10_000, 16 << 10
	use := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapInuse + m.StackInuse
	}
	s := &Server{Handler: http.HandlerFunc(here)}
	asleep := make(chan bool, n)
	before, goroutines := use(), runtime.NumGoroutine()
	for range n {
		c := &still{script: script{in: []byte(get), piece: len(get), ended: make(chan struct{})}, asleep: func() { asleep <- true }}
		go s.ServeConn(c)
	}
	for range n {
		<-asleep
	}
	each := (use() - before) / n
	t.Logf("%d bytes a connection", each)
	if each > most {
		t.Errorf("an idle connection takes %d bytes", each)
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > goroutines; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines are left", runtime.NumGoroutine()-goroutines)
		}
	}
}

// call is a small call of an API.
const call = "POST / HTTP/1.1\r\nHost: 127.0.0.1:4566\r\nUser-Agent: a client\r\nContent-Type: application/x-amz-json-1.0\r\n" +
	"X-Target: Service.Operation\r\nAuthorization: a long one\r\nAccept-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello"

func small(w http.ResponseWriter, r *http.Request) {
	var b [64]byte
	n, _ := r.Body.Read(b[:])
	h := w.Header()
	h["Content-Type"] = kind
	h["Content-Length"] = length
	w.Write(b[:n])
}

var kind, length = []string{"application/json"}, []string{"5"}

// again is a connection on which the same call comes n times.
type again struct {
	script
	n int
}

func (a *again) Read(p []byte) (int, error) {
	if a.n == 0 {
		return 0, io.EOF
	}
	a.n--
	return copy(p, call), nil
}

func (a *again) Write(p []byte) (int, error) { return len(p), nil }

func TestAllocations(t *testing.T) {
	const n, most = 1000, 13
	s := &Server{Handler: http.HandlerFunc(small)}
	took := testing.AllocsPerRun(5, func() {
		s.ServeConn(&again{script{ended: make(chan struct{})}, n})
	}) / n
	t.Logf("%.1f allocations a call", took)
	if took > most {
		t.Errorf("%.1f allocations a call", took)
	}
}

func BenchmarkCall(b *testing.B) {
	b.Run("lane", func(b *testing.B) {
		b.ReportAllocs()
		s := &Server{Handler: http.HandlerFunc(small)}
		s.ServeConn(&again{script{ended: make(chan struct{})}, b.N})
	})
	b.Run("net/http", func(b *testing.B) {
		b.ReportAllocs()
		conns := make(feed, 1)
		c := &again{script{ended: make(chan struct{})}, b.N}
		conns <- c
		s := &http.Server{Handler: http.HandlerFunc(small)}
		go s.Serve(conns)
		<-c.ended
		close(conns)
	})
}
