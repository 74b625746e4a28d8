package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// shop deploys examples/orders: an API in front of an event bus, a worker
// behind a queue, a task for each large order.
type shop struct {
	*deployment
	sqs    *sqs.Client
	events *eventbridge.Client
	began  time.Time
	queue  string // URL
	dead   string // ARN of the dead-letter queue
	deadQ  string // its URL
	group  string // ARN of the API's target group
	host   string // of its load balancer
}

const (
	shopImage = account + ".dkr.ecr." + region + ".amazonaws.com/orders:1"
	shopRole  = "arn:aws:iam::" + account + ":role/orders"
)

func newShop(d *deployment) *shop {
	return &shop{deployment: d, sqs: sqs.NewFromConfig(d.config), events: eventbridge.NewFromConfig(d.config), began: time.Now()}
}

func (s *shop) image(ctx context.Context) error {
	return s.p.dhow(ctx, "image", "build", "-t", "orders:1", "bin/orders")
}

// messaging makes the queues, the bus and its two rules.
func (s *shop) messaging(ctx context.Context) (err error) {
	if s.deadQ, s.dead, err = s.makeQueue(ctx, "orders-dead", nil); err != nil {
		return err
	}
	redrive := fmt.Sprintf(`{"deadLetterTargetArn": %q, "maxReceiveCount": 3}`, s.dead)
	queue, arn, err := s.makeQueue(ctx, "orders", map[string]string{"RedrivePolicy": redrive})
	if err != nil {
		return err
	}
	s.queue = queue
	var exists *eventtypes.ResourceAlreadyExistsException
	if _, err := s.events.CreateEventBus(ctx, &eventbridge.CreateEventBusInput{Name: aws.String("shop")}); err != nil && !errors.As(err, &exists) {
		return err
	}
	review, err := s.define(ctx, "orders-review", "review", "1.0", nil)
	if err != nil {
		return err
	}
	err = errors.Join(
		s.rule(ctx, "ordinary", `{"source": ["shop.api"], "detail": {"total": [{"numeric": ["<", 1000]}]}}`,
			eventtypes.Target{Id: aws.String("queue"), Arn: &arn}),
		s.rule(ctx, "large", `{"source": ["shop.api"], "detail": {"total": [{"numeric": [">=", 1000]}]}}`, s.reviewTarget(review)),
		s.hold(ctx))
	if err == nil {
		fmt.Println("  event bus shop · rule ordinary → queue orders (dead letters: orders-dead) · rule large → a task of orders-review")
	}
	return err
}

// reviewTarget starts a task whose environment has the order.
func (s *shop) reviewTarget(definition string) eventtypes.Target {
	return eventtypes.Target{
		Id: aws.String("review"), Arn: aws.String("arn:aws:ecs:" + region + ":" + account + ":cluster/default"), RoleArn: aws.String(shopRole),
		EcsParameters: &eventtypes.EcsParameters{TaskDefinitionArn: &definition, LaunchType: eventtypes.LaunchTypeFargate,
			NetworkConfiguration: &eventtypes.NetworkConfiguration{AwsvpcConfiguration: &eventtypes.AwsVpcConfiguration{Subnets: s.subnets}}},
		InputTransformer: &eventtypes.InputTransformer{
			InputPathsMap: map[string]string{"id": "$.detail.id", "total": "$.detail.total"},
			InputTemplate: aws.String(`{"containerOverrides": [{"name": "orders", "environment": [{"name": "ORDER_ID", "value": "<id>"}, {"name": "TOTAL", "value": "<total>"}]}]}`),
		},
	}
}

func (s *shop) makeQueue(ctx context.Context, name string, attributes map[string]string) (url, arn string, err error) {
	q, err := s.sqs.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
	if err != nil {
		return "", "", err
	}
	a, err := s.sqs.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: q.QueueUrl, AttributeNames: []sqstypes.QueueAttributeName{"QueueArn"}})
	if err != nil {
		return "", "", err
	}
	return *q.QueueUrl, a.Attributes["QueueArn"], nil
}

