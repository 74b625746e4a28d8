package sqs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/queue"
	"github.com/dhowhq/dhow/store"
)

var queueName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,80}$`)

const maxTags = 50

// CreateQueue makes a queue, or finds the one that is there if the attributes
// given are its own.
func (a *API) CreateQueue(ctx context.Context, in *sqs.CreateQueueInput) (*sqs.CreateQueueOutput, error) {
	d := queue.Definition{Scope: scope(ctx), Name: *in.QueueName, Settings: queue.Defaults(), Tags: in.Tags}
	if err := checkName(d.Name, in.Attributes["FifoQueue"]); err != nil {
		return nil, err
	}
	d.FIFO = strings.HasSuffix(d.Name, ".fifo")
	if err := a.apply(&d, in.Attributes, true); err != nil {
		return nil, err
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	if err := a.checkContract(ctx, &queue.Definition{}, &d); err != nil {
		return nil, err
	}
	have, err := a.queues.Create(ctx, d)
	if errors.Is(err, queue.ErrExists) {
		err = compare(&have, &d, in.Attributes)
	}
	if err != nil {
		return nil, wrap(err)
	}
	return &sqs.CreateQueueOutput{QueueUrl: ptr(urlOf(ctx, &have))}, nil
}

func checkName(name, fifo string) error {
	plain, isFIFO := strings.CutSuffix(name, ".fifo")
	switch {
	case fifo == "true" && (!isFIFO || !queueName.MatchString(plain) || len(name) > 80):
		return invalidValue("The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must end with .fifo suffix and be 1 to 80 in length.")
	case fifo != "true" && !queueName.MatchString(name):
		return invalidValue("Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length")
	}
	return nil
}

// compare refuses attributes of a queue that exists with others.
func compare(have, want *queue.Definition, given map[string]string) error {
	a, b := attributesOf(have), attributesOf(want)
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if a[name] != b[name] {
			return fault("QueueNameExists", 400, "A queue already exists with the same name and a different value for attribute %s", name)
		}
	}
	return nil
}

// DeleteQueue removes a queue with its messages.
func (a *API) DeleteQueue(ctx context.Context, in *sqs.DeleteQueueInput) (*sqs.DeleteQueueOutput, error) {
	q, err := a.queue(ctx, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	if err := a.queues.Remove(ctx, q.Scope, q.Name); err != nil {
		return nil, wrap(err)
	}
	return &sqs.DeleteQueueOutput{}, nil
}

// GetQueueUrl finds a queue by its name.
func (a *API) GetQueueUrl(ctx context.Context, in *sqs.GetQueueUrlInput) (*sqs.GetQueueUrlOutput, error) {
	s := scope(ctx)
	if owner := deref(in.QueueOwnerAWSAccountId); owner != "" {
		s.Account = owner
	}
	q, err := a.queues.Queue(s, *in.QueueName)
	if err != nil {
		return nil, wrap(err)
	}
	return &sqs.GetQueueUrlOutput{QueueUrl: ptr(urlOf(ctx, &q.Definition))}, admit(ctx, &q.Definition)
}

// maxPage is the most queues that a page has.
const maxPage = 1000

// ListQueues lists the account's queues in the region.
func (a *API) ListQueues(ctx context.Context, in *sqs.ListQueuesInput) (*sqs.ListQueuesOutput, error) {
	if err := checkPage(in.MaxResults, in.NextToken); err != nil {
		return nil, err
	}
	all := a.queues.List(scope(ctx), deref(in.QueueNamePrefix))
	urls, next, err := page(ctx, all, in.NextToken, in.MaxResults)
	if err != nil {
		return nil, err
	}
	return &sqs.ListQueuesOutput{QueueUrls: urls, NextToken: next}, nil
}

// ListDeadLetterSourceQueues lists the queues whose dead letters go to this one.
func (a *API) ListDeadLetterSourceQueues(ctx context.Context, in *sqs.ListDeadLetterSourceQueuesInput) (*sqs.ListDeadLetterSourceQueuesOutput, error) {
	if err := checkPage(in.MaxResults, in.NextToken); err != nil {
		return nil, err
	}
	q, err := a.queue(ctx, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	urls, next, err := page(ctx, a.queues.Sources(q.ARN()), in.NextToken, in.MaxResults)
	if err != nil {
		return nil, err
	}
	if urls == nil {
		urls = []string{}
	}
	return &sqs.ListDeadLetterSourceQueuesOutput{QueueUrls: urls, NextToken: next}, nil
}

func checkPage(max *int32, token *string) error {
	switch {
	case max != nil && (*max < 1 || *max > maxPage):
		return invalid("MaxResults", *max, "MaxResults must be an integer between 1 and 1000.")
	case token != nil && max == nil:
		return missing("MaxResults")
	}
	return nil
}

func page(ctx context.Context, all []queue.Definition, token *string, max *int32) (urls []string, next *string, err error) {
	part, next, err := awsapi.Page(ctx, all, func(d queue.Definition) string { return d.Name }, token, max, maxPage)
	for i := range part {
		urls = append(urls, urlOf(ctx, &part[i]))
	}
	if max == nil {
		next = nil // AWS gives a token to those alone who asked for pages
	}
	return urls, next, err
}

// PurgeQueue removes all messages that were sent before.
func (a *API) PurgeQueue(ctx context.Context, in *sqs.PurgeQueueInput) (*sqs.PurgeQueueOutput, error) {
	q, err := a.queue(ctx, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	if err := q.Purge(ctx); errors.Is(err, queue.ErrPurging) {
		return nil, fault("PurgeQueueInProgress", 403, "Only one PurgeQueue operation on %s is allowed every 60 seconds.", q.Name)
	} else if err != nil {
		return nil, wrap(err)
	}
	return &sqs.PurgeQueueOutput{}, nil
}

// ListQueueTags lists a queue's tags.
func (a *API) ListQueueTags(ctx context.Context, in *sqs.ListQueueTagsInput) (*sqs.ListQueueTagsOutput, error) {
	q, err := a.queue(ctx, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	out := &sqs.ListQueueTagsOutput{}
	if len(q.Tags) > 0 {
		out.Tags = q.Tags
	}
	return out, nil
}

// TagQueue adds tags, or changes their values.
func (a *API) TagQueue(ctx context.Context, in *sqs.TagQueueInput) (*sqs.TagQueueOutput, error) {
	err := a.update(ctx, in.QueueUrl, func(_ *store.Tx, d *queue.Definition) error {
		tags := maps.Clone(d.Tags)
		if tags == nil {
			tags = map[string]string{}
		}
		maps.Copy(tags, in.Tags)
		d.Tags = tags
		return checkTags(tags)
	})
	return &sqs.TagQueueOutput{}, err
}

// UntagQueue removes tags.
func (a *API) UntagQueue(ctx context.Context, in *sqs.UntagQueueInput) (*sqs.UntagQueueOutput, error) {
	err := a.update(ctx, in.QueueUrl, func(_ *store.Tx, d *queue.Definition) error {
		d.Tags = maps.Clone(d.Tags)
		for _, k := range in.TagKeys {
			delete(d.Tags, k)
		}
		return nil
	})
	return &sqs.UntagQueueOutput{}, err
}

// update changes the definition of a URL's queue.
func (a *API) update(ctx context.Context, queueURL *string, f func(tx *store.Tx, d *queue.Definition) error) error {
	q, err := a.queue(ctx, queueURL)
	if err != nil {
		return err
	}
	return wrap(a.queues.Update(ctx, q.Scope, q.Name, func(tx *store.Tx, d *queue.Definition) error {
		before := *d
		if err := f(tx, d); err != nil {
			return err
		}
		return a.checkContract(ctx, &before, d)
	}))
}

func checkTags(tags map[string]string) error {
	if len(tags) > maxTags {
		return invalidValue(fmt.Sprintf("Too many tags added for queue: %d, the limit is %d.", len(tags), maxTags))
	}
	for k, v := range tags {
		switch {
		case k == "" || len([]rune(k)) > 128:
			return invalidValue("Tag keys must be between 1 and 128 characters in length.")
		case len([]rune(v)) > 256:
			return invalidValue("Tag values must be between 0 and 256 characters in length.")
		case strings.HasPrefix(strings.ToLower(k), "aws:"):
			return invalidValue("Tag keys may not begin with aws:, which AWS keeps to itself.")
		}
	}
	return nil
}
