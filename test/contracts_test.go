package test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	ebtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	gluetypes "github.com/aws/aws-sdk-go-v2/service/glue/types"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	kinesistypes "github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/dhowhq/dhow/contract/wire"
	"github.com/dhowhq/dhow/internal/sdktest"
	"github.com/dhowhq/dhow/sdk/avro"
)

const (
	purchase10 = `{"type":"record","name":"Purchase","namespace":"shop","fields":[{"name":"id","type":"string"},{"name":"total","type":"long"},` +
		`{"name":"state","type":{"type":"enum","name":"State","symbols":["NEW","PAID"]}}]}`
	purchase11 = `{"type":"record","name":"Purchase","namespace":"shop","fields":[{"name":"id","type":"string"},{"name":"total","type":"long"},` +
		`{"name":"state","type":{"type":"enum","name":"State","symbols":["NEW","PAID"]}},{"name":"note","type":["null","string"],"default":null}]}`
)

type purchase struct {
	ID    string  `avro:"id" json:"id"`
	Total int64   `avro:"total" json:"total"`
	State string  `avro:"state" json:"state"`
	Note  *string `avro:"note" json:"note"`
}

func aPurchase() *purchase {
	return &purchase{ID: "p-1 ö", Total: 1 << 40, State: "PAID", Note: aws.String("for you")}
}

func (p *purchase) String() string {
	if p == nil {
		return "nothing"
	}
	return fmt.Sprint(p.ID, " ", p.Total, " ", p.State, " ", aws.ToString(p.Note))
}

// shop is an account with the schema shop/purchase in the versions 1.0.0 and
// 1.1.0.
type shop struct {
	strict
	cfg      aws.Config
	account  string
	glue     *glue.Client
	registry *avro.Registry
	ids      []string // of the schema versions
}

func newShop(t *testing.T) *shop {
	t.Helper()
	p := need(t)
	s := &shop{strict: strict{t}, account: newAccount()}
	s.cfg = p.config(s.account)
	s.glue = glue.NewFromConfig(s.cfg)
	name, schema := aws.String("shop"), aws.String("purchase")
	_, err := s.glue.CreateRegistry(t.Context(), &glue.CreateRegistryInput{RegistryName: name})
	s.must(err)
	first, err := s.glue.CreateSchema(t.Context(), &glue.CreateSchemaInput{RegistryId: &gluetypes.RegistryId{RegistryName: name}, SchemaName: schema,
		DataFormat: gluetypes.DataFormatAvro, Compatibility: gluetypes.CompatibilityFull, SchemaDefinition: aws.String(purchase10)})
	s.must(err)
	second, err := s.glue.RegisterSchemaVersion(t.Context(), &glue.RegisterSchemaVersionInput{SchemaId: &gluetypes.SchemaId{RegistryName: name, SchemaName: schema}, SchemaDefinition: aws.String(purchase11)})
	s.must(err)
	s.ids = []string{*first.SchemaVersionId, *second.SchemaVersionId}
	s.registry = avro.NewRegistry(s.glue, avro.RegistryOptions{})
	t.Cleanup(s.registry.Close)
	return s
}

func (s *shop) producer(version string, opts ...avro.Option) *avro.Producer[purchase] {
	s.Helper()
	p, err := avro.NewProducer[purchase](s.Context(), s.registry, "shop/purchase@"+version, opts...)
	s.must(err)
	return p
}

func (s *shop) consumer(version string, opts ...avro.Option) *avro.Consumer[purchase] {
	s.Helper()
	c, err := avro.NewConsumer[purchase](s.Context(), s.registry, "shop/purchase@"+version, opts...)
	s.must(err)
	return c
}

func (s *shop) read(what string, got *purchase, err error) {
	s.Helper()
	if want := aPurchase(); err != nil || got.String() != want.String() {
		s.Errorf("%s: %s, %v; want %s", what, got, err, want)
	}
}

func (s *shop) arn(service, rest string) *string {
	return aws.String("arn:aws:" + service + ":us-east-1:" + s.account + ":" + rest)
}

