// Package bus is the engine under EventBridge: buses, rules and their targets,
// archives and replays, connections and API destinations.
//
// The tables are wishes, written by faces. The Engine acts on them: it matches
// events with the patterns of a bus's rules in one automaton (bus/pattern),
// makes what a target gets of an event (bus/input), and carries it there durably
// (bus/delivery). Rules with schedules are run by it as well (bus/schedule).
package bus

import (
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/dhowhq/dhow/cluster"
	"github.com/dhowhq/dhow/identity/policy"
	"github.com/dhowhq/dhow/internal/arn"
	"github.com/dhowhq/dhow/store"
)

// DefaultName is the bus that every account has in every region.
const DefaultName = "default"

// Bus is an event bus. The default one is there without a row.
type Bus struct {
	cluster.Scope
	Name        string
	Description string
	DeadLetter  string             // ARN of a queue
	Log         *types.LogConfig   `json:",omitempty"`
	Policy      []policy.Statement `json:",omitempty"`
	Tags        map[string]string
	CreatedAt   time.Time
	ModifiedAt  time.Time
}

// Key is the row's key.
func (b Bus) Key() string { return b.Scope.Key(b.Name) }

// ARN names the bus.
func (b Bus) ARN() string { return b.Scope.ARN("events", "event-bus/"+b.Name) }

// Buses is the table of buses.
var Buses = store.NewTable("bus.buses", Bus.Key)

// FindBus returns a bus by name; the default one is always there.
func FindBus(r store.Reader, s cluster.Scope, name string) (Bus, bool) {
	b, ok := Buses.Get(r, s.Key(name))
	if !ok && name == DefaultName {
		return Bus{Scope: s, Name: name}, true
	}
	return b, ok
}

// Rule is a rule with its targets.
type Rule struct {
	cluster.Scope
	Bus         string
	Name        string
	Description string
	Pattern     string
	Schedule    string
	Since       time.Time // from when on its schedule counts
	State       types.RuleState
	RoleARN     string
	ManagedBy   string
	CreatedBy   string
	Tags        map[string]string
	Targets     []types.Target // in the order in which they were put
}

// MaxTargets is how many targets a rule may have.
const MaxTargets = 5

// Key is the row's key.
func (r Rule) Key() string { return r.Scope.Key(r.Bus, r.Name) }

// ARN names the rule: rule/NAME on the default bus, rule/BUS/NAME on others.
func (r Rule) ARN() string { return RuleARN(r.Scope, r.Bus, r.Name) }

// RuleARN is the ARN of a rule.
func RuleARN(s cluster.Scope, bus, name string) string {
	if bus == DefaultName {
		return s.ARN("events", "rule/"+name)
	}
	return s.ARN("events", "rule/"+bus+"/"+name)
}

// Enabled reports whether the rule acts.
func (r Rule) Enabled() bool { return r.State != types.RuleStateDisabled }

// Target returns the target of that id.
func (r Rule) Target(id string) (types.Target, bool) {
	for _, t := range r.Targets {
		if *t.Id == id {
			return t, true
		}
	}
	return types.Target{}, false
}

// Rules is the table of rules, with the indexes "target" of Scope.Key(bus, ARN)
// and "scheduled" of "1", for rules that run by a schedule.
var Rules = store.NewTable("bus.rules", Rule.Key,
	store.Index[Rule]{Name: "target", Values: func(r Rule) (out []string) {
		for _, t := range r.Targets {
			out = append(out, r.Scope.Key(r.Bus, *t.Arn))
		}
		return out
	}},
	store.Index[Rule]{Name: "scheduled", Values: func(r Rule) []string {
		if r.Schedule == "" || !r.Enabled() {
			return nil
		}
		return []string{"1"}
	}})

// Run is when a rule's schedule was last due and seen to. The engine writes it.
type Run struct {
	cluster.Scope
	Rule string
	Last time.Time
}

// Key is the row's key.
func (r Run) Key() string { return r.Scope.Key(r.Rule) }

// Runs is the table of runs of rules, all on default buses.
var Runs = store.NewTable("bus.runs", Run.Key)

// Function is what an arn:aws:lambda:…:function:NAME stands for until functions
// are served: a URL.
type Function struct {
	cluster.Scope
	Name string
	URL  string
}

// Key is the row's key.
func (f Function) Key() string { return f.Scope.Key(f.Name) }

// Functions is the table of functions.
var Functions = store.NewTable("bus.functions", Function.Key)

// ParseRuleARN is the inverse of RuleARN.
func ParseRuleARN(s string) (scope cluster.Scope, bus, name string, ok bool) {
	scope, rest, ok := resource(s, "rule")
	if !ok {
		return scope, "", "", false
	}
	// A bus's name may hold slashes, where it is a partner's; a rule's does not.
	i := strings.LastIndexByte(rest, '/')
	if i < 0 {
		return scope, DefaultName, rest, true
	}
	return scope, rest[:i], rest[i+1:], true
}

// ParseBusARN takes the ARN of a bus apart.
func ParseBusARN(s string) (scope cluster.Scope, name string, ok bool) {
	return resource(s, "event-bus")
}

// resource takes an ARN of EventBridge's apart: TYPE/REST.
func resource(s, typ string) (scope cluster.Scope, rest string, ok bool) {
	a, err := arn.Parse(s)
	if err != nil || a.Service != "events" {
		return scope, "", false
	}
	rest, ok = strings.CutPrefix(a.Resource, typ+"/")
	return cluster.Scope{Account: a.Account, Region: a.Region}, rest, ok && rest != ""
}
