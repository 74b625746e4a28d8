package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/journal/mem"
)

// fixedRows are definitions in a map by name.
type fixedRows map[string]*Definition

func (f fixedRows) byName(key string) (Definition, bool) {
	for _, d := range f {
		if d.key() == key {
			return *d, true
		}
	}
	return Definition{}, false
}

func (f fixedRows) byID(id string) (Definition, bool) {
	for _, d := range f {
		if d.ID == id {
			return *d, true
		}
	}
	return Definition{}, false
}

var here = cluster.Scope{Account: "111122223333", Region: "eu-west-1"}

func define(name string, s Settings) *Definition {
	return &Definition{Scope: here, Name: name, ID: newID(), Key: newKey(), Settings: s}
}

// bench is engines one after the other on the same journal and rows.
type bench struct {
	rows    fixedRows
	journal *mem.Journal
	e       *Engine
	term    int64
}

func newBench(rows fixedRows) *bench {
	b := &bench{rows: rows, journal: mem.New()}
	b.start()
	return b
}

func (b *bench) start() {
	b.term++
	b.e = New(Config{Journal: b.journal, Log: slog.New(slog.DiscardHandler)})
	b.e.rows = b.rows
	b.e.reign(b.term)
}

// kill is what kill -9 does: the journal keeps what was appended, no more.
func (b *bench) kill() {
	b.journal = b.journal.Reopen()
	for _, s := range b.e.open() {
		s.close(errors.New("killed"))
		s.work.Wait()
	}
	b.start()
}

// stop ends the engine in order.
func (b *bench) stop() {
	b.e.abdicate()
	b.journal = b.journal.Reopen()
	b.start()
}

func (b *bench) queue(t interface{ Fatal(...any) }, name string) *Queue {
	q, err := b.e.Queue(here, name)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// message is the model's idea of one.
type message struct {
	body, group, dedup string
	id                 string
	order              int // of sending
	sent               time.Time
	visible            time.Time // not before
	receives           int
	handle             string // the newest
	received           time.Time
}

// model is two queues as a reader of AWS's guide would describe them: plain
// lists. The engine may choose what to give within AWS's rules; the model checks
// that it did.
type model struct {
	t      *rapid.T
	b      *bench
	fifo   bool
	max    int // receives
	main   []*message
	dead   []*message
	handed map[string]*message // by handle, ever
	order  int
	first  map[string]*message // by deduplication id
}

func (m *model) q() *Queue { return m.b.queue(m.t, "main") }

func (m *model) send(t *rapid.T) {
	n := rapid.IntRange(1, 5).Draw(t, "n")
	var out []Message
	var want []*message
	for range n {
		w := &message{body: fmt.Sprintf("body %d", m.order), order: m.order, sent: time.Now(), visible: time.Now()}
		m.order++
		msg := Message{Body: w.body}
		if m.fifo || rapid.Bool().Draw(t, "grouped") {
			w.group = rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "group")
		}
		if m.fifo {
			w.dedup = fmt.Sprint(rapid.IntRange(0, 40).Draw(t, "dedup"))
		} else if rapid.Bool().Draw(t, "delayed") {
			d := time.Duration(rapid.IntRange(0, 30).Draw(t, "delay")) * time.Second
			msg.Delay, w.visible = &d, w.visible.Add(d)
		}
		msg.Group, msg.Dedup = w.group, w.dedup
		out, want = append(out, msg), append(want, w)
	}
	sent, err := m.q().Send(context.Background(), out...)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range sent {
		w := want[i]
		if s.Err != nil {
			t.Fatal(s.Err)
		}
		if f := m.first[w.dedup]; m.fifo && f != nil && time.Since(f.sent) < DedupInterval {
			if s.ID != f.id {
				t.Fatalf("a duplicate got the id %s, the first had %s", s.ID, f.id)
			}
			continue
		}
		w.id = s.ID
		m.first[w.dedup] = w
		m.main = append(m.main, w)
	}
}

// available are the messages that a receive may give, by AWS's rules.
func (m *model) available(list []*message) (out []*message) {
	now := time.Now()
	blocked := map[string]bool{}
	for _, w := range list {
		switch {
		case w.visible.After(now):
			blocked[w.group] = m.fifo // what is in flight holds up its group behind it
		case !blocked[w.group]:
			out = append(out, w)
		}
	}
	return out
}

