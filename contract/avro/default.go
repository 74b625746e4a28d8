package avro

import (
	"fmt"

	"github.com/dhowhq/dhow/contract/verdict"
)

// checkDefaults looks at all defaults, and that none needs itself.
func (p *parser) checkDefaults() error {
	f := newFitter(false)
	for _, d := range p.pending {
		fd := &d.owner.fields[d.field]
		if bad := f.fits(fd.typ, fd.fallback); bad != nil {
			return &verdict.Malformed{
				Place:  place(d.file, d.lines, bad.line),
				Detail: fmt.Sprintf("the default of field %s of %s does not fit its type: %s%s", fd.name, d.owner.name, pathColon(bad.path), bad.detail),
			}
		}
	}
	c := cycles{fitter: f, state: map[*field]int{}}
	for _, d := range p.pending {
		fd := &d.owner.fields[d.field]
		if c.field(fd) {
			return &verdict.Malformed{
				Place:  place(d.file, d.lines, fd.fallback.line),
				Detail: fmt.Sprintf("the default of field %s of %s has no end: what it leaves out is filled with defaults that lead back to it", fd.name, d.owner.name),
			}
		}
	}
	return nil
}

func pathColon(path string) string {
	if path == "" {
		return ""
	}
	return path + ": "
}

// cycles finds defaults that fill themselves in.
type cycles struct {
	*fitter
	state map[*field]int // 1 while it is looked at, 2 once it has an end
}

func (c *cycles) field(f *field) bool {
	if s := c.state[f]; s != 0 {
		return s == 1
	}
	c.state[f] = 1
	if c.value(f.typ, f.fallback) {
		return true
	}
	c.state[f] = 2
	return false
}

func (c *cycles) value(t *typ, v *value) bool {
	switch t.kind {
	case kindUnion:
		i, below, _ := c.branch(t, v)
		return c.value(t.branches[i], below)
	case kindArray, kindMap:
		for i := range v.items {
			if c.value(t.items, &v.items[i]) {
				return true
			}
		}
	case kindRecord:
		for i := range t.fields {
			f := &t.fields[i]
			if m := v.member(f.name); m != nil && c.value(f.typ, m) || m == nil && c.field(f) {
				return true
			}
		}
	}
	return false
}
