package store_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/dhowhq/dhow/store"
)

// cargo is the sum of all ships' cargo, kept in memory.
type cargo struct{ sum atomic.Int64 }

var cargos = store.NewDerived(func(db *store.DB) *cargo {
	c := new(cargo)
	ships.Follow(db, func(ch store.Change[ship]) {
		if ch.Old != nil {
			c.sum.Add(-int64(ch.Old.Cargo))
		}
		if ch.New != nil {
			c.sum.Add(int64(ch.New.Cargo))
		}
	})
	return c
})

// TestDerived: each store has one value of its own, which follows its commits.
func TestDerived(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		a := open(t, p.config(t))
		b := open(t, p.config(t))
		of := func(db *store.DB) (c *cargo) {
			update(t, db, func(tx *store.Tx) error { c = cargos.Of(tx); return nil })
			return c
		}
		var wg sync.WaitGroup
		made := make([]*cargo, 8)
		for i := range made {
			wg.Go(func() { made[i] = of(a) })
		}
		wg.Wait()
		for _, c := range made {
			if c != made[0] {
				t.Fatal("a store has two values")
			}
		}
		if of(b) == made[0] {
			t.Error("two stores share a value")
		}
		put(t, a, ship{Name: "x", Cargo: 3}, ship{Name: "y", Cargo: 4})
		put(t, a, ship{Name: "x", Cargo: 5})
		put(t, b, ship{Name: "x", Cargo: 100})
		if n := of(a).sum.Load(); n != 9 {
			t.Errorf("the value says %d, want 9", n)
		}
	})
}

// TestAfter: what After was given is called once for each run of the function,
// when its outcome is known.
func TestAfter(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		db := open(t, p.config(t))
		put(t, db, ship{Name: "x"})
		var log []string
		note := func(tx *store.Tx, what string) {
			tx.After(func() {
				s, _ := get(db, "x")
				log = append(log, fmt.Sprint(what, " ", s.Cargo))
			})
		}
		update(t, db, func(tx *store.Tx) error {
			note(tx, "first")
			note(tx, "second")
			return ships.Put(tx, ship{Name: "x", Cargo: 1})
		})
		aborted := errors.New("aborted")
		if err := db.Update(t.Context(), func(tx *store.Tx) error { note(tx, "aborted"); return aborted }); err != aborted {
			t.Error(err)
		}
		runs := 0
		update(t, db, func(tx *store.Tx) error {
			runs++
			note(tx, fmt.Sprint("run ", runs))
			s, _ := ships.Get(tx, "x")
			if runs == 1 { // another writer comes between
				done := make(chan error)
				go func() {
					done <- db.Update(context.Background(), func(tx *store.Tx) error { return ships.Put(tx, ship{Name: "x", Cargo: 10}) })
				}()
				if err := <-done; err != nil {
					return err
				}
			}
			s.Cargo++
			return ships.Put(tx, s)
		})
		func() {
			defer func() { recover() }()
			db.Update(t.Context(), func(tx *store.Tx) error { note(tx, "panicked"); panic("x") })
		}()
		expect(t, "calls", log, "first 1", "second 1", "aborted 1", "run 1 10", "run 2 11", "panicked 11")
	})
}
