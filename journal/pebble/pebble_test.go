package pebble_test

import (
	"testing"

	"github.com/dhowhq/dhow/journal"
	"github.com/dhowhq/dhow/journal/pebble"
)

func TestReopen(t *testing.T) {
	dir := t.TempDir()
	j, err := pebble.Open(dir, pebble.Options{})
	if err != nil {
		t.Fatal(err)
	}
	l, err := j.Open(t.Context(), "a", 1)
	if err != nil {
		t.Fatal(err)
	}
	first, err := l.Append(t.Context(), journal.Synced, []byte("x"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pebble.Open(dir, pebble.Options{}); err == nil {
		t.Error("opened twice")
	} else {
		t.Log(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if j, err = pebble.Open(dir, pebble.Options{}); err != nil {
		t.Fatal(err)
	}
	if l, err = j.Open(t.Context(), "a", 1); err != nil {
		t.Fatal(err)
	}
	for r, err := range l.Read(t.Context(), 0) {
		if err != nil || r.Seq != first {
			t.Error(r, err)
		}
		first++
	}
	if l.Next() != first {
		t.Error(l.Next(), first)
	}
}
