package test

import (
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// lab runs tasks of the program probe in an account of its own, in the cluster
// lab and the log group /lab.
type lab struct {
	strict
	p       *platform
	account string
	cfg     aws.Config
	ecs     *ecs.Client
	logs    *cloudwatchlogs.Client
	image   string
}

func newLab(t *testing.T) *lab {
	t.Helper()
	account := newAccount()
	l := &lab{strict: strict{t}, p: need(t), account: account, image: account + ".dkr.ecr.us-east-1.amazonaws.com/probe:1"}
	push(t, l.p, account, "probe:1", build(t, "./probe"))
	l.cfg = l.p.config(account)
	l.ecs, l.logs = ecs.NewFromConfig(l.cfg), cloudwatchlogs.NewFromConfig(l.cfg)
	_, err := l.ecs.CreateCluster(t.Context(), &ecs.CreateClusterInput{ClusterName: aws.String("lab")})
	l.must(err)
	_, err = l.logs.CreateLogGroup(t.Context(), &cloudwatchlogs.CreateLogGroupInput{LogGroupName: aws.String("/lab")})
	l.must(err)
	return l
}

// in is the lab for a test within l's.
func (l *lab) in(t *testing.T) *lab {
	inner := *l
	inner.T = t
	return &inner
}

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

// push makes an image of a program, as an account's.
func push(t *testing.T, p *platform, account, tag, bin string) {
	t.Helper()
	c := exec.Command(dhow, "image", "build", "-t", tag, bin)
	c.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+p.url, "AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID="+account)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// probe is a container that runs the program so.
func (l *lab) probe(args ...string) types.ContainerDefinition {
	return types.ContainerDefinition{
		Name: aws.String("probe"), Image: &l.image, Memory: aws.Int32(64), Command: args,
		LogConfiguration: &types.LogConfiguration{LogDriver: types.LogDriverAwslogs, Options: map[string]string{
			"awslogs-group": "/lab", "awslogs-region": "us-east-1", "awslogs-stream-prefix": "p"}},
	}
}

// run starts a task of a definition, as a family of the lab's, and returns its
// ARN.
func (l *lab) run(mode types.NetworkMode, def *ecs.RegisterTaskDefinitionInput) string {
	l.Helper()
	def.Family, def.NetworkMode = aws.String("lab"), mode
	_, err := l.ecs.RegisterTaskDefinition(l.Context(), def)
	l.must(err)
	in := &ecs.RunTaskInput{Cluster: aws.String("lab"), TaskDefinition: aws.String("lab")}
	if mode == types.NetworkModeAwsvpc {
		subnets, err := ec2.NewFromConfig(l.cfg).DescribeSubnets(l.Context(), nil)
		l.must(err)
		in.NetworkConfiguration = &types.NetworkConfiguration{AwsvpcConfiguration: &types.AwsVpcConfiguration{Subnets: []string{*subnets.Subnets[0].SubnetId}}}
	}
	out, err := l.ecs.RunTask(l.Context(), in)
	l.must(err)
	if len(out.Tasks) != 1 {
		l.Fatalf("failures %+v", out.Failures)
	}
	return *out.Tasks[0].TaskArn
}

// stopped waits for the end of a task.
func (l *lab) stopped(task string) (got types.Task) {
	l.Helper()
	eventually(l.T, 60*time.Second, func() error {
		out, err := l.ecs.DescribeTasks(l.Context(), &ecs.DescribeTasksInput{Cluster: aws.String("lab"), Tasks: []string{task}})
		if err != nil || len(out.Tasks) != 1 {
			return fmt.Errorf("%+v, %w", out, err)
		}
		if got = out.Tasks[0]; *got.LastStatus != "STOPPED" {
			return fmt.Errorf("task is %s", *got.LastStatus)
		}
		return nil
	})
	return got
}

// said is what the container probe of an ended task wrote.
func (l *lab) said(task string) string {
	l.Helper()
	stream := "p/probe/" + path.Base(task)
	out, err := l.logs.GetLogEvents(l.Context(), &cloudwatchlogs.GetLogEventsInput{LogGroupName: aws.String("/lab"), LogStreamName: &stream})
	l.must(err)
	var lines []string
	for _, e := range out.Events {
		lines = append(lines, *e.Message)
	}
	return strings.Join(lines, "\n")
}
