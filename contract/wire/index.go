package wire

import (
	"encoding/binary"
	"errors"
	"math"
)

// ErrIndexes is a list of message indexes that cannot be.
var ErrIndexes = errors.New("the list of Protobuf message indexes is cut off or not sane: a count and as many indexes from 0, as zigzag varints")

// maxIndexes is how deep messages nest in a file; protoc itself stops at 32.
const maxIndexes = 100

// AppendIndexes appends which message of a Protobuf file the payload is, as
// Confluent's form has it between header and payload: the index of a message of
// the file, then of one nested in that, and so on. The first message of a file,
// {0}, is a single 0.
func AppendIndexes(dst []byte, indexes ...int) []byte {
	if len(indexes) == 1 && indexes[0] == 0 {
		return append(dst, 0)
	}
	dst = binary.AppendVarint(dst, int64(len(indexes)))
	for _, i := range indexes {
		dst = binary.AppendVarint(dst, int64(i))
	}
	return dst
}

// SplitIndexes takes a list of message indexes off a Confluent payload that is
// known to be Protobuf, appends it to dst, and returns both it and what follows.
func SplitIndexes(dst []int, payload []byte) (indexes []int, rest []byte, err error) {
	count, n := binary.Varint(payload)
	if n <= 0 || count < 0 || count > maxIndexes {
		return dst, payload, ErrIndexes
	}
	rest = payload[n:]
	if count == 0 {
		return append(dst, 0), rest, nil
	}
	indexes = dst
	for range count {
		i, n := binary.Varint(rest)
		if n <= 0 || i < 0 || i > math.MaxInt32 {
			return dst, payload, ErrIndexes
		}
		indexes, rest = append(indexes, int(i)), rest[n:]
	}
	return indexes, rest, nil
}
