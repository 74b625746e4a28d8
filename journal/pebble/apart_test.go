package pebble_test

import (
	"math/rand/v2"
	"path"
	"sync/atomic"
	"testing"

	"github.com/dhowhq/dhow/journal"
	"github.com/dhowhq/dhow/journal/faultfs"
)

// TestWrittenOnce sees that records of a log that grows are written to a table
// once, though small logs grow beside it.
func TestWrittenOnce(t *testing.T) {
	fs := faultfs.New(1)
	j := openFaulty(t, fs)
	var tables atomic.Int64
	fs.Inject(func(op faultfs.Op) error {
		if op.Kind == faultfs.Write && path.Ext(op.Path) == ".sst" {
			tables.Add(int64(op.Size))
		}
		return nil
	})
	small := []journal.Log{openLog(t, j, "a"), openLog(t, j, "z")}
	large := []journal.Log{openLog(t, j, "m"), openLog(t, j, "n")}
	small = append(small, openLog(t, j, "later"))
	rng := rand.NewChaCha8([32]byte{})
	appended := int64(0)
	for i := range 12_000 {
		data := make([]byte, 4_000) // it does not compress
		rng.Read(data)
		if _, err := large[i%2].Append(t.Context(), journal.Written, data); err != nil {
			t.Fatal(err)
		}
		if _, err := small[i%3].Append(t.Context(), journal.Written, []byte("small")); err != nil {
			t.Fatal(err)
		}
		appended += int64(len(data))
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if n := tables.Load(); n < appended/2 || n > appended*5/4 {
		t.Errorf("of %d bytes %d were written to tables", appended, n)
	}
}
