package main

import (
	"fmt"

	"github.com/dhowhq/dhow/identity/policy"
	"github.com/dhowhq/dhow/internal/arn"
	"github.com/dhowhq/dhow/queue"
)

// messenger is a service that delivers into queues, topics and streams, and on
// whose behalf.
type messenger struct {
	service string // such as sns.amazonaws.com
	source  string // ARN of the topic or the rule
	role    string // ARN of the role that the rule's target names, "" for none
}

// receiver is what a messenger delivers into, by an action that its policy is
// asked about.
type receiver struct {
	account string
	arn     string
	policy  string // JSON, "" for none
	action  string // such as sqs:SendMessage
}

func queueReceiver(d *queue.Definition) receiver {
	return receiver{d.Account, d.ARN(), d.Policy, "sqs:SendMessage"}
}

// refused says why a receiver does not take a messenger's messages, nil if it
// does. Within an account everything is delivered; into what is another one's,
// what its policy lets the service do, or the role.
func (m messenger) refused(to receiver) error {
	from, err := arn.Parse(m.source)
	if err != nil {
		return err
	}
	if from.Account == to.account {
		return nil
	}
	p, err := policy.Parse(to.policy)
	if err != nil { // an empty one too: there is no grant
		return m.denied(to)
	}
	facts := map[string][]string{"aws:sourcearn": {m.source}, "aws:sourceaccount": {from.Account}}
	asked := []policy.Request{{Service: m.service, Facts: facts}}
	if role, err := arn.Parse(m.role); err == nil && role.Account == from.Account {
		asked = append(asked, policy.Request{Account: role.Account, Principal: m.role})
	}
	allowed := false
	for _, r := range asked {
		r.Action, r.Resource = to.action, to.arn
		switch p.Decide(r) {
		case policy.Deny:
			return m.denied(to)
		case policy.Allow:
			allowed = true
		}
	}
	if !allowed {
		return m.denied(to)
	}
	return nil
}

func (m messenger) denied(to receiver) error {
	return fmt.Errorf("%s is not authorized to perform: %s on resource: %s for %s: it is another account's, whose policy must allow it", m.service, to.action, to.arn, m.source)
}
