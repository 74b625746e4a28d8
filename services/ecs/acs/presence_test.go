package acs

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// told is a presence with the product's times, and what it told the store.
type told struct {
	*presence
	t     *testing.T
	began time.Time

	mu   sync.Mutex
	said []word
	fail error         // what the store answers
	slow time.Duration // that it takes
	gone bool          // the nodes have left
}

type word struct {
	at         time.Duration
	node, what string
}

func watched(t *testing.T, f func(p *told)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := &told{t: t, began: time.Now()}
		p.presence = &presence{log: slog.New(slog.DiscardHandler), silence: 20 * time.Second, lost: time.Minute, seats: map[string]*seat{},
			connect: func(_ context.Context, node string, connected bool) error {
				return p.note(node, map[bool]string{true: "connected", false: "disconnected"}[connected])
			},
			giveUp: func(_ context.Context, node string) (bool, error) {
				err := p.note(node, "given up")
				return !p.gone, err
			}}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); p.run(ctx, func(time.Time) {}) }()
		f(p)
		cancel()
		<-done
	})
}

func (p *told) note(node, what string) error {
	p.mu.Lock()
	p.said = append(p.said, word{time.Since(p.began), node, what})
	fail, slow := p.fail, p.slow
	p.mu.Unlock()
	time.Sleep(slow)
	return fail
}

func (p *told) store(fail error, slow time.Duration, gone bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fail, p.slow, p.gone = fail, slow, gone
}

// take returns what was told of a node since this was last asked.
func (p *told) take(node string) (of []word) {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	var rest []word
	for _, w := range p.said {
		if w.node == node {
			of = append(of, w)
		} else {
			rest = append(rest, w)
		}
	}
	p.said = rest
	return of
}

// only checks that one thing was told of a node, at a time between from and to.
func (p *told) only(node, what string, from, to time.Duration) {
	p.t.Helper()
	if said := p.take(node); len(said) != 1 || said[0].what != what || said[0].at < from || said[0].at > to {
		p.t.Errorf("told %+v, want only %s %s between %v and %v", said, node, what, from, to)
	}
}

func (p *told) nothing(node string) {
	p.t.Helper()
	if said := p.take(node); len(said) != 0 {
		p.t.Errorf("told %+v", said)
	}
}

func (p *told) comes(node string) *seat {
	p.t.Helper()
	st, err := p.sit(p.t.Context(), node, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	p.only(node, "connected", time.Since(p.began), time.Since(p.began))
	return st
}

// speaks lets time pass in which a node answers heartbeats.
func speaks(st *seat, d time.Duration) {
	for ; d > 0; d -= 9 * time.Second {
		time.Sleep(9 * time.Second)
		st.touch()
	}
}

// 20 s of silence make a node disconnected and nothing else.
func TestSilent(t *testing.T) {
	watched(t, func(p *told) {
		st := p.comes("n1")
		speaks(st, 10*time.Minute)
		p.nothing("n1")
		since := time.Since(p.began)
		time.Sleep(50 * time.Second)
		p.only("n1", "disconnected", since+20*time.Second, since+22*time.Second)
		st = p.comes("n1")
		speaks(st, 2*time.Minute)
		p.nothing("n1")
	})
}

// 60 s make it lost, and what is placed there later is given up, too, until it
// is back.
func TestLost(t *testing.T) {
	watched(t, func(p *told) {
		p.comes("n1")
		other := p.comes("n2")
		speaks(other, 54*time.Second)
		p.only("n1", "disconnected", 20*time.Second, 22*time.Second)
		speaks(other, 18*time.Second)
		said := p.take("n1")
		if len(said) < 10 || said[0].what != "given up" || said[0].at < time.Minute || said[0].at > 62*time.Second {
			t.Errorf("lost: told %+v", said)
		}
		st := p.comes("n1")
		for range 20 {
			time.Sleep(9 * time.Second)
			st.touch()
			other.touch()
		}
		p.nothing("n1")
		p.nothing("n2")
	})
}

// A server that starts gives all nodes as long as any other silence, those too
// that were silent when it went.
func TestStartGrace(t *testing.T) {
	watched(t, func(p *told) {
		p.expect("connected", true)
		p.expect("silent", false)
		p.expect("back", true)
		time.Sleep(15 * time.Second)
		back := p.comes("back")
		speaks(back, 36*time.Second)
		p.only("connected", "disconnected", 20*time.Second, 22*time.Second)
		p.nothing("silent")
		speaks(back, 18*time.Second)
		for _, node := range []string{"connected", "silent"} {
			if said := p.take(node); len(said) == 0 || said[0].what != "given up" || said[0].at < time.Minute {
				t.Errorf("%s: told %+v", node, said)
			}
		}
		p.nothing("back")
	})
}

// While the server itself stands still no silence counts: it was suspended, or
// waits for its disk.
func TestStandstill(t *testing.T) {
	watched(t, func(p *told) {
		p.comes("n1")
		other := p.comes("n2")
		time.Sleep(15 * time.Second)
		other.touch()
		p.store(nil, 10*time.Minute, false) // telling it of n1 takes so long
		time.Sleep(10 * time.Minute)
		p.store(nil, 0, false)
		p.only("n1", "disconnected", 20*time.Second, 22*time.Second)
		time.Sleep(15 * time.Second) // at 630 s: n2 has until 635 s, ten minutes later than by the wall clock
		p.nothing("n2")
		other.touch()
		speaks(other, 3*time.Minute)
		p.nothing("n2")
		if said := p.take("n1"); len(said) == 0 || said[0].what != "given up" || said[0].at < 10*time.Minute+55*time.Second {
			t.Errorf("n1: told %+v", said)
		}
	})
}

// What the store does not take is told again; a node that has left is
// forgotten.
func TestPresenceRetries(t *testing.T) {
	watched(t, func(p *told) {
		p.comes("n1")
		p.store(errors.New("full"), 0, false)
		time.Sleep(90 * time.Second)
		said := p.take("n1")
		for _, w := range said {
			if w.what != "disconnected" {
				t.Errorf("told %+v before that was taken", w)
			}
		}
		if len(said) < 60 {
			t.Errorf("told %d times", len(said))
		}
		p.store(nil, 0, true)
		time.Sleep(5 * time.Second)
		if said := p.take("n1"); len(said) != 2 || said[1].what != "given up" {
			t.Errorf("then %+v", said)
		}
		p.presence.mu.Lock()
		defer p.presence.mu.Unlock()
		if len(p.seats) != 0 {
			t.Errorf("seats %v", p.seats)
		}
	})
}
