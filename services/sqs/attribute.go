package sqs

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/dhowhq/dhow/identity/policy"
	"github.com/dhowhq/dhow/internal/arn"
	"github.com/dhowhq/dhow/queue"
	"github.com/dhowhq/dhow/store"
)

// SetQueueAttributes changes attributes; those with an empty value go back to
// their defaults.
func (a *API) SetQueueAttributes(ctx context.Context, in *sqs.SetQueueAttributesInput) (*sqs.SetQueueAttributesOutput, error) {
	err := a.update(ctx, in.QueueUrl, func(_ *store.Tx, d *queue.Definition) error {
		d.Changed = time.Now().Unix()
		return a.apply(d, in.Attributes, false)
	})
	return &sqs.SetQueueAttributesOutput{}, err
}

// number is an attribute that is a whole number.
type number struct {
	min, max int
	of       func(*queue.Definition) *int
}

var numbers = map[string]number{
	"DelaySeconds":                  {0, 900, func(d *queue.Definition) *int { return &d.Delay }},
	"MaximumMessageSize":            {1024, queue.MaxSize, func(d *queue.Definition) *int { return &d.MaxSize }},
	"MessageRetentionPeriod":        {60, 1209600, func(d *queue.Definition) *int { return &d.Retention }},
	"ReceiveMessageWaitTimeSeconds": {0, 20, func(d *queue.Definition) *int { return &d.Wait }},
	"VisibilityTimeout":             {0, 43200, func(d *queue.Definition) *int { return &d.Visibility }},
	"KmsDataKeyReusePeriodSeconds":  {60, 86400, func(d *queue.Definition) *int { return &d.KMSReuse }},
}

// apply sets attributes of a definition.
func (a *API) apply(d *queue.Definition, attributes map[string]string, create bool) error {
	if attributes["KmsMasterKeyId"] != "" && attributes["SqsManagedSseEnabled"] == "true" {
		return fault("InvalidAttributeName", 400, "You can use one type of server-side encryption (SSE) at one time. You can either enable KMS SSE or SQS SSE.")
	}
	defaults := queue.Definition{Settings: queue.Defaults()}
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		value := attributes[name]
		if n, ok := numbers[name]; ok {
			v, err := strconv.Atoi(value)
			if value == "" && !create {
				v, err = *n.of(&defaults), nil
			} else if v < n.min || v > n.max {
				return invalidAttribute(name, "")
			}
			if err != nil {
				return invalidAttribute(name, "")
			}
			*n.of(d) = v
			continue
		}
		if err := a.applyOther(d, name, value, create); err != nil {
			return err
		}
	}
	if d.ThroughputByGroup && !d.DedupByGroup {
		return invalidAttribute("FifoThroughputLimit", "perMessageGroupId is allowed only when the value of DeduplicationScope is messageGroup.")
	}
	return nil
}

func invalidAttribute(name, reason string) error {
	if reason != "" {
		reason = " Reason: " + reason
	}
	return fault("InvalidAttributeValue", 400, "Invalid value for the parameter %s.%s", name, reason)
}

func unknownAttribute(name string) error {
	return fault("InvalidAttributeName", 400, "Unknown Attribute %s.", name)
}

func (a *API) applyOther(d *queue.Definition, name, value string, create bool) (err error) {
	switch name {
	case "FifoQueue":
		switch {
		case !d.FIFO:
			return unknownAttribute(name)
		case value != "true":
			return invalidAttribute(name, "Modifying queue type is not supported.")
		}
	case "ContentBasedDeduplication":
		if !d.FIFO {
			return unknownAttribute(name)
		}
		err = boolean(name, value, &d.ContentDedup)
	case "DeduplicationScope":
		err = fifoChoice(d, name, value, "queue", "messageGroup", &d.DedupByGroup)
	case "FifoThroughputLimit":
		err = fifoChoice(d, name, value, "perQueue", "perMessageGroupId", &d.ThroughputByGroup)
	case "SqsManagedSseEnabled":
		if err = boolean(name, value, &d.SSE); err == nil && d.SSE {
			d.KMSKey, d.KMSReuse = "", 0
		}
	case "KmsMasterKeyId":
		if d.KMSKey = value; value != "" {
			d.SSE = false
		}
	case "Policy":
		if _, err := policy.Parse(value); value != "" && err != nil {
			return invalidAttribute(name, "")
		}
		d.Policy = value
	case "RedrivePolicy":
		d.Redrive, err = a.redrive(d, value)
	case "RedriveAllowPolicy":
		d.RedriveAllow, err = redriveAllow(value)
	default:
		return unknownAttribute(name)
	}
	return err
}

