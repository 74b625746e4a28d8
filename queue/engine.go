package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/internal/arn"
	"github.com/dhowhq/dhow/journal"
	"github.com/dhowhq/dhow/store"
)

// Config is what an engine is made of.
type Config struct {
	DB      *store.DB
	Journal journal.Journal
	Log     *slog.Logger // nil is slog.Default()
	// Admit is asked for each message that a message move task takes from the
	// queue of an ARN to another one, and may change its attributes. What it
	// refuses goes to the end of the queue that it is in. nil admits all.
	Admit func(from string, to *Definition, m *Message) error
	// DeadLetter is the ARN of the queue that gets what a queue refuses, beside
	// that of its redrive policy; "" for none. nil: no queue has such a one.
	DeadLetter func(*Definition) string
}

// Engine owns the queues of a process. Its calls work while Run runs and this
// process holds the lease; before that they wait, for patience at most.
type Engine struct {
	cfg  Config
	log  *slog.Logger
	rows rows

	mu      sync.RWMutex
	term    int64         // 0 while another process owns the queues
	leading chan struct{} // closed while term is not 0
	states  map[string]*opening

	ending  chan struct{} // closed when nobody is to wait any more
	endOnce sync.Once

	tasks chan struct{} // capacity one: look at the move tasks
	lost  lost
	work  sync.WaitGroup
}

// patience is how long a call waits for this process to own the queues.
const patience = 10 * time.Second

// opening is a state that is being loaded, or was.
type opening struct {
	done chan struct{}
	st   *state
	err  error
}

// New returns an engine; Run makes it work.
func New(c Config) *Engine {
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return &Engine{cfg: c, log: c.Log, rows: table{c.DB}, leading: make(chan struct{}), states: map[string]*opening{}, ending: make(chan struct{}), tasks: make(chan struct{}, 1), lost: newLost()}
}

// EndWaits answers the receivers that wait, with nothing, and lets no other wait
// from then on, nor any call for the ownership of the queues: for a process that
// is about to end.
func (e *Engine) EndWaits() { e.endOnce.Do(func() { close(e.ending) }) }

// Run takes the lease and serves the queues until ctx ends.
func (e *Engine) Run(ctx context.Context) error { return e.cfg.DB.Lead(ctx, "queues", e.lead) }

// lead serves one term.
func (e *Engine) lead(ctx context.Context) {
	e.reign(store.Term(ctx))
	e.work.Go(func() { e.dropOrphans(ctx) })
	e.work.Go(func() { e.warmUp(ctx) })
	e.work.Go(func() { e.moveTasks(ctx) })
	e.work.Go(func() { e.reopen(ctx) })
	e.maintain(ctx)
	e.work.Wait()
	e.abdicate()
}

// reign begins a term.
func (e *Engine) reign(term int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.term = term
	close(e.leading)
}

// abdicate closes all queues, with a checkpoint where that is still possible.
func (e *Engine) abdicate() {
	e.mu.Lock()
	e.term, e.leading = 0, make(chan struct{})
	states := e.states
	e.states = map[string]*opening{}
	e.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var work sync.WaitGroup
	slots := make(chan struct{}, 16)
	for _, o := range states {
		work.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			if <-o.done; o.err != nil {
				return
			}
			if err := o.st.checkpoint(ctx); err != nil && !errors.Is(err, journal.ErrFenced) {
				e.log.Warn("a queue's last checkpoint failed; the next start reads more", "err", err)
			}
			o.st.close(ErrUnavailable)
			o.st.work.Wait()
		})
	}
	work.Wait()
}

