package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dhowhq/dhow/journal/mem"
	"pgregory.net/rapid"
)

func TestDelivers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{}
		e, stop := start(t, w.config(mem.New()))
		enqueue(t, e, Item{[]string{"a", "b"}, []byte("one")}, Item{[]string{"a"}, []byte{}})
		time.Sleep(time.Second)
		stop()
		var got []string
		for _, m := range w.sent {
			got = append(got, m.Lane+":"+string(m.Body))
		}
		slices.Sort(got)
		if want := []string{"a:", "a:one", "b:one"}; !slices.Equal(got, want) {
			t.Errorf("%q were sent, want %q", got, want)
		}
		if n := records(t, e.ingest); n != 0 {
			t.Errorf("%d records are left", n)
		}
		if s := e.Stats(); s != (Stats{Enqueued: 2, Delivered: 3}) {
			t.Errorf("%+v", s)
		}
		if err := e.Enqueue(context.Background(), Item{[]string{"a"}, nil}); !errors.Is(err, ErrClosed) {
			t.Errorf("after the end: %v", err)
		}
	})
}

// A message is tried as often as the policy says, with the waits that its
// backoff says, and is dead then.
func TestRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{policy: Policy{MaxRetries: 3, Backoff: func(n int, _ float64) time.Duration { return time.Duration(n) * time.Minute }},
			send: func(context.Context, Message) error { return Retryable("THROTTLING", "not %s", "now") }}
		e, stop := start(t, w.config(mem.New()))
		defer stop()
		begin := time.Now()
		enqueue(t, e, Item{[]string{"a"}, []byte("x")})
		time.Sleep(time.Hour)
		synctest.Wait()
		var at []time.Duration
		for i, m := range w.sent {
			at = append(at, w.times[i].Sub(begin))
			if m.Attempts != i {
				t.Errorf("attempt %d says %d", i, m.Attempts)
			}
		}
		if want := []time.Duration{0, time.Minute, 3 * time.Minute, 6 * time.Minute}; !slices.Equal(at, want) {
			t.Errorf("attempts at %v, want %v", at, want)
		}
		if len(w.buried) != 1 || w.buried[0].Failure != (Failure{"THROTTLING", "not now", ExhaustedAttempts, 3}) {
			t.Errorf("%+v", w.buried)
		}
	})
}

func TestAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{policy: Policy{MaxAge: time.Minute, MaxRetries: 185, Backoff: func(int, float64) time.Duration { return 25 * time.Second }},
			send: func(context.Context, Message) error { return errors.New("no") }}
		e, stop := start(t, w.config(mem.New()))
		defer stop()
		enqueue(t, e, Item{[]string{"a"}, []byte("x")})
		time.Sleep(59 * time.Second)
		synctest.Wait()
		if len(w.sent) != 3 || len(w.buried) != 0 {
			t.Fatalf("%d attempts, %v", len(w.sent), w.buried)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if len(w.sent) != 3 || len(w.buried) != 1 || w.buried[0].Exhausted != ExhaustedAge || w.buried[0].Retries != 2 || w.buried[0].Failure.Message != "no" {
			t.Errorf("%d attempts, %+v", len(w.sent), w.buried)
		}
	})
}

func TestPermanent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fails := 2
		w := &world{policy: Policy{MaxRetries: 185},
			send: func(context.Context, Message) error { return Permanent("NO_PERMISSIONS", "gone") },
			dead: func(Message, Failure) error {
				if fails--; fails >= 0 {
					return errors.New("the dead-letter queue is not there yet")
				}
				return nil
			}}
		e, stop := start(t, w.config(mem.New()))
		defer stop()
		enqueue(t, e, Item{[]string{"a"}, []byte("x")})
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(w.sent) != 1 || len(w.buried) != 1 || w.buried[0].Failure != (Failure{"NO_PERMISSIONS", "gone", "", 0}) {
			t.Errorf("%d attempts, %+v", len(w.sent), w.buried)
		}
		if s := e.Stats(); s.Dead != 1 || s.Waiting != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// Whatever receivers do, and however often the process dies, each delivery is
