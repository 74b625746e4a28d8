package stream

import (
	"context"
	"crypto/cipher"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/dhowhq/dhow/journal"
)

// shard is a shard in the hands of its owner.
//
// Appends of one shard follow each other, and each takes along all that has
// come meanwhile: so arrival times rise with the records' numbers, which is
// what finds a time without an index.
type shard struct {
	row  Shard // ClosedAt changes under the live stream's lock and mu
	id   string
	name string
	j    journal.Journal
	term int64
	now  func() time.Time
	keys *keys // of the stream

	opening sync.Mutex
	log     journal.Log // set under opening and mu, once

	mu     sync.Mutex
	limits limits
	queue  []*group
	busy   bool          // a leader appends
	idle   chan struct{} // closed when busy ends; nil where nobody waits
	last   int64         // arrival of the newest chunk, unix milliseconds
	low    journal.Seq   // nothing is below, as far as is known
	tip    journal.Seq   // readers see what is below
	wake   chan struct{} // closed when there is more to see; nil where nobody waits

	buf []byte // the leader's
}

// group is what one Put has for a shard.
type group struct {
	sh      *shard
	entries []*Entry
	placed  []*Placed // where to say what became of them
	done    func()
}

func logName(streamID string, index int) string {
	return fmt.Sprintf("stream/%s/%012d", streamID, index)
}

// ready opens the log, at the shard's first use.
func (sh *shard) ready(ctx context.Context) error {
	sh.opening.Lock()
	defer sh.opening.Unlock()
	if sh.log != nil {
		return nil
	}
	log, err := sh.j.Open(ctx, sh.name, sh.term)
	if err != nil {
		return fmt.Errorf("stream: cannot open %s: %w", sh.name, err)
	}
	tip := log.Next()
	last, err := newest(ctx, log, tip)
	if err != nil {
		return fmt.Errorf("stream: cannot read %s: %w", sh.name, err)
	}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.log, sh.tip, sh.last = log, tip, last
	return nil
}

// newest is the arrival of the last record below tip, 0 where there is none: the
// clock may have gone back since.
func newest(ctx context.Context, log journal.Log, tip journal.Seq) (last int64, err error) {
	for back := journal.Seq(1); ; back *= 4 {
		from := journal.Seq(0)
		if back < tip {
			from = tip - back
		}
		for r, err := range log.Read(ctx, from) {
			if err != nil {
				return 0, err
			}
			if _, last, err = head(r.Data); err != nil {
				return 0, err
			}
		}
		if last != 0 || from == 0 {
			return last, nil
		}
	}
}

// enqueue admits the group's entries by the shard's limits and queues them. It
// reports whether the caller must lead. The live stream's lock is held.
func (sh *shard) enqueue(g *group, ref Ref) (lead bool) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	var refused error
	now, n := sh.now(), 0
	for i, x := range g.entries {
		if !sh.limits.admit(now, x.size()) {
			if refused == nil {
				refused = exceeded(ref, sh.id)
			}
			g.placed[i].Err = refused
			continue
		}
		g.entries[n], g.placed[n] = x, g.placed[i]
		n++
	}
	g.entries, g.placed = g.entries[:n], g.placed[:n]
	if n == 0 {
		g.done()
		return false
	}
	sh.queue = append(sh.queue, g)
	lead, sh.busy = !sh.busy, true
	return lead
}

// lead appends what is queued, and lets another go on with what has come
// meanwhile.
func (sh *shard) lead(ctx context.Context) {
	err := sh.ready(ctx)
	sh.mu.Lock()
	batch := sh.queue
	sh.queue = nil
	sh.last = max(sh.last, sh.now().UnixMilli())
	arrival := sh.last
	sh.mu.Unlock()

	w := writer{sh: sh, ctx: ctx, arrival: arrival, key: sh.keys.writing(), err: err}
	for _, g := range batch {
		w.add(g)
	}
	w.flush()

	sh.mu.Lock()
	if w.end > sh.tip {
		sh.tip = w.end
		sh.tell()
	}
	more := len(sh.queue) > 0
	if !more {
		sh.busy = false
		if sh.idle != nil {
			close(sh.idle)
			sh.idle = nil
		}
	}
	sh.mu.Unlock()
	for _, g := range batch {
		g.done()
	}
	if more {
		go sh.lead(ctx)
	}
}

