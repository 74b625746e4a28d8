package pebble

import (
	"fmt"

	pdb "github.com/cockroachdb/pebble/v2"

	"github.com/dhowhq/dhow/journal"
)

// submit hands the batch to the database and returns when readers see it; wait
// must follow.
func (j *Journal) submit(b *pdb.Batch) (err error) {
	defer func() { // Pebble panics where its log cannot be written
		if p := recover(); p != nil {
			err = j.fail(fmt.Errorf("%v", p))
		}
	}()
	if err := j.db.ApplyNoSyncWait(b, pdb.Sync); err != nil {
		return j.fail(err)
	}
	return nil
}

// wait returns when the batch is on disk.
func (j *Journal) wait(b *pdb.Batch) error {
	if err := b.SyncWait(); err != nil {
		return j.fail(err)
	}
	return b.Close()
}

func (j *Journal) commit(b *pdb.Batch) error {
	if err := j.submit(b); err != nil {
		return err
	}
	return j.wait(b)
}

// fail ends the journal: after a sync that failed nobody knows what is on disk.
func (j *Journal) fail(err error) error {
	if !j.closed.Swap(true) {
		j.failed <- err
	}
	return fmt.Errorf("%w: %v", journal.ErrClosed, err)
}
