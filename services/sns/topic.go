package sns

import (
	"context"
	"crypto/rand"
	"maps"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"

	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/store"
	"github.com/dhowhq/dhow/topic"
)

var topicName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,256}$`)

const badFIFOName = "Fifo Topic names must end with .fifo and must be made up of only uppercase and lowercase ASCII letters, numbers, underscores, and hyphens, and must be between 1 and 256 characters long."

// checkName holds a topic's name to SNS's rule.
func checkName(name string, fifo bool) error {
	stem, suffix := strings.CutSuffix(name, ".fifo")
	switch {
	case fifo && (!suffix || !topicName.MatchString(stem) || len(name) > 256):
		return invalid(badFIFOName)
	case !fifo && !topicName.MatchString(name):
		return invalid("Topic Name")
	}
	return nil
}

// The quotas of an account and region ("Amazon SNS endpoints and quotas").
const (
	maxTopics     = 100_000
	maxFIFOTopics = 1_000
	maxTags       = 50
)

// CreateTopic makes a topic, or finds one that was made with the same attributes.
func (a *API) CreateTopic(ctx context.Context, in *sns.CreateTopicInput) (*sns.CreateTopicOutput, error) {
	t := topic.Topic{Scope: scope(ctx), Name: *in.Name, Created: time.Now().UTC(), Attributes: map[string]string{}}
	t.ID, t.Key = strings.ToLower(rand.Text()), make([]byte, 32)
	rand.Read(t.Key)
	if v, ok := in.Attributes["FifoTopic"]; ok {
		fifo, err := strconv.ParseBool(v)
		if err != nil {
			return nil, invalid("Attributes Reason: FifoTopic: Invalid value [%s]. Must be true or false.", v)
		}
		t.FIFO = fifo
	}
	if err := checkName(t.Name, t.FIFO); err != nil {
		return nil, err
	}
	if deref(in.DataProtectionPolicy) != "" {
		return nil, noDataProtection()
	}
	for name, v := range in.Attributes {
		if name == "FifoTopic" {
			continue
		}
		if err := setAttribute(&t, name, v, inCreate); err != nil {
			return nil, err
		}
	}
	var err error
	if t.Tags, err = withTags(nil, in.Tags); err != nil {
		return nil, err
	}
	if err := a.checkContract(ctx, &t, nil); err != nil {
		return nil, err
	}
	err = a.db.Update(ctx, func(tx *store.Tx) error {
		if have, ok := topic.Find(tx, t.Scope, t.Name); ok {
			return sameTopic(&have, &t, in)
		}
		if err := roomFor(tx, &t); err != nil {
			return err
		}
		return topic.Topics.Put(tx, t)
	})
	if err != nil {
		return nil, concurrent(err)
	}
	return &sns.CreateTopicOutput{TopicArn: ptr(t.ARN())}, nil
}

// sameTopic holds that a topic which exists is as it is wished: by what is given.
func sameTopic(have, want *topic.Topic, in *sns.CreateTopicInput) error {
	for name := range in.Attributes {
		if name != "FifoTopic" && attributeOf(have, name) != attributeOf(want, name) {
			return invalid("Attributes Reason: Topic already exists with different attributes")
		}
	}
	if len(in.Tags) > 0 && !maps.Equal(have.Tags, want.Tags) {
		return invalid("Tags Reason: Topic already exists with different tags")
	}
	return nil
}

func roomFor(tx *store.Tx, t *topic.Topic) error {
	if topic.Topics.Len(tx) < maxFIFOTopics {
		return nil
	}
	all, fifos := 0, 0
	for other := range topic.Topics.List(tx, t.Scope.Prefix()) {
		if all++; other.FIFO {
			fifos++
		}
	}
	if all >= maxTopics || t.FIFO && fifos >= maxFIFOTopics {
		return &types.TopicLimitExceededException{Message: ptr("The number of topics of the account is at its limit: delete some.")}
	}
	return nil
}

// DeleteTopic removes a topic; its subscriptions get nothing more.
func (a *API) DeleteTopic(ctx context.Context, in *sns.DeleteTopicInput) (*sns.DeleteTopicOutput, error) {
	err := a.db.Update(ctx, func(tx *store.Tx) error {
		t, err := a.lookup(ctx, tx, "TopicArn", *in.TopicArn, "DeleteTopic")
		if _, gone := err.(*types.NotFoundException); gone {
			return nil
		}
		if err != nil {
			return err
		}
		if t.ArchiveDays > 0 {
			return &types.InvalidStateException{Message: ptr("Invalid state: Cannot delete a topic with an ArchivePolicy")}
		}
		topic.Topics.Delete(tx, t.RowKey())
		return nil
	})
	return &sns.DeleteTopicOutput{}, concurrent(err)
}

// ListTopics lists topics by name.
func (a *API) ListTopics(ctx context.Context, in *sns.ListTopicsInput) (*sns.ListTopicsOutput, error) {
	var rows []topic.Topic
	a.db.View(func(r store.Reader) error {
		for t := range topic.Topics.List(r, scope(ctx).Prefix()) {
			rows = append(rows, t)
		}
		return nil
	})
	list, next, err := awsapi.Page(ctx, rows, func(t topic.Topic) string { return t.Name }, in.NextToken, nil, page)
	if err != nil {
		return nil, err
	}
	out := &sns.ListTopicsOutput{NextToken: next, Topics: []types.Topic{}}
	for _, t := range list {
		out.Topics = append(out.Topics, types.Topic{TopicArn: ptr(t.ARN())})
	}
	return out, nil
}

// GetTopicAttributes shows a topic.
func (a *API) GetTopicAttributes(ctx context.Context, in *sns.GetTopicAttributesInput) (*sns.GetTopicAttributesOutput, error) {
	t, err := a.topic(ctx, "TopicArn", *in.TopicArn, "GetTopicAttributes")
	if err != nil {
		return nil, err
	}
	confirmed, pending := a.engine.Counts(&t)
	out := maps.Clone(t.Attributes)
	if out == nil {
		out = map[string]string{}
	}
	out["TopicArn"], out["Owner"] = t.ARN(), t.Account
	out["Policy"] = policyText(&t)
	out["DisplayName"] = t.Attributes["DisplayName"]
	out["EffectiveDeliveryPolicy"] = topic.EffectiveTopicText(t.Attributes["DeliveryPolicy"])
	out["SubscriptionsConfirmed"], out["SubscriptionsPending"], out["SubscriptionsDeleted"] = strconv.Itoa(confirmed), strconv.Itoa(pending), strconv.Itoa(t.Deleted)
	if t.FIFO {
		out["FifoTopic"] = "true"
		out["ContentBasedDeduplication"] = strconv.FormatBool(t.ContentDedup())
	}
	if t.ArchiveDays > 0 {
		out["BeginningArchiveTime"] = t.BeginningOfArchive(time.Now()).UTC().Format("2006-01-02T15:04:05.000Z")
	}
	return &sns.GetTopicAttributesOutput{Attributes: out}, nil
}

// SetTopicAttributes sets one attribute; an empty value takes it back.
func (a *API) SetTopicAttributes(ctx context.Context, in *sns.SetTopicAttributesInput) (*sns.SetTopicAttributesOutput, error) {
	return &sns.SetTopicAttributesOutput{}, a.update(ctx, *in.TopicArn, "SetTopicAttributes", func(t *topic.Topic) error {
		t.Attributes = maps.Clone(t.Attributes)
		if t.Attributes == nil {
			t.Attributes = map[string]string{}
		}
		return setAttribute(t, *in.AttributeName, deref(in.AttributeValue), inSet)
	})
}

func noDataProtection() error {
	return invalid("DataProtectionPolicy Reason: data protection policies are not served here: messages would be neither audited, nor masked, nor denied by one. Leave it out.")
}

// PutDataProtectionPolicy refuses policies: nothing would act on them. An empty
// one is what every topic has.
func (a *API) PutDataProtectionPolicy(ctx context.Context, in *sns.PutDataProtectionPolicyInput) (*sns.PutDataProtectionPolicyOutput, error) {
	if _, err := a.topic(ctx, "ResourceArn", *in.ResourceArn, "PutDataProtectionPolicy"); err != nil {
		return nil, err
	}
	if *in.DataProtectionPolicy != "" {
		return nil, noDataProtection()
	}
	return &sns.PutDataProtectionPolicyOutput{}, nil
}

// GetDataProtectionPolicy says that there is none.
func (a *API) GetDataProtectionPolicy(ctx context.Context, in *sns.GetDataProtectionPolicyInput) (*sns.GetDataProtectionPolicyOutput, error) {
	if _, err := a.topic(ctx, "ResourceArn", *in.ResourceArn, "GetDataProtectionPolicy"); err != nil {
		return nil, err
	}
	return &sns.GetDataProtectionPolicyOutput{}, nil
}
