package pebble_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"syscall"
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

// stuck returns the journal of a process that finds the disk full before what the
// last one wrote, a record in a log, is in the database's files.
func stuck(t *testing.T) (fs *faultfs.FS, j journal.Journal, first journal.Seq) {
	t.Helper()
	fs = faultfs.New(1)
	l := openLog(t, openFaulty(t, fs), "log")
	first, err := l.Append(t.Context(), journal.Synced, []byte("before"))
	if err != nil {
		t.Fatal(err)
	}
	fs = fs.Kill()
	fs.Inject(func(op faultfs.Op) error {
		if strings.HasSuffix(op.Path, ".sst") && (op.Kind == faultfs.Create || op.Kind == faultfs.Write) {
			return syscall.ENOSPC
		}
		return nil
	})
	return fs, openFaulty(t, fs), first
}

// TestFullAtStart has the disk fill up before what the last process wrote is in
// the database's files: calls are answered, and go on when there is room.
func TestFullAtStart(t *testing.T) {
	fs, j, first := stuck(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for range 3 {
		if _, err := j.Open(ctx, "log", 2); ctx.Err() != nil || !errors.Is(err, journal.ErrUnknown) && !errors.Is(err, journal.ErrFull) {
			t.Fatalf("on a full disk: %v, %v", err, ctx.Err())
		}
	}
	fs.Inject(nil)
	var l journal.Log
	var err error
	for ; l == nil && ctx.Err() == nil; time.Sleep(time.Millisecond) { // until the flush has seen the room
		l, err = j.Open(ctx, "log", 3)
	}
	if err != nil {
		t.Fatal(err)
	}
	last, err := l.Append(ctx, journal.Synced, []byte("after"))
	if err != nil {
		t.Fatal(err)
	}
	fs = fs.PowerLoss()
	if l, err = openFaulty(t, fs).Open(ctx, "log", 4); err != nil {
		t.Fatal(err)
	}
	got, err := l.Get(ctx, first, last)
	if err != nil || len(got) != 2 || string(got[0].Data) != "before" || string(got[1].Data) != "after" {
		t.Errorf("after a power loss: %v, %v", got, err)
	}
}

// TestCloseFullAtStart closes a journal that still waits for room: it does not wait
// for ever, and the next process finds everything.
func TestCloseFullAtStart(t *testing.T) {
	fs, j, first := stuck(t)
	closed := make(chan struct{})
	go func() { j.Close(); close(closed) }()
	select {
	case <-closed:
	case <-time.After(time.Minute):
		t.Fatal("the journal does not close")
	}
	fs.Inject(nil)
	got, err := openLog(t, openFaulty(t, fs), "log").Get(t.Context(), first)
	if err != nil || len(got) != 1 || string(got[0].Data) != "before" {
		t.Errorf("in the next process: %v, %v", got, err)
	}
}

// TestUnknownFullAtStart has the disk fill up while an append waits for what the last
// process wrote: its outcome is unknown, and the log, which holds it, is not opened
// again before it is on disk.
func TestUnknownFullAtStart(t *testing.T) {
	fs := faultfs.New(1)
	if _, err := openLog(t, openFaulty(t, fs), "log").Append(t.Context(), journal.Synced, []byte("before")); err != nil {
		t.Fatal(err)
	}
	fs = fs.Kill()
	large := []byte(strings.Repeat("x", 10_000))
	full, written := make(chan struct{}), make(chan struct{}, 1)
	fs.Inject(func(op faultfs.Op) error {
		if isWAL(op.Path) && op.Kind == faultfs.Write && op.Size > len(large) {
			written <- struct{}{}
		}
		if strings.HasSuffix(op.Path, ".sst") && op.Kind == faultfs.Create {
			<-full
			return syscall.ENOSPC
		}
		return nil
	})
	j := openFaulty(t, fs)
	l := openLog(t, j, "new")
	unknown := make(chan error, 1)
	go func() {
		_, err := l.Append(t.Context(), journal.Synced, large)
		unknown <- err
	}()
	<-written
	close(full)
	if err := <-unknown; !errors.Is(err, journal.ErrUnknown) {
		t.Fatalf("the append: %v", err)
	}
	if _, err := j.Open(t.Context(), "new", 1); !errors.Is(err, journal.ErrFull) {
		t.Errorf("on a full disk: %v", err)
	}
	fs.Inject(nil)
	var err error
	for l = nil; l == nil; time.Sleep(time.Millisecond) { // until the flush has seen the room
		if l, err = j.Open(t.Context(), "new", 1); err != nil && !errors.Is(err, journal.ErrFull) {
			t.Fatal(err)
		}
	}
	fs = fs.PowerLoss()
	for r, err := range openLog(t, openFaulty(t, fs), "new").Read(t.Context(), 0) {
		if err != nil || !bytes.Equal(r.Data, large) {
			t.Errorf("%.20q, %v", r.Data, err)
		}
		return
	}
	t.Error("what could be read is lost")
}
