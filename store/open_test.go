package store_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/dhowhq/dhow/store"
)

func TestInUse(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "dir")
	db := open(t, store.Config{Dir: dir, UnsafeNoSync: true})
	start := time.Now()
	_, err := store.Open(t.Context(), store.Config{Dir: dir})
	if !errors.Is(err, store.ErrInUse) || !strings.Contains(err.Error(), dir) {
		t.Errorf("second open: %v", err)
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("the refusal took %v", took)
	}
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("directory: %v %v", info.Mode(), err)
	}
	put(t, db, ship{Name: "a"}) // the first is unharmed
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
	open(t, store.Config{Dir: dir})
}

func TestBadConfig(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	os.WriteFile(file, nil, 0o600)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close() // nobody listens there now
	for want, c := range map[string]store.Config{
		"neither":         {},
		"end in a slash":  {Dir: t.TempDir(), Prefix: "/x"},
		"not a directory": {Dir: file},
		"does not answer": {Endpoints: []string{l.Addr().String()}},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if db, err := store.Open(ctx, c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
			if db != nil {
				db.Close()
			}
		}
	}
}

// TestDamaged opens directories that etcd cannot read.
func TestDamaged(t *testing.T) {
	for name, file := range map[string]string{"database": "member/snap/db", "log": "member/wal/0000000000000000-0000000000000000.wal"} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			open(t, store.Config{Dir: dir}).Close()
			path := filepath.Join(dir, file)
			if err := os.WriteFile(path, bytes.Repeat([]byte("damage"), 10000), 0o600); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			db, err := store.Open(ctx, store.Config{Dir: dir})
			if err == nil {
				db.Close()
				t.Fatal("opened")
			}
			if !strings.Contains(err.Error(), dir) || errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("error %v, want one that names %s and says what is wrong", err, dir)
			}
			t.Log(err)
		})
	}
}

// TestRowsOfOthers has keys under the prefix that are no rows of known tables,
// and one that does not decode.
func TestRowsOfOthers(t *testing.T) {
	c := prefixed(t, external.endpoint(t))
	client, err := clientv3.New(clientv3.Config{Endpoints: c.Endpoints})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	write := func(key, value string) {
		t.Helper()
		if _, err := client.Put(t.Context(), c.Prefix+key, value); err != nil {
			t.Fatal(err)
		}
	}
	write("unknown.table/a", "{}")
	write("nokey", "{}")
	write("test.ships/a", `{"Name":"a","Port":"aden"}`)
	db := open(t, c)
	write("unknown.table/b", "{}")
	write("test.ships/b", "no JSON")
	write("test.ships/c", `{"Name":"c","Port":"aden"}`)
	eventually(t, "the last row is seen", func() bool { _, ok := get(db, "c"); return ok })
	db.View(func(r store.Reader) error {
		expect(t, "rows", names(ships.By(r, "port", "aden")), "a", "c")
		return nil
	})
	if _, err := store.Open(t.Context(), c); err == nil || !strings.Contains(err.Error(), `test.ships: row "b"`) {
		t.Errorf("open over a row that does not decode: %v", err)
	}
}

func TestQuietLog(t *testing.T) {
	var out bytes.Buffer
	c := store.Config{Dir: t.TempDir(), Log: slog.New(slog.NewTextHandler(&out, nil))}
	for range 2 {
		db := open(t, c)
		put(t, db, ship{Name: "a"})
		db.Close()
	}
	if out.Len() > 0 {
		t.Errorf("logged %s", out.String())
	}
}

// BenchmarkOpen measures a start on an empty directory, cold, and on one with
// 10,000 rows, warm; both with a durable write.
func BenchmarkOpen(b *testing.B) {
	write := func(b *testing.B, db *store.DB, from, n int) {
		err := db.Update(context.Background(), func(tx *store.Tx) error {
			for i := range n {
				name := "ship" + strings.Repeat("i", i%7) + string(rune('a'+i%26)) + time.Duration(from+i).String()
				if err := ships.Put(tx, ship{Name: name, Port: strings.Repeat("x", 500)}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	start := func(b *testing.B, dir string) *store.DB {
		db, err := store.Open(context.Background(), store.Config{Dir: dir})
		if err != nil {
			b.Fatal(err)
		}
		return db
	}
	b.Run("cold", func(b *testing.B) {
		for range b.N {
			db := start(b, b.TempDir())
			write(b, db, 0, 1)
			b.StopTimer()
			db.Close()
			b.StartTimer()
		}
	})
	b.Run("warm", func(b *testing.B) {
		dir := b.TempDir()
		db := start(b, dir)
		for i := range 100 {
			write(b, db, i*100, 100)
		}
		db.Close()
		b.ResetTimer()
		for range b.N {
			db := start(b, dir)
			write(b, db, 0, 1)
			b.StopTimer()
			db.Close()
			b.StartTimer()
		}
	})
}

// TestReopenOften opens logs of many lengths. etcd shortens its log in memory
// as it applies it, and must not while it elects itself.
func TestReopenOften(t *testing.T) {
	c := store.Config{Dir: t.TempDir(), UnsafeNoSync: true}
	rows := 0
	for range 12 {
		db := open(t, c)
		has(t, db, []string{"ship0"}[:min(rows, 1)])
		for range 130 {
			if err := tryPut(db, "ship"+strconv.Itoa(rows), 10); err != nil {
				t.Fatal(err)
			}
			rows++
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	open(t, c).View(func(r store.Reader) error {
		if n := ships.Len(r); n != rows {
			t.Errorf("%d rows, want %d", n, rows)
		}
		return nil
	})
}
