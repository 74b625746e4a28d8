package codec

import (
	"strconv"
	"strings"

	"github.com/dhowhq/dhow/internal/awsapi/model"
)

// checks are a shape's constraints, in the words of AWS's sentences.
type checks struct {
	length   bool // min and max are of the length
	min, max *bound
	pattern  *Pattern
	enum     map[string]bool
	words    string // "[A, B]"
}

type bound struct {
	i     int64
	f     float64
	whole bool
	text  string
}

func newBound(text string) *bound {
	if text == "" {
		return nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return nil
	}
	i, err := strconv.ParseInt(text, 10, 64)
	return &bound{i: i, f: f, whole: err == nil, text: text}
}

func (b *bound) cmpInt(i int64) int {
	switch {
	case !b.whole:
		return b.cmpFloat(float64(i))
	case i < b.i:
		return -1
	case i > b.i:
		return 1
	}
	return 0
}

func (b *bound) cmpFloat(f float64) int {
	switch {
	case f < b.f:
		return -1
	case f > b.f:
		return 1
	}
	return 0
}

func newChecks(s *model.Shape) *checks {
	if s.Kind == model.Structure || s.Kind == model.Timestamp || s.Kind == model.Boolean || s.Kind == model.Document {
		return nil
	}
	c := &checks{min: newBound(s.Min), max: newBound(s.Max)}
	switch s.Kind {
	case model.String, model.Blob, model.List, model.Map:
		c.length = true
	}
	if s.Kind == model.String {
		c.pattern = compile(s.Pattern)
		if len(s.Enum) > 0 {
			c.words = "[" + strings.Join(s.Enum, ", ") + "]"
			c.enum = make(map[string]bool, len(s.Enum))
			for _, e := range s.Enum {
				c.enum[e] = true
			}
		}
	}
	if c.min == nil && c.max == nil && c.pattern == nil && c.enum == nil {
		return nil
	}
	return c
}

// all lists the constraints as AWS does for the elements of a list.
func (c *checks) all() string {
	var parts []string
	if c.max != nil {
		parts = append(parts, c.tooBig())
	}
	if c.min != nil {
		parts = append(parts, c.tooSmall())
	}
	if c.pattern != nil {
		parts = append(parts, c.unlike())
	}
	if c.enum != nil {
		parts = append(parts, c.unlisted())
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

func (c *checks) what() string {
	if c.length {
		return "Member must have length "
	}
	return "Member must have value "
}

func (c *checks) tooBig() string   { return c.what() + "less than or equal to " + c.max.text }
func (c *checks) tooSmall() string { return c.what() + "greater than or equal to " + c.min.text }
func (c *checks) unlike() string {
	return "Member must satisfy regular expression pattern: " + c.pattern.source
}
func (c *checks) unlisted() string { return "Member must satisfy enum value set: " + c.words }

// markChecked finds the nodes below n that have constraints somewhere, so
// that the rest is not walked.
func markChecked(root *node) {
	var order []*node
	var walk func(*node)
	walk = func(n *node) {
		if n == nil || n.marked {
			return
		}
		n.marked = true
		order = append(order, n)
		for i := range n.fields {
			walk(n.fields[i].n)
		}
		walk(n.elem.n)
		walk(n.key.n)
	}
	walk(root)
	// Shapes may contain themselves: repeat until nothing changes.
	for changed := true; changed; {
		changed = false
		for i := len(order) - 1; i >= 0; i-- {
			if n := order[i]; !n.checked && n.needsCheck() {
				n.checked, changed = true, true
			}
		}
	}
}

func (n *node) needsCheck() bool {
	if n.checks != nil || n.elem.n != nil && n.elem.n.checked || n.key.n != nil && n.key.n.checked {
		return true
	}
	for i := range n.fields {
		f := &n.fields[i]
		if f.member.Required || f.n != nil && f.n.checked {
			return true
		}
	}
	return false
}
