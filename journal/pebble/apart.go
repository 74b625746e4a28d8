package pebble

import (
	"encoding/binary"
	"slices"

	pdb "github.com/cockroachdb/pebble/v2"
)

// Tables whose keys overlap are merged, and all between them with them. A log's
// new records follow its old ones, but what is beside them in a table (keys that
// are written again and again, records of other logs) would make tables overlap
// all the same. So records are in tables of their own, and so are those of a log
// that has much of what is flushed: its records are written to a table once.
// Small logs share tables, for there may be very many.

// largeShare is the part of a segment from which on a log is large.
const largeShare = 16

// weigh finds the large logs among those that filled a segment, and begins anew.
func (c *committer) weigh(segment int64) *[]uint64 {
	var ids []uint64
	for id, n := range c.fresh {
		if id != 0 && n >= segment/largeShare {
			ids = append(ids, id)
		}
	}
	clear(c.fresh)
	slices.Sort(ids)
	return &ids
}

// apart says where the table at the latest ends that begins with start.
func (j *Journal) apart(start []byte) (policy pdb.SpanPolicy, end []byte, err error) {
	switch {
	case start[0] < prefixRecord:
		return policy, []byte{prefixRecord}, nil
	case start[0] > prefixRecord:
		return policy, nil, nil
	case len(start) < recordKeyLen:
		return policy, recordKey(0, 0), nil
	}
	id, large := binary.BigEndian.Uint64(start[1:]), *j.large.Load()
	switch i, found := slices.BinarySearch(large, id); {
	case found:
		end = recordsEnd(id)
	case i < len(large):
		end = recordKey(large[i], 0)
	default:
		end = []byte{prefixRecord + 1}
	}
	return policy, end, nil
}
