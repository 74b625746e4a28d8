package topic

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/dhowhq/dhow/bus/delivery"
	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/journal"
	"github.com/dhowhq/dhow/journal/disktest"
	"github.com/dhowhq/dhow/store"
	"github.com/dhowhq/dhow/store/storetest"
)

// model is what a plain list knows of a standard topic and a FIFO topic, and of
// who subscribed to them.
type model struct {
	t     *rapid.T
	db    *store.DB
	d     disktest.Disk
	scope cluster.Scope
	tops  [2]*Topic
	subs  []*subscriber
	e     *Engine
	seen  *reign // that was seen last
	end   func()

	mu     sync.Mutex
	all    []*posting
	byBody map[string]*posting
	deaths int
}

// posting is a message and what is to become of it.
type posting struct {
	Message
	fifo    bool
	kind    string // attribute that filters look at
	fails   int    // attempts of each queue that fail; -1: it is refused for good
	acked   bool
	again   bool // its publisher was told nothing at first
	refused bool // nothing of it was written
	deaths  int  // before it
	out     Published
	to      []*subscriber
}

// subscriber is a queue that subscribed.
type subscriber struct {
	*Subscription
	fifo     bool
	kind     string // that its filter lets through, "" for all
	dead     string // ARN of its dead-letter queue
	replays  bool
	got      []QueueMessage
	buried   map[string]int
	attempts map[string]int
}

func (s *subscriber) wants(p *posting) bool {
	return s.fifo == p.fifo && (s.kind == "" || s.kind == p.kind)
}

// queue is Config.Queue.
func (m *model) queue(_ context.Context, arn string, msg QueueMessage) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.byBody[msg.Body]
	if p == nil {
		m.t.Errorf("%s got %q, which nobody published", arn, msg.Body)
		return nil
	}
	for _, s := range m.subs {
		switch arn {
		case s.Endpoint:
			return m.take(s, p, msg)
		case s.dead:
			if p.fails >= 0 || s.attempts[msg.Body] == 0 || msg.Why == nil || msg.Why.Exhausted != "" {
				m.t.Errorf("%s is dead after %d attempts: %+v", msg.Body, s.attempts[msg.Body], msg.Why)
			}
			s.buried[msg.Body]++
			return nil
		}
	}
	m.t.Errorf("there is no queue %s", arn)
	return nil
}

func (m *model) take(s *subscriber, p *posting, msg QueueMessage) error {
	if !s.wants(p) {
		m.t.Errorf("%s got %q, which its filter does not let through", s.Endpoint, msg.Body)
	}
	if p.refused {
		m.t.Errorf("%s got %q, which was refused to its publisher", s.Endpoint, msg.Body)
	}
	s.attempts[msg.Body]++
	switch {
	case p.fails < 0:
		return delivery.Permanent("", "no such queue")
	case s.attempts[msg.Body] <= p.fails:
		return errAway
	}
	s.got = append(s.got, msg)
	return nil
}

// subscribe makes a subscription, which may replay the archive.
func (m *model) subscribe(t *rapid.T, fifo, replays bool) {
	top := m.tops[0]
	suffix := ""
	if fifo {
		top, suffix = m.tops[1], ".fifo"
	}
	n := fmt.Sprint(len(m.subs))
	row := &Subscription{Scope: m.scope, Topic: top.Name, TopicID: top.ID, ID: cluster.NewUUID(), Owner: top.Account, Protocol: SQS, Endpoint: m.scope.ARN("sqs", "q"+n+suffix), Raw: true, Created: time.Now()}
	s := &subscriber{Subscription: row, fifo: fifo, replays: replays, buried: map[string]int{}, attempts: map[string]int{}}
	if rapid.Bool().Draw(t, "filter") {
		s.kind = "a"
		row.Filter = `{"k":["a"]}`
	}
	if rapid.Bool().Draw(t, "dead-letter queue") {
		s.dead = m.scope.ARN("sqs", "dead"+n+suffix)
		row.Redrive = fmt.Sprintf(`{"deadLetterTargetArn":%q}`, s.dead)
	}
	if replays {
		row.Replay = Replay{ID: "replay" + n, From: time.Now().Add(-time.Hour), Status: ReplayPending}
	}
	m.mu.Lock()
	m.subs = append(m.subs, s)
	for _, p := range m.all {
		if replays && p.acked && s.wants(p) {
			p.to = append(p.to, s)
		}
	}
	m.mu.Unlock()
	if err := m.db.Update(context.Background(), func(tx *store.Tx) error { return Subscriptions.Put(tx, *row) }); err != nil {
		t.Fatal(err)
	}
}

