package store

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"golang.org/x/sys/unix"
)

type item struct {
	ID   string
	Port string
	Body string
}

var items = NewTable("bench.items", func(i item) string { return i.ID },
	Index[item]{"port", func(i item) []string { return []string{i.Port} }})

// BenchmarkUpdate measures durable updates from 64 writers, each of one row of
// 1 KB, against 64 writers that put the same bytes into an embedded etcd as it
// comes. Both sync to disk before they answer. They take turns, so that a busy
// machine hits both; the ratio is the median of the turns.
func BenchmarkUpdate(b *testing.B) {
	const writers, span, turns = 64, time.Second, 5
	body := strings.Repeat("x", 1024-60)
	etcd := stock(b)
	db := open(b, Config{Dir: b.TempDir()})
	defer db.Close()
	for range b.N {
		var raw, ours, ratios []float64
		var rawCPU, oursCPU time.Duration
		for range turns {
			start := cpu()
			raw = append(raw, rate(b, writers, span, func(w, i int) error {
				id := fmt.Sprintf("raw/%02d-%06d", w, i%1000)
				_, err := etcd.Put(context.Background(), id, `{"ID":"`+id+`","Port":"aden","Body":"`+body+`"}`)
				return err
			}))
			middle := cpu()
			rawCPU += middle - start
			ours = append(ours, rate(b, writers, span, func(w, i int) error {
				id := fmt.Sprintf("row/%02d-%06d", w, i%1000)
				return db.Update(context.Background(), func(tx *Tx) error {
					items.Get(tx, id)
					return items.Put(tx, item{ID: id, Port: "aden", Body: body})
				})
			}))
			oursCPU += cpu() - middle
			ratios = append(ratios, ours[len(ours)-1]/raw[len(raw)-1])
		}
		b.ReportMetric(rawCPU.Seconds()*1e6/(sum(raw)*span.Seconds()), "raw-cpu-µs")
		b.ReportMetric(oursCPU.Seconds()*1e6/(sum(ours)*span.Seconds()), "update-cpu-µs")
		b.ReportMetric(median(raw), "raw/s")
		b.ReportMetric(median(ours), "updates/s")
		b.ReportMetric(median(ratios), "ratio")
	}
	st := db.Stats()
	b.ReportMetric(float64(st.Transactions)/float64(st.Batches), "updates/batch")
	b.ReportMetric(0, "ns/op")
}

// stock starts an embedded etcd as it comes, but for its quota.
func stock(b *testing.B) *clientv3.Client {
	c := embed.NewConfig()
	c.Dir = b.TempDir()
	free := []url.URL{{Scheme: "http", Host: "127.0.0.1:0"}}
	c.ListenClientUrls, c.ListenPeerUrls = free, free
	c.LogLevel = "fatal"
	c.QuotaBackendBytes = defaultQuota
	e, err := embed.StartEtcd(c)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(e.Close)
	<-e.Server.ReadyNotify()
	return v3client.New(e.Server)
}

// cpu is the processor time that this process has used.
func cpu() time.Duration {
	var u unix.Rusage
	unix.Getrusage(unix.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func sum(x []float64) (s float64) {
	for _, v := range x {
		s += v
	}
	return s
}

func median(x []float64) float64 {
	slices.Sort(x)
	return x[len(x)/2]
}

// rate runs f in several goroutines and returns calls per second.
func rate(tb testing.TB, writers int, span time.Duration, f func(w, i int) error) float64 {
	var wg sync.WaitGroup
	counts := make([]int, writers)
	start := time.Now()
	for w := range writers {
		wg.Go(func() {
			for time.Since(start) < span {
				if err := f(w, counts[w]); err != nil {
					tb.Error(err)
					return
				}
				counts[w]++
			}
		})
	}
	wg.Wait()
	total := 0
	for _, n := range counts {
		total += n
	}
	return float64(total) / time.Since(start).Seconds()
}

func open(tb testing.TB, c Config) *DB {
	tb.Helper()
	db, err := Open(context.Background(), c)
	if err != nil {
		tb.Fatal(err)
	}
	return db
}

// BenchmarkUpdateOne measures one writer, who pays for a sync each time.
func BenchmarkUpdateOne(b *testing.B) {
	db := open(b, Config{Dir: b.TempDir()})
	defer db.Close()
	body := strings.Repeat("x", 1024-60)
	b.Run("put", func(b *testing.B) {
		for range b.N {
			if _, err := db.client.Put(context.Background(), "raw", body); err != nil {
				b.Fatal(err)
			}
		}
	})
	for _, rows := range []int{1, 100} {
		b.Run(fmt.Sprint("rows=", rows), func(b *testing.B) {
			for n := range b.N {
				err := db.Update(context.Background(), func(tx *Tx) error {
					for i := range rows {
						if err := items.Put(tx, item{ID: fmt.Sprint(n%100, "-", i), Body: body}); err != nil {
							return err
						}
					}
					return nil
				})
				if err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N*rows)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

// BenchmarkView measures a lookup and a short list among 100,000 rows, alone
// and while 16 writers change rows.
func BenchmarkView(b *testing.B) {
	db := open(b, Config{Dir: b.TempDir(), UnsafeNoSync: true})
	defer db.Close()
	for n := range 1000 {
		err := db.Update(context.Background(), func(tx *Tx) error {
			for i := range 100 {
				if err := items.Put(tx, item{ID: fmt.Sprintf("%04d/%02d", n, i), Port: fmt.Sprint("p", n)}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	view := func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for n := 0; pb.Next(); n++ {
				id := fmt.Sprintf("%04d/%02d", n*7%1000, n%100)
				db.View(func(r Reader) error {
					if v, ok := items.Get(r, id); !ok || v.ID != id {
						b.Errorf("got %v for %s", v, id)
					}
					count := 0
					for range items.By(r, "port", "p"+id[1:4]) {
						if count++; count == 10 {
							break
						}
					}
					return nil
				})
			}
		})
	}
	b.Run("alone", view)
	b.Run("writers", func(b *testing.B) {
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		for w := range 16 {
			wg.Go(func() {
				for i := 0; ctx.Err() == nil; i++ {
					db.Update(ctx, func(tx *Tx) error {
						return items.Put(tx, item{ID: fmt.Sprintf("%04d/%02d", i%1000, w), Port: fmt.Sprint("p", i%1000)})
					})
				}
			})
		}
		view(b)
		cancel()
		wg.Wait()
	})
}
