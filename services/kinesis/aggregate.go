package kinesis

import (
	"bytes"
	"crypto/md5"

	"google.golang.org/protobuf/encoding/protowire"
)

// aggregated begins the data of a record in which the Kinesis Producer Library
// has put several ("KPL Aggregated Record Format" in its repository): a message
// AggregatedRecord of Protobuf follows, and its MD5.
var aggregated = []byte{0xF3, 0x89, 0x9A, 0xC2}

// Numbers of fields: the records of an AggregatedRecord, the data of one.
const (
	aggregateRecords = 3
	aggregateData    = 3
)

// split returns the data of the records in a record, which is its own where it is
// no aggregate.
func split(data []byte) [][]byte {
	rest, ok := bytes.CutPrefix(data, aggregated)
	if !ok || len(rest) < md5.Size {
		return [][]byte{data}
	}
	message := rest[:len(rest)-md5.Size]
	if md5.Sum(message) != [md5.Size]byte(rest[len(message):]) {
		return [][]byte{data}
	}
	var all [][]byte
	whole := fields(message, aggregateRecords, func(record []byte) bool {
		var one []byte
		ok := fields(record, aggregateData, func(b []byte) bool { one = b; return true })
		all = append(all, one)
		return ok
	})
	if !whole || len(all) == 0 {
		return [][]byte{data}
	}
	return all
}

// fields calls see with the bytes of each field of a number in a message of
// Protobuf, and reports whether the message is whole and see had nothing against
// it.
func fields(message []byte, number protowire.Number, see func([]byte) bool) bool {
	for len(message) > 0 {
		got, typ, n := protowire.ConsumeTag(message)
		if n < 0 {
			return false
		}
		size := protowire.ConsumeFieldValue(got, typ, message[n:])
		if size < 0 {
			return false
		}
		if got == number && typ == protowire.BytesType {
			if b, _ := protowire.ConsumeBytes(message[n:]); !see(b) {
				return false
			}
		}
		message = message[n+size:]
	}
	return true
}
