package queue

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dhowhq/dhow/journal"
)

// bury moves messages that were received too often to the dead-letter queue. If
// that cannot be, they stay, and are given out as before for a while.
func (s *state) bury(ctx context.Context, d *Definition, seqs []uint64) {
	ctx = context.WithoutCancel(ctx)
	target, err := s.resolve(d.Redrive.Target)
	if err == nil {
		err = s.transfer(ctx, d, seqs, forDead, func(*payload) (*Queue, error) { return target, nil })
	}
	if err == nil {
		return
	}
	s.log.Warn("messages cannot go to their dead-letter queue", "queue", d.ARN(), "to", d.Redrive.Target, "err", err)
	s.mu.Lock()
	s.deadFrom = millis() + 10_000
	s.mu.Unlock()
	s.giveUp(ctx, d, seqs, err)
}

// unsure is the error of a move of which nobody knows whether the target has the
// messages: they must go there, or they would be in two places.
type unsure struct{ error }

func (u unsure) Unwrap() error { return u.error }

// giveUp is for messages whose move met an error: they are ready again, or, where
// the target may have them, are moved until it surely has.
func (s *state) giveUp(ctx context.Context, d *Definition, seqs []uint64, err error) {
	var perhaps unsure
	if !errors.As(err, &perhaps) {
		s.stay(ctx, seqs)
		return
	}
	var gone, rest []uint64
	s.mu.Lock()
	for _, seq := range seqs {
		switch intent, ok := s.moving[seq]; {
		case ok && intent != "":
			gone = append(gone, seq)
		case ok:
			rest = append(rest, seq)
		}
	}
	s.mu.Unlock()
	s.stay(ctx, rest)
	own := *d
	s.work.Go(func() { s.resume(context.WithoutCancel(ctx), &own, gone) })
}

// stay gives up a move: the messages are ready again.
func (s *state) stay(ctx context.Context, seqs []uint64) error {
	s.mu.Lock()
	now := millis()
	var back []uint64
	for _, seq := range seqs {
		if e := s.index.get(seq); e != nil && e.phase == moving {
			delete(s.moving, seq)
			s.index.turn(seq, e, ready)
			back = append(back, seq)
		}
	}
	if s.failed == nil {
		s.serve(now)
	}
	s.mu.Unlock()
	if len(back) == 0 {
		return nil
	}
	return s.note(ctx, journal.Synced, appendSeqs([]byte{changeStay}, back))
}

// Why messages move.
const (
	forDead    = 'd' // received too often: the message stays what it was
	forRedrive = 'r' // back to work: a new message with the same content
)

// transfer moves messages, which are in the phase moving, to the queues that
// target names. An intent is on disk before, so that after a crash the same move
// goes on; the target knows by the origin what it has already. What failed stays
// in the phase moving.
func (s *state) transfer(ctx context.Context, d *Definition, seqs []uint64, why byte, target func(*payload) (*Queue, error)) error {
	for len(seqs) > 0 {
		n := min(len(seqs), 100)
		if err := s.transferSome(ctx, d, seqs[:n], why, target); err != nil {
			return err
		}
		seqs = seqs[n:]
	}
	return nil
}

// cargo is messages on their way to one queue.
type cargo struct {
	to   *Queue
	seqs []uint64
	sent []payload
	head []header
}

func (s *state) transferSome(ctx context.Context, d *Definition, seqs []uint64, why byte, target func(*payload) (*Queue, error)) error {
	cargos, err := s.collect(ctx, seqs, target)
	if err != nil {
		return err
	}
	for _, c := range cargos {
		if err := s.haul(ctx, d, c, why); err != nil {
			return err
		}
	}
	return nil
}

// collect reads messages and sorts them by the queue they go to.
func (s *state) collect(ctx context.Context, seqs []uint64, target func(*payload) (*Queue, error)) (cargos []*cargo, err error) {
	numbers := make([]journal.Seq, len(seqs))
	for i, seq := range seqs {
		numbers[i] = journal.Seq(seq)
	}
	records, err := s.m.Get(ctx, numbers...)
	if err != nil {
		return nil, err
	}
	by := map[string]*cargo{}
	for i, r := range records {
		h, p, err := parseRecord(r.Data, s.seal)
		if err != nil {
			return nil, err
		}
		q, err := target(&p)
		if err != nil {
			return nil, err
		}
		c := by[q.ID]
		if c == nil {
			c = &cargo{to: q}
			by[q.ID] = c
			cargos = append(cargos, c)
		}
		s.tally(seqs[i], &p)
		c.seqs, c.sent, c.head = append(c.seqs, seqs[i]), append(c.sent, p), append(c.head, h)
	}
	return cargos, nil
}

// tally adds a message's receives in this queue to those that it came with.
func (s *state) tally(seq uint64, p *payload) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.index.get(seq)
	if e == nil || e.receives == 0 {
		return
	}
	if p.receives == 0 {
		p.first = e.firstAt()
	}
	p.receives += int64(e.receives)
}

