package faultfs_test

import (
	"errors"
	"io"
	"syscall"
	"testing"

	"github.com/dhowhq/dhow/journal/faultfs"
)

func write(t *testing.T, fs *faultfs.FS, name, data string, sync, syncDir bool) {
	t.Helper()
	f, err := fs.Create(name, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte(data)); err != nil {
		t.Fatal(err)
	}
	if sync {
		f.Sync()
	}
	if d, err := fs.OpenDir("/"); err != nil {
		t.Fatal(err)
	} else if syncDir {
		d.Sync()
	}
}

func read(fs *faultfs.FS, name string) string {
	f, err := fs.Open(name)
	if err != nil {
		return "none"
	}
	b, _ := io.ReadAll(f)
	return string(b)
}

func TestLosses(t *testing.T) {
	lost := map[string]bool{}
	for seed := range uint64(50) {
		fs := faultfs.New(seed)
		write(t, fs, "/data", "data", false, true)
		write(t, fs, "/both", "both", true, true)
		write(t, fs, "/name", "name", true, false)
		fs = fs.Kill()
		for _, n := range []string{"data", "both", "name"} {
			if read(fs, n) != n {
				t.Errorf("%s is %q after a kill", n, read(fs, n))
			}
		}
		fs = fs.PowerLoss()
		if read(fs, "both") != "both" {
			t.Errorf("what was synced is %q", read(fs, "both"))
		}
		lost["data"] = lost["data"] || read(fs, "data") != "data"
		lost["name"] = lost["name"] || read(fs, "name") == "none"
	}
	if !lost["data"] || !lost["name"] {
		t.Errorf("a loss of power never took %v", lost)
	}
}

func TestFailedSync(t *testing.T) {
	fs := faultfs.New(2)
	f, _ := fs.Create("/a", "")
	d, _ := fs.OpenDir("/")
	d.Sync()
	f.Write([]byte("lost"))
	fs.Inject(faultfs.FailSyncs(0, 1))
	if err := f.Sync(); !errors.Is(err, faultfs.ErrIO) {
		t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	if read(fs, "a") != "lost" {
		t.Error("it is not even in memory")
	}
	if got := read(fs.PowerLoss(), "a"); got == "lost" {
		t.Error("a sync after one that failed has saved what was lost")
	}
}

func TestLimitAndEnd(t *testing.T) {
	fs := faultfs.New(3)
	fs.Limit(10)
	f, _ := fs.Create("/a", "")
	if n, err := f.Write(make([]byte, 20)); n != 10 || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("%d bytes, %v", n, err)
	}
	fs.StopAfter(0)
	if err := fs.Remove("/a"); !errors.Is(err, faultfs.ErrGone) || !fs.Stopped() {
		t.Errorf("after the end: %v", err)
	}
	if got := fs.Kill(); read(got, "a") == "none" {
		t.Error("it was removed after the end")
	}
}