func (s *shop) rule(ctx context.Context, name, pattern string, to eventtypes.Target) error {
	bus := aws.String("shop")
	if _, err := s.events.PutRule(ctx, &eventbridge.PutRuleInput{Name: &name, EventBusName: bus, EventPattern: &pattern}); err != nil {
		return err
	}
	out, err := s.events.PutTargets(ctx, &eventbridge.PutTargetsInput{Rule: &name, EventBusName: bus, Targets: []eventtypes.Target{to}})
	if err == nil && out.FailedEntryCount > 0 {
		err = fmt.Errorf("rule %s: %s", name, aws.ToString(out.FailedEntries[0].ErrorMessage))
	}
	return err
}

// define registers a task definition of one part of the shop, as a release has it.
func (s *shop) define(ctx context.Context, family, part, release string, env map[string]string) (string, error) {
	c := types.ContainerDefinition{
		Name: aws.String("orders"), Image: aws.String(shopImage), Command: []string{part}, DockerLabels: contractLabels(part, release),
		Environment: []types.KeyValuePair{{Name: aws.String("RELEASE"), Value: &release}},
		LogConfiguration: &types.LogConfiguration{LogDriver: types.LogDriverAwslogs, Options: map[string]string{
			"awslogs-group": "/orders", "awslogs-region": region, "awslogs-stream-prefix": part, "awslogs-create-group": "true"}},
	}
	if part == "api" {
		c.PortMappings = []types.PortMapping{{ContainerPort: aws.Int32(8080)}}
	}
	for k, v := range env {
		c.Environment = append(c.Environment, types.KeyValuePair{Name: aws.String(k), Value: aws.String(v)})
	}
	out, err := s.ecs.RegisterTaskDefinition(ctx, &ecs.RegisterTaskDefinitionInput{
		Family: &family, NetworkMode: types.NetworkModeAwsvpc, Cpu: aws.String("256"), Memory: aws.String("512"),
		RequiresCompatibilities: []types.Compatibility{types.CompatibilityFargate}, TaskRoleArn: aws.String(shopRole),
		ExecutionRoleArn:     aws.String("arn:aws:iam::" + account + ":role/ecsTaskExecutionRole"),
		ContainerDefinitions: []types.ContainerDefinition{c},
	})
	if err != nil {
		return "", err
	}
	return *out.TaskDefinition.TaskDefinitionArn, nil
}

// services starts the API, behind a load balancer, and the worker.
func (s *shop) services(ctx context.Context) error {
	if err := s.listener(ctx); err != nil {
		return err
	}
	api, err := s.define(ctx, "orders-api", "api", "1.0", map[string]string{"BUS": "shop"})
	if err != nil {
		return err
	}
	worker, err := s.define(ctx, "orders-worker", "worker", "1.0", map[string]string{"QUEUE_URL": s.queue, "SELLS": "tea,coffee"})
	if err != nil {
		return err
	}
	balancers := []types.LoadBalancer{{TargetGroupArn: &s.group, ContainerName: aws.String("orders"), ContainerPort: aws.Int32(8080)}}
	if err := errors.Join(s.run(ctx, "orders-api", api, 1, balancers), s.run(ctx, "orders-worker", worker, 1, nil)); err != nil {
		return err
	}
	return s.settled(ctx, "orders-api", "orders-worker")
}

// place places an order and wants it accepted.
func (s *shop) place(ctx context.Context, id, sku string, total float64) error {
	body, err := json.Marshal(map[string]any{"id": id, "sku": sku, "total": total})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.host+"/orders", bytes.NewReader(body))
	if err != nil {
		return err
	}
	res, err := s.client().Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	said, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusAccepted {
		err = fmt.Errorf("%s: %s", res.Status, said)
	}
	fmt.Printf("  POST /orders %s → %s", body, said)
	return err
}

