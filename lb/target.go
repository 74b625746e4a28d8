package lb

import (
	"context"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// target is a registered target at work.
type target struct {
	g   *group
	key string       // of its Registration
	reg Registration // guarded by g.mu

	rec     record // guarded by g.mu
	probing bool   // guarded by g.mu: a check is under way
	last    bool   // guarded by g.mu: the Mark that was written last

	at       atomic.Pointer[endpoint]
	inflight atomic.Int64 // requests and upgraded connections
	draining atomic.Bool  // no new requests
	suspect  atomic.Bool  // a request could not reach it; avoided until a check succeeds

	mu   sync.Mutex
	idle []*conn            // the newest last
	busy map[*conn]struct{} // to be closed when the target is gone
	gone bool               // no connection may be kept

	due  time.Time // guarded by the agenda
	slot int       // guarded by the agenda
}

// endpoint is where a target is dialled.
type endpoint struct {
	network string // "" is the host's
	address string // with port
	host    string // without
	secure  bool
}

// done ends a request that pick began.
func (t *target) done() {
	if t.inflight.Add(-1) == 0 && t.draining.Load() {
		t.g.e.drained(t)
	}
}

// maxIdle bounds the idle connections that are kept for each target.
const maxIdle = 128

// idleFor is how long a connection to a target may be idle. A connection that
// the target has closed meanwhile is noticed before it is used.
const idleFor = 30 * time.Second

// trustFor is how long after its last use a connection is taken to be alive
// without a look, for a request that can be repeated if it is not.
const trustFor = time.Second

// get returns a connection to the target: an idle one that is still alive, if
// fresh is not asked for, or a new one.
func (t *target) get(ctx context.Context, fresh, repeatable bool, patience time.Duration) (*conn, error) {
	for !fresh {
		t.mu.Lock()
		n := len(t.idle)
		if n == 0 {
			t.mu.Unlock()
			break
		}
		c := t.idle[n-1]
		t.idle[n-1] = nil
		t.idle = t.idle[:n-1]
		t.busy[c] = struct{}{}
		t.mu.Unlock()
		if repeatable && time.Since(c.since) < trustFor && c.br.Buffered() == 0 || c.usable() {
			c.reused = true
			return c, nil
		}
		t.drop(c)
	}
	at := t.at.Load()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	raw, err := t.g.e.dial(ctx, at.network, at.address, at.secure)
	if err != nil {
		return nil, err
	}
	c := newConn(raw)
	t.mu.Lock()
	t.busy[c] = struct{}{}
	if t.gone {
		raw.Close()
	}
	t.mu.Unlock()
	return c, nil
}

// put takes back a connection that can be used again.
func (t *target) put(c *conn) {
	c.since = time.Now()
	t.mu.Lock()
	delete(t.busy, c)
	keep := !t.gone && len(t.idle) < maxIdle && !t.draining.Load() && !t.suspect.Load()
	if keep {
		t.idle = append(t.idle, c)
	}
	first := keep && len(t.idle) == 1
	t.mu.Unlock()
	if !keep {
		c.Close()
	} else if first {
		t.g.e.sweeper.note(t)
	}
}

// drop closes a connection that cannot be used again.
func (t *target) drop(c *conn) {
	c.Close()
	t.mu.Lock()
	delete(t.busy, c)
	t.mu.Unlock()
}

// closeIdle closes the connections that have been idle since before then, and
// reports whether some are left.
func (t *target) closeIdle(then time.Time) (left bool) {
	t.mu.Lock()
	n := 0
	for n < len(t.idle) && !t.idle[n].since.After(then) {
		n++
	}
	old := append([]*conn(nil), t.idle[:n]...)
	t.idle = append(t.idle[:0], t.idle[n:]...)
	left = len(t.idle) > 0
	t.mu.Unlock()
	for _, c := range old {
		c.Close()
	}
	return left
}

// close closes all connections and lets none be kept any more.
func (t *target) close() {
	t.closeIdle(time.Now().Add(time.Hour))
	t.mu.Lock()
	defer t.mu.Unlock()
	t.gone = true
	for c := range t.busy {
		c.Close()
	}
}

// resolve finds the target's endpoint anew; an instance that is not known has
// none.
func (t *target) resolve(row *TargetGroup) bool {
	at := endpoint{network: row.Network, secure: row.Protocol == "HTTPS", host: t.reg.ID}
	switch {
	case row.Type == "instance":
		host, ok := "", false
		if t.g.e.cfg.Instance != nil {
			host, ok = t.g.e.cfg.Instance(row.Scope, t.reg.ID)
		}
		if !ok {
			return false
		}
		at.network, at.host = "", host
	default:
		if a, err := netip.ParseAddr(t.reg.ID); err != nil || !row.Inside(a) {
			at.network = ""
		}
	}
	at.address = net.JoinHostPort(at.host, strconv.Itoa(int(t.reg.Port)))
	if old := t.at.Load(); old == nil || *old != at {
		t.at.Store(&at)
		if old != nil {
			t.closeIdle(time.Now().Add(time.Hour))
		}
	}
	return true
}

// sweeper closes connections that have been idle too long. Its timer runs only
// while there are some.
type sweeper struct {
	mu      sync.Mutex
	targets map[*target]struct{}
	timer   *time.Timer
}

// note tells of a target that has idle connections.
func (s *sweeper) note(t *target) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.targets == nil {
		s.targets = map[*target]struct{}{}
	}
	s.targets[t] = struct{}{}
	if s.timer == nil {
		s.timer = time.AfterFunc(idleFor/4, s.sweep)
	}
}

func (s *sweeper) sweep() {
	s.mu.Lock()
	defer s.mu.Unlock()
	then := time.Now().Add(-idleFor)
	for t := range s.targets {
		if !t.closeIdle(then) {
			delete(s.targets, t)
		}
	}
	s.timer = nil
	if len(s.targets) > 0 {
		s.timer = time.AfterFunc(idleFor/4, s.sweep)
	}
}
