package pebble

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/dhowhq/dhow/journal"
)

// The key space. A log's records lie together in the order of their numbers;
// the log is known there by an id, so that names cost nothing per record.
//
//	g                next log id, 8 bytes, and the floor of new logs' numbers, 8 bytes
//	l NAME           a log's head: see head
//	r ID SEQ         a record
//	t ID             the number below which the log is trimmed, 8 bytes
//	x NAME           the head of a log that was dropped
const (
	globalKey = "g"
	prefixLog = 'l'
	prefixRec = 'r'
	prefixCut = 't'
	prefixOff = 'x'
)

func nameKey(prefix byte, name string) []byte { return append([]byte{prefix}, name...) }

func cutKey(id uint64) []byte { return binary.BigEndian.AppendUint64([]byte{prefixCut}, id) }

const recordKeyLen = 17

func putRecordKey(dst []byte, id uint64, seq journal.Seq) {
	dst[0] = prefixRec
	binary.BigEndian.PutUint64(dst[1:], id)
	binary.BigEndian.PutUint64(dst[9:], uint64(seq))
}

func recordKey(id uint64, seq journal.Seq) []byte {
	k := make([]byte, recordKeyLen)
	putRecordKey(k, id, seq)
	return k
}

// recordsEnd is the key after all records of a log.
func recordsEnd(id uint64) []byte { return recordKey(id+1, 0) }

func recordSeq(key []byte) journal.Seq { return journal.Seq(binary.BigEndian.Uint64(key[9:])) }

// head is what is stored about a log beside its records.
type head struct {
	id   uint64
	term int64
	// reserved is a number above all that have been given out. It is on disk
	// before the first number below it is given out, so none is used twice.
	reserved journal.Seq
	dropped  int64 // Unix seconds of the drop, 0 while the log is there
}

const headVersion = 1

func (h head) encode() []byte {
	b := []byte{headVersion}
	b = binary.AppendUvarint(b, h.id)
	b = binary.AppendVarint(b, h.term)
	b = binary.AppendUvarint(b, uint64(h.reserved))
	return binary.AppendVarint(b, h.dropped)
}

var errHead = errors.New("journal: a log's head is damaged")

func decodeHead(b []byte) (h head, err error) {
	if len(b) == 0 || b[0] != headVersion {
		return h, fmt.Errorf("%w, or of a newer version", errHead)
	}
	b = b[1:]
	unsigned := func() (v uint64) {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			err = errHead
			return 0
		}
		b = b[n:]
		return v
	}
	signed := func() int64 {
		u := unsigned()
		v := int64(u >> 1)
		if u&1 != 0 {
			v = ^v
		}
		return v
	}
	h = head{id: unsigned(), term: signed(), reserved: journal.Seq(unsigned()), dropped: signed()}
	return h, err
}

// prefixBounds are the keys from and to which the names lie that begin with
// prefix.
func prefixBounds(kind byte, prefix string) (from, to []byte) {
	return nameKey(kind, prefix), append(nameKey(kind, prefix), strings.Repeat("\xff", 1)...)
}
