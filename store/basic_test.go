package store_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/dhowhq/dhow/store"
	"github.com/dhowhq/dhow/store/storetest"
)

type ship struct {
	Name, Port string
	Crew       []string
	Cargo      int
}

var ships = store.NewTable("test.ships", func(s ship) string { return s.Name },
	store.Index[ship]{"port", func(s ship) []string { return []string{s.Port} }},
	store.Index[ship]{"crew", func(s ship) []string { return s.Crew }})

func TestBasic(t *testing.T) {
	t0 := time.Now()
	db := storetest.Open(t)
	t.Log("open", time.Since(t0))
	ctx := context.Background()
	err := db.Update(ctx, func(tx *store.Tx) error {
		if err := ships.Put(tx, ship{Name: "b", Port: "aden"}); err != nil {
			return err
		}
		return ships.Put(tx, ship{Name: "a", Port: "aden"})
	})
	if err != nil {
		t.Fatal(err)
	}
	db.View(func(r store.Reader) error {
		var names []string
		for s := range ships.By(r, "port", "aden") {
			names = append(names, s.Name)
		}
		if !slices.Equal(names, []string{"a", "b"}) {
			t.Error(names)
		}
		return nil
	})
	t0 = time.Now()
	db.Close()
	t.Log("close", time.Since(t0))
}
