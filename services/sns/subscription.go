package sns

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"maps"
	"net/mail"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"

	"github.com/dhowhq/dhow/bus/pattern"
	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/internal/arn"
	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/store"
	"github.com/dhowhq/dhow/topic"
)

// The quotas of a topic ("Amazon SNS endpoints and quotas").
const (
	maxSubscriptions     = 12_500_000
	maxFIFOSubscriptions = 100
	maxFilters           = 200 // filter policies of a topic
)

var phoneNumber = regexp.MustCompile(`^\+?[0-9]+([-. ]?[0-9]+)*$`)

// checkEndpoint holds an endpoint to its protocol's form, and says to which
// account it belongs: "" for one outside of AWS.
func (a *API) checkEndpoint(r store.Reader, t *topic.Topic, protocol, endpoint string) (owner string, err error) {
	at, arnErr := arn.Parse(endpoint)
	fifoQueue := false
	switch protocol {
	case topic.SQS:
		if arnErr != nil || at.Service != "sqs" {
			return "", invalid("SQS endpoint ARN")
		}
		owner, fifoQueue = at.Account, strings.HasSuffix(endpoint, ".fifo")
	case topic.Lambda:
		if kind, _ := at.Type(); arnErr != nil || at.Service != "lambda" || kind != "function" {
			return "", invalid("Lambda endpoint ARN")
		}
		owner = at.Account
	case topic.Application:
		if !topic.IsEndpoint(endpoint) {
			return "", invalid("Application endpoint arn invalid:%s", endpoint)
		}
		if _, ok := topic.FindEndpoint(r, endpoint); !ok {
			return "", invalid("Endpoint Reason: Endpoint does not exist for endpoint %s", endpoint)
		}
		owner = at.Account
	case topic.HTTP, topic.HTTPS:
		if !strings.HasPrefix(endpoint, protocol+"://") {
			return "", invalid("Endpoint must match the specified protocol")
		}
		if u, err := url.Parse(endpoint); err != nil || u.Host == "" {
			return "", invalid("Unreachable Endpoint")
		}
	case topic.Email, topic.EmailJSON:
		if m, err := mail.ParseAddress(endpoint); err != nil || m.Address != endpoint {
			return "", invalid("Email address")
		}
	case topic.SMS:
		if !phoneNumber.MatchString(endpoint) {
			return "", refuse("Invalid SMS endpoint: %s", endpoint)
		}
	case "firehose":
		return "", invalid("Protocol Reason: firehose is not served here: there are no delivery streams")
	default:
		return "", invalid("Amazon SNS does not support this protocol string: %s", protocol)
	}
	switch {
	case t.FIFO && protocol != topic.SQS:
		return "", invalid("Protocol Reason: FIFO topics deliver to queues, not by %s", protocol)
	case fifoQueue && !t.FIFO:
		return "", invalid("Invalid parameter: Endpoint Reason: FIFO SQS Queues can not be subscribed to standard SNS topics")
	}
	return owner, nil
}

// Subscribe makes a subscription, or finds the one that is the same.
func (a *API) Subscribe(ctx context.Context, in *sns.SubscribeInput) (*sns.SubscribeOutput, error) {
	caller := awsapi.CallFrom(ctx)
	now := time.Now().UTC()
	s := topic.Subscription{ID: cluster.NewUUID(), Owner: caller.Account, Principal: caller.Principal, Protocol: *in.Protocol, Endpoint: deref(in.Endpoint),
		Base: base(ctx), Created: now, Authenticated: true}
	err := a.db.Update(ctx, func(tx *store.Tx) error {
		t, err := a.lookup(ctx, tx, "TopicArn", *in.TopicArn, "Subscribe")
		if err != nil {
			return err
		}
		owner, err := a.checkEndpoint(tx, &t, s.Protocol, s.Endpoint)
		if err != nil {
			return err
		}
		s.Scope, s.Topic, s.TopicID = t.Scope, t.Name, t.ID
		for _, name := range ordered(in.Attributes) {
			if err := setSubscription(&t, &s, name, in.Attributes[name], inCreate); err != nil {
				return err
			}
		}
		if err := checkFilter(&s, inCreate); err != nil {
			return err
		}
		if have, ok := same(tx, &s); ok {
			if !s.Pending && !equalSubscriptions(&have, &s, in.Attributes) {
				return invalid("Attributes Reason: Subscription already exists with different attributes")
			}
			if s = have; !s.Pending {
				return nil
			}
			s.Token, s.Asked = newToken(), now // it is asked again
		} else if err := a.roomForSubscription(&t, &s); err != nil {
			return err
		}
		if owner != caller.Account && (owner != "" || s.Protocol != topic.SMS) && s.Token == "" {
			s.Pending, s.Token, s.Asked = true, newToken(), now
		}
		if err := roomForReplay(tx, &s); err != nil {
			return err
		}
		return topic.Subscriptions.Put(tx, s)
	})
	if err != nil {
		return nil, err
	}
	if s.Pending {
		if err := wrap(a.engine.Confirm(ctx, &s)); err != nil {
			return nil, err
		}
		if !in.ReturnSubscriptionArn {
			return &sns.SubscribeOutput{SubscriptionArn: ptr("pending confirmation")}, nil
		}
	}
	return &sns.SubscribeOutput{SubscriptionArn: ptr(s.ARN())}, nil
}

