package nats

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	client "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/dhowhq/dhow/journal"
)

// markHeader is a header of messages that are no records.
const markHeader = "Dhow-Mark"

// state is a log in the hands of a term, in this process.
type state struct {
	name    string
	term    int64
	dropped atomic.Bool
	turn    chan struct{} // has one element while something is published

	mu    sync.Mutex
	last  uint64 // the last message of r.NAME, 0 if it is to be looked up
	first journal.Seq
	gone  map[uint64]time.Time // when it was deleted, for a while
	next  journal.Seq
	size  int64
}

// lag is how long the servers that follow a leader may take to remove what was
// removed there. Reads are served by any of them.
const lag = 10 * time.Second

type log struct {
	j *Journal
	s *state
}

// begin leaves a mark, if that was not done for this term.
func (l *log) begin(ctx context.Context) error {
	if err := l.lock(ctx); err != nil {
		return err
	}
	defer l.unlock()
	if l.s.last != 0 {
		return l.check(ctx)
	}
	_, err := l.mark(ctx)
	if err == nil {
		err = l.check(ctx) // one of a higher term may have come between
	}
	return err
}

func (l *log) lock(ctx context.Context) error {
	select {
	case l.s.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *log) unlock() { <-l.s.turn }

// check tells whether the log is still its owner's.
func (l *log) check(ctx context.Context) error {
	if l.s.dropped.Load() {
		return journal.ErrFenced
	}
	m, err := l.j.meta(ctx, l.s.name)
	if err != nil {
		return err
	}
	if m.seq == 0 || m.Dropped || m.Term != l.s.term {
		return journal.ErrFenced
	}
	return nil
}

// mark makes a message that is no record the last of the log.
func (l *log) mark(ctx context.Context) (uint64, error) {
	msg := client.NewMsg(l.j.subject("r", l.s.name))
	msg.Header.Set(markHeader, strconv.FormatInt(l.s.term, 10))
	var ack *jetstream.PubAck
	if err := l.j.ask(ctx, func(ctx context.Context) (err error) { // another mark does no harm
		ack, err = l.j.js.PublishMsg(ctx, msg)
		return err
	}); err != nil {
		return 0, wording(err)
	}
	l.appended(ack.Sequence, ack.Sequence)
	return ack.Sequence, nil
}

// appended notes the last message and the next number.
func (l *log) appended(last, next uint64) {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	l.s.last, l.s.next = last, max(l.s.next, journal.Seq(next+1))
}

// resync looks up the last message, and that the log is still its owner's; in
// this order, or one could append behind another's back.
func (l *log) resync(ctx context.Context) error {
	msg, err := l.j.last(ctx, l.j.subject("r", l.s.name))
	if err != nil {
		return err
	}
	if err := l.check(ctx); err != nil {
		return err
	}
	if msg == nil {
		_, err := l.mark(ctx)
		return err
	}
	l.appended(msg.Sequence, msg.Sequence)
	return nil
}

func (l *log) Append(ctx context.Context, _ journal.Durability, records ...[]byte) (journal.Seq, error) {
	if err := journal.CheckBatch(records); err != nil {
		return 0, err
	}
	leave, err := l.j.enter(ctx)
	if err != nil {
		return 0, err
	}
	defer leave()
	if err := l.lock(ctx); err != nil {
		return 0, err
	}
	defer l.unlock()
	for {
		if l.s.last == 0 {
			if err := l.resync(ctx); err != nil {
				return 0, err
			}
		}
		last, err := l.publish(ctx, records)
		if err == nil {
			l.appended(last, last)
			return journal.Seq(last) - journal.Seq(len(records)) + 1, nil
		}
		l.forget()
		if !isConflict(err) {
			return 0, wording(err)
		}
	}
}

// forget has the last message looked up again.
func (l *log) forget() {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	l.s.last = 0
}

// publish publishes the records behind the last message, all or none, and
// returns the sequence of the last.
func (l *log) publish(ctx context.Context, records [][]byte) (uint64, error) {
	subject, id, over := l.j.subject("r", l.s.name), nuid.Next(), l.j.link.Load()
	size := int64(0)
	for i, r := range records {
		msg := &client.Msg{Subject: subject, Data: r, Header: client.Header{}}
		size += int64(len(r))
		if i == 0 {
			msg.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(l.s.last, 10))
		}
		if len(records) > 1 {
			msg.Header.Set("Nats-Batch-Id", id)
			msg.Header.Set("Nats-Batch-Sequence", strconv.Itoa(i+1))
		}
		if i < len(records)-1 {
			if err := l.j.nc.PublishMsg(msg); err != nil {
				return 0, err
			}
			continue
		}
		if len(records) > 1 {
			msg.Header.Set("Nats-Batch-Commit", "1")
		}
		seq, err := l.request(ctx, over, msg)
		if err == nil {
			l.grow(size)
		}
		return seq, err
	}
	return 0, nil
}

func (l *log) grow(n int64) {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	l.s.size = max(0, l.s.size+n)
}

// request publishes a message and returns its sequence. over is the link that
// was there before anything of the append went out.
func (l *log) request(ctx context.Context, over *link, msg *client.Msg) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, ackTimeout)
	defer cancel()
	defer context.AfterFunc(over.ctx, cancel)()
	reply, err := l.j.nc.RequestMsgWithContext(ctx, msg)
	if err != nil {
		return 0, err
	}
	var ack struct {
		Seq   uint64              `json:"seq"`
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(reply.Data, &ack); err != nil {
		return 0, err
	}
	if ack.Error != nil {
		return 0, ack.Error
	}
	return ack.Seq, nil
}

