package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sys/unix"
)

const (
	// defaultReserve is the free space in bytes that the embedded etcd's disk
	// must have, or Update refuses to put rows: etcd does not survive a full
	// disk. It holds two segments of the log, and what etcd writes until the next
	// look.
	defaultReserve = 256 << 20

	// The embedded etcd's history has no reader, so it is compacted when it has
	// grown by compactLeast and a quarter of the file, or by compactMost, or is
	// compactAge old. A start reads all of it, a compaction all of the file.
	compactLeast = 16 << 20
	compactMost  = 64 << 20
	compactAge   = 5 * time.Minute

	// The space is looked at every second, and when so many bytes were
	// committed.
	spaceEvery = time.Second
	spaceBytes = 16 << 20

	// The embedded etcd may grow this much larger than its quota, so that rows
	// can be deleted when the store is full.
	slack    = 64 << 20
	minQuota = 128 << 20
)

// space is what the store knows of its room.
type space struct {
	compacted time.Time
	written   int64 // bytes committed by then
}

// keepSpace watches the room that the embedded etcd has, and makes some.
func (db *DB) keepSpace() {
	tick := time.NewTicker(spaceEvery)
	defer tick.Stop()
	sp := space{compacted: time.Now()}
	for {
		db.lookForSpace(&sp)
		select {
		case <-tick.C:
		case <-db.lowSpace:
		case <-db.ctx.Done():
			return
		}
	}
}

// lookForSpace compacts if it is time to, and opens or shuts the store for
// writers according to the room there is.
func (db *DB) lookForSpace(sp *space) {
	grown := db.written.Load() - sp.written
	err := db.checkSpace()
	full := err != nil && !errors.Is(err, errDisk)
	if grown >= db.server.compactAfter() || grown > 0 && time.Since(sp.compacted) >= compactAge || full {
		*sp = space{time.Now(), db.written.Load()}
		if cerr := db.compact(err); cerr != nil && db.ctx.Err() == nil {
			db.log.Warn("etcd's history cannot be compacted", "err", cerr)
		}
	}
	if errors.Is(err, errAlarm) {
		err = db.clearAlarm()
	}
	was := db.queue.setFull(err)
	switch {
	case was == nil && err != nil:
		db.log.Error("store takes no more rows", "err", err)
	case was != nil && err == nil:
		db.log.Info("store takes rows again")
	}
}

// compactAfter is by how many bytes the history may grow.
func (s *server) compactAfter() int64 {
	return min(max(compactLeast, s.etcd.Backend().SizeInUse()/4), compactMost)
}

// compact drops the embedded etcd's history. full is why rows are refused, if
// they are.
func (db *DB) compact(full error) error {
	rev := db.now.Load().rev
	var opts []clientv3.CompactOption
	switch {
	case errors.Is(full, errAlarm):
		opts = append(opts, clientv3.WithCompactPhysical()) // wait for its effect
	case full != nil && !errors.Is(full, errDisk):
		// What is deleted counts as free only as etcd's file is written on.
		resp, err := db.client.Put(db.ctx, db.prefix+".full", "")
		if err != nil {
			return err
		}
		rev = resp.Header.Revision
	}
	_, err := db.client.Compact(db.ctx, rev, opts...)
	if errors.Is(err, rpctypes.ErrCompacted) {
		return nil
	}
	return err
}

var (
	// errAlarm says that etcd itself refuses to write.
	errAlarm = fmt.Errorf("%w: etcd has raised its space alarm", ErrFull)
	// errDisk says that others use the disk up.
	errDisk = fmt.Errorf("%w: the disk is nearly full", ErrFull)
)

// checkSpace returns an error that says why no rows may be put.
func (db *DB) checkSpace() error {
	s := db.server
	var fs unix.Statfs_t
	if err := unix.Statfs(s.dir, &fs); err == nil {
		if free := int64(fs.Bavail) * int64(fs.Bsize); free < s.reserve {
			return fmt.Errorf("%w: %s has %d MiB free, %d MiB are needed", errDisk, s.dir, free>>20, s.reserve>>20)
		}
	}
	for _, a := range s.etcd.Alarms() {
		if a.Alarm == etcdserverpb.AlarmType_NOSPACE {
			return errAlarm
		}
	}
	return s.checkQuota()
}

// checkQuota returns an error near the quota. Free pages within etcd's file are
// used again, so both sizes count.
func (s *server) checkQuota() error {
	be := s.etcd.Backend()
	if size, used := be.Size(), be.SizeInUse(); size > s.quota/100*90 && used > s.quota/100*85 {
		return fmt.Errorf("%w: the state in %s has %d MiB, its quota are %d MiB: delete rows", ErrFull, s.dir, used>>20, s.quota>>20)
	}
	return nil
}

// clearAlarm gives unused pages back to the disk and tells etcd to write again
// if that was enough.
func (db *DB) clearAlarm() error {
	s := db.server
	if err := s.etcd.Defragment(); err != nil {
		return fmt.Errorf("%w: etcd cannot be defragmented: %w", ErrFull, err)
	}
	if size := s.etcd.Backend().Size(); size > s.hard/100*95 {
		return fmt.Errorf("%w: the state in %s has %d MiB, its quota are %d MiB: start with a larger one", ErrFull, s.dir, size>>20, s.hard>>20)
	}
	ctx, cancel := context.WithTimeout(db.ctx, commitTimeout)
	defer cancel()
	if _, err := db.client.AlarmDisarm(ctx, &clientv3.AlarmMember{}); err != nil {
		return fmt.Errorf("%w: etcd's alarm stays: %w", ErrFull, err)
	}
	return nil
}

// full says why etcd has no space.
func (db *DB) full(err error) error {
	if db.server == nil {
		return fmt.Errorf("%w: etcd has reached its quota: compact and defragment it, then disarm its alarm: %w", ErrFull, err)
	}
	token(db.lowSpace)
	return fmt.Errorf("%w: the state in %s has reached its quota of %d MiB: %w", ErrFull, db.server.dir, db.server.quota>>20, err)
}

// Stats are numbers about a store, for metrics.
type Stats struct {
	Revision     int64 // of etcd, that reads see
	Rows         int   // of all tables
	Transactions int64 // committed by this process
	Batches      int64 // in so many etcd transactions
	Bytes        int64 // of keys and values in them
	Retries      int64 // runs of an Update's function beyond the first
	DiskBytes    int64 // of the embedded etcd's file
	DiskUsed     int64 // of these, in use
	Quota        int64 // for DiskBytes
}

// Stats returns the store's numbers.
func (db *DB) Stats() Stats {
	now := db.now.Load()
	st := Stats{
		Revision:     now.rev,
		Transactions: db.transactions.Load(),
		Batches:      db.batches.Load(),
		Bytes:        db.written.Load(),
		Retries:      db.retries.Load(),
	}
	for _, d := range db.tables {
		st.Rows += now.table(d).rows.n
	}
	if db.server != nil {
		be := db.server.etcd.Backend()
		st.DiskBytes, st.DiskUsed, st.Quota = be.Size(), be.SizeInUse(), db.server.quota
	}
	return st
}
