package topic

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"
	"time"

	"github.com/dhowhq/dhow/bus/delivery"
)

// The types of messages that subscribers get.
const (
	notification = "Notification"
	subscribe    = "SubscriptionConfirmation"
	unsubscribe  = "UnsubscribeConfirmation"
)

const timeLayout = "2006-01-02T15:04:05.000Z"

func stamp(t time.Time) string { return t.UTC().Format(timeLayout) }

// letter is a message as it goes to one subscription.
type letter struct {
	*Message
	sub       *Subscription
	topicARN  string
	protocol  string
	version   string // SignatureVersion; "" signs nothing
	text      string // the body for the protocol
	signature string
	certURL   string
	why       *delivery.Failure // of a dead letter
}

// kind is the letter's Type.
func (l *letter) kind() string {
	if l.Type == "" {
		return notification
	}
	return l.Type
}

func (l *letter) unsubscribeURL() string {
	return l.sub.Base + "/?Action=Unsubscribe&SubscriptionArn=" + l.sub.ARN()
}

func (l *letter) subscribeURL() string {
	return l.sub.Base + "/?Action=ConfirmSubscription&TopicArn=" + l.topicARN + "&Token=" + url.QueryEscape(l.Token)
}

// toSign is the text that is signed ("Verifying the signatures of Amazon SNS
// messages").
func (l *letter) toSign() string {
	var b strings.Builder
	add := func(name, value string) { b.WriteString(name + "\n" + value + "\n") }
	add("Message", l.text)
	add("MessageId", l.ID)
	if l.kind() == notification {
		if l.Subject != nil {
			add("Subject", *l.Subject)
		}
	} else {
		add("SubscribeURL", l.subscribeURL())
	}
	add("Timestamp", stamp(l.Time))
	if l.kind() != notification {
		add("Token", l.Token)
	}
	add("TopicArn", l.topicARN)
	add("Type", l.kind())
	return b.String()
}

// address makes the letter for a subscription, signed where that is due:
// messages of FIFO topics are not, as on AWS.
func (e *Engine) address(m *Message, sub *Subscription, t *Topic) (*letter, error) {
	l := &letter{Message: m, sub: sub, topicARN: sub.TopicARN(), protocol: sub.Protocol, text: m.bodyFor(sub.Protocol)}
	switch {
	case t.FIFO && l.kind() == notification, sub.Raw && l.kind() == notification, sub.Protocol == SMS, sub.Protocol == Email, sub.Protocol == Application:
		return l, nil
	case sub.Protocol == Lambda:
		l.version = "1" // whatever the topic says, as on AWS
	default:
		if l.version = t.Attributes["SignatureVersion"]; l.version == "" {
			l.version = "1"
		}
	}
	s, err := e.signer()
	if err != nil {
		return nil, err
	}
	l.certURL = sub.Base + s.path
	l.signature, err = s.sign(l.version, l.toSign())
	return l, err
}

// field is a member of a JSON object that keeps its members' order.
type field struct {
	name  string
	value any
}

// object writes JSON as SNS does: a member a line.
func object(fields []field) []byte {
	var b bytes.Buffer
	b.WriteString("{")
	for i, f := range fields {
		if i > 0 {
			b.WriteString(",")
		}
		b.WriteString("\n  ")
		b.Write(marshal(f.name))
		b.WriteString(" : ")
		b.Write(marshal(f.value))
	}
	b.WriteString("\n}")
	return b.Bytes()
}

// marshal is JSON without escapes for HTML.
func marshal(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return []byte("null") // not to be: strings and maps of them
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

type wireAttribute struct{ Type, Value string }

func wireAttributes(list []Attribute) map[string]wireAttribute {
	out := make(map[string]wireAttribute, len(list))
	for _, a := range list {
		v := a.Value
		if a.IsBinary() {
			v = base64.StdEncoding.EncodeToString(a.Binary)
		}
		out[a.Name] = wireAttribute{a.Type, v}
	}
	return out
}

// document is the JSON that queues, URLs and email-json get ("Parsing Amazon SNS
// message formats").
func (l *letter) document() []byte {
	confirm := l.kind() != notification
	f := []field{{"Type", l.kind()}, {"MessageId", l.ID}}
	if l.Sequence != "" {
		f = append(f, field{"SequenceNumber", l.Sequence})
	}
	if confirm {
		f = append(f, field{"Token", l.Token})
	}
	f = append(f, field{"TopicArn", l.topicARN})
	if l.Subject != nil && !confirm {
		f = append(f, field{"Subject", *l.Subject})
	}
	f = append(f, field{"Message", l.text})
	if confirm {
		f = append(f, field{"SubscribeURL", l.subscribeURL()})
	}
	f = append(f, field{"Timestamp", stamp(l.Time)})
	if l.version != "" {
		f = append(f, field{"SignatureVersion", l.version}, field{"Signature", l.signature}, field{"SigningCertURL", l.certURL})
	}
	if !confirm {
		f = append(f, field{"UnsubscribeURL", l.unsubscribeURL()})
		if len(l.Attributes) > 0 {
			f = append(f, field{"MessageAttributes", wireAttributes(l.Attributes)})
		}
		if l.Replay != "" {
			f = append(f, field{"Replayed", "true"})
		}
	}
	return object(f)
}

// event is what a function gets.
func (l *letter) event() []byte {
	sns := struct {
		Type, MessageId, TopicArn                       string
		Subject                                         *string
		Message, Timestamp, SignatureVersion, Signature string
		SigningCertUrl, UnsubscribeUrl                  string
		MessageAttributes                               map[string]wireAttribute
	}{l.kind(), l.ID, l.topicARN, l.Subject, l.text, stamp(l.Time), l.version, l.signature, l.certURL, l.unsubscribeURL(), wireAttributes(l.Attributes)}
	type record struct {
		EventSource, EventVersion, EventSubscriptionArn string
		Sns                                             any
	}
	return marshal(struct{ Records []record }{[]record{{"aws:sns", "1.0", l.sub.ARN(), sns}}})
}
