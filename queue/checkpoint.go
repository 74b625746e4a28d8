package queue

import (
	"context"
	"encoding/binary"
	"maps"
	"slices"
	"time"

	"github.com/dhowhq/dhow/journal"
)

// Kinds of records in the log of checkpoints. A checkpoint is segments that
// changed, deduplication keys that are new, and a commit, which names all
// records that count; what it does not name is void.
const (
	pointSegment = 'S' // number of the segment; entries
	pointDedup   = 'Q' // per message: key, time, number, id
	pointCommit  = 'C'
)

// A checkpoint is due after so many changes or bytes since the last: they are
// what loading has to read again.
const (
	pointChanges = 50_000
	pointBytes   = 32 << 20
)

// dedupChunk is a record of deduplication keys.
type dedupChunk struct {
	record uint64
	newest int64 // milliseconds
}

// due reports whether a checkpoint should be made. The lock is held.
func (t *tail) due() bool { return t.changes >= pointChanges || t.bytes >= pointBytes }

// wantsPoint reports whether it is time for a checkpoint.
func (s *state) wantsPoint() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := millis()-s.pointed > pointAge.Milliseconds() && (s.tail.changes > 0 || len(s.index.dirty) > 0)
	return s.failed == nil && !s.tail.busy && (old || s.tail.due())
}

// checkpoint writes the index as far as it changed. Calls go on meanwhile: what
// they change is in the log of changes behind where loading will begin to
// replay, whether the segments show it or not. One runs at a time.
func (s *state) checkpoint(ctx context.Context) error {
	s.mu.Lock()
	if s.failed != nil || s.tail.busy || s.tail.changes == 0 && len(s.index.dirty) == 0 {
		defer s.mu.Unlock()
		return s.failed
	}
	s.writes.Add(1)
	defer s.writes.Done()
	s.tail.busy, s.pointed = true, millis()
	next, change := s.tail.seen+1, s.c.Next()
	s.tail.changes, s.tail.bytes = 0, 0
	dirty := s.index.dirty
	s.index.dirty = nil
	keys := s.dedup.unwritten()
	bodies := s.bodies
	s.bodies = nil
	s.mu.Unlock()
	err := s.write(ctx, next, change, dirty, keys)
	if err == nil {
		err = s.trim(ctx, next, change, bodies)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tail.busy = false
	if err != nil { // try all of it again
		s.index.dirty = append(s.index.dirty, dirty...)
		for _, n := range dirty {
			if sg := s.index.seg(n); sg != nil {
				sg.dirty = true
			}
		}
		s.dedup.rewrite(keys)
		s.bodies = append(bodies, s.bodies...)
		if !definite(err) {
			s.fail(err)
		}
	}
	return err
}

// write appends a checkpoint.
func (s *state) write(ctx context.Context, next uint64, change journal.Seq, dirty []uint64, keys []agedKey) error {
	if err := s.writeSegments(ctx, dirty, next); err != nil {
		return err
	}
	if err := s.writeDedup(ctx, keys); err != nil {
		return err
	}
	s.mu.Lock()
	record := s.commitRecord(next, change)
	s.mu.Unlock()
	at, err := s.k.Append(ctx, journal.Synced|journal.MakesRoom, record)
	if err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.void(s.lastCommit)
		s.lastCommit = uint64(at)
	}
	return err
}

// void notes that a record of the log of checkpoints counts no more, from the
// next commit on.
func (s *state) void(record uint64) {
	if record != 0 {
		s.voided = append(s.voided, journal.Seq(record))
	}
}

