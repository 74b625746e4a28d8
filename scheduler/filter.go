package scheduler

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// filter tells which candidates take a task of a request.
type filter struct {
	req *Request
	// The required attributes, apart from those of capabilities, which nodes of
	// ours need not have.
	others []types.Attribute
}

func newFilter(req *Request) *filter {
	f := &filter{req: req}
	for _, a := range req.Requires {
		if !IsCapability(nameOf(a)) {
			f.others = append(f.others, a)
		}
	}
	return f
}

// reject is the code of why s takes no further task, "" if it does.
func (f *filter) reject(s *seat) string {
	n, req := s.node, f.req
	if !n.Connected {
		return ReasonAgent
	}
	if _, lacks := f.lacking(n); lacks {
		return ReasonAttribute
	}
	for i := range req.Constraints {
		switch c := &req.Constraints[i]; {
		case c.Distinct && s.group+s.placed > 0:
			return ReasonDistinct
		case c.Expression != nil && !c.Expression.Match(f.facts(n)):
			return ReasonMemberOf
		}
	}
	switch {
	case s.free.cpu < req.Need.CPU:
		return ReasonCPU
	case s.free.memory < req.Need.Memory:
		return ReasonMemory
	}
	if _, taken := f.taken(s); taken {
		return ReasonPorts
	}
	return ""
}

// lacking is the first required attribute that n does not have.
func (f *filter) lacking(n *Candidate) (a types.Attribute, lacks bool) {
	required := f.req.Requires
	if n.AnyCapability {
		required = f.others
	}
	for _, a := range required {
		if v, ok := n.attribute(nameOf(a)); !ok || a.Value != nil && *a.Value != v {
			return a, true
		}
	}
	return a, false
}

// taken is the first needed host port that s cannot give.
func (f *filter) taken(s *seat) (port string, taken bool) {
	for _, p := range f.req.Need.Ports {
		if s.placed > 0 || slices.Contains(s.node.Ports, p) {
			return p, true
		}
	}
	return "", false
}

// reasons are those of all nodes, on which the chosen tasks are by now.
func (f *filter) reasons(nodes []Candidate, choices []Choice) []Reason {
	placed := map[int]int{}
	for _, c := range choices {
		placed[c.Index]++
	}
	out := make([]Reason, len(nodes))
	for i := range nodes {
		s := newSeat(f.req, &nodes[i], i)
		for range placed[i] {
			s.put(f.req.Need)
		}
		out[i] = Reason{Node: s.node.ID, Code: f.reject(&s)}
		if i < detailed {
			out[i].Detail = f.detail(out[i].Code, &s)
		}
	}
	return out
}

// detail says in our words what a code says in AWS's.
func (f *filter) detail(code string, s *seat) string {
	need := f.req.Need
	switch code {
	case ReasonAgent:
		return "its agent is not connected"
	case ReasonAttribute:
		a, _ := f.lacking(s.node)
		return "it lacks the attribute " + attributeString(a)
	case ReasonDistinct:
		return "a task of the group is on it"
	case ReasonMemberOf:
		for _, c := range f.req.Constraints {
			if c.Expression != nil && !c.Expression.Match(f.facts(s.node)) {
				return "it does not match " + c.Text
			}
		}
	case ReasonCPU:
		return fmt.Sprintf("%d CPU units are free, %d are needed", max(s.free.cpu, 0), need.CPU)
	case ReasonMemory:
		return fmt.Sprintf("%d MiB are free, %d are needed", max(s.free.memory, 0), need.Memory)
	case ReasonPorts:
		p, _ := f.taken(s)
		return "host port " + p + " is taken"
	}
	return ""
}

// IsCapability reports whether an attribute says what an agent can do, rather
// than what the instance is.
func IsCapability(name string) bool {
	return strings.HasPrefix(name, "ecs.capability.") || strings.HasPrefix(name, "com.amazonaws.ecs.capability.")
}

func nameOf(a types.Attribute) string {
	if a.Name == nil {
		return ""
	}
	return *a.Name
}

func attributeString(a types.Attribute) string {
	s := nameOf(a)
	if a.Value != nil {
		s += "=" + *a.Value
	}
	return s
}

// facts answers the subjects of placement expressions for n.
func (f *filter) facts(n *Candidate) func(subject string) []string {
	if f.req.Fact == nil {
		return n.Facts(nil)
	}
	return n.Facts(func(subject string) []string { return f.req.Fact(n, subject) })
}

// Facts answers the subjects of placement expressions: what c knows itself, and
// by other, if it is not nil, the rest.
func (c *Candidate) Facts(other func(subject string) []string) func(subject string) []string {
	return func(subject string) []string {
		if name, ok := strings.CutPrefix(subject, "attribute:"); ok {
			if v, ok := c.attribute(name); ok {
				return []string{v}
			}
			return nil
		}
		switch {
		case subject == "agentConnected":
			return []string{fmt.Sprint(c.Connected)}
		case subject == "runningTasksCount":
			return []string{fmt.Sprint(c.Tasks)}
		case other == nil:
			return nil
		}
		return other(subject)
	}
}
