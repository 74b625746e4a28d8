// Package journal keeps durable, ordered logs of records: queues, streams,
// deliveries and workflow histories are state machines over them.
//
// A Journal holds any number of logs, known by name. A log is an owner's: it
// opens the log with its term, the fencing number of its lease, and from then on
// calls of owners with a lower term fail. What an owner keeps beside a log (an
// index of what waits, a count of receives) it rebuilds from the log, or from a
// checkpoint that it keeps in another one, so every process that can reach the
// journal can take a log over.
//
// Back ends: journal/pebble on the local disk, journal/nats on a JetStream
// cluster, journal/mem for tests. All pass journal/journaltest.
package journal

import (
	"context"
	"errors"
	"iter"

	"github.com/dhowhq/dhow/internal/fault"
)

var (
	// ErrFenced is the answer to an owner of a log that another one with a
	// higher term has opened since, or dropped.
	ErrFenced = errors.New("journal: the log has another owner now")

	// ErrNotFound is Get's answer for a record that is not there: deleted,
	// trimmed away, or never written.
	ErrNotFound = errors.New("journal: no such record")

	// ErrTooBig is Append's answer to a record or a batch beyond what the back
	// end can hold; MaxRecord and MaxBatch are always possible.
	ErrTooBig = errors.New("journal: the records are too big")

	// ErrFull is the answer to writes while the disk, or the back end's quota,
	// is full. Nothing of the call was written, what was acknowledged before is
	// safe, and writes succeed again once there is room. Of what makes room
	// (Drop, Delete, Trim, and appends with MakesRoom) it is the answer only
	// when the reserve that is kept for them is used up too.
	ErrFull = fault.Ours("journal: no space left",
		"The disk of the message journal is full: nothing was written. Make room; what was acknowledged before is kept.")

	// ErrUnknown is Append's answer when it cannot say whether the records were
	// written: its context ended meanwhile, or the connection broke. The owner
	// must read the log's end before it goes on.
	ErrUnknown = errors.New("journal: outcome of the append is unknown")

	// ErrClosed is the answer after Close, or once the back end has failed for
	// good: after a sync that failed nothing more is acknowledged.
	ErrClosed = errors.New("journal: closed")

	// ErrInUse is the answer to opening a directory that another journal, of
	// this process or another one, has open.
	ErrInUse = errors.New("journal: in use by another process")
)

const (
	// MaxRecord is the size in bytes that a record may always have.
	MaxRecord = 2 << 20
	// MaxBatch is the number of records that one Append always takes, as long
	// as their sizes add up to MaxRecord at most.
	MaxBatch = 1000
	// MaxName is the longest name of a log in bytes.
	MaxName = 512
)

// Seq numbers a record within its log. Numbers begin at 1 or above, rise in the
// order of appending, may leave gaps, and are never used again, not even after
// a Drop of the log and its making anew.
type Seq uint64

// Record is one entry of a log.
type Record struct {
	Seq  Seq
	Data []byte // the reader's to keep, not to change
}

// Durability says what Append has done when it returns.
type Durability int

const (
	// Synced: the records are on disk (in a cluster, on a majority's disks).
	Synced Durability = iota
	// Written: the records survive the end of this process by kill -9; a power
	// loss may take the newest of them, and then all that were appended to the
	// log after them as well. A later Synced append, to whichever log of the
	// journal, makes them durable too.
	Written
)

// MakesRoom is added to a Durability by appends that lead to the removal of
// records, such as the word that a message was deleted, or a checkpoint before a
// trim. They may use what is kept free of the disk when it is full otherwise, so
// they are to be small, or followed by removals.
const MakesRoom Durability = 1 << 8

// Journal is a set of logs. It is safe for concurrent use.
type Journal interface {
	// Open returns the log of that name for an owner's term, making the log if
	// it is not there. It takes the log from owners of lower terms, and fails
	// with ErrFenced if one of a higher term has it. The same term may open a
	// log again: the logs returned are one.
	//
	// A name has 1 to MaxName bytes of letters, digits and "-_./:", and begins
	// and ends with a letter or digit.
	Open(ctx context.Context, name string, term int64) (Log, error)

	// Names returns the names of the logs that begin with prefix, in order.
	Names(ctx context.Context, prefix string) ([]string, error)

	// Drop removes the log and all its records for good, as the owner of that
	// term; logs that are open on it are fenced. Dropping what is not there is
	// no error. It is synced.
	Drop(ctx context.Context, name string, term int64) error

	// Failed returns a channel that gets an error when the back end has failed
	// for good.
	Failed() <-chan error

	// Close ends the journal after what is under way; everything acknowledged
	// is on disk.
	Close() error
}

// Log is one log in the hands of its owner. It is safe for concurrent use;
// concurrent appends are committed together.
type Log interface {
	// Append adds the records, all or none, and returns the number of the
	// first; the others' follow it without a gap. Records that were appended
	// by calls which returned earlier have lower numbers. At least one record
	// is needed; a record may be empty. The data is copied.
	Append(ctx context.Context, d Durability, records ...[]byte) (first Seq, err error)

	// Read yields the records with numbers of at least from that are in the
	// log when it is called, in order. It yields an error last, if there is
	// one. Deleted records are left out.
	Read(ctx context.Context, from Seq) iter.Seq2[Record, error]

	// Get returns the record of each number, in the order asked. Where one is
	// missing its Data is nil (that of an empty record is not); if all are, the
	// error is ErrNotFound.
	Get(ctx context.Context, seqs ...Seq) ([]Record, error)

	// Delete removes single records. It is Written: they may come back after a
	// power loss, so what must stay deleted has to be said by a record.
	Delete(ctx context.Context, seqs ...Seq) error

	// Trim removes the records with numbers below first, whatever their count,
	// at a cost that does not grow with it. It is Written, as Delete.
	Trim(ctx context.Context, first Seq) error

	// Next is a number above that of every record which has ever been in the
	// log; the next append's first number is at least this.
	Next() Seq

	// Size is the number of bytes that the log takes up, roughly: for metrics
	// and to decide when a checkpoint is due.
	Size() int64
}
