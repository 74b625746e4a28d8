package pebble_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dhowhq/dhow/journal"
	"github.com/dhowhq/dhow/journal/faultfs"
	"github.com/dhowhq/dhow/journal/pebble"
)

func openFaulty(t *testing.T, fs *faultfs.FS) journal.Journal {
	t.Helper()
	j, err := pebble.Open("/data/journal", pebble.Options{FS: fs, SegmentBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

func openLog(t *testing.T, j journal.Journal, name string) journal.Log {
	t.Helper()
	l, err := j.Open(t.Context(), name, 1)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func isWAL(name string) bool { return path.Base(path.Dir(name)) == "wal" }

// TestGroupCommit counts syncs: appends that wait while one is under way share
// the next, and those that need none wait for none.
func TestGroupCommit(t *testing.T) {
	fs := faultfs.New(1)
	j := openFaulty(t, fs)
	var logs []journal.Log
	for i := range 8 {
		l := openLog(t, j, fmt.Sprint(i))
		if _, err := l.Append(t.Context(), journal.Synced, []byte("first")); err != nil {
			t.Fatal(err)
		}
		logs = append(logs, l)
	}
	var syncs atomic.Int32
	hold, held := make(chan struct{}), make(chan struct{}, 1)
	fs.Inject(func(op faultfs.Op) error {
		if op.Kind == faultfs.Sync && isWAL(op.Path) {
			if syncs.Add(1) == 1 {
				held <- struct{}{}
				<-hold
			}
		}
		return nil
	})
	var done sync.WaitGroup
	appendTo := func(l journal.Log) {
		done.Go(func() {
			if _, err := l.Append(t.Context(), journal.Synced, []byte("x")); err != nil {
				t.Error(err)
			}
		})
	}
	appendTo(logs[0])
	<-held
	before := logs[7].Next()
	for i := range 400 {
		appendTo(logs[i%len(logs)])
	}
	for logs[7].Next() < before+50 { // until they wait
		time.Sleep(time.Millisecond)
	}
	for range 100 {
		if _, err := logs[1].Append(t.Context(), journal.Written, []byte("written")); err != nil {
			t.Fatal(err)
		}
	}
	if n := syncs.Load(); n != 1 {
		t.Errorf("%d syncs began while one was under way", n)
	}
	close(hold)
	done.Wait()
	if n := syncs.Load(); n > 5 {
		t.Errorf("401 appends took %d syncs", n)
	}
}

// TestTrimCost sees that a trim writes as much whether it removes ten records or
// ten thousand.
func TestTrimCost(t *testing.T) {
	fs := faultfs.New(1)
	l := openLog(t, openFaulty(t, fs), "a")
	var written atomic.Int64
	fs.Inject(func(op faultfs.Op) error {
		if op.Kind == faultfs.Write && isWAL(op.Path) {
			written.Add(int64(op.Size))
		}
		return nil
	})
	var cost []int64
	for _, n := range []int{1, 10, 100, 1000} {
		for range n {
			if _, err := l.Append(t.Context(), journal.Written, make([][]byte, 10)...); err != nil {
				t.Fatal(err)
			}
		}
		before := written.Load()
		if err := l.Trim(t.Context(), l.Next()); err != nil {
			t.Fatal(err)
		}
		cost = append(cost, written.Load()-before)
	}
	for _, c := range cost {
		if c == 0 || c > 300 {
			t.Errorf("trims of 10, 100, 1000 and 10000 records wrote %d bytes", cost)
		}
	}
}

// TestFull fills the disk, and makes room in both ways: by removing records, and
// from outside.
func TestFull(t *testing.T) {
	for _, outside := range []bool{false, true} {
		fs := faultfs.New(1)
		const size = 64 << 20
		fs.Limit(size)
		j := openFaulty(t, fs)
		l, small := openLog(t, j, "big"), openLog(t, j, "small")
		if _, err := small.Append(t.Context(), journal.Synced, []byte("kept")); err != nil {
			t.Fatal(err)
		}
		acked := fill(t, l)
		if n := fs.Used(); n < size/4 {
			t.Errorf("it was full after %d bytes of %d", n, size)
		}
		n := 0
		for _, err := range l.Read(t.Context(), 0) {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		if n != acked {
			t.Errorf("%d records are there, %d were acknowledged", n, acked)
		}
		if outside {
			fs.Limit(4 * size)
		} else if err := j.Drop(t.Context(), "big", 1); err != nil {
			t.Fatal(err)
		}
		appendUntil(t, small)
		got, err := small.Get(t.Context(), 1)
		if err != nil || string(got[0].Data) != "kept" {
			t.Errorf("what was there before: %v, %v", got, err)
		}
		select {
		case err := <-j.Failed():
			t.Errorf("a full disk is no failure: %v", err)
		default:
		}
	}
}

// TestFullBeforeFlush has the disk fill before anything of it was flushed: what
// is removed then is flushed last.
func TestFullBeforeFlush(t *testing.T) {
	fs := faultfs.New(1)
	fs.Limit(64 << 20)
	j := openFaulty(t, fs)
	l, small := openLog(t, j, "big"), openLog(t, j, "small")
	filled := make(chan struct{})
	fs.Inject(func(op faultfs.Op) error {
		if op.Kind == faultfs.Write && path.Ext(op.Path) == ".sst" {
			<-filled
		}
		return nil
	})
	fill(t, l)
	close(filled)
	if err := j.Drop(t.Context(), "big", 1); err != nil {
		t.Fatal(err)
	}
	appendUntil(t, small)
}

// fill appends until the disk is full and returns how many records it took.
func fill(t *testing.T, l journal.Log) (acked int) {
	t.Helper()
	rng := rand.NewChaCha8([32]byte{})
	for i := range 30_000 {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		data := make([]byte, 10_000)
		rng.Read(data) // it does not compress
		_, err := l.Append(ctx, journal.Durability(i%2), data)
		cancel()
		if errors.Is(err, journal.ErrFull) {
			return acked
		}
		if err != nil {
			t.Fatal(err)
		}
		acked++
	}
	t.Fatalf("the disk does not fill with %d records", acked)
	return 0
}

// appendUntil appends as soon as there is room.
func appendUntil(t *testing.T, l journal.Log) {
	t.Helper()
	var err error
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if _, err = l.Append(t.Context(), journal.Synced, []byte("again")); !errors.Is(err, journal.ErrFull) {
			break
		}
	}
	if err != nil {
		t.Errorf("with room again: %v", err)
	}
}

// TestSyncFails sees that after a sync has failed nothing is acknowledged.
func TestSyncFails(t *testing.T) {
	fs := faultfs.New(1)
	j := openFaulty(t, fs)
	l := openLog(t, j, "a")
	if _, err := l.Append(t.Context(), journal.Synced, []byte("before")); err != nil {
		t.Fatal(err)
	}
	fs.Inject(faultfs.FailSyncs(0, 1))
	_, err := l.Append(t.Context(), journal.Synced, []byte("x"))
	if !errors.Is(err, journal.ErrUnknown) || !errors.Is(err, journal.ErrClosed) {
		t.Errorf("the append whose sync failed: %v", err)
	}
	for _, d := range []journal.Durability{journal.Synced, journal.Written} {
		if _, err := l.Append(t.Context(), d, []byte("y")); !errors.Is(err, journal.ErrClosed) || errors.Is(err, journal.ErrUnknown) {
			t.Errorf("an append after that: %v", err)
		}
	}
	select {
	case err := <-j.Failed():
		if !errors.Is(err, faultfs.ErrIO) {
			t.Errorf("Failed says %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("Failed says nothing")
	}
}

// TestCancelledWhileSyncing sees that a disk that hangs does not hold a call
// whose context ends.
func TestCancelledWhileSyncing(t *testing.T) {
	fs := faultfs.New(1)
	l := openLog(t, openFaulty(t, fs), "a")
	hold := make(chan struct{})
	defer close(hold)
	ctx, cancel := context.WithCancel(t.Context())
	fs.Inject(func(op faultfs.Op) error {
		if op.Kind == faultfs.Sync && isWAL(op.Path) {
			cancel()
			<-hold
		}
		return nil
	})
	_, err := l.Append(ctx, journal.Synced, []byte("x"))
	if !errors.Is(err, journal.ErrUnknown) || !errors.Is(err, context.Canceled) {
		t.Errorf("append: %v", err)
	}
}

const childDir = "DHOW_TEST_JOURNAL"

// TestMain is also the process that TestKill kills.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		child(dir)
	}
	os.Exit(m.Run())
}

// child appends, and says what was acknowledged, until it is killed.
func child(dir string) {
	j, err := pebble.Open(dir, pebble.Options{SegmentBytes: 1 << 20})
	if err != nil {
		panic(err)
	}
	var mu sync.Mutex
	for w := range 8 {
		go func() {
			l, err := j.Open(context.Background(), fmt.Sprint("log/", w%3), 1)
			if err != nil {
				panic(err)
			}
			for i := 0; ; i++ {
				data := fmt.Sprintf("%d %d %d %s", os.Getpid(), w, i, strings.Repeat("x", i%3000))
				seq, err := l.Append(context.Background(), journal.Durability((i+w)%2), []byte(data))
				if err != nil {
					panic(err)
				}
				mu.Lock()
				fmt.Printf("log/%d %d %d %d %d\n", w%3, seq, os.Getpid(), w, i)
				mu.Unlock()
			}
		}()
	}
	select {}
}

// TestKill kills a process that appends, again and again, and misses nothing that
// it said was acknowledged.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	want := map[string]string{}
	for range 5 {
		killOne(t, dir, want)
		j, err := pebble.Open(dir, pebble.Options{SegmentBytes: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for i := range 3 {
			for r, err := range openLog(t, j, fmt.Sprint("log/", i)).Read(t.Context(), 0) {
				if err != nil {
					t.Fatal(err)
				}
				got[fmt.Sprintf("log/%d %d", i, r.Seq)] = string(r.Data)
			}
		}
		for key, data := range want {
			if !strings.HasPrefix(got[key], data+" ") {
				t.Fatalf("%s is %.30q, want %q", key, got[key], data)
			}
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if len(want) < 1000 {
		t.Errorf("only %d records were acknowledged", len(want))
	}
}

func killOne(t *testing.T, dir string, want map[string]string) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for n := 0; lines.Scan(); n++ {
		f := strings.Fields(lines.Text())
		if len(f) == 5 { // the last may be cut
			want[f[0]+" "+f[1]] = strings.Join(f[2:4], " ") + " " + f[4]
		}
		switch n {
		case 100:
			if _, err := pebble.Open(dir, pebble.Options{}); !errors.Is(err, journal.ErrInUse) {
				t.Errorf("open while another process has it: %v", err)
			}
		case 1000:
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	cmd.Wait() // it was killed
}

func TestInUse(t *testing.T) {
	dir := t.TempDir()
	j, err := pebble.Open(dir, pebble.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pebble.Open(dir, pebble.Options{}); !errors.Is(err, journal.ErrInUse) {
		t.Errorf("open a second time: %v", err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if j, err = pebble.Open(dir, pebble.Options{}); err != nil {
		t.Fatal(err)
	}
	j.Close()
}
