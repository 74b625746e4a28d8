package delivery

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/dhowhq/dhow/journal"
	"github.com/dhowhq/dhow/journal/journaltest"
	"github.com/dhowhq/dhow/journal/mem"
)

// model is receivers, a journal that fails, and what a plain list knows of
// deliveries.
type model struct {
	t      *rapid.T
	j      *mem.Journal
	faults journaltest.Faults
	policy Policy
	term   int64
	stop   context.CancelFunc
	ended  chan struct{}
	n      int // bodies

	mu     sync.Mutex
	e      *Engine
	down   map[string]bool // lanes that take nothing for now
	closed bool            // the dead-letter queue takes nothing for now
	gone   map[string]bool // lanes
	fates  map[string]*fate
	order  []*fate // acknowledged, in their order
	deaths int     // of processes and of engines
	losses int     // of power
}

// fate is a delivery: a body on its way to a lane.
type fate struct {
	key      string
	lane     string
	sent     time.Time // when Enqueue was called
	acked    bool
	refused  bool // nothing of it was written
	never    bool // its lane refuses it for good
	fails    int  // attempts that fail before one that does not
	attempts int
	recent   int // since the last loss of power
	deaths   int // when it was enqueued
	dropped  bool
	taken    int
	dead     int
}

func (f *fate) over() bool { return f.taken+f.dead > 0 || f.dropped }

// boundedBackoff lets a message have its retries within minutes.
func boundedBackoff(n int, chance float64) time.Duration {
	return Exponential(time.Second, time.Minute)(n, chance)
}

func (m *model) config() Config {
	return Config{Journal: m.faults.Over(m.j), Name: "test", Term: m.term,
		Policy: func(lane string) (Policy, bool) {
			m.mu.Lock()
			defer m.mu.Unlock()
			return m.policy, !m.gone[lane]
		},
		Send: m.send, Dead: m.bury}
}

func (m *model) send(ctx context.Context, msg Message) error {
	m.mu.Lock()
	f := m.fates[msg.Lane+" "+string(msg.Body)]
	switch {
	case f == nil:
		m.t.Errorf("%s got %s, which is not for it", msg.Lane, msg.Body)
	case f.refused:
		m.t.Errorf("%s was delivered, but refused to its sender", f.key)
	case time.Since(f.sent) >= m.policy.MaxAge+time.Microsecond: // the journal's precision
		m.t.Errorf("%s was tried %v after it was sent", f.key, time.Since(f.sent))
	case m.gone[msg.Lane]:
		m.t.Errorf("%s was tried after its lane was gone", f.key)
	}
	f.attempts++
	f.recent++
	down := m.down[msg.Lane]
	m.mu.Unlock()
	select { // the receiver takes its time, and its answer may come to nobody
	case <-time.After(time.Millisecond):
	case <-ctx.Done():
		return ctx.Err()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case f.never:
		return Permanent("GONE", "never")
	case down || f.recent <= f.fails:
		return Retryable("DOWN", "not yet")
	}
	m.taken(f)
	return nil
}

// taken holds the order of an ordered lane: what was acknowledged before is over.
func (m *model) taken(f *fate) {
	if f.taken++; f.taken > 1 || !m.policy.Ordered || !f.acked {
		return
	}
	for _, before := range m.order {
		if before == f {
			return
		}
		if before.lane == f.lane && !before.over() {
			m.t.Errorf("%s was taken before %s", f.key, before.key)
		}
	}
}

func (m *model) bury(_ context.Context, msg Message, why Failure) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return errors.New("the dead-letter queue is away")
	}
	f := m.fates[msg.Lane+" "+string(msg.Body)]
	f.dead++
	switch {
	case why.Exhausted == "":
		if !f.never || f.attempts == 0 || why.Code != "GONE" {
			m.t.Errorf("%s is dead as if refused for good: %+v", f.key, why)
		}
	case why.Exhausted == ExhaustedAttempts:
		if why.Retries != m.policy.MaxRetries || f.attempts <= m.policy.MaxRetries {
			m.t.Errorf("%s is dead after %d attempts, of %d retries: %+v", f.key, f.attempts, m.policy.MaxRetries, why)
		}
	case why.Exhausted == ExhaustedAge:
		if age := time.Since(f.sent); age < m.policy.MaxAge || why.Retries > m.policy.MaxRetries {
			m.t.Errorf("%s is dead of its age of %v: %+v", f.key, age, why)
		}
	}
	return nil
}

