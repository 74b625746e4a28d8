package pebble_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/dhowhq/dhow/journal"
	"github.com/dhowhq/dhow/journal/faultfs"
	"github.com/dhowhq/dhow/journal/pebble"
)

// TestFaults lets workers write to a journal until something ends it, a kill in
// the middle of any operation, a loss of power, a sync that fails; and sees in
// the next process that what was acknowledged is there, again and again. Now and
// then the disk is full for a while.
func TestFaults(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		for range rapid.IntRange(2, 6).Draw(t, "rounds") {
			w.round(t)
		}
		w.start(t)
		w.j.Close()
	})
}

// fate of a record, as far as those who wrote it know.
type fate int

const (
	live  fate = iota // it was acknowledged
	maybe             // to remove it was tried
	gone              // its removal was acknowledged, which a loss of power may undo
)

type record struct {
	data   string
	batch  int
	synced bool
	fate   fate
}

// book is what is known of a log.
type book struct {
	name    string
	l       journal.Log
	records map[journal.Seq]*record // that have been acknowledged or seen
	open    map[string]int          // appends without an answer, by data: their batches
	dead    map[string]bool         // data that must not be seen again
	max     journal.Seq             // of all numbers that were seen
	trimmed journal.Seq             // to trim up to here was tried
}

type world struct {
	fs      *faultfs.FS
	j       journal.Journal
	term    int64
	mu      sync.Mutex
	books   []*book
	batches map[int]int // sizes
	lost    bool        // power was lost since the last process that could be asked
}

func newWorld(t *rapid.T) *world {
	w := &world{fs: faultfs.New(rapid.Uint64().Draw(t, "seed")), batches: map[int]int{}}
	for i := range rapid.IntRange(1, 3).Draw(t, "logs") {
		w.books = append(w.books, &book{name: fmt.Sprint("log/", i), records: map[journal.Seq]*record{}, open: map[string]int{}, dead: map[string]bool{}})
	}
	return w
}

// start opens the journal and compares it with what is known.
func (w *world) start(t *rapid.T) {
	var err error
	if w.j, err = pebble.Open("/data/journal", pebble.Options{FS: w.fs, SegmentBytes: smallSegment}); err != nil {
		t.Fatal(err)
	}
	w.term++
	for _, b := range w.books {
		if b.l, err = w.j.Open(context.Background(), b.name, w.term); err != nil {
			t.Fatal(err)
		}
		b.compare(t, w)
	}
	w.lost = false
}

