package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

const (
	account = "000000000000"
	region  = "us-east-1"
	image   = account + ".dkr.ecr." + region + ".amazonaws.com/hello:1"
)

// platform is a running `dhow up` and the tasks that the benchmark starts.
type platform struct {
	bin, dir, url string
	cmd           *exec.Cmd
	ecs           *ecs.Client
	subnet        string
	events        *events
}

// start runs `dhow up` and returns when it says that it is ready, and how long
// that took from the program's start.
func start(ctx context.Context, bin, listen, dir string) (*platform, time.Duration, error) {
	p := &platform{bin: bin, dir: dir}
	// Room for every task that is measured: what fits is not what is measured.
	p.cmd = exec.Command(bin, "up", "--listen", listen, "--data-dir", dir, "--node-cpu", "65536", "--node-memory", "65536")
	p.cmd.Stderr = os.Stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM} // Ctrl-C is for the benchmark, which ends it
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, 0, err
	}
	began := time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, 0, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	took := time.Since(began)
	if err != nil {
		p.cmd.Wait()
		return nil, 0, fmt.Errorf("dhow did not start: it said why above")
	}
	fields := strings.Fields(line)
	p.url = fields[len(fields)-1]
	return p, took, ctx.Err()
}

func (p *platform) pid() int { return p.cmd.Process.Pid }

func awsConfig(url string) aws.Config {
	return aws.Config{Region: region, BaseEndpoint: &url, Credentials: credentials.NewStaticCredentialsProvider(account, "dhow", "")}
}

func ecsClient(url string) *ecs.Client { return ecs.NewFromConfig(awsConfig(url)) }

// prepare pushes the image, makes a cluster and a task definition, and starts
// the task that brings the image to the node.
func (p *platform) prepare(ctx context.Context, hello string) error {
	push := exec.CommandContext(ctx, p.bin, "image", "build", "-t", "hello:1", hello)
	push.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+p.url, "AWS_REGION="+region, "AWS_ACCESS_KEY_ID="+account)
	if out, err := push.CombinedOutput(); err != nil {
		return fmt.Errorf("dhow image build: %w\n%s", err, out)
	}
	p.ecs = ecsClient(p.url)
	if _, err := p.ecs.CreateCluster(ctx, &ecs.CreateClusterInput{}); err != nil {
		return err
	}
	subnets, err := ec2.NewFromConfig(awsConfig(p.url)).DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{})
	if err != nil {
		return err
	}
	p.subnet = *subnets.Subnets[0].SubnetId
	if _, err = p.ecs.RegisterTaskDefinition(ctx, &ecs.RegisterTaskDefinitionInput{
		Family: aws.String("hello"), NetworkMode: types.NetworkModeAwsvpc,
		ContainerDefinitions: []types.ContainerDefinition{{Name: aws.String("web"), Image: aws.String(image), Memory: aws.Int32(64)}},
	}); err != nil {
		return err
	}
	if p.events, err = follow(p.url); err != nil {
		return err
	}
	arn, _, err := p.startTask(ctx)
	if err != nil {
		return err
	}
	return p.stopTasks(ctx, arn)
}

// startTask starts a task and returns when the platform's events say that it
// runs, and how long that took from the call.
func (p *platform) startTask(ctx context.Context) (arn string, took time.Duration, err error) {
	began := time.Now()
	out, err := p.ecs.RunTask(ctx, &ecs.RunTaskInput{TaskDefinition: aws.String("hello"),
		NetworkConfiguration: &types.NetworkConfiguration{AwsvpcConfiguration: &types.AwsVpcConfiguration{Subnets: []string{p.subnet}}}})
	if err != nil {
		return "", 0, err
	}
	if len(out.Tasks) != 1 {
		return "", 0, fmt.Errorf("RunTask placed nothing: %s", aws.ToString(out.Failures[0].Reason))
	}
	arn = *out.Tasks[0].TaskArn
	at, err := p.events.await(ctx, arn, "RUNNING")
	return arn, at.Sub(began), err
}

// stopTasks stops tasks and returns when they have ended.
func (p *platform) stopTasks(ctx context.Context, arns ...string) error {
	for _, arn := range arns {
		if _, err := p.ecs.StopTask(ctx, &ecs.StopTaskInput{Task: &arn}); err != nil {
			return err
		}
	}
	for _, arn := range arns {
		if _, err := p.events.await(ctx, arn, "STOPPED"); err != nil {
			return err
		}
	}
	return nil
}

// down ends the platform and removes all that outlives it.
func (p *platform) down() error {
	if p.events != nil {
		p.events.close()
	}
	p.cmd.Process.Signal(syscall.SIGTERM)
	done := make(chan error, 1)
	go func() { done <- p.cmd.Wait() }()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		p.cmd.Process.Kill()
		<-done
	}
	if out, err := exec.Command(p.bin, "down", "--data-dir", p.dir).CombinedOutput(); err != nil {
		return fmt.Errorf("dhow down: %w\n%s", err, out)
	}
	return nil
}
