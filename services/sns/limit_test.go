package sns

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/contract/broker"
	"github.com/dhowhq/dhow/store"
	"github.com/dhowhq/dhow/store/storetest"
	"github.com/dhowhq/dhow/topic"
)

var here = cluster.Scope{Account: account, Region: region}

// So many replays run at once and no more, however they begin: by Subscribe, by
// SetSubscriptionAttributes, by a confirmation. Where one ends another may begin.
func TestReplayLimit(t *testing.T) {
	f := newIdle(t, storetest.Open(t)) // no replay ends
	const archive, policy = `{"MessageRetentionPeriod": 7}`, `{"PointType": "Timestamp", "StartingPoint": "2024-01-01T00:00:00Z"}`
	first, second := f.topic("first.fifo", "ArchivePolicy", archive), f.topic("second.fifo", "ArchivePolicy", archive)
	replaying := map[string]string{"ReplayPolicy": policy}
	var subs []string
	for i := range topic.MaxReplays {
		subs = append(subs, f.subscribe(first, "sqs", queueARN(fmt.Sprint("q", i, ".fifo")), "ReplayPolicy", policy))
	}
	sentence := fmt.Sprintf("Replay limit of the account is reached: %d can run at once. Try again when one has ended.", topic.MaxReplays)
	full := func(err error) {
		t.Helper()
		refused(t, err, "ReplayLimitExceeded", sentence)
		if _, _, status := told(err); status != 403 {
			t.Errorf("status %d", status)
		}
	}
	_, err := f.client.Subscribe(f.ctx, &sns.SubscribeInput{TopicArn: &second, Protocol: ptr("sqs"), Endpoint: ptr(queueARN("q.fifo")), Attributes: replaying})
	full(err)
	plain := f.subscribe(second, "sqs", queueARN("q.fifo"))
	start := func(sub string) error {
		_, err := f.client.SetSubscriptionAttributes(f.ctx, &sns.SetSubscriptionAttributesInput{SubscriptionArn: &sub, AttributeName: ptr("ReplayPolicy"), AttributeValue: ptr(policy)})
		return err
	}
	full(start(plain))
	must(t, start(subs[0])) // in the place of its own

	// A subscription of another account's queue replays from its confirmation on.
	const token = "abc123"
	must(t, f.db.Update(f.ctx, func(tx *store.Tx) error {
		in, _ := topic.Find(tx, here, "second.fifo")
		return topic.Subscriptions.Put(tx, topic.Subscription{Scope: here, Topic: in.Name, TopicID: in.ID, ID: cluster.NewUUID(), Protocol: topic.SQS, Endpoint: "arn:aws:sqs:" + region + ":222222222222:q.fifo",
			Pending: true, Token: token, Asked: time.Now(), ReplayPolicy: policy, Replay: topic.Replay{ID: "r", Status: topic.ReplayPending}})
	}))
	confirm := func() error {
		_, err := f.client.ConfirmSubscription(f.ctx, &sns.ConfirmSubscriptionInput{TopicArn: &second, Token: ptr(token)})
		return err
	}
	full(confirm())
	f.set(subs[1], "ReplayPolicy", "{}")
	must(t, confirm())
	full(start(plain))
	_, err = f.client.Unsubscribe(f.ctx, &sns.UnsubscribeInput{SubscriptionArn: &subs[2]})
	must(t, err)
	must(t, start(plain))
}

