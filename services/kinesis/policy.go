package kinesis

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/stream"
)

// A resource's policy says which other accounts may do what with it. The
// operations of the own account need none.

// policy is as much of a policy document as acts here.
type policy struct {
	Version   string
	Statement []statement
}

type statement struct {
	Sid       string
	Effect    string
	Principal principals
	Action    words
	Resource  words
	Condition json.RawMessage
}

// words are a string or a list of strings.
type words []string

func (w *words) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*w = words{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(w))
}

// principals are "*" or {"AWS": …}.
type principals struct{ words }

func (p *principals) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		p.words = words{one}
		return nil
	}
	var by map[string]words
	if err := json.Unmarshal(b, &by); err != nil {
		return err
	}
	for kind, who := range by {
		if kind != "AWS" {
			return fmt.Errorf("principals of the type %s have no effect on Kinesis here; only AWS has", kind)
		}
		p.words = who
	}
	return nil
}

// parsePolicy reads a document and refuses what would not act.
func parsePolicy(text, resource string) (p policy, err error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return p, invalid("The policy is not valid: %s.", err)
	}
	if len(p.Statement) == 0 {
		return p, invalid("The policy is not valid: it has no Statement.")
	}
	for _, s := range p.Statement {
		switch {
		case s.Effect != "Allow" && s.Effect != "Deny":
			return p, invalid("The policy is not valid: Effect is Allow or Deny, not %q.", s.Effect)
		case len(s.Principal.words) == 0 || len(s.Action) == 0 || len(s.Resource) == 0:
			return p, invalid("The policy is not valid: each statement needs Principal, Action and Resource.")
		case len(s.Condition) > 0:
			return p, invalid("The policy is not supported: Condition has no effect here. Leave it out.")
		}
		for _, r := range s.Resource {
			if r != "*" && !like(r, resource) {
				return p, invalid("The policy is not valid: Resource %s is not the resource %s.", r, resource)
			}
		}
	}
	return p, nil
}

// like matches a pattern with * and ?.
func like(pattern, s string) bool {
	star, mark := -1, 0
	i, j := 0, 0
	for j < len(s) {
		switch {
		case i < len(pattern) && pattern[i] == '*':
			star, mark = i, j
			i++
		case i < len(pattern) && (pattern[i] == '?' || pattern[i] == s[j]):
			i++
			j++
		case star >= 0:
			mark++
			i, j = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[i:], "*") == ""
}

func (s statement) meets(account, principal, action, resource string) bool {
	who := slices.ContainsFunc(s.Principal.words, func(p string) bool {
		return p == "*" || p == account || p == "arn:aws:iam::"+account+":root" || p == principal
	})
	does := slices.ContainsFunc(s.Action, func(a string) bool { return like(strings.ToLower(a), strings.ToLower(action)) })
	return who && does && slices.ContainsFunc(s.Resource, func(r string) bool { return like(r, resource) })
}

func (p policy) allows(account, principal, action, resource string) (ok bool) {
	for _, s := range p.Statement {
		if s.meets(account, principal, action, resource) {
			if s.Effect == "Deny" {
				return false
			}
			ok = true
		}
	}
	return ok
}

// across decides whether the caller may do what the call's operation does with
// another account's resource, by that one's policy.
func (a *API) across(ctx context.Context, resource, text string, err error) error {
	c := awsapi.CallFrom(ctx)
	action := "kinesis:" + c.Operation
	if err == nil && text != "" {
		if p, err := parsePolicy(text, resource); err == nil && p.allows(c.Account, c.Principal, action, resource) {
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
