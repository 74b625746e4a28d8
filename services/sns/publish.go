package sns

import (
	"context"
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"

	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/topic"
)

var e164 = regexp.MustCompile(`^\+[1-9][0-9]{4,15}$`)

// Publish publishes one message: to a topic, a platform endpoint or a phone.
func (a *API) Publish(ctx context.Context, in *sns.PublishInput) (*sns.PublishOutput, error) {
	targets := 0
	for _, p := range []*string{in.TopicArn, in.TargetArn, in.PhoneNumber} {
		if p != nil {
			targets++
		}
	}
	if targets > 1 {
		return nil, invalid("Reason: only one of TopicArn, TargetArn and PhoneNumber may be given")
	}
	e := entry{Message: in.Message, Subject: in.Subject, Structure: in.MessageStructure, Attributes: in.MessageAttributes, Group: in.MessageGroupId, Dedup: in.MessageDeduplicationId}
	switch {
	case targets == 0:
		return nil, invalid("TopicArn or TargetArn Reason: no value for required parameter")
	case in.PhoneNumber != nil:
		return a.publishPhone(ctx, *in.PhoneNumber, e)
	case in.TargetArn != nil && topic.IsEndpoint(*in.TargetArn):
		return a.publishEndpoint(ctx, *in.TargetArn, e)
	}
	parameter, to := "TopicArn", in.TopicArn
	if in.TargetArn != nil {
		parameter, to = "TargetArn", in.TargetArn
	}
	t, err := a.topic(ctx, parameter, *to, "Publish")
	if err != nil {
		return nil, err
	}
	m, err := e.message(ctx, &t)
	if err != nil {
		return nil, err
	}
	out, err := a.gate.Publish(ctx, &t, caller(ctx), m)
	if err == nil {
		err = out[0].Err
	}
	if err != nil {
		return nil, wrap(err)
	}
	return &sns.PublishOutput{MessageId: &out[0].ID, SequenceNumber: given(out[0].Sequence)}, nil
}

func (a *API) publishPhone(ctx context.Context, number string, e entry) (*sns.PublishOutput, error) {
	if !e164.MatchString(number) {
		return nil, invalid("PhoneNumber Reason: %s is not valid to publish to", number)
	}
	m, err := e.message(ctx, nil)
	if err != nil {
		return nil, err
	}
	out, err := a.engine.PublishPhone(ctx, scope(ctx), number, m)
	return &sns.PublishOutput{MessageId: &out.ID}, wrap(err)
}

func (a *API) publishEndpoint(ctx context.Context, endpointARN string, e entry) (*sns.PublishOutput, error) {
	m, err := e.message(ctx, nil)
	if err != nil {
		return nil, err
	}
	out, err := a.engine.PublishEndpoint(ctx, endpointARN, m)
	return &sns.PublishOutput{MessageId: &out.ID}, wrap(err)
}

// maxBatch is how many entries PublishBatch takes.
const maxBatch = 10

var batchID = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// checkBatch holds that a batch may be taken at all.
func checkBatch(entries []types.PublishBatchRequestEntry) error {
	if len(entries) == 0 {
		return &types.EmptyBatchRequestException{Message: ptr("The batch request doesn't contain any entries.")}
	}
	if len(entries) > maxBatch {
		return &types.TooManyEntriesInBatchRequestException{Message: ptr("The batch request contains more entries than permissible.")}
	}
	seen := map[string]bool{}
	for _, e := range entries {
		switch {
		case len(*e.Id) > 80:
			return &types.InvalidBatchEntryIdException{Message: ptr("The Id of a batch entry in the batch request is too long: " + *e.Id)}
		case !batchID.MatchString(*e.Id):
			return &types.InvalidBatchEntryIdException{Message: ptr("The Id of a batch entry in the batch request contains an impermissible character: " + *e.Id)}
		case seen[*e.Id]:
			return &types.BatchEntryIdsNotDistinctException{Message: ptr("Two or more batch entries in the request have the same Id.")}
		}
		seen[*e.Id] = true
	}
	return nil
}

