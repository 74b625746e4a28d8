package wal_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dhowhq/dhow/journal/faultfs"
	"github.com/dhowhq/dhow/journal/pebble/wal"
)

const dir = "/wal"

func open(t *testing.T, fs *faultfs.FS, applied uint64) (l *wal.Log, replayed []string, err error) {
	t.Helper()
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	l, err = wal.Open(wal.Options{FS: fs, Dir: dir, SegmentBytes: 4096}, applied, func(data []byte) error {
		replayed = append(replayed, string(data))
		return nil
	})
	if err == nil {
		t.Cleanup(func() { l.Close() })
	}
	return l, replayed, err
}

func mustOpen(t *testing.T, fs *faultfs.FS, applied uint64) (*wal.Log, []string) {
	t.Helper()
	l, replayed, err := open(t, fs, applied)
	if err != nil {
		t.Fatal(err)
	}
	return l, replayed
}

func put(t *testing.T, l *wal.Log, data string) uint64 {
	t.Helper()
	count, err := l.Append(append(make([]byte, wal.HeaderSize), data...))
	if err != nil {
		t.Fatal(err)
	}
	return count
}

// data is what frame i holds; some fill a segment by themselves.
func data(i int) string { return fmt.Sprintf("%d %0*d", i, i*37%900, i) }

func all(from, to int) (frames []string) {
	for i := from; i < to; i++ {
		frames = append(frames, data(i))
	}
	return frames
}

func TestReplay(t *testing.T) {
	fs := faultfs.New(1)
	l, _ := mustOpen(t, fs, 0)
	var counts []uint64
	for i := range 100 {
		counts = append(counts, put(t, l, data(i)))
	}
	for _, applied := range []int{-1, 0, 50, 99} { // an open each time, with no frames of its own
		after := uint64(0)
		if applied >= 0 {
			after = counts[applied]
		}
		fs = fs.Kill()
		l, replayed := mustOpen(t, fs, after)
		if !slices.Equal(replayed, all(applied+1, 100)) {
			t.Errorf("after frame %d: %d frames were replayed", applied, len(replayed))
		}
		if l.Replayed() != counts[99] && applied < 99 {
			t.Errorf("the last frame is said to be %d, want %d", l.Replayed(), counts[99])
		}
	}
}

// segments are the paths of the segments, in order.
func segments(t *testing.T, fs vfs.FS) (paths []string) {
	t.Helper()
	names, err := fs.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	for _, n := range names {
		paths = append(paths, fs.PathJoin(dir, n))
	}
	return paths
}

// flip changes a byte of a file.
func flip(t *testing.T, fs vfs.FS, name string, at int64) {
	t.Helper()
	f, err := fs.OpenReadWrite(name, "")
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1)
	f.ReadAt(b, at)
	b[0] ^= 0xff
	if _, err := f.WriteAt(b, at); err != nil {
		t.Fatal(err)
	}
}

// TestTorn breaks a frame that was never synced: those before it are replayed,
// those after it are not, then nor later.
func TestTorn(t *testing.T) {
	fs := faultfs.New(1)
	l, _ := mustOpen(t, fs, 0)
	for i := range 10 {
		put(t, l, "0123456789")
		if i == 4 {
			if err := l.Sync(uint64(i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	fs = fs.Kill()
	flip(t, fs, segments(t, fs)[0], 64+7*50+45)
	l, replayed := mustOpen(t, fs, 0)
	if len(replayed) != 7 {
		t.Errorf("%d frames were replayed, 7 are whole", len(replayed))
	}
	put(t, l, "new")
	fs = fs.Kill()
	if _, replayed = mustOpen(t, fs, 0); len(replayed) != 8 || replayed[7] != "new" {
		t.Errorf("then %q were replayed", replayed)
	}
}

// TestDamaged breaks a frame that was synced, as a later one tells.
func TestDamaged(t *testing.T) {
	fs := faultfs.New(1)
	l, _ := mustOpen(t, fs, 0)
	for range 10 {
		if err := l.Sync(put(t, l, "0123456789")); err != nil {
			t.Fatal(err)
		}
	}
	fs = fs.Kill()
	flip(t, fs, segments(t, fs)[0], 64+3*50+45)
	if _, _, err := open(t, fs, 0); !errors.Is(err, wal.ErrDamaged) {
		t.Errorf("open: %v", err)
	}
}

// TestRelease sees that files are used again.
func TestRelease(t *testing.T) {
	fs := faultfs.New(1)
	l, _ := mustOpen(t, fs, 0)
	for i := range 1000 {
		count := put(t, l, data(i))
		if err := l.Sync(count); err != nil {
			t.Fatal(err)
		}
		if err := l.Release(count); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(segments(t, fs)); n > 4 {
		t.Errorf("there are %d segments", n)
	}
}

// TestSyncMeanwhile appends in the middle of a sync: the frame is not a part of
// it, and the next one has work to do.
func TestSyncMeanwhile(t *testing.T) {
	fs := faultfs.New(1)
	l, _ := mustOpen(t, fs, 0)
	first := put(t, l, "first")
	var second uint64
	fs.Inject(func(op faultfs.Op) error {
		if op.Kind == faultfs.Sync && second == 0 {
			second = 1
			second = put(t, l, "second")
		}
		return nil
	})
	if err := l.Sync(first); err != nil {
		t.Fatal(err)
	}
	fs.Inject(nil)
	before := fs.Done(faultfs.Sync)
	if err := l.Sync(second); err != nil {
		t.Fatal(err)
	}
	if fs.Done(faultfs.Sync) != before+1 {
		t.Error("what was appended during a sync was not synced by the next")
	}
}

// FuzzOpen opens logs of any content.
func FuzzOpen(f *testing.F) {
	fs := faultfs.New(1)
	fs.MkdirAll(dir, 0o700)
	l, err := wal.Open(wal.Options{FS: fs, Dir: dir, SegmentBytes: 512}, 0, nil)
	if err != nil {
		f.Fatal(err)
	}
	l.Append(append(make([]byte, wal.HeaderSize), "seed"...))
	file, err := fs.Open("/wal/000000000001.wal")
	if err != nil {
		f.Fatal(err)
	}
	seed := make([]byte, 512)
	file.ReadAt(seed, 0)
	f.Add(seed)
	f.Add([]byte("dhowwal1"))
	f.Fuzz(func(t *testing.T, content []byte) {
		fs := faultfs.New(1)
		fs.MkdirAll(dir, 0o700)
		w, err := fs.Create("/wal/000000000001.wal", "")
		if err != nil {
			t.Fatal(err)
		}
		w.Write(content)
		l, replayed, err := open(t, fs, 0)
		if err != nil {
			if !errors.Is(err, wal.ErrDamaged) {
				t.Fatal(err)
			}
			return
		}
		put(t, l, "new")
		fs = fs.Kill()
		if _, again := mustOpen(t, fs, 0); !slices.Equal(again, append(replayed, "new")) {
			t.Errorf("%q, then %q", replayed, again)
		}
	})
}
