package journaltest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/dhowhq/dhow/journal"
)

func trim(t *testing.T, p Place) {
	j := open(t, p)
	l := openLog(t, j, "a", 1)
	first := appendAll(t, l, journal.Synced, "one", "two", "three")
	for range 2 {
		if err := l.Trim(t.Context(), first+1); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Trim(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	wantRecords(t, "after the trim", read(t, l, 0), "two", "three")
	_, err := l.Get(t.Context(), first)
	wantErr(t, "what was trimmed away", err, journal.ErrNotFound)
	next := l.Next()
	if err := l.Trim(t.Context(), next+1000); err != nil { // all there is
		t.Fatal(err)
	}
	wantRecords(t, "after all was trimmed away", read(t, l, 0))
	if n := appendAll(t, l, journal.Synced, "four"); n < next {
		t.Errorf("number %d was used again", n)
	}
	wantRecords(t, "what came later", read(t, l, 0), "four")
	j.Close()
	j = open(t, p)
	l = openLog(t, j, "a", 1)
	wantRecords(t, "in the next process", read(t, l, 0), "four")
	if err := l.Trim(t.Context(), l.Next()); err != nil {
		t.Fatal(err)
	}
	next = l.Next()
	p.Kill(j)
	if l = openLog(t, open(t, p), "a", 1); l.Next() < next {
		t.Errorf("with nothing in the log Next went from %d to %d", next, l.Next())
	}
}

func longRead(t *testing.T, p Place) {
	l := openLog(t, open(t, p), "a", 1)
	var want []string
	for i := range 20 {
		batch := make([]string, 150)
		for k := range batch {
			batch[k] = fmt.Sprintf("%d/%d/%s", i, k, strings.Repeat("x", i*k%2000))
		}
		appendAll(t, l, journal.Written, batch...)
		want = append(want, batch...)
	}
	got := 0
	for r, err := range l.Read(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if got == 100 { // what is appended during the read is not a part of it
			appendAll(t, l, journal.Written, "late")
		}
		if got == len(want) || string(r.Data) != want[got] {
			t.Fatalf("record %d of %d is %.20q", got, len(want), r.Data)
		}
		got++
	}
	if got != len(want) {
		t.Errorf("%d records were read, want %d", got, len(want))
	}
}

func readWhileTrimming(t *testing.T, p Place) {
	l := openLog(t, open(t, p), "a", 1)
	first := appendAll(t, l, journal.Written, make([]string, 1000)...)
	for range 4 {
		appendAll(t, l, journal.Written, make([]string, 1000)...)
	}
	seen, last := 0, journal.Seq(0)
	for r, err := range l.Read(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Seq <= last {
			t.Fatalf("record %d came after %d", r.Seq, last)
		}
		last = r.Seq
		if seen++; seen == 10 {
			if err := l.Trim(t.Context(), first+4000); err != nil {
				t.Fatal(err)
			}
		}
	}
	if seen < 1000 {
		t.Errorf("%d records were read, at least 1000 were never trimmed", seen)
	}
}
