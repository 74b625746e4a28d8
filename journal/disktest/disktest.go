// Package disktest has disks that fail under the journals of engines' tests: in
// memory, where the journal fails as its contract lets it, and as a file system
// under Pebble, which fails as file systems do.
package disktest

import (
	"math"
	"math/rand/v2"

	"pgregory.net/rapid"

	"github.com/dhowhq/dhow/journal"
	"github.com/dhowhq/dhow/journal/faultfs"
	"github.com/dhowhq/dhow/journal/journaltest"
	"github.com/dhowhq/dhow/journal/mem"
	"github.com/dhowhq/dhow/journal/pebble"
)

// Disk is a disk with a journal on it, which one process after the other has
// open.
type Disk interface {
	// Journal is that of the process of the day.
	Journal() journal.Journal
	// Kill ends the process as kill -9 does and returns the next one's journal.
	// The disk is sound again.
	Kill() journal.Journal
	// PowerLoss is Kill with the loss of what was not synced, or a part of it.
	PowerLoss() journal.Journal
	// Fail has something go wrong, soon.
	Fail(t *rapid.T)
	// Heal lets nothing go wrong that did not yet.
	Heal()
	// Close closes the journal in order.
	Close() error
}

// fataler is a testing.TB, or a rapid.T.
type fataler interface {
	Helper()
	Fatal(...any)
}

// Memory returns an empty disk in memory; the seed decides what a loss of power
// leaves.
func Memory(seed uint64) Disk { return &memory{j: mem.New(), rng: rand.New(rand.NewPCG(seed, 1))} }

type memory struct {
	j      *mem.Journal
	faults journaltest.Faults
	rng    *rand.Rand
}

func (d *memory) Journal() journal.Journal { return d.faults.Over(d.j) }
func (d *memory) Heal()                    { d.faults.Heal() }
func (d *memory) Close() error             { return d.j.Close() }

func (d *memory) Kill() journal.Journal {
	d.j = d.j.Reopen()
	d.Heal()
	return d.Journal()
}

func (d *memory) PowerLoss() journal.Journal {
	d.j = d.j.PowerLoss([...]float64{0, 1, d.rng.Float64()}[d.rng.IntN(3)])
	d.Heal()
	return d.Journal()
}

func (d *memory) Fail(t *rapid.T) {
	how := rapid.SampledFrom([]func(int, int){d.faults.Refuse, d.faults.Forget, d.faults.Forget, d.faults.Hold}).Draw(t, "fault")
	how(rapid.IntRange(0, 20).Draw(t, "after"), rapid.IntRange(1, 2).Draw(t, "changes"))
}

// Files returns an empty file system; the seed decides what a loss of power
// leaves.
func Files(t fataler, seed uint64) Disk {
	t.Helper()
	d := &files{t: t, fs: faultfs.New(seed)}
	d.open()
	return d
}

type files struct {
	t  fataler
	fs *faultfs.FS
	j  *pebble.Journal
}

func (d *files) open() {
	d.t.Helper()
	var err error
	if d.j, err = pebble.Open("/journal", pebble.Options{FS: d.fs, SegmentBytes: 1 << 20}); err != nil {
		d.t.Fatal(err)
	}
}

func (d *files) Journal() journal.Journal   { return d.j }
func (d *files) Kill() journal.Journal      { return d.next((*faultfs.FS).Kill) }
func (d *files) PowerLoss() journal.Journal { return d.next((*faultfs.FS).PowerLoss) }
func (d *files) Close() error               { return d.j.Close() }

func (d *files) next(end func(*faultfs.FS) *faultfs.FS) journal.Journal {
	d.t.Helper()
	d.Heal()
	d.fs = end(d.fs)
	d.j.Close() // writes nothing any more
	d.open()
	return d.j
}

func (d *files) Heal() {
	d.fs.Inject(nil)
	d.fs.Limit(0)
}

// Fail fills the disk up, tears a write, or fails syncs.
func (d *files) Fail(t *rapid.T) {
	n := rapid.IntRange(0, 40).Draw(t, "after")
	switch rapid.SampledFrom([]string{"full", "torn", "sync"}).Draw(t, "fault") {
	case "full":
		d.fs.Limit(d.fs.Used() + int64(n)*100)
	case "torn":
		d.fs.StopAfter(n)
	case "sync":
		d.fs.Inject(faultfs.FailSyncs(n, math.MaxInt))
	}
}