// TestContractsTravel sends values through the platform's services, in each form
// that each has, and has them read at the other end.
func TestContractsTravel(t *testing.T) {
	s := newShop(t)
	queues := sqs.NewFromConfig(s.cfg)
	q, err := queues.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("purchases")})
	s.must(err)
	c := s.consumer("^1")
	if c.Version().Version != "1.1.0" || c.Version().UUID.String() != s.ids[1] {
		t.Errorf("^1 is %s", c.Version())
	}
	receive := func(what string) {
		t.Helper()
		out, err := queues.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: q.QueueUrl, WaitTimeSeconds: 10, MessageAttributeNames: avro.AttributeNames()})
		s.must(err)
		if len(out.Messages) != 1 {
			t.Fatalf("%s: %d messages", what, len(out.Messages))
		}
		got, err := c.SQS(t.Context(), out.Messages[0])
		s.read(what, got, err)
		_, err = queues.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: q.QueueUrl, ReceiptHandle: out.Messages[0].ReceiptHandle})
		s.must(err)
	}
	topics := sns.NewFromConfig(s.cfg)
	forms := map[string][]avro.Option{"Glue": nil, "Glue with zlib": {avro.WithZlib()}, "single object": {avro.WithForm(wire.SingleObject)}, "named": {avro.WithForm(wire.Named)}}
	for _, raw := range []string{"true", "false"} {
		topic, err := topics.CreateTopic(t.Context(), &sns.CreateTopicInput{Name: aws.String("raw-" + raw)})
		s.must(err)
		_, err = topics.Subscribe(t.Context(), &sns.SubscribeInput{TopicArn: topic.TopicArn, Protocol: aws.String("sqs"), Endpoint: s.arn("sqs", "purchases"), Attributes: map[string]string{"RawMessageDelivery": raw}})
		s.must(err)
		for form, opts := range forms {
			in, err := s.producer("1.1.0", opts...).SNS(*topic.TopicArn, aPurchase())
			s.must(err)
			_, err = topics.Publish(t.Context(), in)
			s.must(err)
			receive("SNS, raw " + raw + ", " + form)
		}
	}
	for form, opts := range forms {
		p := s.producer("1.1.0", opts...)
		in, err := p.SQS(*q.QueueUrl, aPurchase())
		s.must(err)
		_, err = queues.SendMessage(t.Context(), in)
		s.must(err)
		receive("SQS, " + form)
		entry, err := p.SQSEntry("1", aPurchase())
		s.must(err)
		_, err = queues.SendMessageBatch(t.Context(), &sqs.SendMessageBatchInput{QueueUrl: q.QueueUrl, Entries: []sqstypes.SendMessageBatchRequestEntry{entry}})
		s.must(err)
		receive("SQS in a batch, " + form)
	}

	events := eventbridge.NewFromConfig(s.cfg)
	_, err = events.PutRule(t.Context(), &eventbridge.PutRuleInput{Name: aws.String("paid"),
		EventPattern: aws.String(`{"detail":{"dataschema":["shop/purchase"],"data":{"state":["PAID"],"note":{"string":[{"prefix":"for"}]}}}}`)})
	s.must(err)
	_, err = events.PutTargets(t.Context(), &eventbridge.PutTargetsInput{Rule: aws.String("paid"), Targets: []ebtypes.Target{{Id: aws.String("q"), Arn: s.arn("sqs", "purchases")}}})
	s.must(err)
	entry, err := s.producer("1.1.0").Event("default", "shop", "purchase", aPurchase())
	s.must(err)
	put, err := events.PutEvents(t.Context(), avro.Events(entry))
	s.must(err)
	if put.FailedEntryCount != 0 {
		t.Fatalf("%+v", put.Entries)
	}
	receive("EventBridge")

	s.stream(c, forms)
	s.stale(c)
}

