package pebble_test

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/dhowhq/dhow/journal"
	"github.com/dhowhq/dhow/journal/faultfs"
	"github.com/dhowhq/dhow/journal/pebble"
)

// TestMakesRoom has a disk that is all but full: what makes room still goes in,
// synced or not, and is there after a kill; other appends are refused.
func TestMakesRoom(t *testing.T) {
	fs := faultfs.New(1)
	j, err := pebble.Open("/data/journal", pebble.Options{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	l, err := j.Open(t.Context(), "log", 1)
	if err != nil {
		t.Fatal(err)
	}
	big := make([]byte, 1<<20)
	rng := rand.NewChaCha8([32]byte{})
	for range 4 {
		rng.Read(big)
		if _, err := l.Append(t.Context(), journal.Synced, big); err != nil {
			t.Fatal(err)
		}
	}
	fs.Limit(fs.Used() + fs.Used()/40)
	for err == nil { // until the journal looks at the disk again
		_, err = l.Append(t.Context(), journal.Written, nil)
		<-time.After(time.Millisecond)
	}
	if !errors.Is(err, journal.ErrFull) {
		t.Fatal(err)
	}
	var last journal.Seq
	for _, d := range []journal.Durability{journal.Synced, journal.Written} {
		if last, err = l.Append(t.Context(), d|journal.MakesRoom, []byte("deleted")); err != nil {
			t.Errorf("what makes room: %v", err)
		}
		if _, err := l.Append(t.Context(), d, []byte("sent")); !errors.Is(err, journal.ErrFull) {
			t.Errorf("another append: %v", err)
		}
	}
	fs = fs.Kill()
	j.Close()
	fs.Limit(0)
	if j, err = pebble.Open("/data/journal", pebble.Options{FS: fs}); err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if l, err = j.Open(t.Context(), "log", 2); err != nil {
		t.Fatal(err)
	}
	if got, err := l.Get(t.Context(), last); err != nil || string(got[0].Data) != "deleted" {
		t.Errorf("after a kill: %v, %v", got, err)
	}
}
