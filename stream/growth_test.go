package stream

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/dhowhq/dhow/journal"
	"github.com/dhowhq/dhow/journal/mem"
)

func TestSplitAndMerge(t *testing.T) {
	f := newFixture(t)
	ref := f.stream("s", 1)
	f.put1(ref, "k", "0")
	f.clock.add(time.Second)
	mid := even(2)[1]
	must(t, f.Split(f.ctx, ref, ShardID(0), mid))
	f.active(ref)
	f.put1(ref, "k", "1")
	_, shards, err := f.ShardsOf(ref)
	must(t, err)
	if len(shards) != 3 || shards[0].Open() || shards[1].End != mid.prev() || shards[2].Start != mid || !slices.Equal(shards[2].Parents, []int{0}) {
		t.Fatalf("shards %+v", shards)
	}
	if got, ended := f.all(ref, ShardID(0), horizon); fmt.Sprint(got) != "[0]" || !ended {
		t.Errorf("the parent has %v, ended %v", got, ended)
	}
	refused(t, f.Split(f.ctx, ref, ShardID(0), mid), InUse, "has already been merged or split")
	refused(t, f.Split(f.ctx, ref, ShardID(1), mid), Invalid, "NewStartingHashKey "+mid.String()+" used in SplitShard() on shard shardId-000000000001")
	refused(t, f.Merge(f.ctx, ref, ShardID(1), ShardID(1)), Invalid, "are not an adjacent pair of shards eligible for merging")
	refused(t, f.Merge(f.ctx, ref, ShardID(1), ShardID(9)), NotFound, "Could not find shard shardId-000000000009 in stream s under account 000000000000.")
	must(t, f.Merge(f.ctx, ref, ShardID(2), ShardID(1)))
	f.active(ref)
	p := f.put1(ref, "k", "2")
	if p.Shard != ShardID(3) {
		t.Errorf("after the merge the record went to %s", p.Shard)
	}
	it, err := f.Iterator(f.ctx, ref, ShardID(2), Start{Type: types.ShardIteratorTypeLatest})
	must(t, err)
	b, err := f.Read(f.ctx, it, 0)
	must(t, err)
	if b.Next != "" || len(b.Children) != 1 || b.Children[0].Index != 3 || !slices.Equal(b.Children[0].Parents, []int{1, 2}) {
		t.Errorf("at the end of a merged shard: %+v", b)
	}
	// Closed shards go once all of their records must be expired.
	f.clock.add(25 * time.Hour)
	r, err := f.owner(f.ctx)
	must(t, err)
	must(t, r.trim())
	_, shards, err = f.ShardsOf(ref)
	must(t, err)
	names, err := f.j.Names(f.ctx, "stream/")
	must(t, err)
	if len(shards) != 1 || shards[0].Index != 3 || len(names) != 1 {
		t.Errorf("after the retention: %+v, logs %v", shards, names)
	}
}

func TestRescale(t *testing.T) {
	f := newFixture(t)
	ref := f.stream("s", 4)
	for _, tt := range []struct {
		target int
		text   string
	}{
		{9, "UpdateShardCount cannot scale up over double your current open shard count. Current open shard count: 4 Target shard count: 9"},
		{1, "UpdateShardCount cannot scale down below half your current open shard count. Current open shard count: 4 Target shard count: 1"},
	} {
		_, err := f.Rescale(f.ctx, ref, tt.target)
		refused(t, err, Invalid, tt.text)
	}
	for _, n := range []int{8, 5, 6, 3, 6, 5, 4, 3, 2, 1} {
		_, err := f.Rescale(f.ctx, ref, n)
		must(t, err)
		f.active(ref)
		_, shards, err := f.ShardsOf(ref)
		must(t, err)
		cover(t, shards, n)
	}
	_, err := f.Rescale(f.ctx, ref, 2)
	refused(t, err, LimitExceeded, "was scaled 10 times within 24 hours")
	f.clock.add(25 * time.Hour)
	_, err = f.Rescale(f.ctx, ref, 2)
	must(t, err)
	f.active(ref)
}

// cover checks that n open shards share out all keys.
func cover(t testing.TB, shards []Shard, n int) {
	t.Helper()
	var open []Shard
	for _, s := range shards {
		if s.Open() {
			open = append(open, s)
		}
	}
	slices.SortFunc(open, func(a, b Shard) int {
		if a.Start.Less(b.Start) {
			return -1
		}
		return 1
	})
	if len(open) != n {
		t.Fatalf("%d open shards, want %d", len(open), n)
	}
	want := HashKey{}
	for _, s := range open {
		if s.Start != want {
			t.Fatalf("%s begins at %s, want %s", s.ID(), s.Start, want)
		}
		want = s.End.add(1)
	}
	if want != (HashKey{}) {
		t.Fatalf("the last shard ends before %s", want)
	}
}

