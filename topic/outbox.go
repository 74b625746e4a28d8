package topic

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/dhowhq/dhow/bus/delivery"
	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/journal"
	"github.com/dhowhq/dhow/store"
)

// Letter is what lands in the outbox: what AWS would have sent out of the
// platform.
type Letter struct {
	Seq      uint64 `json:"seq"`
	Time     time.Time
	Region   string
	Protocol string            // email, email-json, sms or application
	To       string            // address, number, or endpoint's ARN
	From     string            `json:",omitempty"` // SenderID of a short message, a topic's DisplayName
	Type     string            `json:",omitempty"` // of a short message: Promotional or Transactional
	Subject  string            `json:",omitempty"`
	Body     string            // as it would have been sent
	Topic    string            `json:",omitempty"` // ARN
	Message  string            `json:",omitempty"` // MessageId
	Token    string            `json:",omitempty"` // of the device, for application
	Extra    map[string]string `json:",omitempty"` // attributes of the message
}

// An outbox keeps the newest letters of its account, outboxKept at least; the
// older ones go when there are outboxMore besides.
const (
	outboxKept = 10_000
	outboxMore = 1000
)

// outbox is an account's letters.
type outbox struct {
	journal.Log
	mu    sync.Mutex
	count int
}

// outbox returns an account's outbox.
func (e *Engine) outbox(ctx context.Context, r *reign, account string) (*outbox, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if box := r.outboxes[account]; box != nil {
		return box, nil
	}
	l, err := e.cfg.Journal.Open(ctx, outboxLog(account), r.term)
	if err != nil {
		return nil, err
	}
	box := &outbox{Log: l}
	for _, err := range l.Read(ctx, 0) {
		if err != nil {
			return nil, err
		}
		box.count++
	}
	r.outboxes[account] = box
	return box, nil
}

// drop puts a letter into an account's outbox.
func (e *Engine) drop(ctx context.Context, r *reign, s cluster.Scope, l Letter) error {
	box, err := e.outbox(ctx, r, s.Account)
	if err != nil {
		return err
	}
	l.Time, l.Region = time.Now().UTC(), s.Region
	ctx = context.WithoutCancel(ctx)
	if _, err = box.Append(ctx, journal.Synced, marshal(l)); err != nil {
		return err
	}
	if err := box.added(ctx); err != nil {
		e.log.Warn("old letters stay in an outbox", "account", s.Account, "err", err)
	}
	return nil
}

// added counts a letter, and removes old ones when there are too many.
func (b *outbox) added(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.count++; b.count < outboxKept+outboxMore {
		return nil
	}
	first, n := journal.Seq(0), 0
	for rec, err := range b.Read(ctx, 0) { // numbers have gaps
		if err != nil {
			return err
		}
		if first = rec.Seq; n == b.count-outboxKept {
			break
		}
		n++
	}
	if err := b.Trim(ctx, first); err != nil {
		return err
	}
	b.count -= n
	return nil
}

// Outbox returns the letters of an account, the oldest first, whose numbers are
// at least from.
func (e *Engine) Outbox(ctx context.Context, account string, from uint64) ([]Letter, error) {
	r, err := e.current(ctx)
	if err != nil {
		return nil, err
	}
	box, err := e.outbox(ctx, r, account)
	if err != nil {
		return nil, err
	}
	out := []Letter{}
	for rec, err := range box.Read(ctx, journal.Seq(from)) {
		if err != nil {
			return nil, err
		}
		var l Letter
		if err := json.Unmarshal(rec.Data, &l); err != nil {
			return nil, fmt.Errorf("letter %d: %w", rec.Seq, err)
		}
		l.Seq = uint64(rec.Seq)
		out = append(out, l)
	}
	return out, nil
}

func (e *Engine) clearOutbox(ctx context.Context, account string) error {
	r, err := e.current(ctx)
	if err != nil {
		return err
	}
	box, err := e.outbox(ctx, r, account)
	if err != nil {
		return err
	}
	box.mu.Lock()
	defer box.mu.Unlock()
	box.count = 0
	return box.Trim(ctx, box.Next())
}