func boolean(name, value string, into *bool) error {
	switch strings.ToLower(value) {
	case "true", "false", "":
		*into = strings.EqualFold(value, "true")
		return nil
	}
	return invalidAttribute(name, "")
}

// fifoChoice sets an attribute of FIFO queues with two values.
func fifoChoice(d *queue.Definition, name, value, no, yes string, into *bool) error {
	if !d.FIFO {
		return fault("InvalidAttributeName", 400, "You can specify the %s only when FifoQueue is set to true.", name)
	}
	switch value {
	case no, yes, "":
		*into = value == yes
		return nil
	}
	return invalidAttribute(name, "")
}

// redrive reads a RedrivePolicy; maxReceiveCount may be a number or a text.
func (a *API) redrive(d *queue.Definition, value string) (*queue.Redrive, error) {
	if value == "" {
		return nil, nil
	}
	wrong := func(reason string) error { return invalid("RedrivePolicy", value, reason) }
	var p map[string]any
	if json.Unmarshal([]byte(value), &p) != nil {
		return nil, wrong("Redrive policy is not a valid JSON map.")
	}
	for key := range p {
		if key != "deadLetterTargetArn" && key != "maxReceiveCount" {
			return nil, wrong(fmt.Sprintf("Only following attributes are supported: [deadLetterTargetArn, maxReceiveCount]. %s is not.", key))
		}
	}
	target, _ := p["deadLetterTargetArn"].(string)
	if target == "" {
		return nil, wrong("Redrive policy does not contain mandatory attribute: deadLetterTargetArn.")
	}
	if p["maxReceiveCount"] == nil {
		return nil, wrong("Redrive policy does not contain mandatory attribute: maxReceiveCount.")
	}
	count := fmt.Sprint(p["maxReceiveCount"])
	n, err := strconv.Atoi(count)
	if err != nil || n < 1 || n > 1000 {
		return nil, wrong(fmt.Sprintf("Invalid value for maxReceiveCount: %s, valid values are from 1 to 1000 both inclusive.", count))
	}
	at, err := arn.Parse(target)
	if err != nil || at.Service != "sqs" {
		return nil, wrong("Invalid value for deadLetterTargetArn.")
	}
	if at.Account != d.Account || at.Region != d.Region {
		return nil, wrong("Dead-letter queue must be in the account and region of its source.")
	}
	to, err := a.queues.QueueByARN(target)
	switch {
	case err != nil:
		return nil, wrong("Dead letter target does not exist.")
	case to.FIFO != d.FIFO:
		return nil, wrong("Dead-letter queue must be same type of queue as the source.")
	case to.Name == d.Name:
		return nil, wrong("A queue cannot be its own dead-letter queue.")
	case !to.Admits(d.ARN()):
		return nil, wrong("Queue " + target + " does not allow this queue in its redrive allow policy.")
	}
	return &queue.Redrive{Target: target, Max: n}, nil
}

func redriveAllow(value string) (*queue.RedriveAllow, error) {
	if value == "" {
		return nil, nil
	}
	wrong := func(reason string) error { return invalid("RedriveAllowPolicy", value, reason) }
	var p struct {
		RedrivePermission string   `json:"redrivePermission"`
		SourceQueueArns   []string `json:"sourceQueueArns"`
	}
	if json.Unmarshal([]byte(value), &p) != nil {
		return nil, wrong("Amazon SQS can't create the redrive allow policy, as it's in an unsupported format.")
	}
	switch {
	case p.RedrivePermission != "allowAll" && p.RedrivePermission != "denyAll" && p.RedrivePermission != "byQueue":
		return nil, wrong("redrivePermission must be allowAll, denyAll or byQueue.")
	case p.RedrivePermission != "byQueue" && p.SourceQueueArns != nil:
		return nil, wrong("sourceQueueArns can be given only with redrivePermission byQueue.")
	case p.RedrivePermission == "byQueue" && (len(p.SourceQueueArns) == 0 || len(p.SourceQueueArns) > 10):
		return nil, wrong("byQueue needs 1 to 10 sourceQueueArns.")
	}
	for _, s := range p.SourceQueueArns {
		if a, err := arn.Parse(s); err != nil || a.Service != "sqs" {
			return nil, wrong(s + " is not the ARN of a queue.")
		}
	}
	return &queue.RedriveAllow{Permission: p.RedrivePermission, Sources: p.SourceQueueArns}, nil
}

