package queue

import (
	"context"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"runtime"
	"unicode/utf8"
	"unsafe"

	"github.com/dhowhq/dhow/journal"
)

// outgoing is a message ready for the journal.
type outgoing struct {
	header
	record []byte
	sent   *Sent // its outcome
	known  bool  // it is a duplicate of what is there already
}

// parcel is messages of one sender, written together or with those of others.
type parcel struct {
	out  []outgoing
	size int
	err  error
	turn chan bool // true: it is done; false: its sender is to lead
}

// check says what is wrong with a message for a queue.
func check(d *Definition, m *Message) error {
	if m.Body == "" {
		return ErrEmpty
	}
	size := len(m.Body)
	if !Valid(m.Body) {
		return ErrCharacters
	}
	for name, a := range m.Attributes {
		size += len(name) + len(a.Type) + len(a.String) + len(a.Binary)
		if !Valid(a.String) {
			return ErrCharacters
		}
	}
	switch {
	case size > d.MaxSize:
		return ErrTooLarge
	case !d.FIFO && m.Dedup != "":
		return ErrDedup
	case !d.FIFO:
	case m.Group == "":
		return ErrNoGroup
	case m.Dedup == "" && !d.ContentDedup:
		return ErrNoDedup
	case m.Delay != nil && *m.Delay != 0:
		return ErrDelay
	}
	return nil
}

// Valid reports whether a message may have the text: UTF-8 of characters that
// XML 1.0 has (SendMessage in the API reference).
func Valid(s string) bool {
	for i := plain(s); i < len(s); {
		if c := s[i]; c < utf8.RuneSelf {
			if c < 0x20 && c != '\t' && c != '\n' && c != '\r' {
				return false
			}
			i++
			i += plain(s[i:])
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n <= 1 || r == 0xFFFE || r == 0xFFFF {
			return false
		}
		i += n
	}
	return true
}

// plain is how many bytes s begins with, in steps of eight, that are printable
// ASCII.
func plain(s string) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	b := unsafe.Slice(unsafe.StringData(s), len(s)) // read only
	n := 0
	for ; len(b)-n >= 8; n += 8 {
		// The lowest byte below ' ' borrows, which sets its top bit; without one no
		// byte does.
		if w := binary.LittleEndian.Uint64(b[n:]); (w|(w-' '*ones))&tops != 0 {
			break
		}
	}
	return n
}

// prepare makes a message ready.
func (s *state) prepare(d *Definition, m *Message, now int64) outgoing {
	o := outgoing{header: header{sent: now, visible: now, group: m.Group}}
	newUUID(&o.id)
	delay := int64(d.Delay) * 1000
	if m.Delay != nil && !d.FIFO {
		delay = m.Delay.Milliseconds()
	}
	o.visible += delay
	p := payload{Message: *m, deadLetterOf: m.deadLetterOf}
	if d.FIFO {
		if p.Dedup == "" {
			sum := sha256.Sum256([]byte(m.Body))
			p.Dedup = hex.EncodeToString(sum[:])
		}
		if o.dedup = hash("queue", p.Dedup); d.DedupByGroup {
			o.dedup = hash("group", m.Group, p.Dedup)
		}
	}
	o.record = appendRecord(nil, &o.header, &p, s.sealFor(d))
	return o
}

// sealFor is the cipher for what is written now, nil for none.
func (s *state) sealFor(d *Definition) cipher.AEAD {
	if d.Encrypted() {
		return s.seal
	}
	return nil
}

// newUUID makes a random UUID.
func newUUID(id *[16]byte) {
	binary.LittleEndian.PutUint64(id[:8], rand.Uint64())
	binary.LittleEndian.PutUint64(id[8:], rand.Uint64())
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
}

func formatUUID(id [16]byte) string {
	var b [36]byte
	hex.Encode(b[:], id[:4])
	hex.Encode(b[9:], id[4:6])
	hex.Encode(b[14:], id[6:8])
	hex.Encode(b[19:], id[8:10])
	hex.Encode(b[24:], id[10:])
	b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
	return string(b[:])
}

// sequence is a FIFO message's SequenceNumber: 20 digits that rise.
func sequence(seq uint64) string { return fmt.Sprintf("1%019d", seq) }

// send writes messages and reports on each.
func (s *state) send(ctx context.Context, d *Definition, messages []Message) ([]Sent, error) {
	results := make([]Sent, len(messages))
	now := millis()
	var parcels []*parcel
	for i := range messages {
		if results[i].Err = check(d, &messages[i]); results[i].Err != nil {
			continue
		}
		o := s.prepare(d, &messages[i], now)
		o.sent = &results[i]
		parcels = pack(parcels, o, len(messages)-i)
	}
	return results, s.post(ctx, parcels)
}

// pack adds a message, the first of so many that are left, to the last parcel,
// or to a new one if that is full.
func pack(parcels []*parcel, o outgoing, left int) []*parcel {
	var p *parcel
	if n := len(parcels); n > 0 {
		p = parcels[n-1]
	}
	if p == nil || len(p.out) == journal.MaxBatch || p.size+len(o.record) > journal.MaxRecord {
		p = &parcel{turn: make(chan bool, 1), out: make([]outgoing, 0, min(left, journal.MaxBatch))}
		parcels = append(parcels, p)
	}
	p.out = append(p.out, o)
	p.size += len(o.record)
	return parcels
}

