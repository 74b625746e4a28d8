package sqs

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	pdb "github.com/cockroachdb/pebble/v2"

	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/journal/pebble"
	"github.com/dhowhq/dhow/queue"
	"github.com/dhowhq/dhow/store"
)

// newBench is the service over a journal on the disk.
func newBench(b *testing.B) *fixture {
	b.Helper()
	db, err := store.Open(b.Context(), store.Config{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	j, err := pebble.Open(b.TempDir(), pebble.Options{})
	if err != nil {
		b.Fatal(err)
	}
	e := queue.New(queue.Config{DB: db, Journal: j, Log: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		e.Run(ctx)
	}()
	api, err := awsapi.New(awsapi.Config{Account: account, Region: "eu-west-1"}, Service(Config{Queues: e}))
	if err != nil {
		b.Fatal(err)
	}
	s := httptest.NewServer(api)
	b.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
		cancel()
		<-ended
		j.Close()
		db.Close()
	})
	return &fixture{t: b, url: s.URL, engine: e, said: map[string]bool{}}
}

// post is a connection that says one thing over and over.
type post struct {
	c net.Conn
	r *bufio.Reader
}

func dial(b *testing.B, url string) *post {
	c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { c.Close() })
	return &post{c, bufio.NewReader(c)}
}

func request(op, body string) []byte {
	return fmt.Appendf(nil, "POST / HTTP/1.1\r\nHost: 127.0.0.1:4566\r\nX-Amz-Target: AmazonSQS.%s\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: %d\r\n\r\n%s", op, len(body), body)
}

// do sends a request as it is and returns the answer's body.
func (p *post) do(req []byte) ([]byte, error) {
	if _, err := p.c.Write(req); err != nil {
		return nil, err
	}
	length, status := 0, ""
	for {
		line, err := p.r.ReadSlice('\n')
		if err != nil {
			return nil, err
		}
		if status == "" {
			status = string(line)
		}
		if n, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			fmt.Sscan(string(n), &length)
		}
		if len(line) == 2 {
			break
		}
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(p.r, body); err != nil {
		return nil, err
	}
	if !strings.Contains(status, " 200 ") {
		return nil, fmt.Errorf("%s: %s", status, body)
	}
	return body, nil
}

// turn runs f in n goroutines for a while: calls and processor seconds a second.
func turn(b *testing.B, n int, span time.Duration, f func(i int) error) (rate, cpu float64) {
	var calls atomic.Int64
	var wg sync.WaitGroup
	from, used := time.Now(), usage()
	for i := range n {
		wg.Go(func() {
			for time.Since(from) < span {
				if err := f(i); err != nil {
					b.Error(err)
					return
				}
				calls.Add(1)
			}
		})
	}
	wg.Wait()
	return float64(calls.Load()) / time.Since(from).Seconds(), float64(usage()-used) / float64(calls.Load())
}

// usage is the processor time of this process, in microseconds.
func usage() int64 {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return (u.Utime.Sec+u.Stime.Sec)*1e6 + u.Utime.Usec + u.Stime.Usec
}

// side is one of two that take turns.
type side struct {
	f          func(i int) error
	rate, cost []float64
}

// race lets two sides take turns and reports the first's rate and cost, and
// their ratios to the second's: medians, for the machine has other work.
func race(b *testing.B, n int, per float64, ours, floor *side) {
	b.ResetTimer()
	for range max(5, b.N) {
		for _, s := range []*side{ours, floor} {
			r, c := turn(b, n, 300*time.Millisecond, s.f)
			s.rate, s.cost = append(s.rate, r), append(s.cost, c)
		}
	}
	var ratio, cost []float64
	for i := range ours.rate {
		ratio, cost = append(ratio, ours.rate[i]/floor.rate[i]), append(cost, ours.cost[i]/floor.cost[i])
	}
	b.ReportMetric(median(ours.rate)*per, "msg/s")
	b.ReportMetric(median(floor.rate)*per, "floor/s")
	b.ReportMetric(median(ratio), "×floor")
	b.ReportMetric(median(cost), "×cpu")
	b.ReportMetric(0, "ns/op")
}

