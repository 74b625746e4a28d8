package logstore

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dhowhq/dhow/store/storetest"
)

// held is how many streams are in memory.
func held(s *Store) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.streams)
}

// openLogs is how many files below dir this process has open.
func openLogs(t *testing.T, dir string) (n int) {
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc to count open files: ", err)
	}
	for _, fd := range fds {
		if to, _ := os.Readlink("/proc/self/fd/" + fd.Name()); strings.HasPrefix(to, dir) {
			n++
		}
	}
	return n
}

// A stream that nobody uses costs neither memory nor a file once enough others
// were used after it, and comes back as it was.
func TestIdleStreamsLeave(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(Config{Dir: dir, DB: storetest.Open(t), MaxIdle: 8})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	const streams = 100
	for round := range 2 {
		for i := range streams {
			name := fmt.Sprint("s", i)
			ensure(t, s, "g", name)
			e := Event{Timestamp: int64(100*round + i), Message: fmt.Sprintf("%s round %d", name, round)}
			if err := s.Write(t.Context(), here, "g", name, []Event{e}); err != nil {
				t.Fatal(err)
			}
			if n := held(s); n > 8 {
				t.Fatalf("%d streams are in memory, want at most 8", n)
			}
		}
	}
	if n := openLogs(t, dir); n > 8 {
		t.Errorf("%d files are open, want at most 8", n)
	}
	if all := readAll(t, s, "g"); len(all) != 2*streams || all[0].Message != "s0 round 0" || all[199].Message != "s99 round 1" {
		t.Errorf("%d events came back", len(all))
	}
	g, _ := s.Group(here, "g")
	for _, row := range s.StreamsOf(g, nil) {
		if x, err := s.Extent(row); err != nil || x.Events != 2 || x.Last != x.First+100 {
			t.Errorf("%s: %+v, %v", row.Name, x, err)
		}
	}
	if err := s.DeleteStream(t.Context(), here, "g", "s1"); err != nil {
		t.Fatal(err)
	}
	if n := len(s.extents); n < streams-1-8 || n > streams-1 {
		t.Errorf("%d extents are kept", n)
	}
	if n := held(s); n > 8 {
		t.Errorf("%d streams are in memory after reads, want at most 8", n)
	}
}

// Those that nobody used for long leave even where there is room.
func TestIdleStreamsLeaveInTime(t *testing.T) {
	s := open(t, storetest.Open(t), t.TempDir(), 0)
	ensure(t, s, "g", "s")
	if err := s.Write(t.Context(), here, "g", "s", []Event{{Timestamp: 1, Message: "m"}}); err != nil {
		t.Fatal(err)
	}
	if s.rest(time.Now().Add(idleFor - time.Minute)); held(s) != 1 {
		t.Error("the stream left too soon")
	}
	if s.rest(time.Now().Add(idleFor + time.Second)); held(s) != 0 {
		t.Error("the stream is still in memory")
	}
	if all := readAll(t, s, "g"); len(all) != 1 {
		t.Errorf("%d events, want 1", len(all))
	}
}

