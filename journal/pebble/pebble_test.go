package pebble_test

import (
	"testing"

	"github.com/dhowhq/dhow/journal"
	"github.com/dhowhq/dhow/journal/faultfs"
	"github.com/dhowhq/dhow/journal/journaltest"
	"github.com/dhowhq/dhow/journal/pebble"
)

// onDisk is a place in a real directory, where a kill is only a close.
type onDisk struct{ dir string }

func (p onDisk) Open() (journal.Journal, error) { return pebble.Open(p.dir, pebble.Options{}) }

func (p onDisk) Kill(j journal.Journal) { j.Close() }

// onFaults is a place on a disk that can be made to fail.
type onFaults struct{ fs *faultfs.FS }

const smallSegment = 64 << 10

func (p *onFaults) Open() (journal.Journal, error) {
	return pebble.Open("/data/journal", pebble.Options{FS: p.fs, SegmentBytes: smallSegment})
}

func (p *onFaults) Kill(j journal.Journal) {
	p.fs = p.fs.Kill()
	j.Close()
}

func TestContract(t *testing.T) {
	t.Run("disk", func(t *testing.T) {
		journaltest.Run(t, func(t *testing.T) journaltest.Place { return onDisk{t.TempDir()} })
	})
	t.Run("faults", func(t *testing.T) {
		journaltest.Run(t, func(t *testing.T) journaltest.Place { return &onFaults{faultfs.New(1)} })
	})
}
