package kinesis

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/dhowhq/dhow/identity/policy"
	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/stream"
)

// A resource's policy says which other accounts may do what with it. The
// operations of the own account need none.

// parsePolicy reads a document of the resource with that ARN.
func parsePolicy(text, resource string) (policy.Document, error) {
	d, err := policy.Parse(text)
	if err != nil {
		return d, invalid("The policy is not valid: %s.", err)
	}
	if len(d.Statement) == 0 {
		return d, invalid("The policy is not valid: it has no Statement.")
	}
	for _, s := range d.Statement {
		if len(s.Resource) == 0 {
			return d, invalid("The policy is not valid: each statement needs Principal, Action and Resource.")
		}
		for _, r := range s.Resource {
			if !policy.Like(r, resource) {
				return d, invalid("The policy is not valid: Resource %s is not the resource %s.", r, resource)
			}
		}
	}
	return d, nil
}

// across decides whether the caller may do what the call's operation does with
// another account's resource, by that one's policy.
func (a *API) across(ctx context.Context, resource, text string, err error) error {
	c := awsapi.CallFrom(ctx)
	action := "kinesis:" + c.Operation
	if err == nil && text != "" {
		d, err := parsePolicy(text, resource)
		if err == nil && d.Decide(policy.Request{Account: c.Account, Principal: c.Principal, Action: action, Resource: resource}) == policy.Allow {
			return nil
		}
	}
	return denied("User: %s is not authorized to perform: %s on resource: %s because no resource-based policy allows the %s action", c.Principal, action, resource, action)
}

// PutResourcePolicy sets the policy of a stream or a consumer.
func (a *API) PutResourcePolicy(ctx context.Context, in *kinesis.PutResourcePolicyInput) (*kinesis.PutResourcePolicyOutput, error) {
	if _, err := parsePolicy(*in.Policy, *in.ResourceARN); err != nil {
		return nil, err
	}
	return &kinesis.PutResourcePolicyOutput{}, a.setPolicy(ctx, *in.ResourceARN, in.StreamId, *in.Policy)
}

// DeleteResourcePolicy removes the policy of a stream or a consumer.
func (a *API) DeleteResourcePolicy(ctx context.Context, in *kinesis.DeleteResourcePolicyInput) (*kinesis.DeleteResourcePolicyOutput, error) {
	text, err := a.policyOf(ctx, *in.ResourceARN, in.StreamId)
	if err != nil {
		return nil, err
	}
	if text == "" {
		return nil, noPolicy(*in.ResourceARN)
	}
	return &kinesis.DeleteResourcePolicyOutput{}, a.setPolicy(ctx, *in.ResourceARN, in.StreamId, "")
}

// GetResourcePolicy shows the policy of a stream or a consumer.
func (a *API) GetResourcePolicy(ctx context.Context, in *kinesis.GetResourcePolicyInput) (*kinesis.GetResourcePolicyOutput, error) {
	text, err := a.policyOf(ctx, *in.ResourceARN, in.StreamId)
	if err == nil && text == "" {
		err = noPolicy(*in.ResourceARN)
	}
	if err != nil {
		return nil, err
	}
	return &kinesis.GetResourcePolicyOutput{Policy: &text}, nil
}

func noPolicy(resource string) error {
	return wrap(&stream.Error{Kind: stream.NotFound, Message: "No resource policy found for resource ARN " + resource})
}

func (a *API) policyOf(ctx context.Context, resource string, id *string) (string, error) {
	if consumerARN(resource) {
		c, err := a.consumer(ctx, &resource, nil, id, nil)
		return c.Policy, err
	}
	ref, err := a.ref(ctx, nil, &resource, id)
	if err != nil {
		return "", err
	}
	s, err := a.e.Describe(ref)
	return s.Policy, wrap(err)
}

func (a *API) setPolicy(ctx context.Context, resource string, id *string, text string) error {
	if consumerARN(resource) {
		c, err := a.consumer(ctx, &resource, nil, id, nil)
		if err != nil {
			return err
		}
		_, err = a.e.ChangeConsumer(ctx, stream.Ref{Scope: c.Scope, Name: c.Stream}, c.Name, func(c *stream.Consumer) error {
			c.Policy = text
			return nil
		})
		return wrap(err)
	}
	ref, err := a.ref(ctx, nil, &resource, id)
	if err != nil {
		return err
	}
	_, err = a.e.Change(ctx, ref, func(s *stream.Stream) error {
		s.Policy = text
		return nil
	})
	return wrap(err)
}
