package lb

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// BenchmarkForward measures a GET through the load balancer on 64 connections,
// beside the same through net/http/httputil's reverse proxy and straight to the
// target. All run in one process on the same cores: cost-vs-httputil is what
// the load balancer adds to a request over what httputil adds, in wall time.
func BenchmarkForward(b *testing.B) {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	r := newRig(b)
	g := r.group("web")
	lb, l := r.balancer("front", g)
	body := strings.Repeat("x", 128)
	s, at := r.serve(says(body))
	r.register(g, at)
	r.await(g, at, Healthy)

	to, _ := url.Parse(s.URL)
	proxy := httputil.NewSingleHostReverseProxy(to)
	proxy.Transport = &http.Transport{MaxIdleConnsPerHost: 128}
	other := httptest.NewServer(proxy)
	defer other.Close()

	took := map[string]time.Duration{}
	for _, way := range []struct{ name, host string }{
		{"direct", s.Listener.Addr().String()},
		{"httputil", other.Listener.Addr().String()},
		{"lb", fmt.Sprintf("%s:%d", lb.Address, l.Port)},
	} {
		b.Run(way.name, func(b *testing.B) {
			b.ReportAllocs()
			load(b, way.host, 64, len(body))
			took[way.name] = b.Elapsed() / time.Duration(b.N)
			if way.name == "lb" && took["httputil"] > took["direct"] {
				b.ReportMetric(float64(took["lb"]-took["direct"])/float64(took["httputil"]-took["direct"]), "cost-vs-httputil")
			}
		})
	}
}

// load sends b.N GETs on n connections and reads their responses, whose bodies
// have size bytes, with as little work as can be.
func load(b *testing.B, host string, n, size int) {
	var clients sync.WaitGroup
	work := make(chan int, n)
	for i := range n {
		share := b.N / n
		if i < b.N%n {
			share++
		}
		work <- share
	}
	b.ResetTimer()
	for range n {
		clients.Go(func() {
			c, err := net.Dial("tcp", host)
			if err != nil {
				b.Error(err)
				return
			}
			defer c.Close()
			in := bufio.NewReader(c)
			request := []byte("GET / HTTP/1.1\r\nHost: example.com\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n")
			for range <-work {
				c.Write(request)
				for first := true; ; first = false {
					line, err := in.ReadSlice('\n')
					if err != nil || first && !bytes.HasPrefix(line, []byte("HTTP/1.1 200 ")) {
						b.Errorf("%q (%v)", line, err)
						return
					}
					if len(line) == 2 {
						break
					}
				}
				if _, err := io.CopyN(io.Discard, in, int64(size)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	clients.Wait()
}