// orders places ordinary orders and a large one, and waits until the worker
// and the task of the rule have done them.
func (s *shop) orders(ctx context.Context) error {
	for i, sku := range []string{"tea", "coffee", "tea"} {
		if err := s.place(ctx, fmt.Sprint("o", i+1), sku, 10+float64(i)); err != nil {
			return err
		}
	}
	if err := s.place(ctx, "o4", "tea", 2500); err != nil {
		return err
	}
	return s.logged(ctx, "order o1: tea", "order o2: coffee", "order o3: tea", "order o4: large")
}

// poison places an order that the worker cannot do: the dead-letter queue gets
// it. A new version of the worker can, and the order comes back.
func (s *shop) poison(ctx context.Context) error {
	if err := s.place(ctx, "o5", "mate", 30); err != nil {
		return err
	}
	if err := s.until(ctx, time.Minute, func() (bool, error) { return s.waiting(ctx, s.deadQ) }); err != nil {
		return err
	}
	fmt.Println("  order o5 failed three times and is in the queue orders-dead")
	worker, err := s.define(ctx, "orders-worker", "worker", "1.0", map[string]string{"QUEUE_URL": s.queue, "SELLS": "tea,coffee,mate"})
	if err != nil {
		return err
	}
	if err := errors.Join(s.run(ctx, "orders-worker", worker, 1, nil), s.settled(ctx, "orders-worker")); err != nil {
		return err
	}
	fmt.Println("  a new version of the worker sells mate")
	if err := s.p.dhow(ctx, "queue", "redrive", "orders-dead"); err != nil {
		return err
	}
	return s.logged(ctx, "order o5: mate")
}

// waiting reports whether a message waits in the queue.
func (s *shop) waiting(ctx context.Context, url string) (bool, error) {
	const count = sqstypes.QueueAttributeNameApproximateNumberOfMessages
	out, err := s.sqs.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []sqstypes.QueueAttributeName{count}})
	if err != nil {
		return false, err
	}
	return out.Attributes[string(count)] != "0", nil
}

// logged waits until the shop's containers have logged lines that begin so,
// since the demo began, and prints them.
func (s *shop) logged(ctx context.Context, lines ...string) error {
	left := map[string]bool{}
	for _, l := range lines {
		left[l] = true
	}
	return s.until(ctx, time.Minute, func() (bool, error) {
		out, err := s.logs.FilterLogEvents(ctx, &cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String("/orders"), StartTime: aws.Int64(s.began.UnixMilli())})
		if err != nil {
			return false, err
		}
		for _, e := range out.Events {
			for l := range left {
				if strings.HasPrefix(*e.Message, l) {
					part, _, _ := strings.Cut(*e.LogStreamName, "/")
					fmt.Printf("  %-6s says: %s\n", part, *e.Message)
					delete(left, l)
				}
			}
		}
		return len(left) == 0, nil
	})
}

// listener makes a load balancer for the shop's API.
func (s *shop) listener(ctx context.Context) error {
	balancer, err := s.elb.CreateLoadBalancer(ctx, &elb.CreateLoadBalancerInput{Name: aws.String("orders"), Subnets: s.subnets})
	if err != nil {
		return err
	}
	group, err := s.targetGroup(ctx, "orders")
	if err != nil {
		return err
	}
	s.group, s.host = group, *balancer.LoadBalancers[0].DNSName
	_, err = s.elb.CreateListener(ctx, &elb.CreateListenerInput{LoadBalancerArn: balancer.LoadBalancers[0].LoadBalancerArn,
		Protocol: elbtypes.ProtocolEnumHttp, Port: aws.Int32(80),
		DefaultActions: []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, TargetGroupArn: &group}}})
	var listening *elbtypes.DuplicateListenerException
	if errors.As(err, &listening) {
		return nil
	}
	return err
}
