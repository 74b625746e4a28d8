package topic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/dhowhq/dhow/bus/delivery"
	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/internal/arn"
	"github.com/dhowhq/dhow/store"
)

// policy is delivery.Config.Policy.
func (e *Engine) policy(lane string) (delivery.Policy, bool) {
	if sub, ok := strings.CutPrefix(lane, confirmLane); ok {
		s, ok := e.awaited(sub)
		if ok && (s.Protocol == HTTP || s.Protocol == HTTPS) {
			return HTTPPolicy{Retry: defaultRetry()}.policy(), true
		}
		return outside.policy(7 * time.Hour), ok
	}
	if sub, ok := strings.CutPrefix(lane, replayLane); ok {
		return delivery.Marks, e.replays(sub)
	}
	if strings.HasPrefix(lane, phoneLane) || IsEndpoint(lane) {
		return outside.policy(7 * time.Hour), true
	}
	m, _, ok := e.routes.find(lane)
	if !ok {
		return delivery.Policy{}, false
	}
	return m.policy, true
}

// awaited returns a subscription that waits for a confirmation.
func (e *Engine) awaited(subscriptionARN string) (s Subscription, ok bool) {
	e.cfg.DB.View(func(r store.Reader) error { s, ok = findSubscription(r, subscriptionARN); return nil })
	return s, ok && (s.Pending || s.Cancelled)
}

// send is delivery.Config.Send.
func (e *Engine) send(ctx context.Context, r *reign, d delivery.Message) error {
	if sub, ok := strings.CutPrefix(d.Lane, confirmLane); ok {
		return e.sendConfirmation(ctx, r, sub, d)
	}
	if sub, ok := strings.CutPrefix(d.Lane, replayLane); ok {
		return e.sendMark(ctx, sub, d)
	}
	if s, ok := strings.CutPrefix(d.Lane, phoneLane); ok {
		return e.sendPhone(ctx, r, s, d)
	}
	if IsEndpoint(d.Lane) {
		return e.sendEndpoint(ctx, r, d)
	}
	m, t, ok := e.routes.find(d.Lane)
	if !ok {
		return delivery.Permanent("", "the subscription is gone")
	}
	msg, err := decode(d.Body, t.Key)
	if err != nil {
		return &delivery.Error{Permanent: true, Err: err}
	}
	l, err := e.address(&msg, e.based(m.Subscription), t)
	if err != nil {
		return err
	}
	a, err := e.carry(ctx, r, l, m)
	e.note(ctx, t, m, &msg, d, a, err)
	if m.Protocol == Application {
		e.noteEndpoint(ctx, m.Endpoint, &msg, d, err)
	}
	return err
}

// based is a subscription that knows by which address its subscriber finds the
// platform.
func (e *Engine) based(s Subscription) *Subscription {
	if s.Base == "" {
		s.Base = e.cfg.Base()
	}
	return &s
}

// carry takes a letter where it shall go.
func (e *Engine) carry(ctx context.Context, r *reign, l *letter, m *member) (answered, error) {
	switch m.Protocol {
	case SQS:
		return answered{status: 200}, e.toQueue(ctx, m.Endpoint, l)
	case HTTP, HTTPS:
		return e.notify(ctx, l, m.http)
	case Lambda:
		return e.invoke(ctx, m.Endpoint, l)
	case Application:
		return answered{status: 200}, e.push(ctx, r, m.Endpoint, l.Message, l.topicARN)
	default:
		return answered{status: 200}, e.mail(ctx, r, l)
	}
}

// maxRaw is how many attributes a raw message to a queue may have; more are a
// client error ("Amazon SNS raw message delivery").
const maxRaw = 10

func (e *Engine) toQueue(ctx context.Context, queueARN string, l *letter) error {
	if e.cfg.Queue == nil {
		return delivery.Permanent("", "there are no queues")
	}
	m := QueueMessage{Topic: l.topicARN, Body: l.text, Trace: l.Trace, Group: l.Group, Unchecked: l.why != nil || l.kind() != notification, Why: l.why}
	if strings.HasSuffix(queueARN, ".fifo") {
		m.Dedup = replayDedup(l.Message)
	}
	if l.sub.Raw && l.kind() == notification {
		if len(l.Attributes) > maxRaw {
			return delivery.Permanent("", "the message has %d attributes, of a raw delivery to a queue there are at most %d", len(l.Attributes), maxRaw)
		}
		m.Attributes = l.Attributes
	} else {
		m.Body = string(l.document())
	}
	return e.cfg.Queue(ctx, queueARN, m)
}

