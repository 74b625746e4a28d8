package test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// stack is a service behind a load balancer, deployed with the Go SDK.
type stack struct {
	p       *platform
	account string
	ecs     *ecs.Client
	elb     *elb.Client
	ec2     *ec2.Client
	subnets []string
	host    string
	group   string
}

func newStack(t *testing.T, p *platform, account string) *stack {
	// Twice, for on a busy machine the SDK now and then closes a connection whose
	// answer it is about to read, whoever the server is.
	c := aws.Config{Region: "us-east-1", BaseEndpoint: &p.url, RetryMaxAttempts: 2,
		Credentials: credentials.NewStaticCredentialsProvider(account, "any", "")}
	s := &stack{p: p, account: account, ecs: ecs.NewFromConfig(c), elb: elb.NewFromConfig(c), ec2: ec2.NewFromConfig(c)}
	ctx := t.Context()
	if _, err := s.ecs.CreateCluster(ctx, &ecs.CreateClusterInput{ClusterName: aws.String("kill")}); err != nil {
		t.Fatal(err)
	}
	subnets, err := s.ec2.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range subnets.Subnets {
		s.subnets = append(s.subnets, *n.SubnetId)
	}
	lb, err := s.elb.CreateLoadBalancer(ctx, &elb.CreateLoadBalancerInput{Name: aws.String("hello"), Subnets: s.subnets})
	if err != nil {
		t.Fatal(err)
	}
	s.host = *lb.LoadBalancers[0].DNSName
	tg, err := s.elb.CreateTargetGroup(ctx, &elb.CreateTargetGroupInput{Name: aws.String("hello"), TargetType: elbtypes.TargetTypeEnumIp,
		Protocol: elbtypes.ProtocolEnumHttp, Port: aws.Int32(8080), VpcId: subnets.Subnets[0].VpcId, HealthCheckPath: aws.String("/health"), HealthCheckIntervalSeconds: aws.Int32(5), HealthCheckTimeoutSeconds: aws.Int32(2)})
	if err != nil {
		t.Fatal(err)
	}
	s.group = *tg.TargetGroups[0].TargetGroupArn
	if _, err := s.elb.ModifyTargetGroupAttributes(ctx, &elb.ModifyTargetGroupAttributesInput{TargetGroupArn: &s.group,
		Attributes: []elbtypes.TargetGroupAttribute{{Key: aws.String("deregistration_delay.timeout_seconds"), Value: aws.String("1")}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.elb.CreateListener(ctx, &elb.CreateListenerInput{LoadBalancerArn: lb.LoadBalancers[0].LoadBalancerArn, Protocol: elbtypes.ProtocolEnumHttp, Port: aws.Int32(80),
		DefaultActions: []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, TargetGroupArn: &s.group}}}); err != nil {
		t.Fatal(err)
	}
	return s
}

// pushHello builds the image with the verb that users have.
func (s *stack) pushHello(t *testing.T) {
	t.Helper()
	push(t, s.p, s.account, "hello:1", hello)
}

// register makes a revision whose answers carry version.
func (s *stack) register(t *testing.T, version string) {
	t.Helper()
	_, err := s.ecs.RegisterTaskDefinition(t.Context(), &ecs.RegisterTaskDefinitionInput{
		Family: aws.String("hello"), ExecutionRoleArn: aws.String("arn:aws:iam::" + s.account + ":role/ecsTaskExecutionRole"), NetworkMode: types.NetworkModeAwsvpc, Cpu: aws.String("256"), Memory: aws.String("512"),
		RequiresCompatibilities: []types.Compatibility{types.CompatibilityFargate},
		ContainerDefinitions: []types.ContainerDefinition{{
			Name: aws.String("web"), Image: aws.String(s.account + ".dkr.ecr.us-east-1.amazonaws.com/hello:1"),
			PortMappings: []types.PortMapping{{ContainerPort: aws.Int32(8080)}},
			Environment:  []types.KeyValuePair{{Name: aws.String("VERSION"), Value: &version}},
		}}})
	if err != nil {
		t.Fatal(err)
	}
}

func (s *stack) deploy(t *testing.T, version string, count int32) {
	t.Helper()
	s.register(t, version)
	_, err := s.ecs.CreateService(t.Context(), &ecs.CreateServiceInput{Cluster: aws.String("kill"), ServiceName: aws.String("hello"),
		TaskDefinition: aws.String("hello"), DesiredCount: &count, LaunchType: types.LaunchTypeFargate,
		NetworkConfiguration: &types.NetworkConfiguration{AwsvpcConfiguration: &types.AwsVpcConfiguration{Subnets: s.subnets}},
		LoadBalancers:        []types.LoadBalancer{{TargetGroupArn: &s.group, ContainerName: aws.String("web"), ContainerPort: aws.Int32(8080)}}})
	if err != nil {
		t.Fatal(err)
	}
}

// stable waits until the service has one deployment and all its tasks.
func (s *stack) stable(t *testing.T, limit time.Duration) {
	t.Helper()
	eventually(t, limit, func() error {
		out, err := s.ecs.DescribeServices(t.Context(), &ecs.DescribeServicesInput{Cluster: aws.String("kill"), Services: []string{"hello"}})
		if err != nil {
			return err
		}
		v := out.Services[0]
		if len(v.Deployments) != 1 || v.RunningCount != v.DesiredCount || v.Deployments[0].RolloutState != types.DeploymentRolloutStateCompleted {
			said := ""
			if len(v.Events) > 0 {
				said = *v.Events[0].Message
			}
			return fmt.Errorf("%d deployments, %d of %d running, %s; last event: %s", len(v.Deployments), v.RunningCount, v.DesiredCount, v.Deployments[0].RolloutState, said)
		}
		return nil
	})
}

func (s *stack) tasks(t *testing.T) []types.Task {
	t.Helper()
	list, err := s.ecs.ListTasks(t.Context(), &ecs.ListTasksInput{Cluster: aws.String("kill")})
	if err != nil {
		t.Fatal(err)
	}
	if len(list.TaskArns) == 0 {
		return nil
	}
	out, err := s.ecs.DescribeTasks(t.Context(), &ecs.DescribeTasksInput{Cluster: aws.String("kill"), Tasks: list.TaskArns})
	if err != nil {
		t.Fatal(err)
	}
	return out.Tasks
}

// runningContainers maps the ids of running tasks to their containers.
func (s *stack) runningContainers(t *testing.T) map[string]string {
	t.Helper()
	m := map[string]string{}
	for _, k := range s.tasks(t) {
		if *k.LastStatus == "RUNNING" {
			m[path.Base(*k.TaskArn)] = aws.ToString(k.Containers[0].RuntimeId)
		}
	}
	return m
}

func (s *stack) families(t *testing.T) (names []string) {
	t.Helper()
	pages := ecs.NewListTaskDefinitionFamiliesPaginator(s.ecs, &ecs.ListTaskDefinitionFamiliesInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, page.Families...)
	}
	return names
}

// get calls the service through its load balancer.
func (s *stack) get(ctx context.Context) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.host+"/", nil)
	if err != nil {
		return "", err
	}
	c := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, s.p.address())
		}}}
	res, err := c.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = errors.New(res.Status)
	}
	return strings.TrimSpace(string(body)), err
}
