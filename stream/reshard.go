package stream

import (
	"context"
	"errors"
	"math/bits"
	"slices"
	"sort"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/dhowhq/dhow/store"
)

// step is a change of shards: the one at that position is split at a key, or
// merged with the next one.
type step struct {
	at    int
	split *HashKey // nil: merge
}

// near reports whether two keys are the same but for the rounding of even.
func near(a, b HashKey) bool {
	if a.Less(b) {
		a, b = b, a
	}
	lo, borrow := bits.Sub64(a.Lo, b.Lo, 0)
	return a.Hi-b.Hi-borrow == 0 && lo <= 4*maxStreamShards
}

// next plans: it returns the next step from the open shards, which begin at
// those keys, to what the work wants; none when that is reached. A plan that was
// interrupted goes on from where it was. wanted is even(w.Count).
func (w *Work) next(starts, wanted []HashKey) (step, bool) {
	switch {
	case w.Split != nil:
		at := sort.Search(len(starts), func(i int) bool { return w.Split.Less(starts[i]) }) - 1
		return step{at: at, split: w.Split}, starts[at] != *w.Split
	case w.Merge != nil:
		if i := slices.Index(starts, *w.Merge); i > 0 {
			return step{at: i - 1}, true
		}
	case w.Count > 0:
		return towards(starts, wanted)
	}
	return step{}, false
}

// towards splits shards where wanted ones begin and none does, then merges away
// those that begin where none is wanted.
func towards(starts, wanted []HashKey) (s step, ok bool) {
	i := 0
	for _, k := range wanted {
		for i < len(starts) && starts[i].Less(k) && !near(starts[i], k) {
			if !ok && i > 0 {
				s, ok = step{at: i - 1}, true // unless there is something to split
			}
			i++
		}
		if i == len(starts) || !near(starts[i], k) {
			return step{at: i - 1, split: &k}, true
		}
		i++
	}
	if !ok && i < len(starts) {
		return step{at: i - 1}, true
	}
	return s, ok
}

// errGone says that a stream is not there to be worked on, or being deleted.
var errGone = errors.New("stream: gone")

// reshard takes steps until the work is done.
func (r *reign) reshard(ctx context.Context, row Stream, lv *live) error {
	var wanted []HashKey
	if row.Work.Count > 0 {
		wanted = even(row.Work.Count)
	}
	for {
		lv.mu.RLock()
		starts := make([]HashKey, len(lv.open))
		for i, sh := range lv.open {
			starts[i] = sh.row.Start
		}
		lv.mu.RUnlock()
		s, ok := row.Work.next(starts, wanted)
		if !ok {
			return nil
		}
		if err := r.step(ctx, row, lv, s); err != nil {
			return err
		}
	}
}

// step closes the parents and opens the children in one transaction; meanwhile
// puts wait.
func (r *reign) step(ctx context.Context, row Stream, lv *live, s step) error {
	lv.mu.Lock()
	defer lv.mu.Unlock()
	parents := lv.open[s.at : s.at+1]
	if s.split == nil {
		parents = lv.open[s.at : s.at+2]
	}
	for _, p := range parents {
		p.drain()
	}
	now := r.e.now().UTC()
	children := born(row, parents, s.split, now)
	err := r.e.db.Update(ctx, func(tx *store.Tx) error {
		cur, ok := Streams.Get(tx, row.Key())
		if !ok || cur.ID != row.ID || cur.Status == types.StreamStatusDeleting {
			return errGone
		}
		for i := range children {
			children[i].Index = cur.NextShard + i
			if err := Shards.Put(tx, children[i]); err != nil {
				return err
			}
		}
		for _, p := range parents {
			closed := p.row
			closed.ClosedAt = now
			if err := Shards.Put(tx, closed); err != nil {
				return err
			}
		}
		cur.NextShard += len(children)
		cur.OpenShards += len(children) - len(parents)
		return Streams.Put(tx, cur)
	})
	if err != nil {
		return err
	}
	for _, p := range parents {
		p.close(now)
	}
	for _, c := range children {
		r.attach(lv, c)
	}
	lv.sort()
	return nil
}

// born are the children of the parents, without their numbers. Their epoch is
// above the parents', so that sequence numbers rise.
func born(row Stream, parents []*shard, split *HashKey, now time.Time) []Shard {
	first, last := parents[0].row, parents[len(parents)-1].row
	c := Shard{Scope: row.Scope, Stream: row.Name, Start: first.Start, End: last.End, CreatedAt: now, Epoch: uint64(now.Unix())}
	for _, p := range parents {
		c.Parents = append(c.Parents, p.row.Index)
		c.Epoch = max(c.Epoch, p.row.Epoch+1)
	}
	if split == nil {
		return []Shard{c}
	}
	d := c
	c.End, d.Start = split.prev(), *split
	return []Shard{c, d}
}

// close ends the shard; the live stream's lock is held.
func (sh *shard) close(now time.Time) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.row.ClosedAt = now
	sh.tell()
}
