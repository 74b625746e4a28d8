package sns

import (
	"bytes"
	"context"
	"encoding/json"
	"regexp"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/sns"

	"github.com/dhowhq/dhow/topic"
)

// policyDocument is a topic's policy: what is not known of it stays as it is.
type policyDocument struct {
	Version   string            `json:",omitempty"`
	ID        string            `json:"Id,omitempty"`
	Statement []json.RawMessage `json:"Statement"`
}

type statement struct {
	Sid, Effect string
	Principal   any
	Action      any
	Resource    string
	Condition   any `json:",omitempty"`
}

// defaultPolicy is what AWS gives every topic.
func defaultPolicy(t *topic.Topic) policyDocument {
	s := statement{"__default_statement_ID", "Allow", map[string]string{"AWS": "*"},
		[]string{"SNS:GetTopicAttributes", "SNS:SetTopicAttributes", "SNS:AddPermission", "SNS:RemovePermission", "SNS:DeleteTopic", "SNS:Subscribe", "SNS:ListSubscriptionsByTopic", "SNS:Publish"},
		t.ARN(), map[string]any{"StringEquals": map[string]string{"AWS:SourceOwner": t.Account}}}
	return policyDocument{"2008-10-17", "__default_policy_ID", []json.RawMessage{marshal(s)}}
}

func marshal(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(v) != nil {
		return []byte("null") // not to be
	}
	return bytes.TrimSpace(b.Bytes())
}

// policyText is a topic's policy as it is shown.
func policyText(t *topic.Topic) string {
	if t.Policy != "" {
		return t.Policy
	}
	return string(marshal(defaultPolicy(t)))
}

// readPolicy is a topic's policy to be changed.
func readPolicy(t *topic.Topic) policyDocument {
	var p policyDocument
	if t.Policy == "" || json.Unmarshal([]byte(t.Policy), &p) != nil {
		if t.Policy == "" {
			return defaultPolicy(t)
		}
		var one struct {
			Version   string
			ID        string `json:"Id"`
			Statement json.RawMessage
		}
		json.Unmarshal([]byte(t.Policy), &one) // it was checked
		p = policyDocument{one.Version, one.ID, []json.RawMessage{one.Statement}}
	}
	return p
}

func (p *policyDocument) find(label string) int {
	return slices.IndexFunc(p.Statement, func(raw json.RawMessage) bool {
		var s struct{ Sid string }
		return json.Unmarshal(raw, &s) == nil && s.Sid == label
	})
}

// grantable are the actions that a topic's owner can let others do.
var grantable = []string{"*", "AddPermission", "ConfirmSubscription", "DeleteTopic", "GetDataProtectionPolicy", "GetTopicAttributes", "ListSubscriptionsByTopic",
	"ListTagsForResource", "Publish", "PutDataProtectionPolicy", "Receive", "RemovePermission", "SetTopicAttributes", "Subscribe", "TagResource", "UntagResource"}

var accountID = regexp.MustCompile(`^[0-9]{12}$`)

// AddPermission adds a statement to the topic's policy.
func (a *API) AddPermission(ctx context.Context, in *sns.AddPermissionInput) (*sns.AddPermissionOutput, error) {
	return &sns.AddPermissionOutput{}, a.update(ctx, *in.TopicArn, "AddPermission", func(t *topic.Topic) error {
		if len(in.ActionName) == 0 {
			return invalid("ActionName")
		}
		if len(in.AWSAccountId) == 0 {
			return invalid("AWSAccountId")
		}
		p := readPolicy(t)
		if p.find(*in.Label) >= 0 {
			return invalid("Statement already exists")
		}
		var principals, actions []string
		for _, action := range in.ActionName {
			if !slices.Contains(grantable, action) {
				return invalid("Policy statement action out of service scope!")
			}
			actions = append(actions, "SNS:"+action)
		}
		for _, id := range in.AWSAccountId {
			if !accountID.MatchString(id) {
				return invalid("AWSAccountId Reason: %s is not the ID of an account", id)
			}
			principals = append(principals, "arn:aws:iam::"+id+":root")
		}
		p.Statement = append(p.Statement, marshal(statement{Sid: *in.Label, Effect: "Allow", Principal: map[string]any{"AWS": oneOrMany(principals)}, Action: oneOrMany(actions), Resource: t.ARN()}))
		text := string(marshal(p))
		if len(text) > topic.MaxPolicy {
			return invalid("Policy Reason: it is longer than %d bytes", topic.MaxPolicy)
		}
		t.Policy = text
		return nil
	})
}

func oneOrMany(list []string) any {
	if len(list) == 1 {
		return list[0]
	}
	return list
}

// RemovePermission removes a statement from the topic's policy.
func (a *API) RemovePermission(ctx context.Context, in *sns.RemovePermissionInput) (*sns.RemovePermissionOutput, error) {
	return &sns.RemovePermissionOutput{}, a.update(ctx, *in.TopicArn, "RemovePermission", func(t *topic.Topic) error {
		p := readPolicy(t)
		i := p.find(*in.Label)
		if i < 0 {
			return notFound("Statement")
		}
		p.Statement = slices.Delete(p.Statement, i, i+1)
		t.Policy = string(marshal(p))
		return nil
	})
}
