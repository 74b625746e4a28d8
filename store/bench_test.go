package store

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

type item struct {
	ID   string
	Port string
	Body string
}

var items = NewTable("bench.items", func(i item) string { return i.ID },
	Index[item]{"port", func(i item) []string { return []string{i.Port} }})

// BenchmarkUpdate measures durable updates from 64 writers, each of one row of
// 1 KB, against 64 writers that put the same bytes into the same embedded etcd
// without the store. Both sync to disk before they answer.
func BenchmarkUpdate(b *testing.B) {
	body := strings.Repeat("x", 1024-60)
	const writers, span = 64, 2 * time.Second
	for range b.N {
		raw := func() float64 {
			db := open(b, Config{Dir: b.TempDir()})
			defer db.Close()
			return rate(b, writers, span, func(w, i int) error {
				id := fmt.Sprintf("raw/%02d-%06d", w, i%1000)
				_, err := db.client.Put(context.Background(), id, `{"ID":"`+id+`","Port":"aden","Body":"`+body+`"}`)
				return err
			})
		}
		ours := func() float64 {
			db := open(b, Config{Dir: b.TempDir()})
			defer db.Close()
			return rate(b, writers, span, func(w, i int) error {
				id := fmt.Sprintf("row/%02d-%06d", w, i%1000)
				return db.Update(context.Background(), func(tx *Tx) error {
					v, _ := items.Get(tx, id)
					v = item{ID: id, Port: "aden", Body: body}
					return items.Put(tx, v)
				})
			})
		}
		r1, o1, r2, o2 := raw(), ours(), raw(), ours()
		b.ReportMetric((r1+r2)/2, "raw/s")
		b.ReportMetric((o1+o2)/2, "updates/s")
		b.ReportMetric((o1+o2)/(r1+r2), "ratio")
	}
	b.ReportMetric(0, "ns/op")
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
	sum := 0
	for _, n := range counts {
		sum += n
	}
	return float64(sum) / time.Since(start).Seconds()
}

func open(tb testing.TB, c Config) *DB {
	tb.Helper()
	db, err := Open(context.Background(), c)
	if err != nil {
		tb.Fatal(err)
	}
	return db
}
