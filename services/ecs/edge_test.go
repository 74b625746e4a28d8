package ecs

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/store"
)

// serve puts the API behind the edge and returns its URL.
func (f *fixture) serve() string {
	f.t.Helper()
	srv, err := awsapi.New(awsapi.Config{}, awsapi.Service{Model: "ecs", API: f.API})
	must(f.t, err)
	must(f.t, srv.Verify())
	h := httptest.NewServer(srv)
	f.t.Cleanup(h.Close)
	return h.URL
}

func client(url string) *ecs.Client {
	return ecs.New(ecs.Options{BaseEndpoint: &url, Region: "us-east-1", Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider("000000000000", "x", "")})
}

// The SDK's client and its waiters work against the API.
func TestSDK(t *testing.T) {
	f := newFixture(t)
	c := client(f.serve())
	ctx := context.Background()
	_, err := c.CreateCluster(ctx, &ecs.CreateClusterInput{})
	must(t, err)
	_, err = c.RegisterTaskDefinition(ctx, &ecs.RegisterTaskDefinitionInput{Family: ptr("web"), ContainerDefinitions: []types.ContainerDefinition{{Name: ptr("app"), Image: ptr("i"), Memory: ptr(int32(64))}}})
	must(t, err)
	out, err := c.RunTask(ctx, &ecs.RunTaskInput{TaskDefinition: ptr("web"), ClientToken: ptr("t"), Count: ptr(int32(2))})
	must(t, err)
	ids := []string{*out.Tasks[0].TaskArn, *out.Tasks[1].TaskArn}
	fast := func(o *ecs.TasksRunningWaiterOptions) {
		o.MinDelay, o.MaxDelay = time.Millisecond, 5*time.Millisecond
	}
	for _, k := range out.Tasks {
		go f.SubmitTaskStateChange(f.agent, &ecs.SubmitTaskStateChangeInput{Task: k.TaskArn, Status: ptr("RUNNING")})
	}
	must(t, ecs.NewTasksRunningWaiter(c).Wait(ctx, &ecs.DescribeTasksInput{Tasks: ids}, 10*time.Second, fast))
	for _, id := range ids {
		_, err := c.StopTask(ctx, &ecs.StopTaskInput{Task: &id})
		must(t, err)
		go f.SubmitTaskStateChange(f.agent, &ecs.SubmitTaskStateChangeInput{Task: &id, Status: ptr("STOPPED")})
	}
	must(t, ecs.NewTasksStoppedWaiter(c).Wait(ctx, &ecs.DescribeTasksInput{Tasks: ids}, 10*time.Second, func(o *ecs.TasksStoppedWaiterOptions) {
		o.MinDelay, o.MaxDelay = time.Millisecond, 5*time.Millisecond
	}))
	if err := ecs.NewTasksRunningWaiter(c).Wait(ctx, &ecs.DescribeTasksInput{Tasks: ids}, 10*time.Second, fast); err == nil {
		t.Error("tasks-running does not fail on stopped tasks")
	}
	_, err = c.RunTask(ctx, &ecs.RunTaskInput{TaskDefinition: ptr("web"), ClientToken: ptr("t")})
	var conflict *types.ConflictException
	if !errors.As(err, &conflict) || len(conflict.ResourceIds) != 2 {
		t.Errorf("error %v, want a ConflictException with two resources", err)
	}
	_, err = c.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: ptr("nope"), Tasks: ids})
	var none *types.ClusterNotFoundException
	if !errors.As(err, &none) || none.ErrorMessage() != "Cluster not found." {
		t.Errorf("error %v", err)
	}
}

// What is too large for the store is the caller's fault, and said to be; what
// the store has no room for is dhow's.
func TestTooLarge(t *testing.T) {
	f := newFixture(t)
	c := client(f.serve())
	ctx := context.Background()
	many := slices.Repeat([]types.ClusterSetting{{Name: "containerInsights", Value: ptr("enabled")}}, 40_000)
	_, err := c.CreateCluster(ctx, &ecs.CreateClusterInput{Settings: many})
	refused(t, err, "InvalidParameterException", "The request is too large")
	def := &ecs.RegisterTaskDefinitionInput{Family: ptr("web"), TaskRoleArn: ptr(strings.Repeat("r", 2<<20)),
		ContainerDefinitions: []types.ContainerDefinition{{Name: ptr("app"), Image: ptr("i"), Memory: ptr(int32(64))}}}
	_, err = c.RegisterTaskDefinition(ctx, def)
	refused(t, err, "ClientException", "Max allowed length is '65536' bytes.")

	srv, err := awsapi.New(awsapi.Config{}, awsapi.Service{Model: "ecs", API: awsapi.Handlers{
		"CreateCluster": func(context.Context, *ecs.CreateClusterInput) (*ecs.CreateClusterOutput, error) {
			return nil, fmt.Errorf("%w: /data has 3 MiB free", store.ErrFull)
		}}})
	must(t, err)
	h := httptest.NewServer(srv)
	defer h.Close()
	_, err = client(h.URL).CreateCluster(ctx, &ecs.CreateClusterInput{})
	refused(t, err, "ServerException", "no space is left")
}

// The AWS CLI's conversation with a user.
func TestCLI(t *testing.T) {
	if _, err := exec.LookPath("aws"); err != nil {
		t.Skip("the AWS CLI is not installed")
	}
	f := newFixture(t)
	url := f.serve()
	run := func(line string) (string, error) {
		cmd := exec.Command("aws", append([]string{"--endpoint-url", url, "--output", "text", "ecs"}, strings.Fields(line)...)...)
		cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID=000000000000", "AWS_SECRET_ACCESS_KEY=x", "AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1", "AWS_EC2_METADATA_DISABLED=true", "AWS_MAX_ATTEMPTS=1")
		out, err := cmd.CombinedOutput()
		return strings.TrimSpace(string(out)), err
	}
	for _, tt := range []struct{ line, want string }{
		{"create-cluster --cluster-name c1 --query cluster.status", "ACTIVE"},
		{"list-clusters --query clusterArns", "arn:aws:ecs:us-east-1:000000000000:cluster/c1"},
		{"list-container-instances --cluster c1 --query length(containerInstanceArns)", "1"},
		{`register-task-definition --family web --container-definitions [{"name":"app","image":"i","memory":64}] --query taskDefinition.revision`, "1"},
		{"run-task --cluster c1 --task-definition web --tags key=a,value=b --query tasks[0].lastStatus", "PROVISIONING"},
		{"list-tasks --cluster c1 --query length(taskArns)", "1"},
		{"stop-task --cluster c1 --task t9", "The referenced task was not found."},
		{"describe-tasks --cluster c1 --tasks t9 --query failures[0].reason", "MISSING"},
		{"run-task --cluster c2 --task-definition web", "(ClusterNotFoundException) when calling the RunTask operation: Cluster not found."},
		{"delete-cluster --cluster c1", "(ClusterContainsTasksException)"},
	} {
		out, _ := run(tt.line)
		if !strings.Contains(out, tt.want) {
			t.Errorf("aws ecs %s: %q, want %q", tt.line, out, tt.want)
		}
	}
}