// Quotas are tested at their edges, with rows that are put where many calls would
// take long.
func TestQuotas(t *testing.T) {
	f := newFixture(t)
	fifo := f.topic("t.fifo")
	for i := range maxFIFOSubscriptions {
		f.subscribe(fifo, "sqs", queueARN(fmt.Sprint("q", i, ".fifo")))
	}
	subscribe := func(endpoint string) error {
		_, err := f.client.Subscribe(f.ctx, &sns.SubscribeInput{TopicArn: &fifo, Protocol: ptr("sqs"), Endpoint: &endpoint})
		return err
	}
	refused(t, subscribe(queueARN("one-more.fifo")), "SubscriptionLimitExceeded", "Subscription limit of the topic is reached")
	must(t, subscribe(queueARN("q0.fifo"))) // which is there
	for n := 1; n < maxFIFOTopics-1; n += 100 {
		must(t, f.db.Update(f.ctx, func(tx *store.Tx) error {
			for i := n; i < min(n+100, maxFIFOTopics-1); i++ {
				if err := topic.Topics.Put(tx, topic.Topic{Scope: here, Name: fmt.Sprint("t", i, ".fifo"), ID: fmt.Sprint(i), FIFO: true}); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	f.topic("last.fifo")
	_, err := f.client.CreateTopic(f.ctx, &sns.CreateTopicInput{Name: ptr("one-more.fifo"), Attributes: map[string]string{"FifoTopic": "true"}})
	refused(t, err, "TopicLimitExceeded", "The number of topics of the account is at its limit: delete some.")
	f.topic("standard") // which there may be more of
}

// A number that opted out is taken into no sandbox.
func TestOptedOut(t *testing.T) {
	f := newIdle(t, storetest.Open(t))
	const number = "+15550000000"
	must(t, f.db.Update(f.ctx, func(tx *store.Tx) error {
		return topic.OptOuts.Put(tx, topic.OptOut{Scope: here, Number: number, At: time.Now()})
	}))
	_, err := f.client.CreateSMSSandboxPhoneNumber(f.ctx, &sns.CreateSMSSandboxPhoneNumberInput{PhoneNumber: ptr(number)})
	refused(t, err, "OptedOut", "The phone number has opted out of messages")
}

// What is no caller's fault is an InternalError, by status 500, which says
// nothing of its cause.
func TestInternalError(t *testing.T) {
	db := storetest.Open(t)
	f := newIdle(t, db)
	must(t, db.Close())
	_, err := f.client.CreateTopic(f.ctx, &sns.CreateTopicInput{Name: ptr("a")})
	code, message, status := told(err)
	if code != "InternalError" || status != 500 || !strings.Contains(message, "a reason that is dhow's, not yours") {
		t.Errorf("%s %d: %s", code, status, message)
	}
}

// rival are contracts whose check of tags, which is asked within the change of a
// topic's, lets another server change the same topic first.
type rival struct {
	broker.Contracts
	change func() error
}

func (r *rival) CheckTags(context.Context, broker.Target, map[string]string, broker.Sender) error {
	return r.change()
}

// A change of tags that each time loses against another server's is answered by
// ConcurrentAccess, and leaves what that one wrote.
func TestConcurrentAccess(t *testing.T) {
	dbs := storetest.Shared(t, 2)
	f := newIdle(t, dbs[0])
	a := f.topic("a")
	changes, r := 0, &rival{}
	r.change = func() error {
		changes++
		return dbs[1].Update(f.ctx, func(tx *store.Tx) error {
			t, ok := topic.Find(tx, here, "a")
			if !ok {
				return errors.New("the other server does not see the topic")
			}
			t.Deleted = changes
			return topic.Topics.Put(tx, t)
		})
	}
	storetest.Await(t, dbs[1], topic.Topics, func(r store.Reader) bool { _, ok := topic.Find(r, here, "a"); return ok })
	f.gate.Contracts = r
	tags := []types.Tag{{Key: ptr(broker.SchemaTag), Value: ptr("shop/order")}}
	_, err := f.client.TagResource(f.ctx, &sns.TagResourceInput{ResourceArn: &a, Tags: tags})
	refused(t, err, "ConcurrentAccess", "Can't perform multiple operations on a tag simultaneously. Perform the operations sequentially.")
	if changes == 0 {
		t.Error("no other server changed the topic")
	}
	got, err := f.client.ListTagsForResource(f.ctx, &sns.ListTagsForResourceInput{ResourceArn: &a})
	if err != nil || len(got.Tags) > 0 {
		t.Errorf("%v, %v", got, err)
	}
	r.change = func() error { return nil }
	_, err = f.client.TagResource(f.ctx, &sns.TagResourceInput{ResourceArn: &a, Tags: tags})
	must(t, err)
}