// invoke sends an event to the URL that stands for a function.
func (e *Engine) invoke(ctx context.Context, functionARN string, l *letter) (answered, error) {
	a, err := arn.Parse(functionARN)
	if err != nil {
		return answered{}, &delivery.Error{Permanent: true, Err: err}
	}
	_, rest := a.Type()
	name, _, _ := strings.Cut(rest, ":")
	target, ok := "", false
	if e.cfg.Function != nil {
		target, ok = e.cfg.Function(cluster.Scope{Account: a.Account, Region: a.Region}, name)
	}
	if !ok {
		return answered{}, delivery.Permanent("", "there is no function %s: dhow function set NAME URL says what stands for it", functionARN)
	}
	h := http.Header{}
	h.Set("Content-Type", "application/json")
	h.Set("X-Amz-Invocation-Type", "Event")
	h.Set("User-Agent", userAgent)
	got, err := e.post(ctx, target, l.event(), h)
	if err == nil {
		got.status = http.StatusAccepted
	}
	return got, err
}

func (e *Engine) sendConfirmation(ctx context.Context, r *reign, sub string, d delivery.Message) error {
	s, ok := e.awaited(sub)
	if !ok {
		return nil // it was confirmed, or is gone
	}
	msg, err := decode(d.Body, nil)
	if err != nil {
		return &delivery.Error{Permanent: true, Err: err}
	}
	t, ok := e.routes.topic(s.Scope.Key(s.Topic))
	if !ok {
		return delivery.Permanent("", "the topic is gone")
	}
	l, err := e.address(&msg, e.based(s), t)
	if err != nil {
		return err
	}
	_, err = e.carry(ctx, r, l, &member{Subscription: s})
	return err
}

func (e *Engine) sendPhone(ctx context.Context, r *reign, to string, d delivery.Message) error {
	msg, err := decode(d.Body, nil)
	if err != nil {
		return &delivery.Error{Permanent: true, Err: err}
	}
	scope, number := splitPhone(to)
	err = e.text(ctx, r, scope, number, &msg, "")
	e.notePhone(ctx, scope, number, &msg, d, err)
	return err
}

func (e *Engine) sendEndpoint(ctx context.Context, r *reign, d delivery.Message) error {
	msg, err := decode(d.Body, nil)
	if err != nil {
		return &delivery.Error{Permanent: true, Err: err}
	}
	err = e.push(ctx, r, d.Lane, &msg, "")
	e.noteEndpoint(ctx, d.Lane, &msg, d, err)
	return err
}

// deadLetter is where a RedrivePolicy sends, "" for nowhere.
func (s *Subscription) deadLetter() string {
	var p struct {
		DeadLetterTargetArn string `json:"deadLetterTargetArn"`
	}
	if s.Redrive == "" || json.Unmarshal([]byte(s.Redrive), &p) != nil {
		return ""
	}
	return p.DeadLetterTargetArn
}

// bury is delivery.Config.Dead: what a subscription did not take goes to the
// queue of its RedrivePolicy, as the subscription would have got it.
func (e *Engine) bury(ctx context.Context, d delivery.Message, f delivery.Failure) error {
	m, t, ok := e.routes.find(d.Lane)
	if !ok {
		e.log.Warn("a message was given up", "lane", d.Lane, "retries", f.Retries, "err", f.Message)
		return nil
	}
	queue := m.deadLetter()
	if queue == "" {
		e.log.Warn("a message was given up, its subscription has no dead-letter queue", "subscription", d.Lane, "endpoint", m.Endpoint, "retries", f.Retries, "err", f.Message)
		return nil
	}
	msg, err := decode(d.Body, t.Key)
	if err != nil {
		return &delivery.Error{Permanent: true, Err: err}
	}
	sub := e.based(m.Subscription)
	if sub.Protocol == SMS || sub.Protocol == Email || sub.Protocol == Application || sub.Protocol == Lambda {
		sub.Protocol = EmailJSON // they get the signed document there
	}
	l, err := e.address(&msg, sub, t)
	if err != nil {
		return err
	}
	l.text, l.why = msg.bodyFor(m.Protocol), &f
	err = e.toQueue(ctx, queue, l)
	var told *delivery.Error
	if errors.As(err, &told) && told.Permanent {
		return fmt.Errorf("dead-letter queue %s: %w", queue, err)
	}
	return err
}
