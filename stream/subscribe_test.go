package stream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/dhowhq/dhow/journal/mem"
)

// lone returns a shard of no stream, on the bubble's clock.
func lone(t *testing.T) *shard {
	t.Helper()
	sh := &shard{row: Shard{End: maxHash, Epoch: 1000}, id: ShardID(0), name: "log", j: mem.New(), now: time.Now, keys: &keys{}, limits: newLimits()}
	must(t, sh.ready(context.Background()))
	return sh
}

func (sh *shard) putNow(entries ...Entry) {
	var wait sync.WaitGroup
	g := &group{done: wait.Done}
	for i := range entries {
		g.entries, g.placed = append(g.entries, &entries[i]), append(g.placed, new(Placed))
	}
	wait.Add(1)
	if sh.enqueue(g, Ref{}) {
		sh.lead(context.Background())
	}
	wait.Wait()
}

func subscription(sh *shard, from place) *Subscription {
	s := newSubscription(sh, from, context.Background())
	s.since = func() int64 { return 0 }
	s.children = func() []Shard { return []Shard{{Index: 7, Parents: []int{0}}} }
	return s
}

// told is an event and when it came.
type told struct {
	Event
	after time.Duration
}

// follow runs a subscription and returns what it tells.
func follow(s *Subscription) (events <-chan told, result <-chan error) {
	out, end := make(chan told, 100), make(chan error, 1)
	begin := time.Now()
	go func() {
		end <- s.Run(context.Background(), func(e Event) error { out <- told{e, time.Since(begin)}; return nil })
		close(out)
	}()
	return out, end
}

func TestSubscriptionPushesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sh := lone(t)
		sh.putNow(Entry{PartitionKey: "k", Data: []byte("old")})
		events, end := follow(subscription(sh, place{}))
		e := <-events
		if len(e.Records) != 1 || string(e.Records[0].Data) != "old" || e.after != 0 || e.Behind != 0 || e.Continuation != e.Records[0].Sequence.String() {
			t.Errorf("first event %+v", e)
		}
		time.Sleep(2 * time.Second)
		sh.putNow(Entry{PartitionKey: "k", Data: []byte("new")})
		if e := <-events; len(e.Records) != 1 || e.after != 2*time.Second {
			t.Errorf("second event %+v", e)
		}
		// Silence is told of, with a number that leads back here.
		e = <-events
		if len(e.Records) != 0 || e.after != 7*time.Second {
			t.Fatalf("third event %+v", e)
		}
		n, ok := ParseSequenceNumber(e.Continuation)
		if got := after(n); !ok || got != (place{seq: sh.tip}) {
			t.Errorf("it continues at %+v, the tip is %d", got, sh.tip)
		}
		for range events {
		}
		if err := <-end; err != nil {
			t.Error(err)
		}
		if d := time.Since(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)); d != subscriptionLife {
			t.Errorf("it ended after %s", d)
		}
	})
}

func TestSubscriptionContinues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sh := lone(t)
		for i := range 3 {
			sh.putNow(Entry{PartitionKey: "k", Data: []byte(fmt.Sprint(i))})
		}
		// A number from silence at the tip skips nothing that comes later.
		n, _ := ParseSequenceNumber(place{seq: sh.tip}.number(sh.row).String())
		sh.putNow(Entry{PartitionKey: "k", Data: []byte("3")})
		p, err := sh.resolve(context.Background(), Ref{}, Start{Type: types.ShardIteratorTypeAfterSequenceNumber, Sequence: n.String()})
		must(t, err)
		s := subscription(sh, p)
		events, _ := follow(s)
		if e := <-events; len(e.Records) != 1 || string(e.Records[0].Data) != "3" {
			t.Errorf("it continues with %+v", e)
		}
		s.end(errors.New("enough"))
		for range events {
		}
	})
}

func TestSubscriptionEndsWithItsShard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sh := lone(t)
		events, end := follow(subscription(sh, place{}))
		sh.putNow(Entry{PartitionKey: "k", Data: []byte("last")})
		synctest.Wait()
		sh.close(time.Now())
		var all []told
		for e := range events {
			all = append(all, e)
		}
		last := all[len(all)-1]
		if len(all) != 2 || len(last.Records) != 0 || last.Continuation != "" || len(last.Children) != 1 || last.after != 0 {
			t.Errorf("events %+v", all)
		}
		must(t, <-end)
	})
}

func TestSubscriptionKeepsItsPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sh := lone(t)
		for range 10 {
			sh.putNow(Entry{PartitionKey: "k", Data: make([]byte, 1<<20-1)})
			time.Sleep(time.Second)
		}
		s := subscription(sh, place{})
		events, _ := follow(s)
		total := 0
		for e := range events {
			if total += len(e.Records); total == 10 {
				// 2 MiB at once, and 2 MiB a second; the last is on credit.
				if e.after < 3*time.Second || e.after > 4*time.Second {
					t.Errorf("10 MiB came within %s", e.after)
				}
				s.end(nil)
			}
		}
		if total != 10 {
			t.Errorf("%d records", total)
		}
	})
}

func TestOneSubscriptionAConsumerAndShard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sh := lone(t)
		r := &reign{subs: map[string]*Subscription{}}
		first := subscription(sh, place{})
		must(t, r.subscribe(first, "name"))
		_, end := follow(first)
		time.Sleep(takeover - time.Millisecond)
		refused(t, r.subscribe(subscription(sh, place{}), "name"), InUse, "Another active subscription exists for this consumer: name")
		time.Sleep(time.Millisecond)
		second := subscription(sh, place{})
		must(t, r.subscribe(second, "name"))
		refused(t, <-end, InUse, "Another active subscription exists")
		_, end = follow(second)
		r.unsubscribe("", noConsumer(Ref{Name: "s"}, "c"))
		refused(t, <-end, NotFound, "Consumer c under stream s")
		must(t, r.subscribe(subscription(sh, place{}), "name"))
		r.forget(time.Now().Add(subscriptionLife + 2*takeover))
		if len(r.subs) != 0 {
			t.Error("an old subscription is not forgotten")
		}
	})
}
