package delivery

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dhowhq/dhow/journal/mem"
)

// TestMarks has items come with their mark, whose reader fails at first: it is
// waited for, and says what was said.
func TestMarks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var read int
		w := &world{policy: Marks, send: func(_ context.Context, m Message) error {
			if m.Lane == "items" {
				return nil
			}
			if m.Attempts < 2 {
				return errors.New("not yet")
			}
			return m.Mark(&read)
		}}
		e, stop := start(t, w.config(mem.New()))
		defer stop()
		if err := e.EnqueueMarked(t.Context(), []Item{{[]string{"items"}, []byte("x")}}, "marks", 7); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := e.Await(ctx, "marks", 1); err != nil || read != 7 || e.Waiting("marks") != 0 {
			t.Errorf("%v; the mark is %d, %d wait", err, read, e.Waiting("marks"))
		}
		bad := Message{Body: []byte("no mark")}
		if told := new(Error); !errors.As(bad.Mark(&read), &told) || !told.Permanent {
			t.Errorf("of a body that is no mark: %v", bad.Mark(&read))
		}
	})
}

// TestAwait waits until enough of a lane's deliveries are done, and no longer than it
// may.
func TestAwait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{policy: Policy{Ordered: true}, send: func(context.Context, Message) error { time.Sleep(time.Second); return nil }}
		e, stop := start(t, w.config(mem.New()))
		defer stop()
		for range 10 {
			enqueue(t, e, Item{[]string{"a"}, nil})
		}
		begun := time.Now()
		for n, after := range map[int]time.Duration{1: 10 * time.Second, 4: 7 * time.Second, 11: 0} {
			go func() {
				if err := e.Await(t.Context(), "a", n); err != nil || time.Since(begun) != after {
					t.Errorf("fewer than %d after %v, %v", n, time.Since(begun), err)
				}
			}()
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second/2)
		defer cancel()
		if err := e.Await(ctx, "a", 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if err := e.Await(t.Context(), "a", 1); err != nil {
			t.Error(err)
		}
	})
}