func (l *log) Read(ctx context.Context, from journal.Seq) iter.Seq2[journal.Record, error] {
	return func(yield func(journal.Record, error) bool) {
		if err := l.read(ctx, from, func(r journal.Record) bool { return yield(r, nil) }); err != nil {
			yield(journal.Record{}, err)
		}
	}
}

func (l *log) read(ctx context.Context, from journal.Seq, yield func(journal.Record) bool) error {
	leave, err := l.j.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if err := l.check(ctx); err != nil {
		return err
	}
	end, err := l.j.last(ctx, l.j.subject("r", l.s.name))
	if err != nil || end == nil || journal.Seq(end.Sequence) < from {
		return err
	}
	var c jetstream.Consumer
	if err := l.j.ask(ctx, func(ctx context.Context) (err error) {
		c, err = l.j.stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{FilterSubjects: []string{l.j.subject("r", l.s.name)},
			DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: uint64(max(from, 1))})
		return err
	}); err != nil {
		return err
	}
	msgs, err := c.Messages()
	if err != nil {
		return err
	}
	defer msgs.Stop()
	for {
		msg, err := msgs.Next(jetstream.NextContext(ctx))
		if err != nil {
			return err
		}
		at, err := msg.Metadata()
		if err != nil {
			return err
		}
		if at.Sequence.Stream > end.Sequence {
			return nil
		}
		if msg.Headers().Get(markHeader) == "" && !l.removed(at.Sequence.Stream) &&
			!yield(journal.Record{Seq: journal.Seq(at.Sequence.Stream), Data: append([]byte{}, msg.Data()...)}) {
			return nil
		}
		if at.Sequence.Stream == end.Sequence {
			return nil
		}
	}
}

// removed tells whether a record was removed, though the server that was asked
// may still have it.
func (l *log) removed(seq uint64) bool {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	_, gone := l.s.gone[seq]
	return gone || journal.Seq(seq) < l.s.first
}

// remove notes that records are deleted, and forgets those that are by now
// everywhere.
func (l *log) remove(seqs map[uint64]bool) {
	now := time.Now()
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	if l.s.gone == nil {
		l.s.gone = map[uint64]time.Time{}
	}
	for seq, at := range l.s.gone {
		if now.Sub(at) > lag {
			delete(l.s.gone, seq)
		}
	}
	for seq := range seqs {
		l.s.gone[seq] = now
	}
}

func (l *log) Get(ctx context.Context, seqs ...journal.Seq) ([]journal.Record, error) {
	leave, err := l.j.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	if err := l.check(ctx); err != nil {
		return nil, err
	}
	out, found := make([]journal.Record, len(seqs)), false
	for i, seq := range seqs {
		out[i].Seq = seq
		msg, err := l.get(ctx, seq)
		if err != nil {
			return nil, err
		}
		if msg != nil {
			out[i].Data, found = append([]byte{}, msg.Data...), true
		}
	}
	if !found && len(seqs) > 0 {
		return nil, fmt.Errorf("%w: %d", journal.ErrNotFound, seqs)
	}
	return out, nil
}

// get returns the message of a record of this log, nil if there is none.
func (l *log) get(ctx context.Context, seq journal.Seq) (msg *jetstream.RawStreamMsg, err error) {
	if seq == 0 {
		return nil, nil
	}
	err = l.j.ask(ctx, func(ctx context.Context) (err error) {
		msg, err = l.j.stream.GetMsg(ctx, uint64(seq))
		return err
	})
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil
	}
	if err != nil || msg.Subject != l.j.subject("r", l.s.name) || msg.Header.Get(markHeader) != "" {
		return nil, err
	}
	return msg, nil
}

// change does something to the log's messages in turn with appends; the last of
// them is a mark if it would be removed.
func (l *log) change(ctx context.Context, removesLast func(uint64) bool, do func() error) error {
	leave, err := l.j.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if err := l.lock(ctx); err != nil {
		return err
	}
	defer l.unlock()
	if err := l.resync(ctx); err != nil {
		return err
	}
	if removesLast(l.s.last) {
		if _, err := l.mark(ctx); err != nil {
			return err
		}
	}
	return do()
}

func (l *log) Delete(ctx context.Context, seqs ...journal.Seq) error {
	gone := map[uint64]bool{}
	for _, s := range seqs {
		gone[uint64(s)] = true
	}
	return l.change(ctx, func(last uint64) bool { return gone[last] }, func() error {
		for seq := range gone {
			msg, err := l.get(ctx, journal.Seq(seq))
			if err != nil || msg == nil {
				if err != nil {
					return err
				}
				continue
			}
			err = l.j.ask(ctx, func(ctx context.Context) error { return l.j.stream.DeleteMsg(ctx, seq) })
			if err != nil && !errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) {
				return wording(err)
			}
			l.grow(-int64(len(msg.Data)))
		}
		l.remove(gone)
		return nil
	})
}

func (l *log) Trim(ctx context.Context, first journal.Seq) error {
	all := false
	return l.change(ctx, func(last uint64) bool {
		all = journal.Seq(last) < first
		return all
	}, func() error {
		l.s.mu.Lock()
		if all {
			first, l.s.size = journal.Seq(l.s.last), 0
		}
		l.s.mu.Unlock()
		if first <= 1 {
			return nil
		}
		err := l.j.purge(ctx, l.j.subject("r", l.s.name), jetstream.WithPurgeSequence(uint64(first)))
		if err != nil {
			return wording(err)
		}
		l.s.mu.Lock()
		defer l.s.mu.Unlock()
		l.s.first = max(l.s.first, first)
		return nil
	})
}

func (l *log) Next() journal.Seq {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	return max(l.s.next, 1)
}

func (l *log) Size() int64 {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	return l.s.size
}
