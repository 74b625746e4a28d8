package logstore

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
	"github.com/dhowhq/dhow/store/storetest"
)

var here = cluster.Scope{Account: "111122223333", Region: "eu-west-1"}

func open(t testing.TB, db *store.DB, dir string, segment int64) *Store {
	s, err := Open(Config{Dir: dir, DB: db, SegmentSize: segment})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// readAll is a page of a group that takes everything.
func readAll(t testing.TB, s *Store, group string) []Found {
	t.Helper()
	g, err := s.Group(here, group)
	if err != nil {
		t.Fatal(err)
	}
	page, err := s.Read(g, Query{Streams: s.StreamsOf(g, nil), Limit: 1 << 20})
	if err != nil || page.Next != nil {
		t.Fatal(page.Next, err)
	}
	return page.Events
}

// Whatever is written, in whatever order and across whatever segments, pages
// of any size in either direction give what a sorted list gives, before and
// after the store is opened anew.
func TestReadAgainstList(t *testing.T) {
	defer func(n int64) { scanLimit = n }(scanLimit)
	scanLimit = 150
	db := storetest.Open(t)
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		dir, err := os.MkdirTemp("", "logstore")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		s, err := Open(Config{Dir: dir, DB: db, SegmentSize: 200, MaxIdle: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { s.Close() }()
		ctx := context.Background()
		group := fmt.Sprintf("g%d", n)
		var want []Event
		for i := range rapid.IntRange(1, 12).Draw(t, "writes") {
			stream := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "stream")
			if err := s.Ensure(ctx, here, group, stream, true); err != nil {
				t.Fatal(err)
			}
			var batch []Event
			for j := range rapid.IntRange(1, 6).Draw(t, "events") {
				batch = append(batch, Event{Timestamp: rapid.Int64Range(1, 20).Draw(t, "time"), Message: fmt.Sprintf("%s-%d-%d", stream, i, j)})
			}
			if err := s.Write(ctx, here, group, stream, batch); err != nil {
				t.Fatal(err)
			}
			want = append(want, batch...)
		}
		if rapid.Bool().Draw(t, "reopen") {
			s.Close()
			if s, err = Open(Config{Dir: dir, DB: db, SegmentSize: 200, MaxIdle: 1}); err != nil {
				t.Fatal(err)
			}
		}
		from, to := rapid.Int64Range(0, 20).Draw(t, "from"), rapid.Int64Range(0, 21).Draw(t, "to")
		want = slices.DeleteFunc(want, func(e Event) bool { return e.Timestamp < from || to != 0 && e.Timestamp >= to })
		g, err := s.Group(here, group)
		if err != nil {
			t.Fatal(err)
		}
		q := Query{Streams: s.StreamsOf(g, nil), From: from, To: to, Limit: rapid.IntRange(1, 10).Draw(t, "limit"), Backward: rapid.Bool().Draw(t, "backward")}
		var got []Found
		if rapid.Bool().Draw(t, "match") {
			q.Match = func([]byte) bool { return true } // searches stop early here
		}
		for range 4*len(want) + 4 {
			page, err := s.Read(g, q)
			if err != nil {
				t.Fatal(err)
			}
			if q.Backward {
				got = append(slices.Clone(page.Events), got...)
				q.Before = page.Next
			} else {
				got = append(got, page.Events...)
				q.After = page.Next
			}
			if page.Next == nil {
				break
			}
		}
		if !slices.IsSortedFunc(got, func(a, b Found) int { return a.Position.compare(b.Position) }) {
			t.Fatalf("out of order: %v", got)
		}
		key := func(e Event) string { return fmt.Sprintf("%d %s", e.Timestamp, e.Message) }
		var a, b []string
		for _, e := range want {
			a = append(a, key(e))
		}
		for _, e := range got {
			b = append(b, key(e.Event))
		}
		slices.Sort(a)
		slices.Sort(b)
		if !slices.Equal(a, b) {
			t.Fatalf("read %v, want %v", b, a)
		}
	})
}

