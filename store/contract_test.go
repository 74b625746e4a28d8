package store_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dhowhq/dhow/store"
)

// names lists rows by name.
func names(rows iter.Seq[ship]) (out []string) {
	for s := range rows {
		out = append(out, s.Name)
	}
	return out
}

// expect fails the test if the names differ.
func expect(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func TestReadsAndWrites(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		db := open(t, p.config(t))
		put(t, db, ship{Name: "b", Port: "aden"}, ship{Name: "a", Port: "aden"}, ship{Name: "ab", Port: "suez"})
		update(t, db, func(tx *store.Tx) error {
			expect(t, "before", names(ships.List(tx, "")), "a", "ab", "b")
			ships.Delete(tx, "a")
			ships.Delete(tx, "absent")
			if err := ships.Put(tx, ship{Name: "c", Port: "aden", Crew: []string{"x", "y"}}); err != nil {
				return err
			}
			if err := ships.Put(tx, ship{Name: "b", Port: "suez"}); err != nil {
				return err
			}
			expect(t, "own writes by prefix", names(ships.List(tx, "a")), "ab")
			expect(t, "own writes in order", names(ships.List(tx, "")), "ab", "b", "c")
			expect(t, "own writes by index", names(ships.By(tx, "port", "suez")), "ab", "b")
			expect(t, "own writes gone from an index", names(ships.By(tx, "port", "aden")), "c")
			if n := ships.Len(tx); n != 3 {
				t.Errorf("%d rows, want 3", n)
			}
			if _, ok := ships.Get(tx, "a"); ok {
				t.Error("deleted row is still there")
			}
			if s, _ := get(db, "b"); s.Port != "aden" {
				t.Error("uncommitted write is visible")
			}
			return nil
		})
		db.View(func(r store.Reader) error {
			expect(t, "all", names(ships.List(r, "")), "ab", "b", "c")
			expect(t, "by crew", names(ships.By(r, "crew", "y")), "c")
			expect(t, "by an unknown value", names(ships.By(r, "crew", "z")))
			for range ships.List(r, "") {
				break // must not panic
			}
			return nil
		})
	})
}

func TestLoopsMayWrite(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		db := open(t, p.config(t))
		for i := range 5 {
			put(t, db, ship{Name: fmt.Sprint("n", i), Port: "aden"})
		}
		update(t, db, func(tx *store.Tx) error {
			ships.Delete(tx, "n0")
			for s := range ships.By(tx, "port", "aden") {
				s.Port = "suez"
				ships.Delete(tx, "n4")
				if err := ships.Put(tx, s); err != nil {
					return err
				}
			}
			expect(t, "after the loop", names(ships.By(tx, "port", "suez")), "n1", "n2", "n3", "n4")
			return nil
		})
	})
}

func TestAbort(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		db := open(t, p.config(t))
		mine := errors.New("mine")
		err := db.Update(t.Context(), func(tx *store.Tx) error {
			if err := ships.Put(tx, ship{Name: "a"}); err != nil {
				t.Error(err)
			}
			return mine
		})
		if err != mine {
			t.Errorf("error is %v, want the function's own", err)
		}
		if _, ok := get(db, "a"); ok {
			t.Error("aborted write is there")
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := db.Update(ctx, func(*store.Tx) error { return nil }); !errors.Is(err, context.Canceled) {
			t.Errorf("with an ended context: %v", err)
		}
	})
}

func TestRefusals(t *testing.T) {
	db := open(t, store.Config{Dir: t.TempDir(), UnsafeNoSync: true})
	in := func(f func(tx *store.Tx) error) error { return db.Update(t.Context(), f) }
	for name, c := range map[string]struct {
		f    func(tx *store.Tx) error
		want string
	}{
		"empty key":    {func(tx *store.Tx) error { return ships.Put(tx, ship{}) }, "bad key"},
		"NUL in key":   {func(tx *store.Tx) error { return ships.Put(tx, ship{Name: "a\x00b"}) }, "bad key"},
		"long key":     {func(tx *store.Tx) error { return ships.Put(tx, ship{Name: strings.Repeat("k", 4097)}) }, "bad key"},
		"NUL in index": {func(tx *store.Tx) error { return ships.Put(tx, ship{Name: "a", Port: "\x00"}) }, "index port"},
		"encoding":     {func(tx *store.Tx) error { return ports.Put(tx, port{Name: "a", Odd: func() {}}) }, "unsupported type"},
		"lost key":     {func(tx *store.Tx) error { return ports.Put(tx, port{Name: "a", Lost: "b"}) }, `key "ab" becomes "a"`},
		"too many rows": {func(tx *store.Tx) error {
			for i := range 101 {
				if err := ships.Put(tx, ship{Name: fmt.Sprint(i)}); err != nil {
					return err
				}
			}
			return nil
		}, store.ErrTooBig.Error()},
		"too many bytes": {func(tx *store.Tx) error {
			return ships.Put(tx, ship{Name: "big", Port: strings.Repeat("x", 1<<20)})
		}, store.ErrTooBig.Error()},
	} {
		if err := in(c.f); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
	}
	db.View(func(r store.Reader) error {
		if n := ships.Len(r) + ports.Len(r); n != 0 {
			t.Errorf("%d rows after refusals", n)
		}
		return nil
	})
}

