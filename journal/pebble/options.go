package pebble

import (
	"fmt"

	pdb "github.com/cockroachdb/pebble/v2"
)

// cacheSize bounds the blocks of records that are kept in memory.
const cacheSize = 64 << 20

func tuning() *pdb.Options {
	return &pdb.Options{
		FormatMajorVersion:          pdb.FormatColumnarBlocks,
		MemTableSize:                64 << 20,
		MemTableStopWritesThreshold: 4,
		L0CompactionThreshold:       4,
		L0StopWritesThreshold:       1000,
		DisableAutomaticCompactions: false,
	}
}

// logger passes on what Pebble says.
type logger struct{ j *Journal }

func (l logger) Infof(format string, args ...any) {}

func (l logger) Errorf(format string, args ...any) {
	l.j.log.Error("journal: " + fmt.Sprintf(format, args...))
}

// Fatalf is called where Pebble cannot go on. It must not return.
func (l logger) Fatalf(format string, args ...any) {
	l.j.fail(fmt.Errorf(format, args...))
	select {}
}