// PublishBatch publishes up to ten messages to a topic. What is wrong with a
// message's attributes, or with what a FIFO topic asks for, fails the batch;
// other faults fail their entry.
func (a *API) PublishBatch(ctx context.Context, in *sns.PublishBatchInput) (*sns.PublishBatchOutput, error) {
	t, err := a.topic(ctx, "TopicArn", *in.TopicArn, "Publish")
	if err != nil {
		return nil, err
	}
	if err := checkBatch(in.PublishBatchRequestEntries); err != nil {
		return nil, err
	}
	out := &sns.PublishBatchOutput{Successful: []types.PublishBatchResultEntry{}, Failed: []types.BatchResultErrorEntry{}}
	var good []topic.Message
	var ids []*string
	size := 0
	for _, b := range in.PublishBatchRequestEntries {
		e := entry{Message: b.Message, Subject: b.Subject, Structure: b.MessageStructure, Attributes: b.MessageAttributes, Group: b.MessageGroupId, Dedup: b.MessageDeduplicationId, batch: true}
		if size += e.size(); size > topic.MaxMessage {
			return nil, &types.BatchRequestTooLongException{Message: ptr("The length of all the messages put together is more than the limit.")}
		}
		m, err := e.message(ctx, &t)
		var bad *types.InvalidParameterException
		switch {
		case errors.As(err, &bad) && !e.fatal:
			out.Failed = append(out.Failed, types.BatchResultErrorEntry{Id: b.Id, Code: ptr("InvalidParameter"), Message: bad.Message, SenderFault: true})
			continue
		case err != nil:
			return nil, err
		}
		good, ids = append(good, m), append(ids, b.Id)
	}
	if len(good) == 0 {
		return out, nil
	}
	published, err := a.gate.Publish(ctx, &t, caller(ctx), good...)
	if err != nil {
		return nil, wrap(err)
	}
	for i, p := range published {
		if p.Err != nil {
			out.Failed = append(out.Failed, entryError(ids[i], p.Err))
			continue
		}
		out.Successful = append(out.Successful, types.PublishBatchResultEntry{Id: ids[i], MessageId: &p.ID, SequenceNumber: given(p.Sequence)})
	}
	return out, nil
}

// entry is a message as a publisher gives it.
type entry struct {
	Message, Subject, Structure *string
	Attributes                  map[string]types.MessageAttributeValue
	Group, Dedup                *string
	batch                       bool
	fatal                       bool // what is wrong fails the whole batch
}

func (e *entry) size() int {
	n := len(deref(e.Message)) + len(deref(e.Subject))
	for name, a := range e.Attributes {
		n += len(name) + len(deref(a.DataType)) + len(deref(a.StringValue)) + len(a.BinaryValue)
	}
	return n
}

// message checks an entry and makes the engine's message of it; t is nil where
// it goes to no topic.
func (e *entry) message(ctx context.Context, t *topic.Topic) (m topic.Message, err error) {
	call := awsapi.CallFrom(ctx)
	m = topic.Message{Body: deref(e.Message), Subject: e.Subject, Trace: call.Trace, Group: deref(e.Group), Dedup: deref(e.Dedup)}
	switch {
	case m.Body == "":
		return m, invalid("Empty message")
	case e.size() > topic.MaxMessage:
		return m, invalid("Message too long")
	}
	if e.Subject != nil && !validSubject(*e.Subject) {
		return m, invalid("Subject")
	}
	if m.Attributes, err = checkAttributes(e.Attributes); err != nil {
		return m, err
	}
	if e.Structure != nil && *e.Structure != "" {
		if *e.Structure != "json" {
			return m, invalid("MessageStructure")
		}
		if m.Bodies, err = bodies(m.Body); err != nil {
			return m, err
		}
		m.Body = m.Bodies["default"]
		delete(m.Bodies, "default")
	}
	if t == nil {
		return m, nil
	}
	e.fatal = true
	return m, e.checkOrder(t)
}

