package sns

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"
)

func TestTopics(t *testing.T) {
	f := newFixture(t)
	for _, c := range []struct {
		name       string
		attributes []string
		message    string
	}{
		{"a b", nil, "Invalid parameter: Topic Name"},
		{strings.Repeat("x", 257), nil, "Invalid parameter: Topic Name"},
		{"a.fifo", nil, "Invalid parameter: Topic Name"},
		{"a", []string{"FifoTopic", "true"}, "Invalid parameter: " + badFIFOName},
		{"a", []string{"Nonsense", "x"}, "Invalid parameter: Attributes Reason: Unknown attribute Nonsense"},
		{"a", []string{"SignatureVersion", "3"}, "Invalid parameter: Attributes Reason: SignatureVersion: Invalid value [3]. Please use either 1 or 2"},
		{"a", []string{"TracingConfig", "Active"}, "Invalid parameter: Attributes Reason: TracingConfig: Active is not served here: there is nothing that takes segments. PassThrough hands the caller's trace on."},
		{"a", []string{"ContentBasedDeduplication", "true"}, "Invalid parameter: Attributes Reason: Content-based deduplication can only be set for FIFO topics"},
		{"a", []string{"ArchivePolicy", `{"MessageRetentionPeriod": 1}`}, "Invalid parameter: Attributes Reason: ArchivePolicy: only FIFO topics have it"},
		{"a.fifo", []string{"FifoTopic", "true", "ArchivePolicy", `{"MessageRetentionPeriod": 366}`}, "Invalid parameter: Attributes Reason: ArchivePolicy: MessageRetentionPeriod must be a number of days between 1 and 365"},
		{"a", []string{"DeliveryPolicy", `{"http": {"defaultHealthyRetryPolicy": {"numRetries": 101}}}`}, "Invalid parameter: Attributes Reason: DeliveryPolicy: numRetries must be between 0 and 100"},
		{"a", []string{"Policy", `{"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage"}]}`}, "Invalid parameter: Policy statement action out of service scope!"},
		{"a", []string{"Policy", `{`}, "Invalid parameter: Attributes Reason: Policy Error: it is not JSON"},
		{"a", []string{"SQSSuccessFeedbackSampleRate", "101"}, "Invalid parameter: Attributes Reason: SQSSuccessFeedbackSampleRate: it must be a number between 0 and 100"},
	} {
		_, err := f.client.CreateTopic(f.ctx, &sns.CreateTopicInput{Name: &c.name, Attributes: pairs(c.attributes)})
		refused(t, err, "InvalidParameter", c.message)
	}
	a := f.topic("a", "DisplayName", "x")
	_, err := f.client.CreateTopic(f.ctx, &sns.CreateTopicInput{Name: ptr("a"), Attributes: pairs([]string{"DisplayName", "y"})})
	refused(t, err, "InvalidParameter", "Invalid parameter: Attributes Reason: Topic already exists with different attributes")
	_, err = f.client.CreateTopic(f.ctx, &sns.CreateTopicInput{Name: ptr("a"), Tags: []types.Tag{{Key: ptr("k"), Value: ptr("v")}}})
	refused(t, err, "InvalidParameter", "Invalid parameter: Tags Reason: Topic already exists with different tags")
	_, err = f.client.SetTopicAttributes(f.ctx, &sns.SetTopicAttributesInput{TopicArn: &a, AttributeName: ptr("Nonsense"), AttributeValue: ptr("x")})
	refused(t, err, "InvalidParameter", "Invalid parameter: AttributeName")
	_, err = f.client.GetTopicAttributes(f.ctx, &sns.GetTopicAttributesInput{TopicArn: ptr("arn:aws:sns:eu-west-3:" + account + ":a")})
	refused(t, err, "InvalidParameter", "Invalid parameter: TopicArn")

	kept := f.topic("kept.fifo", "ArchivePolicy", `{"MessageRetentionPeriod": "30"}`)
	got, err := f.client.GetTopicAttributes(f.ctx, &sns.GetTopicAttributesInput{TopicArn: &kept})
	must(t, err)
	if got.Attributes["ArchivePolicy"] != `{"MessageRetentionPeriod": "30"}` || got.Attributes["BeginningArchiveTime"] == "" {
		t.Errorf("%v", got.Attributes)
	}
	_, err = f.client.DeleteTopic(f.ctx, &sns.DeleteTopicInput{TopicArn: &kept})
	refused(t, err, "InvalidState", "Invalid state: Cannot delete a topic with an ArchivePolicy")
	_, err = f.client.SetTopicAttributes(f.ctx, &sns.SetTopicAttributesInput{TopicArn: &kept, AttributeName: ptr("ArchivePolicy"), AttributeValue: ptr("{}")})
	must(t, err)
	_, err = f.client.DeleteTopic(f.ctx, &sns.DeleteTopicInput{TopicArn: &kept})
	must(t, err)
}

func TestTags(t *testing.T) {
	f := newFixture(t)
	a := f.topic("a")
	_, err := f.client.TagResource(f.ctx, &sns.TagResourceInput{ResourceArn: &a, Tags: []types.Tag{{Key: ptr("b"), Value: ptr("2")}, {Key: ptr("a"), Value: ptr("1")}}})
	must(t, err)
	_, err = f.client.UntagResource(f.ctx, &sns.UntagResourceInput{ResourceArn: &a, TagKeys: []string{"b"}})
	must(t, err)
	got, err := f.client.ListTagsForResource(f.ctx, &sns.ListTagsForResourceInput{ResourceArn: &a})
	must(t, err)
	if len(got.Tags) != 1 || *got.Tags[0].Key != "a" {
		t.Errorf("%v", got.Tags)
	}
	var many []types.Tag
	for i := range 50 {
		many = append(many, types.Tag{Key: ptr(fmt.Sprint(i)), Value: ptr("")})
	}
	_, err = f.client.TagResource(f.ctx, &sns.TagResourceInput{ResourceArn: &a, Tags: many})
	refused(t, err, "TagLimitExceeded", "Could not complete request: tag quota of per resource exceeded")
	_, err = f.client.ListTagsForResource(f.ctx, &sns.ListTagsForResourceInput{ResourceArn: ptr(topicARN("none"))})
	refused(t, err, "ResourceNotFound", "Resource does not exist")
}

// Lists come in pages of a hundred.
func TestPages(t *testing.T) {
	f := newFixture(t)
	for i := range 101 {
		f.topic(fmt.Sprintf("t%03d", i))
	}
	one, err := f.client.ListTopics(f.ctx, &sns.ListTopicsInput{})
	must(t, err)
	two, err := f.client.ListTopics(f.ctx, &sns.ListTopicsInput{NextToken: one.NextToken})
	must(t, err)
	if len(one.Topics) != 100 || len(two.Topics) != 1 || two.NextToken != nil {
		t.Errorf("%d and %d topics", len(one.Topics), len(two.Topics))
	}
	if _, err := f.client.ListTopics(f.ctx, &sns.ListTopicsInput{NextToken: ptr("junk")}); err == nil {
		t.Error("junk is a token")
	}
}
