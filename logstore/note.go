package logstore

import (
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
)

// A note says what a stream held when it left memory, so that it comes back
// without its records being read:
//
//	8 bytes  magic   4 bytes  CRC-32C of the rest   8 bytes  the next segment's number
//	then per segment, 8 bytes each: number, 1 if compressed else 0, and its span
//
// It may be behind the records: segments are deleted whole, numbers do not come
// twice and what is noted of a growing one stays its beginning. It is ahead of
// them only where somebody has cut a segment off; then load writes it anew before
// anything is appended.
const (
	noteName  = "note"
	noteMagic = "dhownot1"
	noteHead  = 20
	noteEach  = 7 * 8
)

// note writes the note. The caller holds s.mu.
func (s *stream) note() error {
	if s.next == 0 {
		return nil // never written to
	}
	b := make([]byte, 12, noteHead+noteEach*len(s.segments))
	copy(b, noteMagic)
	b = binary.LittleEndian.AppendUint64(b, uint64(s.next))
	for _, g := range s.segments {
		sealed := int64(0)
		if g.sealed {
			sealed = 1
		}
		for _, n := range []int64{int64(g.number), sealed, g.first, g.last, g.events, g.size, g.ingested} {
			b = binary.LittleEndian.AppendUint64(b, uint64(n))
		}
	}
	binary.LittleEndian.PutUint32(b[8:], crc32.Checksum(b[12:], castagnoli))
	path := filepath.Join(s.dir, noteName)
	err := os.WriteFile(path+".new", b, 0o600)
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		os.Remove(path + ".new") // a full disk wants it back
		return err
	}
	s.changed = false
	return nil
}

// readNote returns a note's segments by number; none if there is no whole one.
func readNote(dir string) (next int, noted map[int]segment) {
	b, err := os.ReadFile(filepath.Join(dir, noteName))
	if err != nil {
		return 0, nil
	}
	return parseNote(b)
}

func parseNote(b []byte) (next int, noted map[int]segment) {
	if len(b) < noteHead || (len(b)-noteHead)%noteEach != 0 || string(b[:8]) != noteMagic ||
		crc32.Checksum(b[12:], castagnoli) != binary.LittleEndian.Uint32(b[8:]) {
		return 0, nil
	}
	next = int(binary.LittleEndian.Uint64(b[12:]))
	noted = make(map[int]segment)
	for b = b[noteHead:]; len(b) > 0; b = b[noteEach:] {
		n := func(i int) int64 { return int64(binary.LittleEndian.Uint64(b[8*i:])) }
		noted[int(n(0))] = segment{number: int(n(0)), sealed: n(1) == 1,
			span: span{first: n(2), last: n(3), events: n(4), size: n(5), ingested: n(6)}}
	}
	return next, noted
}