// ordered are an attribute map's names: a filter's scope counts before it does.
func ordered(m map[string]string) []string {
	names := slices.Sorted(maps.Keys(m))
	slices.Reverse(names)
	return names
}

// same is the subscription of the same endpoint, if there is one.
func same(r store.Reader, s *topic.Subscription) (topic.Subscription, bool) {
	for have := range topic.Subscriptions.By(r, "endpoint", s.Scope.Key(s.Topic, s.Protocol, s.Endpoint)) {
		if have.TopicID == s.TopicID && !have.Cancelled {
			return have, true
		}
	}
	return topic.Subscription{}, false
}

// equalSubscriptions compares what is given.
func equalSubscriptions(have, want *topic.Subscription, given map[string]string) bool {
	for name := range given {
		if name != "ReplayPolicy" && subscriptionAttributes(have)[name] != subscriptionAttributes(want)[name] {
			return false
		}
	}
	return true
}

func (a *API) roomForSubscription(t *topic.Topic, s *topic.Subscription) error {
	confirmed, pending := a.engine.Counts(t)
	most := maxSubscriptions
	if t.FIFO {
		most = maxFIFOSubscriptions
	}
	if confirmed+pending >= most {
		return &types.SubscriptionLimitExceededException{Message: ptr("Subscription limit of the topic is reached")}
	}
	return a.roomForFilter(t, s)
}

// roomForFilter holds a topic to its number of filter policies.
func (a *API) roomForFilter(t *topic.Topic, s *topic.Subscription) error {
	if s.Filter != "" && a.engine.Filters(t) >= maxFilters {
		return &types.FilterPolicyLimitExceededException{Message: ptr("Filter policy limit of the topic is reached: it can have 200")}
	}
	return nil
}

// roomForReplay holds an account to its number of replays at once.
func roomForReplay(r store.Reader, s *topic.Subscription) error {
	if !topic.RoomToReplay(r, s) {
		return &types.ReplayLimitExceededException{Message: ptr(fmt.Sprintf("Replay limit of the account is reached: %d can run at once. Try again when one has ended.", topic.MaxReplays))}
	}
	return nil
}

