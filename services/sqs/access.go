package sqs

import (
	"context"
	"slices"
	"strings"

	"github.com/dhowhq/dhow/identity/policy"
	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/queue"
)

// admit says whether the caller may do the call's operation with a queue: its
// own account may, others where the queue's policy says so, of what an owner can
// let others do. A batch is as much as one.
func admit(ctx context.Context, d *queue.Definition) error {
	c := awsapi.CallFrom(ctx)
	if c.Account == d.Account {
		return nil
	}
	operation := strings.TrimSuffix(c.Operation, "Batch")
	r := policy.Request{Account: c.Account, Principal: c.Principal, Action: "sqs:" + operation, Resource: d.ARN()}
	p, err := policy.Parse(d.Policy)
	if err == nil && slices.Contains(grantable, operation) && p.Decide(r) == policy.Allow {
		return nil
	}
	action := strings.ToLower(r.Action)
	return fault("AccessDeniedException", 403, "User: %s is not authorized to perform: %s on resource: %s because no resource-based policy allows the %s action",
		c.Principal, action, r.Resource, action)
}
