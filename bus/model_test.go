package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"pgregory.net/rapid"

	"github.com/dhowhq/dhow/bus/delivery"
	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/journal"
	"github.com/dhowhq/dhow/journal/disktest"
	"github.com/dhowhq/dhow/store"
	"github.com/dhowhq/dhow/store/storetest"
)

// mtarget is a target as the model knows it.
type mtarget struct {
	rule, id string
	bus      string
	kinds    string // of events that its rule matches
	queue    string // for its dead letters, "" for none
	retries  int
}

func (m mtarget) key() string { return m.rule + "|" + m.id }

// mfate is an event on its way to a target, as it was put or by a replay.
type mfate struct {
	key      string
	target   mtarget
	replay   string
	due      bool // it is to be there in the end
	plan     int  // attempts that fail; -1: it is refused for good
	attempts int
	recent   int // since the last loss of power
	deaths   int // before it
	taken    int
	dead     int
}

// model is what a plain list knows of a bus.
type model struct {
	t       *rapid.T
	db      *store.DB
	d       disktest.Disk
	scope   cluster.Scope
	e       *Engine
	seen    *delivery.Engine // of the term that was seen last
	stop    func()
	targets map[string]mtarget
	archive Archive
	replays int

	mu     sync.Mutex
	down   bool           // targets take nothing
	plans  map[string]int // by event
	kinds  map[string]string
	born   map[string]int // deaths before events and replays
	fates  map[string]*mfate
	acked  map[string]bool
	no     map[string]bool // refused with nothing written
	deaths int
}

func (*model) Check(cluster.Scope, types.Target) error { return nil }

// fate is that of an event at a target; the lock is held.
func (m *model) fate(target mtarget, id, replay string) *mfate {
	key := target.key() + " " + id + " " + replay
	f := m.fates[key]
	if f == nil {
		f = &mfate{key: key, target: target, replay: replay, plan: m.plans[id], deaths: m.born[id]}
		if replay != "" {
			f.deaths = m.born[replay]
		}
		m.fates[key] = f
	}
	return f
}

func replayNameOf(event []byte) string {
	var v struct {
		Replay string `json:"replay-name"`
	}
	json.Unmarshal(event, &v)
	return v.Replay
}

// Send implements Target.
func (m *model) Send(ctx context.Context, d Delivery) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	target, ok := m.targets[d.RuleARN+"|"+*d.Target.Id]
	kind := m.kinds[d.EventID]
	if !ok || kind == "" || !strings.Contains(target.kinds, kind) {
		m.t.Errorf("event %s of kind %q came to %s of %s", d.EventID, kind, *d.Target.Id, d.RuleARN)
		return nil
	}
	f := m.fate(target, d.EventID, replayNameOf(d.Event))
	if m.no[d.EventID] {
		m.t.Errorf("%s came, and was refused to its sender", f.key)
	}
	f.attempts++
	f.recent++
	switch {
	case f.plan < 0:
		return delivery.Permanent(CodeNoPermissions, "never")
	case m.down || f.attempts <= f.plan:
		return delivery.Retryable(CodeThrottling, "not yet")
	}
	f.taken++
	return nil
}

func (m *model) deadLetter(_ context.Context, queue string, body []byte, attributes map[string]string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	id, _ := head(body)
	var target mtarget
	for _, t := range m.targets {
		if t.queue == queue {
			target = t
		}
	}
	f := m.fate(target, id, replayNameOf(body))
	f.dead++
	switch attributes["EXHAUSTED_RETRY_CONDITION"] {
	case "":
		if f.plan >= 0 || attributes["ERROR_CODE"] != CodeNoPermissions {
			m.t.Errorf("%s is dead as if refused for good: %v", f.key, attributes)
		}
	case delivery.ExhaustedAttempts:
		if f.attempts <= target.retries || attributes["RETRY_ATTEMPTS"] != fmt.Sprint(target.retries) {
			m.t.Errorf("%s is dead after %d attempts: %v", f.key, f.attempts, attributes)
		}
	default:
		m.t.Errorf("%s is dead: %v", f.key, attributes)
	}
	return nil
}

