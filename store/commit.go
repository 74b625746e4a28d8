package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// commitTimeout bounds one attempt to send a batch.
const commitTimeout = 10 * time.Second

// commit sends batches until the store closes or fails.
func (db *DB) commit() {
	var flights sync.WaitGroup
	defer func() {
		flights.Wait()
		db.queue.fail(ErrClosed)
	}()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for db.ctx.Err() == nil {
		b, wait := db.queue.take(db.id)
		if b != nil {
			flights.Go(func() { db.send(b) })
			continue
		}
		var late <-chan time.Time
		if wait > 0 {
			timer.Reset(wait)
			late = timer.C
		}
		select {
		case <-db.queue.wake:
		case <-late:
		case <-db.ctx.Done():
		}
	}
}

// send brings a batch to its end: committed, refused and taken apart, or
// failed. Batches come to their ends in order.
func (db *DB) send(b *batch) {
	reloads, unsure, early := db.reloads.Load(), false, b.prev != nil
	for wait := 10 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		resp, err := db.try(b)
		if b.prev != nil {
			<-b.prev.done
			b.prev = nil
		}
		switch {
		case db.isOver(b):
			return
		case err == nil && resp.Succeeded:
			db.finish(b, resp.Header.Revision)
			return
		case err == nil && early:
			early = false // it may have overtaken the one before it
			continue
		case err == nil:
			db.refused(b, resp, unsure, reloads)
			return
		case definite(err):
			db.rejected(b, err)
			return
		case errors.Is(err, rpctypes.ErrNoSpace) && db.noSpace(b, err, unsure):
			return
		}
		// The batch may be in or not. To send it again is safe: if it is in,
		// the clock has moved, and bears its id.
		unsure = true
		db.log.Warn("etcd does not answer, will retry", "err", err)
		select {
		case <-time.After(wait):
		case <-db.ctx.Done():
			db.drop(b, fmt.Errorf("%w: closed while etcd did not answer: %w", ErrUnknown, err))
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
	clock := clientv3.Compare(clientv3.Value(db.clockKey), "=", b.expect)
	if b.expect == "" {
		clock = clientv3.Compare(clientv3.ModRevision(db.clockKey), "=", 0)
	}
	return db.client.Txn(ctx).If(clock).Then(ops...).Else(clientv3.OpGet(db.clockKey)).Commit()
}

// isOver reports whether a batch has come to its end.
func (db *DB) isOver(b *batch) bool {
	db.applying.Lock()
	defer db.applying.Unlock()
	return b.over
}

// drop fails a batch, unless it has come to its end otherwise.
func (db *DB) drop(b *batch, err error) {
	db.applying.Lock()
	defer db.applying.Unlock()
	if !b.over {
		db.queue.drop(b, err, db.now.Load())
	}
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
	next.rev, next.clock, next.clockID = rev, rev, b.id
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
// an earlier attempt went through after all, or that of another process. It will
// never be committed later, for the clock never says the same thing twice.
func (db *DB) refused(b *batch, resp *clientv3.TxnResponse, unsure bool, reloads int64) {
	kvs := resp.Responses[0].GetResponseRange().Kvs
	var err error
	if unsure {
		var in bool
		if in, err = db.lookBack(b, kvs); in {
			return
		}
	}
	if len(kvs) > 0 {
		db.catchUp(kvs[0].ModRevision)
	}
	if err != nil && db.reloads.Load() != reloads {
		db.drop(b, fmt.Errorf("%w: etcd compacted the history that tells: %w", ErrUnknown, err))
		return
	}
	db.applying.Lock()
	defer db.applying.Unlock()
	if !b.over { // or the watch has found it on the way
		db.queue.rebase(db.now.Load())
	}
}

// maxHops is how many commits lookBack goes back.
const maxHops = 100

// lookBack looks for a batch in the clock's history, from a version of the clock
// on, and finishes it if it is there. An error means that it cannot tell.
func (db *DB) lookBack(b *batch, clock []*mvccpb.KeyValue) (in bool, err error) {
	for range maxHops {
		if len(clock) == 0 || string(clock[0].Value) == b.expect {
			return false, nil
		}
		if string(clock[0].Value) == b.id {
			db.finish(b, clock[0].ModRevision)
			return true, nil
		}
		ctx, cancel := context.WithTimeout(db.alive, commitTimeout)
		resp, err := db.client.Get(ctx, db.clockKey, clientv3.WithRev(clock[0].ModRevision-1))
		cancel()
		if err != nil {
			return false, err
		}
		clock = resp.Kvs
	}
	return false, fmt.Errorf("not among the last %d commits", maxHops)
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
// the batch has come to its end.
func (db *DB) noSpace(b *batch, cause error, unsure bool) bool {
	cause = db.full(cause)
	ctx, cancel := context.WithTimeout(db.alive, commitTimeout)
	defer cancel()
	resp, err := db.client.Get(ctx, db.clockKey)
	if err != nil {
		return false
	}
	if in, err := db.lookBack(b, resp.Kvs); err != nil {
		return false
	} else if in {
		return true
	}
	if len(resp.Kvs) > 0 && string(resp.Kvs[0].Value) != b.expect {
		db.catchUp(resp.Kvs[0].ModRevision)
	} else if unsure {
		// An earlier attempt may still arrive, when there is space again.
		cause = fmt.Errorf("%w: %w", ErrUnknown, cause)
	}
	db.drop(b, cause)
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
