package http1

import (
	"io"
	"net"
	"net/http"
	"runtime"
	"testing"
	"time"
)

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