// attributesOf are the attributes of a definition, as GetQueueAttributes has
// them; those that are not set are absent.
func attributesOf(d *queue.Definition) map[string]string {
	m := map[string]string{
		"QueueArn":              d.ARN(),
		"CreatedTimestamp":      strconv.FormatInt(d.Created, 10),
		"LastModifiedTimestamp": strconv.FormatInt(d.Changed, 10),
		"SqsManagedSseEnabled":  strconv.FormatBool(d.SSE),
	}
	for name, n := range numbers {
		m[name] = strconv.Itoa(*n.of(d))
	}
	delete(m, "KmsDataKeyReusePeriodSeconds")
	if d.KMSKey != "" {
		m["KmsMasterKeyId"] = d.KMSKey
		if m["KmsDataKeyReusePeriodSeconds"] = "300"; d.KMSReuse != 0 {
			m["KmsDataKeyReusePeriodSeconds"] = strconv.Itoa(d.KMSReuse)
		}
	}
	if d.Policy != "" {
		m["Policy"] = d.Policy
	}
	if r := d.Redrive; r != nil {
		m["RedrivePolicy"] = marshal(struct {
			Target string `json:"deadLetterTargetArn"`
			Max    int    `json:"maxReceiveCount"`
		}{r.Target, r.Max})
	}
	if r := d.RedriveAllow; r != nil {
		m["RedriveAllowPolicy"] = marshal(struct {
			Permission string   `json:"redrivePermission"`
			Sources    []string `json:"sourceQueueArns,omitempty"`
		}{r.Permission, r.Sources})
	}
	if d.FIFO {
		m["FifoQueue"] = "true"
		m["ContentBasedDeduplication"] = strconv.FormatBool(d.ContentDedup)
		m["DeduplicationScope"], m["FifoThroughputLimit"] = "queue", "perQueue"
		if d.DedupByGroup {
			m["DeduplicationScope"] = "messageGroup"
		}
		if d.ThroughputByGroup {
			m["FifoThroughputLimit"] = "perMessageGroupId"
		}
	}
	return m
}

func marshal(v any) string {
	b, _ := json.Marshal(v) // of texts and numbers: it cannot fail
	return string(b)
}

// attributeNames are all that GetQueueAttributes may be asked for.
var attributeNames = []string{"All", "Policy", "VisibilityTimeout", "MaximumMessageSize", "MessageRetentionPeriod", "ApproximateNumberOfMessages",
	"ApproximateNumberOfMessagesNotVisible", "CreatedTimestamp", "LastModifiedTimestamp", "QueueArn", "ApproximateNumberOfMessagesDelayed",
	"DelaySeconds", "ReceiveMessageWaitTimeSeconds", "RedrivePolicy", "FifoQueue", "ContentBasedDeduplication", "KmsMasterKeyId",
	"KmsDataKeyReusePeriodSeconds", "DeduplicationScope", "FifoThroughputLimit", "RedriveAllowPolicy", "SqsManagedSseEnabled"}

// GetQueueAttributes says the attributes that are asked for.
func (a *API) GetQueueAttributes(ctx context.Context, in *sqs.GetQueueAttributesInput) (*sqs.GetQueueAttributesOutput, error) {
	q, err := a.queue(ctx, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	all, count := false, false
	for _, n := range in.AttributeNames {
		name := string(n)
		if !slices.Contains(attributeNames, name) {
			return nil, unknownAttribute(name)
		}
		all = all || name == "All"
		count = count || all || strings.HasPrefix(name, "Approximate")
	}
	have := attributesOf(&q.Definition)
	if count {
		c, err := q.Counts(ctx)
		if err != nil {
			return nil, wrap(err)
		}
		have["ApproximateNumberOfMessages"] = strconv.Itoa(c.Visible)
		have["ApproximateNumberOfMessagesNotVisible"] = strconv.Itoa(c.InFlight)
		have["ApproximateNumberOfMessagesDelayed"] = strconv.Itoa(c.Delayed)
	}
	if all {
		return &sqs.GetQueueAttributesOutput{Attributes: have}, nil
	}
	out := &sqs.GetQueueAttributesOutput{}
	for _, n := range in.AttributeNames {
		if v, ok := have[string(n)]; ok {
			if out.Attributes == nil {
				out.Attributes = map[string]string{}
			}
			out.Attributes[string(n)] = v
		}
	}
	return out, nil
}
