// Package natstest runs NATS servers inside a test, as dhow wants them: with
// JetStream, every message synced, on free ports of the loopback.
package natstest

import (
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// patience bounds each wait of this package's.
const patience = 60 * time.Second

// Server starts one server, which change may configure otherwise (nil does not),
// and stops it with the test.
func Server(t testing.TB, change func(*server.Options)) *server.Server {
	t.Helper()
	o := options(t)
	if change != nil {
		change(o)
	}
	s := start(t, o)
	t.Cleanup(func() { stop(s) })
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server does not start")
	}
	return s
}

func options(t testing.TB) *server.Options {
	return &server.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), MaxPayload: 4 << 20, SyncAlways: true, NoSigs: true, NoLog: true}
}

func start(t testing.TB, o *server.Options) *server.Server {
	t.Helper()
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	return s
}

func stop(s *server.Server) {
	s.Shutdown()
	s.WaitForShutdown()
}

// Cluster is three servers. Its methods are for one goroutine.
type Cluster struct {
	servers []*server.Server
	options []*server.Options
}

// StartCluster starts three servers and returns when they have a leader; they
// are stopped with the test.
func StartCluster(t testing.TB) *Cluster {
	t.Helper()
	c := &Cluster{}
	var routes []*url.URL
	for i := range 3 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		l.Close()
		routes = append(routes, &url.URL{Scheme: "nats", Host: fmt.Sprintf("127.0.0.1:%d", port)})
		o := options(t)
		o.ServerName, o.Cluster = fmt.Sprint("s", i), server.ClusterOpts{Name: "c", Host: "127.0.0.1", Port: port}
		c.options = append(c.options, o)
	}
	for _, o := range c.options {
		o.Routes = routes
		s := start(t, o)
		c.servers = append(c.servers, s)
		o.Port = s.Addr().(*net.TCPAddr).Port // the same when it is started again
	}
	t.Cleanup(func() {
		for _, s := range c.servers {
			stop(s)
		}
	})
	c.until(t, "the cluster has no leader", func() bool {
		for _, s := range c.servers {
			if s.JetStreamIsLeader() && len(s.JetStreamClusterPeers()) == len(c.servers) {
				return true
			}
		}
		return false
	})
	return c
}

// URL names all servers.
func (c *Cluster) URL() string {
	var urls []string
	for _, s := range c.servers {
		urls = append(urls, strings.TrimPrefix(s.ClientURL(), "nats://"))
	}
	return "nats://" + strings.Join(urls, ",")
}

// Size is the number of servers.
func (c *Cluster) Size() int { return len(c.servers) }

// Leader is the server that leads a stream, or the cluster where stream is ""; -1
// while none does.
func (c *Cluster) Leader(stream string) int {
	for i, s := range c.servers {
		if stream == "" && s.JetStreamIsLeader() || stream != "" && s.JetStreamIsStreamLeader("$G", stream) {
			return i
		}
	}
	return -1
}

// Stop ends server i in order.
func (c *Cluster) Stop(i int) { stop(c.servers[i]) }

// Start starts server i again, on its port and its data.
func (c *Cluster) Start(t testing.TB, i int) {
	t.Helper()
	c.servers[i] = start(t, c.options[i])
}

// WaitCurrent waits until all servers have all of a stream, so that the loss of
// the next one leaves a majority.
func (c *Cluster) WaitCurrent(t testing.TB, stream string) {
	t.Helper()
	c.until(t, "the servers do not come together again", func() bool {
		for _, s := range c.servers {
			if !s.JetStreamIsCurrent() || !s.JetStreamIsStreamCurrent("$G", stream) {
				return false
			}
		}
		return true
	})
}

func (c *Cluster) until(t testing.TB, not string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(50 * time.Millisecond) { // between two looks at servers that tell nobody
		if time.Now().After(end) {
			t.Fatal(not)
		}
	}
}