// mail puts a message for an address or a number into the outbox.
func (e *Engine) mail(ctx context.Context, r *reign, l *letter) error {
	s := l.sub
	if s.Protocol == SMS {
		return e.text(ctx, r, s.Scope, s.Endpoint, l.Message, l.topicARN)
	}
	from := ""
	if t, ok := e.routes.topic(s.Scope.Key(s.Topic)); ok {
		from = t.Attributes["DisplayName"]
	}
	out := Letter{Protocol: s.Protocol, To: s.Endpoint, From: from, Topic: l.topicARN, Message: l.ID, Subject: "AWS Notification Message"}
	if l.Subject != nil {
		out.Subject = *l.Subject
	}
	switch {
	case s.Protocol == EmailJSON:
		out.Body = string(l.document())
	case l.kind() == subscribe:
		out.Subject = "AWS Notification - Subscription Confirmation"
		out.Body = fmt.Sprintf("You have chosen to subscribe to the topic:\n%s\n\nTo confirm this subscription, click or visit the link below (If this was in error no action is necessary):\n%s\n", l.topicARN, l.subscribeURL())
	case l.kind() == unsubscribe:
		out.Subject = "AWS Notification - Unsubscribe Confirmation"
		out.Body = fmt.Sprintf("Your subscription to the topic below has been deleted:\n%s\n\nIf this was in error, click or visit the link below to restore it:\n%s\n", l.topicARN, l.subscribeURL())
	default:
		out.Body = fmt.Sprintf("%s\n\n--\nIf you wish to stop receiving notifications from this topic, please click or visit the link below to unsubscribe:\n%s\n", l.text, l.unsubscribeURL())
	}
	return e.drop(ctx, r, s.Scope, out)
}

// text puts a short message into the outbox, unless its number opted out.
func (e *Engine) text(ctx context.Context, r *reign, s cluster.Scope, number string, m *Message, topicARN string) error {
	var out bool
	var set SMSSettings
	e.cfg.DB.View(func(rd store.Reader) error {
		_, out = OptOuts.Get(rd, s.Key(number))
		set, _ = SMSSettingsTable.Get(rd, s.Key("sms"))
		return nil
	})
	if out {
		return &delivery.Error{Permanent: true, Err: sentence("Phone number is opted out")}
	}
	l := Letter{Protocol: SMS, To: number, From: set.Attributes["DefaultSenderID"], Type: set.Attributes["DefaultSMSType"], Body: m.bodyFor(SMS), Topic: topicARN, Message: m.ID}
	for _, a := range m.Attributes {
		switch a.Name {
		case "AWS.SNS.SMS.SenderID":
			l.From = a.Value
		case "AWS.SNS.SMS.SMSType":
			l.Type = a.Value
		default:
			if !a.IsBinary() && l.Extra == nil {
				l.Extra = map[string]string{}
			}
			if !a.IsBinary() {
				l.Extra[a.Name] = a.Value
			}
		}
	}
	if l.Type == "" {
		l.Type = "Promotional"
	}
	return e.drop(ctx, r, s, l)
}

// push puts a message for a platform endpoint into the outbox.
func (e *Engine) push(ctx context.Context, r *reign, endpointARN string, m *Message, topicARN string) error {
	var end PlatformEndpoint
	var ok bool
	e.cfg.DB.View(func(rd store.Reader) error { end, ok = FindEndpoint(rd, endpointARN); return nil })
	switch {
	case !ok:
		return delivery.Permanent("", "the endpoint %s does not exist", endpointARN)
	case !end.Enabled:
		return delivery.Permanent("", "the endpoint %s is disabled", endpointARN)
	}
	l := Letter{Protocol: Application, To: endpointARN, Body: m.bodyFor(Application), Topic: topicARN, Message: m.ID, Token: end.Token}
	if b, ok := m.Bodies[end.Platform]; ok {
		l.Body = b
	}
	if m.Subject != nil {
		l.Subject = *m.Subject
	}
	for _, a := range m.Attributes {
		if a.IsBinary() {
			continue
		}
		if l.Extra == nil {
			l.Extra = map[string]string{}
		}
		l.Extra[a.Name] = a.Value
	}
	return e.drop(ctx, r, end.Scope, l)
}

// Text puts a short message into the outbox at once: a one-time password.
func (e *Engine) Text(ctx context.Context, s cluster.Scope, number, body string) error {
	r, err := e.current(ctx)
	if err != nil {
		return err
	}
	return e.drop(ctx, r, s, Letter{Protocol: SMS, To: number, Type: "Transactional", Body: body})
}
