package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventstypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	gluetypes "github.com/aws/aws-sdk-go-v2/service/glue/types"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	kinesistypes "github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
	"github.com/twmb/franz-go/pkg/sr"

	"github.com/dhowhq/dhow/identity"
	"github.com/dhowhq/dhow/identity/policy"
	"github.com/dhowhq/dhow/network"
	"github.com/dhowhq/dhow/sdk/avro"
)

const (
	guardedAccount = "111122223333"
	glueNames      = "arn:aws:glue:us-east-1:" + guardedAccount + ":"
)

// guarded is a platform with a simulated node, on which sessions of roles may do
// what policies say.
type guarded struct {
	*testing.T
	p    *platform
	taps *taps
}

// taps opens the metadata endpoints of tasks on the loopback device, for a
// simulated network has no programs in it.
type taps struct {
	network.Manager
	mu   sync.Mutex
	open map[string]string // address by endpoint
}

func (n *taps) Listen(ctx context.Context, id, netName, address string) (net.Listener, error) {
	if id == "" || address != "169.254.170.2:80" {
		return n.Manager.Listen(ctx, id, netName, address)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err == nil {
		n.mu.Lock()
		n.open[id] = l.Addr().String()
		n.mu.Unlock()
	}
	return l, err
}

// newGuarded starts a platform with the policies of roles, by their names.
func newGuarded(t *testing.T, policies map[string]string) *guarded {
	t.Helper()
	documents := map[string]policy.Documents{}
	for role, text := range policies {
		d, err := policy.ParseIdentity(text)
		if err != nil {
			t.Fatalf("%s: %v", role, err)
		}
		documents[role] = policy.Documents{d}
	}
	c := &upCmd{Listen: "127.0.0.1:0", DataDir: t.TempDir(), Region: "us-east-1", Account: "000000000000", Auth: "open", Driver: "sim", NodeCPU: 1024, NodeMemory: 1024, Replicas: 1}
	p, err := newPlatform(t.Context(), c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	g := &guarded{t, p, &taps{Manager: p.node.network, open: map[string]string{}}}
	p.node.network = g.taps
	p.auth.Policies = func(_, role string) policy.Documents { return documents[role] }
	g.must(p.openAPI())
	g.must(p.serve(t.Context()))
	return g
}

func (g *guarded) must(err error) {
	g.Helper()
	if err != nil {
		g.Fatal(err)
	}
}

// keys are those of a session of the role, for a time.
func (g *guarded) keys(role string, life time.Duration) identity.Keys {
	return g.p.auth.Issuer.Issue(identity.Session{Account: guardedAccount, Role: role, Name: "s1", Expires: time.Now().Add(life)})
}

// as is for clients of a session of the role, of the account's owner for "".
func (g *guarded) as(role string) aws.Config {
	k := identity.Keys{AccessKeyID: guardedAccount, SecretAccessKey: "any"}
	if role != "" {
		k = g.keys(role, time.Hour)
	}
	return g.config(credentials.NewStaticCredentialsProvider(k.AccessKeyID, k.SecretAccessKey, k.SessionToken))
}

func (g *guarded) config(by aws.CredentialsProvider) aws.Config {
	return aws.Config{Region: "us-east-1", BaseEndpoint: &g.p.url, RetryMaxAttempts: 1, Credentials: by}
}

// sentence is what a session of a role is told that no policy allows.
func sentence(role, session, action, resource string) string {
	return fmt.Sprintf("User: arn:aws:sts::%s:assumed-role/%s/%s is not authorized to perform: glue:%s on resource: %s because no identity-based policy allows the glue:%s action",
		guardedAccount, role, session, action, resource, action)
}

// unread is what orders is told of a schema that it may not read.
func unread(session, resource string) string {
	return sentence("orders", session, "GetSchemaVersion", resource)
}

// told checks a refusal's code and sentence.
func (g *guarded) told(what string, err error, code, message string) {
	g.Helper()
	var e smithy.APIError
	if !errors.As(err, &e) || e.ErrorCode() != code || e.ErrorMessage() != message {
		g.Errorf("%s: %v\nwant %s: %s", what, err, code, message)
	}
}

const orderText = `{"type":"record","name":"Order","fields":[{"name":"id","type":"string"}]}`

// schemas makes shop/order and shop/secret, and returns the ids of their versions.
func (g *guarded) schemas() map[string]string {
	c := glue.NewFromConfig(g.as(""))
	_, err := c.CreateRegistry(g.Context(), &glue.CreateRegistryInput{RegistryName: pointer("shop")})
	g.must(err)
	ids := map[string]string{"none": "00000000-0000-4000-8000-000000000000"}
	for _, name := range []string{"order", "secret"} {
		made, err := c.CreateSchema(g.Context(), &glue.CreateSchemaInput{RegistryId: &gluetypes.RegistryId{RegistryName: pointer("shop")}, SchemaName: &name,
			DataFormat: gluetypes.DataFormatAvro, Compatibility: gluetypes.CompatibilityBackward, SchemaDefinition: pointer(strings.Replace(orderText, "Order", name, 1))})
		g.must(err)
		ids[name] = *made.SchemaVersionId
	}
	return ids
}

const (
	readsOrder = `{"Effect":"Allow","Action":["glue:GetSchemaVersion","glue:QuerySchemaVersionMetadata","glue:ListSchemaVersions"],
		"Resource":["` + glueNames + `registry/shop","` + glueNames + `schema/shop/order"]}`
	sends = `{"Effect":"Allow","Action":["sqs:*","sns:*","kinesis:*","events:*"],"Resource":"*"}`
)

func statements(list ...string) string {
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(list, ",") + `]}`
}

// TestAccessInTask has tasks of two roles ask the node that they share for
// schemas: each gets what its role may read, whatever the other one was given.
func TestAccessInTask(t *testing.T) {
	g := newGuarded(t, map[string]string{
		"orders":  statements(readsOrder),
		"secrets": statements(`{"Effect":"Allow","Action":"glue:GetSchemaVersion","Resource":"*"}`),
	})
	ids := g.schemas()
	secrets, _ := g.task("secrets")
	for _, what := range []string{"schemas/shop/secret/versions/latest", "schemas/shop/secret/versions/1.0.0", "ids/" + ids["secret"], "schemas/shop/order/versions/^1"} {
		if status, body := get(t, secrets+"/"+what); status != 200 || !strings.Contains(body, `"record"`) {
			t.Errorf("secrets, %s: %d %s", what, status, body)
		}
	}
	if status, body := get(t, secrets+"/ids/"+ids["none"]); status != 404 {
		t.Errorf("secrets, an id that is none: %d %s", status, body)
	}
	orders, session := g.task("orders")
	for _, what := range []string{"schemas/shop/order/versions/latest", "schemas/shop/order/versions/^1", "ids/" + ids["order"]} {
		if status, body := get(t, orders+"/"+what); status != 200 || body != strings.Replace(orderText, "Order", "order", 1) {
			t.Errorf("orders, %s: %d %s", what, status, body)
		}
	}
	for what, want := range map[string]string{
		"schemas/shop/secret/versions/latest": unread(session, glueNames+"schema/shop/secret"),
		"schemas/shop/secret/versions/1.0.0":  unread(session, glueNames+"schema/shop/secret"),
		"schemas/shop/none/versions/latest":   unread(session, glueNames+"schema/shop/none"),
		"schemas/gone/order/versions/latest":  unread(session, glueNames+"registry/gone"),
		"ids/" + ids["secret"]:                unread(session, "*"),
		"ids/" + ids["none"]:                  unread(session, "*"),
	} {
		if status, body := get(t, orders+"/"+what); status != 403 || strings.TrimSpace(body) != want {
			t.Errorf("orders, %s: %d %s\nwant %s", what, status, body, want)
		}
	}
}

// task runs a task of the role and returns where it gets schemas, and its id.
func (g *guarded) task(role string) (uri, id string) {
	g.Helper()
	c, ctx := ecs.NewFromConfig(g.as("")), g.Context()
	_, err := c.CreateCluster(ctx, &ecs.CreateClusterInput{ClusterName: pointer("c")})
	g.must(err)
	_, err = c.RegisterTaskDefinition(ctx, &ecs.RegisterTaskDefinitionInput{Family: &role, TaskRoleArn: pointer("arn:aws:iam::" + guardedAccount + ":role/" + role),
		NetworkMode: ecstypes.NetworkModeBridge, ContainerDefinitions: []ecstypes.ContainerDefinition{{Name: pointer("app"), Image: pointer("app:1"), Memory: pointer(int32(64))}}})
	g.must(err)
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		run, err := c.RunTask(ctx, &ecs.RunTaskInput{Cluster: pointer("c"), TaskDefinition: &role, LaunchType: ecstypes.LaunchTypeEc2})
		if err == nil && len(run.Tasks) == 1 {
			return g.running(c, *run.Tasks[0].TaskArn)
		}
		if time.Now().After(deadline) { // the node has to join first
			g.Fatalf("the task is not taken: %v, %+v", err, run)
		}
	}
}

func (g *guarded) running(c *ecs.Client, task string) (uri, id string) {
	g.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		d, err := c.DescribeTasks(g.Context(), &ecs.DescribeTasksInput{Cluster: pointer("c"), Tasks: []string{task}})
		g.must(err)
		if t := d.Tasks[0]; *t.LastStatus == "RUNNING" {
			id = path.Base(task)
			g.taps.mu.Lock()
			defer g.taps.mu.Unlock()
			for endpoint, address := range g.taps.open {
				if strings.HasPrefix(endpoint, id) {
					return "http://" + address + "/schema/" + *t.Containers[0].RuntimeId, id
				}
			}
			g.Fatalf("the task has no endpoint: %v", g.taps.open)
		}
		if time.Now().After(deadline) {
			g.Fatalf("the task is %+v", d.Tasks[0])
		}
	}
}

