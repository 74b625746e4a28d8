package pattern

import "encoding/json"

// Scope is what a filter policy of SNS looks at.
type Scope string

// The scopes of SNS's FilterPolicyScope.
const (
	Attributes Scope = "MessageAttributes"
	Body       Scope = "MessageBody"
)

// The bounds of a filter policy (developer guide, "Filter policy constraints").
const (
	maxFilterKeys   = 5
	maxFilterCombos = 150
)

// ErrNested is the reason for refusing a policy on attributes that is nested.
const ErrNested = "Filter policy scope MessageAttributes does not support nested filter policy"

// ParseFilter reads a filter policy of SNS: as an event pattern, within SNS's
// bounds and with its smaller set of operators. Its error is an *Error. A
// policy on attributes matches what AttributesEvent makes of them, a policy on
// bodies a body that is a JSON object; other bodies match no policy.
func ParseFilter(src string, scope Scope) (*Pattern, error) {
	return parse(src, dialect{sns: true, flat: scope == Attributes, maxRange: 1e9})
}

// limits holds a filter policy to SNS's bounds.
func (p *parser) limits() error {
	switch {
	case p.d.flat && p.nested:
		return &Error{Reason: ErrNested}
	case p.leaves > maxFilterKeys:
		return &Error{Reason: "Filter policy can not have more than 5 keys"}
	case p.combos > maxFilterCombos:
		return &Error{Reason: "Filter policy is too complex"}
	}
	return nil
}

// Attribute is a message attribute as filter policies see it.
type Attribute struct {
	Name, Type, Value string // Type is String, Number, String.Array, or one of these and .label
}

// AttributesEvent is the event that a filter policy on attributes is matched
// with. Attributes of other types, numbers that are none and arrays that are no
// JSON do not take part, as on AWS.
func AttributesEvent(attributes []Attribute) []byte {
	event := make(map[string]json.RawMessage, len(attributes))
	for _, a := range attributes {
		var raw []byte
		switch {
		case isType(a.Type, "String.Array"):
			var list []any
			if json.Unmarshal([]byte(a.Value), &list) == nil {
				raw = []byte(a.Value)
			}
		case isType(a.Type, "Number"):
			if isNumber([]byte(a.Value)) {
				raw = []byte(a.Value)
			}
		case isType(a.Type, "String"):
			raw, _ = json.Marshal(a.Value)
		}
		if raw != nil {
			event[a.Name] = raw
		}
	}
	out, err := json.Marshal(event)
	if err != nil {
		return []byte("{}") // not to be: every member is JSON
	}
	return out
}

// isType reports whether typ is base, or a custom type of it: base.label.
func isType(typ, base string) bool {
	return typ == base || len(typ) > len(base) && typ[:len(base)] == base && typ[len(base)] == '.'
}