// stream has records travel through a stream.
func (s *shop) stream(c *avro.Consumer[purchase], forms map[string][]avro.Option) {
	streams, name, ctx := kinesis.NewFromConfig(s.cfg), "purchases", s.Context()
	_, err := streams.CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: &name, ShardCount: aws.Int32(1)})
	s.must(err)
	created(s.T, streams, name)
	sent := 0
	for form, opts := range forms {
		in, err := s.producer("1.1.0", opts...).Kinesis(name, "key", aPurchase())
		if form == "named" {
			if !errors.Is(err, avro.ErrHeaderless) {
				s.Error(err)
			}
			continue
		}
		s.must(err)
		_, err = streams.PutRecord(ctx, in)
		s.must(err)
		sent++
	}
	it, err := streams.GetShardIterator(ctx, &kinesis.GetShardIteratorInput{StreamName: &name, ShardId: aws.String("shardId-000000000000"), ShardIteratorType: kinesistypes.ShardIteratorTypeTrimHorizon})
	s.must(err)
	out, err := streams.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: it.ShardIterator})
	s.must(err)
	if len(out.Records) != sent {
		s.Errorf("%d records of %d", len(out.Records), sent)
	}
	for _, r := range out.Records {
		got, err := c.Kinesis(ctx, r)
		s.read("Kinesis", got, err)
	}
}

// stale has a running consumer meet a version that is registered now.
func (s *shop) stale(c *avro.Consumer[purchase]) {

	next := strings.Replace(purchase11, `"default":null}]}`, `"default":null},{"name":"when","type":"long","default":0}]}`, 1)
	id := &gluetypes.SchemaId{RegistryName: aws.String("shop"), SchemaName: aws.String("purchase")}
	_, err := s.glue.RegisterSchemaVersion(s.Context(), &glue.RegisterSchemaVersionInput{SchemaId: id, SchemaDefinition: &next})
	s.must(err)
	fresh := avro.NewRegistry(s.glue, avro.RegistryOptions{Refresh: -1})
	p, err := avro.NewProducer[map[string]any](s.Context(), fresh, "shop/purchase@1.2.0")
	s.must(err)
	w := aPurchase()
	data, err := p.Encode(&map[string]any{"id": w.ID, "total": w.Total, "state": w.State, "note": *w.Note, "when": int64(7)})
	s.must(err)
	got, err := c.Decode(s.Context(), data)
	s.read("1.2.0, registered since", got, err)
}

// exchange is what a program of another language gets, and what it gives back:
// messages of aPurchase.
type exchange struct {
	URL         string            `json:"url,omitempty"`
	Account     string            `json:"account,omitempty"`
	Schemas     map[string]string `json:"schemas,omitempty"` // by their versions
	IDs         map[string]string `json:"ids,omitempty"`     // of Glue, by their versions
	Fingerprint string            `json:"fingerprint,omitempty"`
	Messages    []parcel          `json:"messages"`
}

type parcel struct {
	What       string            `json:"what"` // "confluent 1.0.0"
	Body       string            `json:"body"` // text, or base64 of bytes
	Attributes map[string]string `json:"attributes,omitempty"`
	Value      *purchase         `json:"value,omitempty"` // as the other side read it
}

// confluent is a source by the ids 10 and 11, as a Confluent registry has them.
func confluent(t *testing.T) avro.Source {
	t.Helper()
	file := avro.LockFile{}
	dir := t.TempDir()
	for i, text := range []string{purchase10, purchase11} {
		name := fmt.Sprintf("purchase-1.%d.avsc", i)
		e, err := avro.NewLockEntry("shop/purchase", fmt.Sprintf("1.%d.0", i), name, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		e.ID = uint32(10 + i)
		file.Schemas = append(file.Schemas, e)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text, err := file.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, avro.LockName), text, 0o600); err != nil {
		t.Fatal(err)
	}
	lock, err := avro.Open(os.DirFS(dir), ".")
	if err != nil {
		t.Fatal(err)
	}
	return lock
}

// written are messages of aPurchase in each form, as a Go program writes them.
func (s *shop) written() []parcel {
	var out []parcel
	ids := confluent(s.T)
	add := func(what string, p *avro.Producer[purchase], err error) {
		s.must(err)
		body, attributes, err := p.Text(aPurchase())
		s.must(err)
		out = append(out, parcel{What: what, Body: body, Attributes: attributes})
	}
	for name, opts := range map[string][]avro.Option{"glue": nil, "zlib": {avro.WithZlib()}, "single": {avro.WithForm(wire.SingleObject)}, "named": {avro.WithForm(wire.Named)}, "bare": {avro.WithForm(wire.None)}} {
		add(name, s.producer("1.1.0", opts...), nil)
	}
	p, err := avro.NewProducer[purchase](s.Context(), ids, "shop/purchase@1.1.0", avro.WithForm(wire.Confluent))
	add("confluent", p, err)
	detail, err := p.Detail(aPurchase())
	s.must(err)
	return append(out, parcel{What: "event", Body: string(detail)})
}

