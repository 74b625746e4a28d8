package queue

import "math"

// phase is where a message is in its life.
type phase uint8

const (
	absent   phase = iota
	ready          // may be received
	delayed        // not yet
	inFlight       // received, and invisible until its timeout
	moving         // on its way to another queue
	deleting       // its removal is being written
)

// entry is what memory holds of a message: 48 bytes without pointers. Times are
// milliseconds; the short ones count from sent, which a message's life of 14
// days at most allows.
type entry struct {
	prev, next uint64 // neighbours in its group's list, 0 for none
	sent       int64
	until      uint32 // visible from then on
	first      uint32 // first receive, plus one; 0 is never
	last       uint32 // newest receive
	group      uint32
	receives   uint32
	phase      phase
}

func (e *entry) visibleAt() int64 { return e.sent + int64(e.until) }

func (e *entry) setVisibleAt(t int64) { e.until = since(e.sent, t) }

// firstAt is the time of the first receive, 0 for never.
func (e *entry) firstAt() int64 {
	if e.first == 0 {
		return 0
	}
	return e.sent + int64(e.first) - 1
}

func (e *entry) lastAt() int64 { return e.sent + int64(e.last) }

// received notes a receive at the time t.
func (e *entry) received(t int64) {
	if e.receives++; e.first == 0 {
		e.first = min(since(e.sent, t), math.MaxUint32-1) + 1
	}
	e.last = since(e.sent, t)
}

func since(from, to int64) uint32 { return uint32(min(max(0, to-from), math.MaxUint32)) }

// segmentSize is the number of sequence numbers in a segment.
const segmentSize = 512

// segment holds the entries of neighbouring numbers.
type segment struct {
	live    int
	oldest  int64  // nothing in it was sent before: a lower bound
	dirty   bool   // since the checkpoint that wrote it
	written uint64 // its record in the log of checkpoints, 0 for none
	e       *[segmentSize]entry
}

// index is a queue's messages: entries by number, in lists by group. Standard
// queues list what is ready; FIFO queues list everything, and a group gives what
// comes before its first message that is in flight. It is not safe for concurrent use.
type index struct {
	fifo   bool
	base   uint64     // number of segs[0]
	segs   []*segment // nil where nothing lives
	groups groups
	due    dueHeap
	dirty  []uint64 // segments to write
	oldest int64    // nothing was sent before: a lower bound

	count [deleting + 1]int
	noisy heapOf // groups that had more than their share; of standard queues
	quiet heapOf // the other groups that have something to give
}

func newIndex(fifo bool) *index {
	x := &index{fifo: fifo, oldest: math.MaxInt64}
	x.groups.init()
	x.quiet, x.noisy = heapOf{groups: &x.groups}, heapOf{groups: &x.groups}
	return x
}

// seg returns a segment, nil if there is none.
func (x *index) seg(n uint64) *segment {
	if n < x.base || n >= x.base+uint64(len(x.segs)) {
		return nil
	}
	return x.segs[n-x.base]
}

// get returns the entry of a message, nil if there is none.
func (x *index) get(seq uint64) *entry {
	s := x.seg(seq / segmentSize)
	if s == nil {
		return nil
	}
	if e := &s.e[seq%segmentSize]; e.phase != absent {
		return e
	}
	return nil
}

// room returns the place for an entry, which is absent or is overwritten.
func (x *index) room(seq uint64) *entry {
	n := seq / segmentSize
	switch {
	case len(x.segs) == 0:
		x.base = n
	case n < x.base:
		x.segs = append(make([]*segment, x.base-n, int(x.base-n)+len(x.segs)), x.segs...)
		x.base = n
	}
	for uint64(len(x.segs)) <= n-x.base {
		x.segs = append(x.segs, nil)
	}
	s := x.segs[n-x.base]
	if s == nil {
		s = &segment{oldest: math.MaxInt64, e: new([segmentSize]entry)}
		x.segs[n-x.base] = s
	}
	return &s.e[seq%segmentSize]
}

// touch notes that the segment of a message must be written again.
func (x *index) touch(seq uint64) {
	n := seq / segmentSize
	if s := x.segs[n-x.base]; !s.dirty {
		s.dirty = true
		x.dirty = append(x.dirty, n)
	}
}

// place files a message whose times are set: as loading or a send gives it.
func (x *index) place(seq uint64, e entry) {
	at := x.room(seq)
	*at = e
	at.phase = deleting // until join says better
	s := x.segs[seq/segmentSize-x.base]
	s.live++
	s.oldest = min(s.oldest, e.sent)
	x.oldest = min(x.oldest, e.sent)
	x.touch(seq)
}

// join puts a placed message into its group's list, by the time now; the group
// is to be settled then.
func (x *index) join(seq uint64, e *entry, now int64) {
	g := x.groups.at(e.group)
	g.total++
	e.prev, e.next = 0, 0
	if x.fifo {
		x.pushBack(g, seq, e)
	}
	switch visible := e.visibleAt() <= now; {
	case visible:
		e.phase = ready
		if !x.fifo {
			x.pushBack(g, seq, e)
		}
	case e.receives > 0:
		e.phase = inFlight
		g.busy++
	default:
		e.phase = delayed
	}
	if e.phase != ready {
		x.due.push(due{e.visibleAt(), seq})
	}
	x.count[e.phase]++
}

