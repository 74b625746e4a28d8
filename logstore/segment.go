package logstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"

	"github.com/klauspost/compress/zstd"
)

// A growing segment, NNNNNNNN.log, is a row of records:
//
//	4 bytes  length of what follows the checksum
//	4 bytes  CRC-32C of that
//	8 bytes  timestamp, 8 bytes ingestion time, the message
//
// A closed one, NNNNNNNN.zst, is a header and the records as one zstd frame:
//
//	8 bytes  magic   8 bytes each: least and greatest timestamp, events, raw size,
//	         greatest ingestion time
//
// Numbers are little endian.
const (
	magic      = "dhowlog1"
	headerSize = 48
	recordHead = 8
	maxRecord  = 2 << 20 // of what follows the checksum
	maxWrite   = 64 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// span is what a segment holds.
type span struct {
	first, last int64 // least and greatest timestamp
	events      int64
	size        int64 // of the records
	ingested    int64 // greatest ingestion time
}

func (s *span) add(timestamp, ingestion, size int64) {
	if s.events == 0 || timestamp < s.first {
		s.first = timestamp
	}
	if s.events == 0 || timestamp > s.last {
		s.last = timestamp
	}
	s.ingested = max(s.ingested, ingestion)
	s.events++
	s.size += size
}

func appendRecord(b []byte, e Event) []byte {
	start := len(b)
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0)
	b = binary.LittleEndian.AppendUint64(b, uint64(e.Timestamp))
	b = binary.LittleEndian.AppendUint64(b, uint64(e.Ingestion))
	b = append(b, e.Message...)
	body := b[start+recordHead:]
	binary.LittleEndian.PutUint32(b[start:], uint32(len(body)))
	binary.LittleEndian.PutUint32(b[start+4:], crc32.Checksum(body, castagnoli))
	return b
}

// errTorn is the end of what was written whole.
var errTorn = errors.New("record is torn or damaged")

// readRecord takes the first record off b; n is its length.
func readRecord(b []byte) (e Event, n int, err error) {
	r, n, err := nextRecord(b)
	if err != nil {
		return e, 0, err
	}
	return r.event(), n, nil
}

// record is an event whose message still lies where it was read.
type record struct {
	timestamp, ingestion int64
	message              []byte
}

func (r record) event() Event { return Event{r.timestamp, r.ingestion, string(r.message)} }

// nextRecord is readRecord without a copy of the message.
func nextRecord(b []byte) (r record, n int, err error) {
	if len(b) < recordHead+16 {
		return r, 0, errTorn
	}
	length := binary.LittleEndian.Uint32(b)
	if length < 16 || length > maxRecord || int(length) > len(b)-recordHead {
		return r, 0, errTorn
	}
	body := b[recordHead : recordHead+int(length)]
	if crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(b[4:]) {
		return r, 0, errTorn
	}
	r.timestamp = int64(binary.LittleEndian.Uint64(body))
	r.ingestion = int64(binary.LittleEndian.Uint64(body[8:]))
	r.message = body[16:]
	return r, recordHead + int(length), nil
}

// scan reads the records in b that follow those that are known, and returns
// what all of them span; the first torn one begins at its size.
func scan(b []byte, known span) (s span) {
	for s = known; ; {
		r, n, err := nextRecord(b[s.size-known.size:])
		if err != nil {
			return s
		}
		s.add(r.timestamp, r.ingestion, int64(n))
	}
}

// The coders are shared: each keeps megabytes of state.
var (
	encoder, _ = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20))
	decoder, _ = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(1<<30))
)

// writeSealed writes raw, records that span s, to a compressed file at path,
// whole or not at all.
func writeSealed(path string, raw []byte, s span) error {
	out := make([]byte, 0, headerSize+len(raw)/4)
	out = append(out, magic...)
	for _, n := range []int64{s.first, s.last, s.events, s.size, s.ingested} {
		out = binary.LittleEndian.AppendUint64(out, uint64(n))
	}
	out = encoder.EncodeAll(raw, out)
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(out)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		os.Remove(path + ".new") // a full disk wants it back
	}
	return err
}

// readHeader returns what a compressed segment spans.
func readHeader(path string) (s span, err error) {
	f, err := os.Open(path)
	if err != nil {
		return s, err
	}
	defer f.Close()
	var h [headerSize]byte
	if _, err := io.ReadFull(f, h[:]); err != nil || string(h[:8]) != magic {
		return s, fmt.Errorf("%s is no log segment", path)
	}
	return parseHeader(h[:]), nil
}

func parseHeader(h []byte) span {
	n := func(i int) int64 { return int64(binary.LittleEndian.Uint64(h[8+8*i:])) }
	return span{first: n(0), last: n(1), events: n(2), size: n(3), ingested: n(4)}
}

// readSealed returns the records of a compressed segment.
func readSealed(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if len(data) < headerSize || string(data[:8]) != magic {
		return nil, fmt.Errorf("%s is no log segment", path)
	}
	size := parseHeader(data).size
	if size < 0 || size > 1<<30 {
		return nil, fmt.Errorf("%s: header says %d bytes", path, size)
	}
	raw, err := decoder.DecodeAll(data[headerSize:], make([]byte, 0, size))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return raw, nil
}