// newToken is what confirms a subscription: 288 digits, as on AWS.
func newToken() string {
	var b [144]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// Unsubscribe removes a subscription; one that is not there is gone already. By
// its URL, without credentials, everybody may, unless its owner said otherwise.
func (a *API) Unsubscribe(ctx context.Context, in *sns.UnsubscribeInput) (*sns.UnsubscribeOutput, error) {
	if err := checkARN("SubscriptionArn", *in.SubscriptionArn); err != nil {
		return nil, err
	}
	var tell *topic.Subscription
	err := a.db.Update(ctx, func(tx *store.Tx) error {
		tell = nil
		s, ok := topic.FindSubscription(tx, *in.SubscriptionArn)
		if !ok {
			return nil
		}
		switch account := scope(ctx).Account; {
		case signed(ctx) && account != s.Owner && account != s.Account:
			return denied(ctx, "Unsubscribe", s.ARN())
		case !signed(ctx) && s.Authenticate:
			return &types.AuthorizationErrorException{Message: ptr("Authentication is required to unsubscribe from this subscription")}
		}
		if t, ok := topic.Find(tx, s.Scope, s.Topic); ok && t.ID == s.TopicID && !s.Pending {
			t.Deleted++
			if err := topic.Topics.Put(tx, t); err != nil {
				return err
			}
			if outside := s.Protocol == topic.HTTP || s.Protocol == topic.HTTPS || s.Protocol == topic.Email || s.Protocol == topic.EmailJSON; outside && !signed(ctx) {
				s.Cancelled, s.Token, s.Asked = true, newToken(), time.Now().UTC()
				tell = &s
				return topic.Subscriptions.Put(tx, s)
			}
		}
		topic.Subscriptions.Delete(tx, s.RowKey())
		return nil
	})
	if err == nil && tell != nil {
		err = wrap(a.engine.Confirm(ctx, tell))
	}
	return &sns.UnsubscribeOutput{}, err
}

var isHex = regexp.MustCompile(`^[0-9a-fA-F]+$`)

// ConfirmSubscription takes a token. Only the token and the region count: of the
// topic's name AWS takes any.
func (a *API) ConfirmSubscription(ctx context.Context, in *sns.ConfirmSubscriptionInput) (*sns.ConfirmSubscriptionOutput, error) {
	at, err := arn.Parse(*in.TopicArn)
	if err != nil || at.Service != "sns" {
		return nil, invalid("Topic")
	}
	if !isHex.MatchString(*in.Token) {
		return nil, refuse("Invalid token")
	}
	var out *sns.ConfirmSubscriptionOutput
	err = a.db.Update(ctx, func(tx *store.Tx) error {
		var s topic.Subscription
		ok := false
		for s = range topic.Subscriptions.By(tx, "token", *in.Token) {
			ok = true
		}
		switch {
		case !ok:
			return invalid("Token")
		case s.Region != at.Region:
			return invalid("Topic")
		case (s.Pending || s.Cancelled) && time.Since(s.Asked) > topic.ConfirmTime:
			return invalid("Token")
		}
		out = &sns.ConfirmSubscriptionOutput{SubscriptionArn: ptr(s.ARN())}
		if !s.Pending && !s.Cancelled {
			return nil
		}
		t, found := topic.Find(tx, s.Scope, s.Topic)
		if !found || t.ID != s.TopicID {
			return noTopic()
		}
		if s.Cancelled && t.Deleted > 0 {
			t.Deleted--
			if err := topic.Topics.Put(tx, t); err != nil {
				return err
			}
		}
		// The row stays to be found by its token, which may come again.
		s.Pending, s.Cancelled, s.Authenticated = false, false, signed(ctx)
		s.Authenticate = deref(in.AuthenticateOnUnsubscribe) == "true" && signed(ctx)
		if err := roomForReplay(tx, &s); err != nil {
			return err
		}
		return topic.Subscriptions.Put(tx, s)
	})
	return out, err
}

// own returns a subscription of the caller's.
func own(ctx context.Context, r store.Reader, subscriptionARN, action string) (s topic.Subscription, err error) {
	if err := checkARN("SubscriptionArn", subscriptionARN); err != nil {
		return s, err
	}
	s, ok := topic.FindSubscription(r, subscriptionARN)
	if !ok || s.Region != scope(ctx).Region {
		return s, notFound("Subscription")
	}
	if account := scope(ctx).Account; account != s.Owner && account != s.Account {
		return s, denied(ctx, action, subscriptionARN)
	}
	return s, nil
}

// subscriptionAttributes are those that were set, as they are shown.
func subscriptionAttributes(s *topic.Subscription) map[string]string {
	out := map[string]string{"RawMessageDelivery": strconv.FormatBool(s.Raw)}
	put := func(name, v string) {
		if v != "" {
			out[name] = v
		}
	}
	put("FilterPolicy", s.Filter)
	if s.Filter != "" {
		out["FilterPolicyScope"] = string(pattern.Attributes)
		put("FilterPolicyScope", s.FilterScope)
	}
	put("DeliveryPolicy", s.Delivery)
	put("RedrivePolicy", s.Redrive)
	put("ReplayPolicy", s.ReplayPolicy)
	put("ReplayStatus", s.Replay.Status)
	return out
}

// GetSubscriptionAttributes shows a subscription.
func (a *API) GetSubscriptionAttributes(ctx context.Context, in *sns.GetSubscriptionAttributesInput) (out *sns.GetSubscriptionAttributesOutput, err error) {
	err = a.db.View(func(r store.Reader) error {
		s, err := own(ctx, r, *in.SubscriptionArn, "GetSubscriptionAttributes")
		if err != nil {
			return err
		}
		m := subscriptionAttributes(&s)
		m["SubscriptionArn"], m["TopicArn"], m["Owner"], m["Protocol"], m["Endpoint"] = s.ARN(), s.TopicARN(), s.Owner, s.Protocol, s.Endpoint
		m["PendingConfirmation"] = strconv.FormatBool(s.Pending)
		m["ConfirmationWasAuthenticated"] = strconv.FormatBool(s.Authenticated && !s.Pending)
		m["SubscriptionPrincipal"] = s.Principal
		if s.Protocol == topic.HTTP || s.Protocol == topic.HTTPS {
			t, _ := topic.Find(r, s.Scope, s.Topic)
			if p, err := topic.EffectivePolicy(t.Attributes["DeliveryPolicy"], s.Delivery); err == nil {
				m["EffectiveDeliveryPolicy"] = p.Text()
			}
		}
		out = &sns.GetSubscriptionAttributesOutput{Attributes: m}
		return nil
	})
	return out, err
}

func wireSubscription(s topic.Subscription) types.Subscription {
	name := s.ARN()
	if s.Pending {
		name = "PendingConfirmation"
	}
	return types.Subscription{SubscriptionArn: &name, Owner: &s.Owner, Protocol: &s.Protocol, Endpoint: &s.Endpoint, TopicArn: ptr(s.TopicARN())}
}

// list answers a page of subscriptions.
func list(ctx context.Context, rows []topic.Subscription, token *string) ([]types.Subscription, *string, error) {
	rows = slices.DeleteFunc(rows, func(s topic.Subscription) bool { return s.Cancelled })
	slices.SortFunc(rows, func(a, b topic.Subscription) int { return strings.Compare(a.RowKey(), b.RowKey()) })
	some, next, err := awsapi.Page(ctx, rows, topic.Subscription.RowKey, token, nil, page)
	if err != nil {
		return nil, nil, err
	}
	out := []types.Subscription{}
	for _, s := range some {
		out = append(out, wireSubscription(s))
	}
	return out, next, nil
}

// ListSubscriptions lists the caller's subscriptions.
func (a *API) ListSubscriptions(ctx context.Context, in *sns.ListSubscriptionsInput) (*sns.ListSubscriptionsOutput, error) {
	var rows []topic.Subscription
	a.db.View(func(r store.Reader) error {
		for s := range topic.Subscriptions.By(r, "owner", scope(ctx).Account+"/"+scope(ctx).Region) {
			rows = append(rows, s)
		}
		return nil
	})
	out, next, err := list(ctx, rows, in.NextToken)
	return &sns.ListSubscriptionsOutput{Subscriptions: out, NextToken: next}, err
}

// ListSubscriptionsByTopic lists a topic's subscriptions.
func (a *API) ListSubscriptionsByTopic(ctx context.Context, in *sns.ListSubscriptionsByTopicInput) (*sns.ListSubscriptionsByTopicOutput, error) {
	var rows []topic.Subscription
	err := a.db.View(func(r store.Reader) error {
		t, err := a.lookup(ctx, r, "TopicArn", *in.TopicArn, "ListSubscriptionsByTopic")
		if err != nil {
			return err
		}
		for s := range topic.Subscriptions.List(r, t.Scope.Prefix(t.Name)) {
			if s.TopicID == t.ID {
				rows = append(rows, s)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	out, next, err := list(ctx, rows, in.NextToken)
	return &sns.ListSubscriptionsByTopicOutput{Subscriptions: out, NextToken: next}, err
}
