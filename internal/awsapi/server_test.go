package awsapi_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/smithy-go"

	"github.com/dhowhq/dhow/internal/awsapi"
)

// ecsAPI is a face of two operations.
type ecsAPI struct {
	describe func(context.Context, *ecs.DescribeClustersInput) (*ecs.DescribeClustersOutput, error)
}

func (a *ecsAPI) DescribeClusters(ctx context.Context, in *ecs.DescribeClustersInput) (*ecs.DescribeClustersOutput, error) {
	return a.describe(ctx, in)
}

func (a *ecsAPI) RunTask(ctx context.Context, in *ecs.RunTaskInput) (*ecs.RunTaskOutput, error) {
	return nil, &types.ConflictException{Message: aws.String("taken"), ResourceIds: []string{"a", "b"}}
}

type elbAPI struct{}

func (elbAPI) DescribeLoadBalancers(ctx context.Context, in *elbv2.DescribeLoadBalancersInput) (*elbv2.DescribeLoadBalancersOutput, error) {
	if len(in.Names) == 0 {
		return nil, &elbtypes.LoadBalancerNotFoundException{Message: aws.String("Load balancers '[x]' not found")}
	}
	return &elbv2.DescribeLoadBalancersOutput{LoadBalancers: []elbtypes.LoadBalancer{{LoadBalancerName: aws.String(strings.Join(in.Names, "&"))}}}, nil
}

func start(t testing.TB, cfg awsapi.Config, services ...awsapi.Service) (*awsapi.Server, string) {
	t.Helper()
	s, err := awsapi.New(cfg, services...)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(s)
	t.Cleanup(web.Close)
	return s, web.URL
}

var creds = credentials.NewStaticCredentialsProvider("123456789012", "x", "")

func TestThroughTheSDK(t *testing.T) {
	var call awsapi.Call
	var has [2]bool
	api := &ecsAPI{describe: func(ctx context.Context, in *ecs.DescribeClustersInput) (*ecs.DescribeClustersOutput, error) {
		call = *awsapi.CallFrom(ctx)
		has = [2]bool{awsapi.Has(ctx, "clusters"), awsapi.Has(ctx, "include")}
		return &ecs.DescribeClustersOutput{Clusters: []types.Cluster{{ClusterName: aws.String(in.Clusters[0]), RunningTasksCount: 3}}}, nil
	}}
	s, url := start(t, awsapi.Config{}, awsapi.Service{Model: "ecs", API: api}, awsapi.Service{Model: "elbv2", API: elbAPI{}})
	if err := s.Verify(); err != nil {
		t.Fatal(err)
	}
	c := ecs.New(ecs.Options{BaseEndpoint: &url, Region: "eu-west-3", Credentials: creds})
	out, err := c.DescribeClusters(context.Background(), &ecs.DescribeClustersInput{Clusters: []string{"héllo\n\"x\""}})
	if err != nil {
		t.Fatal(err)
	}
	if *out.Clusters[0].ClusterName != "héllo\n\"x\"" || out.Clusters[0].RunningTasksCount != 3 {
		t.Errorf("got %+v", out.Clusters[0])
	}
	if call.Account != "123456789012" || call.Region != "eu-west-3" || call.Service != "ecs" || call.Operation != "DescribeClusters" ||
		call.Principal != "arn:aws:iam::123456789012:root" || len(call.RequestID) != 36 {
		t.Errorf("call %+v", call)
	}
	if has != [2]bool{true, false} {
		t.Errorf("Has says %v", has)
	}

	_, err = c.RunTask(context.Background(), &ecs.RunTaskInput{TaskDefinition: aws.String("x")})
	var conflict *types.ConflictException
	if !errors.As(err, &conflict) || *conflict.Message != "taken" || len(conflict.ResourceIds) != 2 {
		t.Errorf("RunTask: %v", err)
	}
	_, err = c.ListClusters(context.Background(), &ecs.ListClustersInput{})
	var apiErr smithy.APIError
	if !errors.As(err, &apiErr) || apiErr.ErrorCode() != awsapi.CodeNotServed || !strings.Contains(apiErr.ErrorMessage(), "ecs.ListClusters") {
		t.Errorf("ListClusters: %v", err)
	}

	lb := elbv2.New(elbv2.Options{BaseEndpoint: &url, Region: "eu-west-3", Credentials: creds})
	lbs, err := lb.DescribeLoadBalancers(context.Background(), &elbv2.DescribeLoadBalancersInput{Names: []string{"a", "<b>"}})
	if err != nil || *lbs.LoadBalancers[0].LoadBalancerName != "a&<b>" {
		t.Errorf("DescribeLoadBalancers: %v %v", lbs, err)
	}
	_, err = lb.DescribeLoadBalancers(context.Background(), &elbv2.DescribeLoadBalancersInput{})
	var missing *elbtypes.LoadBalancerNotFoundException
	if !errors.As(err, &missing) || missing.ErrorMessage() != "Load balancers '[x]' not found" {
		t.Errorf("DescribeLoadBalancers: %v", err)
	}
}
