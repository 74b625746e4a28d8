package sns

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/smithy-go"

	"github.com/dhowhq/dhow/bus/delivery"
	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/internal/sdktest"
	"github.com/dhowhq/dhow/journal/mem"
	"github.com/dhowhq/dhow/queue"
	"github.com/dhowhq/dhow/store"
	"github.com/dhowhq/dhow/store/storetest"
	"github.com/dhowhq/dhow/topic"
)

const account, region = "111111111111", "eu-west-1"

// fixture is the service at a port, over queues and functions.
type fixture struct {
	*API
	t      testing.TB
	ctx    context.Context
	client *sns.Client
	queues *queue.Engine
	url    string

	mu        sync.Mutex
	functions map[string]string // URLs by name
	lines     []string          // of status logs: group and line
	more      chan struct{}
}

// accounts takes the account from the access key, and names a user.
type accounts struct{}

func (accounts) Authorize(_ *http.Request, c *awsapi.Call) error {
	if len(c.AccessKey) == 12 {
		c.Account = c.AccessKey
	}
	c.Principal = "arn:aws:iam::" + c.Account + ":user/tester"
	return nil
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	f := newIdle(t, storetest.Open(t))
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { f.queues.Run(ctx) })
	work.Go(func() { f.engine.Run(ctx) })
	t.Cleanup(func() { cancel(); work.Wait() })
	return f
}

// newIdle is a fixture over a store whose engines do not run.
func newIdle(t testing.TB, db *store.DB) *fixture {
	t.Helper()
	j := mem.New()
	quiet := slog.New(slog.DiscardHandler)
	f := &fixture{t: t, ctx: context.Background(), functions: map[string]string{}, more: make(chan struct{}, 1)}
	f.queues = queue.New(queue.Config{DB: db, Journal: j, Log: quiet})
	e, err := topic.New(topic.Config{DB: db, Journal: j, Log: quiet, Queue: f.send, Status: f.status,
		Function: func(_ cluster.Scope, name string) (string, bool) {
			f.mu.Lock()
			defer f.mu.Unlock()
			u, ok := f.functions[name]
			return u, ok
		}})
	must(t, err)
	t.Cleanup(e.Close)
	f.API = New(Config{DB: db, Engine: e})
	api, err := awsapi.New(awsapi.Config{Account: account, Region: region, Auth: accounts{}, Log: quiet}, awsapi.Service{Model: "sns", API: f.API, MaxBody: maxBody})
	must(t, err)
	must(t, api.Verify())
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if topic.IsCertificate(r.URL.Path) {
			e.ServeCertificate(w, r)
			return
		}
		api.ServeHTTP(w, r)
	})
	h := httptest.NewServer(mux)
	t.Cleanup(h.Close)
	f.url = h.URL
	f.client = f.caller(account, region)
	return f
}

func (f *fixture) caller(account, region string) *sns.Client {
	return sns.New(sns.Options{BaseEndpoint: &f.url, Region: region, RetryMaxAttempts: 1, HTTPClient: sdktest.Client(),
		Credentials: aws.NewCredentialsCache(credentials.NewStaticCredentialsProvider(account, "x", ""))})
}

// send is topic.Config.Queue.
func (f *fixture) send(ctx context.Context, arn string, m topic.QueueMessage) error {
	q, err := f.queues.QueueByARN(arn)
	if err != nil {
		return delivery.Permanent("", "no queue %s", arn)
	}
	out := queue.Message{Body: m.Body, Trace: m.Trace, Group: m.Group, Dedup: m.Dedup, Attributes: map[string]queue.Attribute{}}
	for _, a := range m.Attributes {
		out.Attributes[a.Name] = queue.Attribute{Type: a.Type, String: a.Value, Binary: a.Binary}
	}
	sent, err := q.Send(ctx, out)
	if err == nil {
		err = sent[0].Err
	}
	return err
}

// status is topic.Config.Status.
func (f *fixture) status(_ context.Context, _ cluster.Scope, group, line string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lines = append(f.lines, group+" "+line)
	select {
	case f.more <- struct{}{}:
	default:
	}
	return nil
}

