package queue

import (
	"context"

	"github.com/dhowhq/dhow/journal"
)

// delete is Queue.Delete. A FIFO group goes on only when the removal is on disk.
func (s *state) delete(ctx context.Context, hs []string) ([]error, error) {
	errs := make([]error, len(hs))
	var said, mine []uint64
	s.mu.Lock()
	if s.failed != nil {
		defer s.mu.Unlock()
		return nil, s.failed
	}
	s.index.expire(millis())
	for i, text := range hs {
		var h handle
		if h, errs[i] = s.handles.parse(text); errs[i] != nil {
			continue
		}
		e := s.index.get(h.seq)
		switch {
		case e == nil || e.phase == moving:
		case e.phase == deleting:
			said = append(said, h.seq) // somebody else is at it: be sure all the same
		case s.index.fifo && (e.receives != h.receives || e.phase != inFlight):
			errs[i] = ErrExpired
		case e.receives == h.receives: // else the newest handle is needed, and AWS says nothing
			s.index.turn(h.seq, e, deleting)
			said, mine = append(said, h.seq), append(mine, h.seq)
		}
	}
	s.mu.Unlock()
	if len(said) == 0 {
		return errs, nil
	}
	return errs, s.erase(ctx, said, mine)
}

// erase writes that messages are gone, and forgets those of them that the caller
// has turned to deleting.
func (s *state) erase(ctx context.Context, said, mine []uint64) error {
	err := s.note(ctx, journal.Synced, appendSeqs([]byte{changeDelete}, said))
	s.mu.Lock()
	defer s.mu.Unlock()
	now := millis()
	for _, seq := range mine {
		e := s.index.get(seq)
		switch {
		case e == nil: // purged
		case err == nil:
			s.index.remove(seq, e)
			s.forgetBody(seq)
		case e.visibleAt() > now:
			s.index.turn(seq, e, inFlight)
		default:
			s.index.turn(seq, e, ready)
		}
	}
	if s.failed == nil {
		s.serve(now)
	}
	return err
}

// change is Queue.ChangeVisibility.
func (s *state) change(ctx context.Context, changes []Change) ([]error, error) {
	errs := make([]error, len(changes))
	record := []byte{changeVisible}
	s.mu.Lock()
	if s.failed != nil {
		defer s.mu.Unlock()
		return nil, s.failed
	}
	now := millis()
	s.index.expire(now)
	for i, c := range changes {
		var seq uint64
		if seq, errs[i] = s.changeOne(c, now); errs[i] == nil {
			record = appendVisible(record, seq, s.index.get(seq))
		}
	}
	s.serve(now)
	s.mu.Unlock()
	if len(record) == 1 {
		return errs, nil
	}
	return errs, s.note(ctx, journal.Written, record)
}

func (s *state) changeOne(c Change, now int64) (uint64, error) {
	h, err := s.handles.parse(c.Handle)
	if err != nil {
		return 0, err
	}
	e := s.index.get(h.seq)
	switch {
	case e == nil || e.phase == deleting || e.phase == moving:
		return 0, ErrGone
	case e.phase != inFlight || e.receives != h.receives:
		return 0, ErrNotInFlight
	case now+c.Timeout.Milliseconds() > e.lastAt()+MaxVisibility.Milliseconds():
		return 0, ErrTooLong
	}
	e.setVisibleAt(now + c.Timeout.Milliseconds())
	s.index.touch(h.seq)
	if c.Timeout <= 0 {
		s.index.turn(h.seq, e, ready)
	} else {
		s.index.due.push(due{e.visibleAt(), h.seq})
	}
	return h.seq, nil
}
