package queue

import (
	"context"
	"time"
)

// waiter is a receiver, who may have to wait.
type waiter struct {
	d          *Definition
	max        int
	visibility time.Duration
	attempt    string

	got    []taken
	repeat bool // got is what an earlier receive of the same attempt got
	err    error
	done   chan struct{} // closed when got or err is set; nil before it waits

	prev, next *waiter
	queued     bool
}

func (w *waiter) end(err error) {
	w.err, w.queued = err, false
	close(w.done)
}

// waiters stand in line.
type waiters struct{ first, last *waiter }

func (l *waiters) push(w *waiter) {
	w.prev, w.next, w.queued = l.last, nil, true
	if l.last != nil {
		l.last.next = w
	} else {
		l.first = w
	}
	l.last = w
}

func (l *waiters) remove(w *waiter) {
	if !w.queued {
		return
	}
	w.queued = false
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		l.first = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	} else {
		l.last = w.prev
	}
	w.prev, w.next = nil, nil
}

func (l *waiters) all() (ws []*waiter) {
	for w := l.first; w != nil; w = w.next {
		ws = append(ws, w)
	}
	return ws
}

// await takes messages for w: at once, or when some come within wait and all
// who stand before w have theirs.
func (s *state) await(ctx context.Context, w *waiter, wait time.Duration) error {
	s.mu.Lock()
	for {
		if s.failed != nil {
			defer s.mu.Unlock()
			return s.failed
		}
		now := millis()
		s.advance(w.d, now)
		s.serve(now)
		var dead []uint64
		if !s.again(w, now) && s.waiting.first == nil {
			var got []taken
			got, dead = s.take(w.d, now, w.max, w.visibility)
			s.give(w, got, now)
		}
		if len(dead) == 0 {
			break
		}
		s.mu.Unlock()
		s.bury(ctx, w.d, dead)
		s.mu.Lock()
		if len(w.got) > 0 {
			break
		}
	}
	if len(w.got) > 0 || wait <= 0 {
		defer s.mu.Unlock()
		if len(w.got) == 0 && !s.index.fifo && s.index.count[inFlight] >= MaxInFlight {
			return ErrOverLimit
		}
		return nil
	}
	w.done = make(chan struct{})
	s.waiting.push(w)
	s.arm()
	s.mu.Unlock()
	return s.stand(ctx, w, wait)
}

// stand waits in line.
func (s *state) stand(ctx context.Context, w *waiter, wait time.Duration) error {
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-w.done:
	case <-t.C:
	case <-s.ending:
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting.remove(w)
	return w.err
}

// give notes what a receiver gets.
func (s *state) give(w *waiter, got []taken, now int64) {
	w.got = got
	if w.attempt == "" || len(got) == 0 {
		return
	}
	of := make([]handle, len(got))
	for i := range got {
		of[i] = handle{got[i].seq, got[i].e.receives}
	}
	s.attempts.note(w.attempt, of, now)
}

// again gives a receiver what its attempt got before, as far as it is still in
// flight, for a visibility timeout from now on (ReceiveMessage in the API
// reference). It reports whether there was any.
func (s *state) again(w *waiter, now int64) bool {
	if w.attempt == "" {
		return false
	}
	of, _ := s.attempts.get(w.attempt, now)
	for _, h := range of {
		e := s.index.get(h.seq)
		if e == nil || e.phase != inFlight || e.receives != h.receives {
			continue
		}
		e.setVisibleAt(now + w.visibility.Milliseconds())
		s.index.due.push(due{e.visibleAt(), h.seq})
		s.index.touch(h.seq)
		w.got = append(w.got, taken{h.seq, *e})
	}
	w.repeat = len(w.got) > 0
	return w.repeat
}

// serve gives what is ready to those who wait, in the order they came. The lock
// is held, and what is due by now has turned.
func (s *state) serve(now int64) {
	for w := s.waiting.first; w != nil; w = s.waiting.first {
		got, dead := s.take(w.d, now, w.max, w.visibility)
		if len(dead) > 0 {
			d := w.d
			s.work.Go(func() { s.bury(context.Background(), d, dead) })
		}
		if len(got) > 0 {
			s.waiting.remove(w)
			s.give(w, got, now)
			close(w.done)
		} else if len(dead) == 0 {
			break
		}
	}
	s.arm()
}

// arm sets the timer to the next moment that somebody waits for.
func (s *state) arm() {
	if s.waiting.first == nil || s.failed != nil {
		return
	}
	at := s.index.nextDue()
	if at == 0 || at == s.timerAt {
		return
	}
	s.timerAt = at
	d := time.Until(time.UnixMilli(at))
	if s.timer == nil {
		s.timer = time.AfterFunc(d, s.tick)
	} else {
		s.timer.Reset(d)
	}
}

// tick is what the timer does.
func (s *state) tick() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.timerAt = 0
	if w := s.waiting.first; w != nil && s.failed == nil {
		now := millis()
		s.advance(w.d, now)
		s.serve(now)
	}
}
