// Package pebble keeps journals on the local disk, all logs of a process in one
// Pebble. Appends of all logs are committed together, so that many share a sync.
//
// A change is written to a write-ahead log first (package wal), then to Pebble,
// where readers find it, and then, for what has to be durable, the write-ahead
// log is synced. What Pebble has flushed is given up there. The directory holds
// the two in "wal" and "db".
package pebble

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	pdb "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dhowhq/dhow/journal"
	"github.com/dhowhq/dhow/journal/pebble/wal"
)

// Options are what may be set; the zero value is for production.
type Options struct {
	// FS is the file system underneath, faultfs in tests.
	FS vfs.FS
	// Log gets what the owner of the machine should know.
	Log *slog.Logger
	// SegmentBytes is the size of a file of the write-ahead log, of which there
	// are three or four. When one is full, its records are written to their
	// place in the database. 0 is 64 MiB.
	SegmentBytes int64
}

// Journal is a journal in a directory.
type Journal struct {
	disk   *disk
	lock   *pdb.Lock
	db     *pdb.DB
	wal    *wal.Log
	commit *committer
	log    *slog.Logger

	use      sync.RWMutex // held for reading by calls under way
	closed   bool         // guarded by use
	cause    atomic.Pointer[error]
	failed   chan error    // gets the cause
	down     chan struct{} // closed when there is one, or the end is not waited for
	downOnce sync.Once

	settled   chan struct{}   // closed when what was replayed is in the database's files
	unsettled map[uint64]bool // by id: numbers were reserved by what was replayed
	flushes   sync.WaitGroup  // goroutines that wait for a flush
	closing   chan struct{}

	segment int64                    // bytes
	large   atomic.Pointer[[]uint64] // ids of the logs that get tables of their own, in order

	mu       sync.Mutex
	logs     map[string]*state // those in use
	nextID   uint64
	floor    journal.Seq      // new logs begin here
	replayed map[uint64]int64 // bytes by id that were replayed at the start
	drops    int
}

// Open opens the journal in dir, making it if it is not there. It fails with
// journal.ErrInUse if another one has the directory open.
func Open(dir string, o Options) (*Journal, error) {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.SegmentBytes == 0 {
		o.SegmentBytes = 64 << 20
	}
	j := &Journal{
		log:       o.Log,
		failed:    make(chan error, 1),
		down:      make(chan struct{}),
		settled:   make(chan struct{}),
		closing:   make(chan struct{}),
		logs:      map[string]*state{},
		replayed:  map[uint64]int64{},
		unsettled: map[uint64]bool{},
	}
	j.segment = o.SegmentBytes
	j.large.Store(new([]uint64))
	j.disk = &disk{FS: o.FS, dir: dir, fail: j.fail, dream: vfs.NewMem(), owed: func() int64 { return j.wal.Live() }}
	if err := j.open(dir, o); err != nil {
		j.release()
		return nil, fmt.Errorf("journal in %s: %w", dir, err)
	}
	return j, nil
}

func (j *Journal) open(dir string, o Options) (err error) {
	fs := o.FS
	db, log := fs.PathJoin(dir, "db"), fs.PathJoin(dir, "wal")
	if err := makeDirs(fs, dir, db, log); err != nil {
		return err
	}
	if j.lock, err = lock(db, fs); err != nil {
		return err
	}
	if j.db, err = openDB(db, j); err != nil {
		return err
	}
	applied, err := j.number(frameKey)
	if err != nil {
		return err
	}
	j.wal, err = wal.Open(wal.Options{FS: fs, Dir: log, SegmentBytes: o.SegmentBytes, Full: j.flush}, applied, j.replay)
	if err != nil {
		return err
	}
	if err := j.loadGlobal(); err != nil {
		return err
	}
	j.commit = newCommitter(j)
	j.settle(applied)
	j.flushes.Go(j.sweep)
	return nil
}

// makeDirs makes directories and those above them, so that they survive a loss of
// power.
func makeDirs(fs vfs.FS, dirs ...string) error {
	for _, d := range dirs {
		if err := makeDir(fs, d); err != nil {
			return err
		}
	}
	return nil
}