// rules makes the rules and the archive.
func (m *model) rules(t *rapid.T) {
	m.archive = Archive{Scope: m.scope, Name: "kept", ID: m.scope.Account, Bus: DefaultName, Pattern: `{"detail":{"k":["a","c"]}}`}
	put(m.t, m.db, Archives, m.archive)
	put(m.t, m.db, Buses, Bus{Scope: m.scope, Name: "other"})
	for _, r := range []struct {
		bus, name, pattern, kinds string
		targets                   int
	}{
		{DefaultName, "a", `["a"]`, "a", 2},
		{DefaultName, "ab", `["a","b"]`, "ab", 1},
		{DefaultName, "hop", `["c"]`, "", 0},
		{DefaultName, "none", `["x"]`, "", 1},
		{"other", "far", `[{"anything-but":"a"}]`, "c", 1},
	} {
		ru := Rule{Scope: m.scope, Bus: r.bus, Name: r.name, Pattern: `{"detail":{"k":` + r.pattern + `}}`, State: types.RuleStateEnabled}
		if r.name == "hop" {
			ru.Targets = []types.Target{{Id: ptr("other"), Arn: ptr(Bus{Scope: m.scope, Name: "other"}.ARN())}}
		}
		for i := range r.targets {
			target := mtarget{rule: ru.ARN(), id: fmt.Sprint("t", i), bus: r.bus, kinds: r.kinds, retries: rapid.IntRange(0, 3).Draw(t, "retries")}
			w := types.Target{Id: &target.id, Arn: ptr(m.scope.ARN("sqs", r.name+target.id)), RetryPolicy: &types.RetryPolicy{MaximumRetryAttempts: ptr(int32(target.retries))}}
			if rapid.Bool().Draw(t, "dead-letter queue") {
				target.queue = m.scope.ARN("sqs", "dead-"+r.name+target.id)
				w.DeadLetterConfig = &types.DeadLetterConfig{Arn: &target.queue}
			}
			m.targets[target.key()] = target
			ru.Targets = append(ru.Targets, w)
		}
		put(m.t, m.db, Rules, ru)
	}
}

// start begins a process, and has it lead.
func (m *model) start(j journal.Journal) {
	e, err := New(Config{DB: m.db, Journal: j, Targets: map[string]Target{"sqs": m}, DeadLetter: m.deadLetter})
	if err != nil {
		m.t.Fatal(err)
	}
	e.backoff = func(n int, _ float64) time.Duration { return time.Millisecond }
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { e.Run(ctx) })
	m.e, m.stop = e, sync.OnceFunc(func() { cancel(); work.Wait(); e.Close() })
	m.seen, _ = e.delivery(ctx) // or the disk fails already
}

func (m *model) died() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.deaths++
}

func (m *model) kill() {
	m.died()
	j := m.d.Kill() // before the engine's end, so that it writes nothing more
	m.stop()
	m.start(j)
}

func (m *model) lose(*rapid.T) {
	m.died()
	j := m.d.PowerLoss()
	m.stop()
	m.mu.Lock()
	for _, f := range m.fates {
		f.recent = 0
	}
	m.mu.Unlock()
	m.start(j)
}

// tend ends a process whose journal has failed, as it does itself.
func (m *model) tend(*rapid.T) {
	m.e.mu.RLock()
	now := m.e.deliver
	m.e.mu.RUnlock()
	switch {
	case now == nil:
		m.kill()
	case now != m.seen: // it has begun anew
		m.died()
		m.seen = now
	}
}

func (m *model) put(t *rapid.T) {
	var events []Event
	var ids []string
	m.mu.Lock()
	for range rapid.IntRange(1, 5).Draw(t, "events") {
		id := fmt.Sprint(len(m.kinds) + 1)
		kind := rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "kind")
		m.kinds[id], m.plans[id] = kind, max(rapid.IntRange(-4, 4).Draw(t, "plan"), -1)
		if m.plans[id] < 0 && rapid.Bool().Draw(t, "at once") {
			m.plans[id] = 0
		}
		m.born[id] = m.deaths
		ids = append(ids, id)
		events = append(events, Event{Bus: m.scope, Name: DefaultName, Ingested: now(), JSON: Render(Parts{Scope: m.scope, ID: id, Source: "s", DetailType: "d", Time: time.Now(), Detail: fmt.Appendf(nil, `{"k":%q}`, kind)})})
	}
	m.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	err := m.e.Put(ctx, events...)
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range ids {
		m.acked[id], m.no[id] = err == nil, errors.Is(err, journal.ErrFull)
		if err != nil {
			continue
		}
		for _, target := range m.targets {
			if strings.Contains(target.kinds, m.kinds[id]) {
				m.fate(target, id, "").due = true
			}
		}
	}
}

// archived is what is in the archive, by id, and how often.
func (m *model) archived() (map[string]int, error) {
	l, err := m.e.archives.get(context.Background(), m.db, m.archive.ID)
	if err != nil {
		return nil, err
	}
	out := map[string]int{}
	for r, err := range l.Read(context.Background(), 0) {
		if err != nil {
			return nil, err
		}
		v, err := decode(r.Data)
		if err != nil {
			m.t.Fatal(err)
		}
		id, _ := head(v.event)
		out[id]++
	}
	return out, nil
}

// sync makes durable what was read: a reader may be ahead of the sync.
func (m *model) sync() bool {
	l, err := m.d.Journal().Open(context.Background(), "sync", 1)
	if err == nil {
		_, err = l.Append(context.Background(), journal.Synced, nil)
	}
	return err == nil
}