func (m *model) receive(t *rapid.T) {
	n := rapid.IntRange(1, 10).Draw(t, "max")
	visibility := time.Duration(rapid.IntRange(0, 60).Draw(t, "visibility")) * time.Second
	may := m.available(m.main)
	got, err := m.q().Receive(context.Background(), Receive{Max: n, Visibility: &visibility})
	if err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
	m.take(t, got, may, visibility)
	// What was received too often has left, if the receive came that far.
	gone := 0
	for _, w := range may {
		if w.receives >= m.max && w.handle != "" && !slices.ContainsFunc(got, func(d Delivery) bool { return d.Body == w.body }) && m.inDead(w) {
			m.main = slices.DeleteFunc(m.main, func(o *message) bool { return o == w })
			w.receives, w.handle, w.visible = 0, "", time.Now()
			m.dead = append(m.dead, w)
			gone++
		}
	}
	if len(got) == 0 && len(may) > gone {
		t.Fatalf("nothing was given, and %d messages are there", len(may)-gone)
	}
}

// inDead reports whether the engine has the message in the dead-letter queue.
func (m *model) inDead(w *message) bool {
	s, err := m.b.queue(m.t, "dead").open(context.Background())
	if err != nil {
		m.t.Fatal(err)
	}
	n := 0
	s.mu.Lock()
	defer s.mu.Unlock()
	s.index.each(func(seq uint64, _ *entry) {
		rs, err := s.m.Get(context.Background(), seqOf(seq))
		if err != nil {
			m.t.Fatal(err)
		}
		if _, p, err := parseRecord(rs[0].Data, s.seal); err != nil {
			m.t.Fatal(err)
		} else if p.Body == w.body {
			n++
		}
	})
	if n > 1 {
		m.t.Fatalf("%q is in the dead-letter queue %d times", w.body, n)
	}
	return n == 1
}

func (m *model) take(t *rapid.T, got []Delivery, may []*message, visibility time.Duration) {
	lastOf := map[string]int{}
	for _, d := range got {
		i := slices.IndexFunc(may, func(w *message) bool { return w.body == d.Body })
		if i < 0 {
			t.Fatalf("%q was given, and is not available", d.Body)
		}
		w := may[i]
		if w.id != d.ID || w.group != d.Group {
			t.Fatalf("%q came with id %s and group %q, sent with %s and %q", w.body, d.ID, d.Group, w.id, w.group)
		}
		if w.receives++; d.Receives != w.receives || w.receives > m.max {
			t.Fatalf("%q says %d receives, it is %d of %d", w.body, d.Receives, w.receives, m.max)
		}
		if m.fifo {
			for _, o := range may {
				if o.group == w.group && o.order < w.order && o.receives < m.max && !slices.ContainsFunc(got, func(d Delivery) bool { return d.Body == o.body }) {
					t.Fatalf("%q was given before %q of the same group", w.body, o.body)
				}
			}
			if w.order < lastOf[w.group] {
				t.Fatalf("group %s is out of order", w.group)
			}
			lastOf[w.group] = w.order
		}
		w.handle, w.received, w.visible = d.Handle, time.Now(), time.Now().Add(visibility)
		m.handed[d.Handle] = w
	}
}

// pickHandle is a handle that was given out some time, with its message.
func (m *model) pickHandle(t *rapid.T) (string, *message) {
	if len(m.handed) == 0 {
		t.Skip("nothing was received yet")
	}
	hs := make([]string, 0, len(m.handed))
	for h := range m.handed {
		hs = append(hs, h)
	}
	slices.SortFunc(hs, func(a, b string) int {
		if c := m.handed[a].order - m.handed[b].order; c != 0 {
			return c
		}
		return slices.Compare([]byte(a), []byte(b))
	})
	h := hs[rapid.IntRange(0, len(hs)-1).Draw(t, "handle")]
	return h, m.handed[h]
}

func (m *model) delete(t *rapid.T) {
	h, w := m.pickHandle(t)
	errs, err := m.q().Delete(context.Background(), h)
	if err != nil {
		t.Fatal(err)
	}
	there := slices.Contains(m.main, w)
	stale := w.handle != h || !w.visible.After(time.Now())
	switch {
	case m.fifo && there && stale:
		if !errors.Is(errs[0], ErrExpired) {
			t.Fatalf("an expired handle: %v", errs[0])
		}
	case errs[0] != nil:
		t.Fatal(errs[0])
	case there && w.handle == h:
		m.main = slices.DeleteFunc(m.main, func(o *message) bool { return o == w })
	}
}