func (m *model) start(j journal.Journal) {
	e, err := New(Config{DB: m.db, Journal: j, Log: slog.New(slog.DiscardHandler), Queue: m.queue})
	if err != nil {
		m.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { e.Run(ctx) })
	m.e, m.end = e, sync.OnceFunc(func() { cancel(); work.Wait(); e.Close() })
	m.seen, _ = e.current(ctx)
}

func (m *model) die(next func() journal.Journal) {
	m.died()
	j := next() // before the engine's end, so that it writes nothing more
	m.end()
	m.start(j)
}

func (m *model) died() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.deaths++
}

// tend begins anew where the journal has failed the engine, as its process does.
func (m *model) tend(*rapid.T) {
	m.e.mu.RLock()
	now := m.e.reign
	m.e.mu.RUnlock()
	switch {
	case now == nil:
		m.die(m.d.Kill)
	case now != m.seen:
		m.died()
		m.seen = now
	}
}

func (m *model) publish(t *rapid.T) {
	fifo := rapid.Bool().Draw(t, "fifo")
	var some []*posting
	m.mu.Lock()
	for range rapid.IntRange(1, 4).Draw(t, "messages") {
		p := &posting{fifo: fifo, kind: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "kind"), fails: max(-1, rapid.IntRange(-8, 3).Draw(t, "fails")), deaths: m.deaths}
		if p.fails < 0 && rapid.IntRange(0, 3).Draw(t, "refused") > 0 {
			p.fails = 0
		}
		p.Message = Message{Body: fmt.Sprint(len(m.all)), Attributes: []Attribute{{Name: "k", Type: "String", Value: p.kind}}}
		if fifo {
			p.Group, p.Dedup = rapid.SampledFrom([]string{"g", "h"}).Draw(t, "group"), p.Body
		}
		m.all = append(m.all, p)
		m.byBody[p.Body] = p
		some = append(some, p)
	}
	m.mu.Unlock()
	m.send(some)
}

// send publishes messages, of one topic, for the first time or again.
func (m *model) send(some []*posting) {
	var list []Message
	top := m.tops[0]
	m.mu.Lock()
	for _, p := range some {
		list = append(list, p.Message)
		p.refused = false
		if p.fifo {
			top = m.tops[1]
		}
	}
	m.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	out, err := m.e.Publish(ctx, top.ARN(), list...)
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, p := range some {
		if err != nil {
			// Of a FIFO topic something may be written before the disk is full.
			p.refused, p.again = errors.Is(err, journal.ErrFull) && !p.fifo && !p.again, true
			continue
		}
		if p.acked && out[i] != p.out && p.fifo {
			m.t.Errorf("%s was published as %v, and again as %v", p.Body, p.out, out[i])
		}
		if p.out = out[i]; p.acked {
			continue
		}
		p.acked = true
		for _, s := range m.subs {
			if s.wants(p) {
				p.to = append(p.to, s)
			}
		}
	}
}

// repeat publishes again what failed, or a duplicate, of the FIFO topic.
func (m *model) repeat(t *rapid.T) {
	var some []*posting
	for _, p := range m.all {
		if p.fifo {
			some = append(some, p)
		}
	}
	if len(some) > 0 {
		m.send([]*posting{rapid.SampledFrom(some).Draw(t, "message")})
	}
}

func (m *model) settle(t *rapid.T) {
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		m.tend(t)
		replays := 0
		m.db.View(func(r store.Reader) error {
			for range Subscriptions.By(r, "replay", "1") {
				replays++
			}
			return nil
		})
		s := m.e.Stats()
		if replays == 0 && s.Waiting == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("there is no end: %d replays, %+v", replays, s)
		}
	}
}

func (m *model) check() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.subs {
		got := s.bodies()
		count := map[string]int{}
		for _, body := range got {
			count[body]++
		}
		for _, p := range m.all {
			m.checkOne(s, p, count[p.Body])
		}
		if s.fifo {
			m.checkOrder(s, got)
		}
	}
}