func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// TestAccessAtBroker has a role send to what is tagged with a schema that it may
// read, and to what is tagged with another one.
func TestAccessAtBroker(t *testing.T) {
	g := newGuarded(t, map[string]string{"orders": statements(readsOrder, sends), "mute": statements(sends)})
	g.schemas()
	ctx, root, by := t.Context(), g.as(""), g.as("orders")
	secret := unread("s1", glueNames+"schema/shop/secret")
	url, topic := map[string]*string{}, map[string]*string{}
	for _, name := range []string{"order", "secret", "none"} {
		tags := map[string]string{"dhow:schema": "shop/" + name}
		if name == "none" { // no more than a name, and of a queue alone
			tags = nil
		}
		q, err := sqs.NewFromConfig(root).CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &name, Tags: tags})
		g.must(err)
		url[name] = q.QueueUrl
		if tags == nil {
			continue
		}
		made, err := sns.NewFromConfig(root).CreateTopic(ctx, &sns.CreateTopicInput{Name: &name, Tags: []snstypes.Tag{{Key: pointer("dhow:schema"), Value: pointer("shop/" + name)}}})
		g.must(err)
		topic[name] = made.TopicArn
		_, err = kinesis.NewFromConfig(root).CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: &name, ShardCount: pointer(int32(1)), Tags: tags})
		g.must(err)
		_, err = eventbridge.NewFromConfig(root).CreateEventBus(ctx, &eventbridge.CreateEventBusInput{Name: &name, Tags: []eventstypes.Tag{{Key: pointer("dhow:schema"), Value: pointer("shop/" + name)}}})
		g.must(err)
	}
	g.must(kinesis.NewStreamExistsWaiter(kinesis.NewFromConfig(root)).Wait(ctx, &kinesis.DescribeStreamInput{StreamName: pointer("secret")}, 30*time.Second))
	// In Avro's JSON encoding, and bare: a string of one letter.
	body, bare := pointer(`{"id":"a"}`), []byte{2, 'a'}
	named := map[string]sqstypes.MessageAttributeValue{"dataschema": {DataType: pointer("String"), StringValue: pointer("shop/order")}}
	snsNamed := map[string]snstypes.MessageAttributeValue{"dataschema": {DataType: pointer("String"), StringValue: pointer("shop/order")}}

	t.Run("sqs", func(t *testing.T) {
		c := sqs.NewFromConfig(by)
		_, err := c.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: url["order"], MessageBody: body, MessageAttributes: named})
		g.must(err)
		_, err = c.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: url["secret"], MessageBody: body})
		g.told("a message", err, "AccessDenied", secret)
		out, err := c.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: url["secret"], Entries: []sqstypes.SendMessageBatchRequestEntry{{Id: pointer("a"), MessageBody: body}}})
		if err != nil || len(out.Failed) != 1 || !strings.HasPrefix(*out.Failed[0].Code, "AccessDenied") || *out.Failed[0].Message != secret {
			t.Errorf("a batch: %+v, %v", out, err)
		}
		for _, schema := range []string{"secret", "none"} { // which is not there
			_, err = c.TagQueue(ctx, &sqs.TagQueueInput{QueueUrl: url["none"], Tags: map[string]string{"dhow:schema": "shop/" + schema}})
			g.told("a tag", err, "AccessDenied", unread("s1", glueNames+"schema/shop/"+schema))
		}
		_, err = sqs.NewFromConfig(g.as("mute")).SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: url["order"], MessageBody: body, MessageAttributes: named})
		g.told("who may read nothing", err, "AccessDenied", sentence("mute", "s1", "GetSchemaVersion", glueNames+"registry/shop"))
		n, err := sqs.NewFromConfig(root).GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: url["secret"], AttributeNames: []sqstypes.QueueAttributeName{"ApproximateNumberOfMessages"}})
		if err != nil || n.Attributes["ApproximateNumberOfMessages"] != "0" {
			t.Errorf("the queue has %v, %v", n.Attributes, err)
		}
	})
	t.Run("sns", func(t *testing.T) {
		c := sns.NewFromConfig(by)
		_, err := c.Publish(ctx, &sns.PublishInput{TopicArn: topic["order"], Message: body, MessageAttributes: snsNamed})
		g.must(err)
		_, err = c.Publish(ctx, &sns.PublishInput{TopicArn: topic["secret"], Message: body})
		g.told("a message", err, "AuthorizationError", secret)
		out, err := c.PublishBatch(ctx, &sns.PublishBatchInput{TopicArn: topic["secret"], PublishBatchRequestEntries: []snstypes.PublishBatchRequestEntry{{Id: pointer("a"), Message: body}}})
		if err != nil || len(out.Failed) != 1 || *out.Failed[0].Code != "AuthorizationError" || *out.Failed[0].Message != secret {
			t.Errorf("a batch: %+v, %v", out, err)
		}
	})
	t.Run("kinesis", func(t *testing.T) {
		c := kinesis.NewFromConfig(by)
		_, err := c.PutRecord(ctx, &kinesis.PutRecordInput{StreamName: pointer("order"), PartitionKey: pointer("k"), Data: bare})
		g.must(err)
		_, err = c.PutRecord(ctx, &kinesis.PutRecordInput{StreamName: pointer("secret"), PartitionKey: pointer("k"), Data: bare})
		g.told("a record", err, "AccessDeniedException", secret)
		_, err = c.PutRecords(ctx, &kinesis.PutRecordsInput{StreamName: pointer("secret"), Records: []kinesistypes.PutRecordsRequestEntry{{PartitionKey: pointer("k"), Data: bare}}})
		g.told("records", err, "AccessDeniedException", secret)
	})
	t.Run("events", func(t *testing.T) {
		detail := pointer(`{"dataschema":"shop/order","dataschemaversion":"1.0.0","datacontenttype":"avro/json","data":{"id":"a"}}`)
		entry := func(bus string) eventstypes.PutEventsRequestEntry {
			return eventstypes.PutEventsRequestEntry{EventBusName: &bus, Source: pointer("shop"), DetailType: pointer("order"), Detail: detail}
		}
		out, err := eventbridge.NewFromConfig(by).PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []eventstypes.PutEventsRequestEntry{entry("order"), entry("secret")}})
		g.must(err)
		if out.FailedEntryCount != 1 || out.Entries[0].ErrorCode != nil || aws.ToString(out.Entries[1].ErrorCode) != "AccessDeniedException" || *out.Entries[1].ErrorMessage != secret {
			text, _ := json.Marshal(out.Entries)
			t.Errorf("the entries: %s", text)
		}
	})
}

