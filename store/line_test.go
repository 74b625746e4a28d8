package store_test

import (
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/dhowhq/dhow/store"
)

// cable is a line to etcd that can be cut.
type cable struct {
	net.Listener
	to    string
	mu    sync.Mutex
	cut   bool
	conns []net.Conn
}

func newCable(t *testing.T, to string) *cable {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cable{Listener: l, to: to}
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			c.join(in)
		}
	}()
	t.Cleanup(func() { l.Close(); c.set(true) })
	return c
}

func (c *cable) join(in net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	out, err := net.Dial("tcp", c.to)
	if c.cut || err != nil {
		in.Close()
		return
	}
	c.conns = append(c.conns, in, out)
	go io.Copy(in, out)
	go io.Copy(out, in)
}

// set cuts the line or mends it.
func (c *cable) set(cut bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = cut
	for _, conn := range c.conns {
		conn.Close()
	}
	c.conns = nil
}

// TestCompacted lets a store miss changes whose history is then compacted.
func TestCompacted(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		if !p.shared {
			t.Skip("only one process may open this kind")
		}
		c := p.config(t)
		a := open(t, c)
		line := newCable(t, c.Endpoints[0])
		c.Endpoints = []string{line.Addr().String()}
		b := open(t, c)
		l, stop := follow(b)
		defer stop()
		put(t, a, ship{Name: "kept", Cargo: 1}, ship{Name: "changed", Cargo: 1}, ship{Name: "gone", Cargo: 1})
		eventually(t, "the other store sees the first rows", func() bool { return l.same(a) })
		before := len(l.changes)

		line.set(true)
		for i := range 20 {
			put(t, a, ship{Name: "changed", Cargo: 2 + i}, ship{Name: fmt.Sprint("new", i), Port: "aden"})
		}
		update(t, a, func(tx *store.Tx) error { ships.Delete(tx, "gone"); return nil })
		compact(t, c, line.to)
		put(t, a, ship{Name: "last", Cargo: 1})
		line.set(false)

		eventually(t, "the other store has caught up", func() bool { return l.same(a) && l.same(b) })
		l.mu.Lock()
		missed := slices.Clone(l.changes[before:])
		l.mu.Unlock()
		var keys []string
		for _, c := range missed {
			if c.Key == "changed" && c.New.Cargo != 21 {
				t.Errorf("a missed row came as %v, want its newest state", *c.New)
			}
			keys = append(keys, c.Key)
		}
		slices.Sort(keys)
		if u := slices.Compact(slices.Clone(keys)); len(u) != len(keys) || len(keys) != 23 {
			t.Errorf("changes of %v, want one for each of 23 rows", keys)
		}
		if err := increment(t.Context(), b, "after"); err != nil {
			t.Error(err)
		}
	})
}

// compact drops all history of an etcd.
func compact(t *testing.T, c store.Config, addr string) {
	t.Helper()
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{addr}})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	resp, err := client.Get(t.Context(), c.Prefix)
	if err == nil {
		_, err = client.Compact(t.Context(), resp.Header.Revision)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestCutLine counts exactly although answers of etcd get lost.
func TestCutLine(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, p place) {
		if !p.shared {
			t.Skip("only one process may open this kind")
		}
		c := p.config(t)
		a := open(t, c)
		line := newCable(t, c.Endpoints[0])
		c.Endpoints = []string{line.Addr().String()}
		b := open(t, c)
		var wg sync.WaitGroup
		stop := make(chan struct{})
		counts := make([]int, 4)
		for w := range counts {
			wg.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					if err := increment(t.Context(), b, "count"); err != nil {
						t.Error(err)
						return
					}
					counts[w]++
				}
			})
		}
		for i := range 6 {
			before, _ := get(a, "count")
			eventually(t, "the counter moves on", func() bool { s, _ := get(a, "count"); return s.Cargo > before.Cargo+5 })
			line.set(true)
			put(t, a, ship{Name: "other", Cargo: i})
			line.set(false)
		}
		close(stop)
		wg.Wait()
		want := 0
		for _, n := range counts {
			want += n
		}
		if s, _ := get(b, "count"); s.Cargo != want {
			t.Errorf("counted %d, acknowledged %d", s.Cargo, want)
		}
	})
}
