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

// pending reports whether a token is there, and takes it.
func pending(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestWatch(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		db := open(t, p.config(t))
		both, stop := db.Watch(ships, ports)
		defer stop()
		other, stopOther := db.Watch(ports)
		put(t, db, ship{Name: "a"})
		put(t, db, ship{Name: "b"})
		if !pending(both) || pending(both) {
			t.Error("two commits before a look make exactly one token")
		}
		if pending(other) {
			t.Error("token for a table that was not touched")
		}
		update(t, db, func(tx *store.Tx) error { return ports.Put(tx, port{Name: "aden"}) })
		if !pending(both) || !pending(other) {
			t.Error("no token")
		}
		stopOther()
		update(t, db, func(tx *store.Tx) error { ports.Delete(tx, "aden"); return nil })
		if !pending(both) || pending(other) {
			t.Error("token after stop, or none for a delete")
		}
	})
}

func TestNotify(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		db := open(t, p.config(t))
		aden, stop := ships.Notify(db, "port", "aden")
		suez, stopSuez := ships.Notify(db, "port", "suez")
		defer stopSuez()
		check := func(what string, wantAden, wantSuez bool) {
			t.Helper()
			if a, s := pending(aden), pending(suez); a != wantAden || s != wantSuez {
				t.Errorf("%s: tokens %v %v, want %v %v", what, a, s, wantAden, wantSuez)
			}
		}
		put(t, db, ship{Name: "a", Port: "aden"})
		check("new", true, false)
		put(t, db, ship{Name: "a", Port: "aden", Cargo: 1})
		check("same value, other field", true, false)
		put(t, db, ship{Name: "a", Port: "suez"})
		check("moved", true, true)
		put(t, db, ship{Name: "b", Port: "muscat"})
		check("elsewhere", false, false)
		update(t, db, func(tx *store.Tx) error { ships.Delete(tx, "a"); return nil })
		check("deleted", false, true)
		stop()
		put(t, db, ship{Name: "c", Port: "aden"})
		check("after stop", false, false)
	})
}

// log collects the changes of the ships and keeps a copy of the table by them.
type log struct {
	mu      sync.Mutex
	changes []store.Change[ship]
	copy    map[string]ship
	wrong   []string
}

func follow(db *store.DB) (*log, func()) {
	l := &log{copy: map[string]ship{}}
	return l, ships.Follow(db, func(c store.Change[ship]) {
		l.mu.Lock()
		defer l.mu.Unlock()
		old, ok := l.copy[c.Key]
		if ok != (c.Old != nil) || ok && old.Cargo != c.Old.Cargo {
			l.wrong = append(l.wrong, fmt.Sprintf("%s: old is %v, the change before said %v", c.Key, c.Old, old))
		}
		if n := len(l.changes); n > 0 && l.changes[n-1].Revision > c.Revision {
			l.wrong = append(l.wrong, fmt.Sprintf("revision %d after %d", c.Revision, l.changes[n-1].Revision))
		}
		if c.New != nil {
			l.copy[c.Key] = *c.New
		} else {
			delete(l.copy, c.Key)
		}
		l.changes = append(l.changes, c)
	})
}

// same reports whether the copy equals the table.
func (l *log) same(db *store.DB) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	same := len(l.wrong) == 0
	db.View(func(r store.Reader) error {
		same = same && ships.Len(r) == len(l.copy)
		for s := range ships.List(r, "") {
			same = same && l.copy[s.Name].Cargo == s.Cargo
		}
		return nil
	})
	return same
}

func TestFollow(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		db := open(t, p.config(t))
		l, stop := follow(db)
		var wg sync.WaitGroup
		for w := range 8 {
			wg.Go(func() {
				for i := range 40 {
					name := fmt.Sprint("s", (w*7+i)%20)
					if err := increment(t.Context(), db, name); err != nil {
						t.Error(err)
					}
					if i%5 == 0 {
						db.Update(t.Context(), func(tx *store.Tx) error { ships.Delete(tx, name); return nil })
					}
				}
			})
		}
		wg.Wait()
		if !l.same(db) { // at once: a change is told of before its Update returns
			t.Errorf("the followed copy differs: %v", l.wrong)
		}
		stop()
		n := len(l.changes)
		put(t, db, ship{Name: "late"})
		if len(l.changes) != n {
			t.Error("change after stop")
		}
	})
}

func TestFollowFromWithin(t *testing.T) {
	db := open(t, store.Config{Dir: t.TempDir(), UnsafeNoSync: true})
	var got []string
	var stop func()
	stop = ships.Follow(db, func(c store.Change[ship]) {
		s, ok := get(db, c.Key) // the change is readable
		if !ok || s.Cargo != c.New.Cargo {
			t.Errorf("reads %v %v, the change says %v", s, ok, c.New)
		}
		got = append(got, c.Key)
		stop()
	})
	put(t, db, ship{Name: "a", Cargo: 1})
	put(t, db, ship{Name: "b", Cargo: 2})
	expect(t, "changes until stop", got, "a")
}

// TestTwoProcesses has two stores on one etcd.
func TestTwoProcesses(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		if !p.shared {
			t.Skip("only one process may open this kind")
		}
		c := p.config(t)
		a, b := open(t, c), open(t, c)
		la, stopA := follow(a)
		defer stopA()
		lb, stopB := follow(b)
		defer stopB()
		seen, stop := b.Watch(ships)
		defer stop()
		put(t, a, ship{Name: "from a", Port: "aden", Cargo: 5})
		<-seen
		if s, _ := get(b, "from a"); s.Cargo != 5 {
			t.Errorf("the other process sees %v", s)
		}

		// Both increment the same rows.
		const writers, each = 6, 30
		var wg sync.WaitGroup
		for w := range writers {
			for _, db := range []*store.DB{a, b} {
				wg.Go(func() {
					for i := range each {
						if err := increment(t.Context(), db, "shared"); err != nil {
							t.Error(err)
						}
						if err := increment(t.Context(), db, fmt.Sprint("row", w, i)); err != nil {
							t.Error(err)
						}
					}
				})
			}
		}

		// Both want to be the one who makes a row.
		made := make([]int, 2)
		for i, db := range []*store.DB{a, b} {
			wg.Go(func() {
				for n := range 30 {
					mine := false
					err := db.Update(t.Context(), func(tx *store.Tx) error {
						_, ok := ships.Get(tx, fmt.Sprint("made", n))
						if mine = !ok; ok {
							return nil
						}
						return ships.Put(tx, ship{Name: fmt.Sprint("made", n)})
					})
					if err != nil {
						t.Error(err)
					}
					if mine {
						made[i]++
					}
				}
			})
		}
		wg.Wait()
		if made[0]+made[1] != 30 {
			t.Errorf("the processes made %v rows, want 30 together", made)
		}
		for _, db := range []*store.DB{a, b} {
			eventually(t, "both see all increments", func() bool {
				s, _ := get(db, "shared")
				return s.Cargo == 2*writers*each
			})
		}
		eventually(t, "both logs are whole", func() bool { return la.same(a) && lb.same(b) })
	})
}

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
