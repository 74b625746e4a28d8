package logstore

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
	"github.com/dhowhq/dhow/store/storetest"
)

func ensure(t testing.TB, s *Store, group, stream string) {
	t.Helper()
	if err := s.Ensure(t.Context(), here, group, stream, true); err != nil {
		t.Fatal(err)
	}
}

// Slashes in names never make two streams one.
func TestNames(t *testing.T) {
	s := open(t, storetest.Open(t), t.TempDir(), 0)
	pairs := [][2]string{{"a", "b//c"}, {"a//b", "c"}, {"a/", "/b"}, {"a", "//b"}, {"a//", "b"}, {"/", "/"}, {"//", "/"}, {"a", "ü 🐟"}, {"a", strings.Repeat("ü", 512)}}
	for i, p := range pairs {
		ensure(t, s, p[0], p[1])
		if err := s.Write(t.Context(), here, p[0], p[1], []Event{{Message: fmt.Sprint(i)}}); err != nil {
			t.Fatal(err)
		}
	}
	for i, p := range pairs {
		g, _ := s.Group(here, p[0])
		page, err := s.Read(g, Query{Streams: s.StreamsOf(g, func(n string) bool { return n == p[1] }), Limit: 10})
		if err != nil || len(page.Events) != 1 || page.Events[0].Message != fmt.Sprint(i) {
			t.Errorf("%q holds %v, want one event %d (%v)", p, page.Events, i, err)
		}
	}
	for _, p := range [][2]string{{"", "s"}, {"a b", "s"}, {"a:b", "s"}, {"a\x00", "s"}, {strings.Repeat("a", 513), "s"},
		{"a", ""}, {"a", "x:y"}, {"a", "x*"}, {"a", "x\x00"}, {"a", "\xff"}, {"a", strings.Repeat("ü", 513)}} {
		if err := s.Ensure(t.Context(), here, p[0], p[1], true); !errors.Is(err, ErrName) {
			t.Errorf("%q: error %v", p, err)
		}
	}
}

func TestTooLarge(t *testing.T) {
	s := open(t, storetest.Open(t), t.TempDir(), 0)
	ensure(t, s, "g", "s")
	big := strings.Repeat("x", maxRecord-16)
	for _, events := range [][]Event{{{Message: big + "x"}}, slices.Repeat([]Event{{Message: big}}, 33)} {
		if err := s.Write(t.Context(), here, "g", "s", events); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%d events: error %v", len(events), err)
		}
	}
	if err := s.Write(t.Context(), here, "g", "s", []Event{{Message: big}, {Message: "after"}}); err != nil {
		t.Fatal(err)
	}
	if all := readAll(t, s, "g"); len(all) != 2 || all[0].Message != big || all[1].Message != "after" {
		t.Errorf("%d events", len(all))
	}
}

// On a full disk a write fails and says why; nothing acknowledged is lost, and
// writes go on once there is room.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=128k"); err != nil {
		if os.Getenv("CI") == "true" && os.Geteuid() == 0 {
			t.Fatal("mounting a small disk: ", err)
		}
		t.Skip("mounting a small disk: ", err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	db := storetest.Open(t)
	s := open(t, db, dir, 16<<10)
	ensure(t, s, "g", "s")
	var want []string
	write := func(i int) error {
		e := Event{Timestamp: int64(i), Message: fmt.Sprintf("%d %x", i, seeded(i, 1500))}
		err := s.Write(t.Context(), here, "g", "s", []Event{e})
		if err == nil {
			want = append(want, e.Message)
		}
		return err
	}
	failed := 0
	for i := 0; failed < 5; i++ {
		if err := write(i); errors.Is(err, unix.ENOSPC) && strings.Contains(err.Error(), "no space left on device") {
			failed++
		} else if err != nil {
			t.Fatal(err)
		}
		if i > 1000 {
			t.Fatal("the disk does not become full")
		}
	}
	check := func(s *Store) {
		t.Helper()
		var got []string
		for _, e := range readAll(t, s, "g") {
			got = append(got, e.Message)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%d events are there, %d were acknowledged", len(got), len(want))
		}
	}
	check(s)
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT, "size=4m"); err != nil {
		t.Fatal(err)
	}
	for i := range 30 {
		if err := write(2000 + i); err != nil {
			t.Fatal(err)
		}
	}
	check(s)
	s.Close()
	check(open(t, db, dir, 16<<10))
}

