package test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	ebtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/dhowhq/dhow/internal/sdktest"
)

// trade is an account with the services of examples/orders: the API behind a
// load balancer, an event bus, and of what it takes the worker and the ledger,
// each behind a queue of its own.
type trade struct {
	strict
	p       *platform
	account string
	ecs     *ecs.Client
	sqs     *sqs.Client
	events  *eventbridge.Client
	glue    *glue.Client
	logs    *cloudwatchlogs.Client
	subnets []string
	group   string // ARN of the target group
	client  *http.Client
	host    string
}

// parts are what the services run, by their names.
var parts = map[string]struct {
	image, command string
	contract       string // the label, for a release
	count          int32
}{
	"api":    {"orders", "api", "produces=shop/order@%s.0", 3},
	"worker": {"orders", "worker", "consumes=shop/order@~%s", 1},
	"ledger": {"ledger", "", "consumes=shop/order@~%s", 1},
}

func newTrade(t *testing.T) *trade {
	t.Helper()
	if err := exec.Command("/usr/bin/python3", "-c", "import avro.io, boto3").Run(); err != nil {
		sdktest.Missing(t, "python3 has no avro or boto3 (apt-get install python3-avro python3-boto3)")
	}
	s := &trade{strict: strict{t}, p: need(t), account: newAccount()}
	cfg := s.p.config(s.account)
	s.ecs, s.sqs, s.events, s.glue, s.logs = ecs.NewFromConfig(cfg), sqs.NewFromConfig(cfg), eventbridge.NewFromConfig(cfg), glue.NewFromConfig(cfg), cloudwatchlogs.NewFromConfig(cfg)
	_, err := s.ecs.CreateCluster(t.Context(), nil)
	s.must(err)
	s.balancer(ec2.NewFromConfig(cfg), elb.NewFromConfig(cfg))
	s.client = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, s.p.address())
		}}}
	push(t, s.p, s.account, "orders:1", build(t, "../examples/orders"))
	root := filepath.Join(t.TempDir(), "ledger")
	if out, err := exec.Command("../examples/orders/ledger/rootfs", root).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s.dhow("image", "build", "-t", "ledger:1", "--entrypoint", "/usr/bin/python3", "--cmd", "/ledger.py", root)
	t.Cleanup(s.end)
	return s
}

// command is a verb of dhow in the account.
func (s *trade) command(args ...string) *exec.Cmd {
	c := exec.Command(dhow, args...)
	c.Env = append(sdktest.Environ(), "AWS_ENDPOINT_URL="+s.p.url, "AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID="+s.account, "GITHUB_ACTIONS=")
	return c
}

func (s *trade) dhow(args ...string) string {
	s.Helper()
	out, err := s.command(args...).CombinedOutput()
	if err != nil {
		s.Fatalf("dhow %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func (s *trade) balancer(nets *ec2.Client, lbs *elb.Client) {
	ctx := s.Context()
	subnets, err := nets.DescribeSubnets(ctx, nil)
	s.must(err)
	for _, n := range subnets.Subnets {
		s.subnets = append(s.subnets, *n.SubnetId)
	}
	lb, err := lbs.CreateLoadBalancer(ctx, &elb.CreateLoadBalancerInput{Name: aws.String("orders"), Subnets: s.subnets})
	s.must(err)
	group, err := lbs.CreateTargetGroup(ctx, &elb.CreateTargetGroupInput{Name: aws.String("orders"), TargetType: elbtypes.TargetTypeEnumIp,
		Protocol: elbtypes.ProtocolEnumHttp, Port: aws.Int32(8080), VpcId: subnets.Subnets[0].VpcId, HealthCheckPath: aws.String("/health"),
		HealthCheckIntervalSeconds: aws.Int32(5), HealthCheckTimeoutSeconds: aws.Int32(2), HealthyThresholdCount: aws.Int32(2)})
	s.must(err)
	s.host, s.group = *lb.LoadBalancers[0].DNSName, *group.TargetGroups[0].TargetGroupArn
	_, err = lbs.ModifyTargetGroupAttributes(ctx, &elb.ModifyTargetGroupAttributesInput{TargetGroupArn: &s.group,
		Attributes: []elbtypes.TargetGroupAttribute{{Key: aws.String("deregistration_delay.timeout_seconds"), Value: aws.String("1")}}})
	s.must(err)
	_, err = lbs.CreateListener(ctx, &elb.CreateListenerInput{LoadBalancerArn: lb.LoadBalancers[0].LoadBalancerArn, Protocol: elbtypes.ProtocolEnumHttp, Port: aws.Int32(80),
		DefaultActions: []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, TargetGroupArn: &s.group}}})
	s.must(err)
}

