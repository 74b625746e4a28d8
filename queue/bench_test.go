package queue

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/dhowhq/dhow/journal/pebble"
)

// BenchmarkDepth fills a queue with ten million messages and reports what they
// take in memory, and how long an engine takes to open the queue again: after an
// end in order, and after one without.
func BenchmarkDepth(b *testing.B) {
	const depth = 10_000_000
	dir := b.TempDir()
	d := define("deep", Defaults())
	open := func() (*Engine, *pebble.Journal, *Queue) {
		j, err := pebble.Open(dir, pebble.Options{})
		if err != nil {
			b.Fatal(err)
		}
		e := New(Config{Journal: j, Log: slog.New(slog.DiscardHandler)})
		e.rows = fixedRows{"deep": d}
		e.reign(time.Now().UnixNano())
		q, err := e.Queue(here, "deep")
		if err != nil {
			b.Fatal(err)
		}
		return e, j, q
	}
	e, j, q := open()
	ctx, cancel := context.WithCancel(b.Context())
	go pointsOf(ctx, e)
	messages := make([]Message, 1000)
	for i := range messages {
		messages[i] = Message{Body: strings.Repeat("x", 100)}
	}
	from := time.Now()
	for range depth / len(messages) {
		if _, err := q.Send(b.Context(), messages...); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(depth/time.Since(from).Seconds(), "sent/s")
	b.ReportMetric(resident(b), "MiB-filled")
	cancel()
	from = time.Now()
	e.abdicate()
	b.ReportMetric(time.Since(from).Seconds(), "s-close")
	j.Close()
	for _, how := range []string{"closed", "killed"} {
		debug.FreeOSMemory() // what the engine before had
		from = time.Now()
		_, j, q = open()
		b.ReportMetric(time.Since(from).Seconds(), "s-journal-"+how)
		c, err := q.Counts(b.Context())
		if err != nil || c.Visible != depth {
			b.Fatalf("%+v, %v", c, err)
		}
		b.ReportMetric(time.Since(from).Seconds(), "s-open-"+how)
		b.ReportMetric(resident(b), "MiB-"+how)
		if how == "closed" { // then leave as many changes behind as there may be
			for range (pointChanges - 1000) / len(messages) / 2 {
				if _, err := q.Send(b.Context(), messages...); err != nil {
					b.Fatal(err)
				}
			}
			for range (pointChanges - 1000) / len(messages) / 2 * 100 {
				got, err := q.Receive(b.Context(), Receive{Max: 10})
				if err != nil {
					b.Fatal(err)
				}
				hs := make([]string, len(got))
				for i := range got {
					hs[i] = got[i].Handle
				}
				if _, err := q.Delete(b.Context(), hs...); err != nil {
					b.Fatal(err)
				}
			}
		}
		j.Close()
	}
	b.ReportMetric(0, "ns/op")
}

// resident is this process's memory in MiB after a collection.
func resident(b *testing.B) float64 {
	runtime.GC()
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		b.Skip("no /proc")
	}
	var size, pages float64
	fmt.Sscan(string(data), &size, &pages)
	return pages * float64(os.Getpagesize()) / (1 << 20)
}

// pointsOf makes checkpoints where they are due.
func pointsOf(ctx context.Context, e *Engine) {
	for ctx.Err() == nil {
		for _, s := range e.open() {
			if s.wantsPoint() {
				s.checkpoint(ctx)
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
}
