package queue

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/dhowhq/dhow/journal"
)

// loading is a state that is being read: its index has entries and no lists.
type loading struct {
	*state
	*index
	next   uint64      // messages from there on are read from their log
	change journal.Seq // changes from there on
}

// load reads the newest checkpoint and what came after.
func (s *state) load(ctx context.Context) error {
	l := &loading{state: s, index: s.index, next: 1, change: 1}
	if err := l.readCheckpoint(ctx); err != nil {
		return fmt.Errorf("queue %s: the checkpoint: %w", s.id, err)
	}
	if err := l.readMessages(ctx); err != nil {
		return fmt.Errorf("queue %s: messages: %w", s.id, err)
	}
	for r, err := range s.c.Read(ctx, l.change) {
		if err == nil {
			err = l.replay(r.Data)
		}
		if err != nil {
			return fmt.Errorf("queue %s: changes: %w", s.id, err)
		}
		s.tail.changes++
		s.tail.bytes += int64(len(r.Data))
	}
	l.linkAll()
	return nil
}

// readCheckpoint applies the last commit.
func (l *loading) readCheckpoint(ctx context.Context) error {
	records := map[uint64][]byte{}
	var commit []byte
	for r, err := range l.k.Read(ctx, 0) {
		if err != nil {
			return err
		}
		if len(r.Data) == 0 {
			return errRecord
		}
		if r.Data[0] == pointCommit {
			if l.lastCommit != 0 {
				l.void(l.lastCommit)
			}
			commit, l.lastCommit = r.Data, uint64(r.Seq)
			continue
		}
		records[uint64(r.Seq)] = r.Data
	}
	if commit == nil {
		return nil
	}
	r := &reader{b: commit[1:]}
	l.next, l.change = r.uint(), journal.Seq(r.uint())
	l.tail.seen = l.next - 1
	for range r.uint() {
		at := r.uint()
		if err := l.readDedup(at, records[at]); err != nil {
			return err
		}
		delete(records, at)
	}
	l.readMemory(r)
	n, at := uint64(0), int64(0)
	for range r.uint() {
		n += r.uint()
		at += r.varint()
		if err := l.readSegment(n, records[uint64(at)]); err != nil {
			return fmt.Errorf("segment %d in record %d: %w", n, at, err)
		}
		l.seg(n).written = uint64(at)
		delete(records, uint64(at))
		if r.bad {
			break
		}
	}
	for at := range records {
		l.void(at)
	}
	return r.err()
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (l *loading) readDedup(at uint64, record []byte) error {
	if len(record) == 0 || record[0] != pointDedup {
		return errRecord
	}
	r := &reader{b: record[1:]}
	newest, old := int64(0), millis()-DedupInterval.Milliseconds()
	for len(r.b) > 0 {
		k := r.key()
		t := &twin{at: r.int(), seq: r.uint(), id: r.key()}
		if newest = max(newest, t.at); t.at > old {
			l.dedup.put(k, t)
		}
	}
	l.dedup.written = len(l.dedup.order)
	l.chunks = append(l.chunks, dedupChunk{at, newest})
	return r.err()
}

func (l *loading) readMemory(r *reader) {
	for range r.uint() {
		seq := r.uint()
		l.moving[seq] = r.string()
		if r.bad {
			return
		}
	}
	now := millis()
	for range r.uint() {
		if l.origins[r.key()] = now; r.bad {
			return
		}
	}
	for range r.uint() {
		id, at := r.string(), r.int()
		var of []handle
		for range r.uint() {
			of = append(of, handle{r.uint(), uint32(r.uint())})
			if r.bad {
				return
			}
		}
		l.attempts.note(id, of, at)
	}
}

func (l *loading) readSegment(n uint64, record []byte) error {
	if len(record) == 0 || record[0] != pointSegment {
		return errRecord
	}
	r := &reader{b: record[1:]}
	if r.uint() != n {
		return errRecord
	}
	l.room(n * segmentSize)
	seg := l.seg(n)
	var group uint32
	at, sent := -1, int64(0)
	for len(r.b) > 0 {
		at += 1 + int(r.byte())
		at += int(r.byte()) << 8
		flags := r.byte()
		sent += r.varint()
		if r.bad || at >= segmentSize {
			return errRecord
		}
		e := &seg.e[at]
		if flags&entryGroup != 0 {
			group = l.groups.number(r.string())
		}
		e.sent, e.group, e.phase = sent, group, deleting
		if flags&entryUntil != 0 {
			e.until = uint32(r.uint())
		}
		if flags&entryReceived != 0 {
			e.receives, e.first, e.last = uint32(r.uint()), uint32(r.uint()), uint32(r.uint())
		}
		seg.live++
		seg.oldest = min(seg.oldest, sent)
	}
	l.oldest = min(l.oldest, seg.oldest)
	return r.err()
}

// readMessages files the messages that the checkpoint has not.
func (l *loading) readMessages(ctx context.Context) error {
	now := millis()
	for r, err := range l.m.Read(ctx, journal.Seq(l.next)) {
		if err != nil {
			return err
		}
		h, _, _, err := parseHeader(r.Data)
		if err != nil {
			return fmt.Errorf("number %d: %w", r.Seq, err)
		}
		seq := uint64(r.Seq)
		e := entry{sent: h.sent, group: l.groups.number(h.group)}
		e.setVisibleAt(h.visible)
		l.place(seq, e)
		l.tail.seen = seq
		l.tail.changes++
		l.tail.bytes += int64(len(r.Data))
		if h.origin != (key{}) {
			l.origins[h.origin] = now
		}
		if h.dedup != (key{}) && h.sent > now-DedupInterval.Milliseconds() {
			l.dedup.put(h.dedup, &twin{at: h.sent, seq: seq, id: h.id})
		}
	}
	return nil
}

// drop forgets an entry that is in no list.
func (l *loading) drop(seq uint64) {
	e := l.get(seq)
	if e == nil {
		return
	}
	*e = entry{}
	l.seg(seq/segmentSize).live--
	l.touch(seq)
	l.forgetBody(seq)
}

// linkAll makes the lists, in the order of the messages.
func (l *loading) linkAll() {
	now := millis()
	l.each(func(seq uint64, e *entry) { l.join(seq, e, now) })
	for n := range l.groups.all {
		l.settle(uint32(n))
	}
	for seq := range l.moving {
		if e := l.get(seq); e != nil {
			l.turn(seq, e, moving)
		} else {
			delete(l.moving, seq)
		}
	}
	for n := range l.groups.all {
		if g := l.groups.at(uint32(n)); g.total == 0 && g.name != "" {
			l.groups.release(uint32(n))
		}
	}
}