// dropOrphans removes logs of queues that are no more: their removal was cut
// short.
func (e *Engine) dropOrphans(ctx context.Context) {
	names, err := e.cfg.Journal.Names(ctx, logPrefix)
	if err != nil {
		e.log.Warn("cannot look for logs of deleted queues", "err", err)
		return
	}
	known := map[string]bool{}
	e.cfg.DB.View(func(r store.Reader) error {
		for d := range Definitions.List(r, "") {
			known[d.ID] = true
		}
		return nil
	})
	for _, name := range names {
		id, _, _ := strings.Cut(strings.TrimPrefix(name, logPrefix), "/")
		if known[id] {
			continue
		}
		if err := e.cfg.Journal.Drop(ctx, name, store.Term(ctx)); err != nil {
			e.log.Warn("cannot drop the log of a deleted queue", "log", name, "err", err)
		}
	}
}

// warmUp opens all queues, so that their first calls need not wait, and ends the
// moves that a crash has cut short.
func (e *Engine) warmUp(ctx context.Context) {
	var all []Definition
	e.cfg.DB.View(func(r store.Reader) error {
		for d := range Definitions.List(r, "") {
			all = append(all, d)
		}
		return nil
	})
	e.openAll(ctx, all)
}

func (e *Engine) openAll(ctx context.Context, all []Definition) {
	slots := make(chan struct{}, 2)
	var work sync.WaitGroup
	for _, d := range all {
		slots <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		work.Go(func() {
			defer func() { <-slots }()
			if _, err := (&Queue{Definition: d, e: e}).open(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, ErrNoQueue) {
				e.log.Error("a queue cannot be opened, will retry", "queue", d.ARN(), "err", err)
				e.lost.add(d.ID)
			}
		})
	}
	work.Wait()
}

// How often checkpoints are thought of, and how old changes grow without one.
const (
	maintainEvery = time.Second
	pointAge      = 30 * time.Second
)

// maintain makes checkpoints where they are due and lets old messages go.
func (e *Engine) maintain(ctx context.Context) {
	tick := time.NewTicker(maintainEvery)
	defer tick.Stop()
	slots := make(chan struct{}, 2)
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if n%60 == 0 {
			if err := e.clearGraves(ctx, "", millis()-DeleteInterval.Milliseconds()); err != nil && ctx.Err() == nil {
				e.log.Warn("cannot forget names of deleted queues, will retry", "err", err)
			}
		}
		for _, s := range e.open() {
			if n%10 == 0 {
				if q, err := e.byID(s.id); err == nil {
					s.counts(&q.Definition) // lets old messages go
				}
			}
			if !s.wantsPoint() {
				continue
			}
			slots <- struct{}{}
			e.work.Go(func() {
				defer func() { <-slots }()
				// One that is cut short leaves the queue unusable for the last one.
				if err := s.checkpoint(context.WithoutCancel(ctx)); err != nil && ctx.Err() == nil {
					e.log.Warn("a queue's checkpoint failed, will retry", "queue", s.id, "err", err)
				}
			})
		}
	}
}

// open are the states that are open.
func (e *Engine) open() (all []*state) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	for _, o := range e.states {
		select {
		case <-o.done:
			if o.err == nil {
				all = append(all, o.st)
			}
		default:
		}
	}
	return all
}

// await returns the term once this process owns the queues.
func (e *Engine) await(ctx context.Context) (int64, error) {
	e.mu.RLock()
	term, leading := e.term, e.leading
	e.mu.RUnlock()
	if term != 0 {
		return term, nil
	}
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case <-leading:
		e.mu.RLock()
		defer e.mu.RUnlock()
		if e.term != 0 {
			return e.term, nil
		}
		return 0, ErrUnavailable
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-e.ending: // nobody will: what moves messages must not hold up the end
		return 0, ErrUnavailable
	case <-t.C:
		return 0, ErrUnavailable
	}
}

// Queue returns the queue of that name, or ErrNoQueue. The value is for now:
// look a queue up for each call, which costs less than a microsecond.
func (e *Engine) Queue(scope cluster.Scope, name string) (*Queue, error) {
	return e.of(e.rows.byName(scope.Key(name)))
}

func (e *Engine) of(d Definition, ok bool) (*Queue, error) {
	if !ok {
		return nil, ErrNoQueue
	}
	return &Queue{Definition: d, e: e}, nil
}

