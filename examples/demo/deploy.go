package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

const (
	account = "000000000000"
	region  = "us-east-1"
	name    = "hello"
	image   = account + ".dkr.ecr." + region + ".amazonaws.com/" + name + ":1"
)

// deployment deploys hello with the AWS SDK, as any program would.
type deployment struct {
	p       *platform
	config  aws.Config
	ecs     *ecs.Client
	elb     *elb.Client
	ec2     *ec2.Client
	logs    *cloudwatchlogs.Client
	subnets []string
	vpc     string
	group   string // ARN of the target group
	host    string // of the load balancer
	tasks   map[string]task
}

// task is what was last shown of a task.
type task struct{ group, state string }

func newDeployment(p *platform) *deployment {
	c := aws.Config{Region: region, BaseEndpoint: &p.url,
		Credentials: credentials.NewStaticCredentialsProvider(account, "dhow", "")}
	return &deployment{p: p, config: c, ecs: ecs.NewFromConfig(c), elb: elb.NewFromConfig(c), ec2: ec2.NewFromConfig(c),
		logs: cloudwatchlogs.NewFromConfig(c), tasks: map[string]task{}}
}

func (d *deployment) image(ctx context.Context) error {
	return d.p.dhow(ctx, "image", "build", "-t", name+":1", "bin/hello")
}

// surroundings makes what the service needs. All of it may be there already,
// from an earlier demo on the same data directory.
func (d *deployment) surroundings(ctx context.Context) error {
	if _, err := d.ecs.CreateCluster(ctx, &ecs.CreateClusterInput{}); err != nil {
		return err
	}
	_, err := d.logs.CreateLogGroup(ctx, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: aws.String("/" + name)})
	var exists *logtypes.ResourceAlreadyExistsException
	if err != nil && !errors.As(err, &exists) {
		return err
	}
	subnets, err := d.ec2.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{})
	if err != nil {
		return err
	}
	for _, s := range subnets.Subnets {
		d.subnets = append(d.subnets, *s.SubnetId)
	}
	balancer, err := d.elb.CreateLoadBalancer(ctx, &elb.CreateLoadBalancerInput{Name: aws.String(name), Subnets: d.subnets})
	if err != nil {
		return err
	}
	d.vpc = *subnets.Subnets[0].VpcId
	if d.group, err = d.targetGroup(ctx, name); err != nil {
		return err
	}
	d.host = *balancer.LoadBalancers[0].DNSName
	_, err = d.elb.CreateListener(ctx, &elb.CreateListenerInput{LoadBalancerArn: balancer.LoadBalancers[0].LoadBalancerArn,
		Protocol: elbtypes.ProtocolEnumHttp, Port: aws.Int32(80),
		DefaultActions: []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, TargetGroupArn: &d.group}}})
	var listening *elbtypes.DuplicateListenerException
	if err != nil && !errors.As(err, &listening) {
		return err
	}
	fmt.Printf("  cluster default · log group /%s · load balancer %s\n", name, d.host)
	return nil
}

// targetGroup makes a target group for tasks that listen on port 8080.
func (d *deployment) targetGroup(ctx context.Context, name string) (arn string, err error) {
	out, err := d.elb.CreateTargetGroup(ctx, &elb.CreateTargetGroupInput{Name: &name, TargetType: elbtypes.TargetTypeEnumIp,
		Protocol: elbtypes.ProtocolEnumHttp, Port: aws.Int32(8080), VpcId: &d.vpc, HealthCheckPath: aws.String("/health"),
		HealthCheckIntervalSeconds: aws.Int32(5), HealthCheckTimeoutSeconds: aws.Int32(2), HealthyThresholdCount: aws.Int32(2), UnhealthyThresholdCount: aws.Int32(2)})
	if err != nil {
		return "", err
	}
	arn = *out.TargetGroups[0].TargetGroupArn
	// No request of the demo takes longer, and the default is five minutes.
	_, err = d.elb.ModifyTargetGroupAttributes(ctx, &elb.ModifyTargetGroupAttributesInput{TargetGroupArn: &arn,
		Attributes: []elbtypes.TargetGroupAttribute{{Key: aws.String("deregistration_delay.timeout_seconds"), Value: aws.String("2")}}})
	return arn, err
}

