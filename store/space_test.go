package store_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dhowhq/dhow/store"
)

// disk is a file system of its own with so many MiB.
func disk(t *testing.T, size int) string {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dm", size)); err != nil {
		if os.Getenv("CI") == "true" && os.Geteuid() == 0 {
			t.Fatal("cannot mount a small disk: ", err)
		}
		t.Skip("cannot mount a small disk: ", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fill leaves so many MiB of the disk free and returns how to free the rest.
func fill(t *testing.T, dir string, left int64) (free func()) {
	t.Helper()
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "ballast")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.Fallocate(int(f.Fd()), 0, 0, int64(fs.Bavail)*fs.Bsize-left<<20); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(name); err != nil {
			t.Error(err)
		}
	}
}

// tryPut tries to put one row of a size.
func tryPut(db *store.DB, name string, size int) error {
	return db.Update(context.Background(), func(tx *store.Tx) error {
		return ships.Put(tx, ship{Name: name, Port: strings.Repeat("x", size)})
	})
}

// untilFull puts rows of half a MiB until one is refused.
func untilFull(t *testing.T, db *store.DB) (rows []string) {
	t.Helper()
	for i := range 10000 {
		name := fmt.Sprint("row", i)
		if err := tryPut(db, name, 512<<10); err != nil {
			if !errors.Is(err, store.ErrFull) {
				t.Fatalf("error %v, want %v", err, store.ErrFull)
			}
			return rows
		}
		rows = append(rows, name)
	}
	t.Fatal("never full")
	return nil
}

// has fails the test if rows are not there.
func has(t *testing.T, db *store.DB, rows []string) {
	t.Helper()
	for _, name := range rows {
		if _, ok := get(db, name); !ok {
			t.Errorf("acknowledged row %s is not there", name)
		}
	}
}

func TestDiskNearlyFull(t *testing.T) {
	t.Parallel()
	dir := disk(t, 500)
	db := open(t, store.Config{Dir: dir}.Limits(100<<20, 0))
	put(t, db, ship{Name: "first"})
	free := fill(t, dir, 50)
	eventually(t, "rows are refused", func() bool { return errors.Is(tryPut(db, "a", 1), store.ErrFull) })
	update(t, db, func(tx *store.Tx) error { ships.Delete(tx, "first"); return nil })
	free()
	eventually(t, "rows are taken again", func() bool { return tryPut(db, "b", 1) == nil })
}

// childFull writes until its disk is full, and says what it could write.
func childFull() {
	db, err := store.Open(context.Background(), store.Config{Dir: os.Args[1]}.Limits(-1, 0))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for i := 0; err == nil; i++ {
		name := fmt.Sprint("row", i)
		if err = tryPut(db, name, 64<<10); err == nil {
			fmt.Println("row", name)
		}
	}
	fmt.Println("error", err)
	select {
	case err := <-db.Failed():
		fmt.Println("failed", err)
	case <-time.After(10 * time.Second):
	}
	start := time.Now()
	fmt.Println("close", db.Close(), time.Since(start) < 5*time.Second)
}

// TestDiskFull fills a disk under etcd, which does not survive it: the store
// says so, and loses nothing.
func TestDiskFull(t *testing.T) {
	dir := disk(t, 400)
	open(t, store.Config{Dir: dir}).Close()
	free := fill(t, dir, 4)
	cmd := self("full", dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var rows []string
	said := map[string]string{}
	for in := bufio.NewScanner(out); in.Scan(); {
		if kind, text, _ := strings.Cut(in.Text(), " "); kind == "row" {
			rows = append(rows, text)
		} else {
			said[kind] = text
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("the child did not survive: %v, it said %v", err, said)
	}
	for _, kind := range []string{"error", "failed"} {
		if !strings.Contains(said[kind], store.ErrFull.Error()) {
			t.Errorf("%s: %q, want words about the space", kind, said[kind])
		}
	}
	t.Logf("%d rows, then %v", len(rows), said)
	free()
	db := open(t, store.Config{Dir: dir})
	has(t, db, rows)
	if err := tryPut(db, "more", 1); err != nil {
		t.Error(err)
	}
}

func TestQuota(t *testing.T) {
	t.Parallel()
	db := open(t, store.Config{Dir: t.TempDir(), UnsafeNoSync: true, Quota: 128 << 20})
	rows := untilFull(t, db)
	has(t, db, rows)
	for _, name := range rows[:len(rows)/2] {
		update(t, db, func(tx *store.Tx) error { ships.Delete(tx, name); return nil })
	}
	eventually(t, "rows are taken again", func() bool { return tryPut(db, "more", 64<<10) == nil })
	has(t, db, rows[len(rows)/2:])
}

// TestAlarm lets etcd itself run into its quota, by history that can be freed.
func TestAlarm(t *testing.T) {
	t.Parallel()
	c := store.Config{Dir: t.TempDir(), UnsafeNoSync: true, Quota: 1 << 40}.Limits(0, 40<<20)
	db := open(t, c)
	put(t, db, ship{Name: "first"})
	acked, refused := 0, 0
	for i := 0; refused == 0; i++ {
		err := db.Update(t.Context(), func(tx *store.Tx) error {
			s, _ := ships.Get(tx, "counter")
			return ships.Put(tx, ship{Name: "counter", Cargo: s.Cargo + 1, Port: strings.Repeat("x", 512<<10)})
		})
		switch {
		case err == nil:
			acked++
		case errors.Is(err, store.ErrFull):
			refused++
		default:
			t.Fatal(err)
		}
	}
	if s, _ := get(db, "counter"); s.Cargo != acked {
		t.Errorf("counted %d, acknowledged %d", s.Cargo, acked)
	}
	eventually(t, "etcd takes rows again", func() bool { return tryPut(db, "more", 1) == nil })
	db.Close()
	db = open(t, c)
	if s, _ := get(db, "counter"); s.Cargo != acked {
		t.Errorf("after a restart counted %d, acknowledged %d", s.Cargo, acked)
	}
}

func TestSmallQuota(t *testing.T) {
	if _, err := store.Open(t.Context(), store.Config{Dir: t.TempDir(), Quota: 1 << 20}); err == nil || !strings.Contains(err.Error(), "too small") {
		t.Errorf("error %v", err)
	}
}
