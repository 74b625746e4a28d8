package bus

import "github.com/dhowhq/dhow/identity/policy"

// PutEventsAction is the action that policies of buses let other accounts do.
const PutEventsAction = "events:PutEvents"

// MaxPolicy is the longest policy in bytes.
const MaxPolicy = 10240

// PolicyText is the bus's policy as AWS shows it, "" for none.
func (b Bus) PolicyText() string { return b.document().Text() }

func (b Bus) document() policy.Document {
	return policy.Document{Version: "2012-10-17", Statement: b.Policy}
}

// Admits says whether account may put an event of that source and detail-type
// on b. A bus admits its own account; others as its policy says.
func (b Bus) Admits(account, source, detailType string) bool {
	if account == b.Account {
		return true
	}
	return b.document().Decide(policy.Request{Account: account, Action: PutEventsAction, Resource: b.ARN(), Facts: map[string][]string{
		"events:source": {source}, "events:detail-type": {detailType}, "aws:sourceaccount": {account},
	}}) == policy.Allow
}