func (d *deployment) service(ctx context.Context) error {
	def, err := d.ecs.RegisterTaskDefinition(ctx, &ecs.RegisterTaskDefinitionInput{
		Family: aws.String(name), ExecutionRoleArn: aws.String("arn:aws:iam::" + account + ":role/ecsTaskExecutionRole"), NetworkMode: types.NetworkModeAwsvpc, Cpu: aws.String("256"), Memory: aws.String("512"),
		RequiresCompatibilities: []types.Compatibility{types.CompatibilityFargate},
		ContainerDefinitions: []types.ContainerDefinition{{
			Name: aws.String("web"), Image: aws.String(image),
			PortMappings: []types.PortMapping{{ContainerPort: aws.Int32(8080)}},
			LogConfiguration: &types.LogConfiguration{LogDriver: types.LogDriverAwslogs, Options: map[string]string{
				"awslogs-group": "/" + name, "awslogs-region": region, "awslogs-stream-prefix": "web"}},
		}},
	})
	if err != nil {
		return err
	}
	balancers := []types.LoadBalancer{{TargetGroupArn: &d.group, ContainerName: aws.String("web"), ContainerPort: aws.Int32(8080)}}
	if err := d.run(ctx, name, *def.TaskDefinition.TaskDefinitionArn, 2, balancers); err != nil {
		return err
	}
	return d.settled(ctx, name)
}

// run makes a service, or gives the one that is there another definition.
func (d *deployment) run(ctx context.Context, service, definition string, count int32, balancers []types.LoadBalancer) error {
	have, err := d.ecs.DescribeServices(ctx, &ecs.DescribeServicesInput{Services: []string{service}})
	if err != nil {
		return err
	}
	if len(have.Services) == 1 && *have.Services[0].Status == "ACTIVE" {
		_, err = d.ecs.UpdateService(ctx, &ecs.UpdateServiceInput{Service: &service, TaskDefinition: &definition, DesiredCount: &count})
		return err
	}
	_, err = d.ecs.CreateService(ctx, &ecs.CreateServiceInput{ServiceName: &service, TaskDefinition: &definition, DesiredCount: &count,
		LaunchType: types.LaunchTypeFargate, LoadBalancers: balancers,
		NetworkConfiguration: &types.NetworkConfiguration{AwsvpcConfiguration: &types.AwsVpcConfiguration{Subnets: d.subnets}}})
	return err
}

// settled waits until the services have what they want.
func (d *deployment) settled(ctx context.Context, services ...string) error {
	return d.until(ctx, time.Minute, func() (bool, error) {
		out, err := d.ecs.DescribeServices(ctx, &ecs.DescribeServicesInput{Services: services})
		if err != nil || len(out.Services) != len(services) {
			return false, err
		}
		for _, s := range out.Services {
			if len(s.Deployments) != 1 || s.RunningCount != s.DesiredCount || s.Deployments[0].RolloutState != types.DeploymentRolloutStateCompleted {
				return false, nil
			}
		}
		return true, nil
	})
}

// until asks done again and again, and prints a line for each change of a
// task's state meanwhile.
func (d *deployment) until(ctx context.Context, limit time.Duration, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not done after %v", limit))
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if err := d.showTasks(ctx); err != nil {
			return err
		}
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// showTasks prints the tasks whose state differs from the last time.
func (d *deployment) showTasks(ctx context.Context) error {
	for _, desired := range []types.DesiredStatus{types.DesiredStatusRunning, types.DesiredStatusStopped} {
		list, err := d.ecs.ListTasks(ctx, &ecs.ListTasksInput{DesiredStatus: desired})
		if err != nil {
			return err
		}
		if len(list.TaskArns) == 0 {
			continue
		}
		out, err := d.ecs.DescribeTasks(ctx, &ecs.DescribeTasksInput{Tasks: list.TaskArns})
		if err != nil {
			return err
		}
		for _, t := range out.Tasks {
			id, now := taskID(*t.TaskArn), *t.LastStatus
			was, known := d.tasks[id]
			if was.state == now || !known && now == "STOPPED" {
				continue
			}
			_, group, _ := strings.Cut(*t.Group, ":")
			d.tasks[id] = task{group, now}
			fmt.Printf("  %s  %-13s task %s  %-14s %s\n", time.Now().Format("15:04:05.000"), group, id[:8], now, aws.ToString(t.StoppedReason))
		}
	}
	return nil
}

func (d *deployment) summary(shop string, once bool) {
	api, err := url.Parse(d.p.url)
	if err != nil {
		return
	}
	fmt.Printf("\n%s   http://%s:%s/\n%s  http://%s:%[3]s/orders\n", bold("hello is at"), d.host, api.Port(), bold("orders go to"), shop)
	if once {
		return
	}
	fmt.Printf(`
try, in another terminal:
  eval "$(%s env)"
  aws ecs describe-services --services hello
  aws logs filter-log-events --log-group-name /hello
  %[1]s logs -f hello
  %[1]s queue ls
Ctrl-C ends it all
`, "bin/dhow")
}