// QueueByARN is Queue for an ARN.
func (e *Engine) QueueByARN(s string) (*Queue, error) {
	a, err := arn.Parse(s)
	if err != nil || a.Service != "sqs" {
		return nil, ErrNoQueue
	}
	return e.Queue(cluster.Scope{Account: a.Account, Region: a.Region}, a.Resource)
}

// byID is the queue with that ID.
func (e *Engine) byID(id string) (*Queue, error) { return e.of(e.rows.byID(id)) }

// rows are the definitions of queues.
type rows interface {
	byName(key string) (Definition, bool)
	byID(id string) (Definition, bool)
}

// table is the store's rows.
type table struct{ db *store.DB }

func (t table) byName(key string) (d Definition, ok bool) {
	t.db.View(func(r store.Reader) error { d, ok = Definitions.Get(r, key); return nil })
	return d, ok
}

func (t table) byID(id string) (d Definition, ok bool) {
	t.db.View(func(r store.Reader) error {
		for d = range Definitions.By(r, "id", id) {
			ok = true
		}
		return nil
	})
	return d, ok
}

const logPrefix = "queue/"

// logNames are the names of a queue's logs: messages, changes, checkpoints.
func logNames(id string) [3]string {
	return [3]string{logPrefix + id + "/messages", logPrefix + id + "/changes", logPrefix + id + "/points"}
}

// open returns the queue's state, loading it if need be.
func (q *Queue) open(ctx context.Context) (*state, error) {
	e := q.e
	e.mu.RLock()
	o := e.states[q.ID]
	e.mu.RUnlock()
	if o == nil {
		term, err := e.await(ctx)
		if err != nil {
			return nil, err
		}
		if o, err = e.begin(q, term); err != nil {
			return nil, err
		}
	}
	select {
	case <-o.done:
		return o.st, o.err
	default:
	}
	select {
	case <-o.done:
		return o.st, o.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// begin starts to load a queue, unless somebody did.
func (e *Engine) begin(q *Queue, term int64) (*opening, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if o := e.states[q.ID]; o != nil {
		return o, nil
	}
	if e.term != term {
		return nil, ErrUnavailable
	}
	if _, err := e.byID(q.ID); err != nil {
		return nil, err // removed since it was looked up
	}
	o := &opening{done: make(chan struct{})}
	e.states[q.ID] = o
	go func() {
		defer close(o.done)
		if o.st, o.err = e.load(q, term); o.err != nil {
			o.err = fmt.Errorf("%w: %w", ErrUnavailable, o.err)
			e.forget(q.ID, o)
		}
	}()
	return o, nil
}

// forget lets the next call load a queue anew.
func (e *Engine) forget(id string, o *opening) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.states[id] == o {
		delete(e.states, id)
	}
}

// load opens the logs of a queue and reads them.
func (e *Engine) load(q *Queue, term int64) (*state, error) {
	ctx := context.Background()
	s, err := newState(&q.Definition, e.log)
	if err != nil {
		return nil, err
	}
	names := logNames(q.ID)
	for i, l := range []*journal.Log{&s.m, &s.c, &s.k} {
		if *l, err = e.cfg.Journal.Open(ctx, names[i], term); err != nil {
			return nil, err
		}
	}
	s.resolve, s.byID, s.ending = e.QueueByARN, e.byID, e.ending
	s.gone = func(s *state) {
		e.mu.Lock()
		defer e.mu.Unlock()
		if o := e.states[s.id]; o != nil && o.st == s {
			delete(e.states, s.id)
			e.lost.add(s.id)
		}
	}
	if err := s.load(ctx); err != nil {
		return nil, err
	}
	if len(s.moving) > 0 {
		d, seqs := q.Definition, slices.Collect(maps.Keys(s.moving))
		s.work.Go(func() { s.resume(ctx, &d, seqs) })
	}
	return s, nil
}
