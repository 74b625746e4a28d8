package kinesis

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"

	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/internal/sdktest"
	"github.com/dhowhq/dhow/journal/mem"
	"github.com/dhowhq/dhow/store/storetest"
	"github.com/dhowhq/dhow/stream"
)

const account = "111122223333"

// fixture is the API over an engine with a journal in memory, served as the
// platform serves it: HTTP/1.1 and h2c on one port, and TLS.
type fixture struct {
	t      testing.TB
	ctx    context.Context
	api    *API
	server *awsapi.Server
	url    string
	tls    *httptest.Server
	c      *kinesis.Client
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	db := storetest.Open(t)
	e := stream.New(stream.Config{DB: db, Journal: mem.New()})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		db.Lead(ctx, "stream", e.Run)
	}()
	t.Cleanup(func() { cancel(); <-done })
	f := &fixture{t: t, ctx: context.Background(), api: New(Config{Engine: e, DB: db})}
	var err error
	f.server, err = awsapi.New(awsapi.Config{Account: account, Region: "eu-west-1", Log: slog.New(slog.DiscardHandler)}, awsapi.Service{Model: "kinesis", API: f.api})
	must(t, err)
	plain := httptest.NewUnstartedServer(f.server)
	plain.Config.Protocols = new(http.Protocols)
	plain.Config.Protocols.SetHTTP1(true)
	plain.Config.Protocols.SetUnencryptedHTTP2(true)
	plain.Start()
	f.tls = httptest.NewUnstartedServer(f.server)
	f.tls.EnableHTTP2 = true
	f.tls.StartTLS()
	t.Cleanup(func() {
		for _, s := range []*httptest.Server{plain, f.tls} {
			s.CloseClientConnections()
			s.Close()
		}
	})
	f.url = plain.URL
	f.c = f.client(account)
	return f
}

// client returns a client of an account.
func (f *fixture) client(account string, changes ...func(*kinesis.Options)) *kinesis.Client {
	o := kinesis.Options{BaseEndpoint: &f.url, Region: "eu-west-1", RetryMaxAttempts: 1, HTTPClient: sdktest.Client(), Credentials: credentials.NewStaticCredentialsProvider(account, "x", "")}
	for _, c := range changes {
		c(&o)
	}
	return kinesis.New(o)
}

// call calls an operation with JSON and returns the answer's.
func (f *fixture) call(op string, in map[string]any) map[string]any {
	f.t.Helper()
	body, err := json.Marshal(in)
	must(f.t, err)
	req, err := http.NewRequest("POST", f.url, bytes.NewReader(body))
	must(f.t, err)
	req.Header.Set("X-Amz-Target", "Kinesis_20131202."+op)
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	resp, err := http.DefaultClient.Do(req)
	must(f.t, err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	must(f.t, err)
	out := map[string]any{}
	if len(answer) > 0 {
		must(f.t, json.Unmarshal(answer, &out))
	}
	if resp.StatusCode != 200 {
		f.t.Fatalf("%s: %s", op, answer)
	}
	return out
}

func (f *fixture) stream(name string, shards int32) string {
	f.t.Helper()
	_, err := f.c.CreateStream(f.ctx, &kinesis.CreateStreamInput{StreamName: &name, ShardCount: &shards})
	must(f.t, err)
	return f.active(name)
}

// active waits as a client does, and returns the stream's ARN.
func (f *fixture) active(name string) string {
	f.t.Helper()
	w := kinesis.NewStreamExistsWaiter(f.c, func(o *kinesis.StreamExistsWaiterOptions) {
		o.MinDelay, o.MaxDelay = time.Millisecond, 10*time.Millisecond
	})
	out, err := w.WaitForOutput(f.ctx, &kinesis.DescribeStreamInput{StreamName: &name}, 20*time.Second)
	must(f.t, err)
	return *out.StreamDescription.StreamARN
}

// consumer registers a consumer, waits for it and returns its ARN.
func (f *fixture) consumer(streamARN, name string) string {
	f.t.Helper()
	out, err := f.c.RegisterStreamConsumer(f.ctx, &kinesis.RegisterStreamConsumerInput{StreamARN: &streamARN, ConsumerName: &name})
	must(f.t, err)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		d, err := f.c.DescribeStreamConsumer(f.ctx, &kinesis.DescribeStreamConsumerInput{ConsumerARN: out.Consumer.ConsumerARN})
		must(f.t, err)
		if d.ConsumerDescription.ConsumerStatus == types.ConsumerStatusActive {
			return *out.Consumer.ConsumerARN
		}
		if time.Now().After(deadline) {
			f.t.Fatal("the consumer does not become ACTIVE")
		}
	}
}

func (f *fixture) put(name, key string, data ...string) (last *kinesis.PutRecordOutput) {
	f.t.Helper()
	for _, d := range data {
		var err error
		last, err = f.c.PutRecord(f.ctx, &kinesis.PutRecordInput{StreamName: &name, PartitionKey: &key, Data: []byte(d)})
		must(f.t, err)
	}
	return last
}

// read reads a shard from an iterator's start to its tip.
func (f *fixture) read(in *kinesis.GetShardIteratorInput) (data []string, last *kinesis.GetRecordsOutput) {
	f.t.Helper()
	it, err := f.c.GetShardIterator(f.ctx, in)
	must(f.t, err)
	last, err = f.c.GetRecords(f.ctx, &kinesis.GetRecordsInput{ShardIterator: it.ShardIterator})
	must(f.t, err)
	for _, r := range last.Records {
		data = append(data, string(r.Data))
	}
	return data, last
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func refused(t testing.TB, err error, code, message string) {
	t.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != code || !strings.Contains(api.ErrorMessage(), message) {
		t.Errorf("error %v, want %s: %s", err, code, message)
	}
}
