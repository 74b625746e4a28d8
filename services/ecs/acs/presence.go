package acs

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// presence watches for nodes' signs of life. A node that is silent for one
// while counts as disconnected, and after a longer one as lost: then its tasks
// are given up.
//
// Silence is counted by a clock of its own, which stands still while this
// process does: a node cannot be heard by a control plane that is down, is
// suspended, or waits for its disk.
type presence struct {
	log           *slog.Logger
	silence, lost time.Duration
	// connect records whether a node is connected.
	connect func(ctx context.Context, node string, connected bool) error
	// giveUp ends the tasks of a lost node, and reports false if there is no
	// such node any more. It is asked at each turn for as long as the node is
	// lost: a task may have been placed there by somebody who did not know yet.
	giveUp func(ctx context.Context, node string) (there bool, err error)

	clock atomic.Int64 // nanoseconds that the process was there to listen

	mu    sync.Mutex
	seats map[string]*seat // by node
}

// seat is a node's place at this server.
type seat struct {
	clock *atomic.Int64
	seen  atomic.Int64 // by the clock, of the last sign of life

	mu      sync.Mutex // held while the store is told
	marked  bool       // the store says connected
	lost    bool
	session *session // the ACS session, nil if there is none
}

func (st *seat) touch() { st.seen.Store(st.clock.Load()) }

// step is the time between two turns, and how exact the clock is.
func (p *presence) step() time.Duration { return p.silence / 20 }

// seatOf returns the node's seat, made if absent.
func (p *presence) seatOf(node string) *seat {
	p.mu.Lock()
	defer p.mu.Unlock()
	st, ok := p.seats[node]
	if !ok {
		st = &seat{clock: &p.clock}
		st.touch()
		p.seats[node] = st
	}
	return st
}

// expect gives a node that an earlier life of the server knew as long as any
// other to show up.
func (p *presence) expect(node string, connected bool) {
	st := p.seatOf(node)
	st.mu.Lock()
	defer st.mu.Unlock()
	st.marked = st.marked || connected
}

// sit makes c the node's session, in place of an older one, and marks the node
// connected.
func (p *presence) sit(ctx context.Context, node string, c *session) (*seat, error) {
	st := p.seatOf(node)
	st.mu.Lock()
	for st != p.seatOf(node) { // freed while we waited for it
		st.mu.Unlock()
		st = p.seatOf(node)
		st.mu.Lock()
	}
	defer st.mu.Unlock()
	st.touch()
	if st.session != nil {
		st.session.replaced()
	}
	st.session = c
	if err := p.connect(ctx, node, true); err != nil {
		return st, err
	}
	if st.lost {
		p.log.Info("a lost node is back", "node", node)
	}
	st.marked, st.lost = true, false
	return st, nil
}

// leave gives up c's seat. The node stays connected until it has been silent
// for long enough: agents reconnect as a matter of course.
func (st *seat) leave(c *session) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.session == c {
		st.session = nil
	}
}

// run looks after the nodes until ctx ends.
func (p *presence) run(ctx context.Context, also func(now time.Time)) {
	tick := time.NewTicker(p.step())
	defer tick.Stop()
	for last := time.Now(); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := time.Now()
		p.clock.Add(int64(min(now.Sub(last), 2*p.step())))
		last = now
		p.turn(ctx)
		also(now)
	}
}

// atOnce bounds how many nodes the store is told of at the same time.
const atOnce = 16

func (p *presence) turn(ctx context.Context) {
	var all sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for node, st := range p.silent() {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			p.settle(ctx, node, st)
		})
	}
	all.Wait()
}

// silent returns the nodes that have said nothing for too long.
func (p *presence) silent() map[string]*seat {
	p.mu.Lock()
	defer p.mu.Unlock()
	found := map[string]*seat{}
	for node, st := range p.seats {
		if st.silentFor(p.silence + p.step()) {
			found[node] = st
		}
	}
	return found
}

func (st *seat) silentFor(d time.Duration) bool { return st.clock.Load()-st.seen.Load() >= int64(d) }

// settle marks a silent node, ends what is left of its session and, if it is
// lost, gives its tasks up. A store that fails is asked again at the next turn.
func (p *presence) settle(ctx context.Context, node string, st *seat) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if !st.silentFor(p.silence) {
		return // it has just come back
	}
	if st.session != nil {
		st.session.conn.CloseNow()
	}
	if st.marked {
		p.log.Info("node is silent", "node", node)
		if err := p.connect(ctx, node, false); err != nil {
			p.log.Warn("cannot mark a node as disconnected, will retry", "node", node, "err", err)
			return
		}
		st.marked = false
	}
	if !st.silentFor(p.lost + p.step()) {
		return
	}
	if !st.lost {
		p.log.Warn("node is lost, its tasks are given up", "node", node, "silent", p.lost)
		st.lost = true
	}
	there, err := p.giveUp(ctx, node)
	if err != nil {
		p.log.Warn("cannot give up the tasks of a lost node, will retry", "node", node, "err", err)
		return
	}
	if !there && st.session == nil {
		p.mu.Lock()
		delete(p.seats, node)
		p.mu.Unlock()
	}
}
