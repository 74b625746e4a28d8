package topic

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/dhowhq/dhow/bus/delivery"
	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/journal"
	"github.com/dhowhq/dhow/journal/mem"
	"github.com/dhowhq/dhow/store"
	"github.com/dhowhq/dhow/store/storetest"
)

var here = cluster.Scope{Account: "111111111111", Region: "eu-west-1"}

// world is an engine over queues that do what a test says.
type world struct {
	t       testing.TB
	db      *store.DB
	journal journal.Journal
	reopen  func() journal.Journal // ends the journal's process, and begins the next one
	http    http.RoundTripper
	e       *Engine
	stop    func()

	mu     sync.Mutex
	got    map[string][]QueueMessage       // by the queue's ARN, in order
	refuse func(queue string, n int) error // n: how often the queue was tried
	tries  map[string]int
	gone   map[string]bool
	lines  []string
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, db: storetest.Open(t), got: map[string][]QueueMessage{}, tries: map[string]int{}, gone: map[string]bool{}}
	j := mem.New()
	w.journal, w.reopen = j, func() journal.Journal { j = j.Reopen(); return j }
	return w
}

func (w *world) queue(_ context.Context, arn string, m QueueMessage) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tries[arn]++
	if w.gone[arn] {
		return delivery.Permanent("", "no such queue")
	}
	if w.refuse != nil {
		if err := w.refuse(arn, w.tries[arn]); err != nil {
			return err
		}
	}
	w.got[arn] = append(w.got[arn], m)
	return nil
}

// start runs the engine.
func (w *world) start() {
	w.t.Helper()
	e, err := New(Config{DB: w.db, Journal: w.journal, Log: slog.New(slog.DiscardHandler), Queue: w.queue, HTTP: w.http,
		Status: func(_ context.Context, _ cluster.Scope, group, line string) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.lines = append(w.lines, group+" "+line)
			return nil
		}})
	must(w.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); e.Run(ctx) }()
	w.e = e
	w.stop = func() { cancel(); <-done; e.Close() }
}

// die ends the engine as a kill does: what it would still write is lost.
func (w *world) die() {
	next := w.reopen()
	w.stop()
	w.journal = next
	w.start()
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) topic(name string, change ...func(*Topic)) *Topic {
	w.t.Helper()
	t := Topic{Scope: here, Name: name, ID: "id" + fmt.Sprint(time.Now().UnixNano()), Key: make([]byte, 32), Attributes: map[string]string{}, Created: time.Now()}
	for _, c := range change {
		c(&t)
	}
	must(w.t, w.db.Update(context.Background(), func(tx *store.Tx) error { return Topics.Put(tx, t) }))
	return &t
}

func (w *world) subscribe(t *Topic, protocol, endpoint string, change ...func(*Subscription)) *Subscription {
	w.t.Helper()
	s := Subscription{Scope: t.Scope, Topic: t.Name, TopicID: t.ID, ID: cluster.NewUUID(), Owner: t.Account, Protocol: protocol, Endpoint: endpoint, Raw: true, Created: time.Now()}
	for _, c := range change {
		c(&s)
	}
	must(w.t, w.db.Update(context.Background(), func(tx *store.Tx) error { return Subscriptions.Put(tx, s) }))
	return &s
}

func (w *world) publish(t *Topic, m ...Message) []Published {
	w.t.Helper()
	out, err := w.e.Publish(context.Background(), t.ARN(), m...)
	must(w.t, err)
	return out
}

// settle waits until nothing is to be delivered.
func (w *world) settle() {
	w.t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		r, err := w.e.current(context.Background())
		must(w.t, err)
		if r.deliver.Stats().Waiting == 0 {
			return
		}
		if time.Now().After(end) {
			w.t.Fatal("deliveries do not end")
		}
	}
}

func (w *world) bodies(queue string) (out []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range w.got[queue] {
		out = append(out, m.Body)
	}
	return out
}

func queueARN(name string) string { return here.ARN("sqs", name) }

var errAway = errors.New("away")

func fifoTopic(t *Topic) { t.FIFO = true }
