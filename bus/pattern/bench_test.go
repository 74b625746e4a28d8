package pattern

import (
	"encoding/json"
	"fmt"
	"runtime"
	"testing"
)

// benchEvent is of the size and shape of EventBridge's usual events.
func benchEvent(n int) []byte {
	return fmt.Appendf(nil, `{"version":"0","id":"6a7e8feb-b491-4cf7-a9f1-bf3703467718","detail-type":"Order Placed","source":"shop.orders","account":"111122223333","time":"2017-12-22T18:43:48Z","region":"us-west-1","resources":["arn:aws:ec2:us-west-1:123456789012:instance/i-1234567890abcdef0"],"detail":{"customer":"c-%d","amount":%d,"currency":"EUR","address":{"city":"Town","zip":"12345","ip":"10.0.%d.7"},"file":"orders/2024/%d/order.json","items":[{"sku":"a-1","count":2},{"sku":"b-%d","count":1}],"tags":["new","web"]}}`, n, n, n%256, n, n)
}

// benchPatterns are n of mixed kinds of which few match one event.
func benchPatterns(n int) []string {
	out := make([]string, n)
	for i := range out {
		switch i % 8 {
		case 0, 1, 2:
			out[i] = fmt.Sprintf(`{"source":["shop.orders"],"detail-type":["Order Placed"],"detail":{"customer":["c-%d"]}}`, i)
		case 3:
			out[i] = fmt.Sprintf(`{"source":["shop.orders"],"detail":{"customer":["c-%d","d-%d"],"amount":[{"numeric":[">",10]}]}}`, i, i)
		case 4:
			out[i] = fmt.Sprintf(`{"source":["svc-%d"],"detail":{"items":{"sku":["b-%d"],"count":[1]}}}`, i, i)
		case 5:
			out[i] = fmt.Sprintf(`{"source":["shop.orders"],"detail":{"file":[{"prefix":"orders/2024/%d/"}]}}`, i)
		case 6:
			out[i] = fmt.Sprintf(`{"detail":{"file":[{"wildcard":"orders/*/%d/*.json"}],"address":{"city":[{"anything-but":"x"}]}}}`, i)
		case 7:
			out[i] = fmt.Sprintf(`{"source":["shop.orders"],"detail":{"amount":[{"numeric":[">=",%d,"<",%d]}],"currency":[{"anything-but":["USD"]}]}}`, i, i+1)
		}
	}
	return out
}

func BenchmarkMatch(b *testing.B) {
	for _, n := range []int{10, 1000, 10000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := NewSet[int]()
			for i, src := range benchPatterns(n) {
				s.Put(i, mustParse(b, src))
			}
			events := make([][]byte, 100)
			for i := range events {
				events[i] = benchEvent(i * 97 % n)
			}
			var got []int
			i, found := 0, 0
			b.ReportAllocs()
			for b.Loop() {
				var err error
				if got, err = s.Match(events[i%len(events)], got[:0]); err != nil {
					b.Fatal(err)
				}
				found += len(got)
				i++
			}
			b.ReportMetric(float64(found)/float64(b.N), "matches/op")
		})
	}
}

// BenchmarkFloor is what reading the event alone costs.
func BenchmarkFloor(b *testing.B) {
	event := benchEvent(7)
	b.Run("skip", func(b *testing.B) {
		for b.Loop() {
			s := scanner{src: event}
			if err := s.skip(0); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("json.Unmarshal", func(b *testing.B) {
		for b.Loop() {
			var v map[string]any
			if err := json.Unmarshal(event, &v); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("one pattern plainly", func(b *testing.B) {
		p := mustParse(b, benchPatterns(1)[0])
		for b.Loop() {
			if _, err := p.Match(event); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkPut(b *testing.B) {
	s := NewSet[int]()
	srcs := benchPatterns(10000)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i, src := range srcs {
		s.Put(i, mustParse(b, src))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	i := 0
	for b.Loop() {
		k := i % len(srcs)
		s.Put(k, mustParse(b, srcs[k]))
		i++
	}
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(len(srcs)), "B/rule")
}
