package logtail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// taker is a sink that remembers.
type taker struct {
	mu    sync.Mutex
	got   []string
	bytes int
	keep  bool
	fail  error
}

func (k *taker) sink(_ context.Context, es []Event) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.fail != nil {
		return k.fail
	}
	total := 0
	for _, e := range es {
		total += len(e.Message) + 26
		k.bytes += len(e.Message)
		if k.keep {
			k.got = append(k.got, e.Message)
		}
	}
	if len(es) > 10000 || total > 1<<20 {
		return fmt.Errorf("batch of %d events, %d bytes is more than CloudWatch Logs takes", len(es), total)
	}
	return nil
}

func (k *taker) set(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.fail = err
}

func (k *taker) lines() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return strings.Join(k.got, "|")
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

func TestLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		dir := t.TempDir()
		path := filepath.Join(dir, "out.log")
		k := &taker{keep: true}
		tl := New(ctx, slog.New(slog.DiscardHandler))
		tl.Add(File{Path: path, Sink: k.sink, Offset: path + ".offset"})
		time.Sleep(2 * time.Second)
		appendTo(t, path, "one\r\ntwo\n\nunfinish")
		time.Sleep(2 * time.Second)
		if got := k.lines(); got != "one|two" {
			t.Errorf("got %q", got)
		}
		appendTo(t, path, "ed\nlast")
		time.Sleep(2 * time.Second)
		if got := k.lines(); got != "one|two|unfinished" {
			t.Errorf("got %q", got)
		}
		<-tl.Finish(path)
		if got := k.lines(); got != "one|two|unfinished|last" {
			t.Errorf("got %q", got)
		}
		<-tl.Finish(path) // no longer followed
		cancel()
		tl.Wait()
	})
}

// A tailer that starts anew goes on where the last one stopped: nothing twice,
// nothing lost.
func TestPlaceIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "out.log")
		k := &taker{keep: true}
		f := File{Path: path, Sink: k.sink, Offset: path + ".offset"}
		for _, text := range []string{"a\nb\nc", "d\ne\n", "f\n"} {
			ctx, cancel := context.WithCancel(t.Context())
			tl := New(ctx, slog.New(slog.DiscardHandler))
			appendTo(t, path, text)
			tl.Add(f)
			time.Sleep(3 * time.Second)
			cancel()
			tl.Wait()
		}
		if got := k.lines(); got != "a|b|cd|e|f" {
			t.Errorf("got %q", got)
		}
	})
}

func TestFailingSink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		path := filepath.Join(t.TempDir(), "out.log")
		k := &taker{keep: true, fail: errors.New("not now")}
		tl := New(ctx, slog.New(slog.DiscardHandler))
		tl.Add(File{Path: path, Sink: k.sink, Offset: path + ".offset"})
		appendTo(t, path, "a\nb\n")
		time.Sleep(5 * time.Minute)
		k.set(nil)
		time.Sleep(maxPause + time.Second)
		if got := k.lines(); got != "a|b" {
			t.Errorf("after failures: %q", got)
		}
		k.set(fmt.Errorf("no such group: %w", ErrRefused))
		appendTo(t, path, "c\n")
		<-tl.Finish(path) // what is refused does not hold up the end
		cancel()
		tl.Wait()
	})
}

func TestMultiline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		path := filepath.Join(t.TempDir(), "out.log")
		k := &taker{keep: true}
		start := regexp.MustCompile(`^\[`)
		tl := New(ctx, slog.New(slog.DiscardHandler))
		tl.Add(File{Path: path, Sink: k.sink, Offset: path + ".offset", Split: start.Match})
		appendTo(t, path, "[1] a\n  b\n[2] c\n")
		time.Sleep(holdFor / 2)
		appendTo(t, path, "  d\n")
		time.Sleep(holdFor / 2)
		if got := k.lines(); got != "[1] a\n  b" {
			t.Errorf("before it was quiet: %q", got)
		}
		time.Sleep(2 * holdFor)
		if got := k.lines(); got != "[1] a\n  b|[2] c\n  d" {
			t.Errorf("after it was quiet: %q", got)
		}
		appendTo(t, path, "[3] e")
		<-tl.Finish(path)
		if got := k.lines(); !strings.HasSuffix(got, "|[3] e") {
			t.Errorf("at the end: %q", got)
		}
		cancel()
		tl.Wait()
	})
}

func TestLongLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.log")
	text := "x" + strings.Repeat("é", MaxEvent) // two bytes each, and cuts that fall inside one
	appendTo(t, path, text+"\nshort\n")
	k := &taker{keep: true}
	x := &tail{f: File{Path: path, Sink: k.sink}}
	if err := x.take(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(k.got) != 4 {
		t.Fatalf("%d events", len(k.got))
	}
	if got := strings.Join(k.got[:3], ""); got != text {
		t.Error("the long line's pieces are not the line")
	}
	for _, g := range k.got {
		if len(g) > MaxEvent {
			t.Errorf("an event of %d bytes", len(g))
		}
	}
}

// A burst of 100 MB is taken whole and gives its disk space back.
func TestBurst(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.log")
	line := strings.Repeat("x", 99) + "\n"
	const total = 100 << 20 / 100 * 100
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	piece := bytes.Repeat([]byte(line), 10000)
	for n := 0; n < total; n += len(piece) {
		f.Write(piece[:min(len(piece), total-n)])
	}
	f.Close()
	k := &taker{}
	x := &tail{f: File{Path: path, Sink: k.sink}}
	if err := x.take(t.Context()); err != nil {
		t.Fatal(err)
	}
	if want := total / 100 * 99; k.bytes != want {
		t.Errorf("%d bytes of text, want %d", k.bytes, want)
	}
	if left := allocated(t, path); left > 1<<20 {
		t.Errorf("%d bytes are still on disk", left)
	}
	if size(path) != total {
		t.Errorf("the file's size changed to %d", size(path))
	}
}

func allocated(t *testing.T, path string) int64 {
	t.Helper()
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	return st.Blocks * 512
}

func TestBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		path := filepath.Join(t.TempDir(), "out.log")
		tl := New(ctx, slog.New(slog.DiscardHandler))
		tl.Add(File{Path: path, Keep: 1 << 20})
		for i := range 50 {
			appendTo(t, path, strings.Repeat(fmt.Sprintf("%07d\n", i), 1<<17/8))
			time.Sleep(time.Second)
		}
		if n := allocated(t, path); n > 2<<20 {
			t.Errorf("%d bytes kept", n)
		}
		r, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		b := make([]byte, 16)
		n, err := r.Read(b)
		if err != nil || !regexp.MustCompile(`^\d{7}\n`).Match(b[:n]) {
			t.Errorf("the oldest kept line reads %q, %v", b[:n], err)
		}
		<-tl.Finish(path)
		cancel()
		tl.Wait()
	})
}

// However output is cut into chunks and lines, what comes out is what went in.
func FuzzCut(f *testing.F) {
	f.Add("a\nb\r\n\nc", 3)
	f.Add(strings.Repeat("é", 300)+"\n", 7)
	f.Fuzz(func(t *testing.T, text string, step int) {
		if step <= 0 {
			step = 1
		}
		var got, want strings.Builder
		x := &tail{}
		rest := []byte(text)
		for have := 0; ; {
			have = min(have+step, len(rest))
			var b batch
			end := have == len(rest)
			used := x.cut(rest[:have], end, &b, time.Now())
			for _, e := range b.events {
				got.WriteString(e.Message)
			}
			rest, have = rest[used:], have-used
			if end {
				break
			}
		}
		if len(rest) > 0 {
			t.Fatalf("%q is left", rest)
		}
		for line := range strings.SplitSeq(text, "\n") {
			want.WriteString(line)
		}
		if strings.ReplaceAll(got.String(), "\r", "") != strings.ReplaceAll(want.String(), "\r", "") {
			t.Fatalf("%q came out as %q", text, got.String())
		}
	})
}

// A kill at any moment finds a place in the file: it is never empty.
func TestPlaceIsNeverEmpty(t *testing.T) {
	path := filepath.Join(t.TempDir(), "offset")
	if err := keepPlace(path, 1<<40); err != nil {
		t.Fatal(err)
	}
	written := make(chan error, 1)
	go func() {
		for n := range int64(2000) {
			if err := keepPlace(path, 1<<40+n); err != nil {
				written <- err
				return
			}
		}
		written <- nil
	}()
	for {
		b, err := os.ReadFile(path)
		if err != nil || len(b) != 8 {
			t.Fatalf("the file holds %d bytes, want 8 (%v)", len(b), err)
		}
		select {
		case err := <-written:
			if err != nil {
				t.Fatal(err)
			}
			x := &tail{f: File{Offset: path}}
			if x.load(); x.place != 1<<40+1999 {
				t.Errorf("loaded %d", x.place)
			}
			return
		default:
		}
	}
}
