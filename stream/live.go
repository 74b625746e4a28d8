package stream

import (
	"context"
	"crypto/cipher"
	"slices"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dhowhq/dhow/store"
)

// keys are the sealers of a stream.
type keys struct {
	read  atomic.Pointer[cipher.AEAD] // nil: the stream was never encrypted
	write atomic.Pointer[cipher.AEAD] // nil: it is not now
}

func (k *keys) reading() cipher.AEAD { return deref(k.read.Load()) }
func (k *keys) writing() cipher.AEAD { return deref(k.write.Load()) }

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// set takes the stream's key, if it has one, and whether new records are sealed.
func (k *keys) set(key []byte, encrypt bool) error {
	if key == nil {
		k.write.Store(nil)
		return nil
	}
	a, err := sealer(key)
	if err != nil {
		return err
	}
	k.read.Store(&a)
	if encrypt {
		k.write.Store(&a)
	} else {
		k.write.Store(nil)
	}
	return nil
}

// live is a stream in the hands of its owner.
type live struct {
	id   string
	born time.Time // when this process took it up

	mu     sync.RWMutex // held for writing while shards change
	loaded bool
	gone   bool
	all    map[int]*shard
	open   []*shard // in the order of their hash keys
	keys   keys

	bytes, records atomic.Int64 // that were put or refused for a limit, ever
}

// stream returns the live stream of a row, made at its first use.
func (r *reign) stream(row Stream) (*live, error) {
	r.mu.Lock()
	lv := r.lives[row.ID]
	if lv == nil {
		lv = &live{id: row.ID, born: r.e.now(), all: map[int]*shard{}}
		r.lives[row.ID] = lv
	}
	r.mu.Unlock()
	lv.mu.RLock()
	ok := lv.loaded
	lv.mu.RUnlock()
	if ok {
		return lv, nil
	}
	lv.mu.Lock()
	defer lv.mu.Unlock()
	if lv.loaded {
		return lv, nil
	}
	return lv, r.load(lv, row.Ref())
}

// load fills a live stream from the tables; its lock is held.
func (r *reign) load(lv *live, ref Ref) error {
	return r.e.db.View(func(rd store.Reader) error {
		row, ok := Streams.Get(rd, ref.Scope.Key(ref.Name))
		if !ok || row.ID != lv.id {
			return notFound(ref)
		}
		s, _ := secrets.Get(rd, lv.id)
		if err := lv.keys.set(s.Key, row.KeyID != ""); err != nil {
			return err
		}
		for sh := range Shards.List(rd, ref.Scope.Prefix(ref.Name)) {
			r.attach(lv, sh)
		}
		lv.sort()
		lv.loaded = true
		return nil
	})
}

// attach adds a shard; lv's lock is held.
func (r *reign) attach(lv *live, row Shard) {
	if lv.all[row.Index] == nil {
		lv.all[row.Index] = &shard{row: row, id: row.ID(), name: logName(lv.id, row.Index), j: r.e.j, term: r.term,
			now: r.e.now, keys: &lv.keys, limits: newLimits()}
	}
}

// sort files the open shards by hash key; lv's lock is held.
func (lv *live) sort() {
	lv.open = lv.open[:0:0]
	for _, sh := range lv.all {
		if sh.row.Open() {
			lv.open = append(lv.open, sh)
		}
	}
	slices.SortFunc(lv.open, func(a, b *shard) int {
		if a.row.Start.Less(b.row.Start) {
			return -1
		}
		return 1
	})
}

// route returns the position in open of the shard that has the key; lv's lock is
// held.
func (lv *live) route(k HashKey) int {
	return sort.Search(len(lv.open), func(i int) bool { return k.Less(lv.open[i].row.Start) }) - 1
}

// shard returns the shard of that id.
func (lv *live) shard(ref Ref, id string) (*shard, error) {
	index, ok := shardIndex(id)
	lv.mu.RLock()
	defer lv.mu.RUnlock()
	if sh := lv.all[index]; ok && sh != nil {
		return sh, nil
	}
	return nil, refuse(NotFound, "Shard %s in stream %s under account %s does not exist", id, ref.Name, ref.Account)
}

func notFound(ref Ref) error {
	return refuse(NotFound, "Stream %s under account %s not found.", ref.Name, ref.Account)
}

// usable returns the row of a stream that takes and gives records.
func (e *Engine) usable(ref Ref) (row Stream, err error) {
	row, err = e.Describe(ref)
	if err == nil && !serves(row) {
		err = notFound(ref)
	}
	return row, err
}

func (e *Engine) put(ctx context.Context, ref Ref, entries []Entry) ([]Placed, error) {
	r, err := e.owner(ctx)
	if err != nil {
		return nil, err
	}
	row, err := e.usable(ref)
	if err != nil {
		return nil, err
	}
	if err := checkSizes(row, entries); err != nil {
		return nil, err
	}
	lv, err := r.stream(row)
	if err != nil {
		return nil, err
	}
	out := make([]Placed, len(entries))
	var wait sync.WaitGroup
	leaders, err := lv.enqueue(ref, entries, out, &wait)
	if err != nil {
		return nil, err
	}
	for i, sh := range leaders {
		if i == len(leaders)-1 {
			sh.lead(r.ctx)
		} else {
			go sh.lead(r.ctx)
		}
	}
	wait.Wait()
	for i := range out {
		out[i].Err = failed(out[i].Err)
	}
	return out, nil
}

func checkSizes(row Stream, entries []Entry) error {
	for i := range entries {
		if n := len(entries[i].Data); n > int(row.MaxRecordKiB)<<10 {
			return refuse(Validation, "1 validation error detected: Value at 'data' failed to satisfy constraint: Member must have length less than or equal to %d. The record has %d bytes; UpdateMaxRecordSize raises the limit of the stream, to 10240 KiB at most.", int(row.MaxRecordKiB)<<10, n)
		}
	}
	return nil
}

// enqueue shares entries out to the shards and returns those that need a leader.
func (lv *live) enqueue(ref Ref, entries []Entry, out []Placed, wait *sync.WaitGroup) (leaders []*shard, err error) {
	lv.mu.RLock()
	defer lv.mu.RUnlock()
	if lv.gone || len(lv.open) == 0 {
		return nil, notFound(ref)
	}
	slots := make([]int32, len(lv.open)) // where in groups a shard's is, plus one
	groups := make([]*group, 0, min(len(entries), len(lv.open)))
	bytes := 0
	for i := range entries {
		x := &entries[i]
		bytes += x.size()
		key := HashKey{}
		if x.HashKey != nil {
			key = *x.HashKey
		} else {
			key = HashOf(x.PartitionKey)
		}
		at := lv.route(key)
		if slots[at] == 0 {
			groups = append(groups, &group{sh: lv.open[at], done: wait.Done})
			slots[at] = int32(len(groups))
		}
		g := groups[slots[at]-1]
		g.entries, g.placed = append(g.entries, x), append(g.placed, &out[i])
	}
	lv.bytes.Add(int64(bytes))
	lv.records.Add(int64(len(entries)))
	wait.Add(len(groups))
	for _, g := range groups {
		if g.sh.enqueue(g, ref) {
			leaders = append(leaders, g.sh)
		}
	}
	return leaders, nil
}

// exceeded is AWS's word for a shard over its limit.
func exceeded(ref Ref, shard string) error {
	return refuse(Throttled, "Rate exceeded for shard %s in stream %s under account %s.", shard, ref.Name, ref.Account)
}
