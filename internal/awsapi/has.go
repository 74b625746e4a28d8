package awsapi

import (
	"context"
	"encoding/json"
	"sort"
	"strconv"
	"strings"

	"github.com/dhowhq/dhow/internal/awsapi/model"
)

// HasAt is Has for a member within others: path is names of members and
// positions in lists, "Entries", 0, "DelaySeconds". It reads the request again,
// so ask it only where the value leaves a doubt, and only while the handler
// runs. It knows the JSON and query protocols.
func HasAt(ctx context.Context, path ...any) bool {
	c := CallFrom(ctx)
	return c.op != nil && c.x != nil && c.x.hasAt(path)
}

func (x *exchange) hasAt(path []any) bool {
	if x.t.proto == query {
		return x.hasParam(path)
	}
	body, err := x.plainBody(x.s.cfg.MaxBody)
	var v any
	if err != nil || json.Unmarshal(body, &v) != nil {
		return false
	}
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[p]
		case int:
			l, _ := v.([]any)
			if p >= len(l) {
				return false
			}
			v = l[p]
		}
	}
	return v != nil
}

// hasParam looks for a parameter: lists are taken for flat ones.
func (x *exchange) hasParam(path []any) bool {
	m := x.model()
	if q := x.query(); q != nil {
		m = m.Renamed(q.Names)
	}
	shape, prefix := m.Shapes[x.call.op.Op.Input], ""
	for _, p := range path {
		switch p := p.(type) {
		case string:
			member := memberOf(shape, p)
			if member == nil {
				return false
			}
			wire := member.Wire
			if wire == "" {
				wire = member.Name
			}
			prefix, shape = prefix+wire+".", m.Shapes[member.Shape]
		case int:
			numbers := x.numbersBelow(prefix)
			if p >= len(numbers) || len(shape.Members) == 0 {
				return false
			}
			prefix, shape = prefix+strconv.Itoa(numbers[p])+".", m.Shapes[shape.Members[0].Shape]
		}
	}
	return x.params.Has(strings.TrimSuffix(prefix, "."))
}

func memberOf(s *model.Shape, name string) *model.Member {
	for i := range s.Members {
		if s.Members[i].Name == name {
			return &s.Members[i]
		}
	}
	return nil
}

// numbersBelow are the numbers that follow a prefix in parameters' names.
func (x *exchange) numbersBelow(prefix string) (numbers []int) {
	seen := map[int]bool{}
	for _, name := range x.params.Names() {
		rest, ok := strings.CutPrefix(name, prefix)
		if !ok {
			continue
		}
		digits, _, _ := strings.Cut(rest, ".")
		if n, err := strconv.Atoi(digits); err == nil && !seen[n] {
			seen[n] = true
			numbers = append(numbers, n)
		}
	}
	sort.Ints(numbers)
	return numbers
}
