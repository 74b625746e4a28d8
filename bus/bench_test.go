package bus_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/dhowhq/dhow/bus"
	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/journal"
	"github.com/dhowhq/dhow/journal/pebble"
	"github.com/dhowhq/dhow/store"
	"github.com/dhowhq/dhow/store/storetest"
)

// sink appends what it gets to a log, synced, as a queue does.
type sink struct {
	log  journal.Log
	got  atomic.Int64
	each func(d bus.Delivery)
}

func (*sink) Check(cluster.Scope, types.Target) error { return nil }

func (s *sink) Send(ctx context.Context, d bus.Delivery) error {
	if _, err := s.log.Append(ctx, journal.Synced, d.Input); err != nil {
		return err
	}
	if s.each != nil {
		s.each(d)
	}
	s.got.Add(1)
	return nil
}

func benchEngine(b *testing.B) (*bus.Engine, *sink, journal.Journal) {
	b.Helper()
	j, err := pebble.Open(b.TempDir(), pebble.Options{})
	if err != nil {
		b.Fatal(err)
	}
	s := &sink{}
	if s.log, err = j.Open(context.Background(), "sink", 1); err != nil {
		b.Fatal(err)
	}
	db := storetest.Open(b)
	e, err := bus.New(bus.Config{DB: db, Journal: j, Targets: map[string]bus.Target{"sqs": s}})
	if err != nil {
		b.Fatal(err)
	}
	q := "arn:aws:sqs:r:1:q"
	id := "t"
	if err := db.Update(context.Background(), func(tx *store.Tx) error {
		return bus.Rules.Put(tx, bus.Rule{Scope: scope, Bus: "default", Name: "r", Pattern: `{"source":["s"],"detail":{"n":[{"numeric":[">=",0]}]}}`, State: types.RuleStateEnabled,
			Targets: []types.Target{{Id: &id, Arn: &q}}})
	}); err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { e.Run(ctx) })
	b.Cleanup(func() { cancel(); work.Wait(); e.Close(); j.Close() })
	if err := e.Put(context.Background(), benchEvent(0)); err != nil { // when it leads
		b.Fatal(err)
	}
	return e, s, j
}

var scope = cluster.Scope{Account: "1", Region: "r"}

func benchEvent(n int) bus.Event {
	p := bus.Parts{Scope: scope, ID: fmt.Sprint(n), Source: "s", DetailType: "Order Placed", Time: time.Now(),
		Detail: fmt.Appendf(nil, `{"n":%d,"customer":"c-1234567890","address":{"city":"Town","zip":"12345"},"items":[{"sku":"a-1","count":2},{"sku":"b-2","count":1}],"note":"%0200d"}`, n, n)}
	return bus.Event{Bus: scope, Name: "default", JSON: bus.Render(p), Ingested: time.Now()}
}

// BenchmarkThroughput puts events in calls of ten from 16 producers, until all
// are at their durable target. The floor is as many bytes appended to two logs by
// as many writers.
func BenchmarkThroughput(b *testing.B) {
	const writers, batch = 16, 10
	b.Run("events", func(b *testing.B) {
		e, s, _ := benchEngine(b)
		s.got.Store(0)
		b.ResetTimer()
		var next atomic.Int64
		var work sync.WaitGroup
		for range writers {
			work.Go(func() {
				for {
					n := int(next.Add(batch)) - batch
					if n >= b.N {
						return
					}
					events := make([]bus.Event, 0, batch)
					for i := n; i < min(n+batch, b.N); i++ {
						events = append(events, benchEvent(i))
					}
					if err := e.Put(context.Background(), events...); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		work.Wait()
		taken := time.Now()
		for s.got.Load() < int64(b.N) {
			time.Sleep(time.Millisecond)
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
		b.ReportMetric(time.Since(taken).Seconds()*1000, "ms-behind")
	})
	b.Run("floor", func(b *testing.B) {
		_, s, j := benchEngine(b)
		in, err := j.Open(context.Background(), "in", 1)
		if err != nil {
			b.Fatal(err)
		}
		b.ResetTimer()
		var next atomic.Int64
		var work sync.WaitGroup
		for range writers {
			work.Go(func() {
				for {
					n := int(next.Add(batch)) - batch
					if n >= b.N {
						return
					}
					var records [][]byte
					for i := n; i < min(n+batch, b.N); i++ {
						records = append(records, benchEvent(i).JSON)
					}
					for _, l := range []journal.Log{in, s.log} {
						if _, err := l.Append(context.Background(), journal.Synced, records...); err != nil {
							b.Error(err)
							return
						}
					}
				}
			})
		}
		work.Wait()
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	})
}

// BenchmarkLatency is the time from Put to the durable target, one event at a
// time; the floor is two synced appends.
func BenchmarkLatency(b *testing.B) {
	b.Run("events", func(b *testing.B) {
		e, s, _ := benchEngine(b)
		done := make(chan struct{}, 1)
		s.each = func(bus.Delivery) { done <- struct{}{} }
		quantiles(b, func(i int) {
			if err := e.Put(context.Background(), benchEvent(i)); err != nil {
				b.Fatal(err)
			}
			<-done
		})
	})
	b.Run("floor", func(b *testing.B) {
		_, s, j := benchEngine(b)
		in, err := j.Open(context.Background(), "in", 1)
		if err != nil {
			b.Fatal(err)
		}
		quantiles(b, func(i int) {
			for _, l := range []journal.Log{in, s.log} {
				if _, err := l.Append(context.Background(), journal.Synced, benchEvent(i).JSON); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
}

func quantiles(b *testing.B, f func(i int)) {
	time.Sleep(50 * time.Millisecond) // what went before
	took := make([]time.Duration, 0, b.N)
	b.ResetTimer()
	for i := range b.N {
		began := time.Now()
		f(i)
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}
