package queue

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dhowhq/dhow/journal"
)

// cut is a journal whose process is killed at an append: that one is written or
// not, and nothing after it.
type cut struct {
	journal.Journal
	left    *atomic.Int64
	written bool
}

func (c *cut) Open(ctx context.Context, name string, term int64) (journal.Log, error) {
	l, err := c.Journal.Open(ctx, name, term)
	return &cutLog{l, c}, err
}

type cutLog struct {
	journal.Log
	c *cut
}

func (l *cutLog) Append(ctx context.Context, d journal.Durability, records ...[]byte) (journal.Seq, error) {
	switch n := l.c.left.Add(-1); {
	case n > 0 || n == 0 && l.c.written:
		seq, err := l.Log.Append(ctx, d, records...)
		if n == 0 {
			return 0, journal.ErrClosed
		}
		return seq, err
	}
	return 0, journal.ErrClosed
}

// TestKilledWhileMoving kills at every append of messages' way to the
// dead-letter queue and back: each message is in one place, once.
func TestKilledWhileMoving(t *testing.T) {
	for n := range int64(40) {
		for _, written := range []bool{false, true} {
			for _, fifo := range []bool{false, true} {
				t.Run(fmt.Sprint(n, written, fifo), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { killMoving(t, n, written, fifo) })
				})
			}
		}
	}
}

func killMoving(t *testing.T, n int64, written, fifo bool) {
	s := Defaults()
	s.FIFO, s.ContentDedup = fifo, fifo
	dead := define("dead", s)
	s.Redrive = &Redrive{dead.ARN(), 1}
	b := newBench(fixedRows{"dead": dead, "main": define("main", s)})
	defer b.kill()
	const all = 3
	for i := range all {
		sent, err := b.queue(t, "main").Send(t.Context(), Message{Body: fmt.Sprint(i), Group: groupOf(fifo)})
		if err != nil || sent[0].Err != nil {
			t.Fatal(err, sent)
		}
	}
	zero := time.Duration(0)
	if got, err := b.queue(t, "main").Receive(t.Context(), Receive{Max: all, Visibility: &zero}); err != nil || len(got) != all {
		t.Fatal(got, err)
	}
	// From here on every append counts.
	var left atomic.Int64
	left.Store(n)
	b.e.abdicate()
	b.journal = b.journal.Reopen()
	b.e = New(Config{Journal: &cut{b.journal, &left, written}, Log: slog.New(slog.DiscardHandler)})
	b.e.rows = b.rows
	b.term++
	b.e.reign(b.term)
	moveAbout(t, b)
	b.kill()
	places := map[string]int{}
	for _, name := range []string{"main", "dead"} {
		if _, err := b.queue(t, name).open(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(10 * time.Second) // what was under way goes on
	for _, name := range []string{"main", "dead"} {
		s, err := b.queue(t, name).open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		verify(t, s)
		if len(s.moving) > 0 {
			t.Errorf("%s: %v are still on their way", name, s.moving)
		}
		for body := range bodiesOf(t, s) {
			places[body]++
		}
	}
	for i := range all {
		if places[fmt.Sprint(i)] != 1 {
			t.Errorf("the message %d is there %d times", i, places[fmt.Sprint(i)])
		}
	}
}

// TestOriginsAreForgotten kills while a move is known to its target: a day later
// the target knows it no more.
func TestOriginsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dead := define("dead", Defaults())
		s := Defaults()
		s.Redrive = &Redrive{dead.ARN(), 1}
		b := newBench(fixedRows{"dead": dead, "main": define("main", s)})
		mustSend(t, b.queue(t, "main"), Message{Body: "b"})
		zero := time.Duration(0)
		mustReceive(t, b.queue(t, "main"), Receive{Visibility: &zero})
		mustReceive(t, b.queue(t, "main"), Receive{}) // it dies
		b.kill()
		defer b.kill()
		known := func() int {
			s, err := b.queue(t, "dead").open(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			mustSend(t, b.queue(t, "dead"), Message{Body: "c"})
			if err := s.checkpoint(t.Context()); err != nil {
				t.Fatal(err)
			}
			return len(s.origins)
		}
		if n := known(); n != 1 {
			t.Errorf("after the kill %d origins are known, want the one", n)
		}
		time.Sleep(keepOrigins)
		if n := known(); n != 0 {
			t.Errorf("%d origins are known a day later", n)
		}
	})
}

func groupOf(fifo bool) string {
	if fifo {
		return "g"
	}
	return ""
}

// moveAbout has all messages die, and brings them back; errors are those of the
// kill.
func moveAbout(t *testing.T, b *bench) {
	b.queue(t, "main").Receive(t.Context(), Receive{Max: 10})
	time.Sleep(time.Minute)
	q := b.queue(t, "dead")
	s, err := q.open(t.Context())
	if err != nil {
		return
	}
	seqs := s.pull(&q.Definition, 10, s.newest()+1)
	if len(seqs) == 0 {
		return
	}
	if err := s.transfer(t.Context(), &q.Definition, seqs, forRedrive, func(*payload) (*Queue, error) { return b.e.Queue(here, "main") }); err != nil {
		return
	}
	b.queue(t, "main").Receive(t.Context(), Receive{Max: 10})
	for _, s := range b.e.open() {
		s.checkpoint(t.Context())
	}
}

// bodiesOf are the messages in a queue by their bodies.
func bodiesOf(t *testing.T, s *state) map[string]int {
	out := map[string]int{}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.index.each(func(seq uint64, _ *entry) {
		rs, err := s.m.Get(t.Context(), seqOf(seq))
		if err != nil {
			t.Fatal(err)
		}
		_, p, err := parseRecord(rs[0].Data, s.seal)
		if err != nil {
			t.Fatal(err)
		}
		if out[p.Body]++; out[p.Body] > 1 {
			t.Errorf("%q is there twice", p.Body)
		}
	})
	return out
}