// converse runs a program with messages for it, checks what it read, and reads
// what it wrote.
func (s *shop) converse(cmd *exec.Cmd, forms ...string) {
	s.Helper()
	source := avro.Chain(s.registry, confluent(s.T))
	v := s.producer("1.1.0").Version()
	in := exchange{URL: *s.cfg.BaseEndpoint, Account: s.account, Schemas: map[string]string{"1.0.0": purchase10, "1.1.0": purchase11},
		IDs: map[string]string{"1.0.0": s.ids[0], "1.1.0": s.ids[1]}, Fingerprint: fmt.Sprintf("%016x", v.Fingerprint())}
	for _, m := range s.written() {
		if strings.Contains(strings.Join(forms, " "), m.What) {
			in.Messages = append(in.Messages, m)
		}
	}
	text, err := json.Marshal(in)
	s.must(err)
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(text), &stderr
	answer, err := cmd.Output()
	if err != nil {
		s.Fatalf("%v: %s", err, &stderr)
	}
	var out exchange
	if err := json.Unmarshal(answer, &out); err != nil {
		s.Fatalf("%v: %s", err, answer)
	}
	c, err := avro.NewConsumer[purchase](s.Context(), source, "shop/purchase@^1", avro.WithBare("1.1.0"))
	s.must(err)
	bare, err := avro.NewConsumer[purchase](s.Context(), source, "shop/purchase@^1", avro.WithBare("1.1.0"), avro.WithForms())
	s.must(err)
	read, wrote := map[string]bool{}, map[string]bool{}
	for _, m := range out.Messages {
		if m.Value != nil {
			read[m.What] = true
			s.read("read there: "+m.What, m.Value, nil)
			continue
		}
		wrote[m.What] = true
		from := c
		message := wire.Message{Body: []byte(m.Body), Text: true, Attribute: func(name string) string { return m.Attributes[name] }}
		if m.What == "bare" {
			from = bare
			if message.Body, err = base64.StdEncoding.DecodeString(m.Body); err != nil {
				s.Error(err)
			}
			message.Text = false
		}
		got := new(purchase)
		err := from.Read(s.Context(), message, got)
		if strings.HasSuffix(m.What, "1.0.0") && err == nil && got.Note == nil {
			got.Note = aPurchase().Note // which 1.0.0 has not
		}
		s.read("written there: "+m.What, got, err)
	}
	for _, f := range forms {
		if !read[f] || !wrote[f] {
			s.Errorf("%s: read there %v, written there %v", f, read[f], wrote[f])
		}
	}
	if !wrote["old 1.0.0"] {
		s.Error("nothing was written there with 1.0.0")
	}
}

// TestContractsNode has the npm packages avsc, and glue-schema-registry of
// meinestadt.de which asks the platform's registry, write and read.
func TestContractsNode(t *testing.T) {
	s := newShop(t)
	cmd := sdktest.Node(t, "testdata/contracts/peers.mjs", []string{"avsc@5", "@meinestadt.de/glue-schema-registry@4"})
	cmd.Env = sdktest.Environ()
	s.converse(cmd, "glue", "zlib", "confluent", "single", "named", "bare", "event")
}

// TestContractsPython has Debian's python3-avro write and read.
func TestContractsPython(t *testing.T) {
	const python = "/usr/bin/python3"
	if err := exec.Command(python, "-c", "import avro.io").Run(); err != nil {
		sdktest.Missing(t, "python3 has no avro (apt-get install python3-avro)")
	}
	s := newShop(t)
	cmd := exec.Command(python, "testdata/contracts/peers.py")
	cmd.Env = sdktest.Environ()
	s.converse(cmd, "glue", "confluent", "single", "named", "bare")
}
