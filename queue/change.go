package queue

import "encoding/binary"

// Kinds of records in the log of changes. They hold absolute values, so that
// replaying some twice, or over a newer state, ends in the same one.
const (
	changeReceive = 'R' // attempt; per message: number, receives, until, first, last
	changeVisible = 'V' // per message: number, receives, until
	changeDelete  = 'D' // numbers
	changePurge   = 'P' // the number below which everything goes
	changeMove    = 'M' // ID of the queue that the messages go to; numbers
	changeStay    = 'S' // numbers that do not go after all
)

// appendReceive adds a message to a record of receives.
func appendReceive(b []byte, seq uint64, e *entry) []byte {
	b = appendVisible(b, seq, e)
	b = binary.AppendUvarint(b, uint64(e.firstAt()))
	return binary.AppendUvarint(b, uint64(e.lastAt()))
}

func appendVisible(b []byte, seq uint64, e *entry) []byte {
	b = binary.AppendUvarint(b, seq)
	b = binary.AppendUvarint(b, uint64(e.receives))
	return binary.AppendUvarint(b, uint64(e.visibleAt()))
}

func appendSeqs(b []byte, seqs []uint64) []byte {
	for _, s := range seqs {
		b = binary.AppendUvarint(b, s)
	}
	return b
}

// replay applies a record of changes to an index whose lists are not made yet.
func (l *loading) replay(record []byte) error {
	r := &reader{b: record}
	kind := r.byte()
	switch kind {
	case changeReceive:
		l.replayReceive(r)
	case changeMove:
		target := r.string()
		for len(r.b) > 0 {
			if seq := r.uint(); l.get(seq) != nil {
				l.moving[seq] = target
			}
		}
	case changeVisible:
		for len(r.b) > 0 {
			seq, receives, until := r.uint(), r.uint(), r.int()
			if e := l.get(seq); e != nil && uint64(e.receives) == receives {
				e.setVisibleAt(until)
				l.touch(seq)
			}
		}
	case changePurge:
		l.replayPurge(r.uint())
	case changeDelete, changeStay:
		for len(r.b) > 0 {
			seq := r.uint()
			delete(l.moving, seq)
			if kind == changeDelete {
				l.drop(seq)
			}
		}
	default:
		return errRecord
	}
	return r.err()
}

func (l *loading) replayReceive(r *reader) {
	attempt := r.string()
	var of []handle
	var at int64
	for len(r.b) > 0 {
		seq, receives := r.uint(), uint32(r.uint())
		until, first, last := r.int(), r.int(), r.int()
		if of = append(of, handle{seq, receives}); r.bad {
			return
		}
		if e := l.get(seq); e != nil && receives >= e.receives {
			e.receives = receives
			e.setVisibleAt(until)
			e.first, e.last = since(e.sent, first)+1, since(e.sent, last)
			l.touch(seq)
		}
		at = last
	}
	if attempt != "" {
		l.attempts.note(attempt, of, at)
	}
}

func (l *loading) replayPurge(below uint64) {
	l.index.each(func(seq uint64, e *entry) {
		if _, moves := l.moving[seq]; seq < below && !moves {
			l.drop(seq)
		}
	})
}
