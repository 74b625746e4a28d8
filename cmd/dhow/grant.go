package main

import (
	"fmt"

	"github.com/dhowhq/dhow/identity/policy"
	"github.com/dhowhq/dhow/internal/arn"
	"github.com/dhowhq/dhow/queue"
)

// messenger is a service that delivers into queues, and on whose behalf.
type messenger struct {
	service string // such as sns.amazonaws.com
	source  string // ARN of the topic or the rule
	role    string // ARN of the role that the rule's target names, "" for none
}

// refused says why a queue does not take a messenger's messages, nil if it does.
// Within an account everything is delivered; into another one's queue what the
// queue's policy lets the service do, or the role.
func (m messenger) refused(d *queue.Definition) error {
	from, err := arn.Parse(m.source)
	if err != nil {
		return err
	}
	if from.Account == d.Account {
		return nil
	}
	p, err := policy.Parse(d.Policy)
	if err != nil { // an empty one too: there is no grant
		return m.denied(d)
	}
	facts := map[string][]string{"aws:sourcearn": {m.source}, "aws:sourceaccount": {from.Account}}
	asked := []policy.Request{{Service: m.service, Facts: facts}}
	if role, err := arn.Parse(m.role); err == nil && role.Account == from.Account {
		asked = append(asked, policy.Request{Account: role.Account, Principal: m.role})
	}
	allowed := false
	for _, r := range asked {
		r.Action, r.Resource = "sqs:SendMessage", d.ARN()
		switch p.Decide(r) {
		case policy.Deny:
			return m.denied(d)
		case policy.Allow:
			allowed = true
		}
	}
	if !allowed {
		return m.denied(d)
	}
	return nil
}

func (m messenger) denied(d *queue.Definition) error {
	return fmt.Errorf("%s is not authorized to perform: sqs:SendMessage on resource: %s for %s: the queue is another account's, whose policy must allow it", m.service, d.ARN(), m.source)
}
