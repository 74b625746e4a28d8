package bus

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dhowhq/dhow/journal"
	"github.com/dhowhq/dhow/journal/journaltest"
	"github.com/dhowhq/dhow/journal/mem"
	"github.com/dhowhq/dhow/store/storetest"
)

// reads is a journal that counts the records that are read of it, and calls what
// is in before ahead of an append.
type reads struct {
	journal.Journal
	n      atomic.Int64
	before atomic.Pointer[func()]
}

type readLog struct {
	journal.Log
	j *reads
}

func (j *reads) Open(ctx context.Context, name string, term int64) (journal.Log, error) {
	l, err := j.Journal.Open(ctx, name, term)
	return readLog{l, j}, err
}

func (l readLog) Read(ctx context.Context, from journal.Seq) iter.Seq2[journal.Record, error] {
	return func(yield func(journal.Record, error) bool) {
		for r, err := range l.Log.Read(ctx, from) {
			l.j.n.Add(1)
			if !yield(r, err) {
				return
			}
		}
	}
}

func (l readLog) Append(ctx context.Context, d journal.Durability, records ...[]byte) (journal.Seq, error) {
	if f := l.j.before.Swap(nil); f != nil {
		(*f)()
	}
	return l.Log.Append(ctx, d, records...)
}

// keeper is an engine with the archive a and nothing that runs.
type keeper struct {
	*Engine
	t      *testing.T
	faults journaltest.Faults
	reads  *reads
}

var kept = Archive{Scope: here, Name: "a", ID: "id-a", Bus: DefaultName}

// taken is when an event was taken.
var taken = time.Unix(1000, 0)

func newKeeper(t *testing.T) *keeper {
	t.Helper()
	db := storetest.Open(t)
	put(t, db, Archives, kept)
	k := &keeper{t: t, reads: &reads{Journal: mem.New()}}
	var err error
	if k.Engine, err = New(Config{DB: db, Journal: k.faults.Over(k.reads)}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Engine.Close)
	k.begin()
	return k
}

// begin has the engine know what is on disk alone.
func (k *keeper) begin() { k.archives.begin(k.cfg.Journal, 1) }

// same is an event that differs from others in its id alone.
func same(id int) []byte {
	return Render(Parts{Scope: here, ID: fmt.Sprint(id), Source: "s", DetailType: "d", Time: taken, Detail: []byte(`{}`)})
}

func (k *keeper) keep(id int) error {
	return k.archiveEvent(k.t.Context(), kept.ARN(), taken, same(id))
}

func (k *keeper) must(err error) {
	k.t.Helper()
	if err != nil {
		k.t.Fatal(err)
	}
}

// check holds the archive to have each of the events 0 to n-1 once, and its size.
func (k *keeper) check(n int) {
	k.t.Helper()
	l, err := k.archives.get(k.t.Context(), k.cfg.DB, kept.ID)
	k.must(err)
	k.must(l.catchUp(k.t.Context()))
	count := map[string]int{}
	bytes := int64(0)
	for r, err := range l.Read(k.t.Context(), 0) {
		k.must(err)
		v, err := decode(r.Data)
		k.must(err)
		id, _ := head(v.event)
		count[id]++
		bytes += int64(len(r.Data))
	}
	for i := range n {
		if c := count[fmt.Sprint(i)]; c != 1 {
			k.t.Errorf("event %d is %d times in the archive", i, c)
		}
	}
	if l.size.Events != int64(n) || l.size.Bytes != bytes || len(count) != n {
		k.t.Errorf("the archive holds %d events of %d bytes, and counts %d of %d", len(count), bytes, l.size.Events, l.size.Bytes)
	}
}

// TestArchiveKeepsOnce brings events that are alike but for their ids, each of them
// again, and again to the next process: each is kept once.
func TestArchiveKeepsOnce(t *testing.T) {
	k := newKeeper(t)
	for range 2 {
		for range 2 {
			for id := range 3 {
				k.must(k.keep(id))
			}
		}
		k.check(3)
		k.begin()
	}
}

// TestArchiveUnknown loses answers of appends while others are under way: each
// event is kept and counted once.
func TestArchiveUnknown(t *testing.T) {
	k := newKeeper(t)
	const events = 300
	k.faults.Forget(20, 40)
	var work sync.WaitGroup
	for worker := range 16 {
		work.Go(func() {
			for id := worker; id < events; id += 16 {
				for k.keep(id) != nil {
				}
			}
		})
	}
	work.Wait()
	k.check(events)
}

// TestArchiveUnknownBesides loses the answer of an append while another one waits
// for the disk: that one is counted too.
func TestArchiveUnknownBesides(t *testing.T) {
	k := newKeeper(t)
	waits, goOn, first, again := make(chan bool), make(chan bool), make(chan error, 1), make(chan error, 1)
	hold := func() { close(waits); <-goOn }
	k.reads.before.Store(&hold)
	go func() { first <- k.keep(0) }()
	<-waits
	k.faults.Forget(0, 1)
	if err := k.keep(1); err == nil {
		t.Fatal("the answer was not lost")
	}
	go func() { again <- k.keep(1) }()
	select {
	case err := <-again: // it may wait for the first one, or not
		again <- err
	case <-time.After(20 * time.Millisecond):
	}
	close(goOn)
	k.must(<-first)
	k.must(<-again)
	k.check(2)
}

// TestArchiveReads has archives read anew, of this version and of one that did not
// say where their newest records begin: these alone are read, and known.
func TestArchiveReads(t *testing.T) {
	for _, before := range []bool{false, true} {
		k := newKeeper(t)
		const events = 3 * newestEvents
		for id := range events {
			k.must(k.keep(id))
		}
		k.must(k.tendArchive(t.Context(), kept, time.Now()))
		if before {
			l, err := k.archives.get(t.Context(), k.cfg.DB, kept.ID)
			k.must(err)
			size := l.size
			size.Newest = 0
			put(t, k.cfg.DB, ArchiveSizes, size)
		}
		k.begin()
		k.reads.n.Store(0)
		for id := events - newestEvents; id < events; id++ {
			k.must(k.keep(id))
		}
		if n := k.reads.n.Load(); n != newestEvents {
			t.Errorf("%d records are read; of a version before: %v", n, before)
		}
		k.check(events)
	}
}

// TestArchiveTrimRefused has the journal refuse a trim: what is still there is
// counted, and what the next trim takes is not.
func TestArchiveTrimRefused(t *testing.T) {
	k := newKeeper(t)
	for id := range 3 {
		k.must(k.keep(id))
	}
	old := kept
	old.Days = 1
	k.faults.Hold(0, 1)
	if err := k.tendArchive(t.Context(), old, taken.AddDate(0, 0, 2)); !errors.Is(err, journal.ErrFull) {
		t.Fatalf("the trim was not refused: %v", err)
	}
	k.check(3)
	k.must(k.tendArchive(t.Context(), old, taken.AddDate(0, 0, 2)))
	k.check(0)
}