// bodies are what the queue holds: a FIFO queue drops what it knows.
func (s *subscriber) bodies() (out []string) {
	known := map[string]bool{}
	for _, msg := range s.got {
		if !s.fifo || !known[msg.Dedup] {
			out = append(out, msg.Body)
		}
		known[msg.Dedup] = true
	}
	return out
}

func (m *model) checkOne(s *subscriber, p *posting, n int) {
	dead := s.buried[p.Body]
	deaths := m.deaths - p.deaths
	due := slices.Contains(p.to, s)
	switch {
	case due && p.fails >= 0 && n == 0:
		m.t.Errorf("%s got no %s after %d attempts", s.Endpoint, p.Body, s.attempts[p.Body])
	case due && p.fails < 0 && (s.dead != "" && dead == 0 || s.attempts[p.Body] == 0):
		m.t.Errorf("%s refused %s %d times, of which %d came to its dead-letter queue", s.Endpoint, p.Body, s.attempts[p.Body], dead)
	case s.fifo && n > 1 && !p.again:
		m.t.Errorf("%s got %s %d times", s.Endpoint, p.Body, n)
	case !s.fifo && n+dead > 1+deaths:
		m.t.Errorf("%s got %s %d times, and %d dead, with %d deaths", s.Endpoint, p.Body, n, dead, deaths)
	}
}

// checkOrder holds the order of groups, of what was acknowledged at once.
func (m *model) checkOrder(s *subscriber, got []string) {
	for _, group := range []string{"g", "h"} {
		var want, have []string
		for _, p := range m.all {
			if p.Group == group && p.acked && !p.again && p.fails >= 0 && slices.Contains(p.to, s) {
				want = append(want, p.Body)
			}
		}
		for _, body := range got {
			if slices.Contains(want, body) {
				have = append(have, body)
			}
		}
		if !slices.Equal(have, want) {
			m.t.Errorf("%s got %s, want %s", s.Endpoint, strings.Join(have, " "), strings.Join(want, " "))
		}
	}
}

// TestModel holds an engine against a plain list, with queues and a journal that
// fail, and processes that end with and without the power, at any point: what
// was acknowledged comes to each subscription whose filter lets it through, and
// to no other, or to its dead-letter queue; FIFO queues get it once and in the
// order of its group, by replays of the archive too.
func TestModel(t *testing.T) {
	db := storetest.Open(t)
	disktest.Check(t, func(t *rapid.T, d disktest.Disk, n int) {
		m := &model{t: t, db: db, d: d, scope: cluster.Scope{Account: fmt.Sprintf("%012d", n), Region: "eu-west-1"}, byBody: map[string]*posting{}}
		m.topics(t)
		defer m.clear()
		for _, fifo := range []bool{false, false, true, true} {
			m.subscribe(t, fifo, false)
		}
		m.start(d.Journal())
		defer func() { m.end() }()
		t.Repeat(map[string]func(*rapid.T){
			"":        m.tend,
			"publish": m.publish, "publish more": m.publish, "publish again": m.publish,
			"repeat": m.repeat,
			"fault":  d.Fail,
			"heal":   func(*rapid.T) { d.Heal() },
			"kill":   func(*rapid.T) { m.die(d.Kill) },
			"lose":   func(*rapid.T) { m.die(d.PowerLoss) },
			"replay": func(t *rapid.T) { m.subscribe(t, true, true) },
			"wait":   func(*rapid.T) { time.Sleep(time.Millisecond) },
		})
		m.die(d.Kill) // a disk that has failed takes nothing
		m.settle(t)
		m.check()
	})
}

func (m *model) topics(t *rapid.T) {
	for i, name := range []string{"plain", "ordered.fifo"} {
		top := &Topic{Scope: m.scope, Name: name, ID: cluster.NewUUID(), Key: make([]byte, 32), Attributes: map[string]string{}, Created: time.Now()}
		if i == 1 {
			top.FIFO, top.ArchiveDays, top.Archived = true, 7, time.Now().Add(-time.Hour)
		}
		m.tops[i] = top
		if err := m.db.Update(context.Background(), func(tx *store.Tx) error { return Topics.Put(tx, *top) }); err != nil {
			t.Fatal(err)
		}
	}
}

func (m *model) clear() {
	for _, clear := range []func(context.Context, *store.DB, string) error{Subscriptions.Clear, Topics.Clear} {
		if err := clear(context.Background(), m.db, m.scope.Prefix()); err != nil {
			m.t.Fatal(err)
		}
	}
}
