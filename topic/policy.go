package topic

import (
	"fmt"
	"strings"

	"github.com/dhowhq/dhow/identity/policy"
)

// MaxPolicy is the longest policy of a topic in bytes.
const MaxPolicy = 30 << 10

// ErrAction is CheckPolicy's answer to actions of another service.
var ErrAction error = sentence("Policy statement action out of service scope!")

// CheckPolicy says what is wrong with a topic's policy.
func CheckPolicy(s string) error {
	if len(s) > MaxPolicy {
		return fmt.Errorf("it is longer than %d bytes", MaxPolicy)
	}
	d, err := policy.Parse(s)
	if err != nil {
		return err
	}
	for _, st := range d.Statement {
		for _, a := range st.Action {
			if a != "*" && !strings.HasPrefix(strings.ToLower(a), "sns:") {
				return ErrAction
			}
		}
	}
	return nil
}

// Admits says whether an account may do an action ("Publish") with the topic.
// The topic's own may; others as its policy says, of which the default one
// admits nobody.
func (t *Topic) Admits(account, action string) bool {
	if account == t.Account {
		return true
	}
	d, err := policy.Parse(t.Policy)
	if t.Policy == "" || err != nil {
		return false
	}
	return d.Decide(policy.Request{Account: account, Action: "sns:" + action, Resource: t.ARN(), Facts: map[string][]string{
		"aws:sourceaccount": {account}, "aws:sourceowner": {account},
	}}) == policy.Allow
}