func (b *book) compare(t *rapid.T, w *world) {
	if b.l.Next() <= b.max {
		t.Fatalf("%s: Next is %d, number %d was used", b.name, b.l.Next(), b.max)
	}
	seen, whole, last := map[journal.Seq]bool{}, map[int]int{}, journal.Seq(0)
	for r, err := range b.l.Read(context.Background(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		seen[r.Seq], last = true, r.Seq
		b.see(t, w, r, whole)
	}
	for batch, n := range whole {
		if n != w.batches[batch] {
			t.Fatalf("%s: of batch %d there are %d records, want %d", b.name, batch, n, w.batches[batch])
		}
	}
	for seq, r := range b.records {
		if !seen[seq] {
			b.miss(t, w, seq, r, last)
		}
	}
	for data := range b.open {
		b.dead[data] = true
	}
	clear(b.open)
}

// see takes note of a record that is there. It counts those of batches that were
// without an answer in whole.
func (b *book) see(t *rapid.T, w *world, got journal.Record, whole map[int]int) {
	data := string(got.Data)
	r := b.records[got.Seq]
	switch batch, open := b.open[data]; {
	case b.dead[data]:
		t.Fatalf("%s: record %d, %q, has come back", b.name, got.Seq, data)
	case r == nil && !open:
		t.Fatalf("%s: record %d, %q, was never written there", b.name, got.Seq, data)
	case r == nil:
		r = &record{data: data, batch: batch}
		b.records[got.Seq] = r
		b.max = max(b.max, got.Seq)
		delete(b.open, data)
		whole[batch]++
	case r.data != data:
		t.Fatalf("%s: record %d is %q, want %q", b.name, got.Seq, data, r.data)
	case r.fate == gone && !w.lost:
		t.Fatalf("%s: record %d is there, its removal was acknowledged", b.name, got.Seq)
	}
	r.fate = live
	r.synced = r.synced || w.lost
}

// miss takes note of a record that is not there; last is the last that is.
func (b *book) miss(t *rapid.T, w *world, seq journal.Seq, r *record, last journal.Seq) {
	if r.fate == live {
		switch {
		case !w.lost:
			t.Fatalf("%s: record %d is missing after a kill (synced: %v)", b.name, seq, r.synced)
		case r.synced:
			t.Fatalf("%s: record %d is missing, it was synced", b.name, seq)
		case seq < last:
			t.Fatalf("%s: record %d is missing, but %d is there", b.name, seq, last)
		}
	}
	if r.fate != gone && !w.lost {
		r.fate = gone
	}
	if w.lost {
		b.dead[r.data] = true
		delete(b.records, seq)
	}
}

// round is the life of a process.
func (w *world) round(t *rapid.T) {
	end := rapid.SampledFrom([]string{"kill", "power", "power", "sync"}).Draw(t, "end")
	after := rapid.IntRange(0, 300).Draw(t, "after")
	workers := rapid.IntRange(1, 4).Draw(t, "workers")
	seed := rapid.Uint64().Draw(t, "seed")
	early := rapid.IntRange(0, 9).Draw(t, "early") == 0
	if early { // the end may come while the journal opens
		w.fs.StopAfter(after % 40)
		if j, err := pebble.Open("/data/journal", pebble.Options{FS: w.fs, SegmentBytes: smallSegment}); err == nil {
			w.fs = w.fs.Kill()
			j.Close()
		} else if !errors.Is(err, faultfs.ErrGone) {
			t.Fatal(err)
		}
		w.end(end)
	}
	w.start(t)
	if end == "sync" {
		w.fs.Inject(faultfs.FailSyncs(after/4, 1))
	} else {
		w.fs.StopAfter(after)
	}
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() { w.work(t, rand.New(rand.NewPCG(seed, uint64(i))), workers == 1) })
	}
	wg.Wait()
	w.end(end)
}

// end ends the process.
func (w *world) end(how string) {
	w.fs.Inject(nil)
	w.fs.Limit(0)
	old := w.j
	if how == "power" {
		w.lost = true
		w.fs = w.fs.PowerLoss()
	} else {
		w.fs = w.fs.Kill()
	}
	if old != nil {
		old.Close()
	}
}

// work writes until the journal has failed, or long enough.
func (w *world) work(t *rapid.T, rng *rand.Rand, alone bool) {
	for range 200 {
		b := w.books[rng.IntN(len(w.books))]
		var err error
		switch p := rng.IntN(100); {
		case p < 70:
			err = w.append(t, b, rng)
		case p < 80:
			err = w.remove(b, rng)
		case p < 90:
			err = w.trim(b, rng)
		case p < 95 && alone:
			w.fs.Limit(w.fs.Used() + int64(rng.IntN(100_000)))
		case p < 97 && alone:
			w.fs.Limit(0)
		case p < 98 && alone:
			err = w.drop(t, b)
		}
		if err != nil && !errors.Is(err, journal.ErrFull) {
			if !errors.Is(err, journal.ErrClosed) {
				t.Errorf("%v", err)
			}
			return
		}
	}
}

