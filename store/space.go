package store

import (
	"fmt"
	"time"
)

// The embedded etcd's history has no reader but the watch of this process, so
// it is compacted as it grows.
const (
	keepRevisions = 1000
	compactEvery  = 10 * time.Second
)

// keepSpace compacts the embedded etcd's history.
func (db *DB) keepSpace() {
	tick := time.NewTicker(compactEvery)
	defer tick.Stop()
	var done int64
	for {
		select {
		case <-tick.C:
		case <-db.ctx.Done():
			return
		}
		rev := db.now.Load().rev - keepRevisions
		if rev <= done {
			continue
		}
		if _, err := db.client.Compact(db.ctx, rev); err != nil && db.ctx.Err() == nil {
			db.log.Warn("etcd's history cannot be compacted", "err", err)
			continue
		}
		done = rev
	}
}

// full says why there is no space.
func (db *DB) full(err error) error {
	if db.server == nil {
		return fmt.Errorf("%w: etcd has reached its quota: compact and defragment it, then disarm its alarm: %w", ErrFull, err)
	}
	return fmt.Errorf("%w: the state in %s has reached its quota of %d bytes: %w", ErrFull, db.server.dir, db.server.quota, err)
}
