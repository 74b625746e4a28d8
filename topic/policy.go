package topic

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/dhowhq/dhow/internal/arn"
)

// MaxPolicy is the longest policy of a topic in bytes.
const MaxPolicy = 30 << 10

// statement is a statement of a topic's policy, as far as it decides who of
// another account may do something.
type statement struct {
	Effect    string
	Principal json.RawMessage
	Action    texts
	Resource  texts
	Condition map[string]map[string]texts
}

// texts is a JSON string or a list of strings.
type texts []string

// UnmarshalJSON implements json.Unmarshaler.
func (t *texts) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*t = texts{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(t))
}

func readPolicy(s string) ([]statement, error) {
	var p struct{ Statement json.RawMessage }
	if err := json.Unmarshal([]byte(s), &p); err != nil {
		return nil, errors.New("it is not JSON")
	}
	var many []statement
	if json.Unmarshal(p.Statement, &many) != nil {
		var one statement
		if json.Unmarshal(p.Statement, &one) != nil {
			return nil, errors.New("its Statement is no statement or list of them")
		}
		many = []statement{one}
	}
	return many, nil
}

// CheckPolicy says what is wrong with a topic's policy.
func CheckPolicy(s string) error {
	if len(s) > MaxPolicy {
		return fmt.Errorf("it is longer than %d bytes", MaxPolicy)
	}
	list, err := readPolicy(s)
	if err != nil {
		return err
	}
	for i, st := range list {
		switch {
		case st.Effect != "Allow" && st.Effect != "Deny":
			return fmt.Errorf("statement %d: Effect must be Allow or Deny", i+1)
		case len(st.Principal) == 0:
			return fmt.Errorf("statement %d has no Principal", i+1)
		case len(st.Action) == 0:
			return fmt.Errorf("statement %d has no Action", i+1)
		}
		for _, a := range st.Action {
			if a != "*" && !strings.HasPrefix(strings.ToLower(a), "sns:") {
				return ErrAction
			}
		}
	}
	return nil
}

// ErrAction is CheckPolicy's answer to actions of another service.
var ErrAction error = sentence("Policy statement action out of service scope!")

// Admits says whether an account may do an action ("Publish") with the topic.
// The topic's own may; others as its policy says, of which the default one
// admits nobody.
func (t *Topic) Admits(account, action string) bool {
	if account == t.Account {
		return true
	}
	list, err := readPolicy(t.Policy)
	if t.Policy == "" || err != nil {
		return false
	}
	facts := map[string]string{"aws:principalaccount": account, "aws:sourceaccount": account, "aws:sourceowner": account}
	allowed := false
	for _, s := range list {
		if !s.covers(t.ARN(), account, "sns:"+action, facts) {
			continue
		}
		if s.Effect == "Deny" {
			return false
		}
		allowed = true
	}
	return allowed
}

func (s statement) covers(resource, account, action string, facts map[string]string) bool {
	if !slices.ContainsFunc(s.Action, func(p string) bool { return like(strings.ToLower(p), strings.ToLower(action)) }) {
		return false
	}
	if len(s.Resource) > 0 && !slices.ContainsFunc(s.Resource, func(p string) bool { return like(p, resource) }) {
		return false
	}
	if !s.names(account) {
		return false
	}
	for operator, keys := range s.Condition {
		for key, values := range keys {
			// A condition on what is not known here does not hold.
			fact, known := facts[strings.ToLower(key)]
			if !known || !holds(operator, fact, values) {
				return false
			}
		}
	}
	return true
}

func holds(operator, fact string, values []string) bool {
	matches := slices.ContainsFunc(values, func(v string) bool { return like(v, fact) })
	switch strings.TrimPrefix(strings.TrimPrefix(operator, "ForAnyValue:"), "ForAllValues:") {
	case "StringEquals", "ArnEquals":
		return slices.Contains(values, fact)
	case "StringNotEquals", "ArnNotEquals":
		return !slices.Contains(values, fact)
	case "StringEqualsIgnoreCase":
		return slices.ContainsFunc(values, func(v string) bool { return strings.EqualFold(v, fact) })
	case "StringLike", "ArnLike":
		return matches
	case "StringNotLike", "ArnNotLike":
		return !matches
	}
	return false
}

// names says whether account is among the statement's principals.
func (s statement) names(account string) bool {
	var all string
	if json.Unmarshal(s.Principal, &all) == nil {
		return all == "*"
	}
	var by map[string]texts
	if json.Unmarshal(s.Principal, &by) != nil {
		return false
	}
	return slices.ContainsFunc(by["AWS"], func(p string) bool {
		if p == "*" || p == account {
			return true
		}
		a, err := arn.Parse(p)
		return err == nil && a.Service == "iam" && a.Account == account
	})
}

// like matches the * and ? of policies. A slash is a character like others there,
// and brackets stand for themselves.
func like(pattern, s string) bool {
	escape := strings.NewReplacer(`\`, `\\`, "[", `\[`, "]", `\]`, "/", "\x00")
	ok, err := path.Match(escape.Replace(pattern), strings.ReplaceAll(s, "/", "\x00"))
	return err == nil && ok
}
