package sqs

import (
	"context"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/queue"
)

// SendMessage puts a message on the disk and answers.
func (a *API) SendMessage(ctx context.Context, in *sqs.SendMessageInput) (*sqs.SendMessageOutput, error) {
	q, err := a.queue(ctx, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	s := sending{body: *in.MessageBody, attributes: in.MessageAttributes, system: in.MessageSystemAttributes,
		group: in.MessageGroupId, dedup: in.MessageDeduplicationId, delay: in.DelaySeconds, hasDelay: awsapi.Has(ctx, "DelaySeconds")}
	m, err := s.message(ctx, q)
	if err != nil {
		return nil, err
	}
	sent, err := a.gate.Send(ctx, q, caller(ctx), m)
	if err == nil {
		err = sent[0].Err
	}
	if err != nil {
		return nil, wrapSend(err, q, "are invalid")
	}
	out := &sqs.SendMessageOutput{MessageId: &sent[0].ID, MD5OfMessageBody: ptr(md5Of(m.Body)), SequenceNumber: text(sent[0].Sequence)}
	out.MD5OfMessageAttributes, out.MD5OfMessageSystemAttributes = text(md5OfAttributes(m.Attributes)), text(md5OfTrace(m.Trace))
	return out, nil
}

// sending is a message of SendMessage or of an entry of SendMessageBatch.
type sending struct {
	body         string
	attributes   map[string]types.MessageAttributeValue
	system       map[string]types.MessageSystemAttributeValue
	group, dedup *string
	delay        int32
	hasDelay     bool
}

// message checks what the engine leaves to the face, and gives the message.
func (s *sending) message(ctx context.Context, q *queue.Queue) (m queue.Message, err error) {
	if s.body == "" {
		return m, missing("MessageBody")
	}
	if err := s.checkIDs(q); err != nil {
		return m, err
	}
	m = queue.Message{Body: s.body, Group: deref(s.group), Dedup: deref(s.dedup), Sender: sender(ctx)}
	if s.hasDelay {
		switch {
		case q.FIFO && s.delay != 0:
			return m, invalid("DelaySeconds", s.delay, wrongType)
		case s.delay < 0 || s.delay > 900:
			return m, invalid("DelaySeconds", s.delay, "DelaySeconds must be >= 0 and <= 900.")
		}
		m.Delay = ptr(time.Duration(s.delay) * time.Second)
	}
	if m.Attributes, err = attributes(s.attributes); err != nil {
		return m, err
	}
	m.Trace, err = trace(s.system)
	return m, err
}

// idText is what group and deduplication ids may be: SendMessage in the API
// reference.
var idText = regexp.MustCompile("^[a-zA-Z0-9!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~]{1,128}$")

func (s *sending) checkIDs(q *queue.Queue) error {
	const reason = "%s can only include alphanumeric and punctuation characters. 1 to 128 in length."
	switch {
	case q.FIFO && s.group == nil:
		return missing("MessageGroupId")
	case s.group != nil && !idText.MatchString(*s.group):
		return invalid("MessageGroupId", *s.group, fmt.Sprintf(reason, "MessageGroupId"))
	case s.dedup == nil:
		if q.FIFO && !q.ContentDedup {
			return invalidValue("The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly")
		}
	case !idText.MatchString(*s.dedup):
		return invalid("MessageDeduplicationId", *s.dedup, fmt.Sprintf(reason, "MessageDeduplicationId"))
	case !q.FIFO:
		return invalid("MessageDeduplicationId", *s.dedup, wrongType)
	}
	return nil
}

// sender is the SenderId: the account for its root, else the principal's own id.
func sender(ctx context.Context) string {
	c := awsapi.CallFrom(ctx)
	if _, name, ok := strings.Cut(c.Principal, "/"); ok {
		return name
	}
	return c.Account
}

// wrapSend says why a message was not taken.
func wrapSend(err error, q *queue.Queue, verb string) error {
	if refused := wrapContract(err); refused != nil {
		return refused
	}
	switch {
	case errors.Is(err, queue.ErrTooLarge):
		return invalidValue(fmt.Sprintf("One or more parameters %s. Reason: Message must be shorter than %d bytes.", verb, q.MaxSize))
	case errors.Is(err, queue.ErrCharacters):
		return fault("InvalidMessageContents", 400, "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF")
	case errors.Is(err, queue.ErrNoGroup):
		return missing("MessageGroupId")
	}
	return wrap(err)
}

const maxAttributes = 10

var attributeName = regexp.MustCompile(`^[a-zA-Z0-9_.-]{1,256}$`)

// attributes checks a message's attributes.
func attributes(in map[string]types.MessageAttributeValue) (map[string]queue.Attribute, error) {
	if len(in) == 0 {
		return nil, nil
	}
	if len(in) > maxAttributes {
		return nil, invalidValue(fmt.Sprintf("Number of message attributes [%d] exceeds the allowed maximum [%d].", len(in), maxAttributes))
	}
	out := make(map[string]queue.Attribute, len(in))
	for name, v := range in {
		lower := strings.ToLower(name)
		if !attributeName.MatchString(name) || name[0] == '.' || name[len(name)-1] == '.' || strings.Contains(name, "..") ||
			strings.HasPrefix(lower, "aws.") || strings.HasPrefix(lower, "amazon.") {
			return nil, invalidValue(fmt.Sprintf("Message (user) attribute name '%s' is invalid: it can contain A-Z, a-z, 0-9, underscores, hyphens and single periods within, in 1 to 256 characters, and does not start with AWS. or Amazon.", name))
		}
		if v.StringListValues != nil || v.BinaryListValues != nil {
			return nil, fault("UnsupportedOperation", 400, "Message attribute list values in SendMessage operation are not supported.")
		}
		a, err := attribute(name, "Message (user) attribute", deref(v.DataType), v.StringValue, v.BinaryValue)
		if err != nil {
			return nil, err
		}
		out[name] = a
	}
	return out, nil
}

func attribute(name, kind, dataType string, s *string, b []byte) (a queue.Attribute, err error) {
	base, _, _ := strings.Cut(dataType, ".")
	a.Type = dataType
	switch {
	case dataType == "":
		return a, invalidValue(fmt.Sprintf("%s '%s' must contain a non-empty attribute type.", kind, name))
	case base != "String" && base != "Number" && base != "Binary" || len(dataType) > 256:
		return a, invalidValue(fmt.Sprintf("%s '%s' has an invalid attribute type, the set of supported type prefixes is Binary, Number, and String.", kind, name))
	case base == "Binary" && len(b) == 0, base != "Binary" && deref(s) == "":
		return a, invalidValue(fmt.Sprintf("%s '%s' must contain a non-empty value of type '%s'.", kind, name, base))
	case base == "Binary" && s != nil, base != "Binary" && b != nil:
		return a, invalidValue(fmt.Sprintf("%s '%s' has more than one value: for the type '%s' there is one of that type.", kind, name, base))
	case base == "Number" && !isNumber(*s):
		return a, invalidValue(fmt.Sprintf("Can't cast the value of %s '%s' to a number.", strings.ToLower(kind[:1])+kind[1:], name))
	}
	a.String, a.Binary = deref(s), b
	return a, nil
}

// isNumber reports whether a text is a number within ±10^128.
func isNumber(s string) bool {
	// Of a float64 the range suffices, and its parser takes any number of digits.
	f, err := strconv.ParseFloat(s, 64)
	return err == nil && math.Abs(f) <= 1e128 && !strings.ContainsAny(s, "xX_")
}

// trace is the one system attribute that there is.
func trace(in map[string]types.MessageSystemAttributeValue) (string, error) {
	for name, v := range in {
		if name != "AWSTraceHeader" {
			return "", invalidValue(fmt.Sprintf("Message system attribute name '%s' is invalid. Only AWSTraceHeader is supported.", name))
		}
		a, err := attribute(name, "Message (system) attribute", deref(v.DataType), v.StringValue, v.BinaryValue)
		if err != nil {
			return "", err
		}
		if a.Type != "String" {
			return "", invalidValue("Message (system) attribute 'AWSTraceHeader' must be of type 'String'.")
		}
		return a.String, nil
	}
	return "", nil
}
