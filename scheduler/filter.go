package scheduler

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// reject says why s takes no further task of req; its Code is "" if it does.
func reject(req *Request, s *seat) Reason {
	n := s.node
	r := Reason{Node: n.ID}
	if !n.Connected {
		r.Code, r.Detail = ReasonAgent, "its agent is not connected"
		return r
	}
	for _, a := range req.Requires {
		if !has(n, a) {
			r.Code, r.Detail = ReasonAttribute, "it lacks the attribute "+attributeString(a)
			return r
		}
	}
	for _, c := range req.Constraints {
		switch {
		case c.Distinct && n.GroupTasks+s.placed > 0:
			r.Code, r.Detail = ReasonDistinct, "a task of the group is on it"
			return r
		case c.Expression != nil && !c.Expression.Match(n.Facts):
			r.Code, r.Detail = ReasonMemberOf, "it does not match "+c.Text
			return r
		}
	}
	if s.free.CPU < req.Need.CPU {
		r.Code, r.Detail = ReasonCPU, fmt.Sprintf("%d CPU units are free, %d are needed", max(s.free.CPU, 0), req.Need.CPU)
		return r
	}
	if s.free.Memory < req.Need.Memory {
		r.Code, r.Detail = ReasonMemory, fmt.Sprintf("%d MiB are free, %d are needed", max(s.free.Memory, 0), req.Need.Memory)
		return r
	}
	for _, p := range req.Need.Ports {
		if s.placed > 0 || slices.Contains(n.Used.Ports, p) || slices.Contains(n.Total.Ports, p) {
			r.Code, r.Detail = ReasonPorts, "host port "+p+" is taken"
			return r
		}
	}
	return r
}

// has reports whether n has attribute a, with a's value if it names one.
func has(n *Candidate, a types.Attribute) bool {
	name := ""
	if a.Name != nil {
		name = *a.Name
	}
	if n.AnyCapability && IsCapability(name) {
		return true
	}
	v, ok := n.attribute(name)
	return ok && (a.Value == nil || *a.Value == v)
}

// IsCapability reports whether an attribute says what an agent can do, rather
// than what the instance is.
func IsCapability(name string) bool {
	return strings.HasPrefix(name, "ecs.capability.") || strings.HasPrefix(name, "com.amazonaws.ecs.capability.")
}

func attributeString(a types.Attribute) string {
	s := ""
	if a.Name != nil {
		s = *a.Name
	}
	if a.Value != nil {
		s += "=" + *a.Value
	}
	return s
}

// Facts answers the subjects of placement expressions.
func (c *Candidate) Facts(subject string) []string {
	if name, ok := strings.CutPrefix(subject, "attribute:"); ok {
		if v, ok := c.attribute(name); ok {
			return []string{v}
		}
		return nil
	}
	switch subject {
	case "agentConnected":
		return []string{fmt.Sprint(c.Connected)}
	case "runningTasksCount":
		return []string{fmt.Sprint(c.Tasks)}
	}
	if c.Fact == nil {
		return nil
	}
	return c.Fact(subject)
}
