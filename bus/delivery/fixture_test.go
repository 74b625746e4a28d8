package delivery

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/dhowhq/dhow/journal"
)

// world is receivers that do what a test says.
type world struct {
	mu     sync.Mutex
	policy Policy
	gone   map[string]bool
	send   func(ctx context.Context, m Message) error // after it was noted
	dead   func(m Message, f Failure) error
	sent   []Message
	times  []time.Time
	buried []burial
}

type burial struct {
	Message
	Failure
}

func (w *world) config(j journal.Journal) Config {
	return Config{Journal: j, Name: "test", Term: 1,
		Policy: func(lane string) (Policy, bool) {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.policy, !w.gone[lane]
		},
		Send: func(ctx context.Context, m Message) error {
			w.mu.Lock()
			w.sent, w.times = append(w.sent, m), append(w.times, time.Now())
			send := w.send
			w.mu.Unlock()
			if send == nil {
				return nil
			}
			return send(ctx, m)
		},
		Dead: func(_ context.Context, m Message, f Failure) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.dead != nil {
				if err := w.dead(m, f); err != nil {
					return err
				}
			}
			w.buried = append(w.buried, burial{m, f})
			return nil
		}}
}

// start opens an engine and runs it until the returned function is called.
func start(t testing.TB, c Config) (*Engine, func()) {
	t.Helper()
	e, err := Open(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := e.Run(ctx); err != nil && !errors.Is(err, journal.ErrClosed) {
			t.Error(err)
		}
	}()
	return e, func() { cancel(); <-done }
}

func enqueue(t testing.TB, e *Engine, items ...Item) {
	t.Helper()
	if err := e.Enqueue(context.Background(), items...); err != nil {
		t.Fatal(err)
	}
}

func records(t interface {
	Helper()
	Fatal(...any)
}, l journal.Log) (n int) {
	t.Helper()
	for _, err := range l.Read(context.Background(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

// bubble hides that it is a test, whose deadline rapid may not ask for here.
type bubble struct{ *testing.T }