// haul brings a cargo to its queue.
func (s *state) haul(ctx context.Context, d *Definition, c *cargo, why byte) error {
	// Whoever loads this queue anew goes on with the same move, not beside it.
	if err := s.begin(); err != nil {
		return err
	}
	defer s.writes.Done()
	intent := string(why) + c.to.ID
	noted := true
	s.mu.Lock()
	for _, seq := range c.seqs {
		noted = noted && s.moving[seq] == intent
		s.moving[seq] = intent
	}
	s.mu.Unlock()
	if !noted { // of one that goes on it is
		if err := s.note(ctx, journal.Synced, appendSeqs(appendString([]byte{changeMove}, intent), c.seqs)); err != nil {
			return err
		}
	}
	st, err := c.to.open(ctx)
	if err != nil {
		return err
	}
	arrived, origins, refused := st.accept(ctx, &c.to.Definition, d, c, why)
	if err := s.depart(ctx, arrived); err != nil {
		return err
	}
	st.mu.Lock()
	for _, o := range origins {
		delete(st.origins, o)
	}
	st.mu.Unlock()
	if refused != nil && !definite(refused) {
		return unsure{refused}
	}
	return refused
}

// depart removes messages that are in another queue now.
func (s *state) depart(ctx context.Context, seqs []uint64) error {
	if len(seqs) == 0 {
		return nil
	}
	s.mu.Lock()
	for _, seq := range seqs {
		if e := s.index.get(seq); e != nil {
			s.index.turn(seq, e, deleting)
		}
		delete(s.moving, seq)
	}
	s.mu.Unlock()
	err := s.erase(ctx, seqs, seqs)
	if err != nil {
		// The intent is on disk: loading goes on from there. To others it is not
		// as if the disk were full.
		s.close(fmt.Errorf("queue: the end of a move is not written: %v", err))
	}
	return err
}

// accept takes messages from the queue d into this one, which is own; those that
// came before are taken for done. Even if there is an error some may have
// arrived, whose numbers and origins it returns.
func (s *state) accept(ctx context.Context, own, d *Definition, c *cargo, why byte) (arrived []uint64, origins []key, err error) {
	now := millis()
	var parcels []*parcel
	results := make([]Sent, len(c.seqs))
	for i := range c.seqs {
		p := c.sent[i]
		o := outgoing{header: header{sent: now, id: c.head[i].id, group: c.head[i].group}, sent: &results[i]}
		switch {
		case why == forDead:
			p.deadLetterOf = d.ARN()
			if own.FIFO {
				p.Dedup = formatUUID(o.id) // "Configuring a dead-letter queue redrive": ids must not meet there
			}
		case own.ID == d.ID: // it was not admitted where it came from
		default:
			p.deadLetterOf = ""
			newUUID(&o.id)
		}
		if why == forDead && !own.FIFO {
			o.header.sent = c.head[i].sent
		} else {
			p.receives, p.first = 0, 0 // its life begins anew
		}
		o.visible = o.header.sent
		o.origin = origin(d, c.seqs[i])
		o.record = appendRecord(nil, &o.header, &p, s.sealFor(own))
		parcels = pack(parcels, o, len(c.seqs)-i)
	}
	err = s.post(ctx, parcels)
	for i := range results {
		if results[i].Err == nil {
			arrived, origins = append(arrived, c.seqs[i]), append(origins, origin(d, c.seqs[i]))
		}
	}
	if len(arrived) == len(c.seqs) {
		err = nil
	}
	return arrived, origins, err
}

// origin is what a queue's message is known by in another one.
func origin(d *Definition, seq uint64) key {
	return hash("origin", d.ID, string(binary.AppendUvarint(nil, seq)))
}

// resume ends moves whose intents are on disk: all that were under way when the
// state was loaded, or some of which nobody knows how far they came. It stops with
// the state, and with ctx.
func (s *state) resume(ctx context.Context, d *Definition, seqs []uint64) {
	s.mu.Lock()
	by := map[string][]uint64{}
	for _, seq := range seqs {
		by[s.moving[seq]] = append(by[s.moving[seq]], seq)
	}
	s.mu.Unlock()
	for intent, seqs := range by {
		slices.Sort(seqs)
		for s.broken() == nil {
			seqs = s.stillMoving(seqs)
			target, err := s.byID(intent[1:])
			if err == nil {
				err = s.transfer(ctx, d, seqs, intent[0], func(*payload) (*Queue, error) { return target, nil })
			}
			if err == nil {
				break
			}
			s.log.Warn("a move of messages cannot go on", "queue", d.ARN(), "err", err)
			if definite(err) || errors.Is(err, ErrNoQueue) {
				s.stay(ctx, seqs)
				break
			}
			select {
			case <-s.ended:
			case <-ctx.Done():
				return
			case <-time.After(time.Second):
			}
		}
	}
}

// stillMoving leaves out the messages that have arrived.
func (s *state) stillMoving(seqs []uint64) (left []uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, seq := range seqs {
		if _, ok := s.moving[seq]; ok {
			left = append(left, seq)
		}
	}
	return left
}
