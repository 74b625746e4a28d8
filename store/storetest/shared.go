package storetest

import (
	"context"
	"log/slog"
	"net/url"
	"testing"
	"time"

	"go.etcd.io/etcd/server/v3/embed"

	"github.com/dhowhq/dhow/store"
)

// Shared returns n stores of one state, as n servers of a platform have them: over
// an etcd that syncs nothing to disk. All ends when the test does.
func Shared(t testing.TB, n int) (stores []*store.DB) {
	t.Helper()
	c := embed.NewConfig()
	c.Dir = t.TempDir()
	free := []url.URL{{Scheme: "http", Host: "127.0.0.1:0"}}
	c.ListenClientUrls, c.ListenPeerUrls = free, free
	c.LogLevel, c.UnsafeNoFsync = "fatal", true
	c.TickMs, c.ElectionMs = 20, 200
	etcd, err := embed.StartEtcd(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(etcd.Close)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	select {
	case <-etcd.Server.ReadyNotify():
	case <-ctx.Done():
		t.Fatal("etcd does not start")
	}
	for range n {
		db, err := store.Open(ctx, store.Config{Endpoints: []string{etcd.Clients[0].Addr().String()}, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
		stores = append(stores, db)
	}
	return stores
}

// Await waits until ok holds for a store, which is asked after each change of a
// table: a store shows what others wrote a little later.
func Await(t testing.TB, db *store.DB, table store.Anything, ok func(store.Reader) bool) {
	t.Helper()
	commits, stop := db.Watch(table)
	defer stop()
	for end := time.After(30 * time.Second); ; {
		holds := false
		db.View(func(r store.Reader) error { holds = ok(r); return nil })
		if holds {
			return
		}
		select {
		case <-commits:
		case <-end:
			t.Fatal("the store does not show the change")
		}
	}
}