// seeded is n bytes that do not compress, the same for the same i.
func seeded(i, n int) []byte {
	out, x := make([]byte, n), uint64(i)*2654435761+1
	for j := range out {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		out[j] = byte(x)
	}
	return out
}

// Writers, readers, the compressor, retention and deletes at the same time:
// what was acknowledged in streams that stay is there, in order, and streams
// that went leave no files.
func TestConcurrent(t *testing.T) {
	dir := t.TempDir()
	s := open(t, storetest.Open(t), dir, 2000)
	ctx := t.Context()
	var wg sync.WaitGroup
	base := time.Now().UnixMilli()
	for w := range 4 {
		for _, kind := range []string{"stays", "goes"} {
			ensure(t, s, "g", fmt.Sprint(kind, w))
			wg.Go(func() {
				for i := range 60 {
					e := Event{Timestamp: base + int64(i), Message: fmt.Sprintf("%s%d %d %s", kind, w, i, strings.Repeat("x", 100))}
					err := s.Write(ctx, here, "g", fmt.Sprint(kind, w), []Event{e})
					if err != nil && (kind == "stays" || !errors.Is(err, ErrNoStream)) {
						t.Error(err)
					}
				}
			})
		}
		wg.Go(func() {
			for range 10 {
				readAll(t, s, "g")
				s.Expire(time.Now())
			}
			if err := s.DeleteStream(ctx, here, "g", fmt.Sprint("goes", w)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	next := make(map[string]int)
	for _, e := range readAll(t, s, "g") {
		var i int
		fmt.Sscanf(e.Message[len(e.Stream):], "%d", &i)
		if i != next[e.Stream] {
			t.Fatalf("%s: event %d, want %d", e.Stream, i, next[e.Stream])
		}
		next[e.Stream]++
	}
	dirs, _ := os.ReadDir(dir)
	if len(next) != 4 || next["stays0"] != 60 || next["stays3"] != 60 || len(dirs) != 4 {
		t.Errorf("events %v, %d directories", next, len(dirs))
	}
}

// Retention frees streams that never filled a segment, and numbers go on, so
// that followers and tokens do not take new events for old ones.
func TestExpireSmall(t *testing.T) {
	db, dir := storetest.Open(t), t.TempDir()
	s := open(t, db, dir, 0)
	ensure(t, s, "g", "s")
	row, _ := s.Find(here, "g", "s")
	old := time.Now().AddDate(0, 0, -5).UnixMilli()
	if err := s.Write(t.Context(), here, "g", "s", []Event{{Timestamp: old, Message: "old"}}); err != nil {
		t.Fatal(err)
	}
	g, _ := s.Group(here, "g")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	got := make(chan Found, 10)
	go s.Follow(ctx, g, nil, time.Time{}, true, func(es []Found) error {
		for _, e := range es {
			got <- e
		}
		return nil
	})
	first := <-got
	err := db.Update(t.Context(), func(tx *store.Tx) error {
		g.Retention = 1
		return Groups.Put(tx, g)
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Expire(time.Now())
	if files, _ := filepath.Glob(filepath.Join(dir, row.ID, "0*")); len(files) != 0 {
		t.Errorf("%d files are left", len(files))
	}
	if err := s.Write(t.Context(), here, "g", "s", []Event{{Timestamp: time.Now().UnixMilli(), Message: "new"}}); err != nil {
		t.Fatal(err)
	}
	if e := <-got; e.Message != "new" || e.Position.Segment <= first.Position.Segment {
		t.Errorf("%v follows %v", e, first)
	}
}

// What a read holds does not grow with the number of streams and segments that
// are open at the same time of the log.
func TestReadTrims(t *testing.T) {
	s := open(t, storetest.Open(t), t.TempDir(), 0)
	for i := range 40 {
		name := fmt.Sprint("s", i)
		ensure(t, s, "g", name)
		if err := s.Write(t.Context(), here, "g", name, slices.Repeat([]Event{{Timestamp: int64(i % 3), Message: strings.Repeat("m", 1000)}}, 50)); err != nil {
			t.Fatal(err)
		}
	}
	g, _ := s.Group(here, "g")
	for _, q := range []Query{{Limit: 70}, {Limit: 1 << 20, MaxBytes: 70 * 1026}} {
		q.Streams = s.StreamsOf(g, nil)
		page, err := s.Read(g, q)
		if err != nil || len(page.Events) != 70 || page.Next == nil {
			t.Fatalf("%d events, next %v, %v", len(page.Events), page.Next, err)
		}
		sources, _ := s.sources(q)
		var ready []Found
		for _, src := range sources {
			got, err := q.load(src)
			if err != nil {
				t.Fatal(err)
			}
			if ready = q.trim(q.merge(ready, got), 0, 0); len(ready) > 71 {
				t.Fatalf("%d events are held for a page of 70", len(ready))
			}
		}
	}
}

// flushes counts a response's flushes.
type flushes struct {
	*httptest.ResponseRecorder
	n int
}

func (f *flushes) Flush() { f.n++ }

func TestHandler(t *testing.T) {
	s := open(t, storetest.Open(t), t.TempDir(), 0)
	ensure(t, s, "/g", "web/app/1")
	ensure(t, s, "/g", "db/app/2")
	now := time.Now().UnixMilli()
	for _, stream := range []string{"web/app/1", "db/app/2"} {
		events := slices.Repeat([]Event{{Timestamp: now, Message: "a \"line\" of " + stream}}, 500)
		events[0].Timestamp -= 3600_000
		if err := s.Write(t.Context(), here, "/g", stream, events); err != nil {
			t.Fatal(err)
		}
	}
	h := s.Handler(func(*http.Request) cluster.Scope { return here })
	for _, tt := range []struct {
		query         string
		status, lines int
	}{
		{"group=/g", 200, 1000}, {"group=/g&stream=web/", 200, 500}, {"group=/g&stream=db/app/2", 200, 500}, {"group=/g&stream=web/&stream=db/", 200, 1000},
		{"group=/g&since=60", 200, 998}, {"group=/none", 404, 1}, {"group=/g&since=x", 400, 1},
	} {
		w := &flushes{ResponseRecorder: httptest.NewRecorder()}
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/?"+tt.query, nil))
		if n := strings.Count(w.Body.String(), "\n"); w.Code != tt.status || n != tt.lines {
			t.Errorf("%s: status %d and %d lines, want %d and %d", tt.query, w.Code, n, tt.status, tt.lines)
		}
		if w.n > 3 {
			t.Errorf("%s: %d flushes", tt.query, w.n)
		}
	}
}

// BenchmarkBurst writes 100 MB in batches of 1 MB, and the same bytes to a bare
// file with a sync after each, by turns; x-bare is the ratio of the times.
func BenchmarkBurst(b *testing.B) {
	dir := b.TempDir()
	s := open(b, storetest.Open(b), dir, 0)
	ensure(b, s, "g", "s")
	batch := make([]Event, 1000)
	raw := []byte(nil)
	for i := range batch {
		batch[i] = Event{Timestamp: int64(i), Message: fmt.Sprintf("%x", seeded(i, 500))}
		raw = appendRecord(raw, batch[i])
	}
	b.SetBytes(100 * int64(len(raw)))
	var own, bare time.Duration
	for b.Loop() {
		f, err := os.Create(filepath.Join(dir, "bare"))
		if err != nil {
			b.Fatal(err)
		}
		for range 100 {
			start := time.Now()
			if err := s.Write(b.Context(), here, "g", "s", batch); err != nil {
				b.Fatal(err)
			}
			half := time.Now()
			_, err := f.Write(raw)
			if err := errors.Join(err, fdatasync(f)); err != nil {
				b.Fatal(err)
			}
			own, bare = own+half.Sub(start), bare+time.Since(half)
		}
		f.Close()
	}
	b.ReportMetric(float64(own)/float64(bare), "x-bare")
}
