package queue

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"
)

// header is what the index keeps or needs of a message; it leads its record.
type header struct {
	sent    int64 // milliseconds
	visible int64 // milliseconds; sent where there is no delay
	id      [16]byte
	group   string
	dedup   key // zero for none
	origin  key // of a message that came from another queue, zero for none
}

// key is a hash by which a second copy of a message is known.
type key [16]byte

// payload is the rest of a message, and is encrypted where the queue says so.
type payload struct {
	Message
	deadLetterOf string // ARN

	// Of a dead letter: how often it was received before it came here, and when
	// first, in milliseconds. Both are zero of others.
	receives, first int64
}

const (
	hasDelay = 1 << iota
	hasDedup
	hasOrigin
	sealed
	squeezed
)

var errRecord = errors.New("queue: a record of the journal is not what it should be")

// maxHeader bounds a header's bytes without its group.
const maxHeader = 1 + 3*binary.MaxVarintLen64 + 3*16

// appendRecord writes a message. seal is nil where bodies are in the clear.
func appendRecord(b []byte, h *header, p *payload, seal cipher.AEAD) []byte {
	scratch := scratches.Get().(*scratch)
	defer scratches.Put(scratch)
	content, flags := scratch.squeeze(p)
	b = slices.Grow(b, maxHeader+len(h.group)+len(content)+sealSize)
	if h.visible != h.sent {
		flags |= hasDelay
	}
	if h.dedup != (key{}) {
		flags |= hasDedup
	}
	if h.origin != (key{}) {
		flags |= hasOrigin
	}
	if seal != nil {
		flags |= sealed
	}
	b = append(b, flags)
	b = binary.AppendUvarint(b, uint64(h.sent))
	if flags&hasDelay != 0 {
		b = binary.AppendUvarint(b, uint64(h.visible))
	}
	b = append(b, h.id[:]...)
	b = appendString(b, h.group)
	if flags&hasDedup != 0 {
		b = append(b, h.dedup[:]...)
	}
	if flags&hasOrigin != 0 {
		b = append(b, h.origin[:]...)
	}
	if seal == nil {
		return append(b, content...)
	}
	nonce := len(b)
	b = b[:nonce+seal.NonceSize()]
	rand.Read(b[nonce:])
	return seal.Seal(b, b[nonce:], content, b[:nonce])
}

func appendPayload(b []byte, p *payload) []byte {
	for _, s := range []string{p.Body, p.Trace, p.Dedup, p.Sender, p.deadLetterOf} {
		b = appendString(b, s)
	}
	b = binary.AppendUvarint(b, uint64(len(p.Attributes)))
	for name, a := range p.Attributes {
		b = appendString(appendString(b, name), a.Type)
		b = appendString(b, a.String)
		b = appendString(b, string(a.Binary))
	}
	if p.receives == 0 {
		return b
	}
	return binary.AppendUvarint(binary.AppendUvarint(b, uint64(p.receives)), uint64(p.first))
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// reader takes bytes apart; the first thing wrong makes the rest zero.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) uint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) int() int64 { return int64(r.uint()) }

func (r *reader) bytes(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.fail()
		return nil
	}
	v := r.b[:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) string() string { return string(r.bytes(r.uint())) }

func (r *reader) key() (k key) {
	copy(k[:], r.bytes(uint64(len(k))))
	return k
}

func (r *reader) byte() byte {
	if v := r.bytes(1); len(v) == 1 {
		return v[0]
	}
	return 0
}

func (r *reader) fail() { r.b, r.bad = nil, true }

// err tells of anything wrong, or left over.
func (r *reader) err() error {
	if r.bad || len(r.b) > 0 {
		return errRecord
	}
	return nil
}

// parseHeader reads a record's beginning; rest is its payload as it is there.
func parseHeader(record []byte) (h header, flags byte, rest []byte, err error) {
	r := &reader{b: record}
	flags = r.byte()
	h.sent = r.int()
	h.visible = h.sent
	if flags&hasDelay != 0 {
		h.visible = r.int()
	}
	h.id = r.key()
	h.group = r.string()
	if flags&hasDedup != 0 {
		h.dedup = r.key()
	}
	if flags&hasOrigin != 0 {
		h.origin = r.key()
	}
	if r.bad {
		return h, 0, nil, errRecord
	}
	return h, flags, r.b, nil
}

// parseRecord reads a whole message.
func parseRecord(record []byte, seal cipher.AEAD) (h header, p payload, err error) {
	h, flags, rest, err := parseHeader(record)
	if err != nil {
		return h, p, err
	}
	if flags&sealed != 0 {
		n := seal.NonceSize()
		if len(rest) < n {
			return h, p, errRecord
		}
		rest, err = seal.Open(nil, rest[:n], rest[n:], record[:len(record)-len(rest)])
		if err != nil {
			return h, p, errRecord
		}
	}
	if flags&squeezed != 0 {
		if rest, err = unsqueeze(rest); err != nil {
			return h, p, err
		}
	}
	r := &reader{b: rest}
	p.Body, p.Trace, p.Dedup, p.Sender, p.deadLetterOf = r.string(), r.string(), r.string(), r.string(), r.string()
	p.Group = h.group
	if n := r.uint(); n > 0 && !r.bad {
		p.Attributes = make(map[string]Attribute, min(n, 16))
		for range n {
			name := r.string()
			a := Attribute{Type: r.string(), String: r.string()}
			if v := r.bytes(r.uint()); len(v) > 0 {
				a.Binary = slices.Clone(v)
			}
			if r.bad {
				break
			}
			p.Attributes[name] = a
		}
	}
	if len(r.b) > 0 {
		p.receives, p.first = r.int(), r.int()
	}
	return h, p, r.err()
}

// sealSize is how much newSeal's cipher adds, with the nonce.
const sealSize = 12 + 16

// newSeal is the cipher of a queue's bodies.
func newSeal(secret []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// hash makes a key of parts.
func hash(parts ...string) (k key) {
	h := sha256.New()
	for _, p := range parts {
		h.Write(binary.AppendUvarint(nil, uint64(len(p))))
		h.Write([]byte(p))
	}
	copy(k[:], h.Sum(nil))
	return k
}