func median(x []float64) float64 {
	slices.Sort(x)
	return x[len(x)/2]
}

// floorDB is a Pebble as it comes.
func floorDB(b *testing.B) *pdb.DB {
	db, err := pdb.Open(b.TempDir(), &pdb.Options{Logger: quiet{}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	return db
}

type quiet struct{}

func (quiet) Infof(string, ...any)         {}
func (quiet) Errorf(string, ...any)        {}
func (quiet) Fatalf(f string, args ...any) { panic(fmt.Sprintf(f, args...)) }

// BenchmarkSend is SendMessage of 1 KB at 16 connections, against a handler of
// net/http that sets the same body in Pebble, synced.
func BenchmarkSend(b *testing.B) { benchSend(b, "") }

// BenchmarkSendFIFO is the same for a FIFO queue with 1,000 groups.
func BenchmarkSendFIFO(b *testing.B) { benchSend(b, ".fifo") }

func benchSend(b *testing.B, suffix string) {
	f := newBench(b)
	c := &client{f: f}
	in := object{"QueueName": "q" + suffix}
	if suffix != "" {
		in["Attributes"] = object{"FifoQueue": "true"}
	}
	q := c.must("CreateQueue", in)["QueueUrl"]
	text := strings.Repeat("x", 1024)
	ours, floor := make([]*post, 16), make([]*post, 16)
	db := floorDB(b)
	var n atomic.Uint64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = db.Set(binary.BigEndian.AppendUint64(nil, n.Add(1)), body, pdb.Sync)
		}
		if err != nil {
			http.Error(w, err.Error(), 500)
		}
	}))
	b.Cleanup(s.Close)
	for i := range ours {
		ours[i], floor[i] = dial(b, f.url), dial(b, s.URL)
	}
	req := request("SendMessage", fmt.Sprintf(`{"QueueUrl":"%s","MessageBody":"%s"}`, q, text))
	bare := request("SendMessage", text)
	var m atomic.Uint64
	race(b, 16, 1, &side{f: func(i int) error {
		r := req
		if suffix != "" {
			k := m.Add(1)
			r = request("SendMessage", fmt.Sprintf(`{"QueueUrl":"%s","MessageBody":"%s","MessageGroupId":"g%d","MessageDeduplicationId":"d%d"}`, q, text, k%1000, k))
		}
		_, err := ours[i].do(r)
		return err
	}}, &side{f: func(i int) error { _, err := floor[i].do(bare); return err }})
}

// BenchmarkSendBatch is SendMessageBatch of 10 at 16 connections, against Pebble
// alone with batches of 10, synced.
func BenchmarkSendBatch(b *testing.B) {
	f := newBench(b)
	q := (&client{f: f}).must("CreateQueue", object{"QueueName": "q"})["QueueUrl"]
	text := []byte(strings.Repeat("x", 1024))
	db := floorDB(b)
	conns := make([]*post, 16)
	for i := range conns {
		conns[i] = dial(b, f.url)
	}
	req := batchRequest(q, string(text))
	var n atomic.Uint64
	race(b, 16, 10, &side{f: func(i int) error { _, err := conns[i].do(req); return err }},
		&side{f: func(int) error {
			batch := db.NewBatch()
			for range 10 {
				batch.Set(binary.BigEndian.AppendUint64(nil, n.Add(1)), text, nil)
			}
			return batch.Commit(pdb.Sync)
		}})
}

func batchRequest(q any, text string) []byte {
	var entries []string
	for i := range 10 {
		entries = append(entries, fmt.Sprintf(`{"Id":"%d","MessageBody":"%s"}`, i, text))
	}
	return request("SendMessageBatch", fmt.Sprintf(`{"QueueUrl":"%s","Entries":[%s]}`, q, strings.Join(entries, ",")))
}

