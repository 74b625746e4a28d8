package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// commitTimeout bounds one attempt to send a batch.
const commitTimeout = 10 * time.Second

// commit sends batches, one at a time, until the store closes or fails. While
// one is under way the next one fills.
func (db *DB) commit() {
	defer db.queue.fail(ErrClosed)
	for db.ctx.Err() == nil {
		b := db.queue.take(db.id)
		if b == nil {
			select {
			case <-db.queue.wake:
			case <-db.ctx.Done():
			}
			continue
		}
		start := time.Now()
		db.send(b)
		if db.queue.expect(len(b.txs)) {
			continue
		}
		select {
		case <-db.queue.wake:
		case <-time.After(min(time.Since(start)/4, time.Millisecond)):
		case <-db.ctx.Done():
		}
	}
}

// send brings a batch to its end: committed, refused and taken apart, or
// failed.
func (db *DB) send(b *batch) {
	reloads, unsure := db.reloads.Load(), false
	for wait := 10 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		resp, err := db.try(b)
		switch {
		case err == nil && resp.Succeeded:
			db.finish(b, resp.Header.Revision)
			return
		case err == nil:
			db.refused(b, resp, unsure, reloads)
			return
		case errors.Is(err, rpctypes.ErrNoSpace):
			if db.noSpace(b, err) {
				return
			}
		case definite(err):
			db.rejected(b, err)
			return
		}
		// The batch may be in or not. To send it again is safe: if it is in,
		// the clock has moved, and bears its id.
		unsure = true
		db.log.Warn("etcd does not answer, will retry", "err", err)
		select {
		case <-time.After(wait):
		case <-db.ctx.Done():
			db.applying.Lock()
			defer db.applying.Unlock()
			if !b.over {
				db.queue.drop(b, fmt.Errorf("%w: closed while etcd did not answer: %w", ErrUnknown, err), db.now.Load())
			}
			return
		}
	}
}

// try sends a batch once.
func (db *DB) try(b *batch) (*clientv3.TxnResponse, error) {
	ctx, cancel := context.WithTimeout(db.alive, commitTimeout)
	defer cancel()
	ops := make([]clientv3.Op, 0, len(b.changes)+1)
	for _, w := range b.changes {
		key := db.prefix + w.def.name + "/" + w.key
		if w.row != nil {
			ops = append(ops, clientv3.OpPut(key, string(w.data)))
		} else if w.was != nil {
			ops = append(ops, clientv3.OpDelete(key))
		}
	}
	ops = append(ops, clientv3.OpPut(db.clockKey, b.id))
	return db.client.Txn(ctx).
		If(clientv3.Compare(clientv3.ModRevision(db.clockKey), "=", b.clock)).
		Then(ops...).
		Else(clientv3.OpGet(db.clockKey)).
		Commit()
}

// finish publishes a committed batch and lets its writers go on.
func (db *DB) finish(b *batch, rev int64) {
	db.applying.Lock()
	if b.over {
		db.applying.Unlock()
		return
	}
	b.over = true
	next := b.after
	if db.queue.overtaken() {
		s := db.now.Load().fork()
		next = &s
		e := new(edit)
		for _, w := range b.changes {
			next.set(e, w.def, w.key, w.row)
		}
	}
	next.rev, next.clock = rev, rev
	for _, w := range b.changes {
		if w.row != nil {
			w.row.rev = rev
		}
	}
	db.batches.Add(1)
	db.transactions.Add(int64(len(b.txs)))
	if n := db.written.Add(int64(b.size)); n/spaceBytes != (n-int64(b.size))/spaceBytes {
		token(db.lowSpace)
	}
	db.now.Store(next)
	db.queue.landed(b, next)
	db.hub.tell(b.changes, rev)
	db.applying.Unlock()
	b.settle(nil)
}

// refused handles a batch that met another clock than it expected: its own, if
// an earlier attempt went through after all, or that of another process.
func (db *DB) refused(b *batch, resp *clientv3.TxnResponse, unsure bool, reloads int64) {
	var clock int64
	if kvs := resp.Responses[0].GetResponseRange().Kvs; len(kvs) > 0 {
		clock = kvs[0].ModRevision
		if string(kvs[0].Value) == b.id {
			db.finish(b, clock)
			return
		}
	}
	db.catchUp(clock)
	db.applying.Lock()
	defer db.applying.Unlock()
	switch {
	case b.over: // the watch found it on the way
	case unsure && db.reloads.Load() != reloads:
		db.queue.drop(b, fmt.Errorf("%w: etcd compacted the history that tells", ErrUnknown), db.now.Load())
	default:
		db.queue.rebase(db.now.Load())
	}
}

// rejected handles a batch that etcd will not commit.
func (db *DB) rejected(b *batch, err error) {
	db.applying.Lock()
	defer db.applying.Unlock()
	s := db.now.Load()
	if (errors.Is(err, rpctypes.ErrTooManyOps) || errors.Is(err, rpctypes.ErrRequestTooLarge)) && db.queue.shrink(b, s) {
		return
	}
	db.queue.drop(b, fmt.Errorf("store: etcd refuses to commit: %w", err), s)
}

// noSpace handles a batch that etcd had no space for. The one that hits the
// quota is committed in spite of the error: the clock tells. It reports whether
// the batch has come to an end.
func (db *DB) noSpace(b *batch, cause error) bool {
	cause = db.full(cause)
	ctx, cancel := context.WithTimeout(db.alive, commitTimeout)
	defer cancel()
	resp, err := db.client.Get(ctx, db.clockKey)
	if err != nil {
		return false
	}
	for _, kv := range resp.Kvs {
		if string(kv.Value) == b.id {
			db.finish(b, kv.ModRevision)
		} else if kv.ModRevision > b.clock {
			db.catchUp(kv.ModRevision)
		}
	}
	db.applying.Lock()
	defer db.applying.Unlock()
	if !b.over {
		db.queue.drop(b, cause, db.now.Load())
	}
	return true
}

// definite reports whether etcd surely did not commit.
func definite(err error) bool {
	return slices.ContainsFunc([]error{
		rpctypes.ErrTooManyOps, rpctypes.ErrRequestTooLarge,
		rpctypes.ErrPermissionDenied, rpctypes.ErrUserEmpty, rpctypes.ErrAuthFailed,
		rpctypes.ErrInvalidAuthToken, rpctypes.ErrDuplicateKey,
	}, func(e error) bool { return errors.Is(err, e) })
}
