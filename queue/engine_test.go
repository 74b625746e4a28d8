package queue

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/dhowhq/dhow/journal"
	"github.com/dhowhq/dhow/journal/mem"
	"github.com/dhowhq/dhow/store"
)

// TestEngine takes a queue from its making to its end, over changes of its owner.
func TestEngine(t *testing.T) {
	db, err := store.Open(t.Context(), store.Config{Dir: t.TempDir(), UnsafeNoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var j journal.Journal = mem.New()
	run := func() (*Engine, func()) {
		e := New(Config{DB: db, Journal: j, Log: slog.New(slog.DiscardHandler)})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); e.Run(ctx) }()
		return e, func() { cancel(); <-ended }
	}
	e, stop := run()
	d := Definition{Scope: here, Name: "q", Settings: Defaults()}
	made, err := e.Create(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := e.Create(t.Context(), d); !errors.Is(err, ErrExists) || again.ID != made.ID {
		t.Errorf("making it twice: %v, %v", again.ID, err)
	}
	q, err := e.QueueByARN(made.ARN())
	if err != nil {
		t.Fatal(err)
	}
	mustSend(t, q, Message{Body: "kept"})
	stop()

	e, stop = run()
	defer func() { stop() }()
	if q, err = e.Queue(here, "q"); err != nil {
		t.Fatal(err)
	}
	got := mustReceive(t, q, Receive{})
	if len(got) != 1 || got[0].Body != "kept" {
		t.Fatalf("the next owner gives %+v", got)
	}
	polled := make(chan error)
	go func() {
		_, err := q.Receive(t.Context(), Receive{Wait: MaxWait})
		polled <- err
	}()
	s, err := q.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for waits := false; !waits; time.Sleep(time.Millisecond) {
		s.mu.Lock()
		waits = s.waiting.first != nil
		s.mu.Unlock()
	}
	if err := e.Remove(t.Context(), here, "q"); err != nil {
		t.Fatal(err)
	}
	if err := <-polled; !errors.Is(err, ErrNoQueue) {
		t.Errorf("a receiver of a removed queue: %v", err)
	}
	if names, err := j.Names(t.Context(), logPrefix); err != nil || len(names) > 0 {
		t.Errorf("logs are left: %v, %v", names, err)
	}
	if _, err := q.Send(t.Context(), Message{Body: "late"}); !errors.Is(err, ErrNoQueue) {
		t.Errorf("sending to a removed queue: %v", err)
	}
	if _, err := e.Create(t.Context(), d); !errors.Is(err, ErrRecent) {
		t.Errorf("making it anew at once: %v", err)
	}
	if err := e.Reset(t.Context(), here.Account); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Create(t.Context(), d); err != nil {
		t.Errorf("making it anew after a reset: %v", err)
	}
}

// TestOrphans drops logs of queues whose removal was cut short.
func TestOrphans(t *testing.T) {
	db, err := store.Open(t.Context(), store.Config{Dir: t.TempDir(), UnsafeNoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	j := mem.New()
	for _, name := range logNames(newID()) {
		if _, err := j.Open(t.Context(), name, 0); err != nil {
			t.Fatal(err)
		}
	}
	e := New(Config{DB: db, Journal: j, Log: slog.New(slog.DiscardHandler)})
	e.dropOrphans(t.Context())
	if names, err := j.Names(t.Context(), ""); err != nil || len(names) > 0 {
		t.Errorf("logs are left: %v, %v", names, err)
	}
}
