package stream

import (
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/dhowhq/dhow/journal"
)

// A chunk is what a journal's record holds: the records of a shard that were put
// together, up to a limit, so that many small ones cost one. Its head is
//
//	format  1 byte   chunkFormat
//	flags   1 byte
//	arrival 8 bytes  unix milliseconds
//
// and its body, sealed if the flag says so,
//
//	number of records, then of each: length of the partition key, the key,
//	length of the data, the data (lengths as uvarints)
//
// A body that is too large for a record of the journal lies in parts before a
// chunk that lists their numbers.
const (
	chunkFormat = 1
	chunkHead   = 10

	flagSealed = 1 << 0
	flagPart   = 1 << 1 // a piece of a later chunk's body
	flagList   = 1 << 2 // the body is in parts

	chunkBytes   = 64 << 10                 // a chunk takes no more records beyond
	chunkRecords = 256                      // the same
	partBytes    = journal.MaxRecord - 1024 // what fits into one record for sure
)

var errChunk = errors.New("stream: a record of the journal is damaged")

func putHead(b []byte, flags byte, arrival int64) []byte {
	return binary.BigEndian.AppendUint64(append(b, chunkFormat, flags), uint64(arrival))
}

// head reads a chunk's head.
func head(data []byte) (flags byte, arrival int64, err error) {
	if len(data) < chunkHead || data[0] != chunkFormat {
		return 0, 0, errChunk
	}
	return data[1], int64(binary.BigEndian.Uint64(data[2:])), nil
}

// appendChunk appends the chunk of the entries to b. name is the log's: a sealed
// chunk opens in no other.
func appendChunk(b []byte, arrival int64, name string, a cipher.AEAD, entries []*Entry) []byte {
	if a == nil {
		return appendBody(putHead(b, 0, arrival), entries)
	}
	return seal(a, putHead(b, flagSealed, arrival), appendBody(nil, entries), []byte(name))
}

func appendBody(b []byte, entries []*Entry) []byte {
	b = binary.AppendUvarint(b, uint64(len(entries)))
	for _, x := range entries {
		b = append(binary.AppendUvarint(b, uint64(len(x.PartitionKey))), x.PartitionKey...)
		b = append(binary.AppendUvarint(b, uint64(len(x.Data))), x.Data...)
	}
	return b
}

// cut takes the body of a chunk that is too large apart: the parts, each a
// record of the journal.
func cut(chunk []byte) (parts [][]byte) {
	_, arrival, _ := head(chunk)
	for body := chunk[chunkHead:]; len(body) > 0; {
		n := min(len(body), partBytes)
		parts = append(parts, append(putHead(nil, flagPart, arrival), body[:n]...))
		body = body[n:]
	}
	return parts
}

// list is the chunk whose body is in parts of those numbers.
func list(chunk []byte, parts []journal.Seq) []byte {
	flags, arrival, _ := head(chunk)
	b := putHead(nil, flags|flagList, arrival)
	b = binary.AppendUvarint(b, uint64(len(parts)))
	for _, seq := range parts {
		b = binary.AppendUvarint(b, uint64(seq))
	}
	return b
}

// listed reads the numbers that list wrote.
func listed(body []byte) ([]journal.Seq, error) {
	n, body, err := uvarint(body)
	if err != nil || n > uint64(len(body)) {
		return nil, errChunk
	}
	out := make([]journal.Seq, n)
	for i := range out {
		var seq uint64
		if seq, body, err = uvarint(body); err != nil {
			return nil, err
		}
		out[i] = journal.Seq(seq)
	}
	if len(body) > 0 {
		return nil, errChunk
	}
	return out, nil
}

// openBody returns the body of a chunk in plain.
func openBody(flags byte, body []byte, name string, a cipher.AEAD) ([]byte, error) {
	if flags&flagSealed == 0 {
		return body, nil
	}
	if a == nil {
		return nil, fmt.Errorf("stream: records of %s are encrypted, and the stream's key is gone", name)
	}
	plain, err := unseal(a, body, []byte(name))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errChunk, err)
	}
	return plain, nil
}

// eachEntry calls f for the entries of a plain body, until it says false. What
// they hold is body's memory.
func eachEntry(body []byte, f func(idx int, key string, data []byte) bool) error {
	n, body, err := uvarint(body)
	if err != nil || n > uint64(len(body)) {
		return errChunk
	}
	for i := range int(n) {
		var key, data []byte
		if key, body, err = piece(body); err != nil {
			return err
		}
		if data, body, err = piece(body); err != nil {
			return err
		}
		if !f(i, string(key), data) {
			return nil
		}
	}
	if len(body) > 0 {
		return errChunk
	}
	return nil
}

func piece(b []byte) (p, rest []byte, err error) {
	n, b, err := uvarint(b)
	if err != nil || n > uint64(len(b)) {
		return nil, nil, errChunk
	}
	return b[:n:n], b[n:], nil
}

func uvarint(b []byte) (uint64, []byte, error) {
	v, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, nil, errChunk
	}
	return v, b[n:], nil
}
