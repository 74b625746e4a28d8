package topic

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dhowhq/dhow/bus/delivery"
	"github.com/dhowhq/dhow/journal"
)

// dedupTime is how long a MessageDeduplicationId is known.
const dedupTime = 5 * time.Minute

// fifo is a FIFO topic's memory: what was published in the last minutes, and the
// archive.
//
// What is delivered is written first, and known as published after that; the
// sync of the latter makes all durable, before the publisher is told. So a
// publisher that is told nothing, because the process died in between, and tries
// again gets its message delivered; a FIFO queue then drops the second one by
// its MessageDeduplicationId. One that was told finds its message known, after a
// loss of power too.
type fifo struct {
	once   sync.Once
	err    error
	loaded atomic.Bool

	// order is held in whole by a publication where the topic is the unit of
	// order and deduplication, and by a replay that catches up; where the message
	// group is, a publication shares it and holds its groups' shards.
	order  sync.RWMutex
	shards [64]sync.Mutex

	log     journal.Log // of publications
	archive journal.Log // nil until it is needed

	mu   sync.Mutex
	seen map[[32]byte]publication
	line []lined // in order of time, nearly
}

type publication struct {
	at time.Time
	Published
}

type lined struct {
	key [32]byte
	at  time.Time
	seq journal.Seq
}

var seed = maphash.MakeSeed()

// fifo returns a topic's memory, read from its log at first.
func (e *Engine) fifo(ctx context.Context, r *reign, id string) (*fifo, error) {
	r.mu.Lock()
	f := r.fifos[id]
	if f == nil {
		f = &fifo{seen: map[[32]byte]publication{}}
		r.fifos[id] = f
	}
	r.mu.Unlock()
	f.once.Do(func() { f.err = f.load(context.WithoutCancel(ctx), e.cfg.Journal, id, r.term) })
	if f.err != nil {
		r.mu.Lock()
		if r.fifos[id] == f {
			delete(r.fifos, id)
		}
		r.mu.Unlock()
	}
	return f, f.err
}

func (f *fifo) load(ctx context.Context, j journal.Journal, id string, term int64) (err error) {
	if f.log, err = j.Open(ctx, dedupLog(id), term); err != nil {
		return err
	}
	if f.archive, err = j.Open(ctx, archiveLog(id), term); err != nil {
		return err
	}
	now := time.Now()
	for rec, err := range f.log.Read(ctx, 0) {
		if err != nil {
			return err
		}
		key, p, err := decodePublication(rec.Data)
		if err != nil {
			return err
		}
		if now.Sub(p.at) < dedupTime {
			f.note(key, p, rec.Seq)
		}
	}
	f.loaded.Store(true)
	return nil
}

func (f *fifo) note(key [32]byte, p publication, seq journal.Seq) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen[key] = p
	f.line = append(f.line, lined{key, p.at, seq})
}

// known returns what a duplicate of now was published as.
func (f *fifo) known(key [32]byte, now time.Time) (Published, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p, ok := f.seen[key]
	return p.Published, ok && now.Sub(p.at) < dedupTime
}

// expire forgets what is older than dedupTime, on disk too.
func (f *fifo) expire(ctx context.Context, now time.Time) error {
	f.mu.Lock()
	n := 0
	var last journal.Seq
	for ; n < len(f.line) && now.Sub(f.line[n].at) >= dedupTime; n++ {
		last = max(last, f.line[n].seq)
		if p := f.seen[f.line[n].key]; !p.at.After(f.line[n].at) {
			delete(f.seen, f.line[n].key)
		}
	}
	f.line = slices.Clone(f.line[n:])
	for _, l := range f.line {
		last = min(last, l.seq-1)
	}
	f.mu.Unlock()
	if n == 0 {
		return nil
	}
	return f.log.Trim(ctx, last+1)
}

// lock holds the order of the messages' groups, and returns what lets go.
func (f *fifo) lock(t *Topic, messages []Message) (unlock func()) {
	if !t.ByGroup() {
		f.order.Lock()
		return f.order.Unlock
	}
	f.order.RLock()
	var held []int
	for i := range messages {
		held = append(held, int(maphash.String(seed, messages[i].Group)%uint64(len(f.shards))))
	}
	slices.Sort(held)
	held = slices.Compact(held)
	for _, n := range held {
		f.shards[n].Lock()
	}
	return func() {
		for _, n := range held {
			f.shards[n].Unlock()
		}
		f.order.RUnlock()
	}
}