// start begins a process.
func (m *model) start() {
	m.term++
	for try := 0; ; try++ { // as who leads tries again
		e, err := Open(context.Background(), m.config())
		if err == nil {
			m.run(e)
			return
		}
		if try == 10 {
			m.t.Fatalf("the engine does not open: %v", err)
		}
	}
}

func (m *model) run(e *Engine) {
	ctx, cancel := context.WithCancel(context.Background())
	m.e, m.stop, m.ended = e, cancel, make(chan struct{})
	ended := m.ended
	go func() {
		defer close(ended)
		e.Run(ctx) // an error is that of the journal; tend sees the end
	}()
}

// tend begins anew where an engine has given up, as who leads does.
func (m *model) tend() {
	synctest.Wait()
	select {
	case <-m.ended:
		m.died()
		m.start()
	default:
	}
}

func (m *model) died() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.deaths++
}

// end ends the process, and begins the next one.
func (m *model) end(next func() *mem.Journal) {
	m.died()
	j := next() // before the engine's end, so that it writes nothing more
	m.stop()
	<-m.ended
	m.j = j
	m.start()
}

func (m *model) loss(t *rapid.T) {
	share := rapid.Float64Range(0, 1).Draw(t, "share")
	m.end(func() *mem.Journal { return m.j.PowerLoss(share) })
	m.mu.Lock()
	defer m.mu.Unlock()
	m.losses++
	for _, f := range m.fates {
		f.recent = 0 // who counted may have forgotten
	}
}

var modelLanes = []string{"a", "b", "c"}

func (m *model) enqueue(t *rapid.T) {
	var items []Item
	var fates []*fate
	for range rapid.IntRange(1, 4).Draw(t, "items") {
		m.n++
		i := Item{rapid.SliceOfNDistinct(rapid.SampledFrom(modelLanes), 1, 3, rapid.ID).Draw(t, "lanes"), fmt.Append(nil, m.n)}
		items = append(items, i)
		for _, l := range i.Lanes {
			f := &fate{dropped: m.gone[l], key: l + " " + string(i.Body), lane: l, sent: time.Now(), deaths: m.deaths}
			f.never, f.fails = rapid.IntRange(0, 9).Draw(t, "never") == 0, max(0, rapid.IntRange(-3, m.policy.MaxRetries+1).Draw(t, "fails"))
			fates = append(fates, f)
		}
	}
	m.mu.Lock()
	for _, f := range fates {
		m.fates[f.key] = f
	}
	m.mu.Unlock()
	how := m.e.Enqueue
	written := rapid.IntRange(0, 3).Draw(t, "written") == 0
	if written {
		how = m.e.EnqueueWritten
	}
	err := how(context.Background(), items...)
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, f := range fates {
		f.acked = err == nil && !written
		f.refused = errors.Is(err, journal.ErrFull) || errors.Is(err, ErrClosed)
	}
	if err == nil && !written {
		m.order = append(m.order, fates...)
	}
}

// check is called when everything has had its time.
func (m *model) check() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, f := range m.fates {
		deaths := m.deaths - f.deaths
		if f.acked && !f.over() {
			m.t.Errorf("%s is lost, after %d attempts", f.key, f.attempts)
		}
		if n := f.taken + f.dead; n > 1+deaths {
			m.t.Errorf("%s was taken %d times and %d times dead, with %d deaths", f.key, f.taken, f.dead, deaths)
		}
		if most := 1 + m.policy.MaxRetries; f.recent > most+2*deaths {
			m.t.Errorf("%s was tried %d times since the last loss of power, with %d deaths", f.key, f.recent, deaths)
		}
		if f.dead > 0 && !f.never && f.taken == 0 && f.attempts <= m.policy.MaxRetries && time.Since(f.sent) < m.policy.MaxAge {
			m.t.Errorf("%s is dead after %d attempts", f.key, f.attempts)
		}
	}
	left := records(m.t, m.e.ingest)
	if s := m.e.Stats(); s.Waiting != 0 || len(m.e.open) != 0 || len(m.e.lanes) != 0 || left != 0 {
		m.t.Errorf("something is left: %+v, %d open, %d lanes, %d records", s, len(m.e.open), len(m.e.lanes), left)
	}
}

