package stream

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/journal"
	"github.com/dhowhq/dhow/store"
)

// Start says where in a shard a reader begins: an iterator, or a subscription.
type Start struct {
	Type types.ShardIteratorType
	// Sequence is of the types AT_ and AFTER_SEQUENCE_NUMBER.
	Sequence string
	// Timestamp is of the type AT_TIMESTAMP.
	Timestamp time.Time
}

// iteratorLife is how long an iterator is good for.
const iteratorLife = 5 * time.Minute

// token is what an iterator holds, sealed: it is opaque, and good after a
// restart, and in any process over the same store.
type token struct {
	Account, Region, Name string
	ID                    string      `json:"I"` // the stream's
	Shard                 int         `json:"S"`
	Seq                   journal.Seq `json:"Q"`
	Idx                   uint32      `json:"X"`
	At                    int64       `json:"T"` // unix milliseconds
}

func (t token) ref() Ref { return Ref{cluster.Scope{Account: t.Account, Region: t.Region}, t.Name} }

func (r *reign) seal(t token) string {
	data, err := json.Marshal(t)
	if err != nil {
		panic(err) // a struct of numbers and strings
	}
	return base64.StdEncoding.EncodeToString(seal(r.iterator, nil, data, nil))
}

func (r *reign) unseal(s string) (t token, err error) {
	data, err := base64.StdEncoding.DecodeString(s)
	if err == nil {
		data, err = unseal(r.iterator, data, nil)
	}
	if err == nil {
		err = json.Unmarshal(data, &t)
	}
	if err != nil {
		return t, refuse(Invalid, "Invalid ShardIterator.")
	}
	return t, nil
}

// Iterator returns an iterator for Read, good for five minutes.
func (e *Engine) Iterator(ctx context.Context, ref Ref, shard string, start Start) (string, error) {
	r, row, sh, err := e.reach(ctx, ref, shard)
	if err != nil {
		return "", err
	}
	p, err := sh.resolve(ctx, ref, start)
	if err != nil {
		return "", err
	}
	return r.seal(r.token(row, sh, p)), nil
}

func (r *reign) token(row Stream, sh *shard, p place) token {
	return token{row.Account, row.Region, row.Name, row.ID, sh.row.Index, p.seq, p.idx, r.e.now().UnixMilli()}
}

// reach finds a shard of a stream that takes and gives records.
func (e *Engine) reach(ctx context.Context, ref Ref, shard string) (r *reign, row Stream, sh *shard, err error) {
	if r, err = e.owner(ctx); err != nil {
		return
	}
	if row, err = e.usable(ref); err != nil {
		return
	}
	lv, err := r.stream(row)
	if err != nil {
		return r, row, nil, err
	}
	sh, err = lv.shard(ref, shard)
	return r, row, sh, err
}

// resolve turns a start into a place.
func (sh *shard) resolve(ctx context.Context, ref Ref, start Start) (p place, err error) {
	if err := sh.ready(ctx); err != nil {
		return p, failed(err)
	}
	switch start.Type {
	case types.ShardIteratorTypeTrimHorizon:
		return place{}, nil
	case types.ShardIteratorTypeLatest:
		sh.mu.Lock()
		defer sh.mu.Unlock()
		return place{seq: sh.tip}, nil
	case types.ShardIteratorTypeAtTimestamp:
		at, now := start.Timestamp.UnixMilli(), sh.now().UnixMilli()
		if at > now {
			return p, refuse(Invalid, "The timestampInMillis parameter cannot be greater than the currentTimestampInMillis. timestampInMillis: %d, currentTimestampInMillis: %d", at, now)
		}
		p.seq, err = sh.seek(ctx, at)
		return p, failed(err)
	}
	n, err := sh.number(ref, start.Sequence)
	if err != nil {
		return p, err
	}
	if start.Type == types.ShardIteratorTypeAfterSequenceNumber {
		return after(n), nil
	}
	return at(n), nil
}