// replay replays what the archive holds now.
func (m *model) replay(t *rapid.T) {
	held, err := m.archived()
	if err != nil || m.replays == MaxReplays || !m.sync() {
		return
	}
	m.replays++
	r := Replay{Scope: m.scope, Name: fmt.Sprint("replay", m.replays), Archive: m.archive.Name, ArchiveID: m.archive.ID, Bus: DefaultName,
		State: types.ReplayStateStarting, From: time.Unix(0, 0), To: time.Now().Add(time.Hour)}
	if rapid.Bool().Draw(t, "filter") {
		r.FilterARNs = []string{RuleARN(m.scope, DefaultName, "ab")}
	}
	m.mu.Lock()
	m.born[r.Name] = m.deaths
	for id := range held {
		for _, target := range m.targets {
			if strings.Contains(target.kinds, m.kinds[id]) && (r.FilterARNs == nil || slices.Contains(r.FilterARNs, target.rule)) {
				m.fate(target, id, r.Name).due = true
			}
		}
	}
	m.mu.Unlock()
	put(m.t, m.db, Replays, r)
}

// settle waits until there is nothing to be done.
func (m *model) settle(t *rapid.T) {
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		m.tend(nil)
		active := 0
		m.db.View(func(r store.Reader) error {
			for range Replays.By(r, "active", "1") {
				active++
			}
			return nil
		})
		s := m.e.Stats().Delivery
		if active == 0 && s.Waiting == 0 {
			return
		}
		if time.Now().After(end) {
			m.t.Fatalf("there is no end: %d replays, %+v", active, s)
		}
	}
}

func (m *model) check() {
	held, err := m.archived()
	if err != nil {
		m.t.Fatal(err)
	}
	size, err := m.e.SizeOf(context.Background(), m.archive)
	if err != nil || size.Events != int64(len(held)) {
		m.t.Errorf("the archive counts %d events of %d, %v", size.Events, len(held), err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, ok := range m.acked {
		if n := held[id]; strings.Contains("ac", m.kinds[id]) && ok && n != 1 || n > 1 {
			m.t.Errorf("event %s is %d times in the archive", id, n)
		}
	}
	for _, f := range m.fates {
		deaths := m.deaths - f.deaths
		over := f.taken+f.dead > 0
		given := f.target.queue == "" && (f.attempts > f.target.retries || f.plan < 0 && f.attempts > 0)
		if f.due && !over && !given {
			m.t.Errorf("%s is lost after %d attempts", f.key, f.attempts)
		}
		copies := 1 // that may have been enqueued
		if f.target.bus != DefaultName {
			copies += deaths // of the delivery to the bus
		}
		if n := f.taken + f.dead; n > copies*(1+deaths) {
			m.t.Errorf("%s was taken %d times and %d times dead, with %d deaths", f.key, f.taken, f.dead, deaths)
		}
		// A process that dies takes with it what its last milliseconds came to.
		if f.recent > copies*(1+f.target.retries)*(1+deaths) {
			m.t.Errorf("%s was tried %d times, with %d deaths", f.key, f.recent, deaths)
		}
	}
	m.db.View(func(r store.Reader) error {
		for rp := range Replays.List(r, m.scope.Prefix()) {
			if rp.State != types.ReplayStateCompleted {
				m.t.Errorf("replay %s is %s: %s", rp.Name, rp.State, rp.Reason)
			}
		}
		return nil
	})
}

// TestModel holds an engine against a plain list, with targets and a journal that
// fail, and processes that end with and without the power, at any point: what
// was acknowledged comes to each target whose rule matches, and to no other, or
// is dead as the target's policy says; it is in the archive once, and replays
// bring all that was there.
func TestModel(t *testing.T) {
	db := storetest.Open(t)
	disktest.Check(t, func(t *rapid.T, d disktest.Disk, n int) {
		m := &model{t: t, db: db, d: d, scope: cluster.Scope{Account: fmt.Sprintf("%012d", n), Region: "eu-west-1"}, targets: map[string]mtarget{},
			plans: map[string]int{}, kinds: map[string]string{}, born: map[string]int{}, fates: map[string]*mfate{}, acked: map[string]bool{}, no: map[string]bool{}}
		m.rules(t)
		m.start(d.Journal())
		defer func() {
			m.stop()
			for _, clear := range []func(context.Context, *store.DB, string) error{Rules.Clear, Archives.Clear, Buses.Clear, Replays.Clear} {
				if err := clear(context.Background(), db, m.scope.Prefix()); err != nil {
					t.Fatal(err)
				}
			}
		}()
		t.Repeat(map[string]func(*rapid.T){
			"":    m.tend,
			"put": m.put, "put more": m.put, "put again": m.put,
			"receivers": func(*rapid.T) {
				m.mu.Lock()
				defer m.mu.Unlock()
				m.down = !m.down
			},
			"fault":  d.Fail,
			"heal":   func(*rapid.T) { d.Heal() },
			"kill":   func(*rapid.T) { m.kill() },
			"lose":   m.lose,
			"replay": m.replay,
			"wait":   func(*rapid.T) { time.Sleep(time.Millisecond) },
		})
		d.Heal()
		m.mu.Lock()
		m.down = false
		m.mu.Unlock()
		m.kill() // a disk that has failed takes nothing
		m.settle(t)
		m.check()
	})
}
