package awsapi_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/dhowhq/dhow/internal/awsapi"
)

const ann = "arn:aws:iam::123456789012:user/ann"

// policies lets calls do what is in it: "ACTION RESOURCE". It records what it
// is asked.
type policies struct {
	allowed []string
	asked   []string
}

func (p *policies) Authorize(_ *http.Request, c *awsapi.Call) error {
	c.Principal, c.Allow = ann, p.allow
	return nil
}

func (p *policies) allow(action, resource string) error {
	p.asked = append(p.asked, action+" "+resource)
	if slices.Contains(p.allowed, action+" "+resource) {
		return nil
	}
	return &awsapi.Denied{Principal: ann, Action: action, Resource: resource}
}

// TestPermit has the edge ask for the service's own names before the handler,
// and for everything where a service has none.
func TestPermit(t *testing.T) {
	p := &policies{}
	called := 0
	describe := awsapi.Handlers{"DescribeClusters": func(context.Context, *ecs.DescribeClustersInput) (*ecs.DescribeClustersOutput, error) {
		called++
		return &ecs.DescribeClustersOutput{}, nil
	}}
	named := awsapi.Service{Model: "ecs", API: describe, Permit: func(ctx context.Context, in any) error {
		return awsapi.Allow(ctx, "ecs:Describe", in.(*ecs.DescribeClustersInput).Clusters...)
	}}
	for _, c := range []struct {
		service awsapi.Service
		asks    []string
	}{
		{awsapi.Service{Model: "ecs", API: describe}, []string{"ecs:DescribeClusters *"}},
		{named, []string{"ecs:Describe a", "ecs:Describe b"}},
	} {
		_, url := start(t, awsapi.Config{Auth: p}, c.service)
		client := ecs.New(ecs.Options{BaseEndpoint: &url, Region: "r", Credentials: creds, RetryMaxAttempts: 1})
		for n := range len(c.asks) + 1 {
			p.allowed, p.asked, called = c.asks[:n], nil, 0
			_, err := client.DescribeClusters(t.Context(), &ecs.DescribeClustersInput{Clusters: []string{"a", "b"}})
			if n == len(c.asks) {
				if err != nil || called != 1 || !slices.Equal(p.asked, c.asks) {
					t.Errorf("allowed %q: %v, asked %q, called %d times", p.allowed, err, p.asked, called)
				}
				continue
			}
			action, resource, _ := strings.Cut(c.asks[n], " ")
			want := "User: " + ann + " is not authorized to perform: " + action + " on resource: " + resource + " because no identity-based policy allows the " + action + " action"
			var e smithy.APIError
			if !errors.As(err, &e) || e.ErrorCode() != "AccessDeniedException" || e.ErrorMessage() != want || called != 0 || !slices.Equal(p.asked, c.asks[:n+1]) {
				t.Errorf("allowed %q: %v, asked %q, called %d times", p.allowed, err, p.asked, called)
			}
		}
	}
}

