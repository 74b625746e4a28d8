package stream

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

func TestPutAndRead(t *testing.T) {
	f := newFixture(t)
	ref := f.stream("s", 1)
	out, err := f.Put(f.ctx, ref, repeat(100, numbered)...)
	must(t, err)
	for i, p := range out {
		must(t, p.Err)
		if p.Shard != ShardID(0) || i > 0 && !out[i-1].Sequence.Less(p.Sequence) {
			t.Fatalf("record %d is at %v in %s, after %v", i, p.Sequence, p.Shard, out[max(i-1, 0)].Sequence)
		}
	}
	got, ended := f.all(ref, ShardID(0), horizon)
	if len(got) != 100 || got[0] != "d0" || got[99] != "d99" || ended {
		t.Fatalf("read %v, ended %v", got, ended)
	}
	for _, tt := range []struct {
		start Start
		want  string
	}{
		{Start{Type: types.ShardIteratorTypeAtSequenceNumber, Sequence: out[97].Sequence.String()}, "[d97 d98 d99]"},
		{Start{Type: types.ShardIteratorTypeAfterSequenceNumber, Sequence: out[97].Sequence.String()}, "[d98 d99]"},
		{Start{Type: types.ShardIteratorTypeLatest}, "[]"},
		{Start{Type: types.ShardIteratorTypeAtSequenceNumber, Sequence: SequenceNumber{Epoch: out[0].Sequence.Epoch, Seq: endSeq}.String()}, "[]"},
	} {
		if got, _ := f.all(ref, ShardID(0), tt.start); fmt.Sprint(got) != tt.want {
			t.Errorf("from %+v: %v, want %s", tt.start, got, tt.want)
		}
	}
}

func TestIteratorAtTimestamp(t *testing.T) {
	f := newFixture(t)
	ref := f.stream("s", 1)
	begin := f.clock.Now()
	for i := range 50 {
		f.clock.add(time.Second)
		f.put1(ref, "k", fmt.Sprint(i+1))
	}
	for _, tt := range []struct {
		at   time.Duration
		want int // records
	}{{-time.Hour, 50}, {0, 50}, {time.Second, 50}, {time.Second + time.Millisecond, 49}, {25 * time.Second, 26}, {50 * time.Second, 1}, {50500 * time.Millisecond, 0}} {
		f.clock.add(time.Second)
		got, _ := f.all(ref, ShardID(0), Start{Type: types.ShardIteratorTypeAtTimestamp, Timestamp: begin.Add(tt.at)})
		if len(got) != tt.want || tt.want > 0 && got[len(got)-1] != "50" {
			t.Errorf("from %s on: %v, want the last %d", tt.at, got, tt.want)
		}
	}
	_, err := f.Iterator(f.ctx, ref, ShardID(0), Start{Type: types.ShardIteratorTypeAtTimestamp, Timestamp: f.clock.Now().Add(time.Minute)})
	refused(t, err, Invalid, "The timestampInMillis parameter cannot be greater than the currentTimestampInMillis.")
}

func TestIteratorsExpireAndOutliveRestarts(t *testing.T) {
	f := newFixture(t)
	ref := f.stream("s", 1)
	it, err := f.Iterator(f.ctx, ref, ShardID(0), Start{Type: types.ShardIteratorTypeLatest})
	must(t, err)
	f.put1(ref, "k", "after")
	f.restart()
	f.clock.add(5 * time.Minute)
	b, err := f.Read(f.ctx, it, 0)
	must(t, err)
	if len(b.Records) != 1 || string(b.Records[0].Data) != "after" || b.Behind != 0 {
		t.Errorf("after a restart: %+v", b)
	}
	f.clock.add(time.Second)
	_, err = f.Read(f.ctx, it, 0)
	refused(t, err, IteratorExpired, "Iterator expired. The iterator was created at time Sun Mar 01 12:00:00 UTC 2026 while right now it is Sun Mar 01 12:05:01 UTC 2026 which is further in the future than the tolerated delay of 300000 milliseconds.")
	_, err = f.Read(f.ctx, it[:len(it)-8]+"AAAAAAA=", 0)
	refused(t, err, Invalid, "Invalid ShardIterator.")
}

