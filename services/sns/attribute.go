package sns

import (
	"encoding/json"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/dhowhq/dhow/topic"
)

// where says by which operation an attribute is set: errors differ.
type where bool

const (
	inCreate where = true  // CreateTopic and Subscribe
	inSet    where = false // SetTopicAttributes and SetSubscriptionAttributes
)

// bad is the error for an attribute's value.
func (w where) bad(format string, args ...any) error {
	if w == inCreate {
		return invalid("Attributes Reason: "+format, args...)
	}
	return invalid(format, args...)
}

// unknown is the error for an attribute's name.
func (w where) unknown(name string) error {
	if w == inCreate {
		return invalid("Attributes Reason: Unknown attribute %s", name)
	}
	return invalid("AttributeName")
}

var feedback = regexp.MustCompile(`^(Application|HTTP|Lambda|SQS|Firehose)(SuccessFeedbackRoleArn|FailureFeedbackRoleArn|SuccessFeedbackSampleRate)$`)

// attributeOf is an attribute's value as CreateTopic compares it.
func attributeOf(t *topic.Topic, name string) string {
	switch name {
	case "Policy":
		return t.Policy
	case "ContentBasedDeduplication":
		return strconv.FormatBool(t.ContentDedup())
	}
	return t.Attributes[name]
}

// setAttribute sets an attribute of a topic, or says what is wrong with it.
func setAttribute(t *topic.Topic, name, v string, w where) error {
	keep := func() {
		if v == "" {
			delete(t.Attributes, name)
		} else {
			t.Attributes[name] = v
		}
	}
	switch name {
	case "DisplayName":
		if len(v) > 100 || strings.ContainsFunc(v, func(r rune) bool { return r < ' ' }) {
			return w.bad("DisplayName: must be at most 100 characters without control characters")
		}
		t.Attributes[name] = v
		return nil
	case "Policy":
		return setPolicy(t, v, w)
	case "DeliveryPolicy":
		normal, err := topic.NormalTopicPolicy(v)
		if err != nil {
			return w.bad("DeliveryPolicy: %v", err)
		}
		v = normal
	case "SignatureVersion":
		if v != "" && v != "1" && v != "2" {
			return w.bad("SignatureVersion: Invalid value [%s]. Please use either 1 or 2", v)
		}
	case "TracingConfig":
		switch v {
		case "", "PassThrough":
		case "Active":
			return w.bad("TracingConfig: Active is not served here: there is nothing that takes segments. PassThrough hands the caller's trace on.")
		default:
			return w.bad("TracingConfig: Invalid value [%s]. Please use either PassThrough or Active", v)
		}
	case "KmsMasterKeyId":
		if len(v) > 2048 {
			return w.bad("KmsMasterKeyId: it is too long")
		}
	case "ContentBasedDeduplication", "FifoThroughputScope", "ArchivePolicy":
		return setFIFO(t, name, v, w)
	case "FifoTopic":
		return w.bad("FifoTopic: it cannot be changed")
	default:
		return setFeedback(t, name, v, w)
	}
	keep()
	return nil
}

func setPolicy(t *topic.Topic, v string, w where) error {
	if v == "" {
		t.Policy = ""
		return nil
	}
	err := topic.CheckPolicy(v)
	switch {
	case errors.Is(err, topic.ErrAction):
		return invalid("%v", err)
	case err != nil:
		return w.bad("Policy Error: %v", err)
	}
	t.Policy = v
	return nil
}

// setFIFO sets what only FIFO topics have.
func setFIFO(t *topic.Topic, name, v string, w where) error {
	if !t.FIFO {
		if name == "ContentBasedDeduplication" && w == inCreate {
			return invalid("Attributes Reason: Content-based deduplication can only be set for FIFO topics")
		}
		return w.bad("%s: only FIFO topics have it", name)
	}
	switch name {
	case "ContentBasedDeduplication":
		b, err := strconv.ParseBool(v)
		if err != nil {
			return w.bad("ContentBasedDeduplication: Invalid value [%s]. Must be true or false.", v)
		}
		t.Attributes[name] = strconv.FormatBool(b)
	case "FifoThroughputScope":
		if v != "Topic" && v != "MessageGroup" {
			return w.bad("FifoThroughputScope: Invalid value [%s]. Please use either Topic or MessageGroup", v)
		}
		t.Attributes[name] = v
	case "ArchivePolicy":
		return setArchive(t, v, w)
	}
	return nil
}

// setArchive sets for how long a topic keeps its messages ("Amazon SNS message
// archiving for FIFO topic owners").
func setArchive(t *topic.Topic, v string, w where) error {
	var p struct{ MessageRetentionPeriod json.RawMessage }
	if v != "" && json.Unmarshal([]byte(v), &p) != nil {
		return w.bad("ArchivePolicy: failed to parse JSON.")
	}
	if len(p.MessageRetentionPeriod) == 0 {
		t.ArchiveDays, t.Archived = 0, time.Time{}
		delete(t.Attributes, "ArchivePolicy")
		return nil
	}
	days, err := strconv.Atoi(strings.Trim(string(p.MessageRetentionPeriod), `"`))
	if err != nil || days < 1 || days > 365 {
		return w.bad("ArchivePolicy: MessageRetentionPeriod must be a number of days between 1 and 365")
	}
	if t.ArchiveDays == 0 {
		t.Archived = time.Now().UTC().Truncate(time.Millisecond)
	}
	t.ArchiveDays = days
	t.Attributes["ArchivePolicy"] = v
	return nil
}

func setFeedback(t *topic.Topic, name, v string, w where) error {
	if !feedback.MatchString(name) {
		return w.unknown(name)
	}
	if v == "" {
		delete(t.Attributes, name)
		return nil
	}
	if strings.HasSuffix(name, "SampleRate") {
		if n, err := strconv.Atoi(v); err != nil || n < 0 || n > 100 {
			return w.bad("%s: it must be a number between 0 and 100", name)
		}
	} else if checkARN(name, v) != nil {
		return w.bad("%s: it is not the ARN of a role", name)
	}
	t.Attributes[name] = v
	return nil
}
