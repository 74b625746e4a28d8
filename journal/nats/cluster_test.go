package nats_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/dhowhq/dhow/journal"
	"github.com/dhowhq/dhow/journal/journaltest"
	"github.com/dhowhq/dhow/journal/nats"
)

// cluster is three servers.
type cluster struct {
	servers []*server.Server
	options []*server.Options
}

func startCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{}
	var routes []*url.URL
	for range 3 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		l.Close()
		routes = append(routes, &url.URL{Scheme: "nats", Host: fmt.Sprintf("127.0.0.1:%d", port)})
		c.options = append(c.options, &server.Options{Cluster: server.ClusterOpts{Name: "c", Host: "127.0.0.1", Port: port}})
	}
	for i, o := range c.options {
		o.ServerName, o.Host, o.Port, o.Routes = fmt.Sprint("s", i), "127.0.0.1", -1, routes
		o.JetStream, o.StoreDir, o.MaxPayload, o.SyncAlways, o.NoSigs, o.NoLog = true, t.TempDir(), 4<<20, true, true, true
		s, err := server.NewServer(o)
		if err != nil {
			t.Fatal(err)
		}
		s.Start()
		c.servers = append(c.servers, s)
		o.Port = s.Addr().(*net.TCPAddr).Port // the same when it is started again
	}
	t.Cleanup(func() {
		for _, s := range c.servers {
			s.Shutdown()
			s.WaitForShutdown()
		}
	})
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		for _, s := range c.servers {
			if s.JetStreamIsLeader() && len(s.JetStreamClusterPeers()) == 3 {
				return c
			}
		}
		if time.Now().After(end) {
			t.Fatal("the cluster has no leader")
		}
	}
}

func (c *cluster) url() string {
	var urls []string
	for _, s := range c.servers {
		urls = append(urls, strings.TrimPrefix(s.ClientURL(), "nats://"))
	}
	return "nats://" + strings.Join(urls, ",")
}

func TestClusterContract(t *testing.T) {
	c := startCluster(t)
	n := 0
	journaltest.Run(t, func(*testing.T) journaltest.Place {
		n++
		return place{url: c.url(), stream: fmt.Sprint("J", n), n: 3}
	})
}

// TestServerLost appends while one server after the other is stopped and started
// again, and misses nothing that was acknowledged.
func TestServerLost(t *testing.T) {
	c := startCluster(t)
	j, err := nats.Open(c.url(), nats.Options{Replicas: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	l, err := j.Open(t.Context(), "a", 1)
	if err != nil {
		t.Fatal(err)
	}
	var acked []journal.Seq
	want := map[journal.Seq]string{}
	appendSome := func(n int) {
		for i := 0; i < n; {
			data := fmt.Sprint(len(acked))
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			first, err := l.Append(ctx, journal.Synced, []byte(data), []byte(data))
			cancel()
			if errors.Is(err, journal.ErrFenced) {
				t.Fatal(err)
			}
			if err != nil { // nobody knows, or not now
				time.Sleep(50 * time.Millisecond)
				continue
			}
			acked = append(acked, first)
			want[first], want[first+1] = data, data
			i++
		}
	}
	for i, s := range c.servers {
		appendSome(20)
		s.Shutdown()
		s.WaitForShutdown()
		appendSome(20)
		if c.servers[i], err = server.NewServer(c.options[i]); err != nil {
			t.Fatal(err)
		}
		c.servers[i].Start()
		appendSome(20)
		waitCurrent(t, c)
	}
	for r, err := range l.Read(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if data, ok := want[r.Seq]; ok && data != string(r.Data) {
			t.Errorf("record %d is %q, want %q", r.Seq, r.Data, data)
		}
		delete(want, r.Seq)
	}
	if len(want) > 0 {
		t.Errorf("%d records of %d are missing", len(want), 2*len(acked))
	}
}

// waitCurrent waits until all servers are back, so that the loss of the next one
// leaves a majority.
func waitCurrent(t *testing.T, c *cluster) {
	t.Helper()
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		ok := true
		for _, s := range c.servers {
			ok = ok && s.JetStreamIsCurrent() && s.JetStreamIsStreamCurrent("$G", "DHOW_JOURNAL")
		}
		if ok {
			return
		}
	}
	t.Fatal("the servers do not come together again")
}
