package queue

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/dhowhq/dhow/journal"
)

// taken is a message that a receiver gets.
type taken struct {
	seq uint64
	e   entry // as it was when taken
}

// take gives up to max messages to a receiver, and names those that were
// received too often already and go to the dead-letter queue instead. The lock
// is held.
func (s *state) take(d *Definition, now int64, max int, visibility time.Duration) (got []taken, dead []uint64) {
	x := s.index
	for len(got) < max && x.count[inFlight] < MaxInFlight {
		n, ok := x.pick()
		if !ok {
			break
		}
		seq, buried := x.groups.at(n).head, len(dead)
		for seq != 0 && len(got) < max && x.count[inFlight] < MaxInFlight {
			e := x.get(seq)
			if e.phase != ready {
				break // a FIFO group goes no further than its first delayed message
			}
			next := e.next
			if d.Redrive != nil && int(e.receives) >= d.Redrive.Max && now >= s.deadFrom {
				x.turn(seq, e, moving)
				s.moving[seq] = ""
				dead = append(dead, seq)
			} else if x.fifo && len(dead) > buried {
				break // what left may come back, and would be overtaken
			} else {
				e.received(now)
				e.setVisibleAt(now + visibility.Milliseconds())
				x.turn(seq, e, inFlight)
				got = append(got, taken{seq, *e})
			}
			if !x.fifo {
				break // fairness may choose another group for the next
			}
			seq = next
		}
		if len(dead) >= 100 {
			break
		}
	}
	return got, dead
}

// receive is Queue.Receive.
func (s *state) receive(ctx context.Context, d *Definition, r Receive) ([]Delivery, error) {
	w := &waiter{d: d, max: max(1, r.Max), visibility: seconds(d.Visibility), attempt: r.Attempt}
	if r.Visibility != nil {
		w.visibility = *r.Visibility
	}
	wait := r.Wait
	if wait < 0 {
		wait = seconds(d.Wait)
	}
	if err := s.await(ctx, w, wait); err != nil || len(w.got) == 0 {
		return nil, err
	}
	if err := ctx.Err(); err != nil { // nobody is there to take them
		s.untake(w)
		return nil, err
	}
	return s.deliver(ctx, w)
}

// untake gives messages back that could not be handed over, as if they had
// never been taken.
func (s *state) untake(w *waiter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !w.repeat {
		s.attempts.forget(w.attempt) // it got nothing: the next receive of these messages is another's
	}
	for _, t := range slices.Backward(w.got) {
		e := s.index.get(t.seq)
		if e == nil || e.phase != inFlight || e.receives != t.e.receives || w.repeat {
			continue
		}
		if e.receives--; e.receives == 0 {
			e.first = 0
		}
		e.setVisibleAt(e.sent)
		s.index.turn(t.seq, e, ready)
	}
	if s.failed == nil {
		s.serve(millis())
	}
}

// deliver writes the receives and reads the bodies.
func (s *state) deliver(ctx context.Context, w *waiter) ([]Delivery, error) {
	record := appendString([]byte{changeReceive}, w.attempt)
	seqs := make([]uint64, len(w.got))
	for i := range w.got {
		record = appendReceive(record, w.got[i].seq, &w.got[i].e)
		seqs[i] = w.got[i].seq
	}
	if err := s.note(ctx, journal.Written, record); err != nil {
		s.untake(w)
		return nil, err
	}
	records, err := s.fetch(context.WithoutCancel(ctx), seqs)
	if err != nil && !errors.Is(err, journal.ErrNotFound) {
		return nil, err
	}
	out := make([]Delivery, 0, len(w.got))
	for i, r := range records {
		h, p, err := parseRecord(r, s.seal)
		switch {
		case err == nil:
			out = append(out, s.delivery(&w.got[i], &h, &p))
		case s.has(w.got[i].seq): // it was not just deleted, purged or expired
			s.log.Error("a message cannot be read", "queue", s.id, "number", w.got[i].seq, "err", err)
		}
	}
	return out, nil
}

func (s *state) has(seq uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.index.get(seq) != nil
}

func (s *state) delivery(t *taken, h *header, p *payload) Delivery {
	d := Delivery{Message: p.Message, ID: formatUUID(h.id), Handle: s.handles.format(handle{t.seq, t.e.receives}),
		Sent: time.UnixMilli(h.sent), FirstReceived: time.UnixMilli(t.e.firstAt()), Receives: int(t.e.receives), DeadLetterOf: p.deadLetterOf}
	if p.receives > 0 {
		d.Receives, d.FirstReceived = d.Receives+int(p.receives), time.UnixMilli(p.first)
	}
	if s.index.fifo {
		d.Sequence = sequence(t.seq)
	}
	return d
}
