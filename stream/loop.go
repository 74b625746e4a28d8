package stream

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/dhowhq/dhow/store"
)

const (
	trimEvery   = time.Minute
	demandEvery = 15 * time.Second
	retryAfter  = time.Second
	rowsAtOnce  = 90 // of a transaction, which has room for 100
)

// loop does what the tables say, at once and after every change of theirs.
func (r *reign) loop() {
	var jobs sync.WaitGroup
	defer jobs.Wait()
	jobs.Go(r.tend)
	changes, stop := r.e.db.Watch(Streams, Consumers) // before the first pass, so none is missed
	defer stop()
	for {
		r.pass(&jobs)
		select {
		case <-r.ctx.Done():
			return
		case <-changes:
		case <-r.again:
		}
	}
}

// tend does what time brings.
func (r *reign) tend() {
	trim, demand := time.NewTicker(trimEvery), time.NewTicker(demandEvery)
	defer trim.Stop()
	defer demand.Stop()
	for {
		select {
		case <-r.ctx.Done():
			return
		case <-trim.C:
			r.report("streams could not be trimmed, will retry", r.trim())
		case <-demand.C:
			r.report("on-demand streams could not be scaled, will retry", r.demand())
			r.forget(r.e.now())
		}
	}
}

func (r *reign) report(what string, err error) {
	if err != nil && r.ctx.Err() == nil {
		r.e.log.Warn(what, "err", err)
	}
}

// pass begins what waits and is not under way. A stream that takes its time
// holds up no other.
func (r *reign) pass(jobs *sync.WaitGroup) {
	r.e.db.View(func(rd store.Reader) error {
		for s := range Streams.By(rd, "work", "waits") {
			r.begin(jobs, s.ID, func() error { return r.work(s.Ref(), s.ID) })
		}
		for c := range Consumers.By(rd, "work", "waits") {
			r.begin(jobs, c.ARN(), func() error { return r.workOn(c) })
		}
		return nil
	})
}

// begin does a piece of work, one at a time of each name, and has the tables
// looked at again afterwards, a while later if it failed.
func (r *reign) begin(jobs *sync.WaitGroup, name string, work func() error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.busy[name] {
		return
	}
	r.busy[name] = true
	jobs.Go(func() {
		if err := work(); err != nil && !errors.Is(err, errGone) && !Is(err, NotFound) {
			r.report("work on a stream failed, will retry", err)
			select {
			case <-time.After(retryAfter):
			case <-r.ctx.Done():
			}
		}
		r.mu.Lock()
		delete(r.busy, name)
		r.mu.Unlock()
		select {
		case r.again <- struct{}{}:
		default:
		}
	})
}

// work does what a stream waits for. It looks at the row anew: until it is done
// nobody changes what the row wants, but by deleting the stream.
func (r *reign) work(ref Ref, id string) error {
	s, err := r.e.Describe(ref)
	if err == nil && s.ID != id {
		err = errGone
	}
	if err != nil {
		return err
	}
	switch s.Status {
	case types.StreamStatusActive:
		return nil
	case types.StreamStatusCreating:
		if err := r.create(s); err != nil {
			return err
		}
	case types.StreamStatusDeleting:
		return r.remove(s)
	case types.StreamStatusUpdating:
		lv, err := r.stream(s)
		if err != nil {
			return err
		}
		if err := r.rekey(s, lv); err != nil {
			return err
		}
		if s.Work != nil {
			if err := r.reshard(r.ctx, s, lv); err != nil {
				return err
			}
		}
	}
	return r.settle(s)
}

// settle makes a stream ACTIVE whose work is done.
func (r *reign) settle(s Stream) error {
	return r.e.db.Update(r.ctx, func(tx *store.Tx) error {
		cur, ok := Streams.Get(tx, s.Key())
		if !ok || cur.ID != s.ID || cur.Status != s.Status {
			return nil
		}
		cur.Status, cur.Work = types.StreamStatusActive, nil
		return Streams.Put(tx, cur)
	})
}

