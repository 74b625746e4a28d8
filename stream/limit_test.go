package stream

import (
	"testing"
	"time"
)

func TestWriteLimits(t *testing.T) {
	l, now := newLimits(), time.Unix(1000, 0)
	for i := range shardInRecords {
		if !l.admit(now, 10) {
			t.Fatalf("record %d of 1000 was refused", i)
		}
	}
	if l.admit(now, 10) {
		t.Error("more than 1,000 records a second")
	}
	if now = now.Add(100 * time.Millisecond); !l.admit(now, 10) {
		t.Error("nothing came back in a tenth of a second")
	}
	now = now.Add(time.Second)
	if !l.admit(now, mib) || l.admit(now, 1) {
		t.Error("a shard takes 1 MiB a second, and no more")
	}
	if now = now.Add(500 * time.Millisecond); l.admit(now, mib) || !l.admit(now, mib/2) {
		t.Error("half a second is good for half a MiB")
	}
	now = now.Add(time.Hour)
	if !l.admit(now, 10*mib) {
		t.Error("a record of 10 MiB never gets in")
	}
	if now = now.Add(8 * time.Second); l.admit(now, 1) {
		t.Error("10 MiB were not paid for after 8 seconds")
	}
	if now = now.Add(2 * time.Second); !l.admit(now, 1) {
		t.Error("10 MiB are not paid for after 10 seconds")
	}
	if l.admit(now.Add(-time.Hour), mib) {
		t.Error("a clock that goes back fills the bucket")
	}
}

func TestReadLimits(t *testing.T) {
	l, now := newLimits(), time.Unix(1000, 0)
	for i := range shardOutReads {
		if !l.read(now) {
			t.Errorf("read %d of 5 was refused", i)
		}
	}
	if l.read(now) {
		t.Error("more than five reads a second")
	}
	now = now.Add(time.Second)
	if !l.read(now) {
		t.Fatal("no read after a second")
	}
	l.gave(10 * mib) // as AWS says: the next 5 seconds refuse
	if l.read(now.Add(3900 * time.Millisecond)) {
		t.Error("10 MiB were read, and again after 4 seconds")
	}
	if !l.read(now.Add(5 * time.Second)) {
		t.Error("10 MiB were read, and nothing after 5 seconds")
	}
}

func TestDemand(t *testing.T) {
	at := time.Unix(1000, 0)
	look := func(bytes, records int64) demand { return demand{at.Add(15 * time.Second), bytes, records} }
	for _, tt := range []struct {
		name string
		to   demand
		have int
		want int
	}{
		{"idle", look(0, 0), 4, 4},
		{"half of the bytes", look(15*2*mib, 0), 4, 4},
		{"more than half of the bytes", look(15*2*mib+mib, 0), 4, 8},
		{"more than half of the records", look(0, 15*2001), 4, 8},
		{"at the top", look(0, 15*199000), 200, 200},
		{"near the top", look(0, 15*140000), 150, 200},
		{"beyond the top", look(0, 15*900000), 300, 300},
	} {
		if got := wantedFor(demand{at: at}, tt.to, tt.have); got != tt.want {
			t.Errorf("%s: %d shards, want %d", tt.name, got, tt.want)
		}
	}
}
