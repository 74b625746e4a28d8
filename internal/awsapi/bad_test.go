package awsapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/dhowhq/dhow/internal/awsapi"
)

// everywhere is a service of each protocol whose handlers answer nothing.
func everywhere() []awsapi.Service {
	return []awsapi.Service{
		{Model: "ecs", API: awsapi.Handlers{
			"RunTask": func(context.Context, *ecs.RunTaskInput) (*ecs.RunTaskOutput, error) { return &ecs.RunTaskOutput{}, nil },
			"RegisterTaskDefinition": func(context.Context, *ecs.RegisterTaskDefinitionInput) (*ecs.RegisterTaskDefinitionOutput, error) {
				return &ecs.RegisterTaskDefinitionOutput{}, nil
			},
		}},
		{Model: "sqs", API: awsapi.Handlers{"SendMessage": func(context.Context, *sqs.SendMessageInput) (*sqs.SendMessageOutput, error) {
			return &sqs.SendMessageOutput{}, nil
		}}},
		{Model: "elbv2", API: awsapi.Handlers{"CreateRule": func(context.Context, *elbv2.CreateRuleInput) (*elbv2.CreateRuleOutput, error) {
			return &elbv2.CreateRuleOutput{}, nil
		}}},
		{Model: "cloudwatch", API: awsapi.Handlers{"PutMetricData": func(context.Context, *cloudwatch.PutMetricDataInput) (*cloudwatch.PutMetricDataOutput, error) {
			return &cloudwatch.PutMetricDataOutput{}, nil
		}}},
		{Model: "lambda", API: awsapi.Handlers{"CreateAlias": func(context.Context, *lambda.CreateAliasInput) (*lambda.CreateAliasOutput, error) {
			return &lambda.CreateAliasOutput{}, nil
		}}},
		{Model: "route53", API: awsapi.Handlers{"ChangeResourceRecordSets": func(context.Context, *route53.ChangeResourceRecordSetsInput) (*route53.ChangeResourceRecordSetsOutput, error) {
			return &route53.ChangeResourceRecordSetsOutput{}, nil
		}}},
	}
}

type request struct {
	method, path, body string
	header             map[string]string
}

func ecsCall(op, body string) request {
	return request{"POST", "/", body, map[string]string{"X-Amz-Target": "AmazonEC2ContainerServiceV20141113." + op, "Content-Type": "application/x-amz-json-1.1"}}
}

func form(body string) request {
	return request{"POST", "/", body, map[string]string{"Content-Type": "application/x-www-form-urlencoded"}}
}

func cborCall(body string) request {
	return request{"POST", "/service/GraniteServiceVersion20100801/operation/PutMetricData", body,
		map[string]string{"Smithy-Protocol": "rpc-v2-cbor", "Content-Type": "application/cbor"}}
}