// post ships parcels in order and returns the first error.
func (s *state) post(ctx context.Context, parcels []*parcel) error {
	for i, p := range parcels {
		if s.ship(ctx, p); p.err != nil {
			for _, rest := range parcels[i:] {
				for _, o := range rest.out {
					if !o.known {
						o.sent.Err = p.err
					}
				}
			}
			return p.err
		}
	}
	return nil
}

// ship brings a parcel to the journal. Of the senders that are at it one leads:
// it writes what has gathered, all in one append, and then lets the next lead.
// So a queue's appends come one after the other, in the order of its messages.
func (s *state) ship(ctx context.Context, p *parcel) {
	s.mu.Lock()
	if s.failed != nil {
		p.err = s.failed
		s.mu.Unlock()
		return
	}
	s.outbox = append(s.outbox, p)
	lead := !s.shipping
	s.shipping = true
	s.mu.Unlock()
	if !lead && <-p.turn {
		return
	}
	s.lead(ctx, p)
}

// lead writes one batch, of which own is the first parcel.
func (s *state) lead(ctx context.Context, own *parcel) {
	runtime.Gosched() // who is about to send comes along: they share the sync
	s.mu.Lock()
	batch, records, fresh := s.gather()
	if len(records) > 0 { // the state was not given up
		s.writes.Add(1)
		defer s.writes.Done()
	}
	s.mu.Unlock()
	var first journal.Seq
	var err error
	if len(records) > 0 {
		first, err = s.m.Append(context.WithoutCancel(ctx), journal.Synced, records...)
	}
	s.mu.Lock()
	if err != nil {
		for i := range fresh {
			s.dedup.retract(fresh[i].dedup)
			delete(s.origins, fresh[i].origin)
		}
		if !definite(err) {
			s.fail(err)
		}
	} else {
		s.arrive(uint64(first), fresh)
	}
	if s.shipping = len(s.outbox) > 0; s.shipping {
		s.outbox[0].turn <- false
	}
	s.mu.Unlock()
	for _, p := range batch {
		if p.err == nil {
			p.err = err
		}
		if p != own {
			p.turn <- true
		}
	}
}

// gather takes parcels from the outbox, as many as fit into an append, and
// leaves out duplicates: fresh are the messages to write.
func (s *state) gather() (batch []*parcel, records [][]byte, fresh []*outgoing) {
	size, n, most := 0, 0, 0
	for _, p := range s.outbox {
		most += len(p.out)
	}
	most = min(most, journal.MaxBatch)
	records, fresh = make([][]byte, 0, most), make([]*outgoing, 0, most)
	for n < len(s.outbox) {
		p := s.outbox[n]
		if n > 0 && (size+p.size > journal.MaxRecord || len(records)+len(p.out) > journal.MaxBatch) {
			break
		}
		n++
		size += p.size
		for i := range p.out {
			if o := &p.out[i]; s.failed == nil && s.admit(o) {
				records = append(records, o.record)
				fresh = append(fresh, o)
			}
		}
	}
	batch = s.outbox[:n:n]
	s.outbox = s.outbox[n:]
	if s.failed != nil {
		for _, p := range batch {
			p.err = s.failed
		}
	}
	return batch, records, fresh
}

// admit reports whether a message is no duplicate; of one that is, it gives
// what the first one got.
func (s *state) admit(o *outgoing) bool {
	o.sent.ID = formatUUID(o.id)
	if o.origin != (key{}) {
		if _, o.known = s.origins[o.origin]; o.known {
			return false
		}
		s.origins[o.origin] = millis()
	}
	if o.dedup == (key{}) {
		return true
	}
	now := millis()
	s.dedup.expire(now)
	first, twice := s.dedup.note(o.dedup, now, o)
	if !twice {
		return true
	}
	if o.known = first.seq != 0; o.known {
		o.sent.ID, o.sent.Sequence = formatUUID(first.id), sequence(first.seq)
	} else {
		first.twins = append(first.twins, o.sent) // of the same append
		o.sent.ID = formatUUID(first.id)
	}
	return false
}

// arrive files written messages and serves who waits for them.
func (s *state) arrive(first uint64, fresh []*outgoing) {
	if len(fresh) == 0 {
		return
	}
	now := millis()
	for i, o := range fresh {
		seq := first + uint64(i)
		e := entry{sent: o.header.sent, group: s.index.groups.number(o.group)}
		e.setVisibleAt(o.visible)
		s.index.add(seq, e, now)
		s.tail.bytes += int64(len(o.record))
		if s.index.count[ready] <= keptReady {
			s.shelf.put(seq, o.record)
		}
		if o.dedup != (key{}) {
			s.dedup.settle(o.dedup, seq)
		}
		if s.index.fifo {
			o.sent.Sequence = sequence(seq)
		}
	}
	s.tail.seen = first + uint64(len(fresh)) - 1
	s.tail.changes += len(fresh)
	s.serve(now)
}
