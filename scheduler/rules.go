package scheduler

import (
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// Kind is a placement strategy's type.
type Kind string

// The kinds of strategy.
const (
	Random  Kind = "random"
	Spread  Kind = "spread"
	Binpack Kind = "binpack"
)

// Strategy is a rule by which nodes are ranked.
type Strategy struct {
	Kind  Kind
	Field string // Spread: instanceId or attribute:NAME; Binpack: cpu or memory
}

// Constraint is a rule that a node must fulfil.
type Constraint struct {
	Distinct   bool        // distinctInstance
	Expression *Expression // memberOf
	Text       string      // the expression as it was written
}

// ParseStrategy reads placement strategies. The limits are those of the ECS
// API reference.
func ParseStrategy(in []types.PlacementStrategy) ([]Strategy, error) {
	if len(in) > 5 {
		return nil, fmt.Errorf("placementStrategy: there can be 5 at most")
	}
	var out []Strategy
	for _, p := range in {
		s := Strategy{Kind: Kind(p.Type)}
		if p.Field != nil {
			s.Field = *p.Field
		}
		field := strings.ToLower(s.Field)
		switch {
		case s.Kind == Random && s.Field == "":
		case s.Kind == Random:
			return nil, fmt.Errorf("placementStrategy: random takes no field, but it was %s", s.Field)
		case s.Kind == Binpack && (field == "cpu" || field == "memory"):
			s.Field = field
		case s.Kind == Binpack:
			return nil, fmt.Errorf("placementStrategy: binpack takes the field cpu or memory, but it was %q", s.Field)
		case s.Kind == Spread && (field == "instanceid" || field == "host"):
			s.Field = "instanceId"
		case s.Kind == Spread && strings.HasPrefix(s.Field, "attribute:") && len(s.Field) > len("attribute:"):
		case s.Kind == Spread:
			return nil, fmt.Errorf("placementStrategy: spread takes the field instanceId, host or attribute:NAME, but it was %q", s.Field)
		default:
			return nil, fmt.Errorf("placementStrategy: the type %q is none of random, spread, binpack", p.Type)
		}
		out = append(out, s)
	}
	return out, nil
}

// ParseConstraints reads placement constraints.
func ParseConstraints(in []types.PlacementConstraint) ([]Constraint, error) {
	if len(in) > 10 {
		return nil, fmt.Errorf("placementConstraints: there can be 10 at most")
	}
	var out []Constraint
	for _, p := range in {
		text := ""
		if p.Expression != nil {
			text = *p.Expression
		}
		switch p.Type {
		case types.PlacementConstraintTypeDistinctInstance:
			if text != "" {
				return nil, fmt.Errorf("placementConstraints: distinctInstance takes no expression, but it was %s", text)
			}
			out = append(out, Constraint{Distinct: true})
		case types.PlacementConstraintTypeMemberOf:
			e, err := ParseExpression(text)
			if err != nil {
				return nil, fmt.Errorf("placementConstraints: invalid expression: %w", err)
			}
			out = append(out, Constraint{Expression: e, Text: text})
		default:
			return nil, fmt.Errorf("placementConstraints: the type %q is none of distinctInstance, memberOf", p.Type)
		}
	}
	return out, nil
}
