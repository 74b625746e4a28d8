package sqs

import (
	"context"
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/dhowhq/dhow/queue"
	"github.com/dhowhq/dhow/store"
)

// statements is a queue's policy as far as AddPermission and RemovePermission touch
// it: what they do not know stays as it is.
type statements struct {
	fields map[string]json.RawMessage
	list   []json.RawMessage
}

func readPolicy(d *queue.Definition) (p statements) {
	p.fields = map[string]json.RawMessage{}
	if d.Policy == "" || json.Unmarshal([]byte(d.Policy), &p.fields) != nil {
		p.fields["Version"] = json.RawMessage(`"2008-10-17"`)
		p.fields["Id"] = json.RawMessage(marshal(d.ARN() + "/SQSDefaultPolicy"))
		return p
	}
	if json.Unmarshal(p.fields["Statement"], &p.list) != nil {
		p.list = []json.RawMessage{p.fields["Statement"]}
	}
	return p
}

// text is the policy as JSON, "" without statements.
func (p *statements) text() string {
	if len(p.list) == 0 {
		return ""
	}
	p.fields["Statement"] = json.RawMessage(marshal(p.list))
	return marshal(p.fields)
}

// find is the statement with that Sid, or -1.
func (p *statements) find(label string) int {
	return slices.IndexFunc(p.list, func(s json.RawMessage) bool {
		var st struct{ Sid string }
		return json.Unmarshal(s, &st) == nil && st.Sid == label
	})
}

// grantable are the actions that an owner can let others do: AddPermission in
// the API reference.
var grantable = []string{"*", "SendMessage", "ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility", "GetQueueAttributes", "GetQueueUrl", "ListDeadLetterSourceQueues", "PurgeQueue"}

var label = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,80}$`)

// maxStatements is how many statements a policy has: "Amazon SQS policy quotas"
// in the developer guide.
const maxStatements = 20

// AddPermission adds a statement to the queue's policy.
func (a *API) AddPermission(ctx context.Context, in *sqs.AddPermissionInput) (*sqs.AddPermissionOutput, error) {
	if !label.MatchString(*in.Label) {
		return nil, invalid("Label", *in.Label, "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length.")
	}
	if len(in.AWSAccountIds) == 0 {
		return nil, missing("PrincipalId")
	}
	if len(in.Actions) == 0 {
		return nil, missing("Actions")
	}
	if len(in.Actions) > 7 {
		return nil, fault("OverLimit", 403, "%d Actions were found, maximum allowed is 7.", len(in.Actions))
	}
	principals, actions := []string{}, []string{}
	for _, id := range in.AWSAccountIds {
		if !accountID.MatchString(id) {
			return nil, invalid("PrincipalId", "["+strings.Join(in.AWSAccountIds, ", ")+"]", "Unable to verify.")
		}
		principals = append(principals, "arn:aws:iam::"+id+":root")
	}
	for _, action := range in.Actions {
		if !slices.Contains(grantable, action) {
			return nil, invalid("ActionName", "SQS:"+action, "Only the queue owner is allowed to invoke this action.")
		}
		actions = append(actions, "SQS:"+action)
	}
	err := a.update(ctx, in.QueueUrl, func(_ *store.Tx, d *queue.Definition) error {
		p := readPolicy(d)
		if p.find(*in.Label) >= 0 {
			return invalid("Label", *in.Label, "Already exists.")
		}
		if len(p.list) >= maxStatements {
			return fault("OverLimit", 403, "%d permissions were found, maximum allowed is %d.", len(p.list)+1, maxStatements)
		}
		p.list = append(p.list, json.RawMessage(marshal(map[string]any{"Sid": *in.Label, "Effect": "Allow",
			"Principal": map[string]any{"AWS": oneOrMany(principals)}, "Action": oneOrMany(actions), "Resource": d.ARN()})))
		d.Policy = p.text()
		return nil
	})
	return &sqs.AddPermissionOutput{}, err
}

func oneOrMany(list []string) any {
	if len(list) == 1 {
		return list[0]
	}
	return list
}

// RemovePermission removes a statement from the queue's policy.
func (a *API) RemovePermission(ctx context.Context, in *sqs.RemovePermissionInput) (*sqs.RemovePermissionOutput, error) {
	err := a.update(ctx, in.QueueUrl, func(_ *store.Tx, d *queue.Definition) error {
		p := readPolicy(d)
		i := p.find(*in.Label)
		if i < 0 {
			return invalid("Label", *in.Label, "can't find label.")
		}
		p.list = slices.Delete(p.list, i, i+1)
		d.Policy = p.text()
		return nil
	})
	return &sqs.RemovePermissionOutput{}, err
}
