package pebble

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	pdb "github.com/cockroachdb/pebble/v2"

	"github.com/dhowhq/dhow/journal"
)

// cacheBytes bounds the blocks of records that are kept in memory.
const cacheBytes = 64 << 20

// openDB opens the database. Pebble may give up in the middle, see Fatalf.
func openDB(dir string, j *Journal) (*pdb.DB, error) {
	type result struct {
		db  *pdb.DB
		err error
	}
	done := make(chan result, 1)
	go func() {
		cache := pdb.NewCache(cacheBytes)
		defer cache.Unref()
		o := options(j, cache)
		compactions := newCompactions()
		o.Experimental.CompactionScheduler = compactions
		db, err := pdb.Open(dir, o)
		if err == nil {
			compactions.start()
		}
		done <- result{db, err}
	}()
	select {
	case r := <-done:
		if r.err == nil && j.disk.dead() {
			return r.db, j.ended()
		}
		return r.db, r.err
	case <-j.down:
	}
	select {
	case r := <-done:
		return r.db, j.ended()
	case <-time.After(closeTimeout):
		return nil, j.ended()
	}
}

func options(j *Journal, cache *pdb.Cache) *pdb.Options {
	o := &pdb.Options{
		FS:                          j.disk,
		Lock:                        j.lock,
		Cache:                       cache,
		DisableWAL:                  true, // there is one of our own
		FormatMajorVersion:          pdb.FormatValueSeparation,
		Logger:                      logger{j},
		MemTableSize:                64 << 20,
		MemTableStopWritesThreshold: 4,
		L0CompactionThreshold:       4,
		L0StopWritesThreshold:       1000,
		FlushDelayDeleteRange:       10 * time.Second, // removals free space after that
	}
	for i := range o.Levels { // a block is a write
		o.Levels[i].BlockSize = blockBytes
	}
	o.Experimental.SpanPolicyFunc = j.apart
	return o
}

// blockBytes is the size of a table's blocks. Each is written by itself, and
// records are mostly read in their order.
const blockBytes = 32 << 10

// logger passes on what Pebble says.
type logger struct{ j *Journal }

func (logger) Infof(string, ...any) {}

func (l logger) Errorf(format string, args ...any) {
	l.j.log.Error("journal: " + fmt.Sprintf(format, args...))
}

// Fatalf is called where Pebble cannot go on. It does not return, as the caller
// counts on, and leaves Pebble to its fate.
func (l logger) Fatalf(format string, args ...any) {
	l.j.fail(fmt.Errorf(format, args...))
	select {}
}

// read waits for f, which reads the database, or for the journal's failure:
// whoever meets what cannot be read does not come back from Pebble, see Fatalf.
func read[T any](j *Journal, f func() (T, error)) (v T, err error) {
	type result struct {
		v   T
		err error
	}
	done := make(chan result, 1)
	go func() {
		v, err := f()
		done <- result{v, err}
	}()
	select {
	case r := <-done:
		return r.v, r.err
	case <-j.down:
		return v, j.ended()
	}
}

// get is fetch for those who must not be held.
func (j *Journal) get(key []byte) ([]byte, error) {
	return read(j, func() ([]byte, error) { return j.fetch(key) })
}

// fetch returns a copy of the key's value, nil if there is none.
func (j *Journal) fetch(key []byte) ([]byte, error) {
	v, closer, err := j.db.Get(key)
	if errors.Is(err, pdb.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer closer.Close()
	return append([]byte{}, v...), nil
}

// number returns the number that a key has, 0 if none.
func (j *Journal) number(key []byte) (uint64, error) {
	v, err := j.get(key)
	if len(v) != 8 {
		return 0, err
	}
	return binary.BigEndian.Uint64(v), nil
}

func (j *Journal) loadGlobal() error {
	v, err := j.get(globalKey)
	if err != nil {
		return err
	}
	j.nextID, j.floor = 1, 1
	if len(v) >= 16 {
		j.nextID = binary.BigEndian.Uint64(v)
		j.floor = journal.Seq(binary.BigEndian.Uint64(v[8:]))
	}
	return nil
}

func (j *Journal) setGlobal(ch *change) {
	ch.set(globalKey, binary.BigEndian.AppendUint64(uint64Value(j.nextID), uint64(j.floor)))
}
