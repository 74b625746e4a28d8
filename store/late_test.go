package store_test

import (
	"encoding/json"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/dhowhq/dhow/store"
)

// barge is a row of a table that is read late.
type barge struct{ Name, Port string }

var barges = store.NewTable("test.barges", func(b barge) string { return b.Name },
	store.Index[barge]{Name: "port", Values: func(b barge) []string { return []string{b.Port} }}).Late()

var sunk atomic.Bool // rows of barges do not decode

func (b *barge) UnmarshalJSON(data []byte) error {
	if sunk.Load() {
		return errors.New("it is sunk")
	}
	type plain barge
	return json.Unmarshal(data, (*plain)(b))
}

// TestLate uses a table that may not have been read yet: reads and writes wait
// for its rows.
func TestLate(t *testing.T) {
	c := store.Config{Dir: t.TempDir(), UnsafeNoSync: true}
	db := open(t, c)
	update(t, db, func(tx *store.Tx) error {
		return errors.Join(barges.Put(tx, barge{"a", "aden"}), barges.Put(tx, barge{"b", "aden"}), ships.Put(tx, ship{Name: "s"}))
	})
	db.Close()
	db = open(t, c)
	update(t, db, func(tx *store.Tx) error { return barges.Put(tx, barge{"b", "basra"}) })
	check := func() {
		t.Helper()
		db.View(func(r store.Reader) error {
			var found []string
			for b := range barges.By(r, "port", "aden") {
				found = append(found, b.Name)
			}
			b, _ := barges.Get(r, "b")
			if strings.Join(found, " ") != "a" || b.Port != "basra" || barges.Len(r) != 2 {
				t.Errorf("in aden: %v; b is in %s; %d in all", found, b.Port, barges.Len(r))
			}
			return nil
		})
		if _, ok := get(db, "s"); !ok {
			t.Error("a row of another table is lost")
		}
	}
	check()
	db.Close()
	db = open(t, c)
	check()
	if n := db.Stats().Rows; n != 3 {
		t.Errorf("%d rows", n)
	}
}

// TestLateFails opens a store with a late row that does not decode: the store
// fails, and nobody waits for ever, or is told that there are no rows.
func TestLateFails(t *testing.T) {
	c := store.Config{Dir: t.TempDir(), UnsafeNoSync: true}
	db := open(t, c)
	update(t, db, func(tx *store.Tx) error { return barges.Put(tx, barge{Name: "a"}) })
	db.Close()
	sunk.Store(true)
	defer sunk.Store(false)
	db = open(t, c)
	if err := <-db.Failed(); !strings.Contains(err.Error(), `table test.barges: row "a" does not decode: it is sunk`) {
		t.Errorf("the store failed of %v", err)
	}
	read := func(f func(r store.Reader)) (refused any) {
		defer func() { refused = recover() }()
		db.View(func(r store.Reader) error { f(r); return nil })
		return nil
	}
	for name, refused := range map[string]any{
		"Len":  read(func(r store.Reader) { barges.Len(r) }),
		"Get":  read(func(r store.Reader) { barges.Get(r, "a") }),
		"List": read(func(r store.Reader) { barges.List(r, "")(func(barge) bool { return true }) }),
	} {
		if err, ok := refused.(error); !ok || !strings.Contains(err.Error(), "it is sunk") {
			t.Errorf("%s: %v", name, refused)
		}
	}
	if err := db.Update(t.Context(), func(tx *store.Tx) error { barges.Get(tx, "a"); return nil }); err == nil || !strings.Contains(err.Error(), "it is sunk") {
		t.Errorf("an update that only reads: %v", err)
	}
	if err := db.Update(t.Context(), func(tx *store.Tx) error { return ships.Put(tx, ship{Name: "s"}) }); err == nil {
		t.Error("a store that has failed takes rows")
	}
}
