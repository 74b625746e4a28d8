package stream

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/journal"
	"github.com/dhowhq/dhow/journal/mem"
	"github.com/dhowhq/dhow/store"
	"github.com/dhowhq/dhow/store/storetest"
)

var scope = cluster.Scope{Account: "000000000000", Region: "us-east-1"}

// clock is a time that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// fixture is an engine over a journal in memory, which a restart keeps.
type fixture struct {
	*Engine
	t     testing.TB
	ctx   context.Context
	clock *clock
	j     journal.Journal
	stop  func()
}

func newFixture(t testing.TB) *fixture { return newFixtureOn(t, mem.New()) }

func newFixtureOn(t testing.TB, j journal.Journal) *fixture {
	f := &fixture{t: t, ctx: context.Background(), clock: &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}, j: j}
	f.start(storetest.Open(t))
	t.Cleanup(func() { f.stop() })
	return f
}

func (f *fixture) start(db *store.DB) {
	f.Engine = New(Config{DB: db, Journal: f.j, Now: f.clock.Now})
	ctx, cancel := context.WithCancel(f.ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		db.Lead(ctx, "stream", f.Run)
	}()
	f.stop = func() { cancel(); <-done }
}

// restart ends the engine and starts another one over the same state.
func (f *fixture) restart() {
	f.stop()
	f.j = f.j.(*mem.Journal).Reopen()
	f.start(f.db)
}

// stream makes a stream and waits for it.
func (f *fixture) stream(name string, shards int, changes ...func(*Stream)) Ref {
	f.t.Helper()
	s := Stream{Scope: scope, Name: name, Mode: types.StreamModeProvisioned}
	for _, c := range changes {
		c(&s)
	}
	must(f.t, f.Create(f.ctx, s, shards))
	return f.active(s.Ref())
}

// active waits until a stream is ACTIVE.
func (f *fixture) active(ref Ref) Ref {
	f.t.Helper()
	changes, stop := f.db.Watch(Streams)
	defer stop()
	late := time.After(20 * time.Second)
	for {
		s, err := f.Describe(ref)
		must(f.t, err)
		if s.Status == types.StreamStatusActive {
			return ref
		}
		select {
		case <-changes:
		case <-late:
			f.t.Fatalf("stream %s is still %s", ref.Name, s.Status)
		}
	}
}

func (f *fixture) put1(ref Ref, key, data string) Placed {
	f.t.Helper()
	out, err := f.Put(f.ctx, ref, Entry{PartitionKey: key, Data: []byte(data)})
	must(f.t, err)
	must(f.t, out[0].Err)
	return out[0]
}

// all reads a shard from a start to its tip or end, the clock moving so that no
// limit is met.
func (f *fixture) all(ref Ref, shard string, start Start) (data []string, ended bool) {
	f.t.Helper()
	it, err := f.Iterator(f.ctx, ref, shard, start)
	must(f.t, err)
	for {
		f.clock.add(6 * time.Second)
		b, err := f.Read(f.ctx, it, 7)
		must(f.t, err)
		for _, r := range b.Records {
			data = append(data, string(r.Data))
		}
		if it = b.Next; it == "" {
			return data, true
		}
		if b.Behind == 0 {
			return data, false
		}
	}
}

var horizon = Start{Type: types.ShardIteratorTypeTrimHorizon}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// refused checks a refusal's kind and a part of its sentence.
func refused(t testing.TB, err error, k Kind, text string) {
	t.Helper()
	if !Is(err, k) || !strings.Contains(err.Error(), text) {
		t.Errorf("error %v, want one of kind %d that says %q", err, k, text)
	}
}

func repeat(n int, f func(i int) Entry) (out []Entry) {
	for i := range n {
		out = append(out, f(i))
	}
	return out
}

func numbered(i int) Entry {
	return Entry{PartitionKey: fmt.Sprint("k", i), Data: []byte(fmt.Sprint("d", i))}
}
