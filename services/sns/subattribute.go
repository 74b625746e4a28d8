package sns

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sns"

	"github.com/dhowhq/dhow/bus/pattern"
	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/internal/arn"
	"github.com/dhowhq/dhow/store"
	"github.com/dhowhq/dhow/topic"
)

// SetSubscriptionAttributes sets one attribute; an empty value takes it back.
func (a *API) SetSubscriptionAttributes(ctx context.Context, in *sns.SetSubscriptionAttributesInput) (*sns.SetSubscriptionAttributesOutput, error) {
	return &sns.SetSubscriptionAttributesOutput{}, a.db.Update(ctx, func(tx *store.Tx) error {
		s, err := own(ctx, tx, *in.SubscriptionArn, "SetSubscriptionAttributes")
		if err != nil {
			return err
		}
		t, ok := topic.Find(tx, s.Scope, s.Topic)
		if !ok || t.ID != s.TopicID {
			return notFound("Subscription")
		}
		had := s.Filter != ""
		if err := setSubscription(&t, &s, *in.AttributeName, deref(in.AttributeValue), inSet); err != nil {
			return err
		}
		if err := checkFilter(&s, inSet); err != nil {
			return err
		}
		if !had {
			if err := a.roomForFilter(&t, &s); err != nil {
				return err
			}
		}
		if *in.AttributeName == "ReplayPolicy" {
			if err := roomForReplay(tx, &s); err != nil {
				return err
			}
		}
		return topic.Subscriptions.Put(tx, s)
	})
}

// setSubscription sets an attribute of a subscription, or says what is wrong
// with it. Filters are checked by checkFilter.
func setSubscription(t *topic.Topic, s *topic.Subscription, name, v string, w where) error {
	switch name {
	case "RawMessageDelivery":
		return setRaw(s, v, w)
	case "FilterPolicy":
		if s.Filter = v; v == "{}" {
			s.Filter = ""
		}
	case "FilterPolicyScope":
		if v != "" && v != string(pattern.Attributes) && v != string(pattern.Body) {
			return w.bad("FilterPolicyScope: Invalid value [%s]. Please use either MessageBody or MessageAttributes", v)
		}
		s.FilterScope = v
	case "DeliveryPolicy":
		if v != "" && s.Protocol != topic.HTTP && s.Protocol != topic.HTTPS {
			return w.bad("DeliveryPolicy: only subscriptions by http and https have one")
		}
		if _, err := topic.EffectivePolicy("", v); err != nil {
			return w.bad("DeliveryPolicy: %v", err)
		}
		s.Delivery = v
	case "RedrivePolicy":
		return setRedrive(t, s, v, w)
	case "ReplayPolicy":
		return setReplay(t, s, v, w)
	case "SubscriptionRoleArn":
		return w.bad("SubscriptionRoleArn: only subscriptions by firehose have one")
	default:
		return w.unknown(name)
	}
	return nil
}

func setRaw(s *topic.Subscription, v string, w where) error {
	switch strings.ToLower(v) {
	case "true", "false", "":
	default:
		return w.bad("RawMessageDelivery: Invalid value [%s]. Must be true or false.", v)
	}
	raw := strings.EqualFold(v, "true")
	if raw && s.Protocol != topic.SQS && s.Protocol != topic.HTTP && s.Protocol != topic.HTTPS {
		return w.bad("Delivery protocol [%s] does not support raw message delivery.", s.Protocol)
	}
	s.Raw = raw
	return nil
}

// checkFilter holds the filter policy to its scope.
func checkFilter(s *topic.Subscription, w where) error {
	if s.Filter == "" {
		return nil
	}
	scope := pattern.Attributes
	if s.FilterScope != "" {
		scope = pattern.Scope(s.FilterScope)
	}
	_, err := pattern.ParseFilter(s.Filter, scope)
	var bad *pattern.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &bad) && bad.Reason == pattern.ErrNested:
		return w.bad("%v", err)
	}
	return w.bad("FilterPolicy: %v", err)
}

func setRedrive(t *topic.Topic, s *topic.Subscription, v string, w where) error {
	if v == "" || v == "{}" {
		s.Redrive = ""
		return nil
	}
	var p struct {
		DeadLetterTargetArn *string `json:"deadLetterTargetArn"`
	}
	if json.Unmarshal([]byte(v), &p) != nil {
		return w.bad("RedrivePolicy: failed to parse JSON.")
	}
	if p.DeadLetterTargetArn == nil {
		return w.bad("RedrivePolicy: must contain deadLetterTargetArn.")
	}
	at, err := arn.Parse(*p.DeadLetterTargetArn)
	switch {
	case err != nil || at.Service != "sqs":
		return w.bad("RedrivePolicy: deadLetterTargetArn is an invalid arn")
	case t.FIFO && strings.HasSuffix(s.Endpoint, ".fifo") && !strings.HasSuffix(at.Resource, ".fifo"):
		return w.bad("RedrivePolicy: must use a FIFO queue as DLQ for a FIFO topic")
	case !t.FIFO && strings.HasSuffix(at.Resource, ".fifo"):
		return w.bad("RedrivePolicy: must use a standard queue as DLQ for a standard topic")
	}
	s.Redrive = v
	return nil
}

// setReplay begins a replay, which takes the place of one that is under way; an
// empty policy ends it.
func setReplay(t *topic.Topic, s *topic.Subscription, v string, w where) error {
	if v == "" || v == "{}" {
		s.ReplayPolicy, s.Replay = "", topic.Replay{}
		return nil
	}
	var p struct{ PointType, StartingPoint, EndingPoint string }
	if json.Unmarshal([]byte(v), &p) != nil {
		return w.bad("ReplayPolicy: failed to parse JSON.")
	}
	switch {
	case t.ArchiveDays == 0:
		return w.bad("ReplayPolicy: the topic has no message archive policy")
	case p.PointType != "Timestamp":
		return w.bad("ReplayPolicy: PointType must be Timestamp")
	}
	from, err := time.Parse(time.RFC3339, p.StartingPoint)
	if err != nil {
		return w.bad("ReplayPolicy: StartingPoint must be a timestamp as 2023-01-01T00:00:00.000Z")
	}
	r := topic.Replay{ID: cluster.NewUUID(), From: from.UTC(), Status: topic.ReplayPending}
	if p.EndingPoint != "" {
		to, err := time.Parse(time.RFC3339, p.EndingPoint)
		if err != nil || to.Before(from) {
			return w.bad("ReplayPolicy: EndingPoint must be a timestamp that is not before StartingPoint")
		}
		r.To = to.UTC()
	}
	if r.From.After(time.Now()) {
		return w.bad("ReplayPolicy: StartingPoint must not be in the future")
	}
	s.ReplayPolicy, s.Replay = v, r
	return nil
}

// parseBool is strconv's, without its shorter forms.
func parseBool(v string) (bool, bool) {
	b, err := strconv.ParseBool(strings.ToLower(v))
	return b, err == nil && len(v) > 1
}