// taken or dead in the end, with as many attempts as the policy says, but for
// those that were under way when the process died. Nothing is left behind.
func TestNothingIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(bubble{t}, func(rt *rapid.T) {
			const retries = 3
			w := &world{policy: Policy{MaxRetries: retries, Concurrent: rapid.IntRange(1, 3).Draw(rt, "concurrent"), Ordered: rapid.Bool().Draw(rt, "ordered")}}
			plans := map[string]int{} // failures before success; -1 permanent
			attempts, taken, dead := map[string]int{}, map[string]int{}, map[string]int{}
			w.send = func(ctx context.Context, m Message) error {
				select {
				case <-time.After(time.Millisecond):
				case <-ctx.Done():
					return ctx.Err()
				}
				w.mu.Lock()
				defer w.mu.Unlock()
				k := m.Lane + string(m.Body)
				attempts[k]++
				switch plan := plans[k]; {
				case plan < 0:
					return Permanent("X", "never")
				case m.Attempts < plan:
					return errors.New("not yet")
				}
				taken[k]++
				return nil
			}
			w.dead = func(m Message, f Failure) error {
				k := m.Lane + string(m.Body)
				dead[k]++
				if plan := plans[k]; plan >= 0 && plan <= retries || (f.Exhausted == "") != (plan < 0) {
					rt.Errorf("%s is dead, its plan is %d: %+v", k, plan, f)
				}
				return nil
			}
			j := mem.New()
			e, stop := start(t, w.config(j))
			deaths, n := 0, 0
			rt.Repeat(map[string]func(*rapid.T){
				"enqueue": func(rt *rapid.T) {
					var items []Item
					for range rapid.IntRange(1, 5).Draw(rt, "items") {
						n++
						i := Item{rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c"}), 1, 3, rapid.ID).Draw(rt, "lanes"), fmt.Append(nil, n)}
						w.mu.Lock()
						for _, l := range i.Lanes {
							plans[l+string(i.Body)] = rapid.IntRange(-1, retries+1).Draw(rt, "plan")
						}
						w.mu.Unlock()
						items = append(items, i)
					}
					enqueue(t, e, items...)
				},
				"wait": func(rt *rapid.T) {
					time.Sleep(time.Duration(rapid.IntRange(0, 5000).Draw(rt, "ms")) * time.Millisecond)
				},
				"die": func(*rapid.T) {
					next := j.Reopen() // before the engine's end, so that it writes nothing more
					stop()
					j = next
					deaths++
					e, stop = start(t, w.config(j))
				},
				"stop": func(*rapid.T) {
					stop()
					deaths++ // an attempt that is cut off may have arrived
					e, stop = start(t, w.config(j))
				},
			})
			for range 1000 {
				if e.Stats().Waiting == 0 {
					break
				}
				time.Sleep(time.Second)
			}
			time.Sleep(2 * lag)
			synctest.Wait()
			w.mu.Lock()
			for k, plan := range plans {
				if taken[k]+dead[k] == 0 {
					rt.Errorf("%s is lost; its plan is %d", k, plan)
				}
				if taken[k]+dead[k] > 1+deaths {
					rt.Errorf("%s was taken %d times, dead %d times, with %d deaths", k, taken[k], dead[k], deaths)
				}
				if most := min(max(plan, 0), retries) + 1; attempts[k] < most || attempts[k] > most+2*deaths {
					rt.Errorf("%s was tried %d times with %d deaths; its plan is %d", k, attempts[k], deaths, plan)
				}
			}
			w.mu.Unlock()
			if s := e.Stats(); s.Waiting != 0 || len(e.open) != 0 || len(e.lanes) != 0 || records(t, e.ingest) != 0 {
				rt.Errorf("something is left: %+v, %d open, %d lanes, %d records", s, len(e.open), len(e.lanes), records(t, e.ingest))
			}
			stop()
		})
	})
}

// At the end no attempts begin: one that was cut off must not be overtaken.
func TestNothingBeginsAtTheEnd(t *testing.T) {
	e, err := Open(context.Background(), (&world{}).config(mem.New()))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	e.running, e.ctx = true, ctx
	enqueue(t, e, Item{[]string{"a"}, []byte("x")})
	if n := e.lanes["a"].active; n != 0 {
		t.Errorf("%d attempts began", n)
	}
}