// BenchmarkReceiveDelete receives and deletes in batches of 10 with 1,000 and
// with 1,000,000 messages waiting, a sender keeping the number up; the ratio is
// the deep queue's to the shallow one's.
func BenchmarkReceiveDelete(b *testing.B) {
	f := newBench(b)
	sides := []*side{{}, {}}
	for k, depth := range []int{1_000_000, 1_000} {
		q := (&client{f: f}).must("CreateQueue", object{"QueueName": fmt.Sprint("q", k)})["QueueUrl"].(string)
		fill(b, f, q, depth)
		conns := make([]*post, 16)
		for i := range conns {
			conns[i] = dial(b, f.url)
		}
		receive := request("ReceiveMessage", fmt.Sprintf(`{"QueueUrl":"%s","MaxNumberOfMessages":10}`, q))
		send := batchRequest(q, strings.Repeat("x", 100))
		sides[k].f = func(i int) error {
			if _, err := conns[i].do(send); err != nil {
				return err
			}
			data, err := conns[i].do(receive)
			if err != nil {
				return err
			}
			var got struct {
				Messages []struct{ ReceiptHandle string }
			}
			if err := json.Unmarshal(data, &got); err != nil {
				return err
			}
			var entries []string
			for j, m := range got.Messages {
				entries = append(entries, fmt.Sprintf(`{"Id":"%d","ReceiptHandle":"%s"}`, j, m.ReceiptHandle))
			}
			if len(entries) == 0 {
				return nil
			}
			_, err = conns[i].do(request("DeleteMessageBatch", fmt.Sprintf(`{"QueueUrl":"%s","Entries":[%s]}`, q, strings.Join(entries, ","))))
			return err
		}
	}
	race(b, 16, 10, sides[0], sides[1])
}

// fill sends messages of 100 bytes by the engine's own API.
func fill(b *testing.B, f *fixture, url string, n int) {
	q, err := f.engine.QueueByARN("arn:aws:sqs:eu-west-1:" + account + ":" + url[strings.LastIndex(url, "/")+1:])
	if err != nil {
		b.Fatal(err)
	}
	messages := make([]queue.Message, 1000)
	for i := range messages {
		messages[i] = queue.Message{Body: strings.Repeat("x", 100)}
	}
	for range n / len(messages) {
		if _, err := q.Send(b.Context(), messages...); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLatency is the time from a send to the answer of a receiver that
// polls.
func BenchmarkLatency(b *testing.B) {
	f := newBench(b)
	q := (&client{f: f}).must("CreateQueue", object{"QueueName": "q"})["QueueUrl"]
	sender, receiver, deleter := dial(b, f.url), dial(b, f.url), dial(b, f.url)
	send := request("SendMessage", fmt.Sprintf(`{"QueueUrl":"%s","MessageBody":"hello"}`, q))
	receive := request("ReceiveMessage", fmt.Sprintf(`{"QueueUrl":"%s","WaitTimeSeconds":20}`, q))
	var took []float64
	got := make(chan []byte)
	for range max(b.N, 300) {
		go func() {
			data, err := receiver.do(receive)
			if err != nil {
				b.Error(err)
			}
			got <- data
		}()
		time.Sleep(3 * time.Millisecond) // the receiver waits by then
		from := time.Now()
		if _, err := sender.do(send); err != nil {
			b.Fatal(err)
		}
		data := <-got
		took = append(took, time.Since(from).Seconds()*1000)
		var m struct {
			Messages []struct{ ReceiptHandle string }
		}
		if json.Unmarshal(data, &m) != nil || len(m.Messages) != 1 {
			b.Fatalf("received %s", data)
		}
		if _, err := deleter.do(request("DeleteMessage", fmt.Sprintf(`{"QueueUrl":"%s","ReceiptHandle":"%s"}`, q, m.Messages[0].ReceiptHandle))); err != nil {
			b.Fatal(err)
		}
	}
	slices.Sort(took)
	b.ReportMetric(took[len(took)/2], "ms-p50")
	b.ReportMetric(took[len(took)*99/100], "ms-p99")
	b.ReportMetric(0, "ns/op")
}