// TestAccessByPassword names a session by basic authentication, as Confluent's
// clients do, and as curl may for dhow's own paths.
func TestAccessByPassword(t *testing.T) {
	g := newGuarded(t, map[string]string{"orders": statements(readsOrder)})
	ids := g.schemas()
	k := g.keys("orders", time.Hour)
	password := k.SecretAccessKey + ":" + k.SessionToken
	client := func(user, password string) *sr.Client {
		c, err := sr.NewClient(sr.URLs(g.p.url+"/_dhow/schema-registry"), sr.BasicAuth(user, password))
		g.must(err)
		return c
	}
	c := client(k.AccessKeyID, password)
	s, err := c.SchemaByVersion(t.Context(), ":.shop:order", 1)
	if err != nil || !strings.Contains(s.Schema.Schema, `"order"`) {
		t.Errorf("order is %+v, %v", s, err)
	}
	if _, err := c.SchemaByID(t.Context(), s.ID); err != nil {
		t.Errorf("order by its id: %v", err)
	}
	told := func(what string, err error, code int, message string) {
		t.Helper()
		var e *sr.ResponseError
		if !errors.As(err, &e) || e.ErrorCode != code || e.StatusCode != code && e.StatusCode != code/100 || e.Message != message {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err = c.SchemaByVersion(t.Context(), ":.shop:secret", 1)
	told("secret", err, 40301, unread("s1", glueNames+"schema/shop/secret"))
	for _, id := range []int{s.ID + 1, 99} { // secret's, and nobody's
		_, err = c.SchemaByID(t.Context(), id)
		told("by id", err, 40301, unread("s1", "*"))
	}
	_, err = c.CreateSchema(t.Context(), ":.shop:order", sr.Schema{Schema: orderText})
	told("a new version", err, 40301, sentence("orders", "s1", "RegisterSchemaVersion", glueNames+"registry/shop"))
	_, err = client(k.AccessKeyID, "forged:"+k.SessionToken).Subjects(t.Context())
	told("a forged key", err, 401, "Unauthorized: The security token included in the request is invalid.")
	if _, err = client(guardedAccount, "any").SchemaByVersion(t.Context(), ":.shop:secret", 1); err != nil {
		t.Errorf("anybody else: %v", err)
	}

	for path, want := range map[string]string{
		"usage?schema=shop/order":               "200",
		"usage?schema=shop/secret":              "403 " + sentence("orders", "s1", "ListSchemaVersions", glueNames+"schema/shop/secret"),
		"usage?schema=shop/none":                "403 " + sentence("orders", "s1", "ListSchemaVersions", glueNames+"schema/shop/none"),
		"impact?schema=shop/order":              "200",
		"impact?schema=shop/secret":             "403 " + unread("s1", glueNames+"schema/shop/secret"),
		"ids/" + ids["order"]:                   "200",
		"ids/" + ids["secret"]:                  "403 " + unread("s1", "*"),
		"schemas/shop/secret/versions/latest":   "403 " + unread("s1", glueNames+"schema/shop/secret"),
		"schemas/shop/secret/versions/nonsense": "403 " + unread("s1", glueNames+"schema/shop/secret"),
	} {
		url := strings.Replace(g.p.url, "http://", "http://"+k.AccessKeyID+":"+strings.NewReplacer("/", "%2F", ":", "%3A").Replace(password)+"@", 1)
		status, body := get(t, url+"/_dhow/schema/"+path)
		if got := strings.TrimSpace(fmt.Sprint(status, " ", body)); got != want && (want != "200" || status != 200) {
			t.Errorf("%s: %s\nwant %s", path, got, want)
		}
	}
}

// rotating hands out the role's keys, a new pair whenever it is asked.
type rotating struct {
	g      *guarded
	life   time.Duration
	mu     sync.Mutex
	issued int
	last   time.Time
}

func (r *rotating) Retrieve(context.Context) (aws.Credentials, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := r.g.keys("orders", r.life)
	r.issued, r.last = r.issued+1, time.Now() // not before the keys' own time begins
	// The client is not told that they expire.
	return aws.Credentials{AccessKeyID: k.AccessKeyID, SecretAccessKey: k.SecretAccessKey, SessionToken: k.SessionToken}, nil
}

func (r *rotating) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.issued
}

// expire returns once the keys that were handed out before it was called are of
// no use any more, and how many those are.
func (r *rotating) expire() int {
	r.mu.Lock()
	issued, end := r.issued, r.last.Add(r.life)
	r.mu.Unlock()
	time.Sleep(time.Until(end))
	return issued
}

// TestKeysExpireInBetween has keys expire at the platform while a consumer reads,
// with its renewals in the background and without: it takes new ones from its
// provider, and nobody sees an error.
func TestKeysExpireInBetween(t *testing.T) {
	g := newGuarded(t, map[string]string{"orders": statements(readsOrder)})
	root, schema := glue.NewFromConfig(g.as("")), &gluetypes.SchemaId{RegistryName: pointer("shop"), SchemaName: pointer("order")}
	version := g.schemas()["order"]
	fields := `{"name":"id","type":"string"}`
	for _, refresh := range []time.Duration{-1, 100 * time.Millisecond} {
		keys := &rotating{g: g, life: 2 * time.Second}
		var failed sync.Map
		reg := avro.NewRegistry(glue.NewFromConfig(g.config(aws.NewCredentialsCache(keys))), avro.RegistryOptions{Refresh: refresh, Retry: time.Millisecond,
			OnError: func(err error) { failed.Store(err.Error(), true) }})
		c, err := avro.NewConsumer[struct {
			ID string `avro:"id"`
		}](t.Context(), reg, "shop/order@1.0.0")
		g.must(err)
		before := 0
		for n := range 2 {
			if n > 0 {
				before = keys.expire()
				name := fmt.Sprintf("f%d", max(refresh, 0))
				fields += `,{"name":"` + name + `","type":"string","default":""}`
				made, err := root.RegisterSchemaVersion(t.Context(), &glue.RegisterSchemaVersionInput{SchemaId: schema, SchemaDefinition: pointer(`{"type":"record","name":"order","fields":[` + fields + `]}`)})
				g.must(err)
				version = *made.SchemaVersionId
			}
			data := append(append([]byte{3, 0}, unhex(version)...), 2, 'a')
			for range strings.Count(fields, "default") {
				data = append(data, 2, 'x')
			}
			if got, err := c.Decode(t.Context(), data); err != nil || got.ID != "a" {
				t.Errorf("renewals every %v: read %+v, %v", refresh, got, err)
			}
			if n := keys.count(); n <= before {
				t.Errorf("renewals every %v: read with keys that had expired: %d were handed out", refresh, n)
			}
		}
		reg.Close()
		failed.Range(func(err, _ any) bool { t.Errorf("a renewal failed: %v", err); return true })
	}
}

// unhex is a UUID in bytes.
func unhex(id string) (b []byte) {
	fmt.Sscanf(strings.ReplaceAll(id, "-", ""), "%x", &b)
	return b
}
