// Package storetest opens stores for tests.
package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/dhowhq/dhow/store"
)

// Open returns an empty store on an embedded etcd that syncs nothing to disk.
// It is closed when the test ends.
func Open(t testing.TB) *store.DB {
	t.Helper()
	return OpenDir(t, t.TempDir())
}

// OpenDir returns the store in dir, which a test may close and open again.
func OpenDir(t testing.TB, dir string) *store.DB {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	db, err := store.Open(ctx, store.Config{Dir: dir, UnsafeNoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}