func TestIteratorRefusals(t *testing.T) {
	f := newFixture(t)
	ref, other := f.stream("s", 2), f.stream("other", 2)
	p := f.put1(ref, "k", "x")
	f.clock.add(2 * time.Second)
	late := f.stream("late", 2)
	wrong := ShardID(1 - int(p.Sequence.Shard))
	at := Start{Type: types.ShardIteratorTypeAtSequenceNumber, Sequence: p.Sequence.String()}
	for _, tt := range []struct {
		ref   Ref
		shard string
		start Start
		kind  Kind
		text  string
	}{
		{ref, "shardId-000000000007", horizon, NotFound, "Shard shardId-000000000007 in stream s under account 000000000000 does not exist"},
		{ref, "nonsense", horizon, NotFound, "Shard nonsense in stream s"},
		{Ref{scope, "none"}, ShardID(0), horizon, NotFound, "Stream none under account 000000000000 not found."},
		{ref, wrong, at, Invalid, "Invalid StartingSequenceNumber. It encodes " + p.Shard + ", while it was used in a call to " + wrong},
		{late, p.Shard, at, Invalid, "is invalid because it did not come from this stream."},
		{ref, p.Shard, Start{Type: at.Type, Sequence: "12345"}, Invalid, "StartingSequenceNumber 12345 used in GetShardIterator on shard " + p.Shard + " in stream s under account 000000000000 is invalid."},
	} {
		_, err := f.Iterator(f.ctx, tt.ref, tt.shard, tt.start)
		refused(t, err, tt.kind, tt.text)
	}
	if _, err := f.Iterator(f.ctx, other, p.Shard, horizon); err != nil {
		t.Error(err)
	}
}

func TestThrottling(t *testing.T) {
	f := newFixture(t)
	ref := f.stream("s", 1)
	out, err := f.Put(f.ctx, ref, repeat(1010, numbered)...)
	must(t, err)
	for i, p := range out {
		if i < 1000 {
			must(t, p.Err)
		} else {
			refused(t, p.Err, Throttled, "Rate exceeded for shard shardId-000000000000 in stream s under account 000000000000.")
		}
	}
	it, err := f.Iterator(f.ctx, ref, ShardID(0), horizon)
	must(t, err)
	for range shardOutReads {
		_, err := f.Read(f.ctx, it, 1)
		must(t, err)
	}
	_, err = f.Read(f.ctx, it, 1)
	refused(t, err, Throttled, "Rate exceeded for shard shardId-000000000000 in stream s under account 000000000000.")
	if got, _ := f.all(ref, ShardID(0), horizon); len(got) != 1000 {
		t.Errorf("%d records, want the 1000 that were not refused", len(got))
	}
}

func TestLargeRecords(t *testing.T) {
	f := newFixture(t)
	ref := f.stream("s", 1)
	big := bytes.Repeat([]byte("0123456789abcdef"), 10<<20/16)
	_, err := f.Put(f.ctx, ref, Entry{PartitionKey: "k", Data: big})
	refused(t, err, Validation, "Member must have length less than or equal to 1048576")
	must(t, f.SetMaxRecord(f.ctx, ref, 10240))
	must(t, f.Encrypt(f.ctx, f.active(ref), "alias/aws/kinesis"))
	f.active(ref)
	f.put1(ref, "k", "before")
	f.clock.add(time.Minute)
	f.put1(ref, "k", string(big))
	f.clock.add(time.Minute)
	f.put1(ref, "k", "behind")
	f.restart()
	got, _ := f.all(ref, ShardID(0), horizon)
	if len(got) != 3 || got[0] != "before" || got[1] != string(big) || got[2] != "behind" {
		t.Errorf("%d records, of %d bytes", len(got), len(strings.Join(got, "")))
	}
}

func TestEncryption(t *testing.T) {
	f := newFixture(t)
	ref := f.stream("s", 1)
	f.put1(ref, "k", "plain one")
	must(t, f.Encrypt(f.ctx, ref, "alias/aws/kinesis"))
	f.active(ref)
	if p := f.put1(ref, "k", "sealed two"); !p.Encrypted {
		t.Error("the answer does not say that the record is encrypted")
	}
	f.restart()
	f.put1(ref, "k", "sealed three")
	must(t, f.Encrypt(f.ctx, ref, ""))
	f.active(ref)
	f.put1(ref, "k", "plain four")
	f.restart()
	if got, _ := f.all(ref, ShardID(0), horizon); fmt.Sprint(got) != "[plain one sealed two sealed three plain four]" {
		t.Errorf("read %q", got)
	}
	row, err := f.Describe(ref)
	must(t, err)
	log, err := f.j.Open(f.ctx, logName(row.ID, 0), 1<<60)
	must(t, err)
	var raw []byte
	for r, err := range log.Read(f.ctx, 0) {
		must(t, err)
		raw = append(raw, r.Data...)
	}
	if bytes.Contains(raw, []byte("sealed")) || !bytes.Contains(raw, []byte("plain four")) {
		t.Errorf("in the journal: %q", raw)
	}
}