// TestDeniedCodes holds the code and status of a refusal in each protocol.
func TestDeniedCodes(t *testing.T) {
	_, url := start(t, awsapi.Config{Auth: &policies{}},
		awsapi.Service{Model: "elbv2", API: elbAPI{}},
		awsapi.Service{Model: "ec2", API: awsapi.Handlers{"DescribeVpcs": func(context.Context, *ec2.DescribeVpcsInput) (*ec2.DescribeVpcsOutput, error) { return nil, nil }}},
		awsapi.Service{Model: "s3", API: awsapi.Handlers{"ListBuckets": func(context.Context, *s3.ListBucketsInput) (*s3.ListBucketsOutput, error) { return nil, nil }}},
		awsapi.Service{Model: "lambda", API: awsapi.Handlers{"ListFunctions": func(context.Context, *lambda.ListFunctionsInput) (*lambda.ListFunctionsOutput, error) {
			return nil, nil
		}}},
		awsapi.Service{Model: "sns", API: awsapi.Handlers{"ListTopics": func(context.Context, *sns.ListTopicsInput) (*sns.ListTopicsOutput, error) { return nil, nil }}},
		awsapi.Service{Model: "sqs", API: awsapi.Handlers{"ListQueues": func(context.Context, *sqs.ListQueuesInput) (*sqs.ListQueuesOutput, error) { return nil, nil }},
			QueryCodes: map[string]string{"AccessDeniedException": "AccessDenied"}})
	ctx := t.Context()
	for _, c := range []struct {
		service, code string
		status        int
		call          func() error
	}{
		{"elasticloadbalancing", "AccessDenied", 403, func() error {
			_, err := elbv2.New(elbv2.Options{BaseEndpoint: &url, Region: "r", Credentials: creds}).DescribeLoadBalancers(ctx, &elbv2.DescribeLoadBalancersInput{})
			return err
		}},
		{"ec2", "UnauthorizedOperation", 403, func() error {
			_, err := ec2.New(ec2.Options{BaseEndpoint: &url, Region: "r", Credentials: creds}).DescribeVpcs(ctx, &ec2.DescribeVpcsInput{})
			return err
		}},
		{"s3", "AccessDenied", 403, func() error {
			_, err := s3.New(s3.Options{BaseEndpoint: &url, Region: "r", Credentials: creds, UsePathStyle: true}).ListBuckets(ctx, &s3.ListBucketsInput{})
			return err
		}},
		{"lambda", "AccessDeniedException", 403, func() error {
			_, err := lambda.New(lambda.Options{BaseEndpoint: &url, Region: "r", Credentials: creds}).ListFunctions(ctx, &lambda.ListFunctionsInput{})
			return err
		}},
		{"sns", "AuthorizationError", 403, func() error {
			_, err := sns.New(sns.Options{BaseEndpoint: &url, Region: "r", Credentials: creds}).ListTopics(ctx, &sns.ListTopicsInput{})
			return err
		}},
		{"sqs", "AccessDenied", 403, func() error {
			_, err := sqs.New(sqs.Options{BaseEndpoint: &url, Region: "r", Credentials: creds}).ListQueues(ctx, &sqs.ListQueuesInput{})
			return err
		}},
	} {
		var e smithy.APIError
		var r *smithyhttp.ResponseError
		err := c.call()
		if !errors.As(err, &e) || !errors.As(err, &r) || e.ErrorCode() != c.code || r.HTTPStatusCode() != c.status ||
			!strings.Contains(e.ErrorMessage(), "User: "+ann+" is not authorized to perform: "+c.service+":") {
			t.Errorf("%s: %v", c.service, err)
		}
	}
}

// TestAllowFound tells nobody which ids there are who may not do the action with
// everything, nor whose they are.
func TestAllowFound(t *testing.T) {
	for _, c := range []struct {
		allowed []string
		found   []string
		known   bool
		denied  string
	}{
		{[]string{"a r", "a s"}, []string{"r", "s"}, true, ""},
		{[]string{"a r"}, []string{"r", "s"}, false, "*"},
		{[]string{"a r"}, nil, false, "*"},
		{[]string{"a *"}, nil, false, ""},
		{[]string{"a *"}, []string{"r"}, false, ""}, // such as "*" and a Deny of r
	} {
		ctx := awsapi.WithCall(t.Context(), &awsapi.Call{Allow: (&policies{allowed: c.allowed}).allow})
		known, err := awsapi.AllowFound(ctx, "a", c.found...)
		var d *awsapi.Denied
		if known != c.known || errors.As(err, &d) != (c.denied != "") || d != nil && (d.Resource != c.denied || d.Explicit) {
			t.Errorf("%+v: %v, %v", c, known, err)
		}
	}
	for _, found := range [][]string{nil, {"r"}} {
		if known, err := awsapi.AllowFound(t.Context(), "a", found...); err != nil || known != (found != nil) {
			t.Errorf("while policies do not count, %q: %v, %v", found, known, err)
		}
	}
}