// dedupKey is what a message is known by.
func dedupKey(t *Topic, m *Message) [32]byte {
	h := sha256.New()
	if t.ByGroup() {
		fmt.Fprintf(h, "%d:%s", len(m.Group), m.Group)
	}
	h.Write([]byte("\x00" + m.Dedup))
	return [32]byte(h.Sum(nil))
}

// prepareFIFO checks what FIFO topics ask for and fills in the
// MessageDeduplicationId.
func prepareFIFO(t *Topic, m *Message) error {
	if m.Group == "" {
		return ErrNoGroup
	}
	if m.Dedup == "" {
		if !t.ContentDedup() {
			return ErrNoDedup
		}
		sum := sha256.Sum256([]byte(m.Body))
		m.Dedup = hex.EncodeToString(sum[:])
	}
	return nil
}

func (e *Engine) publishFIFO(ctx context.Context, r *reign, t *Topic, messages []Message) ([]Published, error) {
	for i := range messages {
		if err := prepareFIFO(t, &messages[i]); err != nil {
			return nil, err
		}
	}
	f, err := e.fifo(ctx, r, t.ID)
	if err != nil {
		return nil, err
	}
	defer f.lock(t, messages)()
	now := time.Now().UTC().Truncate(time.Millisecond)
	out := make([]Published, len(messages))
	var items []delivery.Item
	var notes, archive [][]byte
	fresh := map[[32]byte]publication{}
	var keys [][32]byte
	for i := range messages {
		m := &messages[i]
		key := dedupKey(t, m)
		if p, twice := f.known(key, now); twice {
			out[i] = p
			continue
		}
		if p, twice := fresh[key]; twice {
			out[i] = p.Published
			continue
		}
		m.Time, m.Sequence = now, fmt.Sprintf("1%019d", r.sequence.Add(1))
		out[i] = Published{m.ID, m.Sequence}
		p := publication{now, out[i]}
		fresh[key], keys, notes = p, append(keys, key), append(notes, encodePublication(key, p))
		if items, err = e.items(items, t, m); err != nil {
			return nil, err
		}
		if t.ArchiveDays > 0 {
			rec, err := encodeArchived(t, m)
			if err != nil {
				return nil, err
			}
			archive = append(archive, rec)
		}
	}
	if len(notes) == 0 {
		return out, nil
	}
	// A caller that goes away must not leave some of it done.
	ctx = context.WithoutCancel(ctx)
	if len(items) > 0 {
		if err := r.deliver.EnqueueWritten(ctx, items...); err != nil {
			return nil, err
		}
	}
	if len(archive) > 0 {
		if err := appendAll(ctx, f.archive, archive); err != nil {
			return nil, err
		}
	}
	first, err := f.log.Append(ctx, journal.Synced, notes...) // and what was written before it
	if err != nil {
		return nil, err
	}
	for i, key := range keys {
		f.note(key, fresh[key], first+journal.Seq(i))
	}
	return out, nil
}

// appendAll writes records that may be too big for one batch; a Synced append is
// to follow.
func appendAll(ctx context.Context, l journal.Log, records [][]byte) error {
	for len(records) > 0 {
		n, size := 0, 0
		for n < len(records) && n < journal.MaxBatch && (n == 0 || size+len(records[n]) <= journal.MaxRecord) {
			size += len(records[n])
			n++
		}
		if _, err := l.Append(ctx, journal.Written, records[:n]...); err != nil {
			return err
		}
		records = records[n:]
	}
	return nil
}

// encodePublication: key, time in milliseconds, message ID, sequence number.
func encodePublication(key [32]byte, p publication) []byte {
	b := append(make([]byte, 0, 40+len(p.ID)+len(p.Sequence)+1), key[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(p.at.UnixMilli()))
	b = append(b, byte(len(p.ID)))
	b = append(b, p.ID...)
	return append(b, p.Sequence...)
}

func decodePublication(b []byte) (key [32]byte, p publication, err error) {
	if len(b) < 41 || len(b) < 41+int(b[40]) {
		return key, p, errRecord
	}
	copy(key[:], b)
	p.at = time.UnixMilli(int64(binary.BigEndian.Uint64(b[32:]))).UTC()
	n := int(b[40])
	p.ID, p.Sequence = string(b[41:41+n]), string(b[41+n:])
	return key, p, nil
}
