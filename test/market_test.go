package test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	gluetypes "github.com/aws/aws-sdk-go-v2/service/glue/types"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
)

// market is an account with the schema shop/order in two versions: 1.0.0 has an
// id, 1.1.0 a total besides.
type market struct {
	strict
	account  string
	url      string
	versions [2]string // UUIDs

	glue    *glue.Client
	sqs     *sqs.Client
	sns     *sns.Client
	kinesis *kinesis.Client
	events  *eventbridge.Client
}

var orderVersions = [2]string{
	`{"type":"record","name":"Order","namespace":"shop","fields":[{"name":"id","type":"string"}]}`,
	`{"type":"record","name":"Order","namespace":"shop","fields":[{"name":"id","type":"string"},{"name":"total","type":"double","default":0}]}`,
}

// order10 and order11 are {"id":"a"} and {"id":"a","total":0} in binary.
var order10, order11 = []byte{2, 'a'}, append([]byte{2, 'a'}, make([]byte, 8)...)

func newMarket(t *testing.T, p *platform) *market {
	account := newAccount()
	c := p.config(account)
	s := &market{strict: strict{t}, account: account, url: p.url, glue: glue.NewFromConfig(c), sqs: sqs.NewFromConfig(c), sns: sns.NewFromConfig(c), kinesis: kinesis.NewFromConfig(c), events: eventbridge.NewFromConfig(c)}
	_, err := s.glue.CreateRegistry(t.Context(), &glue.CreateRegistryInput{RegistryName: aws.String("shop")})
	s.must(err)
	made, err := s.glue.CreateSchema(t.Context(), &glue.CreateSchemaInput{RegistryId: &gluetypes.RegistryId{RegistryName: aws.String("shop")}, SchemaName: aws.String("order"),
		DataFormat: gluetypes.DataFormatAvro, Compatibility: gluetypes.CompatibilityBackward, SchemaDefinition: &orderVersions[0]})
	s.must(err)
	next, err := s.glue.RegisterSchemaVersion(t.Context(), &glue.RegisterSchemaVersionInput{SchemaId: s.schema(), SchemaDefinition: &orderVersions[1]})
	s.must(err)
	s.versions = [2]string{*made.SchemaVersionId, *next.SchemaVersionId}
	return s
}

func (s *market) schema() *gluetypes.SchemaId {
	return &gluetypes.SchemaId{RegistryName: aws.String("shop"), SchemaName: aws.String("order")}
}

// refused holds an error to a code and to words.
func (s *market) refused(err error, code, words string) {
	s.Helper()
	var e smithy.APIError
	if !errors.As(err, &e) || e.ErrorCode() != code || !strings.Contains(e.ErrorMessage(), words) {
		s.Errorf("the error is %v, want %s: …%s…", err, code, words)
	}
}

// order is an order in the form of Glue's serializers.
func (s *market) order(version int, payload []byte) []byte {
	var id []byte
	if _, err := fmt.Sscanf(strings.ReplaceAll(s.versions[version], "-", ""), "%x", &id); err != nil || len(id) != 16 {
		s.Fatal(err, s.versions[version])
	}
	return append(append([]byte{3, 0}, id...), payload...)
}

func (s *market) text(version int, payload []byte) *string {
	return aws.String(base64.StdEncoding.EncodeToString(s.order(version, payload)))
}

func (s *market) queueARN(name string) string {
	return "arn:aws:sqs:us-east-1:" + s.account + ":" + name
}

// queue makes a queue; tags are in turns key and value.
func (s *market) queue(name string, attributes map[string]string, tags ...string) *string {
	s.Helper()
	in := &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes, Tags: pairs(tags)}
	if strings.HasSuffix(name, ".fifo") {
		in.Attributes = map[string]string{"FifoQueue": "true"}
		for k, v := range attributes {
			in.Attributes[k] = v
		}
	}
	out, err := s.sqs.CreateQueue(s.Context(), in)
	s.must(err)
	return out.QueueUrl
}

func pairs(list []string) map[string]string {
	m := map[string]string{}
	for i := 0; i < len(list); i += 2 {
		m[list[i]] = list[i+1]
	}
	return m
}

// take waits for the next message of a queue.
func (s *market) take(url *string) (m sqstypes.Message) {
	s.Helper()
	eventually(s.T, 20*time.Second, func() error {
		out, err := s.sqs.ReceiveMessage(s.Context(), &sqs.ReceiveMessageInput{QueueUrl: url, WaitTimeSeconds: 2, MessageAttributeNames: []string{"All"},
			MessageSystemAttributeNames: []sqstypes.MessageSystemAttributeName{sqstypes.MessageSystemAttributeNameAll}})
		s.must(err)
		if len(out.Messages) == 0 {
			return fmt.Errorf("%s is empty", *url)
		}
		m = out.Messages[0]
		_, err = s.sqs.DeleteMessage(s.Context(), &sqs.DeleteMessageInput{QueueUrl: url, ReceiptHandle: m.ReceiptHandle})
		return err
	})
	return m
}

// empty holds a queue to have nothing.
func (s *market) empty(url *string) {
	s.Helper()
	out, err := s.sqs.ReceiveMessage(s.Context(), &sqs.ReceiveMessageInput{QueueUrl: url})
	s.must(err)
	if len(out.Messages) > 0 {
		s.Errorf("%s has %s", *url, *out.Messages[0].Body)
	}
}

// letter holds a message to be a dead letter of a resource for a reason.
func (s *market) letter(m sqstypes.Message, source, body, words string) {
	s.Helper()
	said := map[string]string{}
	for k, v := range m.MessageAttributes {
		said[k] = aws.ToString(v.StringValue)
	}
	if said["ERROR_CODE"] != "SCHEMA_VALIDATION_FAILED" || !strings.Contains(said["ERROR_MESSAGE"], words) || said["SOURCE_ARN"] != source || *m.Body != body {
		s.Errorf("the dead letter is %s %v, want %s of %s: …%s…", *m.Body, said, body, source, words)
	}
	if got := m.Attributes["DeadLetterQueueSourceArn"]; got != source {
		s.Errorf("the dead letter comes from %s", got)
	}
}

const cut = "Order.total: the bytes end within double"

// usage is what GET /_dhow/schema/usage answers.
type usage struct {
	Usage []struct {
		Version, Resource, Sender string
		Accepted, Refused         int64
	}
}

func (s *market) usage() (u usage) {
	s.Helper()
	req, err := http.NewRequest(http.MethodGet, s.url+"/_dhow/schema/usage?schema=shop/order", nil)
	s.must(err)
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+s.account+"/20260101/us-east-1/glue/aws4_request, SignedHeaders=host, Signature=00")
	res, err := http.DefaultClient.Do(req)
	s.must(err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	s.must(err)
	if err := json.Unmarshal(body, &u); err != nil || res.StatusCode != 200 {
		s.Fatalf("usage: %d %s", res.StatusCode, body)
	}
	return u
}
