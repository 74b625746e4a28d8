package topic

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/dhowhq/dhow/bus/delivery"
	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/store"
)

// statusKinds are the prefixes of a topic's feedback attributes, by protocol.
// Mail and short messages of topics have none.
var statusKinds = map[string]string{SQS: "SQS", HTTP: "HTTP", HTTPS: "HTTP", Lambda: "Lambda", Application: "Application"}

// status is a line of a delivery status log ("Amazon SNS message delivery
// status").
type status struct {
	Notification struct {
		MD5      string `json:"messageMD5Sum"`
		ID       string `json:"messageId"`
		TopicARN string `json:"topicArn,omitempty"`
		Time     string `json:"timestamp"`
	} `json:"notification"`
	Delivery struct {
		ID          string `json:"deliveryId"`
		Destination string `json:"destination"`
		Provider    any    `json:"providerResponse"`
		Dwell       int64  `json:"dwellTimeMs"`
		Attempts    int    `json:"attempts,omitempty"`
		Status      int    `json:"statusCode,omitempty"`
	} `json:"delivery"`
	Status string `json:"status"`
}

// note writes how an attempt ended, where the topic asks for it.
func (e *Engine) note(ctx context.Context, t *Topic, m *member, msg *Message, d delivery.Message, a answered, err error) {
	kind := statusKinds[m.Protocol]
	if kind == "" || e.cfg.Status == nil {
		return
	}
	group := "sns/" + t.Region + "/" + t.Account + "/" + t.Name
	if err != nil {
		if t.Attributes[kind+"FailureFeedbackRoleArn"] == "" || ctx.Err() != nil && errors.Is(err, context.Canceled) {
			return
		}
		group += "/Failure"
	} else if t.Attributes[kind+"SuccessFeedbackRoleArn"] == "" || !sampled(t.Attributes[kind+"SuccessFeedbackSampleRate"]) {
		return
	}
	s := newStatus(msg, msg.bodyFor(m.Protocol), m.Endpoint, d, err)
	s.Notification.TopicARN, s.Delivery.Status = t.ARN(), a.status
	if err == nil {
		s.Delivery.Provider = provider(m.Protocol, a)
	}
	e.write(ctx, t.Scope, group, s)
}

// notePhone writes how a message to a phone ended, where the account asks for it.
func (e *Engine) notePhone(ctx context.Context, scope cluster.Scope, number string, msg *Message, d delivery.Message, err error) {
	var set SMSSettings
	e.cfg.DB.View(func(r store.Reader) error { set, _ = SMSSettingsTable.Get(r, scope.Key("sms")); return nil })
	if e.cfg.Status == nil || set.Attributes["DeliveryStatusIAMRole"] == "" {
		return
	}
	group := "sns/" + scope.Region + "/" + scope.Account + "/DirectPublishToPhoneNumber"
	if err != nil {
		group += "/Failure"
	} else if !sampled(set.Attributes["DeliveryStatusSuccessSamplingRate"]) {
		return
	}
	e.write(ctx, scope, group, newStatus(msg, msg.bodyFor(SMS), number, d, err))
}

// noteEndpoint writes how a message to a platform endpoint ended, where its
// application asks for it, and tells of one that failed for good.
func (e *Engine) noteEndpoint(ctx context.Context, endpointARN string, msg *Message, d delivery.Message, err error) {
	var app PlatformApplication
	var end PlatformEndpoint
	var ok bool
	e.cfg.DB.View(func(r store.Reader) error {
		if end, ok = FindEndpoint(r, endpointARN); ok {
			app, ok = PlatformApplications.Get(r, end.Scope.Key(end.Platform, end.Application))
		}
		return nil
	})
	if !ok {
		return
	}
	var told *delivery.Error
	if errors.As(err, &told) && told.Permanent {
		e.Tell(ctx, app, DeliveryFailed, end)
	}
	if e.cfg.Status == nil {
		return
	}
	group := "sns/" + app.Region + "/" + app.Account + "/app/" + app.Platform + "/" + app.Name
	if err != nil {
		if app.Attributes["FailureFeedbackRoleArn"] == "" {
			return
		}
		group += "/Failure"
	} else if app.Attributes["SuccessFeedbackRoleArn"] == "" || !sampled(app.Attributes["SuccessFeedbackSampleRate"]) {
		return
	}
	e.write(ctx, app.Scope, group, newStatus(msg, msg.bodyFor(Application), endpointARN, d, err))
}

func newStatus(msg *Message, body, to string, d delivery.Message, err error) (s status) {
	sum := md5.Sum([]byte(body))
	s.Notification.MD5, s.Notification.ID = hex.EncodeToString(sum[:]), msg.ID
	s.Notification.Time = msg.Time.Format("2006-01-02 15:04:05.000")
	s.Delivery.ID, s.Delivery.Destination = cluster.NewUUID(), to
	s.Delivery.Dwell = time.Since(d.Enqueued).Milliseconds()
	s.Status, s.Delivery.Provider = "SUCCESS", "accepted"
	if err != nil {
		s.Status, s.Delivery.Provider, s.Delivery.Attempts = "FAILURE", err.Error(), d.Attempts+1
	}
	return s
}

// provider is what the receiver's side said.
func provider(protocol string, a answered) any {
	switch protocol {
	case SQS:
		return map[string]string{"sqsRequestId": cluster.NewUUID()}
	case Lambda:
		return map[string]string{"lambdaRequestId": cluster.NewUUID()}
	}
	return a.body
}

// sampled decides by a sample rate in percent; all where none is set.
func sampled(rate string) bool {
	n, err := strconv.Atoi(rate)
	return err != nil || rand.IntN(100) < n
}

func (e *Engine) write(ctx context.Context, scope cluster.Scope, group string, s status) {
	if err := e.cfg.Status(context.WithoutCancel(ctx), scope, group, string(marshal(s))); err != nil {
		e.log.Warn("a delivery status is not logged", "group", group, "err", err)
	}
}