// TestPutsDuringResharding holds the order of each partition key's records while
// producers put and the shards change under them.
func TestPutsDuringResharding(t *testing.T) {
	f := newFixture(t)
	ref := f.stream("s", 4)
	const producers, each = 8, 60
	done := make(chan error, producers)
	for p := range producers {
		go func() {
			for i := range each {
				out, err := f.Put(f.ctx, ref, Entry{PartitionKey: fmt.Sprint("p", p), Data: []byte(fmt.Sprint(i))}, numbered(i))
				if err == nil {
					err = out[0].Err
				}
				if err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	left := producers
	for i := 0; left > 0; i++ {
		select {
		case err := <-done:
			must(t, err)
			left--
			continue
		default:
		}
		f.clock.add(10 * time.Hour) // AWS's limit of ten scalings a day is not the subject
		_, err := f.Rescale(f.ctx, ref, []int{8, 5, 7, 4}[i%4])
		must(t, err)
		f.active(ref)
	}
	must(t, f.SetRetention(f.ctx, ref, MaxRetentionHours, true))
	f.active(ref)
	got := map[string][]string{}
	_, shards, err := f.ShardsOf(ref)
	must(t, err)
	for _, s := range shards {
		it, err := f.Iterator(f.ctx, ref, s.ID(), horizon)
		must(t, err)
		b, err := f.Read(f.ctx, it, 0)
		must(t, err)
		for _, r := range b.Records {
			got[r.PartitionKey] = append(got[r.PartitionKey], string(r.Data))
		}
	}
	for p := range producers {
		have := got[fmt.Sprint("p", p)]
		if len(have) != each || !slices.IsSortedFunc(have, func(a, b string) int { return atoi(a) - atoi(b) }) {
			t.Errorf("producer %d: %v", p, have)
		}
	}
	if len(shards) < 5 {
		t.Errorf("the shards changed too little: %d", len(shards))
	}
}

// TestLargeRescale doubles a stream to the largest size: each shard is split once.
func TestLargeRescale(t *testing.T) {
	starts, w := even(5000), &Work{Count: 10000}
	wanted := even(w.Count)
	for steps := 0; ; steps++ {
		s, ok := w.next(starts, wanted)
		if !ok {
			if steps != 5000 || len(starts) != 10000 {
				t.Errorf("%d shards after %d steps", len(starts), steps)
			}
			return
		}
		starts = apply(starts, s)
	}
}

// gated is a journal whose appends wait for a gate.
type gated struct {
	*mem.Journal
	entered, gate chan struct{}
}

func (j *gated) Open(ctx context.Context, name string, term int64) (journal.Log, error) {
	l, err := j.Journal.Open(ctx, name, term)
	return gatedLog{l, j}, err
}

type gatedLog struct {
	journal.Log
	j *gated
}

func (l gatedLog) Append(ctx context.Context, d journal.Durability, records ...[]byte) (journal.Seq, error) {
	l.j.entered <- struct{}{}
	<-l.j.gate
	return l.Log.Append(ctx, d, records...)
}

// TestReshardingWaitsForAppends: a shard is not closed while records are on
// their way into it, for a reader would not find them before its end.
func TestReshardingWaitsForAppends(t *testing.T) {
	j := &gated{mem.New(), make(chan struct{}, 10), make(chan struct{})}
	f := newFixtureOn(t, j)
	ref := f.stream("s", 1)
	r, err := f.owner(f.ctx)
	must(t, err)
	row, err := f.Describe(ref)
	must(t, err)
	lv, err := r.stream(row)
	must(t, err)
	sh := lv.open[0]
	put := make(chan Placed)
	go func() { put <- f.put1(ref, "k", "x") }()
	<-j.entered
	_, err = f.Rescale(f.ctx, ref, 2)
	must(t, err)
	for waits := false; !waits; {
		sh.mu.Lock()
		waits = sh.idle != nil
		sh.mu.Unlock()
		if row, err = f.Describe(ref); err != nil || row.Status == types.StreamStatusActive {
			t.Fatalf("the shard was split while a record was on its way into it: %v", err)
		}
	}
	close(j.gate)
	if p := <-put; p.Shard != ShardID(0) {
		t.Errorf("the record went to %s", p.Shard)
	}
	f.active(ref)
	if got, ended := f.all(ref, ShardID(0), horizon); len(got) != 1 || !ended {
		t.Errorf("the parent has %v, ended %v", got, ended)
	}
}

func TestOnDemandStreamsGrow(t *testing.T) {
	f := newFixture(t)
	ref := f.stream("s", 0, func(s *Stream) { s.Mode = types.StreamModeOnDemand })
	r, err := f.owner(f.ctx)
	must(t, err)
	must(t, r.demand())
	for range 15 {
		out, err := f.Put(f.ctx, ref, repeat(2100, numbered)...) // more than half of 4,000 a second
		must(t, err)
		for _, p := range out {
			must(t, p.Err)
		}
		f.clock.add(time.Second)
	}
	must(t, r.demand())
	f.active(ref)
	_, shards, err := f.ShardsOf(ref)
	must(t, err)
	cover(t, shards, 8)
	f.clock.add(15 * time.Second)
	must(t, r.demand()) // idle: nothing more
	_, shards, err = f.ShardsOf(ref)
	must(t, err)
	cover(t, shards, 8)
	_, err = f.Rescale(f.ctx, ref, 4)
	refused(t, err, Validation, "is in On-Demand mode")
	must(t, f.SetMode(f.ctx, ref, types.StreamModeProvisioned, 0))
	f.active(ref)
	must(t, f.SetMode(f.ctx, ref, types.StreamModeOnDemand, 0))
	f.active(ref)
	refused(t, f.SetMode(f.ctx, ref, types.StreamModeProvisioned, 0), LimitExceeded, "was changed 2 times within 24 hours")
	_, err = f.SetWarm(f.ctx, ref, 12)
	must(t, err)
	f.active(ref)
	_, shards, err = f.ShardsOf(ref)
	must(t, err)
	cover(t, shards, 12)
}
