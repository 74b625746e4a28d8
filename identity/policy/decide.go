package policy

import (
	"maps"
	"slices"
	"strings"

	"github.com/dhowhq/dhow/internal/arn"
)

// Decision is what a policy says of a request.
type Decision int

const (
	Silent Decision = iota // no statement is about it, which denies
	Allow
	Deny
)

// Request is what somebody wants to do.
type Request struct {
	Account   string // who asks; empty for a service
	Principal string // its ARN; empty: any of the account's, for only the account is known
	Service   string // instead: a service's name, such as events.amazonaws.com
	Action    string // SERVICE:OPERATION
	Resource  string // ARN
	// Facts are the values of condition keys, in lower case, besides those that
	// tell of the principal. What is not there is absent from the request.
	Facts map[string][]string
}

// Decide says what the document says of a request.
func (d Document) Decide(r Request) Decision {
	r.Facts = r.facts()
	said := Silent
	for _, s := range d.Statement {
		if !s.covers(d.Version == "2012-10-17", r) {
			continue
		}
		if s.Effect == "Deny" {
			return Deny
		}
		said = Allow
	}
	return said
}

// Documents are policies that count together, a role's: what one denies is
// denied, whatever others allow.
type Documents []Document

// Decide says what the documents say of a request.
func (all Documents) Decide(r Request) Decision {
	said := Silent
	for _, d := range all {
		said = max(said, d.Decide(r))
	}
	return said
}

func (r Request) facts() map[string][]string {
	facts := maps.Clone(r.Facts)
	if facts == nil {
		facts = map[string][]string{}
	}
	set := func(key, value string) {
		if _, ok := facts[key]; !ok && value != "" {
			facts[key] = []string{value}
		}
	}
	set("aws:principalaccount", r.Account)
	set("aws:principalarn", roleOf(r.Principal))
	set("aws:principalisawsservice", map[bool]string{true: "true", false: "false"}[r.Service != ""])
	set("aws:principalservicename", r.Service)
	return facts
}

func (s Statement) covers(variables bool, r Request) bool {
	like := func(patterns Texts, value string) bool {
		return slices.ContainsFunc(patterns, func(p string) bool { return Like(expand(p, variables, r.Facts), value) })
	}
	action := func(list Texts) bool {
		return slices.ContainsFunc(list, func(p string) bool { return Like(strings.ToLower(p), strings.ToLower(r.Action)) })
	}
	switch {
	case s.Principal != nil && !s.Principal.names(r), s.NotPrincipal != nil && s.NotPrincipal.names(r),
		len(s.Action) > 0 && !action(s.Action), len(s.NotAction) > 0 && action(s.NotAction),
		len(s.Resource) > 0 && !like(s.Resource, r.Resource), len(s.NotResource) > 0 && like(s.NotResource, r.Resource):
		return false
	}
	for name, keys := range s.Condition {
		o, err := parseOperator(name)
		if err != nil {
			return false // such a document is not taken
		}
		for key, values := range keys {
			if !o.holds(r.Facts[strings.ToLower(key)], values, variables, r.Facts) {
				return false
			}
		}
	}
	return true
}

// names says whether the requester is among the principals.
func (p Principal) names(r Request) bool {
	if p.Everyone {
		return true
	}
	if r.Service != "" {
		// {"AWS": "*"} is everyone, as "*" is: policies that let topics send to
		// queues are often written so.
		return slices.Contains(p.Of["Service"], r.Service) || slices.Contains(p.Of["AWS"], "*")
	}
	return slices.ContainsFunc(p.Of["AWS"], func(who string) bool {
		if who == "*" || who == r.Account || r.Principal != "" && (who == r.Principal || who == roleOf(r.Principal)) {
			return true
		}
		a, err := arn.Parse(who)
		return err == nil && a.Account == r.Account && (r.Principal == "" || a.Service == "iam" && a.Resource == "root")
	})
}

// roleOf is the ARN of the role whose session an ARN is, else the ARN. Sessions
// name the role without its path.
func roleOf(principal string) string {
	a, err := arn.Parse(principal)
	if err != nil || a.Service != "sts" {
		return principal
	}
	parts := a.Segments()
	if len(parts) != 3 || parts[0] != "assumed-role" {
		return principal
	}
	a.Service, a.Resource = "iam", "role/"+parts[1]
	return a.String()
}
