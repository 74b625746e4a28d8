package queue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dhowhq/dhow/journal"
)

// inBubble runs f with a queue of the settings, in time that passes at once.
func inBubble(t *testing.T, s Settings, f func(t *testing.T, q *Queue, b *bench)) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(fixedRows{"main": define("main", s)})
		defer b.kill()
		f(t, b.queue(t, "main"), b)
	})
}

func mustSend(t *testing.T, q *Queue, ms ...Message) []Sent {
	t.Helper()
	sent, err := q.Send(t.Context(), ms...)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range sent {
		if s.Err != nil {
			t.Fatal(s.Err)
		}
	}
	return sent
}

func mustReceive(t *testing.T, q *Queue, r Receive) []Delivery {
	t.Helper()
	got, err := q.Receive(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestPollsAreFair has receivers wait in line: each message goes to the one who
// has waited longest, at once.
func TestPollsAreFair(t *testing.T) {
	inBubble(t, Defaults(), func(t *testing.T, q *Queue, _ *bench) {
		type served struct {
			who  int
			body string
			at   time.Time
		}
		got := make(chan served, 5)
		for i := range 5 {
			go func() {
				for _, d := range mustReceive(t, q, Receive{Max: 1, Wait: MaxWait}) {
					got <- served{i, d.Body, time.Now()}
				}
			}()
			synctest.Wait()
		}
		for i := range 5 {
			time.Sleep(time.Second)
			at := time.Now()
			mustSend(t, q, Message{Body: fmt.Sprint(i)})
			if s := <-got; s.who != i || s.body != fmt.Sprint(i) || s.at != at {
				t.Errorf("message %d went to receiver %d as %q, %v later", i, s.who, s.body, s.at.Sub(at))
			}
		}
	})
}

// TestPollSeesTime has a receiver wait for a delay and for a visibility timeout.
func TestPollSeesTime(t *testing.T) {
	inBubble(t, Defaults(), func(t *testing.T, q *Queue, _ *bench) {
		from, delay, visibility := time.Now(), 7*time.Second, 5*time.Second
		mustSend(t, q, Message{Body: "b", Delay: &delay})
		for _, want := range []time.Duration{delay, delay + visibility} {
			if got := mustReceive(t, q, Receive{Wait: MaxWait, Visibility: &visibility}); len(got) != 1 || time.Since(from) != want {
				t.Errorf("received %d messages after %v, want one after %v", len(got), time.Since(from), want)
			}
		}
	})
}

func TestPollEnds(t *testing.T) {
	inBubble(t, Defaults(), func(t *testing.T, q *Queue, _ *bench) {
		from := time.Now()
		if got := mustReceive(t, q, Receive{Wait: 3 * time.Second}); len(got) != 0 || time.Since(from) != 3*time.Second {
			t.Errorf("%d messages after %v", len(got), time.Since(from))
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if _, err := q.Receive(ctx, Receive{Wait: MaxWait}); err != nil && !errors.Is(err, context.Canceled) || time.Since(from) != 4*time.Second {
			t.Errorf("a receiver that left: %v after %v", err, time.Since(from))
		}
		mustSend(t, q, Message{Body: "b"})
		if got := mustReceive(t, q, Receive{}); len(got) != 1 || got[0].Receives != 1 {
			t.Errorf("after it: %+v", got)
		}
	})
}

// TestEndWaits ends a receiver's wait and lets no other begin.
func TestEndWaits(t *testing.T) {
	inBubble(t, Defaults(), func(t *testing.T, q *Queue, b *bench) {
		from := time.Now()
		time.AfterFunc(time.Second, b.e.EndWaits)
		for range 2 {
			if got := mustReceive(t, q, Receive{Wait: MaxWait}); len(got) != 0 || time.Since(from) != time.Second {
				t.Errorf("%d messages after %v", len(got), time.Since(from))
			}
		}
		mustSend(t, q, Message{Body: "b"})
		if got := mustReceive(t, q, Receive{Wait: MaxWait}); len(got) != 1 {
			t.Errorf("what is there already: %d messages", len(got))
		}
		b.e.abdicate()
		from = time.Now()
		if _, err := q.Receive(t.Context(), Receive{}); !errors.Is(err, ErrUnavailable) || time.Since(from) != 0 {
			t.Errorf("after the end: %v after %v", err, time.Since(from))
		}
	})
}

// TestLostDeadLettersKeepOrder has a group's first message received too often
// while there is no dead-letter queue: nothing of the group overtakes it.
func TestLostDeadLettersKeepOrder(t *testing.T) {
	s := Defaults()
	s.FIFO, s.ContentDedup = true, true
	s.Redrive = &Redrive{Target: "arn:aws:sqs:eu-west-1:111122223333:none.fifo", Max: 1}
	inBubble(t, s, func(t *testing.T, q *Queue, _ *bench) {
		mustSend(t, q, Message{Body: "a", Group: "g"}, Message{Body: "b", Group: "g"})
		timeout := time.Second
		mustReceive(t, q, Receive{Visibility: &timeout})
		for _, wait := range []time.Duration{0, MaxWait} {
			time.Sleep(20 * time.Second) // until dead letters are tried again
			if got := mustReceive(t, q, Receive{Wait: wait, Visibility: &timeout}); len(got) != 1 || got[0].Body != "a" {
				t.Errorf("received %+v, want the first", got)
			}
		}
	})
}

// TestFullDisk drains a queue while the disk takes only what makes room.
func TestFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(fixedRows{"main": define("main", Defaults())})
		full := new(atomic.Bool)
		b.e.cfg.Journal = &fullDisk{b.journal, full}
		q := b.queue(t, "main")
		mustSend(t, q, make10()...)
		full.Store(true)
		if _, err := q.Send(t.Context(), Message{Body: "b"}); !errors.Is(err, journal.ErrFull) {
			t.Errorf("a send: %v", err)
		}
		for range 10 {
			got := mustReceive(t, q, Receive{})
			if len(got) != 1 {
				t.Fatalf("received %d messages", len(got))
			}
			if errs, err := q.Delete(t.Context(), got[0].Handle); err != nil || errs[0] != nil {
				t.Fatalf("a delete: %v, %v", err, errs)
			}
		}
		s, err := q.open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := s.checkpoint(t.Context()); err != nil {
			t.Errorf("a checkpoint: %v", err)
		}
		if n := s.m.Size(); n != 0 {
			t.Errorf("%d bytes of messages are left", n)
		}
		b.kill()
		if c, err := b.queue(t, "main").Counts(t.Context()); err != nil || c.Visible+c.InFlight != 0 {
			t.Errorf("after a kill: %+v, %v", c, err)
		}
		b.kill()
	})
}

