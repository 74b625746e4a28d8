package pebble

import (
	"encoding/binary"
	"sync/atomic"

	pdb "github.com/cockroachdb/pebble/v2"

	"github.com/dhowhq/dhow/journal"
)

// change is what a call writes: operations that are done together, in the form
// in which a Pebble batch has them.
type change struct {
	ops        []byte
	count      uint32
	durability journal.Durability
	makesRoom  bool   // it is done even when the disk is all but full
	log        uint64 // the id of the log that gets records, 0 for none

	state atomic.Int32 // one of the below
	done  chan error   // gets the outcome, has room for it
}

const (
	waiting   = iota
	withdrawn // its call is over, nothing is to be done
	taken     // it is being done
)

func newChange(d journal.Durability, size int) *change {
	return &change{durability: d, done: make(chan error, 1), ops: make([]byte, 0, size)}
}

// operationSize is how much an operation takes beside its key and value, at most.
const operationSize = 1 + 2*binary.MaxVarintLen32

func (c *change) op(kind pdb.InternalKeyKind, key []byte) {
	c.ops = append(c.ops, byte(kind))
	c.ops = binary.AppendUvarint(c.ops, uint64(len(key)))
	c.ops = append(c.ops, key...)
	c.count++
}

func (c *change) value(v []byte) {
	c.ops = binary.AppendUvarint(c.ops, uint64(len(v)))
	c.ops = append(c.ops, v...)
}

func (c *change) set(key, v []byte) {
	c.op(pdb.InternalKeyKindSet, key)
	c.value(v)
}

func (c *change) remove(key []byte) { c.op(pdb.InternalKeyKindDelete, key) }

func (c *change) removeRange(from, to []byte) {
	c.op(pdb.InternalKeyKindRangeDelete, from)
	c.value(to)
}

// record adds a record. No key of a record is ever set twice.
func (c *change) record(id uint64, seq journal.Seq, data []byte) {
	c.ops = append(c.ops, byte(pdb.InternalKeyKindSet), recordKeyLen)
	c.ops = appendRecordKey(c.ops, id, seq)
	c.count++
	c.value(data)
}

// removeRecord removes a record. As it was set once, the removal and the record
// vanish as soon as they meet in a compaction.
func (c *change) removeRecord(id uint64, seq journal.Seq) {
	c.ops = append(c.ops, byte(pdb.InternalKeyKindSingleDelete), recordKeyLen)
	c.ops = appendRecordKey(c.ops, id, seq)
	c.count++
}