func (q request) send(t testing.TB, url string) (status int, body string, h http.Header) {
	t.Helper()
	req, err := http.NewRequest(q.method, url+q.path, strings.NewReader(q.body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range q.header {
		req.Header.Set(k, v)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b), res.Header
}

// TestBadInput: whatever comes in, the caller is to blame, and is told in the
// protocol it speaks.
func TestBadInput(t *testing.T) {
	_, url := start(t, awsapi.Config{}, everywhere()...)
	deep := strings.Repeat(`{"a":`, 10_000) + "1" + strings.Repeat("}", 10_000)
	for _, c := range []struct {
		name   string
		req    request
		status int
		want   string
	}{
		{"no JSON", ecsCall("RunTask", `{"count":`), 400, "SerializationException"},
		{"garbage after JSON", ecsCall("RunTask", `{} x`), 400, "SerializationException"},
		{"a list", ecsCall("RunTask", `[]`), 400, "Start of list found where not expected"},
		{"a string for a number", ecsCall("RunTask", `{"count":"2"}`), 400, "STRING_VALUE cannot be converted to Integer"},
		{"a number for a string", ecsCall("RunTask", `{"cluster":2}`), 400, "NUMBER_VALUE cannot be converted to String"},
		{"an object for a list", ecsCall("RunTask", `{"tags":{}}`), 400, "Start of structure or map found where not expected."},
		{"a number out of range", ecsCall("RunTask", `{"count":99999999999}`), 400, "out of the range of Integer"},
		{"a number out of any range", ecsCall("RunTask", `{"count":1e999}`), 400, "SerializationException"},
		{"null in a list", ecsCall("RunTask", `{"tags":[null]}`), 400, "must not contain null"},
		{"half a surrogate", ecsCall("RunTask", `{"taskDefinition":"\ud800"}`), 200, "{}"},
		{"not UTF-8", ecsCall("RunTask", "{\"cluster\":\"\xff\"}"), 400, "not valid UTF-8"},
		{"NUL in a name", ecsCall("RunTask", `{"taskDefinition":"a\u0000b","\u0000":1}`), 200, "{}"},
		{"deep in an unknown field", ecsCall("RunTask", `{"x":`+deep+`}`), 400, "nested deeper"},
		{"deep lists", ecsCall("RunTask", `{"x":`+strings.Repeat("[", 10_000)), 400, "nested deeper"},
		{"unknown fields", ecsCall("RunTask", `{"taskDefinition":"x","unknown":[{"a":null}]}`), 200, "{}"},
		{"required", ecsCall("RunTask", ``), 400, "1 validation error detected: Value null at 'taskDefinition' failed to satisfy constraint: Member must not be null"},
		{"unknown operation", ecsCall("Nonsense", `{}`), 400, "UnknownOperationException"},
		{"NUL in an operation", ecsCall("Run%00Task", `{}`), 400, "UnknownOperationException"},
		{"no operation", request{"POST", "/", "{}", map[string]string{"Authorization": "AWS4-HMAC-SHA256 Credential=a/20260101/r/ecs/aws4_request, X"}}, 400, "UnknownOperationException"},
		{"too large", ecsCall("RunTask", `{"cluster":"`+strings.Repeat("x", 5<<20)+`"}`), 413, "RequestEntityTooLarge"},
		{"many elements", ecsCall("RegisterTaskDefinition", `{"containerDefinitions":[`+strings.Repeat("{},", 1<<20)+`{}]}`), 400, "too many list elements"},

		{"query: bad encoding", form("Action=CreateRule&Version=2015-12-01&Priority=%zz"), 400, "MalformedInput"},
		{"query: no number", form("Action=CreateRule&Version=2015-12-01&Priority=x"), 400, "is not a number"},
		{"query: no index", form("Action=CreateRule&Version=2015-12-01&Actions.member.x=1"), 400, "numbered from 1"},
		{"query: a huge index", form("Action=CreateRule&Version=2015-12-01&Actions.member.99999999999=1"), 400, "numbered from 1"},
		{"query: required", form("Action=CreateRule&Version=2015-12-01"), 400, "<Code>ValidationError</Code><Message>4 validation errors detected: Value null at &#39;"},
		{"query: parts of a scalar", form("Action=CreateRule&Version=2015-12-01&Priority.a=1"), 400, "has parts"},
		{"query: unknown action", form("Action=Nonsense&Version=2015-12-01"), 400, "Could not find operation Nonsense for version 2015-12-01"},
		{"query: too many", form("Action=CreateRule&Version=2015-12-01" + strings.Repeat("&a=b", 200_000)), 400, "more than 100000 parameters"},

		{"cbor: cut", cborCall("\xbfhMetricData"), 400, "SerializationException"},
		{"cbor: no map", cborCall("\x01"), 400, "SerializationException"},
		{"cbor: a lie about length", cborCall("\xa1jMetricData\x9b\x7f\xff\xff\xff\xff\xff\xff\xff"), 400, "SerializationException"},
		{"cbor: deep", cborCall("\xa1aa" + strings.Repeat("\x81", 10_000)), 400, "nested deeper"},
		{"cbor: many tags", cborCall("\xa1jMetricData" + strings.Repeat("\xc1", 10_000)), 400, "too many tags"},
		{"cbor: unknown operation", request{"POST", "/service/GraniteServiceVersion20100801/operation/X", "", map[string]string{"Smithy-Protocol": "rpc-v2-cbor"}}, 400, "UnknownOperationException"},

		{"rest: bad JSON", request{"POST", "/2015-03-31/functions/f/aliases", `{"Name":`, nil}, 400, "is not valid JSON"},
		{"rest: required", request{"POST", "/2015-03-31/functions/f/aliases", `{}`, nil}, 400, "2 validation errors detected"},
		{"rest: no such path", request{"POST", "/2015-03-31/nonsense", `{}`, map[string]string{"Host": "lambda", "Authorization": "AWS4-HMAC-SHA256 Credential=a/20260101/r/lambda/aws4_request, X"}}, 404, "has no operation POST"},
		{"xml: cut", request{"POST", "/2013-04-01/hostedzone/Z1/rrset", "<a><b>", nil}, 400, "InvalidInput"},
		{"xml: deep", request{"POST", "/2013-04-01/hostedzone/Z1/rrset", strings.Repeat("<a>", 10_000), nil}, 400, "nested deeper"},
		{"xml: two roots", request{"POST", "/2013-04-01/hostedzone/Z1/rrset", "<a/><b/>", nil}, 400, "second root"},
		{"xml: an element for text", request{"POST", "/2013-04-01/hostedzone/Z1/rrset", "<a><ChangeBatch><Comment><x/></Comment></ChangeBatch></a>", nil}, 400, "was expected"},

		{"nothing at all", request{"GET", "/", "", nil}, 404, "names no AWS service"},
		{"an unknown service", request{"POST", "/", "", map[string]string{"Authorization": "AWS4-HMAC-SHA256 Credential=a/20260101/r/bedrock/aws4_request, X"}}, 501, "bedrock"},
		{"a service not served", request{"POST", "/", "{}", map[string]string{"X-Amz-Target": "DynamoDB_20120810.ListTables"}}, 501, "dynamodb.ListTables"},
		{"a REST service not served", request{"GET", "/bucket?list-type=2", "", map[string]string{"Authorization": "AWS4-HMAC-SHA256 Credential=a/20260101/r/s3/aws4_request, X"}}, 501, "s3.ListObjectsV2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			began := time.Now()
			status, body, h := c.req.send(t, url)
			if status != c.status {
				t.Errorf("status %d, want %d: %.300s", status, c.status, body)
			}
			if !strings.Contains(body, strings.ReplaceAll(c.want, "&#39;", "'")) {
				t.Errorf("got %.300s, want %s in it", body, c.want)
			}
			if took := time.Since(began); took > 3*time.Second {
				t.Errorf("it took %v", took)
			}
			if h.Get("x-amzn-RequestId") == "" && h.Get("x-amz-request-id") == "" {
				t.Error("the answer has no request id")
			}
			if len(body) > 2000 {
				t.Errorf("the answer has %d bytes", len(body))
			}
		})
	}
}

// TestFaults: an error that is none of AWS's, a panic, and a handler that
// returns nothing are logged and say nothing to the caller.
func TestFaults(t *testing.T) {
	var log bytes.Buffer
	fail := func() (*ecs.DescribeClustersOutput, error) { return nil, errors.New("secret: disk 7 is full") }
	api := &ecsAPI{describe: func(context.Context, *ecs.DescribeClustersInput) (*ecs.DescribeClustersOutput, error) { return fail() }}
	_, url := start(t, awsapi.Config{Log: slog.New(slog.NewTextHandler(&log, nil))}, awsapi.Service{Model: "ecs", API: api})
	for name, f := range map[string]func() (*ecs.DescribeClustersOutput, error){
		"error": fail,
		"panic": func() (*ecs.DescribeClustersOutput, error) { panic("secret") },
		"nil":   func() (*ecs.DescribeClustersOutput, error) { return nil, nil },
	} {
		fail = f
		log.Reset()
		status, body, h := ecsCall("DescribeClusters", "{}").send(t, url)
		var e struct {
			Type    string `json:"__type"`
			Message string
		}
		if err := json.Unmarshal([]byte(body), &e); err != nil {
			t.Fatalf("%s: %v in %q", name, err, body)
		}
		if status != 500 || e.Type != "ServerException" || strings.Contains(body, "secret") || !strings.Contains(e.Message, h.Get("x-amzn-RequestId")) {
			t.Errorf("%s: %d %s", name, status, body)
		}
		if !strings.Contains(log.String(), h.Get("x-amzn-RequestId")) || name != "nil" && !strings.Contains(log.String(), "secret") {
			t.Errorf("%s: the log says %q", name, log.String())
		}
	}
}

// full is an engine's error.
type full struct{ ours bool }

func (full) Error() string            { return "engine: /var/lib is full" }
func (f full) Public() (string, bool) { return "No space is left.", f.ours }

// TestPublic: an engine's error that is for callers reaches them in its words.
func TestPublic(t *testing.T) {
	var log bytes.Buffer
	var err error
	api := &ecsAPI{describe: func(context.Context, *ecs.DescribeClustersInput) (*ecs.DescribeClustersOutput, error) {
		return nil, err
	}}
	_, url := start(t, awsapi.Config{Log: slog.New(slog.NewTextHandler(&log, nil))}, awsapi.Service{Model: "ecs", API: api})
	for _, c := range []struct {
		ours   bool
		status int
		want   string
	}{
		{true, 503, `{"__type":"ServerException","message":"No space is left."}`},
		{false, 400, `{"__type":"InvalidParameterException","message":"No space is left."}`},
	} {
		log.Reset()
		err = fmt.Errorf("while at it: %w", full{c.ours})
		status, body, _ := ecsCall("DescribeClusters", "{}").send(t, url)
		if status != c.status || body != c.want {
			t.Errorf("%d %s, want %d %s", status, body, c.status, c.want)
		}
		if logged := strings.Contains(log.String(), "/var/lib is full"); logged != c.ours {
			t.Errorf("the log says %q", log.String())
		}
	}
}

func TestErrorValues(t *testing.T) {
	var err error
	api := &ecsAPI{describe: func(context.Context, *ecs.DescribeClustersInput) (*ecs.DescribeClustersOutput, error) {
		return nil, err
	}}
	_, url := start(t, awsapi.Config{}, awsapi.Service{Model: "ecs", API: api})
	for _, c := range []struct {
		err    error
		status int
		want   string
	}{
		{&awsapi.Error{Code: "ClientException", Message: "no <b>"}, 400, `{"__type":"ClientException","message":"no <b>"}`},
		{&awsapi.Error{Code: "ServerException", Message: "x"}, 500, `"ServerException"`},
		{&awsapi.Error{Code: "ThrottlingException", Message: "x", Status: 429}, 429, `{"__type":"ThrottlingException","message":"x"}`},
		{fmt.Errorf("while at it: %w", &awsapi.Error{Code: "A", Message: "b"}), 400, `{"__type":"A","message":"b"}`},
	} {
		err = c.err
		status, body, _ := ecsCall("DescribeClusters", "{}").send(t, url)
		if status != c.status || !strings.Contains(body, c.want) {
			t.Errorf("%v: %d %s", c.err, status, body)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	type wrongIn struct{}
	for name, c := range map[string]struct {
		api  any
		want string
	}{
		"no such operation": {awsapi.Handlers{"Nonsense": func(context.Context, *nonsenseInput) (*nonsenseOutput, error) { return nil, nil }}, "no such operation"},
		"wrong input":       {awsapi.Handlers{"RunTask": func(context.Context, *wrongIn) (*ecs.RunTaskOutput, error) { return nil, nil }}, "RunTaskInput"},
		"wrong output":      {awsapi.Handlers{"RunTask": func(context.Context, *ecs.RunTaskInput) (*ecs.StopTaskOutput, error) { return nil, nil }}, "RunTaskOutput"},
		"no handler":        {&stray{}, "must not be exported"},
		"no function":       {awsapi.Handlers{"RunTask": 3}, "it is a int"},
		"nil":               {awsapi.Handlers{"RunTask": nil}, "nil"},
	} {
		if _, err := awsapi.New(awsapi.Config{}, awsapi.Service{Model: "ecs", API: c.api}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := awsapi.New(awsapi.Config{}, awsapi.Service{Model: "nothing"}); err == nil {
		t.Error("a model that does not exist was taken")
	}
	if _, err := awsapi.New(awsapi.Config{Account: "12"}); err == nil {
		t.Error("an account of two digits was taken")
	}
	twice := awsapi.Service{Model: "ecs", API: clusters()}
	if _, err := awsapi.New(awsapi.Config{}, twice, twice); err == nil {
		t.Error("a service was taken twice")
	}
}

type (
	nonsenseInput  struct{}
	nonsenseOutput struct{}
	stray          struct{}
)

func (*stray) Close() error { return nil }