// create makes the shards of a new stream.
func (r *reign) create(s Stream) error {
	starts := even(s.Work.Create)
	for from := 0; from < len(starts); from += rowsAtOnce {
		to := min(from+rowsAtOnce, len(starts))
		err := r.e.db.Update(r.ctx, func(tx *store.Tx) error {
			cur, ok := Streams.Get(tx, s.Key())
			if !ok || cur.ID != s.ID || cur.Status != types.StreamStatusCreating {
				return errGone
			}
			for i := from; i < to; i++ {
				sh := Shard{Scope: s.Scope, Stream: s.Name, Index: i, Start: starts[i], End: maxHash,
					Epoch: uint64(s.CreatedAt.Unix()), CreatedAt: s.CreatedAt}
				if i+1 < len(starts) {
					sh.End = starts[i+1].prev()
				}
				if err := Shards.Put(tx, sh); err != nil {
					return err
				}
			}
			cur.NextShard, cur.OpenShards = to, to
			return Streams.Put(tx, cur)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// rekey lets new records be sealed or not, as the row says.
func (r *reign) rekey(s Stream, lv *live) error {
	return r.e.db.View(func(rd store.Reader) error {
		k, _ := secrets.Get(rd, s.ID)
		return lv.keys.set(k.Key, s.KeyID != "")
	})
}

// remove takes a stream away: its subscriptions, logs, shards, consumers, key,
// and last its row, which keeps the name until then.
func (r *reign) remove(s Stream) error {
	lv, err := r.stream(s)
	if err != nil {
		return err
	}
	lv.mu.Lock()
	lv.gone = true
	for _, sh := range lv.open {
		sh.drain()
	}
	lv.open = nil
	lv.mu.Unlock()
	prefix := s.Scope.Prefix(s.Name)
	for {
		var shards []Shard
		var consumers []Consumer
		r.e.db.View(func(rd store.Reader) error {
			for sh := range Shards.List(rd, prefix) {
				if shards = append(shards, sh); len(shards) == rowsAtOnce {
					break
				}
			}
			for c := range Consumers.List(rd, prefix) {
				if consumers = append(consumers, c); len(shards)+len(consumers) >= rowsAtOnce {
					break
				}
			}
			return nil
		})
		for _, c := range consumers {
			r.unsubscribe(c.ARN(), notFound(s.Ref()))
		}
		for _, sh := range shards {
			if err := r.e.j.Drop(r.ctx, logName(s.ID, sh.Index), r.term); err != nil {
				return err
			}
		}
		last := len(shards)+len(consumers) < rowsAtOnce
		err := r.e.db.Update(r.ctx, func(tx *store.Tx) error {
			for _, sh := range shards {
				Shards.Delete(tx, sh.Key())
			}
			for _, c := range consumers {
				Consumers.Delete(tx, c.Key())
			}
			if last {
				secrets.Delete(tx, s.ID)
				Streams.Delete(tx, s.Key())
			}
			return nil
		})
		if err != nil || last {
			return err
		}
	}
}

func (r *reign) workOn(c Consumer) error {
	if c.Status == types.ConsumerStatusDeleting {
		r.unsubscribe(c.ARN(), noConsumer(Ref{c.Scope, c.Stream}, c.Name))
	}
	return r.e.db.Update(r.ctx, func(tx *store.Tx) error {
		cur, ok := Consumers.Get(tx, c.Key())
		switch {
		case !ok || !cur.CreatedAt.Equal(c.CreatedAt) || cur.Status != c.Status:
		case c.Status == types.ConsumerStatusDeleting:
			Consumers.Delete(tx, c.Key())
		default:
			cur.Status = types.ConsumerStatusActive
			return Consumers.Put(tx, cur)
		}
		return nil
	})
}

// trim removes what is expired: records, and closed shards whose last record
// must be.
func (r *reign) trim() error {
	var streams []Stream
	r.e.db.View(func(rd store.Reader) error {
		for s := range Streams.List(rd, "") {
			if serves(s) {
				streams = append(streams, s)
			}
		}
		return nil
	})
	var errs []error
	for _, s := range streams {
		lv, err := r.stream(s)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		lv.mu.RLock()
		shards := make([]*shard, 0, len(lv.all))
		for _, sh := range lv.all {
			shards = append(shards, sh)
		}
		lv.mu.RUnlock()
		since := r.e.Horizon(s)
		for _, sh := range shards {
			errs = append(errs, r.trimShard(s, lv, sh, since))
		}
	}
	return errors.Join(errs...)
}

func (r *reign) trimShard(s Stream, lv *live, sh *shard, since time.Time) error {
	sh.mu.Lock()
	expired := !sh.row.Open() && sh.row.ClosedAt.Before(since)
	sh.mu.Unlock()
	if expired {
		return r.expire(s, lv, sh)
	}
	if sh.row.CreatedAt.After(since) {
		return nil
	}
	return sh.trim(r.ctx, since.UnixMilli())
}

// expire removes a closed shard; a log that is gone before its row is dropped
// again.
func (r *reign) expire(s Stream, lv *live, sh *shard) error {
	if err := r.e.j.Drop(r.ctx, sh.name, r.term); err != nil {
		return err
	}
	err := r.e.db.Update(r.ctx, func(tx *store.Tx) error {
		if cur, ok := Streams.Get(tx, s.Key()); !ok || cur.ID != s.ID {
			return errGone
		}
		Shards.Delete(tx, s.Scope.Key(s.Name, sh.id))
		return nil
	})
	if err == nil {
		lv.mu.Lock()
		delete(lv.all, sh.row.Index)
		lv.mu.Unlock()
	}
	return err
}

// demand is what a stream had been given at a time.
type demand struct {
	at             time.Time
	bytes, records int64
}

// demand doubles the shards of on-demand streams that use more than half of
// theirs, as AWS keeps them good for twice the peak.
func (r *reign) demand() error {
	var errs []error
	r.mu.Lock()
	lives := make(map[string]*live, len(r.lives))
	for id, lv := range r.lives {
		lives[id] = lv
	}
	r.mu.Unlock()
	for id, lv := range lives {
		var row Stream
		r.e.db.View(func(rd store.Reader) error {
			for s := range Streams.By(rd, "id", id) {
				row = s
			}
			return nil
		})
		now := demand{r.e.now(), lv.bytes.Load(), lv.records.Load()}
		before, ok := r.seen[id]
		if !ok {
			before = demand{at: lv.born}
		}
		r.seen[id] = now
		if row.ID == "" {
			delete(r.seen, id)
			r.mu.Lock()
			delete(r.lives, id)
			r.mu.Unlock()
			continue
		}
		if row.Mode == types.StreamModeOnDemand && row.Status == types.StreamStatusActive {
			errs = append(errs, r.grow(row, wantedFor(before, now, row.OpenShards)))
		}
	}
	return errors.Join(errs...)
}

// wantedFor is the number of shards that is good for what came between two
// looks: the number there is, or twice.
func wantedFor(a, b demand, have int) int {
	seconds := b.at.Sub(a.at).Seconds()
	if seconds <= 0 {
		return have
	}
	used := max(float64(b.bytes-a.bytes)/shardInBytes, float64(b.records-a.records)/shardInRecords) / seconds
	if used > float64(have)/2 {
		return min(2*have, max(have, onDemandMaxShards))
	}
	return have
}

func (r *reign) grow(s Stream, count int) error {
	if count <= s.OpenShards {
		return nil
	}
	_, err := r.e.update(context.WithoutCancel(r.ctx), s.Ref(), func(_ *store.Tx, s *Stream) error {
		s.Work = &Work{Count: count}
		return nil
	})
	if Is(err, InUse) || Is(err, NotFound) {
		return nil
	}
	return err
}