func TestRetention(t *testing.T) {
	f := newFixture(t)
	ref := f.stream("s", 1)
	f.put1(ref, "k", "old")
	f.clock.add(20 * time.Hour)
	f.put1(ref, "k", "new")
	f.clock.add(5 * time.Hour)
	if got, _ := f.all(ref, ShardID(0), horizon); fmt.Sprint(got) != "[new]" {
		t.Errorf("after 25 hours: %v", got)
	}
	must(t, f.SetRetention(f.ctx, ref, 48, true))
	f.active(ref)
	if got, _ := f.all(ref, ShardID(0), horizon); fmt.Sprint(got) != "[old new]" {
		t.Errorf("of what is not trimmed yet a longer retention returns: %v", got)
	}
	r, err := f.owner(f.ctx)
	must(t, err)
	f.clock.add(24 * time.Hour)
	must(t, r.trim())
	must(t, f.SetRetention(f.ctx, ref, 8760, true))
	f.active(ref)
	if got, _ := f.all(ref, ShardID(0), horizon); fmt.Sprint(got) != "[new]" {
		t.Errorf("what was trimmed is gone: %v", got)
	}
	refused(t, f.SetRetention(f.ctx, ref, 9000, true), Invalid, "Maximum allowed retention period is 8760 hours.")
	refused(t, f.SetRetention(f.ctx, ref, 23, false), Invalid, "Minimum allowed retention period is 24 hours.")
	refused(t, f.SetRetention(f.ctx, ref, 24, true), Invalid, "can not be shorter than existing retention period (8760 hours)")
}

func TestDelete(t *testing.T) {
	f := newFixture(t)
	ref := f.stream("s", 120)
	f.put1(ref, "k", "x")
	must(t, f.Encrypt(f.ctx, ref, "alias/aws/kinesis"))
	f.active(ref)
	_, err := f.Register(f.ctx, ref, "c", nil)
	must(t, err)
	refused(t, f.Delete(f.ctx, ref, false), InUse, "has registered consumers")
	must(t, f.Delete(f.ctx, ref, true))
	_, err = f.Put(f.ctx, ref, numbered(1))
	refused(t, err, NotFound, "Stream s under account 000000000000 not found.")
	must(t, f.Reset(f.ctx, scope.Account))
	names, err := f.j.Names(f.ctx, "")
	must(t, err)
	if _, cs, err := f.ConsumersOf(ref); len(names) != 0 || len(cs) != 0 || !Is(err, NotFound) {
		t.Errorf("left over: logs %v, consumers %v, %v", names, cs, err)
	}
	again := f.stream("s", 1)
	if got, _ := f.all(again, ShardID(0), horizon); len(got) != 0 {
		t.Errorf("a new stream of the name has %v", got)
	}
}

func TestWorkIsTakenUpAfterARestart(t *testing.T) {
	f := newFixture(t)
	ref := f.stream("s", 2)
	f.stop()
	_, err := f.Rescale(f.ctx, ref, 4)
	must(t, err)
	must(t, f.Create(f.ctx, Stream{Scope: scope, Name: "new", Mode: types.StreamModeOnDemand}, 0))
	f.restart()
	f.active(ref)
	f.active(Ref{scope, "new"})
	for _, name := range []string{"s", "new"} {
		_, shards, err := f.ShardsOf(Ref{scope, name})
		must(t, err)
		cover(t, shards, 4)
	}
}

func TestAccountLimits(t *testing.T) {
	f := newFixture(t)
	f.stream("s", 1)
	err := f.Create(f.ctx, Stream{Scope: scope, Name: "t", Mode: types.StreamModeProvisioned}, 10001)
	refused(t, err, LimitExceeded, "at most 10000 shards")
	err = f.Create(f.ctx, Stream{Scope: scope, Name: "s", Mode: types.StreamModeProvisioned}, 1)
	refused(t, err, InUse, "Stream s under account 000000000000 already exists.")
	f.stop() // streams that stay CREATING count too
	for i := range 2 {
		err = f.Create(f.ctx, Stream{Scope: scope, Name: fmt.Sprint("t", i), Mode: types.StreamModeProvisioned}, 10000)
	}
	refused(t, err, LimitExceeded, "This request would exceed the shard limit for the account 000000000000 in us-east-1. Current shard count for the account: 10001. Limit: 20000. Number of additional shards that would have resulted from this request: 10000.")
}