// What a stream holds is noted when it leaves, so that it comes back without
// its records being read; a note that is damaged, or of a shorter past, is
// made good from the records.
func TestNote(t *testing.T) {
	db, dir := storetest.Open(t), t.TempDir()
	write := func(message string) Extent {
		t.Helper()
		s, err := Open(Config{Dir: dir, DB: db, SegmentSize: 250})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		ensure(t, s, "g", "s")
		if err := s.Write(t.Context(), here, "g", "s", []Event{{Timestamp: 7, Message: message}}); err != nil {
			t.Fatal(err)
		}
		row, _ := s.Find(here, "g", "s")
		x, err := s.Extent(row)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	write("one")
	notes, _ := filepath.Glob(filepath.Join(dir, "*", noteName))
	if len(notes) != 1 {
		t.Fatalf("notes %v", notes)
	}
	short, err := os.ReadFile(notes[0])
	if err != nil {
		t.Fatal(err)
	}
	growing := filepath.Join(filepath.Dir(notes[0]), "00000000.log")
	first, err := os.ReadFile(growing)
	if err != nil {
		t.Fatal(err)
	}
	first[recordHead+16]++ // nobody looks at it again
	if err := os.WriteFile(growing, first, 0o600); err != nil {
		t.Fatal(err)
	}
	if x := write("two"); x.Events != 2 {
		t.Fatalf("%d events after a return by the note, want 2", x.Events)
	}
	first[recordHead+16]--
	f, err := os.OpenFile(growing, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(first, 0); err != nil {
		t.Fatal(err)
	}
	f.Close()
	for i, note := range [][]byte{short, short[:len(short)-1], nil, append([]byte("dhow"), short...), []byte(strings.Repeat("\x00", len(short)))} {
		if err := os.WriteFile(notes[0], note, 0o600); err != nil {
			t.Fatal(err)
		}
		if x := write("more"); x.Events != int64(3+i) {
			t.Fatalf("note %d: %d events, want %d", i, x.Events, 3+i)
		}
	}
}

// A note of more than there is, as after a damaged disk was mended, does not
// outlive the next look: or what is written then would be cut off where the
// note ended, once the process is killed.
func TestNoteAhead(t *testing.T) {
	db, dir := storetest.Open(t), t.TempDir()
	s := open(t, db, dir, 0)
	ensure(t, s, "g", "s")
	write := func(s *Store, message string) {
		t.Helper()
		if err := s.Write(t.Context(), here, "g", "s", []Event{{Timestamp: 7, Message: message}}); err != nil {
			t.Fatal(err)
		}
	}
	write(s, "kept")
	row, _ := s.Find(here, "g", "s")
	x, err := s.Extent(row)
	if err != nil {
		t.Fatal(err)
	}
	write(s, strings.Repeat("lost", 10))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(dir, row.ID, "00000000.log"), x.Bytes); err != nil {
		t.Fatal(err)
	}
	killed := open(t, db, dir, 0) // not closed until the end
	want := []string{"kept"}
	for i := range 5 {
		want = append(want, fmt.Sprint("new ", i))
		write(killed, want[i+1])
	}
	again := open(t, db, dir, 0)
	write(again, "last")
	var got []string
	for _, e := range readAll(t, again, "g") {
		got = append(got, e.Message)
	}
	if want = append(want, "last"); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A full segment is compressed though its stream left before the compressor
// came to it, and numbers of segments go on behind those that expired.
func TestLeaveFull(t *testing.T) {
	db, dir := storetest.Open(t), t.TempDir()
	s, err := Open(Config{Dir: dir, DB: db, SegmentSize: 100, MaxIdle: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.compressing.Lock()
	for i := range 20 {
		name := fmt.Sprint("s", i)
		ensure(t, s, "g", name)
		if err := s.Write(t.Context(), here, "g", name, []Event{{Timestamp: 7, Message: strings.Repeat("x", 200)}}); err != nil {
			t.Fatal(err)
		}
	}
	s.compressing.Unlock()
	deadline := time.Now().Add(20 * time.Second)
	for {
		growing, _ := filepath.Glob(filepath.Join(dir, "*", "*.log"))
		if len(growing) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d segments are not compressed", len(growing))
		}
		time.Sleep(5 * time.Millisecond)
	}
	row, _ := s.Find(here, "g", "s0")
	if err := s.use(row.ID, func(st *stream) error { return st.expire(8) }); err != nil {
		t.Fatal(err)
	}
	s.rest(time.Now().Add(2 * idleFor))
	if err := s.Write(t.Context(), here, "g", "s0", []Event{{Timestamp: 9, Message: "new"}}); err != nil {
		t.Fatal(err)
	}
	if x, _ := filepath.Glob(filepath.Join(dir, row.ID, "00000001.log")); len(x) != 1 {
		t.Error("a segment's number came twice")
	}
}

// Streams leave and come back under writers, readers and deletes.
func TestLeaveConcurrent(t *testing.T) {
	s, err := Open(Config{Dir: t.TempDir(), DB: storetest.Open(t), SegmentSize: 700, MaxIdle: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var wg sync.WaitGroup
	for w := range 4 {
		for i := range 3 {
			ensure(t, s, "g", fmt.Sprintf("s%d-%d", w, i))
		}
		wg.Go(func() {
			for i := range 150 {
				e := Event{Timestamp: int64(i), Message: fmt.Sprintf("%03d %s", i, strings.Repeat("x", 50))}
				if err := s.Write(t.Context(), here, "g", fmt.Sprintf("s%d-%d", w, i%3), []Event{e}); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() {
			for range 20 {
				readAll(t, s, "g")
				s.rest(time.Now().Add(2 * idleFor))
			}
		})
	}
	wg.Wait()
	all := readAll(t, s, "g")
	if len(all) != 600 {
		t.Fatalf("%d events, want 600", len(all))
	}
	last := make(map[string]string)
	for _, e := range all {
		if e.Message <= last[e.Stream] {
			t.Fatalf("%s: %.3s follows %.3s", e.Stream, e.Message, last[e.Stream])
		}
		last[e.Stream] = e.Message
	}
	if n := held(s); n > 2 {
		t.Errorf("%d streams are in memory, want an idle one and what the compressor has", n)
	}
}

func FuzzNote(f *testing.F) {
	st := &stream{dir: f.TempDir(), next: 3, segments: []*segment{{number: 1, sealed: true, span: span{1, 2, 3, 4, 5}}, {number: 2}}}
	if err := st.note(); err != nil {
		f.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(st.dir, noteName))
	if err != nil {
		f.Fatal(err)
	}
	next, noted := parseNote(b)
	if next != 3 || noted[1] != *st.segments[0] || noted[2] != *st.segments[1] {
		f.Fatalf("next %d, noted %v", next, noted)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) { parseNote(b) })
}

// BenchmarkReturn is what it costs to look at a stream that left; x-readdir is
// its ratio to reading its directory alone.
func BenchmarkReturn(b *testing.B) {
	s := open(b, storetest.Open(b), b.TempDir(), 0)
	ensure(b, s, "g", "s")
	for i := range 20 {
		if err := s.Write(b.Context(), here, "g", "s", []Event{{Timestamp: int64(i), Message: strings.Repeat("m", 100_000)}}); err != nil {
			b.Fatal(err)
		}
	}
	row, _ := s.Find(here, "g", "s")
	var own, bare time.Duration
	for b.Loop() {
		s.rest(time.Now().Add(2 * idleFor))
		start := time.Now()
		if _, err := s.spans(row.ID); err != nil {
			b.Fatal(err)
		}
		half := time.Now()
		if _, err := os.ReadDir(filepath.Join(s.dir, row.ID)); err != nil {
			b.Fatal(err)
		}
		own, bare = own+half.Sub(start), bare+time.Since(half)
	}
	b.ReportMetric(float64(own)/float64(bare), "x-readdir")
}