func TestLargestTransaction(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		db := open(t, p.config(t))
		update(t, db, func(tx *store.Tx) error {
			for i := range 100 { // 100 rows, just under 1 MiB
				if err := ships.Put(tx, ship{Name: fmt.Sprintf("%03d", i), Port: strings.Repeat("x", 10300)}); err != nil {
					return err
				}
			}
			return nil
		})
		update(t, db, func(tx *store.Tx) error { // depends on more rows than a request may compare
			sum := 0
			for range 3 {
				for i := range 100 {
					s, _ := ships.Get(tx, fmt.Sprintf("%03d", i))
					sum += len(s.Port)
				}
			}
			return ships.Put(tx, ship{Name: "sum", Cargo: sum})
		})
		if s, _ := get(db, "sum"); s.Cargo != 3*100*10300 {
			t.Errorf("sum %d", s.Cargo)
		}
	})
}

func TestPutKeepsNothing(t *testing.T) {
	db := open(t, store.Config{Dir: t.TempDir(), UnsafeNoSync: true})
	crew := []string{"x"}
	put(t, db, ship{Name: "a", Crew: crew})
	crew[0] = "changed"
	if s, _ := get(db, "a"); s.Crew[0] != "x" {
		t.Error("the cache shares memory with what was put")
	}
}

// TestCounter has many writers of one row, and as many of rows of their own.
func TestCounter(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		db := open(t, p.config(t))
		const writers, each = 32, 40
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				for i := range each {
					if err := increment(t.Context(), db, "shared"); err != nil {
						t.Error(err)
						return
					}
					if err := increment(t.Context(), db, fmt.Sprint("own", w)); err != nil {
						t.Error(err)
						return
					}
					if s, _ := get(db, fmt.Sprint("own", w)); s.Cargo != i+1 {
						t.Errorf("writer does not see its own write: %d, want %d", s.Cargo, i+1)
						return
					}
				}
			})
		}
		wg.Wait()
		if s, _ := get(db, "shared"); s.Cargo != writers*each {
			t.Errorf("counted %d, want %d", s.Cargo, writers*each)
		}
	})
}

// increment adds one to a row's cargo.
func increment(ctx context.Context, db *store.DB, name string) error {
	return db.Update(ctx, func(tx *store.Tx) error {
		s, _ := ships.Get(tx, name)
		s.Name = name
		s.Cargo++
		return ships.Put(tx, s)
	})
}

// TestConflicts says which changes by others make a transaction run again.
func TestConflicts(t *testing.T) {
	for name, c := range map[string]struct {
		f    func(tx *store.Tx)
		runs int32
	}{
		"read":    {func(tx *store.Tx) { ships.Get(tx, "hot") }, 2},
		"absent":  {func(tx *store.Tx) { ships.Get(tx, "new") }, 2},
		"put":     {func(tx *store.Tx) { ships.Put(tx, ship{Name: "hot", Cargo: 7}) }, 2},
		"delete":  {func(tx *store.Tx) { ships.Delete(tx, "hot") }, 2},
		"list":    {func(tx *store.Tx) { names(ships.List(tx, "")) }, 1},
		"by":      {func(tx *store.Tx) { names(ships.By(tx, "port", "aden")) }, 1},
		"nothing": {func(tx *store.Tx) {}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			everywhere(t, func(t *testing.T, p place) {
				db := open(t, p.config(t))
				put(t, db, ship{Name: "hot", Port: "aden"})
				var runs atomic.Int32
				update(t, db, func(tx *store.Tx) error {
					c.f(tx)
					if runs.Add(1) == 1 { // another writer gets in between
						done := make(chan error)
						go func() {
							done <- db.Update(t.Context(), func(tx *store.Tx) error {
								ships.Put(tx, ship{Name: "hot", Port: "aden", Cargo: 1})
								return ships.Put(tx, ship{Name: "new", Port: "aden"})
							})
						}()
						if err := <-done; err != nil {
							t.Error(err)
						}
					}
					return ships.Put(tx, ship{Name: "mine"})
				})
				if n := runs.Load(); n != c.runs {
					t.Errorf("ran %d times, want %d", n, c.runs)
				}
			})
		})
	}
}

func TestReopen(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		c := p.config(t)
		db := open(t, c)
		var want []string
		for i := range 12 {
			var rows []ship
			for j := range 60 {
				rows = append(rows, ship{Name: fmt.Sprintf("%02d-%02d", i, j), Port: fmt.Sprint("p", j)})
			}
			put(t, db, rows...)
			want = append(want, fmt.Sprintf("%02d-05", i))
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if err := db.Update(t.Context(), func(tx *store.Tx) error { return ships.Put(tx, ship{Name: "late"}) }); !errors.Is(err, store.ErrClosed) {
			t.Errorf("update after close: %v", err)
		}
		db = open(t, c)
		db.View(func(r store.Reader) error {
			if n := ships.Len(r); n != 12*60 {
				t.Errorf("%d rows, want %d", n, 12*60)
			}
			expect(t, "by index", names(ships.By(r, "port", "p5")), want...)
			return nil
		})
		put(t, db, ship{Name: "again"})
	})
}

func TestViewsStay(t *testing.T) {
	db := open(t, store.Config{Dir: t.TempDir(), UnsafeNoSync: true})
	put(t, db, ship{Name: "a", Cargo: 1}, ship{Name: "b", Cargo: 1})
	var wg sync.WaitGroup
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	wg.Go(func() { // moves cargo between the two
		for i := range 10000 {
			if db.Update(ctx, func(tx *store.Tx) error {
				ships.Put(tx, ship{Name: "a", Cargo: 1 + i})
				return ships.Put(tx, ship{Name: "b", Cargo: 1 - i})
			}) != nil {
				return
			}
		}
	})
	for ctx.Err() == nil {
		db.View(func(r store.Reader) error {
			a, _ := ships.Get(r, "a")
			b, _ := ships.Get(r, "b")
			if a.Cargo+b.Cargo != 2 {
				t.Fatalf("saw half a transaction: %d and %d", a.Cargo, b.Cargo)
			}
			return nil
		})
	}
	wg.Wait()
}
