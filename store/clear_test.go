package store_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/dhowhq/dhow/store"
)

// TestClear takes more rows than a transaction may have.
func TestClear(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		db := open(t, p.config(t))
		var even []string
		for i := range 250 {
			name := fmt.Sprintf("a/%03d", i)
			put(t, db, ship{Name: name}, ship{Name: "b" + name})
			if i%2 == 0 {
				even = append(even, name)
			}
		}
		left := func(prefix string) (got []string) {
			db.View(func(r store.Reader) error { got = names(ships.List(r, prefix)); return nil })
			return got
		}
		odd := func(r store.Reader, s ship) bool {
			if _, ok := ships.Get(r, s.Name); !ok {
				t.Errorf("%s cannot be read where it is picked", s.Name)
			}
			return strings.ContainsAny(s.Name[len(s.Name)-1:], "13579")
		}
		if err := ships.Prune(t.Context(), db, "a/", odd); err != nil {
			t.Fatal(err)
		}
		expect(t, "the even ones", left("a/"), even...)
		if err := ships.Clear(t.Context(), db, "a/"); err != nil {
			t.Fatal(err)
		}
		expect(t, "none", left("a/"))
		if n := len(left("b")); n != 250 {
			t.Errorf("%d rows are left of another prefix", n)
		}
	})
}
