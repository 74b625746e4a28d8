package awsapi_test

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/dhowhq/dhow/internal/awsapi"
)

func signed(service string) string {
	return "AWS4-HMAC-SHA256 Credential=AKID/20260101/ap-south-1/" + service + "/aws4_request, SignedHeaders=host, Signature=0"
}

// TestRouting sends the same operation in every way that a client may name it.
func TestRouting(t *testing.T) {
	var call awsapi.Call
	see := func(ctx context.Context) { call = *awsapi.CallFrom(ctx) }
	_, url := start(t, awsapi.Config{Account: "777777777777", Region: "here"},
		awsapi.Service{Model: "sts", API: awsapi.Handlers{"GetCallerIdentity": func(ctx context.Context, _ *sts.GetCallerIdentityInput) (*sts.GetCallerIdentityOutput, error) {
			see(ctx)
			return &sts.GetCallerIdentityOutput{Account: aws.String("1")}, nil
		}}},
		awsapi.Service{Model: "sqs", QueryCodes: map[string]string{"QueueDoesNotExist": "AWS.SimpleQueueService.NonExistentQueue"},
			API: awsapi.Handlers{"GetQueueUrl": func(ctx context.Context, in *sqs.GetQueueUrlInput) (*sqs.GetQueueUrlOutput, error) {
				see(ctx)
				if *in.QueueName == "none" {
					return nil, &awsapi.Error{Code: "QueueDoesNotExist", Message: "no"}
				}
				return &sqs.GetQueueUrlOutput{QueueUrl: in.QueueName}, nil
			}}},
		awsapi.Service{Model: "cloudwatch", API: awsapi.Handlers{"ListDashboards": func(ctx context.Context, _ *cloudwatch.ListDashboardsInput) (*cloudwatch.ListDashboardsOutput, error) {
			see(ctx)
			return &cloudwatch.ListDashboardsOutput{NextToken: aws.String("tok")}, nil
		}}},
		awsapi.Service{Model: "s3", API: awsapi.Handlers{"ListObjectsV2": func(ctx context.Context, in *s3.ListObjectsV2Input) (*s3.ListObjectsV2Output, error) {
			see(ctx)
			return &s3.ListObjectsV2Output{Name: in.Bucket}, nil
		}}},
	)
	json := map[string]string{"Content-Type": "application/x-amz-json-1.0"}
	with := func(h map[string]string, more ...string) map[string]string {
		out := map[string]string{}
		for k, v := range h {
			out[k] = v
		}
		for i := 0; i < len(more); i += 2 {
			out[more[i]] = more[i+1]
		}
		return out
	}
	formed := map[string]string{"Content-Type": "application/x-www-form-urlencoded"}
	identity := "Action=GetCallerIdentity&Version=2011-06-15"
	for _, c := range []struct {
		name    string
		req     request
		want    string // in the body
		service string
		region  string
		account string
	}{
		{"query, signed", request{"POST", "/", identity, with(formed, "Authorization", signed("sts"))}, "<Account>1</Account>", "sts", "ap-south-1", "777777777777"},
		{"query, unsigned", form(identity), "<RequestId>", "sts", "here", "777777777777"},
		{"query, GET", request{"GET", "/?" + identity, "", nil}, "GetCallerIdentityResult", "sts", "here", "777777777777"},
		{"query, presigned", request{"GET", "/?" + identity + "&X-Amz-Credential=123456789012%2F20260101%2Feu-west-1%2Fsts%2Faws4_request", "", nil}, "GetCallerIdentityResult", "sts", "eu-west-1", "123456789012"},
		{"json, by target", request{"POST", "/", `{"QueueName":"q"}`, with(json, "X-Amz-Target", "AmazonSQS.GetQueueUrl")}, `{"QueueUrl":"q"}`, "sqs", "here", "777777777777"},
		{"json's service in query", form("Action=GetQueueUrl&Version=2012-11-05&QueueName=q"), "", "", "", ""},
		{"the same, signed", request{"POST", "/", "Action=GetQueueUrl&Version=2012-11-05&QueueName=q", with(formed, "Authorization", signed("sqs"))}, "<QueueUrl>q</QueueUrl>", "sqs", "ap-south-1", "777777777777"},
		{"an error with its query code", request{"POST", "/", `{"QueueName":"none"}`, with(json, "X-Amz-Target", "AmazonSQS.GetQueueUrl")}, "com.amazonaws.sqs#QueueDoesNotExist", "sqs", "here", ""},
		{"cbor", request{"POST", "/service/GraniteServiceVersion20100801/operation/ListDashboards", "", map[string]string{"Smithy-Protocol": "rpc-v2-cbor"}}, "ctok", "cloudwatch", "here", ""},
		{"cbor's service in json", request{"POST", "/", "{}", with(json, "X-Amz-Target", "GraniteServiceVersion20100801.ListDashboards")}, `{"NextToken":"tok"}`, "cloudwatch", "here", ""},
		{"cbor's service in query", form("Action=ListDashboards&Version=2010-08-01"), "<NextToken>tok</NextToken>", "cloudwatch", "here", ""},
		{"rest, signed", request{"GET", "/bkt?list-type=2", "", map[string]string{"Authorization": signed("s3")}}, "<Name>bkt</Name>", "s3", "ap-south-1", ""},
		{"SigV4A", request{"GET", "/bkt?list-type=2", "", map[string]string{"Authorization": "AWS4-ECDSA-P256-SHA256 Credential=AKID/20260101/s3/aws4_request, X", "X-Amz-Region-Set": "eu-south-2"}}, "<Name>bkt</Name>", "s3", "eu-south-2", ""},
		{"a region that is none", request{"POST", "/", identity, with(formed, "Authorization", "AWS4-HMAC-SHA256 Credential=A/1/..%2F/sts/aws4_request, X")}, "<Account>", "sts", "here", ""},
	} {
		call = awsapi.Call{}
		_, body, h := c.req.send(t, url)
		if !strings.Contains(body, c.want) || call.Service != c.service || call.Region != c.region || c.account != "" && call.Account != c.account {
			t.Errorf("%s: %+v, %q", c.name, call, body)
		}
		if c.service == "s3" && h.Get("x-amz-request-id") == "" {
			t.Errorf("%s: no x-amz-request-id", c.name)
		}
		if strings.HasPrefix(c.name, "an error") && h.Get("x-amzn-query-error") != "AWS.SimpleQueueService.NonExistentQueue;Sender" {
			t.Errorf("x-amzn-query-error is %q", h.Get("x-amzn-query-error"))
		}
	}
}

