package store_test

import (
	"fmt"
	"sync"
	"testing"

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
