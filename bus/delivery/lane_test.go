package delivery

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dhowhq/dhow/journal/mem"
)

func TestBadLanes(t *testing.T) {
	e, err := Open(context.Background(), (&world{}).config(mem.New()))
	if err != nil {
		t.Fatal(err)
	}
	for _, lanes := range [][]string{nil, {""}, {"a", string(make([]byte, MaxLane+1))}} {
		if err := e.Enqueue(context.Background(), Item{lanes, nil}); !errors.Is(err, ErrLane) {
			t.Errorf("%.10q: %v", lanes, err)
		}
	}
}

// A lane whose receiver hangs does not delay another, and its attempts end.
func TestSlowLane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{policy: Policy{Timeout: 10 * time.Second, Concurrent: 2}, send: func(ctx context.Context, m Message) error {
			if m.Lane == "slow" {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}}
		e, stop := start(t, w.config(mem.New()))
		defer stop()
		for range 100 {
			enqueue(t, e, Item{[]string{"slow", "fast"}, []byte("x")})
		}
		synctest.Wait() // no time passes
		slow, fast := 0, 0
		for _, m := range w.sent {
			if m.Lane == "slow" {
				slow++
			} else {
				fast++
			}
		}
		if slow != 2 || fast != 100 {
			t.Errorf("%d slow, %d fast", slow, fast)
		}
		if n := e.Waiting("slow"); n != 100 {
			t.Errorf("%d wait in the slow lane", n)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(w.buried) != 100 || records(t, e.ingest) != 0 {
			t.Errorf("%d dead, %d records", len(w.buried), records(t, e.ingest))
		}
	})
}

func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{policy: Policy{PerSecond: 10}}
		e, stop := start(t, w.config(mem.New()))
		defer stop()
		for range 25 {
			enqueue(t, e, Item{[]string{"a"}, []byte("x")})
		}
		time.Sleep(time.Second + time.Millisecond)
		synctest.Wait()
		if n := len(w.sent); n != 11 {
			t.Errorf("%d in a second", n)
		}
		time.Sleep(2 * time.Second)
		if n := len(w.sent); n != 25 {
			t.Errorf("%d in all", n)
		}
	})
}

// TestRateLeavesNothing has a lane with a rate let go when it is empty and its
// rate allows another attempt, whether it is there still or not.
func TestRateLeavesNothing(t *testing.T) {
	for _, gone := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := &world{policy: Policy{PerSecond: 10}, gone: map[string]bool{"a": false}}
			e, stop := start(t, w.config(mem.New()))
			defer stop()
			for range 5 {
				enqueue(t, e, Item{[]string{"a"}, []byte("x")})
			}
			time.Sleep(150 * time.Millisecond)
			w.mu.Lock()
			w.gone["a"] = gone
			w.mu.Unlock()
			time.Sleep(time.Minute)
			e.mu.Lock()
			defer e.mu.Unlock()
			if n := len(e.lanes); n != 0 {
				t.Errorf("%d lanes are left; gone: %v", n, gone)
			}
		})
	}
}

// TestLateTimer has the timer of a lane that was let go run after the next lane of
// that name was made: that one stays, for there must not be two.
func TestLateTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{policy: Policy{Ordered: true}}
		e, stop := start(t, w.config(mem.New()))
		defer stop()
		old := &lane{name: "a"}
		w.send = func(context.Context, Message) error { time.Sleep(time.Second); return nil }
		enqueue(t, e, Item{[]string{"a"}, []byte("x")})
		synctest.Wait()
		e.mu.Lock()
		defer e.mu.Unlock()
		e.pump(old)
		if l := e.lanes["a"]; l == nil || l == old {
			t.Errorf("the lane is %v", l)
		}
	})
}

func TestOrdered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{policy: Policy{Ordered: true, MaxRetries: 5}}
		w.send = func(_ context.Context, m Message) error {
			if string(m.Body) == "3" && m.Attempts < 3 {
				return errors.New("no")
			}
			return nil
		}
		e, stop := start(t, w.config(mem.New()))
		defer stop()
		for i := range 6 {
			enqueue(t, e, Item{[]string{"a"}, fmt.Append(nil, i)})
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		got := ""
		for _, m := range w.sent {
			got += string(m.Body)
		}
		if got != "012333345" {
			t.Error(got)
		}
	})
}

// A lane that is gone drops what waits for it.
func TestGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{policy: Policy{MaxRetries: 5}, gone: map[string]bool{}, send: func(context.Context, Message) error { return errors.New("no") }}
		e, stop := start(t, w.config(mem.New()))
		defer stop()
		enqueue(t, e, Item{[]string{"a"}, []byte("x")})
		synctest.Wait()
		w.mu.Lock()
		w.gone["a"] = true
		w.mu.Unlock()
		time.Sleep(time.Hour)
		synctest.Wait()
		if s := e.Stats(); len(w.sent) != 1 || s.Dropped != 1 || s.Waiting != 0 || len(e.lanes) != 0 {
			t.Errorf("%d attempts, %+v", len(w.sent), s)
		}
	})
}

// A sender that panics fails.
func TestPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{send: func(context.Context, Message) error { panic("oh") }}
		e, stop := start(t, w.config(mem.New()))
		defer stop()
		enqueue(t, e, Item{[]string{"a"}, []byte("x")})
		synctest.Wait()
		if len(w.buried) != 1 {
			t.Errorf("%v", w.buried)
		}
	})
}
