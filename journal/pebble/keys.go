package pebble

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/dhowhq/dhow/journal"
)

// The key space. A log's records lie together in the order of their numbers;
// the log is known there by an id, so that names cost nothing per record.
//
//	g          the next log's id, 8 bytes, and the floor of new logs' numbers, 8 bytes
//	l NAME     a log's head
//	n ID       the log's numbers below this are reserved, 8 bytes
//	r ID SEQ   a record
//	t ID       the number below which the log is trimmed, 8 bytes
//	w          the count of the last frame of the write-ahead log that is in here, 8 bytes
//	x NAME     the head of a log that was dropped
const (
	prefixLog     = 'l'
	prefixNumbers = 'n'
	prefixRecord  = 'r'
	prefixTrim    = 't'
	prefixDropped = 'x'
)

var (
	globalKey = []byte{'g'}
	frameKey  = []byte{'w'}
)

func nameKey(prefix byte, name string) []byte { return append([]byte{prefix}, name...) }

func idKey(prefix byte, id uint64) []byte { return binary.BigEndian.AppendUint64([]byte{prefix}, id) }

const recordKeyLen = 17

func appendRecordKey(b []byte, id uint64, seq journal.Seq) []byte {
	b = binary.BigEndian.AppendUint64(append(b, prefixRecord), id)
	return binary.BigEndian.AppendUint64(b, uint64(seq))
}

func recordKey(id uint64, seq journal.Seq) []byte {
	return appendRecordKey(make([]byte, 0, recordKeyLen), id, seq)
}

// recordsEnd is the key after all records of a log.
func recordsEnd(id uint64) []byte { return recordKey(id+1, 0) }

func recordSeq(key []byte) journal.Seq { return journal.Seq(binary.BigEndian.Uint64(key[9:])) }

func uint64Value(v uint64) []byte { return binary.BigEndian.AppendUint64(nil, v) }

// head is what is stored about a log under its name.
type head struct {
	id      uint64
	term    int64
	dropped int64 // Unix seconds of the drop, 0 while the log is there
}

const headVersion = 1

func (h head) encode() []byte {
	b := binary.AppendUvarint([]byte{headVersion}, h.id)
	b = binary.AppendVarint(b, h.term)
	return binary.AppendVarint(b, h.dropped)
}

var errHead = errors.New("what is stored about the log is damaged")

func decodeHead(b []byte) (h head, err error) {
	if len(b) == 0 || b[0] != headVersion {
		return h, fmt.Errorf("%w, or of a newer version of dhow", errHead)
	}
	b = b[1:]
	n := 0
	if h.id, n = binary.Uvarint(b); n <= 0 {
		return h, errHead
	}
	b = b[n:]
	if h.term, n = binary.Varint(b); n <= 0 {
		return h, errHead
	}
	b = b[n:]
	if h.dropped, n = binary.Varint(b); n <= 0 {
		return h, errHead
	}
	return h, nil
}

// prefixBounds are the keys between which the names lie that begin with prefix.
// No name has a byte of 0xff.
func prefixBounds(kind byte, prefix string) (from, to []byte) {
	return nameKey(kind, prefix), append(nameKey(kind, prefix), 0xff)
}
