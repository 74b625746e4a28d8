package delivery

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dhowhq/dhow/journal"
	"github.com/dhowhq/dhow/journal/mem"
)

// slowLog has appends return late and in any order.
type slowLog struct {
	journal.Log
	hold chan struct{} // a value for each append that may return; nil holds none
}

func (l *slowLog) Append(ctx context.Context, d journal.Durability, records ...[]byte) (journal.Seq, error) {
	seq, err := l.Log.Append(ctx, d, records...)
	if string(records[0][len(records[0])-4:]) == "late" {
		<-l.hold
	}
	return seq, err
}

// A record that is on disk while its Enqueue has not returned is not trimmed
// away with a later one that is done already.
func TestTrimWaitsForAppends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{}
		j := mem.New()
		e, err := Open(context.Background(), w.config(j))
		if err != nil {
			t.Fatal(err)
		}
		hold := make(chan struct{})
		e.ingest = &slowLog{e.ingest, hold}
		ctx, cancel := context.WithCancel(context.Background())
		go e.Run(ctx)
		go e.Enqueue(ctx, Item{[]string{"a"}, []byte("late")})
		synctest.Wait()
		enqueue(t, e, Item{[]string{"a"}, []byte("soon")})
		time.Sleep(time.Second)
		if n := records(t, e.ingest); n != 1 || len(w.sent) != 1 {
			t.Errorf("%d records are left, %d were sent", n, len(w.sent))
		}
		close(hold)
		time.Sleep(time.Second)
		if n := records(t, e.ingest); n != 0 || len(w.sent) != 2 {
			t.Errorf("%d records are left, %d were sent", n, len(w.sent))
		}
		cancel()
	})
}

// fullLog has no room for a while.
type fullLog struct {
	journal.Log
	full atomic.Bool
}

func (l *fullLog) Append(ctx context.Context, d journal.Durability, records ...[]byte) (journal.Seq, error) {
	if l.full.Load() {
		return 0, journal.ErrFull
	}
	return l.Log.Append(ctx, d, records...)
}

// While the disk is full, Enqueue says so, and what became of deliveries is
// written when there is room again.
func TestFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{policy: Policy{MaxRetries: 1, Backoff: func(int, float64) time.Duration { return time.Minute }}, send: func(context.Context, Message) error { return errors.New("no") }}
		e, err := Open(context.Background(), w.config(mem.New()))
		if err != nil {
			t.Fatal(err)
		}
		states, ingest := &fullLog{Log: e.states}, &fullLog{Log: e.ingest}
		e.states, e.ingest = states, ingest
		ctx, cancel := context.WithCancel(context.Background())
		go e.Run(ctx)
		states.full.Store(true)
		enqueue(t, e, Item{[]string{"a"}, []byte("x")})
		ingest.full.Store(true)
		time.Sleep(10 * time.Second)
		if err := e.Enqueue(ctx, Item{[]string{"a"}, []byte("y")}); !errors.Is(err, journal.ErrFull) {
			t.Errorf("error %v", err)
		}
		if n := records(t, e.states); n != 0 {
			t.Errorf("%d states", n)
		}
		states.full.Store(false)
		ingest.full.Store(false)
		time.Sleep(2 * time.Second)
		if n := records(t, e.states); n != 1 {
			t.Errorf("%d states after there was room", n)
		}
		enqueue(t, e, Item{[]string{"a"}, []byte("y")})
		time.Sleep(time.Hour)
		if len(w.buried) != 2 || records(t, e.ingest) != 0 {
			t.Errorf("%d are dead, %d records", len(w.buried), records(t, e.ingest))
		}
		cancel()
	})
}

// States of deliveries that are long over do not pile up.
func TestCompacts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{policy: Policy{MaxRetries: 1}, send: func(_ context.Context, m Message) error {
			if m.Attempts == 0 {
				return errors.New("no")
			}
			return nil
		}}
		e, stop := start(t, w.config(mem.New()))
		defer stop()
		for range 5000 {
			enqueue(t, e, Item{[]string{"a"}, []byte("x")})
		}
		time.Sleep(time.Minute)
		if n := records(t, e.states); n > 2000 {
			t.Errorf("%d states are left", n)
		}
	})
}

func FuzzRecords(f *testing.F) {
	f.Add(encodeItem(time.UnixMicro(1), Item{[]string{"a", "b"}, []byte("x")}))
	f.Add(encodeState(taskKey{7, 1}, state{attempts: 2, next: time.UnixMicro(5)}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if at, i, err := decodeItem(b); err == nil {
			if at2, j, err := decodeItem(encodeItem(at, i)); err != nil || !at.Equal(at2) || !slices.Equal(i.Lanes, j.Lanes) || string(i.Body) != string(j.Body) {
				t.Errorf("%v becomes %v, %v", i, j, err)
			}
		}
		if k, s, err := decodeState(b); err == nil {
			if k2, _, err := decodeState(encodeState(k, s)); err != nil || k2 != k {
				t.Errorf("%v becomes %v, %v", k, k2, err)
			}
		}
	})
}

// What waits in an ordered lane is not overtaken while the journal is away.
func TestJournalAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{policy: Policy{MaxRetries: 3, Ordered: true, Backoff: func(int, float64) time.Duration { return time.Second }},
			send: func(context.Context, Message) error { return errors.New("no") }}
		j := mem.New()
		e, stop := start(t, w.config(j))
		defer stop()
		enqueue(t, e, Item{[]string{"a"}, []byte("one")}, Item{[]string{"a"}, []byte("two")})
		time.Sleep(100 * time.Millisecond)
		j.Reopen() // closes j
		time.Sleep(5 * time.Second)
		for _, m := range w.sent {
			if string(m.Body) != "one" {
				t.Errorf("%s was sent", m.Body)
			}
		}
		if s := e.Stats(); len(w.sent) != 1 || s.Dropped != 0 {
			t.Errorf("%d attempts, %+v", len(w.sent), s)
		}
	})
}