// fullDisk is a journal that takes only what makes room, while it is full.
type fullDisk struct {
	journal.Journal
	full *atomic.Bool
}

func (f *fullDisk) Open(ctx context.Context, name string, term int64) (journal.Log, error) {
	l, err := f.Journal.Open(ctx, name, term)
	return &fullLog{l, f.full}, err
}

type fullLog struct {
	journal.Log
	full *atomic.Bool
}

func (l *fullLog) Append(ctx context.Context, d journal.Durability, records ...[]byte) (journal.Seq, error) {
	if l.full.Load() && d&journal.MakesRoom == 0 {
		return 0, journal.ErrFull
	}
	return l.Log.Append(ctx, d, records...)
}

// TestRetention lets messages go when they are old, in flight or not.
func TestRetention(t *testing.T) {
	s := Defaults()
	s.Retention = 60
	inBubble(t, s, func(t *testing.T, q *Queue, b *bench) {
		mustSend(t, q, Message{Body: "a"}, Message{Body: "b"})
		long := time.Hour
		mustReceive(t, q, Receive{Visibility: &long})
		time.Sleep(30 * time.Second)
		mustSend(t, q, Message{Body: "c"})
		time.Sleep(31 * time.Second)
		if got := mustReceive(t, q, Receive{Max: 10}); len(got) != 1 || got[0].Body != "c" {
			t.Errorf("received %+v", got)
		}
		b.kill()
		if c, err := b.queue(t, "main").Counts(t.Context()); err != nil || c.Visible+c.InFlight+c.Delayed != 1 {
			t.Errorf("after a restart: %+v, %v", c, err)
		}
	})
}

