package store_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"github.com/dhowhq/dhow/store"
)

// TestModel runs transactions at random and compares what reads say with a map,
// inside the transactions, after them and after a restart.
func TestModel(t *testing.T) {
	c := store.Config{Dir: t.TempDir(), UnsafeNoSync: true}
	db := open(t, c)
	var runs atomic.Int32
	var last map[string]ship
	rapid.Check(t, func(t *rapid.T) {
		space := fmt.Sprintf("run%d/", runs.Add(1))
		m := model{space, map[string]ship{}}
		for range rapid.IntRange(1, 12).Draw(t, "transactions") {
			abort := rapid.IntRange(0, 5).Draw(t, "abort") == 0
			next := maps.Clone(m.rows)
			err := db.Update(t.Context(), func(tx *store.Tx) error {
				next = maps.Clone(m.rows)
				for range rapid.IntRange(0, 8).Draw(t, "steps") {
					step(t, tx, model{space, next})
				}
				if abort {
					return errAbort
				}
				return nil
			})
			if abort != errors.Is(err, errAbort) || !abort && err != nil {
				t.Fatalf("update: %v", err)
			}
			if !abort {
				m.rows = next
			}
			db.View(func(r store.Reader) error { m.check(t, r); return nil })
		}
		last = m.rows
	})
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, c).View(func(r store.Reader) error {
		model{fmt.Sprintf("run%d/", runs.Load()), last}.check(t, r)
		return nil
	})
}

var errAbort = errors.New("abort")

// model is what the ships under a prefix should be.
type model struct {
	space string
	rows  map[string]ship
}

// step does one thing in a transaction and in the model.
func step(t *rapid.T, tx *store.Tx, m model) {
	name := m.space + rapid.StringMatching(`[ab]{1,3}`).Draw(t, "name")
	switch rapid.IntRange(0, 4).Draw(t, "step") {
	case 0:
		ships.Delete(tx, name)
		delete(m.rows, name)
	case 1:
		m.check(t, tx)
	case 2:
		got, ok := ships.Get(tx, name)
		want, wantOK := m.rows[name]
		if ok != wantOK || got.Cargo != want.Cargo {
			t.Fatalf("get %s: %v %v, want %v %v", name, got, ok, want, wantOK)
		}
	default:
		s := ship{
			Name:  name,
			Port:  m.space + rapid.SampledFrom([]string{"aden", "suez", ""}).Draw(t, "port"),
			Crew:  rapid.SliceOfN(rapid.SampledFrom([]string{"x", "y", "z"}), 0, 3).Draw(t, "crew"),
			Cargo: rapid.Int().Draw(t, "cargo"),
		}
		for i := range s.Crew {
			s.Crew[i] = m.space + s.Crew[i]
		}
		if err := ships.Put(tx, s); err != nil {
			t.Fatal(err)
		}
		m.rows[name] = s
	}
}

// check compares lists by prefix and by both indexes.
func (m model) check(t rapid.TB, r store.Reader) {
	want := func(keep func(ship) bool) (out []string) {
		for _, name := range slices.Sorted(maps.Keys(m.rows)) {
			if keep(m.rows[name]) {
				out = append(out, name)
			}
		}
		return out
	}
	same := func(what string, got, want []string) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Fatalf("%s: %v, want %v", what, got, want)
		}
	}
	for _, prefix := range []string{"", "a", "ab", "b"} {
		same("prefix "+prefix, names(ships.List(r, m.space+prefix)), want(func(s ship) bool { return strings.HasPrefix(s.Name, m.space+prefix) }))
	}
	for _, port := range []string{"aden", "suez", ""} {
		same("port "+port, names(ships.By(r, "port", m.space+port)), want(func(s ship) bool { return s.Port == m.space+port }))
	}
	for _, crew := range []string{"x", "y", "z"} {
		same("crew "+crew, names(ships.By(r, "crew", m.space+crew)), want(func(s ship) bool { return slices.Contains(s.Crew, m.space+crew) }))
	}
}
