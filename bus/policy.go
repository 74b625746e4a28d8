package bus

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/dhowhq/dhow/internal/arn"
)

// PutEventsAction is the action that policies of buses let other accounts do.
const PutEventsAction = "events:PutEvents"

// Statement is a statement of a bus's policy.
type Statement struct {
	Sid       string          `json:",omitempty"`
	Effect    string          // Allow or Deny
	Principal json.RawMessage // "*", or {"AWS": …}
	Action    Texts
	Resource  Texts                       `json:",omitempty"`
	Condition map[string]map[string]Texts `json:",omitempty"`
}

// Texts is a JSON string or a list of strings.
type Texts []string

// UnmarshalJSON implements json.Unmarshaler.
func (t *Texts) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*t = Texts{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(t))
}

// MarshalJSON implements json.Marshaler.
func (t Texts) MarshalJSON() ([]byte, error) {
	if len(t) == 1 {
		return json.Marshal(t[0])
	}
	return json.Marshal([]string(t))
}

// MaxPolicy is the longest policy in bytes.
const MaxPolicy = 10240

// ParsePolicy reads a whole policy.
func ParsePolicy(s string) ([]Statement, error) {
	var p struct{ Statement json.RawMessage }
	if err := json.Unmarshal([]byte(s), &p); err != nil {
		return nil, fmt.Errorf("the policy is not JSON: %w", err)
	}
	var many []Statement
	if json.Unmarshal(p.Statement, &many) != nil {
		var one Statement
		if err := json.Unmarshal(p.Statement, &one); err != nil {
			return nil, fmt.Errorf("the policy's Statement: %w", err)
		}
		many = []Statement{one}
	}
	for i, s := range many {
		switch {
		case s.Effect != "Allow" && s.Effect != "Deny":
			return nil, fmt.Errorf("statement %d: Effect must be Allow or Deny", i)
		case len(s.Principal) == 0:
			return nil, fmt.Errorf("statement %d: it has no Principal", i)
		case len(s.Action) == 0:
			return nil, fmt.Errorf("statement %d: it has no Action", i)
		}
	}
	return many, nil
}

// PolicyText is the policy as AWS shows it, "" for none.
func PolicyText(statements []Statement) string {
	if len(statements) == 0 {
		return ""
	}
	b, err := json.Marshal(struct {
		Version   string
		Statement []Statement
	}{"2012-10-17", statements})
	if err != nil {
		return "" // not to be: it was JSON
	}
	return string(b)
}

// AccountPrincipal is the principal that an account's id stands for.
func AccountPrincipal(account string) json.RawMessage {
	if account == "*" {
		return json.RawMessage(`"*"`)
	}
	return json.RawMessage(`{"AWS":"arn:aws:iam::` + account + `:root"}`)
}

// Admits says whether account may put an event of that source and detail-type
// on b. A bus admits its own account; others as its policy says.
func (b Bus) Admits(account, source, detailType string) bool {
	if account == b.Account {
		return true
	}
	facts := map[string]string{"events:source": source, "events:detail-type": detailType, "aws:principalaccount": account, "aws:sourceaccount": account}
	allowed := false
	for _, s := range b.Policy {
		if !s.covers(b.ARN(), account, facts) {
			continue
		}
		if s.Effect == "Deny" {
			return false
		}
		allowed = true
	}
	return allowed
}

func (s Statement) covers(resource, account string, facts map[string]string) bool {
	if !slices.ContainsFunc(s.Action, func(p string) bool { return glob(strings.ToLower(p), strings.ToLower(PutEventsAction)) }) {
		return false
	}
	if len(s.Resource) > 0 && !slices.ContainsFunc(s.Resource, func(p string) bool { return glob(p, resource) }) {
		return false
	}
	if !s.names(account) {
		return false
	}
	for operator, keys := range s.Condition {
		for key, values := range keys {
			// A condition on what is not known here does not hold: there are no
			// organizations.
			fact, known := facts[strings.ToLower(key)]
			if !known || !holds(operator, fact, values) {
				return false
			}
		}
	}
	return true
}

func holds(operator, fact string, values []string) bool {
	switch strings.TrimPrefix(strings.TrimPrefix(operator, "ForAnyValue:"), "ForAllValues:") {
	case "StringEquals", "ArnEquals":
		return slices.Contains(values, fact)
	case "StringNotEquals":
		return !slices.Contains(values, fact)
	case "StringEqualsIgnoreCase":
		return slices.ContainsFunc(values, func(v string) bool { return strings.EqualFold(v, fact) })
	case "StringLike", "ArnLike":
		return slices.ContainsFunc(values, func(v string) bool { return glob(v, fact) })
	case "StringNotLike":
		return !slices.ContainsFunc(values, func(v string) bool { return glob(v, fact) })
	}
	return false
}

// names says whether account is among the statement's principals.
func (s Statement) names(account string) bool {
	var all string
	if json.Unmarshal(s.Principal, &all) == nil {
		return all == "*"
	}
	var by map[string]Texts
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

// glob matches * and ? of policies.
func glob(pattern, s string) bool {
	// Only the last star has to be tried again, so the cost is bounded by the
	// product of the lengths, whatever a policy says.
	star, rest := -1, 0
	p, i := 0, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, rest = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == s[i]):
			p, i = p+1, i+1
		case star >= 0:
			rest++
			p, i = star+1, rest
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
