// Package pebbletest opens journals on a disk that fails, for tests of engines.
package pebbletest

import (
	"github.com/dhowhq/dhow/journal"
	"github.com/dhowhq/dhow/journal/faultfs"
	"github.com/dhowhq/dhow/journal/pebble"
)

// Disk is a disk and the journal that the process of the day has open on it.
type Disk struct {
	t  fataler
	FS *faultfs.FS
	j  *pebble.Journal
}

// fataler is a testing.TB, or a rapid.T.
type fataler interface {
	Helper()
	Fatal(...any)
}

// New returns an empty disk; the seed decides what a loss of power leaves. Close
// is the caller's to call.
func New(t fataler, seed uint64) *Disk {
	t.Helper()
	d := &Disk{t: t, FS: faultfs.New(seed)}
	d.open()
	return d
}

func (d *Disk) open() {
	d.t.Helper()
	var err error
	if d.j, err = pebble.Open("/journal", pebble.Options{FS: d.FS, SegmentBytes: 1 << 20}); err != nil {
		d.t.Fatal(err)
	}
}

// Journal is the one that is open.
func (d *Disk) Journal() journal.Journal { return d.j }

// Kill ends the process as kill -9 does and returns the next one's journal.
func (d *Disk) Kill() journal.Journal { return d.next((*faultfs.FS).Kill) }

// PowerLoss ends the process with what was not synced.
func (d *Disk) PowerLoss() journal.Journal { return d.next((*faultfs.FS).PowerLoss) }

func (d *Disk) next(end func(*faultfs.FS) *faultfs.FS) journal.Journal {
	d.t.Helper()
	d.FS.Inject(nil)
	d.FS.Limit(0)
	d.FS = end(d.FS)
	d.j.Close() // writes nothing any more
	d.open()
	return d.j
}

// Close closes the journal in order.
func (d *Disk) Close() error { return d.j.Close() }
