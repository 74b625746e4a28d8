package kinesis

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/journal/pebble"
	"github.com/dhowhq/dhow/store/storetest"
	"github.com/dhowhq/dhow/stream"
)

// BenchmarkPutRecords puts batches of 500 records of 100 bytes over HTTP from 16
// connections, to as many shards as their limits need, over Pebble on disk. The
// floor beside it is a handler that does nothing but read the same body.
func BenchmarkPutRecords(b *testing.B) {
	const span, writers, shards = 3 * time.Second, 16, 256
	j, err := pebble.Open(b.TempDir(), pebble.Options{})
	must(b, err)
	db := storetest.Open(b)
	e := stream.New(stream.Config{DB: db, Journal: j})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		db.Lead(ctx, "stream", e.Run)
		j.Close()
	}()
	b.Cleanup(func() { cancel(); <-done })
	f := &fixture{t: b, ctx: ctx, api: New(Config{Engine: e, DB: db})}
	f.server, err = awsapi.New(awsapi.Config{Account: account, Region: "eu-west-1", Log: slog.New(slog.DiscardHandler)}, awsapi.Service{Model: "kinesis", API: f.api})
	must(b, err)
	mux := http.NewServeMux()
	mux.Handle("/", f.server)
	mux.HandleFunc("/floor", func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) })
	web := httptest.NewServer(mux)
	b.Cleanup(web.Close)
	f.url = web.URL
	f.c = f.client(account)
	_, err = f.c.CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: ptr("s"), ShardCount: ptr(int32(shards))})
	must(b, err)
	f.active("s")
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: writers}}
	// The processor's time, of client and server together, is what other load on
	// the machine does not change.
	cpuTime := func() time.Duration {
		var u syscall.Rusage
		syscall.Getrusage(syscall.RUSAGE_SELF, &u)
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	measure := func(path string) (perSecond, micros float64, refused int) {
		var wg sync.WaitGroup
		var mu sync.Mutex
		total := 0
		begin, cpu := time.Now(), cpuTime()
		for w := range writers {
			records := make([]map[string]any, 500)
			for n := range records {
				records[n] = map[string]any{"PartitionKey": fmt.Sprint(w, "-", n), "Data": make([]byte, 100)}
			}
			body, err := json.Marshal(map[string]any{"StreamName": "s", "Records": records})
			must(b, err)
			wg.Go(func() {
				for time.Since(begin) < span {
					req, err := http.NewRequest("POST", web.URL+path, bytes.NewReader(body))
					must(b, err)
					req.Header.Set("X-Amz-Target", "Kinesis_20131202.PutRecords")
					req.Header.Set("Content-Type", "application/x-amz-json-1.1")
					resp, err := client.Do(req)
					must(b, err)
					answer, err := io.ReadAll(resp.Body)
					resp.Body.Close()
					must(b, err)
					if resp.StatusCode != 200 {
						b.Errorf("%s", answer)
						return
					}
					bad := bytes.Count(answer, []byte("ErrorCode"))
					mu.Lock()
					total += 500 - bad
					refused += bad
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		return float64(total) / time.Since(begin).Seconds(), float64((cpuTime() - cpu).Nanoseconds()) / 1000 / float64(total), refused
	}
	for b.Loop() {
		floor, floorCPU, _ := measure("/floor")
		ours, ourCPU, refused := measure("/")
		b.ReportMetric(ours, "records/s")
		b.ReportMetric(floor, "bodies-read/s")
		b.ReportMetric(ourCPU, "cpu-µs/record")
		b.ReportMetric(floorCPU, "body-cpu-µs/record")
		b.ReportMetric(float64(refused)/span.Seconds(), "throttled/s")
	}
}
