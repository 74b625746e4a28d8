package delivery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dhowhq/dhow/journal"
)

const (
	defaultAge     = 24 * time.Hour
	defaultTimeout = 30 * time.Second
)

var defaultBackoff = Exponential(time.Second, 15*time.Minute)

// outcome is what an attempt led to.
type outcome int

const (
	delivered outcome = iota
	again             // the task's state says when
	gaveUp            // it is dead and Dead took it, or lost
	dropped           // its lane is gone
	ended             // the engine stops; nothing is known of it
)

// deliver makes one attempt.
func (e *Engine) deliver(t *task) {
	defer e.work.Done()
	s, out := e.attempt(t)
	e.mu.Lock()
	defer e.mu.Unlock()
	t.lane.active--
	switch out {
	case ended:
		return // the next Open finds it as it was
	case again:
		t.state = s
		e.changed = append(e.changed, t)
		e.uncache(t.rec)
		t.lane.add(t)
		e.wakeFlush()
	default:
		t.done = true
		t.lane.told()
		e.stats.Waiting--
		if t.rec.left--; t.rec.left == 0 {
			e.finish(t.rec)
		} else {
			e.changed = append(e.changed, t)
		}
		e.wakeFlush()
	}
	e.count(out)
	e.pump(t.lane)
}

func (e *Engine) count(out outcome) {
	switch out {
	case delivered:
		e.stats.Delivered++
	case again:
		e.stats.Failed++
	case gaveUp:
		e.stats.Dead++
	case dropped:
		e.stats.Dropped++
	}
}

// finish lets a record go whose lanes are all done.
func (e *Engine) finish(r *record) {
	delete(e.open, r.seq)
	e.uncache(r)
	e.done = append(e.done, r)
}

func (e *Engine) uncache(r *record) {
	if r.body != nil {
		r.body = nil
		e.cached -= r.size
	}
}

// attempt sends t, or tells Dead of it, and returns the state that follows. Only
// the goroutine of an attempt reads or writes its task's state.
func (e *Engine) attempt(t *task) (state, outcome) {
	s := t.state
	p, ok := e.cfg.Policy(t.lane.name)
	if !ok {
		return s, dropped
	}
	body, err := e.body(t.rec)
	if err != nil {
		switch {
		case e.ctx.Err() != nil:
			return s, ended
		case !errors.Is(err, journal.ErrNotFound) && !errors.Is(err, errRecord):
			// The journal is away: nothing is known of the message, and none
			// behind it in an ordered lane may overtake it.
			e.cfg.Log.Warn("a message cannot be read, will retry", "lane", t.lane.name, "record", t.rec.seq, "err", err)
			s.next = time.Now().Add(time.Second)
			return s, again
		}
		e.cfg.Log.Error("a message cannot be read, its delivery is dropped", "lane", t.lane.name, "record", t.rec.seq, "err", err)
		return s, dropped
	}
	m := Message{Lane: t.lane.name, Body: body, Enqueued: t.rec.at, Attempts: s.attempts}
	if s.dead {
		return e.bury(m, s)
	}
	age := p.MaxAge
	if age == 0 {
		age = defaultAge
	}
	if time.Since(t.rec.at) >= age {
		return e.die(m, s, ExhaustedAge)
	}
	if err = e.send(p, m); err == nil {
		return s, delivered
	}
	if e.ctx.Err() != nil {
		return s, ended
	}
	s.attempts++
	s.why.Message, s.why.Code = said(err), ""
	var told *Error
	var after time.Duration
	if errors.As(err, &told) {
		s.why.Code, after = told.Code, told.After
	}
	switch {
	case told != nil && told.Permanent:
		return e.die(m, s, "")
	case s.attempts > p.MaxRetries:
		return e.die(m, s, ExhaustedAttempts)
	}
	backoff := p.Backoff
	if backoff == nil {
		backoff = defaultBackoff
	}
	// What cannot be tried before it is too old is dead when it is.
	wait := min(max(backoff(s.attempts, chance()), after), time.Until(t.rec.at.Add(age)))
	s.next = time.Now().Add(max(wait, 0))
	return s, again
}

// send calls the Sender; that it panics is an error like another.
func (e *Engine) send(p Policy, m Message) (err error) {
	timeout := p.Timeout
	if timeout == 0 {
		timeout = defaultTimeout
	}
	ctx, cancel := context.WithTimeout(e.ctx, timeout)
	defer cancel()
	defer func() {
		if r := recover(); r != nil {
			e.cfg.Log.Error("a sender panicked", "lane", m.Lane, "panic", r)
			err = fmt.Errorf("the sender panicked: %v", r)
		}
	}()
	return e.cfg.Send(ctx, m)
}

// die gives a message up.
func (e *Engine) die(m Message, s state, exhausted string) (state, outcome) {
	s.dead = true
	s.why.Exhausted, s.why.Retries = exhausted, max(s.attempts-1, 0)
	s.attempts = 0 // from here on, those to bury it
	return e.bury(m, s)
}

// bury takes a dead message to Config.Dead.
func (e *Engine) bury(m Message, s state) (state, outcome) {
	if e.cfg.Dead == nil {
		return s, gaveUp
	}
	ctx, cancel := context.WithTimeout(e.ctx, defaultTimeout)
	defer cancel()
	err := e.cfg.Dead(ctx, m, s.why)
	if err == nil {
		return s, gaveUp
	}
	if e.ctx.Err() != nil {
		return s, ended
	}
	s.attempts++
	var told *Error
	if errors.As(err, &told) && told.Permanent || s.attempts > EventBridge.MaxRetries || time.Since(m.Enqueued) > 2*max(defaultAge, EventBridge.MaxAge) {
		e.cfg.Log.Warn("a message is lost: it was given up, and its dead-letter queue does not take it", "lane", m.Lane, "why", s.why.Message, "err", err)
		return s, gaveUp
	}
	s.next = time.Now().Add(defaultBackoff(s.attempts, chance()))
	return s, again
}

// body returns a record's body, from memory or disk.
func (e *Engine) body(r *record) ([]byte, error) {
	e.mu.Lock()
	body := r.body
	e.mu.Unlock()
	if body != nil {
		return body, nil
	}
	got, err := e.ingest.Get(e.ctx, r.seq)
	if err != nil {
		return nil, err
	}
	_, item, err := decodeItem(got[0].Data)
	return item.Body, err
}