// A write that a crash tore is cut off; what came before it is there, and the
// next write follows it.
func TestTornTail(t *testing.T) {
	db, dir := storetest.Open(t), t.TempDir()
	s := open(t, db, dir, 1<<20)
	if err := s.Ensure(t.Context(), here, "g", "s", true); err != nil {
		t.Fatal(err)
	}
	write := func(s *Store, m string) {
		t.Helper()
		if err := s.Write(t.Context(), here, "g", "s", []Event{{Timestamp: 5, Message: m}}); err != nil {
			t.Fatal(err)
		}
	}
	write(s, "one")
	s.Close()
	logs, _ := filepath.Glob(filepath.Join(dir, "*/*.log"))
	if len(logs) != 1 {
		t.Fatalf("segments %v", logs)
	}
	record := appendRecord(nil, Event{Timestamp: 6, Message: "torn"})
	for cut := 1; cut < len(record); cut += 7 {
		f, err := os.OpenFile(logs[0], os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.Write(record[:cut])
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		s, err := Open(Config{Dir: dir, DB: db})
		if err != nil {
			t.Fatal(err)
		}
		write(s, fmt.Sprintf("after %d", cut))
		page := readAll(t, s, "g")
		if page[0].Message != "one" || page[len(page)-1].Message != fmt.Sprintf("after %d", cut) {
			t.Fatalf("cut %d: %v", cut, page)
		}
		s.Close()
	}
}

// Run by TestKill9 in a process of its own: it writes events and says which
// were acknowledged, until it is killed.
func TestMain(m *testing.M) {
	dir := os.Getenv("LOGSTORE_WRITE_FOREVER")
	if dir == "" {
		os.Exit(m.Run())
	}
	s := newStore(Config{Dir: dir, Log: slog.New(slog.DiscardHandler), SegmentSize: 2000})
	go s.compress()
	err := error(nil)
	for i := 0; err == nil; i++ {
		err = s.use("s", func(st *stream) error { // which leaves each time
			full, err := st.append([]Event{{Timestamp: int64(i), Message: fmt.Sprint("event ", i)}}, s.segment)
			if err == nil {
				fmt.Println(i)
			}
			if full {
				s.askSeal("s")
			}
			return err
		})
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func TestKill9(t *testing.T) {
	dir := t.TempDir()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), "LOGSTORE_WRITE_FOREVER="+dir)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	last := -1
	for lines.Scan() {
		fmt.Sscan(lines.Text(), &last)
		if last == 1000 {
			child.Process.Kill()
		}
	}
	child.Wait()
	if last < 1000 {
		t.Fatalf("the writer ended after %d events", last)
	}
	st := &stream{dir: filepath.Join(dir, "s")}
	if err := st.load(slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	next := int64(0)
	sealed := 0
	for _, g := range st.spans() {
		raw, err := g.records(st.dir, 0)
		if err != nil {
			t.Fatal(err)
		}
		if g.sealed {
			sealed++
		}
		for len(raw) > 0 {
			e, n, err := readRecord(raw)
			if err != nil {
				t.Fatal(err)
			}
			if e.Timestamp != next {
				t.Fatalf("event %d follows %d", e.Timestamp, next-1)
			}
			next++
			raw = raw[n:]
		}
	}
	if next <= int64(last) {
		t.Errorf("%d events are there, %d were acknowledged", next, last+1)
	}
	if sealed == 0 {
		t.Error("no segment was compressed: the kill tested less than it should")
	}
}

func TestRetention(t *testing.T) {
	db, dir := storetest.Open(t), t.TempDir()
	s := open(t, db, dir, 100)
	if err := s.Ensure(t.Context(), here, "g", "s", true); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for _, age := range []int{10, 9, 2, 0} {
		at := now.AddDate(0, 0, -age).UnixMilli()
		if err := s.Write(t.Context(), here, "g", "s", []Event{{Timestamp: at, Message: strings.Repeat("x", 200)}}); err != nil {
			t.Fatal(err)
		}
	}
	row, _ := s.Find(here, "g", "s")
	if err := s.use(row.ID, s.compressStream); err != nil {
		t.Fatal(err)
	}
	if err := db.Update(t.Context(), func(tx *store.Tx) error {
		g, _ := Groups.Get(tx, here.Key("g"))
		g.Retention = 3
		return Groups.Put(tx, g)
	}); err != nil {
		t.Fatal(err)
	}
	s.Expire(now)
	files, _ := filepath.Glob(filepath.Join(dir, row.ID, "0*"))
	if page := readAll(t, s, "g"); len(page) != 2 || len(files) != 2 {
		t.Errorf("%d events and %d files are left, want 2 of each", len(page), len(files))
	}
}

func TestFollow(t *testing.T) {
	s := open(t, storetest.Open(t), t.TempDir(), 300)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	for _, stream := range []string{"a", "b"} {
		if err := s.Ensure(ctx, here, "g", stream, true); err != nil {
			t.Fatal(err)
		}
	}
	g, _ := s.Group(here, "g")
	write := func(stream string, n int) {
		if err := s.Write(ctx, here, "g", stream, []Event{{Timestamp: int64(n), Message: fmt.Sprint(stream, n)}}); err != nil {
			t.Error(err)
		}
	}
	for i := range 20 {
		write("a", i)
	}
	got := make(chan string)
	go s.Follow(ctx, g, nil, time.Time{}, true, func(events []Found) error {
		for _, e := range events {
			got <- e.Message
		}
		return nil
	})
	first := <-got
	go func() {
		for i := range 50 {
			write("a", 100+i)
			write("b", i) // older than what was read: a follower still gets it
		}
	}()
	seen := map[string]int{first: 1}
	order := map[string]int{}
	for range 119 {
		m := <-got
		seen[m]++
		var n int
		fmt.Sscanf(m[1:], "%d", &n)
		if n < order[m[:1]] {
			t.Fatalf("%s after %s%d", m, m[:1], order[m[:1]])
		}
		order[m[:1]] = n
	}
	if len(seen) != 120 {
		t.Errorf("%d different events, want 120", len(seen))
	}
}

func FuzzReadRecord(f *testing.F) {
	f.Add(appendRecord(nil, Event{1, 2, "m"}))
	f.Add([]byte{255, 255, 255, 255, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		e, n, err := readRecord(b)
		if err == nil && !slices.Equal(appendRecord(nil, e), b[:n]) {
			t.Fatalf("%q is not what was read", b[:n])
		}
	})
}

// Appending is one write and one sync: the floor is a file that does just that.
func BenchmarkWrite(b *testing.B) {
	s := open(b, storetest.Open(b), b.TempDir(), 0)
	if err := s.Ensure(b.Context(), here, "g", "s", true); err != nil {
		b.Fatal(err)
	}
	batch := make([]Event, 1000)
	for i := range batch {
		batch[i] = Event{Timestamp: int64(i), Message: strings.Repeat("m", 100)}
	}
	b.SetBytes(100 * int64(len(batch)))
	for b.Loop() {
		if err := s.Write(b.Context(), here, "g", "s", batch); err != nil {
			b.Fatal(err)
		}
	}
}
