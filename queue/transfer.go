package queue

import (
	"context"
	"encoding/binary"
	"errors"
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
	s.stay(ctx, seqs)
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
	intent := string(why) + c.to.ID
	s.mu.Lock()
	for _, seq := range c.seqs {
		s.moving[seq] = intent
	}
	s.mu.Unlock()
	if err := s.note(ctx, journal.Synced, appendSeqs(appendString([]byte{changeMove}, intent), c.seqs)); err != nil {
		return err
	}
	st, err := c.to.open(ctx)
	if err != nil {
		return err
	}
	origins, err := st.accept(ctx, &c.to.Definition, d, c, why)
	if err != nil {
		return err
	}
	s.mu.Lock()
	for _, seq := range c.seqs {
		if e := s.index.get(seq); e != nil {
			s.index.turn(seq, e, deleting)
		}
		delete(s.moving, seq)
	}
	s.mu.Unlock()
	if err := s.erase(ctx, c.seqs, c.seqs); err != nil {
		s.close(err) // the intent is on disk: loading goes on from there
		return err
	}
	st.mu.Lock()
	for _, o := range origins {
		delete(st.origins, o)
	}
	st.mu.Unlock()
	return nil
}

// accept takes messages from the queue d into this one, which is own; those that
// came before are taken for done.
func (s *state) accept(ctx context.Context, own, d *Definition, c *cargo, why byte) (origins []key, err error) {
	now := millis()
	var parcels []*parcel
	for i := range c.seqs {
		p := c.sent[i]
		o := outgoing{header: header{sent: now, id: c.head[i].id, group: c.head[i].group}, sent: new(Sent)}
		if p.deadLetterOf = ""; why == forDead {
			p.deadLetterOf = d.ARN()
			if own.FIFO {
				p.Dedup = formatUUID(o.id) // "Configuring a dead-letter queue redrive": ids must not meet there
			}
		} else {
			newUUID(&o.id)
		}
		if why == forDead && !own.FIFO {
			o.header.sent = c.head[i].sent
		} else {
			p.receives, p.first = 0, 0 // its life begins anew
		}
		o.visible = o.header.sent
		o.origin = hash("origin", d.ID, string(binary.AppendUvarint(nil, c.seqs[i])))
		origins = append(origins, o.origin)
		o.record = appendRecord(nil, &o.header, &p, s.sealFor(own))
		parcels = pack(parcels, o, len(c.seqs)-i)
	}
	return origins, s.post(ctx, parcels)
}

// resume ends the moves that were under way when the state was loaded.
func (s *state) resume(ctx context.Context, d *Definition, byID func(string) (*Queue, error)) {
	s.mu.Lock()
	by := map[string][]uint64{}
	for seq, intent := range s.moving {
		by[intent] = append(by[intent], seq)
	}
	s.mu.Unlock()
	for intent, seqs := range by {
		slices.Sort(seqs)
		for s.broken() == nil {
			target, err := byID(intent[1:])
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
			time.Sleep(time.Second)
		}
	}
}
