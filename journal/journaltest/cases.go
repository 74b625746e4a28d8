package journaltest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/dhowhq/dhow/journal"
)

func wantRecords(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func appendAndRead(t *testing.T, p Place) {
	l := openLog(t, open(t, p), "a", 1)
	wantRecords(t, "a new log", read(t, l, 0))
	first := appendAll(t, l, journal.Synced, "one")
	second := appendAll(t, l, journal.Written, "two", "", "four")
	wantRecords(t, "from the start", read(t, l, 0), "one", "two", "", "four")
	wantRecords(t, "from the first", read(t, l, first), "one", "two", "", "four")
	wantRecords(t, "from the second", read(t, l, second), "two", "", "four")
	wantRecords(t, "from the last", read(t, l, second+2), "four")
	wantRecords(t, "from the next", read(t, l, l.Next()))
	for range l.Read(t.Context(), 0) {
		break // it may be left at any time
	}
	if _, err := l.Append(t.Context(), journal.Synced); err == nil {
		t.Error("nothing could be appended")
	}
}

func numbers(t *testing.T, p Place) {
	j := open(t, p)
	l := openLog(t, j, "a", 1)
	next := l.Next()
	for i := range 20 {
		first := appendAll(t, l, journal.Durability(i%2), make([]string, i+1)...)
		if first < max(next, 1) {
			t.Fatalf("append %d got the number %d, Next said %d", i, first, next)
		}
		if next = l.Next(); next <= first+journal.Seq(i) {
			t.Fatalf("Next says %d after records up to %d", next, first+journal.Seq(i))
		}
		if n := len(read(t, l, first)); n != i+1 {
			t.Fatalf("%d records from %d, want %d", n, first, i+1)
		}
		if i%5 == 4 {
			j.Close()
			j = open(t, p)
			l = openLog(t, j, "a", 1)
			if l.Next() < next {
				t.Fatalf("Next was %d, and is %d in the next process", next, l.Next())
			}
		}
	}
}

func dataIsCopied(t *testing.T, p Place) {
	l := openLog(t, open(t, p), "a", 1)
	data := []byte("before")
	first, err := l.Append(t.Context(), journal.Synced, data, data)
	if err != nil {
		t.Fatal(err)
	}
	copy(data, "after!")
	wantRecords(t, "after a change", read(t, l, 0), "before", "before")
	got, err := l.Get(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	appendAll(t, l, journal.Synced, strings.Repeat("x", 10000))
	if string(got[0].Data) != "before" {
		t.Errorf("what was read became %q", got[0].Data)
	}
}

func get(t *testing.T, p Place) {
	l := openLog(t, open(t, p), "a", 1)
	first := appendAll(t, l, journal.Synced, "one", "", "three")
	got, err := l.Get(t.Context(), first+2, first+100, first, first+1, 0)
	if err != nil {
		t.Fatal(err)
	}
	want := []journal.Record{{Seq: first + 2, Data: []byte("three")}, {Seq: first + 100},
		{Seq: first, Data: []byte("one")}, {Seq: first + 1, Data: []byte{}}, {}}
	for i, r := range got {
		if r.Seq != want[i].Seq || !bytes.Equal(r.Data, want[i].Data) || (r.Data == nil) != (want[i].Data == nil) {
			t.Errorf("record %d is %#v, want %#v", i, r, want[i])
		}
	}
	_, err = l.Get(t.Context(), first+3, first+4)
	wantErr(t, "none of several", err, journal.ErrNotFound)
	if got, err := l.Get(t.Context()); err != nil || len(got) != 0 {
		t.Errorf("of no numbers: %v, %v", got, err)
	}
}

func remove(t *testing.T, p Place) {
	j := open(t, p)
	l := openLog(t, j, "a", 1)
	first := appendAll(t, l, journal.Synced, "one", "two", "three", "four")
	for range 2 { // again is no error, nor are numbers without records
		if err := l.Delete(t.Context(), first+1, first+3, first+1000, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantRecords(t, "after the deletes", read(t, l, 0), "one", "three")
	_, err := l.Get(t.Context(), first+1)
	wantErr(t, "what was deleted", err, journal.ErrNotFound)
	if next := appendAll(t, l, journal.Synced, "five"); next <= first+3 {
		t.Errorf("number %d was used again", next)
	}
	j.Close()
	l = openLog(t, open(t, p), "a", 1)
	wantRecords(t, "in the next process", read(t, l, 0), "one", "three", "five")
}

func fencing(t *testing.T, p Place) {
	j := open(t, p)
	old := openLog(t, j, "a", 5)
	first := appendAll(t, old, journal.Synced, "old")
	same := openLog(t, j, "a", 5)
	appendAll(t, same, journal.Synced, "same")
	appendAll(t, old, journal.Synced, "old again")
	if _, err := j.Open(t.Context(), "a", 4); !errors.Is(err, journal.ErrFenced) {
		t.Errorf("open for a lower term: %v", err)
	}
	l := openLog(t, j, "a", 6)
	_, err := old.Append(t.Context(), journal.Synced, []byte("too late"))
	wantErr(t, "append of the old owner", err, journal.ErrFenced)
	_, err = same.Append(t.Context(), journal.Written, []byte("too late"))
	wantErr(t, "append of the old owner's other log", err, journal.ErrFenced)
	wantErr(t, "delete of the old owner", old.Delete(t.Context(), first), journal.ErrFenced)
	wantErr(t, "trim of the old owner", old.Trim(t.Context(), first+1), journal.ErrFenced)
	wantErr(t, "drop by the old owner", j.Drop(t.Context(), "a", 5), journal.ErrFenced)
	wantRecords(t, "the new owner's log", read(t, l, 0), "old", "same", "old again")
	appendAll(t, l, journal.Synced, "new")
	j.Close()
	j = open(t, p)
	if _, err := j.Open(t.Context(), "a", 5); !errors.Is(err, journal.ErrFenced) {
		t.Errorf("open for a lower term in the next process: %v", err)
	}
	wantRecords(t, "in the next process", read(t, openLog(t, j, "a", 6), 0), "old", "same", "old again", "new")
}

func drop(t *testing.T, p Place) {
	j := open(t, p)
	l := openLog(t, j, "a", 1)
	last := appendAll(t, l, journal.Synced, "one", "two") + 1
	other := openLog(t, j, "ab", 1)
	appendAll(t, other, journal.Synced, "other")
	for range 2 { // again is no error
		if err := j.Drop(t.Context(), "a", 2); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Drop(t.Context(), "never", 1); err != nil {
		t.Error(err)
	}
	_, err := l.Append(t.Context(), journal.Synced, []byte("x"))
	wantErr(t, "append to a dropped log", err, journal.ErrFenced)
	if _, err := j.Open(t.Context(), "a", 1); !errors.Is(err, journal.ErrFenced) {
		t.Errorf("open for a term lower than that of the drop: %v", err)
	}
	for i, term := range []int64{2, 3} {
		l := openLog(t, j, "a", term)
		wantRecords(t, "a log made anew", read(t, l, 0))
		n := appendAll(t, l, journal.Synced, "new")
		if n <= last {
			t.Errorf("number %d was used again, %d was the last", n, last)
		}
		last = n
		if err := j.Drop(t.Context(), "a", term); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			p.Kill(j)
			j = open(t, p)
		}
	}
	l = openLog(t, j, "a", 3)
	wantRecords(t, "a log made anew", read(t, l, 0))
	if l.Next() <= last {
		t.Errorf("the next number is %d, %d was the last", l.Next(), last)
	}
	wantRecords(t, "the other log", read(t, openLog(t, j, "ab", 1), 0), "other")
}

func names(t *testing.T, p Place) {
	j := open(t, p)
	longest := "m" + strings.Repeat(":/.", (journal.MaxName-2)/3) + "m"
	all := []string{"a", "a-1", "a.b", "a/b", "a/b/c", "a:b", "a_b", "aB", "ab", "b", "Z9", longest}
	for _, name := range all {
		appendAll(t, openLog(t, j, name, 1), journal.Synced, name)
	}
	for _, prefix := range []string{"", "a", "a/", "a/b", "c", longest} {
		want := slices.DeleteFunc(slices.Sorted(slices.Values(all)), func(n string) bool { return !strings.HasPrefix(n, prefix) })
		got, err := j.Names(t.Context(), prefix)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("names with %q: %.200q, %v, want %.200q", prefix, got, err, want)
		}
	}
	if err := j.Drop(t.Context(), "a/b", 1); err != nil {
		t.Fatal(err)
	}
	if got, err := j.Names(t.Context(), "a/"); err != nil || !slices.Equal(got, []string{"a/b/c"}) {
		t.Errorf("names after a drop: %q, %v", got, err)
	}
	for _, name := range []string{"", "-a", "a/", "a b", "ä", "a\x00b", "a*", "a>b", strings.Repeat("x", journal.MaxName+1)} {
		if _, err := j.Open(t.Context(), name, 1); err == nil {
			t.Errorf("a log of the name %q was made", name)
		}
	}
	for _, name := range all {
		if name != "a/b" {
			wantRecords(t, name, read(t, openLog(t, j, name, 1), 0), name)
		}
	}
}

func limits(t *testing.T, p Place) {
	l := openLog(t, open(t, p), "a", 1)
	big := strings.Repeat("0123456789abcdef", journal.MaxRecord/16)
	first := appendAll(t, l, journal.Synced, big)
	many := make([]string, journal.MaxBatch)
	for i := range many {
		many[i] = big[:journal.MaxRecord/journal.MaxBatch]
	}
	appendAll(t, l, journal.Synced, many...)
	if n := len(read(t, l, 0)); n != 1+len(many) {
		t.Errorf("%d records, want %d", n, 1+len(many))
	}
	got, err := l.Get(t.Context(), first)
	if err != nil || string(got[0].Data) != big {
		t.Errorf("the biggest record is not what it was: %v", err)
	}
	for what, batch := range map[string][][]byte{
		"a record too big": {make([]byte, journal.MaxRecord+1)},
		"a batch too big":  {[]byte(big), []byte("x")},
		"too many":         make([][]byte, journal.MaxBatch+1),
	} {
		before := len(read(t, l, 0))
		_, err := l.Append(t.Context(), journal.Synced, batch...)
		after := len(read(t, l, 0))
		if err == nil && after != before+len(batch) || err != nil && after != before {
			t.Errorf("%s: %v, and there are %d records after %d", what, err, after, before)
		}
		if err != nil {
			wantErr(t, what, err, journal.ErrTooBig)
		}
	}
}

func cancelled(t *testing.T, p Place) {
	j := open(t, p)
	l := openLog(t, j, "a", 1)
	first := appendAll(t, l, journal.Synced, "one")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := l.Append(ctx, journal.Synced, []byte("x"))
	wantErr(t, "append", err, context.Canceled)
	_, err = l.Get(ctx, first)
	wantErr(t, "get", err, context.Canceled)
	wantErr(t, "delete", l.Delete(ctx, first), context.Canceled)
	wantErr(t, "trim", l.Trim(ctx, first+1), context.Canceled)
	wantErr(t, "drop", j.Drop(ctx, "a", 1), context.Canceled)
	_, err = j.Names(ctx, "")
	wantErr(t, "names", err, context.Canceled)
	_, err = j.Open(ctx, "b", 1)
	wantErr(t, "open", err, context.Canceled)
	reads := 0
	for _, err := range l.Read(ctx, 0) {
		wantErr(t, "read", err, context.Canceled)
		reads++
	}
	if reads != 1 {
		t.Errorf("a cancelled read yielded %d times", reads)
	}
	wantRecords(t, "the log", read(t, l, 0), "one")
	if names, err := j.Names(t.Context(), ""); err != nil || len(names) != 1 {
		t.Errorf("names: %q, %v", names, err)
	}
}

func closed(t *testing.T, p Place) {
	j := open(t, p)
	l := openLog(t, j, "a", 1)
	first := appendAll(t, l, journal.Written, "one")
	for range 2 {
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
	_, err := l.Append(t.Context(), journal.Synced, []byte("x"))
	wantErr(t, "append", err, journal.ErrClosed)
	_, err = l.Get(t.Context(), first)
	wantErr(t, "get", err, journal.ErrClosed)
	wantErr(t, "delete", l.Delete(t.Context(), first), journal.ErrClosed)
	wantErr(t, "trim", l.Trim(t.Context(), first+1), journal.ErrClosed)
	wantErr(t, "drop", j.Drop(t.Context(), "a", 1), journal.ErrClosed)
	_, err = j.Open(t.Context(), "a", 1)
	wantErr(t, "open", err, journal.ErrClosed)
	for _, err := range l.Read(t.Context(), 0) {
		wantErr(t, "read", err, journal.ErrClosed)
	}
	select {
	case err := <-j.Failed():
		t.Errorf("closing is no failure: %v", err)
	default:
	}
	wantRecords(t, "in the next process", read(t, openLog(t, open(t, p), "a", 1), 0), "one")
}

// concurrent has many writers append to some logs, each record telling of its
// writer and its place.
func concurrent(t *testing.T, p Place, logs int) {
	const writers, appends = 50, 20
	j := open(t, p)
	var all []journal.Log
	for i := range logs {
		all = append(all, openLog(t, j, fmt.Sprintf("c/%d", i), 1))
	}
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			last := journal.Seq(0)
			for i := range appends {
				batch := make([][]byte, 1+(w+i)%3)
				for k := range batch {
					batch[k] = fmt.Appendf(nil, "%d %d %d", w, i, k)
				}
				first, err := all[w%logs].Append(t.Context(), journal.Durability(i%2), batch...)
				if err != nil || first <= last {
					t.Errorf("writer %d append %d: number %d after %d, %v", w, i, first, last, err)
					return
				}
				last = first + journal.Seq(len(batch)) - 1
			}
		})
	}
	wg.Wait()
	for i, l := range all {
		checkConcurrent(t, i, logs, writers, appends, l)
	}
}

// checkConcurrent sees that a log has each of its writers' records, in order,
// batches together.
func checkConcurrent(t *testing.T, i, logs, writers, appends int, l journal.Log) {
	next := map[int][2]int{} // by writer: append, place
	var open, total int      // the writer of a batch that is not complete
	for r, err := range l.Read(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		var w, a, k int
		if _, err := fmt.Sscanf(string(r.Data), "%d %d %d", &w, &a, &k); err != nil {
			t.Fatal(err)
		}
		want := next[w]
		if w%logs != i || want != [2]int{a, k} || k > 0 && open != w {
			t.Fatalf("log %d: record %q, want append and place %v of it (a batch of %d is open)", i, r.Data, want, open)
		}
		if open, total = w, total+1; k == (w+a)%3 {
			next[w] = [2]int{a + 1, 0}
		} else {
			next[w] = [2]int{a, k + 1}
		}
	}
	for w := i; w < writers; w += logs {
		if next[w] != [2]int{appends, 0} {
			t.Errorf("log %d ends at %v for writer %d", i, next[w], w)
		}
	}
}

func survives(t *testing.T, p Place) {
	var want []string
	for round := range 4 {
		j := open(t, p)
		l := openLog(t, j, "a", int64(round))
		wantRecords(t, fmt.Sprintf("round %d", round), read(t, l, 0), want...)
		for i := range 10 {
			r := fmt.Sprint(round, " ", i)
			appendAll(t, l, journal.Durability((i+round)%2), r)
			want = append(want, r)
		}
		p.Kill(j)
	}
}

func size(t *testing.T, p Place) {
	j := open(t, p)
	l := openLog(t, j, "a", 1)
	other := openLog(t, j, "b", 1)
	batch := make([]string, 100)
	for i := range batch {
		batch[i] = strings.Repeat("x", 1000)
	}
	for range 10 {
		appendAll(t, l, journal.Written, batch...)
	}
	if n := l.Size(); n < 900_000 || n > 1_500_000 {
		t.Errorf("a million bytes count as %d", n)
	}
	if n := other.Size(); n > 10_000 {
		t.Errorf("nothing counts as %d bytes", n)
	}
	if err := l.Trim(t.Context(), l.Next()); err != nil {
		t.Fatal(err)
	}
	if n := l.Size(); n > 10_000 {
		t.Errorf("after all was trimmed away, the size is %d", n)
	}
}
