package stream

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	pdb "github.com/cockroachdb/pebble/v2"

	"github.com/dhowhq/dhow/journal/pebble"
	"github.com/dhowhq/dhow/store/storetest"
)

const (
	benchShards  = 256 // at 1,000 records a second each
	benchBatch   = 500
	benchWriters = 16
	benchData    = 100
)

// overDisk is a fixture whose journal is Pebble's on a disk that is synced, and
// whose clock is the real one.
func overDisk(tb testing.TB) *fixture {
	j, err := pebble.Open(tb.TempDir(), pebble.Options{})
	must(tb, err)
	tb.Cleanup(func() { must(tb, j.Close()) })
	f := &fixture{t: tb, ctx: context.Background(), j: j}
	db := storetest.Open(tb)
	f.Engine = New(Config{DB: db, Journal: j})
	ctx, cancel := context.WithCancel(f.ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		db.Lead(ctx, "stream", f.Run)
	}()
	tb.Cleanup(func() { cancel(); <-done })
	return f
}

// rate is what writers got done, and what it took.
type rate struct {
	records int
	took    time.Duration
	cpu     time.Duration // of this process
}

func (r rate) perSecond() float64 { return float64(r.records) / r.took.Seconds() }

// micros is the processor's time for a record: what other load on the machine
// does not change.
func (r rate) micros() float64 { return float64(r.cpu.Nanoseconds()) / 1000 / float64(r.records) }

func cpuTime() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// spread adds to r what writers write by f within a time.
func (r *rate) spread(span time.Duration, f func(w, i int) int) {
	var wg sync.WaitGroup
	counts := make([]int, benchWriters)
	begin, cpu := time.Now(), cpuTime()
	for w := range counts {
		wg.Go(func() {
			for i := 0; time.Since(begin) < span; i++ {
				counts[w] += f(w, i)
			}
		})
	}
	wg.Wait()
	r.took += time.Since(begin)
	r.cpu += cpuTime() - cpu
	for _, n := range counts {
		r.records += n
	}
}

// BenchmarkPutRecords puts batches of 500 records over 256 shards, as fast as
// their limits let it, and raw Pebble's batches of the same records, by turns.
// Records over a limit are not counted.
func BenchmarkPutRecords(b *testing.B) {
	const span, turns = 500 * time.Millisecond, 8
	db, err := pdb.Open(b.TempDir(), &pdb.Options{MemTableSize: 64 << 20, MemTableStopWritesThreshold: 4})
	must(b, err)
	data := make([]byte, benchData)
	for b.Loop() {
		f := overDisk(b)
		ref := f.stream("s", benchShards)
		var floor, ours rate
		var refused atomic.Int64
		for turn := range turns {
			floor.spread(span, func(w, i int) int {
				batch := db.NewBatch()
				for n := range benchBatch {
					must(b, batch.Set(fmt.Appendf(nil, "%d/%02d/%08d/%03d", turn, w, i, n), data, nil))
				}
				must(b, batch.Commit(pdb.Sync))
				return benchBatch
			})
			ours.spread(span, func(w, i int) (n int) {
				entries := make([]Entry, benchBatch)
				for n := range entries {
					entries[n] = Entry{PartitionKey: fmt.Sprint(w, "-", i, "-", n), Data: data}
				}
				out, err := f.Put(f.ctx, ref, entries...)
				must(b, err)
				for _, p := range out {
					if p.Err == nil {
						n++
					} else if !Is(p.Err, Throttled) {
						b.Error(p.Err)
					}
				}
				refused.Add(int64(benchBatch - n))
				return n
			})
		}
		b.ReportMetric(ours.perSecond(), "records/s")
		b.ReportMetric(floor.perSecond(), "raw-Pebble/s")
		b.ReportMetric(ours.perSecond()/floor.perSecond(), "ratio")
		b.ReportMetric(ours.micros(), "cpu-µs/record")
		b.ReportMetric(floor.micros(), "raw-cpu-µs/record")
		b.ReportMetric(float64(refused.Load())/ours.took.Seconds(), "throttled/s")
	}
	must(b, db.Close())
}

// BenchmarkSubscription measures how long after its put began a record is
// pushed, at 500 records a second to a shard, and beside it how long the put
// takes, which is the floor.
func BenchmarkSubscription(b *testing.B) {
	const records = 1500
	for b.Loop() {
		f := overDisk(b)
		ref := f.stream("s", 1)
		c, err := f.Register(f.ctx, ref, "c", nil)
		must(b, err)
		for c.Status != types.ConsumerStatusActive {
			c, err = f.ConsumerOf(c.ARN())
			must(b, err)
		}
		s, err := f.Subscribe(f.ctx, c.ARN(), ShardID(0), Start{Type: types.ShardIteratorTypeLatest})
		must(b, err)
		sent, lags := make([]time.Time, records), []time.Duration{}
		var mu sync.Mutex
		done := make(chan struct{})
		go s.Run(f.ctx, func(e Event) error {
			mu.Lock()
			defer mu.Unlock()
			for _, r := range e.Records {
				lags = append(lags, time.Since(sent[atoi(string(r.Data))]))
			}
			if len(lags) == records {
				close(done)
			}
			return nil
		})
		var puts []time.Duration
		tick := time.NewTicker(2 * time.Millisecond)
		for i := range records {
			<-tick.C
			mu.Lock()
			sent[i] = time.Now()
			mu.Unlock()
			f.put1(ref, "k", fmt.Sprint(i))
			puts = append(puts, time.Since(sent[i]))
		}
		tick.Stop()
		<-done
		slices.Sort(lags)
		slices.Sort(puts)
		ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
		b.ReportMetric(ms(lags[records/2]), "lag-p50-ms")
		b.ReportMetric(ms(lags[records*99/100]), "lag-p99-ms")
		b.ReportMetric(ms(puts[records*99/100]), "put-p99-ms")
	}
}
