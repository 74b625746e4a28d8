// Package policy reads policy documents and decides by them, as the IAM User
// Guide says: "IAM JSON policy elements reference" and "Policy evaluation logic".
package policy

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Document is a policy document.
type Document struct {
	Version   string      `json:",omitempty"` // 2012-10-17, whose values have variables, or 2008-10-17
	ID        string      `json:"Id,omitempty"`
	Statement []Statement // one or more
}

// Statement allows or denies principals actions on resources. Of each of the
// pairs Principal and NotPrincipal, Action and NotAction, Resource and
// NotResource one at most is set.
type Statement struct {
	Sid          string                      `json:",omitempty"`
	Effect       string                      // Allow or Deny
	Principal    *Principal                  `json:",omitempty"`
	NotPrincipal *Principal                  `json:",omitempty"`
	Action       Texts                       `json:",omitempty"`
	NotAction    Texts                       `json:",omitempty"`
	Resource     Texts                       `json:",omitempty"`
	NotResource  Texts                       `json:",omitempty"`
	Condition    map[string]map[string]Texts `json:",omitempty"` // values by key by operator
}

// Texts is a JSON string, or a list of strings; numbers and booleans, which
// conditions may have, become what they are written as.
type Texts []string

// UnmarshalJSON implements json.Unmarshaler.
func (t *Texts) UnmarshalJSON(b []byte) error {
	var many []json.RawMessage
	if json.Unmarshal(b, &many) != nil {
		many = []json.RawMessage{b}
	}
	*t = make(Texts, len(many))
	for i, one := range many {
		var text string
		switch {
		case json.Unmarshal(one, &text) == nil && string(one) != "null":
		case len(one) > 0 && strings.IndexByte(`-0123456789tf`, one[0]) >= 0:
			text = string(one)
		default:
			return fmt.Errorf("%.40s is not a string", one)
		}
		(*t)[i] = text
	}
	return nil
}

// MarshalJSON implements json.Marshaler.
func (t Texts) MarshalJSON() ([]byte, error) {
	if len(t) == 1 {
		return json.Marshal(t[0])
	}
	return json.Marshal([]string(t))
}

// Principal is "*", or names by their kind: AWS (accounts and ARNs), Service,
// Federated, CanonicalUser.
type Principal struct {
	Everyone bool
	Of       map[string]Texts
}

// UnmarshalJSON implements json.Unmarshaler.
func (p *Principal) UnmarshalJSON(b []byte) error {
	var all string
	if json.Unmarshal(b, &all) == nil {
		if p.Everyone = all == "*"; !p.Everyone {
			return fmt.Errorf(`principal %q: it must be "*", or an object such as {"AWS": %q}`, all, all)
		}
		return nil
	}
	if err := json.Unmarshal(b, &p.Of); err != nil {
		return errors.New(`a principal must be "*", or an object such as {"AWS": "111122223333"}`)
	}
	for kind := range p.Of {
		if !slices.Contains([]string{"AWS", "Service", "Federated", "CanonicalUser"}, kind) {
			return fmt.Errorf("there are no principals of the kind %q: AWS, Service, Federated and CanonicalUser are", kind)
		}
	}
	return nil
}

// MarshalJSON implements json.Marshaler.
func (p Principal) MarshalJSON() ([]byte, error) {
	if p.Everyone {
		return []byte(`"*"`), nil
	}
	return json.Marshal(p.Of)
}

// Account is the principal that an account's id stands for, or "*".
func Account(id string) *Principal {
	if id == "*" {
		return &Principal{Everyone: true}
	}
	return &Principal{Of: map[string]Texts{"AWS": {"arn:aws:iam::" + id + ":root"}}}
}

// Parse reads the policy of a resource, whose statements have principals. Its
// errors are for whoever wrote the document, to be put behind "the policy: ".
func Parse(text string) (Document, error) {
	return parse(text, func(s Statement) error {
		if (s.Principal == nil) == (s.NotPrincipal == nil) {
			return errors.New("it needs a Principal, or a NotPrincipal")
		}
		return nil
	})
}

// ParseIdentity reads the policy of a role or user, whose statements name no
// principal, for they are all about who has the policy, but say what resources
// they are about. Its errors are as those of Parse.
func ParseIdentity(text string) (Document, error) {
	return parse(text, func(s Statement) error {
		switch {
		case s.Principal != nil || s.NotPrincipal != nil:
			return errors.New("it has a Principal, which is for the policies of resources")
		case len(s.Resource) == 0 && len(s.NotResource) == 0:
			return errors.New("it needs a Resource, or a NotResource")
		}
		return nil
	})
}

func parse(text string, fits func(Statement) error) (Document, error) {
	var raw struct {
		Version   string
		ID        string `json:"Id"`
		Statement json.RawMessage
	}
	if !json.Valid([]byte(text)) {
		return Document{}, errors.New("it is not JSON")
	}
	if err := strict(text, &raw); err != nil {
		return Document{}, fmt.Errorf("it is not a policy's JSON: %w", err)
	}
	d := Document{Version: raw.Version, ID: raw.ID}
	if !slices.Contains([]string{"", "2012-10-17", "2008-10-17"}, d.Version) {
		return d, fmt.Errorf("its Version is 2012-10-17 or 2008-10-17, not %q", d.Version)
	}
	list := string(raw.Statement)
	if !strings.HasPrefix(list, "[") {
		list = "[" + list + "]"
	}
	if len(raw.Statement) == 0 {
		return d, errors.New("it has no Statement")
	}
	if err := strict(list, &d.Statement); err != nil {
		return d, fmt.Errorf("its Statement: %w", err)
	}
	for i, s := range d.Statement {
		if err := cmp.Or(s.check(), fits(s)); err != nil {
			return d, fmt.Errorf("statement %d: %w", i+1, err)
		}
	}
	return d, nil
}

// strict refuses members that nothing reads.
func strict(text string, into any) error {
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

func (s Statement) check() error {
	switch {
	case s.Effect != "Allow" && s.Effect != "Deny":
		return fmt.Errorf("its Effect is Allow or Deny, not %q", s.Effect)
	case (len(s.Action) == 0) == (len(s.NotAction) == 0):
		return errors.New("it needs an Action, or a NotAction")
	case len(s.Resource) > 0 && len(s.NotResource) > 0:
		return errors.New("it has both Resource and NotResource")
	}
	for operator, keys := range s.Condition {
		if _, err := parseOperator(operator); err != nil {
			return err
		}
		for key, values := range keys {
			if len(values) == 0 {
				return fmt.Errorf("condition %s of %s has no values", operator, key)
			}
		}
	}
	return nil
}

// Text is the document as JSON; "" without statements.
func (d Document) Text() string {
	if len(d.Statement) == 0 {
		return ""
	}
	b, err := json.Marshal(d)
	if err != nil {
		return "" // not to be: strings and maps of them
	}
	return string(b)
}