// add files a message that has just been sent.
func (x *index) add(seq uint64, e entry, now int64) {
	x.place(seq, e)
	x.join(seq, x.get(seq), now)
	x.settle(e.group)
}

// turn changes the phase of a message, with its place in the lists.
func (x *index) turn(seq uint64, e *entry, to phase) {
	g := x.groups.at(e.group)
	from := e.phase
	if from == to {
		return
	}
	x.count[from]--
	x.count[to]++
	e.phase = to
	if busy(from) {
		g.busy--
	}
	if busy(to) {
		g.busy++
	}
	if !x.fifo {
		switch {
		case from == ready:
			x.unlink(g, e)
		case to == ready && from == delayed:
			x.pushBack(g, seq, e)
		case to == ready:
			x.pushFront(g, seq, e)
		}
	}
	if to == inFlight {
		x.due.push(due{e.visibleAt(), seq})
	}
	x.touch(seq)
	x.settle(e.group)
}

// busy phases are those of messages in somebody's hands.
func busy(p phase) bool { return p == inFlight || p == moving || p == deleting }

// remove forgets a message.
func (x *index) remove(seq uint64, e *entry) {
	g := x.groups.at(e.group)
	if busy(e.phase) {
		g.busy--
	}
	if x.fifo || e.phase == ready {
		x.unlink(g, e)
	}
	x.count[e.phase]--
	x.touch(seq)
	group := e.group
	*e = entry{}
	g.total--
	x.settle(group)
	x.groups.release(group)
	n := seq / segmentSize
	s := x.segs[n-x.base]
	if s.live--; s.live == 0 && s.written == 0 {
		x.segs[n-x.base] = nil // no checkpoint knows it
	}
	if n == x.base {
		x.shrink()
	}
}

// shrink drops what is empty at the front, unless a checkpoint holds it.
func (x *index) shrink() {
	for len(x.segs) > 0 && x.segs[0] == nil {
		x.segs = x.segs[1:]
		x.base++
	}
}

// low is the smallest number that lives, or next if none does.
func (x *index) low(next uint64) uint64 {
	for i, s := range x.segs {
		if s == nil || s.live == 0 {
			continue
		}
		for j := range s.e {
			if s.e[j].phase != absent {
				return (x.base+uint64(i))*segmentSize + uint64(j)
			}
		}
	}
	return next
}

// each calls f for every message, in order. f may remove the message.
func (x *index) each(f func(seq uint64, e *entry)) {
	base, segs := x.base, x.segs
	for i, s := range segs {
		if s == nil || s.live == 0 {
			continue
		}
		for j := range s.e {
			if s.e[j].phase != absent {
				f((base+uint64(i))*segmentSize+uint64(j), &s.e[j])
			}
		}
	}
}

// below calls f for the messages with numbers below a bound, in order, until it
// returns false.
func (x *index) below(bound uint64, f func(seq uint64, e *entry) bool) {
	for i, s := range x.segs {
		from := (x.base + uint64(i)) * segmentSize
		if from >= bound {
			return
		}
		if s == nil || s.live == 0 {
			continue
		}
		for j := range s.e {
			if s.e[j].phase != absent && from+uint64(j) < bound && !f(from+uint64(j), &s.e[j]) {
				return
			}
		}
	}
}

// sweep removes what was sent before a time, but for what is on its way.
func (x *index) sweep(before int64, removed func(seq uint64)) {
	if x.oldest >= before {
		return
	}
	base, segs := x.base, x.segs
	x.oldest = math.MaxInt64
	for i, s := range segs {
		if s == nil || s.live == 0 {
			continue
		}
		if s.oldest < before {
			s.oldest = math.MaxInt64
			for j := range s.e {
				e, seq := &s.e[j], (base+uint64(i))*segmentSize+uint64(j)
				switch {
				case e.phase == absent:
				case e.sent < before && e.phase != moving && e.phase != deleting:
					x.remove(seq, e)
					removed(seq)
				default:
					s.oldest = min(s.oldest, e.sent)
				}
			}
		}
		x.oldest = min(x.oldest, s.oldest)
	}
}

// expire turns what is due by now, and reports whether anything became ready.
func (x *index) expire(now int64) (any bool) {
	for len(x.due) > 0 && x.due[0].at <= now {
		d := x.due.pop()
		if e := x.get(d.seq); x.isDue(d, e) {
			x.turn(d.seq, e, ready)
			any = true
		}
	}
	if limit := 2*(x.count[inFlight]+x.count[delayed]) + 1024; len(x.due) > limit {
		x.due.sift(func(d due) bool { return x.isDue(d, x.get(d.seq)) })
	}
	return any
}

// isDue reports whether d still speaks for the message.
func (x *index) isDue(d due, e *entry) bool {
	return e != nil && (e.phase == inFlight || e.phase == delayed) && e.visibleAt() == d.at
}

// nextDue is the time of the next turn, 0 if there is none.
func (x *index) nextDue() int64 {
	for len(x.due) > 0 {
		if x.isDue(x.due[0], x.get(x.due[0].seq)) {
			return x.due[0].at
		}
		x.due.pop()
	}
	return 0
}