func makeDir(fs vfs.FS, dir string) error {
	above := fs.PathDir(dir)
	if _, err := fs.Stat(dir); errors.Is(err, os.ErrNotExist) && above != dir {
		if err := makeDir(fs, above); err != nil {
			return err
		}
	}
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	// A process that was killed may have made it without syncing.
	f, err := fs.OpenDir(above)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func lock(dir string, fs vfs.FS) (*pdb.Lock, error) {
	l, err := pdb.LockDirectory(dir, fs)
	// Of a lock in this process Pebble's answer is only known by its words.
	if errors.Is(err, syscall.EAGAIN) || err != nil && strings.Contains(err.Error(), "held by current process") {
		err = fmt.Errorf("%w: %v", journal.ErrInUse, err)
	}
	return l, err
}

// replay does a frame's operations again, which a crash has kept from the
// database's files.
func (j *Journal) replay(repr []byte) error {
	own := append([]byte{}, repr...)
	b := new(pdb.Batch)
	if err := b.SetRepr(own); err != nil {
		return err
	}
	for r := b.Reader(); len(r) > 0; {
		kind, key, value, ok, err := r.Next()
		if !ok {
			return err
		}
		if kind != pdb.InternalKeyKindSet || len(key) < 9 {
			continue
		}
		switch id := binary.BigEndian.Uint64(key[1:]); key[0] {
		case prefixRecord:
			j.replayed[id] += int64(len(value))
		case prefixNumbers:
			j.unsettled[id] = true
		}
	}
	return j.apply(own)
}

// settle sees to it that what was replayed gets into the database's files. Until
// then no sync counts: the frames that were replayed may be on disk or not, as
// an earlier process may have met with a sync that failed.
func (j *Journal) settle(applied uint64) {
	upto := j.wal.Replayed()
	if upto == applied {
		close(j.settled)
		return
	}
	j.whenFlushed(func() {
		j.forget(upto)
		close(j.settled)
	})
}

// flush brings what is in the frames up to last to the database's files and
// gives the frames up. It is the committer's.
func (j *Journal) flush(last uint64) {
	j.large.Store(j.commit.weigh(j.segment))
	j.whenFlushed(func() { j.forget(last) })
}

func (j *Journal) whenFlushed(then func()) {
	flushed, err := j.db.AsyncFlush()
	if err != nil {
		j.fail(err)
		return
	}
	j.flushes.Go(func() {
		select {
		case <-flushed:
		case <-j.closing:
			return
		}
		if !j.disk.dead() { // or nothing is where Pebble believes it is
			then()
		}
	})
}

func (j *Journal) forget(last uint64) {
	if err := j.wal.Release(last); err != nil {
		j.log.Warn("journal: a file of the write-ahead log stays", "err", err)
	}
}

// errStuck says that there is no room for what was replayed.
var errStuck = errors.New("the disk is full, and what the last process wrote is still to be filed")

// awaitSettled waits until the syncs count, but not until there is room: the
// error is errStuck then, that of ctx, or nil also where the journal is down.
func (j *Journal) awaitSettled(ctx context.Context) error {
	tick := time.NewTicker(retryEvery)
	defer tick.Stop()
	for {
		select {
		case <-j.settled:
			return nil
		case <-j.down:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			if j.disk.blocked.Load() > 0 {
				return errStuck
			}
		}
	}
}

// sync syncs the write-ahead log up to a frame.
func (j *Journal) sync(upto uint64) error {
	select {
	case <-j.settled:
	default:
		if err := j.awaitSettled(context.Background()); err != nil {
			return fmt.Errorf("%w: %w", journal.ErrUnknown, err)
		}
	}
	if j.disk.dead() {
		return j.over()
	}
	if err := j.wal.Sync(upto); err != nil {
		return j.fail(fmt.Errorf("sync of the write-ahead log: %w", err))
	}
	return nil
}

// fail ends the journal: after a sync that failed nobody knows what is on disk.
// It returns what calls under way are to answer.
func (j *Journal) fail(err error) error {
	if j.cause.CompareAndSwap(nil, &err) {
		j.giveUp()
		j.log.Error("journal: failed for good", "err", err)
		j.failed <- err
	}
	return j.over()
}

// giveUp ends whatever waits for the disk.
func (j *Journal) giveUp() {
	j.disk.end()
	j.downOnce.Do(func() { close(j.down) })
}

// over is the answer to calls whose records may have been written or not when
// the journal failed.
func (j *Journal) over() error {
	return fmt.Errorf("%w: %w", journal.ErrUnknown, j.ended())
}

// ended is the answer to calls after the journal's end.
func (j *Journal) ended() error {
	if cause := j.cause.Load(); cause != nil {
		return fmt.Errorf("%w: %w", journal.ErrClosed, *cause)
	}
	return journal.ErrClosed
}

// Failed implements journal.Journal.
func (j *Journal) Failed() <-chan error { return j.failed }

// enter begins a call; leave ends it.
func (j *Journal) enter(ctx context.Context) (leave func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	j.use.RLock()
	if j.closed || j.cause.Load() != nil {
		j.use.RUnlock()
		return nil, j.ended()
	}
	return j.use.RUnlock, nil
}

// Close implements journal.Journal.
func (j *Journal) Close() error {
	j.use.Lock() // after the calls that are under way
	was := j.closed
	j.closed = true
	j.use.Unlock()
	if was {
		return nil
	}
	return j.release()
}

// closeTimeout is how long closing may take where Pebble may never come to an
// end, as it has met with an error or a full disk.
const closeTimeout = 500 * time.Millisecond

// release closes whatever is open, and the directory's lock last.
func (j *Journal) release() (err error) {
	done := make(chan error, 1)
	go func() { done <- j.closeAll() }()
	for waited := time.Duration(0); waited < closeTimeout; {
		select {
		case err = <-done:
			return j.unlock(err)
		case <-time.After(retryEvery):
			if j.disk.dead() || j.disk.blocked.Load() > 0 {
				waited += retryEvery
			}
		}
	}
	j.giveUp()
	return j.unlock(errors.New("the database does not close"))
}

func (j *Journal) unlock(err error) error {
	j.disk.end()
	if j.lock != nil {
		err = errors.Join(err, j.lock.Close())
	}
	if j.cause.Load() != nil {
		return j.ended()
	}
	return err
}

func (j *Journal) closeAll() (err error) {
	if j.commit != nil {
		if err = j.saveNumbers(); errors.Is(err, journal.ErrFull) {
			err = nil // they were reserved
		}
		j.commit.close()
	}
	close(j.closing)
	j.flushes.Wait()
	if j.wal != nil {
		err = errors.Join(err, j.wal.Close())
	}
	if j.cause.Load() != nil {
		return err // calls that gave up on Pebble may still be in it
	}
	if j.db != nil {
		if j.disk.blocked.Load() > 0 {
			j.disk.end() // its flushes would wait for room
		}
		err = errors.Join(err, j.db.Close())
	}
	return err
}
