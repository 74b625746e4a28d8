package queue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dhowhq/dhow/journal"
	"github.com/dhowhq/dhow/journal/journaltest"
)

// TestGivenUpGoesOn gives a queue up in the midst of a move to its dead-letter
// queue: the move comes to its end though nobody calls.
func TestGivenUpGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dead := define("dead", Defaults())
		s := Defaults()
		s.Redrive = &Redrive{dead.ARN(), 1}
		main := define("main", s)
		b := newBench(fixedRows{"dead": dead, "main": main})
		defer b.kill()
		var faults journaltest.Faults
		b.e = New(Config{Journal: faults.Over(b.journal), Log: slog.New(slog.DiscardHandler)})
		b.e.rows = b.rows
		b.term++
		b.e.reign(b.term)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go b.e.reopen(ctx)
		mustSend(t, b.queue(t, "main"), Message{Body: "a"})
		zero := time.Duration(0)
		mustReceive(t, b.queue(t, "main"), Receive{Visibility: &zero})
		first, err := b.queue(t, "main").open(ctx)
		if err != nil {
			t.Fatal(err)
		}
		faults.Refuse(2, 1) // after the intent, and the arrival, the departure
		b.queue(t, "main").Receive(ctx, Receive{})
		time.Sleep(10 * time.Second)
		b.e.mu.RLock()
		o := b.e.states[main.ID]
		b.e.mu.RUnlock()
		if o == nil || o.st == first {
			t.Fatalf("the queue was not given up and loaded anew: %v", o)
		}
		if o.st.mu.Lock(); len(o.st.moving) != 0 || o.st.index.count[ready] != 0 {
			t.Errorf("%d are moving, %d ready", len(o.st.moving), o.st.index.count[ready])
		}
		o.st.mu.Unlock()
		if c, err := b.queue(t, "dead").Counts(ctx); err != nil || c.Visible != 1 {
			t.Errorf("dead are %+v, %v", c, err)
		}
	})
}

// shut is a journal whose logs cannot be opened for a while.
type shut struct {
	journal.Journal
	is    atomic.Bool
	tries atomic.Int64
}

func (j *shut) Open(ctx context.Context, name string, term int64) (journal.Log, error) {
	if j.is.Load() {
		j.tries.Add(1)
		return nil, journal.ErrFull
	}
	return j.Journal.Open(ctx, name, term)
}

// TestGivenUpForAnHour has many queues given up, or not opened at the start, that
// cannot be opened for an hour: each is tried twice a minute, with one line in the
// log for all, and they are there again soon after.
func TestGivenUpForAnHour(t *testing.T) {
	for _, atStart := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			const queues = 100
			rows := fixedRows{}
			var all []Definition
			for i := range queues {
				d := define(fmt.Sprint("q", i), Defaults())
				rows[d.Name], all = d, append(all, *d)
			}
			b := newBench(rows)
			defer b.kill()
			var lines bytes.Buffer
			j := &shut{Journal: b.journal}
			b.e = New(Config{Journal: j, Log: slog.New(slog.NewTextHandler(&lines, &slog.HandlerOptions{Level: slog.LevelWarn}))})
			b.e.rows = b.rows
			b.term++
			b.e.reign(b.term)
			j.is.Store(atStart)
			b.e.openAll(t.Context(), all)
			lines.Reset() // each queue's name, once
			j.is.Store(true)
			for _, s := range b.e.open() {
				s.close(errors.New("given up"))
			}
			ctx, cancel := context.WithCancel(t.Context())
			var work sync.WaitGroup
			work.Go(func() { b.e.reopen(ctx) })
			time.Sleep(time.Hour)
			const passes = 3600/30 + 6
			if n, told := j.tries.Load(), bytes.Count(lines.Bytes(), []byte("\n")); n > (passes+1)*queues || told > passes {
				t.Errorf("%d tries in an hour, with %d lines in the log", n, told)
			}
			j.is.Store(false)
			time.Sleep(reopenMost)
			synctest.Wait()
			if n := len(b.e.open()); n != queues {
				t.Errorf("%d queues are open", n)
			}
			cancel()
			work.Wait()
		})
	}
}

// TestResumeEnds has a move that cannot go on tried each second, until its state
// or its context ends: at once then.
func TestResumeEnds(t *testing.T) {
	for _, how := range []string{"state", "context"} {
		t.Run(how, func(t *testing.T) {
			inBubble(t, Defaults(), func(t *testing.T, q *Queue, b *bench) {
				mustSend(t, q, Message{Body: "a"})
				s, err := q.open(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				seqs := s.pull(&q.Definition, 10, s.newest()+1)
				tries := 0
				s.byID = func(string) (*Queue, error) { tries++; return nil, errors.New("away") }
				s.mu.Lock()
				for _, seq := range seqs {
					s.moving[seq] = string(forDead) + "away"
				}
				s.mu.Unlock()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				s.work.Go(func() { s.resume(ctx, &q.Definition, seqs) })
				time.Sleep(2500 * time.Millisecond)
				begin := time.Now()
				if how == "context" {
					cancel()
				} else {
					s.close(errors.New("given up"))
				}
				s.work.Wait()
				if late := time.Since(begin); tries != 3 || late != 0 {
					t.Errorf("%d tries in 2.5 s; it ended %v late", tries, late)
				}
			})
		})
	}
}