// TestAttempt receives again with the attempt id of an answer that got lost.
func TestAttempt(t *testing.T) {
	s := Defaults()
	s.FIFO, s.ContentDedup = true, true
	inBubble(t, s, func(t *testing.T, q *Queue, b *bench) {
		mustSend(t, q, Message{Body: "a", Group: "g"}, Message{Body: "b", Group: "g"})
		first := mustReceive(t, q, Receive{Max: 1, Attempt: "x"})
		time.Sleep(20 * time.Second)
		b.kill()
		q = b.queue(t, "main")
		again := mustReceive(t, q, Receive{Max: 1, Attempt: "x"})
		if len(again) != 1 || again[0].Handle != first[0].Handle || again[0].Receives != 1 {
			t.Fatalf("again: %+v, first %+v", again, first)
		}
		time.Sleep(20 * time.Second) // the timeout began anew
		if got := mustReceive(t, q, Receive{Attempt: "y"}); len(got) != 0 {
			t.Errorf("another attempt got %+v", got)
		}
		if _, err := q.Delete(t.Context(), again[0].Handle); err != nil {
			t.Fatal(err)
		}
		if got := mustReceive(t, q, Receive{Attempt: "x"}); len(got) != 1 || got[0].Body != "b" {
			t.Errorf("after the deletion the attempt got %+v", got)
		}
	})
}

// TestDeadLetterDedup has two messages of one deduplication id, more than five
// minutes apart, become dead letters: each has its own id for one there.
func TestDeadLetterDedup(t *testing.T) {
	s := Defaults()
	s.FIFO = true
	synctest.Test(t, func(t *testing.T) {
		dead := define("dead", s)
		s.Redrive = &Redrive{dead.ARN(), 1}
		b := newBench(fixedRows{"dead": dead, "main": define("main", s)})
		defer b.kill()
		main := b.queue(t, "main")
		sent := mustSend(t, main, Message{Body: "b", Group: "g", Dedup: "x"})
		mustReceive(t, main, Receive{Visibility: new(time.Duration)})
		mustReceive(t, main, Receive{})
		got := mustReceive(t, b.queue(t, "dead"), Receive{})
		if len(got) != 1 || got[0].ID != sent[0].ID || got[0].Dedup != sent[0].ID {
			t.Errorf("the dead letter is %+v, the message was %s", got, sent[0].ID)
		}
	})
}

// TestNoisyNeighbour has one tenant send much and hold much: those of the others
// come first, whenever they were sent.
func TestNoisyNeighbour(t *testing.T) {
	inBubble(t, Defaults(), func(t *testing.T, q *Queue, _ *bench) {
		var loud []Message
		for i := range 100 {
			loud = append(loud, Message{Body: fmt.Sprint("loud ", i), Group: "loud"})
		}
		mustSend(t, q, loud...)
		for range 3 {
			if got := mustReceive(t, q, Receive{Max: 10}); len(got) != 10 {
				t.Fatalf("received %d", len(got))
			}
		}
		mustSend(t, q, Message{Body: "quiet 1", Group: "quiet"}, Message{Body: "nobody's"}, Message{Body: "quiet 2", Group: "quiet"})
		got := mustReceive(t, q, Receive{Max: 4})
		for i, want := range []string{"quiet 1", "nobody's", "quiet 2", "loud 30"} {
			if got[i].Body != want {
				t.Errorf("message %d is %q, want %q", i, got[i].Body, want)
			}
		}
	})
}

func TestOverLimit(t *testing.T) {
	inBubble(t, Defaults(), func(t *testing.T, q *Queue, _ *bench) {
		ms := make([]Message, MaxInFlight+1)
		for i := range ms {
			ms[i].Body = "b"
		}
		mustSend(t, q, ms...)
		var last []Delivery
		for range MaxInFlight / 1000 {
			last = mustReceive(t, q, Receive{Max: 1000})
		}
		if _, err := q.Receive(t.Context(), Receive{}); !errors.Is(err, ErrOverLimit) {
			t.Errorf("one more: %v", err)
		}
		done := make(chan int)
		go func() { done <- len(mustReceive(t, q, Receive{Wait: MaxWait})) }()
		synctest.Wait()
		if _, err := q.Delete(t.Context(), last[0].Handle); err != nil {
			t.Fatal(err)
		}
		if n := <-done; n != 1 {
			t.Errorf("the poll got %d messages when one was deleted", n)
		}
	})
}