func TestMatch(t *testing.T) {
	s, err := awsapi.New(awsapi.Config{}, everywhere()...)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		method, target string
		header         [2]string
		want           bool
	}{
		{"POST", "/", [2]string{"X-Amz-Target", "AmazonSQS.SendMessage"}, true},
		{"POST", "/", [2]string{"Content-Type", "application/x-www-form-urlencoded"}, true},
		{"GET", "/anything", [2]string{"Authorization", signed("ecs")}, true},
		{"GET", "/anything?X-Amz-Credential=a%2Fb%2Fc%2Fd%2Faws4_request", [2]string{}, true},
		{"POST", "/service/X/operation/Y", [2]string{}, true},
		{"GET", "/?Action=X", [2]string{}, true},
		{"POST", "/2015-03-31/functions/f/aliases", [2]string{}, true},
		{"GET", "http://ecs.us-east-1.amazonaws.com/", [2]string{}, true},
		{"GET", "/", [2]string{}, false},
		{"GET", "/index.html", [2]string{}, false},
		{"POST", "/orders", [2]string{"Content-Type", "application/x-www-form-urlencoded"}, false},
		{"GET", "/", [2]string{"Authorization", "Basic eDp5"}, false},
		{"GET", "http://web-1.us-east-1.elb.localhost:4566/", [2]string{}, false},
	} {
		r := httptest.NewRequest(c.method, c.target, nil)
		if c.header[0] != "" {
			r.Header.Set(c.header[0], c.header[1])
		}
		if got := s.Match(r); got != c.want {
			t.Errorf("Match(%s %s %v) = %v", c.method, c.target, c.header, got)
		}
	}
}
