package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventstypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// TestAccessAtDeployment has roles deploy what does not get on with what runs: who
// may read the schema is told why, others only that they may not.
func TestAccessAtDeployment(t *testing.T) {
	const deploys = `{"Effect":"Allow","Action":"ecs:*","Resource":"*"}`
	g := newGuarded(t, map[string]string{"orders": statements(readsOrder, deploys), "blind": statements(deploys)})
	g.schemas()
	c, ctx := ecs.NewFromConfig(g.as("")), t.Context()
	_, err := c.CreateCluster(ctx, &ecs.CreateClusterInput{ClusterName: pointer("c")})
	g.must(err)
	create := func(role, schema string) error {
		_, err := c.RegisterTaskDefinition(ctx, &ecs.RegisterTaskDefinitionInput{Family: pointer("web"), ContainerDefinitions: []ecstypes.ContainerDefinition{{
			Name: pointer("app"), Image: pointer("app:1"), Memory: pointer(int32(64)), DockerLabels: map[string]string{"dhow.contract.consumes": "shop/" + schema + "@9.0.0"}}}})
		g.must(err)
		_, err = ecs.NewFromConfig(g.as(role)).CreateService(ctx, &ecs.CreateServiceInput{Cluster: pointer("c"), ServiceName: pointer("web"), TaskDefinition: pointer("web"), DesiredCount: pointer(int32(0))})
		return err
	}
	for _, schema := range []string{"secret", "none"} { // which is not there
		g.told(schema, create("orders", schema), "AccessDeniedException", unread("s1", glueNames+"schema/shop/"+schema))
	}
	g.told("who may read nothing", create("blind", "order"), "AccessDeniedException", sentence("blind", "s1", "GetSchemaVersion", glueNames+"registry/shop"))
	var told *ecstypes.ClientException
	if err := create("orders", "order"); !errors.As(err, &told) || !strings.Contains(*told.Message, "the latest is 1.0.0") {
		t.Errorf("who may read is told %v", err)
	}
}

// TestAccessAtTags has a role set the tag of a schema that it may not read by each
// operation that sets tags: none does, and nothing is made.
func TestAccessAtTags(t *testing.T) {
	g := newGuarded(t, map[string]string{"orders": statements(readsOrder, sends)})
	g.schemas()
	ctx, root := t.Context(), g.as("")
	name, tags := pointer("plain"), map[string]string{"dhow:schema": "shop/secret"}
	snsTags := []snstypes.Tag{{Key: pointer("dhow:schema"), Value: pointer("shop/secret")}}
	eventsTags := []eventstypes.Tag{{Key: pointer("dhow:schema"), Value: pointer("shop/secret")}}
	queue, err := sqs.NewFromConfig(root).CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: name})
	g.must(err)
	topic, err := sns.NewFromConfig(root).CreateTopic(ctx, &sns.CreateTopicInput{Name: name})
	g.must(err)
	bus, err := eventbridge.NewFromConfig(root).CreateEventBus(ctx, &eventbridge.CreateEventBusInput{Name: name})
	g.must(err)
	_, err = kinesis.NewFromConfig(root).CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: name, ShardCount: pointer(int32(1))})
	g.must(err)
	g.must(kinesis.NewStreamExistsWaiter(kinesis.NewFromConfig(root)).Wait(ctx, &kinesis.DescribeStreamInput{StreamName: name}, 30*time.Second))
	by := g.as("orders")
	sqsBy, snsBy, kinesisBy, eventsBy := sqs.NewFromConfig(by), sns.NewFromConfig(by), kinesis.NewFromConfig(by), eventbridge.NewFromConfig(by)
	fresh := pointer("fresh")
	for _, c := range []struct {
		what, code string
		call       func() error
	}{
		{"CreateQueue", "AccessDenied", func() error {
			_, err := sqsBy.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: fresh, Tags: tags})
			return err
		}},
		{"TagQueue", "AccessDenied", func() error {
			_, err := sqsBy.TagQueue(ctx, &sqs.TagQueueInput{QueueUrl: queue.QueueUrl, Tags: tags})
			return err
		}},
		{"CreateTopic", "AuthorizationError", func() error {
			_, err := snsBy.CreateTopic(ctx, &sns.CreateTopicInput{Name: fresh, Tags: snsTags})
			return err
		}},
		{"sns TagResource", "AuthorizationError", func() error {
			_, err := snsBy.TagResource(ctx, &sns.TagResourceInput{ResourceArn: topic.TopicArn, Tags: snsTags})
			return err
		}},
		{"CreateStream", "AccessDeniedException", func() error {
			_, err := kinesisBy.CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: fresh, ShardCount: pointer(int32(1)), Tags: tags})
			return err
		}},
		{"AddTagsToStream", "AccessDeniedException", func() error {
			_, err := kinesisBy.AddTagsToStream(ctx, &kinesis.AddTagsToStreamInput{StreamName: name, Tags: tags})
			return err
		}},
		{"kinesis TagResource", "AccessDeniedException", func() error {
			_, err := kinesisBy.TagResource(ctx, &kinesis.TagResourceInput{ResourceARN: pointer("arn:aws:kinesis:us-east-1:" + guardedAccount + ":stream/plain"), Tags: tags})
			return err
		}},
		{"CreateEventBus", "AccessDeniedException", func() error {
			_, err := eventsBy.CreateEventBus(ctx, &eventbridge.CreateEventBusInput{Name: fresh, Tags: eventsTags})
			return err
		}},
		{"events TagResource", "AccessDeniedException", func() error {
			_, err := eventsBy.TagResource(ctx, &eventbridge.TagResourceInput{ResourceARN: bus.EventBusArn, Tags: eventsTags})
			return err
		}},
	} {
		g.told(c.what, c.call(), c.code, unread("s1", glueNames+"schema/shop/secret"))
	}
	if _, err := sqs.NewFromConfig(root).GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: fresh}); err == nil {
		t.Error("the queue was made all the same")
	}
	if got, err := eventbridge.NewFromConfig(root).ListTagsForResource(ctx, &eventbridge.ListTagsForResourceInput{ResourceARN: bus.EventBusArn}); err != nil || len(got.Tags) > 0 {
		t.Errorf("the bus is tagged %v, %v", got, err)
	}
}