// TestEncryption looks for bodies in the journal.
func TestEncryption(t *testing.T) {
	for _, tt := range []struct {
		sse   bool
		kms   string
		plain bool
	}{{true, "", false}, {false, "alias/mine", false}, {false, "", true}} {
		s := Defaults()
		s.SSE, s.KMSKey = tt.sse, tt.kms
		inBubble(t, s, func(t *testing.T, q *Queue, b *bench) {
			const secret = "nobody may read this"
			mustSend(t, q, Message{Body: secret, Attributes: map[string]Attribute{"a": {Type: "String", String: secret}}})
			l, err := b.journal.Open(t.Context(), logNames(q.ID)[0], b.term)
			if err != nil {
				t.Fatal(err)
			}
			for r, err := range l.Read(t.Context(), 0) {
				if err != nil || bytes.Contains(r.Data, []byte(secret)) != tt.plain {
					t.Errorf("%+v: the record has the text: %v, %v", tt, !tt.plain, err)
				}
			}
			if got := mustReceive(t, q, Receive{}); got[0].Body != secret || got[0].Attributes["a"].String != secret {
				t.Errorf("received %+v", got[0])
			}
		})
	}
}

// TestHandles tells other queues' handles and none at all from good ones.
func TestHandles(t *testing.T) {
	d, other := define("a", Defaults()), define("b", Defaults())
	hs, theirs := newHandles(d.ID, d.Key), newHandles(other.ID, other.Key)
	forged := newHandles(d.ID, other.Key)
	for text, want := range map[string]error{
		hs.format(handle{7, 1}): nil, theirs.format(handle{7, 1}): ErrOtherQueue, forged.format(handle{7, 1}): ErrHandle,
		"": ErrHandle, "garbage": ErrHandle, hs.format(handle{7, 1}) + "A": ErrHandle,
	} {
		h, err := hs.parse(text)
		if !errors.Is(err, want) || want == nil && h != (handle{7, 1}) {
			t.Errorf("%q is %v, %v; want %v", text, h, err, want)
		}
	}
}

func FuzzHandle(f *testing.F) {
	d := define("a", Defaults())
	hs := newHandles(d.ID, d.Key)
	f.Add(hs.format(handle{7, 1}))
	f.Fuzz(func(t *testing.T, s string) {
		if h, err := hs.parse(s); err == nil && hs.format(h) != s {
			t.Errorf("%q is read as %v, which is written %q", s, h, hs.format(h))
		}
	})
}

// FuzzRecord reads records as a damaged disk may give them.
func FuzzRecord(f *testing.F) {
	d := define("a", Defaults())
	seal, err := newSeal(d.Key)
	if err != nil {
		f.Fatal(err)
	}
	h := header{sent: 1, visible: 2, group: "g", dedup: key{1}, origin: key{2}}
	p := payload{Message: Message{Body: "b", Attributes: map[string]Attribute{"a": {Type: "Binary", Binary: []byte{1}}}}}
	f.Add(appendRecord(nil, &h, &p, seal))
	f.Add(appendRecord(nil, &h, &p, nil))
	p.Body = strings.Repeat("again ", 100)
	f.Add(appendRecord(nil, &h, &p, seal))
	f.Add(appendRecord(nil, &h, &p, nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, p, err := parseRecord(b, seal)
		if err != nil || b[0]&sealed != 0 || h.visible < 0 || h.sent < 0 {
			return
		}
		if h2, p2, err := parseRecord(appendRecord(nil, &h, &p, nil), seal); err != nil || h2 != h || p2.Body != p.Body || len(p2.Attributes) != len(p.Attributes) {
			t.Errorf("%+v %+v reads back as %+v %+v, %v", h, p, h2, p2, err)
		}
	})
}

// FuzzLoad reads changes and checkpoints as a damaged disk may give them.
func FuzzLoad(f *testing.F) {
	f.Add([]byte{changeReceive, 0, 1, 1, 9, 9, 9}, []byte{pointSegment, 0, 0, 0, 0, 2})
	f.Add([]byte{changePurge, 5}, []byte{pointCommit, 1, 1, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, change, point []byte) {
		b := newBench(fixedRows{"main": define("main", Defaults())})
		id := b.rows["main"].ID
		for i, r := range [][]byte{nil, change, point} {
			l, err := b.journal.Open(t.Context(), logNames(id)[i], b.term)
			if err != nil {
				t.Fatal(err)
			}
			if r != nil {
				if _, err := l.Append(t.Context(), journal.Synced, r); err != nil {
					t.Skip()
				}
			}
		}
		if _, err := b.queue(t, "main").Counts(t.Context()); err == nil {
			for _, s := range b.e.open() {
				verify(t, s)
			}
		}
		b.kill()
	})
}