// TestModel holds an engine against a plain list, with receivers and a journal
// that fail, and processes that end with and without the power, at any point:
// what was acknowledged is taken or dead in the end; nothing comes to another
// lane; attempts, ages and dead letters are as the policy says, and the order is
// that of Enqueue in ordered lanes.
func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var failure any
		synctest.Test(t, func(*testing.T) {
			defer func() { failure = recover() }()
			m := &model{t: rt, j: mem.New(), down: map[string]bool{}, gone: map[string]bool{}, fates: map[string]*fate{},
				policy: Policy{MaxAge: rapid.SampledFrom([]time.Duration{time.Minute, 24 * time.Hour}).Draw(rt, "age"),
					MaxRetries: rapid.SampledFrom([]int{0, 1, 3, 20}).Draw(rt, "retries"), Backoff: boundedBackoff,
					Concurrent: rapid.IntRange(1, 3).Draw(rt, "concurrent"), Ordered: rapid.Bool().Draw(rt, "ordered"),
					PerSecond: rapid.SampledFrom([]float64{0, 0, 10}).Draw(rt, "rate")}}
			m.start()
			defer func() { m.stop(); <-m.ended }()
			fault := func(how func(after, n int)) func(*rapid.T) {
				return func(t *rapid.T) {
					how(rapid.IntRange(0, 4).Draw(t, "after"), rapid.IntRange(1, 3).Draw(t, "changes"))
				}
			}
			// What waits for a lane that is gone is dropped, or, if it is back in time, not.
			goes := func(t *rapid.T) {
				l := rapid.SampledFrom(modelLanes).Draw(t, "lane")
				synctest.Wait()
				m.mu.Lock()
				defer m.mu.Unlock()
				m.gone[l] = !m.gone[l]
				for _, f := range m.fates {
					f.dropped = f.dropped || f.lane == l
				}
			}
			flip := func(which map[string]bool) func(*rapid.T) {
				return func(t *rapid.T) {
					l := rapid.SampledFrom(modelLanes).Draw(t, "lane")
					m.mu.Lock()
					defer m.mu.Unlock()
					which[l] = !which[l]
				}
			}
			rt.Repeat(map[string]func(*rapid.T){
				"":        func(*rapid.T) { m.tend() },
				"enqueue": m.enqueue, "enqueue more": m.enqueue,
				"receiver": flip(m.down),
				"dead-letter queue": func(*rapid.T) {
					m.mu.Lock()
					defer m.mu.Unlock()
					m.closed = !m.closed
				},
				"goes":       goes,
				"refuse":     fault(m.faults.Refuse),
				"forget":     fault(m.faults.Forget),
				"hold":       fault(m.faults.Hold),
				"wait":       func(t *rapid.T) { time.Sleep(time.Duration(rapid.IntRange(0, 5000).Draw(t, "ms")) * time.Millisecond) },
				"wait long":  func(t *rapid.T) { time.Sleep(time.Duration(rapid.IntRange(0, 50).Draw(t, "s")) * time.Second) },
				"kill":       func(*rapid.T) { m.end(m.j.Reopen) },
				"lose power": m.loss,
				"stop": func(*rapid.T) {
					m.died() // an attempt that is cut off may have arrived
					m.stop()
					<-m.ended
					m.start()
				},
			})
			m.faults.Heal()
			m.mu.Lock()
			clear(m.down)
			m.closed = false
			m.mu.Unlock()
			for range 3 {
				time.Sleep(8 * time.Hour)
				m.tend()
			}
			m.check()
		})
		if failure != nil {
			panic(failure)
		}
	})
}