// number reads a sequence number of the shard.
func (sh *shard) number(ref Ref, s string) (SequenceNumber, error) {
	n, ok := ParseSequenceNumber(s)
	switch {
	case !ok:
		return n, refuse(Invalid, "StartingSequenceNumber %s used in GetShardIterator on shard %s in stream %s under account %s is invalid.", s, sh.id, ref.Name, ref.Account)
	case int(n.Shard) != sh.row.Index:
		return n, refuse(Invalid, "Invalid StartingSequenceNumber. It encodes %s, while it was used in a call to %s", ShardID(int(n.Shard)), sh.id)
	case n.Epoch != sh.row.Epoch:
		return n, refuse(Invalid, "StartingSequenceNumber %s used in GetShardIterator on shard %s in stream %s under account %s is invalid because it did not come from this stream.", s, sh.id, ref.Name, ref.Account)
	}
	return n, nil
}

// CheckOrdering checks the number with which a put asks to be ordered behind an
// earlier one of the stream. All are, so there is nothing more to it.
func (e *Engine) CheckOrdering(ref Ref, s string) error {
	row, err := e.usable(ref)
	if err != nil {
		return err
	}
	n, ok := ParseSequenceNumber(s)
	if !ok || int(n.Shard) >= row.NextShard || n.Epoch > uint64(e.now().Unix())+1 {
		return refuse(Invalid, "ExclusiveMinimumSequenceNumber %s used in PutRecord on stream %s under account %s is invalid.", s, ref.Name, ref.Account)
	}
	return nil
}

// IteratorOf says which stream an iterator is of.
func (e *Engine) IteratorOf(ctx context.Context, iterator string) (Ref, error) {
	r, err := e.owner(ctx)
	if err != nil {
		return Ref{}, err
	}
	t, err := r.unseal(iterator)
	return t.ref(), err
}

// Batch is what a Read gives.
type Batch struct {
	Stream  Ref
	Records []Record
	Next    string        // the next iterator; "" at the end of a closed shard
	Behind  time.Duration // how far the shard's tip is ahead: 0 if it was reached
	// Children are the shards that follow, at the end of a closed one.
	Children []Shard
}

// Read returns the records behind an iterator: at most limit (10,000 where it is
// 0) and 10 MiB of them. Its refusals are Throttled, IteratorExpired, Invalid
// and NotFound.
func (e *Engine) Read(ctx context.Context, iterator string, limit int) (b Batch, err error) {
	r, err := e.owner(ctx)
	if err != nil {
		return b, err
	}
	t, err := r.unseal(iterator)
	if err != nil {
		return b, err
	}
	b.Stream = t.ref()
	now := e.now()
	if made := time.UnixMilli(t.At); now.Sub(made) > iteratorLife {
		const layout = "Mon Jan 02 15:04:05 UTC 2006"
		return b, refuse(IteratorExpired, "Iterator expired. The iterator was created at time %s while right now it is %s which is further in the future than the tolerated delay of %d milliseconds.",
			made.UTC().Format(layout), now.UTC().Format(layout), iteratorLife.Milliseconds())
	}
	_, row, sh, err := e.reach(ctx, b.Stream, ShardID(t.Shard))
	if err == nil && row.ID != t.ID {
		err = notFound(b.Stream)
	}
	if err != nil {
		return b, err
	}
	if !sh.mayRead(now) {
		return b, exceeded(b.Stream, sh.id)
	}
	if limit <= 0 || limit > maxReadRecords {
		limit = maxReadRecords
	}
	p, err := sh.read(ctx, place{t.Seq, t.Idx}, bound{limit, maxReadBytes, e.Horizon(row).UnixMilli()})
	if err != nil {
		return b, failed(err)
	}
	sh.gave(p.bytes)
	b.Records, b.Behind = p.records, p.behind
	if p.end {
		b.Children = e.children(b.Stream, sh.row.Index)
	} else {
		b.Next = r.seal(r.token(row, sh, p.next))
	}
	return b, nil
}

func (sh *shard) mayRead(now time.Time) bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.limits.read(now)
}

func (sh *shard) gave(bytes int) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.limits.gave(bytes)
}

// children are the shards that a closed one was split or merged into.
func (e *Engine) children(ref Ref, parent int) (out []Shard) {
	e.db.View(func(r store.Reader) error {
		for sh := range Shards.List(r, ref.Scope.Prefix(ref.Name)) {
			if slices.Contains(sh.Parents, parent) {
				out = append(out, sh)
			}
		}
		return nil
	})
	return out
}
