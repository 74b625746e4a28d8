package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dhowhq/dhow/journal"
	"github.com/dhowhq/dhow/journal/mem"
	"pgregory.net/rapid"
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

func records(t testing.TB, l journal.Log) (n int) {
	t.Helper()
	for _, err := range l.Read(context.Background(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

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

// slowLog has appends return late and in any order.
type slowLog struct {
	journal.Log
	hold chan struct{} // a value for each append that may return; nil holds none
}

func (l *slowLog) Append(ctx context.Context, d journal.Durability, records ...[]byte) (journal.Seq, error) {
	seq, err := l.Log.Append(ctx, d, records...)
	if string(records[0][len(records[0])-4:]) == "late" {
		<-l.hold
	}
	return seq, err
}

// A record that is on disk while its Enqueue has not returned is not trimmed
// away with a later one that is done already.
func TestTrimWaitsForAppends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{}
		j := mem.New()
		e, err := Open(context.Background(), w.config(j))
		if err != nil {
			t.Fatal(err)
		}
		hold := make(chan struct{})
		e.ingest = &slowLog{e.ingest, hold}
		ctx, cancel := context.WithCancel(context.Background())
		go e.Run(ctx)
		go e.Enqueue(ctx, Item{[]string{"a"}, []byte("late")})
		synctest.Wait()
		enqueue(t, e, Item{[]string{"a"}, []byte("soon")})
		time.Sleep(time.Second)
		if n := records(t, e.ingest); n != 1 || len(w.sent) != 1 {
			t.Errorf("%d records are left, %d were sent", n, len(w.sent))
		}
		close(hold)
		time.Sleep(time.Second)
		if n := records(t, e.ingest); n != 0 || len(w.sent) != 2 {
			t.Errorf("%d records are left, %d were sent", n, len(w.sent))
		}
		cancel()
	})
}

// bubble hides that it is a test, whose deadline rapid may not ask for here.
type bubble struct{ *testing.T }

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

// fullLog has no room for a while.
type fullLog struct {
	journal.Log
	full atomic.Bool
}

func (l *fullLog) Append(ctx context.Context, d journal.Durability, records ...[]byte) (journal.Seq, error) {
	if l.full.Load() {
		return 0, journal.ErrFull
	}
	return l.Log.Append(ctx, d, records...)
}

// While the disk is full, Enqueue says so, and what became of deliveries is
// written when there is room again.
func TestFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{policy: Policy{MaxRetries: 1, Backoff: func(int, float64) time.Duration { return time.Minute }}, send: func(context.Context, Message) error { return errors.New("no") }}
		e, err := Open(context.Background(), w.config(mem.New()))
		if err != nil {
			t.Fatal(err)
		}
		states, ingest := &fullLog{Log: e.states}, &fullLog{Log: e.ingest}
		e.states, e.ingest = states, ingest
		ctx, cancel := context.WithCancel(context.Background())
		go e.Run(ctx)
		states.full.Store(true)
		enqueue(t, e, Item{[]string{"a"}, []byte("x")})
		ingest.full.Store(true)
		time.Sleep(10 * time.Second)
		if err := e.Enqueue(ctx, Item{[]string{"a"}, []byte("y")}); !errors.Is(err, journal.ErrFull) {
			t.Errorf("error %v", err)
		}
		if n := records(t, e.states); n != 0 {
			t.Errorf("%d states", n)
		}
		states.full.Store(false)
		ingest.full.Store(false)
		time.Sleep(2 * time.Second)
		if n := records(t, e.states); n != 1 {
			t.Errorf("%d states after there was room", n)
		}
		enqueue(t, e, Item{[]string{"a"}, []byte("y")})
		time.Sleep(time.Hour)
		if len(w.buried) != 2 || records(t, e.ingest) != 0 {
			t.Errorf("%d are dead, %d records", len(w.buried), records(t, e.ingest))
		}
		cancel()
	})
}

// States of deliveries that are long over do not pile up.
func TestCompacts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{policy: Policy{MaxRetries: 1}, send: func(_ context.Context, m Message) error {
			if m.Attempts == 0 {
				return errors.New("no")
			}
			return nil
		}}
		e, stop := start(t, w.config(mem.New()))
		defer stop()
		for range 5000 {
			enqueue(t, e, Item{[]string{"a"}, []byte("x")})
		}
		time.Sleep(time.Minute)
		if n := records(t, e.states); n > 2000 {
			t.Errorf("%d states are left", n)
		}
	})
}

func FuzzRecords(f *testing.F) {
	f.Add(encodeItem(time.UnixMicro(1), Item{[]string{"a", "b"}, []byte("x")}))
	f.Add(encodeState(taskKey{7, 1}, state{attempts: 2, next: time.UnixMicro(5)}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if at, i, err := decodeItem(b); err == nil {
			if at2, j, err := decodeItem(encodeItem(at, i)); err != nil || !at.Equal(at2) || !slices.Equal(i.Lanes, j.Lanes) || string(i.Body) != string(j.Body) {
				t.Errorf("%v becomes %v, %v", i, j, err)
			}
		}
		if k, s, err := decodeState(b); err == nil {
			if k2, _, err := decodeState(encodeState(k, s)); err != nil || k2 != k {
				t.Errorf("%v becomes %v, %v", k, k2, err)
			}
		}
	})
}

// What waits in an ordered lane is not overtaken while the journal is away.
func TestJournalAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{policy: Policy{MaxRetries: 3, Ordered: true, Backoff: func(int, float64) time.Duration { return time.Second }},
			send: func(context.Context, Message) error { return errors.New("no") }}
		j := mem.New()
		e, stop := start(t, w.config(j))
		defer stop()
		enqueue(t, e, Item{[]string{"a"}, []byte("one")}, Item{[]string{"a"}, []byte("two")})
		time.Sleep(100 * time.Millisecond)
		j.Reopen() // closes j
		time.Sleep(5 * time.Second)
		for _, m := range w.sent {
			if string(m.Body) != "one" {
				t.Errorf("%s was sent", m.Body)
			}
		}
		if s := e.Stats(); len(w.sent) != 1 || s.Dropped != 0 {
			t.Errorf("%d attempts, %+v", len(w.sent), s)
		}
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