// logged returns the status line number n of a group, once it is there.
func (f *fixture) logged(group string, n int) string {
	f.t.Helper()
	end := time.After(10 * time.Second)
	for {
		f.mu.Lock()
		var found []string
		for _, l := range f.lines {
			if rest, ok := strings.CutPrefix(l, group+" "); ok {
				found = append(found, rest)
			}
		}
		f.mu.Unlock()
		if len(found) > n {
			return found[n]
		}
		select {
		case <-f.more:
		case <-end:
			f.t.Fatalf("%s has %d lines", group, len(found))
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func queueARN(name string) string { return "arn:aws:sqs:" + region + ":" + account + ":" + name }
func topicARN(name string) string { return "arn:aws:sns:" + region + ":" + account + ":" + name }

// queue makes a queue and returns its ARN.
func (f *fixture) queue(name string) string {
	f.t.Helper()
	d := queue.Definition{Scope: cluster.Scope{Account: account, Region: region}, Name: name, Settings: queue.Defaults()}
	d.FIFO = strings.HasSuffix(name, ".fifo")
	_, err := f.queues.Create(f.ctx, d)
	must(f.t, err)
	return queueARN(name)
}

// topic makes a topic and returns its ARN.
func (f *fixture) topic(name string, attributes ...string) string {
	f.t.Helper()
	m := pairs(attributes)
	if strings.HasSuffix(name, ".fifo") {
		m["FifoTopic"] = "true"
	}
	out, err := f.client.CreateTopic(f.ctx, &sns.CreateTopicInput{Name: &name, Attributes: m})
	must(f.t, err)
	return *out.TopicArn
}

func pairs(list []string) map[string]string {
	m := map[string]string{}
	for i := 0; i+1 < len(list); i += 2 {
		m[list[i]] = list[i+1]
	}
	return m
}

// subscribe subscribes and returns the subscription's ARN.
func (f *fixture) subscribe(topicARN, protocol, endpoint string, attributes ...string) string {
	f.t.Helper()
	out, err := f.client.Subscribe(f.ctx, &sns.SubscribeInput{TopicArn: &topicARN, Protocol: &protocol, Endpoint: &endpoint, Attributes: pairs(attributes), ReturnSubscriptionArn: true})
	must(f.t, err)
	return *out.SubscriptionArn
}

func (f *fixture) publish(topicARN, body string) string {
	f.t.Helper()
	out, err := f.client.Publish(f.ctx, &sns.PublishInput{TopicArn: &topicARN, Message: &body})
	must(f.t, err)
	return *out.MessageId
}

func (f *fixture) set(subscription, name, value string) {
	f.t.Helper()
	_, err := f.client.SetSubscriptionAttributes(f.ctx, &sns.SetSubscriptionAttributesInput{SubscriptionArn: &subscription, AttributeName: &name, AttributeValue: &value})
	must(f.t, err)
}

// receive takes up to n messages from a queue, waiting for them, and deletes them.
func (f *fixture) receive(arn string, n int) (all []queue.Delivery) {
	f.t.Helper()
	q, err := f.queues.QueueByARN(arn)
	must(f.t, err)
	for deadline := time.Now().Add(10 * time.Second); len(all) < n && time.Now().Before(deadline); {
		got, err := q.Receive(f.ctx, queue.Receive{Max: min(10, n-len(all)), Wait: time.Second})
		must(f.t, err)
		for _, d := range got {
			all = append(all, d)
			_, err := q.Delete(f.ctx, d.Handle)
			must(f.t, err)
		}
	}
	if len(all) != n {
		f.t.Fatalf("%s gave %d messages, not %d", arn, len(all), n)
	}
	return all
}

// none holds that nothing more is to be delivered and the queue is empty.
func (f *fixture) none(arn string) {
	f.t.Helper()
	for end := time.Now().Add(10 * time.Second); f.engine.Stats().Waiting > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			f.t.Fatal("deliveries do not end")
		}
	}
	q, err := f.queues.QueueByARN(arn)
	must(f.t, err)
	c, err := q.Counts(f.ctx)
	must(f.t, err)
	if n := c.Visible + c.InFlight + c.Delayed; n != 0 {
		f.t.Errorf("%s has %d messages, none was to come", arn, n)
	}
}

func unjson(t testing.TB, s string) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(s), &v); err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return v
}

// told takes an error of the API apart.
func told(err error) (code, message string, status int) {
	var e smithy.APIError
	if !errors.As(err, &e) {
		return "", fmt.Sprint(err), 0
	}
	var r *awshttp.ResponseError
	if errors.As(err, &r) {
		status = r.HTTPStatusCode()
	}
	return e.ErrorCode(), e.ErrorMessage(), status
}

// refused checks that err is an API error of that code and message.
func refused(t testing.TB, err error, code, message string) {
	t.Helper()
	if c, m, _ := told(err); c != code || m != message {
		t.Errorf("error\n %s: %s, want\n %s: %s", c, m, code, message)
	}
}

// post is a subscriber by HTTP that keeps what it gets.
type post struct {
	*httptest.Server
	got  chan posted
	mu   sync.Mutex
	fail int // how many requests are to fail, with status
	code int
}

type posted struct {
	header http.Header
	body   string
}

func newPost(t testing.TB) *post {
	p := &post{got: make(chan posted, 100)}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.got <- posted{r.Header, string(b)}
		if p.fail != 0 {
			p.fail--
			w.WriteHeader(p.code)
		}
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *post) next(t testing.TB) posted {
	t.Helper()
	select {
	case g := <-p.got:
		return g
	case <-time.After(20 * time.Second):
		t.Fatal("the subscriber got nothing")
		return posted{}
	}
}

// confirmed subscribes a post and confirms it.
func (f *fixture) confirmed(topicARN string, p *post, path string, attributes ...string) string {
	f.t.Helper()
	arn := f.subscribe(topicARN, "http", p.URL+path, attributes...)
	doc := unjson(f.t, p.next(f.t).body)
	resp, err := http.Get(doc["SubscribeURL"].(string))
	must(f.t, err)
	resp.Body.Close()
	if resp.StatusCode != 200 {
		f.t.Fatal(resp.Status)
	}
	return arn
}