// tell wakes who waits for more; mu is held.
func (sh *shard) tell() {
	if sh.wake != nil {
		close(sh.wake)
		sh.wake = nil
	}
}

// watch returns the tip, and a channel that is closed when it moves or the
// shard is closed.
func (sh *shard) watch() (tip journal.Seq, closed bool, more <-chan struct{}) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.wake == nil {
		sh.wake = make(chan struct{})
	}
	return sh.tip, !sh.row.Open(), sh.wake
}

// drain returns when nothing is under way. The live stream's lock is held for
// writing, so nothing comes.
func (sh *shard) drain() {
	sh.mu.Lock()
	if !sh.busy {
		sh.mu.Unlock()
		return
	}
	idle := make(chan struct{})
	sh.idle = idle
	sh.mu.Unlock()
	<-idle
}

// writer forms a leader's chunks and appends them.
type writer struct {
	sh      *shard
	ctx     context.Context
	arrival int64
	key     cipher.AEAD // nil: not encrypted

	chunk []*Entry // of the chunk that grows, and its size
	into  []*Placed
	size  int

	ends    []int // of the finished chunks in sh.buf
	members [][]*Placed

	end journal.Seq // above what was appended
	err error       // fails the rest
}

const (
	appendBytes   = 1 << 20 // an Append has no more chunks beyond
	appendRecords = journal.MaxBatch
)

func (w *writer) add(g *group) {
	for i, x := range g.entries {
		if n := x.size(); len(w.chunk) > 0 && (w.size+n > chunkBytes || len(w.chunk) == chunkRecords) {
			w.finish()
		}
		w.chunk, w.into = append(w.chunk, x), append(w.into, g.placed[i])
		w.size += x.size()
	}
}

// finish ends the chunk that grows.
func (w *writer) finish() {
	if len(w.chunk) == 0 {
		return
	}
	sh := w.sh
	if w.size > chunkBytes {
		// A large record, or the first of one: it needs room of its own.
		w.append()
	}
	sh.buf = appendChunk(sh.buf, w.arrival, sh.name, w.key, w.chunk)
	w.ends, w.members = append(w.ends, len(sh.buf)), append(w.members, w.into)
	w.chunk, w.into, w.size = w.chunk[:0], nil, 0
	if len(sh.buf) >= appendBytes || len(w.ends) == appendRecords {
		w.append()
	}
}

func (w *writer) flush() {
	w.finish()
	w.append()
	if cap(w.sh.buf) > 2*appendBytes {
		w.sh.buf = nil
	}
}

// append writes the finished chunks and says where their records are.
func (w *writer) append() {
	sh := w.sh
	if len(w.ends) == 0 {
		return
	}
	records, from := make([][]byte, len(w.ends)), 0
	for i, end := range w.ends {
		records[i], from = sh.buf[from:end], end
	}
	if w.err == nil && len(records) == 1 && len(records[0]) > partBytes {
		records[0], w.err = w.parts(records[0])
	}
	var first journal.Seq
	if w.err == nil {
		first, w.err = sh.log.Append(w.ctx, journal.Synced, records...)
	}
	for i, members := range w.members {
		for j, p := range members {
			p.Err, p.Encrypted = w.err, w.key != nil
			if w.err == nil {
				p.Shard = sh.id
				p.Sequence = SequenceNumber{sh.row.Epoch, uint64(first) + uint64(i), uint32(j), uint32(sh.row.Index)}
			}
		}
	}
	if w.err == nil {
		w.end = first + journal.Seq(len(records))
	}
	w.ends, w.members, sh.buf = w.ends[:0], w.members[:0], sh.buf[:0]
}

// parts appends the pieces of a large chunk and returns the one that lists them.
func (w *writer) parts(chunk []byte) ([]byte, error) {
	var seqs []journal.Seq
	for _, p := range cut(chunk) {
		seq, err := w.sh.log.Append(w.ctx, journal.Written, p)
		if err != nil {
			return nil, err
		}
		seqs = append(seqs, seq)
	}
	return list(chunk, seqs), nil
}

// failed puts the journal's errors into the engine's.
func failed(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, journal.ErrFenced), errors.Is(err, journal.ErrClosed):
		return fmt.Errorf("%w: %w", ErrNoOwner, err)
	}
	return err
}