func (w *world) append(t *rapid.T, b *book, rng *rand.Rand) error {
	w.mu.Lock()
	batch := len(w.batches)
	var data [][]byte
	for i := range 1 + rng.IntN(5) {
		data = append(data, append(fmt.Appendf(nil, "%d/%d ", batch, i), bytes.Repeat([]byte("x"), rng.IntN(1<<rng.IntN(14)))...))
		b.open[string(data[i])] = batch
	}
	w.batches[batch] = len(data)
	d := journal.Durability(rng.IntN(2))
	var before []*record // that a sync makes durable, of all logs
	if d == journal.Synced {
		for _, b := range w.books {
			for _, r := range b.records {
				if !r.synced {
					before = append(before, r)
				}
			}
		}
	}
	w.mu.Unlock()
	room := journal.MakesRoom * journal.Durability(rng.IntN(2))
	first, err := b.l.Append(context.Background(), d|room, data...)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil && errors.Is(err, journal.ErrUnknown) {
		return err
	}
	for i, r := range data {
		delete(b.open, string(r))
		if err != nil { // it was refused
			b.dead[string(r)] = true
			continue
		}
		seq := first + journal.Seq(i)
		if b.records[seq] != nil {
			t.Errorf("%s: number %d was used again", b.name, seq)
		}
		b.records[seq] = &record{data: string(r), batch: batch, synced: d == journal.Synced}
		if seq < b.trimmed { // by another worker, before this one came here
			b.records[seq].fate = maybe
		}
		b.max = max(b.max, seq)
	}
	if err == nil && d == journal.Synced {
		for _, r := range before {
			r.synced = true
		}
		for seq, r := range b.records {
			r.synced = r.synced || seq < first
		}
	}
	return err
}

// removing does a removal of the records that pick says.
func (w *world) removing(b *book, pick func(journal.Seq) bool, do func() error) error {
	var picked []*record
	w.mu.Lock()
	for seq, r := range b.records {
		if pick(seq) && r.fate == live {
			r.fate = maybe
			picked = append(picked, r)
		}
	}
	w.mu.Unlock()
	err := do()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range picked {
		switch {
		case err == nil:
			r.fate = gone
		case errors.Is(err, journal.ErrFull):
			r.fate = live
		}
	}
	return err
}

func (w *world) seqs(b *book) []journal.Seq {
	w.mu.Lock()
	defer w.mu.Unlock()
	var seqs []journal.Seq
	for seq := range b.records {
		seqs = append(seqs, seq)
	}
	slices.Sort(seqs)
	return seqs
}

func (w *world) remove(b *book, rng *rand.Rand) error {
	seqs := w.seqs(b)
	if len(seqs) == 0 {
		return nil
	}
	rng.Shuffle(len(seqs), func(i, k int) { seqs[i], seqs[k] = seqs[k], seqs[i] })
	seqs = seqs[:1+rng.IntN(min(len(seqs), 10))]
	return w.removing(b, func(s journal.Seq) bool { return slices.Contains(seqs, s) },
		func() error { return b.l.Delete(context.Background(), seqs...) })
}

func (w *world) trim(b *book, rng *rand.Rand) error {
	seqs := w.seqs(b)
	if len(seqs) == 0 {
		return nil
	}
	first := seqs[rng.IntN(len(seqs))]
	w.mu.Lock()
	b.trimmed = max(b.trimmed, first)
	w.mu.Unlock()
	return w.removing(b, func(s journal.Seq) bool { return s < first },
		func() error { return b.l.Trim(context.Background(), first) })
}

// drop drops the log and makes it anew.
func (w *world) drop(t *rapid.T, b *book) error {
	err := w.removing(b, func(journal.Seq) bool { return true },
		func() error { return w.j.Drop(context.Background(), b.name, w.term) })
	if err != nil {
		return err
	}
	for seq, r := range b.records { // synced: nothing comes back
		b.dead[r.data] = true
		delete(b.records, seq)
	}
	w.fs.Limit(0)
	l, err := w.j.Open(context.Background(), b.name, w.term)
	if err != nil {
		return err
	}
	if b.l = l; l.Next() <= b.max {
		t.Errorf("%s was made anew, and Next is %d after %d", b.name, b.l.Next(), b.max)
	}
	return nil
}
