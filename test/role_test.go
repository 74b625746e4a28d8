package test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// build makes a static program of this module and returns its path.
func build(t *testing.T, pkg string) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), path.Base(pkg))
	cmd := exec.Command("go", "build", "-o", bin, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", pkg, err, out)
	}
	return bin
}

// push makes an image of a program as an account's.
func push(t *testing.T, p *platform, account, tag, bin string) {
	t.Helper()
	c := exec.Command(dhow, "image", "build", "-t", tag, bin)
	c.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+p.url, "AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID="+account)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// TestTaskRole runs a program that finds everything by the SDK's default chain:
// it is the task's role, in the task's account, in each network mode.
func TestTaskRole(t *testing.T) {
	p := need(t)
	const account = "555500001111"
	push(t, p, account, "whoami:1", build(t, "./whoami"))
	cfg := aws.Config{Region: "us-east-1", BaseEndpoint: &p.url, Credentials: credentials.NewStaticCredentialsProvider(account, "any", "")}
	api, logs, ctx := ecs.NewFromConfig(cfg), cloudwatchlogs.NewFromConfig(cfg), t.Context()
	if _, err := api.CreateCluster(ctx, &ecs.CreateClusterInput{ClusterName: aws.String("roles")}); err != nil {
		t.Fatal(err)
	}
	if _, err := logs.CreateLogGroup(ctx, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: aws.String("/whoami")}); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []types.NetworkMode{types.NetworkModeAwsvpc, types.NetworkModeBridge, types.NetworkModeHost} {
		t.Run(string(mode), func(t *testing.T) {
			_, err := api.RegisterTaskDefinition(ctx, &ecs.RegisterTaskDefinitionInput{
				Family: aws.String("whoami"), NetworkMode: mode, TaskRoleArn: aws.String("arn:aws:iam::" + account + ":role/apps/orders"),
				ContainerDefinitions: []types.ContainerDefinition{{
					Name: aws.String("who"), Image: aws.String(account + ".dkr.ecr.us-east-1.amazonaws.com/whoami:1"), Memory: aws.Int32(64),
					LogConfiguration: &types.LogConfiguration{LogDriver: types.LogDriverAwslogs, Options: map[string]string{
						"awslogs-group": "/whoami", "awslogs-region": "us-east-1", "awslogs-stream-prefix": string(mode)}},
				}}})
			if err != nil {
				t.Fatal(err)
			}
			in := &ecs.RunTaskInput{Cluster: aws.String("roles"), TaskDefinition: aws.String("whoami")}
			if mode == types.NetworkModeAwsvpc {
				subnets, err := ec2.NewFromConfig(cfg).DescribeSubnets(ctx, nil)
				if err != nil {
					t.Fatal(err)
				}
				in.NetworkConfiguration = &types.NetworkConfiguration{AwsvpcConfiguration: &types.AwsVpcConfiguration{Subnets: []string{*subnets.Subnets[0].SubnetId}}}
			}
			run, err := api.RunTask(ctx, in)
			if err != nil || len(run.Tasks) != 1 {
				t.Fatalf("%+v, %v", run, err)
			}
			id := path.Base(*run.Tasks[0].TaskArn)
			said := outcome(t, api, logs, id, string(mode)+"/who/"+id)
			var got struct {
				Account, Arn, UserId, Region string
				Clusters                     []string
			}
			if err := json.Unmarshal([]byte(said), &got); err != nil {
				t.Fatalf("it said %q: %v", said, err)
			}
			if got.Account != account || got.Arn != "arn:aws:sts::"+account+":assumed-role/orders/"+id || got.Region != "us-east-1" ||
				!strings.HasPrefix(got.UserId, "AROA") || !strings.HasSuffix(got.UserId, ":"+id) ||
				len(got.Clusters) != 1 || !strings.HasSuffix(got.Clusters[0], ":"+account+":cluster/roles") {
				t.Errorf("it is %+v", got)
			}
		})
	}
}

// outcome waits for the end of a task and returns what it wrote.
func outcome(t *testing.T, api *ecs.Client, logs *cloudwatchlogs.Client, id, stream string) (said string) {
	t.Helper()
	eventually(t, 60*time.Second, func() error {
		out, err := api.DescribeTasks(t.Context(), &ecs.DescribeTasksInput{Cluster: aws.String("roles"), Tasks: []string{id}})
		if err != nil || len(out.Tasks) != 1 {
			return fmt.Errorf("%+v, %w", out, err)
		}
		if got := out.Tasks[0]; *got.LastStatus != "STOPPED" {
			return fmt.Errorf("it is %s", *got.LastStatus)
		}
		events, err := logs.GetLogEvents(t.Context(), &cloudwatchlogs.GetLogEventsInput{LogGroupName: aws.String("/whoami"), LogStreamName: &stream})
		if err != nil {
			return fmt.Errorf("it stopped, %s: %w", aws.ToString(out.Tasks[0].StoppedReason), err)
		}
		if len(events.Events) != 1 {
			return fmt.Errorf("it stopped with %d lines", len(events.Events))
		}
		said = *events.Events[0].Message
		return nil
	})
	return said
}
