package queue

import (
	"sync"

	"github.com/klauspost/compress/s2"
)

// What is written twice, to the write-ahead log and to a table, and cannot be
// compressed once it is encrypted, is compressed before.

const (
	minSqueezed = 128     // bytes; what is smaller stays as it is
	maxPayload  = 8 << 20 // bytes; none is as large
)

// scratch is where payloads are put together.
type scratch struct{ plain, small []byte }

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// squeeze is a payload's bytes and the flag that says how they are; they are
// good until the next call.
func (s *scratch) squeeze(p *payload) (content []byte, flags byte) {
	s.plain = appendPayload(s.plain[:0], p)
	if len(s.plain) < minSqueezed {
		return s.plain, 0
	}
	if n := s2.MaxEncodedLen(len(s.plain)); cap(s.small) < n {
		s.small = make([]byte, n)
	}
	small := s2.Encode(s.small[:cap(s.small)], s.plain)
	if len(small) > len(s.plain)-len(s.plain)/8 {
		return s.plain, 0
	}
	return small, squeezed
}

func unsqueeze(b []byte) ([]byte, error) {
	if n, err := s2.DecodedLen(b); err != nil || n > maxPayload {
		return nil, errRecord
	}
	plain, err := s2.Decode(nil, b)
	if err != nil {
		return nil, errRecord
	}
	return plain, nil
}
