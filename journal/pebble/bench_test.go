package pebble_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	pdb "github.com/cockroachdb/pebble/v2"

	"github.com/dhowhq/dhow/journal"
	"github.com/dhowhq/dhow/journal/pebble"
)

// BenchmarkAppend appends as durably as can be, with raw Pebble beside: the same
// bytes by Set and Sync, or batches of them. The turns alternate, and the ratio of
// the rates is what counts.
func BenchmarkAppend(b *testing.B) {
	for _, c := range []struct{ writers, logs, batch, size int }{
		{64, 64, 1, 1024}, {64, 1, 1, 1024}, {16, 16, 1, 1024}, {1, 1, 1, 1024}, {64, 64, 10, 1024}, {64, 64, 100, 1024}, {64, 64, 1, 64},
	} {
		b.Run(fmt.Sprintf("writers=%d/logs=%d/batch=%d/size=%d", c.writers, c.logs, c.batch, c.size), func(b *testing.B) {
			raw, ours := newRaw(b), newOurs(b, c.logs)
			records := make([][]byte, c.batch)
			for i := range records {
				records[i] = randomish(c.size, i)
			}
			var floor, we cost
			const turns = 4
			for range turns {
				floor.add(turn(b.N/turns+1, c.writers, func(int) error { return raw.append(records) }))
				we.add(turn(b.N/turns+1, c.writers, func(w int) error { return ours.append(w%c.logs, records) }))
			}
			n := float64(b.N * c.batch)
			b.ReportMetric(n/we.time.Seconds(), "records/s")
			b.ReportMetric(n/floor.time.Seconds(), "raw-records/s")
			b.ReportMetric(floor.time.Seconds()/we.time.Seconds(), "x-raw")
			b.ReportMetric(float64(we.cpu.Nanoseconds())/n, "cpu-ns/record")
			b.ReportMetric(floor.cpu.Seconds()/we.cpu.Seconds(), "x-raw-by-cpu")
		})
	}
}

// randomish is data that compresses about as JSON does.
func randomish(size, seed int) []byte {
	b := make([]byte, 0, size+32)
	for i := 0; len(b) < size; i++ {
		b = fmt.Appendf(b, `{"id":"%08x","n":%d},`, uint32((seed+1)*2654435761*(i+1)), i)
	}
	return b[:size]
}

// cost is what something took, of the clock and of the processors. On a busy
// machine the latter tells more.
type cost struct{ time, cpu time.Duration }

func (c *cost) add(d cost) {
	c.time += d.time
	c.cpu += d.cpu
}

func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// turn has the writers do n operations.
func turn(n, writers int, op func(w int) error) cost {
	var left atomic.Int64
	left.Store(int64(n))
	var wg sync.WaitGroup
	start, before := time.Now(), cpu()
	for w := range writers {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if err := op(w); err != nil {
					panic(err)
				}
			}
		})
	}
	wg.Wait()
	return cost{time.Since(start), cpu() - before}
}

// raw is Pebble with its own write-ahead log.
type raw struct {
	db  *pdb.DB
	seq atomic.Uint64
}

func newRaw(tb testing.TB) *raw {
	cache := pdb.NewCache(64 << 20)
	defer cache.Unref()
	db, err := pdb.Open(tb.TempDir(), &pdb.Options{Cache: cache, MemTableSize: 64 << 20, MemTableStopWritesThreshold: 4,
		L0CompactionThreshold: 4, L0StopWritesThreshold: 1000, FormatMajorVersion: pdb.FormatNewest, Logger: quiet{}})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { db.Close() })
	return &raw{db: db}
}

type quiet struct{}

func (quiet) Infof(string, ...any)             {}
func (quiet) Errorf(string, ...any)            {}
func (quiet) Fatalf(format string, arg ...any) { panic(fmt.Sprintf(format, arg...)) }

func (r *raw) append(records [][]byte) error {
	if len(records) == 1 {
		return r.db.Set(binary.BigEndian.AppendUint64(nil, r.seq.Add(1)), records[0], pdb.Sync)
	}
	b := r.db.NewBatch()
	for _, rec := range records {
		if err := b.Set(binary.BigEndian.AppendUint64(nil, r.seq.Add(1)), rec, nil); err != nil {
			return err
		}
	}
	return b.Commit(pdb.Sync)
}

type ours struct {
	j    journal.Journal
	logs []journal.Log
}

func newOurs(tb testing.TB, logs int) *ours {
	j, err := pebble.Open(tb.TempDir(), pebble.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { j.Close() })
	o := &ours{j: j}
	for i := range logs {
		l, err := j.Open(context.Background(), fmt.Sprint("log/", i), 1)
		if err != nil {
			tb.Fatal(err)
		}
		o.logs = append(o.logs, l)
	}
	return o
}

func (o *ours) append(log int, records [][]byte) error {
	_, err := o.logs[log].Append(context.Background(), journal.Synced, records...)
	return err
}