func (m *model) change(t *rapid.T) {
	h, w := m.pickHandle(t)
	d := time.Duration(rapid.IntRange(0, 60).Draw(t, "timeout")) * time.Second
	errs, err := m.q().ChangeVisibility(context.Background(), Change{h, d})
	if err != nil {
		t.Fatal(err)
	}
	want := error(nil)
	switch {
	case !slices.Contains(m.main, w):
		want = ErrGone
	case w.handle != h || !w.visible.After(time.Now()):
		want = ErrNotInFlight
	default:
		w.visible = time.Now().Add(d)
	}
	if !errors.Is(errs[0], want) {
		t.Fatalf("got %v, want %v", errs[0], want)
	}
}

func (m *model) pass(t *rapid.T) {
	time.Sleep(time.Duration(rapid.IntRange(1, 400).Draw(t, "seconds")) * time.Second)
}

func (m *model) purge(t *rapid.T) {
	s, err := m.q().open(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.purge(context.Background()); err != nil {
		t.Fatal(err)
	}
	m.main = nil
}

func (m *model) point(t *rapid.T) {
	for _, s := range m.b.e.open() {
		if err := s.checkpoint(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
}

func (m *model) drainDead(t *rapid.T) {
	got, err := m.b.queue(t, "dead").Receive(context.Background(), Receive{Max: 10})
	if err != nil {
		t.Fatal(err)
	}
	var hs []string
	for _, d := range got {
		i := slices.IndexFunc(m.dead, func(w *message) bool { return w.body == d.Body })
		if i < 0 {
			t.Fatalf("%q is in the dead-letter queue, and should not", d.Body)
		}
		if d.ID != m.dead[i].id || d.DeadLetterOf != m.q().ARN() {
			t.Fatalf("the dead letter %q has id %s, from %q", d.Body, d.ID, d.DeadLetterOf)
		}
		m.dead = slices.Delete(m.dead, i, i+1)
		hs = append(hs, d.Handle)
	}
	if _, err := m.b.queue(t, "dead").Delete(context.Background(), hs...); err != nil {
		t.Fatal(err)
	}
}

// check compares counts and the parts of the index with each other.
func (m *model) check(t *rapid.T) {
	c, err := m.q().Counts(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	var want Counts
	for _, w := range m.main {
		switch {
		case !w.visible.After(now):
			want.Visible++
		case w.receives > 0:
			want.InFlight++
		default:
			want.Delayed++
		}
	}
	if c.Oldest = (time.Time{}); c != want {
		t.Fatalf("counts are %+v, want %+v", c, want)
	}
	if d, err := m.b.queue(t, "dead").Counts(context.Background()); err != nil || d.Visible+d.InFlight != len(m.dead) {
		t.Fatalf("the dead-letter queue has %+v, %v; want %d", d, err, len(m.dead))
	}
	for _, s := range m.b.e.open() {
		verify(t, s)
	}
}

func testModel(t *testing.T, fifo bool) {
	rapid.Check(t, func(rt *rapid.T) {
		// A failure leaves the bubble first, so that rapid can shrink it.
		var failure any
		synctest.Test(t, func(*testing.T) {
			defer func() { failure = recover() }()
			s := Defaults()
			s.FIFO, s.Retention = fifo, 14*86400
			s.SSE = rapid.Bool().Draw(rt, "encrypted")
			dead := define("dead", s)
			s.Redrive = &Redrive{dead.ARN(), rapid.IntRange(1, 3).Draw(rt, "maxReceiveCount")}
			m := &model{t: rt, fifo: fifo, max: s.Redrive.Max, handed: map[string]*message{}, first: map[string]*message{},
				b: newBench(fixedRows{"dead": dead, "main": define("main", s)})}
			rt.Repeat(map[string]func(*rapid.T){
				"send": m.send, "receive": m.receive, "delete": m.delete, "change": m.change, "pass": m.pass, "purge": m.purge,
				"kill": func(*rapid.T) { m.b.kill() }, "stop": func(*rapid.T) { m.b.stop() }, "point": m.point, "drain": m.drainDead,
				"": m.check,
			})
			m.b.kill()
		})
		if failure != nil {
			panic(failure)
		}
	})
}

func TestModelStandard(t *testing.T) { testModel(t, false) }
func TestModelFIFO(t *testing.T)     { testModel(t, true) }
