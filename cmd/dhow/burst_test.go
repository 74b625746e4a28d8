package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/dhowhq/dhow/agent"
	"github.com/dhowhq/dhow/agent/logtail"
	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/logstore"
	"github.com/dhowhq/dhow/store/storetest"
)

// heap is what lives after a collection, in bytes.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// A container that writes 100 MB at once never waits, even if the log store
// takes nothing meanwhile: it writes to a file. What it wrote passes into the
// log store whole and in order, in bounded memory, and gives its disk space
// back.
func TestLogBurst(t *testing.T) {
	const size, line = 100 << 20, 128
	dir := t.TempDir()
	s, err := logstore.Open(logstore.Config{Dir: dir + "/logs", DB: storetest.Open(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	logs := taskLogs{s}
	to := agent.LogStream{Account: "111122223333", Region: "eu-west-1", Group: "/burst", Stream: "app/1", CreateGroup: true}
	if err := logs.Open(t.Context(), to); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "out.log")
	written := make(chan struct{})
	before, most := heap(), uint64(0)
	n := 0
	sink := func(ctx context.Context, events []logtail.Event) error {
		<-written
		if n++; n%16 == 0 {
			most = max(most, heap())
		}
		return logs.Write(ctx, to, events)
	}
	ctx, cancel := context.WithCancel(t.Context())
	tails := logtail.New(ctx, slog.New(slog.DiscardHandler))
	defer tails.Wait()
	defer cancel()
	tails.Add(logtail.File{Path: path, Offset: path + ".offset", Sink: sink})

	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	var batch bytes.Buffer
	for i := range size / line {
		fmt.Fprintf(&batch, "%0*d\n", line-1, i)
		if batch.Len() == 1<<20 {
			if _, err := out.Write(batch.Bytes()); err != nil {
				t.Fatal(err)
			}
			batch.Reset()
		}
	}
	close(written) // all of it, with not a line taken
	select {
	case <-tails.Finish(path):
	case <-time.After(2 * time.Minute):
		t.Fatal("the burst is not taken")
	}
	t.Logf("the heap grew by %d KiB over %d batches", (int64(most)-int64(before))>>10, n)
	if grown := int64(most) - int64(before); n < 32 || grown > 32<<20 {
		t.Errorf("%d batches, the heap grew by %d MiB", n, grown>>20)
	}
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil || st.Blocks*512 > 1<<20 {
		t.Errorf("%d bytes are left on disk, %v", st.Blocks*512, err)
	}
	scope := cluster.Scope{Account: to.Account, Region: to.Region}
	g, err := s.Group(scope, to.Group)
	if err != nil {
		t.Fatal(err)
	}
	q := logstore.Query{Streams: s.StreamsOf(g, nil), Limit: 10_000}
	next := 0
	for more := true; more; more = q.After != nil {
		page, err := s.Read(g, q)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Events {
			if want := fmt.Sprintf("%0*d", line-1, next); e.Message != want {
				t.Fatalf("event %d is %s", next, e.Message)
			}
			next++
		}
		q.After = page.Next
	}
	if next != size/line {
		t.Errorf("%d events came through, want %d", next, size/line)
	}
}