// writeSegments writes what lives below next in the dirty segments.
func (s *state) writeSegments(ctx context.Context, dirty []uint64, next uint64) error {
	var records [][]byte
	var numbers []uint64
	size := 0
	flush := func() error {
		if len(records) == 0 {
			return nil
		}
		first, err := s.k.Append(ctx, journal.Written|journal.MakesRoom, records...)
		if err != nil {
			return err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		for i, n := range numbers {
			at := uint64(first) + uint64(i)
			if sg := s.index.seg(n); sg != nil {
				s.void(sg.written)
				sg.written = at
			} else {
				s.void(at) // it emptied meanwhile
			}
		}
		records, numbers, size = nil, nil, 0
		return nil
	}
	for _, n := range dirty {
		record := s.segmentRecord(n, next)
		if record == nil {
			continue
		}
		records, numbers, size = append(records, record), append(numbers, n), size+len(record)
		if size > 1<<20 || len(records) == journal.MaxBatch/2 {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// segmentRecord encodes a segment, nil if nothing lives in it.
func (s *state) segmentRecord(n, next uint64) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	sg := s.index.seg(n)
	if sg == nil {
		return nil
	}
	if sg.dirty = (n+1)*segmentSize > next; sg.dirty {
		s.index.dirty = append(s.index.dirty, n) // what came behind next is not in it
	}
	b := binary.AppendUvarint([]byte{pointSegment}, n)
	empty := len(b)
	b = s.index.appendEntries(b, n, next)
	if len(b) == empty {
		s.void(sg.written)
		sg.written = 0
		if sg.live == 0 {
			s.index.segs[n-s.index.base] = nil
			s.index.shrink()
		}
		return nil
	}
	return b
}

const (
	entryGroup = 1 << iota // another group than the one before
	entryUntil
	entryReceived
)

// appendEntries encodes the entries of a segment with numbers below next.
func (x *index) appendEntries(b []byte, n, next uint64) []byte {
	var group uint32
	at, sent := -1, int64(0)
	for j := range x.seg(n).e {
		e := &x.seg(n).e[j]
		if e.phase == absent || e.phase == deleting || n*segmentSize+uint64(j) >= next {
			continue
		}
		flags := byte(0)
		if e.group != group {
			flags |= entryGroup
		}
		if e.until != 0 {
			flags |= entryUntil
		}
		if e.receives != 0 {
			flags |= entryReceived
		}
		b = append(b, byte(j-at-1), byte((j-at-1)>>8), flags)
		b = binary.AppendVarint(b, e.sent-sent)
		if flags&entryGroup != 0 {
			b = appendString(b, x.groups.at(e.group).name)
		}
		if flags&entryUntil != 0 {
			b = binary.AppendUvarint(b, uint64(e.until))
		}
		if flags&entryReceived != 0 {
			for _, v := range []uint32{e.receives, e.first, e.last} {
				b = binary.AppendUvarint(b, uint64(v))
			}
		}
		at, sent, group = j, e.sent, e.group
	}
	return b
}

// writeDedup writes deduplication keys that no checkpoint has.
func (s *state) writeDedup(ctx context.Context, keys []agedKey) error {
	for len(keys) > 0 {
		n := min(len(keys), 20_000)
		b := []byte{pointDedup}
		s.mu.Lock()
		for _, k := range keys[:n] {
			if t := s.dedup.by[k.key]; t != nil && t.seq != 0 {
				b = append(b, k.key[:]...)
				b = binary.AppendUvarint(b, uint64(t.at))
				b = binary.AppendUvarint(b, t.seq)
				b = append(b, t.id[:]...)
			}
		}
		s.mu.Unlock()
		if len(b) > 1 {
			at, err := s.k.Append(ctx, journal.Written|journal.MakesRoom, b)
			if err != nil {
				return err
			}
			s.chunks = append(s.chunks, dedupChunk{uint64(at), keys[n-1].at})
		}
		keys = keys[n:]
	}
	return nil
}

// commitRecord names what a checkpoint is made of. The lock is held.
func (s *state) commitRecord(next uint64, change journal.Seq) []byte {
	b := binary.AppendUvarint([]byte{pointCommit}, next)
	b = binary.AppendUvarint(b, uint64(change))
	old := millis() - DedupInterval.Milliseconds()
	s.chunks = slices.DeleteFunc(s.chunks, func(c dedupChunk) bool {
		if c.newest <= old {
			s.void(c.record)
		}
		return c.newest <= old
	})
	b = binary.AppendUvarint(b, uint64(len(s.chunks)))
	for _, c := range s.chunks {
		b = binary.AppendUvarint(b, c.record)
	}
	b = s.appendMemory(b)
	n := 0
	for _, sg := range s.index.segs {
		if sg != nil && sg.written != 0 {
			n++
		}
	}
	b = binary.AppendUvarint(b, uint64(n))
	last, record := uint64(0), int64(0)
	for i, sg := range s.index.segs {
		if sg != nil && sg.written != 0 {
			b = binary.AppendUvarint(b, s.index.base+uint64(i)-last)
			b = binary.AppendVarint(b, int64(sg.written)-record)
			last, record = s.index.base+uint64(i), int64(sg.written)
		}
	}
	return b
}

// keepOrigins is how long origins are known that a loading has found: whether the
// removals were sure is not known then, and moves that were cut short go on as
// soon as their queue is loaded.
const keepOrigins = 24 * time.Hour

// appendMemory adds the small things: moves under way, origins, attempts.
func (s *state) appendMemory(b []byte) []byte {
	moves := maps.Clone(s.moving)
	maps.DeleteFunc(moves, func(_ uint64, intent string) bool { return intent == "" })
	b = binary.AppendUvarint(b, uint64(len(moves)))
	for seq, intent := range moves {
		b = appendString(binary.AppendUvarint(b, seq), intent)
	}
	maps.DeleteFunc(s.origins, func(_ key, at int64) bool { return at <= millis()-keepOrigins.Milliseconds() })
	b = binary.AppendUvarint(b, uint64(len(s.origins)))
	for o := range s.origins {
		b = append(b, o[:]...)
	}
	s.attempts.get("", millis()) // drops the old ones
	b = binary.AppendUvarint(b, uint64(len(s.attempts.by)))
	for id, a := range s.attempts.by {
		b = binary.AppendUvarint(appendString(b, id), uint64(a.at))
		b = binary.AppendUvarint(b, uint64(len(a.of)))
		for _, h := range a.of {
			b = binary.AppendUvarint(binary.AppendUvarint(b, h.seq), uint64(h.receives))
		}
	}
	return b
}

// trim removes from the logs what the checkpoint has made void.
func (s *state) trim(ctx context.Context, next uint64, change journal.Seq, bodies []journal.Seq) error {
	s.mu.Lock()
	low := min(next, s.index.low(next))
	oldest := s.lastCommit
	for _, sg := range s.index.segs {
		if sg != nil && sg.written != 0 {
			oldest = min(oldest, sg.written)
		}
	}
	for _, c := range s.chunks {
		oldest = min(oldest, c.record)
	}
	void := slices.DeleteFunc(s.voided, func(q journal.Seq) bool { return uint64(q) < oldest })
	s.voided = nil
	s.mu.Unlock()
	if err := s.m.Trim(ctx, journal.Seq(low)); err != nil {
		return err
	}
	early := slices.DeleteFunc(bodies, func(q journal.Seq) bool { return uint64(q) < low })
	for part := range slices.Chunk(early, journal.MaxBatch) {
		if err := s.m.Delete(ctx, part...); err != nil {
			return err
		}
	}
	if err := s.c.Trim(ctx, change); err != nil {
		return err
	}
	if err := s.k.Trim(ctx, journal.Seq(oldest)); err != nil {
		return err
	}
	for part := range slices.Chunk(void, journal.MaxBatch) {
		if err := s.k.Delete(ctx, part...); err != nil {
			return err
		}
	}
	return nil
}