// messaging makes the bus and the queues, each of which takes 1.x of the schema
// and nothing else.
func (s *trade) messaging() {
	s.Helper()
	ctx, schema := s.Context(), "shop/order@1"
	_, err := s.events.CreateEventBus(ctx, &eventbridge.CreateEventBusInput{Name: aws.String("shop"), Tags: []ebtypes.Tag{{Key: aws.String("dhow:schema"), Value: &schema}}})
	s.must(err)
	_, err = s.events.PutRule(ctx, &eventbridge.PutRuleInput{Name: aws.String("orders"), EventBusName: aws.String("shop"),
		EventPattern: aws.String(`{"source": ["shop.api"], "detail": {"total": [{"numeric": ["<", 1000]}]}}`)})
	s.must(err)
	var targets []ebtypes.Target
	for _, part := range []string{"worker", "ledger"} {
		_, err := s.sqs.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String(part + "-dead")})
		s.must(err)
		_, err = s.sqs.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &part, Tags: map[string]string{"dhow:schema": schema},
			Attributes: map[string]string{"RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn": %q, "maxReceiveCount": 3}`, s.queueARN(part+"-dead"))}})
		s.must(err)
		targets = append(targets, ebtypes.Target{Id: &part, Arn: aws.String(s.queueARN(part))})
	}
	put, err := s.events.PutTargets(ctx, &eventbridge.PutTargetsInput{Rule: aws.String("orders"), EventBusName: aws.String("shop"), Targets: targets})
	s.must(err)
	if put.FailedEntryCount > 0 {
		s.Fatalf("targets: %+v", put.FailedEntries)
	}
}

func (s *trade) queueARN(name string) string {
	return "arn:aws:sqs:us-east-1:" + s.account + ":" + name
}

func (s *trade) url(queue string) *string {
	return aws.String(s.p.url + "/" + s.account + "/" + queue)
}

// register makes a revision of a part as a release has it.
func (s *trade) register(part, release string) *string {
	s.Helper()
	p := parts[part]
	label, value, _ := strings.Cut(fmt.Sprintf(p.contract, release), "=")
	c := types.ContainerDefinition{Name: aws.String("orders"), Image: aws.String(s.account + ".dkr.ecr.us-east-1.amazonaws.com/" + p.image + ":1"), Memory: aws.Int32(128),
		DockerLabels: map[string]string{"dhow.contract." + label: value},
		LogConfiguration: &types.LogConfiguration{LogDriver: types.LogDriverAwslogs, Options: map[string]string{
			"awslogs-group": "/orders", "awslogs-region": "us-east-1", "awslogs-stream-prefix": part + "-" + release, "awslogs-create-group": "true"}}}
	for k, v := range map[string]string{"RELEASE": release, "BUS": "shop", "QUEUE_URL": *s.url(part), "SELLS": "tea", "READS": release + ".0"} {
		c.Environment = append(c.Environment, types.KeyValuePair{Name: &k, Value: &v})
	}
	if p.command != "" {
		c.Command = []string{p.command}
	}
	if part == "api" {
		c.PortMappings = []types.PortMapping{{ContainerPort: aws.Int32(8080)}}
	}
	out, err := s.ecs.RegisterTaskDefinition(s.Context(), &ecs.RegisterTaskDefinitionInput{Family: aws.String("orders-" + part), NetworkMode: types.NetworkModeAwsvpc,
		TaskRoleArn: aws.String("arn:aws:iam::" + s.account + ":role/orders"), ExecutionRoleArn: aws.String("arn:aws:iam::" + s.account + ":role/ecsTaskExecutionRole"),
		ContainerDefinitions: []types.ContainerDefinition{c}})
	s.must(err)
	return out.TaskDefinition.TaskDefinitionArn
}

// create makes the service of a part.
func (s *trade) create(part, release string) {
	s.Helper()
	in := &ecs.CreateServiceInput{ServiceName: aws.String("orders-" + part), TaskDefinition: s.register(part, release), DesiredCount: aws.Int32(parts[part].count),
		DeploymentConfiguration: &types.DeploymentConfiguration{MinimumHealthyPercent: aws.Int32(100), MaximumPercent: aws.Int32(200)},
		NetworkConfiguration:    &types.NetworkConfiguration{AwsvpcConfiguration: &types.AwsVpcConfiguration{Subnets: s.subnets}}}
	if part == "api" {
		in.DeploymentConfiguration.MaximumPercent = aws.Int32(150) // a fourth, so that they are replaced one after the other
		in.LoadBalancers = []types.LoadBalancer{{TargetGroupArn: &s.group, ContainerName: aws.String("orders"), ContainerPort: aws.Int32(8080)}}
	}
	_, err := s.ecs.CreateService(s.Context(), in)
	s.must(err)
}

// update has a part deployed as another release.
func (s *trade) update(part, release string) error {
	s.Helper()
	_, err := s.ecs.UpdateService(s.Context(), &ecs.UpdateServiceInput{Service: aws.String("orders-" + part), TaskDefinition: s.register(part, release)})
	return err
}

// settled waits until the parts run as they are to.
func (s *trade) settled(parts ...string) {
	s.Helper()
	for _, part := range parts {
		eventually(s.T, 90*time.Second, func() error {
			out, err := s.ecs.DescribeServices(s.Context(), &ecs.DescribeServicesInput{Services: []string{"orders-" + part}})
			if err != nil {
				return err
			}
			v := out.Services[0]
			if len(v.Deployments) != 1 || v.RunningCount != v.DesiredCount || v.Deployments[0].RolloutState != types.DeploymentRolloutStateCompleted {
				return fmt.Errorf("%s: %d deployments, %d of %d run; %s", part, len(v.Deployments), v.RunningCount, v.DesiredCount, s.said())
			}
			return nil
		})
	}
}

// end removes the services.
func (s *trade) end() {
	for part := range parts {
		_, err := s.ecs.DeleteService(context.Background(), &ecs.DeleteServiceInput{Service: aws.String("orders-" + part), Force: aws.Bool(true)})
		var none *types.ServiceNotFoundException
		if err != nil && !errors.As(err, &none) {
			s.Error(err)
		}
	}
}

// place places an order.
func (s *trade) place(id string) error {
	res, err := s.client.Post("http://"+s.host+"/orders", "application/json", strings.NewReader(fmt.Sprintf(`{"id": %q, "sku": "tea", "total": 12.5}`, id)))
	if err != nil {
		return err
	}
	defer res.Body.Close()
	said, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusAccepted {
		err = fmt.Errorf("%s: %s", res.Status, said)
	}
	return err
}

// flow is orders that customers place.
type flow struct {
	placed atomic.Int64
	mu     sync.Mutex
	ids    []string // that were accepted
	stop   func()
}

// customers place orders until they are stopped, some sixty a second. One that is
// not accepted fails the test.
func (s *trade) customers() *flow {
	f := new(flow)
	ctx, cancel := context.WithTimeout(s.Context(), 4*time.Minute)
	var loops sync.WaitGroup
	for range 2 {
		loops.Go(func() {
			tick := time.NewTicker(30 * time.Millisecond)
			defer tick.Stop()
			for ctx.Err() == nil {
				s.customer(f)
				select {
				case <-tick.C:
				case <-ctx.Done():
				}
			}
		})
	}
	f.stop = func() { cancel(); loops.Wait() }
	s.Cleanup(f.stop)
	return f
}

func (s *trade) customer(f *flow) {
	id := fmt.Sprintf("o%05d", f.placed.Add(1))
	if err := s.place(id); err != nil {
		s.Errorf("order %s was not accepted: %v", id, err)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ids = append(f.ids, id)
}

// seen is what a part has read of orders, by its log.
type seen struct {
	times   map[string]int      // by id
	written map[string][]string // ids by the version that they were written as
}

var readLine = regexp.MustCompile(`^order (\S+): .* \(written as ([\d.]+)\)$`)

// read returns what each part has read, by PART-RELEASE, and by PART for all its
// releases. A message that could not be read fails the test.
func (s *trade) read() map[string]*seen {
	s.Helper()
	out := map[string]*seen{}
	for _, line := range s.lines() {
		if strings.Contains(line[1], "cannot be read") {
			s.Fatalf("%s says: %s", line[0], line[1])
		}
		m := readLine.FindStringSubmatch(line[1])
		if m == nil {
			continue
		}
		part, _, _ := strings.Cut(line[0], "-")
		for _, who := range []string{line[0], part} {
			r := out[who]
			if r == nil {
				r = &seen{map[string]int{}, map[string][]string{}}
				out[who] = r
			}
			r.times[m[1]]++
			r.written[m[2]] = append(r.written[m[2]], m[1])
		}
	}
	return out
}

// lines are all that the parts have logged, each with the prefix of its stream.
func (s *trade) lines() (lines [][2]string) {
	pages := cloudwatchlogs.NewFilterLogEventsPaginator(s.logs, &cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String("/orders")})
	for pages.HasMorePages() {
		page, err := pages.NextPage(s.Context())
		s.must(err)
		for _, e := range page.Events {
			prefix, _, _ := strings.Cut(*e.LogStreamName, "/")
			lines = append(lines, [2]string{prefix, *e.Message})
		}
	}
	return lines
}

// said is the end of the parts' logs, for errors.
func (s *trade) said() string {
	out, err := s.logs.FilterLogEvents(s.Context(), &cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String("/orders")})
	if err != nil {
		return err.Error()
	}
	var b bytes.Buffer
	for _, e := range out.Events[max(0, len(out.Events)-20):] {
		fmt.Fprintln(&b, *e.LogStreamName, *e.Message)
	}
	return b.String()
}

// haveRead waits until each part of a release has read some orders that were
// written as a version.
func (s *trade) haveRead(release, version string, some int) {
	s.Helper()
	eventually(s.T, 60*time.Second, func() error {
		read := s.read()
		for _, part := range []string{"worker", "ledger"} {
			r := read[part+"-"+release]
			if r == nil || len(r.written[version]) < some {
				return fmt.Errorf("%s of release %s has not read %d orders of %s; %s", part, release, some, version, s.said())
			}
		}
		return nil
	})
}

func orderSchema(s *trade, release string) string {
	s.Helper()
	text, err := os.ReadFile("../examples/orders/schemas/" + release + "/shop/order.avsc")
	s.must(err)
	return string(text)
}