// checkOrder holds MessageGroupId and MessageDeduplicationId to what the topic
// asks for.
func (e *entry) checkOrder(t *topic.Topic) error {
	if e.Group != nil && !orderID.MatchString(*e.Group) {
		return invalid("MessageGroupId Reason: It can only include alphanumeric and punctuation characters. 1 to 128 in length.")
	}
	if e.Dedup != nil && !orderID.MatchString(*e.Dedup) {
		return invalid("MessageDeduplicationId Reason: It can only include alphanumeric and punctuation characters. 1 to 128 in length.")
	}
	switch {
	case !t.FIFO && e.Dedup != nil:
		return invalid("MessageDeduplicationId Reason: The request includes MessageDeduplicationId parameter that is not valid for this topic type")
	case !t.FIFO:
	case e.Group == nil:
		return wrap(topic.ErrNoGroup)
	case e.Dedup == nil && !t.ContentDedup():
		return wrap(topic.ErrNoDedup)
	}
	return nil
}

// orderID is the form of a MessageGroupId and a MessageDeduplicationId.
var orderID = regexp.MustCompile("^[a-zA-Z0-9!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~]{1,128}$")

// validSubject holds a subject to Publish's rule: ASCII that begins with a
// letter, number or punctuation mark, no control characters, at most 100.
func validSubject(s string) bool {
	if s == "" || len(s) > 100 || s[0] == ' ' {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

// attributeType are the types of message attributes.
var attributeType = regexp.MustCompile(`^(String|Number|Binary)(\..+)?$`)

// checkAttributes holds message attributes to SNS's rules.
func checkAttributes(in map[string]types.MessageAttributeValue) ([]topic.Attribute, error) {
	var out []topic.Attribute
	for _, name := range slices.Sorted(maps.Keys(in)) {
		v := in[name]
		if err := checkAttributeName(name); err != nil {
			return nil, err
		}
		kind, _, _ := strings.Cut(deref(v.DataType), ".")
		if !attributeType.MatchString(deref(v.DataType)) {
			return nil, badValue("The message attribute '%s' has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and String.", name)
		}
		binary := kind == "Binary"
		switch {
		case v.StringValue == nil && v.BinaryValue == nil, binary && v.StringValue == nil && len(v.BinaryValue) == 0, !binary && v.BinaryValue == nil && *v.StringValue == "":
			return nil, badValue("The message attribute '%s' must contain non-empty message attribute value for message attribute type '%s'.", name, *v.DataType)
		case binary && v.StringValue != nil:
			return nil, badValue("The message attribute '%s' with type '%s' must use field 'Binary'.", name, *v.DataType)
		case !binary && v.BinaryValue != nil:
			return nil, badValue("The message attribute '%s' with type '%s' must use field 'String'.", name, *v.DataType)
		case kind == "Number" && !number.MatchString(*v.StringValue):
			return nil, badValue("Could not cast message attribute '%s' value to number.", name)
		}
		out = append(out, topic.Attribute{Name: name, Type: *v.DataType, Value: deref(v.StringValue), Binary: v.BinaryValue})
	}
	return out, nil
}

var number = regexp.MustCompile(`^\s*[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?\s*$`)

func checkAttributeName(name string) error {
	switch {
	case len(name) > 256:
		return badValue("Length of message attribute name must be less than 256 bytes.")
	case strings.HasPrefix(name, "."):
		return badValue("Invalid message attribute name starting with character '.' was found.")
	case strings.HasSuffix(name, "."):
		return badValue("Invalid message attribute name ending with character '.' was found.")
	case strings.Contains(name, ".."):
		return badValue("Message attribute name can not have successive '.' character.")
	}
	for _, r := range name {
		if !strings.ContainsRune("-_.", r) && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') {
			return badValue("Invalid non-alphanumeric character '#x%X' was found in the message attribute name. Can only include alphanumeric characters, hyphens, underscores, or dots.", r)
		}
	}
	return nil
}
